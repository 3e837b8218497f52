package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// queuePriority is the skb priority that selects a queue of a port: the minor number of its
// class under handle 1: (tc(8)), counted from 1. Queues that have none are refused. A datapath without
// such classes takes the queue itself.
func (x *xlate) queuePriority(queue uint32) (uint64, bool) {
	if x.t.o.Features.PlainQueues {
		return uint64(queue), true
	}
	return 1<<16 | uint64(queue+1), queue < 0xf000
}

// queueOf is the inverse of queuePriority.
func (x *xlate) queueOf(priority uint64) (queue uint32, ok bool) {
	switch {
	case x.t.o.Features.PlainQueues:
		return uint32(priority), true
	case priority>>16 != 1 || priority&0xffff == 0:
		return 0, false
	}
	return uint32(priority&0xffff) - 1, true
}

// mark gives the packet the DSCP of the queue that it is in, for an output to p, and returns what takes it back.
func (x *xlate) mark(p *Port) func() {
	queue, ok := x.queueOf(x.key.Get(flow.SkbPriority))
	dscp, marks := p.DSCP[queue]
	if !ok || !marks || !x.key.Has(flow.PrereqIP) {
		return func() {}
	}
	was := x.key.Get(flow.NwTOS)
	x.key.Set(flow.NwTOS, uint64(dscp)<<2)
	return func() { x.key.Set(flow.NwTOS, was) }
}

// enqueue is output through a queue.
func (x *xlate) enqueue(a openflow.Enqueue) {
	prio, ok := x.queuePriority(a.Queue)
	if !ok { // as OVS does
		x.outputTo(a.Port, 0)
		return
	}
	var s tracked.State
	x.key.Save(&s)
	x.key.Set(flow.SkbPriority, prio)
	switch a.Port {
	case openflow.PortInPort:
		if p := x.InPort(); p != nil {
			x.output(p, 0)
		}
	default:
		x.outputPort(a.Port, 0)
	}
	x.key.Restore(&s)
}
