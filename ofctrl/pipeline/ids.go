package pipeline

import (
	"sync"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// grace is how long an id without references stays good: packets with it may be on their way.
const grace = 2 * time.Second

// ids gives 32-bit names to states that outlive a translation: equal states have one
// name, so that translating again gives the same actions. Each name has references, normally
// of megaflows. K is what makes states equal, and then same has the last word.
type ids[K comparable, V any] struct {
	clock clock.Clock
	max   int

	mu    sync.Mutex // guards what follows
	byKey map[K][]*named[K, V]
	byID  map[uint32]*named[K, V]
	next  uint32
	idle  []*named[K, V] // in the order in which they lost their last reference
}

// named is a state with its name. It implements datapath.Holder.
type named[K comparable, V any] struct {
	id    uint32
	value V

	ids    *ids[K, V]
	key    K
	refs   int
	since  time.Time // when refs became 0
	queued bool      // is in idle
}

func newIDs[K comparable, V any](c clock.Clock, limit int) *ids[K, V] {
	return &ids[K, V]{clock: c, max: limit, byKey: map[K][]*named[K, V]{}, byID: map[uint32]*named[K, V]{}}
}

// skip has new names begin after n.
func (t *ids[K, V]) skip(n uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = max(t.next, n)
}

// get finds or names a state and takes a reference to it; nil when there are too many.
func (t *ids[K, V]) get(key K, v V, same func(a, b V) bool) *named[K, V] {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	for _, n := range t.byKey[key] {
		if same(n.value, v) {
			n.refs++
			return n
		}
	}
	if len(t.byID) >= t.max {
		return nil
	}
	for t.next++; t.next == 0 || t.byID[t.next] != nil; t.next++ {
	}
	n := &named[K, V]{id: t.next, value: v, ids: t, key: key, refs: 1}
	t.byID[n.id] = n
	t.byKey[key] = append(t.byKey[key], n)
	return n
}

// lookup finds a state by its name.
func (t *ids[K, V]) lookup(id uint32) (v V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.byID[id]; n != nil {
		return n.value, true
	}
	return v, false
}

// Release gives a reference back.
func (n *named[K, V]) Release() {
	t := n.ids
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.refs--; n.refs == 0 {
		n.since = t.clock.Now()
		if !n.queued {
			n.queued = true
			t.idle = append(t.idle, n)
		}
	}
	t.expire()
}

// expire forgets what has been idle for long enough. The caller holds mu.
func (t *ids[K, V]) expire() {
	if len(t.idle) == 0 {
		return
	}
	now := t.clock.Now()
	for len(t.idle) > 0 {
		n := t.idle[0]
		if n.refs == 0 {
			if now.Sub(n.since) < grace {
				return
			}
			t.forget(n)
		}
		n.queued = false
		t.idle[0] = nil
		t.idle = t.idle[1:]
	}
}

func (t *ids[K, V]) forget(n *named[K, V]) {
	delete(t.byID, n.id)
	l := t.byKey[n.key]
	for i := range l {
		if l[i] == n {
			l[i] = l[len(l)-1]
			l[len(l)-1] = nil
			l = l[:len(l)-1]
			break
		}
	}
	if len(l) == 0 {
		delete(t.byKey, n.key)
	} else {
		t.byKey[n.key] = l
	}
}
