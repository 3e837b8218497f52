package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// port is a match on an input port, and on TCP when tcp is true.
func port(no uint64, tcp bool) flow.Match {
	var m flow.Match
	if no != 0 {
		m.Set(flow.InPort, no)
	}
	if tcp {
		m.Set(flow.EthType, 0x800)
		m.Set(flow.NwProto, 6)
	}
	return m
}

func out(p openflow.PortNo) []openflow.Action { return []openflow.Action{openflow.Output{Port: p}} }

// mod completes a flow mod as the codec would.
func mod(cmd openflow.FlowModCommand, fm openflow.FlowMod) *openflow.FlowMod {
	fm.Command = cmd
	if fm.OutPort == 0 {
		fm.OutPort = openflow.PortAny
	}
	if fm.OutGroup == 0 {
		fm.OutGroup = openflow.GroupAny
	}
	fm.BufferID = openflow.NoBuffer
	return &fm
}

// dump lists what controllers see, sorted, one "table/priority/cookie in_port tcp: output" each.
func dump(t *Tables) []string {
	var lines []string
	t.Each(All(), func(r *Rule) {
		m := r.Match()
		s := fmt.Sprintf("%d/%d/%#x", r.Table, r.Priority, r.Cookie)
		if !m.Mask.IsZero(flow.InPort) {
			s += fmt.Sprintf(" in_port=%d", m.Key.Get(flow.InPort))
		}
		if !m.Mask.IsZero(flow.NwProto) {
			s += " tcp"
		}
		for _, a := range r.Actions {
			s += fmt.Sprintf(" %v", a)
		}
		lines = append(lines, s)
	})
	slices.Sort(lines)
	return lines
}

const (
	add    = openflow.FlowAdd
	modify = openflow.FlowModify
	modStr = openflow.FlowModifyStrict
	del    = openflow.FlowDelete
	delStr = openflow.FlowDeleteStrict
	all    = openflow.TableAll
)

