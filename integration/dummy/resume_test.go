package dummy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// pauses are flow tables that stop packets for a controller in many places, and how many packets come out of br0's and
// br1's ports for one that p1 receives. (The stock daemon loses what follows a clone that pauses, and its own tools cannot
// read a continuation with write_actions: neither is here.)
var pauses = []struct {
	name  string
	flows []string // of br0, those behind "br1 " of br1, behind "group " groups of br0
	want  int
}{
	{"last action", []string{"in_port=1,actions=output:2,controller(pause)"}, 1},
	{"nested resubmits", []string{
		"cookie=0xa,ip,actions=push:NXM_NX_REG2[],push:NXM_OF_ETH_SRC[0..11],load:7->NXM_NX_REG1[],resubmit(,1),pop:NXM_NX_REG4[0..11],output:2",
		"table=1,cookie=0xb,ip,in_port=1,actions=resubmit(,2),controller(max_len=20),dec_ttl,note:00.11,resubmit(,3),resubmit(3,),output:4",
		"table=2,cookie=0xc,ip,actions=mod_nw_tos:4,controller(userdata=aa.bb,pause,max_len=10),load:8->NXM_NX_REG1[],output:3",
		"table=3,reg1=8,actions=output:2,output:4",
		"table=1,in_port=3,reg1=8,actions=output:3",
	}, 5},
	{"twice", []string{"in_port=1,actions=controller(pause,userdata=01),output:2,controller(pause,userdata=02,reason=no_match),output:3,resubmit(,1),output:4",
		"table=1,actions=controller(pause,id=0,userdata=03),mod_dl_src:50:54:00:00:00:99"}, 3},
	{"in the peer of a patch port", []string{"in_port=1,cookie=1,actions=set_field:5->reg0,output:9,output:2",
		"br1 in_port=9,cookie=2,actions=set_field:6->reg3,resubmit(,1),output:11", "br1 table=1,cookie=3,actions=controller(pause),output:12"}, 3},
	{"in buckets", []string{"group group_id=1,type=all,bucket=mod_dl_src:50:54:00:00:00:99,controller(pause,userdata=01),bucket=output:2,bucket=output:3",
		"in_port=1,cookie=9,actions=group:1,output:4"}, 3},
	// Both learn what the controller's copy of the packet says.
	{"before it learns", []string{"in_port=1,cookie=9,actions=set_field:6->reg3,controller(pause,userdata=01),learn(table=1,cookie=7,hard_timeout=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_NX_REG3[]->NXM_NX_REG4[],output:NXM_OF_IN_PORT[]),resubmit(,1),output:3",
		"table=1,priority=1,actions=output:4"}, 2},
	{"in a clone at the end", []string{"in_port=1,cookie=9,actions=output:2,clone(mod_dl_src:50:54:00:00:00:99,controller(pause,userdata=01),output:3)"}, 2},
}

var unstable = regexp.MustCompile(`\(xid=0x[0-9a-f]+\)|continuation\.bridge=\S+|continuation\.odp_port=\d+|, length .*|udp_csum:\S+|icmp_csum:\S+`)

// TestResumeLikeStock has ovs-ofctl monitor resume packets of the stock daemon and of ours at once, and compares what it
// prints and what comes out.
func TestResumeLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 4)
	for _, s := range both {
		s.addBridge("br1", "fail_mode=secure")
		s.addPort("br1", 11)
		s.addPort("br1", 12)
		for _, p := range [][3]string{{"br0", "pa", "pb"}, {"br1", "pb", "pa"}} {
			s.Vsctl("add-port", p[0], p[1], "--", "set", "interface", p[1], "type=patch", "ofport_request=9", "options:peer="+p[2])
		}
	}
	for _, version := range []string{"OpenFlow10", "OpenFlow13", "OpenFlow15"} {
		for _, tt := range pauses {
			t.Run(version+" "+tt.name, func(t *testing.T) {
				var text, packets [2]string
				for i, s := range both {
					s.t = t
					s.pausing(tt.flows)
					text[i], packets[i] = s.resumed(version, tt.want)
				}
				if diff := cmp.Diff(strings.Split(text[1], "\n"), strings.Split(text[0], "\n")); diff != "" {
					t.Errorf("monitor (-stock +ours):\n%s", diff)
				}
				if strings.Contains(strings.Join(tt.flows, "\n"), "learn(") && !strings.Contains(text[0], "cookie=0x7, ") {
					t.Errorf("nothing was learned:\n%s", text[0])
				}
				if diff := cmp.Diff(packets[1], packets[0]); diff != "" {
					t.Errorf("packets (-stock +ours):\n%s", diff)
				}
			})
		}
	}
}

