package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Flow mod flags per version, as bits of FlowMod.Flags.
const (
	flags10     = FlagSendFlowRem | FlagCheckOverlap
	flags12     = flags10 | FlagResetCounts
	flags13     = flags12 | FlagNoPktCounts | FlagNoBytCounts
	emergency10 = 1 << 2
)

func flagsOf(v Version) uint16 {
	switch {
	case v <= V11:
		return flags10
	case v == V12:
		return flags12
	}
	return flags13
}

// flags checks the flags of a flow mod. Adding a flow resets its counters in 1.0 and 1.1.
func (d *decoder) flags(m *FlowMod, raw uint16) error {
	allowed := flagsOf(d.v)
	if d.v == V10 && raw&^allowed == emergency10 {
		return bad(FlowModTableFull, "emergency flow")
	}
	if raw&^allowed != 0 {
		return bad(FlowModBadFlags, "flags 0x%04x", raw)
	}
	m.Flags = raw
	if d.v <= V11 && m.Command == FlowAdd {
		m.Flags |= FlagResetCounts
	}
	return nil
}

// command sets the command, in 1.0 with the table in its upper byte if that was agreed.
func (d *decoder) command(m *FlowMod, raw uint16) error {
	m.Table = TableAll
	if d.st.FlowModTableID {
		m.Table, raw = uint8(raw>>8), raw&0xff
	}
	if raw > uint16(FlowDeleteStrict) {
		return bad(FlowModBadCommand, "command %d", raw)
	}
	m.Command = FlowModCommand(raw)
	return nil
}

func decodeFlowMod10(d *decoder) (Message, error) {
	b := d.body
	m := d.flowMod()
	m.NewCookie, m.Idle, m.Hard, m.Priority = be64(b[40:]), be16(b[50:]), be16(b[52:]), be16(b[54:])
	m.BufferID, m.OutPort, m.OutGroup = be32(b[56:]), port10(be16(b[60:])), GroupAny
	decodeMatch10(b, &m.Match)
	if be32(b)&wc10All == 0 { // a match without wildcards wins in 1.0
		m.Priority = 0xffff
	}
	if err := firstError(d.command(m, be16(b[48:])), d.flags(m, be16(b[62:]))); err != nil {
		return nil, err
	}
	return d.flowModActions(m, b[64:])
}

func decodeNXFlowMod(d *decoder) (Message, error) {
	b := d.body
	m := d.flowMod()
	m.NewCookie, m.Idle, m.Hard, m.Priority = be64(b), be16(b[10:]), be16(b[12:]), be16(b[14:])
	m.BufferID, m.OutPort, m.OutGroup, m.Nicira = be32(b[16:]), port10(be16(b[20:])), GroupAny, true
	if err := firstError(d.command(m, be16(b[8:])), d.flags(m, be16(b[22:]))); err != nil {
		return nil, err
	}
	rest, cookie, err := d.pullNXM(b[32:], int(be16(b[24:])), &m.Match)
	if err != nil {
		return nil, err
	}
	m.Cookie, m.CookieMask = cookie.value, cookie.mask
	if m.Command == FlowAdd && m.CookieMask != 0 {
		// An addition is not filtered; its cookie stands in the header.
		return nil, bad(NXMInvalid, "flow addition that matches a cookie")
	}
	return d.flowModActions(m, rest)
}

// pullNXM reads n bytes of NXM fields and their padding.
func (d *decoder) pullNXM(b []byte, n int, m *flow.Match) (rest []byte, c cookieFilter, err error) {
	if pad8(n) > len(b) {
		return nil, c, bad(MatchBadLen, "match of %d bytes in %d", n, len(b))
	}
	err = d.st.decodeOXM(b[:n], m, &c)
	return b[pad8(n):], c, err
}

func (d *decoder) flowModActions(m *FlowMod, b []byte) (Message, error) {
	var err error
	if m.Actions, err = d.flowActions(b, m); err != nil {
		return nil, err
	}
	if d.v == V10 {
		if err := checkOrder10(m.Actions); err != nil {
			return nil, err
		}
	}
	if err := CheckActions(m.Actions, &m.Match, m.Table, d.v); err != nil {
		return nil, err
	}
	return m, nil
}

// nameL4 gives mod_tp_src and mod_tp_dst the field of the flow's protocol, which other versions need.
func nameL4(list []Action, m *flow.Match) {
	for i, a := range list {
		switch a := a.(type) {
		case Clone:
			nameL4(a.Actions, m)
		case WriteActions:
			nameL4(a.Actions, m)
		case SetField:
			if !a.Legacy || a.Field != flow.TCPSrc && a.Field != flow.TCPDst {
				continue
			}
			src := a.Field == flow.TCPSrc
			switch {
			case prereqOK(m, flow.PrereqUDP):
				a.Field = pick(src, flow.UDPSrc, flow.UDPDst)
			case prereqOK(m, flow.PrereqSCTP):
				a.Field = pick(src, flow.SCTPSrc, flow.SCTPDst)
			}
			list[i] = a
		}
	}
}

