package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// pushMPLS adds a label. What was done to the headers that the first one hides is done now.
func (x *xlate) pushMPLS(a openflow.PushMPLS) {
	if !x.key.Labelled() {
		x.commit()
	}
	if !x.key.PushMPLS(a.EthType) {
		x.errorf(odp.DropTooManyMPLSLabels, "dropping packet on which an MPLS push action can't be performed as it would have more MPLS LSEs than the %d supported.", tracked.MaxLabels)
	}
}

// popMPLS removes a label.
func (x *xlate) popMPLS(a openflow.PopMPLS) {
	if !x.key.PopMPLS(a.EthType) {
		x.errorf(odp.DropTooManyMPLSLabels, "dropping packet on which an MPLS pop action can't be performed as it has more MPLS LSEs than the %d supported.", tracked.MaxLabels)
	}
}

// needsParsing reports whether an action needs headers that a popped label hid: then the datapath has to bring the
// packet back, with a key of them. As in OVS that is every action but those that surely do not.
func needsParsing(a openflow.Action) bool {
	switch a := a.(type) {
	case openflow.Output, openflow.OutputTrunc, openflow.Enqueue, openflow.Group, openflow.SetVLANVID, openflow.SetVLANPCP, openflow.SetTunnel,
		openflow.SetQueue:
		return false
	case openflow.OutputReg:
		return hidden(a.Src.Field)
	case openflow.SetField:
		return hidden(a.Field)
	case openflow.Load:
		return hidden(a.Dst.Field)
	}
	return true
}

// hidden reports whether a field is one of what follows the Ethernet header.
func hidden(id flow.FieldID) bool {
	switch id.Info().Prereq {
	case flow.PrereqNone, flow.PrereqEthernet, flow.PrereqVLAN:
		return false
	}
	return true
}
