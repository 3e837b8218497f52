package netdev

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/netip"
	"slices"
)

// Configurable is a Device that has options of its own: those of the database's Interface row.
type Configurable interface {
	// Configure brings the options into force; those that it does not know are left to others. It may be called again
	// with the same options, and then changes nothing.
	Configure(options map[string]string) error
}

var _ Configurable = (*SimDevice)(nil)

// Configure implements Configurable. The options are those of OVS's dummy devices: pcap, rxq_pcap and tx_pcap name
// files to which the packets of both or of one direction are appended; pstream waits for connections that carry
// packets (punix:FILE, ptcp:PORT[:IP]) and stream makes one (unix:FILE, tcp:IP:PORT).
func (d *SimDevice) Configure(options map[string]string) error {
	wanted := map[string]string{}
	for _, k := range []string{"pcap", "rxq_pcap", "tx_pcap", "stream", "pstream"} {
		if v := options[k]; v != "" {
			wanted[k] = v
		}
	}
	d.sim.mu.Lock()
	if err := d.checkLocked(); err != nil {
		d.sim.mu.Unlock()
		return err
	}
	if maps.Equal(wanted, d.options) {
		d.sim.mu.Unlock()
		return nil
	}
	d.capture.close()
	old := d.wire
	d.wire = nil
	d.options = wanted
	d.sim.mu.Unlock()
	// What listens and what reads takes the lock.
	old.close()

	files, err := openCapture(wanted, d.sim.clock)
	wire, werr := openWire(d, wanted)
	err = errors.Join(err, werr)
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.capture, d.wire = files, wire
	if err != nil {
		d.options = nil // to be tried again
	}
	return err
}

// disconnectLocked ends what Configure began, but for the wire, which the caller closes without the lock.
func (d *SimDevice) disconnectLocked() *simWire {
	d.capture.close()
	wire := d.wire
	d.wire, d.options = nil, nil
	return wire
}

// AddAddr gives the device an address: it answers ARP requests for an IPv4 one.
func (d *SimDevice) AddAddr(p netip.Prefix) {
	d.sim.mu.Lock()
	defer d.sim.mu.Unlock()
	d.addrs = append(d.addrs, p)
}

// arpReplyLocked is the answer to a frame that asks for an address of the device, else nil.
func (d *SimDevice) arpReplyLocked(frame []byte) []byte {
	const (
		arp     = 0x0806
		request = 1
		length  = 42
	)
	if len(d.addrs) == 0 || len(frame) < length || binary.BigEndian.Uint16(frame[12:]) != arp ||
		[8]byte(frame[14:22]) != [8]byte{0, 1, 8, 0, 6, 4, 0, request} {
		return nil
	}
	target := netip.AddrFrom4([4]byte(frame[38:42]))
	for _, p := range d.addrs {
		if p.Addr() != target {
			continue
		}
		asker := frame[22:32] // hardware and protocol address
		reply := make([]byte, 0, length)
		reply = append(append(reply, asker[:6]...), d.info.MAC[:]...)
		reply = append(reply, frame[12:20]...)
		reply = append(reply, 0, 2)
		reply = append(append(reply, d.info.MAC[:]...), frame[38:42]...)
		return append(reply, asker...)
	}
	return nil
}

// Addresses are the addresses of all devices, by ifindex.
func (s *Sim) Addresses() map[int][]netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[int][]netip.Prefix{}
	for _, d := range s.links {
		if len(d.addrs) > 0 {
			all[d.info.Ifindex] = slices.Clone(d.addrs)
		}
	}
	return all
}
