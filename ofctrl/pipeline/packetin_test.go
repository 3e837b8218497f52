package pipeline

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// arpFrame is an ARP request.
var arpFrame = []byte{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
	2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2,
}

// upcall is what a datapath makes of the i-th action, a Userspace.
func upcall(res *datapath.Result, i int, k *flow.Key, data []byte) *datapath.Upcall {
	u := res.Actions[i].(odp.Userspace)
	return &datapath.Upcall{Packet: datapath.Packet{Data: data}, Key: *k, Kind: u.Kind, Cookie: u.Cookie}
}

func release(res *datapath.Result) {
	for _, h := range res.Held {
		h.Release()
	}
}

func TestPacketIn(t *testing.T) {
	w := newWorld([]spec{rule(0, 5, "eth_type=0806", setField("reg1=12345678"), openflow.WriteMetadata{Value: 7, Mask: 7},
		openflow.Controller{MaxLen: 50, ControllerID: 3, Reason: openflow.ReasonAction, Userdata: []byte{1, 2}}, output(2))}, nil)
	k := frame(t, "in_port=b,pkt_mark=9,tun_id=55", arpFrame)
	res := w.run(k)
	if got, want := actionsText(res.Actions), "controller(reason=1 max_len=50 id=3),12"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	w.Userspace(upcall(res, 0, k, arpFrame))
	var m flow.Match
	m.Set(flow.InPortOXM, 1)
	m.Set(flow.Reg1, 0x12345678)
	m.Set(flow.Metadata, 7)
	m.Set(flow.PktMark, 9)
	m.Set(flow.TunID, 0x55)
	want := []*PacketIn{{
		PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: arpFrame, TotalLen: len(arpFrame), Metadata: m, BufferID: openflow.NoBuffer, Userdata: []byte{1, 2}},
		MaxLen:   50, ControllerID: 3, InPort: 1,
	}}
	if d := cmp.Diff(want, w.br0.ins); d != "" {
		t.Fatal(d)
	}

	// Another packet of the same megaflow has its own mark: that is the datapath key's.
	k.Set(flow.PktMark, 10)
	w.Userspace(upcall(res, 0, k, arpFrame))
	if got := w.br0.ins[1].Metadata.Key.Get(flow.PktMark); got != 10 {
		t.Errorf("mark %d, want 10", got)
	}
}

// In the peer of a patch port a packet has no tunnel, and reports none.
func TestPacketInBehindPatchPort(t *testing.T) {
	w := newWorld([]spec{rule(0, 1, "", setField("reg1=1"), output(9))}, []spec{rule(0, 0, "", output(openflow.PortController))})
	k := frame(t, "in_port=b,pkt_mark=9,tun_id=55,ct_mark=3", arpFrame)
	res := w.run(k)
	w.Userspace(upcall(res, 0, k, arpFrame))
	var m flow.Match
	m.Set(flow.InPortOXM, 9)
	m.Set(flow.PktMark, 9)
	if len(w.br0.ins) != 0 || len(w.br1.ins) != 1 {
		t.Fatalf("%d and %d packet-ins", len(w.br0.ins), len(w.br1.ins))
	}
	if d := cmp.Diff(m, w.br1.ins[0].Metadata); d != "" {
		t.Error(d)
	}
}

// A controller gets finished checksums.
func TestPacketInChecksum(t *testing.T) {
	w := newWorld([]spec{rule(0, 0, "", output(openflow.PortController))}, nil)
	data := append([]byte(nil), arpFrame...)
	k := frame(t, "in_port=b", data)
	up := upcall(w.run(k), 0, k, data)
	up.Packet.GSO = packet.GSO{NeedsCsum: true, CsumStart: 14, CsumOffset: 16}
	w.Userspace(up)
	got := w.br0.ins[0].Packet
	if cmp.Equal(got, arpFrame) {
		t.Error("checksum is not finished")
	}
	if !cmp.Equal(data, arpFrame) {
		t.Error("the upcall's packet was changed")
	}
}

