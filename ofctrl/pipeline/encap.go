package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// encap adds a header. Types other than Ethernet are refused before they get here (ofctrl's checkActions).
func (x *xlate) encap(a openflow.Encap) {
	if a.Type != 0 {
		x.unsupported("encap of what is not Ethernet")
		return
	}
	x.commit()
	if !x.key.Encap() {
		x.errorf(odp.DropUnsupportedPacketType, "encap(ethernet) of a packet that has an Ethernet header")
	}
}

// decap removes the outermost header.
func (x *xlate) decap() {
	x.commit()
	if !x.key.Decap() {
		x.errorf(odp.DropUnsupportedPacketType, "decap() of a packet with VLAN tags or without an Ethernet header")
	}
}
