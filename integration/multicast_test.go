package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestMulticastSnooping: of three hosts only those that the kernel has joined to a group get what is for it.
func TestMulticastSnooping(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b, c := e.AddHost("10.1.1.1/24", "fd01::1/64"), e.AddHost("10.1.1.2/24", "fd01::2/64"), e.AddHost("10.1.1.3/24", "fd01::3/64")
	addBridge(e, a, b, c)
	e.Vsctl("set", "bridge", "br0", "mcast_snooping_enable=true", "other_config:mcast-snooping-disable-flood-unregistered=true")
	at := map[*testenv.Host]func() []string{}
	for _, h := range []*testenv.Host{b, c} {
		at[h] = capture(h, "icmp[icmptype] == icmp-echo or (icmp6 and ip6[40] == 128)")
	}
	for _, group := range []string{"239.1.1.1", "ff05::1:3"} {
		b.Run("ip", "addr", "add", group, "dev", "eth0", "autojoin")
		e.Eventually("the switch has heard of "+group, func() error {
			if out := e.Appctl("mdb/show", "br0"); !strings.Contains(out, group+" ") {
				return fmt.Errorf("%s", out)
			}
			return nil
		})
		const packets = 5
		got := func(h *testenv.Host) int { return strings.Count(strings.Join(at[h](), "\n"), "> "+group+": ICMP") }
		// Nobody answers.
		e.Try("nsenter", "--net=/run/netns/"+a.NS, "ping", "-n", "-c", fmt.Sprint(packets), "-i", "0.05", "-W", "1", "-I", "eth0", group)
		e.Eventually("packets to "+group, func() error {
			if n := got(b); n != packets {
				return fmt.Errorf("%d of %d\n%s", n, packets, strings.Join(at[b](), "\n"))
			}
			return nil
		})
		if n := got(c); n != 0 {
			t.Errorf("%d packets to %s went to a host that has not joined", n, group)
		}
	}
	if flows := e.Appctl("dpctl/dump-flows", "--names"); !strings.Contains(flows, "dst=239.1.1.1") {
		t.Errorf("no megaflow for the group:\n%s", flows)
	}
	b.Run("ip", "addr", "del", "239.1.1.1/32", "dev", "eth0")
	e.Eventually("the switch has heard that it left", func() error {
		if out := e.Appctl("mdb/show", "br0"); strings.Contains(out, "239.1.1.1") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
