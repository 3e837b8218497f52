package underlay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Options make an Underlay.
type Options struct {
	Host Host
	// Watch reports the host's devices, as netdev.Provider does.
	Watch func(context.Context) (<-chan netdev.Event, error)
	// Datapath is told of next hops and devices; nil when it has no native tunnels.
	Datapath datapath.Underlayer
	Clock    clock.Clock
	Log      *logrus.Entry
	// Count adds to a coverage counter.
	Count func(name string, n uint64)
	// NoSystemRoutes uses the user's routes alone (--disable-system-route).
	NoSystemRoutes bool
	// Changed is called when the way to a remote address has changed, for status.
	Changed func()
}

// Underlay keeps the datapath informed of the host's network. Methods are safe for concurrent use.
type Underlay struct {
	o   Options
	log *logrus.Entry

	mu        sync.Mutex // guards what follows; kernel calls under it are single requests
	devices   map[int]netdev.Info
	addresses []Address
	routes    routes
	neighbors map[NeighborKey]Neighbor
	static    map[staticKey]staticNeighbor
	aging     time.Duration
	ports     portRange
	demand    Demand
	demanded  bool // SetDemand has been called
	hops      map[Remote]*hop
	waiting   int // bytes of packets that wait
	underlay  []datapath.UnderlayDevice
	reset     bool   // the datapath knows underlay
	refusal   string // of underlay, as it was logged

	kick chan struct{}
}

// Remote is an address that tunnels send to, with packets of a mark.
type Remote struct {
	Dst  netip.Addr
	Mark uint32
}

// Demand is what the bridges' tunnel ports need of the underlay.
type Demand struct {
	// Remotes are the remote addresses that ports are configured with.
	Remotes []Remote
	// Ports are the datapath's tunnel ports.
	Ports []Port
	// Taken are the devices whose packets a bridge takes before the host sees them.
	Taken map[string]bool
}

// Port is a tunnel port of the datapath.
type Port struct {
	Name   string
	Number uint32
	Refs   int // OpenFlow ports that share it
	Spec   datapath.TunnelSpec
}

// native tells whether the datapath makes outer headers.
func (d *Demand) native() bool {
	return slices.ContainsFunc(d.Ports, func(p Port) bool { return p.Spec.Native })
}

// Intervals of the loop.
const (
	tick = time.Second
	// refreshTicks is how often neighbours in use are confirmed: before the kernel's base_reachable_time (30 s, taken
	// times 0.5 to 1.5) ends, so that they never are unknown.
	refreshTicks = 10
	// listCost bounds the share of a CPU that listing routes may take: 1 of so many.
	listCost = 20
	settle   = 20 * time.Millisecond // changes of routes come in groups
)

// New makes an Underlay; Run has it work.
func New(o Options) *Underlay {
	return &Underlay{
		o: o, log: o.Log, devices: map[int]netdev.Info{}, neighbors: map[NeighborKey]Neighbor{}, static: map[staticKey]staticNeighbor{},
		aging: DefaultAging, ports: portRange{datapath.DefaultTunnelPortFirst, datapath.DefaultTunnelPortLast},
		hops: map[Remote]*hop{}, kick: make(chan struct{}, 1),
	}
}

// Run follows the host until ctx ends.
func (u *Underlay) Run(ctx context.Context) error {
	events, err := u.o.Watch(ctx)
	if err != nil {
		return fmt.Errorf("watch network devices: %w", err)
	}
	changes, err := u.o.Host.Watch(ctx)
	if err != nil {
		return err
	}
	if err := u.list(); err != nil {
		return err
	}
	defer u.abandon()
	ticks := u.o.Clock.After(tick)
	// relist is set while a new list of routes is due.
	var relist <-chan time.Time
	rest := settle
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events:
			if !ok {
				return errors.New("network devices cannot be watched any more")
			}
			u.deviceChanged(e, events)
		case <-changes.Ready():
			c := changes.take()
			if c.Err != nil {
				return c.Err
			}
			if c.Lost {
				u.o.Count("route_table_lost", 1)
			}
			if (c.Routes || c.Lost) && relist == nil {
				relist = u.o.Clock.After(rest)
			}
			if c.Lost {
				if err := u.listNeighbors(); err != nil {
					return err
				}
			}
			u.neighborsChanged(c.Neighbors)
			u.tooBig(c.TooBig)
		case <-relist:
			relist = nil
			began := time.Now()
			if err := u.list(); err != nil {
				return err
			}
			rest = max(settle, listCost*time.Since(began))
		case <-u.kick:
		case <-ticks:
			ticks = u.o.Clock.After(tick)
			n++
			if n%refreshTicks == 0 {
				if err := u.listNeighbors(); err != nil {
					return err
				}
				u.refresh()
			}
			u.expire()
		}
		u.update()
	}
}

// SetDemand says what the bridges need now, all of it.
func (u *Underlay) SetDemand(d Demand) {
	u.mu.Lock()
	u.demand, u.demanded = d, true
	u.mu.Unlock()
	u.Kick()
}

