package ipfix

import (
	"encoding/binary"
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// Sample is a packet that was sampled.
type Sample struct {
	Key  *flow.Key // of the packet as it was then
	Data []byte    // the packet, with Ethernet header
	// Domain and Point are the observation domain and point.
	Domain, Point uint32
	In            Port
	Out           *Port // nil: not sampled at an output
	Egress        bool  // the direction
	Weight        uint64
	Dropped       bool // the switch sends it nowhere
	Tunnel        *Tunnel
}

// Port is a port of the switch.
type Port struct {
	Index uint32 // of the device; 0: it has none
	Name  string
}

// Tunnel is the outer header of a sampled packet.
type Tunnel struct {
	Type             uint8 // TunnelVXLAN...
	Src, Dst         netip.Addr
	Protocol         uint8
	SrcPort, DstPort uint16
	Key              []byte // 3, 4 or 8 octets
}

// Values of tunnelType.
const (
	TunnelVXLAN  = 1
	TunnelGRE    = 2
	TunnelGeneve = 7
)

// Numbers of protocols.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	ethTypeIPv4 = 0x0800
	ethTypeIPv6 = 0x86dd
	ethLen      = 14
	vlanLen     = 4
)

// shape says which elements tell of the packet.
func (s *Sample) shape() shape {
	k := s.Key
	sh := shape{vlan: k.Get(flow.VLANTCI)&flow.VLANPresent != 0, tunnel: s.Tunnel != nil, egress: s.Out != nil}
	control := uint64(protoICMP)
	switch k.Get(flow.EthType) {
	case ethTypeIPv4:
		sh.network = ipv4
	case ethTypeIPv6:
		sh.network, control = ipv6, protoICMPv6
	default:
		return sh
	}
	switch k.Get(flow.NwProto) {
	case protoTCP:
		sh.transport = tcp
	case protoUDP:
		sh.transport = udp
	case protoSCTP:
		sh.transport = sctp
	case control:
		sh.transport = icmp
	}
	return sh
}

// ethernetLen is the length of the Ethernet header with its tags.
func (s *Sample) ethernetLen() int {
	n := ethLen
	for _, f := range [...]flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if s.Key.Get(f)&flow.VLANPresent != 0 {
			n += vlanLen
		}
	}
	return n
}

// ipLen is the length of an IP packet as its header says.
func (s *Sample) ipLen(n network) uint64 {
	const fixed = 40 // octets of an IPv6 header
	at := s.ethernetLen()
	switch {
	case n == ipv4 && len(s.Data) >= at+4:
		return uint64(binary.BigEndian.Uint16(s.Data[at+2:]))
	case n == ipv6 && len(s.Data) >= at+6:
		return fixed + uint64(binary.BigEndian.Uint16(s.Data[at+4:]))
	}
	return 0
}

// appendKey appends the elements of a record that identify the flow.
func (s *Sample) appendKey(b []byte, sh shape, virtualID string) []byte {
	k := s.Key
	u8 := func(f flow.FieldID) { b = append(b, byte(k.Get(f))) }
	u16 := func(f flow.FieldID) { b = binary.BigEndian.AppendUint16(b, uint16(k.Get(f))) }

	b = binary.BigEndian.AppendUint32(b, s.Point)
	b = append(b, direction(s.Egress))
	b = k.GetBytes(flow.EthSrc, b)
	b = k.GetBytes(flow.EthDst, b)
	u16(flow.EthType)
	b = append(b, byte(s.ethernetLen()))
	b = s.In.append(b)
	if sh.egress {
		b = s.Out.append(b)
	}
	if sh.vlan {
		tci := uint16(k.Get(flow.VLANTCI))
		b = binary.BigEndian.AppendUint16(b, tci&0xfff)
		b = binary.BigEndian.AppendUint16(b, tci&0xfff)
		b = append(b, byte(tci>>13))
	}
	if sh.network != noIP {
		tos := byte(k.Get(flow.NwTOS) | k.Get(flow.NwECN))
		b = append(b, map[network]byte{ipv4: 4, ipv6: 6}[sh.network])
		u8(flow.NwTTL)
		u8(flow.NwProto)
		b = append(b, tos>>2, tos>>5, tos)
	}
	switch sh.network {
	case ipv4:
		b = k.GetBytes(flow.IPv4Src, b)
		b = k.GetBytes(flow.IPv4Dst, b)
	case ipv6:
		b = k.GetBytes(flow.IPv6Src, b)
		b = k.GetBytes(flow.IPv6Dst, b)
		b = binary.BigEndian.AppendUint32(b, uint32(k.Get(flow.IPv6Label)))
	}
	switch {
	case sh.transport == icmp: // its type and code have the places of the ports
		b = append(b, byte(k.Get(flow.TCPSrc)), byte(k.Get(flow.TCPDst)))
	case sh.transport != noTransport:
		u16(flow.TCPSrc)
		u16(flow.TCPDst)
	}
	if sh.tunnel {
		b = s.Tunnel.append(b)
	}
	if virtualID != "" {
		b = appendVariable(b, virtualID)
	}
	return b
}

// direction is flowDirection.
func direction(egress bool) byte {
	if egress {
		return 1
	}
	return 0
}

// append appends the elements of an interface. Of its type and description nothing is known.
func (p *Port) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, p.Index)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = appendVariable(b, p.Name)
	return appendVariable(b, "")
}

func (t *Tunnel) append(b []byte) []byte {
	for _, a := range [...]netip.Addr{t.Src, t.Dst} {
		var four [4]byte // of IPv6 there is no element
		if a.Is4() {
			four = a.As4()
		}
		b = append(b, four[:]...)
	}
	b = append(b, t.Protocol)
	b = binary.BigEndian.AppendUint16(b, t.SrcPort)
	b = binary.BigEndian.AppendUint16(b, t.DstPort)
	b = append(b, t.Type)
	return appendVariable(b, string(t.Key))
}

// appendVariable appends a value of variable length, which is cut where one octet cannot say it.
func appendVariable(b []byte, v string) []byte {
	v = v[:min(len(v), 254)]
	return append(append(b, byte(len(v))), v...)
}
