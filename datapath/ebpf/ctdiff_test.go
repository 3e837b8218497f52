package ebpf

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// More of them: go test ./datapath/ebpf -run DifferentialConntrack -conversations=1000000 -timeout 2h
var diffConversations = flag.Int("conversations", 40000, "packets that TestDifferentialConntrack tracks")

// TestDifferentialConntrack is the proof that the programs track connections as the specification, package conntrack,
// does: conversations with all kinds of disturbances through random ct actions give the same bytes, keys, drops and counters, and
// the same connections at the end.
func TestDifferentialConntrack(t *testing.T) {
	seen := differTalks(t, *diffConversations, func(g *ctGen) {})
	for _, state := range []string{"new", "est", "rel", "rpl", "inv", "snat", "dnat", "dropped"} {
		if seen[state]*500 < *diffConversations {
			t.Errorf("%d packets %s only", seen[state], state)
		}
	}
}

// differTalks runs conversations of as many packets, and returns what states those had.
func differTalks(t *testing.T, packets int, configure func(*ctGen)) map[string]int {
	t.Helper()
	x := newDiffer(t)
	seen := map[string]int{}
	cases := 0
	for ; x.did.pairs < packets; cases++ {
		g := &ctGen{r: rand.New(rand.NewPCG(*diffSeed, uint64(1e6+cases))), ports: x.ports, seen: seen, frags: x.frags}
		configure(g)
		x.unchecked = g.chance(6)
		g.unchecked = x.unchecked
		c := g.make(60)
		err := x.run(c)
		var m *mismatch
		switch {
		case err == nil:
		case errors.Is(err, errLimit):
			x.limits++
		case errors.As(err, &m):
			t.Logf("case %d of seed %d: %v", cases, *diffSeed, m)
			small, err := x.shrinkTalk(c, m)
			t.Fatalf("case %d of seed %d: %v\n%s", cases, *diffSeed, err, small)
		default:
			t.Fatalf("case %d of seed %d: %v\n%s", cases, *diffSeed, err, c)
		}
	}
	t.Logf("%d packets in %d cases, %d given up; %v", x.did.pairs, cases, x.limits, seen)
	if x.limits*20 > cases {
		t.Error("too many given up")
	}
	return seen
}

// shrinkTalk leaves packets out, for a minute at most.
func (x *differ) shrinkTalk(c *diffCase, m *mismatch) (*diffCase, error) {
	best, last := c, m
	x.patience = time.Second
	end := time.Now().Add(time.Minute)
	fails := func(try *diffCase) bool {
		var got *mismatch
		if time.Now().After(end) || !errors.As(x.run(try), &got) || got.what != m.what {
			return false
		}
		best, last = try, got
		return true
	}
	if m.packet >= 0 {
		fails(&diffCase{c.flows, c.packets[:m.packet+1]})
	}
	for size := max(len(best.packets)/2, 1); size > 0; size /= 2 {
		for at := 0; at+size <= len(best.packets); {
			if !fails(&diffCase{best.flows, without(best.packets, at, size)}) {
				at += size
			}
		}
	}
	return best, last
}

// age makes all connections older, and takes back what the test's own run has aged them by.
func (x *differ) age(seconds int) error {
	c := &x.d.conns
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	by := uint64(time.Duration(seconds)*time.Second/time.Duration(x.d.tick.tick)) - (now - x.aged)
	x.aged = now
	if by == 0 {
		return nil
	}
	for i := range c.slots.at {
		c.slots.at[i].Expires -= by
	}
	return x.ageFragments(by)
}

