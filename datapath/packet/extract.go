package packet

import (
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

var be = binary.BigEndian

// Offsets say where the layers of a packet start, in bytes from its first one; -1: not there.
type Offsets struct {
	Net  int // what the Ethertype announces: right behind it, all VLAN headers and SNAP
	MPLS int
	L3   int // IPv4, IPv6, ARP header
	L4   int // set when the L3 header and its extensions are whole
	End  int // end of the L3 packet, without padding; len(data) where that is not known
}

// Extract fills the link, network and transport words of a key, which the caller has zeroed,
// from a packet. Metadata (in_port, recirc_id, marks, conntrack, tunnel) stays as it is. A
// packet_type other than Ethernet must be set in the key before. A header that is truncated or
// malformed ends parsing: what is behind it stays zero.
func Extract(data []byte, key *flow.Key) { Parse(data, key) }

// Parse is Extract and says where the headers are.
func Parse(data []byte, key *flow.Key) Offsets {
	k := key.Bytes()
	o := Offsets{Net: -1, MPLS: -1, L3: -1, L4: -1, End: len(data)}
	p := 0 // everything before is parsed
	var ethType uint16
	if be.Uint32(k[keyPacketType:]) == 0 {
		if len(data) < EthLen {
			return o
		}
		copy(k[keyEthDst:keyEthDst+6], data[0:6])
		copy(k[keyEthSrc:keyEthSrc+6], data[6:12])
		ethType, p = parseEthType(data, parseVLANs(data, k))
	} else {
		ethType = be.Uint16(k[keyPacketType+2:])
	}
	be.PutUint16(k[keyEthType:], ethType)
	o.Net = p

	switch ethType {
	case EthTypeIPv4:
		parseIPv4(data, p, k, &o)
	case EthTypeIPv6:
		parseIPv6(data, p, k, &o)
	case EthTypeARP, EthTypeRARP:
		o.L3 = p
		parseARP(data[p:], k)
	case EthTypeMPLS, EthTypeMPLSMulticast:
		o.MPLS = p
		parseMPLS(data[p:], k)
	}
	return o
}

// parseVLANs returns where the Ethertype behind the VLAN headers is. A header whose own four
// bytes or following Ethertype are cut off is not one: its TPID is then the Ethertype.
func parseVLANs(data, k []byte) int {
	p := 12
	for i := 0; i < MaxVLANs && isVLAN(be.Uint16(data[p:])) && len(data)-p >= VLANLen+2; i++ {
		tci, tpid := keyVLANTCI, keyVLANTPID
		if i == 1 {
			tci, tpid = keyVLANTCI2, keyVLANTPID2
		}
		copy(k[tpid:tpid+2], data[p:])
		be.PutUint16(k[tci:], be.Uint16(data[p+2:])|flow.VLANPresent)
		p += VLANLen
	}
	return p
}

// parseEthType reads the Ethertype at p, or behind LLC and SNAP; it returns what is next.
func parseEthType(data []byte, p int) (uint16, int) {
	t := be.Uint16(data[p:])
	p += 2
	if t >= ethTypeMin {
		return t, p
	}
	// dsap, ssap, control, organization, type
	b := data[p:]
	if len(b) < llcLen || be.Uint32(b) != 0xaaaa0300 || be.Uint16(b[4:]) != 0 {
		return EthTypeNone, p
	}
	if t = be.Uint16(b[6:]); t < ethTypeMin {
		t = EthTypeNone
	}
	return t, p + llcLen
}

func parseMPLS(b, k []byte) {
	for i := 0; i < MaxMPLS && len(b) >= MPLSLen; i++ {
		copy(k[keyMPLSLSE0+4*i:keyMPLSLSE0+4*i+4], b)
		if b[2]&1 != 0 { // bottom of stack
			return
		}
		b = b[MPLSLen:]
	}
}

func parseARP(b, k []byte) {
	// Only Ethernet and IPv4 addresses have a place in the key.
	if len(b) < ARPLen || be.Uint32(b) != 0x00010800 || be.Uint16(b[4:]) != 0x0604 {
		return
	}
	if op := be.Uint16(b[6:]); op <= 0xff {
		k[keyNwProto] = byte(op)
	}
	copy(k[keyARPSHA:keyARPSHA+6], b[8:14])
	copy(k[keyIPv4Src:keyIPv4Src+4], b[14:18])
	copy(k[keyARPTHA:keyARPTHA+6], b[18:24])
	copy(k[keyIPv4Dst:keyIPv4Dst+4], b[24:28])
}

func parseIPv4(data []byte, p int, k []byte, o *Offsets) {
	b := data[p:]
	if len(b) < IPv4Len {
		return
	}
	ihl, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
	// The last test is OVS's: its padding length has 16 bits.
	if ihl < IPv4Len || ihl > len(b) || total > len(b) || ihl > total || len(b)-total > 0xffff {
		return
	}
	o.L3, o.L4, o.End = p, p+ihl, p+total
	copy(k[keyIPv4Src:keyIPv4Src+8], b[12:20])
	k[keyNwProto], k[keyNwTOS], k[keyNwTTL] = b[9], b[1], b[8]
	if f := be.Uint16(b[6:]); f&0x3fff != 0 { // more fragments, or an offset
		k[keyNwFrag] = flow.FragAny
		if f&0x1fff != 0 {
			k[keyNwFrag] |= flow.FragLater
			return
		}
	}
	parseL4(b[ihl:total], b[9], false, k)
}

func parseIPv6(data []byte, p int, k []byte, o *Offsets) {
	b := data[p:]
	if len(b) < IPv6Len {
		return
	}
	total := IPv6Len + int(be.Uint16(b[4:]))
	if total > len(b) || len(b)-total > 0xffff {
		return
	}
	o.L3, o.End = p, p+total
	copy(k[keyIPv6Src:keyIPv6Src+32], b[8:40])
	proto, frag, n, ok := ipv6Extensions(b[:total])
	if !ok {
		return
	}
	o.L4 = p + n
	vtf := be.Uint32(b)
	k[keyNwProto], k[keyNwTOS], k[keyNwTTL], k[keyNwFrag] = proto, byte(vtf>>20), b[7], frag
	be.PutUint32(k[keyIPv6Label:], vtf&0xfffff)
	if frag&flow.FragLater == 0 {
		parseL4(b[n:total], proto, true, k)
	}
}

// ipv6Extensions walks the extension headers of an IPv6 packet (b holds all of it and no
// padding) and returns the protocol behind them, nw_frag and where that protocol starts. The
// protocol of a later fragment is 44, as OVS has it. ok is false if they are cut off.
func ipv6Extensions(b []byte) (proto, frag byte, n int, ok bool) {
	proto, n = b[6], IPv6Len
	for {
		switch proto {
		case protoHopOpts, protoRouting, protoDstOpts, protoAH, protoFragment:
		default:
			return proto, frag, n, true
		}
		if len(b)-n < 8 {
			return 0, 0, 0, false
		}
		l := 8
		switch proto {
		case protoHopOpts, protoRouting, protoDstOpts:
			l = (int(b[n+1]) + 1) * 8
		case protoAH:
			l = (int(b[n+1]) + 2) * 4
		case protoFragment:
			if f := be.Uint16(b[n+2:]); f != 0 {
				frag = flow.FragAny
				if f&0xfff8 != 0 {
					return protoFragment, frag | flow.FragLater, n + l, true
				}
			}
		}
		if l > len(b)-n {
			return 0, 0, 0, false
		}
		proto, n = b[n], n+l
	}
}

// parseL4 reads the transport header at the start of b, which has no padding at its end.
func parseL4(b []byte, proto byte, v6 bool, k []byte) {
	switch proto {
	case ProtoTCP:
		if len(b) < TCPLen {
			return
		}
		if l := int(b[12]>>4) * 4; l < TCPLen || l > len(b) {
			return
		}
		copy(k[keyTPSrc:keyTPSrc+4], b)
		be.PutUint16(k[keyTCPFlags:], be.Uint16(b[12:])&0xfff)
	case ProtoUDP:
		if len(b) >= UDPLen {
			copy(k[keyTPSrc:keyTPSrc+4], b)
		}
	case ProtoSCTP:
		if len(b) >= SCTPLen {
			copy(k[keyTPSrc:keyTPSrc+4], b)
		}
	case ProtoICMP, ProtoIGMP:
		if len(b) >= ICMPLen {
			k[keyTPSrc+1], k[keyTPDst+1] = b[0], b[1]
		}
	case ProtoICMPv6:
		if len(b) >= ICMPv6Len {
			k[keyTPSrc+1], k[keyTPDst+1] = b[0], b[1]
			// OVS parses this over IPv4 too, where nothing can match it.
			if v6 && b[1] == 0 && (b[0] == ndSolicit || b[0] == ndAdvert) {
				parseND(b, k)
			}
		}
	}
}

// parseND reads a neighbour solicitation or advertisement. A link-layer address that is given
// twice makes the target and both addresses unknown; an option of bad length ends the options.
func parseND(b, k []byte) {
	copy(k[keyNDReserved:keyNDReserved+4], b[4:8])
	if len(b) < ndLen {
		return
	}
	sll, tll, ok := ndOptions(b, k)
	if !ok {
		return
	}
	copy(k[keyNDTarget:keyNDTarget+16], b[8:24])
	if sll > 0 {
		copy(k[keyARPSHA:keyARPSHA+6], b[sll:])
	}
	if tll > 0 {
		copy(k[keyARPTHA:keyARPTHA+6], b[tll:])
	}
}

// ndOptions finds the source and target link-layer addresses in the options of a neighbour
// discovery message: their offsets, 0 when not there. With a k it notes the first one's type.
func ndOptions(b, k []byte) (sll, tll int, ok bool) {
	for p := ndLen; len(b)-p >= 8; {
		l := int(b[p+1]) * 8
		if l == 0 || l > len(b)-p {
			break
		}
		if l == 8 && (b[p] == ndOptSourceLLA || b[p] == ndOptTargetLLA) {
			at := &sll
			if b[p] == ndOptTargetLLA {
				at = &tll
			}
			// As in OVS, an all-zero address does not count as given.
			if *at != 0 && [6]byte(b[*at:*at+6]) != [6]byte{} {
				return 0, 0, false
			}
			*at = p + 2
			if k != nil && k[keyNDOptType] == 0 {
				k[keyNDOptType] = b[p]
			}
		}
		p += l
	}
	return sll, tll, true
}

// IPv6Payload finds what is behind the extension headers of an IPv6 packet that may be cut off behind
// them: its protocol and where it starts. ok is false where there is none, as in later fragments.
func IPv6Payload(b []byte) (proto uint8, n int, ok bool) {
	proto, frag, n, ok := ipv6Extensions(b)
	return proto, n, ok && frag&flow.FragLater == 0
}

// IPv6Fragment finds the fragment header of a well-formed IPv6 packet: the protocol behind it and the packet's
// identification.
func IPv6Fragment(b []byte) (proto uint8, id uint32, ok bool) {
	for proto, n := b[6], IPv6Len; len(b)-n >= 8; {
		switch proto {
		case protoFragment:
			return b[n], be.Uint32(b[n+4:]), true
		case protoHopOpts, protoRouting, protoDstOpts:
			proto, n = b[n], n+(int(b[n+1])+1)*8
		case protoAH:
			proto, n = b[n], n+(int(b[n+1])+2)*4
		default:
			return 0, 0, false
		}
	}
	return 0, 0, false
}
