package bridge

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// kernelTunnels are the TunnelDevices of Linux.
type kernelTunnels struct {
	devices tunnelMaker
	// native: the datapath encapsulates itself, too.
	native bool
}

// tunnelMaker is the part of *netdev.Linux that makes tunnels' devices.
type tunnelMaker interface {
	TunnelKind(typ string) error
	OpenTunnel(name string, t netdev.Tunnel) (netdev.Info, error)
	ReserveTunnel(name string, t netdev.Tunnel) (io.Closer, error)
	CloseTunnel(name string) error
}

// NewKernelTunnels makes TunnelDevices of a kernel's devices, beside what a datapath does itself.
func NewKernelTunnels(devices *netdev.Linux, dp datapath.Datapath) TunnelDevices {
	_, native := dp.(datapath.Underlayer)
	return &kernelTunnels{devices, native}
}

// Native implements TunnelDevices. Left the choice, tunnels are native: every kernel has all types and options then, at
// the same speed; the kernel's devices lack some (docs/tunnels.md).
func (k *kernelTunnels) Native(mode string, s datapath.TunnelSpec) (bool, error) {
	switch {
	case mode == tunnelNative && !k.native:
		return false, fmt.Errorf("other_config:tunnel-mode=native: the datapath has no native tunnels: %w", syscall.EOPNOTSUPP)
	case mode != tunnelKernel && k.native:
		return true, nil
	}
	if err := k.devices.TunnelKind(s.Type); err != nil {
		return false, fmt.Errorf("other_config:tunnel-mode=%s: %w", mode, err)
	}
	return false, nil
}

// Open implements TunnelDevices.
func (k *kernelTunnels) Open(name string, s datapath.TunnelSpec) (int, error) {
	i, err := k.devices.OpenTunnel(name, netdev.Tunnel{Type: s.Type, DstPort: s.DstPort, GBP: s.GBP})
	return i.Ifindex, err
}

// Reserve implements TunnelDevices.
func (k *kernelTunnels) Reserve(name string, s datapath.TunnelSpec) (io.Closer, error) {
	// An earlier run may have had a device for them.
	if err := k.devices.CloseTunnel(name); err != nil {
		return nil, err
	}
	if s.DstPort == 0 {
		return nil, nil
	}
	return k.devices.ReserveTunnel(name, netdev.Tunnel{Type: s.Type, DstPort: s.DstPort, GBP: s.GBP})
}

// Close implements TunnelDevices.
func (k *kernelTunnels) Close(name string) error { return k.devices.CloseTunnel(name) }

// tunnelError is why a tunnel port does not work, as Interface.error says it.
type tunnelError struct {
	name string
	err  error
}

// Error has OVS's words, and behind them what they leave open.
func (e *tunnelError) Error() string {
	text := netdev.Strerror(e.err)
	var open *netdev.OpenError
	var errno syscall.Errno
	if errors.As(e.err, &open) && open.Hint != "" {
		text += ": " + open.Hint
	} else if errors.As(e.err, &errno) && e.err.Error() != errno.Error() && open == nil {
		text = e.err.Error()
	}
	return fmt.Sprintf("could not add network device %s to ofproto (%s)", e.name, text)
}

func (e *tunnelError) Unwrap() error { return e.err }
