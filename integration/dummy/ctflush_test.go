package dummy

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// flushTable commits to two zones, with marks and labels by protocol, and translates DNS to a backend like a load balancer.
var flushTable = []string{
	"priority=9,udp,tp_dst=53,nw_dst=10.96.0.11,actions=ct(commit,zone=5,nat(dst=10.1.0.11:5353))",
	"priority=9,udp,tp_dst=53,nw_dst=10.96.0.12,actions=ct(commit,zone=5,nat(dst=10.1.0.12:5353))",
	"priority=5,udp,actions=ct(commit,zone=5,exec(load:0x12->NXM_NX_CT_MARK[])),ct(commit,zone=6)",
	"priority=5,tcp,actions=ct(commit,zone=5,exec(load:0x13->NXM_NX_CT_MARK[],load:0x10000000->NXM_NX_CT_LABEL[64..127]))",
	"priority=5,icmp,actions=ct(commit,zone=6,exec(load:0x8->NXM_NX_CT_LABEL[0..63]))",
	"priority=5,ipv6,actions=ct(commit,zone=6)",
}

// flushPackets make eight connections.
func flushPackets() []string {
	g := ctGenerator{rand.New(rand.NewPCG(1, 2))}
	list := []string{
		g.ip(1, 2, packet.ProtoICMP, []byte{8, 0, 0, 0, 0, 5, 0, 1, 'a', 'b'}),
		g.ip(2, 1, packet.ProtoICMP, []byte{8, 0, 0, 0, 0, 0, 0, 1, 'a', 'b'}),
		g.ip(1, 2, packet.ProtoTCP, []byte{9, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0}),
		g.ip(1, 3, packet.ProtoTCP, []byte{9, 1, 0, 81, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0}),
		g.ip(1, 2, packet.ProtoUDP, []byte{9, 1, 0, 80, 0, 9, 0, 0, 'x'}),
	}
	for b := byte(11); b <= 12; b++ { // to 10.96.0.b
		p, _ := hex.DecodeString(g.ip(1, int(b), packet.ProtoUDP, []byte{9, 1, 0, 53, 0, 9, 0, 0, 'x'}))
		p[31], p[24], p[25], p[40], p[41] = 96, 0, 0, 0, 0
		binary.BigEndian.PutUint16(p[24:], packet.Checksum(p[14:34], 0))
		list = append(list, hex.EncodeToString(append(p[:34], sum(p[34:], packet.ProtoUDP, p[26:30], p[30:34])...)))
	}
	h := append([]byte("\x50\x54\x00\x00\x00\x02\x50\x54\x00\x00\x00\x01\x86\xdd\x60\x00\x00\x00\x00\x09\x11\x40"), make([]byte, 32)...)
	h[22], h[37], h[38], h[53] = 0xfd, 1, 0xfd, 2
	return append(list, hex.EncodeToString(append(h, sum([]byte{9, 1, 0, 80, 0, 9, 0, 0, 'x'}, packet.ProtoUDP, h[22:38], h[38:54])...)))
}

