package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Match types of the match header of 1.1 and later.
const (
	matchStandard = 0 // 1.1's fixed structure
	matchOXM      = 1
)

const match11Len = 88

// Wildcard bits of the standard match (OpenFlow 1.1 section A.2.3).
const (
	wc11InPort = 1 << iota
	wc11VLAN
	wc11PCP
	wc11EthType
	wc11TOS
	wc11Proto
	wc11TPSrc
	wc11TPDst
	wc11MPLSLabel
	wc11MPLSTC
	wc11All = 1<<10 - 1
)

// pullMatch reads a match with its header and returns what stands behind its padding.
func (d *decoder) pullMatch(b []byte, m *flow.Match) (rest []byte, err error) {
	if len(b) < 4 {
		return nil, bad(MatchBadLen, "match header of %d bytes", len(b))
	}
	typ, n := be16(b), int(be16(b[2:]))
	if n < 4 || pad8(n) > len(b) {
		return nil, bad(MatchBadLen, "match length %d in %d bytes", n, len(b))
	}
	switch typ {
	case matchStandard:
		if n != match11Len {
			return nil, bad(MatchBadLen, "standard match of %d bytes", n)
		}
		if err := decodeMatch11(b[:n], m); err != nil {
			return nil, err
		}
	case matchOXM:
		if err := d.st.decodeOXM(b[4:n], m, nil); err != nil {
			return nil, err
		}
	default:
		return nil, bad(MatchBadType, "match type %d", typ)
	}
	return b[pad8(n):], nil
}

// match writes a match with its header and padding.
func (e *encoder) match(m *flow.Match) error {
	if e.v == V11 {
		return e.match11(m)
	}
	return e.oxmMatch(m)
}

// oxmMatch writes a match of type OXM; in 1.1 with the fields' NXM numbers.
func (e *encoder) oxmMatch(m *flow.Match) error {
	at := len(e.b)
	e.u16(matchOXM, 0)
	e.matchFields(m, e.v)
	if err := e.setLen(at, 2); err != nil {
		return err
	}
	e.alignFrom(at)
	return nil
}

// replyMatch is match for flow-removed: of a match that 1.1 cannot say it says what 1.1 can, as OVS does.
func (e *encoder) replyMatch(m *flow.Match) error {
	if e.v == V11 {
		e.fixedMatch11(m)
		return nil
	}
	return e.match(m)
}

// setMasked adds a field of at most 64 bits with a mask.
func setMasked(m *flow.Match, id flow.FieldID, v, mask uint64) {
	m.Key.Set(id, v&mask)
	m.Mask.Set(id, mask)
}

func decodeMatch11(b []byte, m *flow.Match) error {
	wc := be32(b[8:])
	if wc&wc11InPort == 0 {
		p := PortNo(be32(b[4:]))
		if !validPort(p) {
			return bad(MatchBadValue, "in_port 0x%08x", uint32(p))
		}
		m.Set(flow.InPortOXM, uint64(p))
	}
	setMasked(m, flow.EthSrc, be48(b[12:]), ^be48(b[18:])&(1<<48-1))
	setMasked(m, flow.EthDst, be48(b[24:]), ^be48(b[30:])&(1<<48-1))
	if err := vlan11(m, wc, be16(b[36:]), b[38]); err != nil {
		return err
	}
	eth := uint16(0)
	if wc&wc11EthType == 0 {
		eth = be16(b[40:])
		m.Set(flow.EthType, uint64(eth))
	}
	ip := eth == ethIP || eth == ethIPv6
	arp := eth == ethARP || eth == ethRARP
	if ip && wc&wc11TOS == 0 {
		if b[42]&3 != 0 {
			return bad(MatchBadValue, "nw_tos 0x%02x", b[42])
		}
		m.Set(flow.IPDSCP, uint64(b[42]>>2))
	}
	if (ip || arp) && wc&wc11Proto == 0 {
		m.Set(flow.NwProto, uint64(b[43]))
	}
	if eth == ethIP || arp {
		setMasked(m, flow.IPv4Src, uint64(be32(b[44:])), uint64(^be32(b[48:])))
		setMasked(m, flow.IPv4Dst, uint64(be32(b[52:])), uint64(^be32(b[56:])))
	}
	if err := ports11(m, ip, wc, be16(b[60:]), be16(b[62:])); err != nil {
		return err
	}
	if eth == ethMPLS || eth == ethMPLSMC {
		if wc&wc11MPLSLabel == 0 {
			m.Set(flow.MPLSLabel, uint64(be32(b[64:])))
		}
		if wc&wc11MPLSTC == 0 {
			m.Set(flow.MPLSTC, uint64(b[68]))
		}
	}
	setMasked(m, flow.Metadata, be64(b[72:]), ^be64(b[80:]))
	return nil
}

