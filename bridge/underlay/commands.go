package underlay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// Registrar takes commands; *unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
}

// RegisterCommands adds ovs/route/* and tnl/*. Their words are OVS's.
func (u *Underlay) RegisterCommands(r Registrar) {
	add := func(name, usage string, least, most int, f func(args []string) (string, error)) {
		r.Register(name, usage, least, most, func(_ context.Context, args []string, reply func(string, error)) { reply(f(args)) })
	}
	add("ovs/route/add", "ip/plen dev [gw] [pkt_mark=mark] [src=src_ip]", 2, 5, u.routeAdd)
	add("ovs/route/del", "ip/plen [pkt_mark=mark]", 1, 2, u.routeDel)
	add("ovs/route/lookup", "ip_addr [pkt_mark=mark] [src=src_ip]", 1, 3, u.routeLookup)
	add("ovs/route/show", "", 0, 0, u.routeShow)
	for _, name := range []string{"tnl/neigh", "tnl/arp"} {
		add(name+"/show", "", 0, 0, u.neighShow)
		add(name+"/set", "BRIDGE IP MAC", 3, 3, u.neighSet)
		add(name+"/flush", "", 0, 0, u.neighFlush)
		add(name+"/aging", "[SECS]", 0, 1, u.neighAging)
	}
	add("tnl/ports/show", "-v", 0, 1, u.portsShow)
	add("tnl/egress_port_range", "min max", 0, 2, u.egressPortRange)
}

// The errors of OVS, in its words.
//
//lint:file-ignore ST1005 OVS's words
var (
	errParameters = errors.New("Invalid parameters")
	errMark       = errors.New("Invalid pkt_mark")
	errInsert     = errors.New("Error while inserting route.")
	errNotFound   = errors.New("Not found")
)

// parsePrefix reads "ip/plen" or "ip" and clears the bits that are not of the prefix.
func parsePrefix(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err == nil
}

// mark reads "pkt_mark=N"; false when text is something else.
func mark(text string) (uint32, bool) {
	v, ok := strings.CutPrefix(text, "pkt_mark=")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(v, 0, 32)
	return uint32(n), err == nil
}

func source(text string) (netip.Addr, bool) {
	v, ok := strings.CutPrefix(text, "src=")
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(v)
	return a, err == nil
}

