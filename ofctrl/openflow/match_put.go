package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Match fields in the order in which OVS writes them, so that equal matches are equal bytes. L3 and
// L4 fields share storage (see flow.Key): which names they go by depends on the protocol.
var (
	putFirst = []flow.FieldID{
		flow.DPHash, flow.RecircID, flow.ConjID, flow.InPortOXM, flow.ActsetOutput,
		flow.EthSrc, flow.EthDst, flow.EthType,
	}
	putMPLS = []flow.FieldID{flow.MPLSTC, flow.MPLSBoS, flow.MPLSTTL, flow.MPLSLabel}
	putARP  = []flow.FieldID{flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA}
	putNSH  = []flow.FieldID{
		flow.NSHFlags, flow.NSHTTL, flow.NSHMdtype, flow.NSHNp, flow.NSHSPI, flow.NSHSI,
		flow.NSHC1, flow.NSHC2, flow.NSHC3, flow.NSHC4,
	}
	putIPv6   = []flow.FieldID{flow.IPv6Src, flow.IPv6Dst}
	putIPv4   = []flow.FieldID{flow.IPv4Src, flow.IPv4Dst}
	putTCP    = []flow.FieldID{flow.TCPSrc, flow.TCPDst, flow.TCPFlags}
	putUDP    = []flow.FieldID{flow.UDPSrc, flow.UDPDst}
	putSCTP   = []flow.FieldID{flow.SCTPSrc, flow.SCTPDst}
	putICMP   = []flow.FieldID{flow.ICMPType, flow.ICMPCode}
	putICMPv6 = []flow.FieldID{flow.ICMPv6Type, flow.ICMPv6Code}
	putND     = []flow.FieldID{flow.NDTarget, flow.NDReserved, flow.NDOptionsType}
	putTunnel = []flow.FieldID{
		flow.TunID, flow.TunFlags, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst,
		flow.TunGBPID, flow.TunGBPFlags, flow.TunErspanIdx, flow.TunErspanVer, flow.TunErspanDir,
		flow.TunErspanHwid, flow.TunGtpuFlags, flow.TunGtpuMsgtype,
	}
	putLast = []flow.FieldID{
		flow.PktMark, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel,
	}
	putCT4     = []flow.FieldID{flow.CTNwSrc, flow.CTNwDst, flow.CTNwProto, flow.CTTPSrc, flow.CTTPDst}
	putCT6     = []flow.FieldID{flow.CTIPv6Src, flow.CTIPv6Dst, flow.CTNwProto, flow.CTTPSrc, flow.CTTPDst}
	putCTPorts = []flow.FieldID{flow.CTNwProto, flow.CTTPSrc, flow.CTTPDst}
)

// matchFields appends the fields of a match; v is the version byte, 0 for NXM.
func (e *encoder) matchFields(m *flow.Match, v Version) {
	if m.Key.Get(flow.PacketType) != 0 {
		e.matchField(m, flow.PacketType, v)
	}
	e.matchList(m, putFirst, v)
	e.matchVLAN(m, v)
	eth := m.Key.Get(flow.EthType)
	if m.Mask.Get(flow.EthType) != 0xffff {
		eth = 0
	}
	switch eth {
	case ethMPLS, ethMPLSMC:
		e.matchList(m, putMPLS, v)
	case ethIP, ethIPv6:
		e.matchIP(m, v, eth == ethIPv6)
	case ethARP, ethRARP:
		e.matchList(m, putARP, v)
	}
	if eth == ethNSH || m.Key.Get(flow.PacketType) == 1<<16|ethNSH {
		e.matchList(m, putNSH, v)
	}
	e.matchList(m, putTunnel, v)
	e.matchTunMetadata(m, v)
	e.matchRegisters(m, v)
	e.matchList(m, putLast, v)
	switch eth {
	case ethIP:
		e.matchList(m, putCT4, v)
	case ethIPv6:
		e.matchList(m, putCT6, v)
	default:
		e.matchList(m, putCTPorts, v)
	}
	e.matchField(m, flow.Metadata, v)
}

func (e *encoder) matchList(m *flow.Match, ids []flow.FieldID, v Version) {
	for _, id := range ids {
		e.matchField(m, id, v)
	}
}

