package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Group numbers and bucket positions.
const (
	GroupMax    uint32 = 0xffffff00
	GroupAll    uint32 = 0xfffffffc
	BucketAll   uint32 = 0xffffffff
	BucketFirst uint32 = 0xfffffffd
	BucketLast  uint32 = 0xfffffffe
)

// GroupCommand is what a GroupMod does.
type GroupCommand uint16

// Group mod commands.
const (
	GroupAdd GroupCommand = iota
	GroupModify
	GroupDelete
	GroupInsertBucket
	_
	GroupRemoveBucket
	GroupAddOrModify GroupCommand = 0x8000
)

// Group types.
const (
	GroupTypeAll uint8 = iota
	GroupTypeSelect
	GroupTypeIndirect
	GroupTypeFastFailover
)

type (
	// GroupMod changes groups.
	GroupMod struct {
		Command       GroupCommand
		Type          uint8
		ID            uint32
		CommandBucket uint32 // for insert and remove
		Buckets       []Bucket
		Selection     Selection
	}
	// Bucket is one bucket of a group.
	Bucket struct {
		Weight     uint16
		WatchPort  PortNo // PortAny: none
		WatchGroup uint32 // GroupAny: none
		ID         uint32
		Actions    []Action
	}
	// Selection is how a select group chooses (Netronome's selection method property).
	Selection struct {
		Method string // "", hash, dp_hash
		Param  uint64
		Fields []HashField
	}
	// HashField is a field that is hashed under a mask in wire form.
	HashField struct {
		Field flow.FieldID
		Mask  []byte
	}
	// MeterMod changes meters: Command 0 add, 1 modify, 2 delete.
	MeterMod struct {
		Command uint16
		Meter   MeterConfig
	}
	// MeterConfig is a meter. Flags: 1 kbps, 2 pktps, 4 burst, 8 stats.
	MeterConfig struct {
		ID    uint32
		Flags uint16
		Bands []MeterBand
	}
	// MeterBand is one band: Type 1 drop, 2 dscp_remark.
	MeterBand struct {
		Type        uint16
		Rate, Burst uint32
		PrecLevel   uint8
	}
	// TableMod changes the miss behaviour of a table, and from 1.4 on eviction and vacancy.
	TableMod struct {
		Table                uint8
		Config               uint32
		HasEviction          bool
		EvictionFlags        uint32
		HasVacancy           bool
		VacancyDown, Up, Now uint8 // percent
	}
	// BundleControl opens, closes, commits and discards bundles: Type 0 open request, 1 open reply, 2, 3 close,
	// 4, 5 commit, 6, 7 discard. Flags: 1 atomic, 2 ordered.
	BundleControl struct {
		ID          uint32
		Type, Flags uint16
	}
	// BundleAdd carries one message of a bundle, which has the same xid.
	BundleAdd struct {
		ID      uint32
		Flags   uint16
		Message Message
	}
	// RoleStatus tells a controller that its role has changed.
	RoleStatus struct {
		Role         Role
		Reason       uint8
		GenerationID uint64
	}
	// TLVTableMod changes the TLV table: Command 0 add, 1 delete, 2 clear.
	TLVTableMod struct {
		Command uint16
		Maps    []TLVMapping
	}
	// TLVTableRequest asks for TLVTableReply.
	TLVTableRequest struct{}
	TLVTableReply   struct {
		MaxSpace  uint32
		MaxFields uint16
		Maps      []TLVMapping
	}
	// TLVMapping maps a tunnel option to field tun_metadata<Index>.
	TLVMapping struct {
		Class uint16
		Type  uint8
		Len   uint8 // bytes
		Index uint16
	}
	// Resume is NXT_RESUME: a paused packet goes on.
	Resume struct{ PacketIn }
	// CTFlushZone flushes a conntrack zone.
	CTFlushZone struct{ Zone uint16 }
	// CTFlush flushes the connections that fit.
	CTFlush struct {
		Proto              uint8
		HasZone            bool
		Zone               uint16
		Orig, Reply        *CTTuple
		Mark, MarkMask     *uint32
		Labels, LabelsMask []byte // 16 bytes or nil
	}
	// CTTuple is one direction of a connection; nil members are not compared.
	CTTuple struct {
		Src, Dst           []byte // 16 bytes, IPv4 mapped
		SrcPort, DstPort   *uint16
		ICMPID             *uint16
		ICMPType, ICMPCode *uint8
	}
	// FlowMonitorCancel stops a flow monitor.
	FlowMonitorCancel struct{ ID uint32 }
	// QueueConfigRequest and QueueConfigReply list the queues of a port (up to 1.3).
	QueueConfigRequest struct{ Port PortNo }
	QueueConfigReply   struct {
		Port   PortNo
		Queues []QueueConfig
	}
	// QueueConfig is a queue with its rates in 1/10 percent, 0xffff unknown.
	QueueConfig struct {
		Port             PortNo
		Queue            uint32
		MinRate, MaxRate uint16
	}
)