func vlan11(m *flow.Match, wc uint32, vid uint16, pcp uint8) error {
	if wc&wc11VLAN != 0 {
		return nil
	}
	switch {
	case vid == 0xffff: // no tag
		m.Set(flow.VLANTCI, 0)
		return nil
	case vid == 0xfffe: // any tag
		setMasked(m, flow.VLANVID, flow.VLANPresent, flow.VLANPresent)
	case vid > 0xfff:
		return bad(MatchBadValue, "dl_vlan 0x%04x", vid)
	default:
		m.Set(flow.VLANVID, uint64(vid)|flow.VLANPresent)
	}
	if wc&wc11PCP == 0 {
		if pcp > 7 {
			return bad(MatchBadValue, "dl_vlan_pcp %d", pcp)
		}
		m.Set(flow.VLANPCP, uint64(pcp))
	}
	return nil
}

func ports11(m *flow.Match, ip bool, wc uint32, src, dst uint16) error {
	if !ip || m.Mask.IsZero(flow.NwProto) {
		return nil
	}
	srcID, dstID := flow.TCPSrc, flow.TCPDst
	switch m.Key.Get(flow.NwProto) {
	case ipTCP, ipUDP, ipSCTP:
	case ipICMP, ipICMPv6:
		if wc&wc11TPSrc == 0 && src > 0xff || wc&wc11TPDst == 0 && dst > 0xff {
			return bad(MatchBadField, "ICMP type %d code %d", src, dst)
		}
		srcID, dstID = flow.ICMPType, flow.ICMPCode
	default:
		return nil
	}
	if wc&wc11TPSrc == 0 {
		m.Set(srcID, uint64(src))
	}
	if wc&wc11TPDst == 0 {
		m.Set(dstID, uint64(dst))
	}
	return nil
}

func be48(b []byte) uint64 { return uint64(be16(b))<<32 | uint64(be32(b[2:])) }

// match11 writes the fixed match of 1.1. What it cannot say is an error.
func (e *encoder) match11(m *flow.Match) error {
	at := len(e.b)
	e.fixedMatch11(m)
	var back flow.Match
	if err := decodeMatch11(e.b[at:], &back); err != nil || back != *m {
		return bad(NXUnencodable, "match %s in OpenFlow 1.1", FormatMatch(m, nil))
	}
	return nil
}

func (e *encoder) fixedMatch11(m *flow.Match) {
	e.u16(matchStandard, match11Len)
	wc := uint32(0)
	unless := func(id flow.FieldID, bit uint32) {
		if m.Mask.IsZero(id) {
			wc |= bit
		}
	}
	unless(flow.InPortOXM, wc11InPort)
	unless(flow.EthType, wc11EthType)
	unless(flow.IPDSCP, wc11TOS)
	unless(flow.NwProto, wc11Proto)
	unless(flow.TCPSrc, wc11TPSrc)
	unless(flow.TCPDst, wc11TPDst)
	unless(flow.MPLSLabel, wc11MPLSLabel)
	unless(flow.MPLSTC, wc11MPLSTC)
	vid, pcp := uint16(0), uint8(0)
	mask, tci := m.Mask.Get(flow.VLANTCI), m.Key.Get(flow.VLANTCI)
	switch {
	case mask == 0:
		wc |= wc11VLAN | wc11PCP
	case mask&flow.VLANPresent != 0 && tci&flow.VLANPresent == 0:
		vid = 0xffff
		wc |= wc11PCP
	default:
		if vid = uint16(tci & 0xfff); mask&0xfff == 0 {
			vid = 0xfffe
		}
		if pcp = uint8(tci >> 13); mask>>13 == 0 {
			wc |= wc11PCP
		}
	}
	e.u32(uint32(m.Key.Get(flow.InPortOXM)), wc)
	for _, id := range []flow.FieldID{flow.EthSrc, flow.EthDst} {
		e.b = m.Key.GetBytes(id, e.b)
		mask := ^m.Mask.Get(id)
		e.u16(uint16(mask >> 32))
		e.u32(uint32(mask))
	}
	e.u16(vid)
	e.u8(pcp, 0)
	e.u16(uint16(m.Key.Get(flow.EthType)))
	e.u8(uint8(m.Key.Get(flow.IPDSCP)<<2), uint8(m.Key.Get(flow.NwProto)))
	for _, id := range []flow.FieldID{flow.IPv4Src, flow.IPv4Dst} {
		e.u32(uint32(m.Key.Get(id)), ^uint32(m.Mask.Get(id)))
	}
	e.u16(uint16(m.Key.Get(flow.TCPSrc)), uint16(m.Key.Get(flow.TCPDst)))
	e.u32(uint32(m.Key.Get(flow.MPLSLabel)))
	e.u8(uint8(m.Key.Get(flow.MPLSTC)), 0, 0, 0)
	e.u64(m.Key.Get(flow.Metadata), ^m.Mask.Get(flow.Metadata))
}
