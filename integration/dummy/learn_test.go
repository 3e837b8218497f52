package dummy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// stockCase is a flow table and what happens to it: each step is a word and its arguments.
//
//	p1 PACKET     the port receives a packet
//	warp MS       time passes
//	push          megaflows are credited, and stay
//	trace ARGS    ofproto/trace br0 ARGS, of which the output is compared
//	ofctl ARGS    ovs-ofctl ARGS, of which the output and success are compared
type stockCase struct {
	name  string
	flows []string
	steps []string
}

// runLikeStock does the cases with the stock daemon and with ours, and compares after each step the flow table, and at
// the end every octet that came out.
func runLikeStock(t *testing.T, cases []stockCase) {
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := range 5 {
			s.addPort("br0", p+1)
		}
	}
	for _, c := range cases {
		for _, s := range []*sim{ours, stock} {
			s.reset(c.flows)
		}
		for _, step := range c.steps {
			a, b := ours.step(step), stock.step(step)
			packet := strings.HasPrefix(step, "p") && step != "push"
			if packet {
				ours.revalidate()
			}
			stockIs := func() string {
				if packet { // each time: it may not have forwarded the packet yet
					stock.Appctl("revalidator/purge")
				}
				return b + "\n" + stock.flows("-OOpenFlow10")
			}
			if diff := difference(func() string { return a + "\n" + ours.flows("-OOpenFlow10") }, stockIs); diff != "" {
				t.Errorf("%s, after %q (-stock +ours):\n%s", c.name, step, diff)
				break
			}
		}
		if diff := difference(ours.state, stock.state); diff != "" {
			t.Errorf("%s, at the end (-stock +ours):\n%s", c.name, diff)
		}
	}
}

// conjuncts are the lines of a trace that the stock daemon of the test machines (3.1) does not have yet.
var conjuncts = regexp.MustCompile(`(?m)^ *-> conj\..*\n`)

// logTime is when a tool logged something.
var logTime = regexp.MustCompile(`(?m)^[0-9T:.-]+Z\|`)

// step does one step and returns what it printed.
func (s *sim) step(step string) string {
	s.t.Helper()
	word, arg, _ := strings.Cut(step, " ")
	switch word {
	case "warp":
		s.Appctl("time/warp", arg, "1000")
	case "push":
		s.revalidate()
	case "trace":
		out := s.Appctl(append([]string{"ofproto/trace", "br0"}, strings.Fields(arg)...)...)
		return conjuncts.ReplaceAllString(out, "")
	case "ofctl":
		out, code := s.Try("ovs-ofctl", strings.Fields(arg)...)
		return fmt.Sprintf("%s\nexit %d", logTime.ReplaceAllString(out, ""), code)
	default:
		s.receive(word, arg)
	}
	return ""
}

func tcp(a, b, sport, dport int, flags string) string {
	return fmt.Sprintf("eth(src=50:54:00:00:00:%02x,dst=50:54:00:00:00:%02x),eth_type(0x0800),ipv4(src=10.0.0.%d,dst=10.0.0.%d,proto=6,tos=0,ttl=64,frag=no),tcp(src=%d,dst=%d),tcp_flags(%s)",
		a, b, a, b, sport, dport, flags)
}

