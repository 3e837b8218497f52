package table

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Group is one group. All but its counters never changes: a modification puts another Group with
// the same ID in its place, with counters that start at zero as in OVS.
type Group struct {
	ID        uint32
	Type      uint8 // openflow.GroupType...
	Selection openflow.Selection
	Buckets   []*Bucket
	Created   time.Time

	slots    []*Bucket
	replaced atomic.Uint64 // 1 when it is not the group of its ID any more
	counts
}

// Bucket is one bucket of a group.
type Bucket struct {
	openflow.Bucket
	counts
}

// counts are credited without the lock.
type counts struct{ packets, bytes atomic.Uint64 }

// Credit implements datapath.Credit.
func (c *counts) Credit(packets, bytes uint64, _ time.Time, _ uint16) {
	c.packets.Add(packets)
	c.bytes.Add(bytes)
}

// Counts returns the counters.
func (c *counts) Counts() openflow.Counts {
	return openflow.Counts{Packets: c.packets.Load(), Bytes: c.bytes.Load()}
}

// Version implements datapath.Versioned: it moves when the group is modified or deleted.
func (g *Group) Version() uint64 { return g.replaced.Load() }

// Desc is the group as it was configured.
func (g *Group) Desc() openflow.GroupDesc {
	d := openflow.GroupDesc{Type: g.Type, ID: g.ID, Selection: g.Selection}
	for _, b := range g.Buckets {
		d.Buckets = append(d.Buckets, b.Bucket)
	}
	return d
}

// groups are the groups of a switch.
type groups struct {
	byID  map[uint32]*Group
	users map[uint32]map[*Rule]struct{} // rules that name a group
	added addedVersion
}

// addedVersion moves when a group is added: what did not find one depends on it.
type addedVersion struct{ n atomic.Uint64 }

// Version implements datapath.Versioned.
func (v *addedVersion) Version() uint64 { return v.n.Load() }

// Group finds a group, nil when there is none.
func (t *Tables) Group(id uint32) *Group { return t.groups.byID[id] }

// GroupAdded is versioned by the addition of groups.
func (t *Tables) GroupAdded() datapath.Versioned { return &t.groups.added }

// Groups lists the groups by ID: one of them, or with GroupAll all.
func (t *Tables) Groups(id uint32) []*Group {
	if id != openflow.GroupAll {
		if g := t.Group(id); g != nil {
			return []*Group{g}
		}
		return nil
	}
	return slices.SortedFunc(maps.Values(t.groups.byID), func(a, b *Group) int { return cmp.Compare(a.ID, b.ID) })
}

// GroupUsers is how many rules name a group.
func (t *Tables) GroupUsers(id uint32) int { return len(t.groups.users[id]) }

// ApplyGroup does a group mod and returns the rules that went with a deleted group. On error,
// which wraps an openflow.Err, nothing has changed.
func (t *Tables) ApplyGroup(gm *openflow.GroupMod) ([]Removed, error) {
	old := t.Group(gm.ID)
	if gm.Command == openflow.GroupDelete {
		var gone []Removed
		for _, g := range t.Groups(gm.ID) {
			gone = append(gone, t.deleteGroup(g)...)
		}
		return gone, nil
	}
	g := &Group{ID: gm.ID, Type: gm.Type, Selection: gm.Selection, Created: t.clock.Now()}
	buckets := gm.Buckets
	var err error
	switch gm.Command {
	case openflow.GroupAdd:
		if old != nil {
			return nil, fmt.Errorf("group %d: %w", gm.ID, openflow.GroupModExists)
		}
	case openflow.GroupAddOrModify:
	case openflow.GroupModify, openflow.GroupInsertBucket, openflow.GroupRemoveBucket:
		if old == nil {
			return nil, fmt.Errorf("group %d: %w", gm.ID, openflow.GroupModUnknownGroup)
		}
		if gm.Command != openflow.GroupModify {
			g.Type, g.Selection = old.Type, old.Selection
			buckets, err = editBuckets(old.Desc().Buckets, gm)
		}
	default:
		err = fmt.Errorf("group command %d: %w", gm.Command, openflow.GroupModBadCommand)
	}
	if err == nil {
		err = t.checkLoop(gm.ID, buckets)
	}
	if err != nil {
		return nil, fmt.Errorf("group %d: %w", gm.ID, err)
	}
	for _, b := range buckets {
		g.Buckets = append(g.Buckets, &Bucket{Bucket: b})
	}
	g.assignSlots()
	if old != nil {
		g.Created = old.Created
	}
	t.setGroup(gm.ID, g)
	return nil, nil
}

