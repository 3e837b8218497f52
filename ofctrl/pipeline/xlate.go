package pipeline

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Limits of one translation, as in OVS.
const (
	maxDepth     = 64            // resubmits to the same or an earlier table, patch ports
	maxResubmits = 64 * maxDepth // of any kind
	maxStack     = 64 << 10      // bytes of the field stack
	// maxActions is about 64 kB of datapath actions: beyond it resubmits end, and the result is
	// not installed.
	maxActions = 64 << 10 / 8
	// hardActions ends a translation, so that one flow with thousands of floods has a bound.
	hardActions = 8 * maxActions
)

// xlate is one translation.
type xlate struct {
	t        *Translator
	res      *datapath.Result
	listener Listener
	packet   *datapath.Packet
	learn    bool
	// packetOut says that the actions are a controller's.
	packetOut bool

	key tracked.Key
	at
	depth, resubmits int
	// exit ends all lists, the action set excepted; drop is the error that ended translation.
	exit bool
	drop odp.DropReason

	// from is what translation goes on with, nil: origin has its start.
	from   *Frozen
	origin origin
	// hashed: the packet has a hash of the datapath; rehash: translation ends because it needs one,
	// hash.
	hashed, rehash bool
	hash           odp.Hash

	// more: actions follow the one that runs, in its list or in those outside.
	more bool
	// freezing: the translation ends here and goes on, with levels, after a recirculation, or if pausing is not nil when
	// that controller brings the packet back.
	freezing bool
	levels   []Level
	pausing  *openflow.Controller
	// elsewhere counts datapath actions of lists that are not res.Actions; branches the times that translation has
	// gone two ways.
	elsewhere, branches int

	// stack has values, each followed by its length in bytes.
	stack []byte
	// actionSet has what write_actions merged, in that order; hasGroup: a group is in it.
	actionSet   []openflow.Action
	hasGroup    bool
	inActionSet bool

	tlv *table.TLVCounter // of the table that the packet's tunnel options were read by
	// local is the address that the packet was tunneled to, invalid when it did not come by a tunnel.
	local netip.Addr
	// congested: its outer header said so, and it did not.
	congested bool
	vlans     []VLAN // memory for Context.VLANs
	sampled   sampledInput
	// effects are what actions do to the tables, after the translation.
	effects []datapath.Credit
}

// origin is where a translation starts that is not one of a frozen state: at a port, or with the
// actions of a packet-out.
type origin struct {
	bridge Bridge
	in     openflow.PortNo
	po     *openflow.PacketOut
}

// at is where in which bridge a translation is.
type at struct {
	bridge Bridge
	tables *table.Tables
	table  uint8
	rule   *table.Rule
	// first is the rule that the bridge's pipeline began with.
	first *table.Rule
	// cookie is that of the rule whose actions go on when rule is nil.
	cookie uint64
	// inGroup: the actions are those of a group's bucket.
	inGroup bool
	// mirrored are the bridge's mirrors that have a copy of the packet.
	mirrored MirrorSet
	// seen are the tables of the bridge that are dependencies already.
	seen [4]uint64
}

// done reports whether no action is to follow.
func (x *xlate) done() bool { return x.exit || x.freezing || x.rehash || x.drop != odp.DropNone }

// enter makes b the bridge of what follows.
func (x *xlate) enter(b Bridge) {
	x.Depend(b.Config())
	x.at = at{bridge: b, tables: b.Tables(), cookie: noCookie}
	x.event(Event{Kind: EventBridge})
	x.useTLV(x.tables)
}

// size counts the datapath actions so far.
func (x *xlate) size() int { return x.elsewhere + len(x.res.Actions) }

// nest runs f with a list of datapath actions of its own, and returns the list.
func (x *xlate) nest(f func()) []odp.Action {
	outer := x.res.Actions
	x.elsewhere += len(outer)
	x.res.Actions = nil
	f()
	inner := x.res.Actions
	x.elsewhere += len(inner) - len(outer)
	x.res.Actions = outer
	return inner
}

