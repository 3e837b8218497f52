package ofctrl

import (
	"errors"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Learn does the flow mod of a learn action (table.Tables.Learn) and tells the host and the controllers of what
// changed. It is called for traffic over and over: mostly the flow is there, and nobody waits for the lock.
func (s *Switch) Learn(fm *openflow.FlowMod, limit uint32) {
	s.o.Mu.RLock()
	known := s.o.Tables.Relearn(fm)
	s.o.Mu.RUnlock()
	if known {
		return
	}
	s.o.Mu.Lock()
	version := s.o.Tables.Version(fm.Table).Version()
	gone, err := s.o.Tables.Learn(fm, limit)
	changed := len(gone) > 0 || s.o.Tables.Version(fm.Table).Version() != version
	s.announce(gone, nil)
	s.o.Mu.Unlock()
	switch {
	case errors.Is(err, table.ErrLearnLimit):
		s.count("ofproto_learn_limit", 1)
	case err != nil && s.news.allow(s.o.Clock.Now()):
		s.log.Warnf("%s: failed to learn a flow: %v", s.o.Bridge, err)
	}
	if changed {
		s.o.Host.TablesChanged()
	}
}
