package ebpf

import (
	"encoding/binary"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// The operations of an action list; bpf/abi.h says what their words hold.
const (
	opEnd         = uint8(bpf.DatapathActOpACT_END)
	opOutput      = uint8(bpf.DatapathActOpACT_OUTPUT)
	opUserspace   = uint8(bpf.DatapathActOpACT_USERSPACE)
	opSetEth      = uint8(bpf.DatapathActOpACT_SET_ETH)
	opSetIPv4     = uint8(bpf.DatapathActOpACT_SET_IPV4)
	opSetIPv6     = uint8(bpf.DatapathActOpACT_SET_IPV6)
	opSetIPv6Addr = uint8(bpf.DatapathActOpACT_SET_IPV6ADDR)
	opSetPorts    = uint8(bpf.DatapathActOpACT_SET_PORTS)
	opSetICMP     = uint8(bpf.DatapathActOpACT_SET_ICMP)
	opSetMark     = uint8(bpf.DatapathActOpACT_SET_MARK)
	opSetPriority = uint8(bpf.DatapathActOpACT_SET_PRIORITY)
	opSetARP      = uint8(bpf.DatapathActOpACT_SET_ARP)
	opSetARPHW    = uint8(bpf.DatapathActOpACT_SET_ARP_HW)
	opPushVLAN    = uint8(bpf.DatapathActOpACT_PUSH_VLAN)
	opPopVLAN     = uint8(bpf.DatapathActOpACT_POP_VLAN)
	opDrop        = uint8(bpf.DatapathActOpACT_DROP)
	opRecirc      = uint8(bpf.DatapathActOpACT_RECIRC)
	opHash        = uint8(bpf.DatapathActOpACT_HASH)
	opJump        = uint8(bpf.DatapathActOpACT_JUMP)

	opLast = 0x80

	blockWords = 8
	maxBlocks  = 16 // of one list
)

// Offsets of key members that sets write (flow.Layout).
const (
	offEthDst   = 8
	offEthType  = 14
	offEthSrc   = 16
	offIPv4Src  = 32
	offIPv4Dst  = 36
	offProto    = 40
	offTOS      = 41
	offTTL      = 42
	offLabel    = 44
	offPorts    = 48
	offPriority = 56
	offMark     = 60
	offIPv6Src  = 64
	offIPv6Dst  = 80
	offARPSHA   = 112
	offARPTHA   = 120
)

const (
	etherARP  = 0x0806
	etherRARP = 0x8035
	etherIPv6 = 0x86dd
)

// words is an action list as the program reads it: blocks with a jump to the next in each
// but the last; link fills the jumps in.
type words [][blockWords]uint64

func actWord(op, a uint8, b uint16, c uint32) uint64 {
	return uint64(op) | uint64(a)<<8 | uint64(b)<<16 | uint64(c)<<32
}

type assembler struct {
	out words
	pos int
	// what sets have gathered since the last action of another kind
	val, mask flow.Key
	pending   bool
	icmp      bool
	v6, arp   bool
	proto     uint8
}

// compile turns actions into words. The packets' Ethertype tells the headers of IPv4 from those of
// IPv6. What the programs cannot do is refused with ErrUnsupported or ErrTooLong.
func compile(actions []odp.Action, ethType uint16) (words, error) {
	a := &assembler{v6: ethType == etherIPv6, arp: ethType == etherARP || ethType == etherRARP}
	actions = flatten(actions, nil)
	// What comes behind the last action that sends has no effect.
	for n := len(actions); n > 0; n-- {
		if sends(actions[n-1]) {
			break
		}
		switch actions[n-1].(type) {
		case odp.Set, odp.PushVLAN, odp.PopVLAN, odp.Hash:
			actions = actions[:n-1]
			continue
		}
		break
	}
	for i, act := range actions {
		last := i == len(actions)-1
		if err := a.action(act, last); err != nil {
			return nil, err
		}
	}
	if n := len(actions); n == 0 || !sends(actions[n-1]) {
		a.emit(true, actWord(opEnd, 0, 0, 0))
	}
	if len(a.out) > maxBlocks {
		return nil, fmt.Errorf("%d actions: %w", len(actions), datapath.ErrTooLong)
	}
	return a.out, nil
}

// flatten puts the actions of clones that change nothing, or that nothing follows, in the list.
func flatten(in, out []odp.Action) []odp.Action {
	for i, act := range in {
		if c, ok := act.(odp.Clone); ok && (i == len(in)-1 || pure(c.Actions)) {
			out = flatten(c.Actions, out)
			continue
		}
		out = append(out, act)
	}
	return out
}

func pure(actions []odp.Action) bool {
	for _, act := range actions {
		switch act.(type) {
		case odp.Output, odp.Userspace:
		default:
			return false
		}
	}
	return true
}

func sends(act odp.Action) bool {
	switch act.(type) {
	case odp.Output, odp.Userspace, odp.Recirc, odp.Drop:
		return true
	}
	return false
}

func (a *assembler) action(act odp.Action, last bool) error {
	op := func(op uint8) uint8 {
		if last {
			op |= opLast
		}
		return op
	}
	switch act := act.(type) {
	case odp.Set:
		return a.set(act)
	case odp.Hash:
		return a.flush(func() { a.emit(false, actWord(opHash, b2u(act.SymL4), 0, act.Basis)) })
	case odp.Output:
		return a.flush(func() { a.emit(last, actWord(op(opOutput), 0, 0, uint32(act.Port))) })
	case odp.Userspace:
		return a.flush(func() { a.emit(last, actWord(op(opUserspace), uint8(act.Kind), 0, act.Cookie)) })
	case odp.PushVLAN:
		return a.flush(func() { a.emit(false, actWord(opPushVLAN, 0, act.TCI, uint32(act.TPID))) })
	case odp.PopVLAN:
		return a.flush(func() { a.emit(false, actWord(opPopVLAN, 0, 0, 0)) })
	case odp.Recirc:
		if !last {
			return fmt.Errorf("recirculation of a copy: %w", datapath.ErrUnsupported)
		}
		return a.flush(func() { a.emit(true, actWord(opRecirc, 0, 0, act.ID)) })
	case odp.Drop:
		return a.flush(func() { a.emit(last, actWord(opDrop, uint8(act.Reason), 0, 0)) })
	}
	return fmt.Errorf("action %T: %w", act, datapath.ErrUnsupported)
}

func b2u(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// emit appends one action with its data; all of it is in one block, with room behind it for
// a jump or an end, unless it is the list's last.
func (a *assembler) emit(last bool, w ...uint64) {
	need := len(w)
	if !last {
		need++
	}
	if len(a.out) == 0 {
		a.out = append(a.out, [blockWords]uint64{})
	}
	if a.pos+need > blockWords {
		a.out[len(a.out)-1][a.pos] = actWord(opJump, 0, 0, 0)
		a.out = append(a.out, [blockWords]uint64{})
		a.pos = 0
	}
	a.pos += copy(a.out[len(a.out)-1][a.pos:], w)
}

// link writes the numbers of the blocks that the list is put into.
func (w words) link(ids []uint32) {
	for i := range len(w) - 1 {
		for pos := 0; pos < blockWords; {
			op := uint8(w[i][pos])
			if op == opJump {
				w[i][pos] = actWord(opJump, 0, 0, ids[i+1])
				break
			}
			pos += actLen(op)
		}
	}
}

// actLen is how many words an action takes.
func actLen(op uint8) int {
	switch op &^ opLast {
	case opSetEth, opSetIPv6Addr:
		return 5
	case opSetIPv4, opSetARP:
		return 4
	case opSetIPv6, opSetARPHW:
		return 3
	case opSetPorts, opSetICMP, opSetMark, opSetPriority:
		return 2
	}
	return 1
}

// set gathers the fields of a Set in val and mask.
func (a *assembler) set(s odp.Set) error {
	for _, f := range s.Fields {
		switch id := f.Field; id {
		case flow.EthSrc, flow.EthDst, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label,
			flow.NwTOS, flow.IPDSCP, flow.NwECN, flow.NwTTL, flow.PktMark, flow.SkbPriority,
			flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA:
		case flow.TCPSrc, flow.TCPDst:
			a.proto = 6
		case flow.UDPSrc, flow.UDPDst:
			a.proto = 17
		case flow.ICMPType, flow.ICMPCode, flow.ICMPv6Type, flow.ICMPv6Code:
			a.icmp = true
		default:
			return fmt.Errorf("set of %s: %w", id, datapath.ErrUnsupported)
		}
		var m flow.Key
		if f.Mask == nil {
			m.SetExact(f.Field)
		} else {
			m.SetBytes(f.Field, f.Mask)
		}
		var v flow.Key
		v.SetBytes(f.Field, f.Value)
		for i := range flow.DPWords {
			a.val[i] = a.val[i]&^m[i] | v[i]&m[i]
			a.mask[i] |= m[i]
		}
		a.pending = true
	}
	return nil
}

func (a *assembler) flush(then func()) error {
	if a.pending {
		a.sets()
		a.val, a.mask = flow.Key{}, flow.Key{}
		a.pending, a.icmp = false, false
	}
	then()
	return nil
}

var le = binary.LittleEndian

// pair32 is value and mask of 32 bits of a header, as they lie in memory.
func pair32(v, m []byte) uint64 { return uint64(le.Uint32(v)) | uint64(le.Uint32(m))<<32 }

// addr6 is six bytes and two that stay.
func addr6(b []byte) uint64 { return uint64(le.Uint32(b)) | uint64(le.Uint16(b[4:]))<<32 }

// host32 is value and mask of metadata, which is kept in host order.
func host32(v, m []byte) uint64 {
	return uint64(binary.BigEndian.Uint32(v)) | uint64(binary.BigEndian.Uint32(m))<<32
}

func nonzero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return true
		}
	}
	return false
}

