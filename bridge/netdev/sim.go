package netdev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// simSent is how many sent packets a simulated device keeps for Sent; older ones go first.
const simSent = 1024

// Sim is the Provider of simulated devices (--enable-dummy, and tests without root). Opening
// any type but System makes the device; one of type System must have been plugged in, as a
// kernel's device must exist, unless Override is set.
type Sim struct {
	clock clock.Clock

	mu sync.Mutex
	// override makes System devices come into being too (--enable-dummy=override).
	override bool
	links    map[string]*SimDevice // that exist
	open     map[string]*SimDevice // that are open; one may have been unplugged
	nextMAC  uint32
	nextIdx  int
	watchers map[*events]struct{}
	closed   bool
}

var (
	_ Provider = (*Sim)(nil)
	_ Device   = (*SimDevice)(nil)
)

// NewSim makes a provider without devices.
func NewSim(c clock.Clock) *Sim {
	return &Sim{
		clock:    c,
		links:    map[string]*SimDevice{},
		open:     map[string]*SimDevice{},
		watchers: map[*events]struct{}{},
		nextMAC:  0xaa550000, // the first address is aa:55:aa:55:00:00, as in OVS
		nextIdx:  1,
	}
}

// Override says whether opening a System device makes it.
func (s *Sim) Override(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.override = on
}

// Plug makes a System device exist (or finds it), administratively up and with carrier like every new one.
func (s *Sim) Plug(name string) (*SimDevice, error) {
	if err := validName(name); err != nil {
		return nil, fmt.Errorf("plug %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.links[name]; d != nil {
		return d, nil
	}
	d := s.makeLocked(name, System)
	s.tellLocked(d)
	return d, nil
}

// Unplug makes a device vanish, open or not.
func (s *Sim) Unplug(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.links[name]; d != nil {
		s.removeLocked(d)
	}
}

// Device finds a device that exists.
func (s *Sim) Device(name string) (*SimDevice, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.links[name]
	return d, ok
}

// Devices are the devices that exist, by name.
func (s *Sim) Devices() []*SimDevice {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*SimDevice, 0, len(s.links))
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		all = append(all, s.links[name])
	}
	return all
}

func (s *Sim) makeLocked(name, typ string) *SimDevice {
	n := s.nextMAC
	s.nextMAC++
	d := &SimDevice{sim: s, info: Info{
		Name: name, Ifindex: s.nextIdx, Kind: "dummy", MTU: 1500, Up: true, Carrier: true, Ethernet: true,
		MAC: MAC{0xaa, 0x55, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)},
	}, typ: typ}
	s.nextIdx++
	s.links[name] = d
	return d
}

func (s *Sim) removeLocked(d *SimDevice) {
	delete(s.links, d.info.Name)
	d.gone = true
	for e := range s.watchers {
		e.remove(d.info.Ifindex)
	}
}

// tellLocked tells the watchers of d's state.
func (s *Sim) tellLocked(d *SimDevice) {
	for e := range s.watchers {
		e.set(d.info)
	}
}

// Types implements Provider.
func (s *Sim) Types() []string { return []string{Dummy, Internal, System, Tap} }

// Open implements Provider. The device is a *SimDevice.
func (s *Sim) Open(spec OpenSpec) (Device, error) {
	fail := func(err error) (Device, error) {
		return nil, &OpenError{Name: spec.Name, Err: err}
	}
	if spec.Type == "" {
		spec.Type = System
	}
	if !slices.Contains(s.Types(), spec.Type) {
		return fail(fmt.Errorf("type %q: %w", spec.Type, syscall.EAFNOSUPPORT))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fail(errors.New("provider is closed"))
	}
	if s.open[spec.Name] != nil {
		return fail(fmt.Errorf("already open: %w", syscall.EBUSY))
	}
	d := s.links[spec.Name]
	switch {
	case d != nil && (d.typ == System) != (spec.Type == System):
		return fail(syscall.EEXIST)
	case d != nil:
	case spec.Type == System && !s.override:
		return fail(ErrNoDevice)
	default:
		if err := validName(spec.Name); err != nil {
			return fail(err)
		}
		d = s.makeLocked(spec.Name, spec.Type)
	}
	d.typ = spec.Type
	d.info.Promisc = spec.Type == System
	s.open[spec.Name] = d
	s.tellLocked(d)
	return d, nil
}

