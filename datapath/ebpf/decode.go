package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// decode reads a list back from words, for flows that an earlier run installed: block returns the
// block of a number. Of a Userspace action only kind and cookie are in the datapath. The blocks besides the first
// are returned too.
func decode(first uint32, block func(uint32) *[blockWords]uint64, ethType uint16) ([]odp.Action, []uint32, error) {
	return decodeWith(first, block, ethType, noPolicies{})
}

// decodeWith is decode with the names of timeout policies.
func decodeWith(first uint32, block func(uint32) *[blockWords]uint64, ethType uint16, policies policyNames) ([]odp.Action, []uint32, error) {
	d := &decoder{block: block, policies: policies}
	out, err := d.list(first, ethType)
	if err != nil {
		return nil, nil, fmt.Errorf("actions of block %d: %w", first, err)
	}
	return out, d.more, nil
}

type decoder struct {
	block    func(uint32) *[blockWords]uint64
	more     []uint32
	n        int // words read
	policies policyNames
}

var errDamaged = errors.New("damaged list")

// nested reads the list of an action.
func (d *decoder) nested(n uint32, ethType uint16) ([]odp.Action, error) {
	if n == blockNone {
		return nil, nil
	}
	d.more = append(d.more, n)
	return d.list(n, ethType)
}

func (d *decoder) list(n uint32, ethType uint16) ([]odp.Action, error) { return d.rest(n, 0, ethType) }

