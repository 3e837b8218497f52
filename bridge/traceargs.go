package bridge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

const traceUsage = "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]"

// traceArgs are the arguments that both trace commands have.
type traceArgs struct {
	names, generate bool
	ctNext          []uint32 // ct_state of each recirculation of ct(), in order
	words           []string // what is no option: dp_name or bridge, flow
	packet          []byte
}

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
			state, err := parseCTNext(args[n])
			if err != nil {
				return o, err
			}
			o.ctNext = append(o.ctNext, state)
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

// request is the translation that the arguments ask for: of the flow that they name, with the packet that they give or
// want to be generated.
func (o *traceArgs) request(key flow.Key) *datapath.Request {
	req := &datapath.Request{Key: &key}
	switch {
	case o.packet != nil:
		metadata := key
		packet.Extract(o.packet, &key)
		for _, id := range packetMetadata {
			key.SetBytes(id, metadata.GetBytes(id, nil))
		}
		copy(table.OptionSpace(&key), table.OptionSpace(&metadata))
		key.Set(flow.InPortOXM, metadata.Get(flow.InPortOXM)) // wider than in_port on the wire
		req.Packet = &datapath.Packet{Data: o.packet}
	case o.generate:
		req.Packet = &datapath.Packet{Data: packet.Compose(&key, nil)}
	}
	req.Learn = req.Packet != nil
	return req
}

// packetMetadata goes with a packet that is given beside a flow.
var packetMetadata = []flow.FieldID{flow.RecircID, flow.DPHash, flow.SkbPriority, flow.PktMark, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel,
	flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunAllFlags, flow.TunTOS, flow.TunTTL, flow.TunGBPID, flow.TunGBPFlags, flow.TunOptsLen}

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
	if m, err = openflow.ParseFlow(text, b.portNo, b.tables.TLV().Layout()); err != nil {
		//lint:ignore ST1005 OVS's words
		return nil, m.Key, fmt.Errorf("Bad openflow flow syntax: %w", err)
	}
	b.tables.TLV().ToPacket(&m.Key)
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
	if !ok && a.tunnelRefs.Load().names[no] != "" {
		if ref, ok = a.tunnelRefs.Load().find(no, pipeline.ArrivalOf(&m.Key)); !ok {
			return nil, m.Key, errors.New("no OpenFlow tunnel port for this packet")
		}
	}
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
