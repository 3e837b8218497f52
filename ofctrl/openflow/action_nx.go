package openflow

// actionTableNX are Nicira's actions by subtype. Arguments begin at byte 10.
func actionTableNX() []actionKind {
	return []actionKind{
		1: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) {
			return Resubmit{port10(be16(b[10:])), TableAll, false}, nil
		}},
		2:  {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetTunnel{uint64(be32(b[12:])), false}, nil }},
		4:  {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetQueue{be32(b[12:])}, nil }},
		5:  {V10, V15, 16, false, simple(PopQueue{})},
		6:  {V10, V14, 16, true, decodeMove},
		7:  {V10, V14, 24, true, decodeLoad},
		8:  {V10, V15, 16, true, func(_ *actionDecoder, b []byte) (Action, error) { return Note{clone(b[10:])}, nil }},
		9:  {V10, V15, 24, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetTunnel{be64(b[16:]), true}, nil }},
		10: {V10, V15, 32, true, decodeMultipath},
		12: {V10, V15, 32, true, decodeBundle},
		13: {V10, V15, 32, true, decodeBundle},
		14: {V10, V15, 16, false, decodeResubmitTable},
		15: {V10, V15, 24, false, decodeOutputReg},
		16: {V10, V15, 32, true, decodeLearn},
		17: {V10, V15, 16, false, simple(Exit{})},
		18: {V10, V15, 16, false, simple(DecTTL{})},
		19: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return FinTimeout{be16(b[10:]), be16(b[12:])}, nil }},
		20: {V10, V15, 16, false, decodeController},
		21: {V10, V15, 16, true, decodeDecTTLIDs},
		22: {V10, V15, 32, false, decodeWriteMetadata},
		23: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return pushMPLS(be16(b[10:])) }},
		24: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return PopMPLS{be16(b[10:])}, nil }},
		25: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetMPLSTTL{b[10]}, nil }},
		26: {V10, V15, 16, false, simple(DecMPLSTTL{})},
		27: {V10, V15, 24, false, decodeStackPush},
		28: {V10, V15, 24, false, decodeStackPop},
		29: {V10, V15, 24, false, decodeSample},
		30: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return setMPLSLabel(be32(b[12:])) }},
		31: {V10, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return setMPLSTC(b[10]) }},
		32: {V10, V15, 24, false, decodeOutputReg2},
		33: {V10, V14, 16, true, decodeLoad2},
		34: {V10, V15, 16, false, decodeConjunction},
		35: {V10, V15, 24, true, decodeCT},
		36: {V10, V15, 16, true, decodeNAT},
		37: {V10, V15, 16, true, decodeController2},
		38: {V10, V15, 32, false, decodeSample},
		39: {V10, V15, 16, false, decodeOutputTrunc},
		40: {V10, V10, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return Group{be32(b[12:])}, nil }},
		41: {V10, V15, 32, false, decodeSample},
		42: {V10, V15, 16, true, decodeClone},
		43: {V10, V15, 16, false, simple(CTClear{})},
		44: {V10, V15, 16, false, decodeResubmitTable},
		45: {V10, V15, 40, true, decodeLearn},
		46: {V13, V15, 16, true, decodeEncap},
		47: {V13, V15, 16, false, func(_ *actionDecoder, b []byte) (Action, error) { return Decap{be32(b[12:])}, nil }},
		48: {V10, V15, 16, false, simple(DecNSHTTL{})},
		49: {V10, V15, 24, false, decodeCheckPktLarger},
		50: {V10, V15, 24, false, decodeDeleteField},
		51: {V10, V15, 40, false, decodeSample},
	}
}

func decodeResubmitTable(_ *actionDecoder, b []byte) (Action, error) {
	if !allZero(b[13:16]) {
		return nil, bad(ActionBadArgument, "resubmit padding")
	}
	return Resubmit{InPort: port10(be16(b[10:])), Table: b[12], CT: be16(b[8:]) == 44}, nil
}

func decodeWriteMetadata(_ *actionDecoder, b []byte) (Action, error) {
	if !allZero(b[10:16]) {
		return nil, bad(NXMustBeZero, "write_metadata padding")
	}
	mask := be64(b[24:])
	return WriteMetadata{be64(b[16:]) & mask, mask}, nil
}

func decodeDecTTLIDs(_ *actionDecoder, b []byte) (Action, error) {
	n := int(be16(b[10:]))
	if !allZero(b[12:16]) {
		return nil, bad(NXMustBeZero, "dec_ttl padding")
	}
	if n > (len(b)-16)/2 {
		return nil, bad(ActionBadLen, "dec_ttl with %d controllers in %d bytes", n, len(b))
	}
	a := DecTTL{IDs: make([]uint16, n)}
	for i := range a.IDs {
		a.IDs[i] = be16(b[16+2*i:])
	}
	return a, nil
}

