package pipeline

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Random worlds: a packet and flow tables that like its fields.

var matchFields = []flow.FieldID{
	flow.InPortOXM, flow.EthSrc, flow.EthDst, flow.EthType, flow.VLANTCI, flow.VLANVID, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst,
	flow.IPv6Label, flow.NwProto, flow.NwTOS, flow.NwECN, flow.NwTTL, flow.IPFrag, flow.TCPSrc, flow.TCPDst, flow.TCPFlags, flow.ICMPType,
	flow.ICMPv6Code, flow.ARPOp, flow.ARPSHA, flow.NDTarget, flow.NDTLL, flow.MPLSLabel, flow.PktMark, flow.CTState, flow.CTMark, flow.TunID,
	flow.Reg0, flow.Reg1, flow.Xreg1, flow.Xxreg0, flow.Metadata, flow.ActsetOutput,
}

// tunnelFields are written as well where there are tunnels.
var tunnelFields = []flow.FieldID{flow.TunDst, flow.TunSrc, flow.TunIPv6Dst, flow.TunFlags, flow.TunGBPID, flow.TunGBPFlags, flow.TunID}

var setFields = []flow.FieldID{
	flow.EthSrc, flow.EthDst, flow.VLANTCI, flow.VLANVID, flow.VLANPCP, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label,
	flow.NwTOS, flow.IPDSCP, flow.NwECN, flow.NwTTL, flow.TCPSrc, flow.TCPDst, flow.UDPSrc, flow.UDPDst, flow.SCTPDst, flow.ICMPType, flow.ICMPCode,
	flow.ICMPv6Type, flow.ICMPv6Code, flow.NDTarget, flow.NDSLL, flow.NDTLL, flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA,
	flow.MPLSLabel, flow.MPLSTTL, flow.PktMark, flow.TunID, flow.Reg0, flow.Reg1, flow.Xreg1, flow.Xxreg0, flow.Metadata, flow.InPortOXM,
}

// scene is one packet and the flow tables of two bridges.
type scene struct {
	data  []byte
	key   flow.Key // the datapath's
	rules [2][]spec
	frag  uint16
	// groups of both bridges.
	groups []*openflow.GroupMod
	// tunnels: the bridges have tunnel ports.
	tunnels bool
}

// generator draws from r: rapid's own draws prefer small numbers, with which few packets match
// anything.
type generator struct {
	r *rand.Rand
	k flow.Key
	// all draws from every field and action that translations know; else from those that the naive switch does.
	all bool
}

func drawRand(t *rapid.T) *rand.Rand {
	return newRand(rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "seed"))
}

func newRand(a, b uint64) *rand.Rand { return rand.New(rand.NewPCG(a, b)) }

func drawScene(t *rapid.T) *scene { return newScene(drawRand(t)) }

func newScene(r *rand.Rand) *scene { return (&generator{r: r}).scene() }

func (g *generator) scene() *scene {
	s := &scene{tunnels: g.all}
	for {
		s.data = packettest.Valid(g.r)
		// As in OVS the drop eligible bit does not survive a change of the tags.
		for i := range tagsIn(s.data) {
			s.data[14+4*i] &^= 0x10
		}
		// As in OVS an ARP opcode above 255 is 0 in the key, and cannot be put back once changed.
		s.key = flow.Key{}
		if o := packet.Parse(s.data, &s.key); s.key.Get(flow.EthType) == packet.EthTypeARP || s.key.Get(flow.EthType) == packet.EthTypeRARP {
			if at := o.Net + 6; o.Net >= 0 && at < len(s.data) {
				s.data[at] = 0
			}
		}
		s.key = flow.Key{}
		packet.Extract(s.data, &s.key)
		// Three tags cannot be seen by OpenFlow. As in OVS the target of a neighbour discovery message with contradicting
		// options is 0 in the key, and cannot be put back either.
		contradicts := !s.key.IsZero(flow.NDOptionsType) && s.key.IsZero(flow.NDTarget)
		if tagsIn(s.data) <= 2 && !contradicts {
			break
		}
	}
	s.key.Set(flow.InPortOXM, uint64(11+g.n(3)))
	if g.n(3) == 0 {
		s.key.Set(flow.PktMark, uint64(g.r.Uint32()))
		s.key.Set(flow.CTState, uint64(g.r.IntN(256)))
		s.key.Set(flow.CTMark, uint64(g.r.IntN(256)))
	}
	if g.all && g.n(3) == 0 {
		g.arrive(&s.key)
	}
	g.k = s.key
	if in := s.key.Get(flow.InPortOXM); in < tunnelODP {
		g.k.Set(flow.InPortOXM, in-10)
	}
	for b := range s.rules {
		for id := range uint8(3) {
			for i := range 1 + g.n(4) {
				m := g.match()
				if i == 0 && g.n(4) > 0 {
					m = flow.Match{}
				}
				s.rules[b] = append(s.rules[b], spec{id, 10 * i, m, g.list(id, 4)})
			}
		}
	}
	if first := &s.rules[0][0]; g.n(2) == 0 {
		first.actions = append([]openflow.Action{openflow.Group{ID: uint32(g.n(4))}}, first.actions...)
	}
	for id := range uint32(4) {
		s.groups = append(s.groups, g.group(id))
	}
	s.frag = []uint16{openflow.FragNormal, openflow.FragNXMatch, openflow.FragDrop}[g.n(5)%3]
	return s
}