// connections compares those of both, and what was counted.
func (x *differ) connections(o *oracle) error {
	dump := func(c conntrack.Control) (map[conntrack.Tuple]conntrack.Entry, error) {
		m := map[conntrack.Tuple]conntrack.Entry{}
		return m, c.Dump(func(e *conntrack.Entry) bool {
			m[e.Orig] = *e
			return true
		})
	}
	want, err := dump(o.Conntrack())
	if err != nil {
		return err
	}
	if err := x.age(0); err != nil {
		return err
	}
	got, err := dump(x.d.Conntrack())
	if err != nil {
		return err
	}
	for k, g := range got {
		// Of the timeout a little is gone; or there is a little more, as age gave time back that was before the connection.
		if w, ok := want[k]; ok && max(w.Timeout, g.Timeout)-min(w.Timeout, g.Timeout) <= 10 {
			g.Timeout = w.Timeout
			got[k] = g
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		return &mismatch{"a connection", -1, d}
	}
	counted, err := o.Conntrack().Counters()
	if err != nil {
		return err
	}
	now, err := x.d.Conntrack().Counters()
	if err != nil {
		return err
	}
	before := x.counted
	x.counted = now
	for _, n := range []struct {
		name        string
		want, since uint64
	}{
		{"clash", counted.Clash, now.Clash - before.Clash},
		{"invalid", counted.Invalid, now.Invalid - before.Invalid},
		{"flags", counted.InvalidFlags, now.InvalidFlags - before.InvalidFlags},
		{"sequence", counted.SequenceFailed, now.SequenceFailed - before.SequenceFailed},
		{"bypass", counted.SequenceBypass, now.SequenceBypass - before.SequenceBypass},
		{"miss", counted.NattedMiss, now.NattedMiss - before.NattedMiss},
	} {
		if n.want != n.since {
			return &mismatch{"a counter of connections", -1, fmt.Sprintf("%s: want %d, got %d", n.name, n.want, n.since)}
		}
	}
	n, err := x.d.Conntrack().Count()
	if err != nil || n != len(got) {
		return &mismatch{"the number of connections", -1, fmt.Sprintf("%d of %d, %v", n, len(got), err)}
	}
	return nil
}

// ctGen makes conversations between hosts at port 1 and servers at port 2.
type ctGen struct {
	r         *rand.Rand
	ports     []odp.Port
	seen      map[string]int
	frags     conntrack.FragmentSettings
	cut       bool         // packets are fragmented, most of them
	unchecked bool         // windows of TCP
	sent      []diffPacket // as they came in
	got       []diffPacket // as they were delivered, at the other port
	alg       bool         // they are of FTP and TFTP
}

func (g *ctGen) n(n int) int         { return g.r.IntN(n) }
func (g *ctGen) chance(of int) bool  { return g.n(of) == 0 }
func (g *ctGen) port(i int) odp.Port { return g.ports[i] }

func (g *ctGen) make(n int) *diffCase {
	c := &diffCase{}
	for p := range 2 {
		c.flows = append(c.flows, g.pipeline(p)...)
	}
	clk := clock.NewManual(time.Unix(1000, 0))
	d := soft.New(soft.Options{SkipChecksums: true, Clock: clk})
	defer d.Close(true)
	for _, p := range g.ports {
		if _, err := d.PortAdd(datapath.PortSpec{Name: fmt.Sprint(p), Number: p}); err != nil {
			panic(err)
		}
	}
	if err := d.Conntrack().(conntrack.FragmentControl).SetFragments(g.frags); err != nil {
		panic(err)
	}
	for i := range c.flows {
		if _, err := d.FlowPut(&c.flows[i]); err != nil {
			panic(err)
		}
	}
	delivered := 0
	d.Handle(func(up *datapath.Upcall) {
		delivered++
		s := conntrack.State(up.Key.Get(flow.CTState))
		for i, name := range []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"} {
			if s>>i&1 != 0 {
				g.seen[name]++
			}
		}
		other := g.port(1)
		if odp.Port(up.Key.Get(flow.InPortOXM)) == other {
			other = g.port(0)
		}
		g.got = append(g.got, diffPacket{port: other, data: slices.Clone(up.Packet.Data)})
	})
	if err := d.Conntrack().SetSequenceCheck(!g.unchecked); err != nil {
		panic(err)
	}
	for len(c.packets) < n {
		for _, p := range g.packets() {
			if len(p.data) < packet.EthLen+40 || len(p.data) > 1800 {
				continue
			}
			if g.chance(40) {
				p.wait = 7 * (1 + g.n(10))
				clk.Advance(time.Duration(p.wait) * time.Second)
			}
			c.packets = append(c.packets, p)
			g.sent = append(g.sent, p)
			delivered = 0
			if err := d.Receive(p.port, &packet.Packet{Data: slices.Clone(p.data)}); err != nil {
				panic(err)
			}
			if delivered == 0 {
				g.seen["dropped"]++
			}
		}
	}
	return c
}

