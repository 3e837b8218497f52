package pipeline

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// EventKind says what a translation tells its listener.
type EventKind uint8

// Kinds of events.
const (
	EventBridge    EventKind = iota + 1 // translation enters Bridge
	EventTable                          // Table was looked up: Rule, nil for a miss
	EventAction                         // Action is next
	EventActionSet                      // the action set is executed
	EventThaw                           // translation goes on after a recirculation
	EventDetail                         // Text explains
	EventWarn                           // Text says what went wrong without ending the translation
	EventError                          // Text says why the packet is dropped
)

// Event is one step of a translation.
type Event struct {
	Kind   EventKind
	Depth  int // of resubmits and patch ports
	Bridge Bridge
	InPort openflow.PortNo
	Table  uint8
	Rule   *table.Rule
	Action openflow.Action
	Text   string
}

// Listener follows a translation. Its calls come under the configuration's read lock.
type Listener interface{ Event(*Event) }

func (x *xlate) event(e Event) {
	if x.listener != nil {
		x.tell(e)
	}
}

func (x *xlate) tell(e Event) {
	e.Depth, e.Bridge, e.InPort = x.depth, x.bridge, x.key.InPort()
	if e.Kind != EventTable {
		e.Table, e.Rule = x.table, x.rule
	}
	x.listener.Event(&e)
}

func (x *xlate) text(k EventKind, format string, args []any) {
	if x.listener != nil {
		x.event(Event{Kind: k, Text: fmt.Sprintf(format, args...)})
	}
}

func (x *xlate) detail(format string, args ...any) { x.text(EventDetail, format, args) }

func (x *xlate) warn(format string, args ...any) { x.text(EventWarn, format, args) }
