package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// policed is how many packets of a port ingress policing has dropped.
func policed(t *testing.T, e *testenv.Env, port string) int {
	t.Helper()
	var drops []struct {
		Reason, Port string
		Packets      int
	}
	out := e.Run("ovs-bpfctl", "drops", "--json")
	if err := json.Unmarshal([]byte(out), &drops); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := 0
	for _, d := range drops {
		if d.Reason == "ingress_policing" && d.Port == port {
			n += d.Packets
		}
	}
	return n
}

// TestIngressPolicing sends many times the burst through a port whose rate is next to nothing: what is not dropped and counted
// arrives. The limits follow the row at once, outlive the agent, and leave nothing behind.
func TestIngressPolicing(t *testing.T) {
	t.Parallel()
	const sent = 1000
	e := testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.In(e.NS, "ip", "addr", "add", "10.1.1.3/24", "dev", "br0")
	e.In(e.NS, "ip", "link", "set", "br0", "up")
	a.Run("ip", "neigh", "replace", "10.1.1.2", "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	e.In(e.NS, "ip", "neigh", "replace", "10.1.1.2", "lladdr", b.MAC(), "dev", "br0", "nud", "permanent")
	b.Background("python3", "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 25) # SO_RCVBUFFORCE
s.bind(("10.1.1.2", 4000))
while True: s.recv(2000)`)
	e.Eventually("the receiver listens", func() error {
		if !strings.Contains(b.Run("ss", "-Hlun"), ":4000") {
			return errors.New("no listener")
		}
		return nil
	})
	// stream sends datagrams, of which at least a burst arrives, all with burst 0; what does not is counted.
	stream := func(what, ns, port string, burst int) {
		t.Helper()
		got, dropped := datagrams(t, b), policed(t, e, port)
		e.In(ns, "python3", "-c", fmt.Sprintf(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(%d): s.sendto(bytes(958), ("10.1.1.2", 4000))`, sent)) // frames of 1000 bytes
		e.Eventually(what, func() error {
			// The host's own packets are dropped, too.
			got, dropped := datagrams(t, b)-got, policed(t, e, port)-dropped
			switch {
			case burst == 0 && (got != sent || dropped != 0),
				burst != 0 && (got+dropped < sent || got < burst || got > sent/2):
				return fmt.Errorf("%d datagrams arrived, %d packets of %s were dropped; the burst is %d", got, dropped, port, burst)
			}
			return nil
		})
	}
	limit := func(iface string, rate, burst int) {
		t.Helper()
		e.Vsctl("set", "interface", iface, fmt.Sprintf("ingress_policing_rate=%d", rate), fmt.Sprintf("ingress_policing_burst=%d", burst))
	}
	stream("without a limit", a.NS, a.Port, 0)
	limit(a.Port, 1, 880) // 110 packets; some are the host's own
	stream("of a host", a.NS, a.Port, 100)
	limit("br0", 1, 880)
	stream("of the local port", e.NS, "br0", 100)
	limit(a.Port, 1, 1760)
	stream("with a larger burst", a.NS, a.Port, 200)
	e.Vsctl("set", "interface", a.Port, "ingress_policing_kpkts_rate=4000000", "ingress_policing_kpkts_burst=1")
	stream("with a limit of packets, too", a.NS, a.Port, 200)

	total := policed(t, e, a.Port)
	e.Eventually("the statistics of the row", func() error {
		// The host goes on sending packets of its own.
		out := e.Vsctl("get", "interface", a.Port, "statistics:ovs_rx_qos_drops")
		if got, err := strconv.Atoi(out); err != nil || got < total || got > policed(t, e, a.Port) {
			return fmt.Errorf("ovs_rx_qos_drops is %s, not %d", out, total)
		}
		return nil
	})

	limit(a.Port, 1, 880)
	stream("with the first burst", a.NS, a.Port, 100)
	e.Kill()
	before := datagrams(t, b)
	e.In(a.NS, "python3", "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(1000): s.sendto(bytes(958), ("10.1.1.2", 4000))`)
	if got := datagrams(t, b) - before; got > sent/2 {
		t.Errorf("%d of %d datagrams passed without an agent", got, sent)
	}
	e.Start()
	limit(a.Port, 0, 0)
	e.Vsctl("set", "interface", a.Port, "ingress_policing_kpkts_rate=0")
	stream("without a limit again", a.NS, a.Port, 0)
	if out := e.In(e.NS, "tc", "filter", "show", "dev", a.Port, "ingress"); strings.Contains(out, "police") {
		t.Errorf("tc(8) has a policer: %s", out)
	}
}
