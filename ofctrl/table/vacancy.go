package table

import (
	"maps"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Reasons of openflow.TableStatus (ofp_table_reason).
const (
	vacancyDown = 3
	vacancyUp   = 4
)

// vacancy tells controllers that a table gets full, and later that it has room again: the two alternate.
type vacancy struct {
	down, up uint8 // percent
	next     uint8 // the reason that comes next; 0: off
}

// set turns events on, unless they are, or off.
func (v *vacancy) set(on bool, down, up uint8, c *classifier) {
	v.down, v.up = down, up
	switch {
	case !on:
		v.next = 0
	case v.next != 0:
	case c.vacant() < up:
		v.next = vacancyUp
	default:
		v.next = vacancyDown
	}
}

// vacant is how much of a table is free, in percent.
func (c *classifier) vacant() uint8 {
	switch {
	case c.limit == 0:
		return 100
	case c.rules >= c.limit:
		return 0
	}
	return uint8((c.limit - c.rules) * 100 / c.limit)
}

// VacancyEvents are those that the changes since the last call bring.
func (t *Tables) VacancyEvents() []openflow.TableStatus {
	var list []openflow.TableStatus
	for _, id := range slices.Sorted(maps.Keys(t.vacancies)) {
		c := &t.table[id]
		v := &c.settings.vacancy
		reason := uint8(0)
		if now := c.vacant(); now < v.down {
			reason = vacancyDown
		} else if now > v.up {
			reason = vacancyUp
		}
		if reason != v.next {
			continue
		}
		list = append(list, openflow.TableStatus{Reason: reason, Table: t.Desc(id)})
		v.next = vacancyDown + vacancyUp - reason
	}
	return list
}
