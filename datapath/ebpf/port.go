package ebpf

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

const portProbes = 8 // PORT_PROBES of bpf/abi.h

type port struct {
	spec datapath.PortSpec
	hook hook
	// adopted ports are of an earlier instance, and nobody has asked for them yet.
	adopted bool
}

func cString(b [16]int8) string {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c == 0 {
			break
		}
		out = append(out, byte(c))
	}
	return string(out)
}

func toC(s string) (b [16]int8) {
	for i := range min(len(s), len(b)-1) {
		b[i] = int8(s[i])
	}
	return b
}

// PortAdd implements datapath.Datapath. A port that an earlier instance left is added once more, by
// its device or, if that was made anew, by its name: then it keeps its number.
func (d *Datapath) PortAdd(spec datapath.PortSpec) (odp.Port, error) {
	n, err := d.portAdd(spec)
	if err != nil {
		return odp.PortNone, fmt.Errorf("port %s: %w", spec.Name, err)
	}
	return n, nil
}

func (d *Datapath) portAdd(spec datapath.PortSpec) (odp.Port, error) {
	if isNative(&spec) {
		return d.tunnelAdd(spec)
	}
	if spec.Kind == datapath.PortTunnel {
		if err := checkTunnelDevice(&spec); err != nil {
			return 0, err
		}
		t := *spec.Tunnel
		spec.Tunnel = &t
	}
	if spec.Ifindex == 0 {
		dev, err := net.InterfaceByName(spec.Name)
		if err != nil {
			return 0, err
		}
		spec.Ifindex = dev.Index
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, errClosed
	}
	for n, p := range d.ports {
		same := p.spec.Ifindex == spec.Ifindex
		switch {
		case p.adopted && same && p.spec.Kind == spec.Kind && sameTunnel(p.spec.Tunnel, spec.Tunnel) && (spec.Number == odp.PortNone || spec.Number == n):
			// It forwards already, and goes on without a gap.
			spec.Number = n
			p.spec, p.adopted = spec, false
			d.portMem.at[n].Name, d.portMem.at[n].Type = toC(spec.Name), toC(spec.Type)
			return n, nil
		case p.adopted && (same || p.spec.Name == spec.Name):
			if spec.Number == odp.PortNone {
				spec.Number = n
			}
			if err := d.portDel(n); err != nil {
				return 0, err
			}
		case same:
			return 0, fmt.Errorf("device %d is port %d already", spec.Ifindex, n)
		}
	}
	n, err := d.freeNumber(spec.Number)
	if err != nil {
		return 0, err
	}
	spec.Number = n
	at, err := d.indexPlace(uint32(spec.Ifindex))
	if err != nil {
		return 0, err
	}
	m := &d.portMem.at[n]
	m.PeerLen, m.Watched, m.Tunnel = 0, 0, 0
	m.Kind = uint16(spec.Kind)
	m.UpcallRate = d.perJiffy(d.opts.UpcallRate)
	m.UpcallBurst = uint32(d.opts.UpcallBurst)
	m.Name, m.Type = toC(spec.Name), toC(spec.Type)
	if isTunnelDevice(&spec) {
		d.setTunnelDevice(m, &spec)
	} else {
		atomic.StoreUint32(&m.Ifindex, uint32(spec.Ifindex))
	}
	d.portIndex.at[at].Port = uint32(n)
	atomic.StoreUint32(&d.portIndex.at[at].Ifindex, uint32(spec.Ifindex))

	h, err := d.attach(portHook(&spec), d.program(spec.Kind))
	if err != nil {
		h.close()
		d.forget(n)
		return 0, err
	}
	d.ports[n] = &port{spec: spec, hook: h}
	return n, nil
}