// editBuckets inserts buckets into a list or removes some from it.
func editBuckets(list []openflow.Bucket, gm *openflow.GroupMod) ([]openflow.Bucket, error) {
	at := slices.IndexFunc(list, func(b openflow.Bucket) bool { return b.ID == gm.CommandBucket })
	unknown := fmt.Errorf("bucket %d: %w", gm.CommandBucket, openflow.GroupModUnknownBucket)
	if gm.Command == openflow.GroupRemoveBucket {
		switch gm.CommandBucket {
		case openflow.BucketAll:
			return nil, nil
		case openflow.BucketFirst:
			at = min(0, len(list)-1)
		case openflow.BucketLast:
			at = len(list) - 1
		default:
			if at < 0 {
				return nil, unknown
			}
		}
		if at >= 0 {
			list = slices.Delete(list, at, at+1)
		}
		return list, nil
	}
	for _, b := range gm.Buckets {
		if slices.ContainsFunc(list, func(o openflow.Bucket) bool { return o.ID == b.ID }) {
			return nil, fmt.Errorf("bucket %d: %w", b.ID, openflow.GroupModBucketExists)
		}
	}
	switch gm.CommandBucket {
	case openflow.BucketFirst:
		at = -1
	case openflow.BucketLast:
		at = len(list) - 1
	default:
		if at < 0 {
			return nil, unknown
		}
	}
	return slices.Insert(list, at+1, gm.Buckets...), nil
}

// checkLoop refuses buckets with which group id would run itself. (A group that is not there may
// be named: it can come later.)
func (t *Tables) checkLoop(id uint32, buckets []openflow.Bucket) error {
	seen := map[uint32]bool{}
	var visit func(to uint32) bool
	each := func(b *openflow.Bucket) (loop bool) {
		eachGroup(b.Actions, func(to uint32) { loop = loop || visit(to) })
		return loop || b.WatchGroup != openflow.GroupAny && visit(b.WatchGroup)
	}
	visit = func(to uint32) bool {
		if to == id {
			return true
		}
		if seen[to] {
			return false
		}
		seen[to] = true
		g := t.Group(to)
		return g != nil && slices.ContainsFunc(g.Buckets, func(b *Bucket) bool { return each(&b.Bucket) })
	}
	for i := range buckets {
		if each(&buckets[i]) {
			return fmt.Errorf("runs itself: %w", openflow.GroupModLoop)
		}
	}
	return nil
}

// setGroup puts a group in place of what is there, nil: removes that.
func (t *Tables) setGroup(id uint32, g *Group) {
	old := t.groups.byID[id]
	put := func(g, old *Group) {
		if old != nil {
			old.replaced.Store(1)
		} else {
			t.groups.added.n.Add(1)
		}
		if g != nil {
			g.replaced.Store(0)
			t.groups.byID[id] = g
		} else {
			delete(t.groups.byID, id)
		}
	}
	put(g, old)
	t.onUndo(func() { put(old, g) })
}

// deleteGroup removes a group with the rules that name it.
func (t *Tables) deleteGroup(g *Group) []Removed {
	rules := slices.Collect(maps.Keys(t.groups.users[g.ID]))
	slices.SortFunc(rules, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(b.Priority, a.Priority))
	})
	gone := t.removeAll(rules, openflow.RemovedGroupDelete)
	t.setGroup(g.ID, nil)
	return gone
}

// CheckGroups refuses actions that name a group that is not there.
func (t *Tables) CheckGroups(actions []openflow.Action) (err error) {
	eachGroup(actions, func(id uint32) {
		if err == nil && t.Group(id) == nil {
			err = fmt.Errorf("group %d: %w", id, openflow.ActionBadOutGroup)
		}
	})
	return err
}

// uses keeps the rules that name a group or a meter: r does so, or does no more.
func (t *Tables) uses(r *Rule, does bool) {
	t.usesMeters(r, does)
	t.learners.learns(r, does)
	t.limited.uses(t, r, does)
	if does {
		r.conj = conjunctionsOf(r.Actions)
	}
	eachGroup(r.Actions, func(id uint32) {
		users := t.groups.users[id]
		if !does {
			if delete(users, r); len(users) == 0 {
				delete(t.groups.users, id)
			}
			return
		}
		if users == nil {
			users = make(map[*Rule]struct{})
			t.groups.users[id] = users
		}
		users[r] = struct{}{}
	})
}

// setActions gives a rule that is in the tables actions.
func (t *Tables) setActions(r *Rule, actions []openflow.Action) {
	t.uses(r, false)
	r.Actions = actions
	t.uses(r, true)
}

// eachGroup calls f for each group that actions name.
func eachGroup(actions []openflow.Action, f func(id uint32)) {
	for _, a := range actions {
		switch a := a.(type) {
		case openflow.Group:
			f(a.ID)
		case openflow.WriteActions:
			eachGroup(a.Actions, f)
		case openflow.Clone:
			eachGroup(a.Actions, f)
		}
	}
}
