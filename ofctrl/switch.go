// Package ofctrl is the switch side of OpenFlow connections: the service socket of a bridge, its
// controllers, and the messages between them and the flow tables.
//
// Lock order: the Switch's meterMu, Options.Mu, which guards the flow tables, then the Switch's mu. Messages are
// decoded, encoded, read and written with neither of them held.
package ofctrl

import (
	"cmp"
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Host is what a switch asks of its bridge. Calls come from the goroutines of connections and of
// Run, with no lock held.
type Host interface {
	DatapathID() uint64
	// Ports lists the ports in the order in which they are shown.
	Ports() []openflow.Port
	// PortStats returns the counters of a port, of all with PortAny; none when there is no such port.
	PortStats(openflow.PortNo) []openflow.PortStats
	// Queues lists the queues of a port, of all with PortAny.
	Queues(port openflow.PortNo) []QueueID
	// QueueStats returns the counters of a queue, or of all (PortAny, QueueAll).
	QueueStats(port openflow.PortNo, queue uint32) []openflow.QueueStats
	// SetPortConfig changes the bits of mask. Errors wrap an openflow.Err.
	SetPortConfig(port openflow.PortNo, config, mask uint32) error
	// PacketOut executes actions on a packet. Errors wrap an openflow.Err.
	PacketOut(*openflow.PacketOut) error
	// Resume goes on with a packet that waited for its controller. Errors wrap an openflow.Err.
	Resume(*openflow.Resume, *openflow.Continuation) error
	// SetFragHandling sets one of openflow.FragNormal, FragDrop, FragNXMatch.
	SetFragHandling(uint16)
	// TablesChanged tells that the flow tables are not what they were.
	TablesChanged()
}

// QueueID is a queue of a port.
type QueueID struct {
	Port  openflow.PortNo
	Queue uint32
}

// QueueAll is all queues of a port.
const QueueAll uint32 = 0xffffffff

// Options configure New.
type Options struct {
	Bridge string // its name
	RunDir string // where Bridge.mgmt is made
	// Mu guards Tables.
	Mu     *sync.RWMutex
	Tables *table.Tables
	// Meters are those of the datapath, which bridges share; nil: it has none.
	Meters *datapath.Meters
	// Conntrack has the connections of the datapath; nil: it tracks none.
	Conntrack conntrack.Control
	Host      Host
	Log       *logrus.Entry
	Clock     clock.Clock
	// TLS names the files of ssl: and pssl: connections as they are now; nil: there are none.
	TLS func() tlsfiles.Files
	// AnySocketPath allows controllers on Unix sockets anywhere (--no-self-confinement).
	AnySocketPath bool
	// Count, when not nil, counts events by OVS's coverage names.
	Count func(event string, n uint64)
	// IPFIX, when not nil, are the counters of the bridge's own exporter, or of its collector sets; none when there is none.
	IPFIX func(sets bool) []openflow.IPFIXStats
	// Features, when not nil, are what flows may want of the datapath; it takes Mu for reading.
	Features func() datapath.Features
	// Changed, when not nil, is called without locks when Status may have changed.
	Changed func()
}

// AllVersions is the protocols bitmap of a bridge that does not restrict them.
const AllVersions uint32 = 1<<openflow.V10 | 1<<openflow.V11 | 1<<openflow.V12 | 1<<openflow.V13 | 1<<openflow.V14 | 1<<openflow.V15

// Switch is one bridge's OpenFlow switch.
type Switch struct {
	listening chan struct{}
	listened  func() // closes listening
	o         Options
	log       *logrus.Entry
	news      limiter // of what peers do wrong

	meterMu sync.Mutex // held while meters change; taken before Options.Mu

	mu         sync.Mutex
	ctx        context.Context // of Run; nil before and after it
	versions   uint32
	standalone bool
	frag       uint16
	desc       openflow.DescReply
	conns      map[*conn]struct{}
	portMods   map[openflow.PortNo]ownMod // whose effect is not seen yet
	remotes    map[string]*remote         // by target
	generation uint64                     // of roles
	hasGen     bool
	failOpen   bool
	restoring  bool
	orphaned   time.Time // since when no controller is connected; zero: one is
	wg         sync.WaitGroup

	changes uint64 // of flows, while there are monitors: guarded by Options.Mu
}

// New makes a switch with empty tables' default flow. It does nothing until Run.
func New(o Options) *Switch {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	s := &Switch{
		o: o, log: o.Log, versions: AllVersions, standalone: true,
		conns: make(map[*conn]struct{}), portMods: make(map[openflow.PortNo]ownMod), remotes: make(map[string]*remote),
	}
	s.listening = make(chan struct{})
	s.listened = sync.OnceFunc(func() { close(s.listening) })
	s.SetDescription("", "")
	o.Mu.Lock()
	s.addDefaultFlow()
	o.Mu.Unlock()
	return s
}

// Listening is closed when Run has made the bridge's service socket, or could not.
func (s *Switch) Listening() <-chan struct{} { return s.listening }

// Run serves until ctx ends, and returns nil then; it closes all connections and waits for its goroutines.
func (s *Switch) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	defer s.listened()

	s.mu.Lock()
	s.ctx = ctx
	for _, r := range s.remotes {
		s.start(r)
	}
	s.orphaned = s.o.Clock.Now()
	s.mu.Unlock()

	mgmt := newRemote(s, ControllerConfig{
		Target: "punix:" + filepath.Join(s.o.RunDir, s.o.Bridge+".mgmt"), InactivityProbe: new(serviceProbe),
	}, true)
	mgmt.opened = s.listened
	s.start(mgmt)
	s.wg.Go(func() { s.serveSnoops(ctx) })

	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.ctx = nil
			s.mu.Unlock()
			return nil
		case <-s.o.Clock.After(time.Second):
			if !s.isRestoring() {
				s.Expire()
			}
			s.expireBundles()
			s.checkFailOpen()
		}
	}
}

