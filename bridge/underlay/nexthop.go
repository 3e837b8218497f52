package underlay

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// Bounds of what waits for a next hop.
const (
	maxHops = 16384 // that packets, not ports, have asked for

	maxHopPackets   = 64
	maxWaitingBytes = 16 << 20
	// maxWait is how long a packet waits: as long as the kernel asks for a neighbour (mcast_solicit times retrans_time).
	maxWait = 3 * time.Second
	// probeInterval is how soon packets have a neighbour asked for again.
	probeInterval = time.Second
)

// hop is the way to one remote address.
type hop struct {
	Remote
	configured bool      // a port names it
	asked      time.Time // a packet did last

	stale  bool // routes have changed
	way    Way
	err    error // there is no way
	probed time.Time
	path   pathMTU

	pushed *datapath.NextHop // as the datapath knows it
	told   string            // what is wrong with it, as it was logged
	queue  []packet
}

// packet waits for its next hop.
type packet struct {
	send  func()
	size  int
	since time.Time
}

// via is the neighbour that the packets are given to.
func (h *hop) via() netip.Addr {
	if h.way.Gateway.IsValid() {
		return h.way.Gateway
	}
	return h.Dst
}

// Resolve implements datapath.Resolver.
func (u *Underlay) Resolve(dst netip.Addr, mark uint32, size int, send func()) {
	now := u.o.Clock.Now()
	u.mu.Lock()
	key := Remote{dst, mark}
	h := u.hops[key]
	if h == nil {
		if len(u.hops) >= maxHops+len(u.demand.Remotes) {
			u.mu.Unlock()
			u.o.Count("tunnel_next_hops_full", 1)
			return
		}
		h = &hop{Remote: key, stale: true}
		u.hops[key] = h
	}
	h.asked = now
	if u.push(h) && u.o.Changed != nil {
		defer u.o.Changed()
	}
	if h.ready() {
		u.mu.Unlock()
		send()
		return
	}
	drop, probe := "", false
	var k NeighborKey
	switch {
	case h.err != nil:
		drop = "tunnel_no_route"
	case len(h.queue) >= maxHopPackets || u.waiting+size > maxWaitingBytes:
		drop = "tunnel_wait_full"
	default:
		h.queue = append(h.queue, packet{send, size, now})
		u.waiting += size
	}
	if h.probed.IsZero() || now.Sub(h.probed) >= probeInterval {
		if k, probe = u.resolvable(h); probe {
			h.probed = now
		}
	}
	u.mu.Unlock()
	if drop != "" {
		u.o.Count(drop, 1)
	}
	if probe {
		u.probe(k)
	}
}

// ready tells that the datapath can send to the hop.
func (h *hop) ready() bool {
	return h.pushed != nil && (h.pushed.Local || h.pushed.DstMAC != [6]byte{})
}

// update brings everything that depends on the host's state to it: next hops, the datapath's, the packets that wait.
func (u *Underlay) update() {
	var send []packet
	var probe []NeighborKey
	dropped, changed := 0, false
	now := u.o.Clock.Now()
	u.mu.Lock()
	wanted := map[Remote]bool{}
	for _, r := range u.demand.Remotes {
		wanted[r] = true
		if u.hops[r] == nil {
			u.hops[r] = &hop{Remote: r, stale: true}
		}
	}
	for r, h := range u.hops {
		h.configured = wanted[r]
		if !h.configured && now.Sub(h.asked) >= u.aging {
			u.drop(h)
			delete(u.hops, r)
			continue
		}
		changed = u.push(h) || changed
		if h.ready() {
			send = append(send, u.dequeue(h)...)
			continue
		}
		failed := false
		if h.err == nil {
			_, failed = u.neighborOf(h)
		}
		if len(h.queue) > 0 && (h.err != nil || failed || now.Sub(h.queue[0].since) >= maxWait) {
			dropped += len(u.dequeue(h))
		}
		if k, ok := u.resolvable(h); ok && h.probed.IsZero() {
			h.probed = now
			probe = append(probe, k)
		}
	}
	u.pushUnderlay()
	u.mu.Unlock()
	for _, p := range send {
		p.send()
	}
	for _, k := range probe {
		u.probe(k)
	}
	if dropped > 0 {
		u.o.Count("tunnel_no_neighbor", uint64(dropped))
	}
	if changed && u.o.Changed != nil {
		u.o.Changed()
	}
}

// dequeue takes all packets that wait for a hop; the caller holds mu.
func (u *Underlay) dequeue(h *hop) []packet {
	q := h.queue
	h.queue = nil
	for _, p := range q {
		u.waiting -= p.size
	}
	return q
}

// expire forgets neighbours that were set and have aged.
func (u *Underlay) expire() {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.o.Clock.Now()
	for k, s := range u.static {
		if !now.Before(s.expires) {
			delete(u.static, k)
		}
	}
}

// abandon drops what waits, at the end.
func (u *Underlay) abandon() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, h := range u.hops {
		u.dequeue(h)
	}
}

