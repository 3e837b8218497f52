package underlay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// net is a network namespace with eth0, whose other end is peer's, in another.
type network struct {
	t        *testing.T
	ns, peer string
	*Linux
}

// newNetwork makes the namespaces, and a Linux of the first.
func newNetwork(t *testing.T) *network {
	t.Helper()
	id := strings.ToLower(rand.Text()[:8])
	n := &network{t: t, ns: "under-" + id, peer: "under-" + id + "p"}
	for _, ns := range []string{n.ns, n.peer} {
		n.ip("", "netns add "+ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		n.ip(ns, "link set lo up")
	}
	n.ip("", fmt.Sprintf("link add eth0 netns %s type veth peer name eth0 netns %s", n.ns, n.peer))
	for _, ns := range []string{n.ns, n.peer} {
		n.ip(ns, "link set eth0 up")
	}
	n.ip(n.ns, "addr add 10.1.0.1/24 dev eth0")
	n.ip(n.ns, "addr add fd00::1/64 dev eth0 nodad")
	n.ip(n.peer, "addr add 10.1.0.2/24 dev eth0")
	n.ip(n.peer, "addr add fd00::2/64 dev eth0 nodad")

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	in, err := netns.GetFromName(n.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := netns.Set(in); err != nil {
		t.Fatal(err)
	}
	n.Linux, err = NewLinux()
	if back := netns.Set(old); back != nil {
		t.Fatal(back)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Linux.Close() })
	// The address is in force when the kernel has noticed the carrier.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if r, err := n.RouteTo(netip.MustParseAddr("fd00::1"), 0); err == nil && r.Local {
			return n
		}
		if time.Now().After(deadline) {
			t.Fatal("the IPv6 address does not come into force")
		}
	}
}

func (n *network) ip(ns, args string) {
	n.t.Helper()
	words := strings.Fields(args)
	if ns != "" {
		words = append([]string{"-n", ns}, words...)
	}
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(words, " "), err, out)
	}
}

func (n *network) eth0() int {
	n.t.Helper()
	list, err := n.Addresses()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, a := range list {
		if a.Prefix == netip.MustParsePrefix("10.1.0.1/24") {
			return a.Ifindex
		}
	}
	n.t.Fatalf("the addresses are %v", list)
	return 0
}

func TestRouteTo(t *testing.T) {
	n := newNetwork(t)
	eth0 := n.eth0()
	n.ip(n.ns, "route add default via 10.1.0.254")
	n.ip(n.ns, "route add 10.9.0.0/16 via 10.1.0.3 metric 50")
	n.ip(n.ns, "route add 10.9.0.0/16 via 10.1.0.2 metric 10 mtu 1300")
	n.ip(n.ns, "route add blackhole 10.7.0.0/16")
	n.ip(n.ns, "route add prohibit 10.6.0.0/16")
	n.ip(n.ns, "route add 10.5.0.0/16 via inet6 fd00::2")
	n.ip(n.ns, "-6 route add 2001:db8::/32 via fd00::2")
	n.ip(n.ns, "route add default via 10.1.0.7 table 77")
	n.ip(n.ns, "rule add fwmark 5 table 77")
	a := netip.MustParseAddr
	for _, c := range []struct {
		dst  string
		mark uint32
		want Route // without Ifindex, Dst and Mark
	}{
		{"10.1.0.5", 0, Route{Src: a("10.1.0.1")}},
		{"8.8.8.8", 0, Route{Src: a("10.1.0.1"), Gateway: a("10.1.0.254")}},
		{"8.8.8.8", 5, Route{Src: a("10.1.0.1"), Gateway: a("10.1.0.7")}},
		{"10.9.1.1", 0, Route{Src: a("10.1.0.1"), Gateway: a("10.1.0.2"), MTU: 1300}},
		{"10.5.1.1", 0, Route{Src: a("10.1.0.1"), Gateway: a("fd00::2")}},
		{"2001:db8::1", 0, Route{Src: a("fd00::1"), Gateway: a("fd00::2")}},
		{"fd00::9", 0, Route{Src: a("fd00::1")}},
	} {
		got, err := n.RouteTo(a(c.dst), c.mark)
		c.want.Ifindex, c.want.Mark, c.want.Dst = eth0, c.mark, netip.PrefixFrom(a(c.dst), a(c.dst).BitLen())
		got.Metric = 0
		if err != nil || got != c.want {
			t.Errorf("%s mark %d: %+v, %v, want %+v", c.dst, c.mark, got, err, c.want)
		}
	}
	for _, own := range []string{"10.1.0.1", "fd00::1", "127.0.0.1", "::1"} {
		if got, err := n.RouteTo(a(own), 0); err != nil || !got.Local {
			t.Errorf("%s: %+v, %v, want a local one", own, got, err)
		}
	}
	for _, no := range []string{"10.7.0.1", "10.6.0.1", "2001:db9::1", "224.0.0.5", "10.1.0.255"} {
		if got, err := n.RouteTo(a(no), 0); !errors.Is(err, ErrNoRoute) {
			t.Errorf("%s: %+v, %v, want no route", no, got, err)
		}
	}
}

