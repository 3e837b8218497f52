package pipeline

import (
	"reflect"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// write merges actions into the action set and keeps actset_output: the set's output port while
// it has no group.
func (x *xlate) write(list []openflow.Action) {
	x.actionSet = append(x.actionSet, list...)
	if x.hasGroup {
		return
	}
	var port openflow.PortNo
	if port, x.hasGroup = outputOf(list); port != openflow.PortUnset || x.hasGroup {
		x.key.Set(flow.ActsetOutput, uint64(port))
	}
}

// outputOf is where an action set sends the packet, PortUnset if it does not or by a group.
func outputOf(set []openflow.Action) (port openflow.PortNo, group bool) {
	port = openflow.PortUnset
	for _, a := range set {
		switch a := a.(type) {
		case openflow.Output:
			port = a.Port
		case openflow.Group:
			return openflow.PortUnset, true
		}
	}
	return port, false
}

func (x *xlate) clearActionSet() {
	x.actionSet, x.hasGroup = x.actionSet[:0], false
	x.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
}

// Ranks of actions in an action set: they run in this order, of each kind before the fields
// the last one written; fields in the order they were written (OpenFlow 1.5 section 5.6).
const (
	rankPop = iota
	rankPopMPLS
	rankDecap
	rankEncap
	rankPushMPLS
	rankPushVLAN
	rankDecTTL
	rankDecMPLSTTL
	rankDecNSHTTL
	rankField
	rankGroup // from here on the first kind that is there ends the packet's way
	rankOutput
	rankResubmit
	rankCT
	rankNone
)

func rank(a openflow.Action) int {
	switch a.(type) {
	case openflow.StripVLAN:
		return rankPop
	case openflow.PopMPLS:
		return rankPopMPLS
	case openflow.Decap:
		return rankDecap
	case openflow.Encap:
		return rankEncap
	case openflow.PushMPLS:
		return rankPushMPLS
	case openflow.PushVLAN:
		return rankPushVLAN
	case openflow.DecTTL:
		return rankDecTTL
	case openflow.DecMPLSTTL:
		return rankDecMPLSTTL
	case openflow.DecNSHTTL:
		return rankDecNSHTTL
	case openflow.SetField, openflow.Load, openflow.Move, openflow.SetVLANVID, openflow.SetVLANPCP, openflow.SetTTL,
		openflow.SetMPLSLabel, openflow.SetMPLSTC, openflow.SetMPLSTTL, openflow.SetTunnel, openflow.SetQueue:
		return rankField
	case openflow.Group:
		return rankGroup
	case openflow.Output:
		return rankOutput
	case openflow.Resubmit:
		return rankResubmit
	case openflow.CT:
		return rankCT
	}
	return rankNone
}

// runActionSet executes the action set at the end of a pipeline. Without anything that sends
// the packet somewhere it does nothing.
func (x *xlate) runActionSet() {
	if len(x.actionSet) == 0 {
		return
	}
	set := x.actionSet
	x.actionSet, x.hasGroup = x.actionSet[len(set):], false
	list := ordered(set)
	if list == nil {
		return
	}

	x.event(Event{Kind: EventActionSet})
	// exit ends the tables, not the action set.
	exit := x.exit
	x.exit, x.inActionSet = false, true
	x.do(list)
	x.exit, x.inActionSet = exit, false
	x.event(Event{Kind: EventEnd})
}

// ordered is what an action set does, nil when it sends the packet nowhere.
func ordered(set []openflow.Action) []openflow.Action {
	var last [rankNone]openflow.Action
	for _, a := range set {
		if r := rank(a); r < rankNone {
			last[r] = a
		}
	}
	end := rankGroup
	for end < rankNone && last[end] == nil {
		end++
	}
	if end == rankNone {
		return nil
	}
	list := make([]openflow.Action, 0, len(set))
	for r := range rankField {
		if last[r] != nil {
			list = append(list, last[r])
		}
	}
	for _, a := range set {
		if rank(a) == rankField {
			list = append(list, a)
		}
	}
	return append(list, last[end])
}

// reportActionSet says what the action set is or was.
func (x *xlate) reportActionSet(verb string) {
	if x.listener == nil {
		return
	}
	if list := ordered(x.actionSet); list != nil {
		x.detail("action set %s: %s", verb, openflow.FormatActions(list, nil))
	} else {
		x.detail("action set %s empty", verb)
	}
}

// sameActions compares lists of actions of frozen states.
func sameActions(a, b []openflow.Action) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}
