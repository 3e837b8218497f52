package packet

import "hash/crc32"

// sum adds the 16-bit words of b to s, without folding; an odd last byte is a high one.
func sum(b []byte, s uint64) uint64 {
	for len(b) >= 4 {
		s += uint64(be.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		s += uint64(be.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

// fold reduces a sum to 16 bits with end-around carry.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// Checksum is the Internet checksum (RFC 1071) of b added to an earlier partial sum.
func Checksum(b []byte, partial uint32) uint16 { return ^fold(sum(b, uint64(partial))) }

// PseudoHeader is the partial sum of addresses (4 or 16 bytes each) and protocol that TCP, UDP
// and ICMPv6 checksums include; the transport length is to be added to it.
func PseudoHeader(src, dst []byte, proto byte) uint32 {
	return uint32(fold(sum(src, sum(dst, uint64(proto)))))
}

// update returns the checksum c after covered bytes changed from old to new (RFC 1624, eqn 3).
// Both have the same even length and start at an even offset.
func update(c uint16, old, new []byte) uint16 {
	s := uint64(^c)
	s = sum(new, s)
	for ; len(old) >= 2; old = old[2:] {
		s += uint64(^be.Uint16(old))
	}
	return ^fold(s)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// FinishSCTP writes the CRC32c of an SCTP packet (RFC 9260 appendix A), which is all of b.
func FinishSCTP(b []byte) {
	if len(b) < SCTPLen {
		return
	}
	clear(b[8:12])
	c := crc32.Checksum(b, castagnoli)
	b[8], b[9], b[10], b[11] = byte(c), byte(c>>8), byte(c>>16), byte(c>>24)
}

// ValidSCTP reports whether the CRC32c of an SCTP packet, which is all of b, is right.
func ValidSCTP(b []byte) bool {
	if len(b) < SCTPLen {
		return false
	}
	c := crc32.Update(0, castagnoli, b[:8])
	c = crc32.Update(c, castagnoli, []byte{0, 0, 0, 0})
	c = crc32.Update(c, castagnoli, b[12:])
	return [4]byte(b[8:12]) == [4]byte{byte(c), byte(c >> 8), byte(c >> 16), byte(c >> 24)}
}

// UpdateChecksum returns the Internet checksum c after covered bytes changed from old to new (RFC 1624).
// Both have the same even length and start at an even offset.
func UpdateChecksum(c uint16, old, new []byte) uint16 { return update(c, old, new) }
