package dummy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// traceFlows are the flows of the bridges that TestTraceLikeStock traces through.
var traceFlows = map[string][]string{
	"br0": {
		"table=0,priority=10,in_port=1,actions=NORMAL",
		"table=0,priority=10,in_port=2,actions=drop",
		"table=0,priority=10,in_port=3,actions=NORMAL",
		"table=0,priority=10,in_port=5,actions=NORMAL",
		// Nested look-ups, and what they leave behind.
		"table=0,priority=20,in_port=1,tcp,cookie=0x1234,actions=set_field:7->reg1,resubmit(,1),output:2",
		"table=1,priority=5,tcp,cookie=0x55,actions=move:NXM_NX_REG1[]->NXM_NX_REG2[],load:5->NXM_NX_REG3[0..3],push:NXM_NX_REG1[],pop:NXM_NX_REG4[],resubmit(,2),resubmit(,9)",
		"table=2,tcp,actions=set_field:10.0.0.9->ip_dst,set_field:8080->tcp_dst,dec_ttl,output:4,clone(set_field:9->reg9,output:2)",
		// Chains without indentation, the action set.
		"table=0,priority=20,in_port=1,udp,actions=write_actions(set_field:1->reg5),goto_table:3",
		"table=3,udp,actions=clear_actions,write_actions(set_field:53->udp_dst,output:2),write_metadata:0x5/0xf,goto_table:4",
		"table=4,metadata=0x5/0x7,actions=goto_table:5",
		"table=5,udp,udp_src=7,actions=output:2,write_actions(output:4)",
		// Controllers, ports that are not there, the port that a packet came from.
		"table=0,priority=20,in_port=2,arp,actions=CONTROLLER:128,output:2,output:77,IN_PORT,output:NXM_NX_REG0[],controller(max_len=5,reason=action)",
		// VLANs.
		"table=0,priority=20,in_port=2,dl_type=0x1234,vlan_tci=0,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:1,pop_vlan,output:4",
		"table=0,priority=20,in_port=2,dl_vlan=20,actions=set_field:4117->vlan_vid,output:1,pop_vlan,output:4,resubmit(,6)",
		"table=6,actions=set_field:50:54:00:00:00:99->eth_src,output:1",
		// A patch port, last and not.
		"table=0,priority=20,in_port=4,dl_type=0x1234,actions=output:10",
		"table=0,priority=20,in_port=4,dl_type=0x1235,actions=output:10,set_field:5->reg0,output:2",
		// Loops.
		"table=0,priority=20,in_port=4,icmp,actions=resubmit(,0)",
		"table=0,priority=20,in_port=4,ipv6,actions=dec_ttl,output:1",
		// Groups.
		"table=0,priority=20,in_port=4,dl_type=0x2001,actions=group:1,output:2",
		"table=0,priority=20,in_port=4,dl_type=0x2002,actions=group:2,output:2",
		"table=0,priority=20,in_port=4,dl_type=0x2003,actions=write_actions(group:3),goto_table:77",
		"table=0,priority=20,in_port=4,dl_type=0x2004,actions=group:4,output:2",
		"table=0,priority=20,in_port=4,arp,actions=resubmit(1,0),resubmit:2,exit,output:1",
		"table=0,priority=20,in_port=4,dl_type=0x2005,actions=set_field:5->reg1,group:5,output:1",
		"table=0,priority=20,in_port=4,dl_type=0x2006,actions=group:6,output:1",
		// Tunnel options as scratch registers.
		"table=0,priority=20,in_port=4,dl_type=0x2007,actions=set_field:5->tun_metadata0,resubmit(,7),output:1",
		"table=7,tun_metadata0=5,actions=output:2",
	},
	"br1": {
		"table=0,actions=NORMAL",
		"table=0,priority=40000,dl_type=0x1235,actions=resubmit(,1)",
		"table=1,actions=resubmit(,2),write_actions(output:7)",
	},
}

