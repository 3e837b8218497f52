package pipeline

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

func field(s string) *flow.Subfield {
	f := sub(s)
	return &f
}

// macLearning learns in table 1 where a host is.
func macLearning() openflow.Learn {
	return openflow.Learn{
		Table: 1, Priority: 5, Hard: 10,
		Specs: []openflow.LearnSpec{
			{Dst: learnMatch, Src: field("eth_src"), To: sub("eth_dst"), Bits: 48},
			{Dst: learnOutput, Src: field("in_port"), Bits: 16},
		},
	}
}

func TestLearn(t *testing.T) {
	learn := macLearning()
	w := newWorld(nil, nil)
	fresh := func() *table.Tables {
		t := table.New(table.Options{Clock: w.clock})
		t.AddInternal(0, 1, &flow.Match{}, []openflow.Action{learn, openflow.Resubmit{InPort: openflow.PortInPort, Table: 1}})
		return t
	}
	tables := fresh()
	w.br0.tables = tables
	from := func(host, to string, port uint64) *flow.Key {
		k := key("eth_src=50540000000" + host + ",eth_dst=50540000000" + to + ",eth_type=1234")
		k.Set(flow.InPortOXM, port)
		return k
	}
	trip := func(k *flow.Key, want string) *datapath.Result {
		t.Helper()
		res := w.run(k)
		if got := actionsText(res.Actions); got != want {
			t.Errorf("actions %q, want %q", got, want)
		}
		return res
	}
	res := trip(from("1", "2", 11), "")
	if diff := cmp.Diff("eth_src", maskText(&res.Mask)); diff != "" {
		t.Errorf("mask (-want +got):\n%s", diff)
	}
	trip(from("2", "1", 12), "11")
	trip(from("1", "2", 11), "12")

	// Traffic that finds its flow leaves the table as it is, but keeps the flow alive.
	version := tables.Version(1).Version()
	w.clock.Advance(8 * time.Second)
	for _, c := range res.Credits {
		c.Credit(1, 64, w.clock.Now(), 0)
	}
	trip(from("1", "2", 11), "12")
	if v := tables.Version(1).Version(); v != version {
		t.Errorf("the version went from %d to %d, but nothing changed", version, v)
	}
	w.clock.Advance(3 * time.Second)
	gone := tables.Expire(w.clock.Now())
	if len(gone) != 1 || tables.Len(1) != 1 {
		t.Errorf("%d flows expired and %d are left, want 1 and 1", len(gone), tables.Len(1))
	}
	trip(from("3", "1", 13), "11")

	// A flow that went while packets of the megaflow did not come up is learned again.
	tables.Flush()
	for _, c := range res.Credits {
		c.Credit(1, 64, w.clock.Now(), 0)
	}
	if tables.Len(1) != 1 {
		t.Errorf("%d flows in table 1 after traffic, want that of host 1", tables.Len(1))
	}
	// A host that moves.
	w.br0.tables = fresh()
	trip(from("1", "2", 11), "")
	trip(from("1", "2", 13), "")
	trip(from("2", "1", 12), "13")
}

// TestLearnNeedsLeave has nothing happen in a translation that may not learn.
func TestLearnNeedsLeave(t *testing.T) {
	w := newWorld([]spec{rule(0, 1, "", macLearning())}, nil)
	var res datapath.Result
	w.Translate(&datapath.Request{Key: key("in_port_oxm=b,eth_src=1,eth_type=1234")}, &res)
	if n := w.br0.tables.Len(1); n != 0 {
		t.Errorf("learned %d flows", n)
	}
	// But the megaflow's traffic does.
	for _, c := range res.Credits {
		c.Credit(1, 64, w.clock.Now(), 0)
	}
	if n := w.br0.tables.Len(1); n != 1 {
		t.Errorf("%d flows learned of traffic, want 1", n)
	}
}

