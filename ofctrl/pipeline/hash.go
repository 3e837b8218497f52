package pipeline

import (
	"encoding/binary"
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// The hashes of multipath, bundle and bundle_load (enum nx_hash_fields, ovs-actions(7)). They are those of the
// stock daemon bit for bit, so that a host which swaps the daemon keeps each connection on its link.
const (
	hashEthSrc = iota
	hashSymmetricL4
	hashSymmetricL3L4
	hashSymmetricL3L4UDP
	hashNwSrc
	hashNwDst
	hashSymmetricL3
)

// hashOf hashes the fields that a kind of hash is about, un-wildcarding just those.
func (x *xlate) hashOf(fields, basis uint16) uint32 {
	b := uint32(basis)
	var buf [16]byte
	switch fields {
	case hashEthSrc:
		return jenkins(x.key.Read(flow.WholeField(flow.EthSrc), buf[:0]), b)
	case hashSymmetricL4:
		return x.hashL4(b)
	case hashSymmetricL3L4, hashSymmetricL3L4UDP:
		return x.hashL3L4(b, fields == hashSymmetricL3L4UDP)
	case hashSymmetricL3:
		return x.hashL3(b)
	case hashNwSrc:
		return x.hashAddress(flow.IPv4Src, flow.IPv6Src, b)
	case hashNwDst:
		return x.hashAddress(flow.IPv4Dst, flow.IPv6Dst, b)
	}
	return b
}

func (x *xlate) hashAddress(v4, v6 flow.FieldID, basis uint32) uint32 {
	var buf [16]byte
	switch {
	case x.key.Has(flow.PrereqIPv4):
		return jenkins(x.key.Read(flow.WholeField(v4), buf[:0]), basis)
	case x.key.Has(flow.PrereqIPv6):
		return jenkins(x.key.Read(flow.WholeField(v6), buf[:0]), basis)
	}
	return basis
}

// symmetric writes a field of one end combined with that of the other to dst, in wire form.
func (x *xlate) symmetric(dst []byte, a, b flow.FieldID) {
	var p, q [16]byte
	one, other := x.key.Read(flow.WholeField(a), p[:0]), x.key.Read(flow.WholeField(b), q[:0])
	for i := range one {
		dst[i] = one[i] ^ other[i]
	}
}

// vids is the combination of the VLAN IDs.
func (x *xlate) vids() uint16 {
	vid := func(tci flow.FieldID) uint16 { return uint16(x.key.Uint(flow.Subfield{Field: tci, Bits: 12})) }
	return vid(flow.VLANTCI) ^ vid(flow.VLANTCI2)
}

// hashL4 is symmetric_l4: of Ethernet, VLAN, IP and, except of UDP, ports.
func (x *xlate) hashL4(basis uint32) uint32 {
	const address, ethType, vid, port, eth, proto = 0, 16, 18, 20, 22, 28
	var b [32]byte
	x.symmetric(b[eth:], flow.EthSrc, flow.EthDst)
	binary.BigEndian.PutUint16(b[vid:], x.vids())
	binary.BigEndian.PutUint16(b[ethType:], uint16(x.key.Get(flow.EthType)))
	switch {
	case x.key.Has(flow.PrereqIPv4):
		x.symmetric(b[address:], flow.IPv4Src, flow.IPv4Dst)
	case x.key.Has(flow.PrereqIPv6):
		x.symmetric(b[address:], flow.IPv6Src, flow.IPv6Dst)
	default:
		return jenkins(b[:], basis)
	}
	b[proto] = byte(x.key.Get(flow.NwProto))
	if b[proto] == packet.ProtoTCP || b[proto] == packet.ProtoSCTP {
		x.symmetric(b[port:], flow.TCPSrc, flow.TCPDst)
	}
	return jenkins(b[:], basis)
}

// hashL3 is symmetric_l3: of IP addresses.
func (x *xlate) hashL3(basis uint32) uint32 {
	const address, ethType = 0, 16
	var b [20]byte
	binary.BigEndian.PutUint16(b[ethType:], uint16(x.key.Get(flow.EthType)))
	switch {
	case x.key.Has(flow.PrereqIPv4):
		x.symmetric(b[address:], flow.IPv4Src, flow.IPv4Dst)
	case x.key.Has(flow.PrereqIPv6):
		x.symmetric(b[address:], flow.IPv6Src, flow.IPv6Dst)
	}
	return jenkins(b[:], basis)
}

// hashL3L4 is symmetric_l3l4, with udp symmetric_l3l4+udp: of IP addresses and ports. Of what is no IP packet it
// hashes Ethernet and VLAN.
func (x *xlate) hashL3L4(basis uint32, udp bool) uint32 {
	var b [16]byte
	words := b[:4]
	switch {
	case x.key.Has(flow.PrereqIPv4):
		x.symmetric(b[:], flow.IPv4Src, flow.IPv4Dst)
	case x.key.Has(flow.PrereqIPv6):
		words = b[:]
		x.symmetric(b[:], flow.IPv6Src, flow.IPv6Dst)
	default:
		return x.hashL2(basis)
	}
	h := basis
	for ; len(words) > 0; words = words[4:] {
		h = murmurAdd(h, binary.LittleEndian.Uint32(words))
	}
	proto := x.key.Get(flow.NwProto)
	h = murmurAdd(h, uint32(proto))
	if proto == packet.ProtoTCP || proto == packet.ProtoSCTP || udp && proto == packet.ProtoUDP {
		x.symmetric(b[:], flow.TCPSrc, flow.TCPDst)
		h = murmurAdd(h, uint32(binary.LittleEndian.Uint16(b[:])))
	}
	return murmurFinish(h ^ basis)
}

func (x *xlate) hashL2(basis uint32) uint32 {
	if !x.key.Has(flow.PrereqEthernet) {
		return 0
	}
	var b [12]byte
	binary.BigEndian.PutUint16(b[0:], uint16(x.key.Get(flow.EthType)))
	binary.BigEndian.PutUint16(b[2:], x.vids())
	x.symmetric(b[4:], flow.EthSrc, flow.EthDst)
	h := basis
	for i := 0; i < len(b); i += 4 {
		h = murmurAdd(h, binary.LittleEndian.Uint32(b[i:]))
	}
	return murmurFinish(h ^ basis)
}

// jenkins is Bob Jenkins' lookup3 of octets (public domain, 2006), started with a basis.
func jenkins(p []byte, basis uint32) uint32 {
	a := 0xdeadbeef + uint32(len(p)) + basis
	b, c := a, a
	for ; len(p) >= 12; p = p[12:] {
		a += binary.LittleEndian.Uint32(p)
		b += binary.LittleEndian.Uint32(p[4:])
		c += binary.LittleEndian.Uint32(p[8:])
		mixIn := func(x, y, z *uint32, n int) { *x -= *z; *x ^= bits.RotateLeft32(*z, n); *z += *y }
		mixIn(&a, &b, &c, 4)
		mixIn(&b, &c, &a, 6)
		mixIn(&c, &a, &b, 8)
		mixIn(&a, &b, &c, 16)
		mixIn(&b, &c, &a, 19)
		mixIn(&c, &a, &b, 4)
	}
	if len(p) > 0 {
		var t [12]byte
		copy(t[:], p)
		a += binary.LittleEndian.Uint32(t[0:])
		b += binary.LittleEndian.Uint32(t[4:])
		c += binary.LittleEndian.Uint32(t[8:])
		last := func(x *uint32, y uint32, n int) { *x ^= y; *x -= bits.RotateLeft32(y, n) }
		last(&c, b, 14)
		last(&a, c, 11)
		last(&b, a, 25)
		last(&c, b, 16)
		last(&a, c, 4)
		last(&b, a, 14)
		last(&c, b, 24)
	}
	return c
}

// murmurAdd and murmurFinish are the steps of MurmurHash3_x86_32 (Austin Appleby, public domain).
func murmurAdd(h, word uint32) uint32 {
	word = bits.RotateLeft32(word*0xcc9e2d51, 15) * 0x1b873593
	return bits.RotateLeft32(h^word, 13)*5 + 0xe6546b64
}

func murmurFinish(h uint32) uint32 {
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}

// murmurBytes hashes octets, started with a basis.
func murmurBytes(p []byte, basis uint32) uint32 {
	h, n := basis, uint32(len(p))
	for ; len(p) >= 4; p = p[4:] {
		h = murmurAdd(h, binary.LittleEndian.Uint32(p))
	}
	if len(p) > 0 {
		var t [4]byte
		copy(t[:], p)
		h = murmurAdd(h, binary.LittleEndian.Uint32(t[:]))
	}
	return murmurFinish(h ^ n)
}

// murmur2 hashes two words.
func murmur2(a, b uint32) uint32 { return murmurFinish(murmurAdd(murmurAdd(a, 0), b) ^ 8) }
