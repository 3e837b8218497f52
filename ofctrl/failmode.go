package ofctrl

import (
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// failOpenPriority is that of the hidden flow of fail-open, above all that controllers can set.
const failOpenPriority = 0xf0f0f0

var normal = []openflow.Action{openflow.Output{Port: openflow.PortNormal}}

// SetFailMode sets the fail mode: secure, or standalone (the default). Without controllers a
// change flushes the flow tables, as in OVS.
func (s *Switch) SetFailMode(secure bool) {
	standalone := !secure
	s.mu.Lock()
	same := s.standalone == standalone
	s.standalone = standalone
	flush := !same && !s.hasControllers()
	s.mu.Unlock()
	if flush {
		s.Flush()
	}
	if !same {
		s.checkFailOpen()
	}
}

// Flush removes all flows, groups and meters, and adds the default flow where there is one.
func (s *Switch) Flush() {
	s.o.Mu.Lock()
	gone := s.o.Tables.Flush()
	more, _ := s.o.Tables.ApplyGroup(&openflow.GroupMod{Command: openflow.GroupDelete, ID: openflow.GroupAll}) // a deletion does not fail
	s.addDefaultFlow()
	s.announce(append(gone, more...), nil)
	s.o.Mu.Unlock()
	s.DeleteMeters()
	s.count("ofproto_flush", 1)
	s.o.Host.TablesChanged()
}

// addDefaultFlow adds the flow of a standalone bridge without controllers: it forwards like a
// learning switch until somebody changes it. Options.Mu is held for writing.
func (s *Switch) addDefaultFlow() {
	s.mu.Lock()
	wanted := s.standalone && !s.hasControllers()
	s.mu.Unlock()
	if wanted {
		s.o.Tables.AddInternal(0, 0, &flow.Match{}, normal)
	}
}

// checkFailOpen turns fail-open on when a standalone bridge has had no controller for three
// times its longest inactivity probe, and off when it has one again.
func (s *Switch) checkFailOpen() {
	s.mu.Lock()
	var probe time.Duration
	for _, r := range s.remotes {
		if r.primary() {
			probe = max(probe, r.probe())
		}
	}
	want := s.standalone && s.hasControllers() && !s.orphaned.IsZero() && s.o.Clock.Now().Sub(s.orphaned) >= 3*probe
	was := s.failOpen
	s.failOpen = want
	s.mu.Unlock()
	if want == was {
		return
	}
	s.o.Mu.Lock()
	if want {
		s.o.Tables.AddInternal(0, failOpenPriority, &flow.Match{}, normal)
	} else {
		s.o.Tables.RemoveInternal(0, failOpenPriority, &flow.Match{})
	}
	s.o.Mu.Unlock()
	s.o.Host.TablesChanged()
	if want {
		s.log.Warn("could not connect to controller (or switch failed controller's post-connection admission control policy), failing open")
	} else {
		s.log.Warn("no longer in fail-open mode")
	}
	s.changed()
}

// noteConnected keeps orphaned; s.mu is held.
func (s *Switch) noteConnected() {
	for c := range s.conns {
		if !c.service {
			s.orphaned = time.Time{}
			return
		}
	}
	if s.orphaned.IsZero() {
		s.orphaned = s.o.Clock.Now()
	}
}
