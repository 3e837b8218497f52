package table

import "github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"

// limited counts the flows that learn actions with a limit are about: those of a cookie in a table, which a rule's action
// names. It is kept at each change, so that a new flow costs no look at the others.
type limited map[learnKey]*learnedFlows

type learnedFlows struct {
	actions int // learn actions of rules that name the cookie and the table
	flows   int
}

// uses is called when a rule has come into the tables or got its actions, and before it loses them.
func (l *limited) uses(t *Tables, r *Rule, does bool) {
	if does {
		l.count(r, 1)
	}
	for _, a := range r.Actions {
		if a, ok := a.(openflow.Learn); ok && a.Limit != 0 && int(a.Table) < Count {
			l.watch(t, learnKey{a.Table, a.Cookie}, does)
		}
	}
	if !does {
		l.count(r, -1)
	}
}

// watch adds or takes away a learn action.
func (l *limited) watch(t *Tables, k learnKey, does bool) {
	n := (*l)[k]
	switch {
	case does && n != nil:
		n.actions++
	case does:
		if *l == nil {
			*l = make(limited)
		}
		(*l)[k] = &learnedFlows{actions: 1, flows: t.countLearned(k)}
	default:
		if n.actions--; n.actions == 0 {
			delete(*l, k)
		}
	}
}

// count adds n to the flows of a rule's cookie.
func (l *limited) count(r *Rule, n int) {
	if f := (*l)[learnKey{r.Table, r.Cookie}]; f != nil && !r.Hidden() {
		f.flows += n
	}
}

// setCookie gives a rule that is in the tables a cookie.
func (t *Tables) setCookie(r *Rule, cookie uint64) {
	t.limited.count(r, -1)
	r.Cookie = cookie
	t.limited.count(r, 1)
}

// learnedOf counts the flows of a cookie in a table. One that no rule's learn action has a limit for, as of a packet-out,
// is looked for.
func (t *Tables) learnedOf(k learnKey) int {
	if f := t.limited[k]; f != nil {
		return f.flows
	}
	return t.countLearned(k)
}

func (t *Tables) countLearned(k learnKey) (n int) {
	for _, s := range t.table[k.table].subs {
		for r := s.first; r != nil; r = r.succ {
			if r.Cookie == k.cookie && !r.Hidden() {
				n++
			}
		}
	}
	return n
}
