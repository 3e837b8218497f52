package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestLearn makes a switch of flows that learn (the one of OVS's advanced tutorial) between real hosts.
func TestLearn(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b, c := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24"), e.AddHost("10.1.1.3/24")
	addBridge(e, a, b, c)
	e.Ofctl("del-flows", "br0")
	for _, f := range []string{
		"table=0,priority=0,actions=resubmit(,2)",
		"table=2,actions=learn(table=10,hard_timeout=4,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]),resubmit(,3)",
		"table=3,priority=50,actions=resubmit(,10),resubmit(,4)",
		"table=3,priority=99,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,4)",
		"table=4,reg0=0,actions=flood",
		"table=4,priority=1,actions=output:NXM_NX_REG0[]",
	} {
		e.Ofctl("add-flow", "br0", f)
	}
	a.Reach("10.1.1.2")
	a.Reach("10.1.1.3")
	b.Reach("10.1.1.3")
	learned := func() int { return strings.Count(e.Ofctl("dump-flows", "br0", "table=10"), "dl_dst=") }
	if n := learned(); n < 3 {
		t.Fatalf("%d hosts learned, want 3:\n%s", n, e.Ofctl("dump-flows", "br0"))
	}
	// Longer than the timeout: a and b speak all the time, only by megaflows; c falls silent.
	c.Run("ip", "link", "set", "dev", "eth0", "down")
	a.Run("ping", "-q", "-i", "0.2", "-c", "40", "10.1.1.2")
	out := e.Ofctl("dump-flows", "br0", "table=10")
	for _, h := range []struct {
		port int
		want bool
	}{{1, true}, {2, true}, {3, false}} {
		if got := strings.Contains(out, fmt.Sprintf("load:%#x->NXM_NX_REG0[0..15]", h.port)); got != h.want {
			t.Errorf("host at port %d: learned %v, want %v:\n%s", h.port, got, h.want, out)
		}
	}
	// Nobody speaks.
	e.Eventually("all is forgotten", func() error {
		for _, h := range []*testenv.Host{a, b, c} {
			h.Run("ip", "link", "set", "dev", "eth0", "down")
		}
		if n := learned(); n != 0 {
			return fmt.Errorf("%d flows are left", n)
		}
		return nil
	})
}
