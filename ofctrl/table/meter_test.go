package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

func TestMeters(t *testing.T) {
	tables := New(Options{})
	add := func(id uint32) *Meter {
		v := tables.MeterAdded().Version()
		m := NewMeter(openflow.MeterConfig{ID: id}, time.Time{}, nil)
		if tables.AddMeter(m); tables.MeterAdded().Version() == v {
			t.Error("what did not find the meter does not hear of it")
		}
		return m
	}
	one, two := add(1), add(2)
	add(openflow.MeterController)
	list := func(actions ...openflow.Action) []openflow.Action { return actions }
	flow := func(command openflow.FlowModCommand, priority uint16, actions ...openflow.Action) *openflow.FlowMod {
		return &openflow.FlowMod{
			Command: command, Priority: priority, Actions: actions, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
		}
	}
	apply := func(fm *openflow.FlowMod) {
		t.Helper()
		if _, err := tables.Apply(fm); err != nil {
			t.Error(err)
		}
	}
	users := func(what string, want ...int) {
		t.Helper()
		if diff := cmp.Diff(want, []int{tables.MeterUsers(1), tables.MeterUsers(2)}); diff != "" {
			t.Errorf("%s: users (-want +got):\n%s", what, diff)
		}
	}
	for _, bad := range [][]openflow.Action{
		list(openflow.Meter{ID: 3}), list(openflow.Meter{ID: 1}, openflow.Meter{ID: 3}), list(openflow.Clone{Actions: list(openflow.Meter{ID: 3})}),
	} {
		for _, command := range []openflow.FlowModCommand{openflow.FlowAdd, openflow.FlowModify} {
			if _, err := tables.Apply(flow(command, 1, bad...)); !errors.Is(err, openflow.MeterModInvalidMeter) {
				t.Errorf("command %d of %v: %v", command, bad, err)
			}
		}
	}
	users("refused", 0, 0)
	apply(flow(openflow.FlowAdd, 1, openflow.Meter{ID: 1}, openflow.Controller{MeterID: 2}))
	apply(flow(openflow.FlowAdd, 2, openflow.Meter{ID: 1}, openflow.Meter{ID: 2}))
	apply(flow(openflow.FlowAdd, 3, openflow.Controller{MeterID: 1}))
	users("added", 2, 1)

	undone := errors.New("undo")
	err := tables.Atomically(func() error {
		apply(flow(openflow.FlowDelete, 0))
		users("deleted", 0, 0)
		apply(flow(openflow.FlowAdd, 9, openflow.Meter{ID: 2}))
		users("in the transaction", 0, 1)
		return undone
	})
	if err != undone {
		t.Error(err)
	}
	users("undone", 2, 1)
	apply(flow(openflow.FlowAdd, 1, openflow.Meter{ID: 2}))
	users("replaced", 1, 2)

	gone := tables.DeleteMeter(two)
	var text []string
	for _, g := range gone {
		text = append(text, fmt.Sprintf("%d %d", g.Rule.Priority, g.Reason))
	}
	if diff := cmp.Diff([]string{fmt.Sprintf("2 %d", openflow.RemovedMeterDelete), fmt.Sprintf("1 %d", openflow.RemovedMeterDelete)}, text); diff != "" {
		t.Errorf("flows that went (-want +got):\n%s", diff)
	}
	users("meter 2 deleted", 0, 0)
	if one.Version() != 0 || two.Version() == 0 || tables.Meter(2) != nil || len(tables.Meters(openflow.MeterAll)) != 2 {
		t.Errorf("versions %d %d, meters %v", one.Version(), two.Version(), tables.Meters(openflow.MeterAll))
	}
	if tables.DeleteMeter(one); tables.Len(0) != 1 {
		t.Errorf("%d flows, want that of the controller action", tables.Len(0))
	}
}
