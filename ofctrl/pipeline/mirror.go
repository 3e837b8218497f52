package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// MirrorSet has a bit for each of a bridge's mirrors, which get copies of packets (ovs-vswitchd.conf.db(5), Mirror).
type MirrorSet uint32

// Mirroring is what a bridge may do to give its mirrors their copies of a packet.
type Mirroring interface {
	Context
	// Mirrored are the mirrors that have a copy of the packet; AddMirrored says that others have one, too.
	Mirrored() MirrorSet
	AddMirrored(MirrorSet)
	// Copy sends the packet as it is now to a port, also to the one that it came from. snaplen is 0 or how many bytes are
	// sent.
	Copy(p *Port, snaplen uint32)
}

// Mirrored implements Mirroring.
func (x *xlate) Mirrored() MirrorSet { return x.mirrored }

// AddMirrored implements Mirroring.
func (x *xlate) AddMirrored(m MirrorSet) { x.mirrored |= m }

// Copy implements Mirroring.
func (x *xlate) Copy(p *Port, snaplen uint32) {
	switch {
	case snaplen == 0:
	case p.ODP == odp.PortNone:
		x.warn("Mirror truncate to ODPP_NONE, skipping output")
		return
	case !x.t.o.Features.Trunc:
		x.Slow("action")
	}
	x.output(p, snaplen)
}

// mirror gives copies of the packet as it is now to those mirrors that select a port, unless they have one already: a
// mirror gets one copy of each packet in a bridge. What the copies go through leaves the packet as it is.
func (x *xlate) mirror(p *Port, selecting MirrorSet) {
	if selecting&^x.mirrored == 0 || x.done() {
		return
	}
	var s tracked.State
	x.key.Save(&s)
	more := x.more
	x.more = true // the packet itself, or the next copy
	x.bridge.Mirror(x, p, selecting)
	x.more = more
	x.key.Restore(&s)
}

// mirrorInput mirrors a packet that came in by a port.
func (x *xlate) mirrorInput(p *Port) {
	if p != nil {
		x.mirror(p, p.MirrorsIn)
	}
}

// reserved reports whether the packet came in by a port that is only for mirrors' copies: it is dropped.
func (x *xlate) reserved(p *Port) bool {
	if p == nil || !p.MirrorOutput {
		return false
	}
	x.Fault("dropping packet received on port %s, which is reserved exclusively for mirroring", p.Name)
	return true
}
