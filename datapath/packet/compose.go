package packet

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Compose makes a packet whose key is the given one, with valid lengths and checksums and
// payload behind the headers. Words of the key that its Ethertype or protocol does not have
// are ignored. Of a later fragment the transport header is left out.
func Compose(key *flow.Key, payload []byte) []byte {
	k := key.Bytes()
	var b []byte
	if key.Get(flow.PacketType) == 0 {
		b = append(append(b, k[keyEthDst:keyEthDst+6]...), k[keyEthSrc:keyEthSrc+6]...)
		for _, v := range [][2]int{{keyVLANTCI, keyVLANTPID}, {keyVLANTCI2, keyVLANTPID2}} {
			tci, tpid := be.Uint16(k[v[0]:]), be.Uint16(k[v[1]:])
			if tci&flow.VLANPresent == 0 {
				break
			}
			if !isVLAN(tpid) {
				tpid = EthTypeVLAN
			}
			b = be.AppendUint16(be.AppendUint16(b, tpid), tci&^flow.VLANPresent)
		}
	}
	ethType := uint16(key.Get(flow.EthType))
	if ethType == EthTypeNone {
		// LLC of a spanning tree BPDU: a frame without Ethertype.
		body := append([]byte{0x42, 0x42, 3}, payload...)
		return append(be.AppendUint16(b, uint16(min(len(body), ethTypeMin-1))), body...)
	}
	if key.Get(flow.PacketType) == 0 {
		b = be.AppendUint16(b, ethType)
	}
	switch ethType {
	case EthTypeARP, EthTypeRARP:
		b = append(b, 0, 1, 8, 0, 6, 4, 0, k[keyNwProto])
		b = append(append(b, k[keyARPSHA:keyARPSHA+6]...), k[keyIPv4Src:keyIPv4Src+4]...)
		return append(append(b, k[keyARPTHA:keyARPTHA+6]...), k[keyIPv4Dst:keyIPv4Dst+4]...)
	case EthTypeMPLS, EthTypeMPLSMulticast:
		for i := range MaxMPLS {
			lse := k[keyMPLSLSE0+4*i : keyMPLSLSE0+4*i+4]
			b = append(b, lse...)
			if lse[2]&1 != 0 {
				break
			}
		}
		return append(b, payload...)
	case EthTypeIPv4:
		return composeIPv4(b, k, payload)
	case EthTypeIPv6:
		return composeIPv6(b, k, payload)
	}
	return append(b, payload...)
}

func composeIPv4(b, k, payload []byte) []byte {
	var frag uint16
	if k[keyNwFrag]&flow.FragLater != 0 {
		frag = 0x2000 | 100 // an offset of 800 bytes, and more to come
	} else if k[keyNwFrag]&flow.FragAny != 0 {
		frag = 0x2000
	}
	src, dst := k[keyIPv4Src:keyIPv4Src+4], k[keyIPv4Dst:keyIPv4Dst+4]
	body := composeL4(k, PseudoHeader(src, dst, k[keyNwProto]), false, payload)
	h := make([]byte, IPv4Len, IPv4Len+len(body))
	h[0], h[1], h[8], h[9] = 0x45, k[keyNwTOS], k[keyNwTTL], k[keyNwProto]
	be.PutUint16(h[2:], uint16(IPv4Len+len(body)))
	be.PutUint16(h[6:], frag)
	copy(h[12:], src)
	copy(h[16:], dst)
	be.PutUint16(h[10:], Checksum(h, 0))
	return append(append(b, h...), body...)
}

func composeIPv6(b, k, payload []byte) []byte {
	src, dst := k[keyIPv6Src:keyIPv6Src+16], k[keyIPv6Dst:keyIPv6Dst+16]
	body := composeL4(k, PseudoHeader(src, dst, k[keyNwProto]), true, payload)
	next := k[keyNwProto]
	switch frag := k[keyNwFrag]; {
	case frag&flow.FragLater != 0:
		body = append([]byte{59, 0, 3, 0x20, 0, 0, 0, 1}, body...) // 59: what follows is not said
		next = protoFragment
	case frag != 0:
		body = append([]byte{next, 0, 0, 1, 0, 0, 0, 1}, body...)
		next = protoFragment
	}
	b = be.AppendUint32(b, 6<<28|uint32(k[keyNwTOS])<<20|be.Uint32(k[keyIPv6Label:])&0xfffff)
	b = append(be.AppendUint16(b, uint16(len(body))), next, k[keyNwTTL])
	return append(append(append(b, src...), dst...), body...)
}

// composeL4 makes the transport header and payload; pseudo is the pseudo header's sum without
// the length.
func composeL4(k []byte, pseudo uint32, v6 bool, payload []byte) []byte {
	if k[keyNwFrag]&flow.FragLater != 0 {
		return payload
	}
	ports := k[keyTPSrc : keyTPSrc+4]
	var b []byte
	sumAt := -1
	switch proto := k[keyNwProto]; {
	case proto == ProtoTCP:
		b = append(append(b, ports...), make([]byte, TCPLen-4)...)
		be.PutUint16(b[12:], 5<<12|be.Uint16(k[keyTCPFlags:])&0xfff)
		sumAt = 16
	case proto == ProtoUDP:
		b = be.AppendUint16(append(b, ports...), uint16(UDPLen+len(payload)))
		b = append(b, 0, 0)
		sumAt = 6
	case proto == ProtoSCTP:
		b = append(append(b, ports...), make([]byte, SCTPLen-4)...)
	case proto == ProtoICMP || proto == ProtoIGMP:
		b = []byte{ports[1], ports[3], 0, 0, 0, 0, 0, 0}
		sumAt, pseudo = 2, 0
	case proto == ProtoICMPv6:
		b = []byte{ports[1], ports[3], 0, 0, 0, 0, 0, 0}
		sumAt = 2
		if v6 && ports[3] == 0 && (ports[1] == ndSolicit || ports[1] == ndAdvert) {
			copy(b[4:], k[keyNDReserved:keyNDReserved+4])
			b = append(b, k[keyNDTarget:keyNDTarget+16]...)
			b = append(b, composeNDOptions(k)...)
			payload = nil // it would be options
		}
		if !v6 {
			pseudo = 0
		}
	default:
		return payload
	}
	b = append(b, payload...)
	if sumAt >= 0 {
		if pseudo != 0 {
			pseudo += uint32(len(b))
		}
		c := Checksum(b, pseudo)
		if c == 0 && k[keyNwProto] == ProtoUDP {
			c = 0xffff
		}
		be.PutUint16(b[sumAt:], c)
	}
	if k[keyNwProto] == ProtoSCTP {
		FinishSCTP(b)
	}
	return b
}

func composeNDOptions(k []byte) (b []byte) {
	sll, tll := k[keyARPSHA:keyARPSHA+6], k[keyARPTHA:keyARPTHA+6]
	first := k[keyNDOptType]
	add := func(kind byte, addr []byte) {
		if kind == first || [6]byte(addr) != [6]byte{} {
			b = append(append(b, kind, 1), addr...)
		}
	}
	if first == ndOptTargetLLA {
		add(ndOptTargetLLA, tll)
		add(ndOptSourceLLA, sll)
	} else {
		add(ndOptSourceLLA, sll)
		add(ndOptTargetLLA, tll)
	}
	return b
}
