package ebpf

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// Tunnel ports with a device of the kernel: what the device received comes by its ingress, and what is sent to it carries
// beside it what the device is to put in front.

const deviceTunnel = 0x200 // TUNNEL_DEVICE of bpf/abi.h

// isTunnelDevice reports whether the kernel builds a port's tunnels.
func isTunnelDevice(s *datapath.PortSpec) bool {
	return s.Kind == datapath.PortTunnel && s.Ifindex != 0
}

// deviceOf is the device of a port, 0 if it has none. To the programs those of tunnels are not like others.
func deviceOf(m *bpf.DatapathPort) uint32 {
	if m.Tunnel&deviceTunnel != 0 {
		return m.PeerLen
	}
	return m.Ifindex
}

// checkTunnelDevice says what of a spec is wrong.
func checkTunnelDevice(s *datapath.PortSpec) error {
	if s.Tunnel == nil || s.Tunnel.Native || s.Ifindex == 0 {
		return fmt.Errorf("tunnel port without a device is not native: %w", datapath.ErrUnsupported)
	}
	_, _, err := tunnelKindOf(s.Tunnel)
	return err
}

// setTunnelDevice has the programs know such a port.
func (d *Datapath) setTunnelDevice(m *bpf.DatapathPort, s *datapath.PortSpec) {
	kind, _, err := tunnelKindOf(s.Tunnel)
	if err != nil {
		return // checkTunnelDevice has looked
	}
	m.PeerLen, m.TunnelPort = uint32(s.Ifindex), be16(s.Tunnel.DstPort)
	m.Tunnel = uint16(kind) | deviceTunnel
}

// sameTunnel reports whether two ports, of tunnels or not, encapsulate alike.
func sameTunnel(a, b *datapath.TunnelSpec) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
