package table

import (
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// classifier is one flow table: tuple space search. The rules that share a mask are a subtable,
// one hash lookup each; subtables stand in the order of their highest priority, so that a search
// ends when no better rule can come.
type classifier struct {
	seed    uint64
	limit   int
	rules   int
	subs    []*subtable // descending max, then age
	byMask  map[uint64][]*subtable
	prefix  []prefixField
	tries   [maxPrefixes]trie // of prefix
	counter counter

	settings settings
	eviction *eviction // nil: off
}

// touch says that lookups may end differently from now on.
func (c *classifier) touch() { c.counter.version.Add(1) }

func (c *classifier) lookup(key *flow.Key, wc *flow.Mask) *Rule { return c.search(key, wc, nil) }

// search is lookup; conjuncts, when not nil, gets the rules of a conjunctive match.
func (c *classifier) search(key *flow.Key, wc *flow.Mask, conjuncts *[]*Rule) *Rule {
	var best *Rule
	var soft []*Rule
	var seen prefixes
	for _, s := range c.subs {
		if best != nil && best.Priority >= s.max {
			break
		}
		if r := s.lookup(c, key, wc, &seen); r != nil && (best == nil || r.Priority > best.Priority) {
			if r.conj != nil {
				soft = append(soft, r)
			} else {
				best = r
			}
		}
	}
	if soft != nil {
		return c.conjunctive(key, wc, best, soft, conjuncts)
	}
	return best
}

// subtable finds the subtable of a mask, nil when there is none.
func (c *classifier) subtable(mask *flow.Mask) (*subtable, uint64) {
	h := hashMask(c.seed, mask)
	for _, s := range c.byMask[h] {
		if s.mask == *mask {
			return s, h
		}
	}
	return nil, h
}

// find returns the rule with exactly the match and priority.
func (c *classifier) find(m *flow.Match, priority int) *Rule {
	s, _ := c.subtable(&m.Mask)
	if s == nil {
		return nil
	}
	return s.find(&m.Key, priority)
}

// insert adds a rule; there must be none with the same match and priority.
func (c *classifier) insert(r *Rule, m *flow.Match) {
	s, h := c.subtable(&m.Mask)
	if s == nil {
		s = newSubtable(c, &m.Mask)
		c.addSubtable(s, h)
	}
	s.insert(r, &m.Key)
	s.addPrefixes(c, r, 1)
	c.rules++
	c.order(s)
}

func (c *classifier) addSubtable(s *subtable, hash uint64) {
	if c.byMask == nil {
		c.byMask = make(map[uint64][]*subtable)
	}
	c.byMask[hash] = append(c.byMask[hash], s)
	c.subs = append(c.subs, s)
}

// restore puts a removed rule back behind the one that was before it. The other rules of its
// subtable are those of then.
func (c *classifier) restore(r, prev *Rule) {
	s := r.sub
	if s.first == nil { // it went with its last rule
		c.addSubtable(s, hashMask(c.seed, &s.mask))
	}
	s.link(r, prev)
	s.addPrefixes(c, r, 1)
	c.rules++
	c.order(s)
}

// remove takes a rule out. The rule keeps its match.
func (c *classifier) remove(r *Rule) {
	s := r.sub
	s.remove(r)
	s.addPrefixes(c, r, -1)
	c.rules--
	if s.first != nil {
		c.order(s)
		return
	}
	c.subs = slices.DeleteFunc(c.subs, func(o *subtable) bool { return o == s })
	h := hashMask(c.seed, &s.mask)
	c.byMask[h] = slices.DeleteFunc(c.byMask[h], func(o *subtable) bool { return o == s })
	if len(c.byMask[h]) == 0 {
		delete(c.byMask, h)
	}
}

// order moves s to its place after its highest priority changed.
func (c *classifier) order(s *subtable) {
	was := s.max
	s.max = s.highest()
	if s.max == was && s.placed {
		return
	}
	s.placed = true
	i := slices.Index(c.subs, s)
	c.subs = slices.Delete(c.subs, i, i+1)
	at, _ := slices.BinarySearchFunc(c.subs, s.max, func(o *subtable, max int) int {
		if o.max >= max {
			return -1
		}
		return 1
	})
	c.subs = slices.Insert(c.subs, at, s)
}

// each calls f for every rule; f may not change the table.
func (c *classifier) each(f func(*Rule)) {
	for _, s := range c.subs {
		for r := s.first; r != nil; r = r.succ {
			f(r)
		}
	}
}

// eachLoose calls f for every rule that is at least as specific as m (OpenFlow's non-strict
// matching); f may not change the table.
func (c *classifier) eachLoose(m *flow.Match, f func(*Rule)) {
	if m.Mask == (flow.Mask{}) {
		c.each(f)
		return
	}
	var want []wanted
	for _, s := range c.subs {
		if !s.mask.Covers(&m.Mask) {
			continue
		}
		if s.mask == m.Mask {
			for r := s.bucket(&m.Key); r != nil; r = r.next {
				if s.holds(r, &m.Key) {
					f(r)
				}
			}
			continue
		}
		want = s.wanted(want[:0], m)
	rules:
		for r := s.first; r != nil; r = r.succ {
			for _, w := range want {
				if (r.word[w.pos]^w.value)&w.mask != 0 {
					continue rules
				}
			}
			f(r)
		}
	}
}

// overlaps reports whether a rule of the same priority could match a packet that m matches too.
func (c *classifier) overlaps(m *flow.Match, priority int) bool {
	for _, s := range c.subs {
		if s.priorities[priority] == 0 {
			continue
		}
		want := s.wanted(nil, m)
	rules:
		for r := s.first; r != nil; r = r.succ {
			if r.Priority != priority {
				continue
			}
			for _, w := range want {
				if (r.word[w.pos]^w.value)&w.mask != 0 {
					continue rules
				}
			}
			return true
		}
	}
	return false
}
