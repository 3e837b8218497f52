package datapath_test

import (
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// sunk is a datapath that takes flows and packets and does nothing with them.
type sunk struct {
	datapath.Datapath
	flows   datapath.FlowRef
	handler func(*datapath.Upcall)
	ready   chan struct{}
}

func (s *sunk) FlowDump(func(datapath.FlowRef, *datapath.Flow, datapath.FlowStats) bool) error {
	return nil
}

func (s *sunk) FlowPut(*datapath.Flow) (datapath.FlowRef, error) {
	s.flows++
	return s.flows, nil
}

func (s *sunk) FlowDel(datapath.FlowRef) (datapath.FlowStats, error) {
	return datapath.FlowStats{}, nil
}

func (s *sunk) FlowStats(datapath.FlowRef) (datapath.FlowStats, error) {
	return datapath.FlowStats{}, nil
}

func (s *sunk) Execute(*datapath.Packet, *flow.Key, []odp.Action) error { return nil }

func (s *sunk) Handle(f func(*datapath.Upcall)) {
	if s.handler = f; f != nil {
		close(s.ready)
	}
}

// newSunk starts an engine over a datapath that costs nothing: what is measured is the engine's own.
func newSunk(tb testing.TB, panel *patchPanel) (*sunk, *datapath.Engine) {
	tb.Helper()
	s := &sunk{ready: make(chan struct{})}
	e, err := datapath.NewEngine(datapath.EngineOptions{
		Datapath: s, Translator: panel, Clock: clock.NewManual(time.Unix(1, 0)), Mono: func() int64 { return 1 },
	})
	if err != nil {
		tb.Fatal(err)
	}
	ctx := tb.Context()
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	tb.Cleanup(func() { <-done })
	<-s.ready
	e.SetFlowLimit(1 << 30)
	return s, e
}

func newFlow(up *datapath.Upcall, i int) {
	up.Key.Set(flow.InPort, 1)
	up.Key.Set(flow.EthType, 0x800)
	up.Key.Set(flow.IPv4Src, uint64(i))
	up.Packet.Data = make([]byte, 64)
}

// TestUpcallAllocatesNothing: a packet whose megaflow is there already, and one whose megaflow sends all packets
// up, are translated in memory that there is already.
func TestUpcallAllocatesNothing(t *testing.T) {
	for name, slow := range map[string]string{"same flow again": "", "slow path": "controller"} {
		panel := &patchPanel{to: map[odp.Port][]odp.Action{1: {odp.Output{Port: 2}}}, slow: slow}
		s, _ := newSunk(t, panel)
		var up datapath.Upcall
		newFlow(&up, 1)
		if slow != "" {
			up.Kind = odp.UpcallSlowPath
		}
		s.handler(&up)
		// The race detector has sync.Pool forget at random.
		if n := testing.AllocsPerRun(1000, func() { s.handler(&up) }); n > 0 && !raceEnabled {
			t.Errorf("%s: %v allocations per upcall", name, n)
		}
	}
}

// BenchmarkSetUp is a packet of a new flow.
func BenchmarkSetUp(b *testing.B) {
	panel := &patchPanel{to: map[odp.Port][]odp.Action{1: {odp.Output{Port: 2}}}, reads: []flow.FieldID{flow.IPv4Src}}
	s, e := newSunk(b, panel)
	var up datapath.Upcall
	newFlow(&up, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100000 == 99999 {
			b.StopTimer()
			e.Purge()
			b.StartTimer()
		}
		up.Key.Set(flow.IPv4Src, uint64(i))
		s.handler(&up)
	}
}
