package ebpf

import (
	"fmt"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

var _ datapath.Policer = (*Datapath)(nil)

// policedPort is PORT_POLICED of bpf/abi.h.
const policedPort = 1 << 31

// PortPolice implements datapath.Policer. Limits outlive the agent, as ports do.
func (d *Datapath) PortPolice(n odp.Port, c datapath.Policing) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.ports[n]
	switch {
	case d.closed:
		return errClosed
	case p == nil:
		return fmt.Errorf("policing of port %d: %w", n, datapath.ErrNoSuchPort)
	case p.spec.Kind == datapath.PortTunnel && c.On():
		return fmt.Errorf("policing of port %s: tunnels are not policed", p.spec.Name)
	case p.spec.Kind == datapath.PortTunnel:
		return nil
	}
	at, err := d.indexPlace(uint32(p.spec.Ifindex))
	if err != nil {
		return fmt.Errorf("policing of port %s: %w", p.spec.Name, err)
	}
	index, m := &d.portIndex.at[at].Port, &d.policers.at[n]
	size, rate := c.Buckets()
	same := (*index&policedPort != 0) == c.On()
	for i := range m.Band {
		same = same && m.Band[i].Size == size[i] && m.Band[i].Rate == rate[i]
	}
	if same {
		return nil
	}
	// Packets that come meanwhile pass.
	atomic.StoreUint32(index, uint32(n))
	atomic.StoreUint64(&m.Time, uint64(ktime()))
	for i := range m.Band {
		m.Band[i].Size, m.Band[i].Rate = size[i], rate[i]
		atomic.StoreInt64(&m.Band[i].Tokens, int64(size[i]))
	}
	if c.On() {
		atomic.StoreUint32(index, uint32(n)|policedPort)
	}
	return nil
}
