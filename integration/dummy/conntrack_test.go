package dummy

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// showCT writes what a packet's conntrack fields are into its addresses, so that it can be seen in what comes out.
const showCT = "move:NXM_NX_CT_STATE[]->NXM_OF_ETH_SRC[0..31],move:NXM_NX_CT_ZONE[]->NXM_OF_ETH_SRC[32..47]," +
	"move:NXM_NX_CT_MARK[]->NXM_OF_ETH_DST[0..31],move:NXM_NX_CT_LABEL[64..79]->NXM_OF_ETH_DST[32..47],output:2"

// statefulTable is a firewall with states (TCP, ICMP) and a source translation (UDP), as OVN makes them: what is
// new is committed with a mark and a label, and recirculated once more.
var statefulTable = []string{
	"table=0,ip,actions=ct(table=1,zone=5,nat)",
	"table=0,ipv6,actions=load:6->NXM_NX_REG1[],ct(table=1,zone=NXM_NX_REG1[0..15])",
	"table=1,priority=10,tcp,ct_state=+new+trk,actions=ct(commit,table=2,zone=5,exec(set_field:0x12/0xff->ct_mark,set_field:0x1230000000000000001->ct_label))",
	"table=1,priority=10,udp,ct_state=+new+trk,actions=ct(commit,table=2,zone=5,nat(src=20.0.0.1),exec(load:0x7->NXM_NX_CT_MARK[4..7]))",
	"table=1,priority=10,icmp,ct_state=+new-est,actions=ct(commit,table=2,zone=5),ct_clear,output:3",
	"table=1,priority=10,ipv6,ct_state=+new,actions=ct(commit,zone=6,exec(move:NXM_NX_REG1[]->NXM_NX_CT_MARK[])),output:3",
	"table=1,priority=5,ct_state=+inv,actions=" + showCT,
	"table=1,priority=5,udp,ct_state=+est,ct_nw_src=10.0.0.1,actions=output:3",
	"table=1,priority=1,ct_state=+trk,actions=" + showCT,
	"table=2,actions=" + showCT,
}

