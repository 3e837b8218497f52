package ebpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// fieldsOf are the fields that a Set can write in a packet of this key, by header.
func fieldsOf(k *flow.Key) [][]flow.FieldID {
	out := [][]flow.FieldID{{flow.EthSrc, flow.EthDst}, {flow.PktMark}, {flow.SkbPriority}}
	switch k.Get(flow.EthType) {
	case packet.EthTypeIPv4:
		out = append(out, []flow.FieldID{flow.IPv4Src, flow.IPv4Dst, flow.IPDSCP, flow.NwECN, flow.NwTTL})
	case packet.EthTypeIPv6:
		out = append(out, []flow.FieldID{flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.IPDSCP, flow.NwTTL})
	case packet.EthTypeARP:
		return append(out, []flow.FieldID{flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA})
	case packet.EthTypeMPLS:
		return append(out, []flow.FieldID{flow.MPLSLabel, flow.MPLSTC, flow.MPLSTTL})
	}
	switch k.Get(flow.NwProto) {
	case packet.ProtoTCP:
		out = append(out, []flow.FieldID{flow.TCPSrc, flow.TCPDst})
	case packet.ProtoUDP:
		out = append(out, []flow.FieldID{flow.UDPSrc, flow.UDPDst})
	case packet.ProtoSCTP:
		out = append(out, []flow.FieldID{flow.SCTPSrc, flow.SCTPDst})
	case packet.ProtoICMP:
		out = append(out, []flow.FieldID{flow.ICMPType, flow.ICMPCode})
	case packet.ProtoICMPv6:
		if nd := k.Get(flow.ICMPv6Type); nd == 135 || nd == 136 {
			return append(out, []flow.FieldID{flow.NDTarget, flow.NDSLL, flow.NDTLL, flow.NDReserved})
		}
		out = append(out, []flow.FieldID{flow.ICMPv6Type, flow.ICMPv6Code})
	}
	return out
}

// generator makes random lists. What they send, they send up, each with a cookie of its own.
type generator struct {
	r      *rand.Rand
	cookie uint32
	meters bool
}

func randomActions(r *rand.Rand, k *flow.Key) []odp.Action {
	g := generator{r: r}
	kk := *k
	return g.list(&kk, 9, 0)
}

func (g *generator) up() odp.Action {
	g.cookie++
	return odp.Userspace{Kind: odp.UpcallController, Cookie: g.cookie}
}

// list makes up to n actions for packets of key k, which follows what headers there are.
func (g *generator) list(k *flow.Key, n, depth int) (out []odp.Action) {
	r := g.r
	tags := 0
	for _, id := range []flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if k.Get(id) != 0 {
			tags++
		}
	}
	inner := k.Get(flow.EthType)
	nested := func() []odp.Action {
		kk := *k
		return append(g.list(&kk, 3, depth+1), g.up())
	}
	for range r.IntN(n) {
		kind := r.IntN(16)
		if depth >= 2 && kind >= 10 && kind <= 12 {
			kind = 15
		}
		switch kind {
		case 5:
			out = append(out, odp.Hash{SymL4: r.IntN(2) == 0, Basis: r.Uint32()})
		case 0:
			if tags < 2 {
				out = append(out, odp.PushVLAN{TPID: []uint16{0x8100, 0x88a8}[r.IntN(2)], TCI: uint16(r.Uint32()) | flow.VLANPresent})
				tags++
			}
		case 1:
			if tags > 0 {
				out = append(out, odp.PopVLAN{})
				tags--
			}
		case 6:
			out = append(out, odp.Trunc{MaxLen: 20 + r.Uint32N(90)}, g.up())
		case 7:
			if inner < 0x600 {
				break
			}
			lse := r.Uint32() &^ 0x100
			if k.Get(flow.EthType) != packet.EthTypeMPLS {
				lse |= 0x100
			}
			out = append(out, odp.PushMPLS{LSE: lse, EthType: packet.EthTypeMPLS})
			k.Set(flow.EthType, packet.EthTypeMPLS)
		case 8:
			if k.Get(flow.EthType) == packet.EthTypeMPLS && inner != packet.EthTypeMPLS {
				out = append(out, odp.PopMPLS{EthType: uint16(inner)})
				k.Set(flow.EthType, inner)
			}
		case 9:
			out = append(out, odp.PopEth{}, odp.PushEth{Src: [6]byte{2, 1, byte(r.Uint32())}, Dst: [6]byte{4, 1, byte(r.Uint32())}})
		case 10:
			out = append(out, odp.Clone{Actions: nested()})
		case 11:
			// Nearly always and nearly never.
			out = append(out, odp.Sample{Probability: []uint32{0, 1, 1<<32 - 2, 1<<32 - 1}[r.IntN(4)], Actions: nested()})
		case 12:
			c := odp.CheckPktLen{Len: uint16(20 + r.IntN(100))}
			if r.IntN(4) > 0 {
				c.Greater = nested()
			}
			if r.IntN(4) > 0 {
				c.LessEqual = nested()
			}
			out = append(out, c)
		case 13:
			out = append(out, odp.Recirc{ID: 7})
		case 14:
			if g.meters {
				out = append(out, odp.Meter{ID: 1 + r.Uint32N(3)})
			}
		default:
			var s odp.Set
			header := fieldsOf(k)
			for _, id := range header[r.IntN(len(header))] {
				if r.IntN(2) == 0 && len(s.Fields) > 0 {
					continue
				}
				f := odp.FieldSet{Field: id, Value: make([]byte, id.Info().Bytes)}
				var exact flow.Key
				exact.SetExact(id)
				ones := exact.GetBytes(id, nil)
				for i := range f.Value {
					f.Value[i] = byte(r.Uint32()) & ones[i]
				}
				if r.IntN(3) == 0 && id != flow.ARPOp {
					f.Mask = make([]byte, len(f.Value))
					for i := range f.Mask {
						f.Mask[i] = byte(r.Uint32()) & ones[i]
						f.Value[i] &= f.Mask[i]
					}
				}
				s.Fields = append(s.Fields, f)
			}
			out = append(out, s)
		}
	}
	return out
}

