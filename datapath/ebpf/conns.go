package ebpf

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

const (
	// sweepSlots bounds how many slots of connections are looked at once a second.
	sweepSlots = 1 << 16
	// jobSlots is how many connections one run of the remover takes.
	jobSlots = len(bpf.DatapathCtJob{}.At)
	// maxPolicies are the names of timeouts, and one for no name.
	maxPolicies = 1024

	fragmentTimeout = 30 * time.Second // as of conntrack.Table
)

// ctWord is the first conntrack word of a key.
var ctWord = flow.CTState.Info().Off / 8

// conns are the connections in the memory of the maps. Programs make, move on and remove them; what is asked for here is
// done by a program too, so that no death of the agent leaves half a connection.
type conns struct {
	d *Datapath

	mu       sync.Mutex // guards what follows, and that one at a time writes what the programs only read
	slots    mapping[bpf.DatapathCtConn]
	used     mapping[uint64] // a bit per slot
	zones    mapping[bpf.DatapathCtZone]
	policies mapping[bpf.DatapathCtPolicy]
	table    mapping[bpf.DatapathCtTable]
	jobs     mapping[bpf.DatapathCtJob]
	ids      map[string]uint32 // policies by name
	cursor   int               // word of used where the next sweep begins
	closed   bool

	fragments fragments
	held      mapping[bpf.DatapathCtHeld]
}

var (
	_ datapath.Conntracker = (*Datapath)(nil)
	_ conntrack.Control    = (*conns)(nil)
	_ policyNames          = (*conns)(nil)
)

// Conntrack implements datapath.Conntracker. Connections outlive the agent, as flows do.
func (d *Datapath) Conntrack() conntrack.Control { return &d.conns }

// open maps the memory; fresh maps are initialized.
func (c *conns) open(d *Datapath, fresh bool) error {
	c.d = d
	m := d.coll.Maps
	var errs [7]error
	c.slots, errs[0] = mapArray[bpf.DatapathCtConn](m["ct_conns"])
	c.used, errs[1] = mapArray[uint64](m["ct_used"])
	c.zones, errs[2] = mapArray[bpf.DatapathCtZone](m["ct_zones"])
	c.policies, errs[3] = mapArray[bpf.DatapathCtPolicy](m["ct_policies"])
	c.table, errs[4] = mapArray[bpf.DatapathCtTable](m["ct_tables"])
	c.jobs, errs[5] = mapArray[bpf.DatapathCtJob](m["ct_jobs"])
	c.held, errs[6] = mapArray[bpf.DatapathCtHeld](m["ct_held_limits"])
	if err := errors.Join(append(errs[:], c.fragments.open(m))...); err != nil {
		return err
	}
	if fresh {
		c.table.at[0].Max = uint32(d.opts.MaxConns)
		c.table.at[0].Version = connsVersion
		c.policies.at[0].Timer = c.jiffies(&conntrack.DefaultTimeouts)
	}
	c.readPolicies()
	return nil
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.slots.close()
	c.used.close()
	c.zones.close()
	c.policies.close()
	c.table.close()
	c.jobs.close()
	c.fragments.close()
	c.held.close()
}

// lock takes the mutex unless the datapath is closed.
func (c *conns) lock() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return errClosed
	}
	return nil
}

// jiffies are timeouts as the programs use them.
func (c *conns) jiffies(t *conntrack.Timeouts) (out [16]uint64) {
	for i, s := range t {
		out[i] = uint64(s) * uint64(time.Second) / uint64(c.d.tick.tick)
	}
	out[len(t)] = uint64(fragmentTimeout / time.Duration(c.d.tick.tick))
	return out
}

// now is the kernel's jiffies.
func (c *conns) now() uint64 {
	j := &c.d.tick
	return uint64(j.at + (ktime()-j.mono)/j.tick)
}

// each calls f for the slots in use of n words of the bitmap, from one on; the caller has locked. f may be
// called for one that is being made or removed.
func (c *conns) each(from, n int, f func(slot uint32, s *bpf.DatapathCtConn)) {
	for i := range n {
		word := (from + i) % len(c.used.at)
		for w := atomic.LoadUint64(&c.used.at[word]); w != 0; w &= w - 1 {
			slot := uint32(word*64 + bits.TrailingZeros64(w))
			if s := &c.slots.at[slot]; s.Used != 0 {
				f(slot, s)
			}
		}
	}
}

