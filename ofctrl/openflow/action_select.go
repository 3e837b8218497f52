package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Hashes of multipath and bundle (NX_HASH_FIELDS_*, NX_MP_ALG_*, NX_BD_ALG_*): the highest numbers.
const (
	maxHashFields   = 7
	maxMultipathAlg = 3
	maxBundleAlg    = 1
	maxBundlePorts  = 2048
	bundleInPort    = 0x00000002 // members are given as NXM_OF_IN_PORT
)

func decodeMultipath(d *actionDecoder, b []byte) (Action, error) {
	ofs, bits := ofsBits(be16(b[26:]))
	dst, _, err := d.oldSubfield(b[28:], ofs, bits)
	if err != nil {
		return nil, err
	}
	a := Multipath{
		Fields: be16(b[10:]), Basis: be16(b[12:]), Algorithm: be16(b[16:]), MaxLink: be16(b[18:]),
		Arg: be32(b[20:]), Dst: dst,
	}
	switch {
	case a.Fields > maxHashFields, a.Algorithm > maxMultipathAlg,
		bits < 16 && int(a.MaxLink) >= 1<<bits:
		return nil, bad(ActionBadArgument, "multipath fields %d algorithm %d links %d", a.Fields, a.Algorithm, a.MaxLink)
	}
	return a, writable(dst)
}

func (e *encoder) multipath(a Multipath) error {
	return e.nxAction(10, func() {
		e.u16(a.Fields, a.Basis, 0, a.Algorithm, a.MaxLink)
		e.u32(a.Arg)
		e.u16(0, toOfsBits(a.Dst))
		e.oxmHeader(a.Dst.Field, 0, false, 0)
	})
}

func decodeBundle(d *actionDecoder, b []byte) (Action, error) {
	a := Bundle{Algorithm: be16(b[10:]), Fields: be16(b[12:]), Basis: be16(b[14:])}
	n := int(be16(b[20:]))
	rest := b[32:]
	if len(rest) < pad8(2*n) {
		return nil, bad(ActionBadLen, "bundle of %d members in %d bytes", n, len(b))
	}
	if be32(b[16:]) != bundleInPort || n > maxBundlePorts || a.Fields > maxHashFields || a.Algorithm > maxBundleAlg {
		return nil, bad(ActionBadArgument, "bundle fields %d algorithm %d members %d", a.Fields, a.Algorithm, n)
	}
	if be16(b[8:]) == 13 {
		ofs, bits := ofsBits(be16(b[22:]))
		dst, _, err := d.oldSubfield(b[24:], ofs, bits)
		if err != nil {
			return nil, err
		}
		if bits < 16 {
			return nil, bad(ActionBadArgument, "bundle_load into %d bits", bits)
		}
		if err := writable(dst); err != nil {
			return nil, err
		}
		a.Dst = &dst
	} else if !allZero(b[22:32]) {
		return nil, bad(ActionBadArgument, "bundle padding")
	}
	for i := range n {
		p, err := outPort(port10(be16(rest[2*i:])))
		if err != nil || p == PortController {
			return nil, bad(ActionBadOutPort, "bundle member %v", p)
		}
		a.Members = append(a.Members, p)
	}
	return a, nil
}

func (e *encoder) bundle(a Bundle) error {
	return e.nxAction(pick[uint16](a.Dst != nil, 13, 12), func() {
		e.u16(a.Algorithm, a.Fields, a.Basis)
		e.u32(bundleInPort)
		e.u16(uint16(len(a.Members)))
		dst := flow.Subfield{Bits: 1}
		if a.Dst == nil {
			e.zero(10)
		} else {
			dst = *a.Dst
			e.u16(toOfsBits(dst))
			e.oxmHeader(dst.Field, 0, false, 0)
			e.zero(8 - oxmSize(dst.Field, 0))
		}
		for _, p := range a.Members {
			e.u16(p.to10())
		}
	})
}

func decodeSample(d *actionDecoder, b []byte) (Action, error) {
	a := Sample{Probability: be16(b[10:]), CollectorSet: be32(b[12:]), Form: 1, SamplingPort: PortAny}
	sub := be16(b[8:])
	tail := b[24:]
	switch sub {
	case 29, 38, 41:
		a.ObsDomain, a.ObsPoint = be32(b[16:]), be32(b[20:])
	case 51:
		var err error
		if a.ObsDomain, a.ObsDomainSrc, err = d.sampleID(b[16:24]); err != nil {
			return nil, err
		}
		if a.ObsPoint, a.ObsPointSrc, err = d.sampleID(b[24:32]); err != nil {
			return nil, err
		}
		tail = b[32:]
	}
	switch sub {
	case 38:
		a.Form = 2
	case 41:
		a.Form = 3
	case 51:
		a.Form = 4
	}
	if a.Form >= 2 {
		a.SamplingPort = port10(be16(tail))
		tail = tail[2:]
	}
	if a.Form >= 3 {
		if a.Direction = tail[0]; a.Direction > 2 {
			return nil, bad(ActionBadArgument, "sample direction %d", a.Direction)
		}
		tail = tail[1:]
	}
	if !allZero(tail) {
		return nil, bad(NXMustBeZero, "sample padding")
	}
	if a.Probability == 0 {
		return nil, bad(ActionBadArgument, "sample probability 0")
	}
	return a, nil
}

// sampleID reads a domain or point: a 32-bit subfield, or a number behind a zero field name.
func (d *actionDecoder) sampleID(b []byte) (imm uint32, src *flow.Subfield, err error) {
	if be32(b) == 0 {
		return be32(b[4:]), nil, nil
	}
	ofs, bits := ofsBits(be16(b[4:]))
	s, _, err := d.oldSubfield(b[:4], ofs, bits)
	return 0, &s, err
}

func (e *encoder) sample(a Sample) error {
	form := max(a.Form, 1)
	switch {
	case a.ObsDomainSrc != nil || a.ObsPointSrc != nil:
		form = 4
	case a.Direction != 0:
		form = max(form, 3)
	case a.SamplingPort != PortAny:
		form = max(form, 2)
	}
	id := func(imm uint32, src *flow.Subfield) {
		switch {
		case form < 4:
			e.u32(imm)
		case src == nil:
			e.u32(0, imm)
		default:
			e.oxmHeader(src.Field, 0, false, 0)
			e.u16(toOfsBits(*src), 0)
		}
	}
	return e.nxAction([]uint16{29, 38, 41, 51}[min(form, 4)-1], func() {
		e.u16(a.Probability)
		e.u32(a.CollectorSet)
		id(a.ObsDomain, a.ObsDomainSrc)
		id(a.ObsPoint, a.ObsPointSrc)
		switch {
		case form >= 3:
			e.u16(a.SamplingPort.to10())
			e.u8(a.Direction, 0, 0, 0, 0, 0)
		case form == 2:
			e.u16(a.SamplingPort.to10(), 0, 0, 0)
		}
	})
}
