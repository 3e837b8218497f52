package table

import (
	"fmt"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Config is what the database says of a table (a row of Flow_Table).
type Config struct {
	Name     string          // "": none, or the one that a controller gave
	Limit    *int            // rules; nil: MaxEntries
	Evict    bool            // make room for new rules rather than refuse them
	Groups   []flow.Subfield // of eviction
	Prefixes []flow.FieldID  // kept in tries, of those that are Prefixed; nil: the default
}

// EvictionFlags are what decides about eviction, of which there is no choice (OFPTMPEF_OTHER, _IMPORTANCE, _LIFETIME).
const EvictionFlags = 0x7

// Miss is what happens to packets for which a table has no rule (OFPTC_TABLE_MISS_* of OpenFlow 1.1 and 1.2).
type Miss uint8

// What there is. MissDefault is to ask controllers that speak a version before 1.3, and else to drop.
const (
	MissDefault Miss = iota
	MissToController
	MissContinue
	MissToDrop
)

// config is m on the wire of OpenFlow 1.1 and 1.2.
func (m Miss) config() uint32 {
	switch m {
	case MissContinue:
		return 1
	case MissToDrop:
		return 2
	}
	return 0
}

// settings are what a table is configured to, beside its limit.
type settings struct {
	name, dbName  string // given by a controller, and by the database, which wins
	evictDB       bool
	evictOpenFlow bool
	groups        []flow.Subfield
	miss          Miss
	vacancy       vacancy
}

// Configure gives a table what the database says, and returns the rules that a lower limit evicts. Of what cannot be
// evicted nothing is lost: the table just takes no more.
func (t *Tables) Configure(id uint8, cfg Config) []Removed {
	if int(id) >= Count {
		return nil
	}
	c := &t.table[id]
	c.settings.dbName = cfg.Name
	c.limit = MaxEntries
	if cfg.Limit != nil {
		c.limit = *cfg.Limit
	}
	c.settings.evictDB = cfg.Evict
	regroup := !slices.Equal(c.settings.groups, cfg.Groups)
	c.settings.groups = slices.Clone(cfg.Groups)
	t.setEviction(c, regroup)
	c.setPrefixes(cfg.Prefixes)
	var gone []Removed
	for c.rules > c.limit {
		r := c.eviction.choose()
		if r == nil {
			break
		}
		gone = append(gone, t.evict(r))
	}
	return gone
}

// setEviction makes a table's rules evictable or not.
func (t *Tables) setEviction(c *classifier, regroup bool) {
	on := c.settings.evictDB || c.settings.evictOpenFlow
	if on == (c.eviction != nil) && !regroup {
		return
	}
	c.eviction = nil
	if on {
		c.eviction = newEviction(c.settings.groups)
	}
	c.each(func(r *Rule) {
		r.candidate = nil
		if on {
			c.eviction.put(r)
		}
	})
}

// evict removes a rule to make room.
func (t *Tables) evict(r *Rule) Removed {
	return t.removeAll([]*Rule{r}, openflow.RemovedEviction)[0]
}

// Name is a table's name, "" when it has none.
func (t *Tables) Name(id uint8) string {
	s := &t.table[id].settings
	if s.dbName != "" {
		return s.dbName
	}
	return s.name
}

// Named reports whether the database names the table, so that controllers cannot.
func (t *Tables) Named(id uint8) bool { return t.table[id].settings.dbName != "" }

// SetName is how a controller names a table that is not Named.
func (t *Tables) SetName(id uint8, name string) {
	if !t.Named(id) {
		t.table[id].settings.name = name
	}
}

// Limit is how many rules a table takes.
func (t *Tables) Limit(id uint8) int { return t.table[id].limit }

// Config bits of table mods (ofp_table_config): of 1.1 and 1.2, and of 1.4 and later.
const (
	configMissMask = 3
	configEviction = 1 << 2
	configVacancy  = 1 << 3
)

// Mod does a table mod. Errors wrap an openflow.Err, and nothing has changed then.
func (t *Tables) Mod(m *openflow.TableMod, v openflow.Version) error {
	switch {
	case m.Table != openflow.TableAll && m.Table >= Count:
		return fmt.Errorf("table mod: table %d: %w", m.Table, openflow.TableModBadTable)
	case m.HasEviction && m.EvictionFlags != EvictionFlags:
		return fmt.Errorf("table mod: eviction flags 0x%x: %w", m.EvictionFlags, openflow.TableModBadConfig)
	case m.Table == Internal:
		return fmt.Errorf("table mod: table %d is read-only: %w", m.Table, openflow.TableModEPerm)
	case m.Table != openflow.TableAll:
		t.mod(m.Table, m, v)
	default:
		for id := range uint8(Visible) {
			t.mod(id, m, v)
		}
	}
	return nil
}

func (t *Tables) mod(id uint8, m *openflow.TableMod, v openflow.Version) {
	c := &t.table[id]
	s := &c.settings
	if v >= openflow.V14 {
		s.evictOpenFlow = m.Config&configEviction != 0
		t.setEviction(c, false)
		s.vacancy.set(m.Config&configVacancy != 0, m.VacancyDown, m.Up, c)
		if s.vacancy.next != 0 {
			t.vacancies[id] = struct{}{}
		} else {
			delete(t.vacancies, id)
		}
		return
	}
	if v >= openflow.V13 {
		return // it has no settings
	}
	miss := MissToController
	switch m.Config & configMissMask {
	case 1:
		miss = MissContinue
	case 2:
		miss = MissToDrop
	}
	if miss != s.miss {
		s.miss = miss
		c.touch()
	}
}

// MissConfig is what a table is configured to do with packets for which it has no rule.
func (t *Tables) MissConfig(id uint8) Miss {
	if int(id) >= Count {
		return MissToDrop
	}
	return t.table[id].settings.miss
}

// Missed is what happens to packets for which a table has no rule.
func (t *Tables) Missed(id uint8) Miss {
	switch m := t.MissConfig(id); {
	case m != MissDefault:
		return m
	case t.implicitMiss:
		return MissToController
	}
	return MissToDrop
}

// SetImplicitMiss says whether there are controllers that get packets for which a table has no rule without being
// asked, those that speak a version before 1.3. It reports whether that is a change.
func (t *Tables) SetImplicitMiss(on bool) bool {
	if t.implicitMiss == on {
		return false
	}
	t.implicitMiss = on
	for i := range t.table {
		if t.table[i].settings.miss == MissDefault {
			t.table[i].touch()
		}
	}
	return true
}

// Desc describes a table's eviction and vacancy.
func (t *Tables) Desc(id uint8) openflow.TableMod {
	c := &t.table[id]
	d := openflow.TableMod{Table: id, HasEviction: true, EvictionFlags: EvictionFlags}
	if c.settings.evictOpenFlow {
		d.Config |= configEviction
	}
	if v := &c.settings.vacancy; v.next != 0 {
		d.Config |= configVacancy
		d.HasVacancy, d.VacancyDown, d.Up, d.Now = true, v.down, v.up, c.vacant()
	}
	return d
}