func tagsIn(data []byte) (n int) {
	for p := 12; p+4 <= len(data) && (data[p] == 0x81 && data[p+1] == 0 || data[p] == 0x88 && data[p+1] == 0xa8); p += 4 {
		n++
	}
	return n
}

func (g *generator) n(limit int) int { return g.r.IntN(limit) }

// value is of the packet, or near it, or random.
func (g *generator) value(id flow.FieldID) []byte {
	v := g.k.GetBytes(id, nil)
	switch g.n(4) {
	case 0:
		for i := range v {
			v[i] = byte(g.r.Uint32())
		}
	case 1:
		bit := g.r.IntN(id.Info().Bits)
		v[len(v)-1-bit/8] ^= 1 << (bit % 8)
	case 2:
		v = g.k.GetBytes(id, nil)
	case 3:
		clear(v)
		v[len(v)-1] = byte(g.n(4))
	}
	if id == flow.VLANVID || id == flow.VLANTCI {
		v[len(v)-2] |= byte(g.n(4)&1) << 4
	}
	return v
}

func (g *generator) mask(id flow.FieldID) []byte {
	f := id.Info()
	m := make([]byte, f.Bytes)
	switch g.n(4) {
	case 0:
		for i := range m {
			m[i] = byte(g.r.Uint32())
		}
	case 1: // a prefix
		n := g.r.IntN(f.Bits + 1)
		for i := range n {
			bit := f.Bits - 1 - i
			m[len(m)-1-bit/8] |= 1 << (bit % 8)
		}
	default:
		return nil
	}
	return m
}

func (g *generator) match() (m flow.Match) {
	for range g.n(4) {
		id := g.field(matchFields)
		m.Key.SetBytes(id, g.value(id))
		if mask := g.mask(id); mask != nil {
			m.Mask.SetBytes(id, mask)
		} else {
			m.Mask.SetExact(id)
		}
	}
	m.Normalize()
	return m
}

func (g *generator) subfield() flow.Subfield {
	id := g.field(setFields)
	if g.n(3) == 0 {
		return flow.WholeField(id)
	}
	n := 1 + g.r.IntN(id.Info().Bits)
	return flow.Subfield{Field: id, Bits: uint16(n), Ofs: uint16(g.r.IntN(id.Info().Bits - n + 1))}
}

func (g *generator) port() openflow.PortNo {
	if g.all && g.n(3) == 0 {
		return openflow.PortNo(20 + g.n(5))
	}
	return []openflow.PortNo{1, 2, 3, 9, openflow.PortInPort, openflow.PortFlood, openflow.PortAll, openflow.PortLocal, openflow.PortNormal,
		openflow.PortController, 77, openflow.PortAny}[g.n(12)]
}

