package bridge

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

const tracePacketOutUsage = "[-consistent] " + traceUsage + " actions"

// ofprotoTracePacketOut answers ofproto/trace-packet-out: it walks the packet of a flow through the actions at the end
// of the arguments. With -consistent these must be ones that every version of OpenFlow allows for the flow.
func (a *Agent) ofprotoTracePacketOut(args []string) (string, error) {
	consistent := args[0] == "-consistent"
	if consistent {
		args = args[1:]
	}
	if len(args) < 2 {
		return "", errors.New("a flow and actions are missing")
	}
	last := len(args) - 1
	o, err := parseTraceArgs(args[:last])
	if err != nil {
		return "", err
	}
	b, key, flowErr := a.traceFlow(o.words)
	var tlv *openflow.TLVMap
	if flowErr == nil {
		tlv = b.tables.TLV().Layout()
	}
	actions, err := openflow.ParseActions(args[last], nil, tlv)
	if err = cmp.Or(err, flowErr); err != nil { // of the actions first, as in OVS
		return "", err
	}
	req := o.request(key)
	version := openflow.V10
	if consistent {
		version = openflow.V13
	}
	m := flow.Match{Key: *req.Key}
	for i := range m.Mask {
		m.Mask[i] = ^uint64(0)
	}
	err = openflow.CheckActions(actions, &m, openflow.TableAll, version)
	if err == nil {
		a.mu.RLock()
		err = b.tables.CheckGroups(actions)
		a.mu.RUnlock()
	}
	if err != nil {
		var e openflow.Err
		if errors.As(err, &e) {
			//lint:ignore ST1005 OVS's words
			return "", fmt.Errorf("Bad actions: %w", e)
		}
		return "", err
	}
	return a.traceAll(b, &o, req, actions), nil
}