// pausing replaces all flows.
func (s *sim) pausing(flows []string) {
	s.t.Helper()
	for _, br := range []string{"br0", "br1"} {
		s.Ofctl("-OOpenFlow13", "del-flows", br)
		s.Ofctl("-OOpenFlow13", "del-groups", br)
	}
	for _, f := range flows {
		kind, rest, _ := strings.Cut(f, " ")
		switch kind {
		case "br1":
			s.Ofctl("-OOpenFlow15", "add-flow", "br1", rest)
		case "group":
			s.Ofctl("-OOpenFlow15", "add-group", "br0", rest)
		default:
			s.Ofctl("-OOpenFlow15", "add-flow", "br0", f)
		}
	}
	s.revalidate()
}

// resumed sends a packet, which monitors of both bridges resume until n packets are out. It returns what the monitors print
// and those packets.
func (s *sim) resumed(version string, n int) (text, packets string) {
	s.t.Helper()
	var monitors []*monitor
	for _, br := range []string{"br0", "br1"} {
		monitors = append(monitors, s.monitorOf(br, "-O"+version, "resume", "-P", "nxt_packet_in2"))
	}
	s.receive("p1", ping(1, 2, 0))
	var out []string
	s.Eventually(fmt.Sprintf("%d packets come out", n), func() error {
		for _, p := range []string{"p1", "p2", "p3", "p4", "p11", "p12"} {
			for _, b := range s.sent(p) {
				out = append(out, p+" "+b)
			}
		}
		if len(out) < n {
			return fmt.Errorf("only %q", out)
		}
		return nil
	})
	text = s.flows("table=1,cookie=7/-1") + "\n"
	for _, m := range monitors {
		text += unstable.ReplaceAllString(m.output(), "")
	}
	var lines []string
	for l := range strings.Lines(text) {
		if !strings.Contains(l, "BARRIER") {
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(a[:3], b[:3]) })
	return strings.Join(lines, ""), strings.Join(out, "\n")
}

// A packet may wait long, longer than its flow, and come back in any order: what is to be done is in the message.
func TestResumeLate(t *testing.T) {
	t.Parallel()
	s := start(t, 3, "fail_mode=secure")
	s.Ofctl("add-flow", "br0", "in_port=1,actions=set_field:3->reg5,controller(pause),set_field:50:54:00:00:00:77->eth_src,output:NXM_NX_REG5[]")
	c := s.client(openflow.V15)
	s.receive("p1", ping(1, 2, 0), ping(1, 3, 0))
	waiting := []*openflow.PacketIn{c.packetIn(), c.packetIn()}
	s.Ofctl("del-flows", "br0")
	s.Appctl("time/warp", "20000", "10000")
	s.went("while they wait", "", "p1", "p2", "p3")
	var back [2]openflow.PacketIn
	for i, in := range waiting {
		back[i] = *in
		back[i].Reason, back[i].TotalLen = openflow.ReasonAction, 0
	}
	back[1].Metadata.Set(flow.Reg(5), 2) // as a controller that knows better
	back[1].Packet[5] = 9
	c.send(&openflow.Resume{PacketIn: back[1]})
	c.send(&openflow.Resume{PacketIn: back[0]})
	c.barrier()
	for port, want := range map[string]string{"p2": "505400000009505400000077", "p3": "505400000002505400000077"} {
		got := s.sent(port)
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s sent %q, want one packet %s...", port, got, want)
		}
	}

	bad := back[0]
	bad.Continuation = bad.Continuation[:len(bad.Continuation)-4]
	c.send(&openflow.Resume{PacketIn: bad})
	c.fails(openflow.PropertyBadLen)
	s.Vsctl("del-br", "br0")
	s.addBridge("br0")
	c = s.client(openflow.V15)
	c.send(&openflow.Resume{PacketIn: back[0]})
	c.fails(openflow.NXResumeStale)
}

// client is a controller that came in.
type client struct{ *peer }

func (s *sim) client(v openflow.Version) *client {
	s.t.Helper()
	c := &client{s.dial(v)}
	c.send(&openflow.SetConfig{MissSendLen: 0xffff})
	c.send(&openflow.SetPacketInFormat{Format: openflow.PacketInNXT2})
	c.barrier()
	return c
}

func (c *client) send(m openflow.Message) {
	c.t.Helper()
	c.write(c.encode(m))
}

// next is the next message that is a T.
func next[T openflow.Message](c *client) T {
	c.t.Helper()
	for {
		b, err := openflow.ReadMessage(c.r, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		_, _, m, err := openflow.Decode(b, nil)
		if err != nil {
			c.t.Fatal(err)
		}
		if m, ok := m.(T); ok {
			return m
		}
	}
}

func (c *client) packetIn() *openflow.PacketIn {
	c.t.Helper()
	return next[*openflow.PacketIn](c)
}

func (c *client) barrier() {
	c.t.Helper()
	c.send(&openflow.BarrierRequest{})
	next[*openflow.BarrierReply](c)
}

func (c *client) fails(want openflow.Err) {
	c.t.Helper()
	if got := next[*openflow.Error](c); got.Err != want {
		c.t.Errorf("error %v, want %v", got.Err, want)
	}
}
