package netdev

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netns"
)

// frame is 60 bytes of an Ethernet type for experiments.
var frame = append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, make([]byte, 46)...)

func TestOpenErrors(t *testing.T) {
	inNetns(t)
	ip(t, "link add v0 type veth peer name v1")
	ip(t, "link add br9 type bridge")
	ip(t, "tuntap add l3 mode tun")
	l := newLinux(t, "test")
	mustOpen(t, l, "v0", System)
	for _, c := range []struct {
		name, typ, want string
		errno           syscall.Errno
	}{
		{"eth7", "", "could not open network device eth7 (No such device)", syscall.ENODEV},
		{"eth7", System, "could not open network device eth7 (No such device)", syscall.ENODEV},
		{"a-name-of-17-byte", System, "could not open network device a-name-of-17-byte (No such device)", syscall.ENODEV},
		{"", System, "could not open network device  (Invalid argument)", syscall.EINVAL},
		{"badt", "foo", "could not open network device badt (Address family not supported by protocol)", syscall.EAFNOSUPPORT},
		{"d0", Dummy, "could not open network device d0 (Address family not supported by protocol)", syscall.EAFNOSUPPORT},
		{"v0", System, "could not open network device v0 (Device or resource busy)", syscall.EBUSY},
		{"v0", Internal, "could not open network device v0 (Device or resource busy)", syscall.EBUSY},
		{"lo", System, "could not open network device lo (Invalid argument: loopback)", syscall.EINVAL},
		{"l3", System, "could not open network device l3 (Invalid argument: not an Ethernet device)", syscall.EINVAL},
		{"v1", Internal, "could not open network device v1 (File exists: not a tap)", syscall.EEXIST},
		{"br9", Tap, "could not open network device br9 (File exists: not a tap)", syscall.EEXIST},
		{"l3", Internal, "could not open network device l3 (Invalid argument)", syscall.EINVAL},
		{"a-name-of-17-byte", Internal, "could not open network device a-name-of-17-byte (File name too long)", syscall.ENAMETOOLONG},
		{"tap%d", Internal, "could not open network device tap%d (Invalid argument)", syscall.EINVAL},
		{"a/b", Internal, "could not open network device a/b (Invalid argument)", syscall.EINVAL},
		{"", Internal, "could not open network device  (Invalid argument)", syscall.EINVAL},
		{"..", Internal, "could not open network device .. (Invalid argument)", syscall.EINVAL},
	} {
		_, err := l.Open(OpenSpec{Name: c.name, Type: c.typ})
		if err == nil || err.Error() != c.want || !errors.Is(err, c.errno) {
			t.Errorf("open %q as %q: %v, want %s", c.name, c.typ, err, c.want)
		}
		if oe := (*OpenError)(nil); !errors.As(err, &oe) {
			t.Errorf("open %q as %q: error is a %T", c.name, c.typ, err)
		}
	}
	if _, err := l.Lookup("eth7"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("Lookup: %v", err)
	}
	// Nothing of the failures stayed: no device, and no name taken.
	ip(t, "link add eth7 type veth peer name eth8")
	mustOpen(t, l, "eth7", System)
}

