package ofctrl

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// maxPartial is how many bytes a multipart request may have: features of all tables take some 400 KB.
const maxPartial = 1 << 20

// partial is a multipart request of which not all parts have come.
type partial struct {
	xid  uint32
	body openflow.MultipartBody
	size int
}

// assemble returns the body of a multipart request when its last part has come, nil before. Only those that list things
// can have more than one part, and a connection sends one such request after the other.
func (c *conn) assemble(xid uint32, m *openflow.MultipartRequest) (openflow.MultipartBody, error) {
	p := c.partial
	if !m.More && (p == nil || p.xid != xid) {
		return m.Body, nil
	}
	c.partial = nil
	if p == nil {
		p = &partial{xid: xid}
	} else if p.xid != xid {
		return nil, fmt.Errorf("multipart request: part of another one: %w", openflow.MultipartBufferOverflow)
	}
	if p.size += len(c.request); p.size > maxPartial {
		return nil, fmt.Errorf("multipart request: more than %d bytes: %w", maxPartial, openflow.MultipartBufferOverflow)
	}
	switch part := m.Body.(type) {
	case *openflow.TableFeaturesRequest:
		if all, ok := p.body.(*openflow.TableFeaturesRequest); ok {
			part.Tables = append(all.Tables, part.Tables...)
		} else if p.body != nil {
			return nil, openflow.MultipartBufferOverflow
		}
	case *openflow.FlowMonitorRequest:
		if all, ok := p.body.(*openflow.FlowMonitorRequest); ok {
			part.Monitors = append(all.Monitors, part.Monitors...)
		} else if p.body != nil {
			return nil, openflow.MultipartBufferOverflow
		}
	default:
		return nil, fmt.Errorf("multipart request in parts: %w", openflow.MultipartBufferOverflow)
	}
	p.body = m.Body
	if m.More {
		c.partial = p
		return nil, nil
	}
	return p.body, nil
}
