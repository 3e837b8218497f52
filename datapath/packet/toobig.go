package packet

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// What TooBig looks at and makes (RFC 792, RFC 1191, RFC 4443, RFC 8200).
const (
	icmpUnreachable = 3
	icmpFragNeeded  = 4
	icmpEcho        = 8
	icmpEchoReply   = 0
	icmp6TooBig     = 2
	icmp6Info       = 128 // types from here on are no errors
	icmpHeader      = 8
	ipv4DF          = 0x4000
	minMTU4         = 576 // an ICMP error is no longer, and hosts take packets of that size
	minMTU6         = 1280
	defaultTTL      = 64
)

// TooBig answers a frame whose IP packet is longer than mtu bytes, as the kernel's tunnels do: an ICMP error "fragmentation
// needed" or an ICMPv6 error "packet too big" comes back from where the packet went. nil: such a packet gets no answer. It is
// not IP, IPv4 that may be fragmented, an error itself, or not from one host to another; or mtu is below what IP demands.
func TooBig(frame []byte, mtu int) []byte {
	var key flow.Key
	o := Parse(frame, &key)
	if o.L3 < 0 {
		return nil
	}
	l2 := append([]byte(nil), frame[:o.L3]...)
	copy(l2, frame[6:12])
	copy(l2[6:], frame[:6])
	ip := frame[o.L3:o.End]
	switch key.Get(flow.EthType) {
	case EthTypeIPv4:
		return tooBig4(l2, ip, mtu)
	case EthTypeIPv6:
		return tooBig6(l2, ip, mtu, uint8(key.Get(flow.NwProto)), o.L4-o.L3)
	}
	return nil
}

// between reports whether a packet is from one host to another.
func between(src, dst []byte) bool {
	for _, b := range [...][]byte{src, dst} {
		a, _ := netip.AddrFromSlice(b)
		if a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return false
		}
	}
	return true
}

func tooBig4(l2, ip []byte, mtu int) []byte {
	ihl := int(ip[0]&15) * 4
	if mtu < minMTU4 || be.Uint16(ip[6:]) != ipv4DF || !between(ip[12:16], ip[16:20]) {
		return nil
	}
	if ip[9] == ProtoICMP && (len(ip) <= ihl || ip[ihl] != icmpEcho && ip[ihl] != icmpEchoReply) {
		return nil
	}
	quote := ip[:min(len(ip), minMTU4-IPv4Len-icmpHeader)]
	b := append(l2, 0x45, 0)
	b = be.AppendUint16(b, uint16(IPv4Len+icmpHeader+len(quote)))
	b = append(b, 0, 0, ipv4DF>>8, 0, defaultTTL, ProtoICMP, 0, 0)
	b = append(append(b, ip[16:20]...), ip[12:16]...)
	head := b[len(l2):]
	be.PutUint16(head[10:], Checksum(head, 0))
	at := len(b)
	b = append(b, icmpUnreachable, icmpFragNeeded, 0, 0, 0, 0)
	b = append(be.AppendUint16(b, uint16(min(mtu, 0xffff))), quote...)
	be.PutUint16(b[at+2:], Checksum(b[at:], 0))
	return b
}

func tooBig6(l2, ip []byte, mtu int, proto uint8, l4 int) []byte {
	if mtu < minMTU6 || !between(ip[8:24], ip[24:40]) {
		return nil
	}
	if proto == ProtoICMPv6 && (l4 <= 0 || len(ip) <= l4 || ip[l4] < icmp6Info) {
		return nil
	}
	quote := ip[:min(len(ip), minMTU6-IPv6Len-icmpHeader)]
	b := append(l2, 0x60, 0, 0, 0)
	b = append(be.AppendUint16(b, uint16(icmpHeader+len(quote))), ProtoICMPv6, defaultTTL)
	b = append(append(b, ip[24:40]...), ip[8:24]...)
	at := len(b)
	b = append(b, icmp6TooBig, 0, 0, 0)
	b = append(be.AppendUint32(b, uint32(mtu)), quote...)
	be.PutUint16(b[at+2:], Checksum(b[at:], PseudoHeader(ip[24:40], ip[8:24], ProtoICMPv6)+uint32(len(b)-at)))
	return b
}
