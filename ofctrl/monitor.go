package ofctrl

import (
	"context"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

const (
	// maxMonitors bounds the flow monitors of a connection: each change is compared with all of them.
	maxMonitors = 1024
	// pauseAt is how many bytes of updates wait for a connection before its monitors pause: OVS's number.
	pauseAt = 128 << 10
)

// ownInFull are the flags that have a connection's own changes told in full. OVS takes OFPFMF_ONLY_OWN of OpenFlow
// 1.4 for one of them, and ovs-ofctl sends it as that.
const ownInFull = openflow.MonitorNoAbbrev | openflow.MonitorOnlyOwn

// Commands of openflow.FlowMonitor (ofp_flow_monitor_command).
const (
	monitorAdd    = 0
	monitorModify = 1
	monitorDelete = 2
)

// monitors are the flow monitors of a connection. Options.Mu guards them, for writing.
type monitors struct {
	byID    map[uint32]*openflow.FlowMonitor // with a normalized match
	paused  uint64                           // since that change of the switch (Switch.changes); 0: not
	updates []openflow.FlowUpdate            // of the changes that are being reported
	size    int                              // of updates on the wire, about
	abbrev  bool                             // an abbreviated update is among them
}

// flowMonitor starts, changes and stops monitors, and sends the flows that new ones want at first. When one of
// them is wrong, none of the request is started.
func (c *conn) flowMonitor(ctx context.Context, xid uint32, req *openflow.FlowMonitorRequest) error {
	s := c.sw
	s.o.Mu.Lock()
	fresh, err := c.changeMonitors(req.Monitors)
	s.recordChanges()
	if err == nil {
		// Under the lock: what comes next is told after it.
		list := s.collect(fresh, 0)
		err = c.pushUpdates(xid, list, false)
	}
	s.o.Mu.Unlock()
	if err != nil {
		return err
	}
	if err := c.out.drained(ctx); err != nil {
		return &lostError{err}
	}
	return nil
}

// changeMonitors does the commands of a request and returns the new monitors.
func (c *conn) changeMonitors(list []openflow.FlowMonitor) (fresh []*openflow.FlowMonitor, err error) {
	defer func() {
		if err != nil {
			for _, m := range fresh {
				delete(c.monitors.byID, m.ID)
			}
		}
	}()
	for i := range list {
		m := list[i]
		if m.Table != openflow.TableAll && m.Table >= table.Count {
			return fresh, fmt.Errorf("flow monitor %d: table %d: %w", m.ID, m.Table, openflow.BadTableID)
		}
		old := c.monitors.byID[m.ID]
		switch {
		case m.Command == monitorAdd && old != nil:
			return fresh, fmt.Errorf("flow monitor %d: %w", m.ID, openflow.FlowMonitorExists)
		case m.Command != monitorAdd && old == nil:
			return fresh, fmt.Errorf("flow monitor %d: %w", m.ID, openflow.FlowMonitorUnknownMonitor)
		case m.Command != monitorAdd:
			delete(c.monitors.byID, m.ID)
		case len(c.monitors.byID) >= maxMonitors:
			return fresh, fmt.Errorf("flow monitor %d: a connection may have %d: %w", m.ID, maxMonitors, openflow.BadPermission)
		}
		if m.Command == monitorDelete {
			continue
		}
		m.Match.Normalize()
		if c.monitors.byID == nil {
			c.monitors.byID = make(map[uint32]*openflow.FlowMonitor)
		}
		c.monitors.byID[m.ID] = &m
		fresh = append(fresh, &m)
	}
	return fresh, nil
}

// cancelMonitor stops a monitor; connections before 1.4 have a message for it.
func (c *conn) cancelMonitor(id uint32) error {
	s := c.sw
	s.o.Mu.Lock()
	defer s.o.Mu.Unlock()
	if c.monitors.byID[id] == nil {
		return fmt.Errorf("flow monitor %d: %w", id, openflow.FlowMonitorUnknownMonitor)
	}
	delete(c.monitors.byID, id)
	s.recordChanges()
	return nil
}

// endMonitors stops all monitors of a connection that ended.
func (c *conn) endMonitors() {
	c.sw.o.Mu.Lock()
	defer c.sw.o.Mu.Unlock()
	c.monitors.byID = nil
	c.sw.recordChanges()
}

// recordChanges has the tables keep their changes as long as there are monitors; Options.Mu is held for writing.
func (s *Switch) recordChanges() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if len(c.monitors.byID) > 0 {
			s.o.Tables.RecordChanges(true)
			return
		}
	}
	s.o.Tables.RecordChanges(false)
}

