package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Action is one OpenFlow action or instruction (ovs-actions(7)). Instructions stand in the same
// list, in the order of execution, as OVS prints them: actions of an apply_actions instruction are
// in the list itself, before them Meter, after them ClearActions, WriteActions, WriteMetadata and GotoTable.
type Action interface{ ofAction() }

type (
	// Output sends to a port; MaxLen counts for PortController.
	Output struct {
		Port   PortNo
		MaxLen uint16
	}
	// OutputReg sends to the port number in a subfield.
	OutputReg struct {
		Src    flow.Subfield
		MaxLen uint16
	}
	// OutputTrunc sends at most MaxLen bytes.
	OutputTrunc struct {
		Port   PortNo
		MaxLen uint32
	}
	// Controller is controller(...) with options (NXAST_CONTROLLER, NXAST_CONTROLLER2).
	Controller struct {
		MaxLen       uint16
		ControllerID uint16
		Reason       PacketInReason
		Userdata     []byte
		Pause        bool
		MeterID      uint32 // 0: none
		V2           bool   // needs or had NXAST_CONTROLLER2's form
	}
	// Enqueue outputs through a queue.
	Enqueue struct {
		Port  PortNo
		Queue uint32
	}
	// Group runs a group.
	Group struct{ ID uint32 }
	// Bundle is bundle(...) and bundle_load(...).
	Bundle struct {
		Algorithm uint16 // 0 active_backup, 1 hrw
		Fields    uint16
		Basis     uint16
		Members   []PortNo
		Dst       *flow.Subfield // bundle_load
	}
	// SetField writes a field: set_field, and the legacy mod_* actions (Legacy). Value is in wire
	// form; Mask nil means all.
	SetField struct {
		Field  flow.FieldID
		Value  []byte
		Mask   []byte
		Legacy bool
	}
	// Load writes bits of a field (NXAST_REG_LOAD, REG_LOAD2): Value right-aligned, (Bits+7)/8 bytes.
	Load struct {
		Dst   flow.Subfield
		Value []byte
	}
	// Move copies bits.
	Move struct{ Src, Dst flow.Subfield }
	// StackPush and StackPop use the field stack.
	StackPush struct{ Src flow.Subfield }
	StackPop  struct{ Dst flow.Subfield }
	// SetVLANVID is mod_vlan_vid; Push adds a tag when there is none (OpenFlow 1.0). Tagged is what CheckActions
	// found: there is always one, so that newer versions need no push_vlan to say the same.
	SetVLANVID struct {
		VID          uint16
		Push, Tagged bool
	}
	// SetVLANPCP is mod_vlan_pcp.
	SetVLANPCP struct {
		PCP          uint8
		Push, Tagged bool
	}
	// StripVLAN is strip_vlan of 1.0, and pop_vlan with Pop.
	StripVLAN struct{ Pop bool }
	// PushVLAN adds a tag with the EtherType.
	PushVLAN struct{ EthType uint16 }
	// PushMPLS, PopMPLS, SetMPLS*, DecMPLSTTL change the label stack.
	PushMPLS     struct{ EthType uint16 }
	PopMPLS      struct{ EthType uint16 }
	SetMPLSLabel struct{ Label uint32 }
	SetMPLSTC    struct{ TC uint8 }
	SetMPLSTTL   struct{ TTL uint8 }
	DecMPLSTTL   struct{}
	// DecNSHTTL is dec_nsh_ttl.
	DecNSHTTL struct{}
	// SetTTL is mod_nw_ttl.
	SetTTL struct{ TTL uint8 }
	// DecTTL decrements; IDs nil means controller 0 (plain dec_ttl).
	DecTTL struct{ IDs []uint16 }
	// DeleteField removes a tunnel metadata option.
	DeleteField struct{ Field flow.FieldID }
	// Encap and Decap are the generic encapsulation actions; Type is a packet_type.
	Encap struct {
		Type  uint32
		Props []byte
	}
	Decap struct{ Type uint32 }
	// SetTunnel is set_tunnel and set_tunnel64.
	SetTunnel struct {
		ID   uint64
		Wide bool
	}
	// SetQueue and PopQueue choose the queue.
	SetQueue struct{ Queue uint32 }
	PopQueue struct{}
	// FinTimeout shortens timeouts on FIN and RST.
	FinTimeout struct{ Idle, Hard uint16 }
	// Resubmit looks up another table and comes back. InPort PortInPort keeps the port;
	// Table TableAll keeps the table.
	Resubmit struct {
		InPort PortNo
		Table  uint8
		CT     bool // swap in the original tuple
	}
	// Learn adds a flow built from the packet (NXAST_LEARN, NXAST_LEARN2).
	Learn struct {
		Idle, Hard, Priority uint16
		Cookie               uint64
		Flags                uint16 // NX_LEARN_F_*: 1 send_flow_rem, 2 delete_learned, 4 write_result
		Table                uint8
		FinIdle, FinHard     uint16
		Limit                uint32
		ResultDst            *flow.Subfield
		Specs                []LearnSpec
		V2                   bool
	}
	// Conjunction is one clause of a conjunctive match: Clause counts from 0.
	Conjunction struct {
		ID        uint32
		Clause, N uint8
	}
	// Multipath hashes fields into a subfield.
	Multipath struct {
		Fields, Basis, Algorithm, MaxLink uint16
		Arg                               uint32
		Dst                               flow.Subfield
	}
	// Note has no effect.
	Note struct{ Data []byte }
	// Exit ends processing.
	Exit struct{}
	// Sample sends samples to a collector set.
	Sample struct {
		Probability               uint16
		CollectorSet              uint32
		ObsDomain, ObsPoint       uint32
		ObsDomainSrc, ObsPointSrc *flow.Subfield // NXAST_SAMPLE4
		SamplingPort              PortNo
		Direction                 uint8
		Form                      uint8 // 1 to 4: NXAST_SAMPLE, SAMPLE2, SAMPLE3, SAMPLE4
	}
	// CT is ct(...).
	CT struct {
		Commit, Force bool
		ZoneSrc       *flow.Subfield // nil: ZoneImm
		ZoneImm       uint16
		RecircTable   uint8 // TableAll: no recirculation
		ALG           uint16
		Actions       []Action // exec(...) and NAT
	}
	// NAT stands inside CT only.
	NAT struct {
		Flags            uint16 // NX_NAT_F_*: 1 src, 2 dst, 4 persistent, 8 proto_hash, 16 proto_random
		AddrMin, AddrMax []byte // 4 or 16 bytes; nil when absent
		PortMin, PortMax uint16 // 0 when absent
	}
	// CTClear is ct_clear.
	CTClear struct{}
	// Clone runs actions on a copy.
	Clone struct{ Actions []Action }
	// CheckPktLarger writes 1 bit.
	CheckPktLarger struct {
		Len uint16
		Dst flow.Subfield
	}
	// Meter applies a meter (instruction up to 1.4, action from 1.5).
	Meter struct{ ID uint32 }
	// WriteMetadata, WriteActions, ClearActions, GotoTable are instructions.
	WriteMetadata struct{ Value, Mask uint64 }
	WriteActions  struct{ Actions []Action }
	ClearActions  struct{}
	GotoTable     struct{ Table uint8 }
)

