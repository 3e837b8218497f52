package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// bfdPaths are two tunnels from a switch to another, each by an underlay of its own with a wire that can be cut without either end
// seeing it.
type bfdPaths struct {
	*testenv.Env
	a, b *testenv.Env
	wire string // a namespace
}

var bfdNets = []string{"192.0.2.", "198.51.100."}

// Nearly a second without packets means down: the machine may be busy. (Sessions that are not up send every second, and
// with a higher multiplier would take long to fall silent.)
const bfdSession = "bfd={enable=true,min_tx=300,min_rx=300,mult=3}"

// newBFDPaths makes the underlays, and a host on either side if both are ours. b may be the stock daemon.
func newBFDPaths(t *testing.T, stock bool) *bfdPaths {
	a := testenv.New(t)
	p := &bfdPaths{Env: a, a: a, b: a.Peer(stock), wire: a.NS + "w"}
	a.Run("ip", "netns", "add", p.wire)
	t.Cleanup(func() { a.Try("ip", "netns", "del", p.wire) })
	for i, net := range bfdNets {
		a.In(p.wire, "ip", "link", "add", fmt.Sprint("w", i+1), "type", "bridge")
		a.In(p.wire, "ip", "link", "set", fmt.Sprint("w", i+1), "up")
		for n, e := range []*testenv.Env{a, p.b} {
			dev, end := fmt.Sprint("u", i+1), fmt.Sprintf("%c%d", 'a'+n, i+1)
			a.Run("ip", "link", "add", dev, "netns", e.NS, "mtu", "1600", "type", "veth", "peer", "name", end, "netns", p.wire, "mtu", "1600")
			a.In(p.wire, "ip", "link", "set", end, "up")
			e.In(e.NS, "ip", "link", "set", dev, "up")
			if e.IsStock { // in user space it must have the device itself
				e.Vsctl("add-br", "br-"+dev, "--", "set", "bridge", "br-"+dev, "datapath_type=netdev", "--", "add-port", "br-"+dev, dev)
				dev = "br-" + dev
				e.In(e.NS, "ip", "link", "set", dev, "mtu", "1600", "up")
			}
			e.In(e.NS, "ip", "addr", "add", fmt.Sprintf("%s%d/24", net, n+1), "dev", dev)
			if e.IsStock {
				e.Appctl("ovs/route/add", net+"0/24", dev)
			}
		}
		p.mend(i + 1)
	}
	return p
}

func (p *bfdPaths) cut(path int) {
	p.In(p.wire, "ip", "link", "set", fmt.Sprint("b", path), "nomaster")
}
func (p *bfdPaths) mend(path int) {
	for _, end := range []string{"a", "b"} {
		p.In(p.wire, "ip", "link", "set", fmt.Sprint(end, path), "master", fmt.Sprint("w", path))
	}
}

// tunnels makes br0 of both with the tunnels t1 and t2, whose OpenFlow ports are 1 and 2.
func (p *bfdPaths) tunnels(typ string, options ...string) {
	for n, e := range []*testenv.Env{p.a, p.b} {
		args := []string{"--if-exists", "del-br", "br0", "--", "add-br", "br0", "--", "set", "bridge", "br0", "fail_mode=secure"}
		if e.IsStock {
			args = append(args, "datapath_type=netdev")
		}
		for i, net := range bfdNets {
			name := fmt.Sprint("t", i+1)
			args = append(args, "--", "add-port", "br0", name, "--", "set", "interface", name, "type="+typ, fmt.Sprint("ofport_request=", i+1),
				fmt.Sprintf("options:remote_ip=%s%d", net, 2-n), bfdSession)
			for _, o := range options {
				args = append(args, "options:"+o)
			}
		}
		e.Vsctl(args...)
	}
}

