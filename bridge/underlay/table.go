package underlay

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// routes are the host's and the user's.
type routes struct {
	cached []Route // of the host, by prefix the one that is taken; longest prefix first
	user   []Route // longest prefix first
}

// plen is the length of a prefix as OVS counts it: an IPv4 address is one of IPv6, ::ffff:a.b.c.d.
func plen(p netip.Prefix) int {
	if p.Addr().Is4() {
		return p.Bits() + 96
	}
	return p.Bits()
}

// priority says which of several routes is taken: the longest prefix first, but a user's route before all of the host
// whose prefix is at most 32 bits longer, and the host's own addresses before those, as in OVS.
func (r *Route) priority() int {
	switch {
	case r.Device != "":
		return plen(r.Dst) + 32
	case r.Local:
		return plen(r.Dst) + 64
	}
	return plen(r.Dst)
}

// order is that of routes in tables and in text.
func order(a, b Route) int {
	return cmp.Or(cmp.Compare(b.priority(), a.priority()), a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(a.Mark, b.Mark))
}

// setCached takes a new list of the host's routes. Of several to one prefix that with the least metric stays, and all
// of its next hops.
func (t *routes) setCached(list []Route) {
	slices.SortStableFunc(list, func(a, b Route) int { return cmp.Or(order(a, b), cmp.Compare(a.Metric, b.Metric)) })
	t.cached = t.cached[:0]
	for _, r := range list {
		if n := len(t.cached); n > 0 {
			last := &t.cached[n-1]
			// IPv6 has some routes in both tables, and one to its link-local prefix per device.
			if last.Dst == r.Dst && last.Local == r.Local && (last.Metric != r.Metric || !r.Gateway.IsValid() || last.Gateway == r.Gateway && last.Ifindex == r.Ifindex) {
				continue
			}
		}
		t.cached = append(t.cached, r)
	}
}

func (t *routes) addUser(r Route) {
	t.delUser(r.Dst, r.Mark)
	t.user = append(t.user, r)
	slices.SortFunc(t.user, order)
}

func (t *routes) delUser(dst netip.Prefix, mark uint32) bool {
	n := len(t.user)
	t.user = slices.DeleteFunc(t.user, func(r Route) bool { return r.Dst == dst && r.Mark == mark })
	return len(t.user) < n
}

// find is the first route of a list, in its order, that packets to dst with a mark take.
func find(list []Route, dst netip.Addr, mark uint32) *Route {
	for i := range list {
		if r := &list[i]; r.Mark == mark && r.Dst.Contains(dst) {
			return r
		}
	}
	return nil
}

// forUser is the user's route to dst, nil when the host's is taken.
func (t *routes) forUser(dst netip.Addr, mark uint32) *Route {
	u := find(t.user, dst, mark)
	if u == nil {
		return nil
	}
	if c := find(t.cached, dst, mark); c != nil && c.priority() > u.priority() {
		return nil
	}
	return u
}

// format is a route as a line of ovs/route/show.
func (r *Route) format(device string, src netip.Addr) string {
	var s strings.Builder
	s.WriteString("Cached: ")
	if r.Device != "" {
		s.Reset()
		s.WriteString("User: ")
	}
	s.WriteString(r.Dst.String())
	if r.Mark != 0 {
		fmt.Fprintf(&s, " MARK %d", r.Mark)
	}
	fmt.Fprintf(&s, " dev %s", device)
	if r.Gateway.IsValid() {
		fmt.Fprintf(&s, " GW %s", r.Gateway)
	}
	fmt.Fprintf(&s, " SRC %s", src)
	if r.Local {
		s.WriteString(" local")
	}
	return s.String()
}
