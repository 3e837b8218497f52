package ofctrl

import (
	"context"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// roleMasterRequest is OFPCRR_MASTER_REQUEST: another controller took the role.
const roleMasterRequest = 0

// handleRole changes the connection's role. A generation id that goes back in time is from a
// controller that was replaced meanwhile.
func (c *conn) handleRole(ctx context.Context, xid uint32, m *openflow.RoleRequest) error {
	s := c.sw
	s.mu.Lock()
	switch m.Role {
	case openflow.RoleNoChange, openflow.RoleEqual, openflow.RolePrimary, openflow.RoleSecondary:
	default:
		s.mu.Unlock()
		return openflow.RoleBad
	}
	if m.HasGenID && !m.Nicira && (m.Role == openflow.RolePrimary || m.Role == openflow.RoleSecondary) {
		if s.hasGen && int64(m.GenerationID-s.generation) < 0 {
			s.mu.Unlock()
			return openflow.RoleStale
		}
		s.generation, s.hasGen = m.GenerationID, true
	}
	if m.Role == openflow.RolePrimary && c.role != m.Role {
		for o := range s.conns {
			if o != c && o.role == openflow.RolePrimary {
				o.role = openflow.RoleSecondary
				// Versions without this message do not get it; one that is too slow for it is
				// found out by the next.
				_ = o.out.notice(&openflow.RoleStatus{Role: o.role, Reason: roleMasterRequest, GenerationID: s.generation})
			}
		}
	}
	if m.Role != openflow.RoleNoChange {
		c.role = m.Role
	}
	reply := &openflow.RoleReply{Role: c.role, HasGenID: s.hasGen, GenerationID: s.generation, Nicira: m.Nicira}
	s.mu.Unlock()
	s.checkMisses()
	s.changed()
	return c.send(ctx, xid, reply)
}

// mayWrite refuses what a secondary controller may not do.
func (c *conn) mayWrite() error {
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	if c.role == openflow.RoleSecondary {
		return openflow.IsSecondary
	}
	return nil
}