// announce tells controllers what was just done to the tables: flows that are gone, and changes to those who
// monitor them. by is the connection that asked for it, nil: none. Options.Mu is held for writing, so that all
// learn of changes in their order; nothing here waits.
func (s *Switch) announce(gone []table.Removed, by *conn) {
	s.FlowsRemoved(gone)
	for _, e := range s.o.Tables.VacancyEvents() {
		s.notify(openflow.AsyncTableStatus, uint32(e.Reason), nil, &e)
	}
	changes := s.o.Tables.TakeChanges()
	if len(changes) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		ch := &changes[i]
		s.mark(ch)
		for c := range s.conns {
			if len(c.monitors.byID) > 0 {
				c.report(ch, c == by)
			}
		}
	}
	for c := range s.conns {
		c.flushUpdates()
	}
}

// mark notes when a rule changed.
func (s *Switch) mark(ch *table.Change) {
	if ch.Event == openflow.UpdateRemoved {
		return
	}
	s.changes++
	if ch.Rule.Marks == nil {
		ch.Rule.Marks = &table.Marks{}
	}
	m := ch.Rule.Marks
	m.Modified = s.changes
	if ch.Event == openflow.UpdateAdded {
		m.Added = s.changes
		if !ch.Replaced {
			m.Born = s.changes
		}
	}
}

// report adds a change to the updates of a connection if its monitors want it.
func (c *conn) report(ch *table.Change, own bool) {
	m := &c.monitors
	// While paused only removals are told, of the flows that the peer knows.
	if m.paused != 0 && (ch.Event != openflow.UpdateRemoved || ch.Rule.Marks != nil && ch.Rule.Marks.Born > m.paused) {
		return
	}
	flags := m.flags(ch)
	switch {
	case flags == 0:
	case !own || flags&ownInFull != 0 || m.paused != 0:
		u := update(ch.Rule, ch.Event)
		u.Reason = uint8(ch.Reason)
		u.Cookie, u.Idle, u.Hard = ch.Cookie, ch.Idle, ch.Hard
		if flags&openflow.MonitorActions != 0 {
			u.Actions = ch.Actions
		}
		m.add(u)
	case !m.abbrev:
		m.abbrev = true
		m.add(openflow.FlowUpdate{Event: openflow.UpdateAbbrev, XID: ch.XID})
	}
	if m.size >= partBytes {
		c.flushUpdates()
	}
}

// flags are those of all monitors that want a change; 0: none does.
func (m *monitors) flags(ch *table.Change) (flags uint16) {
	wanted := uint16(openflow.MonitorAdd)
	switch ch.Event {
	case openflow.UpdateRemoved:
		wanted = openflow.MonitorRemoved
	case openflow.UpdateModified:
		wanted = openflow.MonitorModify
	}
	for _, f := range m.byID {
		if f.Flags&wanted != 0 &&
			(f.Table == openflow.TableAll || f.Table == ch.Rule.Table) &&
			(table.SendsTo(ch.Actions, f.OutPort, f.OutGroup) || ch.Before != nil && table.SendsTo(ch.Before, f.OutPort, f.OutGroup)) &&
			ch.Rule.Within(&f.Match) {
			flags |= f.Flags
		}
	}
	return flags
}

func (m *monitors) add(u openflow.FlowUpdate) {
	m.updates = append(m.updates, u)
	m.size += 64 + 16*len(u.Actions)
}

// update is the full update for a rule, without actions.
func update(r *table.Rule, event uint16) openflow.FlowUpdate {
	return openflow.FlowUpdate{
		Event: event, Table: r.Table, Priority: uint16(r.Priority), Cookie: r.Cookie,
		Idle: r.Idle, Hard: r.Hard, Match: r.Match(),
	}
}

// partBytes is about how many bytes of updates go into one message.
const partBytes = 32 << 10