// Lookup implements Provider.
func (s *Sim) Lookup(name string) (Info, error) {
	d, ok := s.Device(name)
	if !ok {
		return Info{}, fmt.Errorf("device %s: %w", name, ErrNoDevice)
	}
	return d.Info()
}

// PeerOf implements Provider: simulated devices have no peers.
func (s *Sim) PeerOf(i Info) (Info, error) {
	return Info{}, fmt.Errorf("device %s: peer: %w", i.Name, ErrNoDevice)
}

// Sweep implements Provider.
func (s *Sim) Sweep(keep []string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var removed []string
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		d := s.links[name]
		if d.typ == System || s.open[name] == d || slices.Contains(keep, name) {
			continue
		}
		s.removeLocked(d)
		removed = append(removed, name)
	}
	return removed, nil
}

// Watch implements Provider.
func (s *Sim) Watch(ctx context.Context) (<-chan Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("watch devices: provider is closed")
	}
	e := newEvents()
	s.watchers[e] = struct{}{}
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		e.set(s.links[name].info)
	}
	out := make(chan Event)
	go func() {
		e.deliver(ctx, out)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, e)
	}()
	return out, nil
}

// Close implements Provider.
func (s *Sim) Close() error {
	s.mu.Lock()
	s.closed = true
	var wires []*simWire
	for _, d := range s.open {
		wires = append(wires, d.disconnectLocked())
	}
	clear(s.open)
	s.mu.Unlock()
	for _, w := range wires {
		w.close()
	}
	return nil
}

// SimPacket is a packet that went out of a simulated device.
type SimPacket struct {
	At   time.Time
	Data []byte
}

// SimDevice is a simulated device. Besides a Device's, it has the two ends of a wire: the
// datapath takes packets by OnReceive and sends them by Transmit; who plays the network
// injects them by Receive and collects them by Sent or OnTransmit.
type SimDevice struct {
	sim *Sim

	// Guarded by sim.mu.
	typ        string
	info       Info
	gone       bool
	speed      uint64
	stats      Stats
	onReceive  func([]byte)
	onTransmit func([]byte)
	sent       []SimPacket
	capture    capture
	wire       *simWire          // what options:stream and options:pstream connect, or nil
	options    map[string]string // that are in force
	addrs      []netip.Prefix
}

// Name implements Device.
func (d *SimDevice) Name() string { return d.info.Name }

// simInternal is the type of a simulated Internal device, as OVS shows it.
const simInternal = "dummy-internal"

// Type implements Device.
func (d *SimDevice) Type() string {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	if d.typ == Internal {
		return simInternal
	}
	return d.typ
}

// check is an error when the device has vanished. sim.mu is held.
func (d *SimDevice) checkLocked() error {
	if d.gone {
		return fmt.Errorf("device %s: %w", d.info.Name, ErrNoDevice)
	}
	return nil
}

// Info implements Device.
func (d *SimDevice) Info() (Info, error) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	if err := d.checkLocked(); err != nil {
		return Info{}, err
	}
	return d.info, nil
}

// Stats implements Device.
func (d *SimDevice) Stats() (Stats, error) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	return d.stats, d.checkLocked()
}

// Ethtool implements Device.
func (d *SimDevice) Ethtool() (Ethtool, error) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	return Ethtool{Driver: "dummy", Speed: d.speed}, d.checkLocked()
}

// change edits the device's state and tells the watchers.
func (d *SimDevice) change(f func(*Info)) error {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	if err := d.checkLocked(); err != nil {
		return err
	}
	f(&d.info)
	d.sim.tellLocked(d)
	return nil
}

// SetMTU implements Device.
func (d *SimDevice) SetMTU(mtu int) error {
	if mtu < 68 || mtu > 65535 {
		return fmt.Errorf("device %s: MTU %d: %w", d.info.Name, mtu, syscall.EINVAL)
	}
	return d.change(func(i *Info) { i.MTU = mtu })
}

// SetMAC implements Device.
func (d *SimDevice) SetMAC(mac MAC) error { return d.change(func(i *Info) { i.MAC = mac }) }

// SetUp implements Device; also netdev-dummy/set-admin-state.
func (d *SimDevice) SetUp(up bool) error { return d.change(func(i *Info) { i.Up = up }) }

