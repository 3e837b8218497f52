package ovsdb

import (
	"cmp"
	"errors"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ovs-bpf/ovs-bpf/ovsdb/models"
)

// source is where rows come from: a replica, by table.
type source func(table string) map[string]model.Model

// errTorn says that a row was deleted between two reads.
var errTorn = errors.New("rows changed while they were read")

// errNoRoot says that the database has no Open_vSwitch row yet.
var errNoRoot = errors.New("table Open_vSwitch has no row")

// builder makes snapshots out of rows and remembers the last one's ports and interfaces, which are the rows
// that there are thousands of.
type builder struct {
	ports  map[string]builtPort
	ifaces map[string]builtInterface
}

type builtInterface struct {
	row   model.Model
	iface *Interface
}

type builtPort struct {
	row  model.Model
	port *Port
}

// build reads a snapshot. Between the reads of two tables the rows may change; the order makes that harmless:
// next_cfg is read first, so that what follows is at least as new; a table is read after those that refer
// to it, so that a missing row is one that has been deleted since, which is errTorn.
func (b *builder) build(rows source) (*Snapshot, error) {
	var root *models.OpenvSwitch
	for _, r := range rows("Open_vSwitch") {
		root = expand[models.OpenvSwitch](r)
	}
	if root == nil {
		return nil, errNoRoot
	}
	g := &build{builder: b, source: rows, tables: map[string]map[string]model.Model{},
		ports: map[string]builtPort{}, ifaces: map[string]builtInterface{}}
	// All tables are read now, the ones that refer before those that are referred to.
	for _, t := range []string{"Bridge", "Flow_Sample_Collector_Set", "Datapath", "Port", "Interface", "QoS", "Queue", "Controller", "Mirror",
		"Flow_Table", "NetFlow", "sFlow", "IPFIX", "CT_Zone", "CT_Timeout_Policy", "SSL"} {
		g.tables[t] = rows(t)
	}
	s := &Snapshot{
		UUID: root.UUID, NextCfg: root.NextCfg, CurCfg: root.CurCfg, OtherConfig: root.OtherConfig, ExternalIDs: root.ExternalIDs,
		Datapaths: map[string]*Datapath{},
	}
	for _, u := range root.Bridges {
		if r := g.row("Bridge", u); r != nil {
			s.Bridges = append(s.Bridges, g.bridge(expand[models.Bridge](r)))
		}
	}
	slices.SortFunc(s.Bridges, func(x, y *Bridge) int { return cmp.Compare(x.Name, y.Name) })
	for typ, u := range root.Datapaths {
		if r := g.row("Datapath", u); r != nil {
			s.Datapaths[typ] = g.datapath(expand[models.Datapath](r))
		}
	}
	for _, r := range g.tables["Flow_Sample_Collector_Set"] {
		c := expand[models.FlowSampleCollectorSet](r)
		s.CollectorSets = append(s.CollectorSets, &CollectorSet{UUID: c.UUID, ID: c.ID, Bridge: c.Bridge, IPFIX: g.ipfix(c.IPFIX), LocalGroupID: c.LocalGroupID})
	}
	slices.SortFunc(s.CollectorSets, func(x, y *CollectorSet) int { return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Bridge, y.Bridge)) })
	if root.SSL != nil {
		if r := g.row("SSL", *root.SSL); r != nil {
			c := expand[models.SSL](r)
			s.SSL = &SSL{UUID: c.UUID, PrivateKey: c.PrivateKey, Certificate: c.Certificate, CACert: c.CaCert, BootstrapCACert: c.BootstrapCaCert}
		}
	}
	if g.torn {
		return s, errTorn
	}
	b.ports, b.ifaces = g.ports, g.ifaces
	return s, nil
}

// build is one run of a builder.
type build struct {
	*builder
	source source
	tables map[string]map[string]model.Model
	ports  map[string]builtPort
	ifaces map[string]builtInterface
	torn   bool
}

func (g *build) row(table, uuid string) model.Model {
	r := g.tables[table][uuid]
	if r == nil {
		g.torn = true
	}
	return r
}

