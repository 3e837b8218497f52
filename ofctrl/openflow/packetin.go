package openflow

import (
	"cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

func decodePacketIn10(d *decoder) (Message, error) {
	b := d.body
	m := &PacketIn{BufferID: be32(b), TotalLen: int(be16(b[4:])), Reason: PacketInReason(b[8]), Cookie: KeepCookie}
	m.Metadata.Set(flow.InPortOXM, uint64(port10(be16(b[6:]))))
	m.Packet = clone(b[10:])
	return m, nil
}

func decodePacketIn11(d *decoder) (Message, error) {
	b := d.body
	m := &PacketIn{
		BufferID: be32(b), TotalLen: int(be16(b[12:])), Reason: PacketInReason(b[14]), Table: b[15], Cookie: KeepCookie,
	}
	m.Metadata.Set(flow.InPortOXM, uint64(be32(b[4:])))
	m.Packet = clone(b[16:])
	return m, nil
}

// decodePacketIn12 reads those of 1.2 and, with a cookie, of 1.3 and later.
func decodePacketIn12(d *decoder) (Message, error) {
	b := d.body
	m := &PacketIn{
		BufferID: be32(b), TotalLen: int(be16(b[4:])), Reason: PacketInReason(b[6]), Table: b[7], Cookie: KeepCookie,
	}
	b = b[8:]
	if d.v >= V13 {
		m.Cookie = be64(b)
		b = b[8:]
	}
	rest, err := d.loose().pullMatch(b, &m.Metadata)
	if err != nil {
		return nil, err
	}
	return packetBehindPad(m, rest)
}

// packetBehindPad takes the packet behind two bytes that align its IP header.
func packetBehindPad(m *PacketIn, b []byte) (Message, error) {
	if len(b) < 2 {
		return nil, bad(BadLen, "packet-in without padding")
	}
	m.Packet = clone(b[2:])
	return m, nil
}

// loose is the decoder for what a switch sends: it may know fields that we do not.
func (d *decoder) loose() *decoder {
	st := *d.st
	st.Loose = true
	return &decoder{v: d.v, st: &st, body: d.body}
}

func decodeNXPacketIn(d *decoder) (Message, error) {
	b := d.body
	m := &PacketIn{
		BufferID: be32(b), TotalLen: int(be16(b[4:])), Reason: PacketInReason(b[6]), Table: b[7],
		Cookie: be64(b[8:]), Format: PacketInNXT,
	}
	rest, _, err := d.loose().pullNXM(b[24:], int(be16(b[16:])), &m.Metadata)
	if err != nil {
		return nil, err
	}
	return packetBehindPad(m, rest)
}

// Properties of NXT_PACKET_IN2 and NXT_RESUME.
const (
	pinPacket = iota
	pinFullLen
	pinBufferID
	pinTableID
	pinCookie
	pinReason
	pinMetadata
	pinUserdata
	pinContinuation
)

func decodeNXPacketIn2(d *decoder) (Message, error) {
	m := &PacketIn{BufferID: NoBuffer, Format: PacketInNXT2, Cookie: KeepCookie}
	err := d.loose().packetInProps(d.body, m)
	if m.TotalLen == 0 {
		m.TotalLen = len(m.Packet)
	}
	return m, err
}

func (d *decoder) packetInProps(b []byte, m *PacketIn) error {
	return eachProperty(b, func(typ uint16, prop []byte) (err error) {
		switch typ {
		case pinPacket:
			m.Packet = clone(prop[4:])
		case pinFullLen:
			var n uint32
			n, err = propU32(prop)
			m.TotalLen = int(n)
		case pinBufferID:
			m.BufferID, err = propU32(prop)
		case pinTableID:
			m.Table, err = propU8(prop)
		case pinCookie:
			m.Cookie, err = propU64(prop)
		case pinReason:
			var r uint8
			r, err = propU8(prop)
			m.Reason = PacketInReason(r)
		case pinMetadata:
			m.Metadata = flow.Match{}
			err = d.st.decodeOXM(prop[4:], &m.Metadata, nil)
		case pinUserdata:
			m.Userdata = append([]byte{}, prop[4:]...)
		case pinContinuation:
			if len(prop) < 8 {
				return bad(PropertyBadLen, "continuation of %d bytes", len(prop))
			}
			m.Continuation = append([]byte{}, prop[8:]...)
		default:
			if !d.st.Loose {
				err = bad(PropertyBadType, "packet-in property %d", typ)
			}
		}
		return err
	})
}

func encodePacketIn(e *encoder, m *PacketIn) error {
	total := uint16(min(max(m.TotalLen, len(m.Packet)), 0xffff))
	inPort := PortNo(m.Metadata.Key.Get(flow.InPortOXM))
	switch {
	case m.Format == PacketInNXT2:
		return encodePacketIn2(e, m)
	case m.Format == PacketInNXT:
		e.beginExp(nx, 17)
		e.u32(m.BufferID)
		e.u16(total)
		e.u8(uint8(m.Reason), m.Table)
		e.u64(m.Cookie)
		at := len(e.b)
		e.zero(8)
		if err := e.nxm(&m.Metadata, cookieFilter{}, at); err != nil {
			return err
		}
		e.u16(0)
	case e.v == V10:
		e.begin(10)
		e.u32(m.BufferID)
		e.u16(total, inPort.to10())
		e.u8(uint8(reasonFor(e.v, m.Reason)), 0)
	case e.v == V11:
		e.begin(10)
		e.u32(m.BufferID, uint32(inPort), uint32(inPort))
		e.u16(total)
		e.u8(uint8(reasonFor(e.v, m.Reason)), m.Table)
	default:
		e.begin(10)
		e.u32(m.BufferID)
		e.u16(total)
		e.u8(uint8(reasonFor(e.v, m.Reason)), m.Table)
		if e.v >= V13 {
			e.u64(m.Cookie)
		}
		if err := e.match(&m.Metadata); err != nil {
			return err
		}
		e.u16(0)
	}
	e.bytes(m.Packet)
	return nil
}

// reasonFor is the reason that a version has a number for. Versions before 1.2 have the one of an invalid TTL as OVS's
// extension.
func reasonFor(v Version, r PacketInReason) PacketInReason {
	if v <= V13 && r >= ReasonActionSet && r <= ReasonPacketOut {
		return ReasonAction
	}
	return r
}

func encodePacketIn2(e *encoder, m *PacketIn) error {
	e.beginExp(nx, 30)
	return e.packetInProps(m)
}

func (e *encoder) packetInProps(m *PacketIn) error {
	var err error
	prop := func(typ uint16, f func()) {
		if err == nil {
			err = e.property(typ, f)
		}
	}
	prop(pinPacket, func() { e.bytes(m.Packet) })
	if m.TotalLen > len(m.Packet) {
		prop(pinFullLen, func() { e.u32(uint32(m.TotalLen)) })
	}
	if m.BufferID != NoBuffer {
		prop(pinBufferID, func() { e.u32(m.BufferID) })
	}
	prop(pinTableID, func() { e.u8(m.Table) })
	if m.Cookie != KeepCookie {
		prop(pinCookie, func() { e.u32(0); e.u64(m.Cookie) })
	}
	prop(pinReason, func() { e.u8(uint8(m.Reason)) })
	prop(pinMetadata, func() { e.matchFields(&m.Metadata, e.v) }) // OXM in every version
	switch {
	case m.Continuation != nil:
		prop(pinContinuation, func() { e.u32(0); e.bytes(m.Continuation) })
	case m.Paused != nil:
		var failed error
		prop(pinContinuation, func() { e.u32(0); failed = e.continuation(m.Paused) })
		err = cmp.Or(err, failed)
	}
	if m.Userdata != nil {
		prop(pinUserdata, func() { e.bytes(m.Userdata) })
	}
	return err
}

// decodeResume reads NXT_RESUME: a packet-in with its continuation comes back.
func decodeResume(d *decoder) (Message, error) {
	m := &Resume{PacketIn{BufferID: NoBuffer, Format: PacketInNXT2, Cookie: KeepCookie}}
	err := d.packetInProps(d.body, &m.PacketIn)
	return m, err
}

func encodeResume(e *encoder, m *Resume) error {
	e.beginExp(nx, 28)
	return e.packetInProps(&m.PacketIn)
}

func decodePacketOut(d *decoder) (Message, error) {
	b := d.body
	m := &PacketOut{BufferID: be32(b)}
	var n int
	switch {
	case d.v == V10:
		m.InPort, n, b = port10(be16(b[4:])), int(be16(b[6:])), b[8:]
		m.Match.Set(flow.InPortOXM, uint64(m.InPort))
	case d.v <= V14:
		m.InPort, n, b = PortNo(be32(b[4:])), int(be16(b[8:])), b[16:]
		if !validPort(m.InPort) {
			return nil, bad(ActionBadOutPort, "packet-out in_port 0x%08x", uint32(m.InPort))
		}
		m.Match.Set(flow.InPortOXM, uint64(m.InPort))
	default:
		n = int(be16(b[4:]))
		rest, err := d.loose().pullMatch(b[8:], &m.Match)
		if err != nil {
			return nil, err
		}
		if m.Match.Mask.IsZero(flow.InPortOXM) {
			return nil, bad(BadPort, "packet-out without in_port")
		}
		m.InPort, b = PortNo(m.Match.Key.Get(flow.InPortOXM)), rest
	}
	switch p := m.InPort; {
	case p >= 0xff00 && p != PortLocal && p != PortAny && p != PortController:
		return nil, bad(BadPort, "packet-out in_port 0x%08x", uint32(p))
	case n > len(b) || n%8 != 0:
		return nil, bad(BadLen, "%d bytes of actions in %d", n, len(b))
	}
	var err error
	if m.Actions, err = d.loneActions(b[:n]); err != nil {
		return nil, err
	}
	if m.BufferID == NoBuffer {
		m.Packet = clone(b[n:])
	}
	return m, nil
}

func encodePacketOut(e *encoder, m *PacketOut) error {
	e.begin(13)
	e.u32(m.BufferID)
	var lenAt int
	switch {
	case e.v == V10:
		e.u16(m.InPort.to10())
		lenAt = len(e.b)
		e.u16(0)
	case e.v <= V14:
		e.u32(uint32(m.InPort))
		lenAt = len(e.b)
		e.zero(8)
	default:
		lenAt = len(e.b)
		e.u32(0)
		match := m.Match
		match.Set(flow.InPortOXM, uint64(m.InPort))
		if err := e.match(&match); err != nil {
			return err
		}
	}
	at := len(e.b)
	if err := e.actions(m.Actions); err != nil {
		return err
	}
	n := len(e.b) - at
	if n > 0xffff {
		return bad(ActionTooMany, "%d bytes of actions", n)
	}
	e.b[lenAt], e.b[lenAt+1] = byte(n>>8), byte(n)
	e.bytes(m.Packet)
	return nil
}
