package openflow

import (
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// oxm is the header of one match field on the wire (OpenFlow 1.5 section 7.2.3.2, NXM and OXM). Lengths
// are without the header and the experimenter id.
type oxm struct {
	class   uint16
	number  uint8
	hasMask bool
	vendor  uint32
	payload int // bytes of value and mask
	header  int // bytes of the header
}

// pullOXM reads the header at the front of b.
func pullOXM(b []byte) (h oxm, err error) {
	if len(b) < 4 {
		return h, bad(MatchBadLen, "match field header of %d bytes", len(b))
	}
	h = oxm{class: be16(b), number: b[2] >> 1, hasMask: b[2]&1 != 0, payload: int(b[3]), header: 4}
	if h.class == 0xffff {
		if h.payload < 4 || len(b) < 8 {
			return h, bad(MatchBadLen, "experimenter match field of %d bytes", h.payload)
		}
		h.vendor, h.payload, h.header = be32(b[4:]), h.payload-4, 8
	}
	return h, nil
}

// value is how many bytes the value has.
func (h oxm) value() int {
	if h.hasMask {
		return h.payload / 2
	}
	return h.payload
}

// isTunMetadata reports whether a field's place depends on the TLV table.
func isTunMetadata(id flow.FieldID) bool { return id >= flow.TunMetadata0 && id <= flow.TunMetadata63 }

// tlv is where a tun_metadata field is kept; ok false: it is not mapped.
func (st *State) tlv(id flow.FieldID) (off, n int, ok bool) {
	if st.TLV == nil {
		return 0, 0, false
	}
	return st.TLV.Option(id)
}

// Option is where in a key's tun_opts a tun_metadata field is, and its length; ok false: it is not mapped, or
// another field.
func (t *TLVMap) Option(id flow.FieldID) (off, n int, ok bool) {
	if !isTunMetadata(id) {
		return 0, 0, false
	}
	o := t[id-flow.TunMetadata0]
	return int(o.Off), int(o.Len), (o.Len != 0 || o.Off == EmptyOption) && int(o.Off)+int(o.Len) <= tunOptsLen
}

// Bytes are those of a tun_metadata field in a key, aliasing it; ok false: it is not mapped.
func (t *TLVMap) Bytes(k *flow.Key, id flow.FieldID) (b []byte, ok bool) {
	if t == nil {
		return nil, false
	}
	off, n, ok := t.Option(id)
	if !ok {
		return nil, false
	}
	return k.Bytes()[tunOptsOff+off:][:n:n], true
}

// presence is the bit of a tun_metadata field in flow.TunPresentWord.
func presence(id flow.FieldID) uint64 { return 1 << (id - flow.TunMetadata0) }

// tunOptsOff is where tunnel options begin in a Key, tunOptsLen how many bytes they have.
var tunOptsOff, tunOptsLen = func() (int, int) {
	i := slices.IndexFunc(flow.Layout, func(m flow.Member) bool { return m.Name == "tun_opts" })
	return flow.Layout[i].Off, flow.Layout[i].Size
}()

type oxmField struct {
	id flow.FieldID
	n  uint8 // bytes of a value; 0: no such field
}

// oxmClasses finds fields of the classes that nearly all messages use: both of NXM, OXM and its registers.
var oxmClasses = func() (t [4][128]oxmField) {
	for i, class := range []uint16{0, 1, 0x8000, 0x8001} {
		for number := range t[i] {
			if id, n, ok := flow.FieldByOXM(class, uint8(number), 0); ok {
				t[i][number] = oxmField{id, uint8(n)}
			}
		}
	}
	return t
}()

func lookupOXM(h oxm) (id flow.FieldID, n int, ok bool) {
	if h.class&0x7ffe == 0 {
		f := oxmClasses[h.class>>14|h.class&1][h.number]
		return f.id, int(f.n), f.n != 0
	}
	return flow.FieldByOXM(h.class, h.number, h.vendor)
}

// field finds the field of a header. A tun_metadata field must be mapped.
func (st *State) field(h oxm) (id flow.FieldID, n int, err error) {
	id, n, ok := lookupOXM(h)
	if !ok {
		return 0, 0, bad(MatchBadField, "match field class 0x%04x number %d", h.class, h.number)
	}
	if isTunMetadata(id) {
		if h.value() > id.Info().Bytes {
			return 0, 0, bad(MatchBadField, "%v of %d bytes", id, h.value())
		}
		if _, n, ok = st.tlv(id); !ok {
			return 0, 0, bad(NXInvalidTLVField, "%v is not in the TLV table", id)
		}
	}
	return id, n, nil
}

// valueBits are the bits that a value of the field may have, for fields of at most 64 bits.
func valueBits(f *flow.Field) uint64 {
	switch {
	case f.ID == flow.CTState:
		return 0xff
	case f.StoreMask != 0:
		return f.StoreMask
	case f.Bits >= 64:
		return ^uint64(0)
	}
	return 1<<f.Bits - 1
}

// validValue reports whether a field can have the value.
func validValue(id flow.FieldID, v []byte) bool {
	f := id.Info()
	if f.Bytes > 8 {
		return true
	}
	n := uintBytes(v)
	if id == flow.InPortOXM || id == flow.ActsetOutput {
		return validPort(PortNo(n))
	}
	if id == flow.NSHMdtype {
		return n == 1 || n == 2
	}
	return n&^valueBits(f) == 0
}

// cookieFilter is the cookie that NXM carries as a match field.
type cookieFilter struct{ value, mask uint64 }

// decodeOXM reads match fields into m. cookie may be nil: then none may be there.
func (st *State) decodeOXM(b []byte, m *flow.Match, cookie *cookieFilter) error {
	for len(b) > 0 {
		h, err := pullOXM(b)
		if err != nil {
			return err
		}
		b = b[h.header:]
		if len(b) < h.payload {
			return bad(MatchBadLen, "match field of %d bytes in %d", h.payload, len(b))
		}
		value := b[:h.payload]
		b = b[h.payload:]
		var mask []byte
		if h.hasMask {
			n := h.payload / 2
			value, mask = value[:n], value[n:2*n]
		}
		for i := range mask {
			if value[i]&^mask[i] != 0 {
				return bad(MatchBadWildcards, "match field with bits outside of its mask")
			}
		}
		if h.class == 1 && h.number == 30 && len(value) == 8 {
			if err := cookie.set(value, mask); err != nil {
				return err
			}
			continue
		}
		id, n, err := st.field(h)
		odd := h.hasMask && h.payload%2 != 0
		if err == nil && (odd || len(value) != n && !isTunMetadata(id)) {
			err = bad(MatchBadField, "%v of %d bytes", id, len(value))
		}
		if err != nil {
			if st.Loose {
				continue
			}
			return err
		}
		if err := st.addField(m, id, value, mask); err != nil {
			return err
		}
	}
	return nil
}

func (c *cookieFilter) set(value, mask []byte) error {
	switch {
	case c == nil:
		return bad(MatchBadField, "cookie in this match")
	case c.mask != 0:
		return bad(MatchDupField, "cookie")
	}
	c.mask = ^uint64(0)
	if mask != nil {
		c.mask = be64(mask)
	}
	c.value = be64(value) & c.mask
	return nil
}

// addField checks one field and adds it to the match.
func (st *State) addField(m *flow.Match, id flow.FieldID, value, mask []byte) error {
	f := id.Info()
	if mask != nil {
		if !f.Maskable && !allOnes(mask) && !allZero(mask) {
			return bad(MatchBadMask, "mask of %v", id)
		}
		if allOnes(mask) && len(mask) > 0 { // a mask of no bytes asks only whether a tunnel option is there
			mask = nil
		}
	}
	if isTunMetadata(id) {
		return st.addTunMetadata(m, id, value, mask)
	}
	if !validValue(id, value) {
		return bad(MatchBadValue, "value of %v", id)
	}
	if !prereqOK(m, f.Prereq) {
		return bad(MatchBadPrereq, "%v", id)
	}
	if !m.Mask.IsZero(id) {
		return bad(MatchDupField, "%v", id)
	}
	switch id {
	case flow.InPort:
		if mask == nil || !allZero(mask) {
			m.Set(flow.InPortOXM, uint64(port10(be16(value))))
		}
		return nil
	case flow.PacketType:
		// Ethernet is what every match is about that does not say otherwise.
		if allZero(value) {
			return nil
		}
		if m.Mask.Get(flow.EthType)|m.Mask.Get(flow.EthSrc)|m.Mask.Get(flow.EthDst)|m.Mask.Get(flow.VLANTCI) != 0 {
			return bad(MatchBadPrereq, "packet_type behind Ethernet fields")
		}
	}
	if f.Bytes <= 8 {
		v := uintBytes(value)
		if mask == nil {
			m.Key.Set(id, v)
			m.Mask.SetExact(id)
			return nil
		}
		bits := uintBytes(mask)
		m.Key.Set(id, v&bits)
		m.Mask.Set(id, bits)
		return nil
	}
	m.Key.SetBytes(id, value)
	if mask == nil {
		m.Mask.SetExact(id)
		return nil
	}
	m.Mask.SetBytes(id, mask)
	key, ones := m.Key.Bytes()[f.Off:f.Off+f.Size], m.Mask.Bytes()[f.Off:]
	for i := range key {
		key[i] &= ones[i]
	}
	return nil
}

// addTunMetadata adds a tunnel option: that the packet has it, and its value under the mask. A value that is shorter than the
// option is its low bytes; of a longer one, as in OVS, the first bytes count.
func (st *State) addTunMetadata(m *flow.Match, id flow.FieldID, value, mask []byte) error {
	off, n, _ := st.tlv(id)
	key := m.Key.Bytes()[tunOptsOff+off:][:n]
	ones := m.Mask.Bytes()[tunOptsOff+off:][:n]
	if m.Mask[flow.TunPresentWord]&presence(id) != 0 {
		return bad(MatchDupField, "%v", id)
	}
	m.Mask[flow.TunPresentWord] |= presence(id)
	m.Key[flow.TunPresentWord] |= presence(id)
	if len(value) > n {
		value = value[:n]
		if mask != nil {
			mask = mask[:n]
		}
	}
	for i := range n {
		j := len(value) - n + i
		if j < 0 {
			if mask == nil {
				ones[i] = 0xff
			}
			continue
		}
		if ones[i] = 0xff; mask != nil {
			ones[i] = mask[j]
		}
		key[i] = value[j] & ones[i]
	}
	return nil
}

// oxmHeaders are the headers to write fields with: per version byte, 0 is NXM. The lower 32 bits are the
// experimenter id.
var oxmHeaders = func() (t [flow.NumFields][V15 + 1]uint64) {
	for id := range t {
		for v := range t[id] {
			for i, o := range flow.Fields[id].OXM {
				if i > 0 && int(o.MinVer) > v {
					continue
				}
				n := o.Len
				if o.Vendor != 0 {
					n += 4
				}
				t[id][v] = uint64(o.Class)<<48 | uint64(o.Number)<<41 | uint64(n)<<32 | uint64(o.Vendor)
			}
		}
	}
	return t
}()

// oxmHeader writes the header of a field and, if hasMask, makes room for a mask in its length. v is the
// version byte, 0 for NXM. n is the length of a tun_metadata value that follows; 0 if none does.
// Other fields have their own length.
func (e *encoder) oxmHeader(id flow.FieldID, v Version, hasMask bool, n int) {
	h := oxmHeaders[id][v]
	own := id.Info().Bytes
	if !isTunMetadata(id) {
		n = own
	} else if n == 0 {
		n = own
		if _, mapped, ok := e.st.tlv(id); ok && !e.st.Client {
			n = mapped
		}
	}
	h += uint64(n-own) << 32
	if hasMask {
		h += 1<<40 + uint64(n)<<32
	}
	e.u32(uint32(h >> 32))
	if vendor := uint32(h); vendor != 0 {
		e.u32(vendor)
	}
}

// hasOXM reports whether the field can be written at all.
func hasOXM(id flow.FieldID) bool { return len(id.Info().OXM) > 0 }

// oxmSize is the length of a field's header.
func oxmSize(id flow.FieldID, v Version) int {
	if uint32(oxmHeaders[id][v]) != 0 {
		return 8
	}
	return 4
}
