package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// picture is all that can be seen of tables, in order: rules, counters, versions, and what lookups
// of keys find and read.
func picture(t *Tables, keys []flow.Key) []string {
	var lines []string
	all := All()
	all.Hidden = true
	t.Each(all, func(r *Rule) {
		lines = append(lines, fmt.Sprint(r.Table, r.Priority, r.Match(), r.Cookie, r.Idle, r.Hard, r.Importance, r.Flags, r.Actions,
			r.Created, r.Modified, r.Stats()))
	})
	for id := range uint8(Count) {
		v := t.Version(id).Version()
		if v > 1 || t.Len(id) > 0 {
			lines = append(lines, fmt.Sprint("table ", id, t.Len(id), " version ", v))
		}
	}
	lines = append(lines, fmt.Sprint("expirable ", t.Expirable()))
	for i := range keys {
		for id := range uint8(2) {
			var wc flow.Mask
			r := t.Lookup(id, &keys[i], &wc)
			lines = append(lines, fmt.Sprintf("%p %v", r, wc))
		}
	}
	return lines
}

// drawMods draws flow mods of few matches.
func drawMods(t *rapid.T, masks []flow.Mask, keys []flow.Key) []*openflow.FlowMod {
	mods := make([]*openflow.FlowMod, rapid.IntRange(0, 30).Draw(t, "mods"))
	for i := range mods {
		m := flow.Match{Key: rapid.SampledFrom(keys).Draw(t, "key"), Mask: rapid.SampledFrom(masks).Draw(t, "mask")}
		m.Normalize()
		cmd := rapid.SampledFrom([]openflow.FlowModCommand{add, add, add, modify, modStr, del, delStr, delStr}).Draw(t, "command")
		fm := mod(cmd, openflow.FlowMod{
			Table: rapid.Uint8Range(0, 1).Draw(t, "table"), Match: m, Priority: rapid.Uint16Range(0, 2).Draw(t, "priority"),
			NewCookie: rapid.Uint64Range(0, 3).Draw(t, "cookie"), Idle: rapid.Uint16Range(0, 1).Draw(t, "idle"),
			Hard: rapid.Uint16Range(0, 1).Draw(t, "hard"), Flags: rapid.SampledFrom([]uint16{0, openflow.FlagResetCounts, openflow.FlagCheckOverlap}).Draw(t, "flags"),
			Actions: out(openflow.PortNo(rapid.Uint32Range(1, 3).Draw(t, "out"))),
		})
		if cmd == del && rapid.Bool().Draw(t, "all") {
			fm.Match = flow.Match{}
		}
		mods[i] = fm
	}
	return mods
}

// TestAtomically: what failed leaves no trace, whatever it did; what did not fail is as if it had
// been done one by one.
func TestAtomically(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := make([]flow.Key, 4)
		for i := range keys {
			keys[i] = drawKey(t)
		}
		masks := make([]flow.Mask, 4)
		for i := range masks[1:] {
			masks[i+1] = drawMask(t)
		}
		clk := clock.NewManual(time.Unix(1000, 0))
		tables, other := New(Options{Clock: clk}), New(Options{Clock: clk})
		both := func(f func(*Tables)) { f(tables); f(other) }
		for _, fm := range drawMods(t, masks, keys) {
			both(func(tb *Tables) { _, _ = tb.Apply(fm) })
		}
		both(func(tb *Tables) {
			tb.Each(All(), func(r *Rule) { r.Credit(uint64(r.Priority)+1, 60, clk.Now(), 0) })
		})
		clk.Advance(time.Second)

		before := picture(tables, keys)
		mods := drawMods(t, masks, keys)
		failure := errors.New("failure")
		err := tables.Atomically(func() error {
			for _, fm := range mods {
				_, _ = tables.Apply(fm)
			}
			return failure
		})
		if err != failure {
			t.Fatalf("error %v", err)
		}
		if d := cmp.Diff(before, picture(tables, keys)); d != "" {
			t.Fatalf("after a failure (-want +got):\n%s", d)
		}

		// The tables are as good as others that saw no failure.
		for _, fm := range drawMods(t, masks, keys) {
			var errs [2]error
			errs[0] = tables.Atomically(func() error { _, err := tables.Apply(fm); return err })
			_, errs[1] = other.Apply(fm)
			if (errs[0] == nil) != (errs[1] == nil) {
				t.Fatalf("errors %v", errs)
			}
		}
		// Pointers and hashes differ between the two.
		if d := cmp.Diff(picture(other, nil), picture(tables, nil)); d != "" {
			t.Fatalf("after success (-want +got):\n%s", d)
		}
		both(func(tb *Tables) {
			if _, err := tb.Apply(mod(del, openflow.FlowMod{Table: all})); err != nil {
				t.Fatal(err)
			}
			for id := range 2 {
				c := &tb.table[id]
				if c.rules != 0 || len(c.subs) != 0 || len(c.byMask) != 0 {
					t.Fatalf("table %d is not empty: %d rules, %d subtables, %d masks", id, c.rules, len(c.subs), len(c.byMask))
				}
			}
		})
	})
}

// Traffic that is credited while a transaction runs is not lost with it.
func TestAtomicallyCredit(t *testing.T) {
	tables := New(Options{})
	fm := mod(add, openflow.FlowMod{Flags: openflow.FlagResetCounts})
	_, _ = tables.Apply(fm)
	r := tables.Lookup(0, &flow.Key{}, &flow.Mask{})
	r.Credit(5, 500, time.Time{}, 0)
	_ = tables.Atomically(func() error {
		_, _ = tables.Apply(fm)
		r.Credit(2, 200, time.Time{}, 0)
		return errors.New("failure")
	})
	if s := r.Stats(); s.Packets != 7 || s.Bytes != 700 {
		t.Errorf("%d packets, %d bytes", s.Packets, s.Bytes)
	}
}

func BenchmarkRollback(b *testing.B) {
	tables := New(Options{})
	for i := range uint64(50_000) {
		var m flow.Match
		m.Set(flow.Metadata, i)
		_, _ = tables.Apply(mod(add, openflow.FlowMod{Match: m}))
	}
	for b.Loop() {
		_ = tables.Atomically(func() error {
			_, _ = tables.Apply(mod(del, openflow.FlowMod{Table: all}))
			return errors.New("failure")
		})
	}
}
