package packet

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// The functions below change which headers a packet has and bring the key's header words up to
// date. Where the packet has no header of the kind they leave both alone and return false.

// PushVLAN adds a VLAN header outside all others.
func PushVLAN(p *Packet, key *flow.Key, tpid, tci uint16) bool {
	if len(p.Data) < EthLen || key.Get(flow.PacketType) != 0 {
		return false
	}
	p.insert(12, VLANLen)
	be.PutUint16(p.Data[12:], tpid)
	be.PutUint16(p.Data[14:], tci&^flow.VLANPresent)
	Reextract(p.Data, key)
	return true
}

// PopVLAN removes the outermost VLAN header.
func PopVLAN(p *Packet, key *flow.Key) bool {
	if key.Get(flow.PacketType) != 0 || len(p.Data) < EthLen+VLANLen || !isVLAN(be.Uint16(p.Data[12:])) {
		return false
	}
	p.remove(12, VLANLen)
	Reextract(p.Data, key)
	return true
}

// setEthType writes the Ethertype in front of what the key's Ethertype announces.
func setEthType(p *Packet, key *flow.Key, o *Offsets, t uint16) {
	if o.Net >= 2 && key.Get(flow.PacketType) == 0 {
		be.PutUint16(p.Data[o.Net-2:], t)
	} else {
		key.Set(flow.PacketType, 1<<16|uint64(t))
	}
}

// locate is where the headers of a packet are.
func locate(p *Packet, key *flow.Key) Offsets {
	var k flow.Key
	k.Set(flow.PacketType, key.Get(flow.PacketType))
	return Parse(p.Data, &k)
}

// PushMPLS adds a label stack entry in front of the network header or the other labels.
func PushMPLS(p *Packet, key *flow.Key, lse uint32, ethType uint16) bool {
	o := locate(p, key)
	// A frame without Ethertype has no place to say that labels follow.
	if !IsMPLS(ethType) || o.Net < 0 || key.Get(flow.EthType) < ethTypeMin {
		return false
	}
	setEthType(p, key, &o, ethType)
	p.insert(o.Net, MPLSLen)
	be.PutUint32(p.Data[o.Net:], lse)
	Reextract(p.Data, key)
	return true
}

// PopMPLS removes the outermost label stack entry; ethType says what is below it.
func PopMPLS(p *Packet, key *flow.Key, ethType uint16) bool {
	o := locate(p, key)
	if o.MPLS < 0 || len(p.Data) < o.MPLS+MPLSLen {
		return false
	}
	setEthType(p, key, &o, ethType)
	p.remove(o.MPLS, MPLSLen)
	Reextract(p.Data, key)
	return true
}

// PushEth adds an Ethernet header to a packet that has none.
func PushEth(p *Packet, key *flow.Key, src, dst [6]byte) bool {
	pt := key.Get(flow.PacketType)
	if pt == 0 {
		return false
	}
	p.insert(0, EthLen)
	copy(p.Data, dst[:])
	copy(p.Data[6:], src[:])
	be.PutUint16(p.Data[12:], uint16(pt))
	key.Set(flow.PacketType, 0)
	Reextract(p.Data, key)
	return true
}

// PopEth removes the Ethernet header of a packet without VLAN headers.
func PopEth(p *Packet, key *flow.Key) bool {
	o := locate(p, key)
	if key.Get(flow.PacketType) != 0 || o.Net != EthLen || key.Get(flow.EthType) < ethTypeMin {
		return false
	}
	key.Set(flow.PacketType, 1<<16|key.Get(flow.EthType))
	p.remove(0, EthLen)
	Reextract(p.Data, key)
	return true
}
