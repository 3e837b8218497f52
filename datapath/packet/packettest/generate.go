// Package packettest makes packets for tests: valid ones of every protocol that a flow.Key
// knows, and ones that are truncated or malformed.
package packettest

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

var be = binary.BigEndian

// pick returns one of its arguments.
func pick[T any](r *rand.Rand, v ...T) T { return v[r.IntN(len(v))] }

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Generate makes a packet: well-formed with right checksums in three of four cases, else cut
// off or with some bytes changed.
func Generate(r *rand.Rand) []byte {
	b := Valid(r)
	switch r.IntN(8) {
	case 0:
		b = b[:r.IntN(len(b)+1)]
	case 1:
		// Changes near the start: that is where the headers are.
		for range 1 + r.IntN(3) {
			b[r.IntN(min(len(b), 80))] = pick(r, byte(r.Uint32()), 0, 1, 0xff)
		}
	}
	return b
}

// Valid makes a well-formed packet with right checksums.
func Valid(r *rand.Rand) []byte {
	b := append(pick(r, []byte{2, 0, 0, 0, 0, 1}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, random(r, 6)), random(r, 6)...)
	for range pick(r, 0, 0, 0, 0, 1, 1, 2, 3) {
		b = be.AppendUint16(b, pick[uint16](r, packet.EthTypeVLAN, packet.EthTypeQinQ))
		b = be.AppendUint16(b, uint16(r.Uint32()))
	}
	switch r.IntN(16) {
	case 0: // 802.2, some with SNAP
		body := append(pick(r, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 6}, []byte{0xaa, 0xaa, 3, 0, 0, 0, 1, 0},
			[]byte{0xaa, 0xaa, 3, 0, 0, 0xc, 8, 0}, []byte{0x42, 0x42, 3}), arp(r)...)
		return append(be.AppendUint16(b, uint16(len(body))), body...)
	case 1:
		b = be.AppendUint16(b, pick[uint16](r, packet.EthTypeARP, packet.EthTypeARP, packet.EthTypeRARP))
		return append(b, arp(r)...)
	case 2:
		b = be.AppendUint16(b, pick[uint16](r, packet.EthTypeMPLS, packet.EthTypeMPLSMulticast))
		n := 1 + r.IntN(5)
		for i := range n {
			lse := r.Uint32() &^ 0x100
			if i == n-1 {
				lse |= 0x100
			}
			b = be.AppendUint32(b, lse)
		}
		return append(b, ipv4(r)...)
	case 3:
		b = be.AppendUint16(b, uint16(0x0600+r.IntN(0x10000-0x600)))
		return append(b, random(r, r.IntN(60))...)
	case 4, 5, 6, 7, 8:
		b = append(be.AppendUint16(b, packet.EthTypeIPv6), ipv6(r)...)
	default:
		b = append(be.AppendUint16(b, packet.EthTypeIPv4), ipv4(r)...)
	}
	if r.IntN(4) == 0 { // padding behind the packet
		b = append(b, make([]byte, r.IntN(40))...)
	}
	return b
}

func arp(r *rand.Rand) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = be.AppendUint16(b, pick[uint16](r, 1, 2, 3, 255, 256, 0xffff))
	return append(append(b, random(r, 20)...), make([]byte, 18)...)
}

func ipv4(r *rand.Rand) []byte {
	proto := pick[byte](r, packet.ProtoTCP, packet.ProtoTCP, packet.ProtoUDP, packet.ProtoUDP, packet.ProtoICMP,
		packet.ProtoSCTP, packet.ProtoIGMP, 47, packet.ProtoICMPv6)
	b := make([]byte, 20, 100)
	src, dst := random(r, 4), random(r, 4)
	b[1], b[8], b[9] = byte(r.Uint32()), byte(r.Uint32()), proto
	be.PutUint16(b[4:], uint16(r.Uint32()))
	be.PutUint16(b[6:], pick[uint16](r, 0, 0, 0, 0x4000, 0x4000, 0x2000, 0x2010, 0x10))
	copy(b[12:], src)
	copy(b[16:], dst)
	if r.IntN(5) == 0 {
		b = append(b, make([]byte, 4*r.IntN(11))...) // end-of-options
	}
	b[0] = 0x40 | byte(len(b)/4)
	body := l4(r, proto, packet.PseudoHeader(src, dst, proto))
	be.PutUint16(b[2:], uint16(len(b)+len(body)))
	be.PutUint16(b[10:], packet.Checksum(b, 0))
	return append(b, body...)
}

