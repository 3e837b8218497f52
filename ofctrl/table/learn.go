package table

import (
	"errors"
	"reflect"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ErrLearnLimit says that a learn action's limit (its limit argument) keeps it from adding a flow.
var ErrLearnLimit = errors.New("the limit of the learn action is reached")

// CheckLearn finds what is wrong with the flow mod of a learn action whatever is in the tables. Errors wrap an
// openflow.Err.
func CheckLearn(fm *openflow.FlowMod) error {
	if err := Check(fm); err != nil {
		return err
	}
	return checkAdd(fm)
}

// Relearn reports whether the flow of a learn action's flow mod is there already, with its actions and
// cookie; if so its hard timeout starts anew. The read lock is enough.
func (t *Tables) Relearn(fm *openflow.FlowMod) bool {
	r := t.learned(fm)
	if r == nil || !sameEffect(r, fm) {
		return false
	}
	r.refreshed.Store(t.clock.Now().UnixNano())
	return true
}

// MayLearn reports whether Learn would not fail by a limit, if pending flows of the same cookie were
// there besides those that are. The read lock is enough.
func (t *Tables) MayLearn(fm *openflow.FlowMod, limit uint32, pending int) bool {
	if limit == 0 || int(fm.Table) >= Count {
		return true
	}
	if r := t.learned(fm); r != nil && sameEffect(r, fm) && sameAttributes(r, fm) {
		return true
	}
	return pending+t.learnedOf(learnKey{fm.Table, fm.NewCookie}) < int(limit)
}

// Learn does the flow mod of a learn action, a FlowModifyStrict, unless nothing would change but the start
// of the hard timeout. The error is ErrLearnLimit, or wraps an openflow.Err.
func (t *Tables) Learn(fm *openflow.FlowMod, limit uint32) ([]Removed, error) {
	if !t.MayLearn(fm, limit, 0) {
		return nil, ErrLearnLimit
	}
	if t.Relearn(fm) {
		return nil, nil
	}
	return t.Apply(fm)
}

// learned finds the rule that a flow mod is about.
func (t *Tables) learned(fm *openflow.FlowMod) *Rule {
	if int(fm.Table) >= Count {
		return nil
	}
	return t.table[fm.Table].find(&fm.Match, int(fm.Priority))
}

// sameEffect reports whether a strict modification would leave a rule as it is.
func sameEffect(r *Rule, fm *openflow.FlowMod) bool {
	return (fm.NewCookie == openflow.KeepCookie || r.Cookie == fm.NewCookie) &&
		(len(r.Actions) == 0 && len(fm.Actions) == 0 || reflect.DeepEqual(r.Actions, fm.Actions))
}

// sameAttributes compares what a modification does not change.
func sameAttributes(r *Rule, fm *openflow.FlowMod) bool {
	return r.Idle == fm.Idle && r.Hard == fm.Hard && r.Importance == fm.Importance && r.Flags == fm.Flags&stateFlags
}

// hardSince is when the hard timeout started: when the rule was modified, or learned once more.
func (r *Rule) hardSince() time.Time {
	if ns := r.refreshed.Load(); ns > r.Modified.UnixNano() {
		return time.Unix(0, ns)
	}
	return r.Modified
}

// HardAge is the time since the hard timeout started.
func (r *Rule) HardAge(now time.Time) time.Duration { return now.Sub(r.hardSince()) }

// ReduceTimeouts gives a rule timeouts of at most idle and hard seconds, 0 for no bound (fin_timeout). A rule that
// has gone stays as it was.
func (t *Tables) ReduceTimeouts(r *Rule, idle, hard uint16) {
	if !r.Reducible(idle, hard) {
		return
	}
	m := r.Match()
	if t.table[r.Table].find(&m, r.Priority) != r {
		return
	}
	t.changingRule(r)
	r.Idle, r.Hard = reduced(r.Idle, idle), reduced(r.Hard, hard)
	t.noteTimeouts(r)
}

// Reducible reports whether ReduceTimeouts would change the rule. The read lock is enough.
func (r *Rule) Reducible(idle, hard uint16) bool {
	return reduced(r.Idle, idle) != r.Idle || reduced(r.Hard, hard) != r.Hard
}

// reduced is a timeout bounded by most.
func reduced(timeout, most uint16) uint16 {
	if most != 0 && (timeout == 0 || timeout > most) {
		return most
	}
	return timeout
}

// learnFlagDelete is NX_LEARN_F_DELETE_LEARNED.
const learnFlagDelete = 2

// learnKey names the flows that delete_learned or a limit is about.
type learnKey struct {
	table  uint8
	cookie uint64
}

// learners counts the learn actions with delete_learned of all rules.
type learners struct {
	count map[learnKey]int
	dead  []learnKey // whose count became 0 since forgetLearned
}

// learns adds or takes away the learn actions of a rule.
func (l *learners) learns(r *Rule, does bool) {
	for _, a := range r.Actions {
		a, ok := a.(openflow.Learn)
		if !ok || a.Flags&learnFlagDelete == 0 {
			continue
		}
		k := learnKey{a.Table, a.Cookie}
		if does {
			if l.count == nil {
				l.count = make(map[learnKey]int)
			}
			l.count[k]++
		} else if l.count[k]--; l.count[k] == 0 {
			delete(l.count, k)
			l.dead = append(l.dead, k)
		}
	}
}

// forgetLearned removes the flows of learn actions with delete_learned of which the last is gone.
func (t *Tables) forgetLearned() []Removed {
	var out []Removed
	for len(t.learners.dead) > 0 {
		last := len(t.learners.dead) - 1
		k := t.learners.dead[last]
		t.learners.dead = t.learners.dead[:last]
		if t.learners.count[k] > 0 || int(k.table) >= Visible {
			continue // another one came in the same change; or the table is not for controllers
		}
		sel := Filter{
			Table: k.table, Match: flow.Match{}, Cookie: k.cookie, CookieMask: ^uint64(0),
			OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
		}
		var rules []*Rule
		t.Each(&sel, func(r *Rule) { rules = append(rules, r) })
		out = append(out, t.removeAll(rules, openflow.RemovedDelete)...)
	}
	return out
}
