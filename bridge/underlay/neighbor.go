package underlay

import (
	"net/netip"
	"time"
)

// DefaultAging is how long a neighbour that tnl/neigh/set names stays, and a next hop that no packet has asked for.
const (
	DefaultAging = 900 * time.Second
	maxAging     = 3600 * time.Second
)

// staticKey names a neighbour that a user set, by the name of the device: it need not exist.
type staticKey struct {
	device string
	ip     netip.Addr
}

type staticNeighbor struct {
	mac     [6]byte
	expires time.Time
}

// setNeighbor sets a neighbour's address, until it ages. It goes before what the host knows.
func (u *Underlay) setNeighbor(device string, ip netip.Addr, mac [6]byte) {
	u.mu.Lock()
	u.static[staticKey{device, ip}] = staticNeighbor{mac, u.o.Clock.Now().Add(u.aging)}
	u.mu.Unlock()
	u.Kick()
}

// flushNeighbors forgets the neighbours that were set, and has those in use asked for.
func (u *Underlay) flushNeighbors() {
	u.mu.Lock()
	clear(u.static)
	u.mu.Unlock()
	u.refresh()
	u.Kick()
}

// setAging changes how long neighbours stay that are set from now on, and bounds those that are.
func (u *Underlay) setAging(d time.Duration) {
	u.mu.Lock()
	u.aging = d
	limit := u.o.Clock.Now().Add(d)
	for k, s := range u.static {
		if s.expires.After(limit) {
			s.expires = limit
			u.static[k] = s
		}
	}
	u.mu.Unlock()
}

// neighborOf is the address of a next hop's neighbour; the caller holds mu.
func (u *Underlay) neighborOf(h *hop) (mac [6]byte, failed bool) {
	if s, ok := u.static[staticKey{h.way.Device, h.via()}]; ok {
		return s.mac, false
	}
	n := u.neighbors[NeighborKey{h.way.Ifindex, h.via()}]
	return n.MAC, n.Failed
}

// refresh has the host confirm the neighbours in use. One that does not answer any more goes; until then its address
// is used.
func (u *Underlay) refresh() {
	asked := map[NeighborKey]bool{}
	u.mu.Lock()
	for _, h := range u.hops {
		h.stale = true // not every change is reported: what routers told the kernel of a path, for one
		if k, ok := u.resolvable(h); ok {
			asked[k] = true
			h.probed = u.o.Clock.Now()
		}
	}
	u.mu.Unlock()
	for k := range asked {
		u.probe(k)
	}
}

func (u *Underlay) probe(k NeighborKey) {
	// The device may have gone at this moment: the event of that comes.
	if err := u.o.Host.Probe(k.Ifindex, k.IP); err != nil {
		u.o.Count("tunnel_neighbor_probe_error", 1)
	}
}

// resolvable is the neighbour that the host has to know for a next hop. (Where the kernel's devices encapsulate it finds them
// itself, but asks only when there are packets: whether a remote end is there people want to know before.) The caller holds mu.
func (u *Underlay) resolvable(h *hop) (NeighborKey, bool) {
	k := NeighborKey{h.way.Ifindex, h.via()}
	if h.err != nil || h.way.Local || u.o.Datapath == nil || len(u.demand.Ports) == 0 || !u.devices[h.way.Ifindex].Ethernet {
		return k, false
	}
	if _, ok := u.static[staticKey{h.way.Device, k.IP}]; ok {
		return k, false
	}
	return k, !u.neighbors[k].Static
}
