package openflow

func decodeFlowRemoved10(d *decoder) (Message, error) {
	b := d.body
	m := &FlowRemoved{
		Cookie: be64(b[40:]), Priority: be16(b[48:]), Reason: FlowRemovedReason(b[50]), Table: TableAll,
		DurationSec: be32(b[52:]), DurationNsec: be32(b[56:]), Idle: be16(b[60:]),
		Packets: be64(b[64:]), Bytes: be64(b[72:]),
	}
	decodeMatch10(b, &m.Match)
	return m, nil
}

func decodeFlowRemoved11(d *decoder) (Message, error) {
	b := d.body
	m := &FlowRemoved{
		Cookie: be64(b), Priority: be16(b[8:]), Reason: FlowRemovedReason(b[10]), Table: b[11],
		DurationSec: be32(b[12:]), DurationNsec: be32(b[16:]), Idle: be16(b[20:]), Hard: be16(b[22:]),
		Packets: be64(b[24:]), Bytes: be64(b[32:]),
	}
	_, err := d.loose().pullMatch(b[40:], &m.Match)
	return m, err
}

func decodeFlowRemoved15(d *decoder) (Message, error) {
	b := d.body
	m := &FlowRemoved{
		Table: b[0], Reason: FlowRemovedReason(b[1]), Priority: be16(b[2:]),
		Idle: be16(b[4:]), Hard: be16(b[6:]), Cookie: be64(b[8:]),
	}
	rest, err := d.loose().pullMatch(b[16:], &m.Match)
	if err != nil {
		return nil, err
	}
	var s flowCounts
	if _, err := s.pull(rest); err != nil {
		return nil, err
	}
	m.DurationSec, m.DurationNsec, m.Packets, m.Bytes = s.sec, s.nsec, s.packets, s.bytes
	return m, nil
}

func decodeNXFlowRemoved(d *decoder) (Message, error) {
	b := d.body
	m := &FlowRemoved{
		Cookie: be64(b), Priority: be16(b[8:]), Reason: FlowRemovedReason(b[10]), Table: b[11] - 1,
		DurationSec: be32(b[12:]), DurationNsec: be32(b[16:]), Idle: be16(b[20:]),
		Packets: be64(b[24:]), Bytes: be64(b[32:]), Nicira: true,
	}
	_, _, err := d.loose().pullNXM(b[40:], int(be16(b[22:])), &m.Match)
	return m, err
}

func encodeFlowRemoved(e *encoder, m *FlowRemoved) error {
	switch {
	case e.v == V15 && !m.Nicira:
		e.begin(11)
		e.u8(m.Table, uint8(m.Reason))
		e.u16(m.Priority, m.Idle, m.Hard)
		e.u64(m.Cookie)
		if err := e.match(&m.Match); err != nil {
			return err
		}
		s := flowCounts{sec: m.DurationSec, nsec: m.DurationNsec, packets: m.Packets, bytes: m.Bytes}
		return s.put(e, oxsDuration|oxsPackets|oxsBytes)
	case e.v > V10 && !m.Nicira:
		e.begin(11)
		e.u64(m.Cookie)
		e.u16(m.Priority)
		e.u8(uint8(m.Reason), m.Table)
		e.u32(m.DurationSec, m.DurationNsec)
		e.u16(m.Idle, m.Hard)
		e.u64(m.Packets, m.Bytes)
		return e.replyMatch(&m.Match)
	case !m.Nicira && !e.st.NXM:
		e.begin(11)
		e.match10(&m.Match) // what it can say of the match, as OVS does: the controller knows no more
		e.u64(m.Cookie)
		e.u16(m.Priority)
		e.u8(uint8(m.Reason), 0)
		e.u32(m.DurationSec, m.DurationNsec)
		e.u16(m.Idle, 0)
		e.u64(m.Packets, m.Bytes)
		return nil
	}
	e.beginExp(nx, 14)
	e.u64(m.Cookie)
	e.u16(m.Priority)
	e.u8(uint8(m.Reason), m.Table+1)
	e.u32(m.DurationSec, m.DurationNsec)
	e.u16(m.Idle)
	at := len(e.b)
	e.u16(0)
	e.u64(m.Packets, m.Bytes)
	return e.nxm(&m.Match, cookieFilter{}, at)
}
