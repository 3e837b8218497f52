package dummy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// traceCTFlows are the flows that TestTraceCTLikeStock traces through: the port is the case.
var traceCTFlows = []string{
	"table=0,in_port=1,ip,actions=ct(table=1)",
	"table=0,in_port=1,ipv6,actions=ct(commit,table=1,zone=9)",
	"table=1,ip,ct_state=+new+trk,actions=ct(commit),output:2",
	"table=1,ipv6,ct_state=+new+trk,actions=ct(commit),output:2",
	"table=1,ct_state=+est-rpl,actions=output:3,ct_clear,output:4,ct_clear,resubmit(,2)",
	"table=1,ct_state=+est+rpl,ct_mark=0x5/0xf,actions=output:4",
	"table=1,priority=1,ct_state=+inv,actions=drop",
	"table=2,ct_state=-trk,actions=output:1",
	"table=2,ct_state=+trk,actions=output:2",
	"table=0,in_port=2,ip,actions=ct(commit,zone=5,force,exec(set_field:1->ct_mark,load:7->NXM_NX_CT_LABEL[0..31])),output:1",
	"table=0,in_port=2,ipv6,actions=ct(commit,zone=NXM_NX_REG0[0..15],exec(move:NXM_NX_REG1[]->NXM_NX_CT_MARK[])),resubmit(,2)",
	"table=0,in_port=3,priority=40000,udp,actions=ct_clear,output:2",
	"table=0,in_port=3,priority=40000,sctp,actions=ct_clear,output:2",
	"table=0,in_port=3,arp,actions=clone(ct_clear,output:1),ct_clear,output:2,ct_clear",
	"table=0,in_port=3,rarp,actions=output:10,ct_clear,output:2,ct_clear",
	"table=0,in_port=3,mpls,actions=pop_mpls:0x800,dec_ttl,ct_clear,output:2",
	"table=0,in_port=3,ip,actions=ct_clear,resubmit(,2)",
	"table=0,in_port=3,ipv6,actions=ct,ct_clear,resubmit(,2)",
	"table=0,in_port=4,tcp,actions=ct(commit,table=3,nat(src=1.2.3.4-1.2.3.9:10-20,random)),output:2",
	"table=0,in_port=4,udp,actions=set_field:9->reg3,push:NXM_NX_REG3[],ct(table=3,nat),write_actions(output:3)",
	"table=0,in_port=4,icmp,actions=clone(ct(table=1),output:3),ct_clear,output:2",
	"table=0,in_port=4,ipv6,actions=ct(commit,nat(dst=fc00::1,persistent)),ct(nat),output:2",
	"table=3,ip,ct_state=+trk,actions=pop:NXM_NX_REG4[],move:NXM_NX_CT_MARK[]->NXM_NX_REG5[],ct_clear,ct(table=2,zone=7)",
	"table=0,in_port=5,ip,actions=ct(table=6)",
	"table=6,ip,ct_state=+trk-inv,actions=resubmit(,7,ct),resubmit(,8)",
	"table=6,ipv6,ct_state=+trk+est,actions=resubmit(,7,ct),resubmit(,8)",
	"table=7,priority=9,tcp,nw_src=10.0.0.1,tcp_dst=80,actions=output:1",
	"table=7,priority=9,tcp,nw_src=10.0.0.9,actions=output:3",
	"table=7,priority=8,ip,nw_dst=10.0.0.2,actions=output:2",
	"table=8,ip,nw_src=10.0.0.9,actions=output:4",
	"table=0,in_port=5,ipv6,actions=resubmit(,6)",
}

// traceCTCases are like traceCases. Behind a "~" the stock daemon looks at less of the packet than decides what is done
// to it: ct_clear depends on whether the packet is tracked, resubmit(,,ct) on whether there is an original tuple.
var traceCTCases = []string{
	"br0 in_port=1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2",
	"br0 in_port=1,tcp --ct-next trk,est",
	"br0 in_port=1,tcp --ct-next trk,est,rpl",
	"br0 in_port=1,tcp --ct-next trk,inv",
	"br0 in_port=1,tcp --ct-next trk",
	"br0 in_port=1,tcp6",
	"br0 in_port=1,udp6 --ct-next trk,est",
	"br0 in_port=2,tcp",
	"br0 in_port=2,tcp6",
	"br0 in_port=2,tcp6,reg0=5,reg1=7",
	"br0 in_port=3,tcp",
	"br0 in_port=3,ct_state=trk|est,tcp",
	"br0 in_port=3,ct_state=trk|est,tcp,ct_mark=5,ct_zone=3",
	"br0 in_port=3,tcp6",
	"br0 in_port=3,ct_state=trk|est,tcp6",
	"br0 in_port=4,tcp",
	"br0 in_port=4,udp",
	"br0 in_port=4,udp --ct-next trk,est --ct-next trk,inv",
	"~ br0 in_port=4,icmp --ct-next trk,est",
	"br0 in_port=4,icmp,ct_state=trk|new",
	"br0 in_port=4,icmp6",
	"~ br0 in_port=5,tcp,nw_src=10.0.0.9,nw_dst=10.0.0.8",
	"br0 in_port=5,tcp,ct_state=trk|est,ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=6,ct_tp_src=5,ct_tp_dst=80,nw_src=10.0.0.9,nw_dst=10.0.0.8",
	"br0 in_port=5,ipv6",
	"~ br0 in_port=3,ct_state=trk|est,udp",
	"~ br0 in_port=3,ct_state=new,sctp",
	"in_port(3),ct_state(0x22),eth(),eth_type(0x0800),ipv4(frag=no)",
	"in_port(3),eth(),eth_type(0x0800),ipv4(frag=no)",
	"~ br0 in_port=3,arp",
	"~ br0 in_port=3,mpls,mpls_bos=1,ct_state=trk|est",
	"~ br0 in_port=3,rarp,ct_state=trk|est",
	"~ br0 in_port=5,tcp6,ct_state=trk|est,ct_ipv6_src=fc00::1,ct_nw_proto=6",
}

// TestTraceCTLikeStock is TestTraceLikeStock with connection tracking.
func TestTraceCTLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := 1; p <= 5; p++ {
			s.addPort("br0", p)
		}
		s.addBridge("br1", "other_config:hwaddr=aa:55:aa:55:00:01", "fail_mode=secure")
		s.Vsctl("add-port", "br0", "x0", "--", "set", "interface", "x0", "type=patch", "options:peer=x1", "ofport_request=10", "--",
			"add-port", "br1", "x1", "--", "set", "interface", "x1", "type=patch", "options:peer=x0", "ofport_request=11")
		s.Ofctl("add-flow", "br1", "actions=ct_clear,move:NXM_NX_CT_STATE[]->NXM_NX_REG0[],in_port")
		for _, f := range traceCTFlows {
			s.Ofctl("-OOpenFlow15", "add-flow", "br0", f)
		}
	}
	for _, c := range traceCTCases {
		c, anyMask := strings.CutPrefix(c, "~ ")
		args := append([]string{"ofproto/trace"}, strings.Fields(c)...)
		got, _ := ours.Try("ovs-appctl", args...)
		want, _ := stock.Try("ovs-appctl", args...)
		if diff := cmp.Diff(traceLines(want, anyMask), traceLines(got, anyMask)); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s\n%s", c, diff, got)
		}
	}
}
