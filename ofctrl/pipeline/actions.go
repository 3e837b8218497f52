package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// do runs a list of actions.
func (x *xlate) do(list []openflow.Action) {
	more := x.more
	defer func() { x.more = more }()
	for i, a := range list {
		if x.done() {
			return
		}
		x.more = more || i+1 < len(list) || len(x.actionSet) > 0
		if x.key.Unparsed() && x.t.o.Features.Recirc && needsParsing(a) {
			x.freezing = true
			x.keep(list[i:])
			return
		}
		x.event(Event{Kind: EventAction, Action: a})
		if a, ok := a.(openflow.CheckPktLarger); ok && x.t.o.Features.CheckPktLen {
			x.checkPktLarger(a, list[i+1:])
			return
		}
		goesOn := x.one(a)
		if x.freezing {
			x.keep(list[i+1:])
		}
		if !goesOn {
			return
		}
	}
}

// one runs an action. It reports whether the rest of its list follows.
func (x *xlate) one(a openflow.Action) bool {
	switch a := a.(type) {
	case openflow.Output:
		x.outputTo(a.Port, a.MaxLen)
	case openflow.OutputReg:
		no := x.key.Uint(a.Src)
		if x.listener != nil { // no memory is made for a number that nobody reads
			x.detail("output port is %d", no)
		}
		x.outputTo(openflow.PortNo(no), a.MaxLen)
	case openflow.OutputTrunc:
		x.truncated(a)
	case openflow.Enqueue:
		x.enqueue(a)
	case openflow.Controller:
		if a.Pause {
			x.pause(a)
		} else {
			x.controller(a)
		}
	case openflow.Unroll:
		x.rule, x.table, x.cookie = nil, a.Table, a.Cookie

	case openflow.SetField:
		if !x.key.SetMasked(a.Field, a.Value, a.Mask) && !a.Legacy {
			x.warn("unmet prerequisites for %s, set_field ignored", a.Field)
		}
	case openflow.Load:
		x.key.Write(a.Dst, a.Value)
	case openflow.Move:
		x.key.Move(a.Dst, a.Src)
		x.isNow(a.Dst)
	case openflow.StackPush:
		x.push(a.Src)
	case openflow.StackPop:
		x.pop(a.Dst)
	case openflow.WriteMetadata:
		v := x.key.Get(flow.Metadata)
		x.key.Set(flow.Metadata, v&^a.Mask|a.Value&a.Mask)
	case openflow.SetTunnel:
		x.key.Set(flow.TunID, a.ID)
	case openflow.SetQueue:
		if prio, ok := x.queuePriority(a.Queue); ok {
			x.key.Set(flow.SkbPriority, prio)
		}
	case openflow.PopQueue:
		x.key.ResetPriority()

	case openflow.SetVLANVID:
		x.key.SetVLANBits(a.VID, 0xfff, a.Push)
	case openflow.SetVLANPCP:
		x.key.SetVLANBits(uint16(a.PCP)<<13, 0xe000, a.Push)
	case openflow.PushVLAN:
		if !x.key.PushVLAN(a.EthType) {
			x.unsupported("a stack of more than 8 VLAN tags")
		}
	case openflow.StripVLAN:
		x.key.PopVLAN()

	case openflow.SetTTL:
		if x.key.Has(flow.PrereqIP) {
			x.key.Set(flow.NwTTL, uint64(a.TTL))
		}
	case openflow.DecTTL:
		return x.decTTL(flow.PrereqIP, flow.NwTTL, a.IDs)
	case openflow.DecMPLSTTL:
		// As in OVS a packet without labels gets no further in its list.
		return x.key.IsMPLS() && x.decTTL(flow.PrereqMPLS, flow.MPLSTTL, nil)
	case openflow.SetMPLSLabel:
		x.key.Set(flow.MPLSLabel, uint64(a.Label))
	case openflow.SetMPLSTC:
		x.key.Set(flow.MPLSTC, uint64(a.TC))
	case openflow.SetMPLSTTL:
		x.key.Set(flow.MPLSTTL, uint64(a.TTL))

	case openflow.Resubmit:
		x.doResubmit(a)
	case openflow.GotoTable:
		x.resubmit(a.Table, x.key.InPort(), true)
	case openflow.WriteActions:
		x.write(a.Actions)
		x.reportActionSet("is")
	case openflow.ClearActions:
		x.reportActionSet("was")
		x.clearActionSet()
	case openflow.Clone:
		x.clone(a.Actions)
	case openflow.CTClear:
		if x.key.Untrack() && x.t.o.Features.CTClear {
			x.emit(odp.CTClear{})
		}
	case openflow.Exit:
		x.exit = true

	case openflow.Note:
	case openflow.Conjunction: // of a packet-out or in clone: those of flows are the classifier's
		x.Fault("executing no-op conjunction action")
	case openflow.Sample:
		x.sample(a)

	case openflow.Group:
		x.group(a.ID)
	case openflow.Bundle:
		x.bundle(a)
	case openflow.Learn:
		x.doLearn(a)
	case openflow.Multipath:
		x.multipath(a)
	case openflow.CT:
		x.ct(a)
	case openflow.CheckPktLarger:
		x.slowPktLarger(a)
	case openflow.Meter:
		x.meter(a.ID)
	case openflow.FinTimeout:
		x.finTimeout(a)
	case openflow.PushMPLS:
		x.pushMPLS(a)
	case openflow.PopMPLS:
		x.popMPLS(a)
	case openflow.Encap:
		x.encap(a)
	case openflow.Decap:
		x.decap()
	case openflow.DecNSHTTL:
		x.unsupported("dec_nsh_ttl")
	case openflow.DeleteField:
		x.key.DeleteOption(a.Field)
		x.detail("delete %s", a.Field)
	default:
		x.unsupported("an unknown action")
	}
	return !x.done()
}