// emit appends a datapath action.
func (x *xlate) emit(a odp.Action) {
	if x.size() >= hardActions {
		x.errorf(odp.DropTooManyResubmit, "over %d datapath actions", hardActions)
		return
	}
	x.res.Actions = append(x.res.Actions, a)
}

// commit brings the datapath's packet to the state of the key.
func (x *xlate) commit() { x.res.Actions = x.key.Commit(x.res.Actions) }

// lookup finds the rule of a table for a packet that came in by port in; nil: a miss, or
// a fragment that the switch is configured to drop. With miss the packet ends where there is no
// rule (of goto_table and the first table), and one of the internal rules counts that.
func (x *xlate) lookup(id uint8, in openflow.PortNo, miss bool) *table.Rule {
	frag := x.bridge.FragHandling() & 3
	if frag == openflow.FragDrop && x.key.Has(flow.PrereqIP) && x.key.Get(flow.IPFrag) != 0 {
		x.event(Event{Kind: EventTable, Table: id, Text: `Packets are IP fragments and the fragment handling mode is "drop".`})
		x.creditMiss(table.MissFragments)
		return nil
	}
	if bit := uint64(1) << (id % 64); x.seen[id/64]&bit == 0 {
		x.seen[id/64] |= bit
		x.Depend(x.tables.Version(id))
	}
	rule := x.key.Lookup(x.tables, id, in, frag == openflow.FragNormal)
	x.event(Event{Kind: EventTable, Table: id, Rule: rule})
	if x.listener != nil {
		for _, r := range x.key.Conjuncts(x.tables, id, in, frag == openflow.FragNormal) {
			x.detail("conj. %s", ruleText(r, x.tables.TLV().Layout()))
		}
	}
	if rule == nil {
		x.Credit(x.tables.Miss(id))
		if miss {
			return x.miss(id, in)
		}
	}
	return rule
}

// miss does with a packet what a table is configured to do for which it has no rule (ofp_table_config of OpenFlow 1.1).
func (x *xlate) miss(id uint8, in openflow.PortNo) *table.Rule {
	switch x.tables.Missed(id) {
	case table.MissContinue:
		if id+1 < table.Internal {
			return x.lookup(id+1, in, true)
		}
	case table.MissToController:
		if p := x.InPort(); p != nil && p.Config&openflow.ConfigNoPacketIn != 0 {
			break
		}
		x.table = id
		return x.tables.MissRule(table.MissController)
	}
	x.creditMiss(table.MissDrop)
	return nil
}

func (x *xlate) creditMiss(kind uint64) {
	if r := x.tables.MissRule(kind); r != nil {
		x.Credit(r)
	}
}

// resubmit looks up a table and runs the rule that it finds there.
func (x *xlate) resubmit(id uint8, in openflow.PortNo, miss bool) {
	if !x.resources() {
		return
	}
	was := x.table
	x.found(x.lookup(id, in, miss), id, was)
}

// resubmitCT is resubmit with a look-up of the original tuple of the packet's connection.
func (x *xlate) resubmitCT(id uint8, in openflow.PortNo) {
	if !x.resources() {
		return
	}
	if !x.key.Has(flow.PrereqIP) || x.key.Get(flow.CTNwProto) == 0 {
		x.Fault("resubmit(ct) with non-tracked or non-IP packet!")
		return
	}
	was := x.table
	x.key.SwapTuple()
	rule := x.lookup(id, in, false)
	x.key.SwapTuple()
	x.found(rule, id, was)
}

// found runs what a look-up in table id found, and comes back to table was.
func (x *xlate) found(rule *table.Rule, id, was uint8) {
	if rule != nil {
		x.resubmits++
	}
	x.doRule(rule, id <= was)
	x.table = was
	x.event(Event{Kind: EventEnd})
}

