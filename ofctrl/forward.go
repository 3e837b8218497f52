package ofctrl

import "github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"

// Reasons of OFPT_REQUESTFORWARD (ofp_requestforward_reason).
const (
	forwardGroupMod = 0
	forwardMeterMod = 1
)

// forward tells the controllers that asked for it, but for the one that sent it, of a group or meter mod that was done.
func (s *Switch) forward(by *conn, xid uint32, m openflow.Message) {
	reason := uint32(forwardGroupMod)
	if _, ok := m.(*openflow.MeterMod); ok {
		reason = forwardMeterMod
	}
	s.notify(openflow.AsyncRequestForward, reason, by, &openflow.RequestForward{XID: xid, Message: m})
}

// forwards reports whether a controller asked for group mods of others.
func (s *Switch) forwards(by *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c != by && c.wants(openflow.AsyncRequestForward, forwardGroupMod) {
			return true
		}
	}
	return false
}
