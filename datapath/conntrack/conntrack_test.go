package conntrack

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
)

// lab is a table with a clock that is moved by hand.
type lab struct {
	testing.TB
	*Table
	now int64
}

func newLab(t testing.TB) *lab {
	l := &lab{TB: t, now: 1}
	l.Table = NewTable(Options{Now: func() int64 { return l.now }})
	return l
}

// pass sends a packet through a ct action and returns its key.
func (l *lab) pass(p *packet.Packet, ct string) *flow.Key {
	l.Helper()
	var key flow.Key
	packet.Extract(p.Data, &key)
	l.again(p, &key, ct)
	return &key
}

func (l *lab) again(p *packet.Packet, key *flow.Key, ct string) bool {
	l.Helper()
	actions, err := odp.ParseActions(ct, nil)
	if err != nil {
		l.Fatal(err)
	}
	a := actions[0].(odp.CT)
	pass := l.Track(p, key, &a)
	if !pass {
		key.Set(flow.CTState, 0)
	}
	var again flow.Key
	packet.Extract(p.Data, &again)
	for i := range again {
		if (again[i]^key[i])&again[i] != 0 {
			l.Fatalf("the key is not the packet's: %s, packet %s", odp.FormatKey(key, nil, odp.TextOptions{}), odp.FormatKey(&again, nil, odp.TextOptions{}))
		}
	}
	return pass
}

// state is a ct_state in words; "" for a packet that did not pass.
func state(key *flow.Key) string {
	var s []string
	for i, w := range []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"} {
		if key.Get(flow.CTState)>>i&1 != 0 {
			s = append(s, w)
		}
	}
	return strings.Join(s, "+")
}

