package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/ovs-bpf/ovs-bpf/bridge"
	"github.com/ovs-bpf/ovs-bpf/internal/coverage"
	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
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
	db, err := ovsdb.Connect(ctx, ovsdb.Options{Remote: remote, Log: log.Module("reconnect"), Count: counters.add})
	if err != nil {
		return fmt.Errorf("database %s: %w", remote, err)
	}
	defer db.Close()

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
	base, err := openBase(ctx, o, clk)
	if err != nil {
		return err
	}
	defer base.devices.Close()
	dp := base.datapath
	vswitchd.Infof("datapath %s@%s%s", dp.Type(), dp.Name(), base.where)

	var ready sync.Once
	agent, err := bridge.New(bridge.Options{
		RunDir: o.Dirs.Run, Datapath: dp, DatapathTypes: base.types, Devices: base.devices, Database: db,
		Clock: clk, Mono: base.mono, Log: log.Module, Count: counters.add,
		AnyControllerPath: !o.SelfConfinement,
		Configured: func() {
			ready.Do(func() {
				if err := p.Ready(); err != nil {
					vswitchd.Warnf("cannot tell that the daemon is ready: %v", err)
				}
			})
		},
	})
	if err != nil {
		dp.Close(false)
		return err
	}
	agent.RegisterCommands(ctl)
	base.register(ctl, agent)
	memory := &coverage.Memory{}
	memory.Register(agent.Memory)
	memory.Register(func(add func(string, uint64)) {
		add("handlers", uint64(min(runtime.NumCPU(), 4)))
		add("revalidators", 1)
	})
	memory.RegisterCommands(ctl)

	finished := make(chan error, 1)
	wg.Go(func() { finished <- agent.Run(ctx) })
	var request exitRequest
	select {
	case err = <-finished:
	case request = <-exit:
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
	return err
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
