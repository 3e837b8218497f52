package bridge

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// monitor runs the BFD sessions of all bridges. It has a goroutine of its own, so that neither the main loop nor
// translations of other packets delay theirs.
type monitor struct {
	clock clock.Clock
	kick  chan struct{} // something is due sooner than it was

	turn sync.Mutex // held by who does what is due

	mu    sync.Mutex // guards what follows
	queue sessionQueue
}

func newMonitor(c clock.Clock) *monitor { return &monitor{clock: c, kick: make(chan struct{}, 1)} }

// run does what is due until ctx ends.
func (m *monitor) run(ctx context.Context) {
	for {
		var timer <-chan time.Time
		if next, ok := m.runDue(); ok {
			timer = m.clock.After(next.Sub(m.clock.Now()))
		}
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-timer:
		}
	}
}

// runDue does what is due now, and tells when something is due next; ok is false when there are no sessions.
func (m *monitor) runDue() (next time.Time, ok bool) {
	m.turn.Lock()
	defer m.turn.Unlock()
	for now := m.clock.Now(); ; {
		m.mu.Lock()
		if len(m.queue) == 0 {
			m.mu.Unlock()
			return next, false
		}
		s := m.queue[0]
		next = s.next
		m.mu.Unlock()
		if next.After(now) {
			return next, true
		}
		s.run()
		m.touch(s)
	}
}

// touch takes note of when a session is due next, which has changed, unless the monitor does not run it.
func (m *monitor) touch(s *bfdSession) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.index < 0 {
		return
	}
	s.next = s.session.Next()
	heap.Fix(&m.queue, s.index)
	m.wakeLocked(s)
}

// add has a session run.
func (m *monitor) add(s *bfdSession) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.next = s.session.Next()
	heap.Push(&m.queue, s)
	m.wakeLocked(s)
}

// wakeLocked has the goroutine look when s is the next.
func (m *monitor) wakeLocked(s *bfdSession) {
	if s.index != 0 {
		return
	}
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// remove ends the running of a session; it may be in its last turn.
func (m *monitor) remove(s *bfdSession) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.index >= 0 {
		heap.Remove(&m.queue, s.index)
	}
}

// sessionQueue has the session that is due first in front.
type sessionQueue []*bfdSession

func (q sessionQueue) Len() int           { return len(q) }
func (q sessionQueue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q sessionQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *sessionQueue) Push(x any) {
	s := x.(*bfdSession)
	s.index = len(*q)
	*q = append(*q, s)
}

// Pop implements heap.Interface.
func (q *sessionQueue) Pop() any {
	old := *q
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	s.index = -1
	return s
}
