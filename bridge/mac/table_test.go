package mac

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

func newTest() (*Table[string], *clock.Manual) {
	c := clock.NewManual(time.Unix(1000, 0))
	return New[string](c), c
}

// addr makes 50:54:00:00:00:n.
func addr(n byte) Addr { return Addr{0x50, 0x54, 0, 0, 0, n} }

func see(t *Table[string], port string, n byte) bool {
	return t.Learn(Observation[string]{Addr: addr(n), Port: port})
}

// row is an entry without what the tests do not look at.
func row(e Entry[string]) string {
	age := e.Age.Truncate(time.Second).String()
	if e.Static {
		age = "static"
	}
	return e.Port + " " + e.Addr.String()[15:] + " " + age
}

func rows(t *Table[string]) []string {
	var all []string
	for _, e := range t.Entries() {
		all = append(all, row(e))
	}
	return all
}

func want(t *testing.T, tab *Table[string], want ...string) {
	t.Helper()
	if d := cmp.Diff(want, rows(tab)); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

// TestSequence replays what a live ovs-vswitchd 3.1 answered to the same steps, except that
// ours does not evict static entries.
func TestSequence(t *testing.T) {
	tab, c := newTest()
	tab.SetMax(10)
	see(tab, "p1", 1)
	c.Advance(3 * time.Second)
	see(tab, "p2", 2)
	see(tab, "p1", 3)
	want(t, tab, "p1 01 3s", "p2 02 0s", "p1 03 0s")

	c.Advance(2 * time.Second)
	if see(tab, "p1", 1) {
		t.Error("a refresh is no change")
	}
	want(t, tab, "p2 02 2s", "p1 03 2s", "p1 01 0s")

	old, replaced, err := tab.AddStatic(0, addr(3), "p3")
	if err != nil || !replaced || row(old) != "p1 03 2s" {
		t.Errorf("AddStatic: %v %v %v", old, replaced, err)
	}
	if see(tab, "p2", 3) {
		t.Error("a static entry was learned anew")
	}
	want(t, tab, "p2 02 2s", "p1 01 0s", "p3 03 static")

	if tab.DelStatic(0, addr(1)) || tab.DelStatic(0, addr(99)) {
		t.Error("DelStatic removed what is not static")
	}
	if !see(tab, "p1", 2) {
		t.Error("a move is a change")
	}
	want(t, tab, "p1 01 0s", "p3 03 static", "p1 02 0s")

	for n := byte(4); n <= 13; n++ {
		see(tab, "p2", n)
		c.Advance(time.Second)
	}
	want(t, tab, "p1 01 10s", "p3 03 static", "p1 02 10s",
		"p2 07 7s", "p2 08 6s", "p2 09 5s", "p2 0a 4s", "p2 0b 3s", "p2 0c 2s", "p2 0d 1s")
	if d := cmp.Diff(Stats{Current: 10, Max: 10, Static: 1, Learned: 13, Evicted: 3, Moved: 1},
		tab.Stats()); d != "" {
		t.Errorf("stats (-want +got):\n%s", d)
	}

	tab.Flush()
	want(t, tab, "p3 03 static")
	see(tab, "p2", 5)
	c.Advance(299 * time.Second)
	if tab.Run() {
		t.Error("expired after 299 s")
	}
	want(t, tab, "p3 03 static", "p2 05 4m59s")
	c.Advance(time.Second)
	if !tab.Run() {
		t.Error("not expired after 300 s")
	}
	want(t, tab, "p3 03 static")
	if s := tab.Stats(); s.Expired != 1 || s.Static != 1 {
		t.Errorf("stats: %+v", s)
	}
	tab.ClearStats()
	if d := cmp.Diff(Stats{Current: 1, Max: 10, Static: 1}, tab.Stats()); d != "" {
		t.Errorf("stats (-want +got):\n%s", d)
	}
}

func TestNotLearned(t *testing.T) {
	tab, _ := newTest()
	tab.SetFloodVLANs([]uint16{7, 4095, 5000})
	for name, o := range map[string]Observation[string]{
		"multicast":  {Addr: Addr{1, 0, 0x5e, 0, 0, 1}, Port: "p1"},
		"broadcast":  {Addr: Addr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Port: "p1"},
		"flood VLAN": {VLAN: 7, Addr: addr(1), Port: "p1"},
		"last VLAN":  {VLAN: 4095, Addr: addr(1), Port: "p1"},
		"no VLAN":    {VLAN: 4096, Addr: addr(1), Port: "p1"},
		"no port":    {Addr: addr(1)},
	} {
		if tab.Learn(o) {
			t.Errorf("%s: learned", name)
		}
	}
	want(t, tab)
}

func TestFloodVLANs(t *testing.T) {
	tab, _ := newTest()
	tab.Learn(Observation[string]{VLAN: 7, Addr: addr(1), Port: "p1"})
	tab.Learn(Observation[string]{VLAN: 8, Addr: addr(1), Port: "p1"})
	if _, _, err := tab.AddStatic(7, addr(2), "p1"); err != nil {
		t.Fatal(err)
	}
	v := tab.VersionOf(7, addr(2))
	before := v.Version()
	tab.SetFloodVLANs([]uint16{7})
	want(t, tab, "p1 01 0s", "p1 02 static")
	if _, ok := tab.Lookup(7, addr(2)); ok || v.Version() == before {
		t.Error("a flooding VLAN knows no address, and says so by its version")
	}
	before = v.Version()
	tab.SetFloodVLANs([]uint16{7})
	if v.Version() != before {
		t.Error("the same VLANs are no change")
	}
	tab.SetFloodVLANs(nil)
	if e, ok := tab.Lookup(7, addr(2)); !ok || e.Port != "p1" {
		t.Errorf("static entry: %v %v", e, ok)
	}
}

func TestVLANsApart(t *testing.T) {
	tab, _ := newTest()
	tab.Learn(Observation[string]{VLAN: 1, Addr: addr(1), Port: "p1"})
	tab.Learn(Observation[string]{VLAN: 2, Addr: addr(1), Port: "p2"})
	if e, _ := tab.Lookup(1, addr(1)); e.Port != "p1" {
		t.Errorf("VLAN 1: %v", e)
	}
	if e, _ := tab.Lookup(2, addr(1)); e.Port != "p2" {
		t.Errorf("VLAN 2: %v", e)
	}
	tab.FlushVLAN(1)
	want(t, tab, "p2 01 0s")
}

// TestGratuitousARP: a host announces itself on p1; the bond reflects that and is not
// believed for 5 s.
func TestGratuitousARP(t *testing.T) {
	tab, c := newTest()
	host := Observation[string]{Addr: addr(1), Port: "p1", GratARP: true}
	bond := Observation[string]{Addr: addr(1), Port: "bond0", GratARP: true, Bond: true}
	if !tab.Learn(host) {
		t.Error("announcement not learned")
	}
	c.Advance(4 * time.Second)
	if tab.Learn(bond) {
		t.Error("reflection learned")
	}
	c.Advance(999 * time.Millisecond)
	if tab.UpdateNeeded(bond) {
		t.Error("reflection wants to be learned")
	}
	plain := bond
	plain.GratARP = false
	if !tab.UpdateNeeded(plain) {
		t.Error("a packet that is no announcement moves the address at once")
	}
	c.Advance(time.Millisecond)
	if !tab.Learn(bond) {
		t.Error("after 5 s an announcement on the bond is a move")
	}
	want(t, tab, "bond0 01 0s")
}

func TestPorts(t *testing.T) {
	tab, _ := newTest()
	see(tab, "p1", 1)
	see(tab, "p2", 2)
	for n := byte(3); n < 5; n++ {
		if _, _, err := tab.AddStatic(0, addr(n), "p1"); err != nil {
			t.Fatal(err)
		}
	}
	tab.FlushPort("p1")
	want(t, tab, "p2 02 0s", "p1 03 static", "p1 04 static")
	tab.RemovePort("p1")
	want(t, tab, "p2 02 0s")
	tab.RemovePort("p2")
	if len(tab.ports) != 0 || len(tab.usage) != 0 {
		t.Errorf("ports left: %v", tab.ports)
	}
}

func TestFullOfStatic(t *testing.T) {
	tab, _ := newTest()
	tab.SetMax(0) // brought to the least, 10
	for n := range byte(10) {
		if _, _, err := tab.AddStatic(0, addr(n), "p1"); err != nil {
			t.Fatal(err)
		}
	}
	if see(tab, "p1", 10) {
		t.Error("learned without room")
	}
	if _, _, err := tab.AddStatic(0, addr(10), "p1"); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want %v", err, ErrFull)
	}
	if _, replaced, err := tab.AddStatic(0, addr(9), "p2"); err != nil || !replaced {
		t.Errorf("replacing needs no room: %v", err)
	}
	for _, bad := range []struct {
		vlan uint16
		port string
	}{{4096, "p1"}, {0, ""}} {
		if _, _, err := tab.AddStatic(bad.vlan, addr(9), bad.port); err == nil {
			t.Errorf("AddStatic(%v) has no error", bad)
		}
	}
}

