package ebpf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
)

// diffCase is a megaflow table and packets for it. The flows do not overlap: a packet hits at most one.
type diffCase struct {
	flows   []datapath.Flow
	packets []diffPacket
}

type diffPacket struct {
	port           odp.Port
	mark, priority uint32
	wire           bool // comes in over the device, not by a test run
	wait           int  // seconds that go by before, for connections
	data           []byte
}

// key is what a datapath knows of a packet before its headers.
func (p *diffPacket) key() (k flow.Key) {
	k.Set(flow.PktMark, uint64(p.mark))
	k.Set(flow.SkbPriority, uint64(p.priority))
	return k
}

// String is a reproduction: flows as dpctl shows them, what these texts do not show as words, packets in hex.
func (c *diffCase) String() string {
	var b strings.Builder
	for i := range c.flows {
		f := &c.flows[i]
		fmt.Fprintf(&b, "flow %d: %s\n", i, odp.FormatFlow(&odp.FlowText{Match: &f.Match, Actions: f.Actions, Used: -1}, odp.TextOptions{}))
		if m, err := odp.ParseKey(odp.FormatKey(&f.Match.Key, &f.Match.Mask, odp.TextOptions{}), nil); err != nil || m != f.Match {
			b.WriteString("  words (value/mask):")
			for w, m := range f.Match.Mask {
				if m != 0 {
					fmt.Fprintf(&b, " %d:%#x/%#x", w, f.Match.Key[w], m)
				}
			}
			b.WriteByte('\n')
		}
	}
	for _, p := range c.packets {
		how := "test run"
		if p.wire {
			how = "device"
		}
		if p.wait > 0 {
			fmt.Fprintf(&b, "%d seconds\n", p.wait)
		}
		fmt.Fprintf(&b, "packet by %s: port %d mark %#x priority %#x %x\n", how, p.port, p.mark, p.priority, p.data)
	}
	return b.String()
}

// structure is what says which headers a packet has. Translations read it before they write a header, so all
// flows that do have it in their masks.
var structure = func() (m flow.Mask) {
	for _, id := range []flow.FieldID{flow.PacketType, flow.EthType, flow.NwProto, flow.IPFrag, flow.VLANTCI, flow.VLANTPID, flow.VLANTCI2,
		flow.VLANTPID2, flow.MPLSLSE0, flow.MPLSLSE1, flow.MPLSLSE2} {
		m.SetExact(id)
	}
	return m
}()

// diffGen makes cases.
type diffGen struct {
	r *rand.Rand
	// accept reports whether the datapath under test can do actions.
	accept func(*datapath.Flow) error
	ports  []odp.Port // by which packets come in; those behind the first three are internal
	made   map[string]int
}

const (
	diffFlows   = 24
	diffNoPort  = odp.Port(60)
	diffRecircs = 4
)

func (g *diffGen) n(n int) int { return g.r.IntN(n) }

func (g *diffGen) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	return b
}

// make makes a table of what packets miss, and packets for it: those, variants of them and others.
func (g *diffGen) make(pairs int) *diffCase {
	c := new(diffCase)
	base := make([]diffPacket, 1+g.n(20))
	sweep := g.n(8) == 0 // one packet, cut off at every length
	if sweep {
		base = base[:1]
	}
	for i := range base {
		base[i] = g.packet(packettest.Valid(g.r))
		if b := packettest.Generate(g.r); g.n(4) == 0 && len(b) >= packet.EthLen {
			base[i].data = b
		}
	}
	g.table(c, base)
	for len(c.packets) < pairs {
		p := base[g.n(len(base))]
		if sweep {
			p.data = p.data[:min(len(p.data), 14+len(c.packets))]
			if len(c.packets) >= len(base[0].data) {
				p.data = g.mutate(p.data)
			}
		} else {
			switch g.n(5) {
			case 0:
				p = g.packet(packettest.Generate(g.r))
			case 1, 2:
				p.data = g.mutate(p.data)
			}
		}
		if g.n(4) == 0 && p.port <= 3 {
			p.wire, p.mark, p.priority = true, 0, 0
		}
		if len(p.data) >= packet.EthLen {
			c.packets = append(c.packets, p)
		}
	}
	return c
}

func (g *diffGen) packet(data []byte) diffPacket {
	p := diffPacket{port: g.ports[g.n(len(g.ports))], data: data}
	if g.n(3) == 0 {
		p.mark, p.priority = g.r.Uint32(), g.r.Uint32()
	}
	return p
}

// mutate changes bits, bytes or the length.
func (g *diffGen) mutate(data []byte) []byte {
	b := slices.Clone(data)
	switch g.n(3) {
	case 0:
		return b[:g.n(len(b)+1)]
	case 1:
		if len(b) > 0 {
			b[g.n(min(len(b), 100))] ^= 1 << g.n(8)
		}
	default:
		for range 1 + g.n(3) {
			if len(b) > 0 {
				b[g.n(min(len(b), 100))] = []byte{0, 1, 0xff, byte(g.r.Uint32())}[g.n(4)]
			}
		}
	}
	return b
}