func (s *sim) conns() string {
	s.t.Helper()
	list := strings.Split(s.Appctl("dpctl/dump-conntrack"), "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// TestFlushLikeStock flushes by all forms of the tools' arguments that the stock daemon takes, and compares what is left.
func TestFlushLikeStock(t *testing.T) {
	t.Parallel()
	both := []*sim{{testenv.Simulated(t), t, nil}, {testenv.Stock(t), t, nil}}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := 1; p <= 5; p++ {
			s.addPort("br0", p)
		}
		s.reset(flushTable)
	}
	for _, args := range []string{
		"", "zone=5", "zone=6", "zone=4", "ct_nw_src=10.0.0.1", "zone=5 ct_nw_src=10.0.0.1", "zone=6 ct_nw_dst=10.0.0.2",
		"zone=5 ct_nw_proto=6", "ct_nw_proto=17", "zone=6 ct_nw_proto=1", "zone=6 ct_nw_src=10.0.0.1,ct_nw_proto=1", "zone=6 ct_nw_proto=1,icmp_type=8",
		"zone=6 ct_nw_src=10.0.0.1,ct_nw_proto=1,icmp_type=8,icmp_code=0,icmp_id=5", "zone=5 ct_nw_proto=6,ct_tp_dst=80", "zone=5 ct_nw_proto=6,ct_tp_src=2305,ct_tp_dst=81",
		"zone=6 ct_ipv6_src=fd00::1", "zone=6 ct_ipv6_src=fd00::1,ct_ipv6_dst=fd00::2,ct_nw_proto=17,ct_tp_src=2305,ct_tp_dst=80",
		"zone=5 '' ct_nw_src=10.1.0.11", "zone=5 ct_nw_dst=10.96.0.12 ct_nw_src=10.1.0.12,ct_nw_proto=17,ct_tp_src=5353", "zone=5 ct_nw_dst=10.96.0.12 ct_nw_src=10.1.0.11",
		"zone=5 ct_nw_proto=17 ct_nw_proto=6", "zone=x", "zone=5 bla", "ct_tp_dst=80", "zone=5 ct_nw_src=10.0.0.1,ct_ipv6_src=::1",
	} {
		tools := []string{"ovs-ofctl ct-flush br0", "ovs-appctl dpctl/flush-conntrack"}
		if strings.Contains(args, "ct_nw_proto=1,") || strings.HasSuffix(args, "ct_nw_proto=1") || strings.Count(args, "ct_nw_proto") > 1 {
			// As commands these take what the stock daemon does not: any ICMP, its identifiers in the right order, a protocol of each tuple.
			tools = tools[:1]
		}
		for _, tool := range tools {
			result := func(s *sim) string {
				words := strings.Fields(strings.ReplaceAll(tool+" "+args, "''", "_"))
				for i, w := range words {
					if w == "_" {
						words[i] = ""
					}
				}
				s.receive("p1", flushPackets()...)
				before := s.conns()
				out, code := s.Try(words[0], words[1:]...)
				if code != 0 {
					out = strings.Split(out, "\n")[0]
				}
				return fmt.Sprintf("%s\n%d %s\n%s", before, code, out, s.conns())
			}
			if diff := cmp.Diff(strings.Split(result(both[1]), "\n"), strings.Split(result(both[0]), "\n")); diff != "" {
				t.Errorf("%s %s (-stock +ours):\n%s", tool, args, diff)
			}
		}
	}
}

// TestFlushByOpenFlow flushes by mark, label and zone, and by messages that ovn-controller 26.03 has sent.
func TestFlushByOpenFlow(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	for _, f := range flushTable {
		s.Ofctl("add-flow", "br0", f)
	}
	p := s.dial(openflow.V15)
	all := flushPackets()
	s.receive("p1", all...)
	whole := strings.Split(s.conns(), "\n")
	s.Appctl("dpctl/flush-conntrack")
	label := func(high, low uint64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, high), low)
	}
	number := func(n uint32) *uint32 { return &n }
	recorded := func(body string) []byte {
		b, err := hex.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		b = append([]byte{6, 4, 0, 0, 0, 0, 0, 7, 0, 0, 0x23, 0x20, 0, 0, 0, 32}, b...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		return b
	}
	for _, tc := range []struct {
		what string
		msg  []byte
		gone []string // parts of the connections that go
	}{
		{"a mark", p.encode(&openflow.CTFlush{Mark: number(0x12)}), []string{"mark=18"}},
		{"a mark with mask", p.encode(&openflow.CTFlush{Mark: number(0x10), MarkMask: number(0xfe)}), nil},
		{"a mark with mask that fits two", p.encode(&openflow.CTFlush{Mark: number(0x12), MarkMask: number(0xfe)}), []string{"mark="}},
		{"a label", p.encode(&openflow.CTFlush{Labels: label(0, 8)}), []string{"labels=0x8"}},
		{"a label with mask", p.encode(&openflow.CTFlush{Labels: label(0x10000000, 0), LabelsMask: label(0x10000000, 0)}), []string{"labels=0x1000"}},
		{"a label in another zone", p.encode(&openflow.CTFlush{HasZone: true, Zone: 6, Labels: label(0x10000000, 0), LabelsMask: label(0x10000000, 0)}), nil},
		{"zone, protocol and mark", p.encode(&openflow.CTFlush{HasZone: true, Zone: 5, Proto: 17, Orig: &openflow.CTTuple{}, Mark: number(0), MarkMask: number(0xffffffff)}), []string{"dst=10.96"}},
		{"a backend, as OVN", recorded("110000000000000000000028000000000001001400000000000000000000ffff0a60000b00000000000300080035000000010028000000000000001400000000000000000000ffff0a01000b000000000002000814e90000"), []string{"dst=10.96.0.11"}},
		{"a backend of another service, as OVN", recorded("110000000000000000000028000000000001001400000000000000000000ffff0a60000b00000000000300080035000000010028000000000000001400000000000000000000ffff0a01000c000000000002000814e90000"), nil},
		{"OVN's question whether labels are flushed", recorded("010000000000000000000020000000000004000800000000000500050100000000060005000000000001002000000000000400080000000000050005000000000006000500000000000500140000000010000000000000000000000000000000000600140000000010000000000000000000000000000000"), nil},
	} {
		s.receive("p1", all...)
		if errs := p.errors(tc.msg); len(errs) > 0 {
			t.Errorf("%s: %v", tc.what, errs)
		}
		want := slices.Clone(whole)
		for _, part := range tc.gone {
			was := len(want)
			if want = slices.DeleteFunc(want, func(l string) bool { return strings.Contains(l, part) }); len(want) == was {
				t.Errorf("%s: %s is nowhere", tc.what, part)
			}
		}
		if diff := cmp.Diff(want, strings.Split(s.conns(), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.what, diff)
		}
	}
}
