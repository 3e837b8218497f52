package ebpf

import (
	"fmt"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
)

// Flows and connections have the number of a policy's name, which stays, also when the policy goes: then the name has the
// default timeouts.

// readPolicies reads the names that there are.
func (c *conns) readPolicies() {
	c.ids = map[string]uint32{}
	for id := range c.policies.at[1:] {
		if name := policyText(&c.policies.at[id+1]); name != "" {
			c.ids[name] = uint32(id + 1)
		}
	}
}

// policyID implements policyNames; it makes names known.
func (c *conns) policyID(name string) (uint32, error) {
	if err := c.lock(); err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	return c.policy(name)
}

func (c *conns) policy(name string) (uint32, error) {
	if id := c.ids[name]; id != 0 {
		return id, nil
	}
	id := uint32(len(c.ids) + 1)
	if id >= maxPolicies {
		return 0, fmt.Errorf("timeout policy %q: more than %d: %w", name, maxPolicies-1, datapath.ErrFull)
	}
	p := &c.policies.at[id]
	if name == "" || len(name) >= len(p.Name) {
		return 0, fmt.Errorf("timeout policy %q: name of %d bytes: %w", name, len(name), datapath.ErrUnsupported)
	}
	p.Timer = c.policies.at[0].Timer
	for i := range name {
		p.Name[i] = int8(name[i])
	}
	c.ids[name] = id
	return id, nil
}

// policyName implements policyNames.
func (c *conns) policyName(id uint32) string {
	if id == 0 || id >= maxPolicies || c.lock() != nil {
		return ""
	}
	defer c.mu.Unlock()
	return policyText(&c.policies.at[id])
}

func policyText(p *bpf.DatapathCtPolicy) string {
	var b []byte
	for _, c := range p.Name {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

// SetTimeouts implements conntrack.Control.
func (c *conns) SetTimeouts(name string, t *conntrack.Timeouts) error {
	if err := c.lock(); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if t == nil {
		t = &conntrack.DefaultTimeouts
		if c.ids[name] == 0 {
			return nil
		}
	}
	id, err := c.policy(name)
	if err != nil {
		return err
	}
	for i, j := range c.jiffies(t) {
		atomic.StoreUint64(&c.policies.at[id].Timer[i], j)
	}
	return nil
}
