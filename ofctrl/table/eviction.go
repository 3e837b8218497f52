package table

import (
	"container/heap"
	"math"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// eviction says which rule of a full table makes room: of the largest group, the one of least importance, of those
// the one that would expire first. Rules without a timeout never go. Groups are rules alike in some fields, so that
// who fills the table with one kind of flow evicts its own.
type eviction struct {
	fields []flow.Subfield
	groups map[string]*evictionGroup
	bySize groupHeap
}

// evictionGroup is a heap of rules by urgency. Their expiry is as it was when they were placed: use puts it off, which
// is found out when they come to the top.
type evictionGroup struct {
	key   string
	rules ruleHeap
	at    int // in eviction.bySize
}

// candidate is a rule in an evictionGroup.
type candidate struct {
	rule       *Rule
	group      *evictionGroup
	importance uint16
	expires    int64 // Unix nanoseconds
	at         int   // in group.rules
}

func newEviction(fields []flow.Subfield) *eviction {
	return &eviction{fields: fields, groups: make(map[string]*evictionGroup)}
}

// put adds a rule, or places it anew, if it can be evicted.
func (e *eviction) put(r *Rule) {
	e.drop(r)
	if r.Idle == 0 && r.Hard == 0 {
		return
	}
	key := e.key(r)
	g := e.groups[key]
	if g == nil {
		g = &evictionGroup{key: key}
		e.groups[key] = g
		heap.Push(&e.bySize, g)
	}
	r.candidate = &candidate{rule: r, group: g, importance: r.Importance, expires: expiry(r)}
	heap.Push(&g.rules, r.candidate)
	heap.Fix(&e.bySize, g.at)
}

// drop takes a rule out, if it is in.
func (e *eviction) drop(r *Rule) {
	c := r.candidate
	if c == nil {
		return
	}
	r.candidate = nil
	g := c.group
	heap.Remove(&g.rules, c.at)
	if len(g.rules) == 0 {
		heap.Remove(&e.bySize, g.at)
		delete(e.groups, g.key)
		return
	}
	heap.Fix(&e.bySize, g.at)
}

// choose returns the rule that goes next, nil when none may.
func (e *eviction) choose() *Rule {
	if e == nil || len(e.bySize) == 0 {
		return nil
	}
	rules := &e.bySize[0].rules
	for {
		c := (*rules)[0]
		if now := expiry(c.rule); now != c.expires {
			c.expires = now
			heap.Fix(rules, 0)
			continue
		}
		return c.rule
	}
}

// key is the value of the group's fields in a rule.
func (e *eviction) key(r *Rule) string {
	if len(e.fields) == 0 {
		return ""
	}
	m := r.Match()
	var b []byte
	for _, f := range e.fields {
		b = append(b, f.Read(&m.Key)...)
	}
	return string(b)
}

// expiry is when a rule will go by itself if it is not used any more.
func expiry(r *Rule) int64 {
	at := int64(math.MaxInt64)
	if r.Hard != 0 {
		at = r.Modified.UnixNano() + int64(r.Hard)*1e9
	}
	if r.Idle != 0 {
		at = min(at, r.used.Load()+int64(r.Idle)*1e9)
	}
	return at
}

// ruleHeap has the rule that goes first at the top.
type ruleHeap []*candidate

func (h ruleHeap) Len() int { return len(h) }
func (h ruleHeap) Less(i, j int) bool {
	if h[i].importance != h[j].importance {
		return h[i].importance < h[j].importance
	}
	return h[i].expires < h[j].expires
}
func (h ruleHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *ruleHeap) Push(x any) {
	c := x.(*candidate)
	c.at = len(*h)
	*h = append(*h, c)
}
func (h *ruleHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return c
}

// groupHeap has the largest group at the top.
type groupHeap []*evictionGroup

func (h groupHeap) Len() int           { return len(h) }
func (h groupHeap) Less(i, j int) bool { return len(h[i].rules) > len(h[j].rules) }
func (h groupHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *groupHeap) Push(x any) {
	g := x.(*evictionGroup)
	g.at = len(*h)
	*h = append(*h, g)
}
func (h *groupHeap) Pop() any {
	old := *h
	g := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return g
}
