package openflow

import (
	"errors"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// fieldHeader reads the header of a field that an action names, not followed by a value.
func (d *actionDecoder) fieldHeader(b []byte) (id flow.FieldID, rest []byte, err error) {
	h, err := pullOXM(b)
	if err != nil {
		return 0, nil, err
	}
	id, n, err := d.st.field(h)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case isTunMetadata(id) && h.hasMask:
		return 0, nil, bad(MatchBadMask, "mask bit in the name of %v", id)
	case !isTunMetadata(id) && (h.payload != n || h.hasMask):
		return 0, nil, bad(MatchBadField, "%v with a length of %d", id, h.payload)
	}
	return id, b[h.header:], nil
}

// fieldBits is how many bits a field has on this connection.
func (st *State) fieldBits(id flow.FieldID) int {
	if isTunMetadata(id) {
		if _, n, ok := st.tlv(id); ok {
			return 8 * n
		}
	}
	return id.Info().Bits
}

// subfield reads a field name and checks the range of bits of it.
func (d *actionDecoder) subfield(b []byte, ofs, bits int) (s flow.Subfield, rest []byte, err error) {
	id, rest, err := d.fieldHeader(b)
	if err != nil {
		return s, nil, err
	}
	if bits == 0 || ofs+bits > d.st.fieldBits(id) {
		return s, nil, bad(ActionBadSetLen, "%v[%d..%d]", id, ofs, ofs+bits-1)
	}
	return flow.Subfield{Field: id, Ofs: uint16(ofs), Bits: uint16(bits)}, rest, nil
}

// oldSubfield is subfield for the actions that are older than long field names: whatever is wrong with a
// name is OFPBAC_BAD_SET_TYPE there.
func (d *actionDecoder) oldSubfield(b []byte, ofs, bits int) (s flow.Subfield, rest []byte, err error) {
	s, rest, err = d.subfield(b, ofs, bits)
	if errors.Is(err, MatchBadField) || errors.Is(err, MatchBadMask) {
		err = fmt.Errorf("%w: %w", ActionBadSetType, err)
	}
	return s, rest, err
}

// ofsBits splits ofs_nbits: the offset in the upper 10 bits, the width less one in the lower 6.
func ofsBits(v uint16) (ofs, bits int) { return int(v >> 6), int(v&0x3f) + 1 }

func toOfsBits(s flow.Subfield) uint16 { return s.Ofs<<6 | (s.Bits-1)&0x3f }

func writable(s flow.Subfield) error {
	if !s.Field.Info().Writable {
		return bad(ActionBadSetArgument, "%v is read-only", s.Field)
	}
	return nil
}

func decodeLoad(d *actionDecoder, b []byte) (Action, error) {
	ofs, bits := ofsBits(be16(b[10:]))
	dst, rest, err := d.oldSubfield(b[12:], ofs, bits)
	if err != nil {
		return nil, err
	}
	if len(rest) < 8 {
		return nil, bad(ActionBadLen, "load of %d bytes", len(b))
	}
	if err := writable(dst); err != nil {
		return nil, err
	}
	value := rest[:8]
	if bits < 64 && be64(value)>>bits != 0 {
		return nil, bad(ActionBadArgument, "load of a value wider than %d bits", bits)
	}
	return Load{dst, clone(value[8-(bits+7)/8:])}, nil
}

