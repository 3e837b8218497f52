// Package dummy is the simulated mode (--enable-dummy): the datapath in plain Go with simulated devices as its
// ports, and the commands by which tests play the network and the time. It has OVS's names and numbers, so that
// tests written for OVS's dummy datapath find what they expect.
package dummy

import (
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Name and Type of the datapath; port 0 is its own, as it is in OVS's.
const (
	Name = "ovs-dummy"
	Type = "dummy"
)

// Datapath is a soft datapath whose ports are simulated devices. What comes up is handled inside the call that
// brought the packet, so that everything has happened when netdev-dummy/receive answers.
type Datapath struct {
	*soft.Datapath
	devices *netdev.Sim
}

var _ datapath.Datapath = (*Datapath)(nil)

// New makes a datapath over devices; Close ends it.
func New(c clock.Clock, devices *netdev.Sim) (*Datapath, error) {
	d := &Datapath{soft.New(soft.Options{Name: Name, Type: Type, Clock: c}), devices}
	_, err := d.Datapath.PortAdd(datapath.PortSpec{Name: Name, Kind: datapath.PortInternal, Type: "dummy-internal", Number: 0})
	return d, err
}

// PortAdd implements datapath.Datapath: the port and the device of its name become one.
func (d *Datapath) PortAdd(s datapath.PortSpec) (odp.Port, error) {
	if s.Number == odp.PortNone {
		s.Number = d.choose(s.Name)
	}
	no, err := d.Datapath.PortAdd(s)
	if err != nil {
		return no, err
	}
	dev, ok := d.devices.Device(s.Name)
	if !ok {
		return no, nil // packets that are sent out of it are counted as dropped
	}
	dev.OnReceive(func(frame []byte) { _ = d.receive(no, frame, new(flow.Key)) })
	return no, d.Attach(no, func(p *datapath.Packet) { _ = dev.Transmit(p.Data) }) // the device counts what it drops
}

// PortDel implements datapath.Datapath.
func (d *Datapath) PortDel(no odp.Port) error {
	if name, ok := d.portName(no); ok {
		if dev, ok := d.devices.Device(name); ok {
			dev.OnReceive(nil)
		}
	}
	return d.Datapath.PortDel(no)
}

// receive puts a frame into a port; key holds its metadata.
func (d *Datapath) receive(no odp.Port, frame []byte, key *flow.Key) error {
	return d.ReceiveKey(no, &datapath.Packet{Data: frame}, key)
}

// choose is OVS's rule for numbers that tests can foretell: the number in the device's name, from 100 on for names that
// begin with br. PortNone: any.
func (d *Datapath) choose(name string) odp.Port {
	base := 0
	if strings.HasPrefix(name, "br") {
		base = 100
	}
	digits := strings.TrimLeftFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	n := 0
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' || n > 0xffff {
			break
		}
		n = n*10 + int(c-'0')
	}
	n += base
	if digits == "" || n == 0 || n > 0xffff {
		return odp.PortNone
	}
	if _, taken := d.portName(odp.Port(n)); taken {
		return odp.PortNone
	}
	return odp.Port(n)
}

// portName is the name of a port.
func (d *Datapath) portName(no odp.Port) (string, bool) {
	ports, _ := d.Ports() // of a soft datapath it never fails
	for _, p := range ports {
		if p.Number == no {
			return p.Name, true
		}
	}
	return "", false
}

// portByName is the number of a port.
func (d *Datapath) portByName(name string) (odp.Port, bool) {
	ports, _ := d.Ports()
	for _, p := range ports {
		if p.Name == name {
			return p.Number, true
		}
	}
	return odp.PortNone, false
}
