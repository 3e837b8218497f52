package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// nsEthertype is the namespace of packet types whose number is an Ethertype, as it stands in a packet_type.
const nsEthertype = 1 << 16

// Decap takes the Ethernet header off. It reports whether it could: the packet has one, and no tags. What was done to
// the header must have been committed.
func (k *Key) Decap() bool {
	if k.Get(flow.PacketType) != 0 || k.hasTag(0) {
		return false
	}
	k.setPacketType(nsEthertype | k.Get(flow.EthType))
	return true
}

// Encap puts an Ethernet header of zero addresses on. It reports whether it could: the packet has none.
func (k *Key) Encap() bool {
	if k.Get(flow.PacketType)&^0xffff != nsEthertype {
		return false
	}
	k.setPacketType(0)
	return true
}

func (k *Key) setPacketType(t uint64) {
	k.now.key.Set(flow.PacketType, t)
	k.now.written.SetExact(flow.PacketType)
	for _, f := range ethFields {
		k.now.key.Set(f, 0)
		k.now.written.SetExact(f)
	}
}

// commitEthernet takes the datapath's Ethernet header off or gives the packet one.
func (k *Key) commitEthernet(out []odp.Action) []odp.Action {
	now, was := k.now.key.Get(flow.PacketType), k.base.key.Get(flow.PacketType)
	if now == was {
		return out
	}
	if now != 0 {
		out = append(out, odp.PopEth{})
	} else {
		for _, f := range ethFields { // the packet's own again, if what took them off was undone
			k.wc.Set(f, k.wc.Get(f)|0xffffffffffff&^k.now.written.Get(f))
		}
		var push odp.PushEth
		copy(push.Src[:], k.now.key.GetBytes(flow.EthSrc, nil))
		copy(push.Dst[:], k.now.key.GetBytes(flow.EthDst, nil))
		out = append(out, push)
	}
	k.base.key.Set(flow.PacketType, now)
	for _, f := range ethFields {
		k.base.key.Set(f, k.now.key.Get(f))
		k.base.written.SetExact(f)
	}
	return out
}
