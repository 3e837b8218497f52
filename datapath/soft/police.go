package soft

import (
	"fmt"
	"sync"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

var _ datapath.Policer = (*Datapath)(nil)

// policer has the buckets of a port's ingress policing: of bits and of thousandths of a packet.
type policer struct {
	config     datapath.Policing
	size, rate [2]uint64

	mu     sync.Mutex
	last   time.Time
	tokens [2]uint64
}

// PortPolice implements datapath.Policer.
func (d *Datapath) PortPolice(n odp.Port, c datapath.Policing) error {
	p := d.port(n)
	switch {
	case p == nil:
		return fmt.Errorf("policing of port %d: %w", n, datapath.ErrNoSuchPort)
	case p.spec.Kind == datapath.PortTunnel && c.On():
		return fmt.Errorf("policing of port %s: tunnels are not policed", p.spec.Name)
	case !c.On():
		p.policer.Store(nil)
		return nil
	}
	if old := p.policer.Load(); old != nil && old.config == c {
		return nil
	}
	now := &policer{config: c, last: d.o.Clock.Now()}
	now.size, now.rate = c.Buckets()
	now.tokens = now.size
	p.policer.Store(now)
	return nil
}

// passes takes a packet of size bytes out of the buckets.
func (p *policer) passes(now time.Time, size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ms := now.Sub(p.last).Milliseconds(); ms > 0 {
		p.last = p.last.Add(time.Duration(ms) * time.Millisecond)
		for i := range p.tokens {
			p.tokens[i] = min(p.tokens[i]+uint64(min(ms, 1<<31))*p.rate[i], p.size[i])
		}
	}
	for i, volume := range [2]uint64{uint64(size) * 8, 1000} {
		if p.size[i] == 0 {
			continue
		}
		if p.tokens[i] < volume {
			return false
		}
		p.tokens[i] -= volume // and stays taken if the other bucket is empty, as with the actions of tc(8)
	}
	return true
}
