package ofctrl

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ctNATed are the bits of ct_state that tell of NAT.
const ctNATed = 1<<6 | 1<<7

// checkSupport refuses a flow that needs connection tracking that the datapath has not.
func checkSupport(f *datapath.Features, m *flow.Match, actions []openflow.Action) error {
	state := m.Mask.Get(flow.CTState)
	wants := func(ids ...flow.FieldID) bool {
		for _, id := range ids {
			if !m.Mask.IsZero(id) {
				return true
			}
		}
		return false
	}
	switch {
	case state != 0 && !f.CTState,
		state&ctNATed != 0 && !f.CTStateNAT,
		!f.CTZone && wants(flow.CTZone),
		!f.CTMark && wants(flow.CTMark),
		!f.CTLabel && wants(flow.CTLabel),
		!f.CTOrigTuple && !f.CTOrigTuple6 && wants(flow.CTNwProto, flow.CTTPSrc, flow.CTTPDst),
		!f.CTOrigTuple && wants(flow.CTNwSrc, flow.CTNwDst),
		!f.CTOrigTuple6 && wants(flow.CTIPv6Src, flow.CTIPv6Dst):
		return fmt.Errorf("a match that the datapath cannot: %w", openflow.NXMatchCTUnsupported)
	}
	return checkCTSupport(f, actions)
}

// checkCTSupport is checkSupport for actions.
func checkCTSupport(f *datapath.Features, actions []openflow.Action) error {
	for _, a := range actions {
		var err error
		switch a := a.(type) {
		case openflow.CT:
			err = checkCT(f, &a)
		case openflow.Resubmit:
			if a.CT && !f.CTOrigTuple {
				err = fmt.Errorf("resubmit to the original tuple: %w", openflow.NXActionCTUnsupported)
			}
		case openflow.Clone:
			err = checkCTSupport(f, a.Actions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkCT(f *datapath.Features, a *openflow.CT) error {
	lacks := !f.CTState || !f.CTZone && (a.ZoneImm != 0 || a.ZoneSrc != nil) || !f.CTOrigTuple && a.Force
	for _, sub := range a.Actions {
		var id flow.FieldID
		switch sub := sub.(type) {
		case openflow.NAT:
			lacks = lacks || !f.CTStateNAT
			continue
		case openflow.SetField:
			id = sub.Field
		case openflow.Load:
			id = sub.Dst.Field
		case openflow.Move:
			id = sub.Dst.Field
		}
		lacks = lacks || id == flow.CTMark && !f.CTMark || id == flow.CTLabel && !f.CTLabel
	}
	if lacks {
		return fmt.Errorf("a ct action that the datapath cannot: %w", openflow.NXActionCTUnsupported)
	}
	return nil
}
