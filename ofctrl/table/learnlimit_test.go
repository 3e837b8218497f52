package table

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestLearnedFlows: what is counted is what is there, whatever came, went, changed or was undone.
func TestLearnedFlows(t *testing.T) {
	most := 0
	rapid.Check(t, func(t *rapid.T) {
		keys := []flow.Key{drawKey(t), drawKey(t), drawKey(t)}
		masks := []flow.Mask{{}, drawMask(t)}
		tables := New(Options{Clock: clock.NewManual(time.Unix(1000, 0))})
		for range 3 {
			mods := drawMods(t, masks, keys)
			for _, fm := range mods {
				if rapid.Bool().Draw(t, "learns") {
					fm.Actions = append(fm.Actions, openflow.Learn{
						Table: rapid.Uint8Range(0, 1).Draw(t, "into"), Cookie: rapid.Uint64Range(0, 3).Draw(t, "cookie"),
						Limit: rapid.Uint32Range(0, 2).Draw(t, "limit"), Priority: 1,
					})
				}
				if rapid.IntRange(0, 5).Draw(t, "keep") == 0 {
					fm.NewCookie = openflow.KeepCookie
				}
			}
			var failure error
			if rapid.Bool().Draw(t, "fails") {
				failure = errors.New("failure")
			}
			_ = tables.Atomically(func() error {
				for _, fm := range mods {
					_, _ = tables.Apply(fm)
				}
				return failure
			})
			actions := make(map[learnKey]int)
			tables.Each(All(), func(r *Rule) {
				for _, a := range r.Actions {
					if a, ok := a.(openflow.Learn); ok && a.Limit != 0 {
						actions[learnKey{a.Table, a.Cookie}]++
					}
				}
			})
			if len(actions) != len(tables.limited) {
				t.Fatalf("%d cookies are counted, %d are limited", len(tables.limited), len(actions))
			}
			for k, f := range tables.limited {
				if n := tables.countLearned(k); f.flows != n || f.actions != actions[k] {
					t.Fatalf("%+v: %+v, but there are %d flows and %d actions", k, *f, n, actions[k])
				}
				most = max(most, f.flows)
			}
		}
	})
	if most < 3 {
		t.Errorf("at most %d flows were counted", most)
	}
}
