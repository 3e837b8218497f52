package integration

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// meterCounts are what went into a meter of br0 and what its first band dropped, in packets.
func meterCounts(t *testing.T, e *testenv.Env, id int) (in, dropped int) {
	t.Helper()
	out := e.Ofctl("-OOpenFlow13", "meter-stats", "br0", fmt.Sprintf("meter=%d", id))
	m := regexp.MustCompile(`(?s)packet_in_count:(\d+).*\n0: packet_count:(\d+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no statistics of meter %d in:\n%s", id, out)
	}
	in, _ = strconv.Atoi(m[1])
	dropped, _ = strconv.Atoi(m[2])
	return in, dropped
}

// datagrams counts what a host received over UDP.
func datagrams(t *testing.T, h *testenv.Host) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^UdpInDatagrams\s+(\d+)`).FindStringSubmatch(h.Run("nstat", "-saz", "UdpInDatagrams"))
	if m == nil {
		t.Fatal("nstat does not know UdpInDatagrams")
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestMeters limits a stream on the eBPF datapath by packets and by kilobits; what arrives and what the meter dropped is
// all that was sent. The agent is killed in between: megaflows that it adopts go on being limited by their meter, whose
// number no new one gets; and then the meter of the earlier run goes.
func TestMeters(t *testing.T) {
	t.Parallel()
	const sent = 1000
	e := testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Run("ip", "neigh", "replace", "10.1.1.2", "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	b.Background("python3", "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
s.bind(("10.1.1.2", 4000))
while True: s.recv(2000)`)
	e.Eventually("the receiver listens", func() error {
		if !strings.Contains(b.Run("ss", "-Hlun"), ":4000") {
			return errors.New("no listener")
		}
		return nil
	})
	stream := func() {
		a.Run("python3", "-c", fmt.Sprintf(`
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 4001))
for i in range(%d): s.sendto(bytes(958), ("10.1.1.2", 4000))`, sent)) // frames of 1000 bytes
	}
	ofctl := func(args ...string) { t.Helper(); e.Ofctl(append([]string{"-OOpenFlow13"}, args...)...) }
	// limited sends the stream; of it at least a burst arrives, and all that did not was dropped by the meter.
	limited := func(what string, meter, burst int) {
		t.Helper()
		before := datagrams(t, b)
		in0, dropped0 := meterCounts(t, e, meter)
		stream()
		e.Eventually(what, func() error {
			got := datagrams(t, b) - before
			in, dropped := meterCounts(t, e, meter)
			in, dropped = in-in0, dropped-dropped0
			if in != sent || got+dropped != sent || got < burst || got >= sent {
				return fmt.Errorf("%d datagrams arrived of %d into the meter, which dropped %d; the burst is %d", got, in, dropped, burst)
			}
			return nil
		})
	}
	ofctl("add-meter", "br0", "meter=7,pktps,burst,stats,bands=type=drop,rate=10,burst_size=50")
	ofctl("add-flow", "br0", "priority=10,udp,in_port=1,tp_dst=4000,actions=meter:7,output:2")
	stream() // the first ones are misses; the megaflow is there for what follows
	e.Eventually("the meter is in a megaflow", func() error {
		if out := e.Appctl("dpctl/dump-flows"); !strings.Contains(out, "actions:meter(0),") {
			return errors.New(out)
		}
		return nil
	})
	ofctl("mod-meter", "br0", "meter=7,pktps,burst,stats,bands=type=drop,rate=10,burst_size=50")
	limited("packets", 7, 50)
	ofctl("mod-meter", "br0", "meter=7,kbps,burst,stats,bands=type=drop,rate=8,burst_size=800") // 100 packets
	limited("kilobits", 7, 100)

	// The meter of packets to controllers limits nothing else.
	ofctl("add-meter", "br0", "meter=8,pktps,burst,bands=type=drop,rate=1,burst_size=20")
	ofctl("add-flow", "br0", "priority=10,udp,in_port=1,tp_dst=4000,actions=controller(meter_id=8,userdata=01),output:2")
	e.Appctl("revalidator/wait")
	all := datagrams(t, b)
	stream()
	e.Eventually("copies for controllers are metered", func() error {
		in, dropped := meterCounts(t, e, 8)
		if got := datagrams(t, b) - all; got != sent || in != sent || in-dropped < 20 || dropped == 0 {
			return fmt.Errorf("%d datagrams arrived; the meter saw %d and dropped %d", got, in, dropped)
		}
		return nil
	})
	ofctl("add-flow", "br0", "priority=10,udp,in_port=1,tp_dst=4000,actions=meter:7,output:2")
	ofctl("del-meter", "br0", "meter=8")
	e.Eventually("the megaflow follows", func() error {
		if mem := e.Appctl("memory/show"); !strings.Contains(mem, "meters:1 ") {
			return errors.New(mem)
		}
		return nil
	})

	// A dead agent's meter, rate and megaflow stay.
	e.Vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	e.Kill()
	before := datagrams(t, b)
	stream()
	if got := datagrams(t, b) - before; got >= sent {
		t.Errorf("%d of %d datagrams passed the meter while there was no agent", got, sent)
	}
	e.Start()
	ofctl("add-meter", "br0", "meter=7,pktps,bands=type=drop,rate=1000000")
	if out := e.Appctl("memory/show"); !strings.Contains(out, "meters:2 ") {
		t.Errorf("with the meter of an adopted megaflow and a new one: %s", out)
	}
	before = datagrams(t, b)
	stream()
	if got := datagrams(t, b) - before; got >= sent {
		t.Errorf("%d of %d datagrams passed the meter of the earlier run", got, sent)
	}
	if in, _ := meterCounts(t, e, 7); in != 0 {
		t.Errorf("the new meter counts %d packets of an adopted megaflow", in)
	}
	ofctl("add-flow", "br0", "priority=10,udp,in_port=1,tp_dst=4000,actions=meter:7,output:2")
	e.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	e.Eventually("the megaflow follows", func() error {
		out := e.Appctl("dpctl/dump-flows")
		if mem := e.Appctl("memory/show"); !strings.Contains(out, "actions:meter(1),") || !strings.Contains(mem, "meters:1 ") {
			return fmt.Errorf("%s\n%s", out, mem)
		}
		return nil
	})
	before = datagrams(t, b)
	stream()
	e.Eventually("all packets", func() error {
		if got := datagrams(t, b) - before; got != sent {
			return fmt.Errorf("%d datagrams of %d", got, sent)
		}
		return nil
	})

	// With its bridge the meter goes.
	e.Vsctl("add-br", "br1")
	ofctl("add-meter", "br1", "meter=7,pktps,bands=type=drop,rate=1000000")
	e.Eventually("two bridges", func() error {
		if mem := e.Appctl("memory/show"); !strings.Contains(mem, "meters:2 ") {
			return errors.New(mem)
		}
		return nil
	})
	e.Vsctl("del-br", "br1")
	if mem := e.Appctl("memory/show"); !strings.Contains(mem, "meters:1 ") {
		t.Errorf("without br1: %s", mem)
	}
}
