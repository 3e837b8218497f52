package ofctrl

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// SetControllers makes the bridge's controllers those of the list. Targets that stay keep their
// connections; other settings of theirs take effect at once. Going from none to some or back
// flushes the flow tables, as in OVS. Bad targets show in the log and in Status.
func (s *Switch) SetControllers(list []ControllerConfig) {
	s.mu.Lock()
	had := s.hasControllers()
	want := make(map[string]ControllerConfig, len(list))
	for _, c := range list {
		want[c.Target] = c
	}
	for target, r := range s.remotes {
		if _, ok := want[target]; !ok {
			delete(s.remotes, target)
			if r.stop != nil {
				r.stop()
			}
		}
	}
	for _, target := range slices.Sorted(maps.Keys(want)) {
		if r := s.remotes[target]; r != nil {
			r.config = want[target]
			continue
		}
		r := newRemote(s, want[target], false)
		s.remotes[target] = r
		s.start(r)
	}
	flush := had != s.hasControllers()
	if flush {
		s.orphaned = s.o.Clock.Now()
		flush = !s.restoring
	}
	s.mu.Unlock()
	if flush {
		s.Flush()
	}
	s.checkFailOpen()
	s.changed()
}

// hasControllers reports whether the switch has controllers that it relies on; s.mu is held.
func (s *Switch) hasControllers() bool {
	for _, r := range s.remotes {
		if r.primary() {
			return true
		}
	}
	return false
}

// Restoring tells whether flows are being restored (other_config:flow-restore-wait). As long as they are, none expires,
// and controllers that come or go do not flush them.
func (s *Switch) Restoring(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restoring = on
}

func (s *Switch) isRestoring() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restoring
}

// Reconnect closes all connections with controllers; they are made again.
func (s *Switch) Reconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if !c.accepted {
			c.close("reconnection asked for")
		}
	}
}

// ControllerStatus is what a Controller row shows.
type ControllerStatus struct {
	Target    string
	Connected bool
	Role      string // "other", "master", "slave", as the schema has it; "" when not connected
	Status    map[string]string
}

// Status returns the state of the controllers, by target.
func (s *Switch) Status() []ControllerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Clock.Now()
	out := make([]ControllerStatus, 0, len(s.remotes))
	for _, target := range slices.Sorted(maps.Keys(s.remotes)) {
		r := s.remotes[target]
		st := ControllerStatus{Target: target, Status: map[string]string{"state": r.state}}
		if r.lastError != "" {
			st.Status["last_error"] = r.lastError
		}
		if r.target.passive {
			n := 0
			for c := range s.conns {
				if c.remote == r {
					n++
				}
			}
			st.Connected = n > 0
			st.Status["n_connections"] = strconv.Itoa(n)
		} else {
			st.Connected = r.conn != nil
			if r.conn != nil {
				st.Role = roleNames[r.conn.role]
			}
			addSince(st.Status, "sec_since_connect", now, r.since)
			addSince(st.Status, "sec_since_disconnect", now, r.until)
		}
		if r.dropped > 0 {
			st.Status["packet-in-dropped"] = strconv.FormatUint(r.dropped, 10)
		}
		if r.conn != nil && r.config.RateLimit > 0 {
			for i, p := range r.conn.pacers {
				p.status(st.Status, pacerNames[i])
			}
		}
		out = append(out, st)
	}
	return out
}

var roleNames = map[openflow.Role]string{openflow.RoleEqual: "other", openflow.RolePrimary: "master", openflow.RoleSecondary: "slave"}

func addSince(m map[string]string, key string, now, at time.Time) {
	if !at.IsZero() {
		m[key] = strconv.Itoa(int(now.Sub(at).Seconds()))
	}
}

// Connected is the number of controllers that the switch has connected to.
func (s *Switch) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.conns {
		if !c.accepted {
			n++
		}
	}
	return n
}
