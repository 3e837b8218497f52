// Package mcast is the multicast snooping table of a bridge: which ports have members of which groups (RFC 4541), and which
// lead to multicast routers.
package mcast

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Limits and defaults, as other_config:mcast-snooping-aging-time and mcast-snooping-table-size of a Bridge have them.
const (
	DefaultIdle = 300 * time.Second
	minIdle     = 15 * time.Second
	maxIdle     = 3600 * time.Second

	DefaultMax = 2048
	minMax     = 10
	maxMax     = 1_000_000

	// routerIdle is how long a port that queries came in by leads to a router.
	routerIdle = 180 * time.Second
)

// Group is a multicast group in a VLAN.
type Group struct {
	VLAN uint16
	Addr netip.Addr
}

// Table is the table of one bridge. P names a port. Methods are safe for concurrent use.
type Table[P comparable] struct {
	clock clock.Clock

	mu      sync.RWMutex
	idle    time.Duration
	max     int
	groups  map[Group]*group[P]
	lru     list.List // of *group[P], that longest without a report first
	routers []member[P]
	due     time.Time // nothing expires before

	version atomic.Uint64 // of what look-ups give
}

// group is a group with its members, that longest without a report first.
type group[P comparable] struct {
	Group
	members []member[P]
	at      *list.Element
}

// member is a port until it expires: of a group, or with a router in a VLAN.
type member[P comparable] struct {
	port    P
	vlan    uint16
	expires time.Time
}

// New makes an empty table with the default limits.
func New[P comparable](c clock.Clock) *Table[P] {
	return &Table[P]{clock: c, idle: DefaultIdle, max: DefaultMax, groups: map[Group]*group[P]{}}
}

// Version implements datapath.Versioned: it moves on when a look-up may have got another answer.
func (t *Table[P]) Version() uint64 { return t.version.Load() }

// changed notes that look-ups give something else.
func (t *Table[P]) changed() { t.version.Add(1) }

// Lookup returns the ports with members of a group. known is false when nobody has joined it.
func (t *Table[P]) Lookup(g Group) (ports []P, known bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.groups[g]
	if e == nil {
		return nil, false
	}
	for _, m := range e.members {
		ports = append(ports, m.port)
	}
	return ports, true
}

// Router is a port that leads to a multicast router in a VLAN.
type Router[P comparable] struct {
	Port P
	VLAN uint16
}

// Routers returns the ports that lead to multicast routers.
func (t *Table[P]) Routers() (list []Router[P]) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, m := range t.routers {
		list = append(list, Router[P]{m.port, m.vlan})
	}
	return list
}

// Join notes a member of a group at a port, or that it is still there, and reports whether the group is new. A port that
// leads to a router gets all groups as it is.
func (t *Table[P]) Join(g Group, port P) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.routerLocked(g.VLAN, port) >= 0 {
		return false
	}
	e := t.groups[g]
	fresh := e == nil
	if fresh {
		if len(t.groups) >= t.max {
			t.removeLocked(t.lru.Front().Value.(*group[P]))
		}
		e = &group[P]{Group: g}
		e.at = t.lru.PushBack(e)
		t.groups[g] = e
	}
	t.lru.MoveToBack(e.at)
	m := member[P]{port, g.VLAN, t.clock.Now().Add(t.idle)}
	if i := slices.IndexFunc(e.members, func(m member[P]) bool { return m.port == port }); i >= 0 {
		e.members = slices.Delete(e.members, i, i+1)
	} else {
		t.changed()
	}
	e.members = append(e.members, m)
	t.watchLocked(m.expires)
	return fresh
}

// Leave notes that a group has no members at a port any more, and reports whether it had.
func (t *Table[P]) Leave(g Group, port P) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.groups[g]
	return e != nil && t.keepLocked(e, func(m member[P]) bool { return m.port != port })
}