// randomKey is the key of a whole packet.
func randomKey(r *rand.Rand) (k flow.Key) {
	for i := range 9 {
		k[i] = r.Uint64()
	}
	for i := 8; i < 14; i++ {
		k[i] = r.Uint64()
	}
	var sha flow.Key
	sha[14], sha[15] = r.Uint64(), r.Uint64()
	k.Set(flow.InPort, 0)
	k.Set(flow.RecircID, 0)
	k.Set(flow.PktMark, 0)
	k.Set(flow.SkbPriority, 0)
	k.Set(flow.EthDst, k.Get(flow.EthDst)&^(1<<40))
	k.Set(flow.IPFrag, 0)
	k.Set(flow.VLANTCI, 0)
	k[3] = 0
	for i, ids := range [][2]flow.FieldID{{flow.VLANTPID, flow.VLANTCI}, {flow.VLANTPID2, flow.VLANTCI2}} {
		if r.IntN(3) > i {
			break
		}
		k.Set(ids[0], uint64([]uint16{0x8100, 0x88a8}[r.IntN(2)]))
		k.Set(ids[1], uint64(uint16(r.Uint32())|flow.VLANPresent))
	}
	k.Set(flow.NwProto, uint64([]byte{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP, packet.ProtoICMP}[r.IntN(4)]))
	switch r.IntN(7) {
	case 5:
		k.Set(flow.EthType, packet.EthTypeIPv6)
		k.Set(flow.NwProto, packet.ProtoICMPv6)
		k.Set(flow.ICMPv6Type, 134+r.Uint64N(3))
		k.Set(flow.ICMPv6Code, 0)
		k.Set(flow.NDOptionsType, r.Uint64N(3))
		k[14] = k[14]&^(1<<48-1) | sha[14]&(1<<48-1)
		if r.IntN(2) == 0 {
			k.Set(flow.NDTLL, sha.Get(flow.ARPTHA))
		}
		k[16] = r.Uint64() & 0xffffffff
	case 6:
		k.Set(flow.EthType, packet.EthTypeMPLS)
		for i, id := range []flow.FieldID{flow.MPLSLSE0, flow.MPLSLSE1, flow.MPLSLSE2} {
			k.Set(id, uint64(r.Uint32()&^0x100)|uint64(r.IntN(2)|i>>1)<<8)
		}
	case 0:
		k.Set(flow.EthType, packet.EthTypeARP)
		k.Set(flow.NwProto, 1+r.Uint64N(2))
		k.Set(flow.ARPSHA, sha.Get(flow.ARPSHA))
		k.Set(flow.ARPTHA, sha.Get(flow.ARPTHA))
	case 1, 2:
		k.Set(flow.EthType, packet.EthTypeIPv6)
	default:
		k.Set(flow.EthType, packet.EthTypeIPv4)
	}
	return k
}