// status waits until a session says state, forwarding and diagnostic like that.
func (p *bfdPaths) status(e *testenv.Env, port, want string) {
	e.Eventually(port+" of "+e.ID+" is "+want, func() error {
		got := e.Vsctl("get", "interface", port, "bfd_status:state", "bfd_status:forwarding", "bfd_status:diagnostic")
		if got = strings.Join(strings.Fields(strings.ReplaceAll(got, `"`, "")), " "); !strings.HasPrefix(got, want) {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
}

func (p *bfdPaths) both(port, want string) {
	p.status(p.a, port, want)
	p.status(p.b, port, want)
}

// leaves waits until what comes in by a port of a is sent by a path.
func (p *bfdPaths) leaves(in string, path int) {
	p.Eventually(fmt.Sprintf("packets leave by path %d", path), func() error {
		out := p.Appctl("ofproto/trace", "br0", "in_port="+in+",eth_src=02:00:00:00:00:01")
		if _, acts, _ := strings.Cut(out, "Datapath actions: "); !strings.Contains(acts, "dst="+bfdNets[path-1]+"2") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// TestTunnelBFD has sessions through two tunnels to another switch, one path after the other cut where neither end sees it, and what
// chooses among live ports, as OVN does for its gateways, follow.
func TestTunnelBFD(t *testing.T) {
	t.Parallel()
	for _, typ := range []string{"vxlan", "geneve"} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			p := newBFDPaths(t, false)
			var hosts []*testenv.Host
			p.tunnels(typ, "key=5")
			flows := func(e *testenv.Env) {
				e.Ofctl("-OOpenFlow13", "add-group", "br0", "group_id=1,type=ff,bucket=watch_port:1,actions=output:1,bucket=watch_port:2,actions=output:2")
				for _, f := range []string{"in_port=1,actions=3", "in_port=2,actions=3", "in_port=LOCAL,actions=group:1",
					"in_port=3,actions=bundle(eth_src,0,active_backup,ofport,members:1,2)"} {
					e.Ofctl("-OOpenFlow13", "add-flow", "br0", f)
				}
			}
			for n, e := range []*testenv.Env{p.a, p.b} {
				h := e.AddHost(fmt.Sprintf("10.0.0.%d/24", n+1))
				e.Vsctl("add-port", "br0", h.Port, "--", "set", "interface", h.Port, "ofport_request=3")
				flows(e)
				hosts = append(hosts, h)
			}
			all := func(path int) {
				t.Helper()
				p.leaves("3", path)
				p.leaves("LOCAL", path)
				hosts[0].Reach("10.0.0.2")
			}
			p.both("t1", "up true")
			p.both("t2", "up true")
			all(1)

			p.cut(1)
			p.both("t1", "down false Control Detection Time Expired")
			p.both("t2", "up true")
			all(2)
			if desc := p.Ofctl("-OOpenFlow15", "dump-ports-desc", "br0", "1"); strings.Contains(desc, "LIVE") {
				t.Errorf("the port of a dead path is live:\n%s", desc)
			}
			p.mend(1)
			p.both("t1", "up true")
			all(1)

			if typ != "vxlan" {
				return
			}

			// Killed, nobody sends. The sessions come back by themselves.
			p.a.Kill()
			p.status(p.b, "t1", "down false Control Detection Time Expired")
			p.a.Start()
			flows(p.a)
			p.both("t1", "up true")
			p.both("t2", "up true")
			all(1)

			// What arrives shows that the path works, if it is to, for 100 min_rx.
			p.b.Ofctl("add-flow", "br0", "priority=40000,in_port=3,actions=1")
			p.a.Vsctl("set", "interface", "t1", "bfd:forwarding_if_rx=true")
			stop := hosts[1].Background("ping", "-n", "-i", "0.05", "10.0.0.1")
			p.b.Vsctl("set", "interface", "t1", "bfd:enable=false")
			p.status(p.a, "t1", "down true")
			stop()
			p.status(p.a, "t1", "down false")
			p.b.Vsctl("set", "interface", "t1", "bfd:enable=true")
			p.both("t1", "up true")

			// Of packets with a key none is taken, if that is looked at.
			p.a.Vsctl("set", "interface", "t1", "bfd:check_tnl_key=true")
			p.status(p.a, "t1", "down false")
			p.a.Vsctl("set", "interface", "t1", "bfd:check_tnl_key=false")
			p.both("t1", "up true")
		})
	}
}

// TestTunnelBFDStock has the sessions with the stock daemon, whose tunnels are built in user space.
func TestTunnelBFDStock(t *testing.T) {
	t.Parallel()
	p := newBFDPaths(t, true)
	for _, typ := range []string{"vxlan", "geneve"} {
		p.tunnels(typ)
		p.a.Ofctl("add-flow", "br0", "in_port=LOCAL,actions=bundle(eth_src,0,active_backup,ofport,members:1,2)")
		p.both("t1", "up true")
		p.both("t2", "up true")
		p.leaves("LOCAL", 1)
		p.cut(1)
		p.both("t1", "down false Control Detection Time Expired")
		p.leaves("LOCAL", 2)
		p.mend(1)
		p.both("t1", "up true")
		p.leaves("LOCAL", 1)
	}
}
