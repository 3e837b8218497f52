package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/bridge"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/internal/coverage"
	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
	"github.com/ovs-bpf/ovs-bpf/internal/vlog"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// work wires the rooms together and runs them until ctx ends or exit is asked for.
func work(ctx context.Context, o *daemon.Options, p *daemon.Process, log *vlog.Log) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := os.MkdirAll(o.Dirs.Run, 0o755); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	vswitchd := log.Module("vswitchd")
	clk := newClock(o)
	registry := coverage.NewRegistry(clk, coverage.StockNames()...)
	counters := newCounters(registry)

	ctl := unixctl.NewServer(p.UnixctlPath())
	log.RegisterCommands(ctl)
	registry.RegisterCommands(ctl)
	ctl.Register("version", "", 0, 0, unixctl.Text(daemon.Version))
	exit := make(chan exitRequest, 1)
	ctl.Register("exit", "[--cleanup]", 0, 1, func(_ context.Context, args []string, reply func(string, error)) {
		if len(args) > 0 && args[0] != "--cleanup" {
			reply("", fmt.Errorf("exit: unknown argument %q: only --cleanup", args[0]))
			return
		}
		select {
		case exit <- exitRequest{cleanup: len(args) > 0, reply: reply}:
		default:
			reply("", nil) // somebody else was first
		}
	})
	if err := ctl.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer ctl.Close()
	if ctl.Path() != "" {
		p.UnlinkAtEnd(ctl.Path())
	}

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { registry.Run(ctx) })

	remote := o.Database
	if o.Embedded {
		db, err := ovsdb.StartEmbedded(ctx, ovsdb.EmbeddedOptions{RunDir: o.Dirs.Run, File: o.EmbeddedFile, Log: log.Module("ovsdb")})
		if err != nil {
			return fmt.Errorf("embedded database: %w", err)
		}
		defer db.Close()
		remote = db.Remote()
	}
	files, config, err := tlsOptions(o.TLS)
	if err != nil {
		return err
	}
	db, err := ovsdb.Connect(ctx, ovsdb.Options{Remote: remote, TLS: config, Log: log.Module("reconnect"), Count: counters.add})
	if err != nil {
		return fmt.Errorf("database %s: %w", remote, err)
	}
	defer db.Close()

	w := &worker{o: o, tls: files, process: p, log: log, ctl: ctl, clock: clk, db: db, count: counters.add, registry: registry, exit: exit}
	memory := &coverage.Memory{}
	memory.Register(db.Memory)
	memory.Register(w.memory)
	memory.RegisterCommands(ctl)
	for {
		registerIdle(ctl)
		// Nothing of the system is touched before the database's lock is ours.
		locked := make(chan error, 1)
		wg.Go(func() { locked <- db.WaitLocked(ctx) })
		select {
		case err := <-locked:
			if err != nil {
				return err
			}
		case r := <-exit:
			r.reply("", nil)
			return nil
		}
		lost, err := w.serve(ctx)
		if err != nil || !lost {
			return err
		}
		vswitchd.Errorf("another ovs-vswitchd process is running, disabling this process until it goes away")
	}
}

// worker is what serving needs and what outlives the loss of the database's lock.
type worker struct {
	o       *daemon.Options
	tls     tlsfiles.Files
	process *daemon.Process
	log     *vlog.Log
	ctl     *unixctl.Server
	clock   clock.Clock
	db      *ovsdb.Client
	count   func(string, uint64)
	// registry has the coverage counters that are kept elsewhere.
	registry *coverage.Registry
	exit     <-chan exitRequest
	ready    sync.Once
	agent    atomic.Pointer[bridge.Agent] // nil while the lock is not ours
}

// memory adds the amounts of memory/show that the switch has.
func (w *worker) memory(add func(name string, n uint64)) {
	agent := w.agent.Load()
	if agent == nil {
		return
	}
	agent.Memory(add)
	add("handlers", uint64(min(runtime.NumCPU(), 4)))
	add("revalidators", 1)
}

// serve owns the datapath and the bridges until it is asked to exit, ctx ends, or another process takes the
// database's lock (lost); what is pinned goes on forwarding then, for the other one to adopt.
func (w *worker) serve(ctx context.Context) (lost bool, err error) {
	vswitchd := w.log.Module("vswitchd")
	base, err := openBase(ctx, w.o, w.clock)
	if err != nil {
		return false, err
	}
	defer base.close()
	dp := base.datapath
	vswitchd.Infof("datapath %s@%s%s", dp.Type(), dp.Name(), base.where)
	for _, s := range base.stale {
		vswitchd.Infof("removed the pins %s of a dead instance: %s", s.Dir, s.Reason)
	}
	if base.staleErr != nil {
		vswitchd.Warnf("%v", base.staleErr)
	}

	agent, err := bridge.New(bridge.Options{
		RunDir: w.o.Dirs.Run, Datapath: dp, DatapathTypes: base.types, Devices: base.devices, Database: w.db,
		Host: base.host, TunnelDevices: base.tunnels, NoSystemRoutes: w.o.DisableSystemRoute,
		Clock: w.clock, Mono: base.mono, Log: w.log.Module, Count: w.count,
		AnyControllerPath: !w.o.SelfConfinement, TLS: w.tls,
		Configured: func() {
			w.ready.Do(func() {
				if err := w.process.Ready(); err != nil {
					vswitchd.Warnf("cannot tell that the daemon is ready: %v", err)
				}
			})
		},
	})
	if err != nil {
		dp.Close(false)
		return false, err
	}
	agent.RegisterCommands(w.ctl)
	base.register(w.ctl, agent)
	w.ctl.Register("dpctl/list-commands", "", 0, 0, unixctl.Text(func() string { return w.ctl.List("dpctl/") }))
	w.agent.Store(agent)
	defer w.agent.Store(nil)
	if ct, ok := dp.(datapath.Conntracker); ok {
		countConnections(w.registry, ct.Conntrack())
	}

	finished := make(chan error, 1)
	go func() { finished <- agent.Run(ctx) }()
	var request exitRequest
	select {
	case err = <-finished:
	case <-w.lockLost(ctx):
		lost = true
		agent.Exit(false)
		err = <-finished
	case request = <-w.exit:
		vswitchd.Infof("exiting")
		agent.Exit(request.cleanup)
		err = <-finished
	}
	if cerr := dp.Close(request.cleanup); err == nil && cerr != nil {
		vswitchd.Warnf("close datapath: %v", cerr)
	}
	if request.cleanup {
		if cerr := base.cleanup(); cerr != nil {
			vswitchd.Warnf("%v", cerr)
		}
	}
	if request.reply != nil {
		request.reply("", nil)
	}
	return lost, err
}

// lockLost is closed when another process has taken the database's lock.
func (w *worker) lockLost(ctx context.Context) <-chan struct{} {
	lost := make(chan struct{})
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case state := <-w.db.LockEvents():
				if state == ovsdb.LockContended {
					close(lost)
					return
				}
			}
		}
	}()
	return lost
}

type exitRequest struct {
	cleanup bool
	reply   func(string, error)
}

// counters finds coverage counters by name without a lock for known ones.
type counters struct {
	registry *coverage.Registry
	known    sync.Map // name -> *coverage.Counter
}

func newCounters(r *coverage.Registry) *counters { return &counters{registry: r} }

func (c *counters) add(name string, n uint64) {
	v, ok := c.known.Load(name)
	if !ok {
		v, _ = c.known.LoadOrStore(name, c.registry.New(name))
	}
	v.(*coverage.Counter).Add(n)
}
