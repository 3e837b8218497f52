package table

import (
	"fmt"
	"reflect"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// stateFlags are the flow mod flags that a rule keeps and shows.
const stateFlags = openflow.FlagSendFlowRem | openflow.FlagCheckOverlap | openflow.FlagResetCounts | openflow.FlagNoPktCounts | openflow.FlagNoBytCounts

// Apply does a flow mod. On error, which wraps an openflow.Err, nothing has changed. Callers set
// FlagResetCounts for additions from OpenFlow 1.0 and 1.1, where it is implied.
func (t *Tables) Apply(fm *openflow.FlowMod) ([]Removed, error) {
	if err := Check(fm); err != nil {
		return nil, err
	}
	switch fm.Command {
	case openflow.FlowAdd:
		gone, err := t.add(fm)
		return append(gone, t.forgetLearned()...), err
	case openflow.FlowModify, openflow.FlowModifyStrict:
		gone, err := t.modify(fm)
		return append(gone, t.forgetLearned()...), err
	}
	rules, err := t.writable(fm)
	if err != nil {
		return nil, err
	}
	return t.removeAll(rules, openflow.RemovedDelete), nil
}

// Check finds what is wrong with a flow mod whatever is in the tables. Errors wrap an openflow.Err.
func Check(fm *openflow.FlowMod) error {
	switch {
	case fm.Table != openflow.TableAll && int(fm.Table) >= Count:
		return fmt.Errorf("flow mod: table %d: %w", fm.Table, openflow.BadTableID)
	case fm.Command > openflow.FlowDeleteStrict:
		return fmt.Errorf("flow mod: command %d: %w", fm.Command, openflow.FlowModBadCommand)
	case fm.Command == openflow.FlowAdd:
		return checkAdd(fm)
	}
	return nil
}

// checkAdd is Check for what adds a flow.
func checkAdd(fm *openflow.FlowMod) error {
	switch {
	case fm.Table == Internal:
		return fmt.Errorf("flow mod: table %d is read-only: %w", fm.Table, openflow.BadPermission)
	case switchOwn(&fm.Match):
		return fmt.Errorf("flow mod: recirc_id and dp_hash are the switch's own: %w", openflow.BadPermission)
	}
	return nil
}

// switchOwn reports whether a match is on fields that only the switch's own rules may match.
// (recirc_id=0 is every packet before recirculation.)
func switchOwn(m *flow.Match) bool {
	return m.Key.Get(flow.RecircID)&m.Mask.Get(flow.RecircID) != 0 || !m.Mask.IsZero(flow.DPHash)
}

// add returns the rule that was evicted to make room, if there was one.
func (t *Tables) add(fm *openflow.FlowMod) (gone []Removed, err error) {
	if err := checkAdd(fm); err != nil {
		return nil, err
	}
	if err := t.CheckGroups(fm.Actions); err != nil {
		return nil, fmt.Errorf("flow mod: %w", err)
	}
	if err := t.CheckMeters(fm.Actions); err != nil {
		return nil, fmt.Errorf("flow mod: %w", err)
	}
	id := fm.Table
	if id == openflow.TableAll {
		id = 0
	}
	c := &t.table[id]
	m := fm.Match
	m.Normalize()
	old := c.find(&m, int(fm.Priority))
	now := t.clock.Now()
	if old != nil {
		// The rule object stays, so that traffic still to be credited to it is not lost; the
		// time of last use stays too, as in OVS.
		t.changingRule(old)
		if fm.Flags&openflow.FlagResetCounts != 0 {
			t.resetCounts(old)
		}
		old.Created = now
		cookie, before := old.Cookie, old.Actions
		t.set(old, fm, now)
		if fm.NewCookie == openflow.KeepCookie {
			t.setCookie(old, cookie)
		}
		c.touch()
		t.note(openflow.UpdateAdded, 0, old, true, before)
		return nil, nil
	}
	if fm.Flags&openflow.FlagCheckOverlap != 0 && c.overlaps(&m, int(fm.Priority)) {
		return nil, fmt.Errorf("flow mod: %w", openflow.FlowModOverlap)
	}
	if c.rules >= c.limit {
		victim := c.eviction.choose()
		if victim == nil {
			return nil, fmt.Errorf("flow mod: table %d has %d flows: %w", id, c.rules, openflow.FlowModTableFull)
		}
		gone = append(gone, t.evict(victim))
	}
	r := &Rule{Table: id, Priority: int(fm.Priority), Created: now}
	r.used.Store(now.UnixNano())
	t.insert(r, &m)
	t.set(r, fm, now)
	t.note(openflow.UpdateAdded, 0, r, false, nil)
	return gone, nil
}

// set gives a rule what an addition brings.
func (t *Tables) set(r *Rule, fm *openflow.FlowMod, now time.Time) {
	t.setCookie(r, fm.NewCookie)
	r.Idle, r.Hard, r.Importance = fm.Idle, fm.Hard, fm.Importance
	r.Flags = fm.Flags & stateFlags
	t.setActions(r, fm.Actions)
	r.Modified = now
	t.noteTimeouts(r)
}

// noteTimeouts keeps the rules that have a timeout, and those that may be evicted.
func (t *Tables) noteTimeouts(r *Rule) {
	if r.Idle != 0 || r.Hard != 0 {
		t.expirable[r] = struct{}{}
	} else {
		delete(t.expirable, r)
	}
	if e := t.table[r.Table].eviction; e != nil {
		e.put(r)
	}
}

// forgetTimeouts is for rules that go.
func (t *Tables) forgetTimeouts(r *Rule) {
	delete(t.expirable, r)
	if e := t.table[r.Table].eviction; e != nil {
		e.drop(r)
	}
}

func (t *Tables) modify(fm *openflow.FlowMod) ([]Removed, error) {
	rules, err := t.writable(fm)
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		if fm.NewCookie == openflow.KeepCookie || fm.CookieMask != 0 {
			return nil, nil
		}
		return t.add(fm)
	}
	if err := t.CheckGroups(fm.Actions); err != nil {
		return nil, fmt.Errorf("flow mod: %w", err)
	}
	if err := t.CheckMeters(fm.Actions); err != nil {
		return nil, fmt.Errorf("flow mod: %w", err)
	}
	now := t.clock.Now()
	for _, r := range rules {
		t.changingRule(r)
		cookie, before := r.Cookie, r.Actions
		t.setActions(r, fm.Actions)
		if fm.NewCookie != openflow.KeepCookie && !fm.KeepCookies {
			t.setCookie(r, fm.NewCookie)
		}
		if fm.Flags&openflow.FlagResetCounts != 0 {
			t.resetCounts(r)
		}
		r.Modified = now
		t.table[r.Table].touch()
		if t.log.wanted && (r.Cookie != cookie || !reflect.DeepEqual(r.Actions, before)) {
			t.note(openflow.UpdateModified, 0, r, false, before)
		}
	}
	return nil, nil
}