// remover gathers connections for the program that removes them.
type remover struct {
	c       *conns
	job     *bpf.DatapathCtJob
	removed int
	err     error
}

func (c *conns) remover() *remover {
	r := &remover{c: c, job: &c.jobs.at[0]}
	r.job.N = 0
	return r
}

func (r *remover) add(slot, gen uint32) {
	r.job.At[r.job.N].Slot, r.job.At[r.job.N].Gen = slot, gen
	if r.job.N++; int(r.job.N) == jobSlots {
		r.run()
	}
}

// run removes what was gathered, unless somebody else did.
func (r *remover) run() {
	if r.job.N == 0 || r.err != nil {
		r.job.N = 0
		return
	}
	if _, err := r.c.d.coll.Programs["ct_remover"].Run(&ebpf.RunOptions{Data: make([]byte, 64)}); err != nil {
		r.err = fmt.Errorf("remove connections: %w", err)
	}
	r.removed += int(r.job.Removed)
	r.job.N = 0
}

// sweep removes the expired among the next slots.
func (c *conns) sweep(slots int) error {
	if err := c.lock(); err != nil {
		return err
	}
	defer c.mu.Unlock()
	return c.sweepLocked(slots)
}

func (c *conns) sweepLocked(slots int) error {
	r, now := c.remover(), c.now()
	words := min(len(c.used.at), (slots+63)/64)
	c.each(c.cursor, words, func(slot uint32, s *bpf.DatapathCtConn) {
		if gen := s.Gen; int64(atomic.LoadUint64(&s.Expires)-now) <= 0 {
			r.add(slot, gen)
		}
	})
	r.run()
	c.cursor = (c.cursor + words) % len(c.used.at)
	return r.err
}

// swept locks and removes all that is expired.
func (c *conns) swept() error {
	if err := c.lock(); err != nil {
		return err
	}
	if err := c.sweepLocked(len(c.slots.at)); err != nil {
		c.mu.Unlock()
		return err
	}
	return nil
}

func tupleOf(t *bpf.DatapathCtTuple) (out conntrack.Tuple) {
	for i := range 2 {
		le.PutUint64(out.Src[8*i:], t.Src[i])
		le.PutUint64(out.Dst[8*i:], t.Dst[i])
	}
	out.SrcPort, out.DstPort, out.Zone, out.Proto, out.Family = t.Sport, t.Dport, t.Zone, t.Proto, t.Family
	return out
}

// entry is what a slot holds.
func (c *conns) entry(slot uint32, s *bpf.DatapathCtConn, now uint64) conntrack.Entry {
	e := conntrack.Entry{
		Orig: tupleOf(&s.Orig), Reply: tupleOf(&s.Reply), Mark: s.Mark, NAT: conntrack.State(s.Nat),
		Timeout: uint32(max(int64(s.Expires-now), 0) * c.d.tick.tick / int64(time.Second)),
	}
	for i, w := range s.Label {
		le.PutUint64(e.Label[8*i:], w)
	}
	e.Helper, e.Parent = helperName(s.Alg&algHelpers), c.parent(slot, s)
	for i := range s.Tcp {
		e.TCP[i] = conntrack.NewTCPEnd(conntrack.TCPState(s.Tcp[i].State), s.Tcp[i].Scale)
	}
	return e
}

// Dump implements conntrack.Control: each part of the table as it is when its turn comes. f may change it.
func (c *conns) Dump(f func(*conntrack.Entry) bool) error {
	if err := c.swept(); err != nil {
		return err
	}
	words := len(c.used.at)
	c.mu.Unlock()
	const part = 64
	var list []conntrack.Entry
	for from := 0; from < words; from += part {
		list = list[:0]
		if err := c.lock(); err != nil {
			return err
		}
		now := c.now()
		c.each(from, min(part, words-from), func(slot uint32, s *bpf.DatapathCtConn) {
			gen := atomic.LoadUint32(&s.Gen)
			e := c.entry(slot, s, now)
			if s.Used != 0 && atomic.LoadUint32(&s.Gen) == gen {
				list = append(list, e)
			}
		})
		c.mu.Unlock()
		for i := range list {
			if !f(&list[i]) {
				return nil
			}
		}
	}
	return nil
}

