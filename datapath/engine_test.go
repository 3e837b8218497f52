package datapath_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// patchPanel translates by the input port alone: what a tester plugs in.
type patchPanel struct {
	mu      sync.Mutex
	to      map[odp.Port][]odp.Action
	reads   []flow.FieldID // read besides in_port
	slow    string
	limit   *datapath.Meter // of slow packets
	changes atomic.Uint64
	rule    counter
	calls   atomic.Int64
	held    atomic.Int64
}

type counter struct{ packets, bytes atomic.Uint64 }

func (c *counter) Credit(p, b uint64, _ time.Time, _ uint16) { c.packets.Add(p); c.bytes.Add(b) }

func (p *patchPanel) Version() uint64 { return p.changes.Load() }
func (p *patchPanel) Release()        { p.held.Add(-1) }

func (p *patchPanel) plug(in odp.Port, actions ...odp.Action) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to[in] = actions
	p.changes.Add(1)
}

func (p *patchPanel) Translate(req *datapath.Request, res *datapath.Result) {
	p.calls.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	res.Deps = append(res.Deps, datapath.Dep{On: p, Version: p.Version()})
	res.Mask.SetExact(flow.InPort)
	for _, f := range p.reads {
		res.Mask.SetExact(f)
	}
	res.Actions = append(res.Actions, p.to[odp.Port(req.Key.Get(flow.InPort))]...)
	res.Credits = append(res.Credits, &p.rule)
	res.Slow = p.slow
	if res.SlowMeter = p.limit; p.limit != nil {
		res.Held = append(res.Held, p.limit.Hold())
	}
	p.held.Add(1)
	res.Held = append(res.Held, p)
}

func (p *patchPanel) Userspace(*datapath.Upcall) {}

// bench is an engine over the reference datapath with two ports and a hand-moved clock.
type bench struct {
	*testing.T
	clock  *clock.Manual
	dp     *soft.Datapath
	panel  *patchPanel
	engine *datapath.Engine
	got    [3]atomic.Int64 // packets out of port 1 and 2
	ports  [3]odp.Port
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, clock: clock.NewManual(time.Unix(1000, 0)), panel: &patchPanel{to: map[odp.Port][]odp.Action{}}}
	b.dp = soft.New(soft.Options{Name: "test", Clock: b.clock})
	for i := 1; i <= 2; i++ {
		no, err := b.dp.PortAdd(datapath.PortSpec{Name: string(rune('a' + i)), Number: odp.PortNone})
		if err != nil {
			t.Fatal(err)
		}
		b.ports[i] = no
		b.dp.Attach(no, func(*datapath.Packet) { b.got[i].Add(1) })
	}
	var err error
	b.engine, err = datapath.NewEngine(datapath.EngineOptions{Datapath: b.dp, Translator: b.panel, Clock: b.clock, Mono: b.dp.Mono})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { b.engine.Run(ctx); close(done) }()
	t.Cleanup(func() {
		cancel()
		<-done
		b.dp.Close(true)
	})
	// Run sets the handler; a revalidation that ended proves that it runs.
	b.revalidate()
	return b
}

func (b *bench) revalidate() {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.engine.Revalidate(ctx); err != nil {
		b.Fatal(err)
	}
}

