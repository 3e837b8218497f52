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
	}
	switch k.Get(flow.NwProto) {
	case packet.ProtoTCP:
		out = append(out, []flow.FieldID{flow.TCPSrc, flow.TCPDst})
	case packet.ProtoUDP:
		out = append(out, []flow.FieldID{flow.UDPSrc, flow.UDPDst})
	}
	return out
}

func randomActions(r *rand.Rand, k *flow.Key, p1 odp.Port) (out []odp.Action) {
	tags := 0
	for _, id := range []flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if k.Get(id) != 0 {
			tags++
		}
	}
	for range r.IntN(9) {
		switch r.IntN(6) {
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
	k.Set(flow.NwProto, uint64([]byte{packet.ProtoTCP, packet.ProtoUDP}[r.IntN(2)]))
	switch r.IntN(5) {
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

type sink struct {
	data []byte
	key  flow.Key
}

func (s *sink) Output(odp.Port, *packet.Packet) {}
func (s *sink) Upcall(p *packet.Packet, k *flow.Key, _ *odp.Userspace) {
	s.data, s.key = slices.Clone(p.Data), *k
}
func (s *sink) Recirculate(*packet.Packet, *flow.Key) {}
func (s *sink) Meter(uint32, *packet.Packet) bool     { return true }
func (s *sink) Drop(odp.DropReason)                   {}

// TestActions runs random lists on random packets, with finished checksums and without, and
// compares what comes up at the end of the list with what execute makes of it. Flows and
// Execute take turns.
func TestActions(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	d := l.open(small())
	defer d.Close(true)
	n := l.port(d, "h1", datapath.PortNetdev)
	l.in("h1", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	time.Sleep(20 * time.Millisecond)
	ups := make(chan sink, 64)
	gsos := make(chan datapath.GSO, 64)
	d.Handle(func(up *datapath.Upcall) {
		if up.Kind == odp.UpcallController {
			gsos <- up.Packet.GSO
			ups <- sink{slices.Clone(up.Packet.Data), up.Key}
		}
	})
	fd := l.packetSocket("h1")
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 3))
		key := randomKey(r)
		data := packet.Compose(&key, make([]byte, 30))
		key = flow.Key{}
		o := packet.Parse(data, &key)
		key.Set(flow.InPort, uint64(n))
		acts := append(randomActions(r, &key, n), odp.Userspace{Kind: odp.UpcallController, Cookie: 5})

		want := packet.Packet{Data: slices.Clone(data)}
		if r.IntN(2) == 0 && key.Get(flow.EthType) != packet.EthTypeARP {
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
			f.Match.Set(flow.EthType, key.Get(flow.EthType))
			if _, err = d.FlowPut(f); err == nil {
				_, err = unix.Write(fd, append(vnet, data...))
			}
		} else {
			err = d.Execute(&datapath.Packet{Data: data, GSO: datapath.GSO(want.GSO)}, &key, acts)
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var got sink
		var gso datapath.GSO
		select {
		case got = <-ups:
			gso = <-gsos
		case <-time.After(3 * time.Second):
			dumpState(t, d)
			t.Fatalf("seed %d: % x: %+v: no upcall", seed, data, acts)
		}
		var s sink
		k := key
		if err := (&execute.Executor{Sink: &s}).Run(&want, &k, acts); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.data, s.data) {
			t.Fatalf("seed %d: sent % x, %+v\n got % x\nwant % x", seed, data, acts, got.data, s.data)
		}
		if diff := cmp.Diff(describe(&s.key), describe(&got.key)); diff != "" {
			t.Fatalf("seed %d: % x: %+v (-want +got)\n%s", seed, data, acts, diff)
		}
		if gso.NeedsCsum != want.GSO.NeedsCsum || gso.CsumStart != want.GSO.CsumStart || gso.CsumOffset != want.GSO.CsumOffset {
			t.Fatalf("seed %d: offload state %+v, want %+v", seed, gso, want.GSO)
		}
	}
}

// TestDecode reads lists back from their words.
func TestDecode(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 4))
		key := randomKey(r)
		typ := uint16(key.Get(flow.EthType))
		acts := append(randomActions(r, &key, 1), odp.Output{Port: 3}, odp.Userspace{Kind: 2, Cookie: 9})
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
	many := []odp.Action{}
	for i := range 200 {
		many = append(many, odp.Output{Port: odp.Port(i)})
	}
	for _, tc := range []struct {
		acts []odp.Action
		want error
	}{
		{[]odp.Action{odp.PushMPLS{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.CT{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.Meter{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.Recirc{ID: 1}, odp.Output{Port: 1}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.SCTPSrc, Value: []byte{0, 1}}}}, odp.Output{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.TunID, Value: make([]byte, 8)}}}, odp.Output{}}, datapath.ErrUnsupported},
		{[]odp.Action{odp.Clone{Actions: []odp.Action{odp.PopVLAN{}, odp.Output{}}}, odp.Output{}}, datapath.ErrUnsupported},
		{many, datapath.ErrTooLong},
	} {
		if _, err := compile(tc.acts, 0x800); !errors.Is(err, tc.want) {
			t.Errorf("%+v: %v, want %v", tc.acts[0], err, tc.want)
		}
	}
}
