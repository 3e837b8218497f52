package netdev

import (
	"context"
	"errors"
	"maps"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

func TestSimOpen(t *testing.T) {
	s := NewSim(clock.NewManual(time.Unix(0, 0)))
	d := mustOpen(t, s, "p1", Dummy)
	want := Info{
		Name: "p1", Ifindex: 1, Kind: "dummy", MAC: MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0}, MTU: 1500,
		Up: true, Carrier: true, Ethernet: true,
	}
	if diff := cmp.Diff(want, mustInfo(t, d)); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if err := d.SetUp(false); err != nil || mustInfo(t, d).LinkUp() {
		t.Error("a device that is down has a link")
	}
	if i := mustInfo(t, mustOpen(t, s, "p2", Internal)); i.MAC.String() != "aa:55:aa:55:00:01" {
		t.Errorf("second address %s", i.MAC)
	}
	for _, c := range []struct {
		name, typ, want string
	}{
		{"eth7", "", "could not open network device eth7 (No such device)"},
		{"p1", Dummy, "could not open network device p1 (Device or resource busy)"},
		{"p3", "foo", "could not open network device p3 (Address family not supported by protocol)"},
		{"a-name-of-17-byte", Dummy, "could not open network device a-name-of-17-byte (File name too long)"},
	} {
		if _, err := s.Open(OpenSpec{Name: c.name, Type: c.typ}); err == nil || err.Error() != c.want {
			t.Errorf("open %s: %v, want %s", c.name, err, c.want)
		}
	}
	// A device that an earlier run left is adopted, or swept.
	if err := errors.Join(d.SetMTU(9000), d.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(OpenSpec{Name: "p1"}); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("dummy taken as system: %v", err)
	}
	d = mustOpen(t, s, "p1", Internal)
	if i := mustInfo(t, d); i.MTU != 9000 || i.Ifindex != 1 {
		t.Errorf("adopted: %+v", i)
	}
	d.Close()
	if removed, err := s.Sweep([]string{"p9"}); err != nil || !cmp.Equal(removed, []string{"p1"}) {
		t.Errorf("swept %v, %v", removed, err)
	}
	s.Override(true)
	if i := mustInfo(t, mustOpen(t, s, "eth7", "")); i.Ifindex != 3 {
		t.Errorf("overridden: %+v", i)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Open(OpenSpec{Name: "p9", Type: Dummy}); err == nil {
		t.Error("a closed provider opens")
	}
}

func TestSimHotPlug(t *testing.T) {
	s := NewSim(clock.NewManual(time.Unix(0, 0)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Plug("eth0"); err != nil {
		t.Fatal(err)
	}
	added := expect(t, events, "plugged", is(Added, "eth0"))
	d := mustOpen(t, s, "eth0", System)
	if i := mustInfo(t, d); !i.LinkUp() || !i.Promisc {
		t.Errorf("%+v", i)
	}
	if err := d.SetUp(false); err != nil {
		t.Error(err)
	}
	expect(t, events, "down", func(e Event) bool { return is(Changed, "eth0")(e) && !e.Info.Up })

	s.Unplug("eth0")
	expect(t, events, "unplugged", is(Removed, "eth0"))
	_, e1 := d.Info()
	_, e2 := d.Stats()
	for _, err := range []error{e1, e2, d.SetUp(true), d.(*SimDevice).Receive(frame), d.(*SimDevice).Transmit(frame)} {
		if !errors.Is(err, ErrNoDevice) {
			t.Errorf("unplugged: %v", err)
		}
	}
	back, err := s.Plug("eth0")
	if err != nil {
		t.Fatal(err)
	}
	again := expect(t, events, "plugged again", is(Added, "eth0"))
	if again.Info.Ifindex == added.Info.Ifindex {
		t.Error("the new device has the old one's ifindex")
	}
	if err := d.Release(); err != nil {
		t.Error(err)
	}
	d = mustOpen(t, s, "eth0", System)
	if d != Device(back) {
		t.Error("another device was opened")
	}
	if err := errors.Join(back.SetCarrier(false), back.SetCarrier(false), d.Release()); err != nil {
		t.Error(err)
	}
	expect(t, events, "released", func(e Event) bool { return !e.Info.Promisc && e.Info.CarrierChanges == 1 })
	cancel()
	for range events {
	}
}

func TestSimPackets(t *testing.T) {
	c := clock.NewManual(time.Unix(100, 0))
	s := NewSim(c)
	d := mustOpen(t, s, "p1", Dummy).(*SimDevice)
	if err := d.Receive(frame); err != nil { // nobody takes it
		t.Error(err)
	}
	var got, seen [][]byte
	d.OnReceive(func(b []byte) { got = append(got, b) })
	d.OnTransmit(func(b []byte) { seen = append(seen, b) })
	if err := d.Receive(frame); err != nil {
		t.Error(err)
	}
	long := func(typ uint16, n int) []byte {
		b := make([]byte, n)
		b[12], b[13] = byte(typ>>8), byte(typ)
		return b
	}
	c.Advance(time.Second)
	for _, b := range []struct {
		data []byte
		ok   bool
	}{
		{frame, true}, {long(0x800, 1514), true}, {long(0x800, 1515), false},
		{long(0x8100, 1518), true}, {long(0x88a8, 1518), true}, {long(0x8100, 1519), false},
		{frame[:13], false},
	} {
		err := d.Transmit(b.data)
		if (err == nil) != b.ok || err != nil && !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("%d bytes: %v", len(b.data), err)
		}
	}
	sent := d.Sent()
	if len(got) != 1 || len(seen) != 4 || len(sent) != 4 || d.Sent() != nil {
		t.Fatalf("%d received, %d seen, %d sent", len(got), len(seen), len(sent))
	}
	if diff := cmp.Diff(SimPacket{time.Unix(101, 0), frame}, sent[0]); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	stats, err := d.Stats()
	want := Stats{
		RxPackets: 1, RxBytes: 60, RxDropped: 1,
		TxPackets: 4, TxBytes: 60 + 1514 + 2*1518, TxDropped: 3,
	}
	if diff := cmp.Diff(want, stats); err != nil || diff != "" {
		t.Errorf("stats: %v (-want +got):\n%s", err, diff)
	}
	for range simSent + 5 {
		if err := d.Transmit(frame); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(d.Sent()); n != simSent {
		t.Errorf("%d packets kept", n)
	}
}

// TestStatsNames: every counter has the name that Interface.statistics gives it.
func TestStatsNames(t *testing.T) {
	s := Stats{
		RxPackets: 1, TxPackets: 2, RxBytes: 3, TxBytes: 4, RxDropped: 5, TxDropped: 6, RxErrors: 7,
		TxErrors: 8, RxFrameErr: 9, RxOverErr: 10, RxCRCErr: 11, RxMissed: 12, Collisions: 13,
		RxMulticast: 14,
	}
	want := map[string]uint64{
		"rx_packets": 1, "tx_packets": 2, "rx_bytes": 3, "tx_bytes": 4, "rx_dropped": 5,
		"tx_dropped": 6, "rx_errors": 7, "tx_errors": 8, "rx_frame_err": 9, "rx_over_err": 10,
		"rx_crc_err": 11, "rx_missed_errors": 12, "collisions": 13, "rx_multicast_packets": 14,
	}
	if diff := cmp.Diff(want, maps.Collect(s.All())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range s.All() {
		break // an early end is no panic
	}
}
