package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Flags of FlowMonitor.
const (
	MonitorInitial uint16 = 1 << iota // send the flows that are there
	MonitorAdd                        // and changes of each kind
	MonitorRemoved
	MonitorModify
	MonitorActions  // with actions
	MonitorNoAbbrev // whole updates for the connection's own changes, too
	MonitorOnlyOwn  // 1.4 and later

	monitorFlags = 1<<iota - 1
)

// Events of FlowUpdate, in the numbers of 1.4.
const (
	UpdateInitial uint16 = iota
	UpdateAdded
	UpdateRemoved
	UpdateModified
	UpdateAbbrev
	UpdatePaused
	UpdateResumed
)

type (
	// FlowMonitorRequest starts, changes (Command 1) and, in 1.4 and later, stops (2) flow monitors.
	FlowMonitorRequest struct{ Monitors []FlowMonitor }
	// FlowMonitor is one of them.
	FlowMonitor struct {
		ID       uint32
		Flags    uint16
		Table    uint8
		Command  uint8
		OutPort  PortNo
		OutGroup uint32
		Match    flow.Match
	}
	// FlowMonitorReply is a part of the stream of updates.
	FlowMonitorReply struct{ Updates []FlowUpdate }
	// FlowUpdate is one change. An abbreviated one has only the XID of the request that made it.
	FlowUpdate struct {
		Event                uint16
		Reason               uint8 // of removal: FlowRemovedReason
		Table                uint8
		Idle, Hard, Priority uint16
		Cookie               uint64
		Match                flow.Match
		Actions              []Action
		XID                  uint32
	}
	// FlowMonitorPaused and FlowMonitorResumed say so in versions before 1.4.
	FlowMonitorPaused  struct{}
	FlowMonitorResumed struct{}
)

func (*FlowMonitorRequest) ofMultipart() {}
func (*FlowMonitorReply) ofMultipart()   {}
func (*FlowMonitorPaused) ofMessage()    {}
func (*FlowMonitorResumed) ofMessage()   {}

func decodeFlowMonitorRequest(d *decoder) (MultipartBody, error) {
	m := &FlowMonitorRequest{}
	for b := d.body; len(b) > 0; {
		if len(b) < 16 {
			return nil, bad(BadLen, "flow monitor of %d bytes", len(b))
		}
		f := FlowMonitor{ID: be32(b), OutGroup: GroupAny}
		var err error
		switch {
		case d.v < V13:
			f.Flags, f.OutPort, f.Table = be16(b[4:]), port10(be16(b[6:])), b[10]
			if !allZero(b[11:16]) {
				return nil, bad(NXMustBeZero, "flow monitor padding")
			}
			b, _, err = d.pullNXM(b[16:], int(be16(b[8:])), &f.Match)
		case d.v == V13:
			f.Flags, f.OutPort, f.Table = be16(b[4:]), PortNo(be32(b[8:])), b[12]
			if !allZero(b[13:16]) {
				return nil, bad(NXMustBeZero, "flow monitor padding")
			}
			b, err = d.pullMatch(b[16:], &f.Match)
		default:
			f.OutPort, f.OutGroup = PortNo(be32(b[4:])), be32(b[8:])
			f.Flags, f.Table, f.Command = be16(b[12:]), b[14], b[15]
			b, err = d.pullMatch(b[16:], &f.Match)
		}
		switch {
		case err != nil:
			return nil, err
		case f.Flags&^monitorFlags != 0 || d.v < V14 && f.Flags&MonitorOnlyOwn != 0:
			return nil, bad(FlowMonitorBadFlags, "flow monitor flags 0x%x", f.Flags)
		case f.Command > 2:
			return nil, bad(FlowMonitorBadCommand, "flow monitor command %d", f.Command)
		case !validPort(f.OutPort):
			return nil, bad(ActionBadOutPort, "flow monitor of output to 0x%08x", uint32(f.OutPort))
		}
		m.Monitors = append(m.Monitors, f)
	}
	return m, nil
}

// beginFlowMonitor writes the headers of a request or reply of the version.
func (e *encoder) beginFlowMonitor(reply, more bool) {
	switch {
	case e.v < V13:
		e.beginExpMultipart(reply, more, nx, 2)
	case e.v == V13:
		e.beginExpMultipart(reply, more, onf, 1870)
	default:
		e.beginMultipart(reply, more, 16)
	}
}

