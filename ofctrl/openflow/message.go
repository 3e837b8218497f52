package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// FlowModCommand is what a FlowMod does.
type FlowModCommand uint8

// Flow mod commands.
const (
	FlowAdd FlowModCommand = iota
	FlowModify
	FlowModifyStrict
	FlowDelete
	FlowDeleteStrict
)

// Flow mod flags, in the numbering of OpenFlow 1.3.
const (
	FlagSendFlowRem  uint16 = 1 << 0
	FlagCheckOverlap uint16 = 1 << 1
	FlagResetCounts  uint16 = 1 << 2
	FlagNoPktCounts  uint16 = 1 << 3
	FlagNoBytCounts  uint16 = 1 << 4
	FlagEmergency    uint16 = 1 << 15 // OpenFlow 1.0 only, refused
)

// KeepCookie in FlowMod.NewCookie says that a modification keeps the cookies of flows.
const KeepCookie = ^uint64(0)

// PacketInReason says why a packet went to controllers.
type PacketInReason uint8

// Packet-in reasons (OpenFlow 1.4 numbering; ReasonInvalidTTL is 2 since 1.2).
const (
	ReasonNoMatch PacketInReason = iota
	ReasonAction
	ReasonInvalidTTL
	ReasonActionSet
	ReasonGroup
	ReasonPacketOut
)

// FlowRemovedReason says why a flow went away.
type FlowRemovedReason uint8

// Flow removed reasons.
const (
	RemovedIdleTimeout FlowRemovedReason = iota
	RemovedHardTimeout
	RemovedDelete
	RemovedGroupDelete
	RemovedMeterDelete
	RemovedEviction
)

// Role of a controller connection.
type Role uint32

// Roles.
const (
	RoleNoChange Role = iota
	RoleEqual
	RolePrimary
	RoleSecondary
)

// Port config and state bits.
const (
	ConfigPortDown   uint32 = 1 << 0
	ConfigNoSTP      uint32 = 1 << 1
	ConfigNoRecv     uint32 = 1 << 2
	ConfigNoRecvSTP  uint32 = 1 << 3
	ConfigNoFlood    uint32 = 1 << 4
	ConfigNoFwd      uint32 = 1 << 5
	ConfigNoPacketIn uint32 = 1 << 6

	StateLinkDown uint32 = 1 << 0
	StateBlocked  uint32 = 1 << 1
	StateLive     uint32 = 1 << 2
)

// Fragment handling of SetConfig.
const (
	FragNormal  uint16 = 0
	FragDrop    uint16 = 1
	FragReasm   uint16 = 2
	FragNXMatch uint16 = 3
)

