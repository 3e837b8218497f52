package bfd

import (
	"sync"
	"time"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Constants of timers.
const (
	slowTx    = time.Second // at least between packets while the session is not up (RFC 5880, section 6.8.3)
	maxJitter = 25          // percent that an interval is shortened by at most (RFC 5880, section 6.8.7)
	minWindow = 2 * time.Second
	// controlWindow is how many min_rx may pass without a control packet before data alone does not count as a sign of
	// life (forwarding_if_rx).
	controlWindow = 100
)

// Options make a Session.
type Options struct {
	Clock         clock.Clock
	Discriminator uint32 // not 0, another one for each session
	SourcePort    uint16 // UDP, from 49152 on (RFC 5881, section 4)
	// RxPackets is how many packets the interface has received, for decay.
	RxPackets func() uint64
	// Random is a number from 0 to n-1, for jitter.
	Random func(n int) int
	// Changed is told what the status was and is, by the call that changed it, when that is done.
	Changed func(old, new Status)
}

// Session is one session. Its methods are safe for concurrent use.
type Session struct {
	o Options

	mu        sync.Mutex // guards what follows
	cfg       Config
	mac       [6]byte // of the interface
	state     State
	diag      Diag
	flags     Flags // of the next packet: poll or final
	remote    remote
	minTx     time.Duration // in force
	minRx     time.Duration
	pollTx    time.Duration // offered by the poll sequence
	pollRx    time.Duration
	urgent    bool // a packet is due at once
	nextTx    time.Time
	lastTx    time.Time
	detect    time.Time // the session is down then, unless a packet comes
	forced    *bool     // bfd/set-forwarding
	forwards  bool      // without what is forced
	flaps     int
	decay     decay
	dataUntil time.Time // data counts as a sign of life (forwarding_if_rx)
	ctrlUntil time.Time // if a control packet has come, too
}

// remote is what the other end has said.
type remote struct {
	state        State
	diag         Diag
	flags        Flags
	disc         uint32
	mult         uint8
	minTx, minRx time.Duration
	// mute: it wants no periodic packets (a minimum receive interval of 0; RFC 5880, section 6.8.7).
	mute bool
}

// New makes a session that is down. mac is the interface's address.
func New(o Options, c Config, mac [6]byte) *Session {
	now := o.Clock.Now()
	s := &Session{o: o, cfg: c, mac: mac, state: Down, minTx: c.MinTx, minRx: c.MinRx, urgent: true, nextTx: now, lastTx: now, detect: now}
	s.remote.state, s.remote.minRx = Down, time.Millisecond
	if c.PathDown {
		s.diag = DiagConcatenated
	}
	s.restartDecay(now)
	return s
}

// Discriminator is the session's own.
func (s *Session) Discriminator() uint32 { return s.o.Discriminator }

// do runs f with the session locked, and tells whoever wants to know if it changed the status.
func (s *Session) do(f func(now time.Time)) {
	now := s.o.Clock.Now()
	s.mu.Lock()
	old := s.statusLocked()
	f(now)
	s.updateForwarding(now)
	status := s.statusLocked()
	s.mu.Unlock()
	if status != old && s.o.Changed != nil {
		s.o.Changed(old, status)
	}
}

// Configure changes the configuration and the interface's address. What the other end must know of it is told by a poll
// sequence (RFC 5880, section 6.8.3).
func (s *Session) Configure(c Config, mac [6]byte) {
	s.do(func(now time.Time) {
		old := s.cfg
		s.cfg, s.mac = c, mac
		poll := false
		if c.MinTx != old.MinTx {
			// An interval that grows waits until the other end has heard of it.
			if s.state != Up || !s.polling() && c.MinTx < s.minTx {
				s.minTx = c.MinTx
			}
			poll = true
		}
		if c.MinRx != old.MinRx {
			if s.state != Up || !s.polling() && c.MinRx > s.minRx {
				s.minRx = c.MinRx
			}
			poll = true
		}
		if c.MinRx != old.MinRx || c.DecayMinRx != old.DecayMinRx {
			s.decay.on = false
			s.restartDecay(now)
			poll = true
		}
		if c.PathDown != old.PathDown {
			s.setState(now, s.state, DiagNone)
			poll = true
		}
		if c.ForwardingIfRx != old.ForwardingIfRx {
			s.dataUntil = time.Time{}
			if c.ForwardingIfRx {
				s.extendData(now)
			}
		}
		if poll {
			s.startPoll()
		}
	})
}

// setState enters a state.
func (s *Session) setState(now time.Time, st State, d Diag) {
	if d == DiagNone && s.cfg.PathDown {
		d = DiagConcatenated
	}
	if st == s.state && d == s.diag {
		return
	}
	s.state, s.diag = st, d
	switch {
	case st <= Down:
		// Nothing of what it said counts any more, the multiplier excepted, which the detection time of the next
		// packet brings anew.
		s.remote = remote{state: Down, minRx: time.Millisecond, mult: s.remote.mult}
	case st == Up && s.cfg.DecayMinRx != 0:
		s.restartDecay(now)
	}
}

func (s *Session) polling() bool { return s.flags&FlagPoll != 0 }

// startPoll tells the other end of intervals by a poll sequence (RFC 5880, section 6.5).
func (s *Session) startPoll() {
	if s.state <= Down || s.flags&(FlagPoll|FlagFinal) != 0 {
		return
	}
	s.pollTx, s.pollRx = s.cfg.MinTx, s.cfg.MinRx
	if s.decay.on {
		s.pollRx = s.cfg.DecayMinRx
	}
	s.flags |= FlagPoll
	s.urgent = true
}

// localMinTx is the interval that the session wants to send at now.
func (s *Session) localMinTx() time.Duration {
	if s.state == Up {
		return s.minTx
	}
	return max(s.minTx, slowTx)
}

// txInterval is what both ends agree on for packets that are sent, rxInterval for those that are received.
func (s *Session) txInterval() time.Duration { return max(s.localMinTx(), s.remote.minRx) }
func (s *Session) rxInterval() time.Duration { return max(s.minRx, s.remote.minTx) }

// quiet reports whether no periodic packets are to be sent (RFC 5880, section 6.8.7).
func (s *Session) quiet() bool {
	demand := s.remote.flags&FlagDemand != 0 && s.state == Up && s.remote.state == Up
	return (demand || s.remote.mute) && !s.polling()
}

// schedule sets the time of the next periodic packet.
func (s *Session) schedule() {
	interval := s.txInterval()
	cut := s.o.Random(maxJitter + 1)
	if s.cfg.Mult == 1 {
		// Every packet counts: none may come late (RFC 5880, section 6.8.7).
		cut = 10 + s.o.Random(maxJitter+1-10)
	}
	s.nextTx = s.lastTx.Add(interval - interval*time.Duration(cut)/100)
}

// due reports whether a packet is to be sent now.
func (s *Session) due(now time.Time) bool {
	return s.urgent || !s.quiet() && !now.Before(s.nextTx)
}

// Send returns the frame that is to be sent now, nil: none is due yet. oam: it is to be marked as one of operation and
// maintenance if it goes by a tunnel that can say so.
func (s *Session) Send() (frame []byte, oam bool) {
	s.do(func(now time.Time) {
		if !s.due(now) {
			return
		}
		p := ControlPacket{Diag: s.diag, State: s.state, Flags: s.flags, Mult: s.cfg.Mult, MyDisc: s.o.Discriminator, YourDisc: s.remote.disc,
			MinTx: micros(s.localMinTx()), MinRx: micros(s.minRx)}
		if s.polling() {
			p.MinTx, p.MinRx = micros(s.pollTx), micros(s.pollRx)
		}
		s.flags &^= FlagFinal
		s.urgent, s.lastTx = false, now
		s.schedule()
		a := addresses{ethSrc: s.mac, ethDst: s.cfg.DstMAC, ipSrc: s.cfg.SrcIP, ipDst: s.cfg.DstIP, udpSrc: s.o.SourcePort}
		if s.cfg.SrcMAC != nil {
			a.ethSrc = *s.cfg.SrcMAC
		}
		frame, oam = a.frame(&p), s.cfg.OAM
	})
	return frame, oam
}

// Run does what is due by time alone.
func (s *Session) Run() {
	s.do(func(now time.Time) {
		was := s.decay.on
		if s.state > Down && !now.Before(s.detect) {
			s.setState(now, Down, DiagExpired)
		}
		s.runDecay(now)
		if s.minTx != s.cfg.MinTx || s.minRx != s.cfg.MinRx && s.minRx != s.cfg.DecayMinRx || s.decay.on != was {
			s.startPoll()
		}
	})
}

// Next is when Send and Run are to be called next.
func (s *Session) Next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.urgent {
		return s.lastTx
	}
	var next time.Time
	sooner := func(on bool, t time.Time) {
		if on && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	sooner(!s.quiet(), s.nextTx)
	sooner(s.state > Down, s.detect)
	sooner(s.state == Up && s.cfg.DecayMinRx != 0, s.decay.at)
	sooner(s.forwards && s.cfg.ForwardingIfRx && s.state != Up, s.aliveUntil())
	if next.IsZero() { // nothing ever, until a packet comes
		next = s.o.Clock.Now().Add(time.Hour)
	}
	return next
}

// Force answers bfd/set-forwarding: whether the path forwards is what is said, nil: what the session says.
func (s *Session) Force(forwarding *bool) {
	s.do(func(time.Time) { s.forced = forwarding })
}