// Kick has the loop look at everything again soon.
func (u *Underlay) Kick() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// list reads routes, addresses and neighbours of the host.
func (u *Underlay) list() error {
	var routes []Route
	var err error
	if !u.o.NoSystemRoutes {
		if routes, err = u.o.Host.Routes(); err != nil {
			return err
		}
	}
	addresses, err := u.o.Host.Addresses()
	if err != nil {
		return err
	}
	u.mu.Lock()
	u.routes.setCached(routes)
	u.addresses = addresses
	for _, h := range u.hops {
		h.stale = true
	}
	u.mu.Unlock()
	return u.listNeighbors()
}

func (u *Underlay) listNeighbors() error {
	list, err := u.o.Host.Neighbors()
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.neighbors)
	for _, n := range list {
		u.neighbors[n.NeighborKey] = n
	}
	return nil
}

func (u *Underlay) neighborsChanged(list map[NeighborKey]Neighbor) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, n := range list {
		if n.MAC == [6]byte{} && !n.Failed {
			delete(u.neighbors, k)
			continue
		}
		u.neighbors[k] = n
	}
}

// deviceChanged takes one event of a device and those that wait behind it.
func (u *Underlay) deviceChanged(e netdev.Event, more <-chan netdev.Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		if e.Kind == netdev.Removed {
			delete(u.devices, e.Info.Ifindex)
		} else {
			u.devices[e.Info.Ifindex] = e.Info
		}
		select {
		case next, ok := <-more:
			if ok {
				e = next
				continue
			}
		default:
		}
		break
	}
	// Routes go with devices that go down, but not all of that is reported (IPv4).
	for _, h := range u.hops {
		h.stale = true
	}
}

// deviceByName finds a device; the caller holds mu.
func (u *Underlay) deviceByName(name string) (netdev.Info, bool) {
	for _, d := range u.devices {
		if d.Name == name {
			return d, true
		}
	}
	return netdev.Info{}, false
}

// source is the address that packets to an address on a device's link have: of the longest prefix that has it. The
// caller holds mu.
func (u *Underlay) source(ifindex int, to netip.Addr) netip.Addr {
	var best netip.Prefix
	for _, a := range u.addresses {
		if a.Ifindex == ifindex && a.Prefix.Contains(to) && a.Prefix.Bits() > best.Bits() {
			best = a.Prefix
		}
	}
	return best.Addr()
}

// Way is how packets to an address leave the host.
type Way struct {
	Device  string
	Ifindex int
	Gateway netip.Addr // not valid: the address is on the link
	Src     netip.Addr
	Local   bool
	MTU     int // of the route, 0: the device's
}

// Lookup finds the way to an address for packets of a mark. Its error wraps ErrNoRoute when there is none.
func (u *Underlay) Lookup(dst netip.Addr, mark uint32) (Way, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lookup(dst, mark)
}

func (u *Underlay) lookup(dst netip.Addr, mark uint32) (Way, error) {
	if r := u.routes.forUser(dst, mark); r != nil {
		d, ok := u.deviceByName(r.Device)
		if !ok {
			return Way{}, fmt.Errorf("%s: %w: device %s of the user's route %s is missing", dst, ErrNoRoute, r.Device, r.Dst)
		}
		return Way{Device: d.Name, Ifindex: d.Ifindex, Gateway: r.Gateway, Src: r.Src}, nil
	}
	if u.o.NoSystemRoutes {
		return Way{}, fmt.Errorf("%s: %w", dst, ErrNoRoute)
	}
	r, err := u.o.Host.RouteTo(dst, mark)
	if err != nil {
		return Way{}, err
	}
	w := Way{Ifindex: r.Ifindex, Gateway: r.Gateway, Src: r.Src, Local: r.Local, MTU: r.MTU}
	if r.Local {
		// The kernel names the loopback device; people look for the one that has the address.
		for _, a := range u.addresses {
			if a.Prefix.Addr() == dst {
				w.Ifindex = a.Ifindex
			}
		}
	}
	w.Device = u.devices[w.Ifindex].Name
	if !w.Src.IsValid() {
		to := dst
		if w.Gateway.IsValid() {
			to = w.Gateway
		}
		w.Src = u.source(w.Ifindex, to)
	}
	return w, nil
}

// Egress is the device that packets to a remote address leave by, "" when there is none, and whether it has a carrier
// (Interface.status, tunnel_egress_iface and tunnel_egress_iface_carrier).
func (u *Underlay) Egress(r Remote) (device string, carrier bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	h := u.hops[r]
	if h == nil || h.err != nil {
		return "", false
	}
	return h.way.Device, u.devices[h.way.Ifindex].LinkUp()
}

// Problem says why packets to a remote address do not arrive, as far as the host can know, in the words of the log; "" when nothing
// is known to be wrong.
func (u *Underlay) Problem(r Remote) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if h := u.hops[r]; h != nil {
		return h.told
	}
	return ""
}
