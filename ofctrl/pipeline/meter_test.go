package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// TestMeters translates meters: those of flows where they are among the actions, those of packets to controllers around
// these alone; a megaflow hears of each that comes or goes, and holds what it names.
func TestMeters(t *testing.T) {
	dp := soft.New(soft.Options{})
	defer dp.Close(true)
	meters := datapath.NewMeters(dp)
	to := openflow.Controller{MaxLen: 9, Reason: openflow.ReasonAction}
	own := to
	own.MeterID = 7
	w := newWorld(nil, nil)
	tables := w.br0.tables
	add := func(id uint32) *table.Meter {
		m, err := meters.New(datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		tm := table.NewMeter(openflow.MeterConfig{ID: id}, time.Time{}, m)
		tables.AddMeter(tm)
		return tm
	}
	flow := func(actions ...openflow.Action) {
		r := rule(0, 5, "", actions...)
		tables.AddInternal(0, 5, &r.match, actions)
	}
	k := frame(t, "in_port=b", arpFrame)
	const up = "controller(reason=1 max_len=9 id=0)"
	metered := func(meter int) string { return fmt.Sprintf("sample(meter(%d),%s)", meter, up) }
	var last *datapath.Result
	want := func(what, want string) {
		t.Helper()
		if last != nil {
			changed := false
			for _, d := range last.Deps {
				changed = changed || d.Changed()
			}
			if !changed {
				t.Errorf("%s: the megaflow does not hear of the change", what)
			}
			release(last)
		}
		last = w.run(k)
		if diff := cmp.Diff(want, meterText(last.Actions)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	flow(own, to, output(2))
	want("none", up+","+up+",12")
	all := add(openflow.MeterController) // 0
	want("one for all", metered(0)+","+metered(0)+",12")
	seven := add(7) // 1
	want("its own", metered(1)+","+metered(0)+",12")
	tables.DeleteMeter(all)
	all.Datapath.Release()
	want("its own alone", metered(1)+","+up+",12")
	if last.SlowMeter != nil {
		t.Error("a slow path meter")
	}
	slow := add(openflow.MeterSlowPath)
	flow(output(3), openflow.Meter{ID: 7}, setField("eth_src=020000000009"), output(2))
	want("a flow's", "13,meter(1),set(eth_src=020000000009),12")
	if last.SlowMeter != slow.Datapath {
		t.Errorf("slow path meter %v, want %v", last.SlowMeter, slow.Datapath)
	}
	// The table is rid of it, the megaflow not yet.
	tables.DeleteMeter(seven)
	seven.Datapath.Release()
	if n := meters.Len(); n != 2 {
		t.Errorf("%d meters while a megaflow names one that is deleted, want 2", n)
	}
	want("deleted", "") // with the flow
	tables.DeleteMeter(slow)
	slow.Datapath.Release()
	release(last)
	if n := meters.Len(); n != 0 {
		t.Errorf("%d meters are left", n)
	}
}

// meterText is actionsText with meters.
func meterText(list []odp.Action) string {
	var out []string
	for i, a := range list {
		text := actionsText(list[i : i+1])
		switch a := a.(type) {
		case odp.Meter:
			text = fmt.Sprintf("meter(%d)", a.ID)
		case odp.Sample:
			if a.Probability == 1<<32-1 {
				text = "sample(" + meterText(a.Actions) + ")"
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, ",")
}
