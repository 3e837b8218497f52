package bridge

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
)

// readHeldLimits puts the limits that an earlier agent took from the database in old: so those that have gone from it
// meanwhile go from the datapath, where limits set by command stay.
func (a *Agent) readHeldLimits(old *ctZones) {
	held, ok := a.conns.(conntrack.LimitHolder)
	if !ok {
		return
	}
	zones, standard, err := held.HeldLimits()
	if err != nil {
		a.log.Errorf("failed to read conntrack limits of the database: %v", err)
		return
	}
	n, list, err := a.conns.Limits(zones...)
	if err != nil {
		a.log.Errorf("failed to read conntrack limits: %v", err)
		return
	}
	if standard {
		old.standard = &n
	}
	if old.limits = map[uint16]uint32{}; len(zones) == 0 {
		return // list has all
	}
	for _, z := range list {
		old.limits[z.Zone] = z.Limit
	}
}

// setLimits has the limits be as the database says. They are held before the first is set and until the last is gone.
func (a *Agent) setLimits(old, want *ctZones) {
	failed := func(what string, err error) {
		if err != nil {
			a.log.Errorf("failed to set %s: %v", what, err)
		}
	}
	hold := func(standard bool, limits ...map[uint16]uint32) {
		held, ok := a.conns.(conntrack.LimitHolder)
		if !ok {
			return
		}
		var zones []uint16
		for _, m := range limits {
			zones = slices.AppendSeq(zones, maps.Keys(m))
		}
		failed("who holds conntrack limits", held.HoldLimits(zones, standard))
	}
	hold(old.standard != nil || want.standard != nil, old.limits, want.limits)
	for zone, limit := range want.limits {
		if was, ok := old.limits[zone]; !ok || was != limit {
			failed(fmt.Sprintf("the conntrack limit of zone %d", zone), a.conns.SetLimit(zone, limit))
		}
	}
	for zone := range old.limits {
		if _, ok := want.limits[zone]; !ok {
			failed(fmt.Sprintf("the conntrack limit of zone %d", zone), a.conns.DelLimit(zone))
		}
	}
	if n := want.standard; n != nil && (old.standard == nil || *old.standard != *n) {
		failed("the default conntrack limit", a.conns.SetDefaultLimit(*n))
	} else if n == nil && old.standard != nil {
		failed("the default conntrack limit", a.conns.SetDefaultLimit(0))
	}
	hold(want.standard != nil, want.limits)
}