func (g *build) bridge(r *models.Bridge) *Bridge {
	b := &Bridge{
		UUID: r.UUID, Name: r.Name, DatapathType: r.DatapathType, FailMode: text(r.FailMode), Protocols: r.Protocols,
		OtherConfig: r.OtherConfig, ExternalIDs: r.ExternalIDs, FloodVLANs: r.FloodVLANs, STPEnable: r.STPEnable,
		RSTPEnable: r.RSTPEnable, McastSnoopingEnable: r.McastSnoopingEnable, IPFIX: g.ipfix(r.IPFIX),
		Ports: make([]*Port, 0, len(r.Ports)),
	}
	for _, u := range r.Ports {
		if p := g.port(u); p != nil {
			b.Ports = append(b.Ports, p)
		}
	}
	slices.SortFunc(b.Ports, func(x, y *Port) int { return cmp.Compare(x.Name, y.Name) })
	for _, u := range r.Controller {
		if c := g.row("Controller", u); c != nil {
			b.Controllers = append(b.Controllers, controller(expand[models.Controller](c)))
		}
	}
	slices.SortFunc(b.Controllers, func(x, y *Controller) int {
		return cmp.Or(cmp.Compare(x.Target, y.Target), cmp.Compare(x.UUID, y.UUID))
	})
	for _, u := range r.Mirrors {
		if m := g.row("Mirror", u); m != nil {
			b.Mirrors = append(b.Mirrors, mirror(expand[models.Mirror](m)))
		}
	}
	slices.SortFunc(b.Mirrors, func(x, y *Mirror) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.UUID, y.UUID)) })
	b.FlowTables = g.flowTables(r.FlowTables)
	if r.Netflow != nil {
		if n := g.row("NetFlow", *r.Netflow); n != nil {
			f := expand[models.NetFlow](n)
			b.NetFlow = &NetFlow{UUID: f.UUID, Targets: f.Targets, EngineType: f.EngineType, EngineID: f.EngineID,
				AddIDToInterface: f.AddIDToInterface, ActiveTimeout: f.ActiveTimeout}
		}
	}
	if r.Sflow != nil {
		if n := g.row("sFlow", *r.Sflow); n != nil {
			f := expand[models.SFlow](n)
			b.SFlow = &SFlow{UUID: f.UUID, Targets: f.Targets, Agent: text(f.Agent), Header: f.Header, Polling: f.Polling, Sampling: f.Sampling}
		}
	}
	return b
}

// flowTables makes one FlowTable per row: all 255 tables may share one.
func (g *build) flowTables(refs map[int]string) map[int]*FlowTable {
	made, tables := map[string]*FlowTable{}, make(map[int]*FlowTable, len(refs))
	for id, u := range refs {
		if made[u] == nil {
			r := g.row("Flow_Table", u)
			if r == nil {
				continue
			}
			t := expand[models.FlowTable](r)
			made[u] = &FlowTable{UUID: t.UUID, Name: text(t.Name), FlowLimit: t.FlowLimit, OverflowPolicy: text(t.OverflowPolicy), Groups: t.Groups, Prefixes: t.Prefixes}
		}
		tables[id] = made[u]
	}
	return tables
}

func (g *build) port(uuid string) *Port {
	row := g.row("Port", uuid)
	if row == nil {
		return nil
	}
	r := expand[models.Port](row)
	ifaces := make([]*Interface, 0, len(r.Interfaces))
	for _, u := range r.Interfaces {
		if i := g.iface(u); i != nil {
			ifaces = append(ifaces, i)
		}
	}
	slices.SortFunc(ifaces, func(x, y *Interface) int { return cmp.Compare(x.Name, y.Name) })
	if old, ok := g.builder.ports[uuid]; ok && old.row == row && r.QOS == nil && slices.Equal(old.port.Interfaces, ifaces) {
		g.ports[uuid] = old
		return old.port
	}
	p := &Port{
		UUID: r.UUID, Name: r.Name, Interfaces: ifaces, Tag: r.Tag, Trunks: r.Trunks, VLANMode: text(r.VLANMode), CVLANs: r.CVLANs,
		QoS: g.qos(r.QOS), MAC: text(r.MAC), BondMode: text(r.BondMode), LACP: text(r.LACP), BondUpdelay: r.BondUpdelay,
		BondDowndelay: r.BondDowndelay, BondFakeIface: r.BondFakeIface, BondActiveSlave: text(r.BondActiveSlave),
		FakeBridge: r.FakeBridge, Protected: r.Protected, OtherConfig: r.OtherConfig, ExternalIDs: r.ExternalIDs,
	}
	g.ports[uuid] = builtPort{row, p}
	return p
}

