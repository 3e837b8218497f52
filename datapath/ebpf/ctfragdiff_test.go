package ebpf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// TestDifferentialFragments is TestDifferentialConntrack with packets in pieces, which come out of order, twice, overlapping
// or not at all, under random settings: what becomes of each is compared, and what dpctl/ipf-get-status shows.
func TestDifferentialFragments(t *testing.T) {
	x := newDiffer(t)
	seen := map[string]int{}
	var total conntrack.FragmentStats
	cases := 0
	for ; x.did.pairs < *diffConversations/16; cases++ {
		g := &ctGen{r: rand.New(rand.NewPCG(*diffSeed, uint64(2e6+cases))), ports: x.ports, seen: seen, cut: true}
		g.frags = g.settings()
		x.frags = g.frags
		c := g.make(80)
		err := x.run(c)
		var m *mismatch
		switch {
		case err == nil:
		case errors.Is(err, errLimit):
			x.limits++
		case errors.As(err, &m):
			t.Logf("case %d of seed %d: %v", cases, *diffSeed, m)
			small, err := x.shrinkTalk(c, m)
			t.Fatalf("case %d of seed %d: %+v: %v\n%s", cases, *diffSeed, g.frags, err, small)
		default:
			t.Fatalf("case %d of seed %d: %v\n%s", cases, *diffSeed, err, c)
		}
	}
	st, err := x.d.conns.Fragments()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range st.Stats {
		total.Accepted += s.Accepted
		total.Completed += s.Completed
		total.TooSmall += s.TooSmall
		total.Expired += s.Expired
		total.Purged += s.Purged
	}
	t.Logf("%d packets in %d cases, %d given up; %v; fragments %+v", x.did.pairs, cases, x.limits, seen, total)
	if x.limits*20 > cases {
		t.Error("too many given up")
	}
	for _, n := range []uint64{total.Accepted, total.Completed, total.TooSmall, total.Expired, total.Purged} {
		if n*500 < uint64(x.did.pairs) {
			t.Error("a counter is of few packets only")
			break
		}
	}
	for _, state := range []string{"new", "est", "rpl", "inv", "snat", "dnat"} {
		if seen[state]*200 < x.did.pairs {
			t.Errorf("%d packets %s only", seen[state], state)
		}
	}
}

// settings are random ones, most often those of the beginning.
func (g *ctGen) settings() conntrack.FragmentSettings {
	s := conntrack.FragmentSettings{Max: conntrack.DefaultMaxFragments}
	for v := range s.Min {
		s.Disabled[v] = g.chance(12)
		if g.chance(4) {
			s.Min[v] = conntrack.LeastMinFragment + uint32(g.n(200))
		}
	}
	if g.chance(2) {
		s.Max = uint32(g.n(6))
	}
	return s
}

// pieces cuts a packet in two to five, which do not all come once and in order, nor side by side.
func (g *ctGen) pieces(k *talk, port odp.Port) (out []diffPacket) {
	k.ipID = uint16(g.n(6))
	k.payload = append(k.payload, make([]byte, g.n(900))...)
	b := k.bytes(true)
	l4 := b[14+20:]
	if k.v6 {
		l4 = b[14+40:]
	}
	for at := 0; at < len(l4); {
		end := min(at+8*(1+g.n(60)), len(l4))
		if len(out) == 4 {
			end = len(l4)
		}
		word := uint16(at / 8)
		if end < len(l4) {
			word |= 0x2000
		}
		if word != 0 { // else it is whole
			out = append(out, diffPacket{port: port, data: k.frame(l4[at:end], word)})
		}
		at = end
		if g.chance(8) {
			at -= 8 * g.n((end+7)/8) // overlaps
		}
		if len(out) == 5 {
			break
		}
	}
	for g.chance(3) && len(out) > 1 {
		i, j := g.n(len(out)), g.n(len(out))
		switch g.n(4) {
		case 0:
			out = slices.Delete(out, i, i+1)
		case 1:
			out = append(out, out[i])
		default:
			out[i], out[j] = out[j], out[i]
		}
	}
	for i := range out {
		if g.chance(30) {
			out[i].wait = 11 * (1 + g.n(4))
		}
	}
	return out
}

// ageFragments makes what is remembered of fragments older, in jiffies.
func (x *differ) ageFragments(by uint64) error {
	f := &x.d.conns.fragments
	keys := make([]bpf.DatapathCtFragKey, f.packets.MaxEntries())
	values := make([]bpf.DatapathCtFrag, len(keys))
	var cursor ebpf.MapBatchCursor
	n, err := f.packets.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	for i := range n {
		values[i].Expires -= by
		if err := f.packets.Put(&keys[i], &values[i]); err != nil {
			return err
		}
	}
	return nil
}

// forgetFragments makes room for the next case.
func (x *differ) forgetFragments() error { return x.d.conns.SetFragments(conntrack.FragmentSettings{}) }

func (x *differ) beginFragments(o *oracle) error {
	if err := errors.Join(x.forgetFragments(), x.d.conns.SetFragments(x.frags), o.Conntrack().(conntrack.FragmentControl).SetFragments(x.frags)); err != nil {
		return err
	}
	var err error
	x.pieces, err = x.d.conns.Fragments()
	return err
}

// fragments compares what was counted of them.
func (x *differ) fragments(o *oracle) error {
	want, err := o.Conntrack().(conntrack.FragmentControl).Fragments()
	if err != nil {
		return err
	}
	if err := x.age(0); err != nil {
		return err
	}
	got, err := x.d.conns.Fragments()
	if err != nil {
		return err
	}
	for v := range got.Stats {
		n, before := &got.Stats[v], &x.pieces.Stats[v]
		n.Accepted -= before.Accepted
		n.Completed -= before.Completed
		n.TooSmall -= before.TooSmall
		n.Expired -= before.Expired
		n.Purged -= before.Purged
	}
	if d := cmp.Diff(want, got); d != "" {
		return &mismatch{"fragments", -1, fmt.Sprint(d)}
	}
	return nil
}
