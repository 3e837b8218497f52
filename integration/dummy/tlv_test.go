package dummy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTLVLikeStock changes the TLV table and flows that use it, of the stock daemon and of ours, and compares all that is
// answered, errors too.
func TestTLVLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 3)
	const actions = "set_field:0x12->tun_metadata1,push:tun_metadata0[0..15],pop:tun_metadata1[2..17],load:5->tun_metadata1[8..15]," +
		"move:tun_metadata0[0..31]->reg0[],move:reg1[]->tun_metadata1[32..63],delete_field:tun_metadata0,output:1"
	var steps []string
	for _, v := range []string{"OpenFlow10", "OpenFlow12", "OpenFlow13", "OpenFlow15"} {
		steps = append(steps, []string{
			"add-tlv-map br0 {class=0xffff,type=0,len=4}->tun_metadata0,{class=0xffff,type=1,len=8}->tun_metadata1,{class=0xffff,type=2,len=0}->tun_metadata2",
			"dump-tlv-map br0",
			"add-tlv-map br0 {class=0xffff,type=0,len=4}->tun_metadata5",
			"add-tlv-map br0 {class=0xffff,type=9,len=4}->tun_metadata0",
			"add-tlv-map br0 {class=0xffff,type=9,len=4}->tun_metadata6,{class=0xffff,type=9,len=4}->tun_metadata7",
			"add-tlv-map br0 {class=0xffff,type=9,len=3}->tun_metadata6",
			"add-tlv-map br0 {class=0xffff,type=9,len=4}->tun_metadata64",
			"add-tlv-map br0 {class=0xffff,type=9,len=124}->tun_metadata6,{class=0xffff,type=10,len=124}->tun_metadata7",
			"-O" + v + " add-flow br0 tun_metadata0=0x1234,actions=" + actions,
			"-O" + v + " add-flow br0 tun_metadata0,actions=1",
			"-O" + v + " add-flow br0 tun_metadata2,actions=1",
			"-O" + v + " add-flow br0 tun_metadata1=0x1200/0xff00,tun_metadata0=0/0x1,actions=1",
			"-O" + v + " add-flow br0 tun_metadata1=0x123456789,tun_id=5,actions=2",
			"-O" + v + " add-flow br0 tun_metadata0=0x1234567890,actions=3",
			"-O" + v + " add-flow br0 tun_metadata9=1,actions=3",
			"-O" + v + " add-flow br0 in_port=1,actions=set_field:1->tun_metadata9",
			"-O" + v + " add-flow br0 in_port=2,actions=set_field:0x1/0xf->tun_metadata1,learn(table=1,NXM_NX_TUN_METADATA1[0..15],load:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG0[0..15])",
			"-O" + v + " add-flow br0 in_port=2,table=3,actions=load:1->tun_metadata0[30..33]",
			"-O" + v + " dump-flows br0",
			"-O" + v + " dump-flows br0 tun_metadata0=0x1234",
			"-O" + v + " dump-flows br0 tun_metadata0",
			"del-tlv-map br0",
			"del-tlv-map br0 {class=0xffff,type=1,len=8}->tun_metadata1",
			"-O" + v + " --strict del-flows br0 tun_metadata0",
			"-O" + v + " del-flows br0 tun_metadata0=0x1234",
			"-O" + v + " dump-flows br0",
			"-O" + v + " del-flows br0",
			"del-tlv-map br0 {class=0x1,type=7,len=8}->tun_metadata1",
			"dump-tlv-map br0",
			"del-tlv-map br0",
			"dump-tlv-map br0",
		}...)
	}
	var got [2][]string
	for i, s := range both {
		for _, step := range steps {
			out, code := s.Try("ovs-ofctl", strings.Fields(step)...)
			out = variable.ReplaceAllString(txid.ReplaceAllString(out, ""), "")
			lines := strings.Split(out, "\n")
			slices.Sort(lines)        // flows come in any order
			for _, l := range lines { // not the tool's own warnings, and without the time of day
				if !strings.Contains(l, "|WARN|") && !strings.Contains(l, "|INFO|") {
					got[i] = append(got[i], fmt.Sprintf("%s (%d): %s", step, code, l))
				}
			}
		}
	}
	if diff := cmp.Diff(got[1], got[0]); diff != "" {
		t.Errorf("-stock +ours:\n%s", diff)
	}
}

