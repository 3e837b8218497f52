package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Numbers of protocols that prerequisites name.
const (
	ethIP     = 0x0800
	ethARP    = 0x0806
	ethRARP   = 0x8035
	ethIPv6   = 0x86dd
	ethMPLS   = 0x8847
	ethMPLSMC = 0x8848
	ethNSH    = 0x894f

	ipICMP   = 1
	ipTCP    = 6
	ipUDP    = 17
	ipICMPv6 = 58
	ipSCTP   = 132
)

// Conntrack state bits.
const (
	ctNew     = 0x01
	ctEst     = 0x02
	ctRel     = 0x04
	ctReply   = 0x08
	ctInvalid = 0x10
	ctTracked = 0x20
	ctSNAT    = 0x40
	ctDNAT    = 0x80
)

// prereqOK reports whether the match is narrow enough for fields with the prerequisite (ovs-fields(7)).
func prereqOK(m *flow.Match, p flow.Prereq) bool {
	switch p {
	case flow.PrereqNone:
		return true
	case flow.PrereqEthernet:
		return m.Key.Get(flow.PacketType) == 0
	case flow.PrereqVLAN:
		return m.Key.Get(flow.VLANTCI)&flow.VLANPresent != 0
	case flow.PrereqCT:
		state := m.Key.Get(flow.CTState)
		return state&(ctNew|ctEst|ctRel|ctReply|ctSNAT|ctDNAT) != 0 ||
			state&ctTracked != 0 && m.Mask.Get(flow.CTState)&ctInvalid != 0 && state&ctInvalid == 0
	}
	if m.Mask.Get(flow.EthType) != 0xffff {
		return p == flow.PrereqNSH && m.Key.Get(flow.PacketType) == 1<<16|ethNSH
	}
	eth := m.Key.Get(flow.EthType)
	switch p {
	case flow.PrereqIPv4:
		return eth == ethIP
	case flow.PrereqIPv6:
		return eth == ethIPv6
	case flow.PrereqIP:
		return eth == ethIP || eth == ethIPv6
	case flow.PrereqARP:
		return eth == ethARP || eth == ethRARP
	case flow.PrereqMPLS:
		return eth == ethMPLS || eth == ethMPLSMC
	case flow.PrereqNSH:
		return eth == ethNSH
	}
	if eth != ethIP && eth != ethIPv6 || m.Mask.Get(flow.NwProto) != 0xff {
		return false
	}
	// A later fragment has no transport header.
	if m.Key.Get(flow.IPFrag)&flow.FragLater != 0 {
		return false
	}
	proto := m.Key.Get(flow.NwProto)
	switch p {
	case flow.PrereqTCP:
		return proto == ipTCP
	case flow.PrereqUDP:
		return proto == ipUDP
	case flow.PrereqSCTP:
		return proto == ipSCTP
	case flow.PrereqICMPv4:
		return eth == ethIP && proto == ipICMP
	}
	if eth != ethIPv6 || proto != ipICMPv6 {
		return false
	}
	typ := m.Key.Get(flow.ICMPv6Type)
	code0 := m.Key.Get(flow.ICMPv6Code) == 0
	switch p {
	case flow.PrereqICMPv6:
		return true
	case flow.PrereqND:
		return code0 && (typ == 135 || typ == 136)
	case flow.PrereqNDSolicit:
		return code0 && typ == 135
	case flow.PrereqNDAdvert:
		return code0 && typ == 136
	}
	return false
}
