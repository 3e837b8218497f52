package datapath_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
)

var onePacket = datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1}}}

// fewMeters is a datapath with few meters.
type fewMeters struct {
	*soft.Datapath
	limit uint32
}

func (f fewMeters) MeterLimits() datapath.MeterLimits {
	return datapath.MeterLimits{Meters: f.limit, Bands: 8}
}

// TestMeterIDs makes, holds and releases meters at random: ids are never shared, and the datapath has a meter as long as
// somebody holds it.
func TestMeterIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dp := fewMeters{soft.New(soft.Options{}), 5}
		defer dp.Close(true)
		meters := datapath.NewMeters(dp)
		refs := map[*datapath.Meter]int{}
		var order []*datapath.Meter
		pick := func() *datapath.Meter { return rapid.SampledFrom(order).Draw(t, "meter") }
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 2).Draw(t, "step"); {
			case step == 0 || len(refs) == 0:
				m, err := meters.New(onePacket)
				if len(refs) == 5 {
					if !errors.Is(err, datapath.ErrFull) {
						t.Fatalf("a sixth meter: %v", err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				for other := range refs {
					if other.ID() == m.ID() {
						t.Fatalf("id %d twice", m.ID())
					}
				}
				refs[m], order = 1, append(order, m)
			case step == 1:
				refs[pick().Hold()]++
			default:
				m := pick()
				m.Release()
				if refs[m]--; refs[m] == 0 {
					delete(refs, m)
					order = order[:0]
					for m := range refs {
						order = append(order, m)
					}
					sortMeters(order)
				}
			}
			want := []uint32{}
			for m := range refs {
				want = append(want, m.ID())
			}
			if diff := cmp.Diff(want, dp.MeterIDs(), cmpopts.SortSlices(func(a, b uint32) bool { return a < b }), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("meters of the datapath (-want +got):\n%s", diff)
			}
			if meters.Len() != len(want) {
				t.Fatalf("%d meters, want %d", meters.Len(), len(want))
			}
		}
	})
}

func sortMeters(list []*datapath.Meter) {
	for i := range list {
		for j := i; j > 0 && list[j].ID() < list[j-1].ID(); j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

// TestRefusedMeters: what the datapath refuses takes no id.
func TestRefusedMeters(t *testing.T) {
	dp := soft.New(soft.Options{})
	defer dp.Close(true)
	meters := datapath.NewMeters(dp)
	for range 3 {
		if _, err := meters.New(datapath.MeterConfig{Bands: []datapath.MeterBand{{Rate: 0}}}); err == nil {
			t.Error("a band with rate 0 is accepted")
		}
	}
	m, err := meters.New(onePacket)
	if err != nil || m.ID() != 0 || meters.Len() != 1 {
		t.Errorf("meter %v, %v; %d meters", m, err, meters.Len())
	}
	if st, err := m.Stats(); err != nil || len(st.Bands) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestAdoptedMeters: of the meters of an earlier run those stay that megaflows name, until these are gone, and no new
// meter gets their ids.
func TestAdoptedMeters(t *testing.T) {
	b := newBench(t)
	for id := range uint32(6) {
		if err := b.dp.MeterSet(id, onePacket); err != nil {
			t.Fatal(err)
		}
	}
	f := &datapath.Flow{Actions: []odp.Action{
		odp.Meter{ID: 1}, odp.Sample{Probability: 1, Actions: []odp.Action{odp.Meter{ID: 2}}}, odp.Meter{ID: 77},
		odp.CheckPktLen{Len: 9, Greater: []odp.Action{odp.Clone{Actions: []odp.Action{odp.Meter{ID: 3}}}}, LessEqual: []odp.Action{odp.Meter{ID: 4}}},
	}}
	f.Match.Set(flow.InPort, 99)
	if _, err := b.dp.FlowPut(f); err != nil {
		t.Fatal(err)
	}
	meters := datapath.NewMeters(b.dp)
	e, err := datapath.NewEngine(datapath.EngineOptions{Datapath: b.dp, Translator: b.panel, Clock: b.clock, Mono: b.dp.Mono})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(what string, want ...uint32) {
		t.Helper()
		if diff := cmp.Diff(want, b.dp.MeterIDs(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("meters %s (-want +got):\n%s", what, diff)
		}
	}
	ids("before", 0, 1, 2, 3, 4, 5)
	e.HoldMeters(meters)
	ids("of flows", 1, 2, 3, 4)
	for _, want := range []uint32{0, 5, 6} {
		m, err := meters.New(onePacket)
		if err != nil || m.ID() != want {
			t.Fatalf("new meter %+v, %v; want %d", m, err, want)
		}
		defer m.Release()
	}
	e.Purge()
	ids("after the flow", 0, 5, 6)
}

// TestSlowFlowsAreMetered: the megaflow of packets that come up has the meter that its translation names, and follows it.
func TestSlowFlowsAreMetered(t *testing.T) {
	b := newBench(t)
	meters := datapath.NewMeters(b.dp)
	m, err := meters.New(datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1, Burst: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	b.panel.slow = "stp"
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.panel.mu.Lock()
	b.panel.limit = m
	b.panel.mu.Unlock()
	b.send(1, 1) // the miss itself is not limited
	b.eventually("the megaflow", func() bool { return b.engine.FlowCount() == 1 && b.got[2].Load() == 1 })
	b.send(10, 1)
	b.eventually("the burst", func() bool { return b.got[2].Load() == 5 })
	b.panel.mu.Lock()
	b.panel.limit = nil
	b.panel.mu.Unlock()
	b.panel.changes.Add(1)
	b.revalidate()
	b.send(10, 1)
	b.eventually("all packets", func() bool { return b.got[2].Load() == 15 })
	m.Release()
	if n := meters.Len(); n != 0 {
		t.Errorf("%d meters are held", n)
	}
}