// freeNumber is the number of a new port: the wanted one, unless that is PortNone. Its counters and drops begin at zero.
func (d *Datapath) freeNumber(n odp.Port) (odp.Port, error) {
	if n == odp.PortNone {
		// 0 is left to the datapath itself, as dumps show it.
		for n = 1; int(n) < len(d.portMem.at) && d.ports[n] != nil; n++ {
		}
	}
	if int(n) >= len(d.portMem.at) {
		return 0, fmt.Errorf("port number %d: at most %d ports", n, len(d.portMem.at))
	}
	if d.ports[n] != nil {
		return 0, fmt.Errorf("port number %d is taken by %s", n, d.ports[n].spec.Name)
	}
	for cpu := range d.cpuMem.n {
		*d.cpuMem.port(cpu, n) = bpf.DatapathPortCounts{}
	}
	d.policers.at[n] = bpf.DatapathPolicer{}
	if err := d.coll.Maps["port_drop"].Put(uint32(n), make([]bpf.DatapathPortDrops, d.cpus)); err != nil {
		return 0, fmt.Errorf("clear counters: %w", err)
	}
	return n, nil
}

func (d *Datapath) program(k datapath.PortKind) *ebpf.Program {
	switch k {
	case datapath.PortInternal:
		return d.coll.Programs["egress"]
	case datapath.PortTunnel:
		return d.coll.Programs["tunnel_device"]
	}
	return d.coll.Programs["ingress"]
}

// indexPlace finds the entry of the index that a device has or can have.
func (d *Datapath) indexPlace(ifindex uint32) (uint32, error) {
	mask := uint32(len(d.portIndex.at) - 1)
	free := -1
	for i := range uint32(portProbes) {
		at := (ifindex + i) & mask
		switch d.portIndex.at[at].Ifindex {
		case ifindex:
			return at, nil
		case 0:
			if free < 0 {
				free = int(at)
			}
		}
	}
	if free < 0 {
		return 0, fmt.Errorf("index of devices is full around %d", ifindex)
	}
	return uint32(free), nil
}

// forget makes the programs forget a port.
func (d *Datapath) forget(n odp.Port) {
	m := &d.portMem.at[n]
	dev := deviceOf(m)
	if at, err := d.indexPlace(dev); err == nil && dev != 0 && d.portIndex.at[at].Ifindex == dev {
		atomic.StoreUint32(&d.portIndex.at[at].Ifindex, 0)
	}
	atomic.StoreUint32(&m.Ifindex, 0)
	m.Tunnel = 0
}

// PortDel implements datapath.Datapath.
func (d *Datapath) PortDel(n odp.Port) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	return d.portDel(n)
}

func (d *Datapath) portDel(n odp.Port) error {
	p := d.ports[n]
	if p == nil {
		return fmt.Errorf("port %d: %w", n, datapath.ErrNoSuchPort)
	}
	if isNative(&p.spec) {
		if err := d.tunnelDel(p.spec.Tunnel); err != nil {
			return err
		}
	}
	d.forget(n)
	delete(d.ports, n)
	if err := p.hook.detach(); err != nil {
		return fmt.Errorf("port %s: %w", p.spec.Name, err)
	}
	return nil
}

// PortPeer implements datapath.PortPeerer. What goes to a port with a peer as the last of its actions and to
// the peer's own address is given to the peer at once: the device's own counters miss it.
func (d *Datapath) PortPeer(n odp.Port, peer *datapath.Peer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errClosed
	case d.ports[n] == nil:
		return fmt.Errorf("peer of port %d: %w", n, datapath.ErrNoSuchPort)
	}
	if d.ports[n].spec.Kind != datapath.PortNetdev {
		return nil
	}
	m := &d.portMem.at[n]
	length := uint32(0)
	if peer != nil && peer.MAC[0]&1 == 0 {
		length = uint32(peer.MTU) + packet.EthLen
	}
	if length == m.PeerLen && (length == 0 || m.PeerMac == peer.MAC) {
		return nil
	}
	// The programs must not see an address that is half old.
	atomic.StoreUint32(&m.PeerLen, 0)
	if length != 0 {
		m.PeerMac = peer.MAC
		atomic.StoreUint32(&m.PeerLen, length)
	}
	return nil
}

