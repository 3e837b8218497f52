package underlay

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
)

func neighborAt(ip netip.Addr, mac [6]byte) Neighbor {
	return Neighbor{NeighborKey: NeighborKey{2, ip}, MAC: mac, Failed: mac == [6]byte{}}
}

var (
	toA2  = datapath.NextHop{Dst: a2, Src: a1, Ifindex: 2, SrcMAC: macEth0, MTU: 1500}
	toFar = datapath.NextHop{Dst: far, Src: a1, Ifindex: 2, SrcMAC: macEth0, MTU: 1400}
)

func with(n datapath.NextHop, mac [6]byte) datapath.NextHop {
	n.DstMAC = mac
	return n
}

// configure has ports send to addresses.
func (l *lab) configure(remotes ...netip.Addr) {
	d := Demand{Ports: []Port{nativeVXLAN}, Taken: map[string]bool{"p1": true}}
	for _, r := range remotes {
		d.Remotes = append(d.Remotes, Remote{Dst: r})
	}
	l.SetDemand(d)
}

// TestConfigured follows the next hops of configured remotes through the life of their neighbours.
func TestConfigured(t *testing.T) {
	l := newLab(t)
	l.configure(a2, far)
	l.want(toA2, toFar)
	l.eventually(func() error {
		l.host.mu.Lock()
		defer l.host.mu.Unlock()
		if l.host.probes[NeighborKey{2, a2}] == 0 || l.host.probes[NeighborKey{2, gw}] == 0 {
			return fmt.Errorf("asked for %v", l.host.probes)
		}
		return nil
	})
	l.host.learn(neighborAt(a2, macA2), neighborAt(gw, macGW))
	l.want(with(toA2, macA2), with(toFar, macGW))

	moved := [6]byte{2, 9, 9, 9, 9, 9}
	l.host.learn(neighborAt(a2, moved))
	l.want(with(toA2, moved), with(toFar, macGW))

	// One that stops answering: packets wait again, and it is said once.
	for range 3 {
		l.host.learn(neighborAt(a2, [6]byte{}))
		l.want(toA2, with(toFar, macGW))
	}
	said := 0
	for _, e := range l.log.AllEntries() {
		if strings.Contains(e.Message, "the neighbour 10.0.0.2 on eth0 does not answer") {
			said++
		}
	}
	if said != 1 {
		t.Errorf("said %d times that the neighbour does not answer", said)
	}

	l.configure(far)
	// Nobody has asked for it: it goes at once.
	l.want(with(toFar, macGW))
	l.SetDemand(Demand{})
	l.want()
}

func TestRouteChanges(t *testing.T) {
	l := newLab(t)
	l.host.learn(neighborAt(a2, macA2), neighborAt(gw, macGW))
	l.configure(far)
	l.want(with(toFar, macGW))
	if device, up := l.Egress(Remote{Dst: far}); device != "eth0" || !up {
		t.Errorf("egress is %q, up %v", device, up)
	}
	l.host.set(func() { l.host.to[Remote{far, 0}] = Route{Ifindex: 2, Src: a1, Gateway: a2} })
	l.host.changes.SetRoutes()
	l.clock.Advance(settle) // either is enough for the loop to have seen it
	next := with(toFar, macA2)
	next.MTU = 1500
	l.eventually(func() error {
		l.clock.Advance(settle)
		l.dp.mu.Lock()
		defer l.dp.mu.Unlock()
		if got := l.dp.hops[Remote{far, 0}]; got != next {
			return fmt.Errorf("next hop is %+v", got)
		}
		return nil
	})
	l.dev <- netdev.Event{Kind: netdev.Changed, Info: netdev.Info{Name: "eth0", Ifindex: 2, MTU: 1300, Up: true, Ethernet: true, MAC: macA2}}
	next.MTU, next.SrcMAC = 1300, macA2
	l.want(next)
	if device, up := l.Egress(Remote{Dst: far}); device != "eth0" || up {
		t.Errorf("without a carrier, egress is %q, up %v", device, up)
	}
	l.dev <- netdev.Event{Kind: netdev.Removed, Info: netdev.Info{Name: "eth0", Ifindex: 2}}
	l.want()
}

