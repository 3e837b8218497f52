package dummy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// actionCase is a flow table and what is sent through it.
type actionCase struct {
	name  string
	of    string // OpenFlow version of the flows, "" is OpenFlow15
	flows []string
	// anyMask: the stock daemon's megaflow is wider or narrower than what decides it needs.
	anyMask bool
}

// actionPackets meet every actionCase, at port 1: what they look like and, of those that have more, what they are.
var actionPackets = []string{
	"eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0x20,ttl=64,frag=no),tcp(src=1000,dst=80),tcp_flags(syn)",
	"eth(src=50:54:00:00:00:03,dst=50:54:00:00:00:04),eth_type(0x0800),ipv4(src=10.0.0.3,dst=10.0.0.9,proto=17,tos=0,ttl=1,frag=no),udp(src=7,dst=4789)",
	"eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:02),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0,proto=6,tclass=0x2c,hlimit=64,frag=no),tcp(src=9,dst=10),tcp_flags(ack)",
	"eth(src=50:54:00:00:00:06,dst=50:54:00:00:00:07),eth_type(0x8100),vlan(vid=10,pcp=3),encap(eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0))",
	"eth(src=50:54:00:00:00:01,dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.2,op=1,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)",
	"eth(src=50:54:00:00:00:08,dst=50:54:00:00:00:02),eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=1) 50540000000250540000000888470006474045000028000000004006" + "66ce" + "0a0000010a00000203e8005000000000000000005002000097a80000",
	"eth(src=50:54:00:00:00:08,dst=50:54:00:00:00:02),eth_type(0x8847),mpls(label=100,tc=3,ttl=64,bos=0,label=200,tc=0,ttl=9,bos=1) 505400000002505400000008884700064640000c810945000028000000004006" + "66ce" + "0a0000010a00000203e8005000000000000000005002000097a80000",
}

