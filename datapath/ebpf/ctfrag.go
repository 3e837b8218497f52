package ebpf

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
)

// fragmentsVersion changes with the meaning of the maps of fragments. Another layout takes them along with the connections
// if they are of the same one; else it begins with new ones, and the fragments under way are invalid.
const fragmentsVersion = 1

// fragmentMap reports whether a map belongs to the fragments.
func fragmentMap(name string) bool { return strings.HasPrefix(name, "ct_fragment") }

// fragments are the packets whose first fragment is remembered. Programs do that; the settings are written here, and what
// is over is forgotten when somebody asks, or for another packet.
type fragments struct {
	packets *ebpf.Map
	ring    mapping[bpf.DatapathCtFragKey]
	table   mapping[bpf.DatapathCtFragTable]
}

var _ conntrack.FragmentControl = (*conns)(nil)

func (f *fragments) open(m map[string]*ebpf.Map) error {
	var errs [2]error
	f.packets = m["ct_fragments"]
	f.ring, errs[0] = mapArray[bpf.DatapathCtFragKey](m["ct_fragment_ring"])
	f.table, errs[1] = mapArray[bpf.DatapathCtFragTable](m["ct_fragment_tables"])
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if t := &f.table.at[0]; t.Version == 0 {
		t.Version = fragmentsVersion
		atomic.StoreUint32(&t.Max, conntrack.DefaultMaxFragments)
	}
	return nil
}

func (f *fragments) close() {
	f.ring.close()
	f.table.close()
}

// settings is what is set.
func (f *fragments) settings() (s conntrack.FragmentSettings) {
	t := &f.table.at[0]
	for v := range s.Min {
		s.Disabled[v], s.Min[v] = t.Disabled[v] != 0, t.Min[v]
	}
	s.Max = t.Max
	return s
}

// forget drops packets, all or those whose time is over, and counts what is left.
func (f *fragments) forget(now uint64, all bool) (left int, err error) {
	keys := make([]bpf.DatapathCtFragKey, f.packets.MaxEntries())
	values := make([]bpf.DatapathCtFrag, len(keys))
	var cursor ebpf.MapBatchCursor
	n, err := f.packets.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, fmt.Errorf("read fragments: %w", err)
	}
	for i := range n {
		expired := int64(values[i].Expires-now) <= 0
		if !expired && !all {
			left++
			continue
		}
		if err := f.packets.Delete(&keys[i]); errors.Is(err, ebpf.ErrKeyNotExist) {
			continue // a program was faster
		} else if err != nil {
			return 0, fmt.Errorf("forget a fragment: %w", err)
		}
		s := &f.table.at[0].Stats[b2u(keys[i].Family == conntrack.FamilyIPv6)]
		if expired {
			atomic.AddUint64(&s.Expired, 1)
		} else {
			atomic.AddUint64(&s.Purged, 1)
		}
	}
	return left, nil
}

// Fragments implements conntrack.FragmentControl.
func (c *conns) Fragments() (st conntrack.FragmentStatus, err error) {
	if err := c.lock(); err != nil {
		return st, err
	}
	defer c.mu.Unlock()
	f := &c.fragments
	if st.Count, err = f.forget(c.now(), false); err != nil {
		return st, err
	}
	st.FragmentSettings = f.settings()
	for v := range st.Stats {
		n := &f.table.at[0].Stats[v]
		st.Stats[v] = conntrack.FragmentStats{
			Accepted: atomic.LoadUint64(&n.Accepted), Completed: atomic.LoadUint64(&n.Completed), TooSmall: atomic.LoadUint64(&n.Small),
			Expired: atomic.LoadUint64(&n.Expired), Purged: atomic.LoadUint64(&n.Purged),
		}
	}
	return st, nil
}

// SetFragments implements conntrack.FragmentControl.
func (c *conns) SetFragments(s conntrack.FragmentSettings) error {
	if err := s.Check(); err != nil {
		return err
	}
	if err := c.lock(); err != nil {
		return err
	}
	defer c.mu.Unlock()
	f := &c.fragments
	t := &f.table.at[0]
	if s.Max != t.Max {
		if _, err := f.forget(c.now(), true); err != nil {
			return err
		}
		clear(f.ring.at)
		atomic.StoreUint32(&t.Next, 0)
	}
	for v := range s.Min {
		atomic.StoreUint32(&t.Disabled[v], uint32(b2u(s.Disabled[v])))
		atomic.StoreUint32(&t.Min[v], s.Min[v])
	}
	atomic.StoreUint32(&t.Max, s.Max)
	return nil
}