// table lets packets miss in a datapath and installs flows for most of those that do, as upcalls would.
func (g *diffGen) table(c *diffCase, packets []diffPacket) {
	d := soft.New(soft.Options{})
	defer d.Close(true)
	for _, p := range g.ports {
		if _, err := d.PortAdd(datapath.PortSpec{Name: fmt.Sprint(p), Number: p}); err != nil {
			panic(err)
		}
	}
	d.Handle(func(up *datapath.Upcall) {
		if up.Kind != 0 || len(c.flows) >= diffFlows || g.n(8) == 0 {
			return
		}
		f := g.flow(up, c.flows)
		if f == nil {
			return
		}
		if _, err := d.FlowPut(f); err != nil {
			panic(err)
		}
		c.flows = append(c.flows, *f)
		_ = d.Execute(up.Packet.Clone(), &up.Key, f.Actions)
	})
	for range 2 {
		for _, p := range packets {
			k := p.key()
			_ = d.ReceiveKey(p.port, &packet.Packet{Data: slices.Clone(p.data)}, &k)
		}
	}
}

// flow makes a flow that the packet hits and that no packet of the other flows can hit; nil if there is none.
func (g *diffGen) flow(up *datapath.Upcall, others []datapath.Flow) *datapath.Flow {
	f := new(datapath.Flow)
	var writes bool
	f.Actions, writes = g.list(up.Packet.Clone(), up.Key, true, int(up.Key.Get(flow.RecircID)), 2)
	m := &f.Match.Mask
	g.mask(m)
	if writes {
		m.Or(&structure)
		if up.Key.Get(flow.NwProto) == packet.ProtoICMPv6 {
			m.SetExact(flow.ICMPv6Type)
			m.SetExact(flow.ICMPv6Code)
		}
	}
	m.SetExact(flow.RecircID)
	for i := range others {
		o := &others[i].Match
		both := o.Mask
		both.And(m)
		if !up.Key.EqualMasked(&o.Key, &both) {
			continue
		}
		// A bit that proves that the packet is not the other flow's.
		var bits []int
		for b := range flow.DPWords * 64 {
			if (up.Key[b/64]^o.Key[b/64])&o.Mask[b/64]>>(b%64)&1 != 0 {
				bits = append(bits, b)
			}
		}
		b := bits[g.n(len(bits))]
		m[b/64] |= 1 << (b % 64)
	}
	words := 0
	for _, w := range m {
		if w != 0 {
			words++
		}
	}
	if words > slotWords {
		return nil
	}
	f.Match.Key = up.Key
	f.Match.Normalize()
	// What the datapath under test cannot do yet is left out.
	for try := 0; ; try++ {
		err := g.accept(f)
		switch {
		case err == nil:
			g.count(f.Actions)
			return f
		case errors.Is(err, datapath.ErrUnsupported) && try < 12:
			f.Actions = g.reduce(f.Actions)
		case errors.Is(err, datapath.ErrTooLong) && try < 12:
			f.Actions = f.Actions[len(f.Actions)/2:]
		case errors.Is(err, datapath.ErrTooManyMask):
			return nil
		default:
			f.Actions = []odp.Action{odp.Output{Port: g.ports[0]}}
		}
	}
}

// reduce takes one action away, or out of its list.
func (g *diffGen) reduce(l []odp.Action) []odp.Action {
	if len(l) == 0 {
		return l
	}
	i := g.n(len(l))
	l = slices.Clone(l)
	if c, ok := l[i].(odp.Clone); ok && len(c.Actions) > 0 {
		c.Actions = g.reduce(c.Actions)
		l[i] = c
		return l
	}
	if i == len(l)-1 {
		l[i] = odp.Output{Port: g.ports[g.n(3)]}
		return l
	}
	return slices.Delete(l, i, i+1)
}

func (g *diffGen) count(l []odp.Action) {
	eachAction(l, func(a odp.Action) {
		g.made[strings.TrimPrefix(fmt.Sprintf("%T", a), "odp.")]++
		if s, ok := a.(odp.Set); ok {
			for _, f := range s.Fields {
				g.made["Set "+f.Field.String()]++
			}
		}
	})
}