// writable collects the rules that a modification or deletion selects. Internal rules are not
// among them; a selection of nothing else is an error.
func (t *Tables) writable(fm *openflow.FlowMod) ([]*Rule, error) {
	f := Filter{
		Table: fm.Table, Match: fm.Match, Cookie: fm.Cookie, CookieMask: fm.CookieMask,
		OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
	}
	switch fm.Command {
	case openflow.FlowDelete, openflow.FlowDeleteStrict: // modifications have no such filters
		f.OutPort, f.OutGroup = fm.OutPort, fm.OutGroup
	}
	if fm.Command == openflow.FlowModifyStrict || fm.Command == openflow.FlowDeleteStrict {
		f.Strict, f.Priority = true, int(fm.Priority)
	}
	var rules []*Rule
	readonly := false
	t.Each(&f, func(r *Rule) {
		if r.Table == Internal {
			readonly = true
			return
		}
		rules = append(rules, r)
	})
	if readonly && len(rules) == 0 {
		return nil, fmt.Errorf("flow mod: table %d is read-only: %w", fm.Table, openflow.BadPermission)
	}
	return rules, nil
}

// insert adds a rule, of which the match is new in its table.
func (t *Tables) insert(r *Rule, m *flow.Match) {
	c := &t.table[r.Table]
	t.changing(c)
	c.insert(r, m)
	c.touch()
	t.uses(r, true)
	t.onUndo(func() {
		c.remove(r)
		t.uses(r, false)
		t.forgetTimeouts(r)
	})
}

func (t *Tables) remove(r *Rule) {
	c := &t.table[r.Table]
	t.changing(c)
	prev := r.prev
	c.remove(r)
	c.touch()
	t.uses(r, false)
	t.forgetTimeouts(r)
	t.onUndo(func() {
		c.restore(r, prev)
		t.uses(r, true)
		t.noteTimeouts(r)
	})
}

func (t *Tables) removeAll(rules []*Rule, why openflow.FlowRemovedReason) []Removed {
	if len(rules) == 0 {
		return nil
	}
	out := make([]Removed, len(rules))
	for i, r := range rules {
		t.remove(r)
		t.note(openflow.UpdateRemoved, why, r, false, nil)
		out[i] = Removed{r, why}
	}
	return append(out, t.forgetLearned()...)
}
