package datapath

import (
	"fmt"
	"net/netip"
)

// TunnelSpec says how a tunnel port of a datapath encapsulates. OpenFlow ports share it: addresses, key and options of each packet
// are in its key, put there by set(tunnel(...)) before the output, or by decapsulation.
type TunnelSpec struct {
	Type    string // "vxlan", "geneve", "gre", "ip6gre": OVSDB Interface types
	DstPort uint16 // UDP port that is listened on and sent to, 0 for types without
	GBP     bool   // VXLAN with the group based policy extension
	// Native: the datapath builds and takes off the outer headers itself, see Underlayer. Else the port's device, a
	// metadata device of the kernel, does.
	Native bool
}

// text is what dpctl/show says of a tunnel's port beside its type, as OVS does.
func (t *TunnelSpec) text() string {
	if t == nil {
		return ""
	}
	s := ": "
	if t.DstPort != map[string]uint16{"vxlan": 4789, "geneve": 6081}[t.Type] {
		s += fmt.Sprintf("dst_port=%d, ", t.DstPort)
	}
	return s + "packet_type=ptap"
}

// NextHop is how packets of native tunnels to one address leave the host.
type NextHop struct {
	Dst     netip.Addr // outer destination
	Mark    uint32     // packet mark that the route was looked up with
	Src     netip.Addr // outer source where the tunnel leaves it open
	Ifindex int        // device that the outer packet is sent out of
	// Outer Ethernet addresses. DstMAC zero: the neighbour is not resolved; packets wait in user space.
	SrcMAC, DstMAC [6]byte
	MTU            int // of the way, bytes of the outer IP packet
	// Local: Dst is the host itself and Ifindex its loopback device, whose addresses are zero. Nothing has to be resolved.
	Local bool
}

// UnderlayDevice is a device of the host on which encapsulated packets arrive.
type UnderlayDevice struct {
	Ifindex   int
	Addresses []netip.Addr // local ones that packets may be for
}

// Underlayer is a Datapath with native tunnels. The agent keeps it informed of the host's routes, neighbours and addresses.
type Underlayer interface {
	// SetNextHop adds or changes the next hop of its (Dst, Mark).
	SetNextHop(NextHop) error
	// DelNextHop forgets one: packets to it go up, to be resolved, or are dropped and counted.
	DelNextHop(dst netip.Addr, mark uint32) error
	// SetUnderlay says where encapsulated packets arrive, all of it.
	SetUnderlay([]UnderlayDevice) error
}

// TunnelPortRanger is an Underlayer that takes the outer UDP source ports of packets, which tell their flows apart, from
// a range (tnl/egress_port_range). Until told, it is the default one.
type TunnelPortRanger interface {
	SetTunnelPorts(first, last uint16) error
}

// The outer UDP source ports of Linux and OVS.
const (
	DefaultTunnelPortFirst = 32768
	DefaultTunnelPortLast  = 61000
)

// Resolver finds the next hops that an Underlayer asks for: packets of native tunnels without one come up.
type Resolver interface {
	// Resolve has a packet wait for the next hop of (dst, mark). send executes it again, once the datapath knows the
	// next hop; it runs before Resolve returns or later on another goroutine, or never, and then the drop is counted.
	// What send needs it must own: size says how many bytes that are. Safe for concurrent use.
	Resolve(dst netip.Addr, mark uint32, size int, send func())
}
