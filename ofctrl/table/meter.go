package table

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Meter is one meter. The datapath counts and limits; a modification keeps the datapath's meter.
type Meter struct {
	ID      uint32
	Created time.Time
	// Datapath is the meter that stands for this one. Who adds a Meter gives a reference with it, and gets it back
	// with DeleteMeter.
	Datapath *datapath.Meter

	config  openflow.MeterConfig
	deleted atomic.Uint64 // 1 when it is not in the tables any more
}

// NewMeter makes a meter that is in no tables yet.
func NewMeter(c openflow.MeterConfig, created time.Time, dp *datapath.Meter) *Meter {
	return &Meter{ID: c.ID, Created: created, Datapath: dp, config: c}
}

// Version implements datapath.Versioned: it moves when the meter is deleted.
func (m *Meter) Version() uint64 { return m.deleted.Load() }

// Config is the meter as it was configured.
func (m *Meter) Config() openflow.MeterConfig { return m.config }

// meters are the meters of a switch.
type meters struct {
	byID  map[uint32]*Meter
	users map[uint32]map[*Rule]struct{} // rules that name a meter
	added addedVersion
}

// Meter finds a meter, nil when there is none.
func (t *Tables) Meter(id uint32) *Meter { return t.meters.byID[id] }

// MeterAdded is versioned by the addition of meters.
func (t *Tables) MeterAdded() datapath.Versioned { return &t.meters.added }

// Meters lists the meters by ID: one of them, or with MeterAll all.
func (t *Tables) Meters(id uint32) []*Meter {
	if id != openflow.MeterAll {
		if m := t.Meter(id); m != nil {
			return []*Meter{m}
		}
		return nil
	}
	return slices.SortedFunc(maps.Values(t.meters.byID), func(a, b *Meter) int { return cmp.Compare(a.ID, b.ID) })
}

// MeterUsers is how many rules name a meter.
func (t *Tables) MeterUsers(id uint32) int { return len(t.meters.users[id]) }

// AddMeter adds a meter whose ID is new. No meter changes in a transaction: bundles have no meter mods.
func (t *Tables) AddMeter(m *Meter) {
	t.meters.byID[m.ID] = m
	t.meters.added.n.Add(1)
}

// ModifyMeter notes that the datapath's meter has got another configuration.
func (t *Tables) ModifyMeter(m *Meter, c openflow.MeterConfig) { m.config = c }

// DeleteMeter removes a meter with the rules that name it, which it returns. Controller actions that name it stay, as
// in OVS: they are limited like those that name none.
func (t *Tables) DeleteMeter(m *Meter) []Removed {
	rules := slices.Collect(maps.Keys(t.meters.users[m.ID]))
	slices.SortFunc(rules, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority))
	})
	gone := t.removeAll(rules, openflow.RemovedMeterDelete)
	delete(t.meters.byID, m.ID)
	m.deleted.Store(1)
	return gone
}

// CheckMeters refuses actions that name a meter that is not there. As in OVS those of controller actions may come later.
func (t *Tables) CheckMeters(actions []openflow.Action) (err error) {
	eachMeter(actions, func(id uint32) {
		if err == nil && t.Meter(id) == nil {
			err = fmt.Errorf("meter %d: %w", id, openflow.MeterModInvalidMeter)
		}
	})
	return err
}

// usesMeters keeps the rules that name a meter: r does so, or does no more.
func (t *Tables) usesMeters(r *Rule, does bool) {
	eachMeter(r.Actions, func(id uint32) {
		users := t.meters.users[id]
		if !does {
			if delete(users, r); len(users) == 0 {
				delete(t.meters.users, id)
			}
			return
		}
		if users == nil {
			users = make(map[*Rule]struct{})
			t.meters.users[id] = users
		}
		users[r] = struct{}{}
	})
}

// eachMeter calls f for each meter action.
func eachMeter(actions []openflow.Action, f func(id uint32)) {
	for _, a := range actions {
		switch a := a.(type) {
		case openflow.Meter:
			f(a.ID)
		case openflow.WriteActions:
			eachMeter(a.Actions, f)
		case openflow.Clone:
			eachMeter(a.Actions, f)
		}
	}
}
