package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Parts of a flow_mod_spec header of NXAST_LEARN.
const (
	learnBits      = 0x07ff
	learnDstShift  = 11
	learnImmediate = 0x2000
	learnReserved  = 0xc000

	learnMatch  = 0
	learnLoad   = 1
	learnOutput = 2

	learnWriteResult = 4 // in Flags: ResultDst follows
	learnAllFlags    = 7
)

func decodeLearn(d *actionDecoder, b []byte) (Action, error) {
	a := Learn{
		Idle: be16(b[10:]), Hard: be16(b[12:]), Priority: be16(b[14:]), Cookie: be64(b[16:]),
		Flags: be16(b[24:]), Table: b[26], FinIdle: be16(b[28:]), FinHard: be16(b[30:]),
		V2: be16(b[8:]) == 45,
	}
	rest := b[32:]
	allowed := uint16(learnWriteResult - 1)
	if a.V2 {
		allowed = learnAllFlags
		a.Limit = be32(rest)
		ofs := int(be16(rest[4:]))
		rest = rest[8:]
		if a.Flags&learnWriteResult != 0 {
			dst, r, err := d.subfield(rest, ofs, 1)
			if err != nil {
				return nil, err
			}
			if err := writable(dst); err != nil {
				return nil, err
			}
			a.ResultDst, rest = &dst, r
		}
	}
	switch {
	case a.Flags&^allowed != 0, a.Table == TableAll, b[27] != 0:
		return nil, bad(ActionBadArgument, "learn flags 0x%x table %d", a.Flags, a.Table)
	}
	for len(rest) >= 2 && be16(rest) != 0 {
		s, r, err := d.learnSpec(rest)
		if err != nil {
			return nil, err
		}
		a.Specs, rest = append(a.Specs, s), r
	}
	if !allZero(rest) {
		return nil, bad(ActionBadArgument, "learn padding")
	}
	return a, nil
}

func (d *actionDecoder) learnSpec(b []byte) (s LearnSpec, rest []byte, err error) {
	h := be16(b)
	rest = b[2:]
	s.Bits, s.Dst = h&learnBits, uint8(h>>learnDstShift&3)
	if s.Dst > learnOutput || h&learnReserved != 0 || s.Bits == 0 || s.Dst == learnOutput && h&learnImmediate != 0 {
		return s, nil, bad(ActionBadArgument, "learn spec 0x%04x", h)
	}
	if h&learnImmediate != 0 {
		n := int(s.Bits+15) / 16 * 2
		if len(rest) < n {
			return s, nil, bad(ActionBadLen, "learn value of %d bits", s.Bits)
		}
		keep := int(s.Bits+7) / 8
		s.Value, rest = clone(rest[n-keep:n]), rest[n:]
	} else {
		src, r, err := d.learnField(rest, s.Bits)
		if err != nil {
			return s, nil, err
		}
		s.Src, rest = &src, r
	}
	if s.Dst == learnOutput {
		return s, rest, nil
	}
	if s.To, rest, err = d.learnField(rest, s.Bits); err != nil {
		return s, nil, err
	}
	if s.Dst == learnLoad {
		err = writable(s.To)
	}
	return s, rest, err
}

// learnField reads a field name and the offset of its bits.
func (d *actionDecoder) learnField(b []byte, bits uint16) (s flow.Subfield, rest []byte, err error) {
	h, err := pullOXM(b)
	if err != nil {
		return s, nil, bad(ActionBadLen, "learn spec")
	}
	if len(b) < h.header+2 {
		return s, nil, bad(ActionBadLen, "learn spec")
	}
	s, rest, err = d.oldSubfield(b, int(be16(b[h.header:])), int(bits))
	if err != nil {
		return s, nil, err
	}
	return s, rest[2:], nil
}

func (e *encoder) learn(a Learn) error {
	v2 := a.V2 || a.Limit != 0 || a.ResultDst != nil
	return e.nxAction(pick[uint16](v2, 45, 16), func() {
		e.u16(a.Idle, a.Hard, a.Priority)
		e.u64(a.Cookie)
		e.u16(a.Flags)
		e.u8(a.Table, 0)
		e.u16(a.FinIdle, a.FinHard)
		if v2 {
			e.u32(a.Limit)
			if a.ResultDst != nil {
				e.u16(a.ResultDst.Ofs, 0)
				e.oxmHeader(a.ResultDst.Field, 0, false, 0)
			} else {
				e.u16(0, 0)
			}
		}
		for i := range a.Specs {
			e.learnSpec(&a.Specs[i])
		}
	})
}

func (e *encoder) learnSpec(s *LearnSpec) {
	field := func(f flow.Subfield) {
		e.oxmHeader(f.Field, 0, false, 0)
		e.u16(f.Ofs)
	}
	h := s.Bits&learnBits | uint16(s.Dst)<<learnDstShift
	if s.Src == nil {
		e.u16(h | learnImmediate)
		n := int(s.Bits+15) / 16 * 2
		v := s.Value[max(0, len(s.Value)-n):]
		e.zero(n - len(v))
		e.bytes(v)
	} else {
		e.u16(h)
		field(*s.Src)
	}
	if s.Dst != learnOutput {
		field(s.To)
	}
}
