package bridge

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/bridge/mcast"
	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// multicast forwards a multicast packet as snooping has it (RFC 4541). It reports false where that says nothing: the packet is not one of IP.
func (b *Bridge) multicast(x pipeline.Context, v *view, in *bundle, inner, tags vlan.Stack, dst mac.Addr) bool {
	if dst == (mac.Addr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) {
		return false
	}
	c := &copies{b: b, x: x, v: v, in: in, inner: inner, tags: tags}
	group := mcast.Group{VLAN: inner.VID()}
	switch x.Get(flow.EthType) {
	case packet.EthTypeIPv4:
		if x.Get(flow.NwProto) == packet.ProtoIGMP {
			return b.igmp(c)
		}
		a := [4]byte(x.Bytes(flow.IPv4Dst))
		group.Addr = netip.AddrFrom4(a)
		if [3]byte(a[:3]) == [3]byte{224, 0, 0} {
			return c.flood("RFC4541: section 2.1.2, item 2, flooding")
		}
	case packet.EthTypeIPv6:
		if x.Get(flow.NwProto) == packet.ProtoICMPv6 {
			switch typ := uint8(x.Get(flow.ICMPv6Type)); typ {
			case mcast.MLDQuery, mcast.MLDReport, mcast.MLDDone, mcast.MLDv2Report:
				return b.mld(c, typ)
			}
		}
		group.Addr = netip.AddrFrom16([16]byte(x.Bytes(flow.IPv6Dst)))
		if group.Addr == netip.IPv6LinkLocalAllNodes() {
			return c.flood("RFC4541: section 2.1.2, item 2, flooding")
		}
	default:
		return false
	}
	x.Depend(v.snooping.table)
	members, known := v.snooping.table.Lookup(group)
	switch {
	case known:
		for _, id := range members {
			c.to(v.byID[id], "forwarding to mcast group port", "mcast group port is input port, dropping")
		}
		c.toFlagged()
		c.toRouters()
	case v.snooping.floodUnregistered:
		return c.flood("unregistered multicast, flooding")
	default:
		c.toRouters()
		c.toFlagged()
	}
	return true
}

// copies sends a packet to ports, to each once.
type copies struct {
	b           *Bridge
	x           pipeline.Context
	v           *view
	in          *bundle // nil: from nowhere
	inner, tags vlan.Stack
	sent        []bundleID
}

// to sends the packet to a port, unless it came from there or may not go there.
func (c *copies) to(out *bundle, does, dropped string) {
	switch {
	case out == nil || out.reserved() || !out.vlan.Carries(c.inner) || slices.Contains(c.sent, out.id):
	case out == c.in:
		c.x.Report("%s", dropped)
	case c.in != nil && c.in.protected && out.protected:
	default:
		c.x.Report("%s", does)
		c.sent = append(c.sent, out.id)
		c.b.send(c.x, out, c.inner, c.tags)
	}
}

// flood sends it everywhere.
func (c *copies) flood(why string) bool {
	c.x.Report("%s", why)
	c.b.flood(c.x, c.v, c.in, c.inner, c.tags)
	return true
}

// toRouters sends it to the ports that lead to multicast routers.
func (c *copies) toRouters() {
	for _, r := range c.v.snooping.table.Routers() {
		if r.VLAN != c.inner.VID() {
			c.x.Report("mcast router is on another vlan, dropping")
			continue
		}
		c.to(c.v.byID[r.Port], "forwarding to mcast router port", "mcast router port is input port, dropping")
	}
}

// toFlagged sends it to the ports that get all multicast.
func (c *copies) toFlagged() {
	for _, out := range c.v.bundles {
		if out.snooping.flood {
			c.to(out, "forwarding to mcast flood port", "mcast flood port is input port, dropping")
		}
	}
}

// report sends a report where it should go: to routers, lest other hosts do not say what they want too (RFC 4541 section
// 2.1.1), and to the ports that get all reports.
func (c *copies) report() {
	c.x.Depend(c.v.snooping.table)
	c.toRouters()
	for _, out := range c.v.bundles {
		if out.snooping.reports {
			c.to(out, "forwarding report to mcast flagged port", "mcast port is input port, dropping the Report")
		}
	}
}