// serviceProbe is the inactivity probe of connections that come in.
const serviceProbe = 60 * time.Second

// start runs a remote under Run's context; s.mu is held, or nobody else knows s yet.
func (s *Switch) start(r *remote) {
	if s.ctx == nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	r.stop = cancel
	s.wg.Go(func() {
		defer cancel()
		r.run(ctx)
	})
}

// SetProtocols sets the versions that may be negotiated, a bitmap of 1<<version; 0 means all.
// Connections that speak another are closed.
func (s *Switch) SetProtocols(versions uint32) {
	versions &= AllVersions
	if versions == 0 {
		versions = AllVersions
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = versions
	for c := range s.conns {
		if versions&(1<<c.version) == 0 {
			c.close("protocols of the bridge changed")
		}
	}
}

// Expire removes flows whose time is over and tells controllers. Run does so every second.
func (s *Switch) Expire() {
	s.o.Mu.Lock()
	gone := s.o.Tables.Expire(s.o.Clock.Now())
	s.announce(gone, nil)
	s.o.Mu.Unlock()
	if len(gone) > 0 {
		s.count("ofproto_dpif_expired", uint64(len(gone)))
		s.o.Host.TablesChanged()
	}
}

// version is the release of OVS that the switch presents itself as.
const version = "3.7.0"

// SetDescription sets what the description of the switch says of its datapath and serial number
// (other_config:dp-desc and dp-sn).
func (s *Switch) SetDescription(datapath, serial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desc = openflow.DescReply{
		Manufacturer: "Nicira, Inc.", Hardware: "Open vSwitch", Software: version,
		Serial: cmp.Or(serial, "None"), Datapath: cmp.Or(datapath, "None"),
	}
}

// count counts an event.
func (s *Switch) count(event string, n uint64) {
	if s.o.Count != nil {
		s.o.Count(event, n)
	}
}

// changed tells the owner.
func (s *Switch) changed() {
	if s.o.Changed != nil {
		s.o.Changed()
	}
}