type (
	// Hello opens a connection; Versions is a bitmap of 1<<version.
	Hello struct{ Versions uint32 }
	// Error reports a failed request; see Err.
	Error struct {
		Err  Err
		Data []byte // first bytes of the request
		// Type, Code and Vendor are the numbers of an error that is not in the table (Err is
		// ErrUnknown).
		Type, Code uint16
		Vendor     uint32
	}
	// EchoRequest and EchoReply carry the same Data.
	EchoRequest struct{ Data []byte }
	EchoReply   struct{ Data []byte }
	// FeaturesRequest asks for FeaturesReply.
	FeaturesRequest struct{}
	FeaturesReply   struct {
		DatapathID   uint64
		Buffers      uint32
		Tables       uint8
		AuxiliaryID  uint8
		Capabilities uint32 // OFPC_*: wire values of the version
		Actions      uint32 // OpenFlow 1.0 only
		Ports        []Port // up to 1.2
	}
	// GetConfigRequest asks for GetConfigReply.
	GetConfigRequest struct{}
	GetConfigReply   struct{ Flags, MissSendLen uint16 }
	SetConfig        struct{ Flags, MissSendLen uint16 }
	// BarrierRequest fences.
	BarrierRequest struct{}
	BarrierReply   struct{}
	// FlowMod changes flow tables.
	FlowMod struct {
		Command            FlowModCommand
		Table              uint8 // TableAll: any (delete), or chosen by the switch
		Match              flow.Match
		Priority           uint16
		Cookie, CookieMask uint64 // filter of modify and delete when CookieMask != 0
		NewCookie          uint64 // KeepCookie: a modification keeps the flows' cookies
		KeepCookies        bool   // modifications leave cookies as they are, additions use NewCookie (1.1)
		Idle, Hard         uint16 // seconds
		Importance         uint16
		BufferID           uint32
		OutPort            PortNo // PortAny: no filter
		OutGroup           uint32 // GroupAny: no filter
		Flags              uint16
		Actions            []Action
		Nicira             bool // NXT_FLOW_MOD; encoding also chooses it in 1.0 when the match needs it
	}
	// FlowRemoved tells that a flow is gone.
	FlowRemoved struct {
		Match        flow.Match
		Priority     uint16
		Reason       FlowRemovedReason
		Table        uint8
		Cookie       uint64
		DurationSec  uint32
		DurationNsec uint32
		Idle, Hard   uint16
		Packets      uint64
		Bytes        uint64
		Nicira       bool // NXT_FLOW_REMOVED
	}
	// PacketIn brings a packet to a controller. Which wire form is chosen by the connection.
	PacketIn struct {
		Reason       PacketInReason
		Table        uint8
		Cookie       uint64
		Packet       []byte
		TotalLen     int
		Metadata     flow.Match // in_port and the fields that are not in the packet
		BufferID     uint32
		Userdata     []byte // NXT_PACKET_IN2
		Continuation []byte
		Paused       *Continuation // is encoded in the place of Continuation when that is nil
		Format       PacketInFormat
	}
	// PacketOut sends a packet.
	PacketOut struct {
		BufferID uint32
		InPort   PortNo
		Match    flow.Match // 1.5: metadata
		Actions  []Action
		Packet   []byte
	}
	// PortStatus tells of a change: Reason 0 add, 1 delete, 2 modify.
	PortStatus struct {
		Reason uint8
		Port   Port
	}
	// PortMod changes config bits.
	PortMod struct {
		Port         PortNo
		HWAddr       [6]byte
		Config, Mask uint32
		Advertise    uint32
	}
	// RoleRequest and RoleReply (also as Nicira extensions).
	RoleRequest struct {
		Role         Role
		HasGenID     bool
		GenerationID uint64
		Nicira       bool
	}
	RoleReply struct {
		Role         Role
		HasGenID     bool
		GenerationID uint64
		Nicira       bool
	}
	// SetPacketInFormat is NXT_SET_PACKET_IN_FORMAT.
	SetPacketInFormat struct{ Format PacketInFormat }
	// SetFlowFormat is NXT_SET_FLOW_FORMAT (1.0): 0 openflow10, 2 nxm.
	SetFlowFormat struct{ Format uint32 }
	// FlowModTableID is NXT_FLOW_MOD_TABLE_ID (1.0).
	FlowModTableID struct{ Set bool }
	// SetControllerID is NXT_SET_CONTROLLER_ID.
	SetControllerID struct{ ID uint16 }
	// SetAsync is the asynchronous configuration: masks for [primary/equal, secondary], indexed
	// by AsyncType.
	SetAsync struct {
		Masks   [NumAsync][2]uint32
		Present [NumAsync][2]bool // which masks the message gives; others stay as they are
		Form    uint8             // AsyncStandard, AsyncNX, AsyncNX2
	}
	GetAsyncRequest struct{}
	GetAsyncReply   struct {
		Masks   [NumAsync][2]uint32
		Present [NumAsync][2]bool // none: all
	}
	// AsyncConfig is the content of SetAsync and GetAsyncReply.
	AsyncConfig struct {
		Masks   [NumAsync][2]uint32
		Present [NumAsync][2]bool
	}
	// MultipartRequest asks for statistics; Body is one of the ...Request types.
	MultipartRequest struct {
		More bool
		Body MultipartBody
	}
	// MultipartReply answers; Body holds one part.
	MultipartReply struct {
		More bool
		Body MultipartBody
	}
	// Raw is a message that is well-formed but not interpreted: Type, and for experimenter
	// messages vendor and subtype. A switch answers it with an error.
	Raw struct {
		Type            uint8
		Vendor, Subtype uint32
		Body            []byte
	}
)

// PacketInFormat is how packet-ins are sent on a connection.
type PacketInFormat uint32

// Packet-in formats.
const (
	PacketInStandard PacketInFormat = iota
	PacketInNXT
	PacketInNXT2
)

// AsyncType indexes SetAsync.Masks.
type AsyncType int

// Asynchronous message types.
const (
	AsyncPacketIn AsyncType = iota
	AsyncPortStatus
	AsyncFlowRemoved
	AsyncRoleStatus
	AsyncTableStatus
	AsyncRequestForward
	NumAsync
)

// Port describes a port.
type Port struct {
	No                                           PortNo
	HWAddr                                       [6]byte
	Name                                         string
	Config, State                                uint32
	Current, Advertised, Supported, PeerFeatures uint32 // OFPPF_* of 1.1+ numbering
	CurrSpeed, MaxSpeed                          uint32 // kbit/s
}

// MultipartBody is the body of a multipart request or of one reply part.
type MultipartBody interface{ ofMultipart() }