// traceGroups are the groups of both bridges.
var traceGroups = []string{
	"group_id=1,type=all,bucket=output:1,bucket=set_field:5->reg0,resubmit(,6),bucket=output:3",
	"group_id=2,type=ff,bucket=watch_port:77,output:1,bucket=watch_port:2,output:3",
	"group_id=3,type=indirect,bucket=group:1",
	"group_id=4,type=ff,bucket=watch_port:77,output:1",
	"group_id=5,type=select,selection_method=dp_hash,bucket=output:2,bucket=output:3",
	"group_id=6,type=select,selection_method=hash,fields(eth_src),bucket=bucket_id=7,output:2",
}

// traceCases are arguments of ofproto/trace. Behind a "~" the Megaflow line may differ: the stock daemon looks at
// more of the packet than it needs, at the addresses of a packet that it drops for its VLAN or that is for the
// bridge itself, at the protocol of IPv6 packets whose hop limit it sets; ours at the priority of a tag.
var traceCases = []string{
	// NORMAL.
	"br0 in_port=1,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02",
	"br0 in_port=p1,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02 -generate",
	"br0 in_port=1,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02 -generate",
	"br0 in_port=1,dl_src=50:54:00:00:00:03,dl_dst=50:54:00:00:00:01",
	"br0 in_port=3,dl_src=50:54:00:00:00:03,dl_dst=50:54:00:00:00:01",
	"br0 in_port=1,dl_src=50:54:00:00:00:03,dl_dst=50:54:00:00:00:33",
	"br0 in_port=1,dl_vlan=10,dl_vlan_pcp=0,dl_dst=50:54:00:00:00:30",
	"br0 in_port=1,dl_vlan=10,dl_vlan_pcp=3,ipv6",
	"~ br0 in_port=3,dl_vlan=11",
	"~ br0 in_port=5,dl_vlan=11",
	"~ br0 in_port=5,dl_vlan=20",
	"~ br0 in_port=1,dl_dst=01:80:c2:00:00:00",
	"br0 in_port=1 50540000000250540000000108004500001c00000000400166df0a0000010a0000020800f7ff00000000",
	"br1 in_port=7,arp",
	// Tables.
	"br0 in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_src=1000,tp_dst=80,tcp_flags=syn",
	"br0 in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=1,tp_src=1000,tp_dst=80",
	"br0 in_port=1,udp,nw_src=10.0.0.1,nw_ttl=64,udp_src=7",
	"br0 in_port=1,udp,nw_src=10.0.0.1,nw_ttl=64,udp_src=8",
	"br0 in_port=2,arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=50:54:00:00:00:01",
	"br0 in_port=2,arp -generate",
	"br0 in_port=2",
	"br0 in_port=LOCAL",
	"br0 in_port=99,sctp,sctp_src=5",
	"br0 reg0=5,reg15=0x12,metadata=7,pkt_mark=3,tun_id=4",
	"br0 in_port=2,dl_type=0x1234",
	"br0 in_port=2,dl_vlan=20,dl_vlan_pcp=5,dl_src=50:54:00:00:00:01",
	"br0 in_port=4,dl_type=0x1234",
	"br0 in_port=4,dl_type=0x1235",
	"br0 in_port=4,icmp",
	"~ br0 in_port=4,ipv6,nw_proto=6,nw_ttl=1",
	"~ br0 in_port=4,tcp6,nw_ttl=9",
	"br0 in_port=4,arp,arp_op=1",
	"br0 in_port=4,dl_type=0x2001",
	"br0 in_port=4,dl_type=0x2002",
	"br0 in_port=4,dl_type=0x2003",
	"br0 in_port=4,dl_type=0x2004",
	"br0 recirc_id=0x777,in_port=1",
	"br0 in_port=4,mpls,mpls_label=5",
	"~ br0 in_port=4,icmp6,icmpv6_type=135,nd_target=fe80::1",
	"-names br0 in_port=2,arp,arp_op=1",
	"br0 in_port=4,dl_type=0x2005",
	"br0 in_port=4,dl_type=0x2005 -generate",
	"br0 in_port=4,dl_type=0x2006",
	"br0 in_port=4,dl_type=0x2007",
	"br0 in_port=4,dl_type=0x2007,tun_metadata0=5",
	"br0 in_port=1,arp --ct-next trk,est --ct-next trk,inv",
	// Flows of the datapath.
	"in_port(2)",
	"in_port(p2),eth()",
	"ovs-dummy in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=7,dst=8)",
	"in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=later)",
	// What cannot be.
	"a", "br0", "br9 in_port=1", "br0 in_port=zz", "br0 in_prt=1", "br0 tcp,tp_dst=99999", "br0 nw_src=1.2.3", "br0 in_port=1 zz",
	"br0 in_port=1 -foo", "br0 in_port=1 5054", "a b c", "a b c d", "in_port(1),eth(src=1)", "in_port(99),eth()", "nodp in_port(1),eth()",
	"br0 in_port=1 --ct-next foo", "br0 in_port=1 --ct-next new,est", "br0 in_port=1 --ct-next trk,new,est,inv", "br0 in_port=1 --ct-next new,rpl",
	"br0 in_port=1 -consistent", "br0 in_port=1 --ct-next", "br0 in_port(1)", "foo(1),eth()", "in_port(2) 50",
	"br0 in_port=2 -generate 50540000000250540000000108004500001c00000000400166df0a0000010a0000020800f7ff00000000",
}

