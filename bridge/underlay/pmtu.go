package underlay

import (
	"slices"
	"time"
)

// pathMTULife is how long a router's word holds (net.ipv4.route.mtu_expires, net.ipv6.route.mtu_expires); then larger
// packets are tried again.
const pathMTULife = 600 * time.Second

// pathMTU is what a router said of the way to a remote address.
type pathMTU struct {
	mtu     int
	expires time.Time
}

// tooBig believes a router's word about a packet that a native tunnel can have sent. Nothing says that a packet was
// sent at all, so a stranger who guesses the addresses can make packets smaller, but not below the least of IP.
func (u *Underlay) tooBig(list map[TooBig]struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for t := range list {
		ours := func(p Port) bool { return p.Spec.Native && p.Spec.DstPort == t.DstPort }
		own := func(a Address) bool { return a.Prefix.Addr() == t.Src }
		if !slices.ContainsFunc(u.demand.Ports, ours) || !slices.ContainsFunc(u.addresses, own) {
			continue
		}
		for _, h := range u.hops {
			if h.Dst != t.Dst || h.pushed == nil || t.MTU >= h.pushed.MTU {
				continue
			}
			h.path = pathMTU{t.MTU, u.o.Clock.Now().Add(pathMTULife)}
			u.log.Infof("tunnels to %s: the path takes packets of %d bytes", h.Dst, t.MTU)
		}
	}
}

// limit is a next hop's MTU with what routers said. The caller holds mu.
func (u *Underlay) limit(h *hop, mtu int) int {
	if h.path.mtu == 0 {
		return mtu
	}
	if !u.o.Clock.Now().Before(h.path.expires) {
		h.path = pathMTU{}
		return mtu
	}
	return min(mtu, h.path.mtu)
}
