package pipeline

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// EventKind says what a translation tells its listener.
type EventKind uint8

// Kinds of events.
const (
	EventBridge    EventKind = iota + 1 // translation enters Bridge
	EventTable                          // Table was looked up: Rule, nil for a miss; a Text says why not for fragments
	EventAction                         // Action is next; nil: the packet is dropped for want of one
	EventActionSet                      // the action set is executed
	EventBucket                         // the bucket of a group that Text names is executed
	EventThaw                           // translation goes on after a recirculation, as Text says
	EventFork                           // a copy of the packet, Flow, is to go on under the recirculation ID Recirc
	EventEnd                            // what EventBridge, EventTable, EventActionSet or EventBucket began last is over
	EventDetail                         // Text explains
	EventWarn                           // Text says what went wrong without ending the translation
	EventError                          // Text says why the packet is dropped
)

// Event is one step of a translation.
type Event struct {
	Kind   EventKind
	Depth  int // of resubmits and patch ports
	Bridge Bridge
	InPort openflow.PortNo
	Table  uint8
	Rule   *table.Rule
	Action openflow.Action
	Text   string
	Recirc uint32
	Flow   flow.Key
}

// Listener follows a translation. Its calls come under the configuration's read lock.
type Listener interface{ Event(*Event) }

func (x *xlate) event(e Event) {
	if x.listener != nil {
		x.tell(e)
	}
}

func (x *xlate) tell(e Event) {
	e.Depth, e.Bridge, e.InPort = x.depth, x.bridge, x.key.InPort()
	if e.Kind != EventTable {
		e.Table, e.Rule = x.table, x.rule
	}
	x.listener.Event(&e)
}

func (x *xlate) text(k EventKind, format string, args []any) {
	if x.listener != nil {
		x.event(Event{Kind: k, Text: fmt.Sprintf(format, args...)})
	}
}

// TraceFlow translates the flow of a packet in bridge b: unlike that of Translate, req.Key has an OpenFlow port of b as
// its in_port, and its registers and metadata count; its tunnel options are those of a datapath. The mask of the result is one of
// OpenFlow's key. Nothing of the result may be installed. start and end are the flow as
// it goes in and comes out.
func (t *Translator) TraceFlow(b Bridge, req *datapath.Request, res *datapath.Result, l Listener) (start, end flow.Key) {
	var effects []datapath.Credit
	defer func() { happen(effects, tcpFlags(req)) }()
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	x := t.context(res, l)
	defer t.release(x)
	x.packet, x.learn = req.Packet, req.Learn
	no := openflow.PortNo(req.Key.Get(flow.InPortOXM))
	x.key.Init(req.Key, no)
	if !ArrivalOf(req.Key).Dst.IsValid() {
		x.key.ScratchTunnel()
	}
	x.key.UseTLV(b.Tables().TLV(), false)
	written := withoutOptions(req.Key)
	x.key.SetMetadata(&written)
	x.key.Peek(&start)
	id := uint32(req.Key.Get(flow.RecircID))
	if _, ok := t.frozen.lookup(id); !ok {
		x.enter(b)
		x.sampleInput()
	} // else its own bridge is entered
	if id != 0 {
		x.thaw(id)
	} else if in := b.PortByNo(no); in != nil {
		x.begin(in)
	} else {
		x.tableZero(nil)
	}
	x.end()
	x.key.Peek(&end)
	x.finish()
	x.key.FlowMask(&res.Mask)
	effects = x.effects
	return start, end
}

// TracePacketOut translates actions for the flow of a packet in bridge b, as those of a packet-out, in the way of
// TraceFlow.
func (t *Translator) TracePacketOut(b Bridge, req *datapath.Request, actions []openflow.Action, res *datapath.Result, l Listener) (start, end flow.Key) {
	var effects []datapath.Credit
	defer func() { happen(effects, tcpFlags(req)) }()
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	x := t.context(res, l)
	defer t.release(x)
	x.packet, x.learn, x.packetOut = req.Packet, req.Learn, true
	no := openflow.PortNo(req.Key.Get(flow.InPortOXM))
	written := withoutOptions(req.Key)
	x.key.Init(req.Key, no)
	if !ArrivalOf(req.Key).Dst.IsValid() {
		x.key.ScratchTunnel()
	}
	x.key.UseTLV(b.Tables().TLV(), false)
	x.key.SetMetadata(&written)
	x.key.Peek(&start)
	x.origin = origin{b, no, &openflow.PacketOut{InPort: no, Match: written, Actions: actions}}
	x.enter(b)
	x.controllers(actions)
	x.key.Peek(&end)
	x.finish()
	x.key.FlowMask(&res.Mask)
	effects = x.effects
	return start, end
}

// forked tells that a copy of the packet as it is now goes on under a recirculation ID.
func (x *xlate) forked(id uint32) {
	if x.listener == nil {
		return
	}
	e := Event{Kind: EventFork, Recirc: id}
	x.key.Peek(&e.Flow)
	x.tables.TLV().ToPacket(&e.Flow) // as the datapath will bring it back
	x.tell(e)
}

// ruleText is a rule's priority, unless it is the default, and its match.
func ruleText(r *table.Rule, tlv *openflow.TLVMap) string {
	m := r.Match()
	s := openflow.FormatMatchTLV(&m, nil, tlv)
	if r.Priority == defaultPriority {
		return s
	}
	return strings.TrimSuffix(fmt.Sprintf("priority=%d,%s", r.Priority, s), ",")
}

// defaultPriority is the priority of flows that do not say theirs (OFP_DEFAULT_PRIORITY).
const defaultPriority = 0x8000

// isNow reports what a subfield has become.
func (x *xlate) isNow(s flow.Subfield) {
	if x.listener == nil {
		return
	}
	var k flow.Key
	x.key.Peek(&k)
	v := s.Read(&k)
	if b, ok := x.tables.TLV().Layout().Bytes(&k, s.Field); ok {
		flow.CopyBits(v, 0, b, int(s.Ofs), int(s.Bits))
	}
	text := openflow.FormatHex(v)
	if s == flow.WholeField(s.Field) {
		text = openflow.FormatValue(s.Field, k.GetBytes(s.Field, nil), nil)
		if s.Field == flow.InPort {
			text = openflow.PortNo(k.Get(s.Field)).String() // as on the wire it would be cut
		}
	}
	x.detail("%s is now %s", openflow.FormatSubfield(s), text)
}

func (x *xlate) detail(format string, args ...any) { x.text(EventDetail, format, args) }

func (x *xlate) warn(format string, args ...any) { x.text(EventWarn, format, args) }
