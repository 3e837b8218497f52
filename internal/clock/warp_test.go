package clock

import (
	"testing"
	"time"
)

func fired(ch <-chan time.Time) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestWarpRuns(t *testing.T) {
	var w Warp
	before := time.Now()
	if now := w.Now(); now.Before(before) || now.After(time.Now()) {
		t.Errorf("a new clock is not the machine's: %v", now)
	}
	// The second timer comes first: it must take the first one's place.
	late, soon := w.After(time.Hour), w.After(time.Millisecond)
	<-soon
	if fired(late) {
		t.Error("the late timer fired")
	}
	w.Advance(2 * time.Hour)
	if !fired(late) {
		t.Error("the late timer did not fire after a warp")
	}
	if ahead := time.Until(w.Now()); ahead < time.Hour {
		t.Errorf("after a warp of two hours the clock is %v ahead", ahead)
	}
	<-w.After(time.Millisecond) // it goes on running
}

func TestWarpStopped(t *testing.T) {
	var w Warp
	w.After(time.Hour) // the machine's clock has something to wait for
	w.Stop()
	start := w.Now()
	<-time.After(5 * time.Millisecond)
	if now := w.Now(); !now.Equal(start) {
		t.Errorf("a stopped clock moved by %v", now.Sub(start))
	}
	one, two := w.After(time.Second), w.After(2*time.Second)
	if !fired(w.After(0)) || !fired(w.After(-1)) {
		t.Error("a timer of no time must fire at once")
	}
	w.Advance(999 * time.Millisecond)
	if fired(one) {
		t.Error("fired 1 ms early")
	}
	pending := w.Advance(time.Millisecond)
	if n := pending(); n != 1 {
		t.Errorf("%d timers wait for their receivers, want 1", n)
	}
	if !fired(one) || fired(two) || pending() != 0 {
		t.Error("after one second the first timer, and it alone, fires")
	}
	if got := w.Now().Sub(start); got != time.Second {
		t.Errorf("moved by %v, want 1s", got)
	}
}
