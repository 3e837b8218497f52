package ebpf

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
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
	opClone       = uint8(bpf.DatapathActOpACT_CLONE)
	opSample      = uint8(bpf.DatapathActOpACT_SAMPLE)
	opCheckLen    = uint8(bpf.DatapathActOpACT_CHECK_LEN)
	opTrunc       = uint8(bpf.DatapathActOpACT_TRUNC)
	opMeter       = uint8(bpf.DatapathActOpACT_METER)
	opPushMPLS    = uint8(bpf.DatapathActOpACT_PUSH_MPLS)
	opPopMPLS     = uint8(bpf.DatapathActOpACT_POP_MPLS)
	opSetMPLS     = uint8(bpf.DatapathActOpACT_SET_MPLS)
	opSetSCTP     = uint8(bpf.DatapathActOpACT_SET_SCTP)
	opSetNDTarget = uint8(bpf.DatapathActOpACT_SET_ND_TARGET)
	opSetND       = uint8(bpf.DatapathActOpACT_SET_ND)
	opSetTunnel   = uint8(bpf.DatapathActOpACT_SET_TUNNEL)

	opLast    = 0x80
	blockNone = 0xffffffff // BLOCK_NONE of bpf/abi.h

	// maxCopies is how many copies of copies a list may make (NEST_MAX of bpf/ctx.h, and one for a
	// bridge behind a bridge).
	maxCopies = 3

	blockWords = 8
	maxActions = 16 // blocks of one list that have actions: the kernel takes a packet through so many programs
	maxBlocks  = 64 // of one list, with those of tunnels
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
	offNDTarget = 96
	offARPSHA   = 112
	offNDOption = 118
	offARPTHA   = 120
	offNDRes    = 128
	offMPLS     = 216
)

const (
	etherARP  = 0x0806
	etherRARP = 0x8035
	etherIPv6 = 0x86dd
)

// words is an action list as the program reads it: blocks in which actions name other blocks, in the
// words by their place in the list. link puts numbers in.
type words [][blockWords]uint64

func actWord(op, a uint8, b uint16, c uint32) uint64 {
	return uint64(op) | uint64(a)<<8 | uint64(b)<<16 | uint64(c)<<32
}

type assembler struct {
	out words
	list
	copies   int // how deep in copies of copies the list is
	extra    int // blocks of tunnels
	policies policyNames
}

// list is where the assembler is in one list, which has blocks of its own.
type list struct {
	block, pos int
	// what sets have gathered since the last action of another kind
	val, mask flow.Key
	pending   bool
	icmp      bool
	proto     uint8
	ethType   uint16
	noEth     bool // between PopEth and PushEth
}

// compile turns actions into words. The packets' Ethertype tells the headers of IPv4 from those of
// IPv6. What the programs cannot do is refused with ErrUnsupported or ErrTooLong.
func compile(actions []odp.Action, ethType uint16) (words, error) {
	return compileWith(actions, ethType, noPolicies{})
}

// compileWith is compile with the names of timeout policies.
func compileWith(actions []odp.Action, ethType uint16, policies policyNames) (words, error) {
	a := &assembler{out: make(words, 1), list: list{ethType: ethType}, policies: policies}
	if err := a.actions(actions, len(actions) == 0); err != nil {
		return nil, err
	}
	if len(a.out) > maxBlocks || len(a.out)-a.extra > maxActions {
		return nil, fmt.Errorf("%d actions: %w", len(actions), datapath.ErrTooLong)
	}
	return a.out, nil
}