// TestResolve sends packets to an address that only flows know.
func TestResolve(t *testing.T) {
	l := newLab(t)
	var sent atomic.Int32
	send := func() { sent.Add(1) }
	for range maxHopPackets + 3 {
		l.Resolve(a2, 0, 100, send)
	}
	l.want(toA2)
	if got := l.counted("tunnel_wait_full"); got != 3 || sent.Load() != 0 {
		t.Errorf("%d packets too many and %d sent, want 3 and 0", got, sent.Load())
	}
	if got := l.host.probes[NeighborKey{2, a2}]; got != 1 {
		t.Errorf("asked %d times for the neighbour of packets that came at once", got)
	}
	l.host.learn(neighborAt(a2, macA2))
	l.want(with(toA2, macA2))
	l.eventually(func() error {
		if n := sent.Load(); n != maxHopPackets {
			return fmt.Errorf("%d sent", n)
		}
		return nil
	})
	l.Resolve(a2, 0, 100, send) // was on its way up
	if n := sent.Load(); n != maxHopPackets+1 {
		t.Errorf("%d sent, want %d", n, maxHopPackets+1)
	}

	// To nowhere.
	l.Resolve(netip.MustParseAddr("203.0.113.1"), 0, 100, send)
	l.Resolve(a2, 7, 100, send) // packets of this mark have no route
	if got := l.counted("tunnel_no_route"); got != 2 {
		t.Errorf("%d packets without a route, want 2", got)
	}

	// A neighbour that does not answer, and one of which nothing is heard.
	l.Resolve(far, 0, 100, send)
	l.host.learn(neighborAt(gw, [6]byte{}))
	dropped := func(n uint64) {
		t.Helper()
		l.eventually(func() error {
			l.clock.Advance(tick)
			if got := l.counted("tunnel_no_neighbor"); got != n {
				return fmt.Errorf("%d packets without a neighbour, want %d", got, n)
			}
			return nil
		})
	}
	dropped(1)
	l.host.set(func() {
		l.host.to[Remote{far, 7}] = Route{Ifindex: 2, Src: a1, Gateway: netip.MustParseAddr("10.0.0.77")}
	})
	l.Resolve(far, 7, 100, send)
	dropped(2)
	l.mu.Lock()
	waiting := l.waiting
	l.mu.Unlock()
	if waiting != 0 {
		t.Errorf("%d bytes wait", waiting)
	}

	// What nobody asks for any more goes.
	l.setAging(2 * tick)
	l.eventually(func() error {
		l.clock.Advance(tick)
		l.dp.mu.Lock()
		defer l.dp.mu.Unlock()
		if n := len(l.dp.hops); n != 0 {
			return fmt.Errorf("%d next hops are left", n)
		}
		return nil
	})
}

func TestLocal(t *testing.T) {
	l := newLab(t)
	l.configure(a1)
	l.want(datapath.NextHop{Dst: a1, Src: a1, Ifindex: 1, MTU: 65536, Local: true})
	sent := false
	l.Resolve(a1, 0, 1, func() { sent = true })
	if !sent {
		t.Error("a packet to the host itself waits")
	}
	if device, _ := l.Egress(Remote{Dst: a1}); device != "eth0" {
		t.Errorf("egress is %q, want the device with the address", device)
	}
}

// TestArrivals wants encapsulated packets taken where they can arrive: not on ports, not on all that have only a
// link-local address, on the loopback device only when the host sends to itself.
func TestArrivals(t *testing.T) {
	l := newLab(t)
	check := func(want ...datapath.UnderlayDevice) {
		t.Helper()
		l.eventually(func() error {
			l.dp.mu.Lock()
			defer l.dp.mu.Unlock()
			if diff := cmp.Diff(want, l.dp.underlay, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	}
	eth0 := datapath.UnderlayDevice{Ifindex: 2, Addresses: []netip.Addr{a1, netip.MustParseAddr("fe80::1")}}
	check(eth0)
	l.dp.mu.Lock()
	if first := l.dp.underlays[0]; len(first) == 0 {
		t.Error("a start takes away what an earlier run left")
	}
	l.dp.mu.Unlock()
	l.configure(a1)
	check(datapath.UnderlayDevice{Ifindex: 1, Addresses: []netip.Addr{a1, netip.MustParseAddr("10.4.0.1"),
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::3")}}, eth0)
	// The kernel's devices get packets from the kernel; the datapath wants to know how long they can be.
	l.SetDemand(Demand{Ports: []Port{{Name: "v", Spec: datapath.TunnelSpec{Type: "vxlan", DstPort: 4789}}}, Remotes: []Remote{{Dst: a2}}})
	check()
	l.want(toA2)
	l.SetDemand(Demand{Remotes: []Remote{{Dst: a2}}})
	l.want()
}

// TestRefused wants a datapath's refusal said, and the rest to go on.
func TestRefused(t *testing.T) {
	l := newLab(t)
	l.dp.mu.Lock()
	l.dp.refuse = errors.New("no room")
	l.dp.mu.Unlock()
	l.configure(a2)
	l.eventually(func() error {
		for _, e := range l.log.AllEntries() {
			if strings.Contains(e.Message, "next hop of 10.0.0.2: no room") {
				return nil
			}
		}
		return errors.New("it was not said")
	})
	l.dp.mu.Lock()
	l.dp.refuse = nil
	l.dp.mu.Unlock()
	l.Kick()
	l.want(toA2)
}

// TestLost wants everything listed anew after changes were lost.
func TestLost(t *testing.T) {
	l := newLab(t)
	l.configure(a2)
	l.want(toA2)
	l.host.set(func() { l.host.neighbors = []Neighbor{neighborAt(a2, macA2)} })
	l.host.changes.SetLost()
	l.want(with(toA2, macA2))
}

// TestRouteBeforeDevice hears of a route before its device, as a start or a new device has it: nothing is wrong meanwhile.
func TestRouteBeforeDevice(t *testing.T) {
	l := newLab(t)
	l.host.mu.Lock()
	l.host.to[Remote{far, 0}] = Route{Ifindex: 5, Src: a1, Gateway: gw}
	l.host.mu.Unlock()
	l.configure(a2, far)
	l.want(toA2)
	l.dev <- netdev.Event{Kind: netdev.Added, Info: netdev.Info{Name: "eth2", Ifindex: 5, MTU: 1300, Up: true, Carrier: true, Ethernet: true, MAC: macEth0}}
	l.want(toA2, datapath.NextHop{Dst: far, Src: a1, Ifindex: 5, SrcMAC: macEth0, MTU: 1300})
	for _, e := range l.log.AllEntries() {
		t.Errorf("log: %s", e.Message)
	}
}