func (m *FlowMonitorRequest) put(e *encoder, more bool) error {
	e.beginFlowMonitor(false, more)
	for i := range m.Monitors {
		f := &m.Monitors[i]
		e.u32(f.ID)
		var err error
		switch {
		case e.v < V13:
			e.u16(f.Flags, f.OutPort.to10())
			at := len(e.b)
			e.u16(0)
			e.u8(f.Table, 0, 0, 0, 0, 0)
			err = e.nxm(&f.Match, cookieFilter{}, at)
		case e.v == V13:
			e.u16(f.Flags)
			at := len(e.b)
			e.u16(0)
			e.u32(uint32(f.OutPort))
			e.u8(f.Table, 0, 0, 0)
			start := len(e.b)
			err = e.match(&f.Match)
			copy(e.b[at:at+2], e.b[start+2:]) // the match's own length, here once more
		default:
			e.u32(uint32(f.OutPort), f.OutGroup)
			e.u16(f.Flags)
			e.u8(f.Table, f.Command)
			err = e.match(&f.Match)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// event maps the numbers of Nicira's form, which has no initial event.
func (e *encoder) event(ev uint16) uint16 {
	if e.v >= V14 || ev == 0 {
		return ev
	}
	return ev - 1
}

func decodeFlowMonitorReply(d *decoder) (MultipartBody, error) {
	m := &FlowMonitorReply{}
	d = d.loose()
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, 8)
		if err != nil {
			return nil, err
		}
		rest = r
		u := FlowUpdate{Event: be16(b[2:])}
		if d.v < V14 {
			u.Event++
		}
		switch {
		case u.Event > UpdateResumed || d.v < V14 && u.Event > UpdateAbbrev:
			return nil, bad(NXFlowMonitorBadEvent, "flow update event %d", u.Event)
		case u.Event == UpdateAbbrev:
			u.XID = be32(b[4:])
		case u.Event > UpdateAbbrev:
		case len(b) < 24:
			return nil, bad(BadLen, "flow update of %d bytes", len(b))
		default:
			if err := d.fullUpdate(b, &u); err != nil {
				return nil, err
			}
		}
		m.Updates = append(m.Updates, u)
	}
	return m, nil
}

func (d *decoder) fullUpdate(b []byte, u *FlowUpdate) (err error) {
	u.Cookie = be64(b[16:])
	if d.v >= V14 {
		u.Table, u.Reason, u.Idle, u.Hard, u.Priority = b[4], b[5], be16(b[6:]), be16(b[8:]), be16(b[10:])
	} else {
		u.Reason, u.Priority, u.Idle, u.Hard, u.Table = uint8(be16(b[4:])), be16(b[6:]), be16(b[8:]), be16(b[10:]), b[14]
	}
	rest := b[24:]
	if d.v < V13 {
		if rest, _, err = d.pullNXM(rest, int(be16(b[12:])), &u.Match); err == nil {
			u.Actions, err = d.actions(rest)
		}
		return err
	}
	if rest, err = d.pullMatch(rest, &u.Match); err != nil {
		return err
	}
	u.Actions, err = d.instructions(rest)
	return err
}

func (m *FlowMonitorReply) put(e *encoder, more bool) error {
	e.beginFlowMonitor(true, more)
	for i := range m.Updates {
		u := &m.Updates[i]
		at := len(e.b)
		e.u16(0, e.event(u.Event))
		var err error
		switch {
		case u.Event == UpdateAbbrev:
			e.u32(u.XID)
		case u.Event > UpdateAbbrev:
			e.u32(0)
		default:
			err = e.fullUpdate(u)
		}
		if err := firstError(err, e.setLen(at, 0)); err != nil {
			return err
		}
	}
	return nil
}

func (e *encoder) fullUpdate(u *FlowUpdate) error {
	if e.v >= V14 {
		e.u8(u.Table, u.Reason)
		e.u16(u.Idle, u.Hard, u.Priority)
		e.u32(0)
		e.u64(u.Cookie)
		return firstError(e.match(&u.Match), e.instructions(u.Actions))
	}
	e.u16(uint16(u.Reason), u.Priority, u.Idle, u.Hard)
	at := len(e.b)
	e.u16(0)
	e.u8(u.Table, 0)
	e.u64(u.Cookie)
	if e.v < V13 {
		return firstError(e.nxm(&u.Match, cookieFilter{}, at), e.actions(u.Actions))
	}
	start := len(e.b)
	err := e.match(&u.Match)
	copy(e.b[at:at+2], e.b[start+2:])
	return firstError(err, e.instructions(u.Actions))
}