// PortWatch implements datapath.PortWatcher.
func (d *Datapath) PortWatch(n odp.Port, on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errClosed
	case d.ports[n] == nil:
		return fmt.Errorf("watch port %d: %w", n, datapath.ErrNoSuchPort)
	}
	var v uint32
	if on {
		v = 1
	}
	atomic.StoreUint32(&d.portMem.at[n].Watched, v)
	return nil
}

// Ports implements datapath.Datapath.
func (d *Datapath) Ports() ([]datapath.PortInfo, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, errClosed
	}
	out := make([]datapath.PortInfo, 0, len(d.ports))
	for n := range odp.Port(len(d.portMem.at)) {
		p := d.ports[n]
		if p == nil {
			continue
		}
		out = append(out, datapath.PortInfo{PortSpec: p.spec, Stats: d.portStats(n)})
		if len(out) == len(d.ports) {
			break
		}
	}
	return out, nil
}

func (d *Datapath) portStats(n odp.Port) (st datapath.PortStats) {
	for cpu := range d.cpuMem.n {
		c := d.cpuMem.port(cpu, n)
		st.RxPackets += atomic.LoadUint64(&c.RxPackets)
		st.RxBytes += atomic.LoadUint64(&c.RxBytes)
		st.TxPackets += atomic.LoadUint64(&c.TxPackets)
		st.TxBytes += atomic.LoadUint64(&c.TxBytes)
		st.RxDropped += atomic.LoadUint64(&c.RxDropped)
		st.TxDropped += atomic.LoadUint64(&c.TxDropped)
	}
	for i := range d.policers.at[n].Band {
		st.RxPoliced += atomic.LoadUint64(&d.policers.at[n].Band[i].Packets)
	}
	return st
}

// portDrops are what was dropped of a port, by reason.
func (d *Datapath) portDrops(n odp.Port) (drops [len(bpf.DatapathPortDrops{}.Drops)]uint64, err error) {
	per := make([]bpf.DatapathPortDrops, d.cpus)
	if err := d.coll.Maps["port_drop"].Lookup(uint32(n), &per); err != nil {
		return drops, fmt.Errorf("drops of port %d: %w", n, err)
	}
	for i := range per {
		for r, v := range per[i].Drops {
			drops[r] += v
		}
	}
	return drops, nil
}

// PortStats returns one port's counters.
func (d *Datapath) PortStats(n odp.Port) (datapath.PortStats, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return datapath.PortStats{}, errClosed
	}
	if d.ports[n] == nil {
		return datapath.PortStats{}, fmt.Errorf("port %d: %w", n, datapath.ErrNoSuchPort)
	}
	return d.portStats(n), nil
}

var dropNames = map[bpf.DatapathDropReason]string{
	bpf.DatapathDropReasonDROP_UPCALL_RING:  "upcall_ring_full",
	bpf.DatapathDropReasonDROP_UPCALL_RATE:  "upcall_rate_limit",
	bpf.DatapathDropReasonDROP_UPCALL_SIZE:  "upcall_too_long",
	bpf.DatapathDropReasonDROP_HEADERS:      "too_many_headers",
	bpf.DatapathDropReasonDROP_PULL:         "headers_not_linear",
	bpf.DatapathDropReasonDROP_OUTPUT_PORT:  "no_output_port",
	bpf.DatapathDropReasonDROP_OUTPUT_CLONE: "output_copy_failed",
	bpf.DatapathDropReasonDROP_ACTION:       "action_failed",
	bpf.DatapathDropReasonDROP_RECIRC_LIMIT: "recirculation_limit",
	bpf.DatapathDropReasonDROP_NESTING:      "nesting_limit",
	bpf.DatapathDropReasonDROP_INTERNAL:     "internal",
	bpf.DatapathDropReasonDROP_METER:        "meter",
	bpf.DatapathDropReasonDROP_CONNTRACK:    "conntrack",
	bpf.DatapathDropReasonDROP_TUNNEL:       "tunnel_key",
	bpf.DatapathDropReasonDROP_TUNNEL_MTU:   "tunnel_mtu",
	bpf.DatapathDropReasonDROP_TUNNEL_ECN:   "tunnel_ecn",
	bpf.DatapathDropReasonDROP_POLICING:     "ingress_policing",
}