func TestCookies(t *testing.T) {
	w := newWorld([]spec{rule(0, 5, "", openflow.Controller{MaxLen: 50})}, nil)
	k := frame(t, "in_port=b", arpFrame)
	a, b := w.run(k), w.run(k)
	if d := cmp.Diff(a.Actions, b.Actions); d != "" {
		t.Error("the same action got another cookie", d)
	}
	k2 := frame(t, "in_port=c", arpFrame)
	c := w.run(k2)
	if cmp.Equal(a.Actions, c.Actions) {
		t.Error("another port has the same cookie")
	}
	release(a)
	release(b)
	w.clock.Advance(grace / 2)
	w.Userspace(upcall(a, 0, k, arpFrame))
	if len(w.br0.ins) != 1 {
		t.Error("a packet on its way was lost")
	}
	w.clock.Advance(grace)
	release(c)
	w.Userspace(upcall(a, 0, k, arpFrame))
	if len(w.br0.ins) != 1 {
		t.Error("a cookie outlived its grace")
	}
	w.clock.Advance(2 * grace)
	w.run(k)
	if n := len(w.cookies.byID); n != 1 {
		t.Errorf("%d cookies are left, want 1", n)
	}
}

func TestIDs(t *testing.T) {
	w := newWorld(nil, nil)
	s := newIDs[int, string](w.clock, 2)
	eq := func(a, b string) bool { return a == b }
	a := s.get(1, "a", eq)
	b := s.get(1, "b", eq) // same key, another value
	if a == nil || b == nil || a.id == b.id || s.get(1, "a", eq) != a {
		t.Fatal("wrong identities")
	}
	if s.get(2, "c", eq) != nil {
		t.Error("over the limit")
	}
	a.Release()
	a.Release()
	w.clock.Advance(grace / 2)
	if got := s.get(1, "a", eq); got != a {
		t.Error("an idle state was not revived")
	}
	w.clock.Advance(grace)
	if _, ok := s.lookup(a.id); !ok {
		t.Error("a revived state was forgotten")
	}
	a.Release()
	w.clock.Advance(grace)
	c := s.get(2, "c", eq)
	if c == nil || c.id == a.id || c.id == b.id {
		t.Fatal("an idle state takes room")
	}
	if _, ok := s.lookup(a.id); ok {
		t.Error("a forgotten state is found")
	}
	s.next = ^uint32(0)
	b.Release()
	w.clock.Advance(grace)
	if d := s.get(3, "d", eq); d.id == 0 || d.id == c.id {
		t.Errorf("id %d after the numbers wrapped", d.id)
	}
}

func TestPacketOut(t *testing.T) {
	w := newWorld([]spec{
		rule(0, 1, "in_port=2,eth_type=0806,metadata=5", output(3)),
		rule(0, 0, "", output(openflow.PortInPort), output(openflow.PortController)),
	}, nil)
	var meta flow.Match
	meta.Set(flow.Metadata, 5)
	for _, tc := range []struct {
		name string
		po   openflow.PacketOut
		want string
		port odp.Port
		err  error
	}{
		{"plain", openflow.PacketOut{InPort: openflow.PortController, Actions: []openflow.Action{output(1), setField("eth_dst=1"), output(2)}}, "11,set(eth_dst=000000000001),12", odp.PortNone, nil},
		{"not to its own port", openflow.PacketOut{InPort: 1, Actions: []openflow.Action{output(1), output(2)}}, "12", 11, nil},
		{"table", openflow.PacketOut{InPort: 2, Match: meta, Actions: []openflow.Action{output(openflow.PortTable)}}, "13", 12, nil},
		{"table and its in_port", openflow.PacketOut{InPort: openflow.PortLocal, Actions: []openflow.Action{output(openflow.PortTable)}}, "10,controller(reason=0 max_len=0 id=0)", 10, nil},
		{"controller", openflow.PacketOut{InPort: openflow.PortAny, Actions: []openflow.Action{output(openflow.PortController)}}, "controller(reason=5 max_len=0 id=0)", odp.PortNone, nil},
		{"drop", openflow.PacketOut{InPort: openflow.PortAny, Actions: []openflow.Action{openflow.CT{}}}, "odp.Drop", odp.PortNone, nil},
		{"reserved port", openflow.PacketOut{InPort: openflow.PortFlood}, "", 0, openflow.BadPort},
		{"short", openflow.PacketOut{InPort: 1, Packet: arpFrame[:13]}, "", 0, openflow.BadPacket},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.po.Packet == nil {
				tc.po.Packet = arpFrame
			}
			actions, k, err := w.PacketOut(w.br0, &tc.po)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err != nil {
				return
			}
			if got := actionsText(actions); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := odp.Port(k.Get(flow.InPortOXM)); got != tc.port {
				t.Errorf("in_port %d, want %d", got, tc.port)
			}
		})
	}
	if got := w.br0.tables.Lookup(0, frame(t, "in_port=2,metadata=5", arpFrame), new(flow.Mask)).Stats().Packets; got != 1 {
		t.Errorf("the rule counts %d packets, want 1", got)
	}
	// What was released is still there for the packet.
	actions, k, err := w.PacketOut(w.br0, &openflow.PacketOut{InPort: 1, Packet: arpFrame, Actions: []openflow.Action{output(openflow.PortController)}})
	if err != nil {
		t.Fatal(err)
	}
	w.Userspace(upcall(&datapath.Result{Actions: actions}, 0, &k, arpFrame))
	if len(w.br0.ins) != 1 || w.br0.ins[0].Reason != openflow.ReasonPacketOut || w.br0.ins[0].InPort != 1 {
		t.Errorf("packet-ins: %+v", w.br0.ins)
	}
}