// matchField appends a field that is matched, with a mask if it is not matched as a whole.
func (e *encoder) matchField(m *flow.Match, id flow.FieldID, v Version) {
	if m.Mask.IsZero(id) {
		return
	}
	if id == flow.InPortOXM && v == 0 {
		e.oxmHeader(flow.InPort, v, false, 0)
		e.u16(PortNo(m.Key.Get(id)).to10())
		return
	}
	// The mask of tun_flags has only the one public flag of 16 bits.
	masked := id == flow.TunFlags || !exact(m, id)
	e.oxmHeader(id, v, masked, 0)
	e.b = m.Key.GetBytes(id, e.b)
	if masked {
		e.b = m.Mask.GetBytes(id, e.b)
	}
}

// exact reports whether all of a field is matched. It is Mask.IsExact without its cost.
func exact(m *flow.Match, id flow.FieldID) bool {
	f := id.Info()
	switch {
	case f.StoreMask != 0:
		return m.Mask.Get(id) == f.StoreMask
	case f.Off < 0:
		return false
	}
	return allOnes(m.Mask.Bytes()[f.Off : f.Off+f.Size])
}

// matchVLAN writes the TCI: NXM whole, OXM as VID with the presence bit and PCP.
func (e *encoder) matchVLAN(m *flow.Match, v Version) {
	if v == 0 {
		e.matchField(m, flow.VLANTCI, v)
		return
	}
	e.matchField(m, flow.VLANVID, v)
	if m.Key.Get(flow.VLANVID) != 0 && m.Mask.Get(flow.VLANPCP) != 0 {
		e.oxmHeader(flow.VLANPCP, v, false, 0)
		e.u8(uint8(m.Key.Get(flow.VLANPCP)))
	}
}

func (e *encoder) matchIP(m *flow.Match, v Version, v6 bool) {
	if v6 {
		e.matchList(m, putIPv6, v)
	} else {
		e.matchList(m, putIPv4, v)
	}
	e.matchField(m, flow.IPFrag, v)
	if !m.Mask.IsZero(flow.IPDSCP) {
		if v == 0 {
			e.oxmHeader(flow.NwTOS, v, false, 0)
			e.u8(uint8(m.Key.Get(flow.IPDSCP)) << 2)
		} else {
			e.oxmHeader(flow.IPDSCP, v, false, 0)
			e.u8(uint8(m.Key.Get(flow.IPDSCP)))
		}
	}
	e.matchField(m, flow.NwECN, v)
	e.matchField(m, flow.NwTTL, v)
	if v6 {
		e.matchField(m, flow.IPv6Label, v)
	}
	if m.Mask.IsZero(flow.NwProto) {
		return
	}
	e.matchField(m, flow.NwProto, v)
	switch proto := m.Key.Get(flow.NwProto); {
	case proto == ipTCP:
		e.matchList(m, putTCP, v)
	case proto == ipUDP:
		e.matchList(m, putUDP, v)
	case proto == ipSCTP:
		e.matchList(m, putSCTP, v)
	case proto == ipICMP && !v6:
		e.matchList(m, putICMP, v)
	case proto == ipICMPv6 && v6:
		e.matchList(m, putICMPv6, v)
		if prereqOK(m, flow.PrereqND) {
			e.matchList(m, putND, v)
			if m.Key.Get(flow.ICMPv6Type) == 135 {
				e.matchField(m, flow.NDSLL, v)
			} else {
				e.matchField(m, flow.NDTLL, v)
			}
		}
	}
}

// matchTunMetadata writes the options that the TLV table maps and the match looks at.
func (e *encoder) matchTunMetadata(m *flow.Match, v Version) {
	if e.st.TLV == nil {
		return
	}
	for i := range e.st.TLV {
		id := flow.TunMetadata0 + flow.FieldID(i)
		off, n, ok := e.st.tlv(id)
		if !ok {
			continue
		}
		mask := m.Mask.Bytes()[tunOptsOff+off:][:n]
		if m.Key[flow.TunPresentWord]&presence(id) == 0 { // no message can say that an option must not be there
			continue
		}
		masked := n == 0 || !allOnes(mask)
		if n == 0 { // oxmHeader has another meaning for 0
			h := oxmHeaders[id][v]
			e.u32(uint32(h>>32)&^0xff | 0x100)
			continue
		}
		e.oxmHeader(id, v, masked, n)
		e.bytes(m.Key.Bytes()[tunOptsOff+off:][:n])
		if masked {
			e.bytes(mask)
		}
	}
}

// matchRegisters writes registers, from 1.5 on as pairs.
func (e *encoder) matchRegisters(m *flow.Match, v Version) {
	if v < V15 {
		for i := range 32 {
			e.matchField(m, flow.Reg(i), v)
		}
		return
	}
	for id := flow.Xreg0; id <= flow.Xreg15; id++ {
		e.matchField(m, id, v)
	}
}
