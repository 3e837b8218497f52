package underlay

import (
	"context"
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
)

// Sim is the Host of a simulated system: its devices have addresses, but it has no routes and knows no neighbours but
// those that a user adds.
type Sim struct{ devices *netdev.Sim }

// NewSim is the host of simulated devices.
func NewSim(devices *netdev.Sim) Sim { return Sim{devices} }

var _ Host = Sim{}

// Routes implements Host.
func (Sim) Routes() ([]Route, error) { return nil, nil }

// Neighbors implements Host.
func (Sim) Neighbors() ([]Neighbor, error) { return nil, nil }

// RouteTo implements Host.
func (Sim) RouteTo(netip.Addr, uint32) (Route, error) { return Route{}, ErrNoRoute }

// Probe implements Host.
func (Sim) Probe(int, netip.Addr) error { return nil }

// Watch implements Host. Nothing is reported: addresses are read when they are needed.
func (Sim) Watch(context.Context) (*Changes, error) { return NewChanges(), nil }

// Addresses implements Host.
func (s Sim) Addresses() ([]Address, error) {
	var all []Address
	for ifindex, prefixes := range s.devices.Addresses() {
		for _, p := range prefixes {
			all = append(all, Address{ifindex, p})
		}
	}
	return all, nil
}