type (
	GroupStatsRequest struct{ ID uint32 }
	GroupStatsReply   struct{ Groups []GroupStats }
	// GroupDescRequest has an ID in 1.0 and 1.5 only, else it is GroupAll.
	GroupDescRequest     struct{ ID uint32 }
	GroupDescReply       struct{ Groups []GroupDesc }
	GroupFeaturesRequest struct{}
	GroupFeaturesReply   struct {
		Types, Capabilities uint32
		Max, Actions        [4]uint32 // by group type; Actions in bits of the version's action numbers
	}
	MeterStatsRequest    struct{ ID uint32 }
	MeterStatsReply      struct{ Meters []MeterStats }
	MeterConfigRequest   struct{ ID uint32 }
	MeterConfigReply     struct{ Meters []MeterConfig }
	MeterFeaturesRequest struct{}
	MeterFeaturesReply   struct {
		MaxMeter, BandTypes, Capabilities uint32
		MaxBands, MaxColor                uint8
	}
	TableDescRequest struct{}
	TableDescReply   struct{ Tables []TableMod }
	QueueDescRequest struct {
		Port  PortNo
		Queue uint32
	}
	QueueDescReply struct{ Queues []QueueConfig }
)

// GroupDesc is one group of a GroupDescReply.
type GroupDesc struct {
	Type      uint8
	ID        uint32
	Buckets   []Bucket
	Selection Selection
}

// GroupStats are a group's counters.
type GroupStats struct {
	ID, RefCount              uint32
	Packets, Bytes            uint64
	DurationSec, DurationNsec uint32
	Buckets                   []Counts
}

// Counts are packets and bytes.
type Counts struct{ Packets, Bytes uint64 }

// MeterStats are a meter's counters.
type MeterStats struct {
	ID, Flows                 uint32
	Packets, Bytes            uint64
	DurationSec, DurationNsec uint32
	Bands                     []Counts
}

func (*GroupMod) ofMessage()           {}
func (*MeterMod) ofMessage()           {}
func (*TableMod) ofMessage()           {}
func (*BundleControl) ofMessage()      {}
func (*BundleAdd) ofMessage()          {}
func (*RoleStatus) ofMessage()         {}
func (*TLVTableMod) ofMessage()        {}
func (*TLVTableRequest) ofMessage()    {}
func (*TLVTableReply) ofMessage()      {}
func (*Resume) ofMessage()             {}
func (*CTFlushZone) ofMessage()        {}
func (*CTFlush) ofMessage()            {}
func (*FlowMonitorCancel) ofMessage()  {}
func (*QueueConfigRequest) ofMessage() {}
func (*QueueConfigReply) ofMessage()   {}

func (*GroupStatsRequest) ofMultipart()    {}
func (*GroupStatsReply) ofMultipart()      {}
func (*GroupDescRequest) ofMultipart()     {}
func (*GroupDescReply) ofMultipart()       {}
func (*GroupFeaturesRequest) ofMultipart() {}
func (*GroupFeaturesReply) ofMultipart()   {}
func (*MeterStatsRequest) ofMultipart()    {}
func (*MeterStatsReply) ofMultipart()      {}
func (*MeterConfigRequest) ofMultipart()   {}
func (*MeterConfigReply) ofMultipart()     {}
func (*MeterFeaturesRequest) ofMultipart() {}
func (*MeterFeaturesReply) ofMultipart()   {}
func (*TableDescRequest) ofMultipart()     {}
func (*TableDescReply) ofMultipart()       {}
func (*QueueDescRequest) ofMultipart()     {}
func (*QueueDescReply) ofMultipart()       {}