// geneve is a packet that came through a tunnel, with options.
func geneve(options string) string {
	if options != "" {
		options = "geneve(" + options + "),"
	}
	return "tunnel(tun_id=0x7,src=1.1.1.1,dst=2.2.2.2,ttl=64," + options + "flags(key))," + ping(1, 2, 0)
}

// addGeneve adds tunnel port gN, number 10+N, that takes all packets of a UDP port.
func (s *sim) addGeneve(n int) {
	s.t.Helper()
	name := fmt.Sprintf("g%d", n)
	s.Vsctl("add-port", "br0", name, "--", "set", "interface", name, "type=geneve", "options:remote_ip=flow", "options:key=flow",
		fmt.Sprintf("options:dst_port=%d", 7000+n), fmt.Sprintf("ofport_request=%d", 10+n))
}

// Packets with options match flows, and the megaflow knows which options decided.
func TestTunnelOptions(t *testing.T) {
	t.Parallel()
	s := start(t, 4, "fail_mode=secure")
	s.addGeneve(1)
	s.Ofctl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0,{class=0x102,type=0x80,len=8}->tun_metadata5")
	s.Ofctl("add-flow", "br0", "priority=9,tun_metadata0=0x1200/0xff00,actions=output:2")
	s.Ofctl("add-flow", "br0", "priority=8,tun_metadata5,actions=move:tun_metadata5[0..31]->reg0[],output:reg0[]")
	s.Ofctl("add-flow", "br0", "priority=1,actions=output:4")
	for _, tt := range []struct{ name, options, out string }{
		{"no options", "", "p4"},
		{"the value", "{class=0xffff,type=0,len=4,0x12ff}", "p2"},
		{"another value in the bits that are not looked at", "{class=0xffff,type=0,len=4,0x77771200}", "p2"},
		{"another value", "{class=0xffff,type=0,len=4,0x1300}", "p4"},
		{"behind another option", "{class=0x9,type=0x1,len=4,0x1}{class=0xffff,type=0,len=4,0x1255}", "p2"},
		{"the port is in the option", "{class=0x102,type=0x80,len=8,0x500000003}", "p3"},
		{"another port", "{class=0x102,type=0x80,len=8,0x500000002}", "p2"},
		{"not mapped", "{class=0x103,type=0,len=8,0x500000002}", "p4"},
	} {
		s.receive("genev_sys_7001", geneve(tt.options))
		s.went(tt.name, tt.out, "p1", "p2", "p3", "p4")
	}
	s.contains("megaflows", s.Appctl("dpctl/dump-flows"), "geneve({class=0xffff,type=0,len=4,0x1200/0xff00}", "{class=0x102,type=0x80,len=8,0x3/0xffffffff}")

	// The trace has the same, of both kinds of flows, and what actions make of options.
	s.contains("trace", s.Appctl("ofproto/trace", "br0", "in_port=11,tun_dst=1.1.1.1,tun_id=1,tun_metadata0=0x1234,tun_metadata5=0x9"),
		"tun_metadata0=0x1234,tun_metadata5=0x9", "0. tun_metadata0=0x1200/0xff00, priority 9",
		"Megaflow: recirc_id=0,eth,tun_id=0x1,tun_src=0.0.0.0,tun_dst=1.1.1.1,tun_tos=0,tun_flags=-df-csum-key,tun_metadata0=0x1200/0xff00,in_port=11,dl_type=0x0000", "Datapath actions: 2")
	s.contains("trace", s.Appctl("ofproto/trace", "in_port(7001),"+geneve("{class=0x102,type=0x80,len=8,0x500000003}")), "tun_metadata5=0x500000003", "output port is 3")

	// Another mapping has megaflows be made anew; a field in use stays.
	s.Ofctl("add-tlv-map", "br0", "{class=0x103,type=0,len=8}->tun_metadata6")
	s.Ofctl("add-flow", "br0", "priority=7,tun_metadata6=0x500000002,actions=output:3")
	s.revalidate()
	s.receive("genev_sys_7001", geneve("{class=0x103,type=0,len=8,0x500000002}"))
	s.went("mapped now", "p3", "p1", "p2", "p3", "p4")
	s.Ofctl("del-flows", "br0", "tun_metadata6")
	s.Ofctl("del-tlv-map", "br0", "{class=0x103,type=0,len=8}->tun_metadata6")
	if out, _ := s.Try("ovs-ofctl", "del-tlv-map", "br0"); !strings.Contains(out, "NXTTMFC_INVALID_TLV_DEL") {
		t.Errorf("fields in use are taken away: %s", out)
	}
}

