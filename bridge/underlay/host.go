// Package underlay is the agent's view of the network that tunnels run over: the host's routes, addresses and
// neighbours, routes that the user adds (ovs/route/add), and the next hop of every tunnel's remote address, found, kept
// current and handed to the datapath.
package underlay

import (
	"context"
	"errors"
	"net/netip"
)

// ErrNoRoute is the error of Host.RouteTo, and what wraps it, when there is no way to an address.
var ErrNoRoute = errors.New("no route")

// Host is where routes, addresses and neighbours come from: Linux, or a simulated one.
type Host interface {
	// Routes are the unicast and local routes of the tables main and local.
	Routes() ([]Route, error)
	Addresses() ([]Address, error)
	Neighbors() ([]Neighbor, error)
	// RouteTo asks which way packets with a mark take. Its error wraps ErrNoRoute when there is none.
	RouteTo(dst netip.Addr, mark uint32) (Route, error)
	// Probe has the host find a neighbour's address, or confirm the one that it knows. What it finds, Watch reports.
	Probe(ifindex int, ip netip.Addr) error
	// Watch subscribes to changes until ctx ends. It reports none before it returns, and loses none afterwards.
	Watch(ctx context.Context) (*Changes, error)
}

// Route is a way to a prefix.
type Route struct {
	Dst     netip.Prefix
	Mark    uint32 // of packets that take it
	Ifindex int
	Gateway netip.Addr // not valid: the destination is on the link
	Src     netip.Addr // not valid: not said
	Local   bool       // the destination is the host itself
	Metric  int        // of several to one prefix the least is taken
	MTU     int        // bytes of IP packets, 0: the device's
	Device  string     // of a user's route, which may name one that does not exist yet; else empty
}

// Address is an address of the host.
type Address struct {
	Ifindex int
	Prefix  netip.Prefix // the address, and the prefix that is on the link
}

// NeighborKey names a neighbour.
type NeighborKey struct {
	Ifindex int
	IP      netip.Addr
}

// Neighbor is a host on a link.
type Neighbor struct {
	NeighborKey
	MAC [6]byte // zero: not known
	// Failed: it has not answered.
	Failed bool
	// Static: it was set by hand, or the device needs none. There is nothing to find out.
	Static bool
}