func (g *generator) list(id uint8, limit int) (out []openflow.Action) {
	for range g.n(limit + 1) {
		if g.all && g.n(8) == 0 {
			f := tunnelFields[g.n(len(tunnelFields))]
			out = append(out, openflow.SetField{Field: f, Value: g.value(f)})
		}
		out = append(out, g.action(id, limit-1))
	}
	if g.n(4) > 0 {
		out = append(out, output(g.port()))
	}
	return out
}

// field is one of a list or, one time in three, any that the generator may use.
func (g *generator) field(list []flow.FieldID) flow.FieldID {
	if g.all && g.n(3) == 0 {
		for {
			f := &flow.Fields[g.n(len(flow.Fields))]
			tunnel := f.ID >= flow.TunMetadata0 && f.ID <= flow.TunMetadata63
			if f.Off >= 0 && !tunnel && len(f.OXM) > 0 && f.ID != flow.RecircID && f.ID != flow.PacketType {
				return f.ID
			}
		}
	}
	return list[g.n(len(list))]
}

func (g *generator) action(id uint8, depth int) openflow.Action {
	if g.all && g.n(6) == 0 {
		return []openflow.Action{
			openflow.OutputTrunc{Port: g.port(), MaxLen: uint32(14 + g.n(100))}, openflow.Enqueue{Port: g.port(), Queue: uint32(g.n(3))},
			openflow.SetQueue{Queue: uint32(g.n(3))}, openflow.PopQueue{}, openflow.SetTunnel{ID: g.r.Uint64N(4), Wide: true},
			openflow.SetMPLSTC{TC: uint8(g.n(8))}, openflow.SetMPLSTTL{TTL: uint8(g.n(4))}, openflow.CTClear{},
			openflow.DecTTL{IDs: []uint16{1, 2}}, openflow.Output{Port: openflow.PortTable}, openflow.OutputReg{Src: g.subfield()},
			openflow.Multipath{Fields: uint16(g.n(7)), Basis: uint16(g.n(2)), Algorithm: uint16(g.n(4)), MaxLink: 3, Dst: sub("reg0[0..1]")},
			openflow.PushMPLS{EthType: []uint16{0x8847, 0x8848}[g.n(2)]}, openflow.PopMPLS{EthType: []uint16{0x800, 0x86dd, 0x8847, 0x806}[g.n(4)]},
			openflow.Encap{}, openflow.Decap{}, openflow.Resubmit{InPort: openflow.PortInPort, Table: uint8(g.n(4)), CT: true},
			g.bundle(uint16(g.n(2))), openflow.CheckPktLarger{Len: uint16(60 + g.n(3)), Dst: sub("reg0[1..1]")},
		}[g.n(19)]
	}
	switch g.n(29) {
	case 26:
		return g.ctAction()
	case 27:
		return []openflow.Action{g.learnAction(), openflow.Meter{ID: uint32(1 + g.n(3))}}[g.n(2)]
	case 28:
		return []openflow.Action{openflow.CTClear{}, openflow.FinTimeout{Idle: 5}, openflow.DecTTL{IDs: []uint16{1, 2}},
			openflow.SetMPLSTC{TC: uint8(g.n(8))}, openflow.SetMPLSTTL{TTL: uint8(g.n(4))}}[g.n(5)]
	case 24:
		return openflow.CheckPktLarger{Len: uint16(g.n(200)), Dst: flow.Subfield{Field: g.field(setFields), Bits: 1}}
	case 25:
		return g.bundle(0)
	case 0, 1:
		return openflow.Output{Port: g.port(), MaxLen: uint16(g.n(2) * 100)}
	case 2, 3, 4, 5:
		f := g.field(setFields)
		return openflow.SetField{Field: f, Value: g.value(f), Mask: g.mask(f)}
	case 6:
		s := g.subfield()
		v := make([]byte, (s.Bits+7)/8)
		for i := range v {
			v[i] = byte(g.r.Uint32())
		}
		return openflow.Load{Dst: s, Value: v}
	case 7, 8:
		d, s := g.subfield(), g.subfield()
		d.Bits = min(d.Bits, s.Bits)
		s.Bits = d.Bits
		return openflow.Move{Src: s, Dst: d}
	case 9:
		return openflow.PushVLAN{EthType: []uint16{0x8100, 0x88a8}[g.n(2)]}
	case 10:
		return openflow.StripVLAN{}
	case 11:
		return openflow.SetVLANVID{VID: uint16(g.n(4)), Push: g.n(2) == 0}
	case 12:
		return openflow.SetVLANPCP{PCP: uint8(g.n(8)), Push: g.n(2) == 0}
	case 13:
		return []openflow.Action{openflow.DecTTL{}, openflow.SetTTL{TTL: uint8(g.n(4))}, openflow.DecMPLSTTL{}, openflow.SetMPLSLabel{Label: 5}}[g.n(4)]
	case 14, 15:
		return openflow.Resubmit{InPort: []openflow.PortNo{openflow.PortInPort, 2}[g.n(2)], Table: uint8(g.n(4))}
	case 16:
		if id < 2 {
			return openflow.GotoTable{Table: id + 1}
		}
		return openflow.Exit{}
	case 17:
		var l []openflow.Action
		for range g.n(3) {
			switch a := g.action(id, 0).(type) {
			case openflow.Output, openflow.SetField, openflow.PushVLAN, openflow.StripVLAN, openflow.DecTTL, openflow.Resubmit, openflow.Group:
				l = append(l, a)
			}
		}
		return openflow.WriteActions{Actions: l}
	case 18:
		return []openflow.Action{openflow.ClearActions{}, openflow.WriteMetadata{Value: g.r.Uint64(), Mask: g.r.Uint64()}, openflow.Note{}}[g.n(3)]
	case 19:
		if depth > 0 {
			return openflow.Clone{Actions: g.list(id, depth)}
		}
		return openflow.OutputReg{Src: flow.WholeField(flow.Reg0)}
	case 20:
		if g.n(2) == 0 {
			return openflow.StackPush{Src: g.subfield()}
		}
		return openflow.StackPop{Dst: g.subfield()}
	case 21, 22:
		return openflow.Group{ID: uint32(g.n(5))}
	default:
		return openflow.Controller{MaxLen: 100, ControllerID: uint16(g.n(2)), Reason: openflow.ReasonAction}
	}
}