// pipeline are the flows of one port: ct actions with recirculation behind each, at the end an upcall that shows the key.
func (g *ctGen) pipeline(p int) (out []datapath.Flow) {
	zones := []uint16{1, 1, 2, 0, 65535}
	steps := 1 + g.n(3)
	for i := range steps + 1 {
		f := datapath.Flow{}
		id := uint32(0)
		if i > 0 {
			id = uint32(10*p + i)
		}
		f.Match.Set(flow.RecircID, uint64(id))
		f.Match.Set(flow.InPortOXM, uint64(g.port(p)))
		if i == steps {
			f.Actions = []odp.Action{odp.Userspace{Kind: odp.UpcallController, Cookie: id}}
			if g.chance(3) {
				f.Actions = append(f.Actions, odp.Output{Port: g.port(2)})
			}
			out = append(out, f)
			break
		}
		if g.chance(10) {
			f.Actions = append(f.Actions, odp.Set{Fields: []odp.FieldSet{{Field: flow.EthSrc, Value: []byte{2, 0, 0, 0, 0, byte(i)}}}})
		}
		if g.chance(10) {
			f.Actions = append(f.Actions, odp.CTClear{})
		}
		// The upcall of a copy that goes to a helper comes later than that of the packet.
		if !g.alg && g.chance(10) {
			f.Actions = append(f.Actions, odp.Clone{Actions: []odp.Action{g.ct(p, zones[g.n(5)]), odp.Userspace{Kind: odp.UpcallController, Cookie: 99}}})
		}
		f.Actions = append(f.Actions, g.ct(p, zones[g.n(5)]))
		if g.chance(6) {
			f.Actions = append(f.Actions, g.ct(p, zones[g.n(5)]))
		}
		if g.chance(10) {
			f.Actions = append(f.Actions, odp.Hash{Basis: 3})
		}
		f.Actions = append(f.Actions, odp.Recirc{ID: uint32(10*p + i + 1)})
		out = append(out, f)
	}
	return out
}

func (g *ctGen) ct(p int, zone uint16) odp.CT {
	a := odp.CT{Zone: zone, Commit: g.n(3) > 0}
	a.Force = a.Commit && g.chance(12)
	if g.alg {
		g.help(&a)
	}
	if a.Commit && g.chance(2) {
		m := g.r.Uint32()
		a.Mark = &[2]uint32{g.r.Uint32() & m, m}
	}
	if a.Commit && g.chance(3) {
		a.Label = new([2][16]byte)
		for i := range 16 {
			a.Label[1][i] = byte(g.r.Uint32())
			a.Label[0][i] = byte(g.r.Uint32()) & a.Label[1][i]
		}
	}
	switch g.n(4) {
	case 0:
		return a
	case 1:
		a.NAT = &odp.NAT{}
		return a
	}
	if !a.Commit {
		a.NAT = &odp.NAT{}
		return a
	}
	n := &odp.NAT{Src: g.n(3) > 0, Persistent: g.chance(3), Hash: g.chance(3)}
	n.Dst = !n.Src
	switch g.n(6) {
	case 0:
	case 1:
		n.MinAddr = make([]byte, []int{4, 16}[g.n(2)])
	case 2:
		n.MinAddr = address(true, 50)
		if g.chance(2) {
			n.MaxAddr = address(true, byte(50+g.n(4)))
		}
		if g.chance(3) {
			n.MaxAddr = slices.Clone(n.MinAddr)
			n.MaxAddr[2] = 9
		}
	default:
		n.MinAddr = address(false, byte(50+g.n(3)))
		if g.chance(2) {
			n.MaxAddr = address(false, byte(50+g.n(5)))
		}
	}
	if g.chance(2) {
		n.MinPort = uint16(1 + g.n(3000))
		if g.chance(2) {
			n.MaxPort = n.MinPort + uint16(g.n(4)*g.n(200))
		}
	}
	a.NAT = n
	return a
}

// address is one of a few.
func address(v6 bool, n byte) []byte {
	if v6 {
		return []byte{0xfd, 15: n}
	}
	return []byte{10, 0, 0, n}
}

// talk is a packet in parts.
type talk struct {
	v6               bool
	src, dst         []byte
	proto            uint8
	sport, dport     uint16 // ICMP: identifier; type and code
	seq, ack, window uint32
	flags            uint8
	options          []byte
	payload          []byte
	ipID             uint16
}

var be = binary.BigEndian