// LearnSpec is one flow_mod_spec of Learn.
type LearnSpec struct {
	Dst   uint8 // 0 match, 1 load, 2 output
	Src   *flow.Subfield
	Value []byte // immediate, right-aligned, when Src is nil
	Bits  uint16
	To    flow.Subfield // for match and load
}

func (Output) ofAction()         {}
func (OutputReg) ofAction()      {}
func (OutputTrunc) ofAction()    {}
func (Controller) ofAction()     {}
func (Enqueue) ofAction()        {}
func (Group) ofAction()          {}
func (Bundle) ofAction()         {}
func (SetField) ofAction()       {}
func (Load) ofAction()           {}
func (Move) ofAction()           {}
func (StackPush) ofAction()      {}
func (StackPop) ofAction()       {}
func (SetVLANVID) ofAction()     {}
func (SetVLANPCP) ofAction()     {}
func (StripVLAN) ofAction()      {}
func (PushVLAN) ofAction()       {}
func (PushMPLS) ofAction()       {}
func (PopMPLS) ofAction()        {}
func (SetMPLSLabel) ofAction()   {}
func (SetMPLSTC) ofAction()      {}
func (SetMPLSTTL) ofAction()     {}
func (DecMPLSTTL) ofAction()     {}
func (DecNSHTTL) ofAction()      {}
func (SetTTL) ofAction()         {}
func (DecTTL) ofAction()         {}
func (DeleteField) ofAction()    {}
func (Encap) ofAction()          {}
func (Decap) ofAction()          {}
func (SetTunnel) ofAction()      {}
func (SetQueue) ofAction()       {}
func (PopQueue) ofAction()       {}
func (FinTimeout) ofAction()     {}
func (Resubmit) ofAction()       {}
func (Learn) ofAction()          {}
func (Conjunction) ofAction()    {}
func (Multipath) ofAction()      {}
func (Note) ofAction()           {}
func (Exit) ofAction()           {}
func (Sample) ofAction()         {}
func (CT) ofAction()             {}
func (NAT) ofAction()            {}
func (CTClear) ofAction()        {}
func (Clone) ofAction()          {}
func (CheckPktLarger) ofAction() {}
func (Meter) ofAction()          {}
func (WriteMetadata) ofAction()  {}
func (WriteActions) ofAction()   {}
func (ClearActions) ofAction()   {}
func (GotoTable) ofAction()      {}