// mask makes a random mask: members, some bits of them, bits anywhere.
func (g *diffGen) mask(m *flow.Mask) {
	for range g.n(8) {
		f := flow.Layout[g.n(40)]
		if g.n(4) == 0 {
			f = flow.Layout[g.n(len(flow.Layout))]
		}
		if f.Off+f.Size > flow.DPWords*8 {
			continue
		}
		b := m.Bytes()[f.Off : f.Off+f.Size]
		kind := g.n(3)
		for i := range b {
			switch kind {
			case 0: // a prefix
				if i < 1+len(b)/2 {
					b[i] = 0xff
				}
			case 1:
				b[i] |= byte(g.r.Uint32())
			default:
				b[i] = 0xff
			}
		}
	}
	for range g.n(3) {
		m[g.n(flow.DPWords)] |= 1 << g.n(64)
	}
	if g.n(2) == 0 {
		m.SetExact(flow.InPortOXM)
	}
}

// list makes actions for a packet with a key, both of which it changes as the actions do. known: the key says which
// headers there are; what is below labels and a third tag is not in it. writes: the actions write headers.
func (g *diffGen) list(p *packet.Packet, k flow.Key, known bool, recirc, depth int) (out []odp.Action, writes bool) {
	if depth == 2 {
		switch g.n(8) {
		case 0:
			return nil, false
		case 1, 2:
			return []odp.Action{g.output()}, false
		}
	}
	run := &execute.Executor{Sink: nothing{}}
	for range g.n(7) {
		var a odp.Action
		switch g.n(24) {
		case 0, 1, 2:
			a = g.output()
		case 3:
			a = odp.Userspace{Kind: odp.UpcallKind(1 + g.n(5)), Cookie: g.r.Uint32()}
		case 4:
			if k.Get(flow.VLANTCI2) == 0 || g.n(4) == 0 {
				a = odp.PushVLAN{TPID: []uint16{0x8100, 0x88a8}[g.n(2)], TCI: uint16(g.r.Uint32()) | flow.VLANPresent}
			}
		case 5:
			if k.Get(flow.VLANTCI) != 0 {
				a = odp.PopVLAN{}
			}
		case 6:
			a = odp.Hash{SymL4: g.n(2) == 0, Basis: g.r.Uint32()}
		case 7:
			switch {
			case depth == 0:
			case g.n(3) > 0:
				l, w := g.list(p.Clone(), k, known, recirc, depth-1)
				a, writes = odp.Clone{Actions: l}, writes || w
			case g.n(2) == 0:
				l, w := g.list(p.Clone(), k, known, recirc, depth-1)
				a, writes = odp.Sample{Probability: []uint32{0, 1<<32 - 1}[g.n(2)], Actions: l}, writes || w
			default:
				l, w := g.list(p.Clone(), k, known, recirc, depth-1)
				o, v := g.list(p.Clone(), k, known, recirc, depth-1)
				a, writes = odp.CheckPktLen{Len: uint16(max(0, len(p.Data)+g.n(5)-2)), Greater: l, LessEqual: o}, writes || w || v
			}
		case 8:
			if recirc < diffRecircs {
				a = odp.Recirc{ID: uint32(recirc + 1 + g.n(diffRecircs-recirc))}
			}
		case 9:
			a = odp.Trunc{MaxLen: uint32(100 + g.n(80))} // see odd
		case 10:
			switch t := uint16(k.Get(flow.EthType)); {
			case isTag(&k): // where the labels belong is not in the key
			case packet.IsMPLS(t) && k.Get(flow.MPLSLSE0) != 0 && g.n(2) == 0:
				next := uint16(packet.EthTypeMPLS)
				if k.Get(flow.MPLSBoS) != 0 {
					next = []uint16{packet.EthTypeIPv4, packet.EthTypeIPv6, packet.EthTypeARP}[g.n(3)]
				}
				a = odp.PopMPLS{EthType: next}
			case t >= 0x600:
				bos := uint32(0x100)
				if packet.IsMPLS(t) {
					bos = 0
				}
				a = odp.PushMPLS{LSE: g.r.Uint32()&^0x100 | bos, EthType: []uint16{packet.EthTypeMPLS, packet.EthTypeMPLSMulticast}[g.n(2)]}
			}
		case 11:
			a = []odp.Action{odp.Meter{ID: 7}, odp.CTClear{}}[g.n(2)]
		default:
			if s := g.set(&k, known); s != nil {
				a = *s
			}
		}
		if a == nil {
			continue
		}
		out = append(out, a)
		switch a.(type) {
		case odp.PopMPLS:
			known = false
		case odp.PopVLAN:
			known = known && k.Get(flow.EthType) != packet.EthTypeVLAN && k.Get(flow.EthType) != packet.EthTypeQinQ
		}
		switch a.(type) {
		case odp.Set, odp.PushVLAN, odp.PopVLAN, odp.PushMPLS, odp.PopMPLS, odp.Hash:
			writes = true
			_ = run.Run(p, &k, []odp.Action{a})
		}
	}
	// Translations end with something that a packet can be seen by.
	switch g.n(10) {
	case 0:
		out = append(out, odp.Drop{Reason: odp.DropReason(g.n(int(odp.NumDropReasons)))})
	case 1, 2:
		out = append(out, odp.Userspace{Kind: odp.UpcallController, Cookie: g.r.Uint32()})
	case 3, 4:
		if recirc < diffRecircs {
			out = append(out, odp.Recirc{ID: uint32(recirc + 1 + g.n(diffRecircs-recirc))})
			break
		}
		fallthrough
	default:
		out = append(out, g.output())
	}
	return out, writes
}