// actions emits a list with its end; dropped says that a packet which meets no action counts as dropped.
func (a *assembler) actions(actions []odp.Action, dropped bool) error {
	actions = flatten(actions, nil)
	// What comes behind a drop, or changes the packet behind the last action that sends, has no effect.
	n := len(actions)
	for i, act := range actions {
		if _, ok := act.(odp.Drop); ok {
			n = i + 1
			break
		}
	}
	for n > 0 && changes(actions[n-1]) {
		n--
	}
	actions = actions[:n]
	limit := uint32(0)
	for i, act := range actions {
		last := i == n-1
		switch act := act.(type) {
		case odp.Trunc:
			limit = min(act.MaxLen, 1<<30)
			continue
		case odp.Output:
			if limit != 0 && !last {
				// Only a copy may be cut.
				if err := a.copy([]odp.Action{odp.Trunc{MaxLen: limit}, act}); err != nil {
					return err
				}
				limit = 0
				continue
			}
			if limit != 0 {
				a.flush()
				a.emit(false, actWord(opTrunc, 0, 0, limit))
			}
		case odp.Userspace:
			if limit != 0 {
				a.flush()
				a.emit(false, actWord(opTrunc, 1, 0, limit))
			}
			limit = 0
		}
		if err := a.action(act, last); err != nil {
			return err
		}
	}
	if a.noEth {
		return fmt.Errorf("packet without Ethernet header: %w", datapath.ErrUnsupported)
	}
	if n == 0 || !ends(actions[n-1]) {
		a.emit(true, actWord(opEnd, b2u(!dropped), 0, 0))
	}
	return nil
}

