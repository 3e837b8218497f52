package ebpf

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// maxPrograms is how many programs the kernel lets a packet run through (33), less some that a miss of the flow
// cache takes.
const maxPrograms = 28

// nestLimit is how deep copies of copies may be nested, less one (NEST_MAX of bpf/ctx.h).
const nestLimit = 3

// odd says that the programs may do something else with the last packet than the specification, because of a
// limit that only they have: too many programs, or a kernel function that they are made of. What they do then is
// counted as a drop, or leaves the packet as it was.
func (o *oracle) odd(p *diffPacket, c *diffCase) bool {
	var programs, copies, mpls, truncs, sets int
	for i := range c.flows {
		if o.now.hits[i] == o.was[i] {
			continue
		}
		programs += 2
		eachAction(c.flows[i].Actions, func(a odp.Action) {
			switch a.(type) {
			case odp.Userspace, odp.Hash, odp.Meter:
				programs += 2
			case odp.CT:
				programs += 4
			case odp.Clone, odp.Sample, odp.CheckPktLen:
				programs += 2
				copies++
			case odp.PushMPLS, odp.PopMPLS:
				programs += 2
				mpls++
			case odp.Trunc:
				truncs++
			case odp.Set:
				programs++
				sets++
			}
		})
	}
	var k flow.Key
	at := packet.Parse(p.data, &k)
	if sets > 0 && at.L4 >= 0 && at.End-at.L4 >= packet.TCPLen && k.Get(flow.NwProto) == packet.ProtoTCP && k.Get(flow.IPFrag)&flow.FragLater == 0 {
		// The checksum of a TCP header whose length is wrong does not follow the addresses.
		if n := int(p.data[at.L4+12]>>4) * 4; n < packet.TCPLen || n > at.End-at.L4 {
			return true
		}
	}
	// Copies in copies; labels behind a third tag or behind SNAP; and the kernel cuts nothing in front of where it believes the
	// transport header to be, which it does of packets that a device received.
	return programs >= maxPrograms || copies >= nestLimit || mpls > 0 && (isTag(&k) || at.Net != packet.EthLen+4*tags(&k)) || truncs > 0 && p.wire
}

// deep says that a packet has more headers than the parser follows.
func (x *differ) deep(p *diffPacket) bool {
	r, err := x.d.TestRun(p.port, p.data, 0, 0, 1)
	return err == nil && r.Reason == "too_many_headers"
}

func tags(k *flow.Key) (n int) {
	for _, id := range []flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if k.Get(id)&flow.VLANPresent != 0 {
			n++
		}
	}
	return n
}

func eachAction(l []odp.Action, f func(odp.Action)) {
	for _, a := range l {
		f(a)
		switch a := a.(type) {
		case odp.Clone:
			eachAction(a.Actions, f)
		case odp.Sample:
			eachAction(a.Actions, f)
		case odp.CheckPktLen:
			eachAction(a.Greater, f)
			eachAction(a.LessEqual, f)
		}
	}
}