// rest reads a list from one of its words on.
func (d *decoder) rest(n uint32, pos int, ethType uint16) (out []odp.Action, err error) {
	b := d.block(n)
	for {
		if d.n++; b == nil || pos >= blockWords || d.n > maxBlocks*blockWords {
			return nil, errDamaged
		}
		w := b[pos]
		op, a, imm, c := uint8(w), uint8(w>>8), uint16(w>>16), uint32(w>>32)
		last := op&opLast != 0
		op &^= opLast
		n := actLen(op)
		if pos+n > blockWords {
			return nil, errDamaged
		}
		data := b[pos+1 : pos+n]
		switch op {
		case opEnd:
			return out, nil
		case opJump:
			d.more = append(d.more, c)
			b, pos = d.block(c), 0
			continue
		case opDrop:
			return append(out, odp.Drop{Reason: odp.DropReason(a)}), nil
		case opRecirc:
			return append(out, odp.Recirc{ID: c}), nil
		case opOutput:
			out = append(out, odp.Output{Port: odp.Port(c)})
		case opUserspace:
			out = append(out, odp.Userspace{Kind: odp.UpcallKind(a), Cookie: c})
		case opHash:
			out = append(out, odp.Hash{SymL4: a != 0, Basis: c})
		case opPushVLAN:
			out = append(out, odp.PushVLAN{TPID: uint16(c), TCI: imm})
		case opPopVLAN:
			out = append(out, odp.PopVLAN{})
		case opPushMPLS:
			out = append(out, odp.PushMPLS{LSE: bits.ReverseBytes32(c), EthType: imm})
			ethType = imm
		case opPopMPLS:
			out = append(out, odp.PopMPLS{EthType: imm})
			ethType = imm
		case opTrunc:
			out = append(out, odp.Trunc{MaxLen: c})
		case opMeter:
			out = append(out, odp.Meter{ID: c})
		case opCT:
			act, err := d.ct(a, imm, c, data)
			if err != nil {
				return nil, err
			}
			out = append(out, act)
		case opCTClear:
			out = append(out, odp.CTClear{})
		case opSetTunnel:
			s, err := d.setTunnel(a, imm, c)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		case opClone:
			list, err := d.nested(c, ethType)
			if err != nil {
				return nil, err
			}
			out = append(out, copyOf(list)...)
		case opSample:
			list, err := d.nested(c, ethType)
			if err != nil {
				return nil, err
			}
			out = append(out, odp.Sample{Probability: uint32(data[0]), Actions: list})
		case opCheckLen:
			more, err := d.nested(uint32(data[0]), ethType)
			if err != nil {
				return nil, err
			}
			less, err := d.nested(uint32(data[0]>>32), ethType)
			if err != nil {
				return nil, err
			}
			out = append(out, odp.CheckPktLen{Len: imm, Greater: more, LessEqual: less})
		case opSetEth:
			if a != 0 {
				var push odp.PushEth
				copy(push.Dst[:], le.AppendUint64(nil, data[0]))
				copy(push.Src[:], le.AppendUint64(nil, data[2]))
				out = append(out, odp.PopEth{}, push)
				break
			}
			fallthrough
		default:
			s, err := decodeSet(op, a, imm, data, ethType)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		if last {
			return out, nil
		}
		pos += n
	}
}

// copyOf is what was compiled to the copy of a list.
func copyOf(list []odp.Action) []odp.Action {
	if len(list) == 2 {
		_, trunc := list[0].(odp.Trunc)
		if _, output := list[1].(odp.Output); trunc && output {
			return list
		}
	}
	if len(list) == 1 {
		if _, ok := list[0].(odp.Recirc); ok {
			return list
		}
	}
	return []odp.Action{odp.Clone{Actions: list}}
}

func decodeSet(op, a uint8, b uint16, d []uint64, ethType uint16) (odp.Action, error) {
	var s odp.Set
	add := func(id flow.FieldID, v, m []byte) {
		if !nonzero(m) {
			return
		}
		exact := true
		f := id.Info()
		var e flow.Key
		e.SetExact(id)
		for i, c := range e.GetBytes(id, make([]byte, 0, f.Bytes)) {
			exact = exact && m[i]&c == c
		}
		if exact {
			m = nil
		}
		s.Fields = append(s.Fields, odp.FieldSet{Field: id, Value: v, Mask: m})
	}
	// bytes are n bytes of a word from bit shift on, in memory order.
	bytes := func(w uint64, shift, n int) []byte {
		var b [8]byte
		le.PutUint64(b[:], w>>shift)
		return append([]byte(nil), b[:n]...)
	}
	host := func(w uint64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(w)) }
	switch op {
	case opSetEth:
		add(flow.EthDst, bytes(d[0], 0, 6), bytes(d[1], 0, 6))
		add(flow.EthSrc, bytes(d[2], 0, 6), bytes(d[3], 0, 6))
	case opSetIPv4:
		add(flow.IPv4Src, bytes(d[0], 0, 4), bytes(d[0], 32, 4))
		add(flow.IPv4Dst, bytes(d[1], 0, 4), bytes(d[1], 32, 4))
		addTOS(add, byte(d[2]), byte(d[2]>>8))
		add(flow.NwTTL, bytes(d[2], 16, 1), bytes(d[2], 24, 1))
	case opSetIPv6:
		var v, m [8]byte
		le.PutUint64(v[:], d[0])
		le.PutUint64(m[:], d[1])
		vw, mw := binary.BigEndian.Uint32(v[:]), binary.BigEndian.Uint32(m[:])
		addTOS(add, byte(vw>>20), byte(mw>>20))
		add(flow.IPv6Label, binary.BigEndian.AppendUint32(nil, vw&0xfffff), binary.BigEndian.AppendUint32(nil, mw&0xfffff))
		add(flow.NwTTL, v[7:8], m[7:8])
	case opSetIPv6Addr:
		id := flow.IPv6Src
		if a != 0 {
			id = flow.IPv6Dst
		}
		add(id, append(bytes(d[0], 0, 8), bytes(d[1], 0, 8)...), append(bytes(d[2], 0, 8), bytes(d[3], 0, 8)...))
	case opSetPorts, opSetSCTP:
		src, dst := flow.TCPSrc, flow.TCPDst
		switch a {
		case 17:
			src, dst = flow.UDPSrc, flow.UDPDst
		case 132:
			src, dst = flow.SCTPSrc, flow.SCTPDst
		}
		add(src, bytes(d[0], 0, 2), bytes(d[0], 32, 2))
		add(dst, bytes(d[0], 16, 2), bytes(d[0], 48, 2))
	case opSetICMP:
		t, c := flow.ICMPType, flow.ICMPCode
		if ethType == etherIPv6 {
			t, c = flow.ICMPv6Type, flow.ICMPv6Code
		}
		add(t, bytes(d[0], 0, 1), bytes(d[0], 32, 1))
		add(c, bytes(d[0], 8, 1), bytes(d[0], 40, 1))
	case opSetARP:
		add(flow.ARPOp, bytes(d[0], 0, 2), bytes(d[0], 32, 2))
		add(flow.ARPSPA, bytes(d[1], 0, 4), bytes(d[1], 32, 4))
		add(flow.ARPTPA, bytes(d[2], 0, 4), bytes(d[2], 32, 4))
	case opSetARPHW:
		id := flow.ARPSHA
		if a != 0 {
			id = flow.ARPTHA
		}
		add(id, bytes(d[0], 0, 6), bytes(d[1], 0, 6))
	case opSetMPLS:
		var v, m flow.Key
		v.SetBytes(flow.MPLSLSE0, bytes(d[0], 0, 4))
		m.SetBytes(flow.MPLSLSE0, bytes(d[0], 32, 4))
		for _, id := range []flow.FieldID{flow.MPLSLabel, flow.MPLSTC, flow.MPLSBoS, flow.MPLSTTL} {
			add(id, v.GetBytes(id, nil), m.GetBytes(id, nil))
		}
	case opSetNDTarget:
		add(flow.NDTarget, append(bytes(d[0], 0, 8), bytes(d[1], 0, 8)...), append(bytes(d[2], 0, 8), bytes(d[3], 0, 8)...))
	case opSetND:
		add(flow.NDReserved, bytes(d[0], 0, 4), bytes(d[0], 32, 4))
		add(flow.NDSLL, bytes(d[1], 0, 6), bytes(d[2], 0, 6))
		add(flow.NDTLL, bytes(d[3], 0, 6), bytes(d[4], 0, 6))
		add(flow.NDOptionsType, []byte{byte(b)}, []byte{byte(b >> 8)})
	case opSetMark:
		add(flow.PktMark, host(d[0]), host(d[0]>>32))
	case opSetPriority:
		add(flow.SkbPriority, host(d[0]), host(d[0]>>32))
	default:
		return nil, fmt.Errorf("unknown operation %d", op)
	}
	return s, nil
}

// addTOS adds the fields that the bits of a ToS byte belong to.
func addTOS(add func(flow.FieldID, []byte, []byte), v, m byte) {
	add(flow.IPDSCP, []byte{v >> 2}, []byte{m >> 2})
	add(flow.NwECN, []byte{v & 3}, []byte{m & 3})
}
