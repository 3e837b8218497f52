package openflow

// Instruction types (OpenFlow 1.5 section 7.2.5).
const (
	instGotoTable     = 1
	instWriteMetadata = 2
	instWriteActions  = 3
	instApplyActions  = 4
	instClearActions  = 5
	instMeter         = 6
	instExperimenter  = 0xffff
)

// instructions reads a list of instructions that fills b, into the order in which they are executed.
func (d *decoder) instructions(b []byte) ([]Action, error) {
	var at [instMeter + 1][]byte
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, bad(InstBadLen, "%d bytes of instructions", len(b))
		}
		typ, n := be16(b), int(be16(b[2:]))
		if n < 8 || n%8 != 0 || n > len(b) {
			return nil, bad(InstBadLen, "instruction %d of %d bytes in %d", typ, n, len(b))
		}
		switch {
		case typ == instExperimenter:
			return nil, bad(InstBadExperimenter, "experimenter instruction")
		case typ == 0 || typ > instMeter || typ == instMeter && (d.v < V13 || d.v > V14):
			return nil, bad(InstUnknown, "instruction %d", typ)
		case at[typ] != nil:
			return nil, bad(InstDup, "instruction %d twice", typ)
		}
		want := 8
		switch typ {
		case instWriteMetadata:
			want = 24
		case instWriteActions, instApplyActions:
			want = n
		}
		if n != want {
			return nil, bad(InstBadLen, "instruction %d of %d bytes", typ, n)
		}
		at[typ], b = b[:n], b[n:]
	}
	apply, err := d.actions(after8(at[instApplyActions]))
	if err != nil {
		return nil, err
	}
	write, err := d.actions(after8(at[instWriteActions]))
	if err != nil {
		return nil, err
	}
	list := apply
	if i := at[instMeter]; i != nil {
		m, err := meterID(be32(i[4:]))
		if err != nil {
			return nil, err
		}
		list = append([]Action{m}, apply...)
	}
	if at[instClearActions] != nil {
		list = append(list, ClearActions{})
	}
	if at[instWriteActions] != nil {
		list = append(list, WriteActions{write})
	}
	if i := at[instWriteMetadata]; i != nil {
		mask := be64(i[16:])
		list = append(list, WriteMetadata{be64(i[8:]) & mask, mask})
	}
	if i := at[instGotoTable]; i != nil {
		list = append(list, GotoTable{i[4]})
	}
	return list, nil
}

func after8(b []byte) []byte { return b[min(8, len(b)):] }

// isInstruction reports whether an action stands outside of apply_actions in a version.
func isInstruction(a Action, v Version) bool {
	switch a.(type) {
	case GotoTable, WriteMetadata, WriteActions, ClearActions:
		return true
	case Meter:
		return v < V15
	}
	return false
}

// instructions writes a list; what is between instructions goes into apply_actions. 1.0 has actions only.
func (e *encoder) instructions(list []Action) error {
	if e.v == V10 {
		return e.actions(list)
	}
	for i := 0; i < len(list); i++ {
		at := len(e.b)
		if !isInstruction(list[i], e.v) {
			end := i + 1
			for end < len(list) && !isInstruction(list[end], e.v) {
				end++
			}
			if err := e.actionList(instApplyActions, list[i:end]); err != nil {
				return err
			}
			i = end - 1
			continue
		}
		switch a := list[i].(type) {
		case Meter:
			if e.v >= V13 { // see action for what older versions do
				e.u16(instMeter, 8)
				e.u32(a.ID)
			}
		case ClearActions:
			e.u16(instClearActions, 8, 0, 0)
		case WriteActions:
			if err := e.actionList(instWriteActions, a.Actions); err != nil {
				return err
			}
		case WriteMetadata:
			e.u16(instWriteMetadata, 24, 0, 0)
			e.u64(a.Value, a.Mask)
		case GotoTable:
			e.u16(instGotoTable, 8)
			e.u8(a.Table, 0, 0, 0)
		}
		if len(e.b)-at > 0xffff {
			return bad(ActionTooMany, "instruction of %d bytes", len(e.b)-at)
		}
	}
	return nil
}

func (e *encoder) actionList(typ uint16, list []Action) error {
	at := len(e.b)
	e.u16(typ, 0, 0, 0)
	if err := e.actions(list); err != nil {
		return err
	}
	return e.setLen(at, 2)
}
