package table

import "slices"

// transaction is how to undo the changes since it began.
type transaction struct {
	undo   []func() // in the order of the changes
	before map[*classifier]snapshot
}

// snapshot is what of a table depends on its history and not only on its rules.
type snapshot struct {
	subs    []*subtable
	version uint64
}

// Atomically runs f, which may change the tables, and returns its error. If there is one, all
// that f changed is as it was before: rules, their order and counters (with the traffic credited
// meanwhile), and versions. Calls do not nest. The caller holds the lock for writing all the time,
// so nobody sees anything between.
func (t *Tables) Atomically(f func() error) error {
	t.tx = &transaction{before: make(map[*classifier]snapshot)}
	changes := len(t.log.list)
	err := f()
	tx := t.tx
	t.tx = nil
	if err != nil {
		tx.rollback()
		t.log.list = t.log.list[:changes]
		t.learners.dead = nil
	}
	return err
}

func (tx *transaction) rollback() {
	for _, undo := range slices.Backward(tx.undo) {
		undo()
	}
	for c, s := range tx.before {
		c.subs = s.subs
		for _, sub := range c.subs {
			sub.max = sub.highest()
		}
		c.counter.version.Store(s.version)
	}
}

// onUndo says how to undo the change that comes next, or came just now. It does nothing outside
// of a transaction.
func (t *Tables) onUndo(undo func()) {
	if t.tx != nil {
		t.tx.undo = append(t.tx.undo, undo)
	}
}

// changing is called before a change of a table's rules.
func (t *Tables) changing(c *classifier) {
	if t.tx == nil {
		return
	}
	if _, ok := t.tx.before[c]; !ok {
		t.tx.before[c] = snapshot{slices.Clone(c.subs), c.counter.version.Load()}
	}
}

// changingRule is called before a change of a rule's exported fields.
func (t *Tables) changingRule(r *Rule) {
	if t.tx == nil {
		return
	}
	t.changing(&t.table[r.Table])
	cookie, flags, actions := r.Cookie, r.Flags, r.Actions
	idle, hard, importance := r.Idle, r.Hard, r.Importance
	created, modified := r.Created, r.Modified
	t.onUndo(func() {
		t.setCookie(r, cookie)
		r.Flags = flags
		t.setActions(r, actions)
		r.Idle, r.Hard, r.Importance = idle, hard, importance
		r.Created, r.Modified = created, modified
		t.noteTimeouts(r)
	})
}

// resetCounts sets a rule's counters to zero.
func (t *Tables) resetCounts(r *Rule) {
	packets, bytes := r.packets.Swap(0), r.bytes.Swap(0)
	t.onUndo(func() {
		r.packets.Add(packets)
		r.bytes.Add(bytes)
	})
}