func TestSystem(t *testing.T) {
	here := inNetns(t)
	ip(t, "link add v0 type veth peer name v1 address 02:00:00:00:00:99")
	peerNS := inNetns(t)
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	l := newLinux(t, "test")
	ip(t, "link set v0 up address 02:00:00:00:00:98 mtu 1400")
	p, err := l.Lookup("v1")
	if err != nil {
		t.Fatal(err)
	}
	moveLink(t, l, p.Ifindex, peerNS)

	d := mustOpen(t, l, "v0", "")
	i := mustInfo(t, d)
	want := Info{
		Name: "v0", Ifindex: i.Ifindex, Kind: "veth", MAC: MAC{2, 0, 0, 0, 0, 0x98}, MTU: 1400,
		Up: true, Promisc: true, Ethernet: true, CarrierChanges: i.CarrierChanges,
		Peer: Peer{Ifindex: p.Ifindex, Netns: 0},
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if d.Type() != System || d.Name() != "v0" {
		t.Errorf("%s of type %s", d.Name(), d.Type())
	}

	peer, err := l.PeerOf(i)
	if err != nil || peer.MAC != (MAC{2, 0, 0, 0, 0, 0x99}) || peer.Name != "v1" {
		t.Errorf("peer: %+v, %v", peer, err)
	}
	e, err := d.Ethtool()
	wantTool := Ethtool{
		Driver: "veth", DriverVersion: "1.0", Speed: 10e9, Duplex: DuplexFull,
		Current: Feature10GFD | FeatureCopper,
	}
	if diff := cmp.Diff(wantTool, e); err != nil || diff != "" {
		t.Errorf("ethtool: %v (-want +got):\n%s", err, diff)
	}

	if err := netns.Set(peerNS); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set v1 up")
	send(t, p.Ifindex, 5, frame)
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	send(t, i.Ifindex, 3, frame)
	s, err := d.Stats()
	s.RxDropped = 0 // the host has no use for them
	if diff := cmp.Diff(Stats{RxPackets: 5, RxBytes: 300, TxPackets: 3, TxBytes: 180}, s); err != nil || diff != "" {
		t.Errorf("stats: %v (-want +got):\n%s", err, diff)
	}
	after := mustInfo(t, d)
	if !after.LinkUp() || after.CarrierChanges == i.CarrierChanges {
		t.Errorf("no carrier seen: %+v", after)
	}

	if err := errors.Join(d.SetMTU(1300), d.SetMAC(MAC{2, 0, 0, 0, 0, 0x97}), d.SetUp(false)); err != nil {
		t.Error(err)
	}
	if i := mustInfo(t, d); i.MTU != 1300 || i.MAC[5] != 0x97 || i.Up || i.LinkUp() {
		t.Errorf("after setting: %+v", i)
	}
	if err := d.SetMTU(10); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("MTU 10: %v", err)
	}
	if err := d.SetMTU(-1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("MTU -1: %v", err)
	}
	if err := d.SetMAC(MAC{1}); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("multicast address: %v", err)
	}

	// Renamed, it is gone; and so when it is deleted, while the name has a new device.
	ip(t, "link set v0 name w0")
	if _, err := d.Info(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("renamed: %v", err)
	}
	ip(t, "link set w0 name v0")
	mustInfo(t, d)
	ip(t, "link del v0")
	ip(t, "link add v0 type veth peer name v1")
	if _, err := d.Info(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("replaced: %v", err)
	}
	if _, err := d.Stats(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("replaced: %v", err)
	}
	if err := d.Release(); err != nil {
		t.Error(err)
	}
	mustOpen(t, l, "v0", System)
}

func TestPeerHere(t *testing.T) {
	inNetns(t)
	ip(t, "link add v0 type veth peer name v1")
	ip(t, "link add br9 type bridge")
	ip(t, "link set v0 master br9")
	l := newLinux(t, "test")
	i, err := l.Lookup("v0")
	if err != nil {
		t.Fatal(err)
	}
	br, err := l.Lookup("br9")
	if err != nil {
		t.Fatal(err)
	}
	if i.Peer.Netns != -1 || i.Master != br.Ifindex {
		t.Errorf("%+v", i)
	}
	if p, err := l.PeerOf(i); err != nil || p.Name != "v1" {
		t.Errorf("peer: %+v, %v", p, err)
	}
	if _, err := l.PeerOf(br); !errors.Is(err, ErrNoDevice) {
		t.Errorf("peer of a bridge: %v", err)
	}
}