// dump is the table in words.
func (l *lab) dump(o TextOptions) string {
	var lines []string
	if err := l.Dump(func(e *Entry) bool {
		lines = append(lines, e.Text(o))
		return true
	}); err != nil {
		l.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func ip(src, dst string, proto byte, body []byte) *packet.Packet {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	b := append(make([]byte, 12), 0x08, 0)
	if s.Is6() {
		b[12], b[13] = 0x86, 0xdd
		b = append(b, 0x60, 0, 0, 0, byte(len(body)>>8), byte(len(body)), proto, 64)
		b = append(append(b, s.AsSlice()...), d.AsSlice()...)
	} else {
		n := 20 + len(body)
		b = append(b, 0x45, 0, byte(n>>8), byte(n), 0, 0, 0, 0, 64, proto, 0, 0)
		b = append(append(b, s.AsSlice()...), d.AsSlice()...)
		be.PutUint16(b[24:], packet.Checksum(b[14:], 0))
	}
	body = append([]byte(nil), body...)
	sum, pseudo := map[byte]int{packet.ProtoTCP: 16, packet.ProtoUDP: 6, packet.ProtoICMP: 2, packet.ProtoICMPv6: 2}[proto], uint32(0)
	if proto != packet.ProtoICMP {
		pseudo = packet.PseudoHeader(s.AsSlice(), d.AsSlice(), proto) + uint32(len(body))
	}
	if sum != 0 {
		be.PutUint16(body[sum:], packet.Checksum(body, pseudo))
	}
	if proto == packet.ProtoSCTP {
		packet.FinishSCTP(body)
	}
	return &packet.Packet{Data: append(b, body...)}
}

func ports(sp, dp uint16) []byte { return be.AppendUint16(be.AppendUint16(nil, sp), dp) }

func udp(src, dst string, sp, dp uint16) *packet.Packet {
	return ip(src, dst, packet.ProtoUDP, append(ports(sp, dp), 0, 9, 0, 0, 'x'))
}

type tcp struct {
	flags    byte
	seq, ack uint32
	win      uint16
	data     int
	scale    byte // 0: no option
}

func (s tcp) packet(src, dst string, sp, dp uint16) *packet.Packet {
	b := be.AppendUint32(be.AppendUint32(ports(sp, dp), s.seq), s.ack)
	b = append(b, 0x50, s.flags, byte(s.win>>8), byte(s.win), 0, 0, 0, 0)
	if s.scale != 0 {
		b[12] = 0x60
		b = append(b, 3, 3, s.scale, 1)
	}
	return ip(src, dst, packet.ProtoTCP, append(b, make([]byte, s.data)...))
}

func icmp(src, dst string, typ byte, id uint16) *packet.Packet {
	proto := byte(packet.ProtoICMP)
	if strings.Contains(src, ":") {
		proto = packet.ProtoICMPv6
	}
	return ip(src, dst, proto, append([]byte{typ, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}, "abcd"...))
}

// report is an ICMP error about a packet.
func report(src, dst string, typ byte, about *packet.Packet) *packet.Packet {
	proto := byte(packet.ProtoICMP)
	if strings.Contains(src, ":") {
		proto = packet.ProtoICMPv6
	}
	return ip(src, dst, proto, append([]byte{typ, 1, 0, 0, 0, 0, 0, 0}, about.Data[14:]...))
}

const (
	hostA, hostB, hostC = "10.0.0.1", "10.0.0.2", "10.0.0.3"
)

// TestTCP has segments of one connection, most with what OVS's userspace datapath made of the same ones.
func TestTCP(t *testing.T) {
	const s, a, f, r, p = flagSYN, flagACK, flagFIN, flagRST, flagPSH
	type step struct {
		reply bool
		tcp
		want string // ct_state
		end  string // state and timeout in the dump, unless empty
	}
	fwd := func(want, end string, s tcp) step { return step{false, s, want + "+trk", end} }
	rpl := func(want, end string, s tcp) step { return step{true, s, want + "+trk", end} }
	open := []step{
		fwd("new", "SYN_SENT 30", tcp{s, 1000, 0, 8192, 0, 7}),
		fwd("new", "SYN_SENT 30", tcp{s, 1000, 0, 8192, 0, 7}),
		rpl("est+rpl", "ESTABLISHED 30", tcp{s | a, 5000, 1001, 8192, 0, 7}),
		fwd("est", "ESTABLISHED 86400", tcp{a, 1001, 5001, 64, 0, 0}),
	}
	for name, steps := range map[string][]step{
		"close": append(open[:len(open):len(open)],
			fwd("est", "", tcp{a, 1001, 5001, 64, 100, 0}),
			rpl("est+rpl", "", tcp{a, 5001, 1101, 64, 50, 0}),
			fwd("est", "CLOSING 900", tcp{f | a, 1101, 5051, 64, 0, 0}),
			rpl("est+rpl", "TIME_WAIT 900", tcp{a, 5051, 1102, 64, 0, 0}),
			rpl("est+rpl", "TIME_WAIT 45", tcp{f | a, 5051, 1102, 64, 0, 0}),
			fwd("est", "TIME_WAIT 30", tcp{a, 1102, 5052, 64, 0, 0}),
			fwd("new", "SYN_SENT 30", tcp{s, 7000, 0, 8192, 0, 7})),
		"windows": append(open[:len(open):len(open)],
			fwd("inv", "", tcp{a, 1001 + 1<<21, 5001, 64, 10, 0}),
			fwd("inv", "", tcp{a, 0xffe00000, 5001, 64, 10, 0}),
			rpl("inv", "", tcp{a, 5001, 1001 + 1<<25, 64, 10, 0}),
			fwd("est", "", tcp{a, 1001 + 5000, 5001, 64, 10, 0}), // others are lost
			fwd("est", "", tcp{a, 1001, 5001, 64, 1000, 0})),
		"reset": append(open[:len(open):len(open)],
			fwd("inv", "ESTABLISHED 86400", tcp{r, 9999, 0, 0, 0, 0}),
			rpl("inv", "ESTABLISHED 86400", tcp{r, 5101, 0, 0, 0, 0}),
			rpl("est+rpl", "TIME_WAIT 30", tcp{r | a, 5001, 1001, 0, 0, 0}),
			fwd("new", "SYN_SENT 30", tcp{s, 777, 0, 8192, 0, 0})),
		"both open": {
			fwd("new", "SYN_SENT 30", tcp{s, 1000, 0, 8192, 0, 7}),
			rpl("new", "SYN_SENT 30", tcp{s, 5000, 0, 8192, 0, 7}),
		},
		"found half-way": {
			fwd("new", "SYN_SENT 30", tcp{a, 500, 600, 100, 3, 0}),
			rpl("est+rpl", "ESTABLISHED 30", tcp{a, 600, 503, 100, 5, 0}),
			fwd("est", "ESTABLISHED 86400", tcp{a, 503, 605, 100, 3, 0}),
		},
		"no opening": {
			fwd("inv", "", tcp{s | a, 1, 1, 100, 0, 0}), fwd("inv", "", tcp{s | f, 1, 0, 100, 0, 0}), fwd("inv", "", tcp{0, 1, 0, 100, 0, 0}),
			fwd("inv", "", tcp{f, 1, 0, 100, 0, 0}), fwd("inv", "", tcp{s | r, 1, 0, 100, 0, 0}), fwd("inv", "", tcp{p, 1, 0, 100, 0, 0}),
			fwd("inv", "", tcp{s | p, 1, 0, 100, 0, 0}), fwd("inv", "", tcp{s | flagURG, 1, 0, 100, 0, 0}),
			fwd("new", "SYN_SENT 30", tcp{r, 1, 0, 100, 0, 0}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			for i, s := range steps {
				p := s.packet(hostA, hostB, 100, 80)
				if s.reply {
					p = s.packet(hostB, hostA, 80, 100)
				}
				if got := state(l.pass(p, "ct(commit)")); got != s.want && !(s.want == "new+trk" && s.reply) {
					t.Errorf("packet %d: %s, want %s", i, got, s.want)
				}
				if s.end == "" {
					continue
				}
				got := ""
				_ = l.Dump(func(e *Entry) bool { got = fmt.Sprintf("%s %d", e.TCPStateName(), e.Timeout); return true })
				if got != s.end {
					t.Errorf("packet %d: connection %s, want %s", i, got, s.end)
				}
			}
		})
	}
}

func TestSequenceCheckOff(t *testing.T) {
	l := newLab(t)
	for _, on := range []bool{true, false} {
		_ = l.SetSequenceCheck(on)
		_, _ = l.Flush(&Filter{})
		l.pass(tcp{flagSYN, 1, 0, 100, 0, 0}.packet(hostA, hostB, 1, 2), "ct(commit)")
		l.pass(tcp{flagSYN | flagACK, 1, 2, 100, 0, 0}.packet(hostB, hostA, 2, 1), "ct")
		l.pass(tcp{flagACK, 2, 2, 100, 0, 0}.packet(hostA, hostB, 1, 2), "ct")
		want := map[bool]string{true: "inv+trk", false: "est+trk"}[on]
		if got := state(l.pass(tcp{flagACK, 1 << 30, 2, 100, 9, 0}.packet(hostA, hostB, 1, 2), "ct")); got != want {
			t.Errorf("check %v: %s", on, got)
		}
	}
}

// TestStates are protocols without states of their own, and errors.
func TestStates(t *testing.T) {
	l := newLab(t)
	for i, s := range []struct {
		p    *packet.Packet
		want string
	}{
		{udp(hostA, hostB, 1, 2), "new+trk"},
		{udp(hostA, hostB, 1, 2), "new+trk"},
		{report(hostB, hostA, 3, udp(hostA, hostB, 1, 2)), "rel+rpl+trk"},
		{udp(hostB, hostA, 2, 1), "est+rpl+trk"},
		{udp(hostA, hostB, 1, 2), "est+trk"},
		{report("9.9.9.9", hostA, 11, udp(hostA, hostB, 1, 2)), "rel+rpl+trk"},
		{report(hostA, hostB, 3, udp(hostB, hostA, 2, 1)), "rel+trk"},
		{report(hostB, hostC, 3, udp(hostA, hostB, 1, 2)), "inv+trk"},
		{report(hostB, hostA, 3, udp(hostA, hostB, 1, 3)), "inv+trk"},
		{icmp(hostB, hostA, 0, 7), "inv+trk"},
		{icmp(hostA, hostB, 8, 7), "new+trk"},
		{icmp(hostB, hostA, 0, 7), "est+rpl+trk"},
		{icmp(hostA, hostB, 17, 7), "inv+trk"},
		{icmp("fd00::1", "fd00::2", 129, 7), "inv+trk"},
		{icmp("fd00::1", "fd00::2", 128, 7), "new+trk"},
		{icmp("fd00::2", "fd00::1", 129, 7), "est+rpl+trk"},
		{icmp("fd00::1", "fd00::2", 135, 7), "inv+trk"},
		{report("fd00::3", "fd00::1", 2, icmp("fd00::1", "fd00::2", 128, 7)), "rel+rpl+trk"},
		{ip(hostA, hostB, 47, make([]byte, 8)), "new+trk"},
		{ip(hostB, hostA, 47, make([]byte, 8)), "est+rpl+trk"},
		{ip(hostA, hostB, packet.ProtoSCTP, append(ports(1, 2), make([]byte, 20)...)), "new+trk"},
		{ip(hostB, hostA, packet.ProtoSCTP, append(ports(2, 1), make([]byte, 20)...)), "est+rpl+trk"},
		{&packet.Packet{Data: append(make([]byte, 12), 0x08, 0x06)}, "inv+trk"},
	} {
		if got := state(l.pass(s.p, "ct(commit,zone=5)")); got != s.want {
			t.Errorf("packet %d: %s, want %s", i, got, s.want)
		}
	}
	if got := state(l.pass(udp(hostB, hostA, 2, 1), "ct(zone=6)")); got != "new+trk" {
		t.Errorf("another zone: %s", got)
	}
}

func TestWrongChecksums(t *testing.T) {
	for _, skip := range []bool{false, true} {
		l := newLab(t)
		l.o.SkipChecksums = skip
		want := map[bool]string{false: "inv+trk", true: "new+trk"}[skip]
		for _, p := range []*packet.Packet{
			udp(hostA, hostB, 1, 2), tcp{flagSYN, 1, 0, 1, 1, 0}.packet(hostA, hostB, 1, 2), icmp(hostA, hostB, 8, 1),
			icmp("fd00::1", "fd00::2", 128, 1), ip(hostA, hostB, packet.ProtoSCTP, append(ports(1, 2), make([]byte, 20)...)),
		} {
			if got := state(l.pass(p.Clone(), "ct")); got != "new+trk" {
				t.Errorf("right: %s", got)
			}
			p.Data[len(p.Data)-1] ^= 1
			if got := state(l.pass(p, "ct")); got != want {
				t.Errorf("wrong: %s, want %s", got, want)
			}
		}
	}
}

// TestKey has the conntrack members that a packet gets.
func TestKey(t *testing.T) {
	l := newLab(t)
	text := func(k *flow.Key) string {
		var out flow.Key
		for _, id := range []flow.FieldID{flow.CTZone, flow.CTMark, flow.CTNwProto, flow.CTNwSrc, flow.CTNwDst, flow.CTTPSrc, flow.CTTPDst} {
			out.Set(id, k.Get(id))
		}
		for _, id := range []flow.FieldID{flow.CTLabel, flow.CTIPv6Src, flow.CTIPv6Dst} {
			out.SetBytes(id, k.GetBytes(id, nil))
		}
		s := odp.FormatKey(&out, &out, odp.TextOptions{})
		return s[:strings.Index(s, ",eth_type")] + s[strings.LastIndex(s, ")")+1:]
	}
	for _, s := range []struct{ ct, want string }{
		{"ct(zone=5)", "ct_zone(0x5),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=17,tp_src=1,tp_dst=2)"},
		{"ct(commit,zone=5,mark=0x12/0xff,label=0x1230000000000000000)", "ct_zone(0x5),ct_mark(0x12),ct_label(0x1230000000000000000),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=17,tp_src=1,tp_dst=2)"},
		{"ct(commit,zone=5,mark=0x300/0xf00,label=0x1/0x1)", "ct_zone(0x5),ct_mark(0x312),ct_label(0x1230000000000000001),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=17,tp_src=1,tp_dst=2)"},
	} {
		k := l.pass(udp(hostA, hostB, 1, 2), s.ct)
		m, err := odp.ParseKey(s.want, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Matches(k) {
			t.Errorf("%s: %s", s.ct, text(k))
		}
	}
	// In both directions, and for errors, it is what the first packet had.
	for _, p := range []*packet.Packet{udp(hostB, hostA, 2, 1), report(hostB, hostA, 3, udp(hostA, hostB, 1, 2))} {
		k := l.pass(p, "ct(zone=5)")
		m, _ := odp.ParseKey("ct_zone(0x5),ct_mark(0x312),ct_tuple4(src=10.0.0.1,dst=10.0.0.2,proto=17,tp_src=1,tp_dst=2)", nil)
		if !m.Matches(k) {
			t.Errorf("%s", text(k))
		}
	}
	k := l.pass(icmp("fd00::1", "fd00::2", 128, 77), "ct(zone=5)")
	m, _ := odp.ParseKey("ct_tuple6(src=fd00::1,dst=fd00::2,proto=58,src_port=128,dst_port=0)", nil)
	if !m.Matches(k) {
		t.Errorf("%s", text(k))
	}
}

// TestNAT has packets before and after.
func TestNAT(t *testing.T) {
	type step struct {
		p     *packet.Packet
		ct    string
		want  *packet.Packet
		state string
	}
	for name, steps := range map[string][]step{
		"source": {
			{udp(hostA, hostB, 1, 2), "ct(commit,nat(src=20.0.0.1))", udp("20.0.0.1", hostB, 1, 2), "new+trk+snat"},
			{udp(hostC, hostB, 1, 2), "ct(commit,nat(src=20.0.0.1))", udp("20.0.0.1", hostB, 2, 2), "new+trk+snat"},
			{udp(hostA, hostB, 1, 2), "ct", udp(hostA, hostB, 1, 2), "new+trk"},
			{udp(hostB, "20.0.0.1", 2, 1), "ct(nat)", udp(hostB, hostA, 2, 1), "est+rpl+trk+dnat"},
			{udp(hostB, "20.0.0.1", 2, 2), "ct(nat)", udp(hostB, hostC, 2, 1), "est+rpl+trk+dnat"},
			{udp(hostA, hostB, 1, 2), "ct(nat)", udp("20.0.0.1", hostB, 1, 2), "est+trk+snat"},
			{report(hostB, "20.0.0.1", 3, udp("20.0.0.1", hostB, 1, 2)), "ct(nat)", report(hostB, hostA, 3, udp(hostA, hostB, 1, 2)), "rel+rpl+trk+dnat"},
			{report("9.9.9.9", "20.0.0.1", 11, udp("20.0.0.1", hostB, 2, 2)), "ct(nat)", report("9.9.9.9", hostC, 11, udp(hostC, hostB, 1, 2)), "rel+rpl+trk+dnat"},
			{report(hostA, hostB, 3, udp(hostB, hostA, 2, 1)), "ct(nat)", report("20.0.0.1", hostB, 3, udp(hostB, "20.0.0.1", 2, 1)), "rel+trk+snat"},
		},
		"destination": {
			{udp(hostA, hostB, 1, 2), "ct(commit,nat(dst=30.0.0.1:80))", udp(hostA, "30.0.0.1", 1, 80), "new+trk+dnat"},
			{udp("30.0.0.1", hostA, 80, 1), "ct(nat)", udp(hostB, hostA, 2, 1), "est+rpl+trk+snat"},
			// The same backend behind another address: the answers would be the same, so the source port changes.
			{udp(hostA, hostC, 1, 2), "ct(commit,nat(dst=30.0.0.1:80))", udp(hostA, "30.0.0.1", 2, 80), "new+trk+dnat"},
			{udp("30.0.0.1", hostA, 80, 2), "ct(nat)", udp(hostC, hostA, 2, 1), "est+rpl+trk+snat"},
			{report("30.0.0.1", hostA, 3, udp(hostA, "30.0.0.1", 1, 80)), "ct(nat)", report(hostB, hostA, 3, udp(hostA, hostB, 1, 2)), "rel+rpl+trk+snat"},
		},
		"identifiers": {
			{icmp(hostA, hostB, 8, 7), "ct(commit,nat(src=20.0.0.1))", icmp("20.0.0.1", hostB, 8, 7), "new+trk+snat"},
			{icmp(hostC, hostB, 8, 7), "ct(commit,nat(src=20.0.0.1:50))", icmp("20.0.0.1", hostB, 8, 50), "new+trk+snat"},
			{icmp(hostB, "20.0.0.1", 0, 50), "ct(nat)", icmp(hostB, hostC, 0, 7), "est+rpl+trk+dnat"},
			{report("9.9.9.9", "20.0.0.1", 11, icmp("20.0.0.1", hostB, 8, 50)), "ct(nat)", report("9.9.9.9", hostC, 11, icmp(hostC, hostB, 8, 7)), "rel+rpl+trk+dnat"},
		},
		"IPv6": {
			{icmp("fd00::1", "fd00::2", 128, 7), "ct(commit,nat(src=fd00::9))", icmp("fd00::9", "fd00::2", 128, 7), "new+trk+snat"},
			{icmp("fd00::2", "fd00::9", 129, 7), "ct(nat)", icmp("fd00::2", "fd00::1", 129, 7), "est+rpl+trk+dnat"},
			{report("fd00::5", "fd00::9", 2, icmp("fd00::9", "fd00::2", 128, 7)), "ct(nat)", report("fd00::5", "fd00::1", 2, icmp("fd00::1", "fd00::2", 128, 7)), "rel+rpl+trk+dnat"},
			{udp("fd00::1", "fd00::2", 1000, 2), "ct(commit,nat(dst=[fd00::9]:80))", udp("fd00::1", "fd00::9", 1000, 80), "new+trk+dnat"},
		},
		"all zero": {
			{udp(hostA, hostB, 1000, 2), "ct(commit,nat(src=0.0.0.0))", udp(hostA, hostB, 1000, 2), "new+trk+snat"},
			{udp(hostC, hostB, 1000, 2), "ct(commit,nat(src=10.0.0.1))", udp(hostA, hostB, 1001, 2), "new+trk+snat"},
			{udp(hostA, hostB, 1001, 2), "ct(commit,nat(src))", udp(hostA, hostB, 1002, 2), "new+trk+snat"},
		},
		"run out": {
			{udp(hostA, hostB, 1, 2), "ct(commit,nat(src=20.0.0.1:100))", udp("20.0.0.1", hostB, 100, 2), "new+trk+snat"},
			{udp(hostC, hostB, 1, 2), "ct(commit,nat(src=20.0.0.1:100))", udp(hostC, hostB, 1, 2), ""},
			{udp(hostC, hostB, 1, 2), "ct(commit,nat(src=20.0.0.1-20.0.0.2:100))", udp("20.0.0.2", hostB, 100, 2), "new+trk+snat"},
			{udp(hostC, hostB, 1, 3), "ct(commit,nat(src=fd00::1))", udp(hostC, hostB, 1, 3), ""},
		},
		"nothing to translate": {
			{udp(hostA, hostB, 1, 2), "ct(commit,nat)", udp(hostA, hostB, 1, 2), "new+trk"},
			{udp(hostB, hostA, 2, 1), "ct(nat)", udp(hostB, hostA, 2, 1), "est+rpl+trk"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			for i, s := range steps {
				if got := state(l.pass(s.p, s.ct)); got != s.state {
					t.Errorf("packet %d: %s, want %s", i, got, s.state)
				}
				if diff := cmp.Diff(s.want.Data, s.p.Data); diff != "" {
					t.Errorf("packet %d (-want +got):\n%s", i, diff)
				}
				if err := packettest.CheckSums(s.p.Data); err != nil {
					t.Errorf("packet %d: %v", i, err)
				}
			}
		})
	}
}

// TestZones translates a packet twice on one way, and back.
func TestZones(t *testing.T) {
	l := newLab(t)
	p := udp(hostA, hostB, 1000, 2)
	k := l.pass(p, "ct(commit,zone=1,nat(dst=30.0.0.1))")
	l.again(p, k, "ct(commit,zone=1)") // the same connection, found by what it has become
	if got := state(k); got != "new+trk+dnat" {
		t.Errorf("in its zone again: %s", got)
	}
	l.again(p, k, "ct(commit,zone=2,nat(src=20.0.0.1))")
	if got := state(k); got != "new+trk+snat" {
		t.Errorf("in the second zone: %s", got)
	}
	if diff := cmp.Diff(udp("20.0.0.1", "30.0.0.1", 1000, 2).Data, p.Data); diff != "" {
		t.Error(diff)
	}
	p = udp("30.0.0.1", "20.0.0.1", 2, 1000)
	k = l.pass(p, "ct(zone=2,nat)")
	l.again(p, k, "ct(zone=1,nat)")
	if diff := cmp.Diff(udp(hostB, hostA, 2, 1000).Data, p.Data); diff != "" || state(k) != "est+rpl+trk+snat" {
		t.Error(state(k), diff)
	}
	if n, _ := l.Count(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestHairpin has a host reach itself by the address of a service.
func TestHairpin(t *testing.T) {
	l := newLab(t)
	p := udp(hostA, "30.0.0.1", 1000, 80)
	k := l.pass(p, "ct(commit,zone=1,nat(dst=10.0.0.1:80))")
	l.again(p, k, "ct(commit,zone=2,nat(src=30.0.0.1))")
	if diff := cmp.Diff(udp("30.0.0.1", hostA, 1000, 80).Data, p.Data); diff != "" {
		t.Error(diff)
	}
	p = udp(hostA, "30.0.0.1", 80, 1000)
	k = l.pass(p, "ct(zone=2,nat)")
	l.again(p, k, "ct(zone=1,nat)")
	if diff := cmp.Diff(udp("30.0.0.1", hostA, 80, 1000).Data, p.Data); diff != "" || state(k) != "est+rpl+trk+snat" {
		t.Error(state(k), diff)
	}
}

func TestForce(t *testing.T) {
	l := newLab(t)
	l.pass(udp(hostA, hostB, 1, 2), "ct(commit)")
	for i, s := range []struct {
		p        *packet.Packet
		ct, want string
	}{
		{udp(hostB, hostA, 2, 1), "ct(commit)", "est+rpl+trk"},
		{udp(hostA, hostB, 1, 2), "ct(force_commit)", "est+trk"},
		{report(hostB, hostA, 3, udp(hostA, hostB, 1, 2)), "ct(force_commit)", "rel+rpl+trk"},
		{udp(hostB, hostA, 2, 1), "ct(force_commit)", "new+trk"},
		{udp(hostA, hostB, 1, 2), "ct", "est+rpl+trk"},
	} {
		if got := state(l.pass(s.p, s.ct)); got != s.want {
			t.Errorf("packet %d: %s, want %s", i, got, s.want)
		}
	}
}

func TestExpiry(t *testing.T) {
	l := newLab(t)
	policy, err := PolicyTimeouts(map[string]uint32{"udp_first": 5, "tcp_last_ack": 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := PolicyTimeouts(map[string]uint32{"udp": 5}); err == nil {
		t.Error("an unknown timeout was accepted")
	}
	_ = l.SetTimeouts("fast", &policy)
	for _, s := range []struct {
		ct      string
		seconds int64
	}{{"ct(commit)", 60}, {"ct(commit,timeout=fast)", 5}, {"ct(commit,timeout=unknown)", 60}} {
		l.pass(udp(hostA, hostB, 1, 2), s.ct)
		l.now += s.seconds*1e9 - 1
		if n, _ := l.Count(); n != 1 {
			t.Errorf("%s: gone too early", s.ct)
		}
		l.now++
		if got := state(l.pass(udp(hostB, hostA, 2, 1), "ct")); got != "new+trk" {
			t.Errorf("%s: %s after its time", s.ct, got)
		}
		if n, _ := l.Count(); n != 0 {
			t.Errorf("%s: still there", s.ct)
		}
	}
	// Packets that have nothing to do with them sweep connections away.
	for i := range uint16(1000) {
		l.pass(udp(hostA, hostB, i+1, 2), "ct(commit)")
	}
	l.now += 60e9
	for range 1000 {
		l.pass(udp(hostC, hostB, 1, 2), "ct")
	}
	if len(l.all) != 0 || len(l.conns) != 0 || len(l.perZone) != 0 {
		t.Errorf("%d connections were not swept", len(l.all))
	}
}

// TestFull has connections with answers stay, and others give way to newer ones.
func TestFull(t *testing.T) {
	l := newLab(t)
	_ = l.SetMax(3)
	l.pass(udp(hostA, hostB, 1, 2), "ct(commit)")
	l.pass(udp(hostB, hostA, 2, 1), "ct")
	for i := range uint16(5) {
		if got := state(l.pass(udp(hostC, hostB, i+10, 2), "ct(commit)")); got != "new+trk" {
			t.Errorf("packet %d of a flood: %s", i, got)
		}
	}
	if c, _ := l.Counters(); c.Displaced != 3 {
		t.Errorf("%d displaced", c.Displaced)
	}
	if got := state(l.pass(udp(hostA, hostB, 1, 2), "ct")); got != "est+trk" {
		t.Errorf("the flood took an established connection: %s", got)
	}
	for i := range uint16(2) { // the last two of the flood are still there
		if got := state(l.pass(udp(hostB, hostC, 2, i+13), "ct")); got != "est+rpl+trk" {
			t.Errorf("answer %d: %s", i, got)
		}
	}
	if got := state(l.pass(udp(hostA, hostB, 5, 2), "ct(commit)")); got != "" {
		t.Errorf("beyond the maximum: %s", got)
	}
	if n, _ := l.Count(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

func TestLimits(t *testing.T) {
	l := newLab(t)
	_ = l.SetDefaultLimit(2)
	_ = l.SetLimit(7, 1)
	_ = l.SetLimit(8, 0)
	for zone, want := range map[int]int{6: 2, 7: 1, 8: 5} {
		passed := 0
		for i := range uint16(5) {
			if state(l.pass(udp(hostA, hostB, i+1, 2), fmt.Sprintf("ct(commit,zone=%d)", zone))) != "" {
				passed++
			}
		}
		if passed != want {
			t.Errorf("zone %d: %d passed", zone, passed)
		}
	}
	standard, list, _ := l.Limits()
	if diff := cmp.Diff([]ZoneLimit{{7, 1, 1}, {8, 0, 5}}, list); diff != "" || standard != 2 {
		t.Error(standard, diff)
	}
	_, list, _ = l.Limits(6, 9)
	if diff := cmp.Diff([]ZoneLimit{{6, 2, 2}, {9, 2, 0}}, list); diff != "" {
		t.Error(diff)
	}
	_ = l.DelLimit(7)
	if got := state(l.pass(udp(hostA, hostB, 9, 2), "ct(commit,zone=7)")); got != "new+trk" {
		t.Errorf("without its limit: %s", got)
	}
}

func TestFlush(t *testing.T) {
	for what, want := range map[string]int{
		"": 0, "ct_nw_src=10.0.0.1": 1, "ct_nw_dst=10.0.0.2,ct_nw_proto=17": 1, "ct_nw_proto=17,ct_tp_src=1": 3,
		"ct_nw_proto=1,icmp_id=1": 3, "ct_nw_proto=1": 3, "ct_nw_proto=6": 4, "ct_nw_src=10.0.0.1,ct_tp_src=7": 3,
	} {
		l := newLab(t)
		l.pass(udp(hostA, hostB, 1, 2), "ct(commit,zone=1)")
		l.pass(udp(hostA, hostB, 7, 2), "ct(commit,zone=2,mark=0x5)")
		l.pass(icmp(hostA, hostB, 8, 1), "ct(commit,zone=3,label=0x100000000000000000)")
		l.pass(udp(hostC, hostB, 9, 2), "ct(commit,zone=1)")
		part, err := ParseTuple(what)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Flush(&Filter{Orig: part}); err != nil {
			t.Fatal(err)
		}
		if n, _ := l.Count(); n != want {
			t.Errorf("%q leaves %d, want %d", what, n, want)
		}
	}
	for _, bad := range []string{"x", "ct_nw_src", "ct_nw_src=fd00::1", "ct_nw_src=1.1.1.1,ct_ipv6_dst=fd00::1", "ct_tp_src=70000", "ct_nw_proto=1,ct_tp_src=1", "mark=1"} {
		if _, err := ParseTuple(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	l := newLab(t)
	l.pass(udp(hostA, hostB, 1, 2), "ct(commit,zone=1,mark=0x5,label=0x300000000000000000)")
	zone := uint16(1)
	for i, s := range []struct {
		Filter
		want int
	}{
		{Filter{Zone: new(uint16)}, 0}, {Filter{Mark: 4, MarkMask: 6}, 1}, {Filter{Mark: 4, MarkMask: 5}, 0},
		{Filter{Zone: &zone, LabelMask: [16]byte{7: 1}, Label: [16]byte{7: 1}}, 0},
		{Filter{Zone: &zone, LabelMask: [16]byte{6: 1}}, 1},
	} {
		n, _ := l.Flush(&s.Filter)
		if n != s.want {
			t.Errorf("filter %d: %d", i, n)
		}
		l.pass(udp(hostA, hostB, 1, 2), "ct(commit,zone=1,mark=0x5,label=0x300000000000000000)")
	}
}

func TestText(t *testing.T) {
	l := newLab(t)
	l.pass(tcp{flagSYN, 1, 0, 8192, 0, 7}.packet(hostA, hostB, 100, 80), "ct(commit,zone=5,mark=0x12,label=0x1234000000000000000000000005)")
	l.pass(tcp{flagSYN | flagACK, 1, 2, 8192, 0, 7}.packet(hostB, hostA, 80, 100), "ct(zone=5)")
	l.pass(icmp("fd00::1", "fd00::2", 128, 7), "ct(commit)")
	const both = "orig=(src=10.0.0.1,dst=10.0.0.2,sport=100,dport=80),reply=(src=10.0.0.2,dst=10.0.0.1,sport=80,dport=100)"
	for o, want := range map[TextOptions]string{
		{}: "tcp," + both + ",zone=5,mark=18,labels=0x1234000000000000000000000005,protoinfo=(state=ESTABLISHED)\n" +
			"icmpv6,orig=(src=fd00::1,dst=fd00::2,id=7,type=128,code=0),reply=(src=fd00::2,dst=fd00::1,id=7,type=129,code=0)",
		{More: true, Statistics: true}: "tcp," + both + ",id=0,zone=5,status=0,timeout=30,mark=18,labels=0x1234000000000000000000000005," +
			"protoinfo=(state_orig=ESTABLISHED,state_reply=SYN_SENT,wscale_orig=7,wscale_reply=7,flags_orig=WINDOW_SCALE,flags_reply=WINDOW_SCALE)\n" +
			"icmpv6,orig=(src=fd00::1,dst=fd00::2,id=7,type=128,code=0),reply=(src=fd00::2,dst=fd00::1,id=7,type=129,code=0),id=0,status=0,timeout=60",
	} {
		if diff := cmp.Diff(want, l.dump(o)); diff != "" {
			t.Errorf("%+v: %s", o, diff)
		}
	}
}