// sets emits what set gathered. Each header is written by at most a few actions.
func (a *assembler) sets() {
	v, m := a.val.Bytes(), a.mask.Bytes()
	if nonzero(m[offEthDst:offEthDst+6]) || nonzero(m[offEthSrc:offEthSrc+6]) {
		a.emit(false, actWord(opSetEth, 0, 0, 0), addr6(v[offEthDst:]), addr6(m[offEthDst:]), addr6(v[offEthSrc:]), addr6(m[offEthSrc:]))
	}
	switch {
	case a.arp:
		if nonzero(m[offIPv4Src:offIPv4Src+8]) || m[offProto] != 0 {
			op := uint64(v[offProto])<<8 | uint64(m[offProto])<<40
			if m[offProto] != 0 {
				op |= 0xff << 32 // the opcode's high byte becomes 0
			}
			a.emit(false, actWord(opSetARP, 0, 0, 0), op, pair32(v[offIPv4Src:], m[offIPv4Src:]), pair32(v[offIPv4Dst:], m[offIPv4Dst:]))
		}
		for i, off := range []int{offARPSHA, offARPTHA} {
			if nonzero(m[off : off+6]) {
				a.emit(false, actWord(opSetARPHW, uint8(i), 0, 0), addr6(v[off:]), addr6(m[off:]))
			}
		}
	case a.v6:
		for i, off := range []int{offIPv6Src, offIPv6Dst} {
			if nonzero(m[off : off+16]) {
				a.emit(false, actWord(opSetIPv6Addr, uint8(i), 0, 0), le.Uint64(v[off:]), le.Uint64(v[off+8:]), le.Uint64(m[off:]), le.Uint64(m[off+8:]))
			}
		}
		if nonzero(m[offLabel:offLabel+4]) || m[offTOS] != 0 || m[offTTL] != 0 {
			a.emit(false, actWord(opSetIPv6, 0, 0, 0), ipv6Head(v), ipv6Head(m))
		}
	default:
		if nonzero(m[offIPv4Src:offIPv4Src+8]) || m[offTOS] != 0 || m[offTTL] != 0 {
			tt := uint64(v[offTOS]) | uint64(m[offTOS])<<8 | uint64(v[offTTL])<<16 | uint64(m[offTTL])<<24
			a.emit(false, actWord(opSetIPv4, 0, 0, 0), pair32(v[offIPv4Src:], m[offIPv4Src:]), pair32(v[offIPv4Dst:], m[offIPv4Dst:]), tt)
		}
	}
	if nonzero(m[offPorts : offPorts+4]) {
		if a.icmp {
			// Type and code are the low bytes of the two members.
			tc := uint64(v[offPorts+1]) | uint64(v[offPorts+3])<<8 | uint64(m[offPorts+1])<<32 | uint64(m[offPorts+3])<<40
			a.emit(false, actWord(opSetICMP, 0, 0, 0), tc)
		} else {
			a.emit(false, actWord(opSetPorts, a.proto, 0, 0), pair32(v[offPorts:], m[offPorts:]))
		}
	}
	if nonzero(m[offMark : offMark+4]) {
		a.emit(false, actWord(opSetMark, 0, 0, 0), host32(v[offMark:], m[offMark:]))
	}
	if nonzero(m[offPriority : offPriority+4]) {
		a.emit(false, actWord(opSetPriority, 0, 0, 0), host32(v[offPriority:], m[offPriority:]))
	}
}

// ipv6Head is the first eight bytes of an IPv6 header with label, traffic class and hop limit.
func ipv6Head(k []byte) uint64 {
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], uint32(k[offTOS])<<20|binary.BigEndian.Uint32(k[offLabel:]))
	b[7] = k[offTTL]
	return le.Uint64(b[:])
}

// ethTypeOf is the Ethertype that all packets of a match have, 0 when they may differ.
func ethTypeOf(key, mask *flow.Key) uint16 {
	if mask != nil && binary.BigEndian.Uint16(mask.Bytes()[offEthType:]) != 0xffff {
		return 0
	}
	return binary.BigEndian.Uint16(key.Bytes()[offEthType:])
}
