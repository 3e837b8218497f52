package pipeline

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// tunnelODP is the first datapath port of tunnels.
const tunnelODP = 50

// testTunnels are ports of br0 with numbers from 20 on. Ports of br1 are the same with other remotes.
var testTunnels = []Tunnel{
	{Type: "vxlan", Remote: netip.MustParseAddr("1.1.1.1"), Key: 5, HasKey: true, TTL: 64, DF: true, DstPort: 4789},
	{Type: "geneve", RemoteFlow: true, LocalFlow: true, KeyFlow: true, HasKey: true, TTL: 64, InheritTOS: true, InheritTTL: true, Csum: true, DstPort: 6081},
	{Type: "vxlan", Remote: netip.MustParseAddr("1.1.1.2"), Local: netip.MustParseAddr("3.3.3.3"), KeyFlow: true, HasKey: true, TTL: 7, TOS: 8, GBP: true, DstPort: 4444},
	{Type: "gre", Remote: netip.MustParseAddr("1.1.1.1"), TTL: 64, DF: true, Mark: 9, SetMark: true},
	{Type: "geneve", Remote: netip.MustParseAddr("fc00::1"), TTL: 64, KeyFlow: true, HasKey: true, CsumIPv6: true, DstPort: 6082},
}

// addTunnels adds tunnel ports, each with a datapath port for itself and its fellow of the other bridge. Packets are for a port when
// they come from its remote, be it of the flow: then from any.
func (w *world) addTunnels() {
	for i := range testTunnels {
		for n, b := range []*fakeBridge{w.br0, w.br1} {
			t := testTunnels[i]
			if n == 1 && t.Remote.IsValid() {
				t.Remote = t.Remote.Next().Next().Next()
			}
			b.port(openflow.PortNo(20+i), odp.Port(tunnelODP+i)).Tunnel = &t
		}
	}
	lookup := w.o.Lookup
	w.o.Lookup = func(p odp.Port) (Bridge, *Port) {
		if p >= tunnelODP {
			return nil, nil
		}
		return lookup(p)
	}
	w.o.Receive = func(no odp.Port, a Arrival) (Bridge, *Port) {
		for _, b := range []*fakeBridge{w.br0, w.br1} {
			for _, p := range b.ports {
				if t := p.Tunnel; t != nil && p.ODP == no && (t.RemoteFlow || t.Remote == a.Src) && (t.KeyFlow || t.Key == a.ID) &&
					(!t.Local.IsValid() || t.Local == a.Dst) {
					return b, p
				}
			}
		}
		return nil, nil
	}
}

// arrive has a packet come by one of the tunnels, mostly such that a port takes it.
func (g *generator) arrive(k *flow.Key) {
	i := g.n(len(testTunnels))
	t := testTunnels[i]
	k.Set(flow.InPortOXM, uint64(tunnelODP+i))
	remote, local := t.Remote, t.Local
	if !remote.IsValid() {
		remote = netip.AddrFrom4([4]byte{1, 1, 1, byte(g.n(3))})
	}
	if !local.IsValid() {
		if local = netip.AddrFrom4([4]byte{1, 1, 1, byte(1 + g.n(3))}); remote.Is6() {
			local = netip.MustParseAddr("fc00::2")
		}
	}
	if g.n(4) == 0 && remote.Is4() {
		remote = netip.MustParseAddr("1.1.1.4")
	}
	setAddress(k, remote, flow.TunSrc, flow.TunIPv6Src)
	setAddress(k, local, flow.TunDst, flow.TunIPv6Dst)
	if k.Set(flow.TunID, t.Key); g.n(4) == 0 {
		k.Set(flow.TunID, uint64(g.n(8)))
	}
	k.Set(flow.TunTOS, uint64(g.n(8)))
	k.Set(flow.TunTTL, uint64(g.n(256)))
	k.Set(flow.TunAllFlags, uint64(g.n(16)))
	k.Set(flow.TunGBPID, uint64(g.n(4)))
}

// otherTunnel makes the tunnel of a key one that packets can have: none where the port has none, and else addresses of
// one kind.
func (s *scene) otherTunnel(k *flow.Key, mask *flow.Mask) {
	from, to := flow.TunID.Info().Off/8, flow.DPWords
	if s.key.Get(flow.InPortOXM) < tunnelODP {
		if k.Get(flow.RecircID) == 0 { // else it is what the datapath was told before
			clear(k[from:to])
		}
		return
	}
	k.Set(flow.TunOptsLen, 0)
	clear(table.OptionSpace(k))
	v4, v6 := []flow.FieldID{flow.TunSrc, flow.TunDst}, []flow.FieldID{flow.TunIPv6Src, flow.TunIPv6Dst}
	if s.key.Get(flow.TunDst) != 0 {
		zero(k, v6...)
	} else {
		zero(k, v4...)
	}
}

func tunnelWorld(rules ...spec) *world {
	w := newWorld(rules, nil)
	w.addTunnels()
	return w
}

