package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Wildcard bits of the 1.0 match (OpenFlow 1.0 section 5.2.3). The address masks are counts of
// wildcarded low bits.
const (
	wc10InPort   = 1 << 0
	wc10VLAN     = 1 << 1
	wc10EthSrc   = 1 << 2
	wc10EthDst   = 1 << 3
	wc10EthType  = 1 << 4
	wc10Proto    = 1 << 5
	wc10TPSrc    = 1 << 6
	wc10TPDst    = 1 << 7
	wc10SrcShift = 8
	wc10DstShift = 14
	wc10PCP      = 1 << 20
	wc10TOS      = 1 << 21
	wc10All      = 1<<22 - 1

	vlanNone10 = 0xffff
)

// decodeMatch10 reads a 1.0 match. Fields whose protocol is not matched are ignored.
func decodeMatch10(b []byte, m *flow.Match) {
	wc := be32(b)
	set := func(bit uint32, id flow.FieldID, v uint64) {
		if wc&bit == 0 {
			m.Set(id, v)
		}
	}
	set(wc10InPort, flow.InPortOXM, uint64(port10(be16(b[4:]))))
	set(wc10EthSrc, flow.EthSrc, be48(b[6:]))
	set(wc10EthDst, flow.EthDst, be48(b[12:]))
	vlan10(m, wc, be16(b[18:]), b[20])
	set(wc10EthType, flow.EthType, uint64(be16(b[22:])))
	eth := m.Key.Get(flow.EthType)
	ip := eth == ethIP || eth == ethIPv6
	arp := eth == ethARP || eth == ethRARP
	if ip {
		set(wc10TOS, flow.IPDSCP, uint64(b[24]>>2))
	}
	if ip || arp {
		set(wc10Proto, flow.NwProto, uint64(b[25]))
	}
	if eth == ethIP || arp {
		setMasked(m, flow.IPv4Src, uint64(be32(b[28:])), prefix10(wc>>wc10SrcShift))
		setMasked(m, flow.IPv4Dst, uint64(be32(b[32:])), prefix10(wc>>wc10DstShift))
	}
	if !ip {
		return
	}
	src, dst := uint64(be16(b[36:])), uint64(be16(b[38:]))
	switch proto := m.Key.Get(flow.NwProto); {
	case proto == ipTCP, proto == ipUDP, proto == ipSCTP:
		set(wc10TPSrc, flow.TCPSrc, src)
		set(wc10TPDst, flow.TCPDst, dst)
	case proto == ipICMP && eth == ethIP, proto == ipICMPv6 && eth == ethIPv6:
		set(wc10TPSrc, flow.ICMPType, src)
		set(wc10TPDst, flow.ICMPCode, dst)
	}
}

// vlan10 reads the VLAN: no tag, or VID and PCP each matched or not.
func vlan10(m *flow.Match, wc uint32, vid uint16, pcp uint8) {
	if wc&wc10VLAN == 0 && vid == vlanNone10 {
		m.Set(flow.VLANTCI, 0)
		return
	}
	mask := uint64(0)
	if wc&wc10VLAN == 0 {
		mask |= 0xfff | flow.VLANPresent
	}
	if wc&wc10PCP == 0 {
		mask |= 0xe000 | flow.VLANPresent
	}
	setMasked(m, flow.VLANTCI, uint64(vid&0xfff)|uint64(pcp&7)<<13|flow.VLANPresent, mask)
}

// prefix10 is the mask for a count of wildcarded bits; 32 and more wildcard all.
func prefix10(n uint32) uint64 {
	if n &= 0x3f; n >= 32 {
		return 0
	}
	return uint64(^uint32(0) << n)
}

// match10 writes a 1.0 match. ok is false, and what was written is incomplete, if the match needs NXM.
func (e *encoder) match10(m *flow.Match) (ok bool) {
	wc := uint32(0)
	unless := func(id flow.FieldID, bit uint32) {
		if m.Mask.IsZero(id) {
			wc |= bit
		}
	}
	unless(flow.InPortOXM, wc10InPort)
	unless(flow.EthSrc, wc10EthSrc)
	unless(flow.EthDst, wc10EthDst)
	unless(flow.EthType, wc10EthType)
	unless(flow.NwProto, wc10Proto)
	unless(flow.TCPSrc, wc10TPSrc)
	unless(flow.TCPDst, wc10TPDst)
	unless(flow.IPDSCP, wc10TOS)
	vid, pcp := uint16(0), uint8(0)
	mask, tci := m.Mask.Get(flow.VLANTCI), m.Key.Get(flow.VLANTCI)
	switch {
	case mask == 0:
		wc |= wc10VLAN | wc10PCP
	case mask&flow.VLANPresent != 0 && tci&flow.VLANPresent == 0:
		vid = vlanNone10
	default:
		if vid = uint16(tci & 0xfff); mask&0xfff == 0 {
			wc |= wc10VLAN
		}
		if pcp = uint8(tci >> 13); mask>>13 == 0 {
			wc |= wc10PCP
		}
	}
	wc |= wildcarded10(m.Mask.Get(flow.IPv4Src))<<wc10SrcShift | wildcarded10(m.Mask.Get(flow.IPv4Dst))<<wc10DstShift
	at := len(e.b)
	e.u32(wc)
	e.u16(PortNo(m.Key.Get(flow.InPortOXM)).to10())
	e.b = m.Key.GetBytes(flow.EthSrc, e.b)
	e.b = m.Key.GetBytes(flow.EthDst, e.b)
	e.u16(vid)
	e.u8(pcp, 0)
	e.u16(uint16(m.Key.Get(flow.EthType)))
	e.u8(uint8(m.Key.Get(flow.IPDSCP)<<2), uint8(m.Key.Get(flow.NwProto)), 0, 0)
	e.u32(uint32(m.Key.Get(flow.IPv4Src)), uint32(m.Key.Get(flow.IPv4Dst)))
	e.u16(uint16(m.Key.Get(flow.TCPSrc)), uint16(m.Key.Get(flow.TCPDst)))
	var back flow.Match
	decodeMatch10(e.b[at:], &back)
	return back == *m
}

// wildcarded10 counts the wildcarded low bits of an address mask.
func wildcarded10(mask uint64) uint32 {
	n := uint32(0)
	for n < 32 && mask>>n&1 == 0 {
		n++
	}
	return n
}
