package table

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestEvictionProperty compares the rule that a full table gives up with the one that a search of all rules says:
// of the largest group the least important, and of those the first to expire.
func TestEvictionProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := clock.NewManual(time.Unix(1000, 0))
		tables := New(Options{Clock: now})
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		tables.Configure(0, Config{Limit: &limit, Evict: true, Groups: []flow.Subfield{{Field: flow.Reg0, Ofs: 4, Bits: 4}}})
		for i := range 60 {
			before := rulesOf(tables)
			fm := &openflow.FlowMod{
				NewCookie: uint64(i), OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
				Idle: rapid.SampledFrom([]uint16{0, 10, 20}).Draw(t, "idle"), Hard: rapid.SampledFrom([]uint16{0, 15, 40}).Draw(t, "hard"),
				Importance: rapid.Uint16Range(0, 2).Draw(t, "importance"),
			}
			fm.Match.Set(flow.Reg0, uint64(rapid.IntRange(0, 47).Draw(t, "reg0")))
			there := tables.table[0].find(&fm.Match, 0) != nil
			failed := rapid.IntRange(0, 3).Draw(t, "fail") == 0
			var gone []Removed
			err := tables.Atomically(func() (err error) {
				if gone, err = tables.Apply(fm); err == nil && failed {
					err = errors.New("undo")
				}
				return err
			})
			switch want := victims(before); {
			case there || len(before) < limit:
				if len(gone) > 0 {
					t.Fatalf("evicted %v of %d", gone[0].Rule, len(before))
				}
			case len(want) == 0:
				if !errors.Is(err, openflow.FlowModTableFull) {
					t.Fatalf("error %v, nothing can be evicted", err)
				}
			case len(gone) != 1 || gone[0].Reason != openflow.RemovedEviction || !want[gone[0].Rule]:
				t.Fatalf("evicted %v, want one of %v", gone, want)
			}
			if failed && len(rulesOf(tables)) != len(before) {
				t.Fatal("not undone")
			}
			for r := range rulesOf(tables) {
				if rapid.IntRange(0, 5).Draw(t, "use") == 0 {
					r.Credit(1, 60, now.Now(), 0)
				}
			}
			now.Advance(time.Second)
		}
	})
}

func rulesOf(t *Tables) map[*Rule]bool {
	all := map[*Rule]bool{}
	t.Each(All(), func(r *Rule) { all[r] = true })
	return all
}

// victims are the rules of which one must go.
func victims(rules map[*Rule]bool) map[*Rule]bool {
	groups := map[uint64][]*Rule{}
	most := 0
	for r := range rules {
		if r.Idle != 0 || r.Hard != 0 {
			m := r.Match()
			g := m.Key.Get(flow.Reg0) >> 4 & 15
			groups[g] = append(groups[g], r)
			most = max(most, len(groups[g]))
		}
	}
	want := map[*Rule]bool{}
	for _, g := range groups {
		if len(g) < most {
			continue
		}
		for _, r := range g {
			first := true
			for _, o := range g {
				if o.Importance < r.Importance || o.Importance == r.Importance && expiry(o) < expiry(r) {
					first = false
				}
			}
			if first {
				want[r] = true
			}
		}
	}
	return want
}