// message is the packet behind its IP header, and its source and destination; nil: there is no packet, or not all of it. Packets of
// IGMP and MLD all come to user space, so that nothing of this is of the megaflow.
func (c *copies) message() (b []byte, src, dst netip.Addr) {
	p := c.x.Packet()
	if p == nil {
		return nil, src, dst
	}
	var key flow.Key
	o := packet.Parse(p.Data, &key)
	if key.Get(flow.IPFrag) != 0 || o.L4 <= o.L3 || o.L4 > o.End || o.End > len(p.Data) {
		return nil, src, dst
	}
	if key.Get(flow.EthType) == packet.EthTypeIPv4 {
		src, _ = netip.AddrFromSlice(key.GetBytes(flow.IPv4Src, nil))
		return p.Data[o.L4:o.End], src, dst
	}
	src, _ = netip.AddrFromSlice(key.GetBytes(flow.IPv6Src, nil))
	dst, _ = netip.AddrFromSlice(key.GetBytes(flow.IPv6Dst, nil))
	return p.Data[o.L4:o.End], src, dst
}

// igmp takes a message of IGMP.
func (b *Bridge) igmp(c *copies) bool {
	c.x.Slow("action")
	msg, src, _ := c.message()
	list, err := mcast.IGMP(msg)
	b.take(c, "IGMP", msg, list, src, err)
	if len(msg) > 0 {
		switch msg[0] {
		case mcast.IGMPv1Report, mcast.IGMPv2Report, mcast.IGMPv3Report, mcast.IGMPLeave:
			c.report()
			return true
		}
	}
	return c.flood("multicast traffic, flooding")
}

// mld takes a message of MLD.
func (b *Bridge) mld(c *copies, typ uint8) bool {
	c.x.Slow("action")
	msg, src, dst := c.message()
	list, err := mcast.MLD(msg, src, dst)
	b.take(c, "MLD", msg, list, src, err)
	if typ == mcast.MLDQuery {
		return c.flood("MLD query, flooding")
	}
	c.report()
	return true
}

// take has a message count that came in by a port, if it is right.
func (b *Bridge) take(c *copies, kind string, msg []byte, list []mcast.Membership, src netip.Addr, err error) {
	switch {
	case msg == nil || c.in == nil || !c.x.MayLearn():
	case err == nil:
		b.snoop(c, msg[0], list, src)
	case errors.Is(err, mcast.ErrChecksum):
		c.x.Report("multicast snooping received bad %s checksum on port %s in VLAN %d", kind, c.in.name, c.inner.VID())
	}
}

// snoop brings the table to what a message says.
func (b *Bridge) snoop(c *copies, typ uint8, list []mcast.Membership, src netip.Addr) {
	t, vid := c.v.snooping.table, c.inner.VID()
	before, news := t.Version(), 0
	for _, m := range list {
		g := mcast.Group{VLAN: vid, Addr: m.Group}
		switch {
		case !m.Group.IsMulticast():
		case !m.Leave:
			if t.Join(g, c.in.id) {
				news++
			}
		case c.in.snooping.reports: // others may be behind it
		case t.Leave(g, c.in.id):
			news++
		}
	}
	// One from no address is a switch's that stands in for a router (RFC 4541 section 2.1.1).
	if (typ == mcast.IGMPQuery || typ == mcast.MLDQuery) && !src.IsUnspecified() && t.Query(vid, c.in.id) {
		news++
	}
	if news > 0 {
		switch where := []any{c.in.name, vid}; typ {
		case mcast.IGMPv1Report, mcast.IGMPv2Report:
			c.x.Report("multicast snooping learned that %s is on port %s in VLAN %d", append([]any{list[0].Group}, where...)...)
		case mcast.IGMPLeave:
			c.x.Report("multicast snooping leaving %s is on port %s in VLAN %d", append([]any{list[0].Group}, where...)...)
		case mcast.IGMPQuery:
			c.x.Report("multicast snooping query from %s is on port %s in VLAN %d", append([]any{src}, where...)...)
		default:
			c.x.Report("multicast snooping processed %d addresses on port %s in VLAN %d", append([]any{news}, where...)...)
		}
	}
	if t.Version() != before {
		b.agent.engine.Kick()
	}
}
