// Package pipeline translates a packet's key through the OpenFlow tables of its bridge to
// datapath actions and the mask of every bit that was read. A trace is the same code with a
// listener.
package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Port is what translation must know of an OpenFlow port. Values are immutable: a change of
// the bridge publishes new ones.
type Port struct {
	No     openflow.PortNo
	Name   string
	ODP    odp.Port // PortNone for patch ports
	Config uint32   // openflow.Config*
	State  uint32   // openflow.State*
	// Peer is the other end of a patch port, nil when it has none (yet).
	Peer     Bridge
	PeerPort openflow.PortNo
	Tunnel   *Tunnel // nil: not a tunnel port; of one ODP is the datapath's, which it shares with others
	// DSCP is what IP packets leave with that are in one of these queues (Queue.dscp).
	DSCP map[uint32]uint8
	// Protocols take packets that come in by the port before the tables see them.
	Protocols []Protocol
	// MirrorsIn and MirrorsOut are the mirrors that select packets which come in or go out by the port. MirrorOutput: the port
	// is for mirrors' copies only.
	MirrorsIn, MirrorsOut MirrorSet
	MirrorOutput          bool
	// Tx and Rx, when not nil, are credited with what a patch or tunnel port sends and receives: no
	// datapath counts that.
	Tx, Rx datapath.Credit
}

// Bridge is what OpenFlow leaves to the bridge. Package bridge implements it. Calls come from
// translations, under the configuration's read lock.
type Bridge interface {
	Name() string
	// UUID names the bridge in continuations, to Options.Bridge. It is random: controllers of other bridges cannot know it.
	UUID() [16]byte
	Tables() *table.Tables
	// Config is versioned by every reconfiguration that translations can see (ports, VLANs,
	// fail mode, peers).
	Config() datapath.Versioned
	// PortByNo finds a port, nil when there is none.
	PortByNo(openflow.PortNo) *Port
	// EachPort calls f for every port, LOCAL too, in the order of numbers.
	EachPort(f func(*Port))
	// Normal forwards like a VLAN-aware learning switch (output:NORMAL), through x.
	Normal(x Context)
	// Mirror gives those of the mirrors a copy of the packet that select the VLAN which it has at the port.
	Mirror(x Mirroring, at *Port, mirrors MirrorSet)
	// DropFrags, VLANLimit: SET_CONFIG fragment handling, and how many VLAN tags are matched.
	FragHandling() uint16
	// PacketIn hands a packet to the bridge's controllers.
	PacketIn(*PacketIn)
	// Learn does the flow mod of a learn action with this limit, see table.Tables.Learn. Unlike the
	// other calls this one comes without the lock.
	Learn(fm *openflow.FlowMod, limit uint32)
	// Sampling says which packets IPFIX exporters of the bridge want; nil: it has none. Sampled takes such a packet; it comes
	// without the lock.
	Sampling() *Sampling
	Sampled(*Sample)
	// DatapathID for the text forms.
	DatapathID() uint64
}

// PacketIn is a packet for controllers, before a connection's form is chosen.
type PacketIn struct {
	openflow.PacketIn
	MaxLen       uint16
	ControllerID uint16
	InPort       openflow.PortNo
}

// Context is what a bridge may do inside a translation. All reads un-wildcard.
type Context interface {
	// Get reads a field of at most 64 bits of the packet as it is now.
	Get(flow.FieldID) uint64
	// Bytes reads a field of any size, in network byte order.
	Bytes(flow.FieldID) []byte
	// Is reports whether such a field has a value, reading no more bits than it needs to.
	Is(flow.FieldID, uint64) bool
	// InPort is the port through which the packet came into this bridge (nil: from a
	// controller's packet-out without a port).
	InPort() *Port
	// Packet is the packet when there is one, nil in revalidation.
	Packet() *datapath.Packet
	// Output sends the packet as it is now to a port (also a patch port), unless it is the
	// port the packet came from or NO_FWD.
	Output(*Port)
	// VLANs returns the packet's VLAN stack (outermost first), un-wildcarding it; SetVLANs replaces it
	// for the outputs that follow (push, pop and rewrite actions as needed).
	VLANs() []VLAN
	SetVLANs([]VLAN)
	// MayLearn says whether state outside the packet may change.
	MayLearn() bool
	// Depend records a dependency; Credit a receiver of the megaflow's traffic.
	Depend(datapath.Versioned)
	Credit(datapath.Credit)
	// Slow asks for every packet to be seen in user space (reason: "stp", "lacp"...).
	Slow(reason string)
	// Report adds a line to the trace, if there is one (format as of fmt; nothing is formatted otherwise).
	Report(format string, args ...any)
	// Warn is Report for what went wrong, Fault for what must not be.
	Warn(format string, args ...any)
	Fault(format string, args ...any)
}

// VLAN is one tag of a stack.
type VLAN = tracked.VLAN
