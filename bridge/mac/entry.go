package mac

import (
	"slices"
	"time"
)

// Entry is what the table knows of an address.
type Entry[P comparable] struct {
	VLAN   uint16
	Addr   Addr
	Port   P
	Static bool
	Age    time.Duration // since the last use; 0 if Static
}

// entry is an Entry in the table.
type entry[P comparable] struct {
	vlan      uint16
	addr      Addr
	static    bool
	port      *port[P] // nil only between insertLocked and assignLocked
	used      time.Duration
	gratUntil time.Duration
	links     [2]links[P]
}

// links chain an entry into a list.
type links[P comparable] struct{ prev, next *entry[P] }

// The lists that an entry is in: the table's, and unless it is static its port's.
const (
	byTable = iota
	byPort
)

func (e *entry[P]) public(now time.Duration) Entry[P] {
	p := Entry[P]{VLAN: e.vlan, Addr: e.addr, Port: e.port.handle, Static: e.static}
	if !e.static {
		p.Age = now - e.used
	}
	return p
}

// list is a doubly linked list through the entries themselves.
type list[P comparable] struct {
	head, tail *entry[P]
	which      int
}

func (l *list[P]) pushBack(e *entry[P]) {
	e.links[l.which] = links[P]{prev: l.tail}
	if l.tail != nil {
		l.tail.links[l.which].next = e
	} else {
		l.head = e
	}
	l.tail = e
}

func (l *list[P]) remove(e *entry[P]) {
	at := e.links[l.which]
	if at.prev != nil {
		at.prev.links[l.which].next = at.next
	} else {
		l.head = at.next
	}
	if at.next != nil {
		at.next.links[l.which].prev = at.prev
	} else {
		l.tail = at.prev
	}
	e.links[l.which] = links[P]{}
}

func (l *list[P]) toBack(e *entry[P]) {
	if l.tail != e {
		l.remove(e)
		l.pushBack(e)
	}
}

// firstLearned is the first entry from e on that is not static.
func (l *list[P]) firstLearned(e *entry[P]) *entry[P] {
	for e != nil && e.static {
		e = e.links[l.which].next
	}
	return e
}

// port is a port with entries.
type port[P comparable] struct {
	handle  P
	lru     list[P] // its learned entries
	learned int     // their number
	static  int     // the number of its static entries
	at      int     // its place in usage
}

// insertLocked makes an entry without a port. The caller sees to the limit.
func (t *Table[P]) insertLocked(vlan uint16, a Addr) *entry[P] {
	e := t.free
	if e != nil {
		t.free = e.links[byTable].next
	} else {
		e = new(entry[P])
	}
	*e = entry[P]{vlan: vlan, addr: a}
	t.entries[key(vlan, a)] = e
	t.lru.pushBack(e)
	return e
}

// assignLocked gives an entry to a port.
func (t *Table[P]) assignLocked(e *entry[P], handle P) {
	t.unassignLocked(e)
	p := t.ports[handle]
	if p == nil {
		p = &port[P]{handle: handle, lru: list[P]{which: byPort}}
		t.ports[handle] = p
		t.usage.add(p)
	}
	e.port = p
	if e.static {
		p.static++
		return
	}
	p.lru.pushBack(e)
	p.learned++
	t.usage.up(p.at)
}

// unassignLocked takes an entry from its port, if it has one.
func (t *Table[P]) unassignLocked(e *entry[P]) {
	p := e.port
	if p == nil {
		return
	}
	e.port = nil
	if e.static {
		p.static--
	} else {
		p.lru.remove(e)
		p.learned--
		t.usage.down(p.at)
	}
	if p.learned+p.static == 0 {
		delete(t.ports, p.handle)
		t.usage.remove(p)
	}
}

// removeLocked forgets an entry.
func (t *Table[P]) removeLocked(e *entry[P]) {
	k := key(e.vlan, e.addr)
	if e.static {
		t.stats.Static--
	}
	t.unassignLocked(e)
	t.lru.remove(e)
	delete(t.entries, k)
	*e = entry[P]{links: [2]links[P]{byTable: {next: t.free}}}
	t.free = e
	t.versionOf(k).n.Add(1)
}

// evictLocked makes room: the port with most learned entries loses its longest unused one, so
// that a host that makes up addresses only pushes out its own port's. It reports whether there
// was one.
func (t *Table[P]) evictLocked() bool {
	if len(t.usage) == 0 || t.usage[0].learned == 0 {
		return false
	}
	t.removeLocked(t.usage[0].lru.head)
	t.stats.Evicted++
	return true
}

// usage is a binary heap of ports, that with most learned entries first.
type usage[P comparable] []*port[P]

func (u usage[P]) swap(i, j int) {
	u[i], u[j] = u[j], u[i]
	u[i].at, u[j].at = i, j
}

func (u usage[P]) up(i int) {
	for i > 0 && u[i].learned > u[(i-1)/2].learned {
		u.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (u usage[P]) down(i int) {
	for {
		top := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(u) && u[c].learned > u[top].learned {
				top = c
			}
		}
		if top == i {
			return
		}
		u.swap(i, top)
		i = top
	}
}

func (u *usage[P]) add(p *port[P]) {
	p.at = len(*u)
	*u = append(*u, p)
}

// remove takes out a port without learned entries: nothing below it has any either, so that
// the last one may take its place.
func (u *usage[P]) remove(p *port[P]) {
	last := len(*u) - 1
	at := p.at
	u.swap(at, last)
	(*u)[last] = nil
	*u = (*u)[:last]
	if at < last {
		u.up(at)
	}
}

// vlanSet is a set of VLANs; nil is the empty one.
type vlanSet []uint64

func newVLANSet(vlans []uint16) vlanSet {
	var s vlanSet
	for _, v := range vlans {
		if v > 4095 {
			continue
		}
		if s == nil {
			s = make(vlanSet, 4096/64)
		}
		s[v/64] |= 1 << (v % 64)
	}
	return s
}

func (s vlanSet) has(vlan uint16) bool {
	return s != nil && vlan < 4096 && s[vlan/64]>>(vlan%64)&1 != 0
}

func (s vlanSet) equal(o vlanSet) bool { return slices.Equal(s, o) }
