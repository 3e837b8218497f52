// Package mac is the MAC learning table: which port of a bridge leads to an Ethernet address
// in a VLAN.
package mac

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Limits and defaults, as other_config:mac-aging-time and mac-table-size of a Bridge have them.
const (
	DefaultIdle = 300 * time.Second
	MinIdle     = 15 * time.Second
	MaxIdle     = 3600 * time.Second

	DefaultMax = 8192
	MinMax     = 10
	MaxMax     = 1_000_000

	// gratLock is how long an address that announced itself by a gratuitous ARP on a port
	// keeps it against copies of that ARP that a bond reflects.
	gratLock = 5 * time.Second
	// refresh is how old an entry is when a packet makes it young again: a table that is in
	// use is written once in this time per entry, not with every packet.
	refresh = time.Second
)

// ErrFull is returned when there is no room for a static entry because all are static.
var ErrFull = errors.New("MAC table is full of static entries")

// Addr is an Ethernet address.
type Addr [6]byte

// String writes the address in OVS's form.
func (a Addr) String() string { return net.HardwareAddr(a[:]).String() }

// multicast is true for group addresses, broadcast included.
func (a Addr) multicast() bool { return a[0]&1 != 0 }

// key packs a VLAN and an address.
func key(vlan uint16, a Addr) uint64 {
	return uint64(vlan)<<48 | uint64(a[0])<<40 | uint64(a[1])<<32 | uint64(a[2])<<24 |
		uint64(a[3])<<16 | uint64(a[4])<<8 | uint64(a[5])
}

// Observation is a packet's source, as learning sees it.
type Observation[P comparable] struct {
	VLAN uint16 // 0 to 4095
	Addr Addr
	Port P // where the packet came in
	// GratARP says that the packet is a gratuitous ARP, Bond that Port is a bond: on a bond
	// such a packet may be the reflection of one that this switch sent.
	GratARP, Bond bool
}

// Table is the learning table of one bridge. P names a port; its zero value is never stored.
// Methods are safe for concurrent use; those that packets need (Lookup, UpdateNeeded, and
// Learn of something known) take only the read lock and allocate nothing.
type Table[P comparable] struct {
	clock clock.Clock
	start time.Time // times in the table are relative to it

	mu      sync.RWMutex
	idle    time.Duration
	max     int
	entries map[uint64]*entry[P]
	lru     list[P]        // all entries, longest unused first: the order of fdb/show
	ports   map[P]*port[P] // those with learned entries
	usage   usage[P]       // ports, that with most entries on top
	free    *entry[P]      // unused memory, through links[byTable].next
	flood   vlanSet        // VLANs that do not learn
	stats   Stats

	versions [versionShards]Version
}

// New makes an empty table with the default limits.
func New[P comparable](c clock.Clock) *Table[P] {
	return &Table[P]{
		clock:   c,
		start:   c.Now(),
		idle:    DefaultIdle,
		max:     DefaultMax,
		entries: map[uint64]*entry[P]{},
		lru:     list[P]{which: byTable},
		ports:   map[P]*port[P]{},
	}
}

// now is the table's time.
func (t *Table[P]) now() time.Duration { return t.clock.Now().Sub(t.start) }

// versionShards is how many parts the table's version has: one change makes only what looked
// at its part look again.
const versionShards = 256

// Version moves on when a look-up of an address that it covers may have got another answer.
type Version struct{ n atomic.Uint64 }

// Version is the number of changes; read it before the look-up that it guards.
func (v *Version) Version() uint64 { return v.n.Load() }

// VersionOf is the version that covers an address in a VLAN, and some others.
func (t *Table[P]) VersionOf(vlan uint16, a Addr) *Version { return t.versionOf(key(vlan, a)) }

func (t *Table[P]) versionOf(k uint64) *Version {
	// Fibonacci hashing: the low bits of addresses are the ones that differ.
	return &t.versions[k*0x9e3779b97f4a7c15>>56]
}

// touchAll moves every version on.
func (t *Table[P]) touchAll() {
	for i := range t.versions {
		t.versions[i].n.Add(1)
	}
}

// mayLearn is true for a source that is worth an entry.
func (t *Table[P]) mayLearn(vlan uint16, a Addr) bool {
	return !a.multicast() && vlan < 4096 && !t.flood.has(vlan)
}

// Lookup finds where an address was learned. Nothing is known in flooding VLANs.
func (t *Table[P]) Lookup(vlan uint16, a Addr) (Entry[P], bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.entries[key(vlan, a)]
	if e == nil || t.flood.has(vlan) {
		return Entry[P]{}, false
	}
	return e.public(t.now()), true
}

// UpdateNeeded reports whether Learn would change the table.
func (t *Table[P]) UpdateNeeded(o Observation[P]) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.updateNeededLocked(o, t.now())
}

func (t *Table[P]) updateNeededLocked(o Observation[P], now time.Duration) bool {
	if !t.mayLearn(o.VLAN, o.Addr) {
		return false
	}
	e := t.entries[key(o.VLAN, o.Addr)]
	switch {
	case e == nil:
		return true
	case e.static:
		return false
	case now-e.used >= refresh:
		return true
	case o.GratARP && !o.Bond:
		return true // the lock is to be set
	case o.GratARP && now < e.gratUntil:
		return false
	}
	return e.port.handle != o.Port
}