func TestRecirculation(t *testing.T) {
	w := newWorld([]spec{rule(3, 1, "reg0=7,in_port=1,metadata=9", openflow.StackPop{Dst: sub("reg2")}, openflow.OutputReg{Src: sub("reg2")})}, nil)
	freeze := func(actions []openflow.Action) uint32 {
		res := new(datapath.Result)
		x := w.context(res, nil)
		defer w.release(x)
		x.key.Init(frame(t, "in_port=b", arpFrame), 1)
		x.enter(w.br0)
		x.key.Set(flow.Reg0, 7)
		x.key.Set(flow.Metadata, 9)
		x.key.Set(flow.Reg1, 2)
		x.push(flow.WholeField(flow.Reg1))
		x.write([]openflow.Action{output(3)})
		id, ok := x.freeze(3, actions)
		if !ok || len(res.Held) != 1 {
			t.Fatal("not frozen")
		}
		return id
	}
	id := freeze(nil)
	if again := freeze(nil); again != id {
		t.Errorf("the same state has ids %d and %d", id, again)
	}
	direct := freeze([]openflow.Action{output(2)})
	if direct == id {
		t.Error("other actions, same id")
	}
	for id, want := range map[uint32]string{id: "12,13", direct: "12,13"} {
		k := frame(t, "in_port=b", arpFrame)
		k.Set(flow.RecircID, uint64(id))
		res := w.run(k)
		if got := actionsText(res.Actions); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !res.Mask.IsExact(flow.RecircID) {
			t.Error("recirc_id is wildcarded")
		}
	}
}

type credit struct{ packets uint64 }

func (c *credit) Credit(packets, _ uint64, _ time.Time, _ uint16) { c.packets += packets }

func TestPatchPortCounters(t *testing.T) {
	w := newWorld([]spec{rule(0, 1, "", output(9), output(9))}, nil)
	tx, rx := new(credit), new(credit)
	w.br0.PortByNo(9).Tx, w.br1.PortByNo(9).Rx = tx, rx
	for _, c := range w.run(frame(t, "in_port=b", arpFrame)).Credits {
		c.Credit(3, 100, time.Time{}, 0)
	}
	if tx.packets != 6 || rx.packets != 6 {
		t.Errorf("sent %d and received %d, want 6", tx.packets, rx.packets)
	}
}

// Translations run side by side.
func TestConcurrent(t *testing.T) {
	s := newScene(newRand(1, 2))
	w := s.world()
	want := w.run(&s.key)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				res := w.run(&s.key)
				if !cmp.Equal(res.Actions, want.Actions) {
					t.Error("actions differ")
				}
				release(res)
			}
		})
	}
	wg.Wait()
}

// A translation depends on what it used, in the version before.
func TestDependencies(t *testing.T) {
	resubmit := openflow.Resubmit{InPort: openflow.PortInPort, Table: 1}
	w := newWorld([]spec{rule(0, 1, "", resubmit, resubmit, output(9))}, []spec{rule(0, 1, "", output(2))})
	k := frame(t, "in_port=b", arpFrame)
	changed := func(res *datapath.Result) (n int) {
		for _, d := range res.Deps {
			if d.Changed() {
				n++
			}
		}
		return n
	}
	res := w.run(k)
	if n := len(res.Deps); n != 6 { // tables 0 and 1, the configuration and the missing slow path meter of br0, table 0 and configuration of br1
		t.Errorf("%d dependencies, want 6", n)
	}
	if changed(res) != 0 {
		t.Error("changed at once")
	}
	for name, change := range map[string]func(){
		"rule in the peer":         func() { w.br1.tables.AddInternal(0, 7, new(flow.Match), nil) },
		"rule in a table missed":   func() { w.br0.tables.AddInternal(1, 7, new(flow.Match), nil) },
		"configuration":            func() { w.br0.config++ },
		"the peer's configuration": func() { w.br1.config++ },
	} {
		res := w.run(k)
		change()
		if changed(res) != 1 {
			t.Errorf("%s: not seen", name)
		}
	}
	res = w.run(k)
	w.br0.tables.AddInternal(2, 7, new(flow.Match), nil)
	if changed(res) != 0 {
		t.Error("a change elsewhere is seen")
	}
}

