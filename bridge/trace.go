package bridge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

const traceUsage = "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]"

// traceArgs are the arguments of ofproto/trace.
type traceArgs struct {
	names, generate bool
	words           []string // what is no option: dp_name or bridge, flow
	packet          []byte
}

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
	req := datapath.Request{Key: &key}
	switch {
	case o.packet != nil:
		metadata := key
		packet.Extract(o.packet, &key)
		for _, id := range packetMetadata {
			key.SetBytes(id, metadata.GetBytes(id, nil))
		}
		key.Set(flow.InPortOXM, metadata.Get(flow.InPortOXM)) // wider than in_port on the wire
		req.Packet = &datapath.Packet{Data: o.packet}
	case o.generate:
		req.Packet = &datapath.Packet{Data: packet.Compose(&key, nil)}
	}
	req.Learn = req.Packet != nil

	var res datapath.Result
	t := &traceText{names: o.names}
	start, end := a.translator.TraceFlow(b, &req, &res, t)
	defer func() {
		for _, h := range res.Held {
			h.Release()
		}
	}()
	return a.traceReport(b, t, &start, &end, &res), nil
}

// packetMetadata goes with a packet that is given beside a flow.
var packetMetadata = []flow.FieldID{flow.RecircID, flow.DPHash, flow.SkbPriority, flow.PktMark, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel,
	flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunAllFlags, flow.TunTOS, flow.TunTTL, flow.TunGBPID, flow.TunGBPFlags}

func parseTraceArgs(args []string) (o traceArgs, err error) {
	for n := 0; n < len(args); n++ {
		switch arg := args[n]; {
		case !strings.HasPrefix(arg, "-"):
			o.words = append(o.words, arg)
		case arg == "-generate", arg == "--generate":
			o.generate = true
		case arg == "-names", arg == "--names":
			o.names = true
		case arg == "-ct-next", arg == "--ct-next":
			if n++; n == len(args) {
				//lint:ignore ST1005 OVS's words
				return o, fmt.Errorf("Missing argument for option %s", arg)
			}
			if err := checkCTNext(args[n]); err != nil {
				return o, err
			}
		default:
			return o, fmt.Errorf("%s: unknown option", arg)
		}
	}
	switch last := len(o.words) - 1; {
	case last > 2:
		return o, errors.New("too many arguments")
	case last < 0:
		return o, errors.New("a flow is missing")
	case last == 2:
		o.packet, err = packetHex(o.words[last])
		if err != nil {
			return o, err
		}
		o.words = o.words[:last]
	case last == 1:
		if o.packet, err = packetHex(o.words[last]); err == nil {
			o.words = o.words[:last]
		}
	}
	if o.packet != nil && o.generate {
		//lint:ignore ST1005 OVS's words
		return o, errors.New("Syntax error")
	}
	return o, nil
}

// ctNextFlags are the connection states of --ct-next. Until ct is executed no trace comes to need one.
var ctNextFlags = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}

func checkCTNext(list string) error {
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", |", r) }) {
		if !slices.Contains(ctNextFlags, f) {
			return fmt.Errorf("%s: unknown connection tracking state flag", f)
		}
	}
	return nil
}

// packetHex reads a packet in hexadecimal digits.
func packetHex(s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	switch {
	case err != nil:
		//lint:ignore ST1005 OVS's words
		return nil, errors.New("Trailing garbage in packet data")
	case len(b) < packet.EthLen:
		//lint:ignore ST1005 OVS's words
		return nil, errors.New("Packet data too short for Ethernet")
	}
	return b, nil
}

