package openflow

// Flags of NXAST_CT.
const (
	ctCommit = 1 << 0
	ctForce  = 1 << 1
)

func decodeCT(d *actionDecoder, b []byte) (Action, error) {
	flags := be16(b[10:])
	a := CT{
		Commit: flags&ctCommit != 0, Force: flags&ctForce != 0,
		RecircTable: b[18], ALG: be16(b[22:]),
	}
	if a.Force && !a.Commit {
		return nil, bad(ActionBadArgument, "ct(force) without commit")
	}
	if be32(b[12:]) == 0 {
		a.ZoneImm = be16(b[16:])
	} else {
		ofs, bits := ofsBits(be16(b[16:]))
		src, _, err := d.oldSubfield(b[12:16], ofs, bits)
		if err != nil {
			return nil, err
		}
		if bits != 16 {
			return nil, bad(ActionBadSetLen, "ct zone of %d bits", bits)
		}
		a.ZoneSrc = &src
	}
	var err error
	if a.Actions, err = d.list(b[24:]); err != nil {
		return nil, err
	}
	// Only a commit can change a connection; "nat" alone applies what an earlier commit said.
	for _, n := range a.Actions {
		if nat, ok := n.(NAT); !a.Commit && (!ok || nat.Flags != 0 || nat.AddrMin != nil) {
			return nil, bad(ActionBadArgument, "%T in ct without commit", n)
		}
	}
	return a, nil
}

func (e *encoder) ct(a CT) error {
	var err error
	return firstError(e.nxAction(35, func() {
		e.u16(pick[uint16](a.Commit, ctCommit, 0) | pick[uint16](a.Force, ctForce, 0))
		if a.ZoneSrc != nil {
			e.oxmHeader(a.ZoneSrc.Field, 0, false, 0)
			if oxmSize(a.ZoneSrc.Field, 0) != 4 {
				err = bad(NXUnencodable, "ct zone from %v", a.ZoneSrc.Field)
			}
			e.u16(toOfsBits(*a.ZoneSrc))
		} else {
			e.u32(0)
			e.u16(a.ZoneImm)
		}
		e.u8(a.RecircTable, 0, 0, 0)
		e.u16(a.ALG)
		err = firstError(err, e.actions(a.Actions))
	}), err)
}

// Flags of NXAST_NAT, and the members that are present.
const (
	natSrc = 1 << iota
	natDst
	natPersistent
	natHash
	natRandom
	natAll = 1<<iota - 1
)

const (
	natV4Min = 1 << iota
	natV4Max
	natV6Min
	natV6Max
	natPortMin
	natPortMax
	natPresent = 1<<iota - 1
)

func decodeNAT(_ *actionDecoder, b []byte) (Action, error) {
	a := NAT{Flags: be16(b[12:])}
	present := be16(b[14:]) & natPresent
	rest := b[16:]
	if !allZero(b[10:12]) || a.Flags&^natAll != 0 {
		return nil, bad(ActionBadArgument, "nat flags 0x%x", a.Flags)
	}
	if a.Flags&natSrc != 0 && a.Flags&natDst != 0 ||
		a.Flags&(natSrc|natDst) == 0 && (a.Flags != 0 || present != 0) {
		return nil, bad(ActionBadArgument, "nat flags 0x%x", a.Flags)
	}
	if present&(natV4Min|natV4Max) != 0 && present&(natV6Min|natV6Max) != 0 {
		return nil, bad(ActionBadArgument, "nat to both IPv4 and IPv6")
	}
	short := false
	take := func(bit uint16, n int) []byte {
		if present&bit == 0 || short {
			return nil
		}
		if len(rest) < n {
			short = true
			return nil
		}
		v := rest[:n]
		rest = rest[n:]
		return v
	}
	lo, hi := take(natV4Min, 4), take(natV4Max, 4)
	if lo6, hi6 := take(natV6Min, 16), take(natV6Max, 16); lo6 != nil || hi6 != nil {
		lo, hi = lo6, hi6
	}
	a.AddrMin, a.AddrMax = clone(lo), clone(hi)
	if p := take(natPortMin, 2); p != nil {
		a.PortMin = be16(p)
	}
	if p := take(natPortMax, 2); p != nil {
		a.PortMax = be16(p)
	}
	switch {
	case short:
		return nil, bad(ActionBadArgument, "nat of %d bytes", len(b))
	case a.AddrMin == nil && a.AddrMax != nil || a.PortMin == 0 && a.PortMax != 0:
		return nil, bad(ActionBadArgument, "nat range without a start")
	case string(a.AddrMin) > string(a.AddrMax) && a.AddrMax != nil, a.PortMin > a.PortMax && a.PortMax != 0:
		return nil, bad(ActionBadArgument, "nat range that ends before it starts")
	}
	return a, nil
}

func (e *encoder) nat(a NAT) error {
	present := uint16(0)
	has := func(c bool, bit uint16) {
		if c {
			present |= bit
		}
	}
	has(len(a.AddrMin) == 4, natV4Min)
	has(len(a.AddrMax) == 4, natV4Max)
	has(len(a.AddrMin) == 16, natV6Min)
	has(len(a.AddrMax) == 16, natV6Max)
	has(a.PortMin != 0, natPortMin)
	has(a.PortMax != 0, natPortMax)
	return e.nxAction(36, func() {
		e.u16(0, a.Flags, present)
		e.bytes(a.AddrMin)
		e.bytes(a.AddrMax)
		if a.PortMin != 0 {
			e.u16(a.PortMin)
		}
		if a.PortMax != 0 {
			e.u16(a.PortMax)
		}
	})
}
