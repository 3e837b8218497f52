package pipeline

import "github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"

// pause stops the translation until a controller brings the packet back.
func (x *xlate) pause(a openflow.Controller) { x.freezing, x.pausing = true, &a }

// unroll makes one list of levels, for a controller: Unroll actions say of which rule those are that depend on it.
func unroll(levels []Level) (list []openflow.Action) {
	var of *openflow.Unroll
	for _, l := range levels {
		at := openflow.Unroll{Table: l.Table, Cookie: l.cookie}
		if l.Rule != nil {
			at.Cookie = l.Rule.Cookie
		}
		for _, a := range l.Actions {
			if u, ok := a.(openflow.Unroll); ok { // of a list that has been a continuation before
				at = u
				continue
			}
			if _, ok := a.(openflow.Note); ok {
				continue
			}
			if ofRule(a) && (of == nil || at != *of) {
				list = append(list, at)
				of = &openflow.Unroll{Table: at.Table, Cookie: at.Cookie}
			}
			list = append(list, a)
		}
	}
	return list
}

// ofRule reports whether an action depends on which rule it is of: a controller is told the rule's table and cookie,
// or the table is where it goes on. Also what has such actions inside.
func ofRule(a openflow.Action) bool {
	switch a := a.(type) {
	case openflow.Output, openflow.OutputReg, openflow.OutputTrunc, openflow.Group, openflow.Controller,
		openflow.DecTTL, openflow.DecMPLSTTL, openflow.DecNSHTTL, openflow.Clone, openflow.WriteActions:
		return true
	case openflow.Resubmit:
		return a.Table == openflow.TableAll
	}
	return false
}
