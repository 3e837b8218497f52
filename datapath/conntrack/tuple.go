package conntrack

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Tuple identifies one direction of a connection. It has 40 bytes without gaps, so that it can be a
// map's key in eBPF as it is here.
type Tuple struct {
	Src, Dst [16]byte // IPv4 addresses are mapped (RFC 4291 section 2.5.5.2)
	// SrcPort and DstPort are 0 for protocols without ports. Of ICMP queries SrcPort is the identifier, and
	// DstPort is type<<8 | code.
	SrcPort, DstPort uint16
	Zone             uint16
	Proto            uint8
	Family           uint8 // FamilyIPv4 or FamilyIPv6
}

// Families of a Tuple.
const (
	FamilyIPv4 = 4
	FamilyIPv6 = 6
)

// ICMP reports whether the tuple has an identifier, type and code in the place of ports.
func (t *Tuple) ICMP() bool {
	return t.Family == FamilyIPv4 && t.Proto == packet.ProtoICMP || t.Family == FamilyIPv6 && t.Proto == packet.ProtoICMPv6
}

// ICMPType and ICMPCode are those of an ICMP query.
func (t *Tuple) ICMPType() uint8 { return uint8(t.DstPort >> 8) }

// ICMPCode is the code of an ICMP query.
func (t *Tuple) ICMPCode() uint8 { return uint8(t.DstPort) }

// ports reports whether the protocol has ports.
func (t *Tuple) ports() bool {
	return t.Proto == packet.ProtoTCP || t.Proto == packet.ProtoUDP || t.Proto == packet.ProtoSCTP
}

// Reverse is the tuple of packets that answer.
func (t *Tuple) Reverse() Tuple {
	r := *t
	r.Src, r.Dst = t.Dst, t.Src
	if t.ICMP() {
		r.DstPort = uint16(answer(t.Family, t.ICMPType()))<<8 | t.DstPort&0xff
	} else {
		r.SrcPort, r.DstPort = t.DstPort, t.SrcPort
	}
	return r
}

// Types of ICMP messages (RFC 792, RFC 4443).
const (
	icmpEchoReply      = 0
	icmpUnreachable    = 3
	icmpSourceQuench   = 4
	icmpRedirect       = 5
	icmpEcho           = 8
	icmpTimeExceeded   = 11
	icmpParameter      = 12
	icmpTimestamp      = 13
	icmpTimestampReply = 14
	icmpInfo           = 15
	icmpInfoReply      = 16

	icmp6Unreachable  = 1
	icmp6TooBig       = 2
	icmp6TimeExceeded = 3
	icmp6Parameter    = 4
	icmp6Echo         = 128
	icmp6EchoReply    = 129
)

// answer is the type of the message that answers a query, and the query's of the answer.
func answer(family, typ uint8) uint8 {
	if family == FamilyIPv6 {
		switch typ {
		case icmp6Echo, icmp6EchoReply:
			return typ ^ 1
		}
		return typ
	}
	switch typ {
	case icmpEcho:
		return icmpEchoReply
	case icmpEchoReply:
		return icmpEcho
	case icmpTimestamp, icmpTimestampReply:
		return icmpTimestamp + icmpTimestampReply - typ
	case icmpInfo, icmpInfoReply:
		return icmpInfo + icmpInfoReply - typ
	}
	return typ
}

// query says of an ICMP type whether messages of it have an identifier (they ask or answer), and
// whether one may begin a connection (it asks).
func query(family, typ uint8) (has, asks bool) {
	if family == FamilyIPv6 {
		return typ == icmp6Echo || typ == icmp6EchoReply, typ == icmp6Echo
	}
	switch typ {
	case icmpEcho, icmpTimestamp, icmpInfo:
		return true, true
	case icmpEchoReply, icmpTimestampReply, icmpInfoReply:
		return true, false
	}
	return false, false
}

// reports says of an ICMP type whether it is an error that carries the packet which it is about.
func reports(family, typ uint8) bool {
	if family == FamilyIPv6 {
		return typ >= icmp6Unreachable && typ <= icmp6Parameter
	}
	switch typ {
	case icmpUnreachable, icmpSourceQuench, icmpRedirect, icmpTimeExceeded, icmpParameter:
		return true
	}
	return false
}

// mapped is an address of 4 or 16 bytes as a Tuple has it.
func mapped(b []byte) (a [16]byte) {
	if len(b) == 4 {
		return netip.AddrFrom4([4]byte(b)).As16()
	}
	copy(a[:], b)
	return a
}

// wire is an address of a Tuple as packets have it; it aliases a.
func wire(family uint8, a *[16]byte) []byte {
	if family == FamilyIPv4 {
		return a[12:]
	}
	return a[:]
}
