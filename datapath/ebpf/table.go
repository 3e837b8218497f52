package ebpf

import (
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

const (
	slotWords  = len(bpf.DatapathFlowSlot{}.Key) + len(bpf.DatapathKeyTail{}.Key)
	bucketWays = len(bpf.DatapathBucket{}.Entry)
	denseWords = len(bpf.DatapathFlowSlot{}.Key)
)

// table is the megaflow table in the memory of the maps. There is one writer (Datapath.mu);
// the programs read at any time. What they can reach is written in an order that shows them
// the old state or the new one: a slot's words are written before it is live. What was taken out is reused only after a grace period.
type table struct {
	config    mapping[bpf.DatapathDpConfig]
	slots     mapping[bpf.DatapathFlowSlot]
	acts      mapping[bpf.DatapathActBlock]
	tails     mapping[bpf.DatapathKeyTail]
	stats     mapping[bpf.DatapathFlowStats]
	buckets   mapping[bpf.DatapathBucket]
	subtables mapping[bpf.DatapathSubtable]
	orders    mapping[bpf.DatapathOrder]

	policies           policyNames
	maxFlows, maxMasks int
	stride             int // of stats: columns of the CPUs and then ours, for what earlier slots counted

	entries     []entry
	freeEntries []uint32
	bySlot      []uint32 // entry + 1 of a live slot
	flows       int
	freeSlots   *freeList
	freeBlocks  *freeList
	retired     []retirement

	subs      map[[flow.DPWords]uint64]uint16
	portMasks int              // that one port may bring
	masksOf   map[odp.Port]int // that each did
	subInfo   []subInfo
	freeSubs  []uint16
}

type subInfo struct {
	used  bool
	mask  [flow.DPWords]uint64
	flows int
	hits  uint64   // at the last ordering
	port  odp.Port // that brought it; PortNone: counted for none
}

// entry is a flow: what a FlowRef names. Its slot changes when the flow is replaced.
type entry struct {
	gen     uint32
	live    bool
	sub     uint16
	slot    uint32
	blocks  []uint32 // behind the first
	actions []odp.Action
	old     []replaced
}

// replaced is an earlier slot of a flow. The slot in its place has what it had counted, from the moment
// on that it is found: whoever adopts the tables knows nothing of replaced slots. What programs that
// still run it count afterwards comes when it is reclaimed.
type replaced struct {
	slot  uint32
	taken datapath.FlowStats
}

// retirement is something out of the programs' reach after the next grace period.
type retirement struct {
	slot   uint32
	blocks []uint32
	entry  uint32 // that inherits the slot's counters,
	gen    uint32 // if it is still this one
	sub    int    // subtable, -1: none
}

// errPortMasks is datapath.ErrTooManyMask for one port.
var errPortMasks = fmt.Errorf("of one port: %w", datapath.ErrTooManyMask)

const noSlot = 0xffffffff

func (t *table) ref(e uint32) datapath.FlowRef {
	return datapath.FlowRef(uint64(t.entries[e].gen)<<32 | uint64(e))
}

func (t *table) entry(ref datapath.FlowRef) (uint32, error) {
	e := uint32(ref)
	if int(e) >= len(t.entries) || !t.entries[e].live || t.entries[e].gen != uint32(ref>>32) {
		return 0, datapath.ErrNoSuchFlow
	}
	return e, nil
}

// compact returns the masked words of a key in the order of a subtable.
func (st *subtable) compact(key *flow.Key) (out [slotWords]uint64) {
	for i := range st.Words {
		out[i] = key[st.Idx[i]] & st.Mask[i]
	}
	return out
}

type subtable bpf.DatapathSubtable

// hash64 is masked_hash of bpf/lookup.h.
func (t *table) hash64(st *subtable, key *[slotWords]uint64) uint64 {
	h := uint64(st.Seed)
	mul := &t.config.at[0].HashMul
	for i := range st.Words {
		h += key[i] * mul[i]
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// hash tells of a key a bucket, the other bucket and the signature.
func (t *table) hash(st *subtable, key *[slotWords]uint64) (b1, b2, sig uint32) {
	h := t.hash64(st, key)
	mask := uint32(len(t.buckets.at) - 1)
	sig = uint32(h>>32) | 1
	b1 = uint32(h) & mask
	b2 = (b1 ^ sig*0x5bd1e995) & mask
	return b1, b2, sig
}

// key is the compact key of a live slot.
func (t *table) key(id uint16, slot uint32) (key [slotWords]uint64) {
	copy(key[:], t.slots.at[slot].Key[:])
	if t.sub(id).Dense == 0 {
		copy(key[denseWords:], t.tails.at[slot].Key[:])
	}
	return key
}

func (t *table) setKey(id uint16, slot uint32, key *[slotWords]uint64) {
	copy(t.slots.at[slot].Key[:], key[:])
	if t.sub(id).Dense == 0 {
		copy(t.tails.at[slot].Key[:], key[denseWords:])
	}
}

func (t *table) sub(id uint16) *subtable { return (*subtable)(&t.subtables.at[id]) }

// find returns where the entry of a key is.
func (t *table) find(id uint16, key *[slotWords]uint64) (b *bpf.DatapathBucket, way int, slot uint32) {
	b1, b2, sig := t.hash(t.sub(id), key)
	for _, n := range []uint32{b1, b2} {
		b := &t.buckets.at[n]
		for i, e := range b.Entry {
			if uint32(e) != sig {
				continue
			}
			s := &t.slots.at[e>>32]
			if s.Sub == uint32(id)+1 && t.key(id, uint32(e>>32)) == *key {
				return b, i, uint32(e >> 32)
			}
		}
	}
	return nil, 0, noSlot
}

// place puts a slot into one of its buckets: the first unless that is full, because a look-up
// that ends there touches one cache line. Of two full ones entries move to their other buckets.
func (t *table) place(st *subtable, key *[slotWords]uint64, slot uint32) error {
	b1, b2, sig := t.hash(st, key)
	if t.enter(b1, b1, slot, sig) || b1 != b2 && t.enter(b2, b1, slot, sig) {
		return nil
	}
	for depth := range moves {
		for _, b := range []uint32{b1, b2} {
			if t.makeRoom(b, depth) && t.enter(b, b1, slot, sig) {
				return nil
			}
		}
	}
	return fmt.Errorf("all buckets of a flow are full: %w", datapath.ErrFull)
}

// moves is how many entries are moved at most to make room for one.
const moves = 4

// makeRoom moves an entry of a full bucket to its other one, in which room is made before if need be: depth
// times.
func (t *table) makeRoom(b uint32, depth int) bool {
	for way := range bucketWays {
		if t.move(b, way) {
			return true
		}
	}
	if depth == 0 {
		return false
	}
	for way := range bucketWays {
		if to, ok := t.other(b, way); ok && to != b && t.makeRoom(to, depth-1) && t.move(b, way) {
			return true
		}
	}
	return false
}

// other is the other bucket of an entry.
func (t *table) other(b uint32, way int) (uint32, bool) {
	slot := uint32(t.buckets.at[b].Entry[way] >> 32)
	sub := t.slots.at[slot].Sub
	if sub == 0 {
		return 0, false
	}
	id := uint16(sub - 1)
	key := t.key(id, slot)
	b1, b2, _ := t.hash(t.sub(id), &key)
	if b == b1 {
		return b2, true
	}
	return b1, true
}

// enter puts a slot into bucket b if it has room; first is the first bucket of its hash. The
// programs look at one entry of a signature, so there may be no other of that.
func (t *table) enter(b, first, slot, sig uint32) bool {
	free, best := -1, int(sig>>16)*bucketWays>>16
	for i, e := range t.buckets.at[b].Entry {
		if e == 0 {
			if free != best {
				free = i
			}
		} else if uint32(e) == sig {
			return false
		}
	}
	if free < 0 {
		return false
	}
	atomic.StoreUint64(&t.buckets.at[b].Entry[free], uint64(slot)<<32|uint64(sig))
	if b != first {
		atomic.AddUint64(&t.buckets.at[first].Overflow, 1)
	}
	return true
}

// move brings an entry from its bucket to its other one, if that has room. It is in both for a
// moment, never in none.
func (t *table) move(b uint32, way int) bool {
	e := t.buckets.at[b].Entry[way]
	slot := uint32(e >> 32)
	sub := t.slots.at[slot].Sub
	if sub == 0 {
		return false
	}
	id := uint16(sub - 1)
	key := t.key(id, slot)
	b1, b2, sig := t.hash(t.sub(id), &key)
	to := b1
	if b == b1 {
		to = b2
	}
	if to == b || !t.enter(to, b1, slot, sig) {
		return false
	}
	atomic.StoreUint64(&t.buckets.at[b].Entry[way], 0)
	if b != b1 {
		atomic.AddUint64(&t.buckets.at[b1].Overflow, ^uint64(0))
	}
	return true
}

// unplace takes a slot's entry out.
func (t *table) unplace(id uint16, slot uint32) {
	key := t.key(id, slot)
	b, way, at := t.find(id, &key)
	if at != slot {
		return
	}
	b1, _, _ := t.hash(t.sub(id), &key)
	atomic.StoreUint64(&b.Entry[way], 0)
	if b != &t.buckets.at[b1] {
		atomic.AddUint64(&t.buckets.at[b1].Overflow, ^uint64(0))
	}
}

// order is the order of search in force.
func (t *table) order() *bpf.DatapathOrder {
	return &t.orders.at[t.config.at[0].Order&1]
}

// broughtBy is the port that the mask of a match counts for. Those of whole words count for none: there are few,
// and they are what is left to a port that has brought too many.
func broughtBy(m *flow.Match) odp.Port {
	for _, w := range m.Mask[:flow.DPWords] {
		if w != 0 && w != ^uint64(0) {
			return odp.Port(m.Key.Get(flow.InPort))
		}
	}
	return odp.PortNone
}

// subtableOf finds or makes the subtable of a match. One port's traffic must not make the search of all others
// long (tuple space explosion), so each may bring so many.
func (t *table) subtableOf(m *flow.Match) (uint16, error) {
	dp := [flow.DPWords]uint64(m.Mask[:flow.DPWords])
	if id, ok := t.subs[dp]; ok {
		return id, nil
	}
	n := 0
	for _, w := range dp {
		if w != 0 {
			n++
		}
	}
	if n > slotWords {
		return 0, fmt.Errorf("mask of %d words, at most %d: %w", n, slotWords, datapath.ErrTooLong)
	}
	o := t.order()
	if len(t.freeSubs) == 0 || int(o.N) >= t.maxMasks {
		return 0, fmt.Errorf("%d masks: %w", o.N, datapath.ErrTooManyMask)
	}
	port := broughtBy(m)
	if port != odp.PortNone && t.masksOf[port] >= t.portMasks {
		return 0, fmt.Errorf("%d masks of port %d: %w", t.masksOf[port], port, errPortMasks)
	}
	id := t.freeSubs[len(t.freeSubs)-1]
	t.freeSubs = t.freeSubs[:len(t.freeSubs)-1]
	st := t.sub(id)
	*st = subtable{Seed: uint32(id) * 0x9e3779b9}
	dense := !slices.ContainsFunc(dp[denseWords:], func(w uint64) bool { return w != 0 })
	st.Dense = uint16(b2u(dense))
	for i, w := range dp {
		if w != 0 || dense && i < denseWords {
			st.Idx[st.Words] = uint8(i)
			st.Mask[st.Words] = w
			st.Words++
		}
	}
	t.subs[dp] = id
	t.subInfo[id] = subInfo{used: true, mask: dp, port: port}
	t.masksOf[port]++
	// It joins the order at the end: searches that run do not see it or see it whole.
	o.Id[o.N] = id
	atomic.AddUint32(&o.N, 1)
	return id, nil
}

// put installs or replaces a flow.
func (t *table) put(f *datapath.Flow, w words) (datapath.FlowRef, error) {
	if t.freeSlots.len() == 0 || t.freeBlocks.len() < len(w)-1 {
		return 0, datapath.ErrFull
	}
	id, err := t.subtableOf(&f.Match)
	if err != nil {
		return 0, err
	}
	st := t.sub(id)
	key := st.compact(&f.Match.Key)
	bucket, way, was := t.find(id, &key)
	if was == noSlot && len(t.freeEntries) == 0 {
		return 0, datapath.ErrFull
	}

	slot := t.freeSlots.take()
	blocks := make([]uint32, len(w)-1)
	for i := range blocks {
		blocks[i] = t.freeBlocks.take()
	}
	w.link(append([]uint32{slot}, blocks...))
	t.acts.at[slot].W = w[0]
	for i, b := range blocks {
		t.acts.at[b].W = w[i+1]
	}
	s := &t.slots.at[slot]
	t.setKey(id, slot, &key)
	s.Act = w[0][0]

	if was != noSlot {
		e := t.bySlot[was] - 1
		en := &t.entries[e]
		old := bucket.Entry[way]
		taken := t.inherit(slot, was, datapath.FlowStats{})
		atomic.StoreUint32(&s.Sub, uint32(id)+1)
		atomic.StoreUint64(&bucket.Entry[way], uint64(slot)<<32|old&0xffffffff)
		atomic.StoreUint32(&t.slots.at[was].Sub, 0)
		t.retired = append(t.retired, retirement{slot: was, blocks: en.blocks, entry: e, gen: en.gen, sub: -1})
		en.old = append(en.old, replaced{was, taken})
		t.bySlot[was] = 0
		en.slot, en.blocks, en.actions = slot, blocks, slices.Clone(f.Actions)
		t.bySlot[slot] = e + 1
		return t.ref(e), nil
	}
	if err := t.place(st, &key, slot); err != nil {
		t.giveBack(slot, blocks)
		return 0, err
	}
	atomic.StoreUint32(&s.Sub, uint32(id)+1)
	return t.ref(t.adopt(id, slot, blocks, slices.Clone(f.Actions))), nil
}

// giveBack frees the memory of a flow that no program sees.
func (t *table) giveBack(slot uint32, blocks []uint32) {
	t.freeSlots.add(slot)
	for _, b := range blocks {
		t.freeBlocks.add(b)
	}
}

// adopt makes the entry of a live slot.
func (t *table) adopt(id uint16, slot uint32, blocks []uint32, actions []odp.Action) uint32 {
	e := t.freeEntries[len(t.freeEntries)-1]
	t.freeEntries = t.freeEntries[:len(t.freeEntries)-1]
	en := &t.entries[e]
	*en = entry{gen: en.gen + 1, live: true, sub: id, slot: slot, blocks: blocks, actions: actions}
	t.bySlot[slot] = e + 1
	t.subInfo[id].flows++
	t.flows++
	return e
}

// del removes a flow; what packets in flight still count is lost.
func (t *table) del(e uint32) {
	en := &t.entries[e]
	t.unplace(en.sub, en.slot)
	atomic.StoreUint32(&t.slots.at[en.slot].Sub, 0)
	t.bySlot[en.slot] = 0
	t.retired = append(t.retired, retirement{slot: en.slot, blocks: en.blocks, entry: e, gen: en.gen, sub: -1})
	t.subInfo[en.sub].flows--
	t.flows--
	en.live, en.actions, en.blocks, en.old = false, nil, nil, nil
	t.freeEntries = append(t.freeEntries, e)
}

// sum adds what all CPUs counted in a slot; Used is in jiffies.
func (t *table) sum(slot uint32, st *datapath.FlowStats) {
	add := func(packets, bytes, used *uint64, flags uint16) {
		st.Packets += atomic.LoadUint64(packets)
		st.Bytes += atomic.LoadUint64(bytes)
		st.Used = max(st.Used, int64(atomic.LoadUint64(used)))
		st.TCPFlags |= flags
	}
	s := &t.slots.at[slot]
	add(&s.Packets, &s.Bytes, &s.Used, uint16(atomic.LoadUint32(&s.TcpFlags)))
	if atomic.LoadUint32(&s.Spread) == 0 {
		return
	}
	for i := range t.stride {
		c := &t.stats.at[int(slot)*t.stride+i]
		add(&c.Packets, &c.Bytes, &c.Used, uint16(atomic.LoadUint64(&c.TcpFlags)))
	}
}

// clear makes the counters of a slot zero that no program reaches.
func (t *table) clear(slot uint32) {
	s := &t.slots.at[slot]
	if s.Spread != 0 {
		clear(t.stats.at[int(slot)*t.stride : int(slot+1)*t.stride])
	}
	s.Owner, s.Packets, s.Bytes, s.Used, s.TcpFlags, s.Spread = 0, 0, 0, 0, 0, 0
}

func (t *table) flowStats(e uint32) (st datapath.FlowStats) {
	en := &t.entries[e]
	t.sum(en.slot, &st)
	t.sumOld(en.old, &st)
	return st
}

// sumOld adds what replaced slots have counted since they were.
func (t *table) sumOld(old []replaced, st *datapath.FlowStats) {
	for _, r := range old {
		t.sum(r.slot, st)
		st.Packets -= r.taken.Packets
		st.Bytes -= r.taken.Bytes
	}
}

// inherit adds to a slot what another has counted besides what was taken of it before, and returns all that is
// taken now.
func (t *table) inherit(slot, from uint32, taken datapath.FlowStats) datapath.FlowStats {
	var st datapath.FlowStats
	t.sum(from, &st)
	more := st
	more.Packets -= taken.Packets
	more.Bytes -= taken.Bytes
	t.add(slot, more)
	return st
}

// add counts in our column of a slot, which no CPU writes. Used is in jiffies.
func (t *table) add(slot uint32, st datapath.FlowStats) {
	c := &t.stats.at[int(slot)*t.stride+t.stride-1]
	c.Packets += st.Packets
	c.Bytes += st.Bytes
	c.Used = max(c.Used, uint64(st.Used))
	c.TcpFlags |= uint64(st.TCPFlags)
	atomic.StoreUint32(&t.slots.at[slot].Spread, 1)
}

// reclaim frees what was retired before the last grace period.
func (t *table) reclaim(rs []retirement) {
	for _, r := range rs {
		if r.sub >= 0 {
			t.freeSubs = append(t.freeSubs, uint16(r.sub))
			continue
		}
		if en := &t.entries[r.entry]; en.live && en.gen == r.gen {
			for _, o := range en.old {
				if o.slot == r.slot {
					t.inherit(en.slot, o.slot, o.taken)
				}
			}
			en.old = slices.DeleteFunc(en.old, func(o replaced) bool { return o.slot == r.slot })
		}
		t.clear(r.slot)
		t.giveBack(r.slot, r.blocks)
	}
}

// reorder sorts the subtables by their hits since the last time and drops those without flows.
// The order that was in force is free again after a grace period, which must have passed
// since the last call.
func (t *table) reorder(hits []uint64) {
	cur := t.order()
	ids := make([]uint16, 0, cur.N)
	drop := false
	for _, id := range cur.Id[:cur.N] {
		if t.subInfo[id].flows == 0 {
			drop = true
			continue
		}
		ids = append(ids, id)
	}
	recent := func(id uint16) uint64 { return hits[id] - t.subInfo[id].hits }
	slices.SortStableFunc(ids, func(a, b uint16) int {
		switch x, y := recent(a), recent(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	if !drop && slices.Equal(ids, cur.Id[:cur.N]) {
		for _, id := range ids {
			t.subInfo[id].hits = hits[id]
		}
		return
	}
	cfg := &t.config.at[0]
	next := &t.orders.at[1-cfg.Order&1]
	copy(next.Id[:], ids)
	next.N = uint32(len(ids))
	atomic.StoreUint32(&cfg.Order, 1-cfg.Order&1)
	for _, id := range cur.Id[:cur.N] {
		if t.subInfo[id].flows == 0 {
			delete(t.subs, t.subInfo[id].mask)
			t.masksOf[t.subInfo[id].port]--
			t.subInfo[id] = subInfo{}
			t.retired = append(t.retired, retirement{sub: int(id)})
		} else {
			t.subInfo[id].hits = hits[id]
		}
	}
}

// match reads a flow's match back from its slot.
func (t *table) match(e uint32, m *flow.Match) {
	en := &t.entries[e]
	st, key := t.sub(en.sub), t.key(en.sub, en.slot)
	*m = flow.Match{}
	for i := range st.Words {
		m.Key[st.Idx[i]] = key[i]
		m.Mask[st.Idx[i]] = st.Mask[i]
	}
}

// open takes the maps' memory and what is in it: empty, or the flows of an earlier run. Damaged
// flows are removed.
func (t *table) open(maxFlows, maxMasks, portMasks, stride, laneBlocks int) error {
	t.portMasks = portMasks
	t.masksOf = map[odp.Port]int{}
	t.maxFlows, t.maxMasks, t.stride = maxFlows, maxMasks, stride
	t.entries = make([]entry, maxFlows)
	t.bySlot = make([]uint32, len(t.slots.at))
	t.freeSlots, t.freeBlocks = newFreeList(len(t.slots.at)), newFreeList(len(t.acts.at))
	t.subs = map[[flow.DPWords]uint64]uint16{}
	t.subInfo = make([]subInfo, len(t.subtables.at))
	for i := range t.entries {
		t.freeEntries = append(t.freeEntries, uint32(len(t.entries)-1-i))
	}

	o := t.order()
	if int(o.N) > len(o.Id) {
		return fmt.Errorf("order of %d subtables", o.N)
	}
	for _, id := range o.Id[:o.N] {
		if int(id) >= len(t.subtables.at) {
			return fmt.Errorf("subtable %d", id)
		}
		st := t.sub(id)
		info := subInfo{used: true, port: odp.PortNone}
		if int(st.Words) > slotWords || st.Dense != 0 && int(st.Words) != denseWords {
			return fmt.Errorf("subtable %d of %d words", id, st.Words)
		}
		for i := range st.Words {
			if st.Idx[i] >= flow.DPWords {
				return fmt.Errorf("subtable %d: word %d", id, st.Idx[i])
			}
			info.mask[st.Idx[i]] = st.Mask[i]
		}
		t.subInfo[id] = info
		t.subs[info.mask] = id
	}
	for id := len(t.subInfo) - 1; id >= 0; id-- {
		if !t.subInfo[id].used {
			t.freeSubs = append(t.freeSubs, uint16(id))
		}
	}

	usedBlock := make([]uint64, len(t.acts.at)/64+1)
	block := func(n uint32) *[blockWords]uint64 {
		if int(n) >= len(t.acts.at)-laneBlocks {
			return nil
		}
		return &t.acts.at[n].W
	}
	for b := range t.buckets.at {
		bucket := &t.buckets.at[b]
		for way, e := range bucket.Entry {
			if e == 0 {
				continue
			}
			slot := uint32(e >> 32)
			if !t.adoptSlot(slot, block, usedBlock) {
				atomic.StoreUint64(&bucket.Entry[way], 0)
			}
		}
	}
	for slot := range t.slots.at {
		if t.bySlot[slot] == 0 {
			atomic.StoreUint32(&t.slots.at[slot].Sub, 0)
			t.clear(uint32(slot))
			t.freeSlots.add(uint32(slot))
		}
	}
	for b := len(t.slots.at); b < len(t.acts.at)-laneBlocks; b++ {
		if usedBlock[b/64]&(1<<(b%64)) == 0 {
			t.freeBlocks.add(uint32(b))
		}
	}
	return nil
}

func (t *table) adoptSlot(slot uint32, block func(uint32) *[blockWords]uint64, used []uint64) bool {
	if int(slot) >= len(t.slots.at) || t.bySlot[slot] != 0 || len(t.freeEntries) == 0 {
		return false
	}
	sub := t.slots.at[slot].Sub
	if sub == 0 || int(sub) > len(t.subInfo) || !t.subInfo[sub-1].used {
		return false
	}
	id := uint16(sub - 1)
	key := t.key(id, slot)
	if _, _, at := t.find(id, &key); at != slot {
		return false
	}
	var m flow.Match
	st := t.sub(id)
	for i := range st.Words {
		m.Key[st.Idx[i]], m.Mask[st.Idx[i]] = key[i], st.Mask[i]
	}
	actions, blocks, err := decodeWith(slot, block, ethTypeOf(&m.Key, &m.Mask), t.policies)
	if err != nil {
		return false
	}
	for _, b := range blocks {
		used[b/64] |= 1 << (b % 64)
	}
	t.adopt(id, slot, blocks, actions)
	if info := &t.subInfo[id]; info.port == odp.PortNone {
		// It counts for whoever has the first flow in it.
		if info.port = broughtBy(&m); info.port != odp.PortNone {
			t.masksOf[info.port]++
		}
	}
	return true
}

// close gives the memory back.
func (t *table) close() {
	t.config.close()
	t.slots.close()
	t.acts.close()
	t.tails.close()
	t.stats.close()
	t.buckets.close()
	t.subtables.close()
	t.orders.close()
}

// pow2 is the smallest power of two that is at least n.
func pow2(n int) uint32 { return 1 << bits.Len(uint(max(n, 1)-1)) }