// Controllers get the options of packets, and of paused ones give them back.
func TestTunnelOptionsToController(t *testing.T) {
	t.Parallel()
	s := start(t, 3, "fail_mode=secure")
	for n := range 3 {
		s.addGeneve(1 + n)
	}
	s.Ofctl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0,{class=0xffff,type=1,len=4}->tun_metadata1")
	s.Ofctl("add-flow", "br0", "in_port=g1,actions=set_field:3->tun_metadata1,controller(pause),output:tun_metadata1[0..31]")
	s.Ofctl("add-flow", "br0", "in_port=g2,actions=learn(table=1,NXM_NX_TUN_METADATA0[0..31],load:0x2->NXM_NX_REG0[0..15]),controller")
	s.Ofctl("add-flow", "br0", "in_port=g3,actions=resubmit(,1),output:reg0[0..15]")
	m := s.monitor("resume", "-P", "nxt_packet_in2", "-OOpenFlow15")
	s.receive("genev_sys_7001", geneve("{class=0xffff,type=0,len=4,0x77}"))
	s.Eventually("it is resumed", func() error {
		if n := len(s.sent("p3")); n != 1 {
			return fmt.Errorf("%d packets", n)
		}
		return nil
	})
	s.receive("genev_sys_7002", geneve("{class=0xffff,type=0,len=4,0x55}"))
	s.receive("genev_sys_7003", geneve("{class=0xffff,type=0,len=4,0x55}"))
	s.receive("genev_sys_7003", geneve("{class=0xffff,type=0,len=4,0x56}"))
	s.went("what was learned", "p2", "p1", "p2", "p3")
	s.contains("flows", s.Ofctl("dump-flows", "br0", "table=1"), "tun_metadata0=0x55 actions=load:0x2->NXM_NX_REG0[0..15]")
	s.contains("monitor", m.output(), "tun_metadata0=0x77,tun_metadata1=0x3", "tun_metadata0=0x55")
}

// TestTraceOptions has packet-outs to trace name tunnel options, which are as long as the TLV table has them.
func TestTraceOptions(t *testing.T) {
	t.Parallel()
	s := start(t, 2, "fail_mode=secure")
	s.Ofctl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0")
	trace := func(actions string) string {
		out, _ := s.Try("ovs-appctl", "ofproto/trace-packet-out", "br0", "in_port=1", actions)
		return out
	}
	s.contains("set_field", trace("set_field:5->tun_metadata0,move:tun_metadata0[0..7]->reg0[8..15],2"), "Final flow: reg0=0x500,in_port=1", "Datapath actions: 2")
	s.contains("delete_field", trace("set_field:5->tun_metadata0,delete_field:tun_metadata0,2"), " -> delete tun_metadata0\n", "Final flow: unchanged")
	s.contains("an option that is not mapped", trace("set_field:5->tun_metadata1,2"), "tun_metadata1 is not mapped to a tunnel option")
	s.contains("a value too large", trace("set_field:0x100000000->tun_metadata0,2"), "value too large for tun_metadata0")
}
