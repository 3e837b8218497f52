package table

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// softRule is a rule of the model, hard when it has no conjunctions.
type softRule struct {
	match    flow.Match
	priority int
	conj     []openflow.Conjunction
}

// softModel is a classifier that knows of conjunctions what ovs-fields(7) says.
type softModel []softRule

// hard is the best hard rule, nil when none matches. Hard rules have priorities of their own. With seen only those count
// that are not behind a soft rule of the same match: so OVS looks up a conj_id.
func (m softModel) hard(k *flow.Key, seen bool) *softRule {
	var best *softRule
	for i := range m {
		r := &m[i]
		if r.conj != nil || !r.match.Matches(k) || best != nil && r.priority < best.priority {
			continue
		}
		if seen && slices.ContainsFunc(m, func(o softRule) bool { return o.conj != nil && o.match == r.match && o.priority > r.priority }) {
			continue
		}
		best = r
	}
	return best
}

// about lists the rules that match a key, with any conj_id.
func (m softModel) about(k *flow.Key) string {
	var s strings.Builder
	for i := range m {
		r := m[i]
		r.match.Mask.Set(flow.ConjID, 0)
		if r.match.Matches(k) {
			fmt.Fprintf(&s, "%p priority=%d,%s %v\n", &m[i], r.priority, openflow.FormatMatch(&m[i].match, nil), r.conj)
		}
	}
	return s.String()
}

// results are the rules that a lookup may find: more than one only where two conjunctions of one priority are true, of
// which the switch may take either.
func (m softModel) results(k *flow.Key) []*softRule {
	hard := m.hard(k, false)
	least := -1
	if hard != nil {
		least = hard.priority
	}
	proved := map[int]map[uint32]uint64{} // by priority and id
	need := map[uint32]uint64{}
	for _, r := range m {
		if r.priority > least && r.match.Matches(k) {
			for _, c := range r.conj {
				if proved[r.priority] == nil {
					proved[r.priority] = map[uint32]uint64{}
				}
				proved[r.priority][c.ID] |= 1 << c.Clause
				need[c.ID] = 1<<c.N - 1
			}
		}
	}
	var priorities []int
	for p := range proved {
		priorities = append(priorities, p)
	}
	slices.Sort(priorities)
	var out []*softRule
	for _, p := range slices.Backward(priorities) {
		all, led := 0, 0
		for id, got := range proved[p] {
			if got != need[id] {
				continue
			}
			all++
			with := *k
			with.Set(flow.ConjID, uint64(id))
			if r := m.hard(&with, true); r != nil {
				out = append(out, r)
				led++
			}
		}
		// When the first conjunction of a rule leads nowhere, its others may be missed.
		if led > 0 && led == all {
			return out
		}
	}
	return append(out, hard)
}

