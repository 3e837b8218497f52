package underlay

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

type commands map[string]func(context.Context, []string, func(string, error))

func (c commands) Register(name, _ string, _, _ int, h func(context.Context, []string, func(string, error))) {
	c[name] = h
}

// run runs a command line; of an error the text is returned with "! " before it.
func (c commands) run(line string) (out string) {
	args := strings.Fields(line)
	c[args[0]](context.Background(), args[1:], func(text string, err error) {
		out = text
		if err != nil {
			out = "! " + err.Error()
		}
	})
	return out
}

// TestCommands runs a script. What it wants is what the stock daemon answers, integration tests compare that.
func TestCommands(t *testing.T) {
	l := newLab(t)
	l.eventually(func() error { // the ports are listed
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.demand.Ports) == 0 || len(l.addresses) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	c := commands{}
	l.RegisterCommands(c)
	for _, s := range []struct{ line, want string }{
		{"ovs/route/lookup 10.0.0.2", "src 10.0.0.1\ngateway ::\ndev eth0\n"},
		{"ovs/route/lookup 192.0.2.7", "src 10.0.0.1\ngateway 10.0.0.254\ndev eth0\n"},
		{"ovs/route/lookup 192.0.2.7 src=10.4.0.1", "src 10.4.0.1\ngateway 10.0.0.254\ndev eth0\n"},
		{"ovs/route/lookup 192.0.2.7 src=10.4.0.2", "! Not found"},
		{"ovs/route/lookup 192.0.2.7 pkt_mark=1", "! Not found"},
		{"ovs/route/lookup 192.0.2.0/24", "! Invalid parameters"},
		{"ovs/route/lookup 192.0.2.7 pkt_mark=x", "! Invalid pkt_mark"},
		{"ovs/route/add 192.0.2.9/24 p1 10.4.0.9 pkt_mark=0x1", "OK"},
		{"ovs/route/add 198.51.100.0/24 eth0 10.0.0.9", "OK"},
		{"ovs/route/add 198.51.100.0/24 eth0 10.9.9.9", "! Error while inserting route."},
		{"ovs/route/add 198.51.100.0/24 nodev 10.0.0.9", "! Error while inserting route."},
		{"ovs/route/add 198.51.100.0/24 eth0 10.0.0.9 10.0.0.8", "! Invalid pkt_mark"},
		{"ovs/route/add fe80::/64 eth0 x", "! Invalid pkt_mark or IPv6 gateway"},
		{"ovs/route/add fe80::/64 eth1", "OK"},
		{"ovs/route/add x eth1", "! Invalid parameters"},
		{"ovs/route/lookup 192.0.2.7 pkt_mark=1", "src 10.4.0.1\ngateway 10.4.0.9\ndev p1\n"},
		{"ovs/route/show", "Route Table:\nUser: 192.0.2.0/24 MARK 1 dev p1 GW 10.4.0.9 SRC 10.4.0.1\n" +
			"User: 198.51.100.0/24 dev eth0 GW 10.0.0.9 SRC 10.0.0.1\nUser: fe80::/64 dev eth1 SRC fe80::3\n"},
		{"ovs/route/del 192.0.2.0/24", "! Not found"},
		{"ovs/route/del 192.0.2.0/24 pkt_mark=1", "OK"},
		{"ovs/route/del x", "! Invalid parameters"},
		{"tnl/neigh/set br0 10.0.0.9 aa:bb:cc:00:00:01", "OK"},
		{"tnl/arp/set br0 x aa:bb:cc:00:00:01", "! bad IP address"},
		{"tnl/arp/set br0 10.0.0.9 x", "! bad MAC address"},
		{"tnl/arp/show", neighHead + "10.0.0.9                                      aa:bb:cc:00:00:01   br0\n"},
		{"tnl/neigh/aging", "900"},
		{"tnl/neigh/aging 3601", "! bad aging value"},
		{"tnl/neigh/aging 0", "! bad aging value"},
		{"tnl/neigh/aging 30", "OK"},
		{"tnl/neigh/flush", "OK"},
		{"tnl/neigh/show", neighHead},
		{"tnl/egress_port_range", "Tunnel UDP source port range: 32768-61000\n"},
		{"tnl/egress_port_range 200 100", "OK"},
		{"tnl/egress_port_range 0 100", "! Invalid min."},
		{"tnl/egress_port_range 1 65536", "! Invalid max."},
		{"tnl/egress_port_range 7", "Tunnel UDP source port range: 100-200\n"},
		{"tnl/ports/show", "Listening ports:\nvxlan_sys_4789 (5) ref_cnt=2\n"},
		{"tnl/ports/show -v", "Listening ports:\n" +
			"vxlan_sys_4789 (5) : eth(dst=02:00:00:00:01:00),eth_type(0x0800),ipv4(dst=10.0.0.1,proto=17,frag=no),udp(dst=4789)\n" +
			"vxlan_sys_4789 (5) : eth(dst=02:00:00:00:01:00),eth_type(0x86dd),ipv6(dst=fe80::1,proto=17,frag=no),udp(dst=4789)\n" +
			"vxlan_sys_4789 (5) : eth(dst=00:00:00:00:00:00),eth_type(0x0800),ipv4(dst=10.4.0.1,proto=17,frag=no),udp(dst=4789)\n" +
			"vxlan_sys_4789 (5) : eth(dst=00:00:00:00:00:00),eth_type(0x86dd),ipv6(dst=fe80::3,proto=17,frag=no),udp(dst=4789)\n"},
	} {
		if got := c.run(s.line); got != s.want {
			t.Errorf("%s: %q, want %q", s.line, got, s.want)
		}
	}
	if l.dp.ports != [2]uint16{100, 200} {
		t.Errorf("the datapath's source ports are %v", l.dp.ports)
	}
}

const neighHead = "IP                                            MAC                 Bridge\n" +
	"==========================================================================\n"

// TestSetNeighbor wants a neighbour that a user set to go before the host's, until it ages.
func TestSetNeighbor(t *testing.T) {
	l := newLab(t)
	c := commands{}
	l.RegisterCommands(c)
	l.host.learn(neighborAt(a2, macA2))
	l.configure(a2)
	l.want(with(toA2, macA2))
	c.run("tnl/neigh/set eth0 10.0.0.2 aa:bb:cc:00:00:01")
	l.want(with(toA2, [6]byte{0xaa, 0xbb, 0xcc, 0, 0, 1}))
	if got, want := c.run("tnl/neigh/show"), neighHead+"10.0.0.2                                      aa:bb:cc:00:00:01   eth0\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.setAging(3 * time.Second)
	l.eventually(func() error {
		l.clock.Advance(tick)
		l.dp.mu.Lock()
		defer l.dp.mu.Unlock()
		if l.dp.hops[Remote{a2, 0}].DstMAC != macA2 {
			return errors.New("the set neighbour stays")
		}
		return nil
	})
}
