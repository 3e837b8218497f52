package openflow

func decodeFlowRequest10(aggregate bool) func(*decoder) (MultipartBody, error) {
	return func(d *decoder) (MultipartBody, error) {
		m := &FlowRequest{
			Aggregate: aggregate, Table: d.body[40], OutPort: port10(be16(d.body[42:])), OutGroup: GroupAny,
		}
		decodeMatch10(d.body, &m.Match)
		return m, nil
	}
}

func decodeFlowRequest11(aggregate bool) func(*decoder) (MultipartBody, error) {
	return func(d *decoder) (MultipartBody, error) {
		b := d.body
		m := &FlowRequest{
			Aggregate: aggregate, Table: b[0], OutPort: PortNo(be32(b[4:])), OutGroup: be32(b[8:]),
			CookieMask: be64(b[24:]),
		}
		m.Cookie = be64(b[16:]) & m.CookieMask
		if !validPort(m.OutPort) {
			return nil, bad(ActionBadOutPort, "filter for output to 0x%08x", uint32(m.OutPort))
		}
		_, err := d.pullMatch(b[32:], &m.Match)
		return m, err
	}
}

func decodeNXFlowRequest(aggregate bool) func(*decoder) (MultipartBody, error) {
	return func(d *decoder) (MultipartBody, error) {
		b := d.body
		m := &FlowRequest{
			Aggregate: aggregate, Table: b[4], OutPort: port10(be16(b)), OutGroup: GroupAny, Nicira: true,
		}
		rest, c, err := d.pullNXM(b[8:], int(be16(b[2:])), &m.Match)
		if err == nil && len(rest) > 0 {
			err = bad(BadLen, "%d bytes behind the match", len(rest))
		}
		m.Cookie, m.CookieMask = c.value, c.mask
		return m, err
	}
}

func (m *FlowRequest) put(e *encoder, more bool) error {
	typ, sub := uint16(1), uint32(0)
	if m.Aggregate {
		typ, sub = 2, 1
	}
	if e.v > V10 {
		e.beginMultipart(false, more, typ)
		e.u8(m.Table, 0, 0, 0)
		e.u32(uint32(m.OutPort), m.OutGroup, 0)
		e.u64(m.Cookie&m.CookieMask, m.CookieMask)
		return e.match(&m.Match)
	}
	if !m.Nicira && !e.st.NXM && m.CookieMask == 0 {
		e.beginMultipart(false, more, typ)
		if e.match10(&m.Match) {
			e.u8(m.Table, 0)
			e.u16(m.OutPort.to10())
			return nil
		}
		e.b = e.b[:e.start]
	}
	e.beginExpMultipart(false, more, nx, sub)
	e.u16(m.OutPort.to10())
	at := len(e.b)
	e.u16(0)
	e.u8(m.Table, 0, 0, 0)
	return e.nxm(&m.Match, cookieFilter{m.Cookie, m.CookieMask}, at)
}

// entry takes the next structure of a list whose first 16 bits are its length, at least min bytes.
func entry(b []byte, min int) (this, rest []byte, err error) {
	if len(b) < min {
		return nil, nil, bad(BadLen, "%d bytes at the end of a list", len(b))
	}
	n := int(be16(b))
	if n < min || n > len(b) {
		return nil, nil, bad(BadLen, "list entry of %d bytes in %d", n, len(b))
	}
	return b[:n], b[n:], nil
}

func decodeFlowReply(d *decoder) (MultipartBody, error) {
	m := &FlowReply{}
	one, min := (*decoder).flowStats11, 48
	switch d.v {
	case V10:
		one, min = (*decoder).flowStats10, 88
	case V15:
		one, min = (*decoder).flowStats15, 24
	}
	return m, d.loose().eachFlow(m, min, one)
}

func decodeNXFlowReply(d *decoder) (MultipartBody, error) {
	m := &FlowReply{Nicira: true}
	return m, d.loose().eachFlow(m, 48, (*decoder).flowStatsNX)
}