// TestConjunctionsAgainstModel compares lookups with the model; and any key that agrees with a looked-up one in the bits
// that the lookup read gets its rule.
func TestConjunctionsAgainstModel(t *testing.T) {
	conjunctive, lower := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		key := func() (k flow.Key) {
			k.Set(flow.EthType, 0x800)
			k.Set(flow.InPort, uint64(draw(3, "in_port")))
			k.Set(flow.EthDst, uint64(draw(3, "eth_dst")))
			k.Set(flow.IPv4Src, uint64(0x0a000000|draw(4, "ip_src")))
			k.Set(flow.IPv4Dst, uint64(0x0a000000|draw(4, "ip_dst")))
			k.Set(flow.TCPDst, uint64(draw(4, "tp_dst")))
			return k
		}
		mask := func() (m flow.Mask) {
			switch draw(6, "mask") {
			case 0:
				m.SetExact(flow.IPv4Src)
			case 1:
				m.Set(flow.IPv4Src, 0xfffffffe)
			case 2:
				m.SetExact(flow.IPv4Dst)
			case 3:
				m.SetExact(flow.TCPDst)
			case 4:
				m.SetExact(flow.EthDst)
			}
			if draw(4, "more") == 0 {
				m.SetExact(flow.InPort)
			}
			return m
		}
		tables := New(Options{})
		var model softModel
		index := map[*Rule]int{}
		add := func(r softRule) {
			r.match.Normalize()
			if slices.ContainsFunc(model, func(o softRule) bool { return o.match == r.match && o.priority == r.priority }) {
				return
			}
			var actions []openflow.Action
			for _, c := range r.conj {
				actions = append(actions, c)
			}
			if _, err := tables.Apply(&openflow.FlowMod{Table: 3, Match: r.match, Priority: uint16(r.priority), Actions: actions}); err != nil {
				t.Fatal(err)
			}
			index[tables.table[3].find(&r.match, r.priority)] = len(model)
			model = append(model, r)
		}
		// How many clauses a conjunction has.
		n := [4]uint8{2, 2, 3, 2}
		for range 4 + draw(30, "soft rules") {
			r := softRule{match: flow.Match{Key: key(), Mask: mask()}, priority: 10 * (1 + draw(3, "priority"))}
			for id := range n {
				if draw(2, "has") == 0 {
					r.conj = append(r.conj, openflow.Conjunction{ID: uint32(id), Clause: uint8(draw(int(n[id]), "clause")), N: n[id]})
				}
			}
			if r.conj != nil {
				add(r)
			}
		}
		for i := range 1 + draw(8, "hard rules") {
			r := softRule{match: flow.Match{Key: key(), Mask: mask()}, priority: []int{i, 10 + i + 1, 20 + i + 1, 30 + i + 1}[draw(4, "priority")]}
			if slices.ContainsFunc(model, func(o softRule) bool { return o.priority == r.priority }) {
				continue
			}
			if draw(2, "on conj_id") == 0 {
				r.match.Set(flow.ConjID, uint64(draw(len(n), "conj_id")))
			}
			add(r)
		}
		// Rules that go must not be missed, nor those that stay.
		for range draw(4, "deletions") {
			i := draw(len(model), "rule")
			if _, err := tables.Apply(&openflow.FlowMod{
				Command: openflow.FlowDeleteStrict, Table: 3, Match: model[i].match, Priority: uint16(model[i].priority),
				OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
			}); err != nil {
				t.Fatal(err)
			}
			model[i].priority = -1 // no key gets it
			model[i].match = flow.Match{}
			model[i].match.Set(flow.Metadata, 99)
		}

		for range 20 {
			k := key()
			var wc flow.Mask
			got := tables.Lookup(3, &k, &wc)
			var rule *softRule
			if got != nil {
				rule = &model[index[got]]
			}
			want := model.results(&k)
			if !slices.Contains(want, rule) {
				t.Fatalf("found %v, want one of %v among\n%v", rule, want, model.about(&k))
			}
			if why := tables.Conjuncts(3, &k); len(why) > 0 {
				conjunctive++
				if why[0].Priority < 30 {
					lower++
				}
			}
			other := key()
			for i := range other {
				other[i] = other[i]&^wc[i] | k[i]&wc[i]
			}
			var wc2 flow.Mask
			if again := tables.Lookup(3, &other, &wc2); again != got {
				t.Fatalf("%v and %v agree in %v but find %v and %v", k, other, wc, got, again)
			}
		}
	})
	if conjunctive < 100 || lower < 20 {
		t.Errorf("only %d lookups ended in a conjunction, %d of them below the highest priority", conjunctive, lower)
	}
	t.Logf("%d lookups ended in a conjunction, %d of them below the highest priority", conjunctive, lower)
}

// TestConjunctionOf64 has as many clauses as there can be, and one key for each that lacks it.
func TestConjunctionOf64(t *testing.T) {
	tables := New(Options{})
	var all flow.Key
	for i := range 64 {
		var m flow.Match
		f := flow.Reg(i / 32)
		m.Mask.Set(f, 1<<(i%32))
		m.Key.Set(f, 1<<(i%32))
		all.Or(&m.Key)
		if _, err := tables.Apply(&openflow.FlowMod{Match: m, Priority: 5, Actions: []openflow.Action{openflow.Conjunction{ID: 7, Clause: uint8(i), N: 64}}}); err != nil {
			t.Fatal(err)
		}
	}
	var m flow.Match
	m.Set(flow.ConjID, 7)
	if _, err := tables.Apply(&openflow.FlowMod{Match: m, Priority: 1}); err != nil {
		t.Fatal(err)
	}
	var wc flow.Mask
	if r := tables.Lookup(0, &all, &wc); r == nil || r.Priority != 1 {
		t.Errorf("found %v, want the flow of conj_id", r)
	}
	for i := range 64 {
		k := all
		f := flow.Reg(i / 32)
		k.Set(f, k.Get(f)&^(1<<(i%32)))
		if r := tables.Lookup(0, &k, &wc); r != nil {
			t.Errorf("without clause %d: found %v", i, fmt.Sprint(r.Match()))
		}
	}
}