type traced []Event

func (l *traced) Event(e *Event) { *l = append(*l, *e) }

func TestTrace(t *testing.T) {
	w := newWorld([]spec{rule(0, 1, "", output(1), openflow.GotoTable{Table: 1}), rule(1, 1, "", output(9))}, []spec{rule(0, 1, "", openflow.CT{})})
	var l traced
	res := new(datapath.Result)
	w.Trace(&datapath.Request{Key: frame(t, "in_port=b", arpFrame)}, res, &l)
	type step struct {
		Kind  EventKind
		Depth int
		Text  string
	}
	var got []step
	for _, e := range l {
		got = append(got, step{e.Kind, e.Depth, e.Text})
	}
	want := []step{
		{EventBridge, 0, ""}, {EventTable, 0, ""}, {EventAction, 0, ""}, {EventWarn, 0, "skipping output to input port"},
		{EventAction, 0, ""}, {EventTable, 0, ""}, {EventAction, 0, ""},
		{EventBridge, 0, ""}, {EventTable, 1, ""}, {EventAction, 1, ""}, {EventError, 1, "ct is not supported by this switch"},
		{EventEnd, 1, ""}, {EventEnd, 1, ""}, {EventEnd, 0, ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func BenchmarkTranslate(b *testing.B) {
	var rules []spec
	for id := range uint8(60) {
		rules = append(rules, rule(id, 1, "eth_type=0800,ip_dst=0a000000/ff000000", openflow.Load{Dst: sub("reg0"), Value: []byte{id}}, openflow.GotoTable{Table: id + 1}))
	}
	rules = append(rules, rule(60, 1, "", output(2)))
	for _, c := range []struct {
		name  string
		rules []spec
	}{{"1 table", []spec{rule(0, 1, "", output(2))}}, {"60 tables", rules}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(c.rules, nil)
			req := &datapath.Request{Key: key(tcp4)}
			res := new(datapath.Result)
			b.ReportAllocs()
			for b.Loop() {
				res.Reset()
				w.Translate(req, res)
			}
			if len(res.Actions) != 1 {
				b.Fatal(actionsText(res.Actions))
			}
		})
	}
}

// In the steady state a translation allocates nothing.
func TestAllocations(t *testing.T) {
	resubmit := openflow.Resubmit{InPort: openflow.PortInPort, Table: 1}
	w := newWorld([]spec{rule(0, 1, "eth_type=0800", setField("reg0=5"), openflow.StackPush{Src: sub("ip_src")}, openflow.StackPop{Dst: sub("xxreg1")}, resubmit, output(9), output(2))},
		[]spec{rule(0, 1, "", output(1), openflow.PushVLAN{EthType: 0x8100})})
	req, res := &datapath.Request{Key: key(tcp4)}, new(datapath.Result)
	if n := testing.AllocsPerRun(100, func() {
		res.Reset()
		w.Translate(req, res)
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
	if got := actionsText(res.Actions); got != "21,12" {
		t.Fatal(got)
	}
}

// No packet and no tables make a translation panic.
func FuzzTranslate(f *testing.F) {
	f.Add(uint64(1), arpFrame)
	f.Add(uint64(2), []byte{})
	f.Fuzz(func(t *testing.T, seed uint64, data []byte) {
		s := newScene(newRand(seed, 3))
		w := s.world()
		k := flow.Key{}
		packet.Extract(data, &k)
		k.Set(flow.InPortOXM, 11)
		w.run(&k)
		k = flow.Key{}
		copy(k.Bytes(), data) // no packet at all
		k.Set(flow.InPortOXM, 11)
		k.Set(flow.RecircID, seed&1)
		w.run(&k)
		_, _, _ = w.PacketOut(w.br0, &openflow.PacketOut{InPort: 1, Packet: data, Actions: s.rules[0][0].actions})
	})
}
