package pipeline

import (
	"math"
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Sampling is what translation must know of a bridge's IPFIX. Values are immutable.
type Sampling struct {
	// Probability of sampling all packets of the bridge, of 2^32-1; 0: only sample actions do. Input and Output say where.
	Probability   uint32
	Input, Output bool
}

// Sample is a packet that was sampled, for the bridge's exporters. What a sample action said is comparable.
type Sample struct {
	SampleSource
	Packet *datapath.Packet
	Key    flow.Key // the datapath's, of the packet as it was
}

// SampleSource is what sampled a packet.
type SampleSource struct {
	// Action has what a sample action said, Bridge that the bridge's own sampling did.
	Bridge  bool
	Action  odp.Sampled
	InPort  openflow.PortNo
	OutPort openflow.PortNo // PortAny: not sampled at an output
	Egress  bool
	Dropped bool          // the packet goes nowhere
	Tunnel  SampledTunnel // that OutPort is of; of a packet that came in its key tells
}

// SampledTunnel is the outer header that a packet is about to get.
type SampledTunnel struct {
	Type     string // of the port; "": no tunnel
	Src, Dst netip.Addr
	ID       uint64
	DstPort  uint16
}

// sampler is what a megaflow's sampling has for a cookie.
type sampler struct {
	bridge Bridge
	source SampleSource
}

// maxSamplers bounds the sampling in megaflows.
const maxSamplers = 1 << 18

// sampleInput samples a packet where it comes in, if its bridge wants that. Whether it goes out is known at the end: finishInput
// says so in the action.
func (x *xlate) sampleInput() {
	if s := x.bridge.Sampling(); s == nil || s.Probability == 0 || !s.Input {
		return
	}
	if p := x.InPort(); p != nil && p.MirrorOutput {
		return // it is dropped
	}
	x.sampled = sampledInput{x.bridge, x.key.InPort(), len(x.res.Actions), true}
	x.emit(odp.Drop{}) // in whose place it will be
}

// sampledInput is where a packet was sampled that came in.
type sampledInput struct {
	bridge Bridge
	in     openflow.PortNo
	at     int // in the datapath actions
	on     bool
}

// finishInput makes the action of sampleInput, when all others are known.
func (x *xlate) finishInput() {
	s := &x.sampled
	if !s.on || s.at >= len(x.res.Actions) {
		return
	}
	x.res.Actions[s.at] = x.sampleAction(odp.UpcallIPFIX, s.bridge.Sampling().Probability, s.bridge, SampleSource{
		Bridge: true, InPort: s.in, OutPort: openflow.PortAny, Action: odp.Sampled{OutputPort: odp.PortNone},
		Dropped: !forwards(x.res.Actions) && x.res.Slow == "",
	})
}

// forwards reports whether packets leave, or are looked up again.
func forwards(list []odp.Action) bool {
	for _, a := range list {
		switch a := a.(type) {
		case odp.Output, odp.Recirc:
			return true
		case odp.Sample:
			if forwards(a.Actions) {
				return true
			}
		case odp.Clone:
			if forwards(a.Actions) {
				return true
			}
		case odp.CheckPktLen:
			if forwards(a.Greater) || forwards(a.LessEqual) {
				return true
			}
		}
	}
	return false
}

// sampleOutput samples a packet that goes out of a port, if its bridge wants that.
func (x *xlate) sampleOutput(p *Port, tunnel SampledTunnel) {
	s := x.bridge.Sampling()
	if s == nil || s.Probability == 0 || !s.Output {
		return
	}
	x.emit(x.sampleAction(odp.UpcallIPFIX, s.Probability, x.bridge, SampleSource{
		Bridge: true, InPort: x.key.InPort(), OutPort: p.No, Egress: true, Action: odp.Sampled{OutputPort: p.ODP}, Tunnel: tunnel,
	}))
}

// sample is the sample action. As with OVS it does something when the bridge has any exporter.
func (x *xlate) sample(a openflow.Sample) {
	if x.bridge.Sampling() == nil {
		x.detail("no IPFIX exporter")
		return
	}
	src := SampleSource{
		InPort: x.key.InPort(), OutPort: openflow.PortAny,
		Action: odp.Sampled{
			OutputPort: odp.PortNone, Probability: a.Probability, CollectorSet: a.CollectorSet, ObsDomain: a.ObsDomain, ObsPoint: a.ObsPoint,
			Direction: odp.SampleDirection(a.Direction),
		},
	}
	if a.ObsDomainSrc != nil {
		src.Action.ObsDomain = uint32(x.key.Uint(*a.ObsDomainSrc))
	}
	if a.ObsPointSrc != nil {
		src.Action.ObsPoint = uint32(x.key.Uint(*a.ObsPointSrc))
	}
	if a.SamplingPort != openflow.PortAny && a.SamplingPort != src.InPort {
		p := x.bridge.PortByNo(a.SamplingPort)
		if p == nil || p.ODP == odp.PortNone {
			x.Fault("can't use unknown port %d in flow sample action", a.SamplingPort)
			return
		}
		src.OutPort, src.Action.OutputPort = a.SamplingPort, p.ODP
	}
	src.Egress = src.Action.Direction == odp.SampleEgress || src.Action.Direction == odp.SampleDefault && src.OutPort != openflow.PortAny
	x.commit()
	x.emit(x.sampleAction(odp.UpcallFlowSample, uint32(a.Probability)<<16|uint32(a.Probability), x.bridge, src))
}

// sampleAction sends a packet with a probability to the bridge's exporters, within the limits of the bridge's meter for what goes
// to user space.
func (x *xlate) sampleAction(kind odp.UpcallKind, probability uint32, b Bridge, src SampleSource) odp.Action {
	n := x.t.samplers.get(sampler{b, src}, sampler{b, src}, func(_, _ sampler) bool { return true })
	if n == nil {
		x.errorf(odp.DropCongestion, "over %d sample actions", maxSamplers)
		return odp.Drop{Reason: odp.DropCongestion}
	}
	x.res.Held = append(x.res.Held, n)
	list := []odp.Action{odp.Userspace{Kind: kind, Cookie: n.id, Sampled: src.Action}}
	if m := x.findMeter(openflow.MeterSlowPath); m != nil {
		list = []odp.Action{odp.Meter{ID: m.ID()}, list[0]}
	} else if probability == math.MaxUint32 {
		return list[0]
	}
	return odp.Sample{Probability: probability, Actions: list}
}

// sampledPacket hands a packet that was sampled to its bridge.
func (t *Translator) sampledPacket(up *datapath.Upcall) {
	s, ok := t.samplers.lookup(up.Cookie)
	if !ok {
		t.o.Count("upcall_stale_cookie", 1)
		return
	}
	p := up.Packet.Clone()
	p.FinishChecksum()
	s.bridge.Sampled(&Sample{SampleSource: s.source, Packet: p, Key: up.Key})
}