func (g *build) iface(uuid string) *Interface {
	row := g.row("Interface", uuid)
	if row == nil {
		return nil
	}
	if old, ok := g.builder.ifaces[uuid]; ok && old.row == row {
		g.ifaces[uuid] = old
		return old.iface
	}
	r := expand[models.Interface](row)
	i := &Interface{
		UUID: r.UUID, Name: r.Name, Type: r.Type, OFPortRequest: r.OfportRequest, OFPort: r.Ofport, MAC: text(r.MAC), MTURequest: r.MTURequest,
		Options: r.Options, OtherConfig: r.OtherConfig, ExternalIDs: r.ExternalIDs, BFD: r.BFD, LLDP: r.LLDP, CFMMPID: r.CFMMpid,
		IngressPolicingRate: r.IngressPolicingRate, IngressPolicingBurst: r.IngressPolicingBurst,
		IngressPolicingKpktsRate: r.IngressPolicingKpktsRate, IngressPolicingKpktsBurst: r.IngressPolicingKpktsBurst,
	}
	g.ifaces[uuid] = builtInterface{row, i}
	return i
}

func (g *build) qos(uuid *string) *QoS {
	if uuid == nil {
		return nil
	}
	row := g.row("QoS", *uuid)
	if row == nil {
		return nil
	}
	r := expand[models.QoS](row)
	q := &QoS{UUID: r.UUID, Type: r.Type, OtherConfig: r.OtherConfig, Queues: make(map[int]*Queue, len(r.Queues))}
	for n, u := range r.Queues {
		if row := g.row("Queue", u); row != nil {
			c := expand[models.Queue](row)
			q.Queues[n] = &Queue{UUID: c.UUID, DSCP: c.DSCP, OtherConfig: c.OtherConfig}
		}
	}
	return q
}

func (g *build) ipfix(uuid *string) *IPFIX {
	if uuid == nil {
		return nil
	}
	row := g.row("IPFIX", *uuid)
	if row == nil {
		return nil
	}
	r := expand[models.IPFIX](row)
	return &IPFIX{
		UUID: r.UUID, Targets: r.Targets, Sampling: r.Sampling, ObsDomainID: r.ObsDomainID, ObsPointID: r.ObsPointID,
		CacheActiveTimeout: r.CacheActiveTimeout, CacheMaxFlows: r.CacheMaxFlows, StatsInterval: r.StatsInterval,
		TemplateInterval: r.TemplateInterval, OtherConfig: r.OtherConfig,
	}
}

func (g *build) datapath(r *models.Datapath) *Datapath {
	d := &Datapath{UUID: r.UUID, CTZoneDefaultLimit: r.CTZoneDefaultLimit, CTZones: make(map[int]*CTZone, len(r.CTZones))}
	for zone, u := range r.CTZones {
		row := g.row("CT_Zone", u)
		if row == nil {
			continue
		}
		z := expand[models.CTZone](row)
		c := &CTZone{UUID: z.UUID, Limit: z.Limit}
		if z.TimeoutPolicy != nil {
			if p := g.row("CT_Timeout_Policy", *z.TimeoutPolicy); p != nil {
				c.Timeouts = expand[models.CTTimeoutPolicy](p).Timeouts
			}
		}
		d.CTZones[zone] = c
	}
	return d
}

func controller(r *models.Controller) *Controller {
	return &Controller{
		UUID: r.UUID, Target: r.Target, Type: text(r.Type), ConnectionMode: text(r.ConnectionMode), MaxBackoff: r.MaxBackoff,
		InactivityProbe: r.InactivityProbe, EnableAsyncMessages: r.EnableAsyncMessages, ControllerQueueSize: r.ControllerQueueSize,
		ControllerRateLimit: r.ControllerRateLimit, ControllerBurstLimit: r.ControllerBurstLimit, LocalIP: text(r.LocalIP),
		LocalNetmask: text(r.LocalNetmask), LocalGateway: text(r.LocalGateway), OtherConfig: r.OtherConfig,
	}
}

func mirror(r *models.Mirror) *Mirror {
	return &Mirror{
		UUID: r.UUID, Name: r.Name, SelectAll: r.SelectAll, SelectSrcPort: r.SelectSrcPort, SelectDstPort: r.SelectDstPort,
		SelectVLAN: r.SelectVLAN, OutputPort: text(r.OutputPort), OutputVLAN: r.OutputVLAN, Snaplen: r.Snaplen, Filter: text(r.Filter),
	}
}

// text is an optional string, "" if it is absent.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
