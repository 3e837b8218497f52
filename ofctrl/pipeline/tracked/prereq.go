package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// ctTracked is ct_state's "trk" bit.
const ctTracked = 0x20

const ethTypeNSH = 0x894f

// Has reports whether the packet is such that fields with the prerequisite exist in it
// (ovs-fields(7)), un-wildcarding what decides that. A later fragment has no transport fields.
func (k *Key) Has(p flow.Prereq) bool {
	switch p {
	case flow.PrereqNone:
		return true
	case flow.PrereqEthernet:
		return k.Get(flow.PacketType) == 0
	case flow.PrereqVLAN:
		return k.hasTag(0)
	case flow.PrereqIPv4:
		return k.ethType(packet.EthTypeIPv4)
	case flow.PrereqIPv6:
		return k.ethType(packet.EthTypeIPv6)
	case flow.PrereqIP:
		return k.ethType(packet.EthTypeIPv4) || k.ethType(packet.EthTypeIPv6)
	case flow.PrereqARP:
		return k.ethType(packet.EthTypeARP) || k.ethType(packet.EthTypeRARP)
	case flow.PrereqMPLS:
		return packet.IsMPLS(uint16(k.Get(flow.EthType)))
	case flow.PrereqNSH:
		return k.ethType(ethTypeNSH)
	case flow.PrereqTCP:
		return k.Has(flow.PrereqIP) && k.transport(packet.ProtoTCP)
	case flow.PrereqUDP:
		return k.Has(flow.PrereqIP) && k.transport(packet.ProtoUDP)
	case flow.PrereqSCTP:
		return k.Has(flow.PrereqIP) && k.transport(packet.ProtoSCTP)
	case flow.PrereqICMPv4:
		return k.Has(flow.PrereqIPv4) && k.transport(packet.ProtoICMP)
	case flow.PrereqICMPv6:
		return k.Has(flow.PrereqIPv6) && k.transport(packet.ProtoICMPv6)
	case flow.PrereqND:
		return k.Has(flow.PrereqNDSolicit) || k.Has(flow.PrereqNDAdvert)
	case flow.PrereqNDSolicit:
		return k.nd(ndSolicit)
	case flow.PrereqNDAdvert:
		return k.nd(ndAdvert)
	case flow.PrereqCT:
		return k.Get(flow.CTState)&ctTracked != 0
	}
	return false
}

// ICMPv6 types (RFC 4861).
const (
	ndSolicit = 135
	ndAdvert  = 136
)

func (k *Key) ethType(t uint64) bool { return k.Get(flow.EthType) == t }

func (k *Key) transport(proto uint64) bool {
	return k.Get(flow.IPFrag)&flow.FragLater == 0 && k.Get(flow.NwProto) == proto
}

func (k *Key) nd(t uint64) bool {
	return k.Has(flow.PrereqICMPv6) && k.Get(flow.ICMPv6Type) == t && k.Get(flow.ICMPv6Code) == 0
}
