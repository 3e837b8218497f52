package pipeline

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Level is what was left to do of one list of actions when a translation stopped: a rule's, an action set's.
type Level struct {
	Table   uint8
	Rule    *table.Rule // nil: a packet-out's
	Actions []openflow.Action

	inGroup, inActionSet bool
	cookie               uint64 // without a Rule
}

func sameLevel(a, b Level) bool {
	return a.Table == b.Table && a.Rule == b.Rule && a.cookie == b.cookie && a.inGroup == b.inGroup && a.inActionSet == b.inActionSet && sameActions(a.Actions, b.Actions)
}

// keep remembers the rest of a list for after the recirculation. It is called from the innermost list outwards.
func (x *xlate) keep(rest []openflow.Action) {
	if len(rest) > 0 || x.levels == nil {
		x.levels = append(x.levels, Level{x.table, x.rule, rest, x.inGroup, x.inActionSet, x.cookie})
	}
}

// recirculate, if the translation is freezing, has the datapath (or a controller) bring the packet back to where it stopped. What
// froze may have been a copy of the packet only: then its caller goes on.
func (x *xlate) recirculate() {
	if !x.freezing {
		return
	}
	levels, pausing := x.levels, x.pausing
	x.freezing, x.levels, x.pausing = false, nil, nil
	if x.drop != odp.DropNone || x.rehash {
		return
	}
	if pausing != nil {
		x.emitPause(pausing, levels)
		return
	}
	x.commit()
	f := x.state()
	f.Table, f.Levels, f.Start = x.table, levels, levels == nil
	if id, ok := x.name(f); ok {
		x.forked(id)
		x.emit(odp.Recirc{ID: id})
	}
}

// resume goes on with lists of actions.
func (x *xlate) resume(levels []Level) {
	for _, l := range levels {
		if x.freezing {
			x.table, x.rule, x.cookie, x.inGroup, x.inActionSet = l.Table, l.Rule, l.cookie, l.inGroup, l.inActionSet
			x.keep(l.Actions)
			continue
		}
		if x.done() {
			return
		}
		x.table, x.rule, x.cookie, x.inGroup, x.inActionSet = l.Table, l.Rule, l.cookie, l.inGroup, l.inActionSet
		if x.listener != nil {
			x.event(Event{Kind: EventThaw, Text: fmt.Sprintf("Resuming with %d actions of table %d", len(l.Actions), l.Table)})
		}
		x.do(l.Actions)
	}
}
