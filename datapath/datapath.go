// Package datapath is what a datapath offers (ports, flows, execute, upcalls), and the engine
// above any of them: upcall dispatch, revalidation and the push-back of statistics.
package datapath

import (
	"errors"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Errors that callers tell apart.
var (
	ErrFull        = errors.New("flow table is full")
	ErrNoSuchFlow  = errors.New("no such flow")
	ErrNoSuchPort  = errors.New("no such port")
	ErrUnsupported = errors.New("action not supported by this datapath")
	ErrTooLong     = errors.New("too many actions")
	ErrTooManyMask = errors.New("too many masks")
)

// PortKind says how packets reach and leave a port.
type PortKind uint8

// Port kinds.
const (
	PortNetdev   PortKind = iota // received at the device's ingress, sent out of the device
	PortInternal                 // a tap that is the host's own interface: the other way round
	PortTunnel                   // a tunnel device shared by OpenFlow ports
)

// PortSpec asks for a port.
type PortSpec struct {
	Name    string
	Kind    PortKind
	Ifindex int
	Type    string      // OVSDB Interface type, for dumps: "system", "internal"...
	Number  odp.Port    // wanted number; PortNone: any
	Tunnel  *TunnelSpec // of PortTunnel; Ifindex is 0 if it is native
}

// Peer is the other end of a veth, in another network namespace.
type Peer struct {
	MAC [6]byte
	MTU int
}

// PortPeerer is a Datapath that can give packets to a port's peer without passing through the
// port's device.
type PortPeerer interface {
	// PortPeer says what peer a port has, nil for none. It must follow every change.
	PortPeer(odp.Port, *Peer) error
}

// PortWatcher is a Datapath that can send up the BFD packets of a port by a way of their own, which others do not block.
type PortWatcher interface {
	PortWatch(odp.Port, bool) error
}

// PortInfo is a port that exists.
type PortInfo struct {
	PortSpec
	Stats PortStats
}

// PortStats counts what the datapath saw on a port.
type PortStats struct {
	RxPackets, RxBytes, TxPackets, TxBytes, RxDropped, TxDropped uint64
	RxPoliced                                                    uint64 // of RxDropped, for Policing
}

// Flow is a megaflow: packets whose key agrees with Match in the masked bits get Actions.
type Flow struct {
	Match   flow.Match // datapath words only; Key zero where Mask is
	Actions []odp.Action
}

// FlowStats are a megaflow's counters. Used is the time of the last hit in nanoseconds of the
// monotonic clock, 0 when never.
type FlowStats struct {
	Packets, Bytes uint64
	Used           int64
	TCPFlags       uint16
}

// FlowRef is a handle to an installed flow, valid until it is deleted; a stale one is
// answered by ErrNoSuchFlow, never by another flow.
type FlowRef uint64

// GSO is a packet's offload state: what a virtio_net_hdr can say.
type GSO = packet.GSO

// Packet is a frame in user space. Data starts at the Ethernet header, VLAN tags in place.
type Packet = packet.Packet

// Upcall is a packet that the datapath sent up.
type Upcall struct {
	Packet Packet
	Key    flow.Key       // datapath words; in_port is a datapath port number
	Kind   odp.UpcallKind // 0: a miss; else the Userspace action that sent it
	Cookie uint32
}

// Stats are a datapath's totals.
type Stats struct {
	Hit, Missed, Lost uint64
	MaskHit           uint64 // subtables looked at
	Flows, Masks      int
	CacheHit          uint64
}

// Drops counts dropped packets: by reason name, in total and by port.
type Drops struct {
	Reason  string
	Port    odp.Port // PortNone: not bound to a port
	Packets uint64
}

// Features says what a datapath can do (dpif/show-dp-features, Datapath.capabilities).
type Features struct {
	MaxVLANHeaders, MaxMPLSDepth                          int
	Recirc, CTState, CTZone, CTMark, CTLabel, CTOrigTuple bool
	CTStateNAT, CTOrigTuple6, CTEventMask                 bool
	MaskedSet, UFID, Trunc, Clone, CTClear, TnlPushPop    bool
	SampleNesting                                         int // how deep sample() may stand in sample()
	MaxHashAlg                                            int
	CheckPktLen, CTTimeout, ExplicitDrop, LBOutput        bool
	CTZeroSNAT, AddMPLS, Meter, CTFlush, NDExt            bool
	CTHelper                                              bool // ct(alg=ftp) and tftp
	PlainQueues                                           bool // skb_priority is a queue's number, not a class of tc(8)
}

// Datapath is one datapath: an eBPF one, or the plain-Go reference. Methods are safe for
// concurrent use. Flow writes come from one engine.
type Datapath interface {
	// Name and Type are the parts of "type@name" (dpctl/dump-dps).
	Name() string
	Type() string
	Features() Features

	PortAdd(PortSpec) (odp.Port, error)
	PortDel(odp.Port) error
	Ports() ([]PortInfo, error)

	// FlowPut installs or replaces (same key and mask); statistics of a replaced flow are kept. The Flow
	// itself stays the caller's.
	FlowPut(*Flow) (FlowRef, error)
	// FlowDel removes a flow and returns its last counters.
	FlowDel(FlowRef) (FlowStats, error)
	FlowStats(FlowRef) (FlowStats, error)
	// FlowDump calls f for each flow until it returns false.
	FlowDump(f func(FlowRef, *Flow, FlowStats) bool) error
	FlowFlush() error

	// Execute runs actions on a packet; key is its key, in_port set.
	Execute(pkt *Packet, key *flow.Key, actions []odp.Action) error

	// Handle sets who gets upcalls: called on a goroutine of the datapath, one per handler
	// thread, in order per thread. The upcall is only valid during the call. nil: packets that
	// miss are counted as lost.
	Handle(func(*Upcall))

	Stats() (Stats, error)
	Drops() ([]Drops, error)
	// Close releases the handle. With cleanup nothing stays in the kernel; without, what is
	// pinned goes on forwarding.
	Close(cleanup bool) error
}