// Flush implements conntrack.Control.
func (c *conns) Flush(f *conntrack.Filter) (int, error) {
	if err := c.swept(); err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	r, now := c.remover(), c.now()
	c.each(0, len(c.used.at), func(slot uint32, s *bpf.DatapathCtConn) {
		gen := atomic.LoadUint32(&s.Gen)
		if e := c.entry(slot, s, now); f.Matches(&e) {
			r.add(slot, gen)
		}
	})
	r.run()
	return r.removed, r.err
}

// Count implements conntrack.Control.
func (c *conns) Count() (int, error) {
	if err := c.swept(); err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	return int(atomic.LoadUint32(&c.table.at[0].Count)), nil
}

// Max implements conntrack.Control.
func (c *conns) Max() (uint32, error) {
	if err := c.lock(); err != nil {
		return 0, err
	}
	defer c.mu.Unlock()
	return c.table.at[0].Max, nil
}

// SetMax implements conntrack.Control. The maps have room for as many as Options say.
func (c *conns) SetMax(n uint32) error {
	if n > uint32(c.d.opts.MaxConns) {
		return fmt.Errorf("%d connections: at most %d, for which there is room since the start: %w", n, c.d.opts.MaxConns, datapath.ErrFull)
	}
	return c.setting(func(t *bpf.DatapathCtTable) { atomic.StoreUint32(&t.Max, n) })
}

func (c *conns) setting(f func(*bpf.DatapathCtTable)) error {
	if err := c.lock(); err != nil {
		return err
	}
	defer c.mu.Unlock()
	f(&c.table.at[0])
	return nil
}

// SequenceCheck implements conntrack.Control.
func (c *conns) SequenceCheck() (bool, error) {
	if err := c.lock(); err != nil {
		return false, err
	}
	defer c.mu.Unlock()
	return c.table.at[0].NoCheck == 0, nil
}

// SetSequenceCheck implements conntrack.Control.
func (c *conns) SetSequenceCheck(on bool) error {
	return c.setting(func(t *bpf.DatapathCtTable) { atomic.StoreUint32(&t.NoCheck, uint32(b2u(!on))) })
}

// Limits implements conntrack.Control.
func (c *conns) Limits(zones ...uint16) (standard uint32, list []conntrack.ZoneLimit, err error) {
	if err := c.swept(); err != nil {
		return 0, nil, err
	}
	defer c.mu.Unlock()
	standard = c.table.at[0].Limit
	add := func(zone uint16) {
		z := &c.zones.at[zone]
		limit := standard
		if z.Limit != 0 {
			limit = z.Limit - 1
		}
		list = append(list, conntrack.ZoneLimit{Zone: zone, Limit: limit, Count: atomic.LoadUint32(&z.Count)})
	}
	for _, z := range zones {
		add(z)
	}
	if len(zones) == 0 {
		for z := range c.zones.at {
			if c.zones.at[z].Limit != 0 {
				add(uint16(z))
			}
		}
	}
	return standard, list, nil
}

// SetDefaultLimit implements conntrack.Control.
func (c *conns) SetDefaultLimit(n uint32) error {
	return c.setting(func(t *bpf.DatapathCtTable) { atomic.StoreUint32(&t.Limit, n) })
}

// SetLimit implements conntrack.Control.
func (c *conns) SetLimit(zone uint16, n uint32) error {
	return c.setting(func(*bpf.DatapathCtTable) { atomic.StoreUint32(&c.zones.at[zone].Limit, min(n, math.MaxUint32-1)+1) })
}

// DelLimit implements conntrack.Control.
func (c *conns) DelLimit(zone uint16) error {
	return c.setting(func(*bpf.DatapathCtTable) { atomic.StoreUint32(&c.zones.at[zone].Limit, 0) })
}

// Counters implements conntrack.Control.
func (c *conns) Counters() (n conntrack.Counters, err error) {
	if err := c.lock(); err != nil {
		return n, err
	}
	defer c.mu.Unlock()
	per := make([]bpf.DatapathCtCounts, c.d.cpus)
	if err := c.d.coll.Maps["ct_count"].Lookup(uint32(0), &per); err != nil {
		return n, fmt.Errorf("read counters of connections: %w", err)
	}
	for i := range per {
		n.Full += per[i].Full
		n.ZoneFull += per[i].ZoneFull
		n.Displaced += per[i].Displaced
		n.Clash += per[i].Clash
		n.Invalid += per[i].Invalid
		n.InvalidFlags += per[i].Flags
		n.SequenceFailed += per[i].Sequence
		n.SequenceBypass += per[i].Bypass
		n.NattedMiss += per[i].NattedMiss
	}
	return n, nil
}