func dropName(r int) string {
	if r < int(bpf.DatapathDropReasonDROP_DATAPATH) {
		return odp.DropReason(r).String()
	}
	return dropNames[bpf.DatapathDropReason(r)]
}

// Drops implements datapath.Datapath.
func (d *Datapath) Drops() ([]datapath.Drops, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, errClosed
	}
	var out []datapath.Drops
	add := func(at, n odp.Port) error {
		drops, err := d.portDrops(at)
		if err != nil {
			return err
		}
		for r, v := range drops {
			if v > 0 {
				out = append(out, datapath.Drops{Reason: dropName(r), Port: n, Packets: v})
			}
		}
		return nil
	}
	for n := range odp.Port(len(d.portMem.at)) {
		if d.ports[n] != nil {
			if err := add(n, n); err != nil {
				return nil, err
			}
		}
	}
	return out, add(odp.Port(d.opts.MaxPorts), odp.PortNone)
}

// adoptPorts reads the ports that are in the maps. The programs they run are still the old
// ones; takeOver replaces them.
func (d *Datapath) adoptPorts() error {
	for n := range d.portMem.at {
		m := &d.portMem.at[n]
		if deviceOf(m) == 0 {
			if m.Tunnel != 0 {
				d.adoptTunnel(odp.Port(n))
			}
			continue
		}
		spec := datapath.PortSpec{
			Name: cString(m.Name), Kind: datapath.PortKind(m.Kind), Ifindex: int(deviceOf(m)), Type: cString(m.Type), Number: odp.Port(n),
		}
		if isTunnelDevice(&spec) {
			spec.Tunnel = tunnelSpecOf(m)
		}
		// A device of that number and name must exist, else the number may be another's by now.
		if dev, err := net.InterfaceByIndex(spec.Ifindex); err != nil || dev.Name != spec.Name {
			d.forget(odp.Port(n))
			continue
		}
		m.UpcallRate, m.UpcallBurst = d.perJiffy(d.opts.UpcallRate), uint32(d.opts.UpcallBurst)
		m.Watched = 0 // until it is asked for again
		d.ports[odp.Port(n)] = &port{spec: spec, adopted: true}
	}
	return nil
}

// takeOver puts the new programs at all ports that were adopted and takes away what is of
// instances before: links without port, other layouts.
func (d *Datapath) takeOver() error {
	if err := d.pins.pinProgs(d.coll.Maps["progs"]); err != nil {
		return err
	}
	finish := func() error { return nil }
	if len(d.ports) == 0 {
		finish = d.adoptForeign()
	}
	for n, p := range d.ports {
		if isNative(&p.spec) {
			continue
		}
		h, err := d.attach(portHook(&p.spec), d.program(p.spec.Kind))
		p.hook = h
		if err != nil {
			return fmt.Errorf("port %s (%d): %w", p.spec.Name, n, err)
		}
	}
	if err := d.adoptUnderlays(); err != nil {
		return err
	}
	if err := finish(); err != nil {
		return err
	}
	if err := d.pins.settle(); err != nil {
		return err
	}
	return d.sweep()
}

// sweep removes pinned links that no port has, and the directories of other layouts.
func (d *Datapath) sweep() error {
	used := map[string]bool{d.inject.hook.pin: true}
	for _, p := range d.ports {
		used[p.hook.pin] = true
	}
	for _, h := range d.underlays {
		used[h.pin] = true
	}
	ents, err := os.ReadDir(d.pins.dir())
	if err != nil {
		return fmt.Errorf("read pin directory: %w", err)
	}
	var errs []error
	for _, e := range ents {
		path := d.pins.path(e.Name())
		if bytes.HasPrefix([]byte(e.Name()), []byte("link_")) && !used[path] {
			errs = append(errs, os.Remove(path))
		}
	}
	for _, dir := range d.pins.others() {
		errs = append(errs, removeTree(dir))
	}
	return errors.Join(errs...)
}
