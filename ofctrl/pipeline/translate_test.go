package pipeline

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

const (
	tcp4   = "in_port=b,eth_type=0800,eth_src=020000000001,eth_dst=020000000002,ip_src=0a000001,ip_dst=0a000002,nw_proto=6,nw_ttl=40,tcp_src=1234,tcp_dst=50"
	udp4   = "in_port=b,eth_type=0800,eth_src=020000000001,eth_dst=020000000002,ip_src=0a000001,ip_dst=0a000002,nw_proto=11,nw_ttl=1,tcp_src=1234,tcp_dst=35"
	frag4  = "in_port=b,eth_type=0800,ip_src=0a000001,ip_dst=0a000002,nw_proto=6,nw_ttl=40,ip_frag=1,tcp_src=1234,tcp_dst=50"
	late4  = "in_port=b,eth_type=0800,ip_src=0a000001,ip_dst=0a000002,nw_proto=6,nw_ttl=40,ip_frag=3"
	arp    = "in_port=b,eth_type=0806,arp_op=1,arp_spa=0a000001,arp_tpa=0a000002,arp_sha=020000000001"
	vlan4  = "in_port=b,eth_type=0800,ip_src=0a000001,ip_dst=0a000002,nw_proto=6,nw_ttl=40,vlan_tpid=8100,vlan_tci=300a"
	qinq   = "in_port=b,eth_type=0800,ip_src=0a000001,ip_dst=0a000002,nw_proto=6,nw_ttl=40,vlan_tpid=88a8,vlan_tci=1064,vlan_tpid2=8100,vlan_tci2=300a"
	label1 = "in_port=b,eth_type=8847,mpls_lse0=64140"
	echo6  = "in_port=b,eth_type=86dd,ipv6_src=fe800000000000000000000000000001,nw_proto=3a,icmpv6_type=80"
	ns6    = "in_port=b,eth_type=86dd,ipv6_src=fe800000000000000000000000000001,ipv6_dst=fe800000000000000000000000000002,nw_proto=3a,nw_ttl=ff,icmpv6_type=87,nd_target=fe800000000000000000000000000002,nd_sll=020000000001"
)

