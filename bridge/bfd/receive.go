package bfd

import "time"

// Receive takes a frame with a control packet (RFC 5880, section 6.8.6). The error says why it was refused.
func (s *Session) Receive(frame []byte) error {
	p, err := ParseFrame(frame)
	if err != nil {
		return err
	}
	s.do(func(now time.Time) { err = s.receive(now, p) })
	return err
}

func (s *Session) receive(now time.Time, p *ControlPacket) error {
	// (RFC 5880 finds the session by this discriminator; here it is the interface's.)
	if p.YourDisc != 0 && p.YourDisc != s.o.Discriminator {
		return errYourDisc
	}
	r := &s.remote
	was := r.minRx
	r.disc, r.state, r.diag, r.flags, r.mult = p.MyDisc, p.State, p.Diag, p.Flags, p.Mult
	r.minTx, r.minRx, r.mute = milliseconds(p.MinTx), milliseconds(p.MinRx), p.MinRx == 0
	if p.Flags&FlagFinal != 0 && s.polling() {
		s.minTx, s.minRx = s.pollTx, s.pollRx
		s.flags &^= FlagPoll
	}
	if p.Flags&FlagPoll != 0 {
		// A final packet must not poll, too; our own poll begins again when it is sent.
		s.flags = s.flags&^FlagPoll | FlagFinal
		s.urgent = true
	}
	if r.minRx != was && !s.urgent {
		s.schedule()
	}
	s.detect = now.Add(time.Duration(r.mult) * s.rxInterval())
	s.decay.control++
	s.ctrlUntil = now.Add(controlWindow * s.cfg.MinRx)
	s.follow(now, p.State)
	return nil
}

// follow is the state machine (RFC 5880, section 6.8.6).
func (s *Session) follow(now time.Time, other State) {
	switch {
	case other == AdminDown:
		if s.state != Down {
			s.setState(now, Down, DiagNeighborDown)
		}
	case s.state == Down && other == Down:
		s.setState(now, Init, s.diag)
	case s.state == Down && other == Init, s.state == Init && other > Down:
		s.setState(now, Up, s.diag)
	case s.state == Up && other == Down:
		s.setState(now, Down, DiagNeighborDown)
	}
}

// milliseconds is an interval of a packet; as in OVS none is below a millisecond.
func milliseconds(micros uint32) time.Duration {
	return time.Duration(max(micros/1000, 1)) * time.Millisecond
}
