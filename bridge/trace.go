package bridge

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// ofprotoTrace answers ofproto/trace: it walks the packet of a flow through the tables. Side effects, such as
// learning, happen only when there is a packet.
func (a *Agent) ofprotoTrace(args []string) (string, error) {
	o, err := parseTraceArgs(args)
	if err != nil {
		return "", err
	}
	b, key, err := a.traceFlow(o.words)
	if err != nil {
		return "", err
	}
	return a.traceAll(b, &o, o.request(key), nil), nil
}

// traceAll traces a flow through the tables, or through actions of its own, and then what comes back from conntrack.
func (a *Agent) traceAll(b *Bridge, o *traceArgs, req *datapath.Request, actions []openflow.Action) string {
	var s strings.Builder
	var held []datapath.Holder // recirculation IDs are good until all is traced
	defer func() {
		for _, h := range held {
			h.Release()
		}
	}()
	one := func(b pipeline.Bridge, req *datapath.Request, actions []openflow.Action) []recirculation {
		var res datapath.Result
		t := &traceText{names: o.names}
		var start, end flow.Key
		if len(actions) > 0 {
			start, end = a.translator.TracePacketOut(b, req, actions, &res, t)
		} else {
			start, end = a.translator.TraceFlow(b, req, &res, t)
		}
		held = append(held, res.Held...)
		a.traceReport(&s, b, t, &start, &end, &res)
		return recirculations(t.forks, res.Actions)
	}
	ctNext := o.ctNext
	queue := one(b, req, actions)
	for n := 0; n < len(queue) && n < maxTraced; n++ {
		r := &queue[n]
		state := uint32(0)
		if len(ctNext) > 0 {
			state, ctNext = ctNext[0], ctNext[1:]
		}
		r.resume(&s, state)
		queue = append(queue, one(r.bridge, &datapath.Request{Key: &r.flow, Packet: req.Packet, Learn: req.Learn}, nil)...)
	}
	return s.String()
}

// maxTraced bounds how often one trace goes through the tables: flows may recirculate for ever.
const maxTraced = 64

// portNames names the ports of a bridge.
func portNames(b pipeline.Bridge) openflow.PortNames {
	return func(no openflow.PortNo) string {
		if p := b.PortByNo(no); p != nil {
			return p.Name
		}
		return ""
	}
}

// traceReport writes what one translation did.
func (a *Agent) traceReport(s *strings.Builder, b pipeline.Bridge, t *traceText, start, end *flow.Key, res *datapath.Result) {
	var names openflow.PortNames
	var dpNames func(odp.Port) string
	if t.names {
		names, dpNames = portNames(b), a.portName
	}
	tlv := b.Tables().TLV().Layout()
	fmt.Fprintf(s, "Flow: %s\n", openflow.FormatFlow(shownTunnel(start), names, tlv))
	t.write(s)
	final := "unchanged"
	if *start != *end {
		final = openflow.FormatFlow(shownTunnel(end), names, tlv)
	}
	fmt.Fprintf(s, "\nFinal flow: %s\n", final)

	m := flow.Match{Key: *shownTunnel(start), Mask: res.Mask}
	if !tunnelled(start) {
		clearOptions(&m.Mask)
	}
	for _, id := range [...]flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if m.Key.Get(id) == 0 {
			m.Mask.Set(id, 0) // that there is no tag is implied by dl_type
		}
	}
	m.Normalize()
	fmt.Fprintf(s, "Megaflow: %s\n", openflow.FormatMatchTLV(&m, names, tlv))
	fmt.Fprintf(s, "Datapath actions: %s\n", odp.FormatActionsFor(start, res.Actions, dpNames))
	switch {
	case res.Drop != odp.DropNone:
		fmt.Fprintf(s, "Translation failed (%s), packet is dropped.\n", dropWords[res.Drop])
	case res.Slow != "":
		s.WriteString("This flow is handled by the userspace slow path because it:\n")
		for reason := range strings.SplitSeq(res.Slow, ",") {
			fmt.Fprintf(s, "  - %s\n", slowWords(reason))
		}
	}
}

// tunnelled reports whether a packet came from a tunnel, or goes into one.
func tunnelled(k *flow.Key) bool {
	var zero flow.Key
	return k.Get(flow.TunDst) != 0 || !bytes.Equal(k.GetBytes(flow.TunIPv6Dst, nil), zero.GetBytes(flow.TunIPv6Dst, nil))
}

// shownTunnel is a packet without the tunnel options that it has outside of tunnels, as scratch registers: as in OVS they are
// not shown.
func shownTunnel(k *flow.Key) *flow.Key {
	if tunnelled(k) {
		return k
	}
	shown := *k
	clearOptions(&shown)
	return &shown
}

// clearOptions takes the tunnel options from a packet or a mask.
func clearOptions(k *flow.Key) {
	clear(table.OptionSpace(k))
	k[flow.TunPresentWord] = 0
}

// dropWords say why a translation failed.
var dropWords = [odp.NumDropReasons]string{
	odp.DropBridgeNotFound:         "Bridge not found",
	odp.DropRecursionTooDeep:       "Recursion too deep",
	odp.DropTooManyResubmit:        "Too many resubmits",
	odp.DropStackTooDeep:           "Stack too deep",
	odp.DropNoRecirculationContext: "No recirculation context",
	odp.DropRecirculationConflict:  "Recirculation conflict",
	odp.DropTooManyMPLSLabels:      "Too many MPLS labels",
	odp.DropInvalidTunnelMetadata:  "Invalid tunnel metadata",
	odp.DropUnsupportedPacketType:  "Unsupported packet type",
	odp.DropCongestion:             "Congestion drop",
	odp.DropForwardingDisabled:     "Forwarding is disabled",
	odp.DropUnsupported:            "Action not supported",
}

// slowWords say why a flow is for user space.
func slowWords(reason string) string {
	switch reason {
	case "action":
		return "Uses action(s) not supported by datapath."
	case "match":
		return "Has match(es) not supported by datapath."
	case "cfm", "bfd", "lacp", "stp", "lldp":
		return "Consists of " + strings.ToUpper(reason) + " packets."
	}
	return reason
}
