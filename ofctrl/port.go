package ofctrl

import (
	"bytes"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// configMask are the config bits that a port mod may change.
const configMask = openflow.ConfigPortDown | openflow.ConfigNoSTP | openflow.ConfigNoRecv | openflow.ConfigNoRecvSTP |
	openflow.ConfigNoFlood | openflow.ConfigNoFwd | openflow.ConfigNoPacketIn

// ownMod is a port mod that changed something: whoever sent it in a version before 1.5 is not told of the change.
type ownMod struct {
	by           *conn
	config, mask uint32
}

// made reports whether a change of a port is what the port mod asked for.
func (m ownMod) made(old, now openflow.Port) bool {
	return old.Config&m.mask != m.config && now.Config&m.mask == m.config
}

func (c *conn) portMod(m *openflow.PortMod) error {
	p, err := c.checkPort(m)
	if err != nil {
		return err
	}
	mask := m.Mask & configMask
	own := ownMod{c, m.Config & mask, mask}
	if p.Config&mask != own.config && c.version < openflow.V15 {
		c.sw.mu.Lock()
		c.sw.portMods[m.Port] = own
		c.sw.mu.Unlock()
	}
	return c.sw.o.Host.SetPortConfig(m.Port, m.Config, mask)
}

// checkPort finds the port of a port mod.
func (c *conn) checkPort(m *openflow.PortMod) (openflow.Port, error) {
	for _, p := range c.sw.o.Host.Ports() {
		if p.No != m.Port {
			continue
		}
		// OpenFlow 1.5 made the address optional: all zero.
		if p.HWAddr != m.HWAddr && (c.version < openflow.V15 || m.HWAddr != [6]byte{}) {
			return p, fmt.Errorf("port mod: %w", openflow.PortModBadHWAddr)
		}
		return p, nil
	}
	return openflow.Port{}, fmt.Errorf("port mod: %w", openflow.PortModBadPort)
}

// PortStatus tells controllers of a port: reason 0 add, 1 delete.
func (s *Switch) PortStatus(reason uint8, p openflow.Port) {
	s.notify(openflow.AsyncPortStatus, uint32(reason), nil, &openflow.PortStatus{Reason: reason, Port: p})
}

// PortModified tells controllers of a port that is not as it was: those in whose version that can be seen, and which did not
// ask for it.
func (s *Switch) PortModified(old, now openflow.Port) {
	const modify = 2
	var but *conn
	s.mu.Lock()
	if own, ok := s.portMods[now.No]; ok && own.made(old, now) {
		but = own.by
	}
	delete(s.portMods, now.No)
	s.mu.Unlock()
	was, is := &openflow.PortStatus{Reason: modify, Port: old}, &openflow.PortStatus{Reason: modify, Port: now}
	var looks [openflow.V15 + 1]struct{ known, same bool }
	s.notifyIf(openflow.AsyncPortStatus, modify, but, is, func(c *conn) bool {
		l := &looks[c.version]
		if !l.known {
			before, err1 := openflow.Encode(c.version, 0, was)
			after, err2 := openflow.Encode(c.version, 0, is)
			l.known, l.same = true, err1 == nil && err2 == nil && bytes.Equal(before, after)
		}
		return !l.same
	})
}