func (d *decoder) eachFlow(m *FlowReply, min int, one func(*decoder, []byte, *FlowStats) error) error {
	for rest := d.body; len(rest) > 0; {
		this, r, err := entry(rest, min)
		if err != nil {
			return err
		}
		m.Flows = append(m.Flows, FlowStats{IdleAge: -1, HardAge: -1})
		if err := one(d, this, &m.Flows[len(m.Flows)-1]); err != nil {
			return err
		}
		rest = r
	}
	return nil
}

func (d *decoder) flowStats10(b []byte, f *FlowStats) (err error) {
	f.Table = b[2]
	decodeMatch10(b[4:], &f.Match)
	f.DurationSec, f.DurationNsec = be32(b[44:]), be32(b[48:])
	f.Priority, f.Idle, f.Hard = be16(b[52:]), be16(b[54:]), be16(b[56:])
	f.Cookie, f.Packets, f.Bytes = be64(b[64:]), be64(b[72:]), be64(b[80:])
	f.Actions, err = d.actions(b[88:])
	return err
}

func (d *decoder) flowStats11(b []byte, f *FlowStats) error {
	f.Table = b[2]
	f.DurationSec, f.DurationNsec = be32(b[4:]), be32(b[8:])
	f.Priority, f.Idle, f.Hard = be16(b[12:]), be16(b[14:]), be16(b[16:])
	if d.v >= V13 {
		f.Flags = be16(b[18:])
	}
	if d.v >= V14 {
		f.Importance = be16(b[20:])
	}
	f.Cookie, f.Packets, f.Bytes = be64(b[24:]), be64(b[32:]), be64(b[40:])
	rest, err := d.pullMatch(b[48:], &f.Match)
	if err != nil {
		return err
	}
	f.Actions, err = d.instructions(rest)
	return err
}

func (d *decoder) flowStats15(b []byte, f *FlowStats) error {
	f.Table = b[4]
	f.Priority, f.Idle, f.Hard = be16(b[6:]), be16(b[8:]), be16(b[10:])
	f.Flags, f.Importance, f.Cookie = be16(b[12:]), be16(b[14:]), be64(b[16:])
	rest, err := d.pullMatch(b[24:], &f.Match)
	if err != nil {
		return err
	}
	var s flowCounts
	if rest, err = s.pull(rest); err != nil {
		return err
	}
	f.DurationSec, f.DurationNsec, f.Packets, f.Bytes = s.sec, s.nsec, s.packets, s.bytes
	if s.has&oxsIdle != 0 {
		f.IdleAge = int(s.idle)
	}
	f.Actions, err = d.instructions(rest)
	return err
}

func (d *decoder) flowStatsNX(b []byte, f *FlowStats) error {
	f.Table = b[2]
	f.DurationSec, f.DurationNsec = be32(b[4:]), be32(b[8:])
	f.Priority, f.Idle, f.Hard = be16(b[12:]), be16(b[14:]), be16(b[16:])
	f.IdleAge, f.HardAge = int(be16(b[20:]))-1, int(be16(b[22:]))-1
	f.Cookie, f.Packets, f.Bytes = be64(b[24:]), be64(b[32:]), be64(b[40:])
	rest, _, err := d.pullNXM(b[48:], int(be16(b[18:])), &f.Match)
	if err != nil {
		return err
	}
	f.Actions, err = d.actions(rest)
	return err
}