// bytes composes the packet with right checksums; sum says whether UDP has one.
func (k *talk) bytes(sum bool) []byte {
	var l4 []byte
	at := -1
	switch k.proto {
	case packet.ProtoTCP:
		l4 = be.AppendUint16(be.AppendUint16(nil, k.sport), k.dport)
		l4 = be.AppendUint32(be.AppendUint32(l4, k.seq), k.ack)
		l4 = append(l4, byte((20+len(k.options))/4)<<4, k.flags)
		l4 = append(be.AppendUint16(l4, uint16(k.window)), 0, 0, 0, 0)
		l4, at = append(l4, k.options...), 16
	case packet.ProtoUDP:
		l4 = be.AppendUint16(be.AppendUint16(nil, k.sport), k.dport)
		l4 = append(be.AppendUint16(l4, uint16(8+len(k.payload))), 0, 0)
		if sum || k.v6 {
			at = 6
		}
	case packet.ProtoSCTP:
		l4 = be.AppendUint16(be.AppendUint16(nil, k.sport), k.dport)
		l4 = append(l4, 1, 2, 3, 4, 0, 0, 0, 0)
	case packet.ProtoICMP, packet.ProtoICMPv6:
		l4 = []byte{byte(k.dport >> 8), byte(k.dport), 0, 0}
		l4, at = append(be.AppendUint16(l4, k.sport), byte(k.seq>>8), byte(k.seq)), 2
	}
	l4 = append(l4, k.payload...)
	if at >= 0 {
		pseudo := packet.PseudoHeader(k.src, k.dst, k.proto) + uint32(len(l4))
		if k.proto == packet.ProtoICMP {
			pseudo = 0
		}
		c := packet.Checksum(l4, pseudo)
		if c == 0 && k.proto == packet.ProtoUDP {
			c = 0xffff
		}
		be.PutUint16(l4[at:], c)
	}
	if k.proto == packet.ProtoSCTP {
		packet.FinishSCTP(l4)
	}
	return k.frame(l4, 0)
}

// frame puts an IP and an Ethernet header before a payload; frag is the IPv4 fragment word.
func (k *talk) frame(l4 []byte, frag uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}
	if k.v6 {
		b[12], b[13] = 0x86, 0xdd
		next := k.proto
		if frag != 0 {
			next = 44
			h := append([]byte{k.proto, 0}, be.AppendUint16(nil, frag&0x1fff<<3|frag>>13&1)...)
			l4 = append(append(h, 0, 0, byte(k.ipID>>8), byte(k.ipID)), l4...)
		}
		b = append(b, 0x60, 0, 0, 0)
		b = append(be.AppendUint16(b, uint16(len(l4))), next, 64)
		return append(append(append(b, k.src...), k.dst...), l4...)
	}
	ip := append(be.AppendUint16([]byte{0x45, 0}, uint16(20+len(l4))), byte(k.ipID>>8), byte(k.ipID), byte(frag>>8), byte(frag), 64, k.proto, 0, 0)
	ip = append(append(ip, k.src...), k.dst...)
	be.PutUint16(ip[10:], packet.Checksum(ip, 0))
	return append(append(b, ip...), l4...)
}

// parts takes a packet apart; nil: it is none that talk makes.
func parts(data []byte) *talk {
	var key flow.Key
	o := packet.Parse(data, &key)
	if o.L4 < 0 || key.Get(flow.IPFrag) != 0 {
		return nil
	}
	k := &talk{proto: uint8(key.Get(flow.NwProto))}
	ip, l4 := data[o.L3:o.End], data[o.L4:o.End]
	switch key.Get(flow.EthType) {
	case packet.EthTypeIPv4:
		k.src, k.dst = ip[12:16], ip[16:20]
	case packet.EthTypeIPv6:
		k.v6, k.src, k.dst = true, ip[8:24], ip[24:40]
	default:
		return nil
	}
	if len(l4) < 8 {
		return nil
	}
	k.sport, k.dport = be.Uint16(l4), be.Uint16(l4[2:])
	switch k.proto {
	case packet.ProtoTCP:
		n := 0
		if len(l4) >= 20 {
			n = int(l4[12]>>4) * 4
		}
		if n < 20 || n > len(l4) {
			return nil
		}
		k.seq, k.ack, k.flags, k.window = be.Uint32(l4[4:]), be.Uint32(l4[8:]), l4[13], uint32(be.Uint16(l4[14:]))
		k.options, k.payload = l4[20:n], l4[n:]
	case packet.ProtoUDP:
		k.payload = l4[8:]
	case packet.ProtoSCTP:
	case packet.ProtoICMP, packet.ProtoICMPv6:
		k.sport, k.dport, k.seq = be.Uint16(l4[4:]), uint16(l4[0])<<8|uint16(l4[1]), uint32(be.Uint16(l4[6:]))
		k.payload = l4[8:]
	default:
		k.sport, k.dport = 0, 0
		k.payload = l4
	}
	return k
}