// tracePacketOutCases are arguments of ofproto/trace-packet-out.
var tracePacketOutCases = []string{
	"br0 in_port=1 output:2",
	"br0 in_port=1 -generate output:2,TABLE",
	"br0 in_port=4,dl_type=0x2002 group:2",
	"br0 in_port=4,dl_type=0x2005 group:5",
	"br0 in_port=1,tcp,nw_ttl=9 set_field:1->reg3,resubmit(,0)",
	"br0 in_port=1,tcp,nw_ttl=9 -generate resubmit(,0)",
	"br0 in_port=1,tcp set_field:80->tcp_dst",
	"in_port(1) output:2", "ovs-dummy in_port(1) output:2",
	"br0 in_port=1 50540000000250540000000108004500001c00000000400166df0a0000010a0000020800f7ff00000000 output:2,resubmit:1",
	"br0 in_port=4,ip CONTROLLER", "br0 in_port=4,ip controller(id=4,max_len=6),IN_PORT",
	"br0 in_port=1 output:2,output:77", "br0 in_port=99 output:1", "br0 dl_type=0x1234 output:1",
	"br0 in_port=LOCAL NORMAL", "br0 in_port=1,arp drop", "br0 in_port=2,arp,arp_op=1 drop",
	"-consistent br0 in_port=1,ip push_vlan:0x8100,output:2",
	"br0 in_port=1,tcp,nw_ttl=9 mod_nw_src:1.2.3.4,mod_nw_tos:16,mod_nw_ttl:7,mod_nw_ecn:1,set_field:32->nw_tos,set_field:4->ip_dscp,2,mod_tp_dst:8,normal,LOCAL,set_field:0/1->reg1",
	"~ br0 in_port=1,tcp,nw_ttl=9 note:1122,push:reg1,pop:reg2[0..31],move:reg1[0..3]->reg2[4..7],resubmit:3,resubmit(,7),dec_ttl,output:4,clone(set_field:1->reg0,output:2),output:reg0,exit,output:1",
	"br0 in_port=1,dl_vlan=5,dl_vlan_pcp=0 strip_vlan,output:2,mod_vlan_vid:9,output:4", "br0 in_port=10 output:10,output:2",
	"-names br0 in_port=1 output:2", "br0 in_port=1 output(port=2,max_len=100)",
	// What cannot be.
	"br0", "br0 in_port=1", "br9 in_port=1 output:1", "br9 in_port=1 foo", "br0 in_port=zz output:1", "br0 in_port=1 foo", "br0 in_port=1 output:p2", "br0 in_port=1 5054 output:2",
	"-foo br0 in_port=1 output:2", "br0 in_port=1 goto_table:1", "br0 in_port=1 write_actions(output:2)", "br0 in_port=1 set_field:80->tcp_dst",
	"-consistent br0 in_port=1 set_field:80->tcp_dst", "br0 in_port=1,ip group:99", "br0 in_port=1 note:zz", "br0 in_port=1 output:1,drop",
	"br0 in_port=1 set_field:1->ct_state", "br0 in_port=1 mod_nw_src:1.2.3.4", "-consistent br0 in_port=1 mod_nw_src:1.2.3.4",
}