func (g *diffGen) output() odp.Action {
	if g.n(16) == 0 {
		return odp.Output{Port: diffNoPort}
	}
	return odp.Output{Port: g.ports[g.n(3)]}
}

// set makes a Set of one header that the packet has, nil if the dice say so.
func (g *diffGen) set(k *flow.Key, known bool) *odp.Set {
	groups := [][]flow.FieldID{{flow.EthSrc, flow.EthDst}, {flow.PktMark}, {flow.SkbPriority}}
	typ, proto := k.Get(flow.EthType), k.Get(flow.NwProto)
	if !known {
		typ, proto = 0, 0
	}
	v4, v6 := typ == packet.EthTypeIPv4 && proto != 0, typ == packet.EthTypeIPv6 && proto != 0
	switch {
	case v4:
		groups = append(groups, []flow.FieldID{flow.IPv4Src, flow.IPv4Dst, flow.IPDSCP, flow.NwECN, flow.NwTTL})
	case v6:
		groups = append(groups, []flow.FieldID{flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.IPDSCP, flow.NwECN, flow.NwTTL})
	case (typ == packet.EthTypeARP || typ == packet.EthTypeRARP) && proto != 0:
		groups = append(groups, []flow.FieldID{flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA})
	case packet.IsMPLS(uint16(typ)) && k.Get(flow.MPLSLSE0) != 0:
		groups = append(groups, []flow.FieldID{flow.MPLSLabel, flow.MPLSTC, flow.MPLSTTL})
	}
	if (v4 || v6) && k.Get(flow.IPFrag)&flow.FragLater == 0 {
		nd := proto == packet.ProtoICMPv6 && v6 && (k.Get(flow.ICMPv6Type) == 135 || k.Get(flow.ICMPv6Type) == 136) && k.Get(flow.ICMPv6Code) == 0
		var l4 []flow.FieldID
		switch {
		case proto == packet.ProtoTCP:
			l4 = []flow.FieldID{flow.TCPSrc, flow.TCPDst}
		case proto == packet.ProtoUDP:
			l4 = []flow.FieldID{flow.UDPSrc, flow.UDPDst}
		case proto == packet.ProtoSCTP:
			l4 = []flow.FieldID{flow.SCTPSrc, flow.SCTPDst}
		case proto == packet.ProtoICMP && v4:
			l4 = []flow.FieldID{flow.ICMPType, flow.ICMPCode}
		case nd:
			l4 = []flow.FieldID{flow.NDTarget, flow.NDSLL, flow.NDTLL}
		case proto == packet.ProtoICMPv6 && v6:
			l4 = []flow.FieldID{flow.ICMPv6Code}
		}
		if l4 != nil {
			groups = append(groups, l4, l4)
		}
	}
	s := &odp.Set{IPv6: v6}
	for _, id := range groups[g.n(len(groups))] {
		if g.n(2) == 0 {
			continue
		}
		var all flow.Key
		all.SetExact(id)
		ones := all.GetBytes(id, nil)
		f := odp.FieldSet{Field: id, Value: g.bytes(len(ones))}
		if g.n(3) == 0 && id != flow.ARPOp {
			f.Mask = g.bytes(len(ones))
		}
		if id == flow.ICMPv6Code {
			f.Value[0] |= 1 // it must not become neighbour discovery
			f.Mask = nil
		}
		for i := range f.Value {
			f.Value[i] &= ones[i]
			if f.Mask != nil {
				f.Mask[i] &= ones[i]
				f.Value[i] &= f.Mask[i]
			}
		}
		s.Fields = append(s.Fields, f)
	}
	if len(s.Fields) == 0 {
		return nil
	}
	return s
}

// nothing is a sink for what the generator's packets do.
type nothing struct{}

func (nothing) Output(odp.Port, *packet.Packet)                  {}
func (nothing) Upcall(*packet.Packet, *flow.Key, *odp.Userspace) {}
func (nothing) Recirculate(*packet.Packet, *flow.Key)            {}
func (nothing) Meter(uint32, *packet.Packet) bool                { return true }
func (nothing) Drop(odp.DropReason)                              {}

// overlap reports whether a packet could hit both.
func overlap(a, b *flow.Match) bool {
	for i := range a.Mask {
		if (a.Key[i]^b.Key[i])&a.Mask[i]&b.Mask[i] != 0 {
			return false
		}
	}
	return true
}