// flatten puts the actions of clones that change nothing, or that nothing follows, in the list. Samples
// that are always or never taken are no samples.
func flatten(in, out []odp.Action) []odp.Action {
	cutting := false
	for i, act := range in {
		if s, ok := act.(odp.Sample); ok {
			switch s.Probability {
			case 0:
				continue
			case 1<<32 - 1:
				act = odp.Clone{Actions: s.Actions}
			}
		}
		// A trunc in front of it is for an output behind it.
		if c, ok := act.(odp.Clone); ok && !cutting {
			if list := flatten(c.Actions, nil); i == len(in)-1 || pure(list) {
				out = append(out, list...)
				continue
			}
		}
		switch act.(type) {
		case odp.Trunc:
			cutting = true
		case odp.Output, odp.Userspace:
			cutting = false
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

// changes reports whether all that an action does is to change the packet, its key or how the next action sends it.
func changes(act odp.Action) bool {
	switch act.(type) {
	case odp.Set, odp.PushVLAN, odp.PopVLAN, odp.Hash, odp.PushMPLS, odp.PopMPLS, odp.PushEth, odp.PopEth, odp.Trunc, odp.CTClear:
		return true
	}
	return false
}

// ends reports whether a list needs no end behind an action that is its last.
func ends(act odp.Action) bool {
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
	if s, ok := act.(odp.Set); ok {
		if isTunnelSet(&s) {
			return a.setTunnel(&s)
		}
		return a.set(s)
	}
	switch act := act.(type) {
	case odp.PopEth:
		a.flush()
		a.noEth = true
		return nil
	case odp.PushEth:
		// Without a PopEth there is an Ethernet header already, and nothing to do; with one the program looks
		// whether the header could be popped.
		if a.noEth {
			a.flush()
			ones := uint64(1<<48 - 1)
			a.emit(false, actWord(opSetEth, 1, 0, 0), addr6(act.Dst[:]), ones, addr6(act.Src[:]), ones)
			a.noEth = false
		}
		return nil
	}
	if a.noEth {
		return fmt.Errorf("action %T on a packet without Ethernet header: %w", act, datapath.ErrUnsupported)
	}
	a.flush()
	switch act := act.(type) {
	case odp.Hash:
		a.emit(false, actWord(opHash, b2u(act.SymL4), 0, act.Basis))
	case odp.Output:
		a.emit(last, actWord(op(opOutput), 0, 0, uint32(act.Port)))
	case odp.Userspace:
		a.emit(last, actWord(op(opUserspace), uint8(act.Kind), 0, act.Cookie))
	case odp.PushVLAN:
		a.emit(false, actWord(opPushVLAN, 0, act.TCI, uint32(act.TPID)))
	case odp.PopVLAN:
		a.emit(false, actWord(opPopVLAN, 0, 0, 0))
	case odp.PushMPLS:
		if packet.IsMPLS(act.EthType) {
			a.emit(false, actWord(opPushMPLS, 0, act.EthType, bits.ReverseBytes32(act.LSE)))
			a.ethType = act.EthType
		}
	case odp.PopMPLS:
		if act.EthType == packet.EthTypeVLAN || act.EthType == packet.EthTypeQinQ || act.EthType < 0x600 {
			return fmt.Errorf("pop_mpls to Ethertype %#x: %w", act.EthType, datapath.ErrUnsupported)
		}
		a.emit(false, actWord(opPopMPLS, 0, act.EthType, 0))
		a.ethType = act.EthType
	case odp.Recirc:
		if !last {
			return a.copy([]odp.Action{act})
		}
		a.emit(true, actWord(opRecirc, 0, 0, act.ID))
	case odp.Drop:
		a.emit(true, actWord(op(opDrop), uint8(act.Reason), 0, 0))
	case odp.Meter:
		a.emit(false, actWord(opMeter, 0, 0, act.ID))
	case odp.CT:
		return a.ct(act)
	case odp.CTClear:
		a.emit(false, actWord(opCTClear, 0, 0, 0))
	case odp.Clone:
		return a.copy(act.Actions)
	case odp.Sample:
		block, err := a.nested(act.Actions, last)
		if err != nil || block == blockNone {
			return err
		}
		a.emit(false, actWord(opSample, b2u(last), 0, block), uint64(act.Probability))
	case odp.CheckPktLen:
		more, err := a.nested(act.Greater, last)
		if err != nil {
			return err
		}
		less, err := a.nested(act.LessEqual, last)
		if err != nil {
			return err
		}
		a.emit(false, actWord(opCheckLen, b2u(last), act.Len, 0), uint64(more)|uint64(less)<<32)
	default:
		return fmt.Errorf("action %T: %w", act, datapath.ErrUnsupported)
	}
	return nil
}

// copy emits a list that runs on a copy.
func (a *assembler) copy(actions []odp.Action) error {
	a.flush()
	block, err := a.nested(actions, false)
	if err == nil && block != blockNone {
		a.emit(false, actWord(opClone, 0, 0, block))
	}
	return err
}

// nested assembles a list in blocks of its own and returns the first; blockNone: it does nothing. It runs on
// the packet itself or on a copy.
func (a *assembler) nested(actions []odp.Action, itself bool) (uint32, error) {
	if n := flatten(actions, nil); len(n) == 0 {
		return blockNone, nil
	}
	if !itself {
		if a.copies++; a.copies > maxCopies {
			return 0, fmt.Errorf("copies of copies of copies: %w", datapath.ErrUnsupported)
		}
		defer func() { a.copies-- }()
	}
	outer := a.list
	defer func() { a.list = outer }()
	block := len(a.out)
	a.out = append(a.out, [blockWords]uint64{})
	a.list = list{block: block, ethType: outer.ethType, proto: outer.proto}
	return uint32(block), a.actions(actions, false)
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
	if a.pos+need > blockWords {
		next := len(a.out)
		a.out = append(a.out, [blockWords]uint64{})
		a.out[a.block][a.pos] = actWord(opJump, 0, 0, uint32(next))
		a.block, a.pos = next, 0
	}
	a.pos += copy(a.out[a.block][a.pos:], w)
}

// link writes the numbers of the blocks that the list is put into.
func (w words) link(ids []uint32) {
	id := func(n uint32) uint32 {
		if n == blockNone {
			return blockNone
		}
		return ids[n]
	}
	for i := range w {
		b := &w[i]
	block:
		for pos := 0; pos < blockWords; {
			op := uint8(b[pos])
			switch op {
			case opJump, opClone, opSample, opSetTunnel:
				b[pos] = b[pos]&0xffffffff | uint64(id(uint32(b[pos]>>32)))<<32
			case opCT:
				b[pos+2] = uint64(id(uint32(b[pos+2]))) | uint64(id(uint32(b[pos+2]>>32)))<<32
			case opCheckLen:
				b[pos+1] = uint64(id(uint32(b[pos+1]))) | uint64(id(uint32(b[pos+1]>>32)))<<32
			}
			if op&opLast != 0 || op == opJump || op == opEnd || op == opRecirc || op == opDrop {
				break block
			}
			pos += actLen(op)
		}
	}
}

// actLen is how many words an action takes.
func actLen(op uint8) int {
	switch op &^ opLast {
	case opSetND:
		return 6
	case opSetEth, opSetIPv6Addr, opSetNDTarget:
		return 5
	case opSetIPv4, opSetARP:
		return 4
	case opSetIPv6, opSetARPHW, opCT, opCTHelped:
		return 3
	case opSetPorts, opSetICMP, opSetMark, opSetPriority, opSetMPLS, opSetSCTP, opSample, opCheckLen:
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
			flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA,
			flow.NDTarget, flow.NDSLL, flow.NDTLL, flow.NDReserved, flow.NDOptionsType,
			flow.MPLSLabel, flow.MPLSTC, flow.MPLSBoS, flow.MPLSTTL, flow.MPLSLSE0:
		case flow.TCPSrc, flow.TCPDst:
			a.proto = 6
		case flow.UDPSrc, flow.UDPDst:
			a.proto = 17
		case flow.SCTPSrc, flow.SCTPDst:
			a.proto = 132
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

// flush emits what set has gathered.
func (a *assembler) flush() {
	if a.pending {
		a.sets()
		a.val, a.mask = flow.Key{}, flow.Key{}
		a.pending, a.icmp = false, false
	}
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
	if nonzero(m[offMPLS : offMPLS+4]) {
		a.emit(false, actWord(opSetMPLS, 0, 0, 0), pair32(v[offMPLS:], m[offMPLS:]))
	}
	switch a.ethType {
	case etherARP, etherRARP:
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
	case etherIPv6:
		for i, off := range []int{offIPv6Src, offIPv6Dst} {
			if nonzero(m[off : off+16]) {
				a.emit(false, actWord(opSetIPv6Addr, uint8(i), 0, 0), le.Uint64(v[off:]), le.Uint64(v[off+8:]), le.Uint64(m[off:]), le.Uint64(m[off+8:]))
			}
		}
		if nonzero(m[offLabel:offLabel+4]) || m[offTOS] != 0 || m[offTTL] != 0 {
			a.emit(false, actWord(opSetIPv6, 0, 0, 0), ipv6Head(v), ipv6Head(m))
		}
		if nonzero(m[offNDTarget : offNDTarget+16]) {
			a.emit(false, actWord(opSetNDTarget, 0, 0, 0), le.Uint64(v[offNDTarget:]), le.Uint64(v[offNDTarget+8:]),
				le.Uint64(m[offNDTarget:]), le.Uint64(m[offNDTarget+8:]))
		}
		if nonzero(m[offNDRes:offNDRes+4]) || nonzero(m[offARPSHA:offARPSHA+7]) || nonzero(m[offARPTHA:offARPTHA+6]) {
			a.emit(false, actWord(opSetND, 0, uint16(v[offNDOption])|uint16(m[offNDOption])<<8, 0), pair32(v[offNDRes:], m[offNDRes:]),
				addr6(v[offARPSHA:]), addr6(m[offARPSHA:]), addr6(v[offARPTHA:]), addr6(m[offARPTHA:]))
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
		} else if a.proto == 132 {
			a.emit(false, actWord(opSetSCTP, a.proto, 0, 0), pair32(v[offPorts:], m[offPorts:]))
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
