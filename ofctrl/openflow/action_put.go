package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// action writes one action in the form of the version. Of what an older version has no form for, nothing is
// written, as OVS does: a flow of a newer one can still be dumped.
func (e *encoder) action(a Action) error {
	v10 := e.v == V10
	switch a := a.(type) {
	case Output:
		e.output(a.Port, a.MaxLen)
	case OutputReg:
		return e.outputReg(a)
	case OutputTrunc:
		return e.nxAction(39, func() { e.u16(a.Port.to10()); e.u32(a.MaxLen) })
	case Controller:
		return e.controller(a)
	case Enqueue:
		return e.enqueue(a)
	case Group:
		if v10 {
			return e.nxAction(40, func() { e.u16(0); e.u32(a.ID) })
		}
		e.of8(22, u32b(a.ID)...)
	case Bundle:
		return e.bundle(a)
	case SetField:
		return e.setField(a)
	case Load:
		return e.load(a)
	case Move:
		return e.move(a)
	case StackPush:
		return e.stack(27, a.Src)
	case StackPop:
		return e.stack(28, a.Dst)
	case SetVLANVID:
		return e.setVLAN(a.Push && !a.Tagged, 1, u16b(a.VID), SetField{Field: flow.VLANVID, Value: u16b(a.VID | flow.VLANPresent)})
	case SetVLANPCP:
		return e.setVLAN(a.Push && !a.Tagged, 2, []byte{a.PCP}, SetField{Field: flow.VLANPCP, Value: []byte{a.PCP}})
	case StripVLAN:
		e.of8(pick[uint16](v10, 3, 18))
	case PushVLAN:
		if !v10 { // in 1.0 the set action that follows pushes
			e.of8(17, u16b(a.EthType)...)
		}
	case PushMPLS:
		return e.either(23, 19, u16b(a.EthType))
	case PopMPLS:
		return e.either(24, 20, u16b(a.EthType))
	case SetMPLSLabel:
		return e.setMPLS(30, 13, append([]byte{0, 0}, u32b(a.Label)...), u32b(a.Label), flow.MPLSLabel)
	case SetMPLSTC:
		return e.setMPLS(31, 14, []byte{a.TC}, []byte{a.TC}, flow.MPLSTC)
	case SetMPLSTTL:
		return e.either(25, 15, []byte{a.TTL})
	case DecMPLSTTL:
		return e.either(26, 16, nil)
	case DecNSHTTL:
		return e.nxAction(48, nil)
	case SetTTL:
		if v10 {
			return e.load(Load{Dst: flow.WholeField(flow.NwTTL), Value: []byte{a.TTL}})
		}
		e.of8(23, a.TTL)
	case DecTTL:
		if a.IDs == nil {
			return e.either(18, 24, nil)
		}
		return e.nxAction(21, func() { e.u16(uint16(len(a.IDs))); e.zero(4); e.u16(a.IDs...) })
	case DeleteField:
		return e.nxAction(50, func() { e.oxmHeader(a.Field, 0, false, 0); e.zero(24 - 10 - oxmSize(a.Field, 0)) })
	case Encap:
		return e.nxAction(46, func() { e.u16(0); e.u32(a.Type); e.bytes(a.Props) })
	case Decap:
		return e.nxAction(47, func() { e.u16(0); e.u32(a.Type) })
	case SetTunnel:
		return e.setTunnel(a)
	case SetQueue:
		if v10 {
			return e.nxAction(4, func() { e.u16(0); e.u32(a.Queue) })
		}
		e.of8(21, u32b(a.Queue)...)
	case PopQueue:
		return e.nxAction(5, nil)
	case FinTimeout:
		return e.nxAction(19, func() { e.u16(a.Idle, a.Hard, 0) })
	case Resubmit:
		return e.resubmit(a)
	case Learn:
		return e.learn(a)
	case Conjunction:
		return e.nxAction(34, func() { e.u8(a.Clause, a.N); e.u32(a.ID) })
	case Multipath:
		return e.multipath(a)
	case Note:
		return e.nxAction(8, func() { e.bytes(a.Data); e.zero(6 - len(a.Data)) })
	case Exit:
		return e.nxAction(17, nil)
	case Sample:
		return e.sample(a)
	case CT:
		return e.ct(a)
	case NAT:
		return e.nat(a)
	case CTClear:
		return e.nxAction(43, nil)
	case Clone:
		return e.clone(a)
	case CheckPktLarger:
		return e.nxAction(49, func() {
			e.u16(a.Len, a.Dst.Ofs)
			e.oxmHeader(a.Dst.Field, 0, false, 0)
			e.zero(10 - oxmSize(a.Dst.Field, 0))
		})
	case Meter:
		if e.v == V15 {
			e.of8(29, u32b(a.ID)...)
		}
	case WriteActions, ClearActions:
		if !v10 {
			return cannot(a, e.v)
		}
	case GotoTable:
		if !v10 {
			return cannot(a, e.v)
		}
		return e.resubmit(Resubmit{InPort: PortInPort, Table: a.Table})
	case WriteMetadata:
		if !v10 {
			return cannot(a, e.v)
		}
		return e.nxAction(22, func() { e.zero(6); e.u64(a.Value, a.Mask) })
	default: // nil, and instructions in a list of actions
		return cannot(a, e.v)
	}
	return nil
}

func pick[T any](c bool, yes, no T) T {
	if c {
		return yes
	}
	return no
}

// either writes an action that is an extension in 1.0 and standard from 1.1 on, with the same argument.
func (e *encoder) either(sub, typ uint16, arg []byte) error {
	if e.v == V10 {
		return e.nxAction(sub, func() { e.bytes(arg); e.zero(6 - len(arg)) })
	}
	e.of8(typ, arg...)
	return nil
}

// setVLAN writes mod_vlan_vid or _pcp: from 1.1 on after a push_vlan if it should add a tag, and from
// 1.2 on as set_field.
func (e *encoder) setVLAN(push bool, typ uint16, arg []byte, f SetField) error {
	if e.v >= V11 && push {
		e.of8(17, u16b(0x8100)...)
	}
	if e.v >= V12 {
		return e.setField(f)
	}
	e.of8(typ, arg...)
	return nil
}

func (e *encoder) setMPLS(sub, typ uint16, arg10, arg11 []byte, id flow.FieldID) error {
	if e.v >= V12 {
		return e.setField(SetField{Field: id, Value: arg11})
	}
	if e.v == V10 {
		return e.nxAction(sub, func() { e.bytes(arg10); e.zero(6 - len(arg10)) })
	}
	e.of8(typ, arg11...)
	return nil
}

func (e *encoder) setTunnel(a SetTunnel) error {
	switch {
	case e.v >= V12:
		return e.setField(SetField{Field: flow.TunID, Value: u64b(a.ID)})
	case a.Wide || a.ID > 0xffffffff:
		return e.nxAction(9, func() { e.zero(6); e.u64(a.ID) })
	}
	return e.nxAction(2, func() { e.u16(0); e.u32(uint32(a.ID)) })
}

func (e *encoder) resubmit(a Resubmit) error {
	return e.nxAction(pick[uint16](a.CT, 44, 14), func() { e.u16(a.InPort.to10()); e.u8(a.Table, 0, 0, 0) })
}
