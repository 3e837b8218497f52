// Package bridge makes the desired configuration true: bridges, ports and interfaces. It owns an
// OpenFlow switch and its pipeline per bridge, answers what OpenFlow leaves to a bridge, and gathers status.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/underlay"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// Intervals of the main loop (ovs-vswitchd.conf.db(5), stats-update-interval).
const (
	statsInterval       = 5 * time.Second
	maintenanceInterval = time.Second
	peerTicks           = 3 // maintenances between two looks at the peers of veths
)

// Database is where the configuration comes from and the status goes to; *ovsdb.Client is one.
type Database interface {
	Snapshots() <-chan *ovsdb.Snapshot
	Write(context.Context, *ovsdb.Status) error
}

// Options make an Agent.
type Options struct {
	RunDir   string
	Datapath datapath.Datapath
	// DatapathTypes are the values of Bridge.datapath_type that are served; "" is "system".
	DatapathTypes []string
	Devices       netdev.Provider
	// Host has the routes that tunnels take; NoSystemRoutes leaves only those that users add (--disable-system-route).
	Host           underlay.Host
	NoSystemRoutes bool
	Database       Database
	Clock          clock.Clock
	// Mono is now on the clock of datapath.FlowStats.Used.
	Mono func() int64
	// Log makes a module's log.
	Log func(module string) *logrus.Entry
	// Count adds to a coverage counter.
	Count func(name string, n uint64)
	// AnyControllerPath allows controllers' unix sockets outside RunDir (--no-self-confinement).
	AnyControllerPath bool
	// TLS names the files of ssl: and pssl: controllers while the database has no SSL row.
	TLS tlsfiles.Files
	// TunnelDevices are the kernel's of tunnels; nil: there are none, and all tunnels are native.
	TunnelDevices TunnelDevices
	// Configured is called once, when the first configuration is in force and committed.
	Configured func()
}

// Agent is all bridges of one datapath.
type Agent struct {
	o     Options
	log   *logrus.Entry
	count func(string, uint64)

	// tls are the files of ssl: and pssl: controllers as configured now.
	tls atomic.Pointer[tlsfiles.Files]

	// mu is the one lock of rule 3 of the architecture: translations hold it for reading; flow mods and the
	// publishing of a new configuration for writing, without I/O.
	mu         sync.RWMutex
	translator *pipeline.Translator
	engine     *datapath.Engine
	meters     *datapath.Meters  // nil: the datapath has none
	conns      conntrack.Control // nil: the datapath tracks none
	zones      ctZones           // what of the database is in force there
	underlay   *underlay.Underlay
	monitor    *monitor
	// portRefs says whose a datapath port is; replaced whole.
	portRefs     atomic.Pointer[map[odp.Port]portRef]
	tunnelRefs   atomic.Pointer[tunnelRefs] // the same of tunnels' ports
	portsVersion version
	byUUID       sync.Map // of all *Bridge that run, by [16]byte

	// The main loop owns what follows.
	bridges map[string]*Bridge
	bfdLog  *logrus.Entry
	bfdMade int                 // sessions so far
	watched map[odp.Port]bool   // datapath ports with sessions
	refused map[string]error    // bridges that cannot be made
	adopted map[string]odp.Port // datapath ports of an earlier run, by device name; nil after the first sweep
	swept   bool
	tunnels tunnelPorts
	// tunnelWarned is the value of other_config:tunnel-mode that was complained about.
	tunnelWarned string
	serving      bool // the engine answers misses
	restore      restore
	hold         *hold // nil: adopted megaflows are like others
	snap         *ovsdb.Snapshot
	calls        chan func()
	writes       chan *ovsdb.Status
	dirty        chan struct{}
	done         chan struct{}
	cleanup      bool // remove everything at the end
	leaving      bool // Exit was called
	curCfg       *int // the last cur_cfg reported
	// exporters counts the IPFIX exporters that were made: each is an exporting process.
	exporters uint32
	ctx       context.Context // ends with Run: for calls from connections
}

type portRef struct {
	bridge *Bridge
	port   *pipeline.Port
}

