package table

import "github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"

// Slots of a select group: a power of two between these.
const (
	minSlots     = 16
	maxSlots     = 256
	defaultSlots = 64 // at most so many where no selection method was asked for
)

// Slots divide the values of a hash among the buckets of a select group by weight: a packet with
// the hash h goes to Slots()[h%len]. It is nil when the weights do not fit in a table, or the
// group does not select by a hash of the datapath.
func (g *Group) Slots() []*Bucket { return g.slots }

// assignSlots makes the slots by Webster's method, by which each bucket gets its share to within
// about one slot.
func (g *Group) assignSlots() {
	most := maxSlots
	switch {
	case g.Type != openflow.GroupTypeSelect || g.Selection.Method == "hash":
		return
	case g.Selection.Method == "":
		most = defaultSlots
	}
	var sum, least uint32
	for _, b := range g.Buckets {
		if w := uint32(b.Weight); w > 0 {
			sum += w
			if least == 0 || w < least {
				least = w
			}
		}
	}
	if sum == 0 {
		return
	}
	// The lightest bucket gets a slot.
	n := minSlots
	for uint32(n) < (sum+least-1)/least {
		if n *= 2; n > most {
			return
		}
	}
	got := make([]uint32, len(g.Buckets))
	g.slots = make([]*Bucket, n)
	for i := range g.slots {
		best := -1
		for j, b := range g.Buckets {
			// The quotient weight/(2*got+1) is highest; ties go to the first.
			if b.Weight > 0 && (best < 0 || uint32(b.Weight)*(2*got[best]+1) > uint32(g.Buckets[best].Weight)*(2*got[j]+1)) {
				best = j
			}
		}
		got[best]++
		g.slots[i] = g.Buckets[best]
	}
}