func TestTunnelOutput(t *testing.T) {
	const tcp = "in_port=b,eth_type=800,nw_proto=6,nw_tos=44,nw_ttl=21"
	for _, c := range []struct {
		name, key  string
		actions    []openflow.Action
		want, mask string
	}{
		{"key and ECN", tcp, []openflow.Action{output(20)},
			"set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),50", "nw_ecn"},
		{"ECN of a congested packet", tcp + ",nw_ecn=3", []openflow.Action{output(20)},
			"set(tunnel(tun_id=0x5,dst=1.1.1.1,tos=0x2,ttl=64,tp_dst=4789,flags(df|key))),50", "nw_ecn"},
		{"not IP", "in_port=b,eth_type=806", []openflow.Action{output(20)},
			"set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),50", ""},
		{"all of the flow", tcp, []openflow.Action{setField("tun_id=77"), setField("tun_dst=09090909"), setField("tun_src=08080808"), output(21)},
			"set(tunnel(tun_id=0x77,src=8.8.8.8,dst=9.9.9.9,tos=0x44,ttl=33,tp_dst=6081,flags(csum|key))),51", "nw_tos nw_ecn nw_ttl"},
		{"IPv6 of the flow", tcp, []openflow.Action{setField("tun_ipv6_dst=fc000000000000000000000000000009"), output(21)},
			"set(tunnel(tun_id=0x0,ipv6_dst=fc00::9,tos=0x44,ttl=33,tp_dst=6081,flags(csum|key))),51", "nw_tos nw_ecn nw_ttl"},
		{"nowhere", tcp, []openflow.Action{output(21)}, "drop", ""},
		{"group policy", tcp, []openflow.Action{setField("tun_gbp_id=7"), setField("tun_gbp_flags=8"), output(22)},
			"set(tunnel(tun_id=0x0,src=3.3.3.3,dst=1.1.1.2,tos=0x8,ttl=7,tp_dst=4444,vxlan(gbp(id=7,flags=0x8)),flags(key))),52", "nw_ecn"},
		{"mark, of the tunnel only", tcp, []openflow.Action{output(23), output(2)},
			"set(skb_mark(0x9)),set(tunnel(dst=1.1.1.1,ttl=64,flags(df))),53,set(skb_mark(0)),12", "pkt_mark nw_ecn"},
		{"checksum of IPv6", tcp, []openflow.Action{output(24)},
			"set(tunnel(tun_id=0x0,ipv6_dst=fc00::1,ttl=64,tp_dst=6082,flags(csum|key))),54", "nw_ecn"},
		{"told once", tcp, []openflow.Action{output(20), output(2), output(20), output(24), output(20)},
			"set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),50,12,50," +
				"set(tunnel(tun_id=0x0,ipv6_dst=fc00::1,ttl=64,tp_dst=6082,flags(csum|key))),54," +
				"set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),50", "nw_ecn"},
		{"told inside of a clone only", tcp, []openflow.Action{openflow.Clone{Actions: []openflow.Action{openflow.CTClear{}, output(20), openflow.Meter{}}}, output(20)},
			"clone(set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),50),set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),50", "ct_state/00000020 nw_ecn"},
		{"truncated", tcp, []openflow.Action{openflow.OutputTrunc{Port: 20, MaxLen: 100}, output(20)},
			"set(tunnel(tun_id=0x5,dst=1.1.1.1,ttl=64,tp_dst=4789,flags(df|key))),trunc(100),50,50", "nw_ecn"},
		{"through a patch port, which knows nothing of the tunnel", tcp, []openflow.Action{setField("tun_id=77"), output(9), output(22)},
			"set(tunnel(tun_id=0x0,ipv6_dst=fc00::4,ttl=64,tp_dst=6082,flags(csum|key))),54," +
				"set(tunnel(tun_id=0x77,src=3.3.3.3,dst=1.1.1.2,tos=0x8,ttl=7,tp_dst=4444,flags(key))),52", "nw_ecn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld([]spec{rule(0, 1, "", c.actions...)}, []spec{rule(0, 1, "", output(24))})
			w.addTunnels()
			res := w.run(key(c.key))
			if diff := cmp.Diff(c.want, odp.FormatActions(res.Actions, nil)); diff != "" {
				t.Error(diff)
			}
			if got := strings.TrimSpace(strings.ReplaceAll(maskText(&res.Mask), "ip_frag", "")); got != c.mask {
				t.Errorf("mask %q, want %q", got, c.mask)
			}
		})
	}
}

