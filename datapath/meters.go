package datapath

import (
	"fmt"
	"sync"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Meters gives the meters of all bridges ids of the one datapath that they share. An id is used again only when
// neither its bridge nor a megaflow knows the meter any more.
type Meters struct {
	dp     Meterer
	limits MeterLimits

	mu   sync.Mutex // guards what follows, and refs of each Meter
	byID map[uint32]*Meter
	next uint32 // where the search for a free id begins: one that was freed rests for long
	// stale are those of an earlier run, held until HoldMeters knows which of them megaflows still name.
	stale []*Meter
}

// Meter is a meter of the datapath, made with one reference. It implements Holder.
type Meter struct {
	id    uint32
	owner *Meters
	refs  int
}

// NewMeters makes the meters of a datapath. Those that it has already stay until Engine.HoldMeters.
func NewMeters(dp Meterer) *Meters {
	m := &Meters{dp: dp, limits: dp.MeterLimits(), byID: map[uint32]*Meter{}}
	for _, id := range dp.MeterIDs() {
		old := &Meter{id: id, owner: m, refs: 1}
		m.byID[id] = old
		m.stale = append(m.stale, old)
	}
	return m
}

// Limits are the datapath's.
func (m *Meters) Limits() MeterLimits { return m.limits }

// Len is how many meters the datapath has.
func (m *Meters) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.byID)
}

// New makes a meter. The error wraps ErrFull when there are too many.
func (m *Meters) New(c MeterConfig) (*Meter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.byID) >= int(m.limits.Meters) {
		return nil, fmt.Errorf("%d meters: %w", len(m.byID), ErrFull)
	}
	for m.byID[m.next] != nil || m.next >= m.limits.Meters {
		m.next = (m.next + 1) % m.limits.Meters
	}
	if err := m.dp.MeterSet(m.next, c); err != nil {
		return nil, err
	}
	n := &Meter{id: m.next, owner: m, refs: 1}
	m.byID[n.id] = n
	m.next++
	return n, nil
}

// ID is the datapath's number of the meter.
func (n *Meter) ID() uint32 { return n.id }

// Set gives the meter another configuration, full buckets and zero counters.
func (n *Meter) Set(c MeterConfig) error { return n.owner.dp.MeterSet(n.id, c) }

// Stats are the counters since the meter was made or set.
func (n *Meter) Stats() (MeterStats, error) { return n.owner.dp.MeterStats(n.id) }

// Hold takes a reference: the meter stays until as many Releases. The caller knows that there is one.
func (n *Meter) Hold() *Meter {
	n.owner.mu.Lock()
	defer n.owner.mu.Unlock()
	n.refs++
	return n
}

// Release gives a reference back. Without any the meter is removed from the datapath.
func (n *Meter) Release() {
	m := n.owner
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.refs--; n.refs > 0 {
		return
	}
	delete(m.byID, n.id)
	_ = m.dp.MeterDel(n.id) // fails only for one that is gone, or with a datapath that is
}

// named returns holders of the meters that a list of actions names.
func (m *Meters) named(list []odp.Action, held []Holder) []Holder {
	for _, a := range list {
		switch a := a.(type) {
		case odp.Meter:
			m.mu.Lock()
			n := m.byID[a.ID]
			m.mu.Unlock()
			if n != nil {
				held = append(held, n.Hold())
			}
		case odp.Sample:
			held = m.named(a.Actions, held)
		case odp.Clone:
			held = m.named(a.Actions, held)
		case odp.CheckPktLen:
			held = m.named(a.LessEqual, m.named(a.Greater, held))
		}
	}
	return held
}

// HoldMeters has the adopted flows hold the meters that they name, so that these go on limiting and no new meter gets
// their id, and removes what else an earlier run left. It is called once, before the first bridge is made.
func (e *Engine) HoldMeters(m *Meters) {
	e.mu.Lock()
	for _, mf := range e.flows {
		if mf.adopted {
			mf.held = m.named(mf.actions, mf.held)
		}
	}
	e.mu.Unlock()
	for _, n := range m.stale {
		n.Release()
	}
	m.stale = nil
}
