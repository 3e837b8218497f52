package ofctrl

import (
	"fmt"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

func (c *conn) flowMod(m *openflow.FlowMod) error {
	if err := c.acceptFlowMod(m); err != nil {
		return err
	}
	return c.sw.applyFlowMod(m, c, messageXID(c.request))
}

// acceptFlowMod is prepareFlowMod without the lock of the tables, for a flow mod that came just now: it checks too
// that the datapath can do it.
func (c *conn) acceptFlowMod(m *openflow.FlowMod) error {
	if err := c.prepareFlowMod(m); err != nil {
		return err
	}
	if c.sw.o.Features == nil || m.Command == openflow.FlowDelete || m.Command == openflow.FlowDeleteStrict {
		return nil
	}
	f := c.sw.o.Features()
	return checkSupport(&f, &m.Match, m.Actions)
}

// prepareFlowMod checks a flow mod and makes it what the connection's version means.
func (c *conn) prepareFlowMod(m *openflow.FlowMod) error {
	if m.Flags&openflow.FlagEmergency != 0 {
		// There are no emergency flows: their table is always full.
		return fmt.Errorf("flow mod: emergency flow: %w", openflow.FlowModTableFull)
	}
	if m.BufferID != openflow.NoBuffer {
		return fmt.Errorf("flow mod: %w", openflow.BufferUnknown)
	}
	if m.Command == openflow.FlowAdd && c.version <= openflow.V11 {
		m.Flags |= openflow.FlagResetCounts
	}
	m.KeepCookies = c.version == openflow.V11
	if c.version == openflow.V10 && !c.state.FlowModTableID {
		m.Table = openflow.TableAll
	}
	if m.Command != openflow.FlowDelete && m.Command != openflow.FlowDeleteStrict {
		if err := checkActions(m.Actions); err != nil {
			return err
		}
	}
	return table.Check(m)
}

// ApplyFlowMod changes the flow tables and tells the host and the controllers. Errors wrap an
// openflow.Err.
func (s *Switch) ApplyFlowMod(m *openflow.FlowMod) error { return s.applyFlowMod(m, nil, 0) }

// applyFlowMod is ApplyFlowMod for the request xid of a connection.
func (s *Switch) applyFlowMod(m *openflow.FlowMod, by *conn, xid uint32) error {
	s.o.Mu.Lock()
	if by != nil {
		if err := by.checkTLV(m); err != nil {
			s.o.Mu.Unlock()
			return err
		}
	}
	s.o.Tables.Cause(xid)
	gone, err := s.o.Tables.Apply(m)
	s.o.Tables.Cause(0)
	s.announce(gone, by)
	s.o.Mu.Unlock()
	if err != nil {
		return err
	}
	s.o.Host.TablesChanged()
	return nil
}

// flowStats describes a rule.
func flowStats(r *table.Rule, now time.Time) openflow.FlowStats {
	st := r.Stats()
	age := now.Sub(r.Created).Truncate(time.Millisecond) // OVS's resolution, which tools show
	return openflow.FlowStats{
		Table: r.Table, Match: r.Match(), Priority: uint16(r.Priority), Cookie: r.Cookie,
		DurationSec: seconds(age), DurationNsec: nanoseconds(age),
		Idle: r.Idle, Hard: r.Hard, Importance: r.Importance,
		IdleAge: int(seconds(now.Sub(st.Used))), HardAge: int(seconds(r.HardAge(now))),
		Flags: r.Flags, Packets: st.Packets, Bytes: st.Bytes, Actions: r.Actions,
	}
}

// seconds and nanoseconds are the two halves of a duration on the wire; a negative one is 0.
func seconds(d time.Duration) uint32     { return uint32(max(d, 0) / time.Second) }
func nanoseconds(d time.Duration) uint32 { return uint32(max(d, 0) % time.Second) }