func (u *Underlay) routeAdd(args []string) (string, error) {
	dst, ok := parsePrefix(args[0])
	if !ok {
		return "", errParameters
	}
	r := Route{Dst: dst, Device: args[1]}
	for _, text := range args[2:] {
		if m, ok := mark(text); ok {
			r.Mark = m
		} else if a, ok := source(text); ok && a.Is4() == dst.Addr().Is4() {
			r.Src = a
		} else if a, err := netip.ParseAddr(text); err == nil && a.Is4() == dst.Addr().Is4() && !r.Gateway.IsValid() {
			r.Gateway = a
		} else if r.Gateway.IsValid() {
			return "", errMark
		} else if dst.Addr().Is4() {
			return "", errors.New("Invalid pkt_mark or gateway")
		} else {
			return "", errors.New("Invalid pkt_mark or IPv6 gateway")
		}
	}
	// A simulated host does not report its addresses.
	addresses, err := u.o.Host.Addresses()
	if err != nil {
		return "", err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.addresses = addresses
	d, ok := u.deviceByName(r.Device)
	if !ok {
		return "", errInsert
	}
	if !r.Src.IsValid() {
		to := r.Dst.Addr()
		if r.Gateway.IsValid() {
			to = r.Gateway
		}
		if r.Src = u.source(d.Ifindex, to); !r.Src.IsValid() {
			return "", errInsert
		}
	}
	u.routes.addUser(r)
	u.routesChanged()
	return "OK", nil
}

// routesChanged has all ways looked up again; the caller holds mu.
func (u *Underlay) routesChanged() {
	for _, h := range u.hops {
		h.stale = true
	}
	u.Kick()
}

func (u *Underlay) routeDel(args []string) (string, error) {
	dst, ok := parsePrefix(args[0])
	if !ok {
		return "", errParameters
	}
	var m uint32
	if len(args) > 1 {
		if m, ok = mark(args[1]); !ok {
			return "", errMark
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.routes.delUser(dst, m) {
		return "", errNotFound
	}
	u.routesChanged()
	return "OK", nil
}

func (u *Underlay) routeLookup(args []string) (string, error) {
	dst, ok := parsePrefix(args[0])
	if !ok || !dst.IsSingleIP() {
		return "", errParameters
	}
	var m uint32
	var src netip.Addr
	for _, text := range args[1:] {
		if n, ok := mark(text); ok {
			m = n
		} else if a, ok := source(text); ok {
			src = a
		} else {
			return "", errMark
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	own := func(a Address) bool { return a.Prefix.Addr() == src }
	if src.IsValid() && !slices.ContainsFunc(u.addresses, own) {
		return "", errNotFound
	}
	w, err := u.lookup(dst.Addr(), m)
	if errors.Is(err, ErrNoRoute) {
		return "", errNotFound
	} else if err != nil {
		return "", err
	}
	if src.IsValid() {
		w.Src = src
	}
	return fmt.Sprintf("src %s\ngateway %s\ndev %s\n", orAny(w.Src), orAny(w.Gateway), w.Device), nil
}

// orAny is an address, or "::" where there is none.
func orAny(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv6Unspecified()
	}
	return a
}

func (u *Underlay) routeShow([]string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var s strings.Builder
	s.WriteString("Route Table:\n")
	all := slices.Concat(u.routes.user, u.routes.cached)
	slices.SortStableFunc(all, order)
	for i := range all {
		r := &all[i]
		device, src := r.Device, r.Src
		if device == "" {
			device = u.devices[r.Ifindex].Name
		}
		if !src.IsValid() {
			to := r.Dst.Addr()
			if r.Gateway.IsValid() {
				to = r.Gateway
			}
			src = u.source(r.Ifindex, to)
		}
		if device == "" || !src.IsValid() {
			continue // no packet can be sent that way
		}
		s.WriteString(r.format(device, src) + "\n")
	}
	return s.String(), nil
}

// neighShow lists the neighbours that were set, and those that next hops have.
func (u *Underlay) neighShow([]string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := map[staticKey][6]byte{}
	for _, h := range u.hops {
		if h.pushed != nil && h.pushed.DstMAC != [6]byte{} {
			list[staticKey{h.way.Device, h.via()}] = h.pushed.DstMAC
		}
	}
	for k, s := range u.static {
		list[k] = s.mac
	}
	var s strings.Builder
	s.WriteString("IP                                            MAC                 Bridge\n" + strings.Repeat("=", 74) + "\n")
	for _, k := range slices.SortedFunc(maps.Keys(list), func(a, b staticKey) int {
		return cmp.Or(a.ip.Compare(b.ip), cmp.Compare(a.device, b.device))
	}) {
		mac := list[k]
		fmt.Fprintf(&s, "%-46s%s   %s\n", k.ip, net.HardwareAddr(mac[:]), k.device)
	}
	return s.String(), nil
}

func (u *Underlay) neighSet(args []string) (string, error) {
	ip, err := netip.ParseAddr(args[1])
	if err != nil || ip.Zone() != "" {
		return "", errors.New("bad IP address")
	}
	hw, err := net.ParseMAC(args[2])
	if err != nil || len(hw) != 6 {
		return "", errors.New("bad MAC address")
	}
	u.setNeighbor(args[0], ip.Unmap(), [6]byte(hw))
	return "OK", nil
}

func (u *Underlay) neighFlush([]string) (string, error) {
	u.flushNeighbors()
	return "OK", nil
}

func (u *Underlay) neighAging(args []string) (string, error) {
	if len(args) == 0 {
		u.mu.Lock()
		defer u.mu.Unlock()
		return strconv.Itoa(int(u.aging / time.Second)), nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n <= 0 || time.Duration(n) > maxAging/time.Second {
		return "", errors.New("bad aging value")
	}
	u.setAging(time.Duration(n) * time.Second)
	return "OK", nil
}

func (u *Underlay) portsShow(args []string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var s strings.Builder
	s.WriteString("Listening ports:\n")
	for _, p := range u.demand.Ports {
		if len(args) == 0 || args[0] != "-v" {
			fmt.Fprintf(&s, "%s (%d) ref_cnt=%d\n", p.Name, p.Number, p.Refs)
			continue
		}
		for _, a := range u.addresses {
			d, ok := u.devices[a.Ifindex]
			ip := a.Prefix.Addr()
			if !ok || d.Loopback || ip.IsLoopback() {
				continue
			}
			fmt.Fprintf(&s, "%s (%d) : eth(dst=%s),%s\n", p.Name, p.Number, d.MAC, listener(ip, &p.Spec))
		}
	}
	return s.String(), nil
}

// listener is the match of packets to a tunnel port at an address, in the syntax of megaflows.
func listener(ip netip.Addr, spec *datapath.TunnelSpec) string {
	proto, ports := 47, ""
	if spec.DstPort != 0 {
		proto, ports = 17, fmt.Sprintf(",udp(dst=%d)", spec.DstPort)
	}
	if ip.Is4() {
		return fmt.Sprintf("eth_type(0x0800),ipv4(dst=%s,proto=%d,frag=no)%s", ip, proto, ports)
	}
	return fmt.Sprintf("eth_type(0x86dd),ipv6(dst=%s,proto=%d,frag=no)%s", ip, proto, ports)
}

// portRange are the outer UDP source ports.
type portRange struct{ first, last uint16 }

func (u *Underlay) egressPortRange(args []string) (string, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(args) < 2 {
		return fmt.Sprintf("Tunnel UDP source port range: %d-%d\n", u.ports.first, u.ports.last), nil
	}
	port := func(text string) uint16 {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 0
		}
		return uint16(n)
	}
	r := portRange{port(args[0]), port(args[1])}
	if r.first == 0 {
		return "", errors.New("Invalid min.")
	}
	if r.last == 0 {
		return "", errors.New("Invalid max.")
	}
	if r.last < r.first {
		r.first, r.last = r.last, r.first
	}
	if dp, ok := u.o.Datapath.(datapath.TunnelPortRanger); ok {
		if err := dp.SetTunnelPorts(r.first, r.last); err != nil {
			return "", err
		}
	}
	u.ports = r
	return "OK", nil
}