// TestConntrackLikeStock sends random packets of a few hosts through the same stateful tables of the stock daemon and
// of ours, and compares every octet that comes out and the connections.
func TestConntrackLikeStock(t *testing.T) {
	t.Parallel()
	packets := 40 * *rounds
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := 1; p <= 5; p++ {
			s.addPort("br0", p)
		}
		s.reset(statefulTable)
	}
	g := ctGenerator{rand.New(rand.NewPCG(1, 2))}
	var trace []string
	for n := range packets {
		p := g.packet()
		trace = append(trace, p)
		for _, s := range both {
			s.receive("p1", p)
			if n%50 == 49 {
				s.Appctl("time/warp", "20000", "1000")
			}
		}
	}
	text := func(s *sim) string {
		var b strings.Builder
		for _, port := range []string{"p2", "p3"} {
			b.WriteString(port + "\n" + s.Run("ovs-pcap", s.pcap(port)))
		}
		for _, args := range [][]string{{"dump-conntrack", "-m", "-s"}, {"dump-conntrack", "zone=6"}, {"ct-stats-show", "-m", "zone=5"}} {
			lines := strings.Split(s.Appctl(append([]string{"dpctl/" + args[0]}, args[1:]...)...), "\n")
			if args[0] == "dump-conntrack" {
				slices.Sort(lines) // the stock daemon has them in the order of its hashes
			}
			b.WriteString(strings.Join(lines, "\n"))
		}
		return b.String()
	}
	if diff := difference(func() string { return text(ours) }, func() string { return text(stock) }); diff != "" {
		t.Fatalf("(-stock +ours):\n%s\npackets:\n%s", diff, strings.Join(trace, "\n"))
	}
	for _, s := range both {
		bad := func(at int) string {
			b, _ := hex.DecodeString(trace[len(trace)-1])
			b = append(b[:12:12], 8, 0, 0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0x66, 0xcd, 10, 0, 0, 1, 10, 0, 0, 2, 7, 208, 0, 80, 0, 9, 0x50, 0x5e, 'x')
			b[24], b[25] = 0, 0
			c := packet.Checksum(b[14:34], 0)
			b[24], b[25] = byte(c>>8), byte(c)
			b[at]++
			return hex.EncodeToString(b)
		}
		s.receive("p1", bad(25), bad(41))
		s.Appctl("dpctl/ct-disable-tcp-seq-chk")
		for _, packet := range trace[:100] {
			s.receive("p1", packet)
		}
		s.Appctl("dpctl/ct-enable-tcp-seq-chk")
	}
	counters := func(s *sim) string {
		var b strings.Builder
		for _, name := range []string{"l3csum_err", "l4csum_err", "full", "lookup_natted_miss", "tcp_seq_chk_bypass", "tcp_seq_chk_failed", "invalid_tcp_flags"} {
			fmt.Fprintf(&b, "%s %s\n", name, strings.TrimSpace(s.Appctl("coverage/read-counter", "conntrack_"+name)))
		}
		return b.String()
	}
	if diff := difference(func() string { return counters(ours) }, func() string { return counters(stock) }); diff != "" {
		t.Errorf("coverage (-stock +ours):\n%s", diff)
	}
	t.Log(counters(ours))
	if n := strings.Count(text(ours), "\n"); n < packets {
		t.Errorf("only %d lines to compare", n)
	}
	for _, args := range [][]string{
		{"ct-get-maxconns"}, {"ct-set-maxconns", "10"}, {"ct-get-maxconns"}, {"ct-get-tcp-seq-chk"}, {"ct-disable-tcp-seq-chk"},
		{"ct-get-tcp-seq-chk"}, {"ct-enable-tcp-seq-chk"}, {"ct-get-nconns", "dummy@ovs-dummy"}, {"ct-stats-show", "verbose"}, {"ct-stats-show", "zone=5", "verbose"}, {"ct-stats-show", "-m"}, {"ct-stats-show", "dummy@ovs-dummy", "zone=6"}, {"ct-stats-show", "foo"}, {"ct-get-limits"},
		{"flush-conntrack", "zone=6"}, {"flush-conntrack", "zone=5", "ct_nw_src=10.0.0.2,ct_nw_dst=10.0.0.1"}, {"ct-stats-show"}, {"flush-conntrack", "ct_nw_proto=6,ct_tp_dst=80"},
		{"flush-conntrack"}, {"ct-stats-show"}, {"ct-bkts"}, {"dump-conntrack"},
		{"ct-set-limits", "default=10", "zone=7,limit=3"}, {"ct-get-limits"}, {"ct-get-limits", "zone=7,9"}, {"ct-del-limits", "zone=7"}, {"ct-get-limits"},
		{"flush-conntrack", "ct_nw_foo=1"}, {"flush-conntrack", "ct_tp_src=70000"}, {"flush-conntrack", "x"}, {"ct-set-limits", "zone=1"}, {"ct-set-limits", "zone=x,limit=1"},
		{"ct-set-maxconns", "x"}, {"ct-set-limits", "default=x"}, {"ct-get-limits", "foo"}, {"ct-del-limits", "zone=x"}, {"dump-conntrack", "-x"},
	} {
		answer := func(s *sim) string {
			out, code := s.Try("ovs-appctl", append([]string{"dpctl/" + args[0]}, args[1:]...)...)
			if strings.Contains(out, "server returned an error") {
				out = strings.Split(out, "\n")[0]
			}
			return fmt.Sprintf("%s %d", out, code)
		}
		if diff := cmp.Diff(answer(stock), answer(ours)); diff != "" {
			t.Errorf("%v (-stock +ours):\n%s", args, diff)
		}
	}
}

// TestConntrackFlush flushes by OpenFlow.
func TestConntrackFlush(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	s.Ofctl("add-flow", "br0", "ip,actions=ct(commit,zone=5),ct(commit,zone=6),output:2")
	count := func(want string) {
		t.Helper()
		if got := strings.TrimSpace(s.Appctl("dpctl/ct-get-nconns")); got != want {
			t.Errorf("%s connections, want %s", got, want)
		}
	}
	g := ctGenerator{rand.New(rand.NewPCG(1, 2))}
	for i := range 3 {
		s.receive("p1", g.ip(1+i, 9, packet.ProtoUDP, []byte{1, 1, 0, 80, 0, 9, 0, 0, 'x'}))
	}
	count("6")
	s.Ofctl("ct-flush", "br0", "zone=5", "ct_nw_src=10.0.0.1,ct_nw_proto=17")
	count("5")
	s.Ofctl("ct-flush", "br0", "ct_nw_dst=10.0.0.9,ct_nw_proto=17,ct_tp_dst=81")
	count("5")
	s.Ofctl("ct-flush-zone", "br0", "6")
	count("2")
	s.Ofctl("ct-flush", "br0")
	count("0")
	s.contains("features", s.Appctl("dpif/show-dp-features", "br0"), "CT state: Yes", "CT label: Yes", "Conntrack all-zero IP SNAT: Yes")
}