func TestLearnLikeStock(t *testing.T) {
	t.Parallel()
	// The learning switch of OVS's advanced tutorial, without its access ports.
	tutorial := []string{
		"table=0,dl_src=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop",
		"table=0,dl_dst=01:80:c2:00:00:00/ff:ff:ff:ff:ff:f0,actions=drop",
		"table=0,priority=0,actions=resubmit(,2)",
		"table=2,actions=learn(table=10,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]),resubmit(,3)",
		"table=3,priority=50,actions=resubmit(,10),resubmit(,4)",
		"table=3,priority=99,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,4)",
		"table=4,reg0=0,actions=flood",
		"table=4,priority=1,actions=output:NXM_NX_REG0[]",
	}
	const timeouts = "table=0,tcp,actions=learn(table=1,hard_timeout=10,idle_timeout=25,priority=7,cookie=0xabc,send_flow_rem,fin_idle_timeout=3,fin_hard_timeout=4,dl_type=0x0800,nw_proto=6,NXM_OF_IP_SRC[]=NXM_OF_IP_DST[],NXM_OF_TCP_SRC[]=NXM_OF_TCP_DST[],output:NXM_OF_IN_PORT[]),resubmit(,1)"
	runLikeStock(t, []stockCase{
		{"learning switch", tutorial, []string{
			"trace in_port=1,dl_src=50:54:00:00:00:01,dl_dst=01:80:c2:00:00:00",
			"p1 " + ping(1, 2, 0), "p2 " + ping(2, 1, 0), "p1 " + ping(1, 2, 0), "p3 " + ping(3, 2, 10), "p1 " + ping(3, 1, 10),
			"trace in_port=3,dl_vlan=10,dl_src=f0:00:00:00:00:01,dl_dst=50:54:00:00:00:03 -generate",
			"trace in_port=2,dl_src=50:54:00:00:00:02,dl_dst=50:54:00:00:00:01",
			// A host moves.
			"p4 " + ping(1, 2, 0), "p2 " + ping(2, 1, 0),
		}},
		{"every kind of spec", []string{
			"table=0,priority=2,ip,actions=learn(table=1,priority=9,cookie=5,dl_type=0x0800,nw_dst=10.0.0.1,NXM_OF_IP_PROTO[],load:0x1234->NXM_NX_REG1[4..19],load:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],load:NXM_OF_IP_SRC[0..7]->NXM_NX_REG2[8..15],output:NXM_OF_IN_PORT[])",
			"table=0,priority=1,actions=load:0xfff8->NXM_NX_REG3[],learn(table=1,NXM_OF_IN_PORT[],NXM_OF_ETH_DST[0..23]=NXM_OF_ETH_SRC[8..31],NXM_OF_ETH_TYPE[],output:NXM_NX_REG3[])",
			"table=0,priority=3,arp,actions=load:0xfff1->NXM_NX_REG3[],learn(table=1,dl_type=0x0806,NXM_OF_ARP_TPA[]=NXM_OF_ARP_SPA[],NXM_OF_ARP_OP[],reg5=7,NXM_NX_REG6[0..3]=5,output:NXM_NX_REG3[]),learn(table=2,NXM_OF_VLAN_TCI[],NXM_OF_IN_PORT[0..7],load:0->NXM_OF_VLAN_TCI[0..11])",
			"table=0,priority=4,in_port=5,actions=set_field:1->metadata,learn(table=3,OXM_OF_METADATA[],load:5->OXM_OF_METADATA[],load:NXM_NX_REG0[]->NXM_NX_XXREG0[96..127])",
		}, []string{
			"p1 " + ping(1, 2, 0), "p2 " + ping(1, 2, 0), "p2 " + ping(7, 1, 10),
			"p3 eth(src=50:54:00:00:00:01,dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.2,op=1,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)",
			"p4 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0,proto=17,tclass=0,hlimit=64,frag=no),udp(src=1,dst=2)",
			"p5 " + ping(1, 2, 0),
			"trace in_port=1,dl_vlan=5,dl_type=0x1234 -generate",
			"trace in_port=1,icmp,nw_src=10.0.0.7 -generate",
		}},
		{"timeouts", []string{timeouts}, []string{
			"p1 " + tcp(1, 2, 1000, 80, "syn"), "warp 6000",
			// The next packet starts the hard timeout anew.
			"p1 " + tcp(1, 2, 1000, 80, "ack"), "warp 6000", "p2 " + tcp(2, 1, 80, 1000, "ack"), "warp 5000",
			"p1 " + tcp(1, 2, 1000, 80, "ack"), "p2 " + tcp(2, 1, 80, 1000, "fin|ack"), "warp 3000",
		}},
		{"traffic of a megaflow keeps what it learned", []string{timeouts}, []string{
			"p1 " + tcp(1, 2, 1000, 80, "ack"), "push", "warp 4000", "p1 " + tcp(1, 2, 1000, 80, "ack"), "push", "warp 4000", "p1 " + tcp(1, 2, 1000, 80, "ack"), "push", "warp 4000",
			// And makes it again.
			"ofctl del-flows br0 table=1", "p1 " + tcp(1, 2, 1000, 80, "ack"), "push",
			"ofctl mod-flows br0 table=1,actions=drop", "p1 " + tcp(1, 2, 1000, 80, "ack"), "push",
			"warp 14000",
		}},
		{"limit and result", []string{
			"table=0,priority=1,actions=learn(table=1,limit=2,result_dst=reg0[0],cookie=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,2)",
			"table=2,priority=0,actions=output:5", "table=2,priority=1,reg0=1/1,actions=output:4",
			"table=1,cookie=9,priority=3,dl_dst=50:54:00:00:00:77,actions=drop",
		}, []string{
			"p1 " + ping(1, 2, 0), "p1 " + ping(2, 1, 0), "p2 " + ping(3, 1, 0), "p1 " + ping(1, 2, 0), "p1 " + ping(2, 1, 0),
			"trace in_port=1,dl_src=50:54:00:00:00:09 -generate", "trace in_port=1,dl_src=50:54:00:00:00:01 -generate",
			"ofctl del-flows br0 table=1,dl_dst=50:54:00:00:00:77", "p1 " + ping(2, 1, 0), "p2 " + ping(1, 2, 0),
		}},
		{"delete_learned", []string{
			"table=0,priority=1,cookie=1,actions=learn(table=1,delete_learned,cookie=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
			"table=0,priority=2,in_port=2,cookie=2,actions=learn(table=1,delete_learned,cookie=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
			"table=0,priority=3,in_port=3,cookie=3,actions=learn(table=1,cookie=6,delete_learned,priority=8,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),clone(learn(table=2,delete_learned,cookie=7,NXM_OF_ETH_DST[]))",
			"table=1,cookie=5,actions=learn(table=3,delete_learned,cookie=8,NXM_OF_ETH_SRC[])", "table=3,cookie=8,actions=drop",
		}, []string{
			"p1 " + ping(1, 2, 0), "p2 " + ping(2, 1, 0), "p3 " + ping(3, 1, 0),
			"ofctl mod-flows br0 cookie=2/-1,actions=drop", "ofctl add-flow br0 table=0,priority=1,actions=learn(table=1,delete_learned,cookie=5,NXM_OF_ETH_DST[])",
			"ofctl --strict del-flows br0 table=0,priority=1", "ofctl del-flows br0 cookie=3/-1",
		}},
		{"not seen by the packet that learns", []string{
			"table=0,actions=learn(table=1,NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),resubmit(,1),output:5", "table=1,priority=0,actions=output:4",
		}, []string{"p1 " + ping(1, 2, 0), "p1 " + ping(1, 2, 0), "trace in_port=1,dl_src=50:54:00:00:00:09 -generate"}},
		{"fin_timeout", []string{"table=0,tcp,actions=fin_timeout(idle_timeout=5,hard_timeout=20),output:2", "table=0,tcp,in_port=2,idle_timeout=4,actions=fin_timeout(idle_timeout=5),output:1"}, []string{
			"p1 " + tcp(1, 2, 1000, 80, "ack"), "p1 " + tcp(1, 2, 1000, 80, "rst"), "p2 " + tcp(1, 2, 1000, 80, "fin"), "warp 3000", "p1 " + tcp(1, 2, 1000, 80, "fin"), "warp 3000", "warp 15000",
		}},
		{"fin_timeout of a megaflow", []string{"table=0,tcp,actions=fin_timeout(idle_timeout=5,hard_timeout=20),output:2"}, []string{
			"p1 " + tcp(1, 2, 1000, 80, "ack"), "push", "p1 " + tcp(1, 2, 1000, 80, "fin|ack"), "push", "warp 21000",
		}},
		{"packet-outs learn", []string{"table=0,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"}, []string{
			"ofctl packet-out br0 in_port=3,packet=505400000002505400000001080045000000,actions=table",
			"ofctl packet-out br0 in_port=2,packet=505400000002505400000007080045000000,actions=learn(table=2,cookie=4,NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),fin_timeout(idle_timeout=1)",
		}},
		{"errors", nil, []string{
			"ofctl add-flow br0 actions=learn(table=1,NXM_OF_IP_SRC[])", "ofctl add-flow br0 ip,actions=learn(table=1,NXM_OF_IP_SRC[])", "ofctl add-flow br0 ip,actions=learn(table=254,NXM_OF_ETH_SRC[])",
			"ofctl add-flow br0 -OOpenFlow13 ip,actions=fin_timeout(idle_timeout=1)", "p1 " + ping(1, 2, 0), "trace in_port=1,ip -generate",
		}},
	})
}
