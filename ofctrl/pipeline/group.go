package pipeline

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// group runs a group.
func (x *xlate) group(id uint32) {
	if !x.resources() {
		return
	}
	g := x.tables.Group(id)
	if g == nil {
		x.Depend(x.tables.GroupAdded())
		x.warn("output to nonexistent group %d", id)
		return
	}
	x.Depend(g)
	x.depth++
	switch g.Type {
	case openflow.GroupTypeAll:
		x.Credit(g)
		more := x.more
		for i, b := range g.Buckets {
			x.more = more || i+1 < len(g.Buckets)
			x.bucket(b)
		}
		x.more = more
	case openflow.GroupTypeIndirect:
		if len(g.Buckets) > 0 {
			x.oneBucket(g, g.Buckets[0])
		}
	case openflow.GroupTypeFastFailover:
		x.oneBucket(g, x.firstLive(g))
	case openflow.GroupTypeSelect:
		if b, ok := x.selectBucket(g); ok {
			x.oneBucket(g, b)
		}
	}
	x.depth--
}

// oneBucket runs a bucket of a group, nil: there is none to run.
func (x *xlate) oneBucket(g *table.Group, b *table.Bucket) {
	if b == nil {
		x.detail("no live bucket")
		return
	}
	x.Credit(g)
	if g.Type != openflow.GroupTypeIndirect {
		x.detail("using bucket %d", b.ID)
	}
	x.bucket(b)
}

// bucket runs the actions of a bucket as an action set on a copy of the packet.
func (x *xlate) bucket(b *table.Bucket) {
	x.Credit(b)
	if x.listener != nil {
		x.text(EventBucket, "bucket %d", []any{b.ID})
		defer x.event(Event{Kind: EventEnd})
	}
	list := ordered(b.Actions)
	if list == nil {
		x.event(Event{Kind: EventAction})
		return
	}
	var s tracked.State
	x.key.Save(&s)
	// The stack is not of what a bucket gets back: a bucket tells by it what it did.
	exit, set, has, in := x.exit, x.actionSet, x.hasGroup, x.inGroup
	x.actionSet, x.hasGroup = x.actionSet[len(set):], false
	x.exit, x.inGroup = false, true
	x.do(list)
	x.recirculate()
	x.exit, x.actionSet, x.hasGroup, x.inGroup = exit, set, has, in
	x.key.Restore(&s)
}

// maxLiveness bounds how deep groups may watch groups, as in OVS.
const maxLiveness = 128

// live reports whether a bucket that watches something may be used: one of what it watches is live.
func (x *xlate) live(b *table.Bucket, depth int) bool {
	if b.WatchPort == openflow.PortAny && b.WatchGroup == openflow.GroupAny {
		return true
	}
	if b.WatchPort != openflow.PortAny && x.portLive(b.WatchPort) {
		return true
	}
	if b.WatchGroup == openflow.GroupAny || depth >= maxLiveness {
		return false
	}
	g := x.tables.Group(b.WatchGroup)
	if g == nil {
		x.Depend(x.tables.GroupAdded())
		return false
	}
	x.Depend(g)
	for _, b := range g.Buckets {
		if x.live(b, depth+1) {
			return true
		}
	}
	return false
}

func (x *xlate) firstLive(g *table.Group) *table.Bucket {
	for _, b := range g.Buckets {
		if x.live(b, 0) {
			return b
		}
		if b.WatchPort != openflow.PortAny {
			x.detail("bucket %d: not live due to port %v", b.ID, b.WatchPort)
		} else {
			x.detail("bucket %d: not live due to group %d", b.ID, b.WatchGroup)
		}
	}
	return nil
}