// bundle makes a bundle, of which one in two writes a register.
func (g *generator) bundle(algorithm uint16) openflow.Action {
	b := openflow.Bundle{Algorithm: algorithm, Fields: uint16(g.n(7)), Basis: uint16(g.n(2))}
	for range g.n(4) {
		b.Members = append(b.Members, []openflow.PortNo{1, 2, 3, 9, 77, openflow.PortInPort}[g.n(6)])
	}
	if g.n(2) == 0 {
		dst := flow.WholeField(flow.Reg0)
		b.Dst = &dst
	}
	return b
}

// group makes a group of any type; its buckets run groups of higher IDs, of which the last is not
// there.
func (g *generator) group(id uint32) *openflow.GroupMod {
	m := &openflow.GroupMod{Command: openflow.GroupAdd, ID: id, Type: []uint8{0, 1, 1, 1, 2, 3}[g.n(6)]}
	m.Selection.Method = []string{"", "dp_hash", "hash"}[g.n(3)]
	m.Selection.Param = uint64(g.n(2))<<32 | uint64(g.n(2))
	if m.Selection.Method == "hash" {
		for range g.n(3) {
			f := matchFields[g.n(len(matchFields))]
			m.Selection.Fields = append(m.Selection.Fields, openflow.HashField{Field: f, Mask: g.mask(f)})
		}
	}
	for i := range uint32(g.n(5)) {
		b := openflow.Bucket{ID: i, WatchPort: openflow.PortAny, WatchGroup: openflow.GroupAny}
		switch m.Type {
		case openflow.GroupTypeSelect:
			b.Weight = uint16(g.n(4))
		case openflow.GroupTypeFastFailover:
			b.WatchPort = []openflow.PortNo{1, 2, 77, openflow.PortAny}[g.n(4)]
			if b.WatchPort == openflow.PortAny {
				b.WatchGroup = id + 1
			}
		}
		for range g.n(3) {
			switch a := g.action(1, 0).(type) {
			case openflow.SetField, openflow.PushVLAN, openflow.StripVLAN, openflow.DecTTL, openflow.Resubmit:
				b.Actions = append(b.Actions, a)
			}
		}
		if g.n(3) == 0 {
			b.Actions = append(b.Actions, openflow.Group{ID: id + 1})
		} else {
			b.Actions = append(b.Actions, output(g.port()))
		}
		m.Buckets = append(m.Buckets, b)
	}
	return m
}

