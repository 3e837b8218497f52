package bridge

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/ofctrl"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// Bridge is one bridge: its ports, its MAC table, its OpenFlow switch. The main loop owns all but what is
// said to be shared.
type Bridge struct {
	agent *Agent
	name  string
	uuid  uuid.UUID // of this bridge in this run of the daemon, not of its row
	log   *logrus.Entry

	row        *ovsdb.Bridge
	ports      map[string]*port
	ifaces     map[string]*iface
	numbers    *ofports
	lastBundle bundleID
	mac        net.HardwareAddr
	warned     map[string]string                 // configuration errors that were logged, by key
	snooping   *snooping                         // of multicast; nil: off
	mirrors    [maxMirrors]*mirror               // nil: the place is free
	grumbles   map[complaint]bool                // about mirrors, that were logged
	refusals   map[string]bool                   // unsupported configuration that was logged
	told       map[openflow.PortNo]openflow.Port // ports as controllers know them

	// Shared with translations and controllers' connections.
	macs       *mac.Table[bundleID]
	flowTables map[int]table.Config // what has been configured, by table
	tables     *table.Tables
	sw         *ofctrl.Switch
	ctx        context.Context // of the switch: ends before stop waits, so that calls into the main loop return
	serve      func()          // starts the switch
	stop       func()
	dpid       atomic.Uint64
	view       atomic.Pointer[view] // written under Agent.mu
	version    version
	frag       atomic.Uint32
	configs    portConfigs
	descs      portDescs
	exporters  atomic.Pointer[exporters]
}

// Name implements pipeline.Bridge.
func (b *Bridge) Name() string { return b.name }

// UUID implements pipeline.Bridge.
func (b *Bridge) UUID() [16]byte { return b.uuid }

// Tables implements pipeline.Bridge.
func (b *Bridge) Tables() *table.Tables { return b.tables }

// Config implements pipeline.Bridge.
func (b *Bridge) Config() datapath.Versioned { return &b.version }

// PortByNo implements pipeline.Bridge.
func (b *Bridge) PortByNo(no openflow.PortNo) *pipeline.Port { return b.view.Load().ports[no] }

// EachPort implements pipeline.Bridge.
func (b *Bridge) EachPort(f func(*pipeline.Port)) {
	for _, p := range b.view.Load().order {
		f(p)
	}
}

// FragHandling implements pipeline.Bridge.
func (b *Bridge) FragHandling() uint16 { return uint16(b.frag.Load()) }

// DatapathID implements pipeline.Bridge and ofctrl.Host.
func (b *Bridge) DatapathID() uint64 { return b.dpid.Load() }

// PacketIn implements pipeline.Bridge.
func (b *Bridge) PacketIn(p *pipeline.PacketIn) {
	b.agent.count("packet_in", 1)
	b.sw.SendPacketIn(&ofctrl.PacketIn{PacketIn: p.PacketIn, MaxLen: p.MaxLen, ControllerID: p.ControllerID, InPort: p.InPort})
}

// Learn implements pipeline.Bridge.
func (b *Bridge) Learn(fm *openflow.FlowMod, limit uint32) { b.sw.Learn(fm, limit) }