// TestWatch follows routes, addresses and neighbours as they change.
func TestWatch(t *testing.T) {
	n := newNetwork(t)
	eth0 := n.eth0()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := n.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := func(what string, ok func(changed) bool) {
		t.Helper()
		limit := time.After(30 * time.Second)
		for {
			select {
			case <-c.Ready():
				if got := c.take(); got.Err != nil {
					t.Fatal(got.Err)
				} else if ok(got) {
					return
				}
			case <-limit:
				t.Fatalf("%s is not reported", what)
			}
		}
	}
	routes := func(got changed) bool { return got.Routes }
	for _, change := range []string{"route add 10.2.0.0/16 via 10.1.0.2", "-6 route add fd02::/16 via fd00::2", "addr add 10.3.0.1/24 dev eth0",
		"addr del 10.3.0.1/24 dev eth0", "rule add fwmark 5 table 77", "route del 10.2.0.0/16"} {
		n.ip(n.ns, change)
		next(change, routes)
	}
	known := func(ip string) func(changed) bool {
		k := NeighborKey{eth0, netip.MustParseAddr(ip)}
		return func(got changed) bool { return got.Neighbors[k].MAC != [6]byte{} }
	}
	for _, ip := range []string{"10.1.0.2", "fd00::2"} {
		if err := n.Probe(eth0, netip.MustParseAddr(ip)); err != nil {
			t.Fatal(err)
		}
		next("the neighbour "+ip, known(ip))
		all, err := n.Neighbors()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, nb := range all {
			found = found || nb.IP == netip.MustParseAddr(ip) && nb.MAC != [6]byte{}
		}
		if !found {
			t.Errorf("%s is not among the neighbours %v", ip, all)
		}
	}
	gone := NeighborKey{eth0, netip.MustParseAddr("10.1.0.77")}
	if err := n.Probe(eth0, gone.IP); err != nil {
		t.Fatal(err)
	}
	next("a neighbour that does not answer", func(got changed) bool { return got.Neighbors[gone].Failed })
	cancel()
}

// TestRoutes wants the routes that people see, without broadcast, multicast and anycast ones.
func TestRoutes(t *testing.T) {
	n := newNetwork(t)
	n.ip(n.ns, "route add 10.8.0.0/16 nexthop via 10.1.0.3 nexthop via 10.1.0.4")
	list, err := n.Routes()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range list {
		if r.Dst.Addr().IsLinkLocalUnicast() {
			continue // come when they have been found unique
		}
		name := r.Dst.String()
		if r.Local {
			name += " local"
		}
		got[name]++
	}
	for _, want := range []string{"10.1.0.1/32 local", "10.1.0.0/24", "127.0.0.0/8 local", "127.0.0.1/32 local", "fd00::1/128 local", "fd00::/64"} {
		if got[want] != 1 {
			t.Errorf("%d routes %s", got[want], want)
		}
		delete(got, want)
	}
	if got["10.8.0.0/16"] != 2 {
		t.Errorf("%d routes of two next hops", got["10.8.0.0/16"])
	}
	delete(got, "10.8.0.0/16")
	delete(got, "::1/128 local")
	delete(got, "::1/128")
	if len(got) > 0 {
		t.Errorf("routes too many: %v", got)
	}
}

// sysctl writes a setting of a namespace.
func (n *network) sysctl(ns, name, value string) {
	n.t.Helper()
	cmd := exec.Command("nsenter", "--net=/run/netns/"+ns, "sysctl", "-qw", "net."+strings.ReplaceAll(name, "/", ".")+"="+value)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
}

// send sends a datagram that must not be fragmented.
func (n *network) send(to netip.AddrPort, size int) {
	n.t.Helper()
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER
	var sa unix.Sockaddr
	if to.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	err := netdev.In(n.Linux.ns, func() error {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		// 3, IP_PMTUDISC_PROBE: whatever is known of the path.
		if err := unix.SetsockoptInt(fd, level, option, 3); err != nil {
			return err
		}
		err = unix.Sendto(fd, make([]byte, size), 0, sa)
		if errors.Is(err, unix.EMSGSIZE) {
			return nil
		}
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
}
