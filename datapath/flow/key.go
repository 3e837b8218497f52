package flow

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Key is everything a flow can match: the packet's headers and its metadata. Words are memory
// words of the layout, members in network byte order; use Get and Set.
//
// Conventions, as in OVS: ARP opcode is in nw_proto, ARP addresses in ipv4_src and ipv4_dst, ND
// link-layer addresses in arp_sha and arp_tha, ICMP type and code in tp_src and tp_dst. A VLAN
// header that exists has VLANPresent set in its TCI.
type Key [Words]uint64

// Mask has a one in every bit of a Key that matters.
type Mask = Key

// VLANPresent is the TCI bit (CFI on the wire) that says that a VLAN header exists.
const VLANPresent = 0x1000

// Fragment bits of nw_frag.
const (
	FragAny   = 1 // is a fragment
	FragLater = 2 // and not the first
)

// Bytes is the key's memory, Words*8 bytes, aliasing k.
func (k *Key) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(k)), len(k)*8)
}

// load reads the storage of f, at most 8 bytes; of wider storage the last 8 bytes.
func (k *Key) load(f *Field) uint64 {
	b := k.Bytes()
	switch f.Size {
	case 1:
		return uint64(b[f.Off])
	case 2:
		return uint64(binary.BigEndian.Uint16(b[f.Off:]))
	case 4:
		return uint64(binary.BigEndian.Uint32(b[f.Off:]))
	case 6:
		return uint64(binary.BigEndian.Uint16(b[f.Off:]))<<32 | uint64(binary.BigEndian.Uint32(b[f.Off+2:]))
	default:
		return binary.BigEndian.Uint64(b[f.Off+f.Size-8:])
	}
}

func (k *Key) store(f *Field, v uint64) {
	b := k.Bytes()
	switch f.Size {
	case 1:
		b[f.Off] = byte(v)
	case 2:
		binary.BigEndian.PutUint16(b[f.Off:], uint16(v))
	case 4:
		binary.BigEndian.PutUint32(b[f.Off:], uint32(v))
	case 6:
		binary.BigEndian.PutUint16(b[f.Off:], uint16(v>>32))
		binary.BigEndian.PutUint32(b[f.Off+2:], uint32(v))
	default:
		clear(b[f.Off : f.Off+f.Size-8])
		binary.BigEndian.PutUint64(b[f.Off+f.Size-8:], v)
	}
}

// Get returns the value of a field of at most 64 bits (of a wider one, its low 64 bits).
func (k *Key) Get(id FieldID) uint64 {
	f := &Fields[id]
	if f.Off < 0 {
		return 0
	}
	v := k.load(f)
	if f.StoreMask != 0 {
		v = v >> f.Shift & f.StoreMask
	}
	return v
}

// Set writes a field of at most 64 bits; other fields in the same storage keep their bits.
func (k *Key) Set(id FieldID, v uint64) {
	f := &Fields[id]
	if f.Off < 0 {
		return
	}
	if f.StoreMask != 0 {
		v = k.load(f)&^(f.StoreMask<<f.Shift) | (v&f.StoreMask)<<f.Shift
	}
	k.store(f, v)
}

// GetBytes appends the field's value in wire form (Field.Bytes long) to dst.
func (k *Key) GetBytes(id FieldID, dst []byte) []byte {
	f := &Fields[id]
	if f.Off < 0 {
		return append(dst, make([]byte, f.Bytes)...)
	}
	if f.Whole() && f.Size == f.Bytes {
		return append(dst, k.Bytes()[f.Off:f.Off+f.Size]...)
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], k.Get(id))
	return append(dst, b[8-f.Bytes:]...)
}

// SetBytes writes the field from its wire form; a shorter v is taken as the low bytes.
func (k *Key) SetBytes(id FieldID, v []byte) {
	f := &Fields[id]
	if f.Off < 0 {
		return
	}
	if f.Whole() && f.Size >= 8 {
		d := k.Bytes()[f.Off : f.Off+f.Size]
		clear(d)
		if len(v) > len(d) {
			v = v[len(v)-len(d):]
		}
		copy(d[len(d)-len(v):], v)
		return
	}
	var n uint64
	for _, c := range v {
		n = n<<8 | uint64(c)
	}
	k.Set(id, n)
}

// SetMasked writes the bits of the field that are set in mask (wire form, same length as v;
// nil means all).
func (k *Key) SetMasked(id FieldID, v, mask []byte) {
	if mask == nil {
		k.SetBytes(id, v)
		return
	}
	old := k.GetBytes(id, make([]byte, 0, 16))
	for i := range v {
		if i < len(old) && i < len(mask) {
			old[i] = old[i]&^mask[i] | v[i]&mask[i]
		}
	}
	k.SetBytes(id, old)
}

// SetExact sets every bit of a field in a mask.
func (k *Key) SetExact(id FieldID) {
	f := &Fields[id]
	if f.Off < 0 {
		return
	}
	if f.StoreMask != 0 {
		k.store(f, k.load(f)|f.StoreMask<<f.Shift)
		return
	}
	b := k.Bytes()[f.Off : f.Off+f.Size]
	for i := range b {
		b[i] = 0xff
	}
}

