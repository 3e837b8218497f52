package bfd

import "time"

// updateForwarding notes whether the path forwards. While that is forced, as in OVS nothing is noted.
func (s *Session) updateForwarding(now time.Time) {
	if s.forced != nil {
		return
	}
	alive := s.state == Up || s.cfg.ForwardingIfRx && s.aliveUntil().After(now)
	forwards := alive && s.remote.diag != DiagConcatenated && s.remote.diag != DiagReverseConcat
	if forwards != s.forwards {
		s.forwards = forwards
		s.flaps++
	}
}

// aliveUntil is how long data counts as a sign of life.
func (s *Session) aliveUntil() time.Time {
	if s.ctrlUntil.Before(s.dataUntil) {
		return s.ctrlUntil
	}
	return s.dataUntil
}

// extendData notes that data has come.
func (s *Session) extendData(now time.Time) {
	s.dataUntil = now.Add(max(time.Duration(s.remote.mult)*s.rxInterval(), minWindow))
}

// Data notes that the interface has received packets.
func (s *Session) Data() {
	s.mu.Lock()
	on := s.cfg.ForwardingIfRx
	s.mu.Unlock()
	if on {
		s.do(s.extendData)
	}
}

// decay is the slower receive interval of an interface that has no traffic (decay_min_rx).
type decay struct {
	on      bool
	at      time.Time // when it is looked at next
	packets uint64    // the interface's counter at the last look
	control uint64    // control packets since
}

func (s *Session) restartDecay(now time.Time) {
	if s.cfg.DecayMinRx == 0 {
		return
	}
	s.decay.packets, s.decay.control = s.o.RxPackets(), 0
	s.decay.at = now.Add(max(s.cfg.DecayMinRx, minWindow))
}

// runDecay decides by what has come since the last look.
func (s *Session) runDecay(now time.Time) {
	if s.state != Up || s.cfg.DecayMinRx == 0 || now.Before(s.decay.at) {
		return
	}
	s.decay.on = s.o.RxPackets()-s.decay.packets <= s.decay.control
	s.restartDecay(now)
}
