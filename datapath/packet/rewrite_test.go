package packet_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
)

// settable are the fields that actions may write into a packet.
var settable = []flow.FieldID{flow.EthSrc, flow.EthDst, flow.MPLSLabel, flow.MPLSTC, flow.MPLSTTL, flow.IPv4Src,
	flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.NwTOS, flow.IPDSCP, flow.NwECN, flow.NwTTL,
	flow.ARPOp, flow.ARPSHA, flow.ARPTHA, flow.TCPSrc, flow.TCPDst, flow.ICMPType, flow.ICMPCode, flow.NDTarget,
	flow.NDReserved}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// exists says which fields a packet with this key has in its bytes.
func exists(k *flow.Key, id flow.FieldID) bool {
	t, proto := k.Get(flow.EthType), k.Get(flow.NwProto)
	v4, v6, arp := t == packet.EthTypeIPv4, t == packet.EthTypeIPv6, t == packet.EthTypeARP || t == packet.EthTypeRARP
	ip := (v4 || v6) && !(v6 && proto == 0 && k.Get(flow.NwTTL) == 0)
	nd := v6 && proto == packet.ProtoICMPv6 && (k.Get(flow.ICMPType) == 135 || k.Get(flow.ICMPType) == 136) && k.Get(flow.ICMPCode) == 0
	l4 := ip && k.Get(flow.IPFrag)&flow.FragLater == 0
	switch id {
	case flow.EthSrc, flow.EthDst:
		return true
	case flow.MPLSLabel, flow.MPLSTC, flow.MPLSTTL:
		return packet.IsMPLS(uint16(t))
	case flow.IPv4Src, flow.IPv4Dst:
		return v4 || arp && !k.IsZero(flow.ARPSHA)
	case flow.ARPOp, flow.ARPSHA, flow.ARPTHA:
		return arp && !k.IsZero(flow.ARPSHA)
	case flow.IPv6Src, flow.IPv6Dst:
		return v6
	case flow.IPv6Label:
		return ip && v6
	case flow.NwTOS, flow.IPDSCP, flow.NwECN, flow.NwTTL:
		return ip
	case flow.TCPSrc, flow.TCPDst:
		return l4 && (proto == packet.ProtoTCP || proto == packet.ProtoUDP || proto == packet.ProtoSCTP)
	case flow.ICMPType, flow.ICMPCode:
		return l4 && !nd && (proto == packet.ProtoICMP || proto == packet.ProtoICMPv6 && v6)
	case flow.NDTarget, flow.NDReserved:
		return l4 && nd && !k.IsZero(flow.NDTarget)
	}
	return false
}

// TestCommit sets random bits of random fields of random valid packets: the packet must then
// have the wanted key, right checksums and the same payload. Each runs with finished and
// unfinished checksums, and with the same outcome.
func TestCommit(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	sets := map[flow.FieldID]int{}
	for i := range 60000 {
		data := packettest.Valid(r)
		if err := packettest.CheckSums(data); err != nil {
			t.Fatalf("generated %x: %v", data, err)
		}
		var key flow.Key
		o := packet.Parse(data, &key)
		want := key
		for range 1 + r.IntN(4) {
			id := settable[r.IntN(len(settable))]
			if !exists(&want, id) || !exists(&key, id) {
				continue
			}
			v, m := random(r, id.Info().Bytes), random(r, id.Info().Bytes)
			if r.IntN(2) == 0 {
				m = nil
			}
			next := want
			next.SetMasked(id, v, m)
			// A type that makes neighbour discovery of something else has other fields.
			if !exists(&next, id) {
				continue
			}
			want = next
			sets[id]++
		}
		p := &packet.Packet{Data: bytes.Clone(data)}
		packet.Commit(p, &want)
		var got flow.Key
		packet.Extract(p.Data, &got)
		if got != want {
			t.Fatalf("packet %d %x\n became %x\n key differs: %s", i, data, p.Data, cmp.Diff(want.Bytes(), got.Bytes()))
		}
		if err := packettest.CheckSums(p.Data); err != nil {
			t.Fatalf("packet %d %x\n became %x\n %v", i, data, p.Data, err)
		}
		if q := unfinished(data, &key, o); q != nil {
			packet.Commit(q, &want)
			q.FinishChecksum()
			if !bytes.Equal(q.Data, p.Data) {
				t.Fatalf("packet %d %x unfinished\n became %x\n not     %x", i, data, q.Data, p.Data)
			}
		}
	}
	for _, id := range settable {
		if sets[id] < 100 {
			t.Errorf("%v was set %d times only", id, sets[id])
		}
	}
}

