package ofctrl

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// maxPorts bounds port numbers: OpenFlow 1.0's, so that all versions can say all ports.
const maxPorts openflow.PortNo = 0xff00

// checker walks a list of actions with what is known of the packets that come to them.
type checker struct {
	version openflow.Version
	table   uint8      // of the flow; TableAll: not known yet
	match   flow.Match // what the packet is at this point
	any     bool       // nothing is known of it
}

// checkPacketOut is checkActions for a packet-out. Its packet says what fields there are; what it
// has not is not written.
func checkPacketOut(v openflow.Version, actions []openflow.Action) error {
	c := checker{version: v, table: openflow.TableAll, any: true}
	return c.list(actions)
}

// checkActions refuses actions that the switch as it is cannot have: groups and meters that do
// not exist, ports that cannot, jumps to tables before a flow's own, and fields that the packets
// of the match do not have.
func checkActions(v openflow.Version, m *flow.Match, table uint8, actions []openflow.Action) error {
	c := checker{version: v, table: table, match: *m}
	return c.list(actions)
}

func (c *checker) list(actions []openflow.Action) error {
	for _, a := range actions {
		if err := c.action(a); err != nil {
			return err
		}
	}
	return nil
}

// nested checks a list whose effects do not last.
func (c *checker) nested(actions []openflow.Action) error {
	inner := *c
	return inner.list(actions)
}

func (c *checker) action(a openflow.Action) error {
	switch a := a.(type) {
	case openflow.Output:
		return checkPort(a.Port)
	case openflow.OutputTrunc:
		return checkPort(a.Port)
	case openflow.Enqueue:
		return checkPort(a.Port)
	case openflow.OutputReg:
		return c.field(a.Src.Field)
	case openflow.Group:
		return fmt.Errorf("group %d: %w", a.ID, openflow.ActionBadOutGroup)
	case openflow.Meter:
		return fmt.Errorf("meter %d: %w", a.ID, openflow.MeterModUnknownMeter)
	case openflow.GotoTable:
		if c.table != openflow.TableAll && a.Table <= c.table {
			return fmt.Errorf("goto_table:%d in table %d: %w", a.Table, c.table, openflow.InstBadTableID)
		}
	case openflow.WriteActions:
		return c.nested(a.Actions)
	case openflow.Clone:
		return c.nested(a.Actions)
	case openflow.CT:
		if !c.has(flow.PrereqIP) {
			return c.inconsistent("ct")
		}
		return c.nested(a.Actions)

	case openflow.SetField:
		if a.Legacy {
			if !c.has(flow.Fields[a.Field].Prereq) {
				return c.inconsistent(a.Field.String())
			}
			return nil
		}
		return c.write(a.Field)
	case openflow.Load:
		return c.write(a.Dst.Field)
	case openflow.Move:
		if err := c.field(a.Src.Field); err != nil {
			return err
		}
		return c.write(a.Dst.Field)
	case openflow.StackPush:
		return c.field(a.Src.Field)
	case openflow.StackPop:
		return c.write(a.Dst.Field)

	case openflow.SetVLANVID:
		return c.setVLAN(a.Push)
	case openflow.SetVLANPCP:
		return c.setVLAN(a.Push)
	case openflow.PushVLAN:
		c.match.Set(flow.VLANTCI, flow.VLANPresent)
	case openflow.StripVLAN:
		if !c.has(flow.PrereqVLAN) {
			return c.inconsistent("strip_vlan")
		}
		c.match.Set(flow.VLANTCI, 0)
	case openflow.DecTTL, openflow.SetTTL:
		if !c.has(flow.PrereqIP) {
			return c.inconsistent("TTL")
		}
	case openflow.SetMPLSLabel, openflow.SetMPLSTC, openflow.SetMPLSTTL, openflow.DecMPLSTTL:
		if !c.has(flow.PrereqMPLS) {
			return c.inconsistent("MPLS")
		}
	case openflow.PushMPLS:
		c.match.Set(flow.EthType, uint64(a.EthType))
		c.match.Set(flow.NwProto, 0)
	case openflow.PopMPLS:
		if !c.has(flow.PrereqMPLS) {
			return c.inconsistent("pop_mpls")
		}
		c.match.Set(flow.EthType, uint64(a.EthType))
	case openflow.Decap:
		// What is inside is not known.
		c.match = flow.Match{}
	}
	return nil
}

func (c *checker) has(p flow.Prereq) bool { return c.any || openflow.PrereqOK(&c.match, p) }

// inconsistent is the error of an action that the packets cannot undergo. OpenFlow 1.0 allows it:
// there it has no effect.
func (c *checker) inconsistent(what string) error {
	if c.version == openflow.V10 {
		return nil
	}
	return fmt.Errorf("%s does not fit the match: %w", what, openflow.ActionMatchInconsistent)
}

// field refuses a field that the packets do not have.
func (c *checker) field(id flow.FieldID) error {
	if !c.has(flow.Fields[id].Prereq) {
		return fmt.Errorf("%v does not fit the match: %w", id, openflow.ActionMatchInconsistent)
	}
	return nil
}

// write is field for one that is written.
func (c *checker) write(id flow.FieldID) error {
	switch id {
	case flow.VLANTCI, flow.DlVLAN, flow.DlVLANPCP:
		// They add a tag when there is none.
		c.match.Set(flow.VLANTCI, flow.VLANPresent)
		return nil
	case flow.VLANVID:
		if !c.has(flow.PrereqVLAN) {
			return fmt.Errorf("vlan_vid without a tag: %w", openflow.ActionMatchInconsistent)
		}
		return nil
	}
	return c.field(id)
}

func (c *checker) setVLAN(push bool) error {
	if !c.has(flow.PrereqVLAN) && !push {
		return c.inconsistent("VLAN")
	}
	c.match.Set(flow.VLANTCI, flow.VLANPresent)
	return nil
}

// checkPort refuses what is neither a port number nor a reserved port that packets can go to.
func checkPort(p openflow.PortNo) error {
	if p < maxPorts || p >= openflow.PortInPort && p <= openflow.PortLocal {
		return nil
	}
	return fmt.Errorf("output to port %d: %w", p, openflow.ActionBadOutPort)
}