func (s *scene) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "packet %x\nkey %s\n", s.data, maskText(&s.key))
	for _, m := range s.groups {
		fmt.Fprintf(&b, "group %+v\n", *m)
	}
	for br, l := range s.rules {
		for _, r := range l {
			fmt.Fprintf(&b, "br%d table %d priority %d %s", br, r.table, r.priority, maskText(&r.match.Mask))
			for _, a := range r.actions {
				fmt.Fprintf(&b, " %T%v", a, a)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// world makes the scene's bridges. NORMAL sends to a port that the packet's address
// chooses, on port 3 with a tag more, on port 2 with one less.
func (s *scene) world() *world {
	w := newWorld(s.rules[0], s.rules[1])
	if s.tunnels {
		w.addTunnels()
	}
	w.o.Features.CTState = true
	meters := datapath.NewMeters(fakeMeterer{})
	for _, b := range []*fakeBridge{w.br0, w.br1} {
		b.frag = s.frag
		for _, id := range meterIDs {
			m, err := meters.New(datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1}}})
			if err != nil {
				panic(err)
			}
			b.tables.AddMeter(table.NewMeter(openflow.MeterConfig{ID: id}, w.clock.Now(), m))
		}
		for _, m := range s.groups {
			if _, err := b.tables.ApplyGroup(m); err != nil {
				panic(err)
			}
		}
		b.normal = func(x Context) {
			no := openflow.PortNo(x.Get(flow.EthDst)&3) + 1
			p := b.PortByNo(no)
			if p == nil {
				return
			}
			tags := x.VLANs()
			switch {
			case no == 2 && len(tags) > 0:
				x.SetVLANs(tags[1:])
			case no == 3 && len(tags) < 2:
				x.SetVLANs(append([]VLAN{{TPID: 0x8100, TCI: 0x1007}}, tags...))
			}
			x.Output(p)
			x.SetVLANs(tags)
			if q := b.PortByNo(1); q != p {
				x.Output(q)
			}
		}
	}
	return w
}

// other is a key that agrees with the scene's in mask and is random elsewhere, within what
// packets can be.
func (s *scene) other(r *rand.Rand, mask *flow.Mask) flow.Key {
	k := s.key
	few := r.IntN(2) == 0
	for i := range flow.DPWords {
		flip := r.Uint64()
		if few {
			flip &= r.Uint64() & r.Uint64() & r.Uint64()
		}
		k[i] ^= flip &^ mask[i]
	}
	// A port that exists.
	k.Set(flow.InPortOXM, s.key.Get(flow.InPortOXM))
	s.otherTunnel(&k, mask)
	if !packet.IsMPLS(uint16(k.Get(flow.EthType))) {
		zero(&k, flow.MPLSLSE0, flow.MPLSLSE1, flow.MPLSLSE2)
	}
	if k.Get(flow.IPFrag)&flow.FragLater != 0 {
		for _, f := range []flow.FieldID{flow.TCPSrc, flow.TCPDst, flow.TCPFlags} {
			k.Set(f, 0)
		}
	}
	// A tag is there or not, and there is no inner one without the outer. Which of the
	// two is possible is decided by the mask.
	outer := k.Get(flow.VLANTCI)&flow.VLANPresent != 0
	if !outer {
		zero(&k, flow.VLANTCI, flow.VLANTPID, flow.VLANTCI2, flow.VLANTPID2)
	} else if k.Get(flow.VLANTCI2)&flow.VLANPresent == 0 {
		zero(&k, flow.VLANTCI2, flow.VLANTPID2)
	}
	for _, f := range [][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
		if k.Get(f[0])&flow.VLANPresent != 0 && mask.IsZero(f[1]) {
			k.Set(f[1], []uint64{0x8100, 0x88a8}[r.IntN(2)])
		}
	}
	return k
}

func zero(k *flow.Key, ids ...flow.FieldID) {
	for _, id := range ids {
		k.Set(id, 0)
	}
}
