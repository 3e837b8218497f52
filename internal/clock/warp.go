package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Warp follows the machine's clock until it is stopped, and can be moved forward at any time: the clock of
// a simulated daemon (time/stop, time/warp). The zero value is ready.
type Warp struct {
	mu      sync.Mutex
	ahead   time.Duration // of the machine's clock, while it runs
	stopped bool
	at      time.Time // while stopped
	timers  timerHeap
	wake    *time.Timer // for the first timer, while the clock runs
}

// Now implements Clock.
func (w *Warp) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nowLocked()
}

func (w *Warp) nowLocked() time.Time {
	if w.stopped {
		return w.at
	}
	return time.Now().Add(w.ahead)
}

// After implements Clock.
func (w *Warp) After(d time.Duration) <-chan time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := make(chan time.Time, 1)
	now := w.nowLocked()
	if d <= 0 {
		ch <- now
		return ch
	}
	t := timer{now.Add(d), ch}
	heap.Push(&w.timers, t)
	if w.timers[0] == t {
		w.setWakeLocked(now)
	}
	return ch
}

// Stop stops the clock for good: from now on it moves by Advance only.
func (w *Warp) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.nowLocked()
	w.stopped = true
	w.setWakeLocked(w.at)
}

// Advance moves the clock forward and fires what is due. The returned function tells how many of the timers that
// fired nobody has received from yet.
func (w *Warp) Advance(d time.Duration) (pending func() int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		w.at = w.at.Add(d)
	} else {
		w.ahead += d
	}
	fired := w.fireLocked()
	return func() int {
		n := 0
		for _, ch := range fired {
			n += len(ch)
		}
		return n
	}
}

// fireLocked fires what is due, and sees to it that the next one is.
func (w *Warp) fireLocked() []chan time.Time {
	now := w.nowLocked()
	var fired []chan time.Time
	for len(w.timers) > 0 && !w.timers[0].at.After(now) {
		t := heap.Pop(&w.timers).(timer)
		t.ch <- now
		fired = append(fired, t.ch)
	}
	w.setWakeLocked(now)
	return fired
}

// setWakeLocked has the machine's clock fire the first timer.
func (w *Warp) setWakeLocked(now time.Time) {
	if w.wake != nil {
		w.wake.Stop()
		w.wake = nil
	}
	if w.stopped || len(w.timers) == 0 {
		return
	}
	w.wake = time.AfterFunc(w.timers[0].at.Sub(now), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.stopped {
			w.fireLocked()
		}
	})
}

// timerHeap has the first timer in front.
type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = timer{}
	*h = old[:len(old)-1]
	return t
}
