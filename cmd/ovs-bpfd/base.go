package main

import (
	"context"

	"github.com/ovs-bpf/ovs-bpf/bridge"
	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/underlay"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/ebpf"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

// base is what bridges stand on: the kernel's, or a simulated one.
type base struct {
	datapath datapath.Datapath
	devices  netdev.Provider
	host     underlay.Host
	tunnels  bridge.TunnelDevices // nil: all tunnels are the datapath's own
	// types are the values of Bridge.datapath_type that are served; "" is "system".
	types []string
	// mono is now on the clock of the datapath's statistics.
	mono func() int64
	// where goes behind the datapath's name in the log.
	where string
	// register adds the commands that only such a base has.
	register func(*unixctl.Server, *bridge.Agent)
	// close releases the devices and the host.
	close func()
	// cleanup removes what exit --cleanup finds left when the datapath is closed.
	cleanup func() error
	// stale are the pins of dead instances that were removed at the start, and why others could not be.
	stale    []ebpf.Stale
	staleErr error
}

// newClock is the clock of all but the process and its database: in simulated mode, time can be stopped, and still
// the configuration has to come through.
func newClock(o *daemon.Options) clock.Clock {
	if o.Dummy == daemon.DummyNone {
		return clock.Real{}
	}
	return new(clock.Warp)
}

// openBase opens the base that the options ask for. In simulated mode nothing of the system is touched.
func openBase(ctx context.Context, o *daemon.Options, clk clock.Clock) (*base, error) {
	if w, ok := clk.(*clock.Warp); ok {
		return openDummy(o, w)
	}
	return openBPF(ctx, o)
}