// selectBucket chooses a bucket of a select group; ok is false when that needs a hash of the
// datapath, for which the packet has to come back.
//
// With the method dp_hash, and without one, the datapath hashes the packet, and each bucket has
// slots of the hash's values, so that a group makes no more megaflows than it has slots. Otherwise
// each connection (or value of the fields of the method hash) has its own megaflow.
func (x *xlate) selectBucket(g *table.Group) (b *table.Bucket, ok bool) {
	slots := g.Slots()
	if slots == nil || !x.t.o.Features.Recirc {
		return x.best(g, x.hashFields(g)), true
	}
	if !x.hashed {
		x.wantHash(g)
		return nil, false
	}
	n := uint32(x.key.Uint(flow.Subfield{Field: flow.DPHash, Bits: uint16(bits.Len(uint(len(slots) - 1)))}))
	if b := slots[n]; x.live(b, 0) {
		return b, true
	}
	return x.best(g, n), true
}

// wantHash ends the translation: the datapath is to hash the packet and to bring it back, and then
// translation starts again from where it started. (OVS goes on where it stopped. To start again
// needs no copy of all that is under way, and hashes the packet as it came in; what was done so
// far is done again.) All groups of a packet's way use the hash of the first.
func (x *xlate) wantHash(g *table.Group) {
	x.rehash = true
	if g.Selection.Method == "" {
		x.hash = odp.Hash{SymL4: true}
	} else {
		x.hash = odp.Hash{SymL4: g.Selection.Param>>32 == 1, Basis: uint32(g.Selection.Param)}
	}
	x.hash.SymL4 = x.hash.SymL4 && x.t.o.Features.MaxHashAlg > 0
	x.detail("no live bucket") // OVS's words for one that is not known yet
}

// restart makes the result of a translation that waits for a hash.
func (x *xlate) restart() {
	var f Frozen
	switch po := x.origin.po; {
	case x.from != nil:
		f = *x.from
	case po != nil:
		f = Frozen{Bridge: x.origin.bridge, InPort: x.origin.in, Start: true, PacketOut: true, Actions: po.Actions, Written: po.Match}
	default:
		f = Frozen{Bridge: x.origin.bridge, InPort: x.origin.in, Start: true, Local: x.local}
	}
	f.Hashed, f.Hash, f.Tunneled = true, x.hash, x.key.HasTunnel()
	clear(x.res.Credits)
	clear(x.res.Actions)
	x.res.Credits, x.res.Actions, x.res.Slow = x.res.Credits[:0], x.res.Actions[:0], ""
	if x.sampled.on {
		x.sampled.at = len(x.res.Actions)
		x.emit(odp.Drop{})
	}
	if id, ok := x.name(&f); ok {
		if x.congested && x.from == nil { // it comes back without its outer header being looked at
			x.res.Actions = append(x.res.Actions, odp.Set{Fields: []odp.FieldSet{{Field: flow.NwECN, Value: []byte{ecnCE}}}, IPv6: x.key.Has(flow.PrereqIPv6)})
		}
		x.res.Actions = append(x.res.Actions, x.hash, odp.Recirc{ID: id})
	}
}

// best is the live bucket with the highest product of its weight and a hash of its ID and n: each
// gets its share of the values of n, and keeps it when others come and go. It is the stock daemon's choice, so that a
// host which swaps the daemon keeps each connection on its bucket.
func (x *xlate) best(g *table.Group, n uint32) (best *table.Bucket) {
	var top uint32
	for _, b := range g.Buckets {
		score := murmur2(b.ID, n) & 0xffff * uint32(b.Weight)
		if score <= top && x.listener == nil || !x.live(b, 0) {
			continue
		}
		if x.listener != nil {
			x.detail("bucket %d: score %d", b.ID, score)
		}
		if score > top {
			best, top = b, score
		}
	}
	return best
}

// hashFields hashes the fields that the group names, or as OVS does those of both ends of a connection
// such that both directions have the same hash.
func (x *xlate) hashFields(g *table.Group) uint32 {
	if g.Selection.Method != "hash" || len(g.Selection.Fields) == 0 {
		return x.hashL4(0)
	}
	h := murmurFinish(murmurAdd(murmurAdd(0, uint32(g.Selection.Param)), uint32(g.Selection.Param>>32)) ^ 8)
	var buf [128]byte
	for _, f := range g.Selection.Fields {
		if x.key.Has(f.Field.Info().Prereq) {
			h = murmurBytes(x.key.ReadMasked(f.Field, f.Mask, buf[:0]), h)
		}
	}
	return h
}
