package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// capture collects what arrives at a host, one line of tcpdump a packet.
func capture(h *testenv.Host, filter string) (lines func() []string) {
	file := h.Env.Dir + "/" + h.NS + ".capture"
	h.Background("sh", "-c", `exec tcpdump -i eth0 -Q in -nel --immediate-mode "$1" >"$0" 2>"$0.err"`, file, filter)
	h.Env.Eventually("tcpdump listens", func() error {
		if out, _ := h.Env.Try("cat", file+".err"); !strings.Contains(out, "listening on") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	return func() []string {
		out, _ := h.Env.Try("cat", file)
		return strings.Split(strings.TrimSpace(out), "\n")
	}
}

// TestMirror captures at the output of mirrors what two hosts say to each other.
func TestMirror(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	span, rspan := e.AddHost(), e.AddHost()
	addBridge(e, a, b, span, rspan)
	e.Vsctl("set", "port", a.Port, "tag=10", "--", "set", "port", b.Port, "tag=10", "--", "set", "port", span.Port, "tag=10")
	e.Vsctl("set", "port", rspan.Port, "trunks=20")
	e.Vsctl("--", "--id=@a", "get", "port", a.Port, "--", "--id=@s", "get", "port", span.Port,
		"--", "--id=@m", "create", "mirror", "name=span", "select_src_port=@a", "select_dst_port=@a", "output_port=@s", "snaplen=64",
		"--", "--id=@r", "create", "mirror", "name=rspan", "select_src_port=@a", "output_vlan=20",
		"--", "set", "bridge", "br0", "mirrors=@m,@r")
	at, far := capture(span, "icmp"), capture(rspan, "vlan 20 and icmp")
	const pings = 20
	a.Reach("10.1.1.2")
	before, _ := mirrorStats(e, "rspan")
	a.Ping("10.1.1.2", 200, pings) // most of them by the megaflows that the first made

	count := func(lines []string, words ...string) (n int) {
		for _, l := range lines {
			ok := true
			for _, w := range words {
				ok = ok && strings.Contains(l, w)
			}
			if ok {
				n++
			}
		}
		return n
	}
	e.Eventually("copies", func() error {
		requests := count(at(), "length 64:", "10.1.1.1 > 10.1.1.2: ICMP echo request")
		replies := count(at(), "length 64:", "10.1.1.2 > 10.1.1.1: ICMP echo reply")
		remote := count(far(), "length 246:", "vlan 20,", "10.1.1.1 > 10.1.1.2: ICMP echo request")
		if requests < pings || requests != replies || remote != pings || count(far(), "reply") != 0 {
			return fmt.Errorf("%d requests, %d replies, %d in the VLAN\n%s\n%s", requests, replies, remote, strings.Join(at(), "\n"), strings.Join(far(), "\n"))
		}
		return nil
	})
	if flows := e.Appctl("dpctl/dump-flows", "--names"); !strings.Contains(flows, "trunc(64),"+span.Port) {
		t.Errorf("no megaflow copies:\n%s", flows)
	}
	e.Eventually("statistics", func() error {
		if packets, bytes := mirrorStats(e, "rspan"); packets < before+pings || bytes < 242*pings {
			return fmt.Errorf("%d packets of %d bytes, %d before", packets, bytes, before)
		}
		return nil
	})
	// The output is for nothing else.
	span.Run("ip", "addr", "add", "10.1.1.3/24", "dev", "eth0")
	span.NoReach("10.1.1.2")
	e.Vsctl("clear", "bridge", "br0", "mirrors")
	span.Reach("10.1.1.2")
}

// mirrorStats are a mirror's statistics.
func mirrorStats(e *testenv.Env, name string) (packets, bytes int) {
	if _, err := fmt.Sscanf(e.Vsctl("get", "mirror", name, "statistics"), "{tx_bytes=%d, tx_packets=%d}", &bytes, &packets); err != nil {
		return 0, 0
	}
	return packets, bytes
}