// send puts n packets into port 1 and waits until all have been forwarded or dropped.
func (b *bench) send(n int, src byte) {
	b.Helper()
	for range n {
		data := make([]byte, 60)
		data[11] = src
		data[12], data[13] = 0x88, 0xb5
		if err := b.dp.Receive(b.ports[1], &datapath.Packet{Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *bench) eventually(what string, f func() bool) {
	b.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.Fatalf("%s: not in time", what)
}

func TestMissInstallsAMegaflow(t *testing.T) {
	b := newBench(t)
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.send(1, 1)
	b.eventually("first packet", func() bool { return b.got[2].Load() == 1 && b.engine.FlowCount() == 1 })
	calls := b.panel.calls.Load()
	b.send(9, 2)
	b.eventually("other packets", func() bool { return b.got[2].Load() == 10 })
	if now := b.panel.calls.Load(); now != calls {
		t.Errorf("%d translations for packets that a megaflow matches", now-calls)
	}
	b.revalidate()
	if n, bytes := b.panel.rule.packets.Load(), b.panel.rule.bytes.Load(); n != 10 || bytes != 600 {
		t.Errorf("the rule counts %d packets, %d bytes; want 10 and 600", n, bytes)
	}
}

func TestRevalidationFollowsChanges(t *testing.T) {
	b := newBench(t)
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.send(1, 1)
	b.eventually("first packet", func() bool { return b.engine.FlowCount() == 1 })
	calls := b.panel.calls.Load()
	b.revalidate()
	if now := b.panel.calls.Load(); now != calls {
		t.Errorf("%d translations although nothing changed", now-calls)
	}
	// Same mask, other actions: changed in place.
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[1]})
	b.revalidate()
	b.send(3, 1)
	b.eventually("new way", func() bool { return b.got[1].Load() == 3 })
	if b.got[2].Load() != 1 {
		t.Errorf("%d packets went the old way", b.got[2].Load())
	}
	// The translation now reads more than the megaflow's mask has: it must go.
	b.panel.mu.Lock()
	b.panel.reads = []flow.FieldID{flow.EthSrc}
	b.panel.mu.Unlock()
	b.panel.changes.Add(1)
	b.revalidate()
	if n := b.engine.FlowCount(); n != 0 {
		t.Errorf("%d flows whose mask is too wide", n)
	}
	b.revalidate()
	if n := b.panel.rule.packets.Load(); n != 4 {
		t.Errorf("the rule counts %d packets, want 4: traffic up to the deletion counts", n)
	}
	if held := b.panel.held.Load(); held != 0 {
		t.Errorf("%d holders not released", held)
	}
}

func TestIdleFlowsGo(t *testing.T) {
	b := newBench(t)
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.send(2, 1)
	b.eventually("flow", func() bool { return b.engine.FlowCount() == 1 })
	b.clock.Advance(9 * time.Second)
	b.revalidate()
	if b.engine.FlowCount() != 1 {
		t.Fatal("the flow went before max-idle")
	}
	b.clock.Advance(2 * time.Second)
	b.revalidate()
	if b.engine.FlowCount() != 0 {
		t.Fatal("an idle flow stays")
	}
}

func TestSlowFlowsAreTranslatedEachTime(t *testing.T) {
	b := newBench(t)
	b.panel.slow = "lacp"
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	for i := range 5 {
		b.send(1, byte(i))
		b.eventually("packet", func() bool { return b.got[2].Load() == int64(i+1) })
	}
	b.revalidate()
	if n := b.panel.rule.packets.Load(); n != 5 {
		t.Errorf("the rule counts %d packets, want 5", n)
	}
	if b.engine.FlowCount() != 1 {
		t.Errorf("%d flows, want 1", b.engine.FlowCount())
	}
}

func TestWaitTakesNoUpcalls(t *testing.T) {
	b := newBench(t)
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.send(1, 1)
	b.eventually("flow", func() bool { return b.engine.FlowCount() == 1 })
	b.engine.Configure(datapath.Config{Wait: true})
	b.panel.plug(b.ports[1])
	b.clock.Advance(time.Hour)
	b.revalidate()
	if b.engine.FlowCount() != 1 {
		t.Fatal("flow-restore-wait let a megaflow go")
	}
	b.engine.Configure(datapath.Config{})
	b.revalidate()
	if b.engine.FlowCount() != 0 {
		t.Fatal("after flow-restore-wait an idle flow stays")
	}
}

func TestFlowLimit(t *testing.T) {
	b := newBench(t)
	b.panel.reads = []flow.FieldID{flow.EthSrc}
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.engine.SetFlowLimit(4)
	for i := range 10 {
		b.send(1, byte(i))
		b.eventually("packet", func() bool { return b.got[2].Load() == int64(i+1) })
	}
	if n := b.engine.FlowCount(); n != 4 {
		t.Errorf("%d flows with a limit of 4", n)
	}
	b.revalidate()
	if n := b.panel.rule.packets.Load(); n != 10 {
		t.Errorf("the rule counts %d packets, want 10", n)
	}
}

func TestPurgeCredits(t *testing.T) {
	b := newBench(t)
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.send(7, 1)
	b.eventually("packets", func() bool { return b.got[2].Load() == 7 })
	b.engine.Purge()
	if b.engine.FlowCount() != 0 || b.panel.rule.packets.Load() != 7 {
		t.Errorf("%d flows, %d packets credited; want 0 and 7", b.engine.FlowCount(), b.panel.rule.packets.Load())
	}
}

func TestAdoptedFlows(t *testing.T) {
	b := newBench(t)
	b.panel.plug(b.ports[1], odp.Output{Port: b.ports[2]})
	b.send(3, 1)
	b.eventually("packets", func() bool { return b.got[2].Load() == 3 && b.engine.FlowCount() == 1 })
	// A second engine over the same datapath finds the flow, and credits only what comes after.
	panel := &patchPanel{to: map[odp.Port][]odp.Action{b.ports[1]: {odp.Output{Port: b.ports[2]}}}}
	e, err := datapath.NewEngine(datapath.EngineOptions{Datapath: b.dp, Translator: panel, Clock: b.clock, Mono: b.dp.Mono})
	if err != nil {
		t.Fatal(err)
	}
	if e.FlowCount() != 1 {
		t.Fatalf("adopted %d flows, want 1", e.FlowCount())
	}
	b.send(5, 1)
	b.eventually("packets", func() bool { return b.got[2].Load() == 8 })
	e.Purge()
	if n := panel.rule.packets.Load(); n != 0 {
		t.Errorf("a flow that was never retranslated credited %d packets", n)
	}
}
