package bridge

import (
	"maps"
	"slices"
	"strconv"

	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// ctZones are the settings of conntrack zones in the database.
type ctZones struct {
	timeouts map[uint16]conntrack.Timeouts
	limits   map[uint16]uint32
	standard *uint32 // the default limit; nil: not set there
	// names are those of the policies in the datapath: a number, the same for zones whose timeouts are the same.
	names map[conntrack.Timeouts]string
}

// zonesOf reads the Datapath rows of the types that are served; warn is told what cannot be taken. Where several rows
// have a zone, all being the same datapath, the first type has it.
func zonesOf(s *ovsdb.Snapshot, types []string, warn func(format string, args ...any)) ctZones {
	z := ctZones{timeouts: map[uint16]conntrack.Timeouts{}, limits: map[uint16]uint32{}, names: map[conntrack.Timeouts]string{}}
	for _, typ := range types {
		row := s.Datapaths[typ]
		if row == nil {
			continue
		}
		if n := row.CTZoneDefaultLimit; n != nil && z.standard == nil {
			l := uint32(*n)
			z.standard = &l
		}
		for _, no := range slices.Sorted(maps.Keys(row.CTZones)) {
			zone, c := uint16(no), row.CTZones[no]
			if _, ok := z.limits[zone]; !ok && c.Limit != nil {
				z.limits[zone] = uint32(*c.Limit)
			}
			if _, ok := z.timeouts[zone]; ok || c.Timeouts == nil {
				continue
			}
			policy := map[string]uint32{}
			for name, seconds := range c.Timeouts {
				policy[name] = uint32(seconds)
			}
			to, err := conntrack.PolicyTimeouts(policy)
			if err != nil {
				warn("datapath %s: zone %d: timeout policy: %v", typ, zone, err)
				continue
			}
			z.timeouts[zone] = to
		}
	}
	return z
}

// nameAll gives each set of timeouts a name: that of old if it is there, else the lowest number that is free.
func (z *ctZones) nameAll(old *ctZones) {
	taken := map[string]bool{}
	for _, name := range old.names {
		taken[name] = true // until the megaflows that carry it have gone
	}
	n := 0
	for _, zone := range slices.Sorted(maps.Keys(z.timeouts)) {
		to := z.timeouts[zone]
		if z.names[to] != "" {
			continue
		}
		name := old.names[to]
		for name == "" {
			if n++; !taken[strconv.Itoa(n)] {
				name = strconv.Itoa(n)
			}
		}
		z.names[to] = name
	}
}

// configureZones has the conntrack zones be as the snapshot says: their timeout policies and limits.
func (a *Agent) configureZones(s *ovsdb.Snapshot) {
	if a.conns == nil {
		return
	}
	old, want := a.zones, zonesOf(s, a.o.DatapathTypes, a.log.Warnf)
	if old.names == nil {
		a.readHeldLimits(&old)
	}
	want.nameAll(&old)
	failed := func(what string, err error) {
		if err != nil {
			a.log.Errorf("failed to set %s: %v", what, err)
		}
	}

	// Policies come before the flows that name them, and go after them.
	names := map[uint16]string{}
	for zone, to := range want.timeouts {
		names[zone] = want.names[to]
	}
	for to, name := range want.names {
		if old.names[to] == "" {
			failed("conntrack timeout policy "+name, a.conns.SetTimeouts(name, &to))
		}
	}
	if a.translator.SetZoneTimeouts(names) {
		a.portsVersion.n.Add(1) // every translation depends on it
	}
	for to, name := range old.names {
		if want.names[to] == "" {
			failed("conntrack timeout policy "+name, a.conns.SetTimeouts(name, nil))
		}
	}

	a.setLimits(&old, &want)
	a.engine.HoldZoneLimits(want.standard != nil || len(want.limits) > 0)
	a.zones = want
}
