package ebpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Native tunnel ports have no device: packets come to them by the underlay's programs (underlay.go), and what is sent to them is
// encapsulated by ours.

// isNative reports whether the programs build a port's tunnels.
func isNative(s *datapath.PortSpec) bool { return s.Kind == datapath.PortTunnel && s.Ifindex == 0 }

const (
	protoUDP = 17
	protoGRE = 47

	tunnelKind = 0xff  // TUNNEL_KIND of bpf/abi.h
	tunnelGBP  = 0x100 // TUNNEL_GBP
)

// tunnelKindOf is enum tunnel_kind of a spec, with flags, and the key of the port in the map of tunnels.
func tunnelKindOf(t *datapath.TunnelSpec) (kind, key uint32, err error) {
	udp := uint32(protoUDP)<<16 | uint32(t.DstPort)
	switch t.Type {
	case "vxlan":
		kind, key = uint32(bpf.DatapathTunnelKindTUNNEL_VXLAN), udp
		if t.GBP {
			kind |= tunnelGBP
		}
	case "geneve":
		kind, key = uint32(bpf.DatapathTunnelKindTUNNEL_GENEVE), udp
	case "gre":
		kind, key = uint32(bpf.DatapathTunnelKindTUNNEL_GRE), protoGRE<<16|4
	case "ip6gre":
		kind, key = uint32(bpf.DatapathTunnelKindTUNNEL_GRE), protoGRE<<16|6
	default:
		return 0, 0, fmt.Errorf("tunnel type %q: %w", t.Type, datapath.ErrUnsupported)
	}
	if key == protoUDP<<16 {
		return 0, 0, fmt.Errorf("tunnel type %s without UDP port", t.Type)
	}
	return kind, key, nil
}

// tunnelSpecOf reads a spec back.
func tunnelSpecOf(m *bpf.DatapathPort) *datapath.TunnelSpec {
	return &datapath.TunnelSpec{Type: cString(m.Type), DstPort: be16(m.TunnelPort), GBP: m.Tunnel&tunnelGBP != 0, Native: m.Tunnel&deviceTunnel == 0}
}

// tunnelAdd adds a native tunnel port, or says that an adopted one is wanted.
func (d *Datapath) tunnelAdd(spec datapath.PortSpec) (odp.Port, error) {
	if spec.Tunnel == nil || !spec.Tunnel.Native || spec.Ifindex != 0 {
		return 0, fmt.Errorf("tunnel port with a device of the kernel: %w", datapath.ErrUnsupported)
	}
	t := *spec.Tunnel
	spec.Tunnel = &t
	kind, key, err := tunnelKindOf(&t)
	if err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, errClosed
	}
	for n, p := range d.ports {
		if !isNative(&p.spec) {
			if p.adopted && p.spec.Name == spec.Name {
				// It was the kernel's.
				if err := d.portDel(n); err != nil {
					return 0, err
				}
			}
			continue
		}
		_, other, err := tunnelKindOf(p.spec.Tunnel)
		if err != nil || other != key {
			continue
		}
		if !p.adopted {
			return 0, fmt.Errorf("port %d, %s, takes its packets already", n, p.spec.Name)
		}
		if *p.spec.Tunnel == t && (spec.Number == odp.PortNone || spec.Number == n) {
			spec.Number = n
			p.spec, p.adopted = spec, false
			d.portMem.at[n].Name = toC(spec.Name)
			return n, nil
		}
		if spec.Number == odp.PortNone {
			spec.Number = n
		}
		if err := d.portDel(n); err != nil {
			return 0, err
		}
	}
	n, err := d.freeNumber(spec.Number)
	if err != nil {
		return 0, err
	}
	spec.Number = n
	m := &d.portMem.at[n]
	m.PeerLen, m.Watched = 0, 0
	m.Kind = uint16(spec.Kind)
	m.UpcallRate, m.UpcallBurst = d.perJiffy(d.opts.UpcallRate), uint32(d.opts.UpcallBurst)
	// The type is what the packets look like: adopted, it is read from there.
	m.Name, m.Type = toC(spec.Name), toC(t.Type)
	m.TunnelPort = be16(t.DstPort)
	m.Tunnel = uint16(kind)
	if err := d.coll.Maps["tunnels"].Put(key, uint32(n)); err != nil {
		d.forget(n)
		return 0, fmt.Errorf("enter tunnel: %w", err)
	}
	d.ports[n] = &port{spec: spec}
	return n, nil
}

// tunnelDel takes a tunnel out of the programs' sight.
func (d *Datapath) tunnelDel(t *datapath.TunnelSpec) error {
	_, key, err := tunnelKindOf(t)
	if err != nil {
		return err
	}
	if err := d.coll.Maps["tunnels"].Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove tunnel: %w", err)
	}
	return nil
}

// adoptTunnel takes over a native tunnel port of an earlier instance.
func (d *Datapath) adoptTunnel(n odp.Port) {
	m := &d.portMem.at[n]
	t := tunnelSpecOf(m)
	kind, key, err := tunnelKindOf(t)
	if err == nil && kind == uint32(m.Tunnel) {
		err = d.coll.Maps["tunnels"].Put(key, uint32(n))
	}
	if err != nil || kind != uint32(m.Tunnel) {
		d.forget(n)
		return
	}
	m.UpcallRate, m.UpcallBurst = d.perJiffy(d.opts.UpcallRate), uint32(d.opts.UpcallBurst)
	d.ports[n] = &port{adopted: true, spec: datapath.PortSpec{
		Name: cString(m.Name), Kind: datapath.PortTunnel, Type: t.Type, Number: n, Tunnel: t,
	}}
}

func be16(v uint16) uint16 { return v<<8 | v>>8 }
