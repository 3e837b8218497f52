package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// Flags of openflow.NAT.
const (
	natSrc = 1 << iota
	natDst
	natPersistent
	natHash
	natRandom
)

// helpers are the names of application layer gateways by their port.
var helpers = map[uint16]string{21: "ftp", 69: "tftp"}

// ct sends the packet through connection tracking. With a table a copy that has the conntrack fields goes on there;
// behind the action the packet is untracked.
func (x *xlate) ct(a openflow.CT) {
	switch {
	case !x.t.o.Features.CTState:
		x.unsupported("ct")
		return
	case a.ALG != 0 && (!x.t.o.Features.CTHelper || helpers[a.ALG] == ""):
		x.unsupported("ct with alg")
		return
	}
	x.commit()
	act := odp.CT{Commit: a.Commit, Force: a.Force, Zone: a.ZoneImm, Helper: helpers[a.ALG]}
	if len(a.Actions) == 0 {
		x.event(Event{Kind: EventAction}) // as in OVS an empty list, too
	}
	var exec []openflow.Action
	for _, n := range a.Actions {
		if nat, ok := n.(openflow.NAT); ok {
			x.event(Event{Kind: EventAction, Action: nat})
			act.NAT = odpNAT(nat)
		} else {
			exec = append(exec, n)
		}
	}
	act.Mark, act.Label = x.key.Exec(readsCT(exec), func() { x.do(exec) })
	if x.drop != odp.DropNone {
		return
	}
	if a.ZoneSrc != nil {
		act.Zone = uint16(x.key.Uint(*a.ZoneSrc))
	}
	if act.Commit {
		act.Timeout = x.timeout(act.Zone)
	}
	x.emit(act)
	if a.RecircTable != openflow.TableAll {
		var s tracked.State
		x.key.Save(&s)
		x.key.LeaveCT() // what the datapath finds
		if id, ok := x.freeze(a.RecircTable, nil); ok {
			x.detail("A clone of the packet is forked to recirculate. The forked pipeline will be resumed at table %d.", a.RecircTable)
			x.emit(odp.Recirc{ID: id})
		}
		x.key.Restore(&s)
	}
	x.key.Track()
	x.detail("Sets the packet to an untracked state, and clears all the conntrack fields.")
}

// readsCT reports whether actions read what they may write: the connection's mark and label.
func readsCT(list []openflow.Action) bool {
	for _, a := range list {
		if m, ok := a.(openflow.Move); ok && (m.Src.Field == flow.CTMark || m.Src.Field == flow.CTLabel) {
			return true
		}
	}
	return false
}

func odpNAT(n openflow.NAT) *odp.NAT {
	return &odp.NAT{
		Src: n.Flags&natSrc != 0, Dst: n.Flags&natDst != 0,
		MinAddr: n.AddrMin, MaxAddr: n.AddrMax, MinPort: n.PortMin, MaxPort: n.PortMax,
		Persistent: n.Flags&natPersistent != 0, Hash: n.Flags&natHash != 0, Random: n.Flags&natRandom != 0,
	}
}