type (
	DescRequest struct{}
	DescReply   struct{ Manufacturer, Hardware, Software, Serial, Datapath string }
	// FlowRequest is for FLOW and (Aggregate true) AGGREGATE statistics.
	FlowRequest struct {
		Aggregate          bool
		Table              uint8
		OutPort            PortNo
		OutGroup           uint32
		Cookie, CookieMask uint64
		Match              flow.Match
		Nicira             bool // NXST_FLOW, NXST_AGGREGATE of 1.0
	}
	FlowReply struct {
		Flows  []FlowStats
		Nicira bool
	}
	AggregateReply struct {
		Packets, Bytes uint64
		Flows          uint32
		Nicira         bool
	}
	TableRequest     struct{}
	TableReply       struct{ Tables []TableStats }
	PortStatsRequest struct{ Port PortNo }
	PortStatsReply   struct{ Ports []PortStats }
	QueueRequest     struct {
		Port  PortNo
		Queue uint32 // 0xffffffff: all
	}
	QueueReply      struct{ Queues []QueueStats }
	PortDescRequest struct{ Port PortNo } // PortAny: all
	PortDescReply   struct{ Ports []Port }
	// RawMultipart is one that is not interpreted.
	RawMultipart struct {
		Type            uint16
		Vendor, Subtype uint32
		Body            []byte
	}
)

// FlowStats is one flow of a FlowReply. Ages are -1 when unknown.
type FlowStats struct {
	Table                     uint8
	Match                     flow.Match
	Priority                  uint16
	Cookie                    uint64
	DurationSec, DurationNsec uint32
	Idle, Hard, Importance    uint16
	IdleAge, HardAge          int // seconds
	Flags                     uint16
	Packets, Bytes            uint64
	Actions                   []Action
}

// TableStats is one table.
type TableStats struct {
	Table           uint8
	Name            string
	Config          uint32 // 1.1 and 1.2: OFPTC_TABLE_MISS_*
	Max             uint32
	Active          uint32
	Lookup, Matched uint64
}

// PortStats are a port's counters; ^0 in a counter means unknown.
type PortStats struct {
	Port                                                            PortNo
	RxPackets, TxPackets, RxBytes, TxBytes, RxDropped, TxDropped    uint64
	RxErrors, TxErrors, RxFrameErr, RxOverErr, RxCRCErr, Collisions uint64
	DurationSec, DurationNsec                                       uint32
	OtherProps                                                      []byte // 1.4+: properties that are not Ethernet's, encoded
}

// QueueStats are a queue's counters.
type QueueStats struct {
	Port                         PortNo
	Queue                        uint32
	TxBytes, TxPackets, TxErrors uint64
	DurationSec, DurationNsec    uint32
}

func (*Hello) ofMessage()             {}
func (*Error) ofMessage()             {}
func (*EchoRequest) ofMessage()       {}
func (*EchoReply) ofMessage()         {}
func (*FeaturesRequest) ofMessage()   {}
func (*FeaturesReply) ofMessage()     {}
func (*GetConfigRequest) ofMessage()  {}
func (*GetConfigReply) ofMessage()    {}
func (*SetConfig) ofMessage()         {}
func (*BarrierRequest) ofMessage()    {}
func (*BarrierReply) ofMessage()      {}
func (*FlowMod) ofMessage()           {}
func (*FlowRemoved) ofMessage()       {}
func (*PacketIn) ofMessage()          {}
func (*PacketOut) ofMessage()         {}
func (*PortStatus) ofMessage()        {}
func (*PortMod) ofMessage()           {}
func (*RoleRequest) ofMessage()       {}
func (*RoleReply) ofMessage()         {}
func (*SetPacketInFormat) ofMessage() {}
func (*SetFlowFormat) ofMessage()     {}
func (*FlowModTableID) ofMessage()    {}
func (*SetControllerID) ofMessage()   {}
func (*SetAsync) ofMessage()          {}
func (*GetAsyncRequest) ofMessage()   {}
func (*GetAsyncReply) ofMessage()     {}
func (*MultipartRequest) ofMessage()  {}
func (*MultipartReply) ofMessage()    {}
func (*Raw) ofMessage()               {}

func (*DescRequest) ofMultipart()      {}
func (*DescReply) ofMultipart()        {}
func (*FlowRequest) ofMultipart()      {}
func (*FlowReply) ofMultipart()        {}
func (*AggregateReply) ofMultipart()   {}
func (*TableRequest) ofMultipart()     {}
func (*TableReply) ofMultipart()       {}
func (*PortStatsRequest) ofMultipart() {}
func (*PortStatsReply) ofMultipart()   {}
func (*QueueRequest) ofMultipart()     {}
func (*QueueReply) ofMultipart()       {}
func (*PortDescRequest) ofMultipart()  {}
func (*PortDescReply) ofMultipart()    {}
func (*RawMultipart) ofMultipart()     {}