const (
	fin = 1 << iota
	syn
	rst
	psh
	ack
)

// packets makes the next packet, or the fragments of one.
func (g *ctGen) packets() []diffPacket {
	kind := g.n(20)
	if len(g.got) == 0 || kind < 4 {
		return g.fresh()
	}
	sent, got := g.sent[len(g.sent)-1-g.n(min(len(g.sent), 8))], g.got[len(g.got)-1-g.n(min(len(g.got), 8))]
	switch {
	case kind == 4:
		return []diffPacket{sent}
	case kind == 5:
		p := sent
		p.data = slices.Clone(p.data)
		if at := 14 + g.n(len(p.data)-14); g.chance(2) {
			p.data[at] ^= 1 << g.n(8)
		} else {
			p.data = p.data[:at]
		}
		return []diffPacket{p}
	case kind <= 7:
		if p := g.report(&got); p != nil {
			return []diffPacket{*p}
		}
	case kind <= 10:
		if k := parts(sent.data); k != nil {
			return []diffPacket{{port: sent.port, data: g.next(k).bytes(g.chance(2))}}
		}
	}
	if k := parts(got.data); k != nil {
		if a := g.answer(k); a != nil {
			if g.cut && !g.chance(4) {
				return g.pieces(a, got.port)
			}
			if g.chance(8) {
				return g.fragments(a, got.port)
			}
			return []diffPacket{{port: got.port, data: a.bytes(g.chance(2))}}
		}
	}
	return g.fresh()
}

func (g *ctGen) fresh() []diffPacket {
	if g.alg && g.chance(3) {
		if k := g.announced(); k != nil {
			return []diffPacket{{port: g.port(g.n(2)), data: k.bytes(true)}}
		}
	}
	k := &talk{v6: g.chance(3), ipID: uint16(g.n(4))}
	k.src, k.dst = address(k.v6, byte(1+g.n(3))), address(k.v6, byte(10+g.n(2)))
	if g.chance(10) {
		k.dst = address(k.v6, byte(50+g.n(4)))
	}
	if g.chance(30) {
		k.dst = k.src
	}
	k.sport, k.dport = uint16([]int{5000, 5001, 700, 20, 1024, 65535}[g.n(6)]), uint16(80+g.n(2))
	if g.chance(30) {
		k.sport = k.dport
	}
	k.payload = make([]byte, g.n(30))
	switch g.n(8) {
	case 0, 1, 2, 3:
		k.proto, k.flags, k.seq, k.window = packet.ProtoTCP, syn, g.r.Uint32(), uint32(g.n(65536))
		k.payload = nil
		g.scale(k)
		if g.chance(6) {
			k.flags, k.payload, k.ack = ack, make([]byte, g.n(100)), g.r.Uint32()
		}
	case 4, 5:
		k.proto = packet.ProtoUDP
		g.request(k)
	case 6:
		k.proto, k.sport, k.dport = packet.ProtoICMP, uint16(g.n(3)), uint16([]int{8, 8, 8, 13, 0, 17}[g.n(6)])<<8
		if k.v6 {
			k.proto, k.dport = packet.ProtoICMPv6, uint16([]int{128, 128, 129, 135}[g.n(4)])<<8
		}
	case 7:
		k.proto = []uint8{packet.ProtoSCTP, packet.ProtoSCTP, 47, packet.ProtoICMP}[g.n(4)]
		k.payload = make([]byte, 16)
		if k.proto == packet.ProtoICMP {
			k.dport = 8 << 8
		}
	}
	port := g.port(0)
	if g.chance(8) {
		port = g.port(1)
	}
	if g.cut && !g.chance(4) {
		return g.pieces(k, port)
	}
	if g.chance(8) {
		return g.fragments(k, port)
	}
	return []diffPacket{{port: port, data: k.bytes(g.chance(2))}}
}

func (g *ctGen) scale(k *talk) {
	switch g.n(4) {
	case 0:
		k.options = []byte{2, 4, 5, 0xb4, 1, 3, 3, byte(g.n(16))}
	case 1:
		k.options = []byte{1, 3, 3, byte(g.n(9))}
	case 2:
		k.options = []byte{8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}
	}
}

// next goes on in the same direction.
func (g *ctGen) next(k *talk) *talk {
	switch k.proto {
	case packet.ProtoTCP:
		k.seq += uint32(len(k.payload))
		if k.flags&(syn|fin) != 0 {
			k.seq++
		}
		g.segment(k)
	case packet.ProtoUDP:
		k.payload = make([]byte, g.n(100))
		g.request(k)
	}
	k.seq += uint32(b2u(k.proto == packet.ProtoICMP))
	return k
}