// doResubmit is resubmit(port,table).
func (x *xlate) doResubmit(a openflow.Resubmit) {
	in, id := a.InPort, a.Table
	if in == openflow.PortInPort {
		in = x.key.InPort()
	}
	if id == openflow.TableAll {
		id = x.table
	}
	if a.CT {
		x.resubmitCT(id, in)
	} else {
		x.resubmit(id, in, false)
	}
}

// decTTL decrements a TTL. One that would become 0 ends the list; controllers are told.
func (x *xlate) decTTL(p flow.Prereq, field flow.FieldID, ids []uint16) bool {
	if !x.key.Has(p) {
		return true
	}
	if ttl := x.key.Get(field); ttl > 1 {
		x.key.Set(field, ttl-1)
		return true
	}
	x.warn("%s decrement TTL exception", x.l3Name())
	if ids == nil {
		ids = oneController
	}
	for _, id := range ids {
		x.controller(openflow.Controller{MaxLen: 0xffff, ControllerID: id, Reason: openflow.ReasonInvalidTTL})
	}
	return false
}

// l3Name is the packet's protocol in a report about its TTL.
func (x *xlate) l3Name() string {
	if x.listener == nil {
		return ""
	}
	var k flow.Key
	x.key.Peek(&k)
	switch k.Get(flow.EthType) {
	case 0x0800:
		return "IPv4"
	case 0x86dd:
		return "IPv6"
	}
	return "MPLS"
}

var oneController = []uint16{0}

// push and pop are the field stack's.
func (x *xlate) push(src flow.Subfield) {
	n := len(x.stack)
	x.stack = x.key.Read(src, x.stack)
	x.stack = append(x.stack, byte(len(x.stack)-n))
	if len(x.stack) > maxStack {
		x.errorf(odp.DropStackTooDeep, "over 64 kB of stack")
	}
}

func (x *xlate) pop(dst flow.Subfield) {
	n := len(x.stack) - 1
	if n < 0 {
		x.Fault("stack underflow")
		return
	}
	from := n - int(x.stack[n])
	x.key.Write(dst, x.stack[from:n])
	x.stack = x.stack[:from]
	x.isNow(dst)
}