// TestTunnelInput: which port a packet is for, what the outer header does to it, and where it may not go back to.
func TestTunnelInput(t *testing.T) {
	const from1 = "in_port=32,eth_type=800,nw_proto=6,tun_src=01010101,tun_dst=02020202,tun_id=5"
	w := tunnelWorld(rule(0, 1, "in_port=14", output(1), output(21)), rule(0, 1, "in_port=15", output(1)))
	for _, c := range []struct {
		name, key, want string
		drop            odp.DropReason
	}{
		{"taken", from1, "11", odp.DropNone},
		{"of another key", "in_port=32,eth_type=800,tun_src=01010101,tun_dst=02020202,tun_id=6", "drop", odp.DropBridgeNotFound},
		{"of another remote", "in_port=32,eth_type=800,tun_src=01010102,tun_dst=02020202,tun_id=5", "drop", odp.DropBridgeNotFound},
		{"without tunnel", "in_port=32,eth_type=800", "drop", odp.DropBridgeNotFound},
		{"congested outside", from1 + ",nw_ecn=1,tun_tos=3", "set(ipv4(tos=0x3/0x3)),11", odp.DropNone},
		{"congested outside, deaf inside", from1 + ",tun_tos=3", "drop", odp.DropNone},
		{"congested outside and inside", from1 + ",nw_ecn=3,tun_tos=3", "11", odp.DropNone},
		{"any remote", "in_port=33,eth_type=806,tun_src=01010105,tun_dst=02020202,tun_id=99,tun_tos=3", "11", odp.DropNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := w.run(key(c.key))
			// The second output is to where the packet was sent to: the tunnel's own end.
			if got := odp.FormatActions(res.Actions, nil); got != c.want || res.Drop != c.drop {
				t.Errorf("%s, %v; want %s, %v", got, res.Drop, c.want, c.drop)
			}
			for _, f := range []flow.FieldID{flow.TunDst} {
				if !res.Mask.IsExact(f) {
					t.Errorf("%v is not exact", f)
				}
			}
		})
	}
}

// TestTunnelOfRecirculated: what a packet's own tunnel was stays known when the datapath was told of another one.
func TestTunnelOfRecirculated(t *testing.T) {
	w := tunnelWorld(
		rule(0, 1, "in_port=14", output(24), openflow.CT{RecircTable: 1}),
		rule(1, 2, "tun_id=5", output(21), output(1)),
		rule(1, 1, "", output(2)))
	w.o.Features.CTState = true
	in := key("in_port=32,eth_type=800,nw_proto=6,tun_src=01010101,tun_dst=02020202,tun_id=5")
	id, ok := recirculates(w.run(in))
	if !ok {
		t.Fatal("does not recirculate")
	}
	back := *in
	back.Set(flow.RecircID, uint64(id))
	zero(&back, flow.TunSrc, flow.TunDst, flow.TunID) // as datapaths have it that keep no more than one tunnel
	setAddress(&back, netip.MustParseAddr("fc00::1"), flow.TunSrc, flow.TunIPv6Dst)
	if got := odp.FormatActions(w.run(&back).Actions, nil); got != "11" {
		t.Errorf("after recirculation: %s", got)
	}
}

func TestTunnelOptions(t *testing.T) {
	w := tunnelWorld(
		rule(0, 2, "in_port=15", openflow.SetField{Field: flow.TunMetadata0 + 1, Value: []byte{0, 0, 0, 9}}, output(24)),
		rule(0, 1, "", openflow.SetField{Field: flow.TunMetadata0, Value: []byte{0, 0, 0, 7}}, setField("tun_dst=09090909"), output(21)))
	if err := w.br0.tables.ModTLV(&openflow.TLVTableMod{Maps: []openflow.TLVMapping{
		{Class: 0x102, Type: 0x80, Len: 4, Index: 0}, {Class: 0x103, Type: 0x01, Len: 4, Index: 1}}}); err != nil {
		t.Fatal(err)
	}
	res := w.run(key("in_port=b,eth_type=806"))
	const want = "set(tunnel(tun_id=0x0,dst=9.9.9.9,ttl=64,tp_dst=6081,geneve({class=0x102,type=0x80,len=4,0x7}),flags(csum|key))),51"
	if got := odp.FormatActions(res.Actions, nil); got != want {
		t.Error(got)
	}
	// A packet's own options go on, and are exact then.
	in := key("in_port=33,eth_type=806,tun_src=01010105,tun_dst=02020202,tun_id=99")
	copy(table.OptionSpace(in), []byte{1, 2, 0x80, 1, 0, 0, 0, 0x55, 9, 9, 1, 1, 1, 2, 3, 4})
	in.Set(flow.TunOptsLen, 16)
	res = w.run(in)
	const relayed = "set(tunnel(tun_id=0x99,ipv6_dst=fc00::1,ttl=64,tp_dst=6082,geneve({class=0x102,type=0x80,len=4,0x55}{class=0x103,type=0x1,len=4,0x9}),flags(csum|key))),54"
	if got := odp.FormatActions(res.Actions, nil); got != relayed {
		t.Error(got)
	}
	mask := table.OptionSpace(&res.Mask)[:16]
	if diff := cmp.Diff([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, mask); diff != "" {
		t.Errorf("mask of options: %s", diff)
	}
}