// New makes an agent over a datapath, adopting the ports that the datapath has.
func New(o Options) (*Agent, error) {
	a := &Agent{
		o: o, log: o.Log("bridge"), count: o.Count, bfdLog: o.Log("bfd"), monitor: newMonitor(o.Clock),
		bridges: map[string]*Bridge{}, refused: map[string]error{}, adopted: map[string]odp.Port{}, tunnels: tunnelPorts{},
		calls: make(chan func()), writes: make(chan *ovsdb.Status, 1), dirty: make(chan struct{}, 1), done: make(chan struct{}),
	}
	a.portRefs.Store(&map[odp.Port]portRef{})
	a.tunnelRefs.Store(&tunnelRefs{})
	ports, err := o.Datapath.Ports()
	if err != nil {
		return nil, fmt.Errorf("list the ports of datapath %s: %w", o.Datapath.Name(), err)
	}
	for _, p := range ports {
		if p.Number != 0 { // the datapath's own
			a.adopted[p.Name] = p.Number
		}
	}
	a.translator = pipeline.New(pipeline.Options{
		Lookup: a.lookup, Receive: a.receive, Bridge: a.bridgeByUUID, Ports: &a.portsVersion, Mu: &a.mu, Clock: o.Clock, Features: o.Datapath.Features(), Count: o.Count,
	})
	a.underlay = a.newUnderlay()
	a.engine, err = datapath.NewEngine(datapath.EngineOptions{
		Datapath: o.Datapath, Translator: a.translator, Clock: o.Clock, Mono: o.Mono, Count: o.Count, Resolver: a.underlay,
	})
	if err != nil {
		return nil, fmt.Errorf("adopt the flows of datapath %s: %w", o.Datapath.Name(), err)
	}
	a.translator.SkipNames(a.engine.AdoptedNames())
	if ct, ok := o.Datapath.(datapath.Conntracker); ok {
		a.conns = ct.Conntrack()
	}
	if dp, ok := o.Datapath.(datapath.Meterer); ok {
		a.meters = datapath.NewMeters(dp)
		a.engine.HoldMeters(a.meters)
	}
	return a, nil
}

// bridgeByUUID finds a bridge that a continuation names.
func (a *Agent) bridgeByUUID(id [16]byte) pipeline.Bridge {
	if b, ok := a.byUUID.Load(id); ok {
		return b.(*Bridge)
	}
	return nil
}

// lookup says which bridge and OpenFlow port a datapath port is.
func (a *Agent) lookup(no odp.Port) (pipeline.Bridge, *pipeline.Port) {
	ref, ok := (*a.portRefs.Load())[no]
	if !ok {
		return nil, nil
	}
	return ref.bridge, ref.port
}

// Run works until ctx ends, or until Exit asks for the end. Bridges, devices and flows stay in the kernel
// unless the exit was asked to clean up.
func (a *Agent) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	a.ctx = ctx
	events, err := a.o.Devices.Watch(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("watch network devices: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { a.writer(ctx) })
	blind := make(chan error, 1)
	wg.Go(func() { blind <- a.underlay.Run(ctx) })
	wg.Go(func() { a.monitor.run(ctx) })
	engineCtx, stopEngine := context.WithCancel(ctx)
	defer func() {
		close(a.done)
		for _, b := range a.bridges {
			b.halt(a.cleanup)
		}
		stopEngine()
		cancel()
		wg.Wait()
	}()
	stats, maintenance := a.o.Clock.After(statsInterval), a.o.Clock.After(maintenanceInterval)
	for ticks := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-blind:
			return err
		case f := <-a.calls:
			f()
			if a.leaving {
				return nil
			}
		case s := <-a.o.Database.Snapshots():
			a.snap = s
			a.followRestore(restoring(s))
			a.engine.Configure(engineConfig(s))
			a.reconcile(s)
			if !a.serving {
				a.beginHold(s)
				// Misses are answered only now: before, there is no bridge that they belong to.
				a.serving = true
				wg.Go(func() { a.engine.Run(engineCtx) })
			}
			a.engine.Kick()
			a.report(true)
		case e, ok := <-events:
			if !ok {
				return fmt.Errorf("network devices cannot be watched any more")
			}
			a.deviceChanged(e, events)
		case <-a.dirty:
			a.followLiveness()
			a.report(false)
		case <-stats:
			stats = a.o.Clock.After(a.statsEvery())
			a.report(false)
		case <-maintenance:
			maintenance = a.o.Clock.After(maintenanceInterval)
			a.remindOfRestore()
			a.followHold()
			ticks++
			for _, b := range a.bridges {
				b.macs.Run()
				if b.snooping.run() {
					a.engine.Kick()
				}
				for _, e := range b.exporters.Load().all() {
					e.Run()
				}
				if ticks%peerTicks == 0 {
					// Nothing tells of changes in other namespaces.
					for _, i := range b.ifaces {
						i.findPeer()
					}
				}
			}
			if a.retryBusy() {
				a.reconcile(a.snap)
				a.engine.Kick()
				a.report(true)
			}
		}
	}
}

