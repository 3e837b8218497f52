package underlay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Linux is the Host of a network namespace. Its sockets are made once and belong to that namespace whichever thread
// uses them.
type Linux struct {
	ns     netns.NsHandle
	handle *netlink.Handle
}

var _ Host = (*Linux)(nil)

// NewLinux is the host of the calling thread's network namespace.
func NewLinux() (*Linux, error) {
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("network namespace of this thread: %w", err)
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		ns.Close()
		return nil, fmt.Errorf("rtnetlink socket: %w", err)
	}
	// The kernel answers at once; the limit is for a request that got lost.
	if err := h.SetSocketTimeout(30 * time.Second); err != nil {
		h.Close()
		ns.Close()
		return nil, fmt.Errorf("rtnetlink socket: %w", err)
	}
	return &Linux{ns: ns, handle: h}, nil
}

// Close closes the sockets.
func (l *Linux) Close() error {
	l.handle.Close()
	return l.ns.Close()
}

// dump asks for a list again when changes interrupted it. After ten interruptions what there is serves: the changes are
// reported.
func dump[T any](list func() ([]T, error)) ([]T, error) {
	var all []T
	var err error
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}

// Routes implements Host.
func (l *Linux) Routes() ([]Route, error) {
	var routes []Route
	for _, table := range []int{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN} {
		list, err := dump(func() ([]netlink.Route, error) {
			return l.handle.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: table}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes: %w", err)
		}
		for i := range list {
			routes = append(routes, expand(&list[i])...)
		}
	}
	return routes, nil
}

// expand is a kernel's route as ours: one for each of its next hops.
func expand(r *netlink.Route) []Route {
	if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_LOCAL {
		return nil
	}
	one := convert(r)
	if len(r.MultiPath) == 0 {
		if one.Ifindex == 0 {
			return nil
		}
		return []Route{one}
	}
	var all []Route
	for _, hop := range r.MultiPath {
		one.Ifindex, one.Gateway = hop.LinkIndex, gateway(hop.Gw, hop.Via)
		all = append(all, one)
	}
	return all
}

func convert(r *netlink.Route) Route {
	out := Route{
		Ifindex: r.LinkIndex, Gateway: gateway(r.Gw, r.Via), Src: addr(r.Src), Local: r.Type == unix.RTN_LOCAL,
		Metric: r.Priority, MTU: r.MTU,
	}
	if r.Dst != nil {
		out.Dst = prefix(r.Dst)
	} else if r.Family == unix.AF_INET6 {
		out.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	} else {
		out.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return out
}

// gateway is a route's next hop, which may be of the other address family.
func gateway(gw net.IP, via netlink.Destination) netip.Addr {
	if v, ok := via.(*netlink.Via); ok && v != nil {
		return addr(v.Addr)
	}
	a := addr(gw)
	if a.IsValid() && a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func prefix(n *net.IPNet) netip.Prefix {
	ones, bits := n.Mask.Size()
	a := addr(n.IP)
	if a.Is4() && bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(a, ones)
}

// RouteTo implements Host.
func (l *Linux) RouteTo(dst netip.Addr, mark uint32) (Route, error) {
	list, err := l.handle.RouteGetWithOptions(dst.AsSlice(), &netlink.RouteGetOptions{Mark: mark})
	switch {
	// Of prohibiting and blackhole routes the kernel says EACCES and EINVAL.
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EINVAL):
		return Route{}, fmt.Errorf("%s: %w (%w)", dst, ErrNoRoute, err)
	case err != nil:
		return Route{}, fmt.Errorf("look up the route to %s: %w", dst, err)
	case len(list) == 0:
		return Route{}, fmt.Errorf("%s: %w", dst, ErrNoRoute)
	}
	r := &list[0]
	if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_LOCAL {
		return Route{}, fmt.Errorf("%s: %w: it is no unicast address", dst, ErrNoRoute)
	}
	out := convert(r)
	out.Dst, out.Mark = netip.PrefixFrom(dst, dst.BitLen()), mark
	return out, nil
}

// Addresses implements Host. Addresses that are not usable yet (IPv6 duplicate detection) are left out.
func (l *Linux) Addresses() ([]Address, error) {
	list, err := dump(func() ([]netlink.Addr, error) { return l.handle.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []Address
	for _, a := range list {
		if a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0 {
			continue
		}
		if p := prefix(a.IPNet); p.IsValid() {
			all = append(all, Address{Ifindex: a.LinkIndex, Prefix: p})
		}
	}
	return all, nil
}

// Neighbors implements Host.
func (l *Linux) Neighbors() ([]Neighbor, error) {
	list, err := dump(func() ([]netlink.Neigh, error) {
		return l.handle.NeighListExecute(netlink.Ndmsg{Family: unix.AF_UNSPEC})
	})
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	var all []Neighbor
	for i := range list {
		if n, ok := neighbor(&list[i]); ok {
			all = append(all, n)
		}
	}
	return all, nil
}

// valid are the states of a neighbour whose address can be used (NUD_VALID).
const valid = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_PROBE | unix.NUD_STALE | unix.NUD_DELAY

func neighbor(n *netlink.Neigh) (Neighbor, bool) {
	ip := addr(n.IP)
	if (n.Family != unix.AF_INET && n.Family != unix.AF_INET6) || n.Flags&unix.NTF_PROXY != 0 || !ip.IsValid() {
		return Neighbor{}, false
	}
	out := Neighbor{NeighborKey: NeighborKey{n.LinkIndex, ip}, Failed: n.State&unix.NUD_FAILED != 0, Static: n.State&(unix.NUD_PERMANENT|unix.NUD_NOARP) != 0}
	if n.State&valid != 0 && len(n.HardwareAddr) == len(out.MAC) {
		copy(out.MAC[:], n.HardwareAddr)
	}
	return out, true
}

// Probe implements Host. To the kernel it is as if a packet had been sent: a neighbour that it does not know it asks
// for, one that it has not heard of for long it asks whether it is still there, and it goes on using the address
// meanwhile. (One that was set by hand must not be asked for: since Linux 5.16 it is not permanent any more then.)
func (l *Linux) Probe(ifindex int, ip netip.Addr) error {
	err := l.handle.NeighSet(&netlink.Neigh{LinkIndex: ifindex, IP: ip.AsSlice(), Flags: unix.NTF_USE})
	if err != nil {
		return fmt.Errorf("ask for the neighbour %s: %w", ip, err)
	}
	return nil
}