// unfinished is the packet with its TCP or UDP checksum as a sender leaves it to the device:
// the sum of the pseudo header only.
func unfinished(data []byte, key *flow.Key, o packet.Offsets) *packet.Packet {
	at := map[uint64]int{packet.ProtoTCP: 16, packet.ProtoUDP: 6}[key.Get(flow.NwProto)]
	if at == 0 || o.L4 < 0 || key.Get(flow.IPFrag) != 0 || o.End != len(data) || o.End-o.L4 < 20 {
		return nil
	}
	p := &packet.Packet{Data: bytes.Clone(data)}
	p.GSO = packet.GSO{NeedsCsum: true, CsumStart: uint16(o.L4), CsumOffset: uint16(at)}
	s := p.Data[o.L4+at:]
	s[0], s[1] = 0, 0
	ip, n := p.Data[o.L3:], uint32(o.End-o.L4)
	src, dst := ip[12:16], ip[16:20]
	if ip[0]>>4 == 6 {
		src, dst = ip[8:24], ip[24:40]
	}
	binary.BigEndian.PutUint16(s, ^packet.Checksum(nil, packet.PseudoHeader(src, dst, byte(key.Get(flow.NwProto)))+n))
	return p
}

// TestCommitMalformed: no packet and no key make Commit panic or change its length.
func TestCommitMalformed(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 100000 {
		p := &packet.Packet{Data: packettest.Generate(r)}
		n := len(p.Data)
		var key flow.Key
		packet.Extract(p.Data, &key)
		for range 3 {
			id := settable[r.IntN(len(settable))]
			key.SetBytes(id, random(r, id.Info().Bytes))
		}
		packet.Commit(p, &key)
		if len(p.Data) != n {
			t.Fatal("length changed")
		}
		// The same for everything that moves headers, in any order.
		p.GSO = packet.GSO{Type: uint8(r.IntN(6)), Size: uint16(r.IntN(100)), NeedsCsum: r.IntN(2) == 0,
			CsumStart: uint16(r.IntN(100)), CsumOffset: uint16(r.IntN(20))}
		for range 4 {
			switch r.IntN(8) {
			case 0:
				packet.PushVLAN(p, &key, packet.EthTypeVLAN, 5)
			case 1:
				packet.PopVLAN(p, &key)
			case 2:
				packet.PushMPLS(p, &key, 5, packet.EthTypeMPLS)
			case 3:
				packet.PopMPLS(p, &key, packet.EthTypeIPv4)
			case 4:
				packet.PushEth(p, &key, [6]byte{}, [6]byte{})
			case 5:
				packet.PopEth(p, &key)
			case 6:
				p.Truncate(r.IntN(100))
			case 7:
				p.MaxLen()
			}
		}
		p.Segment()
		p.FinishChecksum()
	}
}

// TestComposeRoundTrip: a packet composed from a packet's key has that key.
func TestComposeRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 50000 {
		data := packettest.Valid(r)
		var key, got flow.Key
		o := packet.Parse(data, &key)
		if v6 := key.Get(flow.EthType) == packet.EthTypeIPv6; o.Net < 0 || v6 && o.L4 < 0 ||
			packet.IsMPLS(uint16(key.Get(flow.EthType))) {
			continue
		}
		if key.Get(flow.EthType) == packet.EthTypeVLAN || key.Get(flow.EthType) == packet.EthTypeQinQ {
			continue // a third VLAN header
		}
		if key.Get(flow.IPFrag) == flow.FragAny && key.Get(flow.NwProto) == packet.ProtoTCP {
			continue // generated ones may be too short for a TCP header
		}
		made := packet.Compose(&key, make([]byte, 12))
		packet.Extract(made, &got)
		if got != key {
			t.Fatalf("%x\n composed %x\n %s", data, made, cmp.Diff(key.Bytes(), got.Bytes()))
		}
		if err := packettest.CheckSums(made); err != nil {
			t.Fatalf("%x: %v", made, err)
		}
	}
}