// push brings a next hop and the datapath's idea of it to the host's state, and reports whether the way, or what is wrong with it,
// has changed. The caller holds mu.
func (u *Underlay) push(h *hop) (changed bool) {
	if h.stale {
		h.stale = false
		old, oldErr := h.way, h.err
		h.way, h.err = u.lookup(h.Dst, h.Mark)
		if h.way != old || (h.err == nil) != (oldErr == nil) {
			changed = true
			h.probed, h.path = time.Time{}, pathMTU{}
		}
	}
	if _, known := u.devices[h.way.Ifindex]; h.err == nil && !known && h.pushed == nil {
		h.stale = true // a start hears of routes before devices: what an earlier run left goes on until then
		return changed
	}
	// The kernel's devices find their way themselves; the datapath needs to know how long packets can be.
	if u.o.Datapath == nil || len(u.demand.Ports) == 0 {
		u.drop(h)
		return changed
	}
	if h.err == nil && h.pushed == nil && u.unheardOf(h) {
		return changed
	}
	next, err := u.next(h)
	if err == nil && (h.pushed == nil || *h.pushed != next) {
		if perr := u.o.Datapath.SetNextHop(next); perr != nil {
			err = fmt.Errorf("next hop of %s: %w", h.Dst, perr)
		} else {
			h.pushed = &next
		}
	}
	if err != nil {
		u.drop(h)
	}
	return u.tell(h, err) || changed
}

// unheardOf tells that the device of a hop will only be told of: at the start, and when its route is quicker. Until then the
// datapath keeps what it has of it, from an earlier run. The caller holds mu.
func (u *Underlay) unheardOf(h *hop) bool {
	if h.way.Local {
		return len(u.devices) == 0
	}
	_, ok := u.devices[h.way.Ifindex]
	return !ok
}

// next is the next hop that the datapath is to have; the caller holds mu.
func (u *Underlay) next(h *hop) (datapath.NextHop, error) {
	if h.err != nil {
		return datapath.NextHop{}, h.err
	}
	d := u.devices[h.way.Ifindex]
	n := datapath.NextHop{Dst: h.Dst, Mark: h.Mark, Src: h.way.Src, Ifindex: h.way.Ifindex, SrcMAC: d.MAC, MTU: d.MTU, Local: h.way.Local}
	if h.way.MTU != 0 {
		n.MTU = min(n.MTU, h.way.MTU)
	}
	n.MTU = u.limit(h, n.MTU)
	if n.Local {
		lo, ok := u.loopback()
		if !ok {
			return n, fmt.Errorf("%s: %w: it is the host's own, and the loopback device is down", h.Dst, ErrNoRoute)
		}
		n.Ifindex, n.SrcMAC, n.MTU = lo.Ifindex, lo.MAC, lo.MTU
		return n, nil
	}
	if !d.Up {
		return n, fmt.Errorf("%s: %w: device %s is down", h.Dst, ErrNoRoute, h.way.Device)
	}
	if !d.Ethernet && u.demand.native() {
		return n, fmt.Errorf("%s: %w that native tunnels can take: %s is not an Ethernet device (other_config:tunnel-mode=kernel can)", h.Dst, ErrNoRoute, d.Name)
	}
	n.DstMAC, _ = u.neighborOf(h)
	return n, nil
}

func (u *Underlay) loopback() (lo lookedUp, ok bool) {
	for _, d := range u.devices {
		if d.Loopback && d.Up {
			return lookedUp{d.Ifindex, d.MAC, d.MTU}, true
		}
	}
	return lo, false
}

type lookedUp struct {
	Ifindex int
	MAC     [6]byte
	MTU     int
}

// drop takes a next hop from the datapath; the caller holds mu.
func (u *Underlay) drop(h *hop) {
	if h.pushed == nil {
		return
	}
	if err := u.o.Datapath.DelNextHop(h.Dst, h.Mark); err != nil {
		u.log.Warnf("next hop of %s: %v", h.Dst, err)
	}
	h.pushed = nil
}

// tell logs what is wrong with a next hop, once per change, which it reports; the caller holds mu.
func (u *Underlay) tell(h *hop, err error) bool {
	text := ""
	if err != nil {
		text = fmt.Sprintf("tunnels to %v", err)
	} else if _, failed := u.neighborOf(h); failed && !h.way.Local {
		text = fmt.Sprintf("tunnels to %s: the neighbour %s on %s does not answer", h.Dst, h.via(), h.way.Device)
	}
	if text != "" && h.Mark != 0 {
		text += fmt.Sprintf(" (packets with mark %#x)", h.Mark)
	}
	if text == h.told {
		return false
	}
	if text != "" {
		u.log.Warn(text)
	} else if h.ready() || !u.devices[h.way.Ifindex].Ethernet {
		u.log.Infof("tunnels to %s: the way is open again", h.Dst)
	} else {
		return false // not known yet whether it works now
	}
	h.told = text
	return true
}
