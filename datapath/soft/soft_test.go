package soft

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type sent struct {
	Port odp.Port
	Data []byte
}

// bench is a datapath with ports 1 to 4 and what came out of them.
type bench struct {
	*Datapath
	clock   *clock.Manual
	out     []sent
	upcalls []datapath.Upcall
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{clock: clock.NewManual(time.Unix(1000, 0))}
	b.Datapath = New(Options{Name: "test", Clock: b.clock})
	t.Cleanup(func() { b.Close(true) })
	for i := range 4 {
		n, err := b.PortAdd(datapath.PortSpec{Name: string(rune('a' + i)), Number: odp.PortNone})
		if err != nil || n != odp.Port(i+1) {
			t.Fatalf("port %d, %v", n, err)
		}
		if err := b.Attach(n, func(p *datapath.Packet) { b.out = append(b.out, sent{n, bytes.Clone(p.Data)}) }); err != nil {
			t.Fatal(err)
		}
	}
	b.Handle(func(u *datapath.Upcall) { b.upcalls = append(b.upcalls, *u) })
	return b
}

func (b *bench) flow(t *testing.T, set func(*flow.Match), actions ...odp.Action) datapath.FlowRef {
	t.Helper()
	var f datapath.Flow
	f.Match.Set(flow.RecircID, 0)
	if set != nil {
		set(&f.Match)
	}
	f.Actions = actions
	ref, err := b.FlowPut(&f)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func tcpPacket(payload int) []byte {
	var k flow.Key
	k.Set(flow.EthDst, 0x020000000002)
	k.Set(flow.EthSrc, 0x020000000001)
	k.Set(flow.EthType, packet.EthTypeIPv4)
	k.Set(flow.NwProto, packet.ProtoTCP)
	k.Set(flow.IPv4Src, 0x0a000001)
	k.Set(flow.IPv4Dst, 0x0a000002)
	k.Set(flow.NwTTL, 64)
	k.Set(flow.TCPDst, 80)
	k.Set(flow.TCPFlags, 2)
	return packet.Compose(&k, make([]byte, payload))
}

func (b *bench) receive(t *testing.T, n odp.Port, data []byte) {
	t.Helper()
	if err := b.Receive(n, &datapath.Packet{Data: bytes.Clone(data)}); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) ports() (out []odp.Port) {
	for _, s := range b.out {
		out = append(out, s.Port)
	}
	return out
}

func TestMissThenHit(t *testing.T) {
	b := newBench(t)
	data := tcpPacket(10)
	b.receive(t, 1, data)
	if len(b.upcalls) != 1 || b.upcalls[0].Kind != 0 || !bytes.Equal(b.upcalls[0].Packet.Data, data) ||
		b.upcalls[0].Key.Get(flow.InPortOXM) != 1 || b.upcalls[0].Key.Get(flow.TCPDst) != 80 {
		t.Fatalf("upcalls %+v", b.upcalls)
	}
	ref := b.flow(t, func(m *flow.Match) { m.Set(flow.InPortOXM, 1) }, odp.Output{Port: 2}, odp.Output{Port: 3})
	b.clock.Advance(time.Second)
	b.receive(t, 1, data)
	if got := b.ports(); !slices.Equal(got, []odp.Port{2, 3}) {
		t.Errorf("sent to %v", got)
	}
	st, err := b.FlowStats(ref)
	want := datapath.FlowStats{Packets: 1, Bytes: uint64(len(data)), Used: int64(time.Second) + 1, TCPFlags: 2}
	if err != nil || st != want {
		t.Errorf("%+v, %v; want %+v", st, err, want)
	}
	if st, _ := b.Stats(); st.Hit != 1 || st.Missed != 1 || st.Lost != 0 || st.Flows != 1 || st.Masks != 1 {
		t.Errorf("%+v", st)
	}
	// The same key and mask again replaces actions and keeps counters.
	if again := b.flow(t, func(m *flow.Match) { m.Set(flow.InPortOXM, 1) }); again != ref {
		t.Errorf("replaced flow has another handle")
	}
	b.receive(t, 1, data)
	if st, _ := b.FlowDel(ref); st.Packets != 2 {
		t.Errorf("%+v", st)
	}
	if _, err := b.FlowDel(ref); !errors.Is(err, datapath.ErrNoSuchFlow) {
		t.Errorf("deleted twice: %v", err)
	}
	drops, _ := b.Drops()
	if diff := cmp.Diff([]datapath.Drops{{Reason: "drop_action_of_pipeline", Port: 1, Packets: 1}}, drops); diff != "" {
		t.Error(diff)
	}
}

// TestActions: changes are seen by what is behind them, and not outside of clones.
func TestActions(t *testing.T) {
	mac := func(b byte) odp.Set {
		return odp.Set{Fields: []odp.FieldSet{{Field: flow.EthDst, Value: []byte{2, 0, 0, 0, 0, b}}}}
	}
	last := func(s sent) byte { return s.Data[5] }
	for _, tt := range []struct {
		name    string
		actions []odp.Action
		want    [][2]int // port, last byte of the destination
	}{
		{"outputs with changes between", []odp.Action{odp.Output{Port: 2}, mac(9), odp.Output{Port: 3}}, [][2]int{{2, 2}, {3, 9}}},
		{"clone", []odp.Action{odp.Clone{Actions: []odp.Action{mac(9), odp.Output{Port: 2}}}, odp.Output{Port: 3}}, [][2]int{{2, 9}, {3, 2}}},
		{"sample always", []odp.Action{odp.Sample{Probability: 1<<32 - 1, Actions: []odp.Action{mac(9), odp.Output{Port: 2}}}, odp.Output{Port: 3}}, [][2]int{{2, 9}, {3, 2}}},
		{"sample never", []odp.Action{odp.Sample{Actions: []odp.Action{odp.Output{Port: 2}}}, odp.Output{Port: 3}}, [][2]int{{3, 2}}},
		{"check_pkt_len greater", []odp.Action{odp.CheckPktLen{Len: 63, Greater: []odp.Action{mac(9), odp.Output{Port: 2}}, LessEqual: []odp.Action{odp.Output{Port: 4}}}, odp.Output{Port: 3}}, [][2]int{{2, 9}, {3, 2}}},
		{"check_pkt_len equal", []odp.Action{odp.CheckPktLen{Len: 64, Greater: []odp.Action{odp.Output{Port: 2}}, LessEqual: []odp.Action{odp.Output{Port: 4}}}}, [][2]int{{4, 2}}},
		{"drop ends the list", []odp.Action{odp.Output{Port: 2}, odp.Drop{Reason: odp.DropCongestion}, odp.Output{Port: 3}}, [][2]int{{2, 2}}},
		{"recirculation", []odp.Action{mac(9), odp.Recirc{ID: 5}}, [][2]int{{4, 9}}},
		{"recirculation in front", []odp.Action{odp.Recirc{ID: 5}, mac(9), odp.Output{Port: 2}}, [][2]int{{4, 2}, {2, 9}}},
		{"port that is not there", []odp.Action{odp.Output{Port: 99}, odp.Output{Port: 2}}, [][2]int{{2, 2}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.flow(t, func(m *flow.Match) { m.Set(flow.RecircID, 5) }, odp.Output{Port: 4})
			b.flow(t, nil, tt.actions...)
			b.receive(t, 1, tcpPacket(10))
			var got [][2]int
			for _, s := range b.out {
				got = append(got, [2]int{int(s.Port), int(last(s))})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTrunc(t *testing.T) {
	b := newBench(t)
	b.flow(t, nil, odp.Trunc{MaxLen: 20}, odp.Output{Port: 2}, odp.Output{Port: 3}, odp.Trunc{MaxLen: 5},
		odp.Userspace{Kind: odp.UpcallController, Cookie: 7})
	b.receive(t, 1, tcpPacket(10))
	if len(b.out) != 2 || len(b.out[0].Data) != 20 || len(b.out[1].Data) != 64 {
		t.Errorf("sent %v", b.out)
	}
	if len(b.upcalls) != 1 || len(b.upcalls[0].Packet.Data) != packet.EthLen || b.upcalls[0].Cookie != 7 ||
		b.upcalls[0].Kind != odp.UpcallController {
		t.Errorf("upcalls %+v", b.upcalls)
	}
}

func TestRecirculationIsBounded(t *testing.T) {
	b := newBench(t)
	b.flow(t, nil, odp.Recirc{ID: 1})
	b.flow(t, func(m *flow.Match) { m.Set(flow.RecircID, 1) }, odp.Output{Port: 2}, odp.Recirc{ID: 1})
	b.receive(t, 1, tcpPacket(10))
	if len(b.out) != maxRecirc-1 {
		t.Errorf("%d packets", len(b.out))
	}
	drops, _ := b.Drops()
	if diff := cmp.Diff([]datapath.Drops{{Reason: dropRecirc, Port: 1, Packets: 1}}, drops); diff != "" {
		t.Error(diff)
	}
}

func TestMeter(t *testing.T) {
	b := newBench(t)
	if err := b.MeterSet(3, MeterConfig{Packets: true, Bands: []MeterBand{{Rate: 10, Burst: 2}}}); err != nil {
		t.Fatal(err)
	}
	b.flow(t, nil, odp.Meter{ID: 3}, odp.Output{Port: 2})
	send := func(n, want int) {
		t.Helper()
		b.out = nil
		for range n {
			b.receive(t, 1, tcpPacket(10))
		}
		if len(b.out) != want {
			t.Errorf("%d of %d packets passed, want %d", len(b.out), n, want)
		}
	}
	send(5, 2)
	b.clock.Advance(100 * time.Millisecond)
	send(5, 1)
	b.clock.Advance(time.Hour)
	send(5, 2)
	// 64 bytes are 512 bits: one kilobit lets one packet through.
	if err := b.MeterSet(3, MeterConfig{Bands: []MeterBand{{Rate: 1}}}); err != nil {
		t.Fatal(err)
	}
	send(5, 1)
	st, err := b.MeterStats(3)
	want := MeterStats{Packets: 5, Bytes: 320, Bands: []MeterBandStats{{Packets: 4, Bytes: 256}}}
	if diff := cmp.Diff(want, st); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := b.MeterDel(3); err != nil {
		t.Fatal(err)
	}
	send(5, 5)
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	var f datapath.Flow
	f.Actions = []odp.Action{odp.Clone{Actions: []odp.Action{odp.CT{Helper: "sip"}}}}
	if _, err := b.FlowPut(&f); !errors.Is(err, datapath.ErrUnsupported) {
		t.Errorf("ct: %v", err)
	}
	f.Actions = slices.Repeat([]odp.Action{odp.Output{Port: 1}}, maxActions+1)
	if _, err := b.FlowPut(&f); !errors.Is(err, datapath.ErrTooLong) {
		t.Errorf("long list: %v", err)
	}
	if err := b.Receive(9, &datapath.Packet{Data: tcpPacket(1)}); !errors.Is(err, datapath.ErrNoSuchPort) {
		t.Errorf("port: %v", err)
	}
	b.receive(t, 1, make([]byte, 13))
	if drops, _ := b.Drops(); len(drops) != 1 || drops[0].Reason != dropShort {
		t.Errorf("%v", drops)
	}
	small := New(Options{MaxFlows: 1})
	defer small.Close(true)
	small.FlowPut(&datapath.Flow{})
	f.Actions, f.Match = nil, flow.Match{}
	f.Match.Set(flow.InPortOXM, 1)
	if _, err := small.FlowPut(&f); !errors.Is(err, datapath.ErrFull) {
		t.Errorf("full: %v", err)
	}
}

// TestHandlers: with goroutines, packets of one port come up in order, and Handle(nil) waits.
func TestHandlers(t *testing.T) {
	d := New(Options{Handlers: 2})
	n, _ := d.PortAdd(datapath.PortSpec{Name: "a", Number: odp.PortNone})
	var mu sync.Mutex
	var got []int
	done := make(chan bool)
	d.Handle(func(u *datapath.Upcall) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, len(u.Packet.Data))
		if len(got) == 100 {
			close(done)
		}
	})
	var want []int
	for i := range 100 {
		data := tcpPacket(i)
		want = append(want, len(data))
		if err := d.Receive(n, &datapath.Packet{Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	<-done
	d.Handle(nil)
	if !slices.Equal(got, want) {
		t.Errorf("out of order: %v", got)
	}
	d.Receive(n, &datapath.Packet{Data: tcpPacket(1)})
	if st, _ := d.Stats(); st.Lost != 1 || st.Missed != 101 {
		t.Errorf("%+v", st)
	}
	d.Close(true)
}
