package dummy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestRoutesLikeStock runs commands of routes, tunnel neighbours and ports, and compares each answer with the stock
// daemon's.
func TestRoutesLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := testenv.Simulated(t, "--disable-system-route"), testenv.Stock(t)
	for _, d := range []*testenv.Daemon{ours, stock} {
		d.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy")
		d.Appctl("netdev-dummy/ip4addr", "br0", "10.1.0.1/24")
		d.Appctl("netdev-dummy/ip6addr", "br0", "fd00::1/64")
	}
	// answer has no name of the daemon's, and tables in no order: OVS's is that of its hash tables.
	answer := func(d *testenv.Daemon, line string) []string {
		out, _ := d.Try("ovs-appctl", strings.Fields(line)...)
		lines := slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool { return strings.HasPrefix(l, "ovs-appctl: ") })
		if strings.HasSuffix(line, "/show") {
			slices.Sort(lines)
		}
		return lines
	}
	for _, line := range []string{
		"ovs/route/show",
		"ovs/route/add 10.1.0.0/24 br0",
		"ovs/route/add 192.168.5.7/16 br0 10.1.0.7",
		"ovs/route/add 192.168.0.0/16 br0 10.1.0.8 pkt_mark=7",
		"ovs/route/add 192.168.1.0/24 br0 10.1.0.9 pkt_mark=0x10",
		"ovs/route/add 10.50.0.1 br0 10.1.0.1",
		"ovs/route/add fd00::/64 br0",
		"ovs/route/add fd01::/64 br0 fd00::2",
		"ovs/route/add ::/0 br0 fd00::3",
		"ovs/route/add 0.0.0.0/0 br0 10.1.0.3",
		"ovs/route/add x br0",
		"ovs/route/add 10.5.0.0/40 br0",
		"ovs/route/add 10.6.0.0/16 nodev 10.1.0.1",
		"ovs/route/add 10.6.0.0/16 br0",
		"ovs/route/add 10.6.0.0/16 br0 fd00::2",
		"ovs/route/add 10.6.0.0/16 br0 10.1.0.1 10.1.0.2",
		"ovs/route/add 10.6.0.0/16 br0 pkt_mark=zz",
		"ovs/route/add fd02::/64 br0 10.1.0.2",
		"ovs/route/show",
		"ovs/route/lookup 10.1.0.5",
		"ovs/route/lookup 192.168.1.1",
		"ovs/route/lookup 192.168.1.1/32",
		"ovs/route/lookup 192.168.1.1 pkt_mark=7",
		"ovs/route/lookup 192.168.1.1 pkt_mark=16",
		"ovs/route/lookup 192.168.1.1 pkt_mark=8",
		"ovs/route/lookup 192.168.1.1 pkt_mark=x",
		"ovs/route/lookup 192.168.1.0/24",
		"ovs/route/lookup fd00::9",
		"ovs/route/lookup fd01::9",
		"ovs/route/lookup 2001:db8::1",
		"ovs/route/lookup abc",
		"ovs/route/del 192.168.0.0/16",
		"ovs/route/del 192.168.0.0/16",
		"ovs/route/del 192.168.0.0/16 pkt_mark=x",
		"ovs/route/del x",
		"ovs/route/del ::/0",
		"ovs/route/show",
		"tnl/neigh/show",
		"tnl/neigh/set br0 10.1.0.9 aa:bb:cc:00:00:01",
		"tnl/neigh/set br0 fd00::9 aa:bb:cc:00:00:02",
		"tnl/neigh/set nobr 10.1.0.9 aa:bb:cc:00:00:03",
		"tnl/neigh/set br0 10.1.0.9 aa:bb:cc:00:00:04",
		"tnl/neigh/set br0 x aa:bb:cc:00:00:01",
		"tnl/neigh/set br0 10.1.0.9 zz",
		"tnl/neigh/show",
		"tnl/arp/show",
		"tnl/neigh/aging",
		"tnl/neigh/aging x",
		"tnl/neigh/aging 0",
		"tnl/neigh/aging 3601",
		"tnl/arp/aging 3600",
		"tnl/arp/aging",
		"tnl/arp/flush",
		"tnl/arp/show",
		"tnl/ports/show",
		"tnl/ports/show -v",
		"tnl/egress_port_range",
		"tnl/egress_port_range 5",
		"tnl/egress_port_range 0 5",
		"tnl/egress_port_range 1 70000",
		"tnl/egress_port_range x y",
		"tnl/egress_port_range 400 300",
		"tnl/egress_port_range",
	} {
		if diff := cmp.Diff(answer(stock, line), answer(ours, line)); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s", line, diff)
		}
	}
}