// Exit ends Run in an orderly way. With cleanup, bridges and their devices are removed.
func (a *Agent) Exit(cleanup bool) {
	a.do(context.Background(), func() { a.cleanup, a.leaving = cleanup, true })
}

// do runs f in the main loop and waits for it; false when the loop has ended.
func (a *Agent) do(ctx context.Context, f func()) bool {
	finished := make(chan struct{})
	select {
	case a.calls <- func() { f(); close(finished) }:
		<-finished
		return true
	case <-a.done:
	case <-ctx.Done():
	}
	return false
}

// deviceChanged takes one event of a device and those that wait behind it.
func (a *Agent) deviceChanged(e netdev.Event, more <-chan netdev.Event) {
	again := false
	for {
		again = a.deviceEvent(e) || again
		select {
		case next, ok := <-more:
			if ok {
				e = next
				continue
			}
		default:
		}
		break
	}
	if a.snap == nil {
		return
	}
	if again {
		a.reconcile(a.snap)
	} else {
		a.publish()
	}
	a.engine.Kick() // fast failover does not wait
	a.report(true)
}

// retryBusy tries the devices and UDP ports again that somebody else had, of whose release no event tells, and reports
// whether it got one.
func (a *Agent) retryBusy() bool {
	got := false
	tried := map[string]bool{} // tunnels share a device, and its fate
	for _, b := range a.bridges {
		for _, i := range b.ifaces {
			var open *netdev.OpenError
			if !errors.Is(i.err, syscall.EBUSY) && !errors.Is(i.err, syscall.EADDRINUSE) || errors.As(i.err, &open) && tried[open.Name] {
				continue
			}
			b.open(i)
			got = got || i.err == nil
			if errors.As(i.err, &open) {
				tried[open.Name] = true
			}
		}
	}
	return got
}

// deviceEvent notes a change of a device that a bridge has or wants, and reports whether the
// configuration must be looked at again.
func (a *Agent) deviceEvent(e netdev.Event) bool {
	i := a.ifaceByName(e.Info.Name)
	if i == nil || i.deviceless() {
		return a.tunnelEvent(e)
	}
	switch e.Kind {
	case netdev.Removed:
		if i.dev == nil || e.Info.Ifindex != i.info.Ifindex {
			return false
		}
		i.bridge.log.Warnf("network device %s has vanished", i.name)
		i.vanished()
		return true
	default:
		if i.dev == nil {
			i.gone = false // it is back, or here for the first time: open it
			return true
		}
		if e.Info.Ifindex != i.info.Ifindex {
			// Deleted and made anew between two looks.
			i.vanished()
			i.gone = false
			return true
		}
		if i.info.LinkUp() && !e.Info.LinkUp() {
			i.resets++
		}
		again := e.Info.MTU != i.info.MTU || e.Info.MAC != i.info.MAC
		i.info = e.Info
		i.findPeer()
		return again
	}
}

func (a *Agent) ifaceByName(name string) *iface {
	for _, b := range a.bridges {
		if i := b.ifaces[name]; i != nil {
			return i
		}
	}
	return nil
}

// writer sends status to the database; only the newest that waits is sent.
func (a *Agent) writer(ctx context.Context) {
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case st := <-a.writes:
			if err := a.o.Database.Write(ctx, st); err != nil {
				if ctx.Err() == nil {
					a.log.Warnf("failed to write status to the database: %v", err)
				}
				continue
			}
			if first && a.o.Configured != nil {
				first = false
				a.o.Configured()
			}
		}
	}
}

// engineConfig reads the engine's settings from Open_vSwitch other_config.
func engineConfig(s *ovsdb.Snapshot) datapath.Config {
	number := func(key string) int {
		n, _ := strconv.Atoi(s.OtherConfig[key])
		return max(n, 0)
	}
	return datapath.Config{
		FlowLimit:      number("flow-limit"),
		MaxIdle:        time.Duration(number("max-idle")) * time.Millisecond,
		MaxRevalidator: time.Duration(number("max-revalidator")) * time.Millisecond,
		Wait:           restoring(s),
	}
}

func (a *Agent) statsEvery() time.Duration {
	if a.snap != nil {
		if ms, err := strconv.Atoi(a.snap.OtherConfig["stats-update-interval"]); err == nil && ms >= 5000 {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return statsInterval
}
