package table

import (
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Expire removes the rules whose hard timeout since they were last modified, or idle timeout
// since they were last used, has passed. Callers push the datapath's statistics first.
func (t *Tables) Expire(now time.Time) []Removed {
	var out []Removed
	for r := range t.expirable {
		why := openflow.RemovedHardTimeout
		switch {
		case due(now, r.hardSince(), r.Hard):
		case due(now, time.Unix(0, r.used.Load()), r.Idle):
			why = openflow.RemovedIdleTimeout
		default:
			continue
		}
		t.remove(r)
		t.note(openflow.UpdateRemoved, why, r, false, nil)
		out = append(out, Removed{r, why})
	}
	return append(out, t.forgetLearned()...)
}

// due reports whether a timeout of so many seconds, 0 for none, is over; as in OVS not on the instant.
func due(now, since time.Time, seconds uint16) bool {
	return seconds != 0 && now.Sub(since) > time.Duration(seconds)*time.Second
}

// Expirable is the number of rules that have a timeout.
func (t *Tables) Expirable() int { return len(t.expirable) }