// Learn notes a packet's source. It returns true when look-ups now give something else: the
// address is new, or moved to another port. Zero ports, group addresses and flooding VLANs are
// not learned.
func (t *Table[P]) Learn(o Observation[P]) bool {
	var none P
	if o.Port == none || !t.UpdateNeeded(o) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if !t.updateNeededLocked(o, now) {
		return false // another packet was faster
	}
	k := key(o.VLAN, o.Addr)
	e := t.entries[k]
	if e == nil {
		if len(t.entries) >= t.max && !t.evictLocked() {
			return false
		}
		e = t.insertLocked(o.VLAN, o.Addr)
		t.stats.Learned++
	}
	e.used = now
	t.lru.toBack(e)
	if e.port != nil {
		e.port.lru.toBack(e)
	}
	if o.GratARP {
		if !o.Bond {
			e.gratUntil = now + gratLock
		} else if now < e.gratUntil {
			return false
		}
	}
	if e.port != nil && e.port.handle == o.Port {
		return false
	}
	if e.port != nil {
		t.stats.Moved++
	}
	t.assignLocked(e, o.Port)
	t.versionOf(k).n.Add(1)
	return true
}

// AddStatic makes an entry that does not age, is not learned anew elsewhere and is only removed
// by DelStatic and RemovePort. It replaces what was known; old says what that was. (fdb/add)
func (t *Table[P]) AddStatic(vlan uint16, a Addr, p P) (old Entry[P], replaced bool, err error) {
	var none P
	if vlan > 4095 || p == none {
		return old, false, fmt.Errorf("no static MAC entry for VLAN %d and port %v", vlan, p)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key(vlan, a)
	e := t.entries[k]
	if e != nil {
		old, replaced = e.public(t.now()), true
		t.removeLocked(e)
	}
	// Learned entries make room for static ones, never the other way round.
	if len(t.entries) >= t.max && !t.evictLocked() {
		return old, replaced, ErrFull
	}
	e = t.insertLocked(vlan, a)
	e.static = true
	t.stats.Static++
	t.assignLocked(e, p)
	t.versionOf(k).n.Add(1)
	return old, replaced, nil
}

// DelStatic removes a static entry, and reports whether there was one. (fdb/del)
func (t *Table[P]) DelStatic(vlan uint16, a Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entries[key(vlan, a)]
	if e == nil || !e.static {
		return false
	}
	t.removeLocked(e)
	return true
}

// Flush forgets all learned entries. (fdb/flush)
func (t *Table[P]) Flush() { t.flushIf(func(e *entry[P]) bool { return !e.static }) }

// FlushPort forgets what was learned on a port.
func (t *Table[P]) FlushPort(p P) {
	t.flushIf(func(e *entry[P]) bool { return !e.static && e.port.handle == p })
}

// RemovePort forgets a port altogether, static entries included.
func (t *Table[P]) RemovePort(p P) {
	t.flushIf(func(e *entry[P]) bool { return e.port.handle == p })
}

// FlushVLAN forgets what was learned in a VLAN.
func (t *Table[P]) FlushVLAN(vlan uint16) {
	t.flushIf(func(e *entry[P]) bool { return !e.static && e.vlan == vlan })
}

func (t *Table[P]) flushIf(f func(*entry[P]) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushIfLocked(f)
}

func (t *Table[P]) flushIfLocked(f func(*entry[P]) bool) {
	for e := t.lru.head; e != nil; {
		next := e.links[byTable].next
		if f(e) {
			t.removeLocked(e)
		}
		e = next
	}
}

// Run expires entries that were not used for the idle time, and reports whether there were
// any. Once a second is often enough.
func (t *Table[P]) Run() bool {
	t.mu.RLock()
	e := t.lru.firstLearned(t.lru.head)
	due := e != nil && t.now()-e.used >= t.idle
	t.mu.RUnlock()
	if !due {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	any := false
	for e := t.lru.firstLearned(t.lru.head); e != nil && now-e.used >= t.idle; {
		next := t.lru.firstLearned(e.links[byTable].next)
		t.removeLocked(e)
		t.stats.Expired++
		e, any = next, true
	}
	return any
}

// SetIdle sets after how long an unused entry expires, brought between MinIdle and MaxIdle.
func (t *Table[P]) SetIdle(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = min(max(d, MinIdle), MaxIdle)
}

// SetMax sets how many entries the table holds, brought between MinMax and MaxMax, and evicts
// learned ones that are too many.
func (t *Table[P]) SetMax(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max = min(max(n, MinMax), MaxMax)
	for len(t.entries) > t.max && t.evictLocked() {
	}
}

// SetFloodVLANs sets the VLANs that do not learn, and forgets what was learned in them.
func (t *Table[P]) SetFloodVLANs(vlans []uint16) {
	set := newVLANSet(vlans)
	t.mu.Lock()
	defer t.mu.Unlock()
	if set.equal(t.flood) {
		return
	}
	t.flood = set
	t.flushIfLocked(func(e *entry[P]) bool { return !e.static && set.has(e.vlan) })
	t.touchAll() // static entries in them are hidden or shown
}

// Stats are the numbers of fdb/stats-show.
type Stats struct {
	Current, Max, Static             int
	Learned, Expired, Evicted, Moved uint64
}

// Stats reads the table's numbers.
func (t *Table[P]) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.stats
	s.Current, s.Max = len(t.entries), t.max
	return s
}

// ClearStats zeroes the totals. (fdb/stats-clear)
func (t *Table[P]) ClearStats() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats = Stats{Static: t.stats.Static}
}

// Entries are all entries in fdb/show's order: longest unused first, a static one where its
// making put it.
func (t *Table[P]) Entries() []Entry[P] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	now := t.now()
	all := make([]Entry[P], 0, len(t.entries))
	for e := t.lru.head; e != nil; e = e.links[byTable].next {
		all = append(all, e.public(now))
	}
	return all
}
