package underlay

import (
	"net/netip"
	"reflect"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// arrivals are the devices on which encapsulated packets may arrive: those with addresses that others can send to, and
// those that next hops lead out of. Packets of devices that a bridge has taken never reach the host. The caller holds mu.
func (u *Underlay) arrivals() []datapath.UnderlayDevice {
	if !u.demand.native() {
		return nil
	}
	used := map[int]bool{}
	for _, h := range u.hops {
		if h.pushed != nil {
			used[h.pushed.Ifindex] = true
		}
	}
	of := map[int][]netip.Addr{}
	for _, a := range u.addresses {
		d, ok := u.devices[a.Ifindex]
		ip := a.Prefix.Addr()
		if !ok || u.demand.Taken[d.Name] {
			continue
		}
		of[d.Ifindex] = append(of[d.Ifindex], ip)
		// Every device has a link-local address.
		used[d.Ifindex] = used[d.Ifindex] || !ip.IsLoopback() && !ip.IsLinkLocalUnicast()
	}
	var list []datapath.UnderlayDevice
	for ifindex, addresses := range of {
		d := u.devices[ifindex]
		if !used[ifindex] || !d.Up || (!d.Ethernet && !d.Loopback) {
			continue
		}
		if d.Loopback {
			// The host's packets to itself are for any of its addresses.
			addresses = nil
			for _, a := range u.addresses {
				addresses = append(addresses, a.Prefix.Addr())
			}
		}
		slices.SortFunc(addresses, netip.Addr.Compare)
		list = append(list, datapath.UnderlayDevice{Ifindex: ifindex, Addresses: slices.Compact(addresses)})
	}
	slices.SortFunc(list, func(a, b datapath.UnderlayDevice) int { return a.Ifindex - b.Ifindex })
	return list
}

// heard reports whether what bridges need and the devices that have addresses are known: until then what an earlier run left
// goes on. The caller holds mu.
func (u *Underlay) heard() bool {
	return u.demanded && !slices.ContainsFunc(u.addresses, func(a Address) bool {
		_, ok := u.devices[a.Ifindex]
		return !ok
	})
}

// pushUnderlay tells the datapath where encapsulated packets arrive; the caller holds mu.
func (u *Underlay) pushUnderlay() {
	if u.o.Datapath == nil || !u.reset && !u.heard() {
		return
	}
	list := u.arrivals()
	if u.reset && reflect.DeepEqual(list, u.underlay) {
		return
	}
	if err := u.o.Datapath.SetUnderlay(list); err != nil {
		u.o.Count("tunnel_underlay_error", 1)
		if text := err.Error(); text != u.refusal {
			u.refusal = text
			u.log.Warnf("devices that tunnels arrive on: %v", err)
		}
		return // again with the next event or tick
	}
	u.refusal = ""
	u.reset, u.underlay = true, list
}
