package bridge

import (
	"errors"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/ipfix"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// defaultSampling is how many packets there are for one that is sampled (IPFIX.sampling).
const defaultSampling = 400

// exporters are the IPFIX exporters of a bridge. A reconfiguration replaces them whole.
type exporters struct {
	own  *exporter            // of Bridge.ipfix; nil: none
	sets map[uint32]*exporter // of Flow_Sample_Collector_Set, by id
}

// exporter is one with its configuration.
type exporter struct {
	*ipfix.Exporter
	config        ipfix.Config
	domain, point uint32
	rate          uint32 // of 2^32-1; 0: of a collector set
	input, output bool
	tunnels       bool // outer headers are exported
}

// configureSampling makes the exporters that the bridge's rows ask for, and keeps those that are as they should be.
func (b *Bridge) configureSampling(sets []*ovsdb.CollectorSet) {
	old := b.exporters.Load()
	now := &exporters{sets: map[uint32]*exporter{}}
	var errs []error
	reused := map[*ipfix.Exporter]bool{}
	export := func(row *ovsdb.IPFIX, was *exporter) *exporter {
		e, err := b.exporter(row, was)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		if e != nil {
			reused[e.Exporter] = true
		}
		return e
	}
	if b.row.IPFIX != nil {
		if now.own = export(b.row.IPFIX, old.own); now.own != nil {
			now.own.rate = max(1, math.MaxUint32/uint32(max(1, value(b.row.IPFIX.Sampling, defaultSampling))))
		}
	}
	for _, s := range sets {
		if s.Bridge != b.row.UUID || s.IPFIX == nil {
			continue
		}
		if e := export(s.IPFIX, old.sets[uint32(s.ID)]); e != nil {
			now.sets[uint32(s.ID)] = e
		}
	}
	b.exporters.Store(now)
	for _, e := range old.all() {
		if !reused[e.Exporter] {
			e.Close()
		}
	}
	b.warn("ipfix", errors.Join(errs...))
}

// exporter makes the exporter of a row, or takes the one that was when it is alike. nil: the row names no targets.
func (b *Bridge) exporter(row *ovsdb.IPFIX, was *exporter) (*exporter, error) {
	if len(row.Targets) == 0 {
		return nil, nil
	}
	second := func(n *int) time.Duration { return time.Duration(value(n, 0)) * time.Second }
	e := &exporter{
		config: ipfix.Config{
			Targets: row.Targets, ActiveTimeout: second(row.CacheActiveTimeout), MaxFlows: value(row.CacheMaxFlows, 0),
			VirtualID: row.OtherConfig["virtual_obs_id"], TemplateInterval: second(row.TemplateInterval), StatsInterval: second(row.StatsInterval),
		},
		domain: uint32(value(row.ObsDomainID, 0)), point: uint32(value(row.ObsPointID, 0)),
		input: row.OtherConfig["enable-input-sampling"] != "false", output: row.OtherConfig["enable-output-sampling"] != "false",
		tunnels: row.OtherConfig["enable-tunnel-sampling"] != "false",
	}
	if was != nil && reflect.DeepEqual(was.config, e.config) {
		e.Exporter = was.Exporter
		return e, nil
	}
	c := e.config
	b.agent.exporters++
	c.Clock, c.Process = b.agent.o.Clock, b.agent.exporters
	var warning, err error
	if e.Exporter, warning, err = ipfix.New(c); err != nil {
		return nil, errors.Join(warning, err)
	}
	if warning != nil {
		b.log.Warnf("bridge %s: %v", b.name, warning)
	}
	return e, nil
}

// value is a column's, or its default.
func value(p *int, def int) int {
	if p == nil {
		return def
	}
	return *p
}

// closeSampling ends the bridge's exporters.
func (b *Bridge) closeSampling() {
	for _, e := range b.exporters.Swap(&exporters{}).all() {
		e.Close()
	}
}

// all are the exporters of a bridge.
func (x *exporters) all() (list []*exporter) {
	if x.own != nil {
		list = append(list, x.own)
	}
	for _, e := range x.sets {
		list = append(list, e)
	}
	return list
}

// sampling is what translations see of the exporters; nil: there are none.
func (x *exporters) sampling() *pipeline.Sampling {
	if x.own == nil && len(x.sets) == 0 {
		return nil
	}
	s := &pipeline.Sampling{}
	if x.own != nil {
		s.Probability, s.Input, s.Output = x.own.rate, x.own.input, x.own.output
	}
	return s
}

// Sampling implements pipeline.Bridge.
func (b *Bridge) Sampling() *pipeline.Sampling { return b.view.Load().sampling }

// Sampled implements pipeline.Bridge.
func (b *Bridge) Sampled(s *pipeline.Sample) {
	x := b.exporters.Load()
	out := ipfix.Sample{Key: &s.Key, Data: s.Packet.Data, Egress: s.Egress, Dropped: s.Dropped}
	e := x.own
	if s.Bridge {
		if e == nil {
			return
		}
		out.Domain, out.Point, out.Weight = e.domain, e.point, math.MaxUint32/uint64(e.rate)
	} else {
		if e = x.sets[s.Action.CollectorSet]; e == nil || s.Action.Probability == 0 {
			return
		}
		out.Domain, out.Point, out.Weight = s.Action.ObsDomain, s.Action.ObsPoint, math.MaxUint16/uint64(s.Action.Probability)
	}
	v := b.view.Load()
	out.In = v.sampledPort(s.InPort)
	if s.OutPort != openflow.PortAny {
		p := v.sampledPort(s.OutPort)
		out.Out = &p
	}
	if e.tunnels {
		out.Tunnel = v.sampledTunnel(s)
	}
	e.Sample(&out)
}

// sampledPort is a port for exporters.
func (v *view) sampledPort(no openflow.PortNo) ipfix.Port {
	p := ipfix.Port{Index: v.indexes[no]}
	if port := v.ports[no]; port != nil {
		p.Name = port.Name
	}
	return p
}

// tunnelTypes are the kinds of tunnels that records can tell of.
var tunnelTypes = map[string]struct {
	kind     uint8
	protocol uint8
	keyLen   int
}{
	"vxlan":  {ipfix.TunnelVXLAN, 17, 3},
	"geneve": {ipfix.TunnelGeneve, 17, 3},
	"gre":    {ipfix.TunnelGRE, 47, 4},
	"ip6gre": {ipfix.TunnelGRE, 47, 4},
}

// sampledTunnel is the outer header of a sampled packet: that which it is to get, or had when it came in; nil: none.
func (v *view) sampledTunnel(s *pipeline.Sample) *ipfix.Tunnel {
	t := &ipfix.Tunnel{Src: s.Tunnel.Src, Dst: s.Tunnel.Dst, DstPort: s.Tunnel.DstPort}
	typ, id := s.Tunnel.Type, s.Tunnel.ID
	if in := v.ports[s.InPort]; typ == "" && s.OutPort == openflow.PortAny && in != nil && in.Tunnel != nil {
		a := pipeline.ArrivalOf(&s.Key)
		typ, id = in.Tunnel.Type, a.ID
		t.Src, t.Dst = a.Src, a.Dst
		t.SrcPort, t.DstPort = uint16(s.Key.Get(flow.TunTPSrc)), uint16(s.Key.Get(flow.TunTPDst))
	}
	kind, ok := tunnelTypes[typ]
	if !ok || !t.Dst.IsValid() {
		return nil
	}
	t.Type, t.Protocol = kind.kind, kind.protocol
	for i := kind.keyLen - 1; i >= 0; i-- {
		t.Key = append(t.Key, byte(id>>(8*i)))
	}
	return t
}

// ipfixStats are the counters for OpenFlow: of the bridge's own exporter, or of the collector sets.
func (b *Bridge) ipfixStats(sets bool) (list []openflow.IPFIXStats) {
	x := b.exporters.Load()
	if !sets {
		if x.own != nil {
			list = append(list, ipfixStats(x.own, 0))
		}
		return list
	}
	for _, id := range slices.Sorted(maps.Keys(x.sets)) {
		list = append(list, ipfixStats(x.sets[id], id))
	}
	return list
}

func ipfixStats(e *exporter, set uint32) openflow.IPFIXStats {
	s := e.Stats()
	return openflow.IPFIXStats{
		Flows: s.Flows, Current: s.Current, Packets: s.Packets, IPv4: s.IPv4, IPv6: s.IPv6,
		Errors: s.Errors, IPv4Errors: s.IPv4Errors, IPv6Errors: s.IPv6Errors, Sent: s.Sent, NotSent: s.NotSent, CollectorSet: set,
	}
}
