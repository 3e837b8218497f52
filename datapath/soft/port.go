package soft

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Transmit takes a packet out of a port. The packet is only valid during the call.
type Transmit func(*datapath.Packet)

type port struct {
	spec     datapath.PortSpec
	transmit atomic.Pointer[Transmit] // atomic: read for each packet
	policer  atomic.Pointer[policer]  // the same; nil: none

	// Counters are atomic: packets come in on any goroutine.
	rxPackets, rxBytes, txPackets, txBytes, rxDropped, txDropped, rxPoliced atomic.Uint64
}

func (p *port) stats() datapath.PortStats {
	return datapath.PortStats{
		RxPackets: p.rxPackets.Load(), RxBytes: p.rxBytes.Load(), RxDropped: p.rxDropped.Load(),
		TxPackets: p.txPackets.Load(), TxBytes: p.txBytes.Load(), TxDropped: p.txDropped.Load(),
		RxPoliced: p.rxPoliced.Load(),
	}
}

// PortAdd implements datapath.Datapath. Port 0 is only given to who asks for it.
func (d *Datapath) PortAdd(s datapath.PortSpec) (odp.Port, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n, p := range d.ports {
		if p.spec.Name == s.Name {
			return 0, fmt.Errorf("port %s exists with number %d", s.Name, n)
		}
	}
	if s.Number == odp.PortNone {
		s.Number = 1
		for d.ports[s.Number] != nil {
			s.Number++
		}
	}
	if s.Number > maxPorts {
		return 0, fmt.Errorf("port %s: number %d is above %d", s.Name, s.Number, maxPorts)
	}
	if p := d.ports[s.Number]; p != nil {
		return 0, fmt.Errorf("port %s: number %d is that of %s", s.Name, s.Number, p.spec.Name)
	}
	d.ports[s.Number] = &port{spec: s}
	return s.Number, nil
}

// PortDel implements datapath.Datapath.
func (d *Datapath) PortDel(n odp.Port) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ports[n] == nil {
		return fmt.Errorf("port %d: %w", n, datapath.ErrNoSuchPort)
	}
	delete(d.ports, n)
	return nil
}

// Ports implements datapath.Datapath, in order of numbers.
func (d *Datapath) Ports() ([]datapath.PortInfo, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var out []datapath.PortInfo
	for _, n := range slices.Sorted(maps.Keys(d.ports)) {
		p := d.ports[n]
		out = append(out, datapath.PortInfo{PortSpec: p.spec, Stats: p.stats()})
	}
	return out, nil
}

// Attach says who gets the packets that are sent out of a port; nil: they are counted as
// dropped. It is called on the goroutine that sent the packet.
func (d *Datapath) Attach(n odp.Port, f Transmit) error {
	p := d.port(n)
	if p == nil {
		return fmt.Errorf("port %d: %w", n, datapath.ErrNoSuchPort)
	}
	if f == nil {
		p.transmit.Store(nil)
	} else {
		p.transmit.Store(&f)
	}
	return nil
}

func (d *Datapath) port(n odp.Port) *port {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.ports[n]
}

// output sends a packet out of a port and reports whether there is one.
func (d *Datapath) output(n odp.Port, p *packet.Packet) bool {
	out := d.port(n)
	if out == nil {
		return false
	}
	f := out.transmit.Load()
	if f == nil {
		out.txDropped.Add(1)
		return true
	}
	out.txPackets.Add(1)
	out.txBytes.Add(uint64(len(p.Data)))
	(*f)(p)
	return true
}