// IsExact reports whether a mask has every bit of the field.
func (k *Key) IsExact(id FieldID) bool {
	var all Key
	all.SetExact(id)
	return k.Covers(&all)
}

// IsZero reports whether the field is all zero (in a mask: wildcarded).
func (k *Key) IsZero(id FieldID) bool {
	f := &Fields[id]
	if f.Off < 0 {
		return true
	}
	if f.StoreMask != 0 {
		return k.Get(id) == 0
	}
	for _, c := range k.Bytes()[f.Off : f.Off+f.Size] {
		if c != 0 {
			return false
		}
	}
	return true
}

// Covers reports whether every bit of o is in k.
func (k *Key) Covers(o *Key) bool {
	for i := range k {
		if o[i]&^k[i] != 0 {
			return false
		}
	}
	return true
}

// Or adds the bits of o.
func (k *Key) Or(o *Key) {
	for i := range k {
		k[i] |= o[i]
	}
}

// And keeps only the bits of o.
func (k *Key) And(o *Key) {
	for i := range k {
		k[i] &= o[i]
	}
}

// EqualMasked reports whether k and o agree in the bits of mask.
func (k *Key) EqualMasked(o *Key, mask *Mask) bool {
	for i := range k {
		if (k[i]^o[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// Match is a key with a mask: what a flow matches. Bits of Key outside Mask are zero.
type Match struct {
	Key  Key
	Mask Mask
}

// Set makes the match exact in a field of at most 64 bits.
func (m *Match) Set(id FieldID, v uint64) {
	m.Key.Set(id, v)
	m.Mask.SetExact(id)
}

// Matches reports whether k fits.
func (m *Match) Matches(k *Key) bool { return m.Key.EqualMasked(k, &m.Mask) }

// Normalize zeroes the key bits that are wildcarded.
func (m *Match) Normalize() { m.Key.And(&m.Mask) }

// Compact is a Key that keeps only the words in Map: for storage of many.
type Compact struct {
	Map  [(Words + 63) / 64]uint64
	Word []uint64
}

// MakeCompact keeps the words of k where sel (normally a mask) is not zero.
func MakeCompact(k, sel *Key) Compact {
	var c Compact
	n := 0
	for i, w := range sel {
		if w != 0 {
			c.Map[i/64] |= 1 << (i % 64)
			n++
		}
	}
	c.Word = make([]uint64, 0, n)
	for i, w := range sel {
		if w != 0 {
			c.Word = append(c.Word, k[i])
		}
	}
	return c
}

// Expand writes the words into a zeroed Key.
func (c *Compact) Expand(k *Key) {
	*k = Key{}
	n := 0
	for i, m := range c.Map {
		for ; m != 0; m &= m - 1 {
			k[i*64+bits.TrailingZeros64(m)] = c.Word[n]
			n++
		}
	}
}

// Subfield is a range of bits of a field, Ofs counted from the least significant bit.
type Subfield struct {
	Field FieldID
	Ofs   uint16
	Bits  uint16
}

// WholeField is the subfield that covers all of a field.
func WholeField(id FieldID) Subfield {
	return Subfield{Field: id, Bits: uint16(Fields[id].Bits)}
}

// CopyBits writes n bits of src (big-endian bytes) from bit srcOfs to bit dstOfs of dst; bit 0
// is the lowest bit of the last byte.
func CopyBits(dst []byte, dstOfs int, src []byte, srcOfs, n int) {
	for i := range n {
		s, d := srcOfs+i, dstOfs+i
		if s/8 >= len(src) || d/8 >= len(dst) {
			return
		}
		bit := src[len(src)-1-s/8] >> (s % 8) & 1
		p := &dst[len(dst)-1-d/8]
		*p = *p&^(1<<(d%8)) | bit<<(d%8)
	}
}

// Read returns the bits of a subfield, right-aligned, as (Bits+7)/8 bytes.
func (s Subfield) Read(k *Key) []byte {
	v := k.GetBytes(s.Field, make([]byte, 0, 16))
	out := make([]byte, (s.Bits+7)/8)
	CopyBits(out, 0, v, int(s.Ofs), int(s.Bits))
	return out
}

// Write sets the bits of a subfield from right-aligned bytes.
func (s Subfield) Write(k *Key, v []byte) {
	b := k.GetBytes(s.Field, make([]byte, 0, 16))
	CopyBits(b, int(s.Ofs), v, 0, int(s.Bits))
	k.SetBytes(s.Field, b)
}

// Uint returns a subfield of at most 64 bits.
func (s Subfield) Uint(k *Key) uint64 {
	var n uint64
	for _, c := range s.Read(k) {
		n = n<<8 | uint64(c)
	}
	return n
}

// Exact sets the subfield's bits in a mask.
func (s Subfield) Exact(m *Mask) {
	ones := make([]byte, (s.Bits+7)/8)
	for i := range ones {
		ones[i] = 0xff
	}
	s.Write(m, ones)
}
