package ebpf

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
)

var _ conntrack.LimitHolder = (*conns)(nil)

// heldMap reports whether a map is that of HoldLimits. Without it all limits count as set by command.
func heldMap(name string) bool { return name == "ct_held_limits" }

// HoldLimits implements conntrack.LimitHolder.
func (c *conns) HoldLimits(zones []uint16, standard bool) error {
	if err := c.lock(); err != nil {
		return err
	}
	defer c.mu.Unlock()
	h := &c.held.at[0]
	var want [len(h.Zones)]uint64
	for _, z := range zones {
		want[z/64] |= 1 << (z % 64)
	}
	h.Zones, h.Standard = want, uint32(b2u(standard))
	return nil
}

// HeldLimits implements conntrack.LimitHolder.
func (c *conns) HeldLimits() (zones []uint16, standard bool, err error) {
	if err := c.lock(); err != nil {
		return nil, false, err
	}
	defer c.mu.Unlock()
	h := &c.held.at[0]
	for i, w := range h.Zones {
		for ; w != 0; w &= w - 1 {
			zones = append(zones, uint16(i*64+bits.TrailingZeros64(w)))
		}
	}
	return zones, h.Standard != 0, nil
}