func ipv6(r *rand.Rand) []byte {
	proto := pick[byte](r, packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMPv6, packet.ProtoICMPv6, packet.ProtoICMPv6,
		packet.ProtoSCTP, 59, packet.ProtoICMP)
	src, dst := random(r, 16), random(r, 16)
	body := l4(r, proto, packet.PseudoHeader(src, dst, proto))
	next := proto
	var ext []byte
	for range pick(r, 0, 0, 0, 1, 2, 4) {
		var h []byte
		kind := pick[byte](r, 0, 43, 44, 51, 60)
		switch kind {
		case 44:
			h = []byte{next, 0, 0, 0, 1, 2, 3, 4}
			be.PutUint16(h[2:], pick[uint16](r, 0, 1, 1, 0x10, 0x11))
		case 51:
			n := r.IntN(4)
			h = append([]byte{next, byte(n)}, make([]byte, n*4+6)...)
		default:
			n := r.IntN(3)
			h = append([]byte{next, byte(n)}, make([]byte, n*8+6)...)
			if kind == 43 {
				h[3] = 0 // no segments left
			}
		}
		ext, next = append(h, ext...), kind
	}
	b := make([]byte, 40, 150)
	be.PutUint32(b, 6<<28|r.Uint32()>>4)
	be.PutUint16(b[4:], uint16(len(ext)+len(body)))
	b[6], b[7] = next, byte(r.Uint32())
	copy(b[8:], src)
	copy(b[24:], dst)
	return append(append(b, ext...), body...)
}

// l4 makes a transport header and payload; sum is that of the pseudo header without length.
func l4(r *rand.Rand, proto byte, sum uint32) []byte {
	var b []byte
	at := -1
	switch proto {
	case packet.ProtoTCP:
		b = random(r, 20)
		b = append(b, make([]byte, 4*pick(r, 0, 0, 3, 10))...)
		b[12] = b[12]&0xf | byte(len(b)/4)<<4
		at = 16
	case packet.ProtoUDP:
		b = random(r, 8)
		at = 6
	case packet.ProtoSCTP:
		b = random(r, 12)
	case packet.ProtoICMP, packet.ProtoIGMP:
		b = random(r, 8)
		at, sum = 2, 0
	case packet.ProtoICMPv6:
		b = append([]byte{pick[byte](r, 128, 135, 135, 136, 136, 133), pick[byte](r, 0, 0, 0, 0, 1), 0, 0}, random(r, 4)...)
		at = 2
		if b[0] == 135 || b[0] == 136 {
			b = append(b, random(r, 16)...)
			for range pick(r, 0, 1, 1, 1, 2, 2, 3) {
				opt := append([]byte{pick[byte](r, 1, 2, 2, 3), pick[byte](r, 1, 1, 1, 1, 1, 2, 0, 30)}, random(r, 6)...)
				if opt[1] == 2 {
					opt = append(opt, random(r, 8)...)
				}
				b = append(b, opt...)
			}
		}
	}
	if !(proto == packet.ProtoICMPv6 && r.IntN(2) == 0) {
		b = append(b, random(r, r.IntN(40))...)
	}
	if proto == packet.ProtoUDP {
		be.PutUint16(b[4:], uint16(len(b)))
	}
	if at >= 0 {
		if proto != packet.ProtoICMP && proto != packet.ProtoIGMP {
			sum += uint32(len(b))
		}
		be.PutUint16(b[at:], 0)
		c := packet.Checksum(b, sum)
		if proto == packet.ProtoUDP && c == 0 {
			c = 0xffff
		}
		be.PutUint16(b[at:], c)
	}
	if proto == packet.ProtoSCTP {
		packet.FinishSCTP(b)
	}
	return b
}