func TestVacancy(t *testing.T) {
	tables := New(Options{})
	limit := 10
	tables.Configure(3, Config{Limit: &limit})
	mod := func(config uint32, down, up uint8) {
		t.Helper()
		if err := tables.Mod(&openflow.TableMod{Table: 3, Config: config, HasVacancy: true, VacancyDown: down, Up: up}, openflow.V14); err != nil {
			t.Fatal(err)
		}
	}
	fill := func(n int) (events []string) {
		t.Helper()
		for tables.Len(3) != n {
			fm := &openflow.FlowMod{Table: 3, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
			at := tables.Len(3)
			if at > n {
				fm.Command = openflow.FlowDeleteStrict
				at--
			}
			fm.Match.Set(flow.Reg0, uint64(at))
			if _, err := tables.Apply(fm); err != nil {
				t.Fatal(err)
			}
			for _, e := range tables.VacancyEvents() {
				events = append(events, fmt.Sprintf("%d at %d%%", e.Reason, e.Table.Now))
			}
		}
		return events
	}
	for _, tt := range []struct {
		config   uint32
		down, up uint8
		steps    []int
		want     []string
	}{
		{0, 20, 80, []int{10, 0}, nil},
		{configVacancy, 20, 80, []int{8, 9, 10, 2, 1, 9, 8, 0}, []string{"3 at 10%", "4 at 90%", "3 at 10%", "4 at 90%"}},
		{configVacancy, 0, 100, []int{10, 0}, nil},
		{configVacancy, 50, 50, []int{10, 0}, []string{"3 at 40%", "4 at 60%"}},
	} {
		fill(0)
		mod(0, 0, 0)
		mod(tt.config, tt.down, tt.up)
		var got []string
		for _, n := range tt.steps {
			got = append(got, fill(n)...)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("config %x, %d, %d (-want +got):\n%s", tt.config, tt.down, tt.up, diff)
		}
	}
}

// TestPrefixes looks up packets in 10,000 routes of all lengths: each route's packets read no more of the address than
// tells the route from the others, which is told by the trie, and without it they read everything.
func TestPrefixes(t *testing.T) {
	const routes = 10_000
	tables := New(Options{})
	var lens [33]int
	add := func(prefix uint32, n int) {
		fm := &openflow.FlowMod{Priority: uint16(n), OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
		fm.Match.Set(flow.EthType, 0x0800)
		mask := ^uint32(0) << (32 - n)
		addr, m := be(prefix&mask), be(mask)
		fm.Match.Key.SetMasked(flow.IPv4Dst, addr, m)
		fm.Match.Mask.SetMasked(flow.IPv4Dst, m, m)
		if _, err := tables.Apply(fm); err != nil {
			t.Fatal(err)
		}
		lens[n]++
	}
	// 10.0.0.0/8 with /16 to /24 inside, and 100 hosts in 10.255.0.0/16.
	add(10<<24, 8)
	for i := range routes - 101 {
		n := 16 + i%9
		add(10<<24|uint32(i)*2654435761>>8, n)
	}
	for i := range 100 {
		add(10<<24|255<<16|uint32(i)*7, 32)
	}
	lookup := func(addr uint32) (read int) {
		var k flow.Key
		var wc flow.Mask
		k.Set(flow.EthType, 0x0800)
		k.SetBytes(flow.IPv4Dst, be(addr))
		r := tables.Lookup(0, &k, &wc)
		m := wc.Get(flow.IPv4Dst)
		for ; m != 0; m &= m - 1 {
			read++
		}
		// Every packet that agrees in what was read finds the same.
		for i := range 32 {
			if wc.Get(flow.IPv4Dst)>>i&1 == 0 {
				o := k
				o.SetBytes(flow.IPv4Dst, be(addr^1<<i))
				if tables.Lookup(0, &o, &flow.Mask{}) != r {
					t.Fatalf("%08x: bit %d was not read, and matters", addr, i)
				}
			}
		}
		return read
	}
	sum := func() (bits, worst int) {
		for i := range 1000 {
			n := lookup(10<<24 | uint32(i)*40503<<8>>4&0xffffff)
			bits += n
			worst = max(worst, n)
		}
		return bits, worst
	}
	bits, worst := sum()
	t.Logf("with tries: %.1f of 32 bits on average, %d at most", float64(bits)/1000, worst)
	if outside := lookup(11 << 24); outside > 8 {
		t.Errorf("an address outside of 10.0.0.0/8 reads %d bits", outside)
	}
	if worst >= 32 || bits > 26*1000 {
		t.Errorf("with tries: %d bits in 1000 lookups, %d at most", bits, worst)
	}
	tables.Configure(0, Config{Prefixes: []flow.FieldID{}})
	if bits, _ := sum(); bits != 32*1000 {
		t.Errorf("without tries: %d bits in 1000 lookups", bits)
	}
	tables.Configure(0, Config{Prefixes: []flow.FieldID{flow.TunID, flow.IPv4Dst}})
	if again, _ := sum(); again != bits {
		t.Errorf("with tries again: %d bits, first %d", again, bits)
	}
}

func be(v uint32) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }
