package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// meter limits the packet, as the datapath has it: as in OVS what was changed so far and not sent yet does not count.
func (x *xlate) meter(id uint32) {
	if m := x.findMeter(id); m != nil {
		x.emit(odp.Meter{ID: m.ID()})
	} else {
		x.warn("nonexistent meter %d", id)
	}
}

// findMeter is the datapath's meter of an OpenFlow meter of the bridge, nil when there is none. The megaflow holds it.
func (x *xlate) findMeter(id uint32) *datapath.Meter {
	m := x.tables.Meter(id)
	if m == nil {
		x.Depend(x.tables.MeterAdded())
		return nil
	}
	x.Depend(m)
	x.res.Held = append(x.res.Held, m.Datapath.Hold())
	return m.Datapath
}

// always is the probability of a sample that is always taken.
const always = 1<<32 - 1

// toController is what sends a packet to controllers within the limits of the meter that the action names (0: none), or
// else of the bridge's meter for controllers.
func (x *xlate) toController(id uint32, up odp.Userspace) odp.Action {
	var m *datapath.Meter
	if id != 0 {
		m = x.findMeter(id)
	}
	if m == nil {
		m = x.findMeter(openflow.MeterController)
	}
	if m == nil {
		return up
	}
	return odp.Sample{Probability: always, Actions: []odp.Action{odp.Meter{ID: m.ID()}, up}}
}
