package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// outputTo is the output action: to a port of the bridge or a reserved one. maxLen is what a
// controller gets.
func (x *xlate) outputTo(no openflow.PortNo, maxLen uint16) {
	switch no {
	case openflow.PortInPort:
		if p := x.InPort(); p != nil {
			x.output(p, 0)
		} else {
			x.warn("no input port to send to")
		}
	case openflow.PortTable:
		x.resubmit(0, x.key.InPort(), true)
	case openflow.PortNormal:
		x.normal()
	case openflow.PortFlood:
		x.flood(openflow.ConfigNoFlood)
	case openflow.PortAll:
		x.flood(0)
	case openflow.PortController:
		x.controller(openflow.Controller{MaxLen: maxLen, Reason: x.reason()})
	case openflow.PortAny, openflow.PortUnset:
		x.detail("no output")
	default:
		x.outputPort(no, 0)
	}
}

// outputPort sends to a numbered port, unless the packet came from there. trunc is 0 or how
// many bytes are sent.
func (x *xlate) outputPort(no openflow.PortNo, trunc uint32) {
	if no == x.key.InPort() {
		x.warn("skipping output to input port")
		return
	}
	if p := x.bridge.PortByNo(no); p != nil {
		x.output(p, trunc)
	} else {
		x.warn("Nonexistent output port")
	}
}

// output sends the packet as it is now to a port. trunc is 0 or how many bytes are sent.
func (x *xlate) output(p *Port, trunc uint32) {
	if len(p.DSCP) != 0 {
		defer x.mark(p)()
	}
	switch {
	case x.drop != odp.DropNone:
	case p.Config&openflow.ConfigNoFwd != 0:
		x.detail("OFPPC_NO_FWD set, skipping output")
	case p.Config&openflow.ConfigPortDown != 0:
		x.detail("port %s is down, skipping output", p.Name)
	case p.State&openflow.StateBlocked != 0:
		x.detail("port %s is blocked, skipping output", p.Name)
	case p.Peer != nil:
		if trunc != 0 {
			x.warn("cannot truncate output to patch port %s", p.Name)
			return
		}
		x.patch(p)
	case x.key.Get(flow.PacketType) != 0:
		x.warn("port %s takes only packets with Ethernet header, skipping output", p.Name)
	case p.ODP == odp.PortNone:
		x.warn("port %s is not in the datapath, skipping output", p.Name)
	case p.Tunnel != nil:
		x.tunnel(p, trunc)
	default:
		x.commit()
		x.sampleOutput(p, SampledTunnel{})
		if trunc != 0 {
			x.emit(odp.Trunc{MaxLen: trunc})
		}
		x.emit(odp.Output{Port: p.ODP})
		x.mirror(p, p.MirrorsOut)
	}
}

// truncated is output(port=N,max_len=M).
func (x *xlate) truncated(a openflow.OutputTrunc) {
	if !x.t.o.Features.Trunc {
		x.unsupported("output with max_len")
		return
	}
	switch a.Port {
	case openflow.PortInPort:
		if p := x.InPort(); p != nil {
			x.output(p, a.MaxLen)
		}
	case openflow.PortTable, openflow.PortNormal, openflow.PortFlood, openflow.PortAll, openflow.PortController, openflow.PortAny:
		x.warn("output_trunc does not support port %d", a.Port)
	default:
		x.outputPort(a.Port, a.MaxLen)
	}
}

// flood sends to every port but the one that the packet came from and those with a
// config bit of not.
func (x *xlate) flood(not uint32) {
	in := x.key.InPort()
	x.bridge.EachPort(func(p *Port) {
		if p.No != in && p.Config&not == 0 {
			x.output(p, 0)
		}
	})
}

// normal lets the bridge switch the packet; what it does to the tags ends with it.
func (x *xlate) normal() {
	var s tracked.State
	x.key.Save(&s)
	x.bridge.Normal(x)
	x.key.Restore(&s)
}

// patch goes on in the bridge at the other end of a patch port, and comes back.
func (x *xlate) patch(p *Port) {
	if !x.resources() {
		return
	}
	var s tracked.State
	x.key.Save(&s)
	where, exit, stack, set, group, inSet := x.at, x.exit, x.stack, x.actionSet, x.hasGroup, x.inActionSet

	if p.Tx != nil {
		x.Credit(p.Tx)
	}
	x.enter(p.Peer)
	x.stack, x.actionSet, x.hasGroup, x.inActionSet = x.stack[len(stack):], x.actionSet[len(set):], false, false
	x.depth++
	if in := p.Peer.PortByNo(p.PeerPort); in == nil {
		x.warn("patch port %s has no peer", p.Name)
	} else {
		if in.Rx != nil {
			x.Credit(in.Rx)
		}
		x.key.EnterBridge(in.No)
		switch {
		case x.speaks(in) || !x.receives(in):
		case x.key.Unparsed() && x.t.o.Features.Recirc:
			x.freezing = true // the peer's tables want what a popped label hid
			x.recirculate()
		default:
			x.tableZero(nil) // as in OVS patch ports have no mirrors
			x.end()          // as in OVS a step of the table's
			x.event(Event{Kind: EventEnd})
		}
	}
	x.event(Event{Kind: EventEnd})
	x.depth--

	// That the peer's flows exit says nothing about those of this bridge.
	x.at, x.exit, x.stack, x.actionSet, x.hasGroup, x.inActionSet = where, exit, stack, set, group, inSet
	x.key.Restore(&s)
}
