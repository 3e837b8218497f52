package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// clone runs actions on a copy: all they change is undone afterwards. As in OVS the
// copy's action set is executed, too.
func (x *xlate) clone(list []openflow.Action) {
	exit, stack, set, group, inSet := x.exit, x.stack, x.actionSet, x.hasGroup, x.inActionSet
	x.stack = append([]byte(nil), stack...)
	x.actionSet = append([]openflow.Action(nil), set...)
	if x.more && x.t.o.Features.Clone && !reversible(list) {
		x.copied(list)
	} else {
		var s tracked.State
		x.key.Save(&s)
		x.do(list)
		x.end()
		x.key.Restore(&s)
	}
	x.exit, x.stack, x.actionSet, x.hasGroup, x.inActionSet = exit, stack, set, group, inSet
}

// copied has the datapath make the copy.
func (x *xlate) copied(list []openflow.Action) {
	x.commit()
	var b tracked.Branch
	x.key.Fork(&b)
	inner := x.nest(func() {
		x.more = false
		x.do(list)
		x.end()
		x.more = true
	})
	x.key.Join(&b)
	if len(inner) > 0 {
		x.emit(odp.Clone{Actions: inner})
	}
}

// reversible reports whether other datapath actions can undo what those of a list do to the packet, so that no copy of it is
// needed.
func reversible(list []openflow.Action) bool {
	for _, a := range list {
		switch a.(type) {
		case openflow.CT, openflow.Meter, openflow.OutputTrunc, openflow.Encap, openflow.Decap, openflow.DecNSHTTL:
			return false
		}
	}
	return true
}
