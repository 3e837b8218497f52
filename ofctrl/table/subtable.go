package table

import (
	"math/bits"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// entry is one word of a mask that is not all zero.
type entry struct {
	mask uint64
	word uint8
}

// subtable holds the rules that share a mask.
type subtable struct {
	mask    flow.Mask
	entry   []entry        // by stage, then word
	stage   [numStages]int // entries of the stages up to this one
	counter *counter
	seed    uint64

	rule map[uint64]*Rule // by hash of the masked words; chained by Rule.next
	// partial counts the rules by the hash of the words up to a stage, for stages that have
	// words and are not the last that has.
	partial [numStages - 1]map[uint64]int32

	first, last *Rule
	priorities  map[int]int32 // rules per priority
	ascending   []int         // its keys
	max         int           // the highest when it was placed
	placed      bool

	prefix []prefixOf // fields with a trie in which the mask is a prefix
	ports  *ports     // nil when the mask has no bits of them
}

func newSubtable(c *classifier, mask *flow.Mask) *subtable {
	s := &subtable{
		mask: *mask, counter: &c.counter, seed: c.seed,
		rule: make(map[uint64]*Rule), priorities: make(map[int]int32),
	}
	for st := range numStages {
		for w, m := range mask {
			if m != 0 && stageOf[w] == st {
				s.entry = append(s.entry, entry{m, uint8(w)})
			}
		}
		s.stage[st] = len(s.entry)
	}
	s.entry = slices.Clip(s.entry)
	from := 0
	for st := range numStages - 1 {
		if s.stage[st] > from && s.stage[st] < len(s.entry) {
			s.partial[st] = make(map[uint64]int32)
		}
		from = s.stage[st]
	}
	s.prefix = c.prefixesOf(mask)
	s.ports = newPorts(mask)
	return s
}

// lookup finds the rule of highest priority here that matches key, adding what it read to wc.
func (s *subtable) lookup(c *classifier, key *flow.Key, wc *flow.Mask, seen *prefixes) *Rule {
	h := s.seed
	from, pfx := 0, 0
	for st := range numStages {
		to := s.stage[st]
		if to == from {
			continue
		}
		// A prefix that no rule of the table has ends the search before the stage is read.
		for ; pfx < len(s.prefix) && s.prefix[pfx].stage == st; pfx++ {
			if p := &s.prefix[pfx]; !seen.has(c, key, p.field, p.len) {
				seen.read(c, wc, p.field, p.len)
				return nil
			}
		}
		if st == stageL4 && s.ports != nil && !s.ports.has(key, wc) {
			return nil
		}
		for _, e := range s.entry[from:to] {
			h = mix(h, key[e.word]&e.mask)
			wc[e.word] |= e.mask
		}
		from = to
		if st < numStages-1 {
			if p := s.partial[st]; p != nil && p[h] == 0 {
				return nil
			}
		}
	}
	for r := s.rule[h]; r != nil; r = r.next {
		if s.holds(r, key) {
			return r
		}
	}
	return nil
}

// holds reports whether r matches key.
func (s *subtable) holds(r *Rule, key *flow.Key) bool {
	for i, e := range s.entry {
		if key[e.word]&e.mask != r.word[i] {
			return false
		}
	}
	return true
}

func (s *subtable) hash(key *flow.Key, entries []entry) uint64 {
	h := s.seed
	for _, e := range entries {
		h = mix(h, key[e.word]&e.mask)
	}
	return h
}

// bucket is the chain in which a rule that matches key must be.
func (s *subtable) bucket(key *flow.Key) *Rule { return s.rule[s.hash(key, s.entry)] }

func (s *subtable) find(key *flow.Key, priority int) *Rule {
	for r := s.bucket(key); r != nil; r = r.next {
		if r.Priority == priority && s.holds(r, key) {
			return r
		}
	}
	return nil
}

func (s *subtable) insert(r *Rule, key *flow.Key) {
	r.sub = s
	r.word = make([]uint64, len(s.entry))
	for i, e := range s.entry {
		r.word[i] = key[e.word] & e.mask
	}
	s.link(r, s.last)
}

// link puts a rule behind another one, nil: in front of all.
func (s *subtable) link(r, prev *Rule) {
	h := s.count(r, 1)
	head := s.rule[h]
	if head == nil || head.Priority < r.Priority {
		r.next = head
		s.rule[h] = r
	} else {
		p := head
		for p.next != nil && p.next.Priority >= r.Priority {
			p = p.next
		}
		r.next = p.next
		p.next = r
	}
	if r.prev = prev; prev != nil {
		r.succ, prev.succ = prev.succ, r
	} else {
		r.succ, s.first = s.first, r
	}
	if r.succ != nil {
		r.succ.prev = r
	} else {
		s.last = r
	}
}

func (s *subtable) remove(r *Rule) {
	h := s.count(r, -1)
	if head := s.rule[h]; head != r {
		p := head
		for p.next != r {
			p = p.next
		}
		p.next = r.next
	} else if r.next != nil {
		s.rule[h] = r.next
	} else {
		delete(s.rule, h)
	}
	if r.prev != nil {
		r.prev.succ = r.succ
	} else {
		s.first = r.succ
	}
	if r.succ != nil {
		r.succ.prev = r.prev
	} else {
		s.last = r.prev
	}
	r.next, r.prev, r.succ = nil, nil, nil
}

// count adds d to what counts rules by stage and priority, and returns the rule's hash.
func (s *subtable) count(r *Rule, d int32) uint64 {
	was := s.priorities[r.Priority]
	if s.priorities[r.Priority] = was + d; was == 0 || was+d == 0 {
		at, _ := slices.BinarySearch(s.ascending, r.Priority)
		if was == 0 {
			s.ascending = slices.Insert(s.ascending, at, r.Priority)
		} else {
			s.ascending = slices.Delete(s.ascending, at, at+1)
			delete(s.priorities, r.Priority)
		}
	}
	h := s.seed
	from := 0
	for st, to := range s.stage {
		for _, w := range r.word[from:to] {
			h = mix(h, w)
		}
		from = to
		if st < numStages-1 && s.partial[st] != nil {
			if s.partial[st][h] += d; s.partial[st][h] == 0 {
				delete(s.partial[st], h)
			}
		}
	}
	return h
}

// highest is the highest priority of a rule, of which there is one.
func (s *subtable) highest() int { return s.ascending[len(s.ascending)-1] }

// wanted is one word of another match, as it is compared with the words of the rules of a
// subtable: pos is the index in Rule.word.
type wanted struct {
	pos         int
	value, mask uint64
}

// wanted lists the bits that both m and the subtable's mask have.
func (s *subtable) wanted(dst []wanted, m *flow.Match) []wanted {
	for i, e := range s.entry {
		if mask := m.Mask[e.word] & e.mask; mask != 0 {
			dst = append(dst, wanted{i, m.Key[e.word] & mask, mask})
		}
	}
	return dst
}

// mix adds a word to a hash. The start is a secret of the Tables: who chooses flows or packets
// cannot aim at a bucket.
func mix(h, w uint64) uint64 {
	hi, lo := bits.Mul64(h^w^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo ^ h<<1
}

func hashMask(seed uint64, mask *flow.Mask) uint64 {
	h := seed
	for i, w := range mask {
		if w != 0 {
			h = mix(mix(h, uint64(i)), w)
		}
	}
	return h
}
