package openflow

import (
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// actionTable10 are the standard actions of OpenFlow 1.0 by type.
func actionTable10() []actionKind {
	return []actionKind{
		0:  {V10, V10, 8, false, decodeOutput10},
		1:  {V10, V10, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return setVLANVID(be16(b[4:]), true) }},
		2:  {V10, V10, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return setVLANPCP(b[4], true) }},
		3:  {V10, V10, 8, false, simple(StripVLAN{})},
		4:  {V10, V10, 16, false, legacyField(flow.EthSrc, 6)},
		5:  {V10, V10, 16, false, legacyField(flow.EthDst, 6)},
		6:  {V10, V10, 8, false, legacyField(flow.IPv4Src, 4)},
		7:  {V10, V10, 8, false, legacyField(flow.IPv4Dst, 4)},
		8:  {V10, V10, 8, false, legacyField(flow.NwTOS, 1)},
		9:  {V10, V10, 8, false, legacyField(flow.TCPSrc, 2)},
		10: {V10, V10, 8, false, legacyField(flow.TCPDst, 2)},
		11: {V10, V10, 16, false, decodeEnqueue},
	}
}

// actionTable11 are those of OpenFlow 1.1 and later. 1.2 replaced the set actions by
// set_field, but OVS goes on reading them.
func actionTable11() []actionKind {
	return []actionKind{
		0:  {V11, V15, 16, false, decodeOutput11},
		1:  {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return setVLANVID(be16(b[4:]), false) }},
		2:  {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return setVLANPCP(b[4], false) }},
		3:  {V11, V15, 16, false, legacyField(flow.EthSrc, 6)},
		4:  {V11, V15, 16, false, legacyField(flow.EthDst, 6)},
		5:  {V11, V15, 8, false, legacyField(flow.IPv4Src, 4)},
		6:  {V11, V15, 8, false, legacyField(flow.IPv4Dst, 4)},
		7:  {V11, V15, 8, false, legacyField(flow.NwTOS, 1)},
		8:  {V11, V15, 8, false, legacyField(flow.NwECN, 1)},
		9:  {V11, V15, 8, false, legacyField(flow.TCPSrc, 2)},
		10: {V11, V15, 8, false, legacyField(flow.TCPDst, 2)},
		13: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return setMPLSLabel(be32(b[4:])) }},
		14: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return setMPLSTC(b[4]) }},
		15: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetMPLSTTL{b[4]}, nil }},
		16: {V11, V15, 8, false, simple(DecMPLSTTL{})},
		17: {V11, V15, 8, false, decodePushVLAN},
		18: {V11, V15, 8, false, simple(StripVLAN{Pop: true})},
		19: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return pushMPLS(be16(b[4:])) }},
		20: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return PopMPLS{be16(b[4:])}, nil }},
		21: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetQueue{be32(b[4:])}, nil }},
		22: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return Group{be32(b[4:])}, nil }},
		23: {V11, V15, 8, false, func(_ *actionDecoder, b []byte) (Action, error) { return SetTTL{b[4]}, nil }},
		24: {V11, V15, 8, false, simple(DecTTL{})},
		25: {V12, V15, 8, true, decodeSetField},
		28: {V15, V15, 16, true, decodeCopyField},
		29: {V15, V15, 8, false, decodeMeterAction},
	}
}

// outPort checks the port of an output action.
func outPort(p PortNo) (PortNo, error) {
	if p == PortAny || p >= 0xff00 && p < PortInPort {
		return 0, bad(ActionBadOutPort, "output to port 0x%08x", uint32(p))
	}
	return p, nil
}

func decodeOutput10(_ *actionDecoder, b []byte) (Action, error) {
	p, err := outPort(port10(be16(b[4:])))
	return Output{p, be16(b[6:])}, err
}

func decodeOutput11(_ *actionDecoder, b []byte) (Action, error) {
	p, err := outPort(PortNo(be32(b[4:])))
	return Output{p, be16(b[8:])}, err
}

func decodeEnqueue(_ *actionDecoder, b []byte) (Action, error) {
	p := port10(be16(b[4:]))
	if p >= 0xff00 && p != PortInPort && p != PortLocal {
		return nil, bad(ActionBadOutPort, "enqueue to port 0x%08x", uint32(p))
	}
	return Enqueue{p, be32(b[12:])}, nil
}

func setVLANVID(vid uint16, push bool) (Action, error) {
	if vid > 0xfff {
		return nil, bad(ActionBadArgument, "VLAN id %d", vid)
	}
	return SetVLANVID{VID: vid, Push: push}, nil
}

func setVLANPCP(pcp uint8, push bool) (Action, error) {
	if pcp > 7 {
		return nil, bad(ActionBadArgument, "VLAN priority %d", pcp)
	}
	return SetVLANPCP{PCP: pcp, Push: push}, nil
}

