package conntrack

import (
	"maps"
	"slices"
)

// limits say how many connections a zone may have; 0: as many as there is room for.
type limits struct {
	standard uint32
	zones    map[uint16]uint32
}

func (l *limits) of(zone uint16) uint32 {
	if n, ok := l.zones[zone]; ok {
		return n
	}
	return l.standard
}

// ZoneLimit is the limit of a zone and how many connections it has.
type ZoneLimit struct {
	Zone         uint16
	Limit, Count uint32
}

// SetDefaultLimit limits the zones that have no limit of their own; 0: no limit.
func (t *Table) SetDefaultLimit(n uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits.standard = n
	return nil
}

// SetLimit limits a zone; 0: no limit.
func (t *Table) SetLimit(zone uint16, n uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limits.zones == nil {
		t.limits.zones = map[uint16]uint32{}
	}
	t.limits.zones[zone] = n
	return nil
}

// DelLimit takes a zone's own limit away.
func (t *Table) DelLimit(zone uint16) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.limits.zones, zone)
	return nil
}

// Limits returns the default limit, and those of some zones or, without zones, of all that have one of their own.
func (t *Table) Limits(zones ...uint16) (standard uint32, list []ZoneLimit, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweep(len(t.all), t.o.Now())
	if len(zones) == 0 {
		zones = slices.Sorted(maps.Keys(t.limits.zones))
	}
	for _, z := range zones {
		list = append(list, ZoneLimit{z, t.limits.of(z), t.perZone[z]})
	}
	return t.limits.standard, list, nil
}