func decodeController(_ *actionDecoder, b []byte) (Action, error) {
	return Controller{MaxLen: be16(b[10:]), ControllerID: be16(b[12:]), Reason: PacketInReason(b[14])}, nil
}

// Properties of NXAST_CONTROLLER2.
const (
	ctlrMaxLen = iota
	ctlrID
	ctlrReason
	ctlrUserdata
	ctlrPause
	ctlrMeter
)

func decodeController2(_ *actionDecoder, b []byte) (Action, error) {
	if !allZero(b[10:16]) {
		return nil, bad(NXMustBeZero, "controller padding")
	}
	a := Controller{MaxLen: 0xffff, Reason: ReasonAction, V2: true}
	err := eachProperty(b[16:], func(typ uint16, prop []byte) (err error) {
		switch typ {
		case ctlrMaxLen:
			a.MaxLen, err = propU16(prop)
		case ctlrID:
			a.ControllerID, err = propU16(prop)
		case ctlrReason:
			var r uint8
			r, err = propU8(prop)
			a.Reason = PacketInReason(r)
		case ctlrUserdata:
			a.Userdata = append([]byte{}, prop[4:]...)
		case ctlrPause:
			a.Pause = true
		case ctlrMeter:
			a.MeterID, err = propU32(prop)
		default:
			err = bad(PropertyBadType, "controller property %d", typ)
		}
		return err
	})
	return a, err
}

func (e *encoder) controller(a Controller) error {
	if !a.V2 && a.Userdata == nil && !a.Pause && a.MeterID == 0 {
		return e.nxAction(20, func() { e.u16(a.MaxLen, a.ControllerID); e.u8(uint8(a.Reason), 0) })
	}
	var err error
	prop := func(typ uint16, f func()) {
		if err == nil {
			err = e.property(typ, f)
		}
	}
	return firstError(e.nxAction(37, func() {
		e.zero(6)
		if a.MaxLen != 0xffff {
			prop(ctlrMaxLen, func() { e.u16(a.MaxLen, 0) })
		}
		if a.ControllerID != 0 {
			prop(ctlrID, func() { e.u16(a.ControllerID, 0) })
		}
		if a.Reason != ReasonAction {
			prop(ctlrReason, func() { e.u8(uint8(a.Reason)) })
		}
		if a.Userdata != nil {
			prop(ctlrUserdata, func() { e.bytes(a.Userdata) })
		}
		if a.Pause {
			prop(ctlrPause, func() {})
		}
		if a.MeterID != 0 {
			prop(ctlrMeter, func() { e.u32(a.MeterID) })
		}
	}), err)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func decodeConjunction(_ *actionDecoder, b []byte) (Action, error) {
	a := Conjunction{ID: be32(b[12:]), Clause: b[10], N: b[11]}
	if a.N < 2 || a.N > 64 || a.Clause >= a.N {
		return nil, bad(NXBadConjunction, "clause %d of %d", a.Clause, a.N)
	}
	return a, nil
}

func decodeOutputTrunc(_ *actionDecoder, b []byte) (Action, error) {
	a := OutputTrunc{port10(be16(b[10:])), be32(b[12:])}
	if a.MaxLen < 14 { // an Ethernet header must be left
		return nil, bad(ActionBadArgument, "output truncated to %d bytes", a.MaxLen)
	}
	if a.Port >= 0xff00 && a.Port != PortInPort && a.Port != PortLocal {
		return nil, bad(ActionBadOutPort, "truncated output to %v", a.Port)
	}
	return a, nil
}

func decodeClone(d *actionDecoder, b []byte) (Action, error) {
	list, err := d.list(b[16:])
	return Clone{list}, firstError(err, checkConjunctions(list))
}

func (e *encoder) clone(a Clone) error {
	var err error
	return firstError(e.nxAction(42, func() { e.zero(6); err = e.actions(a.Actions) }), err)
}

func decodeEncap(_ *actionDecoder, b []byte) (Action, error) {
	a := Encap{Type: be32(b[12:]), Props: clone(b[16:])}
	switch a.Type {
	case 0, 1<<16 | ethNSH, 1<<16 | ethMPLS, 1<<16 | ethMPLSMC:
		return a, nil
	}
	return nil, bad(NXActionBadHeaderType, "encap of packet type 0x%08x", a.Type)
}