var actionCases = []actionCase{
	{name: "multipath", flows: []string{
		"priority=9,tcp,actions=multipath(symmetric_l4,50,modulo_n,5,0,NXM_NX_REG0[0..15]),output:NXM_NX_REG0[]",
		"priority=9,udp,actions=multipath(symmetric_l3l4,7,hrw,64,0,NXM_NX_REG1[8..23]),output:2",
		"priority=9,tcp6,actions=multipath(symmetric_l3l4+udp,7,iter_hash,1000,1234,NXM_NX_REG1[]),output:2",
		"priority=9,icmp,actions=multipath(eth_src,0,hash_threshold,256,0,NXM_NX_REG1[]),output:2",
		"priority=9,arp,actions=multipath(symmetric_l3,0,modulo_n,60000,0,NXM_NX_REG1[]),output:2",
		"priority=9,mpls,actions=multipath(symmetric_l4,0,hrw,1000,0,NXM_NX_REG1[]),output:2",
	}},
	{name: "multipath of every packet", anyMask: true, flows: []string{
		"actions=" + everyHash(),
	}},
	{name: "bundle", flows: []string{
		"priority=9,tcp,actions=bundle(eth_src,0,active_backup,ofport,members:77,3,2)",
		"priority=9,udp,actions=bundle_load(symmetric_l3l4+udp,5,hrw,ofport,NXM_NX_REG0[],members:2,77,3,4,5),output:NXM_NX_REG0[]",
		"priority=9,tcp6,actions=bundle(symmetric_l4,5,hrw,ofport,members:2,3,4,5),output:2",
		"priority=9,icmp,actions=bundle_load(nw_src,5,hrw,ofport,NXM_NX_REG0[0..15],members:77),output:NXM_NX_REG0[0..15]",
		"priority=9,arp,actions=bundle(nw_dst,5,hrw,ofport,members:77)",
		"priority=9,mpls,actions=bundle(nw_dst,5,active_backup,ofport,members:77,1)",
	}},
	{name: "check_pkt_larger", flows: []string{
		"actions=check_pkt_larger(100)->NXM_NX_REG0[0],resubmit(,1)",
		"table=1,reg0=1/1,actions=output:2",
		"table=1,reg0=0/1,actions=output:3",
	}},
	{name: "check_pkt_larger in lists", flows: []string{
		"priority=9,tcp,actions=goto_table:1",
		"priority=9,udp,actions=resubmit(,1),output:3",
		"priority=9,tcp6,actions=check_pkt_larger(60)->NXM_NX_REG0[0]",
		"priority=9,icmp,actions=clone(check_pkt_larger(60)->NXM_NX_REG0[0],mod_dl_src:50:54:00:00:00:01,output:2),output:3",
		"priority=9,arp,actions=check_pkt_larger(20)->NXM_NX_REG0[0],check_pkt_larger(40)->NXM_NX_REG0[1],output:NXM_NX_REG0[]",
		"table=1,actions=mod_dl_src:50:54:00:00:00:01,check_pkt_larger(60)->NXM_NX_REG0[0],mod_dl_src:50:54:00:00:00:02,resubmit(,2),output:5",
		"table=2,reg0=1,actions=output:4",
	}},
	{name: "push_mpls", flows: []string{
		"priority=9,tcp,actions=push_mpls:0x8847,set_mpls_label:7,set_mpls_tc:3,output:2,push_mpls:0x8848,set_mpls_ttl:9,output:3",
		"priority=9,udp,actions=mod_nw_src:1.2.3.4,push_mpls:0x8847,dec_mpls_ttl,output:2",
		"priority=9,tcp6,actions=clone(push_mpls:0x8847,output:2),dec_ttl,output:3",
		"priority=9,icmp,actions=push_mpls:0x8847,output:2,pop_mpls:0x0800,output:3",
		"priority=9,arp,actions=push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,output:2",
		"priority=9,mpls,actions=push_mpls:0x8847,set_field:9->mpls_label,output:2",
	}},
	{name: "push_mpls too often", anyMask: true, flows: []string{"actions=push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,push_mpls:0x8847,output:2"}},
	{name: "pop_mpls and output", flows: []string{
		"priority=9,mpls,mpls_bos=1,actions=output:3,pop_mpls:0x0800,mod_dl_src:00:00:00:00:00:01,output:2",
		"priority=9,mpls,mpls_bos=0,actions=pop_mpls:0x8847,output:2,pop_mpls:0x0800,output:3",
	}},
	{name: "pop_mpls and parse", anyMask: true, flows: []string{
		"priority=9,mpls,mpls_bos=1,actions=set_field:5->reg0,push:NXM_NX_REG0[],resubmit(,1),output:5",
		"table=1,mpls,actions=pop_mpls:0x0800,output:2,dec_ttl,resubmit(,2),output:3",
		"table=2,ip,nw_dst=10.0.0.2,reg0=5,actions=pop:NXM_NX_REG1[],mod_nw_tos:32,output:4",
		"priority=9,mpls,mpls_bos=0,actions=clone(pop_mpls:0x8847,set_mpls_label:44,output:2),output:3,dec_mpls_ttl,output:4",
	}},
	{name: "set_mpls", flows: []string{
		"priority=9,mpls,actions=dec_mpls_ttl,set_mpls_label:55,output:2,set_mpls_tc:1,output:3,set_mpls_ttl:1,output:4,dec_mpls_ttl,output:5",
	}},
	{name: "encap and decap", anyMask: true, of: "OpenFlow13", flows: []string{
		"priority=9,tcp,actions=mod_dl_src:50:54:00:00:00:09,decap(),encap(ethernet),set_field:50:54:00:00:00:0a->eth_dst,output:2",
		"priority=9,udp,actions=clone(decap(),encap(ethernet),output:2),output:3",
		"priority=9,tcp6,actions=decap(),output:2",
		"priority=9,icmp,actions=decap(),encap(ethernet),output:2",
		"priority=9,arp,actions=encap(ethernet),output:2",
		"priority=9,mpls,actions=output:3,clone(decap(),encap(ethernet),mod_dl_dst:50:54:00:00:00:0b,output:2)",
	}},
	{name: "copies", flows: []string{
		"priority=9,tcp,actions=clone(output(port=2,max_len=20),mod_dl_src:50:54:00:00:00:09,output:3),output:4",
		"priority=9,udp,actions=output:4,clone(output(port=2,max_len=20),output:3)",
		"priority=9,tcp6,actions=clone(output:2),clone(mod_dl_src:50:54:00:00:00:09,output:3),output:4",
		"priority=9,arp,actions=clone(output(port=2,max_len=20),output:3),write_actions(output:5)",
	}},
	{name: "outputs", flows: []string{
		"priority=9,tcp,actions=output:2,IN_PORT,LOCAL,output:77,set_field:3->reg1,output:NXM_NX_REG1[0..15]",
		"priority=9,udp,actions=CONTROLLER:30,controller(max_len=20,id=3,reason=no_match)",
		"priority=9,arp,actions=set_queue:3,output:2,pop_queue,output:3",
		"priority=9,icmp,actions=note:00.11.22,output:2,exit,output:3",
		"priority=9,tcp6,actions=sample(probability=1,collector_set_id=1,obs_domain_id=1,obs_point_id=1),output:2,sample(probability=65535,collector_set_id=7,obs_domain_id=1,obs_point_id=1,sampling_port=2,egress)",
		"priority=9,mpls,actions=output(port=2,max_len=14),output(port=3,max_len=1000)",
	}},
	{name: "enqueue", anyMask: true, of: "OpenFlow10", flows: []string{
		"priority=9,tcp,actions=enqueue:2:1,output:3",
		"priority=9,udp,actions=enqueue:IN_PORT:1,mod_dl_src:50:54:00:00:00:09,enqueue:LOCAL:7",
		"priority=9,arp,actions=set_tunnel:5,set_tunnel64:0x100000000,output:2",
	}},
	{name: "the order of an action set", flows: []string{
		"priority=9,tcp,actions=write_actions(output:2,set_field:9->tcp_dst,dec_ttl,set_field:10->tcp_dst,push_vlan:0x8100,push_mpls:0x8847)",
		"priority=9,udp,actions=write_actions(output:2,set_field:50:54:00:00:00:09->eth_dst),goto_table:1",
		"table=1,priority=9,udp,actions=output:4,write_actions(output:3,set_field:50:54:00:00:00:0a->eth_dst)",
		"priority=9,ip,dl_vlan=10,actions=write_actions(output:2,push_vlan:0x8100,pop_vlan,dec_ttl)",
		"priority=9,mpls,actions=write_actions(output:2,dec_mpls_ttl,pop_mpls:0x0800,push_vlan:0x8100)",
		"priority=9,arp,actions=output:2,clear_actions,write_actions(output:3),write_metadata:0x5/0xf,goto_table:1",
		"table=1,priority=9,arp,metadata=5,actions=clear_actions",
	}},
}

