package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// maxBranches bounds how often a translation goes both ways of check_pkt_larger: a list with n of them has 2^n ends.
const maxBranches = 256

// checkPktLarger translates the rest of its list twice, for packets that are longer and for those that are not, and
// has the datapath choose. As in OVS the branches end with the rest of the list, and lists outside go on with the
// packet as it was. The action set is the branches', which know how long the packet is. (OVS runs it in the first
// branch and again at the end of the pipeline, so that long packets go out twice, and it gives mirrors that have a copy of
// long packets none of others.)
func (x *xlate) checkPktLarger(a openflow.CheckPktLarger, rest []openflow.Action) {
	if x.branches++; x.branches > maxBranches {
		x.errorf(odp.DropTooManyResubmit, "over %d branches of check_pkt_larger", maxBranches)
		return
	}
	x.commit()
	var b tracked.Branch
	x.key.Fork(&b)
	exit, stack, set, group := x.exit, x.stack, x.actionSet, x.hasGroup
	more, mirrored, both := x.more, x.mirrored, ^MirrorSet(0)
	branch := func(bit byte) []odp.Action {
		return x.nest(func() {
			x.stack = append([]byte(nil), stack...)
			x.actionSet = append([]openflow.Action(nil), set...)
			x.exit, x.hasGroup, x.more, x.mirrored = false, group, false, mirrored
			x.key.Write(a.Dst, []byte{bit})
			x.do(rest)
			x.end()
			x.key.Join(&b)
			both &= x.mirrored
		})
	}
	check := odp.CheckPktLen{Len: a.Len}
	check.Greater = branch(1)
	if x.drop == odp.DropNone {
		check.LessEqual = branch(0)
	}
	x.more, x.mirrored = more, both
	x.exit, x.stack, x.actionSet, x.hasGroup = exit, stack, set[len(set):], false
	x.emit(check)
}

// slowPktLarger is check_pkt_larger for datapaths that cannot choose: each packet is looked at in user space.
func (x *xlate) slowPktLarger(a openflow.CheckPktLarger) {
	var larger byte
	if x.packet != nil && x.packet.MaxLen() > int(a.Len) {
		larger = 1
	}
	x.key.Write(a.Dst, []byte{larger})
	x.Slow("action")
}
