package openflow

func decodeTLVTableMod(d *decoder) (Message, error) {
	m := &TLVTableMod{Command: be16(d.body)}
	if m.Command > 2 {
		return nil, bad(TLVTableBadCommand, "TLV table command %d", m.Command)
	}
	var err error
	m.Maps, err = decodeTLVMaps(d.body[8:])
	return m, err
}

func decodeTLVTableReply(d *decoder) (Message, error) {
	maps, err := decodeTLVMaps(d.body[16:])
	return &TLVTableReply{MaxSpace: be32(d.body), MaxFields: be16(d.body[4:]), Maps: maps}, err
}

func decodeTLVMaps(b []byte) (out []TLVMapping, err error) {
	for ; len(b) >= 8; b = b[8:] {
		m := TLVMapping{Class: be16(b), Type: b[2], Len: b[3], Index: be16(b[4:])}
		switch {
		case m.Len%4 != 0 || m.Len > 124:
			return nil, bad(TLVTableBadOptLen, "option of %d bytes", m.Len)
		case m.Index >= 64:
			return nil, bad(TLVTableBadIndex, "tun_metadata%d", m.Index)
		}
		out = append(out, m)
	}
	return out, nil
}

func (e *encoder) tlvMaps(list []TLVMapping) {
	for _, m := range list {
		e.u16(m.Class)
		e.u8(m.Type, m.Len)
		e.u16(m.Index, 0)
	}
}

func decodeFlowMonitorCancel(d *decoder) (Message, error) {
	return &FlowMonitorCancel{be32(d.body)}, nil
}

// Properties of NXT_CT_FLUSH and of the tuples in it.
const (
	ctFlushOrig = iota
	ctFlushReply
	ctFlushZone
	ctFlushMark
	ctFlushMarkMask
	ctFlushLabels
	ctFlushLabelsMask
)

const (
	ctTupleSrc = iota
	ctTupleDst
	ctTupleSrcPort
	ctTupleDstPort
	ctTupleICMPID
	ctTupleICMPType
	ctTupleICMPCode
)

func decodeCTFlush(d *decoder) (Message, error) {
	if !allZero(d.body[1:8]) {
		return nil, bad(NXMustBeZero, "ct flush padding")
	}
	m := &CTFlush{Proto: d.body[0]}
	err := eachProperty(d.body[8:], func(typ uint16, prop []byte) (err error) {
		switch typ {
		case ctFlushOrig:
			m.Orig, err = decodeCTTuple(m.Proto, prop)
		case ctFlushReply:
			m.Reply, err = decodeCTTuple(m.Proto, prop)
		case ctFlushZone:
			m.HasZone = true
			m.Zone, err = propU16(prop)
		case ctFlushMark:
			m.Mark, err = ptr(propU32(prop))
		case ctFlushMarkMask:
			m.MarkMask, err = ptr(propU32(prop))
		case ctFlushLabels:
			m.Labels, err = prop128(prop)
		case ctFlushLabelsMask:
			m.LabelsMask, err = prop128(prop)
		default:
			err = bad(PropertyBadType, "ct flush property %d", typ)
		}
		return err
	})
	return m, err
}

func ptr[T any](v T, err error) (*T, error) { return &v, err }

// prop128 is 16 bytes right behind the header.
func prop128(prop []byte) ([]byte, error) {
	if len(prop) != 20 {
		return nil, bad(PropertyBadLen, "128-bit property of %d bytes", len(prop))
	}
	return clone(prop[4:]), nil
}

func decodeCTTuple(proto uint8, prop []byte) (*CTTuple, error) {
	if len(prop) < 8 {
		return nil, bad(PropertyBadLen, "tuple of %d bytes", len(prop))
	}
	t := &CTTuple{}
	err := eachProperty(prop[8:], func(typ uint16, prop []byte) (err error) {
		switch typ {
		case ctTupleSrc:
			t.Src, err = prop128(prop)
		case ctTupleDst:
			t.Dst, err = prop128(prop)
		case ctTupleSrcPort:
			t.SrcPort, err = ptr(propU16(prop))
		case ctTupleDstPort:
			t.DstPort, err = ptr(propU16(prop))
		case ctTupleICMPID:
			t.ICMPID, err = ptr(propU16(prop))
		case ctTupleICMPType:
			t.ICMPType, err = ptr(propU8(prop))
		case ctTupleICMPCode:
			t.ICMPCode, err = ptr(propU8(prop))
		default:
			err = bad(PropertyBadType, "tuple property %d", typ)
		}
		return err
	})
	icmp := proto == ipICMP || proto == ipICMPv6
	if err == nil && !icmp && (t.ICMPID != nil || t.ICMPType != nil || t.ICMPCode != nil) {
		err = bad(PropertyBadType, "ICMP tuple of IP protocol %d", proto)
	}
	return t, err
}

func encodeCTFlush(e *encoder, m *CTFlush) error {
	e.beginExp(nx, 32)
	e.u8(m.Proto, 0, 0, 0, 0, 0, 0, 0)
	p := propWriter{e: e}
	p.tuple(ctFlushOrig, m.Orig)
	p.tuple(ctFlushReply, m.Reply)
	if m.HasZone {
		p.put(ctFlushZone, func() { e.u16(m.Zone, 0) })
	}
	p.u32(ctFlushMark, m.Mark)
	p.u32(ctFlushMarkMask, m.MarkMask)
	p.bytes(ctFlushLabels, m.Labels)
	p.bytes(ctFlushLabelsMask, m.LabelsMask)
	return p.err
}

// propWriter writes properties that may be absent and keeps the first error.
type propWriter struct {
	e   *encoder
	err error
}

func (p *propWriter) put(typ uint16, f func()) {
	if p.err == nil {
		p.err = p.e.property(typ, f)
	}
}

func (p *propWriter) bytes(typ uint16, v []byte) {
	if v != nil {
		p.put(typ, func() { p.e.bytes(v) })
	}
}

func (p *propWriter) u8(typ uint16, v *uint8) {
	if v != nil {
		p.put(typ, func() { p.e.u8(*v) })
	}
}

func (p *propWriter) u16(typ uint16, v *uint16) {
	if v != nil {
		p.put(typ, func() { p.e.u16(*v, 0) })
	}
}

func (p *propWriter) u32(typ uint16, v *uint32) {
	if v != nil {
		p.put(typ, func() { p.e.u32(*v) })
	}
}

func (p *propWriter) tuple(typ uint16, t *CTTuple) {
	if t == nil {
		return
	}
	p.put(typ, func() {
		p.e.u32(0)
		in := propWriter{e: p.e}
		in.bytes(ctTupleSrc, t.Src)
		in.bytes(ctTupleDst, t.Dst)
		in.u16(ctTupleSrcPort, t.SrcPort)
		in.u16(ctTupleDstPort, t.DstPort)
		in.u16(ctTupleICMPID, t.ICMPID)
		in.u8(ctTupleICMPType, t.ICMPType)
		in.u8(ctTupleICMPCode, t.ICMPCode)
	})
}