func TestLimits(t *testing.T) {
	tab, c := newTest()
	see(tab, "p1", 1)
	tab.SetIdle(time.Second) // brought to 15 s
	c.Advance(14 * time.Second)
	if tab.Run() {
		t.Error("expired before the least idle time")
	}
	tab.SetIdle(time.Hour * 2) // brought to 1 h
	c.Advance(time.Hour - 15*time.Second)
	if tab.Run() {
		t.Error("expired before the longest idle time")
	}
	c.Advance(time.Second)
	if !tab.Run() {
		t.Error("not expired after the longest idle time")
	}
	for n := range byte(20) {
		see(tab, "p1", n)
	}
	tab.SetMax(1 << 30)
	if s := tab.Stats(); s.Max != MaxMax || s.Current != 20 {
		t.Errorf("stats: %+v", s)
	}
	tab.SetMax(12)
	if s := tab.Stats(); s.Max != 12 || s.Current != 12 || s.Evicted != 8 {
		t.Errorf("stats: %+v", s)
	}
}

// TestSteadyState: look-ups and refreshes allocate nothing, nor do moves between known ports
// or an address that takes another's place.
func TestSteadyState(t *testing.T) {
	tab, c := newTest()
	tab.SetMax(10)
	for n := range byte(10) {
		see(tab, "p1", n)
	}
	see(tab, "p2", 0)
	n := byte(0)
	allocs := testing.AllocsPerRun(2000, func() {
		c.Advance(time.Second)
		n++
		see(tab, "p1", n%20)
		see(tab, "p2", 1)
		tab.Lookup(0, addr(n%20))
		tab.Run()
	})
	if allocs != 0 {
		t.Errorf("%v allocations per round", allocs)
	}
}

func BenchmarkLearnKnown(b *testing.B) {
	tab := New[uint32](clock.Real{})
	tab.SetIdle(MaxIdle)
	o := Observation[uint32]{Addr: addr(1), Port: 1}
	for b.Loop() {
		tab.Learn(o)
	}
}

// TestConcurrent is for the race detector: packets, the main loop and commands at once.
func TestConcurrent(t *testing.T) {
	tab, c := newTest()
	tab.SetMax(20)
	var wg sync.WaitGroup
	for port := range byte(4) {
		wg.Go(func() {
			for n := range 2000 {
				a := byte(n*7 + int(port))
				see(tab, string(rune('a'+port)), a%40)
				tab.Lookup(0, addr(a%40))
				switch n % 100 {
				case 0:
					c.Advance(time.Second)
					tab.Run()
				case 50:
					tab.FlushPort("a")
				case 75:
					tab.Entries()
				}
			}
		})
	}
	wg.Wait()
	if s := tab.Stats(); s.Current > 20 || s.Current != len(tab.Entries()) {
		t.Errorf("stats: %+v", s)
	}
}
