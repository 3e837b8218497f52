package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

func bucket(id uint32, weight uint16, actions ...openflow.Action) openflow.Bucket {
	return openflow.Bucket{ID: id, Weight: weight, WatchPort: openflow.PortAny, WatchGroup: openflow.GroupAny, Actions: actions}
}

func groupsText(t *Tables) string {
	var out []string
	for _, g := range t.Groups(openflow.GroupAll) {
		s := fmt.Sprintf("%d type %d users %d:", g.ID, g.Type, t.GroupUsers(g.ID))
		for _, b := range g.Buckets {
			s += fmt.Sprintf(" %d", b.ID)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestApplyGroup(t *testing.T) {
	to := func(id uint32) openflow.Action { return openflow.Group{ID: id} }
	tables := New(Options{})
	for _, tt := range []struct {
		name string
		gm   openflow.GroupMod
		err  openflow.Err
		want string
	}{
		{"add", openflow.GroupMod{Command: openflow.GroupAdd, ID: 1, Buckets: []openflow.Bucket{bucket(0, 0), bucket(1, 0)}}, 0, "1 type 0 users 0: 0 1"},
		{"add again", openflow.GroupMod{Command: openflow.GroupAdd, ID: 1}, openflow.GroupModExists, "1 type 0 users 0: 0 1"},
		{"modify unknown", openflow.GroupMod{Command: openflow.GroupModify, ID: 2}, openflow.GroupModUnknownGroup, "1 type 0 users 0: 0 1"},
		{"modify", openflow.GroupMod{Command: openflow.GroupModify, ID: 1, Type: 1, Buckets: []openflow.Bucket{bucket(5, 1)}}, 0, "1 type 1 users 0: 5"},
		{"insert last", openflow.GroupMod{Command: openflow.GroupInsertBucket, ID: 1, CommandBucket: openflow.BucketLast, Buckets: []openflow.Bucket{bucket(6, 1), bucket(7, 1)}}, 0, "1 type 1 users 0: 5 6 7"},
		{"insert first", openflow.GroupMod{Command: openflow.GroupInsertBucket, ID: 1, CommandBucket: openflow.BucketFirst, Buckets: []openflow.Bucket{bucket(8, 1)}}, 0, "1 type 1 users 0: 8 5 6 7"},
		{"insert behind", openflow.GroupMod{Command: openflow.GroupInsertBucket, ID: 1, CommandBucket: 5, Buckets: []openflow.Bucket{bucket(9, 1)}}, 0, "1 type 1 users 0: 8 5 9 6 7"},
		{"insert the same", openflow.GroupMod{Command: openflow.GroupInsertBucket, ID: 1, CommandBucket: 5, Buckets: []openflow.Bucket{bucket(9, 1)}}, openflow.GroupModBucketExists, "1 type 1 users 0: 8 5 9 6 7"},
		{"insert behind none", openflow.GroupMod{Command: openflow.GroupInsertBucket, ID: 1, CommandBucket: 77, Buckets: []openflow.Bucket{bucket(3, 1)}}, openflow.GroupModUnknownBucket, "1 type 1 users 0: 8 5 9 6 7"},
		{"remove", openflow.GroupMod{Command: openflow.GroupRemoveBucket, ID: 1, CommandBucket: 9}, 0, "1 type 1 users 0: 8 5 6 7"},
		{"remove none", openflow.GroupMod{Command: openflow.GroupRemoveBucket, ID: 1, CommandBucket: 9}, openflow.GroupModUnknownBucket, "1 type 1 users 0: 8 5 6 7"},
		{"remove first", openflow.GroupMod{Command: openflow.GroupRemoveBucket, ID: 1, CommandBucket: openflow.BucketFirst}, 0, "1 type 1 users 0: 5 6 7"},
		{"remove last", openflow.GroupMod{Command: openflow.GroupRemoveBucket, ID: 1, CommandBucket: openflow.BucketLast}, 0, "1 type 1 users 0: 5 6"},
		{"remove all", openflow.GroupMod{Command: openflow.GroupRemoveBucket, ID: 1, CommandBucket: openflow.BucketAll}, 0, "1 type 1 users 0:"},
		{"remove first of none", openflow.GroupMod{Command: openflow.GroupRemoveBucket, ID: 1, CommandBucket: openflow.BucketFirst}, 0, "1 type 1 users 0:"},
		{"self", openflow.GroupMod{Command: openflow.GroupAdd, ID: 2, Buckets: []openflow.Bucket{bucket(0, 0, to(2))}}, openflow.GroupModLoop, "1 type 1 users 0:"},
		{"chain", openflow.GroupMod{Command: openflow.GroupAddOrModify, ID: 2, Buckets: []openflow.Bucket{bucket(0, 0, to(3))}}, 0, "1 type 1 users 0:; 2 type 0 users 0: 0"},
		{"loop", openflow.GroupMod{Command: openflow.GroupAdd, ID: 3, Buckets: []openflow.Bucket{bucket(0, 0, to(1)), bucket(1, 0, to(2))}}, openflow.GroupModLoop, "1 type 1 users 0:; 2 type 0 users 0: 0"},
		{"delete unknown", openflow.GroupMod{Command: openflow.GroupDelete, ID: 7}, 0, "1 type 1 users 0:; 2 type 0 users 0: 0"},
		{"delete all", openflow.GroupMod{Command: openflow.GroupDelete, ID: openflow.GroupAll}, 0, ""},
	} {
		_, err := tables.ApplyGroup(&tt.gm)
		var kind openflow.Err
		errors.As(err, &kind)
		if kind != tt.err || (err != nil) != (tt.err != 0) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
		if got := groupsText(tables); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestGroupUsers(t *testing.T) {
	tables := New(Options{})
	group := []openflow.Action{openflow.Group{ID: 1}}
	fm := mod(add, openflow.FlowMod{Match: port(1, false), Actions: []openflow.Action{openflow.WriteActions{Actions: group}}})
	if _, err := tables.Apply(fm); !errors.Is(err, openflow.ActionBadOutGroup) {
		t.Errorf("a flow without its group: %v", err)
	}
	_, _ = tables.ApplyGroup(&openflow.GroupMod{Command: openflow.GroupAdd, ID: 1})
	_, _ = tables.ApplyGroup(&openflow.GroupMod{Command: openflow.GroupAdd, ID: 2})
	for _, fm := range []*openflow.FlowMod{fm, mod(add, openflow.FlowMod{Match: port(2, false)}), mod(modify, openflow.FlowMod{Match: port(2, false), Actions: group})} {
		if _, err := tables.Apply(fm); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := groupsText(tables), "1 type 0 users 2:; 2 type 0 users 0:"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	before := tables.Group(1)
	_ = tables.Atomically(func() error {
		gone, _ := tables.ApplyGroup(&openflow.GroupMod{Command: openflow.GroupDelete, ID: 1})
		if len(gone) != 2 || gone[0].Reason != openflow.RemovedGroupDelete || tables.Total() != 4 || tables.Group(1) != nil {
			t.Errorf("deletion left %d rules, removed %v", tables.Total(), gone)
		}
		return errors.New("failure")
	})
	if got, want := groupsText(tables), "1 type 0 users 2:; 2 type 0 users 0:"; got != want || tables.Group(1) != before || before.Version() != 0 {
		t.Errorf("after a failure %s, want %s", got, want)
	}
	if _, err := tables.Apply(mod(del, openflow.FlowMod{Table: all})); err != nil || tables.GroupUsers(1) != 0 {
		t.Errorf("%d users, %v", tables.GroupUsers(1), err)
	}
}

// TestGroupsAtomically: what failed leaves no trace in groups and the rules that name them.
func TestGroupsAtomically(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables := New(Options{})
		mods := func(name string) {
			for range rapid.IntRange(0, 20).Draw(t, name) {
				id := rapid.Uint32Range(1, 3).Draw(t, "id")
				if rapid.Bool().Draw(t, "flow") {
					_, _ = tables.Apply(mod(rapid.SampledFrom([]openflow.FlowModCommand{add, add, modify, del}).Draw(t, "command"), openflow.FlowMod{
						Match: port(rapid.Uint64Range(0, 2).Draw(t, "port"), false), Actions: []openflow.Action{openflow.Group{ID: id}}, OutGroup: openflow.GroupAny,
					}))
					continue
				}
				_, _ = tables.ApplyGroup(&openflow.GroupMod{
					Command: rapid.SampledFrom([]openflow.GroupCommand{openflow.GroupAdd, openflow.GroupAdd, openflow.GroupModify, openflow.GroupDelete}).Draw(t, "command"),
					ID:      id, Type: rapid.Uint8Range(0, 1).Draw(t, "type"),
				})
			}
		}
		mods("before")
		text, list, flows := groupsText(tables), tables.Groups(openflow.GroupAll), picture(tables, []flow.Key{{}})
		_ = tables.Atomically(func() error { mods("during"); return errors.New("failure") })
		if got := groupsText(tables); got != text || !slices.Equal(tables.Groups(openflow.GroupAll), list) {
			t.Fatalf("%s, want %s", got, text)
		}
		for _, g := range list {
			if g.Version() != 0 {
				t.Fatalf("group %d counts as replaced", g.ID)
			}
		}
		if d := cmp.Diff(flows, picture(tables, []flow.Key{{}})); d != "" {
			t.Fatal(d)
		}
	})
}

// Each bucket has the share of slots that its weight says, to within a slot and a half.
func TestSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Uint16Range(0, 20), 1, 10).Draw(t, "weights")
		g := &Group{Type: openflow.GroupTypeSelect, Selection: openflow.Selection{Method: "dp_hash"}}
		sum := 0
		for i, w := range weights {
			g.Buckets = append(g.Buckets, &Bucket{Bucket: bucket(uint32(i), w)})
			sum += int(w)
		}
		g.assignSlots()
		slots := g.Slots()
		if sum == 0 {
			if slots != nil {
				t.Fatal("slots without weights")
			}
			return
		}
		if len(slots) < minSlots || len(slots)&(len(slots)-1) != 0 {
			t.Fatalf("%d slots", len(slots))
		}
		for i, b := range g.Buckets {
			n := 0
			for _, s := range slots {
				if s == b {
					n++
				}
			}
			share := float64(weights[i]) * float64(len(slots)) / float64(sum)
			if d := float64(n) - share; d > 1.5 || d < -1.5 || weights[i] > 0 && n == 0 {
				t.Fatalf("bucket %d has %d of %d slots, its share is %.1f", i, n, len(slots), share)
			}
		}
	})
}