func TestTranslate(t *testing.T) {
	type rules = []spec
	resubmit := func(id uint8) openflow.Resubmit { return openflow.Resubmit{InPort: openflow.PortInPort, Table: id} }
	for _, tc := range []struct {
		name      string
		key       string
		br0, br1  rules
		setup     func(*world)
		want      string
		mask      string
		drop      odp.DropReason
		wantRules int
	}{
		{"miss drops", tcp4, nil, nil, nil, "", "ip_frag", 0, 0},
		{"output", tcp4, rules{rule(0, 1, "", output(2))}, nil, nil, "12", "ip_frag", 0, 1},
		{"not ip has no fragment bits", arp, rules{rule(0, 1, "", output(2))}, nil, nil, "12", "", 0, 1},
		{"match un-wildcards", tcp4, rules{rule(0, 1, "eth_type=0800,ip_dst=0a000000/ff000000", output(2))}, nil, nil, "12", "ip_dst/ff000000 ip_frag", 0, 1},
		{"never to the input port", tcp4, rules{rule(0, 1, "", output(1), output(2))}, nil, nil, "12", "ip_frag", 0, 1},
		{"in_port action", tcp4, rules{rule(0, 1, "", output(openflow.PortInPort))}, nil, nil, "11", "ip_frag", 0, 1},
		{"in_port set to 0 allows the input port", tcp4, rules{rule(0, 1, "", setField("in_port=0"), output(1))}, nil, nil, "11", "ip_frag", 0, 1},
		{"local", tcp4, rules{rule(0, 1, "", output(openflow.PortLocal))}, nil, nil, "10", "ip_frag", 0, 1},
		{"none", tcp4, rules{rule(0, 1, "", output(openflow.PortAny))}, nil, nil, "", "ip_frag", 0, 1},
		{"unknown port", tcp4, rules{rule(0, 1, "", output(77), output(3))}, nil, nil, "13", "ip_frag", 0, 1},
		{"table", tcp4, rules{rule(0, 2, "reg0=00000000", setField("reg0=00000001"), output(openflow.PortTable), output(3)), rule(0, 1, "", output(2))},
			nil, nil, "12,13", "ip_frag", 0, 2},
		{"flood honours NO_FLOOD", arp, rules{rule(0, 1, "", output(openflow.PortFlood))}, nil,
			func(w *world) { w.br0.ports[2].Config = openflow.ConfigNoFlood }, "12,10", "", 0, 1},
		{"all does not", arp, rules{rule(0, 1, "", output(openflow.PortAll))}, nil,
			func(w *world) { w.br0.ports[2].Config = openflow.ConfigNoFlood }, "12,13,10", "", 0, 1},
		{"NO_FWD and down", arp, rules{rule(0, 1, "", output(2), output(3), output(openflow.PortLocal))}, nil,
			func(w *world) {
				w.br0.ports[1].Config = openflow.ConfigNoFwd
				w.br0.ports[2].Config = openflow.ConfigPortDown
			}, "10", "", 0, 1},
		{"NO_RECV", arp, rules{rule(0, 1, "", output(2))}, nil,
			func(w *world) { w.br0.ports[0].Config = openflow.ConfigNoRecv }, "", "", 0, 0},
		{"unknown datapath port", "in_port=63,eth_type=0806", rules{rule(0, 1, "", output(2))}, nil, nil, "", "", odp.DropBridgeNotFound, 0},
		{"unknown recirculation", "in_port=b,eth_type=0806,recirc_id=5", rules{rule(0, 1, "", output(2))}, nil, nil, "", "", odp.DropNoRecirculationContext, 0},

		{"set and output", tcp4, rules{rule(0, 1, "", setField("eth_dst=020000000009"), setField("ip_dst=0a000009"), setField("tcp_dst=51"), output(2))}, nil, nil,
			"set(eth_dst=020000000009),set(ip_dst=0a000009),set(tcp_dst=0051),12", "eth_dst ip_dst nw_proto ip_frag tcp_dst", 0, 1},
		{"set to what it has is left out, and exact", tcp4, rules{rule(0, 1, "", setField("ip_dst=0a000002"), output(2))}, nil, nil,
			"12", "ip_dst ip_frag", 0, 1},
		{"masked set", tcp4, rules{rule(0, 1, "", setField("ip_dst=00000700/0000ff00"), output(2))}, nil, nil,
			"set(ip_dst=00000700/0000ff00),12", "ip_dst/0000ff00 ip_frag", 0, 1},
		{"no outputs, no sets", tcp4, rules{rule(0, 1, "", setField("ip_dst=0a000009"))}, nil, nil, "", "ip_dst ip_frag", 0, 1},
		{"changes in between", tcp4, rules{rule(0, 1, "", output(2), setField("eth_dst=020000000009"), output(3), setField("eth_dst=020000000002"), output(2))}, nil, nil,
			"12,set(eth_dst=020000000009),13,set(eth_dst=020000000002),12", "eth_dst ip_frag", 0, 1},
		{"field that the packet has not", arp, rules{rule(0, 1, "", setField("ip_dst=0a000009"), setField("tcp_dst=51"), output(2))}, nil, nil, "12", "", 0, 1},
		{"port of a later fragment", late4, rules{rule(0, 1, "", setField("tcp_dst=51"), output(2))}, nil, nil, "12", "ip_frag", 0, 1},
		{"arp", arp, rules{rule(0, 1, "", setField("arp_op=2"), setField("arp_spa=0a000009"), openflow.Move{Src: sub("arp_sha"), Dst: sub("arp_tha")}, output(2))}, nil, nil,
			"set(arp_spa=0a000009 arp_op=0002 arp_tha=020000000001),12", "ip_src nw_proto arp_sha arp_tha", 0, 1},
		{"neighbour discovery", ns6, rules{rule(0, 1, "", setField("nd_target=fe800000000000000000000000000009"), setField("nd_sll=020000000009"), output(2))}, nil, nil,
			"set(nd_target=fe800000000000000000000000000009 nd_sll=020000000009),12", "nw_proto ip_frag arp_sha tcp_src/00ff tcp_dst/00ff nd_target", 0, 1},
		{"advertisement from solicitation", ns6, rules{rule(0, 1, "", setField("icmpv6_type=88"), setField("nd_tll=020000000009"), output(2))}, nil, nil,
			"set(nd_tll=020000000009),set(icmpv6_type=88),12", "nw_proto ip_frag arp_tha tcp_src/00ff tcp_dst/00ff", 0, 1},
		{"solicitation from echo", echo6, rules{rule(0, 1, "", setField("icmpv6_type=87"), setField("nd_target=1"), output(2))}, nil, nil,
			"set(icmpv6_type=87),set(nd_target=00000000000000000000000000000001),12", "nw_proto ip_frag tcp_src/00ff tcp_dst/00ff nd_target", 0, 1},
		{"pop extends with zeros", ns6, rules{rule(0, 1, "", openflow.StackPush{Src: sub("nw_proto")}, openflow.StackPop{Dst: sub("ipv6_dst")}, output(2))}, nil, nil,
			"set(ipv6_dst=0000000000000000000000000000003a),12", "ipv6_dst nw_proto ip_frag", 0, 1},
		{"tos and ecn", tcp4, rules{rule(0, 1, "", setField("nw_tos=b8"), setField("nw_ecn=1"), output(2))}, nil, nil,
			"set(nw_tos=b8 nw_ecn=01),12", "nw_tos nw_ecn ip_frag", 0, 1},
		{"load and move", tcp4, rules{rule(0, 1, "", openflow.Load{Dst: sub("reg0[8..15]"), Value: []byte{9}},
			openflow.Move{Src: sub("reg0[8..15]"), Dst: sub("ip_dst[0..7]")}, output(2))}, nil, nil,
			"set(ip_dst=00000009/000000ff),12", "ip_dst/000000ff ip_frag", 0, 1},
		{"move between headers", tcp4, rules{rule(0, 1, "", openflow.Move{Src: sub("eth_src"), Dst: sub("eth_dst")}, output(2))}, nil, nil,
			"set(eth_dst=020000000001),12", "eth_src eth_dst ip_frag", 0, 1},
		{"stack", tcp4, rules{rule(0, 1, "", openflow.StackPush{Src: sub("eth_src")}, openflow.StackPush{Src: sub("eth_dst")},
			openflow.StackPop{Dst: sub("eth_src")}, openflow.StackPop{Dst: sub("eth_dst")}, openflow.StackPop{Dst: sub("reg0")}, output(2))}, nil, nil,
			"set(eth_src=020000000002 eth_dst=020000000001),12", "eth_src eth_dst ip_frag", 0, 1},
		{"output to register", tcp4, rules{rule(0, 1, "", setField("reg3=2"), openflow.OutputReg{Src: sub("reg3[0..15]")})}, nil, nil, "12", "ip_frag", 0, 1},
		{"truncated", tcp4, rules{rule(0, 1, "", setField("eth_dst=1"), openflow.OutputTrunc{Port: 2, MaxLen: 100}, output(3))}, nil, nil,
			"set(eth_dst=000000000001),trunc(100),12,13", "eth_dst ip_frag", 0, 1},
		{"queues", arp, rules{rule(0, 1, "", openflow.SetQueue{Queue: 5}, output(2), openflow.PopQueue{}, output(3), openflow.Enqueue{Port: 2, Queue: 1}, output(3))}, nil, nil,
			"set(skb_priority=00010006),12,set(skb_priority=00000000),13,set(skb_priority=00010002),12,set(skb_priority=00000000),13", "skb_priority", 0, 1},
		{"mark", arp, rules{rule(0, 1, "", setField("pkt_mark=5/f"), output(2))}, nil, nil, "set(pkt_mark=00000005/0000000f),12", "pkt_mark/0000000f", 0, 1},

		{"push vlan", tcp4, rules{rule(0, 1, "", openflow.PushVLAN{EthType: 0x8100}, setField("vlan_vid=1007"), output(2))}, nil, nil,
			"push_vlan(8100 1007),12", "vlan_tci/1fff ip_frag", 0, 1},
		{"mod_vlan_vid pushes", tcp4, rules{rule(0, 1, "", openflow.SetVLANVID{VID: 7, Push: true}, output(2))}, nil, nil,
			"push_vlan(8100 1007),12", "vlan_tci/1000 ip_frag", 0, 1},
		{"or not", tcp4, rules{rule(0, 1, "", openflow.SetVLANVID{VID: 7}, output(2))}, nil, nil, "12", "vlan_tci/1000 ip_frag", 0, 1},
		{"rewrite vlan", vlan4, rules{rule(0, 1, "", setField("vlan_vid=1007"), output(2))}, nil, nil,
			"pop_vlan,push_vlan(8100 3007),12", "vlan_tci ip_frag vlan_tpid vlan_tci2/1000", 0, 1},
		{"pcp", vlan4, rules{rule(0, 1, "", openflow.SetVLANPCP{PCP: 5}, output(2))}, nil, nil,
			"pop_vlan,push_vlan(8100 b00a),12", "vlan_tci ip_frag vlan_tpid vlan_tci2/1000", 0, 1},
		{"strip vlan", vlan4, rules{rule(0, 1, "", openflow.StripVLAN{}, output(2))}, nil, nil, "pop_vlan,12", "vlan_tci ip_frag vlan_tpid vlan_tci2/1000", 0, 1},
		{"strip without tag", tcp4, rules{rule(0, 1, "", openflow.StripVLAN{}, output(2))}, nil, nil, "12", "vlan_tci/1000 ip_frag", 0, 1},
		{"strip twice", qinq, rules{rule(0, 1, "", openflow.StripVLAN{}, output(2), openflow.StripVLAN{}, output(3))}, nil, nil,
			"pop_vlan,12,pop_vlan,13", "vlan_tci ip_frag vlan_tpid vlan_tci2 vlan_tpid2", 0, 1},
		{"third tag", qinq, rules{rule(0, 1, "", openflow.PushVLAN{EthType: 0x88a8}, output(2), openflow.StripVLAN{}, output(3))}, nil, nil,
			"push_vlan(88a8 1000),12,pop_vlan,13", "vlan_tci ip_frag vlan_tpid vlan_tci2 vlan_tpid2", 0, 1},
		{"match behind a strip reads the inner tag", qinq, rules{rule(0, 1, "", openflow.StripVLAN{}, resubmit(1)), rule(1, 1, "vlan_tci=100a/1fff", output(2))}, nil, nil,
			"pop_vlan,12", "vlan_tci ip_frag vlan_tpid vlan_tci2 vlan_tpid2", 0, 2},

		{"dec_ttl", tcp4, rules{rule(0, 1, "", openflow.DecTTL{}, output(2))}, nil, nil, "set(nw_ttl=3f),12", "nw_ttl ip_frag", 0, 1},
		{"dec_ttl at 1 tells controllers", udp4, rules{rule(0, 1, "", openflow.DecTTL{IDs: []uint16{3, 4}}, output(2))}, nil, nil,
			"controller(reason=2 max_len=65535 id=3),controller(reason=2 max_len=65535 id=4)", "nw_ttl ip_frag", 0, 1},
		{"dec_ttl ends only its list", udp4, rules{rule(0, 1, "", resubmit(1), output(3)), rule(1, 1, "", openflow.DecTTL{}, output(2))}, nil, nil,
			"controller(reason=2 max_len=65535 id=0),13", "nw_ttl ip_frag", 0, 2},
		{"dec_ttl not ip", arp, rules{rule(0, 1, "", openflow.DecTTL{}, output(2))}, nil, nil, "12", "", 0, 1},
		{"mod_nw_ttl", tcp4, rules{rule(0, 1, "", openflow.SetTTL{TTL: 7}, output(2))}, nil, nil, "set(nw_ttl=07),12", "nw_ttl ip_frag", 0, 1},

		{"resubmit comes back", tcp4, rules{rule(0, 1, "", resubmit(1), output(3)), rule(1, 1, "", setField("eth_dst=1"), output(2))}, nil, nil,
			"set(eth_dst=000000000001),12,13", "eth_dst ip_frag", 0, 2},
		{"resubmit with a port looks up as from there", tcp4, rules{rule(0, 1, "", openflow.Resubmit{InPort: 2, Table: 1}), rule(1, 1, "in_port=2", output(openflow.PortInPort), output(3))}, nil, nil,
			"11,13", "ip_frag", 0, 2},
		{"goto and metadata", tcp4, rules{rule(0, 1, "", openflow.WriteMetadata{Value: 0xf5, Mask: 0xf}, openflow.GotoTable{Table: 2}), rule(2, 1, "metadata=5", output(2))}, nil, nil,
			"12", "ip_frag", 0, 2},
		{"exit ends all lists", tcp4, rules{rule(0, 1, "", resubmit(1), output(3)), rule(1, 1, "", output(2), openflow.Exit{}, output(3))}, nil, nil, "12", "ip_frag", 0, 2},
		{"endless resubmit", arp, rules{rule(0, 1, "", output(2), resubmit(0))}, nil, nil, "", "", odp.DropRecursionTooDeep, 1},
		{"too many resubmits", arp, rules{rule(0, 1, "", resubmit(1), resubmit(1)), rule(1, 1, "", resubmit(2), resubmit(2), resubmit(2), resubmit(2)),
			rule(2, 1, "", resubmit(3), resubmit(3), resubmit(3), resubmit(3), resubmit(3), resubmit(3), resubmit(3), resubmit(3)),
			rule(3, 1, "", resubmit(4), resubmit(4), resubmit(4), resubmit(4), resubmit(4), resubmit(4), resubmit(4), resubmit(4)),
			rule(4, 1, "", resubmit(5), resubmit(5), resubmit(5), resubmit(5), resubmit(5), resubmit(5), resubmit(5), resubmit(5)),
			rule(5, 1, "", openflow.Note{})}, nil, nil, "", "", odp.DropTooManyResubmit, 6},

		{"action set in its own order", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(2), setField("vlan_vid=1005"), openflow.DecTTL{}, openflow.PushVLAN{EthType: 0x88a8}}},
			openflow.WriteActions{Actions: []openflow.Action{output(3)}}, openflow.GotoTable{Table: 1}), rule(1, 1, "", openflow.Note{})}, nil, nil,
			"set(nw_ttl=3f),push_vlan(88a8 1005),13", "vlan_tci/1fff nw_ttl ip_frag", 0, 2},
		{"clear actions", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(2)}}, openflow.ClearActions{}, openflow.WriteActions{Actions: []openflow.Action{output(3)}})}, nil, nil, "13", "ip_frag", 0, 1},
		{"action set without output does nothing", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{openflow.DecTTL{}}})}, nil, nil, "", "ip_frag", 0, 1},
		{"exit leaves the action set", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(2)}}, openflow.Exit{})}, nil, nil, "12", "ip_frag", 0, 1},
		{"actset_output", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(2)}}, openflow.GotoTable{Table: 1}), rule(1, 1, "actset_output=2", output(3))}, nil, nil, "13,12", "ip_frag", 0, 2},

		{"controller", tcp4, rules{rule(0, 1, "", openflow.Controller{MaxLen: 100, ControllerID: 7, Reason: openflow.ReasonAction}, output(openflow.PortController))}, nil, nil,
			"controller(reason=1 max_len=100 id=7),controller(reason=1 max_len=0 id=0)", "ip_frag", 0, 1},
		{"table-miss rule", tcp4, rules{rule(0, 0, "", openflow.Output{Port: openflow.PortController, MaxLen: 0xffff})}, nil, nil,
			"controller(reason=0 max_len=65535 id=0)", "ip_frag", 0, 1},
		{"controller sees what was set", tcp4, rules{rule(0, 1, "", setField("eth_dst=1"), openflow.Controller{MaxLen: 100, Reason: openflow.ReasonAction})}, nil, nil,
			"set(eth_dst=000000000001),controller(reason=1 max_len=100 id=0)", "eth_dst ip_frag", 0, 1},

		{"clone undoes", tcp4, rules{rule(0, 1, "", openflow.Clone{Actions: []openflow.Action{setField("eth_dst=1"), output(2), openflow.Exit{}}}, output(3))}, nil, nil,
			"set(eth_dst=000000000001),12,set(eth_dst=020000000002),13", "eth_dst ip_frag", 0, 1},

		{"fragment has no ports", frag4, rules{rule(0, 2, "eth_type=0800,nw_proto=6,tcp_dst=50", output(2)), rule(0, 1, "", output(3))}, nil, nil,
			"13", "nw_proto ip_frag tcp_dst/ffc0", 0, 1},
		{"fragment with nx-match", frag4, rules{rule(0, 2, "eth_type=0800,nw_proto=6,tcp_dst=50", output(2)), rule(0, 1, "", output(3))}, nil,
			func(w *world) { w.br0.frag = openflow.FragNXMatch }, "12", "nw_proto ip_frag tcp_dst", 0, 1},
		{"fragments dropped", frag4, rules{rule(0, 1, "", output(3))}, nil, func(w *world) { w.br0.frag = openflow.FragDrop }, "", "ip_frag", 0, 0},
		{"later fragment", late4, rules{rule(0, 2, "eth_type=0800,nw_proto=6,tcp_dst=50", output(2)), rule(0, 1, "", output(3))}, nil,
			func(w *world) { w.br0.frag = openflow.FragNXMatch }, "13", "nw_proto ip_frag", 0, 1},

		{"patch port", tcp4, rules{rule(0, 1, "", setField("reg0=7"), setField("eth_dst=1"), output(9), output(2))},
			rules{rule(0, 2, "in_port=9,reg0=0", setField("reg0=8"), setField("eth_dst=3"), output(1), output(9)), rule(0, 1, "", output(3))}, nil,
			"set(eth_dst=000000000003),21,set(eth_dst=000000000001),12", "eth_dst ip_frag", 0, 2},
		{"patch port back to where it came from", tcp4, rules{rule(0, 2, "in_port=1", output(9)), rule(0, 1, "in_port=9", output(1))},
			rules{rule(0, 1, "", output(openflow.PortInPort))}, nil, "11", "ip_frag", 0, 3},
		{"patch loop", tcp4, rules{rule(0, 1, "", output(9), output(openflow.PortInPort))}, rules{rule(0, 1, "", output(openflow.PortInPort))}, nil,
			"", "ip_frag", odp.DropRecursionTooDeep, 2},
		{"peer's exit stays there", tcp4, rules{rule(0, 1, "", output(9), output(2))}, rules{rule(0, 1, "", output(1), openflow.Exit{})}, nil, "21,12", "ip_frag", 0, 2},
		{"peer's action set", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(2)}}, output(9))},
			rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(1)}})}, nil, "21,12", "ip_frag", 0, 2},

		{"normal", tcp4, rules{rule(0, 1, "", openflow.Output{Port: openflow.PortNormal}, output(3))}, nil,
			func(w *world) {
				w.br0.normal = func(x Context) {
					x.SetVLANs([]VLAN{{TPID: 0x8100, TCI: 0x1005}})
					for _, p := range w.br0.ports {
						if p.Peer == nil {
							x.Output(p)
						}
					}
				}
			}, "push_vlan(8100 1005),12,13,10,pop_vlan,13", "vlan_tci/1000 ip_frag", 0, 1},
		{"multipath reads what it hashes", tcp4, rules{rule(0, 1, "", openflow.Multipath{Fields: hashNwSrc, MaxLink: 1, Dst: sub("reg0[0..0]")}, output(2))}, nil, nil,
			"12", "ip_src ip_frag", 0, 1},
		{"ports only of protocols that have them", tcp4, rules{rule(0, 1, "", openflow.Multipath{Fields: hashSymmetricL3L4, MaxLink: 1, Dst: sub("reg0[0..0]")}, output(2))}, nil, nil,
			"12", "ip_src ip_dst nw_proto ip_frag tcp_src tcp_dst", 0, 1},
		{"udp ports if asked for", udp4, rules{rule(0, 1, "", openflow.Multipath{Fields: hashSymmetricL3L4, MaxLink: 1, Dst: sub("reg0[0..0]")}, output(2))}, nil, nil,
			"12", "ip_src ip_dst nw_proto ip_frag", 0, 1},
		{"active backup reads nothing", tcp4, rules{rule(0, 1, "", openflow.Bundle{Fields: hashSymmetricL4, Members: []openflow.PortNo{77, 3, 2}})}, nil, nil, "13", "ip_frag", 0, 1},
		{"a member that is down", tcp4, rules{rule(0, 1, "", openflow.Bundle{Members: []openflow.PortNo{2, 3}})}, nil,
			func(w *world) { w.br0.ports[1].State = openflow.StateLinkDown }, "13", "ip_frag", 0, 1},
		{"hrw of one member reads nothing", tcp4, rules{rule(0, 1, "", openflow.Bundle{Algorithm: bundleHRW, Members: []openflow.PortNo{2}})}, nil, nil, "12", "ip_frag", 0, 1},
		{"hrw reads", tcp4, rules{rule(0, 1, "", openflow.Bundle{Algorithm: bundleHRW, Members: []openflow.PortNo{77, 2}})}, nil, nil, "12", "eth_src ip_frag", 0, 1},
		{"no live member", tcp4, rules{rule(0, 1, "", openflow.Bundle{Members: []openflow.PortNo{77}}, output(2))}, nil, nil, "12", "ip_frag", 0, 1},

		{"check_pkt_larger goes both ways", tcp4, rules{rule(0, 1, "", setField("eth_src=1"), openflow.CheckPktLarger{Len: 100, Dst: sub("reg0[0..0]")}, resubmit(1)),
			rule(1, 2, "reg0=1", setField("eth_dst=1"), output(2)), rule(1, 1, "", output(3))}, nil, nil,
			"set(eth_src=000000000001),check_pkt_len(100,gt(set(eth_dst=000000000001),12),le(13))", "eth_src eth_dst ip_frag", 0, 3},
		{"the list outside goes on", tcp4, rules{rule(0, 1, "", resubmit(1), output(3)), rule(1, 1, "", openflow.CheckPktLarger{Len: 100, Dst: sub("eth_dst[0..0]")}, output(2))}, nil, nil,
			"check_pkt_len(100,gt(set(eth_dst=000000000001/000000000001),12),le(12)),13", "eth_dst/000000000001 ip_frag", 0, 2},
		{"the action set is both branches'", tcp4, rules{rule(0, 1, "", openflow.WriteActions{Actions: []openflow.Action{output(2)}}, openflow.CheckPktLarger{Len: 9, Dst: sub("reg0[0..0]")}, openflow.GotoTable{Table: 1}),
			rule(1, 1, "reg0=1", openflow.ClearActions{})}, nil, nil, "check_pkt_len(9,gt(),le(12))", "ip_frag", 0, 2},
		{"a list that forks too often", tcp4, rules{rule(0, 1, "", slices.Repeat([]openflow.Action{openflow.CheckPktLarger{Dst: sub("reg0[0..0]")}}, 40)...)}, nil, nil,
			"", "ip_frag", odp.DropTooManyResubmit, 1},
		{"push_mpls takes TTL and DSCP", tcp4, rules{rule(0, 1, "", openflow.PushMPLS{EthType: 0x8847}, openflow.SetMPLSLabel{Label: 5}, output(2))}, nil, nil,
			"push_mpls(5140 8847),12", "nw_tos nw_ttl ip_frag", 0, 1},
		{"what was set before a label is under it", tcp4, rules{rule(0, 1, "", setField("ip_dst=9"), openflow.PushMPLS{EthType: 0x8847}, setField("ip_src=9"), output(2), openflow.PopMPLS{EthType: 0x800}, output(3))}, nil, nil,
			"set(ip_dst=00000009),push_mpls(140 8847),12,pop_mpls(800),13", "ip_dst nw_tos nw_ttl ip_frag", 0, 1},
		{"a clone's label comes off again", tcp4, rules{rule(0, 1, "", openflow.Clone{Actions: []openflow.Action{openflow.PushMPLS{EthType: 0x8847}, output(2)}}, setField("ip_dst=9"), output(3))}, nil, nil,
			"push_mpls(140 8847),12,pop_mpls(800),set(ip_dst=00000009),13", "ip_dst nw_tos nw_ttl ip_frag", 0, 1},
		{"labels beyond three", "in_port=b,eth_type=8847,mpls_lse0=1000,mpls_lse1=2000,mpls_lse2=3000", rules{rule(0, 1, "", openflow.PopMPLS{EthType: 0x8847}, output(2))}, nil, nil,
			"", "mpls_label/00000001 mpls_bos mpls_lse0/00001100 mpls_lse1/00002100 mpls_lse2/00001100", odp.DropTooManyMPLSLabels, 1},
		{"pop_mpls without a label", tcp4, rules{rule(0, 1, "", openflow.PopMPLS{EthType: 0x800}, output(2))}, nil, nil, "12", "ip_frag", 0, 1},
		{"parse behind a label", label1, rules{rule(0, 1, "", resubmit(1), output(3)), rule(1, 1, "", openflow.PopMPLS{EthType: 0x800}, output(2), openflow.DecTTL{}, output(2))}, nil, nil,
			"pop_mpls(800),12,recirc", "mpls_bos mpls_lse0/00000100", 0, 2},
		{"a patch port looks behind a label", label1, rules{rule(0, 1, "", openflow.PopMPLS{EthType: 0x800}, output(9), output(2))}, rules{rule(0, 1, "eth_type=800,ip_dst=9", output(1))}, nil,
			"pop_mpls(800),recirc,12", "mpls_bos mpls_lse0/00000100", 0, 1},
		{"decap and encap", tcp4, rules{rule(0, 1, "", openflow.Decap{}, openflow.Encap{}, setField("eth_dst=9"), output(2))}, nil, nil,
			"pop_eth,push_eth(000000000000 000000000009),12", "eth_dst vlan_tci/1000 ip_frag", 0, 1},
		{"a port wants Ethernet", tcp4, rules{rule(0, 1, "", output(3), openflow.Decap{}, output(2))}, nil, nil, "13", "vlan_tci/1000 ip_frag", 0, 1},
		{"a tag is in the way", vlan4, rules{rule(0, 1, "", openflow.Decap{}, output(2))}, nil, nil, "", "vlan_tci/1000 ip_frag", odp.DropUnsupportedPacketType, 1},
		{"two headers", tcp4, rules{rule(0, 1, "", openflow.Encap{}, output(2))}, nil, nil, "", "ip_frag", odp.DropUnsupportedPacketType, 1},
		{"what cannot be undone is done to a copy", tcp4, rules{rule(0, 1, "", openflow.Clone{Actions: []openflow.Action{openflow.OutputTrunc{Port: 2, MaxLen: 20}, setField("eth_dst=9"), output(3)}}, output(2))}, nil, nil,
			"clone(trunc(20),12,set(eth_dst=000000000009),13),12", "eth_dst ip_frag", 0, 1},
		{"a copy is not needed at the end", tcp4, rules{rule(0, 1, "", resubmit(1)), rule(1, 1, "", openflow.Clone{Actions: []openflow.Action{openflow.OutputTrunc{Port: 2, MaxLen: 20}}})}, nil, nil,
			"trunc(20),12", "ip_frag", 0, 2},
		{"look up the original tuple", tcp4 + ",ct_state=20,ct_nw_proto=11,ct_nw_src=7,ct_tp_dst=9", rules{rule(0, 1, "", openflow.Resubmit{InPort: openflow.PortInPort, Table: 1, CT: true}, output(3)),
			rule(1, 1, "eth_type=0800,nw_proto=11,ip_src=7,udp_dst=9", resubmit(2)), rule(2, 1, "ip_src=a000001", output(2))}, nil, nil,
			"12,13", "ct_nw_proto ct_nw_src ct_tp_dst ip_src ip_frag", 0, 3},
		{"without one there is none", tcp4, rules{rule(0, 1, "", openflow.Resubmit{InPort: openflow.PortInPort, Table: 1, CT: true}, output(3)), rule(1, 1, "", output(2))}, nil, nil,
			"13", "ct_nw_proto ip_frag", 0, 1},
		{"unsupported action", tcp4, rules{rule(0, 1, "", output(2), openflow.CT{})}, nil, nil, "", "ip_frag", odp.DropUnsupported, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(tc.br0, tc.br1)
			if tc.setup != nil {
				tc.setup(w)
			}
			res := w.run(key(tc.key))
			if got := actionsText(res.Actions); got != tc.want {
				t.Errorf("actions\n got %s\nwant %s", got, tc.want)
			}
			if got := maskText(&res.Mask); got != tc.mask {
				t.Errorf("mask\n got %s\nwant %s", got, tc.mask)
			}
			if res.Drop != tc.drop {
				t.Errorf("drop %v, want %v", res.Drop, tc.drop)
			}
			if got := len(rulesOf(res)); got != tc.wantRules {
				t.Errorf("%d rules credited, want %d", got, tc.wantRules)
			}
			if !res.Mask.Covers(&baseMask) {
				t.Error("base of the mask is missing")
			}
			again := w.run(key(tc.key))
			if d := cmp.Diff(res.Actions, again.Actions); d != "" {
				t.Errorf("second translation differs: %s", d)
			}
		})
	}
}
