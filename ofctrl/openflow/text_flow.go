package openflow

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// FormatFlow writes the flow of one packet as ofproto/trace does: all fields that its protocols have, and of the
// metadata what is not zero.
func FormatFlow(k *flow.Key, names PortNames, tlv *TLVMap) string {
	m := flow.Match{Key: *k}
	flowMask(k, &m.Mask)
	// Tunnel options are in a place of their own each: those that are there are written whole.
	m.Mask[flow.TunPresentWord] = k[flow.TunPresentWord]
	for present := k[flow.TunPresentWord]; present != 0; present &= present - 1 {
		b, _ := tlv.Bytes(&m.Mask, flow.TunMetadata0+flow.FieldID(bits.TrailingZeros64(present)))
		for i := range b {
			b[i] = 0xff
		}
	}
	m.Normalize()
	return FormatMatchTLV(&m, names, tlv)
}

// flowMetadata is written when it is not zero.
var flowMetadata = func() []flow.FieldID {
	l := []flow.FieldID{flow.PktMark, flow.RecircID, flow.DPHash, flow.SkbPriority, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel,
		flow.CTNwProto, flow.CTTPSrc, flow.CTTPDst, flow.TunID, flow.Metadata}
	for i := range 32 {
		l = append(l, flow.Reg(i))
	}
	return l
}()

// flowMask has the fields that the packets of k have.
func flowMask(k *flow.Key, m *flow.Mask) {
	all := func(ids ...flow.FieldID) {
		for _, id := range ids {
			m.SetExact(id)
		}
	}
	for _, id := range flowMetadata {
		if !k.IsZero(id) {
			m.SetExact(id)
		}
	}
	all(flow.PacketType)
	if !k.IsZero(flow.InPortOXM) {
		all(flow.InPortOXM)
	}
	eth := k.Get(flow.EthType)
	switch pt := k.Get(flow.PacketType); {
	case pt == 0:
		all(flow.EthSrc, flow.EthDst, flow.EthType, flow.VLANTCI)
		if !k.IsZero(flow.VLANTCI) {
			all(flow.VLANTCI2)
		}
	case pt>>16 == 1: // an Ethertype
		eth = pt & 0xffff
	default:
		return
	}
	if !k.IsZero(flow.TunDst) || !k.IsZero(flow.TunIPv6Dst) {
		all(flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunGBPID, flow.TunGBPFlags, flow.TunTOS, flow.TunTTL,
			flow.TunErspanVer, flow.TunGtpuFlags, flow.TunGtpuMsgtype, flow.TunAllFlags)
		if k.Get(flow.TunErspanVer) == 1 {
			all(flow.TunErspanIdx)
		} else if k.Get(flow.TunErspanVer) == 2 {
			all(flow.TunErspanDir, flow.TunErspanHwid)
		}
	}
	ct := k.Get(flow.CTState) != 0 && !k.IsZero(flow.CTNwProto)
	if ct && (eth == ethIP || eth == ethIPv6) {
		all(flow.CTTPSrc, flow.CTTPDst)
	}
	switch eth {
	case ethIP:
		all(flow.IPv4Src, flow.IPv4Dst)
		if ct {
			all(flow.CTNwSrc, flow.CTNwDst)
		}
	case ethIPv6:
		all(flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label)
		if ct {
			all(flow.CTIPv6Src, flow.CTIPv6Dst)
		}
	case ethARP, ethRARP:
		all(flow.ARPSPA, flow.ARPTPA, flow.ARPOp, flow.ARPSHA, flow.ARPTHA)
		return
	case ethMPLS, ethMPLSMC:
		for i := range flow.FieldID(3) {
			all(flow.MPLSLSE0 + i)
			if k.Get(flow.MPLSLSE0+i)&0x100 != 0 { // the bottom of the stack
				break
			}
		}
		return
	case ethNSH:
		all(putNSH...)
		return
	default:
		return
	}
	all(flow.NwProto, flow.IPDSCP, flow.NwECN, flow.NwTTL, flow.IPFrag)
	if k.Get(flow.IPFrag)&flow.FragLater != 0 {
		return
	}
	const ipIGMP = 2
	switch proto := k.Get(flow.NwProto); {
	case proto == ipTCP:
		all(flow.TCPSrc, flow.TCPDst, flow.TCPFlags)
	case proto == ipUDP, proto == ipSCTP, proto == ipIGMP && eth == ethIP, proto == ipICMP && eth == ethIP:
		all(flow.TCPSrc, flow.TCPDst)
	case proto == ipICMPv6 && eth == ethIPv6:
		all(flow.ICMPv6Type, flow.ICMPv6Code)
		if k.Get(flow.ICMPv6Code) == 0 && (k.Get(flow.ICMPv6Type) == 135 || k.Get(flow.ICMPv6Type) == 136) {
			all(flow.NDTarget, flow.NDSLL, flow.NDTLL)
		}
	}
}