// SetCarrier plugs the cable in or out.
func (d *SimDevice) SetCarrier(on bool) error {
	return d.change(func(i *Info) {
		if i.Carrier != on {
			i.Carrier = on
			i.CarrierChanges++
		}
	})
}

// SetSpeed sets the rate in bits per second that Ethtool gives.
func (d *SimDevice) SetSpeed(bps uint64) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.speed = bps
}

// Close implements Device.
func (d *SimDevice) Close() error {
	d.shut(false)
	return nil
}

// Release implements Device.
func (d *SimDevice) Release() error {
	d.shut(true)
	return nil
}

// shut closes the device if it is open, and gives it up or leaves it as it is.
func (d *SimDevice) shut(release bool) {
	d.sim.mu.Lock()
	if d.sim.open[d.info.Name] != d {
		d.sim.mu.Unlock()
		return
	}
	delete(d.sim.open, d.info.Name)
	d.onReceive = nil
	wire := d.disconnectLocked()
	switch {
	case !release || d.gone:
	case d.typ == System:
		d.info.Promisc = false
		d.sim.tellLocked(d)
	default:
		d.sim.removeLocked(d)
	}
	d.sim.mu.Unlock()
	// Its goroutines take the lock.
	wire.close()
}

// OnReceive says who gets the packets that arrive; nil: nobody. Closing the device ends it.
func (d *SimDevice) OnReceive(f func(frame []byte)) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.onReceive = f
}

// OnTransmit has f see every packet that is sent, besides Sent; nil: nobody.
func (d *SimDevice) OnTransmit(f func(frame []byte)) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.onTransmit = f
}

// Receive has a frame arrive at the device, from its Ethernet header on. It is the receiver's
// to keep. As in OVS, a device that is down receives all the same.
func (d *SimDevice) Receive(frame []byte) error { return d.ReceiveBy(frame, nil) }

// ReceiveBy is Receive with by in the place of the function that OnReceive set, unless none is set.
func (d *SimDevice) ReceiveBy(frame []byte, by func([]byte)) error {
	d.sim.mu.Lock()
	if err := d.checkLocked(); err != nil {
		d.sim.mu.Unlock()
		return err
	}
	d.capture.received(frame)
	f := d.onReceive
	if f != nil && by != nil {
		f = by
	}
	if f == nil {
		d.stats.RxDropped++
	} else {
		d.stats.RxPackets++
		d.stats.RxBytes += uint64(len(frame))
	}
	d.sim.mu.Unlock()
	if f != nil {
		f(frame)
	}
	return nil
}

// Transmit sends a frame out of the device; the frame is copied. Too short for an Ethernet
// header or too long for the MTU, it is dropped with EMSGSIZE.
func (d *SimDevice) Transmit(frame []byte) error {
	const header, vlan = 14, 4
	d.sim.mu.Lock()
	if err := d.checkLocked(); err != nil {
		d.sim.mu.Unlock()
		return err
	}
	limit := d.info.MTU + header
	if len(frame) >= header && (frame[12] == 0x81 && frame[13] == 0 || frame[12] == 0x88 && frame[13] == 0xa8) {
		limit += vlan
	}
	if len(frame) < header || len(frame) > limit {
		d.stats.TxDropped++
		d.sim.mu.Unlock()
		return fmt.Errorf("device %s: send %d bytes: %w", d.info.Name, len(frame), syscall.EMSGSIZE)
	}
	d.stats.TxPackets++
	d.stats.TxBytes += uint64(len(frame))
	data := slices.Clone(frame)
	if len(d.sent) == simSent {
		d.sent = slices.Delete(d.sent, 0, 1)
	}
	d.sent = append(d.sent, SimPacket{d.sim.clock.Now(), data})
	d.capture.sent(data)
	d.wire.send(data)
	reply := d.arpReplyLocked(data)
	f := d.onTransmit
	d.sim.mu.Unlock()
	if f != nil {
		f(data)
	}
	if reply != nil {
		return d.Receive(reply)
	}
	return nil
}

// Sent takes the packets sent since the last call, oldest first (the last 1024 of them).
func (d *SimDevice) Sent() []SimPacket {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	sent := d.sent
	d.sent = nil
	return sent
}