// everyHash hashes by every field with every algorithm, each into a register of its own.
func everyHash() string {
	var list []string
	for _, f := range []string{"eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"} {
		for _, a := range []string{"modulo_n,65536", "hash_threshold,60000", "hrw,63", "iter_hash,60000"} {
			list = append(list, fmt.Sprintf("multipath(%s,%d,%s,70000,NXM_NX_REG%d[%d..%d])", f, 1000*len(list), a, len(list)/2, len(list)%2*16, len(list)%2*16+15))
		}
	}
	return strings.Join(list, ",")
}

// TestActionsLikeStock gives flows of every action to the stock daemon and to ours: they must dump, trace and forward
// alike.
func TestActionsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := range 5 {
			s.addPort("br0", 1+p)
		}
	}
	for _, c := range actionCases {
		t.Run(c.name, func(t *testing.T) { c.run(t, ours, stock) })
	}
}

func (c *actionCase) run(t *testing.T, ours, stock *sim) {
	version := "-O" + c.of
	if c.of == "" {
		version = "-OOpenFlow15"
	}
	for _, s := range []*sim{ours, stock} {
		s.t = t
		s.reset(nil)
		for _, f := range c.flows {
			s.Ofctl(version, "add-flow", "br0", f)
		}
	}
	if diff := cmp.Diff(stock.flows(version), ours.flows(version)); diff != "" {
		t.Errorf("dump-flows (-stock +ours):\n%s", diff)
	}
	for _, p := range actionPackets {
		look, data, ok := strings.Cut(p, " ")
		if !ok {
			data = look
		}
		args := []string{"ofproto/trace", "in_port(1)," + look}
		want, got := stock.Appctl(args...), ours.Appctl(args...)
		if diff := cmp.Diff(tracedActions(want, c.anyMask), tracedActions(got, c.anyMask)); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s\n%s", args, diff, got)
		}
		ours.receive("p1", data)
		ours.revalidate()
		stock.receive("p1", data)
		stock.Appctl("revalidator/purge")
	}
	if diff := difference(ours.state, stock.state); diff != "" {
		t.Errorf("what came out (-stock +ours):\n%s", diff)
	}
}

// namesInTrace are what each daemon chooses for itself. The stock daemon writes label stack entries as a whole, ours the
// fields that change, as it reads no others; a queue of its dummy ports has its number as priority, of ours the class that Linux
// gives it.
var namesInTrace = regexp.MustCompile(`set\(mpls\([^)]*\)\)|skb_priority\(0x[0-9a-f]+\)|recirc_id=0x[0-9a-f]+|recirc_id=\d+|recirc\(0x[0-9a-f]+\)|\(recirc_id\([^)]*\)\)`)

// tracedActions are the last lines of a trace's first part: the final flow, the megaflow, the datapath's actions.
func tracedActions(out string, anyMask bool) (lines []string) {
	for _, l := range strings.Split(out, "\n") {
		if strings.HasPrefix(l, "=====") && lines != nil {
			break // behind a recirculation
		}
		for _, w := range []string{"Final flow: ", "Megaflow: ", "Datapath actions: "} {
			if strings.HasPrefix(l, w) && (w != "Megaflow: " || !anyMask) {
				lines = append(lines, namesInTrace.ReplaceAllString(l, "N"))
			}
		}
	}
	return lines
}
