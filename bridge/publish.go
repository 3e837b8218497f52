package bridge

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// publish gives translations the present state of all bridges at once, and tells controllers which ports
// changed.
func (a *Agent) publish() {
	views := make(map[*Bridge]*view, len(a.bridges))
	refs, tunnels := map[odp.Port]portRef{}, a.newTunnelRefs()
	for _, b := range a.bridges {
		v := b.makeView()
		if old := b.view.Load(); old.equal(v) {
			v = old
		}
		views[b] = v
		for _, p := range v.order {
			switch {
			case p.ODP == odp.PortNone:
			case p.Tunnel != nil:
				tunnels.ports[b.ifaces[p.Name].tunnel.match] = portRef{b, p}
			default:
				refs[p.ODP] = portRef{b, p}
			}
		}
	}
	a.mu.Lock()
	if !maps.Equal(*a.portRefs.Load(), refs) || !a.tunnelRefs.Load().equal(tunnels) {
		a.portRefs.Store(&refs)
		a.tunnelRefs.Store(tunnels)
		a.portsVersion.n.Add(1)
	}
	for b, v := range views {
		if b.view.Load() != v {
			b.forgetMoved(b.view.Load(), v)
			b.view.Store(v)
			b.version.n.Add(1)
		}
	}
	a.mu.Unlock()
	a.demandUnderlay()
	a.watchPorts()
	for _, b := range a.bridges {
		b.tellControllers()
	}
}

// makeView builds a bridge's view from what the main loop knows.
func (b *Bridge) makeView() *view {
	v := &view{ports: map[openflow.PortNo]*pipeline.Port{}, of: map[openflow.PortNo]*bundle{}, byID: map[bundleID]*bundle{},
		indexes: map[openflow.PortNo]uint32{}, sampling: b.exporters.Load().sampling(), snooping: b.snooping,
		frag: b.FragHandling(), forwardBPDU: b.row.OtherConfig["forward-bpdu"] == "true"}
	bundles := map[*port]*bundle{}
	for _, i := range b.sortedIfaces() {
		if !i.up() {
			continue
		}
		p := &pipeline.Port{No: i.ofport, Name: i.name, ODP: i.odp, Config: b.configs.get(i.ofport), State: i.state(), DSCP: queueDSCP(i.port.row)}
		if i.patch() {
			p.Rx, p.Tx = &i.rx, &i.tx
			if peer := b.agent.peerOf(i); peer != nil {
				p.Peer, p.PeerPort = peer.bridge, peer.ofport
			}
		}
		if i.tunnel != nil {
			p.Rx, p.Tx, p.Tunnel = &i.rx, &i.tx, i.tunnel.pipeline()
		}
		if i.bfd != nil {
			p.Protocols = []pipeline.Protocol{i.bfd.protocol()}
		}
		v.ports[p.No] = p
		v.indexes[p.No] = uint32(max(0, i.info.Ifindex))
		v.order = append(v.order, p)
		o := bundles[i.port]
		if o == nil {
			o = &bundle{id: i.port.id, name: i.port.name, vlan: portVLAN(i.port.row), protected: i.port.row.Protected, snooping: newPortSnooping(i.port.row)}
			bundles[i.port] = o
			v.bundles = append(v.bundles, o)
			v.byID[o.id] = o
		}
		o.members = append(o.members, p)
		v.of[p.No] = o
	}
	b.viewMirrors(v)
	slices.SortFunc(v.order, func(x, y *pipeline.Port) int { return cmp.Compare(x.No, y.No) })
	slices.SortFunc(v.bundles, func(x, y *bundle) int { return cmp.Compare(x.name, y.name) })
	return v
}

// state are the OpenFlow port state bits.
func (i *iface) state() uint32 {
	switch {
	case !i.deviceless() && !i.info.LinkUp():
		return openflow.StateLinkDown
	case i.bfd != nil && !i.bfd.session.Status().Forwarding:
		return 0
	}
	return openflow.StateLive
}

// peerOf is the other end of a patch port: both must name each other.
func (a *Agent) peerOf(i *iface) *iface {
	peer := a.ifaceByName(i.row.Options["peer"])
	if peer == nil || !peer.patch() || !peer.up() || peer.row.Options["peer"] != i.name {
		return nil
	}
	return peer
}

// portVLAN reads the VLAN columns of a Port row.
func portVLAN(row *ovsdb.Port) vlan.Port {
	c := vlan.Config{Tag: row.Tag, Trunks: row.Trunks, CVLANs: row.CVLANs, Other: row.OtherConfig}
	if row.VLANMode != "" {
		c.Mode = &row.VLANMode
	}
	return vlan.New(c)
}

// configure brings names, addresses, MTUs and table sizes of a bridge to the configuration.
func (b *Bridge) configure() {
	var members []member
	smallest := 0
	for _, i := range b.sortedIfaces() {
		if i.dev == nil {
			continue
		}
		if i.row.MTURequest != nil {
			i.setMTU(*i.row.MTURequest)
		}
		if (i.typ == netdev.System || i.typ == netdev.Dummy) && !b.mirrorOutput(i.port.name) {
			members = append(members, member{i.name, i.info.MAC[:]})
		}
		follows := i.typ == netdev.Internal && i.row.MTURequest == nil
		if !follows && !i.gone && (smallest == 0 || i.info.MTU < smallest) {
			smallest = i.info.MTU
		}
	}
	mac, err := bridgeMAC(b.row.OtherConfig["hwaddr"], b.row.UUID, members)
	b.warn("hwaddr", err)
	b.mac = mac
	id, err := datapathID(b.row.OtherConfig["datapath-id"], mac)
	b.warn("datapath-id", err)
	if old := b.dpid.Swap(id); old != id {
		b.log.Infof("bridge %s: using datapath ID %016x", b.name, id)
	}
	b.macs.SetIdle(seconds(b.row.OtherConfig["mac-aging-time"], 300))
	b.macs.SetMax(number(b.row.OtherConfig["mac-table-size"], 8192))
	flood := make([]uint16, 0, len(b.row.FloodVLANs))
	for _, v := range b.row.FloodVLANs {
		flood = append(flood, uint16(v))
	}
	b.macs.SetFloodVLANs(flood)
	for _, i := range b.sortedIfaces() {
		i.settings(smallest)
		i.police()
		i.shape()
		i.configureBFD()
	}
}

// warn logs a configuration error of a key when it is new.
func (b *Bridge) warn(key string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && b.warned[key] != text {
		b.log.Errorf("bridge %s: %s", b.name, text)
	}
	b.warned[key] = text
}

// Reasons of port status messages (ofp_port_reason).
const (
	portAdded = iota
	portDeleted
)

// tellControllers sends port status for what changed since the last call.
func (b *Bridge) tellControllers() {
	now := map[openflow.PortNo]openflow.Port{}
	for _, p := range b.describePorts() {
		now[p.No] = p
	}
	old := b.told
	b.told = now
	b.descs.Store(&now)
	if old == nil {
		return
	}
	for _, no := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[no]; !ok {
			b.sw.PortStatus(portDeleted, old[no])
		}
	}
	for _, no := range slices.Sorted(maps.Keys(now)) {
		was, ok := old[no]
		switch {
		case !ok:
			b.sw.PortStatus(portAdded, now[no])
		case was != now[no]:
			b.sw.PortModified(was, now[no])
		}
	}
}