// flushUpdates queues the updates that a change brought, and pauses when too many wait; sw.mu is held.
func (c *conn) flushUpdates() {
	m := &c.monitors
	if len(m.updates) == 0 {
		return
	}
	list := m.updates
	m.updates, m.size, m.abbrev = nil, 0, false
	if err := c.pushUpdates(0, list, true); err != nil {
		c.cancel(err)
		return
	}
	if m.paused != 0 || c.out.waitingUpdates() <= pauseAt {
		return
	}
	c.sw.changes++
	m.paused = c.sw.changes
	c.monitorsPaused.Store(true)
	c.sw.count("ofmonitor_pause", 1)
	if err := c.pushState(openflow.UpdatePaused, &openflow.FlowMonitorPaused{}); err != nil {
		c.cancel(err)
	}
}

// resumeMonitors ends a pause: it tells what is new or different since. The writer calls it when it has sent
// all updates.
func (c *conn) resumeMonitors() error {
	s := c.sw
	s.o.Mu.Lock()
	defer s.o.Mu.Unlock()
	m := &c.monitors
	if m.paused == 0 {
		return nil
	}
	var all []*openflow.FlowMonitor
	for _, f := range m.byID {
		all = append(all, f)
	}
	if list := s.collect(all, m.paused); len(list) > 0 {
		if err := c.pushUpdates(0, list, false); err != nil {
			return err
		}
	}
	m.paused = 0
	c.monitorsPaused.Store(false)
	s.count("ofmonitor_resume", 1)
	return c.pushState(openflow.UpdateResumed, &openflow.FlowMonitorResumed{})
}

// pushState queues that monitors paused or resumed: an update in OpenFlow 1.4, a message of its own before.
func (c *conn) pushState(event uint16, before openflow.Message) error {
	if c.version >= openflow.V14 {
		return c.pushUpdates(0, []openflow.FlowUpdate{{Event: event}}, true)
	}
	b, err := c.encode(0, before)
	if err == nil {
		c.out.update(b)
	}
	return err
}

// pushUpdates queues updates without waiting; those that changes bring count for pausing.
func (c *conn) pushUpdates(xid uint32, list []openflow.FlowUpdate, change bool) error {
	body := func(u []openflow.FlowUpdate) openflow.MultipartBody { return &openflow.FlowMonitorReply{Updates: u} }
	return eachPart(c, xid, list, body, func(b []byte) error {
		if change {
			c.out.update(b)
		} else {
			c.out.push(b)
		}
		return nil
	})
}

// collect makes updates of the flows that monitors want at first, or, with since not 0, of those that changed
// after that. Each flow comes once, whatever the number of monitors that want it.
func (s *Switch) collect(list []*openflow.FlowMonitor, since uint64) []openflow.FlowUpdate {
	var updates []openflow.FlowUpdate
	at := map[*table.Rule]int{}
	for _, f := range list {
		if since == 0 && f.Flags&openflow.MonitorInitial == 0 {
			continue
		}
		filter := &table.Filter{Table: f.Table, Match: f.Match, OutPort: f.OutPort, OutGroup: f.OutGroup}
		s.o.Tables.Each(filter, func(r *table.Rule) {
			event := openflow.UpdateInitial
			if since != 0 {
				if event = changedSince(r.Marks, since, f.Flags); event == 0 {
					return
				}
			}
			i, ok := at[r]
			if !ok {
				i = len(updates)
				at[r] = i
				updates = append(updates, update(r, event))
			}
			u := &updates[i]
			u.Event = min(u.Event, event) // an addition says more than a modification
			if f.Flags&openflow.MonitorActions != 0 {
				u.Actions = r.Actions
			}
		})
	}
	return updates
}

// changedSince is the event by which a monitor hears of a rule after a pause; 0: not at all.
func changedSince(m *table.Marks, since uint64, flags uint16) uint16 {
	switch {
	case m == nil:
	case m.Added > since && flags&(openflow.MonitorAdd|openflow.MonitorModify) != 0:
		if flags&openflow.MonitorAdd == 0 && m.Born <= since {
			return openflow.UpdateModified
		}
		return openflow.UpdateAdded
	case m.Added <= since && m.Modified > since && flags&openflow.MonitorModify != 0:
		return openflow.UpdateModified
	}
	return 0
}