func TestLearnLimit(t *testing.T) {
	learn := macLearning()
	learn.V2, learn.Limit, learn.Cookie, learn.Flags = true, 2, 9, learnWriteResult
	learn.ResultDst = field("reg0[3..3]")
	w := newWorld([]spec{rule(0, 1, "", learn, openflow.OutputReg{Src: sub("reg0"), MaxLen: 0})}, nil)
	w.br0.port(8, 18)
	for i, want := range []string{"18", "18", "", "18"} {
		k := key("in_port_oxm=b,eth_type=1234")
		k.Set(flow.EthSrc, []uint64{1, 2, 3, 1}[i])
		if got := actionsText(w.run(k).Actions); got != want {
			t.Errorf("packet %d: actions %q, want %q", i, got, want)
		}
	}
	if n := w.br0.tables.Len(1); n != 2 {
		t.Errorf("%d flows learned, want 2", n)
	}
	// One translation counts what it is about to learn.
	twice := newWorld([]spec{rule(0, 1, "", learn, setField("eth_src=7"), learn, setField("eth_src=8"), learn, openflow.OutputReg{Src: sub("reg0")})}, nil)
	twice.br0.port(8, 18)
	if got := actionsText(twice.run(key("in_port_oxm=b,eth_src=1,eth_type=1234")).Actions); got != "" {
		t.Errorf("third flow of a limit of 2: actions %q, want none", got)
	}
	if n := twice.br0.tables.Len(1); n != 2 {
		t.Errorf("%d flows learned, want 2", n)
	}
}

func TestFinTimeout(t *testing.T) {
	r := rule(0, 1, "eth_type=800,nw_proto=6", openflow.FinTimeout{Idle: 5, Hard: 7}, output(2))
	w := newWorld([]spec{r}, nil)
	res := w.run(key("in_port_oxm=b,eth_type=800,nw_proto=6,tcp_flags=10"))
	if res.Mask.Get(flow.TCPFlags) != 0 {
		t.Error("the flags are in the mask: each of their values would have its megaflow")
	}
	timeouts := func(want string) {
		t.Helper()
		got := ""
		w.br0.tables.Each(table.All(), func(r *table.Rule) { got += string(rune('0'+r.Idle)) + string(rune('0'+r.Hard)) })
		if got != want {
			t.Errorf("timeouts %s, want %s", got, want)
		}
	}
	for flags, want := range []string{"00", "57"} { // none, FIN
		version := w.br0.tables.Version(0).Version()
		for _, c := range res.Credits {
			c.Credit(1, 64, w.clock.Now(), uint16(flags))
		}
		timeouts(want)
		if v := w.br0.tables.Version(0).Version(); v != version {
			t.Error("another timeout is another version")
		}
	}
}

// TestLearnWildcards has packets that agree in what a translation read learn the same flow.
func TestLearnWildcards(t *testing.T) {
	learned := func(w *world) (list []openflow.FlowStats) {
		w.br0.tables.Each(&table.Filter{Table: 1, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}, func(r *table.Rule) {
			list = append(list, openflow.FlowStats{Match: r.Match(), Priority: uint16(r.Priority), Actions: r.Actions})
		})
		return list
	}
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{r: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), all: true}
		s := g.scene()
		a := openflow.Learn{Table: 1, Priority: 3}
		for range 1 + g.n(4) {
			src, to := g.subfield(), g.subfield()
			bits := min(src.Bits, to.Bits)
			src.Bits, to.Bits = bits, bits
			a.Specs = append(a.Specs, openflow.LearnSpec{Dst: uint8(g.n(3)), Src: &src, To: to, Bits: bits})
		}
		rules := []spec{{0, 1, flow.Match{}, []openflow.Action{a, output(2)}}}
		w := newWorld(rules, nil)
		k := s.key
		res := w.run(&k)
		other := s.other(g.r, &res.Mask)
		if !other.EqualMasked(&k, &res.Mask) {
			return // no such packet
		}
		w2 := newWorld(rules, nil)
		w2.run(&other)
		if diff := cmp.Diff(learned(w), learned(w2)); diff != "" {
			t.Fatalf("packets of one megaflow learn two flows:\n%s", diff)
		}
	})
}
