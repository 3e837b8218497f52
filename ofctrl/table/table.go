// Package table holds the OpenFlow flow tables of one switch: rules, classifier, timeouts and
// versions.
//
// Locking is the caller's: one sync.RWMutex (Options.Mu) guards a Tables and everything in it.
// Lookup, Each and the other readers want it held for reading, Apply, Expire and what else changes
// rules for writing. Only the counters of rules and tables are atomics and need no lock.
package table

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

const (
	// Count is the number of tables; the last is Internal.
	Count = 255
	// Visible is how many of them controllers see: 0 to 253.
	Visible = 254
	// Internal is the table for the switch's own rules: read-only, and hidden unless asked for.
	Internal uint8 = 254
	// MaxEntries is the limit of a table that has no other.
	MaxEntries = 1_000_000
)

// Options configure New.
type Options struct {
	Clock clock.Clock
	// Mu is the lock that guards the tables. It is not taken here: the field documents whose it is.
	Mu *sync.RWMutex
}

// Tables are the flow tables of one switch.
type Tables struct {
	implicitMiss bool // SetImplicitMiss
	clock        clock.Clock
	seed         uint64
	table        [Count]classifier
	expirable    map[*Rule]struct{}
	groups       groups
	meters       meters
	learners     learners
	limited      limited
	tx           *transaction // nil outside of Atomically
	log          changeLog
	vacancies    map[uint8]struct{} // tables with vacancy events

	tlv        atomic.Pointer[TLV] // read without the lock by who decodes and encodes
	tlvVersion TLVCounter
}

// New makes empty tables; but for the internal rules, see addInternalRules.
func New(o Options) *Tables {
	t := &Tables{clock: o.Clock, seed: rand.Uint64(), expirable: make(map[*Rule]struct{}), vacancies: make(map[uint8]struct{})}
	t.groups = groups{byID: make(map[uint32]*Group), users: make(map[uint32]map[*Rule]struct{})}
	t.meters = meters{byID: make(map[uint32]*Meter), users: make(map[uint32]map[*Rule]struct{})}
	t.tlv.Store(&TLV{})
	if t.clock == nil {
		t.clock = clock.Real{}
	}
	for i := range t.table {
		c := &t.table[i]
		c.seed = t.seed
		c.limit = MaxEntries
		c.prefix = defaultPrefixes
		c.counter.version.Store(1)
	}
	t.addInternalRules()
	return t
}

// Lookup finds the rule of highest priority that matches key, nil when none does. It adds to wc
// every bit of the key that decided: any key that agrees with key in wc finds the same rule as
// long as Version(id) stays. It does not count; see Rule.Credit and Miss.
func (t *Tables) Lookup(id uint8, key *flow.Key, wc *flow.Mask) *Rule {
	if int(id) >= Count {
		return nil
	}
	return t.table[id].lookup(key, wc)
}

// Version is a counter that moves whenever a lookup in the table may find another rule or other
// actions. For an id that is no table it never moves.
func (t *Tables) Version(id uint8) datapath.Versioned {
	if int(id) >= Count {
		return constant{}
	}
	return &t.table[id].counter
}

// Miss counts lookups that found no rule. (Rule.Credit counts those that did.)
func (t *Tables) Miss(id uint8) datapath.Credit {
	if int(id) >= Count {
		return constant{}
	}
	return (*missed)(&t.table[id].counter)
}

// Len is the number of rules in a table.
func (t *Tables) Len(id uint8) int {
	if int(id) >= Count {
		return 0
	}
	return t.table[id].rules
}

// Total is the number of rules in all tables, internal ones counted.
func (t *Tables) Total() int {
	n := 0
	for i := range t.table {
		n += t.table[i].rules
	}
	return n
}

// SetLimit bounds a table to n rules (Flow_Table.flow_limit); n <= 0 restores MaxEntries. Rules
// that are there stay.
func (t *Tables) SetLimit(id uint8, n int) {
	if int(id) >= Count {
		return
	}
	if n <= 0 {
		n = MaxEntries
	}
	t.table[id].limit = n
}

// counter is what outlives the rules of a table: megaflows point to it.
type counter struct {
	version atomic.Uint64 // read without the lock by revalidation
	matched atomic.Uint64 // packets, credited without the lock
	missed  atomic.Uint64
}

// Version implements datapath.Versioned.
func (c *counter) Version() uint64 { return c.version.Load() }

type missed counter

// Credit implements datapath.Credit.
func (m *missed) Credit(packets, _ uint64, _ time.Time, _ uint16) { m.missed.Add(packets) }

// constant stands for a table that does not exist.
type constant struct{}

func (constant) Version() uint64                           { return 0 }
func (constant) Credit(_, _ uint64, _ time.Time, _ uint16) {}

// addInternalRules makes the rules that OVS has in table 254: a lookup of a packet that was not
// recirculated ends in a drop, and the three ways to treat a table miss are rules on reg0 that
// count the misses: 1 to the controller, 2 drop, 3 drop of fragments.
func (t *Tables) addInternalRules() {
	var m flow.Match
	m.Set(flow.RecircID, 0)
	t.AddInternal(Internal, 2, &m, nil)
	miss := func(kind uint64, actions ...openflow.Action) {
		var m flow.Match
		m.Set(flow.Reg0, kind)
		t.AddInternal(Internal, 0, &m, actions)
	}
	miss(MissController, openflow.Controller{MaxLen: 0xffff, Reason: ReasonImplicitMiss})
	miss(MissDrop)
	miss(MissFragments)
}

// ReasonImplicitMiss is OVS's packet-in reason of a miss without a table-miss flow; it does not go
// on the wire of packet-ins and has no name.
const ReasonImplicitMiss openflow.PacketInReason = 7

// Values of reg0 of the miss rules in table Internal.
const (
	MissController uint64 = 1 + iota
	MissDrop
	MissFragments
)

// MissRule is the internal rule that stands for a table miss of the kind.
func (t *Tables) MissRule(kind uint64) *Rule {
	var m flow.Match
	m.Set(flow.Reg0, kind)
	return t.table[Internal].find(&m, 0)
}

// AddInternal adds or replaces a rule of the switch itself. A priority above 65535 hides it from
// controllers.
func (t *Tables) AddInternal(id uint8, priority int, match *flow.Match, actions []openflow.Action) *Rule {
	now := t.clock.Now()
	c := &t.table[id]
	if r := c.find(match, priority); r != nil {
		t.changingRule(r)
		before := r.Actions
		t.setActions(r, actions)
		r.Modified = now
		c.touch()
		t.note(openflow.UpdateModified, 0, r, true, before)
		return r
	}
	r := &Rule{Table: id, Priority: priority, Actions: actions, Created: now, Modified: now}
	r.used.Store(now.UnixNano())
	t.insert(r, match)
	t.note(openflow.UpdateAdded, 0, r, false, nil)
	return r
}

// RemoveInternal removes a rule that AddInternal added; it reports whether it was there.
func (t *Tables) RemoveInternal(id uint8, priority int, match *flow.Match) bool {
	r := t.table[id].find(match, priority)
	if r == nil {
		return false
	}
	t.remove(r)
	t.note(openflow.UpdateRemoved, openflow.RemovedDelete, r, false, nil)
	return true
}

// Flush removes all rules but those of table Internal and the hidden ones.
func (t *Tables) Flush() []Removed {
	var all []*Rule
	for i := range Visible {
		t.table[i].each(func(r *Rule) {
			if !r.Hidden() {
				all = append(all, r)
			}
		})
	}
	return t.removeAll(all, openflow.RemovedDelete)
}