// sent is a packet that a list sent up.
type sent struct {
	data   []byte
	key    flow.Key
	cookie uint32
	gso    packet.GSO
}

// sink records what a list sends up. Recirculated packets meet a flow that sends them up with cookie 99.
type sink struct {
	t    *testing.T
	sent []sent
}

func (s *sink) Output(odp.Port, *packet.Packet) {}
func (s *sink) Upcall(p *packet.Packet, k *flow.Key, a *odp.Userspace) {
	s.sent = append(s.sent, sent{slices.Clone(p.Data), *k, a.Cookie, p.GSO})
}
func (s *sink) Recirculate(p *packet.Packet, k *flow.Key) {
	s.Upcall(p, k, &odp.Userspace{Cookie: 99})
}
func (s *sink) Meter(id uint32, _ *packet.Packet) bool { return id != 2 }
func (s *sink) Drop(odp.DropReason)                    {}

// TestActions runs random lists on random packets, with finished checksums and without, and
// compares what comes up, in its order, with what execute makes of it. Flows and Execute take turns.
func TestActions(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	d := l.open(small())
	defer d.Close(true)
	n := l.port(d, "h1", datapath.PortNetdev)
	l.in("h1", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	time.Sleep(20 * time.Millisecond)
	ups := make(chan sent, 64)
	d.Handle(func(up *datapath.Upcall) {
		if up.Kind == odp.UpcallController {
			ups <- sent{slices.Clone(up.Packet.Data), up.Key, up.Cookie, up.Packet.GSO}
		}
	})
	recirc := &datapath.Flow{Actions: []odp.Action{odp.Userspace{Kind: odp.UpcallController, Cookie: 99}}}
	recirc.Match.Set(flow.InPort, uint64(n))
	recirc.Match.Set(flow.RecircID, 7)
	if _, err := d.FlowPut(recirc); err != nil {
		t.Fatal(err)
	}
	// Meter 1 lets all pass, 2 nothing that is longer than 12 bytes, 3 does not exist.
	for id, rate := range []uint32{1: 1 << 31, 2: 1} {
		if rate == 0 {
			continue
		}
		if err := d.MeterSet(uint32(id), datapath.MeterConfig{Bands: []datapath.MeterBand{{Rate: rate, Burst: rate}}}); err != nil {
			t.Fatal(err)
		}
	}
	d.meters.at[2].Band[0].Size, d.meters.at[2].Band[0].Tokens = 100, 100
	fd := l.packetSocket("h1")
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	long := 0
	for seed := range uint64(6000) {
		r := rand.New(rand.NewPCG(seed, 3))
		key := randomKey(r)
		data := packet.Compose(&key, make([]byte, 30))
		key = flow.Key{}
		o := packet.Parse(data, &key)
		key.Set(flow.InPort, uint64(n))
		g := generator{r: r, meters: true}
		kk := key
		acts := append(g.list(&kk, 9, 0), g.up())

		want := packet.Packet{Data: slices.Clone(data)}
		proto := key.Get(flow.NwProto)
		if r.IntN(2) == 0 && o.L4 >= 0 && (proto == packet.ProtoTCP || proto == packet.ProtoUDP) && key.Get(flow.EthType) != packet.EthTypeARP {
			// As a host sends it that leaves the sum to the device: the field has the pseudo header's.
			at := 6
			if key.Get(flow.NwProto) == packet.ProtoTCP {
				at = 16
			}
			want.GSO = packet.GSO{NeedsCsum: true, CsumStart: uint16(o.L4), CsumOffset: uint16(at)}
			src, dst := data[o.L3+12:o.L3+16], data[o.L3+16:o.L3+20]
			if key.Get(flow.EthType) == packet.EthTypeIPv6 {
				src, dst = data[o.L3+8:o.L3+24], data[o.L3+24:o.L3+40]
			}
			sum := packet.PseudoHeader(src, dst, byte(key.Get(flow.NwProto))) + uint32(o.End-o.L4)
			binary.BigEndian.PutUint16(data[o.L4+at:], ^packet.Checksum(nil, sum))
			copy(want.Data, data)
		}
		vnet := make([]byte, 10)
		if want.GSO.NeedsCsum {
			vnet[0] = 1
			binary.NativeEndian.PutUint16(vnet[6:], want.GSO.CsumStart)
			binary.NativeEndian.PutUint16(vnet[8:], want.GSO.CsumOffset)
		}

		var err error
		if seed%2 == 0 {
			f := &datapath.Flow{Actions: acts}
			f.Match.Set(flow.InPort, uint64(n))
			f.Match.Set(flow.RecircID, 0)
			f.Match.Set(flow.EthType, key.Get(flow.EthType))
			var ref datapath.FlowRef
			if ref, err = d.FlowPut(f); err == nil {
				_, err = unix.Write(fd, append(vnet, data...))
				defer d.FlowDel(ref)
			}
		} else {
			err = d.Execute(&datapath.Packet{Data: data, GSO: datapath.GSO(want.GSO)}, &key, acts)
		}
		if errors.Is(err, datapath.ErrTooLong) {
			long++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v: %+v", seed, err, acts)
		}
		s := sink{t: t}
		k := key
		if err := (&execute.Executor{Sink: &s, Rand: func() uint32 { return 1 << 31 }}).Run(&want, &k, acts); err != nil {
			t.Fatal(err)
		}
		for i, want := range s.sent {
			var got sent
			select {
			case got = <-ups:
			case <-time.After(3 * time.Second):
				dumpState(t, d)
				t.Fatalf("seed %d: % x: %+v: upcall %d of %d is missing", seed, data, acts, i, len(s.sent))
			}
			if !bytes.Equal(got.data, want.data) || got.cookie != want.cookie {
				t.Fatalf("seed %d: sent % x, %+v\n got % x (%d)\nwant % x (%d)", seed, data, acts, got.data, got.cookie, want.data, want.cookie)
			}
			// A list that is too long runs in user space, which cuts packets before their keys are taken again.
			diff := cmp.Diff(describe(&want.key), describe(&got.key))
			if _, err := compile(acts, uint16(key.Get(flow.EthType))); diff != "" && !errors.Is(err, datapath.ErrTooLong) {
				t.Fatalf("seed %d: % x: %+v (-want +got)\n%s", seed, data, acts, diff)
			}
			if got.gso.NeedsCsum != want.gso.NeedsCsum || got.gso.CsumStart != want.gso.CsumStart || got.gso.CsumOffset != want.gso.CsumOffset {
				t.Fatalf("seed %d: offload state %+v, want %+v", seed, got.gso, want.gso)
			}
		}
		select {
		case got := <-ups:
			t.Fatalf("seed %d: % x: %+v: one more, % x (%d)", seed, data, acts, got.data, got.cookie)
		default:
		}
	}
	if long > 600 {
		t.Errorf("%d lists are too long", long)
	}
}

// TestDecode reads lists back from their words.
func TestDecode(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 4))
		key := randomKey(r)
		typ := uint16(key.Get(flow.EthType))
		acts := append(randomActions(r, &key), odp.Output{Port: 3}, odp.Userspace{Kind: 2, Cookie: 9})
		w, err := compile(acts, typ)
		if err != nil {
			t.Fatal(err)
		}
		read := func(w words) []odp.Action {
			ids := make([]uint32, len(w))
			for i := range ids {
				ids[i] = uint32(100 + i)
			}
			w.link(ids)
			out, more, err := decode(100, func(n uint32) *[blockWords]uint64 { return &w[n-100] }, typ)
			if err != nil || len(more) != len(w)-1 {
				t.Fatalf("seed %d: %v, %d blocks of %d", seed, err, len(more), len(w))
			}
			return out
		}
		once := read(w)
		again, err := compile(once, typ)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once, read(again)); diff != "" {
			t.Fatalf("seed %d: %+v\n%s", seed, acts, diff)
		}
	}
}

func TestUnsupported(t *testing.T) {
	clone := func(acts ...odp.Action) odp.Action {
		return odp.Clone{Actions: append(acts, odp.PopVLAN{}, odp.Output{})}
	}
	many := []odp.Action{}
	for i := range 200 {
		many = append(many, odp.Output{Port: odp.Port(i)})
	}
	for _, tc := range []struct {
		acts []odp.Action
		want error
	}{
		{[]odp.Action{odp.PopMPLS{EthType: 0x8100}, odp.Output{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.PopEth{}, odp.Output{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.CT{Helper: "sip"}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.TunMetadata0, Value: make([]byte, 4)}}}, odp.Output{}}, datapath.ErrUnsupported},
		{[]odp.Action{clone(clone(clone(clone()))), odp.Output{}}, datapath.ErrUnsupported},
		{many, datapath.ErrTooLong},
	} {
		if _, err := compile(tc.acts, 0x800); !errors.Is(err, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.acts[0], err, tc.want)
		}
	}
}