// load writes NXAST_REG_LOAD, or set_field from 1.5 on, which has no load.
func (e *encoder) load(a Load) error {
	if e.v >= V15 || oxmSize(a.Dst.Field, 0) > 4 {
		return e.setField(loadField(a, e.st))
	}
	// At most 64 bits go into one action.
	for ofs := 0; ofs < int(a.Dst.Bits); ofs += 64 {
		part := flow.Subfield{Field: a.Dst.Field, Ofs: a.Dst.Ofs + uint16(ofs), Bits: min(a.Dst.Bits-uint16(ofs), 64)}
		var v [8]byte
		flow.CopyBits(v[:], 0, a.Value, ofs, int(part.Bits))
		if err := e.load64(part, v); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) load64(dst flow.Subfield, v [8]byte) error {
	if !hasOXM(dst.Field) {
		return bad(NXUnencodable, "load of %v", dst.Field)
	}
	return e.nxAction(7, func() { e.u16(toOfsBits(dst)); e.oxmHeader(dst.Field, 0, false, 0); e.bytes(v[:]) })
}

// loadField is a load as a masked set_field.
func loadField(a Load, st *State) SetField {
	n := (st.fieldBits(a.Dst.Field) + 7) / 8
	if !isTunMetadata(a.Dst.Field) {
		n = a.Dst.Field.Info().Bytes
	}
	f := SetField{Field: a.Dst.Field, Value: make([]byte, n), Mask: make([]byte, n)}
	ones := make([]byte, (a.Dst.Bits+7)/8)
	for i := range ones {
		ones[i] = 0xff
	}
	flow.CopyBits(f.Value, int(a.Dst.Ofs), a.Value, 0, int(a.Dst.Bits))
	flow.CopyBits(f.Mask, int(a.Dst.Ofs), ones, 0, int(a.Dst.Bits))
	if allOnes(f.Mask) {
		f.Mask = nil
	}
	return f
}

// decodeSetField reads OFPAT_SET_FIELD.
func decodeSetField(d *actionDecoder, b []byte) (Action, error) {
	return d.setFieldEntry(b[4:])
}

// decodeLoad2 reads NXAST_REG_LOAD2, which is set_field for older versions.
func decodeLoad2(d *actionDecoder, b []byte) (Action, error) {
	return d.setFieldEntry(b[10:])
}

func (d *actionDecoder) setFieldEntry(b []byte) (Action, error) {
	h, err := pullOXM(b)
	if err != nil {
		return nil, err
	}
	id, n, err := d.st.field(h)
	if errors.Is(err, NXInvalidTLVField) {
		return nil, err
	}
	if err != nil {
		return nil, bad(ActionBadSetType, "set_field of class 0x%04x number %d", h.class, h.number)
	}
	want := n
	if h.hasMask {
		want *= 2
	}
	rest := b[h.header:]
	if h.payload != want && !isTunMetadata(id) || h.hasMask && h.payload%2 != 0 {
		return nil, bad(ActionBadSetLen, "set_field of %v with %d bytes", id, h.payload)
	}
	if len(rest) < h.payload {
		return nil, bad(MatchBadLen, "set_field of %v with %d bytes in %d", id, h.payload, len(rest))
	}
	if !allZero(rest[h.payload:]) {
		return nil, bad(ActionBadSetArgument, "set_field padding")
	}
	a := SetField{Field: id, Value: clone(rest[:h.payload])}
	if h.hasMask {
		a.Value, a.Mask = a.Value[:h.payload/2:h.payload/2], a.Value[h.payload/2:]
		for i := range a.Mask {
			if a.Value[i]&^a.Mask[i] != 0 {
				return nil, bad(MatchBadWildcards, "set_field of %v with bits outside of its mask", id)
			}
		}
		if allOnes(a.Mask) && !isTunMetadata(id) {
			a.Mask = nil
		}
	}
	if isTunMetadata(id) && len(a.Value) > n { // as in OVS the first bytes count
		a.Value, a.Mask = a.Value[:n:n], a.Mask[:min(n, len(a.Mask)):min(n, len(a.Mask))]
		if !h.hasMask {
			a.Mask = nil
		}
	}
	switch {
	case !id.Info().Writable || id == flow.InPortOXM:
		return nil, bad(ActionBadSetArgument, "%v is read-only", id)
	case id == flow.VLANVID && (a.Value[0]&0x10 == 0 || a.Mask != nil && a.Mask[0]&0x10 == 0):
		return nil, bad(ActionBadSetArgument, "vlan_vid without the presence bit")
	case !isTunMetadata(id) && !validValue(id, a.Value):
		return nil, bad(ActionBadSetArgument, "value of %v", id)
	}
	return a, nil
}

// setField writes a field the way the version can: the legacy actions, set_field (masked from 1.5 on), or
// one load for each run of bits.
func (e *encoder) setField(a SetField) error {
	if e.legacyField(a) {
		return nil
	}
	if isTunMetadata(a.Field) && !e.st.Client && allOnes(a.Mask) {
		a.Mask = nil // a controller cannot know that this is all of the field
	}
	if !hasOXM(a.Field) {
		// dl_vlan and dl_vlan_pcp have names only in text.
		switch a.Field {
		case flow.DlVLAN:
			return e.setField(SetField{Field: flow.VLANVID, Value: u16b(uint16(uintBytes(a.Value)) | flow.VLANPresent)})
		case flow.DlVLANPCP:
			return e.setField(SetField{Field: flow.VLANPCP, Value: a.Value})
		}
		return bad(NXUnencodable, "set_field of %v", a.Field)
	}
	if e.v < V12 || e.v < V15 && a.Mask != nil {
		if isTunMetadata(a.Field) || oxmSize(a.Field, 0) > 4 { // more than a load can say
			return e.nxAction(33, func() {
				e.oxmHeader(a.Field, 0, a.Mask != nil, len(a.Value))
				e.bytes(a.Value)
				e.bytes(a.Mask)
			})
		}
		return e.loads(a)
	}
	id, value := a.Field, a.Value
	if id == flow.NwTOS && a.Legacy { // mod_nw_tos
		id, value = flow.IPDSCP, []byte{a.Value[0] >> 2}
	}
	at := len(e.b)
	e.u16(25, 0)
	e.oxmHeader(id, e.v, a.Mask != nil, len(value))
	e.bytes(value)
	e.bytes(a.Mask)
	e.alignFrom(at)
	return e.setLen(at, 2)
}

// loads writes a set_field as NXAST_REG_LOAD actions, from the low bits up.
func (e *encoder) loads(a SetField) error {
	bits := 8 * len(a.Value)
	if !isTunMetadata(a.Field) {
		bits = min(a.Field.Info().Bits, bits)
	}
	set := func(i int) bool { return a.Mask == nil || a.Mask[len(a.Mask)-1-i/8]>>(i%8)&1 != 0 }
	for i := 0; i < bits; {
		if !set(i) {
			i++
			continue
		}
		n := 1
		for n < 64 && i+n < bits && set(i+n) {
			n++
		}
		var v [8]byte
		flow.CopyBits(v[:], 0, a.Value, i, n)
		if err := e.load64(flow.Subfield{Field: a.Field, Ofs: uint16(i), Bits: uint16(n)}, v); err != nil {
			return err
		}
		i += n
	}
	return nil
}

func decodeMove(d *actionDecoder, b []byte) (Action, error) {
	return d.move(b[16:], be16(b[10:]), be16(b[12:]), be16(b[14:]))
}

// decodeCopyField reads OFPAT_COPY_FIELD of 1.5.
func decodeCopyField(d *actionDecoder, b []byte) (Action, error) {
	return d.move(b[12:], be16(b[4:]), be16(b[6:]), be16(b[8:]))
}

// decodeONFCopyField reads the same as ONF's extension for 1.3.
func decodeONFCopyField(d *actionDecoder, b []byte) (Action, error) {
	return d.move(b[20:], be16(b[12:]), be16(b[14:]), be16(b[16:]))
}

func (d *actionDecoder) move(b []byte, bits, srcOfs, dstOfs uint16) (Action, error) {
	src, rest, err := d.subfield(b, int(srcOfs), int(bits))
	if err != nil {
		return nil, err
	}
	dst, rest, err := d.subfield(rest, int(dstOfs), int(bits))
	if err != nil {
		return nil, err
	}
	if !allZero(rest) {
		return nil, bad(NXMustBeZero, "move padding")
	}
	return Move{src, dst}, writable(dst)
}

func (e *encoder) move(a Move) error {
	if !hasOXM(a.Src.Field) || !hasOXM(a.Dst.Field) {
		return bad(NXUnencodable, "move of %v to %v", a.Src.Field, a.Dst.Field)
	}
	if e.v < V15 {
		return e.nxAction(6, func() {
			e.u16(a.Src.Bits, a.Src.Ofs, a.Dst.Ofs)
			e.oxmHeader(a.Src.Field, 0, false, 0)
			e.oxmHeader(a.Dst.Field, 0, false, 0)
		})
	}
	at := len(e.b)
	e.u16(28, 0, a.Src.Bits, a.Src.Ofs, a.Dst.Ofs, 0)
	e.oxmHeader(a.Src.Field, e.v, false, 0)
	e.oxmHeader(a.Dst.Field, e.v, false, 0)
	e.alignFrom(at)
	return e.setLen(at, 2)
}

// stackField reads the subfield of NXAST_STACK_PUSH and _POP: offset, field, width.
func (d *actionDecoder) stackField(b []byte) (flow.Subfield, error) {
	h, err := pullOXM(b[12:])
	if err != nil {
		return flow.Subfield{}, err
	}
	s, rest, err := d.subfield(b[12:], int(be16(b[10:])), int(be16(b[12+h.header:])))
	if err == nil && !allZero(rest[2:]) {
		err = bad(NXMustBeZero, "stack padding")
	}
	return s, err
}

func decodeStackPush(d *actionDecoder, b []byte) (Action, error) {
	s, err := d.stackField(b)
	return StackPush{s}, err
}

func decodeStackPop(d *actionDecoder, b []byte) (Action, error) {
	s, err := d.stackField(b)
	if err == nil {
		err = writable(s)
	}
	return StackPop{s}, err
}

func (e *encoder) stack(sub uint16, s flow.Subfield) error {
	if !hasOXM(s.Field) {
		return bad(NXUnencodable, "stack of %v", s.Field)
	}
	return e.nxAction(sub, func() {
		e.u16(s.Ofs)
		e.oxmHeader(s.Field, 0, false, 0)
		e.u16(s.Bits)
		e.zero(24 - 14 - oxmSize(s.Field, 0))
	})
}

func decodeOutputReg(d *actionDecoder, b []byte) (Action, error) {
	if !allZero(b[18:]) {
		return nil, bad(ActionBadArgument, "output padding")
	}
	ofs, bits := ofsBits(be16(b[10:]))
	src, _, err := d.oldSubfield(b[12:16], ofs, bits)
	return OutputReg{src, be16(b[16:])}, err
}

func decodeOutputReg2(d *actionDecoder, b []byte) (Action, error) {
	ofs, bits := ofsBits(be16(b[10:]))
	src, rest, err := d.subfield(b[14:], ofs, bits)
	if err == nil && !allZero(rest) {
		err = bad(ActionBadArgument, "output padding")
	}
	return OutputReg{src, be16(b[12:])}, err
}

func (e *encoder) outputReg(a OutputReg) error {
	if oxmSize(a.Src.Field, 0) == 4 {
		return e.nxAction(15, func() {
			e.u16(toOfsBits(a.Src))
			e.oxmHeader(a.Src.Field, 0, false, 0)
			e.u16(a.MaxLen)
			e.zero(6)
		})
	}
	return e.nxAction(32, func() {
		e.u16(toOfsBits(a.Src), a.MaxLen)
		e.oxmHeader(a.Src.Field, 0, false, 0)
		e.zero(2)
	})
}

func decodeCheckPktLarger(d *actionDecoder, b []byte) (Action, error) {
	dst, rest, err := d.subfield(b[14:], int(be16(b[12:])), 1)
	if err == nil {
		err = writable(dst)
	}
	if err == nil && !allZero(rest) {
		err = bad(NXMustBeZero, "check_pkt_larger padding")
	}
	return CheckPktLarger{be16(b[10:]), dst}, err
}

func decodeDeleteField(d *actionDecoder, b []byte) (Action, error) {
	h, err := pullOXM(b[10:])
	if err != nil {
		return nil, err
	}
	id, _, ok := flow.FieldByOXM(h.class, h.number, h.vendor)
	switch {
	case ok && h.hasMask:
		return nil, bad(MatchBadMask, "mask bit in the name of %v", id)
	case !ok || !isTunMetadata(id) || h.payload > 127:
		return nil, bad(MatchBadField, "delete_field of class 0x%04x number %d", h.class, h.number)
	}
	if _, _, mapped := d.st.tlv(id); !mapped {
		return nil, bad(NXInvalidTLVField, "%v is not in the TLV table", id)
	}
	return DeleteField{id}, nil
}
