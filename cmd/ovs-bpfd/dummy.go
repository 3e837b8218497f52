package main

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/bridge"
	"github.com/ovs-bpf/ovs-bpf/bridge/dummy"
	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/underlay"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

// openDummy opens the simulated base (--enable-dummy).
func openDummy(o *daemon.Options, clk *clock.Warp) (*base, error) {
	devices := netdev.NewSim(clk)
	devices.Override(o.Dummy != daemon.DummyEnabled)
	dp, err := dummy.New(clk, devices)
	if err != nil {
		return nil, fmt.Errorf("simulated datapath: %w", err)
	}
	if o.MaxConns != 0 {
		if err := dp.Conntrack().SetMax(uint32(o.MaxConns)); err != nil {
			return nil, fmt.Errorf("--ct-maxconns: %w", err)
		}
	}
	return &base{
		datapath: dp, devices: devices, host: underlay.NewSim(devices), close: func() { devices.Close() }, types: dummyTypes(o.Dummy, o.DisableSystem), mono: dp.Mono, where: ", simulated",
		register: func(s *unixctl.Server, a *bridge.Agent) {
			dp.RegisterCommands(s, a)
			dummy.RegisterTime(s, clk, a)
		},
		cleanup: func() error { return nil },
	}, nil
}

// dummyTypes are the datapath types that the simulated datapath takes the place of.
func dummyTypes(level daemon.Dummy, disableSystem bool) []string {
	types := []string{dummy.Type}
	if level == daemon.DummyOverride {
		types = append(types, "bpf", "netdev")
	}
	if level != daemon.DummyEnabled && !disableSystem {
		types = append(types, "system")
	}
	return types
}
