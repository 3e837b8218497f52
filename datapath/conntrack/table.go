package conntrack

import (
	"math/rand/v2"
	"sync"
)

// DefaultMaxConns is how many connections a Table holds at most, unless told otherwise (OVS's number).
const DefaultMaxConns = 3000000

// swept is how many connections each packet looks at to find expired ones.
const swept = 2

// Options make a Table.
type Options struct {
	// Now is the time in nanoseconds of a clock that never goes back.
	Now func() int64
	// SkipChecksums leaves packets with wrong checksums valid, for datapaths that cannot check them.
	SkipChecksums bool
	// Rand chooses ports for nat(random); nil means math/rand.
	Rand func() uint32
}

// conn is a connection. Of what eBPF would hold in its maps all has a fixed size: Timeouts stand for the
// number of a policy.
type conn struct {
	orig, reply Tuple // reply is what answers have before they are translated back
	nat         State // natBits that packets of the first direction get
	timer       Timer
	replied     bool
	mark        uint32
	label       [16]byte
	expires     int64 // ns
	tcp         [2]peer
	timeouts    *Timeouts // of a policy, or DefaultTimeouts
	helper      helper
	skews       [2]skew // of the ends of a TCP connection
	announced   int     // 1 + slot in Table.expected, or 0
	related     bool    // parent has announced it
	parent      Tuple

	at         int   // in Table.all
	prev, next *conn // in Table.waiting, unless replied
}

// Table is a set of connections. Its methods are safe for concurrent use.
type Table struct {
	o Options

	mu sync.Mutex // guards what follows
	// conns has every connection twice, by both its tuples; where those are the same, once.
	conns  map[Tuple]*conn
	all    []*conn
	cursor int  // in all, of the sweep
	lru    conn // the ring of connections without reply, the one that was silent for longest first

	max       uint32
	check     bool // TCP sequence numbers
	perZone   map[uint16]uint32
	limits    limits
	policies  map[string]*Timeouts
	counters  Counters
	fragments fragments
	expected  expectations
}

// NewTable makes an empty table.
func NewTable(o Options) *Table {
	if o.Rand == nil {
		o.Rand = rand.Uint32
	}
	t := &Table{
		o: o, conns: map[Tuple]*conn{}, max: DefaultMaxConns, check: true, perZone: map[uint16]uint32{},
		policies: map[string]*Timeouts{}, fragments: fragments{set: FragmentSettings{Max: DefaultMaxFragments}, ports: map[fragmentKey]fragmentPorts{}},
	}
	t.lru.prev, t.lru.next = &t.lru, &t.lru
	return t
}

// find looks a tuple up. reply: it is that of answers.
func (t *Table) find(k *Tuple, now int64) (c *conn, reply bool) {
	c = t.conns[*k]
	if c == nil {
		return nil, false
	}
	if c.expires <= now {
		t.remove(c)
		return nil, false
	}
	return c, c.orig != *k
}

// insert adds a connection whose tuples nobody has.
func (t *Table) insert(c *conn) {
	t.conns[c.orig], t.conns[c.reply] = c, c
	c.at = len(t.all)
	t.all = append(t.all, c)
	t.perZone[c.orig.Zone]++
	t.wait(c)
}

// wait puts a connection at the end of those without reply.
func (t *Table) wait(c *conn) {
	c.prev, c.next = t.lru.prev, &t.lru
	c.prev.next, c.next.prev = c, c
}

func (c *conn) unlink() {
	if c.prev != nil {
		c.prev.next, c.next.prev = c.next, c.prev
		c.prev, c.next = nil, nil
	}
}

// touch notes that a packet of the connection has come: with an answer it is safe from being displaced.
func (t *Table) touch(c *conn, reply bool, now int64) {
	c.expires = now + int64(c.timeouts[c.timer])*1e9
	c.replied = c.replied || reply
	c.unlink()
	if !c.replied {
		t.wait(c)
	}
}

func (t *Table) remove(c *conn) {
	delete(t.conns, c.orig)
	delete(t.conns, c.reply)
	last := t.all[len(t.all)-1]
	t.all[c.at], last.at = last, c.at
	t.all[len(t.all)-1] = nil
	t.all = t.all[:len(t.all)-1]
	if t.perZone[c.orig.Zone]--; t.perZone[c.orig.Zone] == 0 {
		delete(t.perZone, c.orig.Zone)
	}
	c.unlink()
	t.expected.forget(c)
}

// sweep removes the expired among the next n connections.
func (t *Table) sweep(n int, now int64) {
	if n >= len(t.all) {
		t.cursor = 0 // else one that has been looked at may come into the place of one that has not
	}
	for range min(n, len(t.all)) {
		if t.cursor >= len(t.all) {
			t.cursor = 0
		}
		if c := t.all[t.cursor]; c.expires <= now {
			t.remove(c) // another one is in its place now
		} else {
			t.cursor++
		}
	}
}

// room reports whether a zone may have another connection. One without reply gives way when the table is full.
func (t *Table) room(zone uint16, now int64) bool {
	if limit := t.limits.of(zone); limit != 0 && t.perZone[zone] >= limit {
		t.counters.ZoneFull++
		return false
	}
	if uint64(len(t.all)) < uint64(t.max) {
		return true
	}
	if oldest := t.lru.next; oldest != &t.lru && len(t.all) == int(t.max) {
		if oldest.expires > now {
			t.counters.Displaced++
		}
		t.remove(oldest)
		return true
	}
	t.counters.Full++
	return false
}
