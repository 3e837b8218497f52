package mcast

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

func nth(n int) Group {
	return Group{VLAN: 1, Addr: netip.AddrFrom4([4]byte{239, 0, byte(n >> 8), byte(n)})}
}

// text is the table in one line.
func text(t *Table[int]) (s string) {
	for _, e := range t.Entries() {
		s += fmt.Sprintf("%v@%d:%v ", e.Addr, e.Port, e.Age)
	}
	return s
}

func TestTable(t *testing.T) {
	now := clock.NewManual(time.Unix(1e9, 0))
	m := New[int](now)
	version := m.Version()
	step := func(what, want string, changes bool) {
		t.Helper()
		if diff := cmp.Diff(want, text(m)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if changes != (m.Version() != version) {
			t.Errorf("%s: version %d after %d", what, m.Version(), version)
		}
		version = m.Version()
	}
	if !m.Join(nth(1), 1) || m.Join(nth(1), 2) {
		t.Error("the first member makes a group, and no other")
	}
	step("joined", "239.0.0.1@1:0s 239.0.0.1@2:0s ", true)
	now.Advance(100 * time.Second)
	m.Join(nth(1), 1)
	step("joined again", "239.0.0.1@2:1m40s 239.0.0.1@1:0s ", false)
	if !m.Query(1, 3) || m.Query(1, 3) {
		t.Error("a router is news once")
	}
	m.Join(nth(1), 3)
	step("a router is no member", "239.0.0.1@2:1m40s 239.0.0.1@1:0s invalid IP@3:0s ", true)
	if m.Leave(nth(1), 5) || m.Leave(nth(2), 1) || !m.Leave(nth(1), 1) {
		t.Error("only members leave")
	}
	step("left", "239.0.0.1@2:1m40s invalid IP@3:0s ", true)
	now.Advance(routerIdle - time.Second)
	if m.Run() {
		t.Error("expired early")
	}
	now.Advance(time.Second)
	if !m.Run() {
		t.Error("the router does not expire")
	}
	step("no router", "239.0.0.1@2:4m40s ", true)
	now.Advance(20 * time.Second)
	if !m.Run() || m.Run() {
		t.Error("the member does not expire once")
	}
	step("empty", "", true)
	m.Query(2, 3)
	m.Join(nth(1), 3)
	m.FlushPort(3)
	step("no port", "", true)
}

func TestTableLimit(t *testing.T) {
	m := New[int](clock.NewManual(time.Unix(1e9, 0)))
	m.SetMax(1)
	for n := range 30 {
		m.Join(nth(n), 1)
		m.Join(nth(0), 1) // stays, as it is reported
	}
	if _, known := m.Lookup(nth(0)); !known || len(m.Entries()) != minMax {
		t.Errorf("%d entries: %s", len(m.Entries()), text(m))
	}
	m.SetIdle(time.Second)
	m.Join(nth(50), 1)
	if e := m.Entries(); e[len(e)-1].Age != 0 {
		t.Errorf("a new entry is %v old", e[len(e)-1].Age)
	}
}

// FuzzMessage: no message makes the parser fall.
func FuzzMessage(f *testing.F) {
	f.Add([]byte{IGMPv3Report, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1})
	f.Add([]byte{MLDv2Report, 0, 0, 0, 0, 0, 0, 1, 4, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < v3Head {
			return
		}
		for _, size := range []int{4, 16} {
			list, err := records(b, size)
			if len(list)*(4+size) > len(b) || err != nil && list != nil {
				t.Errorf("%d records of %d bytes, %v", len(list), len(b), err)
			}
		}
		if list, err := IGMP(b); err != nil && list != nil {
			t.Errorf("%v beside %v", list, err)
		}
		any := netip.IPv6Unspecified()
		if list, err := MLD(b, any, any); err != nil && list != nil {
			t.Errorf("%v beside %v", list, err)
		}
	})
}
