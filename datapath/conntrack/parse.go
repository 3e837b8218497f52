package conntrack

import (
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

var be = binary.BigEndian

// header is what tracking needs to know of an IP packet.
type header struct {
	tuple Tuple // Zone is not set
	// related: the packet is an ICMP error, and tuple is that of the packet which it is about, reversed: the
	// direction in which the error goes.
	related        bool
	l3, l4         int // where the IP header and what is behind it start
	end            int // of the IP packet
	inner3, inner4 int // the same of the packet that an error is about
	// frag has the bits of nw_frag. A later fragment has no ports yet.
	frag   uint8
	fragID uint32
	more   bool // other fragments of the packet stand behind this one
	// wrong says which checksum was wrong.
	wrong wrong
}

type wrong uint8

const (
	wrongL3 wrong = iota + 1
	wrongL4
)

// parse reads a packet; false: it cannot be tracked. verify says that checksums must be right.
func (h *header) parse(p *packet.Packet, key *flow.Key, verify bool) bool {
	var parsed flow.Key
	parsed.Set(flow.PacketType, key.Get(flow.PacketType))
	o := packet.Parse(p.Data, &parsed)
	if o.L3 < 0 || o.L4 < 0 {
		return false
	}
	h.l3, h.l4, h.end = o.L3, o.L4, o.End
	ip, l4 := p.Data[o.L3:o.End], p.Data[o.L4:o.End]
	switch version := ip[0] >> 4; {
	case version == 4 && parsed.Get(flow.EthType) == packet.EthTypeIPv4:
		if verify && packet.Checksum(ip[:o.L4-o.L3], 0) != 0 {
			h.wrong = wrongL3
			return false
		}
	case version == 6 && parsed.Get(flow.EthType) == packet.EthTypeIPv6:
	default:
		return false
	}
	h.addresses(ip)
	h.tuple.Proto = uint8(parsed.Get(flow.NwProto))
	if h.frag = uint8(parsed.Get(flow.IPFrag)); h.frag != 0 {
		if !h.fragmentID(ip) {
			return false
		}
		// Checksums are those of the whole packet.
		return h.later() || h.transport(l4, true)
	}
	if verify && !h.verify(p, ip, l4) {
		h.wrong = wrongL4
		return false
	}
	return h.transport(l4, true)
}

// fragmentID reads what the fragments of a packet have in common.
func (h *header) fragmentID(ip []byte) (ok bool) {
	if h.tuple.Family == FamilyIPv4 {
		h.fragID, h.more = uint32(be.Uint16(ip[4:])), ip[6]&0x20 != 0
		return true
	}
	proto, id, ok := packet.IPv6Fragment(ip)
	h.fragID, h.more = id, true
	if h.later() {
		h.tuple.Proto = proto // which flow.Key does not have
		h.more = ip[h.l4-h.l3-5]&1 != 0
	}
	return ok
}

// addresses reads those of an IP header.
func (h *header) addresses(ip []byte) {
	if ip[0]>>4 == 4 {
		h.tuple.Family = FamilyIPv4
		h.tuple.Src, h.tuple.Dst = mapped(ip[12:16]), mapped(ip[16:20])
		return
	}
	h.tuple.Family = FamilyIPv6
	h.tuple.Src, h.tuple.Dst = [16]byte(ip[8:24]), [16]byte(ip[24:40])
}

// transport reads what is behind the IP header: all of it (whole), or as much as an ICMP error carries.
func (h *header) transport(b []byte, whole bool) bool {
	t := &h.tuple
	switch {
	case t.Proto == packet.ProtoTCP:
		if whole {
			if len(b) < packet.TCPLen {
				return false
			}
			if n := int(b[12]>>4) * 4; n < packet.TCPLen || n > len(b) {
				return false
			}
		}
		return h.ports(b)
	case t.Proto == packet.ProtoUDP:
		if whole && (len(b) < packet.UDPLen || h.frag == 0 && int(be.Uint16(b[4:])) != len(b)) {
			return false
		}
		return h.ports(b)
	case t.Proto == packet.ProtoSCTP:
		if whole && len(b) < packet.SCTPLen {
			return false
		}
		return h.ports(b)
	case t.ICMP():
		return h.icmp(b, whole)
	}
	return true
}

// carried is how much an ICMP error has at least of the packet behind the IP header (RFC 792).
const carried = 8

func (h *header) ports(b []byte) bool {
	if len(b) < carried {
		return false
	}
	h.tuple.SrcPort, h.tuple.DstPort = be.Uint16(b), be.Uint16(b[2:])
	return true
}

func (h *header) icmp(b []byte, whole bool) bool {
	if len(b) < packet.ICMPLen {
		return false
	}
	typ, code := b[0], b[1]
	switch has, _ := query(h.tuple.Family, typ); {
	case has:
		if code != 0 { // none has another
			return false
		}
		h.tuple.SrcPort, h.tuple.DstPort = be.Uint16(b[4:]), uint16(typ)<<8
		return true
	case whole && reports(h.tuple.Family, typ):
		return h.report(b[packet.ICMPLen:], h.l4+packet.ICMPLen)
	}
	return false
}

// report reads the packet b that an ICMP error is about; at is where it starts.
func (h *header) report(b []byte, at int) bool {
	var inner header
	n, proto := 0, uint8(0)
	if h.tuple.Family == FamilyIPv4 {
		if len(b) < packet.IPv4Len || b[0]>>4 != 4 {
			return false
		}
		if n = int(b[0]&15) * 4; n < packet.IPv4Len || n > len(b) || be.Uint16(b[6:])&0x1fff != 0 {
			return false
		}
		proto = b[9]
	} else {
		var ok bool
		if len(b) < packet.IPv6Len || b[0]>>4 != 6 {
			return false
		}
		if proto, n, ok = packet.IPv6Payload(b); !ok {
			return false
		}
	}
	inner.addresses(b)
	inner.tuple.Proto = proto
	// An error goes to who sent the packet.
	if inner.tuple.Src != h.tuple.Dst || !inner.transport(b[n:], false) {
		return false
	}
	h.tuple, h.related = inner.tuple.Reverse(), true
	h.inner3, h.inner4 = at, at+n
	return true
}

// verify checks the checksum of the transport header.
func (h *header) verify(p *packet.Packet, ip, b []byte) bool {
	t := &h.tuple
	src, dst := wire(t.Family, &t.Src), wire(t.Family, &t.Dst)
	pseudo := func() uint32 {
		return uint32(^packet.Checksum([]byte{byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))},
			packet.PseudoHeader(src, dst, t.Proto)))
	}
	if p.GSO.NeedsCsum && int(p.GSO.CsumStart) == h.l4 {
		return true // not finished yet
	}
	switch {
	case t.Proto == packet.ProtoTCP:
		return packet.Checksum(b, pseudo()) == 0
	case t.Proto == packet.ProtoUDP:
		if len(b) < packet.UDPLen {
			return false
		}
		if be.Uint16(b[6:]) == 0 {
			return t.Family == FamilyIPv4 // an IPv6 packet must have one (RFC 8200 section 8.1)
		}
		return packet.Checksum(b, pseudo()) == 0
	case t.Proto == packet.ProtoSCTP:
		return packet.ValidSCTP(b)
	case t.Family == FamilyIPv4 && t.Proto == packet.ProtoICMP:
		return packet.Checksum(b, 0) == 0
	case t.Family == FamilyIPv6 && t.Proto == packet.ProtoICMPv6:
		return packet.Checksum(b, pseudo()) == 0
	}
	return true
}