func TestPromisc(t *testing.T) {
	for _, c := range []struct {
		name          string
		before        string // the user's setting
		adopted       bool
		release, want bool
	}{
		{"restored on release", "off", false, true, false},
		{"kept on close", "off", false, false, true},
		{"the user's is kept", "on", false, true, true},
		{"of an earlier run", "on", true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNetns(t)
			ip(t, "link add v0 type veth peer name v1")
			ip(t, "link set v0 promisc "+c.before)
			l := newLinux(t, "test")
			d, err := l.Open(OpenSpec{Name: "v0", Adopted: c.adopted})
			if err != nil {
				t.Fatal(err)
			}
			if !mustInfo(t, d).Promisc {
				t.Error("not promiscuous while open")
			}
			if c.release {
				err = d.Release()
			} else {
				err = d.Close()
			}
			i, lerr := l.Lookup("v0")
			if err != nil || lerr != nil || i.Promisc != c.want {
				t.Errorf("promiscuous %v, want %v (%v, %v)", i.Promisc, c.want, err, lerr)
			}
			if err := errors.Join(d.Release(), d.Close()); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestTap(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "/run/test")
	d := mustOpen(t, l, "in0", Internal)
	if err := errors.Join(d.SetUp(true), d.SetMTU(1400), d.SetMAC(MAC{2, 0, 0, 0, 0, 7})); err != nil {
		t.Fatal(err)
	}
	i := mustInfo(t, d)
	want := Info{
		Name: "in0", Ifindex: i.Ifindex, Kind: "tun", MAC: MAC{2, 0, 0, 0, 0, 7}, MTU: 1400,
		Up: true, Carrier: true, CarrierChanges: i.CarrierChanges, Ethernet: true,
		Alias: "ovs-bpf /run/test",
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	e, err := d.Ethtool()
	if err != nil || e.Driver != "tun" || e.DriverVersion != "1.6" || e.Firmware != "" {
		t.Errorf("ethtool: %+v, %v", e, err)
	}

	// What the host sends comes into the bridge: it counts as received. Nobody takes it, and
	// still more packets than the device's queue holds go through.
	ip(t, "link set in0 txqueuelen 10")
	send(t, i.Ifindex, 100, frame)
	s, err := d.Stats()
	if err != nil || s.RxPackets+s.RxDropped != 100 || s.TxPackets != 0 {
		t.Errorf("stats: %+v, %v", s, err)
	}

	// The agent stops: the tap stays, without carrier.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = newLinux(t, "/run/test")
	left, err := l.Lookup("in0")
	if err != nil || left.Carrier || left.Ifindex != i.Ifindex || !left.Up {
		t.Errorf("after the agent's end: %+v, %v", left, err)
	}
	// It starts again, and has the same tap, with carrier.
	d = mustOpen(t, l, "in0", Internal)
	if again := mustInfo(t, d); again.Ifindex != i.Ifindex || !again.Carrier || again.MAC != i.MAC || again.MTU != i.MTU {
		t.Errorf("adopted: %+v", again)
	}
	// A port of type tap is the same.
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = mustOpen(t, l, "in0", Tap)
	if err := d.Release(); err != nil {
		t.Error(err)
	}
	if _, err := l.Lookup("in0"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("after release: %v", err)
	}
}

func TestForeignTap(t *testing.T) {
	inNetns(t)
	ip(t, "tuntap add user0 mode tap")
	l := newLinux(t, "one")
	d := mustOpen(t, l, "user0", Internal)
	if i := mustInfo(t, d); i.Alias != "" || i.Promisc {
		t.Errorf("marked: %+v", i)
	}
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lookup("user0"); err != nil {
		t.Errorf("a user's tap was removed: %v", err)
	}

	// Another instance's, while it runs and when it has stopped.
	other := newLinux(t, "two")
	mustOpen(t, other, "br0", Internal)
	for _, state := range []string{"running", "stopped"} {
		_, err := l.Open(OpenSpec{Name: "br0", Type: Internal})
		if !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "tap of another instance, two") {
			t.Errorf("%s: %v", state, err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	}

	// One that another process has open.
	vm := mustOpen(t, l, "user0", Internal)
	third := newLinux(t, "one")
	if _, err := third.Open(OpenSpec{Name: "user0", Type: Internal}); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("open twice: %v", err)
	}
	if err := vm.Close(); err != nil {
		t.Error(err)
	}
}

func TestTapVanishes(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	d := mustOpen(t, l, "in0", Internal)
	ip(t, "link del in0")
	if _, err := d.Info(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("info: %v", err)
	}
	if _, err := d.Ethtool(); !errors.Is(err, ErrNoDevice) {
		t.Errorf("ethtool: %v", err)
	}
	if err := d.SetMTU(1400); !errors.Is(err, ErrNoDevice) {
		t.Errorf("set MTU: %v", err)
	}
	if err := d.Release(); err != nil {
		t.Errorf("release: %v", err)
	}
	d = mustOpen(t, l, "in0", Internal)
	if err := d.Release(); err != nil {
		t.Errorf("release: %v", err)
	}
}

// TestTapMoved: a tap that went to another namespace is not seen, but told from a deleted one,
// and removed there when it is released.
func TestTapMoved(t *testing.T) {
	here := inNetns(t)
	away := inNetns(t)
	if err := netns.Set(here); err != nil {
		t.Fatal(err)
	}
	l := newLinux(t, "test")
	d := mustOpen(t, l, "in0", Internal)
	moveLink(t, l, mustInfo(t, d).Ifindex, away)
	const want = "device in0: moved to another network namespace: no such device"
	if _, err := d.Info(); !errors.Is(err, ErrNoDevice) || err.Error() != want {
		t.Errorf("info: %v, want %s", err, want)
	}
	if err := d.Release(); err != nil {
		t.Error(err)
	}
	if err := netns.Set(away); err != nil {
		t.Fatal(err)
	}
	there := newLinux(t, "there")
	if _, err := there.Lookup("in0"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("after release: %v", err)
	}
}

func TestSweep(t *testing.T) {
	inNetns(t)
	ip(t, "tuntap add user0 mode tap")
	ip(t, "link add v0 type veth peer name v1")
	other := newLinux(t, "other")
	mustOpen(t, other, "other0", Internal)
	first := newLinux(t, "one")
	for _, name := range []string{"old0", "old1", "kept", "open"} {
		mustOpen(t, first, name, Internal)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	l := newLinux(t, "one")
	mustOpen(t, l, "open", Internal)
	removed, err := l.Sweep([]string{"kept", "unknown"})
	slices.Sort(removed)
	if diff := cmp.Diff([]string{"old0", "old1"}, removed); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, name := range []string{"user0", "v0", "other0", "kept", "open"} {
		if _, err := l.Lookup(name); err != nil {
			t.Error(err)
		}
	}
	if removed, err := l.Sweep([]string{"kept"}); err != nil || len(removed) != 0 {
		t.Errorf("again: %v, %v", removed, err)
	}
}

// TestOtherThread: whichever thread asks, devices are those of the provider's namespace.
func TestOtherThread(t *testing.T) {
	inNetns(t)
	l := newLinux(t, "test")
	errs := make(chan error)
	go func() {
		_, err := l.Open(OpenSpec{Name: "in0", Type: Internal})
		errs <- err
	}()
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	ip(t, "link show dev in0") // by the test's own thread
}

// TestLeaks: 100 ports added and deleted leave no device, file or goroutine (TestMain looks).
func TestLeaks(t *testing.T) {
	inNetns(t)
	ip(t, "link add v0 type veth peer name v1")
	l := newLinux(t, "test")
	before := 0
	for n := range 100 {
		in, sys := mustOpen(t, l, "in0", Internal), mustOpen(t, l, "v0", System)
		_, e1 := in.Stats()
		_, e2 := sys.Ethtool()
		if err := errors.Join(e1, e2, in.Release(), sys.Release()); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			before = fds(t)
		}
	}
	if after := fds(t); after != before {
		t.Errorf("%d files open after the first cycle, %d after the last", before, after)
	}
	all, err := l.rtnl.list()
	if err != nil || len(all) != 3 {
		t.Errorf("devices left: %v, %v", all, err)
	}
}

func TestClosedProvider(t *testing.T) {
	inNetns(t)
	for _, bad := range []string{"", strings.Repeat("x", 201)} {
		if _, err := NewLinux(bad); err == nil {
			t.Errorf("instance %q taken", bad)
		}
	}
	l := newLinux(t, "test")
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Open(OpenSpec{Name: "in0", Type: Internal}); err == nil {
		t.Error("a closed provider opens")
	}
	if _, err := l.Watch(t.Context()); err == nil {
		t.Error("a closed provider watches")
	}
}
