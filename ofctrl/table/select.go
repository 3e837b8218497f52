package table

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Filter selects rules. Its zero value is not "all": see All.
type Filter struct {
	Table uint8 // TableAll: all but Internal
	Match flow.Match
	// Strict wants exactly Match and Priority; otherwise rules at least as specific as Match.
	Strict             bool
	Priority           int
	Cookie, CookieMask uint64
	OutPort            openflow.PortNo // PortAny: no filter
	OutGroup           uint32          // GroupAny: no filter
	Hidden             bool            // hidden rules too, and those of Internal with TableAll
}

// All selects all rules that controllers see.
func All() *Filter {
	return &Filter{Table: openflow.TableAll, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
}

// Each calls f for every rule that the filter selects: by table, then by highest priority of the
// mask, then in the order of addition. f may not change the tables.
func (t *Tables) Each(sel *Filter, f func(*Rule)) {
	m := sel.Match
	m.Normalize()
	first, last := int(sel.Table), int(sel.Table)
	if sel.Table == openflow.TableAll {
		first, last = 0, Visible-1
		if sel.Hidden {
			last = Count - 1
		}
	}
	visit := func(r *Rule) {
		if sel.takes(r) {
			f(r)
		}
	}
	for id := first; id <= last; id++ {
		if sel.Strict {
			if r := t.table[id].find(&m, sel.Priority); r != nil {
				visit(r)
			}
			continue
		}
		t.table[id].eachLoose(&m, visit)
	}
}

// takes checks all but table, match and priority.
func (sel *Filter) takes(r *Rule) bool {
	return (sel.Hidden || !r.Hidden()) &&
		(r.Cookie^sel.Cookie)&sel.CookieMask == 0 &&
		(sel.OutPort == openflow.PortAny || outputs(r.Actions, sel.OutPort)) &&
		(sel.OutGroup == openflow.GroupAny || toGroup(r.Actions, sel.OutGroup))
}

// outputs reports whether actions send to the port (output with a length limit is not counted, as
// in OVS).
func outputs(actions []openflow.Action, port openflow.PortNo) bool {
	for _, a := range actions {
		switch a := a.(type) {
		case openflow.Output:
			if a.Port == port {
				return true
			}
		case openflow.Enqueue:
			if a.Port == port {
				return true
			}
		case openflow.Controller:
			if port == openflow.PortController {
				return true
			}
		case openflow.WriteActions:
			if outputs(a.Actions, port) {
				return true
			}
		case openflow.Clone:
			if outputs(a.Actions, port) {
				return true
			}
		}
	}
	return false
}

// toGroup reports whether actions run the group.
func toGroup(actions []openflow.Action, group uint32) bool {
	for _, a := range actions {
		switch a := a.(type) {
		case openflow.Group:
			if a.ID == group {
				return true
			}
		case openflow.WriteActions:
			if toGroup(a.Actions, group) {
				return true
			}
		case openflow.Clone:
			if toGroup(a.Actions, group) {
				return true
			}
		}
	}
	return false
}

// Aggregate sums the rules that the filter selects.
func (t *Tables) Aggregate(sel *Filter) (packets, bytes uint64, flows uint32) {
	t.Each(sel, func(r *Rule) {
		packets += r.packets.Load()
		bytes += r.bytes.Load()
		flows++
	})
	return packets, bytes, flows
}

// TableStats are the statistics of the tables that controllers see.
func (t *Tables) TableStats() []openflow.TableStats {
	out := make([]openflow.TableStats, Visible)
	for i := range out {
		c := &t.table[i]
		matched := c.counter.matched.Load()
		active := c.rules - c.hidden()
		out[i] = openflow.TableStats{
			Table: uint8(i), Name: t.Name(uint8(i)), Max: uint32(c.limit), Active: uint32(active),
			Config: c.settings.miss.config(), Lookup: matched + c.counter.missed.Load(), Matched: matched,
		}
	}
	return out
}

// hidden counts the hidden rules.
func (c *classifier) hidden() int {
	n := 0
	for _, s := range c.subs {
		if s.max <= 0xffff {
			break
		}
		for p, rules := range s.priorities {
			if p > 0xffff {
				n += int(rules)
			}
		}
	}
	return n
}