// TestTraceLikeStock traces flows in the stock daemon and in ours: every line must be equal.
func TestTraceLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		s.addBridge("br1", "other_config:hwaddr=aa:55:aa:55:00:01", "fail_mode=secure")
		s.addPort("br0", 1)
		s.addPort("br0", 2)
		s.addPort("br0", 3, "tag=10")
		s.addPort("br0", 4)
		s.addPort("br0", 5, "trunks=20,30")
		s.addPort("br1", 7)
		s.Vsctl("add-port", "br0", "x0", "--", "set", "interface", "x0", "type=patch", "options:peer=x1", "ofport_request=10", "--",
			"add-port", "br1", "x1", "--", "set", "interface", "x1", "type=patch", "options:peer=x0", "ofport_request=11")
		s.Ofctl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0")
		for _, b := range []string{"br0", "br1"} {
			for _, g := range traceGroups {
				s.Ofctl("-OOpenFlow15", "add-group", b, g)
			}
			for _, f := range traceFlows[b] {
				s.Ofctl("-OOpenFlow15", "add-flow", b, f)
			}
		}
		s.Appctl("fdb/add", "br0", "p3", "10", "50:54:00:00:00:30")
		s.Appctl("fdb/add", "br0", "p3", "0", "50:54:00:00:00:33")
	}
	compare := func(command string, cases []string) {
		for _, c := range cases {
			c, anyMask := strings.CutPrefix(c, "~ ")
			args := append([]string{command}, strings.Fields(c)...)
			got, gotCode := ours.Try("ovs-appctl", args...)
			want, wantCode := stock.Try("ovs-appctl", args...)
			if gotCode != wantCode {
				t.Errorf("%s %s: exit code %d, want %d", command, c, gotCode, wantCode)
			}
			if diff := cmp.Diff(traceLines(want, anyMask), traceLines(got, anyMask)); diff != "" {
				t.Errorf("%s %s (-stock +ours):\n%s\n%s", command, c, diff, got)
			}
		}
	}
	compare("ofproto/trace", traceCases)
	compare("ofproto/trace-packet-out", tracePacketOutCases)
}

// traceLines are the lines of a trace without what differs between two daemons by nature.
func traceLines(out string, anyMask bool) []string {
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		// In another bridge than the first the stock daemon shows its internal rule for a miss.
		l = strings.Replace(l, " reg0=0x2, priority 0", " No match.", 1)
		if anyMask && strings.HasPrefix(l, "Megaflow: ") {
			l = "Megaflow:"
		}
		l = score.ReplaceAllString(l, "score N")
		lines[i] = recirc.ReplaceAllString(recircID.ReplaceAllString(l, "recirc_id=N"), "recirc(N)")
	}
	return lines
}

// recircID is the name that a controller action has for its packet-ins; any is right.
var recircID = regexp.MustCompile(`recirc_id=(0x)?[0-9a-f]+`)

// recirc is the name of the rest of a packet's way; score is a hash. Any is right.
var (
	recirc = regexp.MustCompile(`recirc\(0x[0-9a-f]+\)`)
	score  = regexp.MustCompile(`score \d+`)
)
