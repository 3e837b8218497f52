package table

import (
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// A conjunctive match (ovs-fields(7)) has the form "each of N clauses is true", a clause being "one of its rules matches".
// A rule with conjunction actions is soft: it is never the result of a lookup, but says which clauses of which
// conjunctions it makes true. When all clauses of one are true among rules of one priority, the packet is looked up
// once more, with the conjunction's number in conj_id.

// conjunctions are what makes a rule soft.
type conjunctions struct {
	list []openflow.Conjunction
	// least is the smallest number of clauses of any of them.
	least int
}

// conjunctionsOf are those of a rule's actions, nil when there is none.
func conjunctionsOf(actions []openflow.Action) *conjunctions {
	var c *conjunctions
	for _, a := range actions {
		a, ok := a.(openflow.Conjunction)
		if !ok {
			continue
		}
		if c == nil {
			c = &conjunctions{least: int(a.N)}
		}
		c.list = append(c.list, a)
		c.least = min(c.least, int(a.N))
	}
	return c
}

// clauses are those of one conjunction that are known to be true: a bit for each, and all bits beyond the last.
type clauses struct {
	id   uint32
	true uint64
}

// conjunctive finds the result of a lookup that met soft rules. hard is its best other rule; soft are the best rules
// of their subtables, and are overwritten. conjuncts, when not nil, gets the rules that made a conjunction true.
func (c *classifier) conjunctive(key *flow.Key, wc *flow.Mask, hard *Rule, soft []*Rule, conjuncts *[]*Rule) *Rule {
	var buf [16]clauses
	for {
		if hard != nil {
			soft = slices.DeleteFunc(soft, func(r *Rule) bool { return r.Priority <= hard.Priority })
		}
		if len(soft) == 0 {
			return hard
		}
		best := soft[0].Priority
		for _, r := range soft[1:] {
			best = max(best, r.Priority)
		}
		found := buf[:0]
		for _, r := range soft {
			if r.Priority != best || r.conj.least > len(soft) {
				continue
			}
			for i := range r.conj.list {
				a := &r.conj.list[i]
				if int(a.N) > len(soft) || !holds(&found, a) {
					continue
				}
				if rule := c.byConjID(key, wc, a.ID); rule != nil {
					if conjuncts != nil {
						*conjuncts = conjunctsOf(soft, best, a.ID)
					}
					return rule
				}
				break // as in OVS: what else the rule says comes too late
			}
		}
		// None is true at this priority: behind each of its rules there may be another with the same match.
		next := soft[:0]
		for _, r := range soft {
			if r.Priority == best {
				if r = r.behind(key); r == nil {
					continue
				}
				if r.conj == nil {
					if hard == nil || r.Priority > hard.Priority {
						hard = r
					}
					continue
				}
			}
			next = append(next, r)
		}
		soft = next
	}
}

// holds notes that a clause is true, and reports whether all of its conjunction are.
func holds(found *[]clauses, a *openflow.Conjunction) bool {
	i := slices.IndexFunc(*found, func(f clauses) bool { return f.id == a.ID })
	if i < 0 {
		i = len(*found)
		*found = append(*found, clauses{a.ID, ^uint64(0) << (a.N & 63)})
		if a.N == 64 {
			(*found)[i].true = 0
		}
	}
	f := &(*found)[i]
	f.true |= 1 << a.Clause
	return f.true == ^uint64(0)
}

// byConjID looks up the packet with a conj_id, without conjunctions.
func (c *classifier) byConjID(key *flow.Key, wc *flow.Mask, id uint32) *Rule {
	k := *key
	k.Set(flow.ConjID, uint64(id))
	var best *Rule
	var seen prefixes
	for _, s := range c.subs {
		if best != nil && best.Priority >= s.max {
			break
		}
		r := s.lookup(c, &k, wc, &seen)
		if r != nil && r.conj == nil && (best == nil || r.Priority > best.Priority) {
			best = r
		}
	}
	return best
}

// behind is the rule of next lower priority with the same match, which key fits.
func (r *Rule) behind(key *flow.Key) *Rule {
	for n := r.next; n != nil; n = n.next {
		if r.sub.holds(n, key) {
			return n
		}
	}
	return nil
}

// conjunctsOf are the rules of a priority that have a clause of a conjunction.
func conjunctsOf(soft []*Rule, priority int, id uint32) []*Rule {
	var out []*Rule
	for _, r := range soft {
		if r.Priority == priority && slices.ContainsFunc(r.conj.list, func(a openflow.Conjunction) bool { return a.ID == id }) {
			out = append(out, r)
		}
	}
	return out
}

// Conjuncts are the rules by which the lookup of key found its rule, if that is by a conjunction. It is for people to
// see: nothing of the key is noted as read.
func (t *Tables) Conjuncts(id uint8, key *flow.Key) []*Rule {
	if int(id) >= Count {
		return nil
	}
	var wc flow.Mask
	var out []*Rule
	t.table[id].search(key, &wc, &out)
	return out
}
