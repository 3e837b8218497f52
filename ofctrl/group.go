package ofctrl

import (
	"context"
	"fmt"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// groupMod changes groups.
func (c *conn) groupMod(xid uint32, m *openflow.GroupMod) error {
	if err := checkBuckets(m); err != nil {
		return err
	}
	s := c.sw
	s.o.Mu.Lock()
	err := c.checkTLV(m)
	if err == nil {
		var gone []table.Removed
		gone, err = s.o.Tables.ApplyGroup(m)
		s.announce(gone, nil)
	}
	s.o.Mu.Unlock()
	if err != nil {
		return err
	}
	s.o.Host.TablesChanged()
	s.forward(c, xid, m)
	return nil
}

// checkBuckets finds what can be wrong without the groups. Buckets may name groups that are to come.
func checkBuckets(m *openflow.GroupMod) error {
	for i := range m.Buckets {
		if err := checkActions(m.Buckets[i].Actions); err != nil {
			return fmt.Errorf("group %d: %w", m.ID, err)
		}
	}
	return nil
}

// groupDesc describes a group, or all.
func (c *conn) groupDesc(ctx context.Context, xid, id uint32) error {
	s := c.sw
	var list []openflow.GroupDesc
	s.o.Mu.RLock()
	for _, g := range s.o.Tables.Groups(id) {
		list = append(list, g.Desc())
	}
	s.o.Mu.RUnlock()
	return parts(ctx, c, xid, list, func(g []openflow.GroupDesc) openflow.MultipartBody {
		return &openflow.GroupDescReply{Groups: g}
	})
}

// groupStats gives the counters of a group, or of all.
func (c *conn) groupStats(ctx context.Context, xid, id uint32) error {
	s := c.sw
	var list []openflow.GroupStats
	s.o.Mu.RLock()
	now := s.o.Clock.Now()
	for _, g := range s.o.Tables.Groups(id) {
		list = append(list, groupStats(g, s.o.Tables.GroupUsers(g.ID), now))
	}
	s.o.Mu.RUnlock()
	return parts(ctx, c, xid, list, func(g []openflow.GroupStats) openflow.MultipartBody {
		return &openflow.GroupStatsReply{Groups: g}
	})
}

func groupStats(g *table.Group, users int, now time.Time) openflow.GroupStats {
	n := g.Counts()
	age := now.Sub(g.Created).Truncate(time.Millisecond) // OVS's resolution
	st := openflow.GroupStats{
		ID: g.ID, RefCount: uint32(users), Packets: n.Packets, Bytes: n.Bytes,
		DurationSec: seconds(age), DurationNsec: nanoseconds(age),
	}
	for _, b := range g.Buckets {
		st.Buckets = append(st.Buckets, b.Counts())
	}
	return st
}

// groupFeatures says what groups there can be.
func (c *conn) groupFeatures(ctx context.Context, xid uint32) error {
	types := uint32(actionTypes)
	switch c.version {
	case openflow.V10:
		types = actionTypes10
	case openflow.V11:
		types = actionTypes11
	}
	return c.part(ctx, xid, &openflow.GroupFeaturesReply{
		Types: groupTypes, Capabilities: groupCapabilities,
		Max: [4]uint32{maxGroups, maxGroups, maxGroups, maxGroups}, Actions: [4]uint32{types, types, types, types},
	})
}

const (
	groupTypes        = 0xf // all, select, indirect, fast failover
	groupCapabilities = 0x7 // select weight, select liveness, chaining
	maxGroups         = 0xffffff00
)