func setMPLSLabel(label uint32) (Action, error) {
	if label > 0xfffff {
		return nil, bad(ActionBadArgument, "MPLS label %d", label)
	}
	return SetMPLSLabel{label}, nil
}

func setMPLSTC(tc uint8) (Action, error) {
	if tc > 7 {
		return nil, bad(ActionBadArgument, "MPLS traffic class %d", tc)
	}
	return SetMPLSTC{tc}, nil
}

func pushMPLS(eth uint16) (Action, error) {
	if eth != ethMPLS && eth != ethMPLSMC {
		return nil, bad(ActionBadArgument, "push_mpls 0x%04x", eth)
	}
	return PushMPLS{eth}, nil
}

func decodePushVLAN(_ *actionDecoder, b []byte) (Action, error) {
	tpid := be16(b[4:])
	if tpid != 0x8100 && tpid != 0x88a8 {
		return nil, bad(ActionBadArgument, "push_vlan 0x%04x", tpid)
	}
	return PushVLAN{tpid}, nil
}

// legacyField is a row for the actions that write a whole field of n bytes at offset 4.
func legacyField(id flow.FieldID, n int) func(*actionDecoder, []byte) (Action, error) {
	return func(_ *actionDecoder, b []byte) (Action, error) {
		value := clone(b[4 : 4+n])
		switch id {
		case flow.NwTOS:
			if value[0]&3 != 0 {
				return nil, bad(ActionBadArgument, "TOS 0x%02x", value[0])
			}
		case flow.NwECN:
			if value[0] > 3 {
				return nil, bad(ActionBadArgument, "ECN %d", value[0])
			}
		}
		return SetField{Field: id, Value: value, Legacy: true}, nil
	}
}

func decodeMeterAction(_ *actionDecoder, b []byte) (Action, error) {
	return meterID(be32(b[4:]))
}

// meterID checks the meter of an action or instruction.
func meterID(id uint32) (Action, error) {
	if id == 0 || id > MeterMax {
		return nil, bad(MeterModInvalidMeter, "meter %d", id)
	}
	return Meter{id}, nil
}

// Numbers of legacy set actions in 1.0 and 1.1; -1 for none.
var legacyNumbers = map[flow.FieldID][2]int{
	flow.EthSrc: {4, 3}, flow.EthDst: {5, 4}, flow.IPv4Src: {6, 5}, flow.IPv4Dst: {7, 6},
	flow.NwTOS: {8, 7}, flow.NwECN: {-1, 8},
	flow.TCPSrc: {9, 9}, flow.TCPDst: {10, 10}, flow.UDPSrc: {9, 9}, flow.UDPDst: {10, 10},
	flow.SCTPSrc: {9, 9}, flow.SCTPDst: {10, 10},
}

// legacyField writes a legacy set action; ok is false if the version has none for the field.
func (e *encoder) legacyField(a SetField) (ok bool) {
	// All that mod_nw_tos writes.
	dscp := len(a.Mask) == 1 && (a.Field == flow.NwTOS && a.Mask[0] == 0xfc || a.Field == flow.IPDSCP && a.Mask[0] == 0x3f)
	if e.v > V11 || a.Mask != nil && !dscp {
		return false
	}
	switch a.Field {
	case flow.IPDSCP:
		a.Field, a.Value = flow.NwTOS, []byte{a.Value[0] << 2}
	case flow.VLANVID, flow.DlVLAN:
		e.of8(1, u16b(uint16(uintBytes(a.Value))&0xfff)...)
		return true
	case flow.VLANPCP, flow.DlVLANPCP:
		e.of8(2, a.Value[0])
		return true
	case flow.SCTPSrc, flow.SCTPDst: // mod_tp_src is of TCP and UDP there
		if !a.Legacy {
			return false
		}
	}
	nums, ok := legacyNumbers[a.Field]
	if !ok || nums[e.v-V10] < 0 {
		return false
	}
	at := len(e.b)
	e.u16(uint16(nums[e.v-V10]), 0)
	e.bytes(a.Value)
	e.alignFrom(at)
	return e.setLen(at, 2) == nil
}

func (e *encoder) output(port PortNo, maxLen uint16) {
	if e.v == V10 {
		e.u16(0, 8, port.to10(), maxLen)
		return
	}
	e.u16(0, 16)
	e.u32(uint32(port))
	e.u16(maxLen)
	e.zero(6)
}

// of8 writes a standard action of 8 bytes whose argument is in the first bytes of arg.
func (e *encoder) of8(typ uint16, arg ...byte) {
	e.u16(typ, 8)
	e.bytes(arg)
	e.zero(4 - len(arg))
}

func u16b(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func u32b(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func u64b(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func (e *encoder) enqueue(a Enqueue) error {
	if e.v == V10 {
		e.u16(11, 16, a.Port.to10())
		e.zero(6)
		e.u32(a.Queue)
		return nil
	}
	e.of8(21, u32b(a.Queue)...)
	e.output(a.Port, 0xffff)
	return e.nxAction(5, nil)
}
