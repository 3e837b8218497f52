package bridge

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// mirrorView is what translations see of a mirror. The zero mirrorView is none.
type mirrorView struct {
	vlans   *vlan.Set // that it selects; nil: all
	out     *bundle   // nil: none, or the VLAN is the output
	toVLAN  bool
	vlan    uint16
	snaplen uint32 // bytes of a packet that are copied; 0: all
	// same are the mirrors with the same output, this one among them: one copy is for all.
	same pipeline.MirrorSet
	sent *traffic
}

func (m mirrorView) equal(o mirrorView) bool {
	if (m.vlans == nil) != (o.vlans == nil) || m.vlans != nil && *m.vlans != *o.vlans {
		return false
	}
	if (m.out == nil) != (o.out == nil) || m.out != nil && m.out.id != o.out.id {
		return false
	}
	m.vlans, m.out, o.vlans, o.out = nil, nil, nil, nil
	return m == o
}

// reserved reports whether a port is for mirrors' copies only.
func (b *bundle) reserved() bool { return len(b.members) > 0 && b.members[0].MirrorOutput }

// Mirror implements pipeline.Bridge (ovs-vswitchd.conf.db(5), Mirror). Copies leave like packets that NORMAL forwards: with
// the tags that the VLAN mode of their port gives them.
func (b *Bridge) Mirror(x pipeline.Mirroring, at *pipeline.Port, set pipeline.MirrorSet) {
	v := b.view.Load()
	port := v.of[at.No]
	if port == nil {
		return
	}
	tags := stack(x.VLANs())
	if !admits(x, port, tags) {
		return // in no VLAN
	}
	inner := port.vlan.Input(tags)
	for set &^= x.Mirrored(); set != 0; set &^= x.Mirrored() {
		bit := bits.TrailingZeros32(uint32(set))
		set &^= 1 << bit
		if bit >= len(v.mirrors) {
			return
		}
		m := &v.mirrors[bit]
		if !m.vlans.Has(inner.VID()) {
			continue
		}
		// Before the copies, which other mirrors may select.
		x.AddMirrored(m.same)
		if m.sent != nil {
			x.Credit(m.sent)
		}
		switch {
		case m.out != nil:
			copyTo(x, m.out, inner, tags, m.snaplen)
		case m.toVLAN:
			v.copyToVLAN(x, m, inner, tags)
		}
	}
}

// copyToVLAN floods a copy in a mirror's output VLAN. One that is in there already would go round in it, and what switches talk
// among each other must not get further than its link.
func (v *view) copyToVLAN(x pipeline.Mirroring, m *mirrorView, inner, tags vlan.Stack) {
	if inner.VID() == m.vlan {
		return
	}
	if dst := address(x.Get(flow.EthDst)); reservedMAC(dst[:]) {
		return
	}
	inner[0].VID = m.vlan
	if inner[0].TPID == 0 {
		inner[0].TPID = vlan.TPID8021Q
	}
	for _, out := range v.bundles {
		if out.vlan.Carries(inner) && !out.reserved() {
			copyTo(x, out, inner, tags, m.snaplen)
		}
	}
}

// copyTo sends a copy to a port.
func copyTo(x pipeline.Mirroring, out *bundle, inner, tags vlan.Stack, snaplen uint32) {
	if len(out.members) == 0 {
		return
	}
	x.SetVLANs(wireTags(out.vlan.Output(inner, tags)))
	x.Copy(out.members[0], snaplen)
}