func TestApply(t *testing.T) {
	type fm = openflow.FlowMod
	base := []*openflow.FlowMod{
		mod(add, fm{Match: port(1, false), Priority: 10, NewCookie: 0xa1, Actions: out(2)}),
		mod(add, fm{Match: port(1, true), Priority: 20, NewCookie: 0xa2, Actions: out(3)}),
		mod(add, fm{Table: 7, Match: port(0, true), Priority: 10, NewCookie: 0xb1, Actions: out(2)}),
	}
	tests := []struct {
		name    string
		mod     *openflow.FlowMod
		want    []string
		removed int
		err     error
	}{
		{"add", mod(add, fm{Table: 1, Match: port(9, false), Priority: 1, Actions: out(4)}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "1/1/0x0 in_port=9 {4 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"add to any table goes to 0", mod(add, fm{Table: all, Match: port(9, false), Priority: 1}),
			[]string{"0/1/0x0 in_port=9", "0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"add replaces", mod(add, fm{Match: port(1, false), Priority: 10, NewCookie: 0xc, Actions: out(5)}),
			[]string{"0/10/0xc in_port=1 {5 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"another priority is another flow", mod(add, fm{Match: port(1, false), Priority: 11}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/11/0x0 in_port=1", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"overlap", mod(add, fm{Match: port(0, true), Priority: 10, Flags: openflow.FlagCheckOverlap}), nil, 0, openflow.FlowModOverlap},
		{"no overlap at another priority", mod(add, fm{Match: port(0, true), Priority: 11, Flags: openflow.FlagCheckOverlap}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/11/0x0 tcp", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"no overlap with another port", mod(add, fm{Match: port(2, true), Priority: 10, Flags: openflow.FlagCheckOverlap}),
			[]string{"0/10/0x0 in_port=2 tcp", "0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"internal table", mod(add, fm{Table: Internal}), nil, 0, openflow.BadPermission},
		{"delete in the internal table", mod(del, fm{Table: Internal}), nil, 0, openflow.BadPermission},
		{"unknown command", mod(9, fm{}), nil, 0, openflow.FlowModBadCommand},
		{"modify is loose", mod(modify, fm{Table: 0, Match: port(1, false), NewCookie: 0xd, Actions: out(6)}),
			[]string{"0/10/0xd in_port=1 {6 0}", "0/20/0xd in_port=1 tcp {6 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify keeps cookies", mod(modify, fm{Table: all, NewCookie: openflow.KeepCookie, Actions: out(6)}),
			[]string{"0/10/0xa1 in_port=1 {6 0}", "0/20/0xa2 in_port=1 tcp {6 0}", "7/10/0xb1 tcp {6 0}"}, 0, nil},
		{"modify of 1.1 keeps cookies", mod(modify, fm{Table: all, NewCookie: 7, KeepCookies: true, Actions: out(6)}),
			[]string{"0/10/0xa1 in_port=1 {6 0}", "0/20/0xa2 in_port=1 tcp {6 0}", "7/10/0xb1 tcp {6 0}"}, 0, nil},
		{"modify of 1.1 adds with its cookie", mod(modify, fm{Match: port(8, false), Priority: 3, NewCookie: 7, KeepCookies: true}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "0/3/0x7 in_port=8", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify_strict", mod(modStr, fm{Match: port(1, false), Priority: 10, NewCookie: openflow.KeepCookie, Actions: out(6)}),
			[]string{"0/10/0xa1 in_port=1 {6 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify of nothing adds", mod(modify, fm{Match: port(8, false), Priority: 3, NewCookie: 0xe, Actions: out(6)}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "0/3/0xe in_port=8 {6 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify without a cookie adds nothing", mod(modify, fm{Match: port(8, false), NewCookie: openflow.KeepCookie}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify by cookie adds nothing", mod(modify, fm{Match: port(8, false), Cookie: 1, CookieMask: 1, NewCookie: 0xe}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify by cookie", mod(modify, fm{Table: all, Cookie: 0xa0, CookieMask: 0xf0, NewCookie: openflow.KeepCookie, Actions: out(6)}),
			[]string{"0/10/0xa1 in_port=1 {6 0}", "0/20/0xa2 in_port=1 tcp {6 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"modify takes no output port", mod(modify, fm{Table: all, OutPort: 99, NewCookie: openflow.KeepCookie, Actions: out(6)}),
			[]string{"0/10/0xa1 in_port=1 {6 0}", "0/20/0xa2 in_port=1 tcp {6 0}", "7/10/0xb1 tcp {6 0}"}, 0, nil},
		{"delete all", mod(del, fm{Table: all}), nil, 3, nil},
		{"delete in a table", mod(del, fm{Table: 7}), []string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}"}, 1, nil},
		{"delete is loose", mod(del, fm{Table: all, Match: port(0, true)}), []string{"0/10/0xa1 in_port=1 {2 0}"}, 2, nil},
		{"delete_strict", mod(delStr, fm{Table: all, Match: port(0, true), Priority: 10}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}"}, 1, nil},
		{"delete_strict wants the priority", mod(delStr, fm{Table: all, Match: port(0, true), Priority: 11}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"delete by output port", mod(del, fm{Table: all, OutPort: 2}), []string{"0/20/0xa2 in_port=1 tcp {3 0}"}, 2, nil},
		{"delete by group", mod(del, fm{Table: all, OutGroup: 2}),
			[]string{"0/10/0xa1 in_port=1 {2 0}", "0/20/0xa2 in_port=1 tcp {3 0}", "7/10/0xb1 tcp {2 0}"}, 0, nil},
		{"delete by cookie", mod(del, fm{Table: all, Cookie: 0x01, CookieMask: 0x0f}), []string{"0/20/0xa2 in_port=1 tcp {3 0}"}, 2, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tables := New(Options{})
			for _, m := range base {
				c := *m
				if _, err := tables.Apply(&c); err != nil {
					t.Fatal(err)
				}
			}
			before := dump(tables)
			var versions [Count]uint64
			for i := range versions {
				versions[i] = tables.Version(uint8(i)).Version()
			}
			removed, err := tables.Apply(tt.mod)
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			want := tt.want
			if tt.err != nil {
				want = before
			}
			if d := cmp.Diff(want, dump(tables)); d != "" {
				t.Errorf("flows (-want +got):\n%s", d)
			}
			if len(removed) != tt.removed {
				t.Errorf("%d removed, want %d", len(removed), tt.removed)
			}
			// The version of a table moves if and only if its flows do.
			after := dump(tables)
			for i := range versions {
				prefix := fmt.Sprintf("%d/", i)
				same := slices.Equal(in(before, prefix), in(after, prefix))
				if moved := tables.Version(uint8(i)).Version() != versions[i]; moved == same {
					t.Errorf("table %d: version moved: %v, flows the same: %v", i, moved, same)
				}
			}
		})
	}
}

func in(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return !strings.HasPrefix(s, prefix) })
}

func TestTableFull(t *testing.T) {
	tables := New(Options{})
	tables.SetLimit(0, 1)
	for i, want := range []error{nil, openflow.FlowModTableFull} {
		if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: port(uint64(i+1), false)})); !errors.Is(err, want) {
			t.Errorf("flow %d: %v, want %v", i, err, want)
		}
	}
	// Replacing needs no room.
	if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: port(1, false)})); err != nil {
		t.Error(err)
	}
}

func TestHiddenFieldsAreRefused(t *testing.T) {
	tables := New(Options{})
	for _, f := range []flow.FieldID{flow.RecircID, flow.DPHash} {
		var m flow.Match
		m.Set(f, 1)
		if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: m})); !errors.Is(err, openflow.BadPermission) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func TestCounters(t *testing.T) {
	clk := clock.NewManual(time.Unix(1000, 0))
	tables := New(Options{Clock: clk})
	_, err := tables.Apply(mod(add, openflow.FlowMod{Match: port(1, false), Priority: 1}))
	if err != nil {
		t.Fatal(err)
	}
	k := port(1, false).Key
	var wc flow.Mask
	r := tables.Lookup(0, &k, &wc)
	r.Credit(3, 300, time.Unix(1005, 0), 0)
	r.Credit(1, 100, time.Unix(1002, 0), 0) // older: the time of last use stays
	tables.Miss(0).Credit(2, 200, time.Unix(1006, 0), 0)
	want := Stats{4, 400, time.Unix(1005, 0)}
	if got := r.Stats(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	got := tables.TableStats()[0]
	if got.Lookup != 6 || got.Matched != 4 || got.Active != 1 || got.Max != MaxEntries {
		t.Errorf("table statistics %+v", got)
	}
	if p, b, n := tables.Aggregate(All()); p != 4 || b != 400 || n != 1 {
		t.Errorf("aggregate %d %d %d", p, b, n)
	}
	// An addition that replaces keeps counters unless told otherwise; traffic seen before it
	// and credited after it is not lost.
	clk.Advance(10 * time.Second)
	for _, flags := range []uint16{0, openflow.FlagResetCounts} {
		if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: port(1, false), Priority: 1, Flags: flags})); err != nil {
			t.Fatal(err)
		}
		r.Credit(1, 10, time.Time{}, 0)
		if flags == 0 {
			want = Stats{5, 410, time.Unix(1005, 0)}
		} else {
			want = Stats{1, 10, time.Unix(1005, 0)}
		}
		if got := tables.Lookup(0, &k, &wc).Stats(); got != want {
			t.Errorf("flags %d: got %v, want %v", flags, got, want)
		}
	}
}

func TestExpire(t *testing.T) {
	start := time.Unix(1000, 0)
	clk := clock.NewManual(start)
	tables := New(Options{Clock: clk})
	for i, fm := range []openflow.FlowMod{{Idle: 10}, {Hard: 20}, {Idle: 5, Hard: 8}, {}} {
		fm.Match = port(uint64(i+1), false)
		if _, err := tables.Apply(mod(add, fm)); err != nil {
			t.Fatal(err)
		}
	}
	rule := func(no uint64) *Rule {
		k := port(no, false).Key
		var wc flow.Mask
		return tables.Lookup(0, &k, &wc)
	}
	expire := func(after time.Duration) (lines []string) {
		clk.Advance(start.Add(after).Sub(clk.Now()))
		for _, r := range tables.Expire(clk.Now()) {
			m := r.Rule.Match()
			lines = append(lines, fmt.Sprintf("%d by %d", m.Key.Get(flow.InPort), r.Reason))
		}
		slices.Sort(lines)
		return lines
	}
	check := func(after time.Duration, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, expire(after)); d != "" {
			t.Errorf("after %v (-want +got):\n%s", after, d)
		}
	}
	check(4 * time.Second)
	rule(1).Credit(1, 1, clk.Now(), 0)
	rule(3).Credit(1, 1, clk.Now(), 0)
	check(8 * time.Second)
	check(8*time.Second+1, "3 by 1") // its hard timeout before its idle one
	check(13 * time.Second)
	check(14*time.Second+1, "1 by 0")
	// A modification starts the hard timeout again.
	if _, err := tables.Apply(mod(modify, openflow.FlowMod{Match: port(2, false), NewCookie: openflow.KeepCookie})); err != nil {
		t.Fatal(err)
	}
	check(34*time.Second + 1) // as long after the modification as the timeout
	check(34*time.Second+2, "2 by 1")
	check(1e6 * time.Second)
	if tables.Len(0) != 1 || tables.Expirable() != 0 {
		t.Errorf("%d rules left, %d of them expirable", tables.Len(0), tables.Expirable())
	}
}

func TestInternalRules(t *testing.T) {
	tables := New(Options{})
	var got []string
	sel := All()
	sel.Table = Internal
	tables.Each(sel, func(r *Rule) {
		m := r.Match()
		got = append(got, fmt.Sprintf("%d recirc %v reg0=%d %d actions", r.Priority, !m.Mask.IsZero(flow.RecircID), m.Key.Get(flow.Reg0), len(r.Actions)))
	})
	want := []string{"2 recirc true reg0=0 0 actions", "0 recirc false reg0=1 1 actions", "0 recirc false reg0=2 0 actions", "0 recirc false reg0=3 0 actions"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(dump(tables)) != 0 {
		t.Error("internal rules show")
	}
	if r := tables.MissRule(MissDrop); r == nil || r.Table != Internal {
		t.Error("no rule for misses")
	}
	hidden := tables.AddInternal(0, 0xf0f0f0, &flow.Match{}, out(openflow.PortNormal))
	if tables.Flush(); len(dump(tables)) != 0 || tables.Len(0) != 1 {
		t.Error("a hidden rule shows, or did not survive a flush")
	}
	if removed, err := tables.Apply(mod(del, openflow.FlowMod{Table: all})); err != nil || len(removed) != 0 {
		t.Errorf("a controller deleted %v, %v", removed, err)
	}
	if tables.TableStats()[0].Active != 0 {
		t.Error("a hidden rule counts")
	}
	if !hidden.Hidden() || !tables.RemoveInternal(0, 0xf0f0f0, &flow.Match{}) || tables.RemoveInternal(0, 0xf0f0f0, &flow.Match{}) {
		t.Error("removal of a hidden rule")
	}
}

// A lookup among many prefixes reads no more bits than tell them apart.
func TestPrefixesReadFewBits(t *testing.T) {
	tables := New(Options{})
	for _, p := range []struct {
		addr uint64
		len  int
	}{{0x0a000000, 8}, {0x0a010000, 16}, {0xc0a80000, 24}, {0xc0a80100, 24}} {
		var m flow.Match
		m.Set(flow.EthType, 0x800)
		m.Key.Set(flow.IPv4Dst, p.addr)
		m.Mask.Set(flow.IPv4Dst, 0xffffffff<<(32-p.len)&0xffffffff)
		if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: m, Priority: uint16(p.len)})); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ addr, mask uint64 }{
		{0x0a01ffff, 0xffff0000}, // in both prefixes of 10: 16 bits
		{0x0a02ffff, 0xfffe0000}, // told from 10.1 by the last bit but one of 16
		{0x0aff0000, 0xff800000}, // told from 10.1 by the first bit after 8
		{0x80000000, 0xc0000000}, // 1000... : 0xc0 has its second bit
		{0x7f000000, 0xc0000000},
		{0xc0a80200, 0xfffffe00}, // 192.168.2: one bit short of either /24
	} {
		var k flow.Key
		k.Set(flow.EthType, 0x800)
		k.Set(flow.IPv4Dst, tt.addr)
		var wc flow.Mask
		tables.Lookup(0, &k, &wc)
		if got := wc.Get(flow.IPv4Dst); got != tt.mask {
			t.Errorf("%#x: read %#x, want %#x", tt.addr, got, tt.mask)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	tables := New(Options{})
	for i := range uint64(100_000) {
		var m flow.Match
		m.Set(flow.Metadata, i%1000)
		m.Set(flow.EthType, 0x800)
		switch i % 4 {
		case 0:
			m.Set(flow.EthDst, i)
		case 1:
			m.Key.Set(flow.IPv4Dst, i<<8)
			m.Mask.Set(flow.IPv4Dst, 0xffffff00)
		case 2:
			m.Set(flow.IPv4Dst, i)
			m.Set(flow.NwProto, 6)
			m.Set(flow.TCPDst, i%65536)
		case 3:
			m.Set(flow.Reg(int(i%16)), i)
		}
		if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: m, Priority: uint16(i % 8)})); err != nil {
			b.Fatal(err)
		}
	}
	var k flow.Key
	k.Set(flow.Metadata, 2)
	k.Set(flow.EthType, 0x800)
	k.Set(flow.IPv4Dst, 2)
	k.Set(flow.NwProto, 6)
	k.Set(flow.TCPDst, 2)
	b.ReportAllocs()
	for b.Loop() {
		var wc flow.Mask
		if tables.Lookup(0, &k, &wc) == nil {
			b.Fatal("nothing found")
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	tables := New(Options{})
	b.ReportAllocs()
	for i := range uint64(b.N) {
		var m flow.Match
		m.Set(flow.Metadata, i%1000)
		m.Set(flow.EthDst, i)
		if _, err := tables.Apply(mod(add, openflow.FlowMod{Match: m, Priority: uint16(i % 8)})); err != nil {
			b.Fatal(err)
		}
	}
}
