package table

import (
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Rule is one flow. Its exported fields change only under the write lock of its Tables; those of
// a removed rule never change again.
type Rule struct {
	Table      uint8
	Priority   int // above 65535: hidden from controllers
	Cookie     uint64
	Idle, Hard uint16 // seconds, 0: none
	Importance uint16
	Flags      uint16 // those of its addition: FlagSendFlowRem, FlagCheckOverlap...
	Actions    []openflow.Action
	Created    time.Time
	Modified   time.Time // starts the hard timeout
	Marks      *Marks    // nil: no monitor was there

	// Credited without the lock.
	packets, bytes atomic.Uint64
	used           atomic.Int64 // Unix nanoseconds
	refreshed      atomic.Int64 // when a learn action last made it again, likewise

	candidate  *candidate    // of eviction; nil: none
	conj       *conjunctions // of Actions, mostly nil
	sub        *subtable
	word       []uint64 // the match's value in the words of sub
	next       *Rule    // same hash in sub, descending priority
	prev, succ *Rule    // all rules of sub, in the order of insertion
}

// Match is what the rule matches.
func (r *Rule) Match() flow.Match {
	m := flow.Match{Mask: r.sub.mask}
	for i, e := range r.sub.entry {
		m.Key[e.word] = r.word[i]
	}
	return m
}

// Hidden reports whether controllers do not see the rule.
func (r *Rule) Hidden() bool { return r.Priority > 0xffff }

// Credit implements datapath.Credit: it counts for the rule, and for its table as a match.
func (r *Rule) Credit(packets, bytes uint64, used time.Time, _ uint16) {
	r.packets.Add(packets)
	r.bytes.Add(bytes)
	r.sub.counter.matched.Add(packets)
	if used.IsZero() {
		return
	}
	for at := used.UnixNano(); ; {
		old := r.used.Load()
		if old >= at || r.used.CompareAndSwap(old, at) {
			return
		}
	}
}

// Stats are a rule's counters.
type Stats struct {
	Packets, Bytes uint64
	Used           time.Time // last packet, or when the rule was made
}

// Stats returns the counters.
func (r *Rule) Stats() Stats {
	return Stats{r.packets.Load(), r.bytes.Load(), time.Unix(0, r.used.Load())}
}

// Removed is a rule that is gone, and why.
type Removed struct {
	Rule   *Rule
	Reason openflow.FlowRemovedReason
}
