package ofctrl

import (
	"slices"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// asyncMasks say which reasons of which asynchronous messages a connection wants, in the role
// primary or equal, and in the role secondary.
type asyncMasks [openflow.NumAsync][2]uint32

// defaultAsync is what a connection wants until it says otherwise (OpenFlow 1.5 section 6.3.6).
func defaultAsync(v openflow.Version) asyncMasks {
	var m asyncMasks
	packetIn := uint32(1<<openflow.ReasonNoMatch | 1<<openflow.ReasonAction)
	if v >= openflow.V14 {
		packetIn |= 1<<openflow.ReasonActionSet | 1<<openflow.ReasonGroup | 1<<openflow.ReasonPacketOut
	}
	removed := uint32(1<<openflow.RemovedIdleTimeout | 1<<openflow.RemovedHardTimeout | 1<<openflow.RemovedDelete)
	if v >= openflow.V13 { // as OVS does, though 1.1 has the reason
		removed |= 1 << openflow.RemovedGroupDelete
	}
	if v >= openflow.V14 {
		removed |= 1<<openflow.RemovedMeterDelete | 1<<openflow.RemovedEviction
	}
	portStatus := uint32(1<<0 | 1<<1 | 1<<2)
	m[openflow.AsyncPacketIn] = [2]uint32{packetIn, 0}
	m[openflow.AsyncFlowRemoved] = [2]uint32{removed, 0}
	m[openflow.AsyncPortStatus] = [2]uint32{portStatus, portStatus}
	return m
}

// wants reports whether the connection gets an asynchronous message; sw.mu is held. Those of
// services get none until they set a miss_send_len.
func (c *conn) wants(t openflow.AsyncType, reason uint32) bool {
	if c.service && c.missSendLen == 0 {
		return false
	}
	i := 0
	if c.role == openflow.RoleSecondary {
		i = 1
	}
	return c.async[t][i]>>reason&1 != 0
}

// PacketIn is a packet for controllers.
type PacketIn struct {
	openflow.PacketIn
	MaxLen       uint16 // of the action; packets are always sent whole, as there are no buffers
	ControllerID uint16
	InPort       openflow.PortNo
}

// SendPacketIn sends a packet to the controllers that want it. It keeps a copy of p's packet and
// never waits; callers may hold Options.Mu for reading.
func (s *Switch) SendPacketIn(p *PacketIn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var packet []byte
	for c := range s.conns {
		if p.Reason == table.ReasonImplicitMiss && c.version >= openflow.V13 {
			continue
		}
		reason := wireReason(p.Reason, c.version)
		if c.controllerID != p.ControllerID || !c.wants(openflow.AsyncPacketIn, uint32(reason)) {
			continue
		}
		if packet == nil {
			packet = slices.Clone(p.Packet)
		}
		m := p.PacketIn
		m.Packet = packet
		m.Reason = reason
		m.BufferID = openflow.NoBuffer
		m.Format = c.format
		if m.TotalLen == 0 {
			m.TotalLen = len(packet)
		}
		c.packetIn(&m, p.InPort)
	}
}

// checkMisses tells the tables whether a controller gets packets without a rule unasked, as those do that speak a version
// before 1.3 (OpenFlow 1.0 section 3.4).
func (s *Switch) checkMisses() {
	s.o.Mu.Lock()
	s.mu.Lock()
	on := false
	for c := range s.conns {
		on = on || c.version < openflow.V13 && c.controllerID == 0 && c.wants(openflow.AsyncPacketIn, uint32(openflow.ReasonNoMatch))
	}
	s.mu.Unlock()
	changed := s.o.Tables.SetImplicitMiss(on)
	s.o.Mu.Unlock()
	if changed {
		s.o.Host.TablesChanged()
	}
}

// wireReason is the reason as a version can say it.
func wireReason(r openflow.PacketInReason, v openflow.Version) openflow.PacketInReason {
	if r == table.ReasonImplicitMiss {
		return openflow.ReasonNoMatch
	}
	if v < openflow.V14 && r > openflow.ReasonInvalidTTL {
		return openflow.ReasonAction
	}
	return r
}

// FlowsRemoved tells controllers of the rules that asked for it; it never waits.
func (s *Switch) FlowsRemoved(gone []table.Removed) {
	for _, g := range gone {
		if r := g.Rule; r.Flags&openflow.FlagSendFlowRem != 0 {
			stats := r.Stats()
			age := s.o.Clock.Now().Sub(r.Created).Truncate(time.Millisecond)
			s.notify(openflow.AsyncFlowRemoved, uint32(g.Reason), nil, &openflow.FlowRemoved{
				Match: r.Match(), Priority: uint16(r.Priority), Reason: g.Reason, Table: r.Table, Cookie: r.Cookie,
				DurationSec: seconds(age), DurationNsec: nanoseconds(age), Idle: r.Idle, Hard: r.Hard,
				Packets: stats.Packets, Bytes: stats.Bytes,
			})
		}
	}
}

// setAsync takes an asynchronous configuration; sw.mu is held. What the form of 1.3 cannot say is off, what the form of 1.4
// does not say stays.
func (c *conn) setAsync(m *openflow.SetAsync) {
	if m.Form == openflow.AsyncNX || m.Form == openflow.AsyncStandard && c.version == openflow.V13 {
		c.async = m.Masks
		return
	}
	for t := range m.Present {
		for i, given := range m.Present[t] {
			if given {
				c.async[t][i] = m.Masks[t][i]
			}
		}
	}
}

// notify queues an asynchronous message for the connections that want it, but for one.
func (s *Switch) notify(t openflow.AsyncType, reason uint32, but *conn, m openflow.Message) {
	s.notifyIf(t, reason, but, m, func(*conn) bool { return true })
}

// notifyIf is notify for some connections.
func (s *Switch) notifyIf(t openflow.AsyncType, reason uint32, but *conn, m openflow.Message, to func(*conn) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c == but || !c.wants(t, reason) || !to(c) {
			continue
		}
		if err := c.out.notice(m); err != nil {
			s.log.Warnf("%s: %v, disconnecting", c.remote.name, err)
			c.cancel(err)
		}
	}
}
