package netdev

import (
	"container/list"
	"context"
	"sync"
)

// events turns states of devices into Events, and holds those that the reader has not taken.
// The hold is bounded by the number of devices, for a device has at most two events waiting
// (Removed, then Added under the same ifindex), and one that came and went has none.
type events struct {
	mu      sync.Mutex
	known   map[int]Info          // by ifindex: the last state put in
	pending list.List             // of Event
	last    map[int]*list.Element // by ifindex: the device's latest event in pending
	wake    chan struct{}         // holds a token when pending may be non-empty
}

func newEvents() *events {
	return &events{
		known: map[int]Info{},
		last:  map[int]*list.Element{},
		wake:  make(chan struct{}, 1),
	}
}

// set notes that a device is in state i.
func (e *events) set(i Info) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setLocked(i)
}

func (e *events) setLocked(i Info) {
	old, ok := e.known[i.Ifindex]
	switch {
	case ok && old == i:
		return
	case ok && old.Name != i.Name:
		e.removeLocked(i.Ifindex)
		e.addLocked(Event{Added, i})
	case ok:
		e.addLocked(Event{Changed, i})
	default:
		e.addLocked(Event{Added, i})
	}
	e.known[i.Ifindex] = i
}

// remove notes that a device is gone.
func (e *events) remove(ifindex int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removeLocked(ifindex)
}

func (e *events) removeLocked(ifindex int) {
	if old, ok := e.known[ifindex]; ok {
		delete(e.known, ifindex)
		e.addLocked(Event{Removed, old})
	}
}

// replace makes all the known devices: what is not among them is gone.
func (e *events) replace(all []Info) {
	e.mu.Lock()
	defer e.mu.Unlock()
	live := make(map[int]bool, len(all))
	for _, i := range all {
		live[i.Ifindex] = true
	}
	// Removals first: a name may have moved to a new device.
	for ifindex := range e.known {
		if !live[ifindex] {
			e.removeLocked(ifindex)
		}
	}
	for _, i := range all {
		e.setLocked(i)
	}
}

// addLocked queues ev, or merges it with the device's latest waiting event.
func (e *events) addLocked(ev Event) {
	ifindex := ev.Info.Ifindex
	if el := e.last[ifindex]; el != nil {
		last := el.Value.(Event)
		switch {
		case ev.Kind == Changed && last.Kind != Removed:
			el.Value = Event{last.Kind, ev.Info}
			return
		case ev.Kind == Removed && last.Kind == Added:
			e.pending.Remove(el)
			delete(e.last, ifindex)
			return
		case ev.Kind == Removed && last.Kind == Changed:
			el.Value = ev
			return
		}
	}
	e.last[ifindex] = e.pending.PushBack(ev)
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// take removes the first waiting event.
func (e *events) take() (Event, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	el := e.pending.Front()
	if el == nil {
		return Event{}, false
	}
	ev := e.pending.Remove(el).(Event)
	if e.last[ev.Info.Ifindex] == el {
		delete(e.last, ev.Info.Ifindex)
	}
	return ev, true
}

// deliver hands events to out until ctx ends, and closes out.
func (e *events) deliver(ctx context.Context, out chan<- Event) {
	defer close(out)
	for {
		ev, ok := e.take()
		if !ok {
			select {
			case <-e.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case out <- ev:
		case <-ctx.Done():
			return
		}
	}
}
