// Package odp holds datapath actions as typed values, and the ODP text syntax of keys and
// actions, read and written (ovs-dpctl(8), "ovs-actions(7)").
package odp

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Port is a datapath port number. Ports of all bridges of one datapath share one number space.
type Port uint32

// PortNone is no port.
const PortNone Port = 0xffffffff

// Action is one datapath action. Lists of them run in order on one packet; every change is
// seen by the actions behind it. An empty list drops the packet.
type Action interface{ odpAction() }

// Output sends the packet as it is now to a port.
type Output struct{ Port Port }

// UpcallKind says who asked for a packet in user space.
type UpcallKind uint8

// Kinds of Userspace actions (OVS "user action cookie" types).
const (
	UpcallSlowPath   UpcallKind = iota + 1 // translate again in user space; Reason says why
	UpcallController                       // packet-in for controllers
	UpcallSFlow
	UpcallFlowSample
	UpcallIPFIX
	// UpcallNextHop is no action's: the datapath has no next hop for what goes out of a native tunnel port, which the
	// cookie is. The packet's key has the tunnel.
	UpcallNextHop
	// UpcallTooBig is no action's either: what goes out of a tunnel port is longer than the way takes. The cookie is
	// datapath.TooBigCookie.
	UpcallTooBig
)

// Userspace sends a copy of the packet up with a cookie.
type Userspace struct {
	Kind   UpcallKind
	Reason string // slow path reasons, comma-separated: cfm bfd lacp stp lldp controller action match
	// Cookie identifies the sender's state: kept in the agent's table of cookies, so that only
	// 32 bits cross into the datapath.
	Cookie uint32
	// Controller upcalls: what controller() said, for the text form.
	ControllerReason uint8
	MaxLen           uint16
	DontSend         bool
	Continuation     bool
	RecircID         uint32
	RuleCookie       uint64
	ControllerID     uint16
	// Sampled is of UpcallFlowSample and UpcallIPFIX.
	Sampled Sampled
}

// FieldSet is one field of a Set with the value and mask in wire form (flow.Field.Bytes long,
// mask nil when every bit is set).
type FieldSet struct {
	Field flow.FieldID
	Value []byte
	Mask  []byte
}

// Set writes fields of one header (masked where Mask says so). All Fields belong to the same
// ODP attribute: eth, vlan is never here, ipv4, ipv6, tcp, udp, sctp, icmp, arp, nd, mpls,
// skb_mark, skb_priority, tunnel. Checksums follow. A tunnel is always written as a whole: what
// is not given is zero.
type Set struct {
	Fields []FieldSet
	// IPv6 says that ToS and TTL are those of an IPv6 header; only text needs it.
	IPv6 bool
	// TunOpts are the Geneve options of a tunnel, as on the wire, at most 252 bytes.
	TunOpts []byte
}

// PushVLAN adds a VLAN header outside all others.
type PushVLAN struct {
	TPID uint16
	TCI  uint16 // with flow.VLANPresent set
}

// PopVLAN removes the outermost VLAN header.
type PopVLAN struct{}

// PushMPLS adds a label stack entry.
type PushMPLS struct {
	LSE     uint32
	EthType uint16
}

// PopMPLS removes a label stack entry and writes EthType.
type PopMPLS struct{ EthType uint16 }

// Recirc looks the packet up again with recirc_id ID; last action of its list unless inside Clone.
type Recirc struct{ ID uint32 }

// Hash writes dp_hash.
type Hash struct {
	SymL4 bool
	Basis uint32
}

// Trunc limits the size of the next output.
type Trunc struct{ MaxLen uint32 }

// Sample runs Actions with probability Probability/2^32.
type Sample struct {
	Probability uint32
	Actions     []Action
}

// Clone runs Actions on a copy.
type Clone struct{ Actions []Action }

// CheckPktLen runs Greater if the packet is longer than Len bytes, else LessEqual.
type CheckPktLen struct {
	Len                uint16
	Greater, LessEqual []Action
}

// Meter applies a meter.
type Meter struct{ ID uint32 }

// PushEth adds an Ethernet header.
type PushEth struct{ Src, Dst [6]byte }

// PopEth removes the Ethernet header.
type PopEth struct{}

// NAT is the nat() part of CT.
type NAT struct {
	Src, Dst                 bool
	MinAddr, MaxAddr         []byte // 4 or 16 bytes, nil when not given
	MinPort, MaxPort         uint16
	Persistent, Hash, Random bool
}

// CT sends the packet through connection tracking.
type CT struct {
	Commit, Force bool
	Zone          uint16
	Mark          *[2]uint32   // value, mask
	Label         *[2][16]byte // value, mask
	Helper        string
	Timeout       string
	NAT           *NAT
}

// CTClear forgets the packet's conntrack state.
type CTClear struct{}

// Drop drops with an explicit reason.
type Drop struct{ Reason DropReason }

// DropReason says why a translation drops a packet; the datapath counts each.
type DropReason uint8

// Drop reasons of translation (OVS's drop_action_* coverage counters).
const (
	DropNone DropReason = iota // no rule said so: an empty action list
	DropBridgeNotFound
	DropRecursionTooDeep
	DropTooManyResubmit
	DropStackTooDeep
	DropNoRecirculationContext
	DropRecirculationConflict
	DropTooManyMPLSLabels
	DropInvalidTunnelMetadata
	DropUnsupportedPacketType
	DropCongestion
	DropForwardingDisabled
	DropUnsupported // an action that this datapath cannot execute
	NumDropReasons
)

func (Output) odpAction()      {}
func (Userspace) odpAction()   {}
func (Set) odpAction()         {}
func (PushVLAN) odpAction()    {}
func (PopVLAN) odpAction()     {}
func (PushMPLS) odpAction()    {}
func (PopMPLS) odpAction()     {}
func (Recirc) odpAction()      {}
func (Hash) odpAction()        {}
func (Trunc) odpAction()       {}
func (Sample) odpAction()      {}
func (Clone) odpAction()       {}
func (CheckPktLen) odpAction() {}
func (Meter) odpAction()       {}
func (PushEth) odpAction()     {}
func (PopEth) odpAction()      {}
func (CT) odpAction()          {}
func (CTClear) odpAction()     {}
func (Drop) odpAction()        {}
