package bfd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Status is what Interface.bfd_status shows.
type Status struct {
	State       State
	Forwarding  bool
	Diag        Diag
	RemoteState State
	RemoteDiag  Diag
	Flaps       int
}

// Status is the status now.
func (s *Session) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statusLocked()
}

func (s *Session) statusLocked() Status {
	f := s.forwards
	if s.forced != nil {
		f = *s.forced
	}
	return Status{s.state, f, s.diag, s.remote.state, s.remote.diag, s.flaps}
}

// Column is the value of Interface.bfd_status.
func (t Status) Column() map[string]string {
	return map[string]string{
		"state": t.State.String(), "forwarding": strconv.FormatBool(t.Forwarding), "diagnostic": t.Diag.String(),
		"remote_state": t.RemoteState.String(), "remote_diagnostic": t.RemoteDiag.String(), "flap_count": strconv.Itoa(t.Flaps),
	}
}

// Show is the session in the text of bfd/show.
func (s *Session) Show() string {
	now := s.o.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	line := func(name, format string, args ...any) { fmt.Fprintf(&b, "  "+name+": "+format+"\n", args...) }
	ms := func(name string, d time.Duration) { line(name, "%dms", d.Milliseconds()) }
	at := func(name string, t time.Time) { line(name, "now %+dms", t.Sub(now).Milliseconds()) }

	line("Forwarding", "%t", s.statusLocked().Forwarding)
	line("Detect Multiplier", "%d", s.cfg.Mult)
	line("Concatenated Path Down", "%t", s.cfg.PathDown)
	line("TX Interval", "Approx %dms", s.txInterval().Milliseconds())
	line("RX Interval", "Approx %dms", s.rxInterval().Milliseconds())
	at("Detect Time", s.detect)
	next := s.nextTx
	if s.urgent {
		next = now
	}
	at("Next TX Time", next)
	at("Last TX Time", s.lastTx)

	b.WriteByte('\n')
	line("Local Flags", "%s", s.flags)
	line("Local Session State", "%s", s.state)
	line("Local Diagnostic", "%s", s.diag)
	line("Local Discriminator", "0x%x", s.o.Discriminator)
	ms("Local Minimum TX Interval", s.localMinTx())
	ms("Local Minimum RX Interval", s.minRx)

	b.WriteByte('\n')
	line("Remote Flags", "%s", s.remote.flags)
	line("Remote Session State", "%s", s.remote.state)
	line("Remote Diagnostic", "%s", s.remote.diag)
	line("Remote Discriminator", "0x%x", s.remote.disc)
	ms("Remote Minimum TX Interval", s.remote.minTx)
	ms("Remote Minimum RX Interval", s.remote.minRx)
	line("Remote Detect Multiplier", "%d", s.remote.mult)
	return b.String()
}

// String names the flags.
func (f Flags) String() string {
	var words []string
	for i, w := range [...]string{"multipoint", "demand", "auth", "ctl", "final", "poll"} {
		if f&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, " ")
}