// Query notes that a port leads to a multicast router, and reports whether that is news.
func (t *Table[P]) Query(vlan uint16, port P) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := member[P]{port, vlan, t.clock.Now().Add(routerIdle)}
	i := t.routerLocked(vlan, port)
	if i >= 0 {
		t.routers = slices.Delete(t.routers, i, i+1)
	} else {
		t.changed()
	}
	t.routers = append(t.routers, m)
	t.watchLocked(m.expires)
	return i < 0
}

// routerLocked is the place of a port among the routers', -1: none.
func (t *Table[P]) routerLocked(vlan uint16, port P) int {
	return slices.IndexFunc(t.routers, func(m member[P]) bool { return m.vlan == vlan && m.port == port })
}

// watchLocked has Run look at the table at a time.
func (t *Table[P]) watchLocked(at time.Time) {
	if t.due.IsZero() || at.Before(t.due) {
		t.due = at
	}
}

// keepLocked drops the members of a group that are not to stay, and the group if none is left. It reports whether one went.
func (t *Table[P]) keepLocked(e *group[P], stays func(member[P]) bool) bool {
	before := len(e.members)
	e.members = slices.DeleteFunc(e.members, func(m member[P]) bool { return !stays(m) })
	if len(e.members) == 0 {
		t.removeLocked(e)
	}
	if len(e.members) == before {
		return false
	}
	t.changed()
	return true
}

func (t *Table[P]) removeLocked(e *group[P]) {
	t.lru.Remove(e.at)
	delete(t.groups, e.Group)
	t.changed()
}

// keep drops what is not to stay, and reports whether there was any.
func (t *Table[P]) keep(stays func(member[P]) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keepAllLocked(stays)
}

func (t *Table[P]) keepAllLocked(stays func(member[P]) bool) (any bool) {
	for at := t.lru.Front(); at != nil; {
		e := at.Value.(*group[P])
		at = at.Next()
		any = t.keepLocked(e, stays) || any
	}
	before := len(t.routers)
	t.routers = slices.DeleteFunc(t.routers, func(m member[P]) bool { return !stays(m) })
	if len(t.routers) != before {
		t.changed()
		any = true
	}
	return any
}

// Flush forgets everything. (mdb/flush)
func (t *Table[P]) Flush() { t.keep(func(member[P]) bool { return false }) }

// FlushPort forgets a port.
func (t *Table[P]) FlushPort(port P) { t.keep(func(m member[P]) bool { return m.port != port }) }

// Run drops what has expired, and reports whether there was any. Once a second is often enough.
func (t *Table[P]) Run() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if t.due.IsZero() || now.Before(t.due) {
		return false
	}
	t.due = time.Time{}
	return t.keepAllLocked(func(m member[P]) bool {
		if !m.expires.After(now) {
			return false
		}
		t.watchLocked(m.expires)
		return true
	})
}

// SetIdle sets how long a member stays without a report, brought between 15 s and an hour. It is for members that report from now on.
func (t *Table[P]) SetIdle(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = min(max(d, minIdle), maxIdle)
}

// SetMax sets how many groups the table holds, brought between 10 and a million, and drops those that are too many.
func (t *Table[P]) SetMax(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = min(max(n, minMax), maxMax)
	for len(t.groups) > t.max {
		t.removeLocked(t.lru.Front().Value.(*group[P]))
	}
}

// Entry is a line of mdb/show.
type Entry[P comparable] struct {
	Group // without Addr: the port leads to a router
	Port  P
	Age   time.Duration // since the last report or query
}

// Entries are all entries in mdb/show's order: groups by their last report, then routers.
func (t *Table[P]) Entries() (all []Entry[P]) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	now := t.clock.Now()
	for at := t.lru.Front(); at != nil; at = at.Next() {
		e := at.Value.(*group[P])
		for _, m := range e.members {
			all = append(all, Entry[P]{e.Group, m.port, t.idle - m.expires.Sub(now)})
		}
	}
	for _, m := range t.routers {
		all = append(all, Entry[P]{Group{VLAN: m.vlan}, m.port, routerIdle - m.expires.Sub(now)})
	}
	return all
}
