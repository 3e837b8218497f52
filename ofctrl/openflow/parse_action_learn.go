package openflow

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// learn reads the arguments of learn(...).
func (p *actionParser) learn(s string) (Action, error) {
	a := Learn{Priority: 0x8000, Table: 1}
	err := eachWord(s, func(name, value string) error {
		n16 := func(to *uint16) error {
			n, err := number(value, 16)
			*to = uint16(n)
			return err
		}
		switch name {
		case "table":
			n, err := number(value, 8)
			if err != nil || n == uint64(TableAll) {
				return fmt.Errorf("%s: unknown table \"%s\"", s, value)
			}
			a.Table = uint8(n)
		case "priority":
			return n16(&a.Priority)
		case "idle_timeout":
			return n16(&a.Idle)
		case "hard_timeout":
			return n16(&a.Hard)
		case "fin_idle_timeout":
			return n16(&a.FinIdle)
		case "fin_hard_timeout":
			return n16(&a.FinHard)
		case "cookie":
			n, err := number(value, 64)
			a.Cookie = n
			return err
		case "limit":
			n, err := number(value, 32)
			a.Limit, a.V2 = uint32(n), true
			return err
		case "send_flow_rem":
			a.Flags |= 1
		case "delete_learned":
			a.Flags |= 2
		case "result_dst":
			dst, err := p.target(value)
			if err == nil && dst.Bits != 1 {
				err = fmt.Errorf("result_dst must be a single bit")
			}
			a.ResultDst, a.Flags, a.V2 = &dst, a.Flags|4, true
			return err
		default:
			spec, err := p.learnSpec(name, value)
			a.Specs = append(a.Specs, spec)
			return err
		}
		return nil
	})
	return a, err
}

// learnSpec reads one part of a learned flow: FIELD=value, FIELD=FIELD, FIELD, load:...->..., output:...
func (p *actionParser) learnSpec(name, value string) (LearnSpec, error) {
	switch name {
	case "load":
		from, to, err := arrow("load", value)
		if err != nil {
			return LearnSpec{}, err
		}
		dst, err := p.target(to)
		if err != nil {
			return LearnSpec{}, err
		}
		spec := LearnSpec{Dst: 1, To: dst, Bits: dst.Bits}
		if src, err := p.subfield(from); err == nil {
			spec.Src = &src
			return spec, sameBits(value, src, dst)
		}
		spec.Value, err = fit(from, dst.Bits)
		return spec, err
	case "output":
		src, err := p.subfield(value)
		return LearnSpec{Dst: 2, Src: &src, Bits: src.Bits}, err
	}
	to, err := p.subfield(name)
	if err != nil {
		return LearnSpec{}, fmt.Errorf("%s: unknown keyword %s", name, name)
	}
	spec := LearnSpec{To: to, Bits: to.Bits}
	if value == "" {
		spec.Src = &to
		return spec, nil
	}
	if src, err := p.subfield(value); err == nil {
		spec.Src = &src
		return spec, sameBits(name+"="+value, src, to)
	}
	if to == flow.WholeField(to.Field) && !strings.Contains(name, "[") {
		v, mask, err := p.value(to.Field, value)
		if err == nil && mask != nil {
			err = fmt.Errorf("%s: a mask is not allowed here", value)
		}
		spec.Value = v
		return spec, err
	}
	spec.Value, err = fit(value, to.Bits)
	return spec, err
}

func sameBits(text string, src, dst flow.Subfield) error {
	if src.Bits != dst.Bits {
		return fmt.Errorf("%s: bit widths of the two fields differ (%d and %d)", text, src.Bits, dst.Bits)
	}
	return nil
}
