package openflow

import (
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// CheckActions checks actions against the match and the table of their flow, as OVS does when a flow is
// added: prerequisites of fields, actions that may not stand where they do, tables that goto_table may
// name. table is TableAll where there is none (packet-out, buckets). It completes actions of the list with what the match says. In OpenFlow 1.0 a legacy set action
// without its prerequisite is allowed and has no effect. The error wraps an Err.
func CheckActions(list []Action, m *flow.Match, table uint8, v Version) error {
	if len(list) == 0 {
		return nil
	}
	for _, a := range list {
		if !cheap(a) {
			c := actionCheck{v: v, table: table, m: *m}
			return c.list(list, inApply)
		}
	}
	return nil
}

// Where a list of actions stands.
const (
	inApply = iota
	inSet   // write_actions
	inCT    // ct(exec(...))
	inClone
)

type actionCheck struct {
	v     Version
	table uint8
	m     flow.Match // changes as actions push and pop headers
}

// cheap reports whether an action needs no check at all, so that the match need not be copied.
func cheap(a Action) bool {
	switch a := a.(type) {
	case Output, Group, CTClear, Exit, Note, Controller:
		return true
	case Resubmit:
		return !a.CT
	case Load:
		return free(a.Dst.Field)
	case SetField:
		return free(a.Field)
	case Move:
		return free(a.Src.Field) && free(a.Dst.Field)
	}
	return false
}

// free reports whether a field can be used everywhere.
func free(id flow.FieldID) bool {
	return id.Info().Prereq == flow.PrereqNone && id != flow.CTMark && id != flow.CTLabel
}

func (c *actionCheck) list(list []Action, where int) error {
	if where == inApply {
		if err := checkConjunctions(list); err != nil {
			return err
		}
	}
	for i, a := range list {
		if err := c.allowed(a, where); err != nil {
			return err
		}
		list[i] = c.tagged(a)
		if err := c.one(a); err != nil {
			return err
		}
	}
	return nil
}

// tagged notes in an action that would push a VLAN tag that the packet has one.
func (c *actionCheck) tagged(a Action) Action {
	if c.m.Key.Get(flow.VLANTCI)&flow.VLANPresent == 0 {
		return a
	}
	switch set := a.(type) {
	case SetVLANVID:
		set.Tagged = true
		return set
	case SetVLANPCP:
		set.Tagged = true
		return set
	}
	return a
}

// checkOrder10 checks what makes a list of OpenFlow 1.0 impossible to tell in later versions, as OVS does: after
// write_metadata, which is an instruction there, no action can follow.
func checkOrder10(list []Action) error {
	for i, a := range list[:max(len(list)-1, 0)] {
		if _, ok := a.(WriteMetadata); ok {
			return bad(ActionUnsupportedOrder, "%T after write_metadata", list[i+1])
		}
	}
	return nil
}

// checkConjunctions checks that beside conjunctions there is nothing but notes.
func checkConjunctions(list []Action) error {
	is := func(a Action) bool { _, ok := a.(Conjunction); return ok }
	if !slices.ContainsFunc(list, is) {
		return nil
	}
	for _, a := range list {
		if _, note := a.(Note); !note && !is(a) {
			return bad(NXBadConjunction, "conjunction beside %T", a)
		}
	}
	return nil
}

// allowed checks that an action may stand where it does.
func (c *actionCheck) allowed(a Action, where int) error {
	switch where {
	case inSet:
		switch a.(type) {
		case Output, Group, SetQueue, SetField, Load, Move, SetVLANVID, SetVLANPCP, StripVLAN, PushVLAN, PushMPLS,
			PopMPLS, SetMPLSLabel, SetMPLSTC, SetMPLSTTL, DecMPLSTTL, DecNSHTTL, SetTTL, DecTTL, SetTunnel, Encap, Decap,
			DeleteField:
			return nil
		}
		return bad(ActionBadType, "%T in write_actions", a)
	case inCT:
		var id flow.FieldID
		switch a := a.(type) {
		case NAT:
			return nil
		case SetField:
			id = a.Field
		case Load:
			id = a.Dst.Field
		case Move:
			id = a.Dst.Field
		default:
			return bad(ActionBadArgument, "%T in ct", a)
		}
		if id != flow.CTMark && id != flow.CTLabel {
			return bad(ActionBadSetArgument, "ct cannot set %v", id)
		}
		return nil
	}
	switch a := a.(type) {
	case NAT:
		return bad(ActionBadArgument, "nat outside of ct")
	case SetField:
		if a.Field == flow.CTMark || a.Field == flow.CTLabel {
			return bad(ActionBadSetArgument, "%v set outside of ct", a.Field)
		}
	case Load:
		if a.Dst.Field == flow.CTMark || a.Dst.Field == flow.CTLabel {
			return bad(ActionBadSetArgument, "%v set outside of ct", a.Dst.Field)
		}
	case Move:
		if a.Dst.Field == flow.CTMark || a.Dst.Field == flow.CTLabel {
			return bad(ActionBadSetArgument, "%v set outside of ct", a.Dst.Field)
		}
	}
	return nil
}

// field checks the prerequisite of a field that an action reads or writes.
func (c *actionCheck) field(id flow.FieldID) error {
	if !prereqOK(&c.m, id.Info().Prereq) {
		return bad(ActionMatchInconsistent, "%v", id)
	}
	return nil
}

func (c *actionCheck) fields(subs ...*flow.Subfield) error {
	for _, s := range subs {
		if s != nil {
			if err := c.field(s.Field); err != nil {
				return err
			}
		}
	}
	return nil
}

// needs is an error, except in 1.0, if the match lacks a prerequisite.
func (c *actionCheck) needs(a Action, p flow.Prereq) error {
	if c.v > V10 && !prereqOK(&c.m, p) {
		return bad(ActionMatchInconsistent, "%T", a)
	}
	return nil
}

func (c *actionCheck) setEthType(t uint16) {
	c.m.Set(flow.EthType, uint64(t))
	c.m.Mask.Set(flow.NwProto, 0)
	c.m.Key.Set(flow.NwProto, 0)
}

func (c *actionCheck) one(a Action) error {
	hasVLAN := c.m.Key.Get(flow.VLANTCI)&flow.VLANPresent != 0
	switch a := a.(type) {
	case SetField:
		return c.setField(a)
	case Load:
		return c.field(a.Dst.Field)
	case Move:
		return c.fields(&a.Src, &a.Dst)
	case StackPush:
		return c.field(a.Src.Field)
	case StackPop:
		return c.field(a.Dst.Field)
	case OutputReg:
		return c.field(a.Src.Field)
	case Resubmit:
		if a.CT && !prereqOK(&c.m, flow.PrereqCT) {
			return bad(ActionMatchInconsistent, "resubmit to the original tuple")
		}
	case SetVLANVID:
		if !hasVLAN && !a.Push {
			return c.needs(a, flow.PrereqVLAN)
		}
		setMasked(&c.m, flow.VLANTCI, c.m.Key.Get(flow.VLANTCI)|flow.VLANPresent, 0xffff)
	case SetVLANPCP:
		if !hasVLAN && !a.Push {
			return c.needs(a, flow.PrereqVLAN)
		}
		setMasked(&c.m, flow.VLANTCI, c.m.Key.Get(flow.VLANTCI)|flow.VLANPresent, 0xffff)
	case StripVLAN:
		if !hasVLAN {
			return c.needs(a, flow.PrereqVLAN)
		}
		c.m.Set(flow.VLANTCI, 0)
	case PushVLAN:
		setMasked(&c.m, flow.VLANTCI, c.m.Key.Get(flow.VLANTCI)|flow.VLANPresent, 0xffff)
	case SetTTL, DecTTL:
		return c.needs(a, flow.PrereqIP)
	case SetMPLSLabel, SetMPLSTC, SetMPLSTTL, DecMPLSTTL:
		return c.needs(a, flow.PrereqMPLS)
	case PushMPLS:
		c.setEthType(a.EthType)
		c.m.Set(flow.VLANTCI, 0)
	case PopMPLS:
		if err := c.needs(a, flow.PrereqMPLS); err != nil {
			return err
		}
		c.setEthType(a.EthType)
	case DecNSHTTL:
		if !prereqOK(&c.m, flow.PrereqNSH) {
			return bad(ActionMatchInconsistent, "dec_nsh_ttl")
		}
	case FinTimeout:
		if c.v > V10 && !prereqOK(&c.m, flow.PrereqTCP) {
			return bad(ActionMatchInconsistent, "fin_timeout")
		}
	case Encap:
		c.m.Set(flow.PacketType, uint64(a.Type))
		if a.Type == 1<<16|ethMPLS || a.Type == 1<<16|ethMPLSMC {
			c.setEthType(uint16(a.Type))
			c.m.Set(flow.PacketType, 0)
		}
	case Decap:
		c.m = flow.Match{}
	case Learn:
		return c.learn(a)
	case Multipath:
		return c.field(a.Dst.Field)
	case Bundle:
		return c.fields(a.Dst)
	case Sample:
		return c.fields(a.ObsDomainSrc, a.ObsPointSrc)
	case CheckPktLarger:
		return c.field(a.Dst.Field)
	case CT:
		return c.ct(a)
	case NAT:
		eth := c.m.Key.Get(flow.EthType)
		if len(a.AddrMin) == 4 && eth != ethIP || len(a.AddrMin) == 16 && eth != ethIPv6 {
			return bad(ActionMatchInconsistent, "nat")
		}
	case Clone:
		saved := c.m
		err := c.list(a.Actions, inClone)
		c.m = saved
		return err
	case WriteActions:
		saved := c.m
		err := c.list(a.Actions, inSet)
		c.m = saved
		return err
	case GotoTable:
		if c.table != TableAll && a.Table <= c.table || a.Table == TableAll {
			return bad(InstBadTableID, "goto_table:%d in table %d", a.Table, c.table)
		}
	}
	return nil
}

func (c *actionCheck) setField(a SetField) error {
	p := a.Field.Info().Prereq
	if a.Legacy {
		switch a.Field {
		case flow.TCPSrc, flow.TCPDst:
			if prereqOK(&c.m, flow.PrereqUDP) || prereqOK(&c.m, flow.PrereqSCTP) {
				return nil
			}
		}
		return c.needs(a, p)
	}
	if a.Field == flow.VLANVID && c.m.Key.Get(flow.VLANTCI)&flow.VLANPresent == 0 {
		return bad(ActionMatchInconsistent, "vlan_vid without a VLAN")
	}
	if err := c.field(a.Field); err != nil {
		return err
	}
	// A new protocol or ICMP type changes what the following actions may name.
	switch a.Field {
	case flow.EthType, flow.NwProto:
	case flow.VLANTCI, flow.ICMPv6Type, flow.ICMPv6Code, flow.PacketType:
		c.m.Set(a.Field, uintBytes(a.Value))
	}
	return nil
}

func (c *actionCheck) learn(a Learn) error {
	if err := c.fields(a.ResultDst); err != nil {
		return err
	}
	// What the learned flow matches exactly grants the prerequisites of its other fields.
	learned := actionCheck{v: c.v, table: c.table}
	for _, s := range a.Specs {
		if err := c.fields(s.Src); err != nil {
			return err
		}
		if s.Dst == learnOutput {
			continue
		}
		if err := learned.field(s.To.Field); err != nil && s.Dst == learnMatch {
			return err
		}
		if s.Dst == learnLoad {
			if err := learned.field(s.To.Field); err != nil {
				return err
			}
			continue
		}
		if s.Src == nil && s.To.Field.Info().Bytes <= 8 {
			s.To.Write(&learned.m.Key, s.Value)
			s.To.Exact(&learned.m.Mask)
		}
	}
	return nil
}

func (c *actionCheck) ct(a CT) error {
	eth := c.m.Key.Get(flow.EthType)
	if eth != ethIP && eth != ethIPv6 {
		return bad(ActionMatchInconsistent, "ct without IP")
	}
	if a.ZoneSrc != nil {
		if err := c.field(a.ZoneSrc.Field); err != nil {
			return err
		}
	}
	return c.list(a.Actions, inCT)
}