func decodeFlowMod11(d *decoder) (Message, error) {
	b := d.body
	m := d.flowMod()
	m.NewCookie, m.Table, m.Command = KeepCookie, b[16], FlowModCommand(b[17])
	m.Idle, m.Hard, m.Priority, m.BufferID = be16(b[18:]), be16(b[20:]), be16(b[22:]), be32(b[24:])
	m.OutPort, m.OutGroup = PortNo(be32(b[28:])), be32(b[32:])
	cookie, mask := be64(b), be64(b[8:])
	switch {
	case m.Command > FlowDeleteStrict:
		return nil, bad(FlowModBadCommand, "command %d", m.Command)
	case m.Command == FlowAdd:
		m.NewCookie = cookie
	case d.v == V11 && mask == 0 && m.Command <= FlowModifyStrict:
		m.NewCookie = cookie
	default:
		m.Cookie, m.CookieMask = cookie&mask, mask
	}
	if d.v >= V14 {
		m.Importance = be16(b[38:])
	}
	switch {
	case !validPort(m.OutPort):
		return nil, bad(ActionBadOutPort, "filter for output to 0x%08x", uint32(m.OutPort))
	case m.Table == TableAll && m.Command < FlowDelete:
		return nil, bad(FlowModBadTableID, "flow mod of all tables")
	}
	if err := d.flags(m, be16(b[36:])); err != nil {
		return nil, err
	}
	rest, err := d.pullMatch(b[40:], &m.Match)
	if err != nil {
		return nil, err
	}
	return d.flowModActions(m, rest)
}

func encodeFlowMod(e *encoder, m *FlowMod) error {
	if e.v > V10 && !m.Nicira {
		return encodeFlowMod11(e, m)
	}
	command := uint16(m.Command)
	if e.st.FlowModTableID {
		command |= uint16(m.Table) << 8
	}
	flags := m.Flags & flags10
	if e.v > V11 {
		flags = m.Flags & flagsOf(e.v)
	}
	if !m.Nicira && !e.st.NXM && m.CookieMask == 0 {
		e.begin(14)
		if e.match10(&m.Match) {
			e.u64(m.NewCookie)
			e.u16(command, m.Idle, m.Hard, m.Priority)
			e.u32(m.BufferID)
			e.u16(m.OutPort.to10(), flags)
			return e.actions(m.Actions)
		}
		e.b = e.b[:e.start]
	}
	e.beginExp(nx, 13)
	e.u64(m.NewCookie)
	e.u16(command, m.Idle, m.Hard, m.Priority)
	e.u32(m.BufferID)
	e.u16(m.OutPort.to10(), flags)
	at := len(e.b)
	e.zero(8)
	if err := e.nxm(&m.Match, cookieFilter{m.Cookie, m.CookieMask}, at); err != nil {
		return err
	}
	return e.actions(m.Actions)
}

// nxm writes NXM fields with padding, and their length at offset lenAt of b.
func (e *encoder) nxm(m *flow.Match, c cookieFilter, lenAt int) error {
	at := len(e.b)
	e.matchFields(m, 0)
	switch {
	case c.mask == 0:
	case c.mask == ^uint64(0):
		e.u32(1<<16 | 30<<9 | 8)
		e.u64(c.value)
	default:
		e.u32(1<<16 | 30<<9 | 1<<8 | 16)
		e.u64(c.value, c.mask)
	}
	n := len(e.b) - at
	if n > 0xffff {
		return bad(MatchBadLen, "match of %d bytes", n)
	}
	e.b[lenAt], e.b[lenAt+1] = byte(n>>8), byte(n)
	e.alignFrom(at)
	return nil
}

func encodeFlowMod11(e *encoder, m *FlowMod) error {
	e.begin(14)
	if m.Command == FlowAdd || e.v == V11 && m.CookieMask == 0 && m.Command <= FlowModifyStrict {
		e.u64(m.NewCookie, m.CookieMask)
	} else {
		e.u64(m.Cookie&m.CookieMask, m.CookieMask)
	}
	e.u8(m.Table, uint8(m.Command))
	e.u16(m.Idle, m.Hard, m.Priority)
	e.u32(m.BufferID, uint32(m.OutPort), m.OutGroup)
	e.u16(m.Flags&flagsOf(e.v), pick(e.v >= V14, m.Importance, 0))
	if err := e.match(&m.Match); err != nil {
		return err
	}
	return e.instructions(m.Actions)
}
