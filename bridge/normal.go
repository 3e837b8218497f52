package bridge

import (
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// Normal implements pipeline.Bridge: it forwards like a learning switch with VLANs (ovs-actions(7),
// output:NORMAL; ovs-vswitchd.conf.db(5), Port vlan_mode).
func (b *Bridge) Normal(x pipeline.Context) {
	v := b.view.Load()
	var in *bundle
	if p := x.InPort(); p != nil {
		if in = v.of[p.No]; in == nil {
			x.Report("received packet on unknown port %d", p.No)
			return
		}
	}
	wire := x.VLANs()
	tags := stack(wire)
	if in != nil && in.reserved() {
		x.Fault("dropping packet received on port %s, which is reserved exclusively for mirroring", in.name)
		return
	}
	if !admits(x, in, tags) {
		x.Warn("disallowed VLAN VID for this input port, dropping")
		return
	}
	inner := tags
	if in != nil {
		inner = in.vlan.Input(tags)
	}
	dst := address(x.Get(flow.EthDst))
	if reservedMAC(dst[:]) && !v.forwardBPDU {
		x.Report("packet has reserved destination MAC, dropping")
		return
	}
	vid := inner.VID()
	defer x.SetVLANs(wire)
	src := address(x.Get(flow.EthSrc))
	if in != nil {
		b.learn(x, in, vid, src)
	}

	// The version first: a change after the look-up must not be missed.
	x.Depend(b.macs.VersionOf(vid, dst))
	if v.snooping != nil && dst[0]&1 != 0 && b.multicast(x, v, in, inner, tags, dst) {
		return
	}
	if dst[0]&1 == 0 {
		if e, known := b.macs.Lookup(vid, dst); known {
			if out := v.byID[e.Port]; out != nil {
				switch {
				case out == in:
					x.Report("learned port is input port, dropping")
				case in != nil && in.protected && out.protected:
					x.Report("dropping packet that arrived on a protected port for another one")
				default:
					x.Report("forwarding to learned port")
					b.send(x, out, inner, tags)
				}
				return
			}
		}
	}
	x.Report("no learned MAC for destination, flooding")
	b.flood(x, v, in, inner, tags)
}

// flood sends the packet to all ports that carry its VLAN.
func (b *Bridge) flood(x pipeline.Context, v *view, in *bundle, inner, tags vlan.Stack) {
	for _, out := range v.bundles {
		if out == in || in != nil && in.protected && out.protected || !out.vlan.Carries(inner) || out.reserved() {
			continue
		}
		if len(out.members) == 0 || out.members[0].Config&openflow.ConfigNoFlood != 0 {
			continue
		}
		b.send(x, out, inner, tags)
	}
}

func address(v uint64) mac.Addr {
	return mac.Addr{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// learn notes where src is, and keeps the entry young as long as the megaflow is used.
func (b *Bridge) learn(x pipeline.Context, in *bundle, vid uint16, src mac.Addr) {
	o := mac.Observation[bundleID]{VLAN: vid, Addr: src, Port: in.id}
	if x.MayLearn() && b.note(o) {
		x.Report("learned that %s is on port %s in VLAN %d", src, in.name, vid)
	}
	// When src moves elsewhere the megaflow must learn again.
	x.Depend(b.macs.VersionOf(vid, src))
	x.Credit(macCredit{b, o})
}

// note learns an address, and has the megaflows follow when that is news, which it reports.
func (b *Bridge) note(o mac.Observation[bundleID]) bool {
	news := b.macs.Learn(o)
	if news {
		b.agent.count("mac_learning_learned", 1)
		b.agent.engine.Kick() // what floods to it, or goes where it was, need not any more
	}
	return news
}

// macCredit learns from a megaflow's traffic.
type macCredit struct {
	b *Bridge
	o mac.Observation[bundleID]
}

// Credit implements datapath.Credit. The last packet was at used.
func (c macCredit) Credit(packets, _ uint64, used time.Time, _ uint16) {
	if packets == 0 || c.b.view.Load().byID[c.o.Port] == nil {
		return
	}
	// What moved since is not moved back. But a host that has come back is where its packets come in: they
	// may all go by the megaflow of its first stay.
	e, known := c.b.macs.Lookup(c.o.VLAN, c.o.Addr)
	if known && e.Port != c.o.Port && used.Before(c.b.agent.o.Clock.Now().Add(-e.Age)) {
		return
	}
	c.b.note(c.o)
}

// admits checks the packet's tags against the port that it came in by. Without a port (a packet-out from nowhere) it may
// have any.
func admits(x pipeline.Context, in *bundle, tags vlan.Stack) bool {
	if in == nil || in.vlan.Admit(tags) {
		return true
	}
	switch vid := tags.VID(); in.vlan.Mode {
	case vlan.Access:
		x.Fault("dropping VLAN %d tagged packet received on port %s configured as VLAN %d access port", vid, in.name, in.vlan.Tag)
	case vlan.Dot1qTunnel:
		x.Fault("dropping VLAN %d packet received on dot1q-tunnel port %s that excludes this VLAN", vid, in.name)
	default:
		x.Fault("dropping VLAN %d packet received on port %s not configured for trunking VLAN %d", vid, in.name, vid)
	}
	return false
}

// send outputs the packet to a bundle with the tags that its VLAN mode gives it.
func (b *Bridge) send(x pipeline.Context, out *bundle, inner, tags vlan.Stack) {
	if len(out.members) == 0 {
		return
	}
	x.SetVLANs(wireTags(out.vlan.Output(inner, tags)))
	x.Output(out.members[0])
}

// stack reads the packet's tags.
func stack(list []pipeline.VLAN) vlan.Stack {
	var s vlan.Stack
	for n, t := range list {
		if n < len(s) {
			s[n] = vlan.FromTCI(t.TPID, t.TCI)
		}
	}
	return s
}

func wireTags(s vlan.Stack) []pipeline.VLAN {
	depth := s.Depth()
	if depth == 0 {
		return nil
	}
	list := make([]pipeline.VLAN, 0, len(s))
	for _, t := range s[:depth] {
		list = append(list, pipeline.VLAN{TPID: t.TPID, TCI: t.TCI() | flow.VLANPresent})
	}
	return list
}