func TestTags(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 20000 {
		data := packettest.Valid(r)
		var key flow.Key
		o := packet.Parse(data, &key)
		p := unfinished(data, &key, o)
		if p == nil {
			p = &packet.Packet{Data: bytes.Clone(data)}
		}
		before, bytesBefore, gsoBefore := key, bytes.Clone(p.Data), p.GSO
		same := func(what string) {
			t.Helper()
			var again flow.Key
			again.Set(flow.PacketType, key.Get(flow.PacketType))
			packet.Extract(p.Data, &again)
			if again != key {
				t.Fatalf("%s: key is not the packet's", what)
			}
		}
		back := func(what string) {
			t.Helper()
			if key != before || !bytes.Equal(p.Data, bytesBefore) || p.GSO != gsoBefore {
				t.Fatalf("%s and back: %x\n became %x, %+v", what, bytesBefore, p.Data, p.GSO)
			}
		}
		tci := uint16(r.Uint32())
		if !packet.PushVLAN(p, &key, packet.EthTypeQinQ, tci) {
			t.Fatal("push_vlan")
		}
		same("push_vlan")
		if got := uint16(key.Get(flow.VLANTCI)); got != tci|flow.VLANPresent || key.Get(flow.VLANTPID) != packet.EthTypeQinQ {
			t.Fatalf("tci %#x, want %#x", got, tci)
		}
		packet.PopVLAN(p, &key)
		back("push_vlan")

		ethType := uint16(key.Get(flow.EthType))
		if packet.PushMPLS(p, &key, 0x12345100, packet.EthTypeMPLS) {
			same("push_mpls")
			if key.Get(flow.MPLSLabel) != 0x12345 || key.Get(flow.EthType) != packet.EthTypeMPLS {
				t.Fatalf("label %#x", key.Get(flow.MPLSLabel))
			}
			packet.PopMPLS(p, &key, ethType)
			back("push_mpls")
		}
		if packet.PopEth(p, &key) {
			same("pop_eth")
			if key.Get(flow.EthType) != uint64(ethType) {
				t.Fatal("pop_eth changed the Ethertype")
			}
			packet.PushEth(p, &key, [6]byte(before.GetBytes(flow.EthSrc, nil)), [6]byte(before.GetBytes(flow.EthDst, nil)))
			back("pop_eth")
		}
	}
}

// TestSegment cuts TCP and UDP packets and lets gopacket read what comes out.
func TestSegment(t *testing.T) {
	payload := random(rand.New(rand.NewPCG(1, 1)), 5000)
	for _, tt := range []struct {
		name  string
		typ   uint64
		proto uint64
		gso   uint8
	}{
		{"tcp4", packet.EthTypeIPv4, packet.ProtoTCP, packet.GSOTCPv4 | packet.GSOECN},
		{"tcp6", packet.EthTypeIPv6, packet.ProtoTCP, packet.GSOTCPv6},
		{"udp4", packet.EthTypeIPv4, packet.ProtoUDP, packet.GSOUDPL4},
		{"udp6", packet.EthTypeIPv6, packet.ProtoUDP, packet.GSOUDPL4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var key flow.Key
			key.Set(flow.EthType, tt.typ)
			key.Set(flow.NwProto, tt.proto)
			key.Set(flow.NwTTL, 64)
			key.Set(flow.VLANTCI, flow.VLANPresent|5)
			key.Set(flow.IPv4Src, 0x0a000001)
			key.Set(flow.IPv4Dst, 0x0a000002)
			key.SetBytes(flow.IPv6Src, []byte{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
			key.SetBytes(flow.IPv6Dst, []byte{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2})
			key.Set(flow.TCPSrc, 50000)
			key.Set(flow.TCPDst, 50001)
			key.Set(flow.TCPFlags, 0x99) // CWR, ACK, PSH, FIN
			p := &packet.Packet{Data: packet.Compose(&key, payload), GSO: packet.GSO{Type: tt.gso, Size: 1400}}
			out, err := p.Segment()
			if err != nil || len(out) != 4 {
				t.Fatalf("%d segments, %v", len(out), err)
			}
			var got []byte
			for i, s := range out {
				if err := packettest.CheckSums(s.Data); err != nil {
					t.Errorf("segment %d: %v", i, err)
				}
				pkt := gopacket.NewPacket(s.Data, layers.LayerTypeEthernet, gopacket.Default)
				if l := pkt.ErrorLayer(); l != nil {
					t.Fatalf("segment %d: %v", i, l.Error())
				}
				if ip, ok := pkt.NetworkLayer().(*layers.IPv4); ok && (int(ip.Id) != i || int(ip.Length) != len(s.Data)-18) {
					t.Errorf("segment %d: id %d, length %d", i, ip.Id, ip.Length)
				}
				if tcp, ok := pkt.TransportLayer().(*layers.TCP); ok {
					if int(tcp.Seq) != i*1400 || tcp.CWR != (i == 0) || tcp.FIN != (i == 3) || tcp.PSH != (i == 3) || !tcp.ACK {
						t.Errorf("segment %d: seq %d %+v", i, tcp.Seq, tcp)
					}
				}
				got = append(got, pkt.TransportLayer().LayerPayload()...)
			}
			if !bytes.Equal(got, payload) {
				t.Error("payload changed")
			}
		})
	}
	for _, gso := range []packet.GSO{{Type: packet.GSOUDP, Size: 100}, {Type: packet.GSOTCPv4}, {Type: packet.GSOTCPv4, Size: 9}} {
		p := &packet.Packet{Data: make([]byte, 60), GSO: gso}
		if out, err := p.Segment(); err == nil {
			t.Errorf("%+v: %d segments of zeroes", gso, len(out))
		}
	}
}
