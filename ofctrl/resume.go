package ofctrl

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// resume goes on with a packet that controller(pause) stopped and its controller brings back. All that is to be done is in
// the message, whatever has become of the flow tables since.
func (c *conn) resume(m *openflow.Resume) error {
	if m.BufferID != openflow.NoBuffer {
		return fmt.Errorf("resume: %w", openflow.BufferUnknown)
	}
	what, err := openflow.DecodeContinuation(m.Continuation, c.version, &c.state)
	if err != nil {
		return fmt.Errorf("continuation: %w", err)
	}
	return c.sw.o.Host.Resume(m, what)
}
