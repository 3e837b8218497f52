package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// ctStates are the connection states by their bits in ct_state.
var ctStates = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}

// Bits of ct_state.
const (
	ctNew         = 1 << 0
	ctEstablished = 1 << 1
	ctReply       = 1 << 3
	ctInvalid     = 1 << 4
	ctTracked     = 1 << 5
)

// parseCTNext reads the list of connection states of --ct-next, and refuses what no connection can be.
func parseCTNext(list string) (state uint32, err error) {
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		n := slices.Index(ctStates, f)
		if n < 0 {
			return 0, fmt.Errorf("%s: unknown connection tracking state flag", f)
		}
		state |= 1 << n
	}
	var wrong []string
	not := func(bad bool, why string) {
		if bad {
			wrong = append(wrong, ctStateText(state)+": invalid connection state: "+why+"\n")
		}
	}
	not(state != 0 && state&ctTracked == 0, `If "trk" is unset, no other flags are set`)
	not(state&ctInvalid != 0 && state&^(ctInvalid|ctTracked) != 0, `when "inv" is set, only "trk" may also be set`)
	not(state&ctNew != 0 && state&ctEstablished != 0, `"new" and "est" are mutually exclusive`)
	not(state&ctNew != 0 && state&ctReply != 0, `"new" and "rpy" are mutually exclusive`)
	if wrong != nil {
		return 0, errors.New(strings.Join(wrong, ""))
	}
	return state, nil
}

func ctStateText(state uint32) string {
	var w []string
	for n, f := range ctStates {
		if state>>n&1 != 0 {
			w = append(w, f)
		}
	}
	return strings.Join(w, "|")
}

// recirculation is a copy of the packet that conntrack brings back.
type recirculation struct {
	id     uint32
	bridge pipeline.Bridge
	flow   flow.Key // as it went to conntrack
	ct     odp.CT
}

// recirculations are those of the forks that come back from conntrack, of which the datapath actions tell. What comes
// back for a hash has no other end here: as in OVS it is traced by its recirc_id and dp_hash.
func recirculations(forks []pipeline.Event, actions []odp.Action) []recirculation {
	var list []recirculation
	for _, f := range forks {
		if ct := tracker(actions, f.Recirc); ct != nil {
			list = append(list, recirculation{id: f.Recirc, bridge: f.Bridge, flow: f.Flow, ct: *ct})
		}
	}
	return list
}

// tracker finds the ct() in front of a recirc(), nil when there is none.
func tracker(actions []odp.Action, id uint32) (found *odp.CT) {
	for n, a := range actions {
		switch a := a.(type) {
		case odp.Recirc:
			if a.ID == id && n > 0 {
				if ct, ok := actions[n-1].(odp.CT); ok {
					return &ct
				}
			}
		case odp.Clone:
			found = tracker(a.Actions, id)
		case odp.Sample:
			found = tracker(a.Actions, id)
		case odp.CheckPktLen:
			if found = tracker(a.Greater, id); found == nil {
				found = tracker(a.LessEqual, id)
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// resume writes the headline and makes the flow that of the packet that comes back, with the given connection state;
// 0: that of a new connection.
func (r *recirculation) resume(s *strings.Builder, state uint32) {
	line := strings.Repeat("=", 79)
	fmt.Fprintf(s, "\n%s\nrecirc(%#x) - resume conntrack with ", line, r.id)
	if state == 0 {
		state = ctTracked | ctNew
		s.WriteString("default ct_state=trk|new (use --ct-next to customize)\n")
	} else {
		fmt.Fprintf(s, "ct_state=%s\n", ctStateText(state))
	}
	k := &r.flow
	k.Set(flow.RecircID, uint64(r.id))
	k.Set(flow.CTState, uint64(state))
	k.Set(flow.CTZone, uint64(r.ct.Zone))
	if nat := r.ct.NAT; nat != nil {
		s.WriteString("Replacing src/dst IP/ports to simulate NAT:\n")
		fmt.Fprintf(s, " Initial flow: %s\n", natFlow(k, nat))
		simulateNAT(k, nat)
		fmt.Fprintf(s, " Modified flow: %s\n", natFlow(k, nat))
	}
	fmt.Fprintf(s, "%s\n\n", line)
}

// simulateNAT gives the packet the first address and port that it can get.
func simulateNAT(k *flow.Key, nat *odp.NAT) {
	v4, v6, port := flow.IPv4Src, flow.IPv6Src, flow.TCPSrc
	switch {
	case nat.Dst:
		v4, v6, port = flow.IPv4Dst, flow.IPv6Dst, flow.TCPDst
	case !nat.Src:
		return
	}
	switch len(nat.MinAddr) {
	case 4:
		k.SetBytes(v4, nat.MinAddr)
	case 16:
		k.SetBytes(v6, nat.MinAddr)
	}
	if nat.MinPort != 0 {
		k.Set(port, uint64(nat.MinPort))
	}
}

// natFlow is what NAT can change in a flow.
func natFlow(k *flow.Key, nat *odp.NAT) string {
	src, dst, form := flow.IPv4Src, flow.IPv4Dst, "nw_src=%s,tp_src=%d,nw_dst=%s,tp_dst=%d"
	switch len(nat.MinAddr) {
	case 4:
	case 16:
		src, dst, form = flow.IPv6Src, flow.IPv6Dst, "ipv6_src=[%s],tp_src=%d,ipv6_dst=[%s],tp_dst=%d"
	default:
		return ""
	}
	addr := func(id flow.FieldID) string {
		a, _ := netip.AddrFromSlice(k.GetBytes(id, nil))
		return a.String()
	}
	return fmt.Sprintf(form, addr(src), k.Get(flow.TCPSrc), addr(dst), k.Get(flow.TCPDst))
}
