package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bridge"
	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/underlay"
	"github.com/ovs-bpf/ovs-bpf/datapath/ebpf"
	"github.com/ovs-bpf/ovs-bpf/internal/daemon"
	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

// openBPF opens the kernel's devices, and the eBPF datapath with its pins under a directory that belongs to this run
// directory, so that instances live side by side.
func openBPF(ctx context.Context, o *daemon.Options) (*base, error) {
	if err := checkCapabilities(); err != nil {
		return nil, err
	}
	instance := instanceName(o.Dirs.Run)
	devices, err := netdev.NewLinux(instance)
	if err != nil {
		return nil, fmt.Errorf("network devices: %w", err)
	}
	host, err := underlay.NewLinux()
	if err != nil {
		devices.Close()
		return nil, fmt.Errorf("routes: %w", err)
	}
	release := func() {
		devices.Close()
		host.Close()
	}
	fs, err := ebpf.FindBPFFS(o.Dirs.Run)
	if err != nil {
		release()
		return nil, err
	}
	dir := filepath.Join(fs, "ovs-bpf", instance)
	if err := ebpf.Claim(dir, o.Dirs.Run); err != nil {
		release()
		return nil, err
	}
	stale, staleErr := ebpf.RemoveStale(filepath.Dir(dir))
	dp, err := ebpf.Open(ctx, ebpf.Options{Name: "ovs-bpf", PinDir: dir, MaxConns: o.MaxConns})
	if err != nil {
		release()
		return nil, err
	}
	types := []string{"bpf", "system"}
	if o.DisableSystem {
		types = types[:1]
	}
	return &base{
		datapath: dp, devices: devices, host: host, tunnels: bridge.NewKernelTunnels(devices, dp), close: release, types: types, mono: monotonic, where: ", pinned in " + dir,
		register: func(*unixctl.Server, *bridge.Agent) {},
		cleanup: func() error {
			_ = os.Remove(filepath.Dir(dir)) // unless others have pins in it
			return ebpf.UnmountBPFFS(o.Dirs.Run)
		},
		stale: stale, staleErr: staleErr,
	}, nil
}

// instanceName tells instances apart by their run directories and, where they share one, by network namespace.
func instanceName(rundir string) string {
	if abs, err := filepath.EvalSymlinks(rundir); err == nil {
		rundir = abs
	}
	name := strings.Trim(strings.NewReplacer("/", "-", ".", "_").Replace(rundir), "-")
	if name == "" {
		name = "root"
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err == nil {
		name = fmt.Sprintf("%s-%d", name, st.Ino)
	}
	return name
}

// monotonic is CLOCK_MONOTONIC in nanoseconds, the clock of the eBPF datapath's statistics.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