// ctGenerator makes packets of a few connections, so that they meet.
type ctGenerator struct{ *rand.Rand }

func (g ctGenerator) one(list ...int) int { return list[g.IntN(len(list))] }

func (g ctGenerator) packet() string {
	a := 1 + g.IntN(3)
	b := 1 + (a+g.IntN(2))%3
	port := []byte{7, byte(g.one(208, 209)), 0, byte(g.one(80, 81))} // 2000 or 2001 to 80 or 81
	if g.IntN(2) == 0 {
		port[0], port[1], port[2], port[3] = port[2], port[3], port[0], port[1]
	}
	switch g.IntN(8) {
	case 0:
		return g.ip(a, b, packet.ProtoICMP, []byte{byte(g.one(8, 8, 0, 13, 14, 17)), 0, 0, 0, 0, byte(g.IntN(2)), 0, 1, 'a', 'b'})
	case 1: // an error about one that may have been sent
		about, _ := hex.DecodeString(g.ip(b, g.one(a, 3), packet.ProtoUDP, append(port, 0, 9, 0, 0, 'x')))
		return g.ip(a, b, packet.ProtoICMP, append([]byte{byte(g.one(3, 11)), 1, 0, 0, 0, 0, 0, 0}, about[14:]...))
	case 2, 3:
		to := g.one(b, 99) // what answers a translated one
		return g.ip(a, to, packet.ProtoUDP, append(port, 0, 9, 0, 0, 'x'))
	case 4:
		h := append([]byte("\x50\x54\x00\x00\x00\x02\x50\x54\x00\x00\x00\x01\x86\xdd\x60\x00\x00\x00\x00\x09\x11\x40"), make([]byte, 32)...)
		h[22], h[37], h[38], h[53] = 0xfd, byte(a), 0xfd, byte(b)
		u := append(port, 0, 9, 0, 0, 'x')
		return hex.EncodeToString(append(h, sum(u, packet.ProtoUDP, h[22:38], h[38:54])...))
	default:
		const fin, syn, rst, psh, ack = 1, 2, 4, 8, 16
		s := append(port, 0, 0, 3, byte(g.one(232, 233, 234, 250)), 0, 0, 3, byte(g.one(0, 232, 233, 234)))
		if g.IntN(10) == 0 {
			s[5] = 200 // far outside
		}
		s = append(s, 0x50, byte(g.one(syn, syn, syn|ack, syn|ack, ack, ack, psh|ack, psh|ack, fin|ack, fin|ack, rst, rst|ack, 0, syn|fin)), 0x20, 0, 0, 0, 0, 0)
		return g.ip(a, b, packet.ProtoTCP, append(s, make([]byte, g.one(0, 0, 1, 16))...))
	}
}

// ip is a packet from host 10.0.0.a to 10.0.0.b, or to 20.0.0.1 if b is 99, in hex.
func (g ctGenerator) ip(a, b int, proto byte, body []byte) string {
	h := append([]byte("\x50\x54\x00\x00\x00\x02\x50\x54\x00\x00\x00\x01\x08\x00\x45\x00\x00\x00\x00\x01\x00\x00\x40\x00\x00\x00"), 10, 0, 0, byte(a), 10, 0, 0, byte(b))
	if b == 99 {
		h[30], h[33] = 20, 1
	}
	h[17], h[23] = byte(20+len(body)), proto
	c := packet.Checksum(h[14:], 0)
	h[24], h[25] = byte(c>>8), byte(c)
	return hex.EncodeToString(append(h, sum(body, proto, h[26:30], h[30:34])...))
}

// sum fills in the checksum.
func sum(body []byte, proto byte, src, dst []byte) []byte {
	at, pseudo := 16, packet.PseudoHeader(src, dst, proto)+uint32(len(body))
	switch proto {
	case packet.ProtoUDP:
		at = 6
	case packet.ProtoICMP:
		at, pseudo = 2, 0
	}
	c := packet.Checksum(body, pseudo)
	body[at], body[at+1] = byte(c>>8), byte(c)
	return body
}
