package table

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Change is one change of a rule that controllers see, for flow monitors. The rule may have
// changed again since: what else is here is as it was right after the change.
type Change struct {
	Event      uint16 // openflow.UpdateAdded, UpdateRemoved or UpdateModified
	Reason     openflow.FlowRemovedReason
	Rule       *Rule
	Replaced   bool // an addition took the place of a rule with the same match
	XID        uint32
	Cookie     uint64
	Idle, Hard uint16
	Actions    []openflow.Action
	Before     []openflow.Action // what Actions were, of additions and modifications
}

// changeLog collects changes while somebody wants them.
type changeLog struct {
	wanted bool
	xid    uint32
	list   []Change
}

// RecordChanges turns on or off that changes are kept for TakeChanges.
func (t *Tables) RecordChanges(on bool) {
	t.log.wanted = on
	if !on {
		t.log.list = nil
	}
}

// Cause names the request that makes the changes to come; 0: none.
func (t *Tables) Cause(xid uint32) { t.log.xid = xid }

// TakeChanges returns the changes since the last call, oldest first. Those of an Atomically that
// failed are not among them.
func (t *Tables) TakeChanges() []Change {
	list := t.log.list
	t.log.list = nil
	return list
}

// note records a change of r.
func (t *Tables) note(event uint16, reason openflow.FlowRemovedReason, r *Rule, replaced bool, before []openflow.Action) {
	if !t.log.wanted || r.Hidden() || r.Table == Internal {
		return
	}
	t.log.list = append(t.log.list, Change{
		Event: event, Reason: reason, Rule: r, Replaced: replaced, XID: t.log.xid,
		Cookie: r.Cookie, Idle: r.Idle, Hard: r.Hard, Actions: r.Actions, Before: before,
	})
}

// Marks are when a rule changed, in a count of its owner (flow monitors): of the first addition of
// its match, the last addition and the last modification.
type Marks struct{ Born, Added, Modified uint64 }

// Within reports whether the rule is at least as specific as m, which is normalized (OpenFlow's
// non-strict matching).
func (r *Rule) Within(m *flow.Match) bool {
	if !r.sub.mask.Covers(&m.Mask) {
		return false
	}
	for i, e := range r.sub.entry {
		if (r.word[i]^m.Key[e.word])&m.Mask[e.word] != 0 {
			return false
		}
	}
	return true
}

// SendsTo reports whether actions output to the port (PortAny: whatever they do) and run the group
// (GroupAny likewise).
func SendsTo(actions []openflow.Action, port openflow.PortNo, group uint32) bool {
	return (port == openflow.PortAny || outputs(actions, port)) && (group == openflow.GroupAny || toGroup(actions, group))
}