// segment chooses what a TCP end sends at a sequence number.
func (g *ctGen) segment(k *talk) {
	k.options, k.payload = nil, nil
	k.window = uint32(g.n(65536))
	switch g.n(12) {
	case 0:
		k.flags = fin | ack
	case 1:
		k.flags = rst | ack
		if g.chance(2) {
			k.flags, k.ack = rst, 0
		}
	case 2:
		k.flags, k.ack = syn, 0
		g.scale(k)
	case 3:
		k.flags = uint8(g.r.Uint32())
	case 4:
		k.flags = ack
	default:
		k.flags, k.payload = ack|psh, make([]byte, g.n(1400))
	}
	if g.alg {
		g.message(k)
	}
	switch g.n(12) {
	case 0:
		k.seq += uint32(g.n(200000))
	case 1:
		k.seq -= uint32(g.n(200000))
	case 2:
		k.ack += uint32(g.n(200000)) - 100000
	case 3:
		k.seq = g.r.Uint32()
	}
}

// answer is what the receiver of a packet may send back.
func (g *ctGen) answer(k *talk) *talk {
	k.src, k.dst = k.dst, k.src
	switch k.proto {
	case packet.ProtoTCP:
		k.sport, k.dport = k.dport, k.sport
		seq := k.ack
		k.ack = k.seq + uint32(len(k.payload))
		if k.flags&(syn|fin) != 0 {
			k.ack++
		}
		k.seq = seq
		if k.flags&(syn|ack) == syn && !g.chance(6) {
			k.seq, k.flags, k.payload, k.options, k.window = 1000, syn|ack, nil, nil, uint32(g.n(65536))
			g.scale(k)
			return k
		}
		g.segment(k)
	case packet.ProtoUDP, packet.ProtoSCTP:
		k.sport, k.dport = k.dport, k.sport
	case packet.ProtoICMP:
		switch k.dport >> 8 {
		case 8:
			k.dport = 0
		case 13:
			k.dport = 14 << 8
		case 0:
			k.dport = 8 << 8
		default:
			return nil
		}
	case packet.ProtoICMPv6:
		if t := k.dport >> 8; t != 128 && t != 129 {
			return nil
		}
		k.dport ^= 1 << 8
	}
	return k
}

// report is an ICMP error about a packet that was delivered.
func (g *ctGen) report(p *diffPacket) *diffPacket {
	k := parts(p.data)
	if k == nil {
		return nil
	}
	ip := p.data[14:]
	quoted := slices.Clone(ip[:min(len(ip), []int{28, 48, 60, 68, 600}[g.n(5)])])
	e := &talk{v6: k.v6, src: k.dst, dst: k.src, proto: packet.ProtoICMP, payload: quoted}
	e.dport = uint16([]int{3, 11, 12, 5, 4, 7}[g.n(6)])<<8 | uint16(g.n(4))
	if k.v6 {
		e.proto, e.dport = packet.ProtoICMPv6, uint16(1+g.n(5))<<8
	}
	if g.chance(3) { // from a router
		e.src = address(k.v6, 99)
	}
	if g.chance(10) {
		quoted[g.n(len(quoted))] ^= 0x10
	}
	return &diffPacket{port: p.port, data: e.bytes(true)}
}

// fragments cuts a packet in pieces, of which some are lost or out of order.
func (g *ctGen) fragments(k *talk, port odp.Port) (out []diffPacket) {
	k.ipID = uint16(g.n(4))
	k.payload = append(k.payload, make([]byte, 60)...)
	b := k.bytes(true)
	l4 := b[14+20:]
	if k.v6 {
		l4 = b[14+40:]
	}
	cut := 24 + 8*g.n(3)
	if len(l4) <= cut {
		return nil
	}
	out = []diffPacket{
		{port: port, data: k.frame(l4[:cut], 0x2000)},
		{port: port, data: k.frame(l4[cut:], uint16(cut/8))},
	}
	switch g.n(6) {
	case 0:
		out = out[:1]
	case 1:
		out = out[1:]
	case 2:
		slices.Reverse(out)
	}
	return out
}

func runProgram(p *ebpf.Program, data, skb []byte) error {
	_, err := p.Run(&ebpf.RunOptions{Data: data, Context: skb})
	return err
}