// traceFlow reads "odp_flow", "dp_name odp_flow" or "bridge br_flow": the bridge, and the flow with an OpenFlow
// port as its in_port.
func (a *Agent) traceFlow(words []string) (*Bridge, flow.Key, error) {
	text := words[len(words)-1]
	m, err := odp.ParseKey(text, a.portByName)
	if len(words) == 1 {
		if err != nil {
			return nil, m.Key, fmt.Errorf("syntax error at %s (or the bridge name was omitted)", a.wrongFrom(text))
		}
		return a.traceODP(m)
	}
	if err == nil {
		if name := words[0]; name != a.o.Datapath.Name() && name != a.dpName() {
			//lint:ignore ST1005 OVS's words
			return nil, m.Key, errors.New("Cannot find the datapath")
		}
		return a.traceODP(m)
	}
	b := a.bridges[words[0]]
	if b == nil {
		return nil, m.Key, fmt.Errorf("%s: unknown bridge", words[0])
	}
	if m, err = openflow.ParseFlow(text, b.portNo, nil); err != nil {
		//lint:ignore ST1005 OVS's words
		return nil, m.Key, fmt.Errorf("Bad openflow flow syntax: %w", err)
	}
	if m.Key.Get(flow.InPortOXM) == 0 {
		m.Key.Set(flow.InPortOXM, uint64(openflow.PortAny))
	}
	// The text has no place for the Ethertype of tags.
	for _, id := range [...][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
		if m.Key.Get(id[0])&flow.VLANPresent != 0 {
			m.Key.Set(id[1], packet.EthTypeVLAN)
		}
	}
	return b, m.Key, nil
}

// traceODP finds the bridge of a datapath's flow.
func (a *Agent) traceODP(m flow.Match) (*Bridge, flow.Key, error) {
	no := odp.Port(m.Key.Get(flow.InPortOXM))
	ref, ok := (*a.portRefs.Load())[no]
	if !ok {
		return nil, m.Key, fmt.Errorf("no OpenFlow port for datapath port %d", no)
	}
	m.Key.Set(flow.InPortOXM, uint64(ref.port.No))
	if m.Mask.IsZero(flow.EthType) {
		m.Key.Set(flow.EthType, packet.EthTypeNone) // as a flow without eth_type() means it
	}
	return ref.bridge, m.Key, nil
}

// wrongFrom is a datapath flow's text from the first attribute on that cannot be read.
func (a *Agent) wrongFrom(text string) string {
	depth, from := 0, 0
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text), text[i] == ',' && depth == 0:
			if _, err := odp.ParseKey(text[:i], a.portByName); err != nil {
				return text[from:]
			}
			from = i + 1
		case text[i] == '(':
			depth++
		case text[i] == ')':
			depth--
		}
	}
	return text
}

// portNo finds a port by its name.
func (b *Bridge) portNo(name string) (openflow.PortNo, bool) {
	for _, p := range b.view.Load().order {
		if p.Name == name {
			return p.No, true
		}
	}
	return 0, false
}

// portNames names the ports of a bridge.
func portNames(b pipeline.Bridge) openflow.PortNames {
	return func(no openflow.PortNo) string {
		if p := b.PortByNo(no); p != nil {
			return p.Name
		}
		return ""
	}
}

// traceReport is the whole answer.
func (a *Agent) traceReport(b *Bridge, t *traceText, start, end *flow.Key, res *datapath.Result) string {
	var names openflow.PortNames
	var dpNames func(odp.Port) string
	if t.names {
		names, dpNames = portNames(b), a.portName
	}
	var s strings.Builder
	fmt.Fprintf(&s, "Flow: %s\n", openflow.FormatFlow(start, names, nil))
	t.write(&s)
	final := "unchanged"
	if *start != *end {
		final = openflow.FormatFlow(end, names, nil)
	}
	fmt.Fprintf(&s, "\nFinal flow: %s\n", final)

	m := flow.Match{Key: *start, Mask: res.Mask}
	for _, id := range [...]flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if m.Key.Get(id) == 0 {
			m.Mask.Set(id, 0) // that there is no tag is implied by dl_type
		}
	}
	m.Normalize()
	fmt.Fprintf(&s, "Megaflow: %s\n", openflow.FormatMatch(&m, names))
	fmt.Fprintf(&s, "Datapath actions: %s\n", odp.FormatActionsFor(start, res.Actions, dpNames))
	switch {
	case res.Drop != odp.DropNone:
		fmt.Fprintf(&s, "Translation failed (%s), packet is dropped.\n", dropWords[res.Drop])
	case res.Slow != "":
		s.WriteString("This flow is handled by the userspace slow path because it:\n")
		for reason := range strings.SplitSeq(res.Slow, ",") {
			fmt.Fprintf(&s, "  - %s\n", slowWords(reason))
		}
	}
	return s.String()
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
