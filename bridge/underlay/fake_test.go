package underlay

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// fakeHost is a Host whose state the test writes.
type fakeHost struct {
	mu        sync.Mutex
	routes    []Route
	addresses []Address
	neighbors []Neighbor
	to        map[Remote]Route
	probes    map[NeighborKey]int
	changes   *Changes
}

func (f *fakeHost) Routes() ([]Route, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.routes), nil
}

func (f *fakeHost) Addresses() ([]Address, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.addresses), nil
}

func (f *fakeHost) Neighbors() ([]Neighbor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.neighbors), nil
}

func (f *fakeHost) RouteTo(dst netip.Addr, mark uint32) (Route, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.to[Remote{dst, mark}]
	if !ok {
		return Route{}, fmt.Errorf("%s: %w", dst, ErrNoRoute)
	}
	return r, nil
}

func (f *fakeHost) Probe(ifindex int, ip netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probes[NeighborKey{ifindex, ip}]++
	return nil
}

func (f *fakeHost) Watch(context.Context) (*Changes, error) { return f.changes, nil }

func (f *fakeHost) set(g func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g()
}

// learn has the host know neighbours, one MAC each; a zero one has not answered.
func (f *fakeHost) learn(n ...Neighbor) {
	f.set(func() { f.neighbors = append(f.neighbors, n...) })
	for _, n := range n {
		f.changes.SetNeighbor(n)
	}
}

// fakeDatapath remembers what it is told.
type fakeDatapath struct {
	mu        sync.Mutex
	hops      map[Remote]datapath.NextHop
	underlay  []datapath.UnderlayDevice
	underlays [][]datapath.UnderlayDevice // all that were set
	ports     [2]uint16
	refuse    error
}

func (f *fakeDatapath) SetNextHop(n datapath.NextHop) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return f.refuse
	}
	f.hops[Remote{n.Dst, n.Mark}] = n
	return nil
}

func (f *fakeDatapath) DelNextHop(dst netip.Addr, mark uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hops, Remote{dst, mark})
	return nil
}

func (f *fakeDatapath) SetUnderlay(l []datapath.UnderlayDevice) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.underlay = l
	f.underlays = append(f.underlays, l)
	return nil
}

func (f *fakeDatapath) SetTunnelPorts(first, last uint16) error {
	f.ports = [2]uint16{first, last}
	return nil
}

// lab is an Underlay over a fake host with the devices lo (1), eth0 (2), eth1 (3) and p1 (4), a bridge's port.
type lab struct {
	*Underlay
	t     *testing.T
	host  *fakeHost
	dp    *fakeDatapath
	clock *clock.Manual
	log   *test.Hook
	count sync.Map // of counts by name
	dev   chan netdev.Event
}

var (
	a1, a2, gw  = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.254")
	far         = netip.MustParseAddr("192.0.2.7")
	macA2       = [6]byte{2, 0, 0, 0, 0, 2}
	macGW       = [6]byte{2, 0, 0, 0, 0, 254}
	macEth0     = [6]byte{2, 0, 0, 0, 1, 0}
	nativeVXLAN = Port{Name: "vxlan_sys_4789", Number: 5, Refs: 2, Spec: datapath.TunnelSpec{Type: "vxlan", DstPort: 4789, Native: true}}
)

func newLab(t *testing.T) *lab {
	t.Helper()
	logger, hook := test.NewNullLogger()
	logger.SetOutput(io.Discard)
	l := &lab{
		t: t, dp: &fakeDatapath{hops: map[Remote]datapath.NextHop{}}, clock: clock.NewManual(time.Unix(1e9, 0)), log: hook,
		host: &fakeHost{to: map[Remote]Route{}, probes: map[NeighborKey]int{}, changes: NewChanges()}, dev: make(chan netdev.Event, 8),
	}
	l.host.addresses = []Address{{1, netip.MustParsePrefix("127.0.0.1/8")}, {2, netip.MustParsePrefix("10.0.0.1/24")},
		{2, netip.MustParsePrefix("fe80::1/64")}, {4, netip.MustParsePrefix("10.4.0.1/24")}, {3, netip.MustParsePrefix("fe80::3/64")}}
	l.host.to[Remote{a2, 0}] = Route{Ifindex: 2, Src: a1}
	l.host.to[Remote{far, 0}] = Route{Ifindex: 2, Src: a1, Gateway: gw, MTU: 1400}
	l.host.to[Remote{a1, 0}] = Route{Ifindex: 1, Src: a1, Local: true}
	for _, d := range []netdev.Info{
		{Name: "lo", Ifindex: 1, MTU: 65536, Up: true, Carrier: true, Loopback: true},
		{Name: "eth0", Ifindex: 2, MTU: 1500, Up: true, Carrier: true, Ethernet: true, MAC: macEth0},
		{Name: "eth1", Ifindex: 3, MTU: 1500, Up: true, Carrier: true, Ethernet: true},
		{Name: "p1", Ifindex: 4, MTU: 1500, Up: true, Carrier: true, Ethernet: true},
	} {
		l.dev <- netdev.Event{Kind: netdev.Added, Info: d}
	}
	l.Underlay = New(Options{
		Host: l.host, Datapath: l.dp, Clock: l.clock, Log: logrus.NewEntry(logger),
		Watch: func(context.Context) (<-chan netdev.Event, error) { return l.dev, nil },
		Count: func(name string, n uint64) {
			old, _ := l.count.LoadOrStore(name, uint64(0))
			l.count.Store(name, old.(uint64)+n)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	l.eventually(func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.devices) != 4 {
			return fmt.Errorf("%d devices", len(l.devices))
		}
		return nil
	})
	l.SetDemand(Demand{Ports: []Port{nativeVXLAN}, Taken: map[string]bool{"p1": true}})
	return l
}

// eventually waits until f has nothing to say.
func (l *lab) eventually(f func() error) {
	l.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// want waits until the datapath has exactly these next hops.
func (l *lab) want(hops ...datapath.NextHop) {
	l.t.Helper()
	want := map[Remote]datapath.NextHop{}
	for _, h := range hops {
		want[Remote{h.Dst, h.Mark}] = h
	}
	l.eventually(func() error {
		l.dp.mu.Lock()
		defer l.dp.mu.Unlock()
		if diff := cmp.Diff(want, l.dp.hops, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			return fmt.Errorf("next hops (-want +got):\n%s", diff)
		}
		return nil
	})
}

func (l *lab) counted(name string) uint64 {
	n, _ := l.count.LoadOrStore(name, uint64(0))
	return n.(uint64)
}
