package underlay

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetCached(t *testing.T) {
	p := netip.MustParsePrefix
	a := netip.MustParseAddr
	var table routes
	table.setCached([]Route{
		{Dst: p("10.9.0.0/16"), Ifindex: 2, Gateway: a("10.0.0.3"), Metric: 50},
		{Dst: p("0.0.0.0/0"), Ifindex: 2, Gateway: a("10.0.0.254")},
		{Dst: p("10.9.0.0/16"), Ifindex: 2, Gateway: a("10.0.0.2"), Metric: 10},
		{Dst: p("10.8.0.0/16"), Ifindex: 2, Gateway: a("10.0.0.2")},
		{Dst: p("10.8.0.0/16"), Ifindex: 3, Gateway: a("10.0.1.2")},
		{Dst: p("fe80::/64"), Ifindex: 2}, {Dst: p("fe80::/64"), Ifindex: 3},
		{Dst: p("10.0.0.1/32"), Ifindex: 2, Local: true},
	})
	want := []Route{
		{Dst: p("10.0.0.1/32"), Ifindex: 2, Local: true},
		{Dst: p("10.8.0.0/16"), Ifindex: 2, Gateway: a("10.0.0.2")},
		{Dst: p("10.8.0.0/16"), Ifindex: 3, Gateway: a("10.0.1.2")},
		{Dst: p("10.9.0.0/16"), Ifindex: 2, Gateway: a("10.0.0.2"), Metric: 10},
		{Dst: p("0.0.0.0/0"), Ifindex: 2, Gateway: a("10.0.0.254")},
		{Dst: p("fe80::/64"), Ifindex: 2},
	}
	if diff := cmp.Diff(want, table.cached, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestForUser tries which of the user's routes go before the host's.
func TestForUser(t *testing.T) {
	p := netip.MustParsePrefix
	var table routes
	table.setCached([]Route{{Dst: p("10.0.0.1/32"), Local: true}, {Dst: p("10.0.0.7/32"), Ifindex: 2}, {Dst: p("10.0.0.0/24"), Ifindex: 2}, {Dst: p("2001:db8::7/128")}})
	for _, r := range []Route{
		{Dst: p("10.0.0.0/28"), Device: "a"}, {Dst: p("10.0.0.0/8"), Device: "b"}, {Dst: p("10.0.0.0/8"), Device: "m", Mark: 3},
		{Dst: p("::/0"), Device: "c"}, {Dst: p("2001:db8::/32"), Device: "d"}, {Dst: p("10.0.0.0/8"), Device: "B"},
	} {
		table.addUser(r)
	}
	for _, c := range []struct {
		dst  string
		mark uint32
		want string // device, "" for the host's
	}{
		{"10.0.0.2", 0, "a"},
		{"10.0.0.7", 0, "a"}, // 28 + 32 against 32
		{"10.0.0.99", 0, "B"},
		{"10.0.0.1", 0, ""}, // the host's own: 32 + 64
		{"10.0.0.1", 3, "m"},
		{"10.0.0.2", 4, ""},
		{"192.0.2.1", 0, ""},
		{"2001:db8::1", 0, "d"},
		{"2001:db8::7", 0, ""}, // 32 + 32 against 128
		{"2001:db9::1", 0, "c"},
	} {
		got := ""
		if r := table.forUser(netip.MustParseAddr(c.dst), c.mark); r != nil {
			got = r.Device
		}
		if got != c.want {
			t.Errorf("%s mark %d: %q, want %q", c.dst, c.mark, got, c.want)
		}
	}
}