func (m *FlowReply) put(e *encoder, more bool) error {
	nicira := e.v == V10 && (m.Nicira || e.st.NXM)
	if nicira {
		e.beginExpMultipart(true, more, nx, 0)
	} else {
		e.beginMultipart(true, more, 1)
	}
	for i := range m.Flows {
		f := &m.Flows[i]
		at := len(e.b)
		e.u16(0)
		var err error
		switch {
		case nicira:
			err = e.flowStatsNX(f)
		case e.v == V10:
			err = e.flowStats10(f)
		case e.v < V15:
			err = e.flowStats11(f)
		default:
			err = e.flowStats15(f)
		}
		if err == nil {
			err = e.setLen(at, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) flowStats10(f *FlowStats) error {
	e.u8(f.Table, 0)
	// Of a match that needs NXM this sends what 1.0 can say, as OVS does: NXST_FLOW has the rest.
	e.match10(&f.Match)
	e.u32(f.DurationSec, f.DurationNsec)
	e.u16(f.Priority, f.Idle, f.Hard, 0, 0, 0)
	e.u64(f.Cookie, f.Packets, f.Bytes)
	return e.actions(f.Actions)
}

func (e *encoder) flowStats11(f *FlowStats) error {
	e.u8(f.Table, 0)
	e.u32(f.DurationSec, f.DurationNsec)
	e.u16(f.Priority, f.Idle, f.Hard)
	e.u16(pick(e.v >= V13, f.Flags&flagsOf(e.v), 0), pick(e.v >= V14, f.Importance, 0), 0)
	e.u64(f.Cookie, f.Packets, f.Bytes)
	// In 1.1, too, as the standard match cannot say all that a flow of another version may match; OVS does the same.
	if err := e.oxmMatch(&f.Match); err != nil {
		return err
	}
	return e.instructions(f.Actions)
}

func (e *encoder) flowStats15(f *FlowStats) error {
	e.u16(0)
	e.u8(f.Table, 0)
	e.u16(f.Priority, f.Idle, f.Hard, f.Flags&flagsOf(e.v), f.Importance)
	e.u64(f.Cookie)
	if err := e.match(&f.Match); err != nil {
		return err
	}
	s := flowCounts{sec: f.DurationSec, nsec: f.DurationNsec, packets: f.Packets, bytes: f.Bytes}
	has := uint8(oxsDuration | oxsPackets | oxsBytes)
	if f.IdleAge >= 0 {
		s.idle = uint32(f.IdleAge)
		has |= oxsIdle
	}
	if err := s.put(e, has); err != nil {
		return err
	}
	return e.instructions(f.Actions)
}

func (e *encoder) flowStatsNX(f *FlowStats) error {
	e.u8(f.Table, 0)
	e.u32(f.DurationSec, f.DurationNsec)
	e.u16(f.Priority, f.Idle, f.Hard)
	at := len(e.b)
	e.u16(0, age16(f.IdleAge), age16(f.HardAge))
	e.u64(f.Cookie, f.Packets, f.Bytes)
	if err := e.nxm(&f.Match, cookieFilter{}, at); err != nil {
		return err
	}
	return e.actions(f.Actions)
}

// age16 is an age plus one, 0 for unknown.
func age16(age int) uint16 { return uint16(min(max(age, -1), 0xfffe) + 1) }

func decodeAggregateReply(d *decoder) (MultipartBody, error) {
	return &AggregateReply{Packets: be64(d.body), Bytes: be64(d.body[8:]), Flows: be32(d.body[16:])}, nil
}

func decodeNXAggregateReply(d *decoder) (MultipartBody, error) {
	return &AggregateReply{Packets: be64(d.body), Bytes: be64(d.body[8:]), Flows: be32(d.body[16:]), Nicira: true}, nil
}

func decodeAggregateReply15(d *decoder) (MultipartBody, error) {
	var s flowCounts
	_, err := s.pull(d.body)
	return &AggregateReply{Packets: s.packets, Bytes: s.bytes, Flows: s.flows}, err
}

func (m *AggregateReply) put(e *encoder, more bool) error {
	switch {
	case e.v == V15:
		e.beginMultipart(true, more, 2)
		s := flowCounts{packets: m.Packets, bytes: m.Bytes, flows: m.Flows}
		return s.put(e, oxsFlows|oxsPackets|oxsBytes)
	case e.v == V10 && (m.Nicira || e.st.NXM):
		e.beginExpMultipart(true, more, nx, 1)
	default:
		e.beginMultipart(true, more, 2)
	}
	e.u64(m.Packets, m.Bytes)
	e.u32(m.Flows, 0)
	return nil
}