// resources reports whether translation may go on to another table.
func (x *xlate) resources() bool {
	switch {
	case x.depth >= maxDepth:
		x.errorf(odp.DropRecursionTooDeep, "over max translation depth %d", maxDepth)
	case x.resubmits >= maxResubmits:
		x.errorf(odp.DropTooManyResubmit, "over %d resubmit actions", maxResubmits)
	case x.size() > maxActions:
		x.warn("resubmits yielded over 64 kB of actions")
		x.exit = true
	case len(x.stack) >= maxStack:
		x.errorf(odp.DropStackTooDeep, "resubmits yielded over 64 kB of stack")
	}
	return !x.done()
}

// doRule runs the actions of a rule, none when there is none.
func (x *xlate) doRule(rule *table.Rule, deepens bool) {
	if rule == nil || len(rule.Actions) == 0 {
		x.event(Event{Kind: EventAction})
	}
	if rule == nil {
		return
	}
	wasRule, wasTable := x.rule, x.table
	x.rule = rule
	if rule.Table < table.Internal { // a miss is one of the table that was looked up
		x.table = rule.Table
	}
	if deepens {
		x.depth++
	}
	x.Credit(rule)
	x.do(rule.Actions)
	if deepens {
		x.depth--
	}
	x.rule, x.table = wasRule, wasTable
}

// errorf ends the translation: the packet is dropped.
func (x *xlate) errorf(r odp.DropReason, format string, args ...any) {
	if x.drop == odp.DropNone {
		x.drop = r
		x.text(EventError, format, args)
	}
}

// unsupported ends the translation at an action that cannot be executed yet.
func (x *xlate) unsupported(what string) {
	x.t.o.Count("xlate_unsupported_action", 1)
	x.errorf(odp.DropUnsupported, "%s is not supported by this switch", what)
}

// The methods of Context.

// Get implements Context.
func (x *xlate) Get(id flow.FieldID) uint64 { return x.key.Get(id) }

// Bytes implements Context.
func (x *xlate) Bytes(id flow.FieldID) []byte { return x.key.Read(flow.WholeField(id), nil) }

// Is implements Context.
func (x *xlate) Is(id flow.FieldID, v uint64) bool { return x.key.Is(id, v) }

// InPort implements Context.
func (x *xlate) InPort() *Port { return x.bridge.PortByNo(x.key.InPort()) }

// Packet implements Context.
func (x *xlate) Packet() *datapath.Packet { return x.packet }

// MayLearn implements Context.
func (x *xlate) MayLearn() bool { return x.learn }

// Depend implements Context.
func (x *xlate) Depend(v datapath.Versioned) {
	x.res.Deps = append(x.res.Deps, datapath.Dep{On: v, Version: v.Version()})
}

// Credit implements Context.
func (x *xlate) Credit(c datapath.Credit) { x.res.Credits = append(x.res.Credits, c) }

// Slow implements Context.
func (x *xlate) Slow(reason string) {
	switch {
	case x.res.Slow == "":
		x.res.Slow = reason
	case !slices.Contains(strings.Split(x.res.Slow, ","), reason):
		x.res.Slow += "," + reason
	}
}

// VLANs implements Context. The slice stays as it is until the translation ends.
func (x *xlate) VLANs() []VLAN {
	n := len(x.vlans)
	x.vlans = x.key.VLANs(x.vlans)
	return x.vlans[n:len(x.vlans):len(x.vlans)]
}

// SetVLANs implements Context.
func (x *xlate) SetVLANs(tags []VLAN) {
	if !x.key.SetVLANs(tags) {
		x.unsupported("a stack of more than 8 VLAN tags")
	}
}

// Output implements Context.
func (x *xlate) Output(p *Port) {
	if p.No == x.key.InPort() {
		x.warn("skipping output to input port")
		return
	}
	x.output(p, 0)
}

// Report implements Context.
func (x *xlate) Report(format string, args ...any) { x.text(EventDetail, format, args) }

// Warn implements Context.
func (x *xlate) Warn(format string, args ...any) { x.text(EventWarn, format, args) }

// Fault implements Context.
func (x *xlate) Fault(format string, args ...any) { x.text(EventError, format, args) }
