// Package netdev is network devices as the bridge sees them: Linux ones through netlink, and
// simulated ones with the same interface.
//
// A Provider works in one network namespace, the one of the thread that made it. It leaves
// alone whatever it does not own: it owns the devices that it opened, and of the devices
// that exist only the taps that carry its instance's mark can be swept.
package netdev

import (
	"context"
	"fmt"
	"iter"
	"net"
)

// Interface types, as in Interface.type of the database.
const (
	System   = "system"   // any device that exists, taken as it is
	Internal = "internal" // the host's own interface on the bridge: a tap that we make
	Tap      = "tap"      // like Internal
	Dummy    = "dummy"    // simulated only
)

// Provider opens devices and watches them. Methods are safe for concurrent use.
type Provider interface {
	// Types are the interface types that Open knows.
	Types() []string
	// Open takes a device. Errors are *OpenError and read as Interface.error does in OVS.
	// A second Open of a name that is open fails.
	Open(OpenSpec) (Device, error)
	// Lookup reads a device that need not be open; its error wraps ErrNoDevice when there is
	// none.
	Lookup(name string) (Info, error)
	// PeerOf reads the other end of the veth i, in whichever namespace it is.
	PeerOf(i Info) (Info, error)
	// Sweep removes this instance's devices of an earlier run whose names are neither in
	// keep nor open now, and returns the names that it removed.
	Sweep(keep []string) ([]string, error)
	// Watch reports devices that come, go and change, opened or not, until ctx ends. The
	// channel is closed then, or before when the system refuses to go on. It starts with an Added event for each device that exists. A
	// slow reader loses no state: events of one device are merged while they wait.
	Watch(ctx context.Context) (<-chan Event, error)
	// Close closes what is open, as Device.Close does, and releases the provider.
	Close() error
}

// OpenSpec asks for a device.
type OpenSpec struct {
	Name string
	Type string // "" is System
	// Adopted says that an earlier run of this instance left the device in its datapath:
	// the promiscuous flag found on it is then our own and goes when the device is released.
	Adopted bool
}

// Device is an open device.
type Device interface {
	Name() string
	Type() string
	// Info reads the device's present state. Its error wraps ErrNoDevice when the device has
	// vanished; a device of the same name that came back is a new one, to be opened anew.
	Info() (Info, error)
	// Stats reads the device's counters. Packets that a BPF program redirects are missing in
	// those of a tap: the caller adds the datapath's.
	Stats() (Stats, error)
	// Ethtool reads driver, speed and link modes; what the driver does not say stays zero.
	Ethtool() (Ethtool, error)

	SetMTU(int) error
	SetMAC(MAC) error
	SetUp(bool) error

	// Close ends the use of the device and leaves it in the kernel as it is, so that
	// forwarding goes on and the next run adopts it. A closed tap has no carrier.
	Close() error
	// Release gives the device up: its flags are restored and a tap that we made is removed.
	// The device is closed even when that fails. Releasing a device that has vanished is no
	// error.
	Release() error
}

// MAC is an Ethernet address.
type MAC [6]byte

// String writes the address in OVS's form.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Info is the state of a device. It is comparable.
type Info struct {
	Name    string
	Ifindex int
	Kind    string // of rtnetlink: "veth", "tun", "bridge"...; "" for most hardware
	MAC     MAC
	MTU     int
	Up      bool // administrative state
	Carrier bool // meaningful while Up only; see LinkUp
	Promisc bool // the flag, not the kernel's counter
	// CarrierChanges counts the carrier's transitions since the device was made.
	CarrierChanges uint32
	Master         int // ifindex of the bridge, bond... that holds the device, 0: none
	Alias          string
	Loopback       bool
	Ethernet       bool
	Peer           Peer // of a veth
}

// LinkUp is OVS's link_state: a device that is administratively down has no link.
func (i Info) LinkUp() bool { return i.Up && i.Carrier }

// Peer says where the other end of a veth is.
type Peer struct {
	Ifindex int // 0: no peer
	// Netns is the kernel's id of the peer's namespace, as seen from ours; -1: the same
	// namespace as ours.
	Netns int
}

// Stats are a device's counters as the bridge sees them: received is what came into the
// bridge. (A tap counts the other way round, because its far end is the bridge.)
type Stats struct {
	RxPackets, TxPackets, RxBytes, TxBytes    uint64
	RxDropped, TxDropped, RxErrors, TxErrors  uint64
	RxFrameErr, RxOverErr, RxCRCErr, RxMissed uint64
	Collisions, RxMulticast                   uint64
}

// All gives the counters under the names of Interface.statistics, in a fixed order.
func (s *Stats) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		_ = yield("rx_packets", s.RxPackets) && yield("tx_packets", s.TxPackets) &&
			yield("rx_bytes", s.RxBytes) && yield("tx_bytes", s.TxBytes) &&
			yield("rx_dropped", s.RxDropped) && yield("tx_dropped", s.TxDropped) &&
			yield("rx_errors", s.RxErrors) && yield("tx_errors", s.TxErrors) &&
			yield("rx_frame_err", s.RxFrameErr) && yield("rx_over_err", s.RxOverErr) &&
			yield("rx_crc_err", s.RxCRCErr) && yield("rx_missed_errors", s.RxMissed) &&
			yield("collisions", s.Collisions) && yield("rx_multicast_packets", s.RxMulticast)
	}
}

// swapped turns a tap's own view of its counters into the bridge's. Errors that only a
// receiver of frames can see do not turn into a sender's, and are dropped.
func (s Stats) swapped() Stats {
	return Stats{
		RxPackets: s.TxPackets, TxPackets: s.RxPackets, RxBytes: s.TxBytes, TxBytes: s.RxBytes,
		RxDropped: s.TxDropped, TxDropped: s.RxDropped, RxErrors: s.TxErrors, TxErrors: s.RxErrors,
		Collisions: s.Collisions,
	}
}

// Ethtool is what the driver says.
type Ethtool struct {
	Driver, DriverVersion, Firmware string
	Speed                           uint64 // bits per second, 0: unknown
	Duplex                          Duplex
	// OpenFlow 1.1+ port features (ofp_port_features).
	Current, Advertised, Supported, Peer PortFeatures
}

// Duplex is half, full or unknown.
type Duplex uint8

// Duplex values.
const (
	DuplexUnknown Duplex = iota
	DuplexHalf
	DuplexFull
)

// String is the value of Interface.duplex; "" when unknown.
func (d Duplex) String() string {
	return [...]string{DuplexUnknown: "", DuplexHalf: "half", DuplexFull: "full"}[d%3]
}

// EventKind says what happened to a device.
type EventKind uint8

// Event kinds.
const (
	Added EventKind = iota
	Removed
	Changed // up, carrier, MTU, MAC, master, alias or flags; a rename is Removed and Added
)

// String names the kind.
func (k EventKind) String() string {
	return [...]string{Added: "added", Removed: "removed", Changed: "changed"}[k%3]
}

// Event is one change of a device. Info is its state afterwards, or its last one if Removed.
type Event struct {
	Kind EventKind
	Info Info
}

// String is for logs.
func (e Event) String() string {
	return fmt.Sprintf("%s %s (ifindex %d)", e.Info.Name, e.Kind, e.Info.Ifindex)
}
