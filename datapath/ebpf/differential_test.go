package ebpf

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

var (
	// More of them: go test ./datapath/ebpf -run Differential -pairs=10000000 -seed=2 -timeout 2h
	diffPairs = flag.Int("pairs", 100000, "pairs of a megaflow table and a packet that TestDifferential runs")
	diffSeed  = flag.Uint64("seed", 1, "of TestDifferential")
)

const diffBatch = 50 // packets of one table

// TestDifferential is the proof that the programs do what the specification, package soft, does: random tables and
// packets through both give the same keys, hits, packets, ports, upcalls, drops and counters.
func TestDifferential(t *testing.T) {
	x := newDiffer(t)
	made := map[string]int{}
	cases := 0
	for ; x.did.pairs < *diffPairs; cases++ {
		n := cases
		g := &diffGen{
			r:     rand.New(rand.NewPCG(*diffSeed, uint64(n))),
			ports: x.ports, made: made,
			accept: func(f *datapath.Flow) error {
				ref, err := x.d.FlowPut(f)
				if err == nil {
					_, err = x.d.FlowDel(ref)
				}
				return err
			},
		}
		c := g.make(diffBatch)
		err := x.run(c)
		var m *mismatch
		switch {
		case err == nil:
		case errors.Is(err, errLimit):
			x.limits++
		case errors.As(err, &m):
			t.Logf("case %d of seed %d: %v", n, *diffSeed, m)
			small, err := x.shrink(c, m)
			t.Fatalf("case %d of seed %d: %v\n%s", n, *diffSeed, err, small)
		default:
			t.Fatalf("case %d of seed %d: %v\n%s", n, *diffSeed, err, c)
		}
	}
	t.Logf("%d pairs: %d looked up, %d hits, %d upcalls, %d packets out; %d of %d tables given up at a limit; actions %v",
		x.did.pairs, x.did.hit+x.did.missed, x.did.hit, x.did.ups, x.did.out, x.limits, cases, made)
	// Else the proof proves little.
	if x.limits*20 > cases || x.did.hit < x.did.missed/2 || x.did.out < x.did.pairs/10 {
		t.Error("too few of the pairs say something")
	}
	for _, a := range []string{"Output", "Userspace", "Set", "PushVLAN", "PopVLAN", "Recirc", "Hash", "Drop", "Clone", "Trunc", "Meter",
		"PushMPLS", "PopMPLS", "Sample", "CheckPktLen"} {
		if made[a]*1000 < cases {
			t.Errorf("%d actions %s only", made[a], a)
		}
	}
}

// shrink makes a case that fails in the same way smaller, for a minute at most.
func (x *differ) shrink(c *diffCase, m *mismatch) (*diffCase, error) {
	best, last := c, m
	x.patience = time.Second
	end := time.Now().Add(time.Minute)
	fails := func(try *diffCase) bool {
		if time.Now().After(end) {
			return false
		}
		var got *mismatch
		if !errors.As(x.run(try), &got) || got.what != m.what {
			return false
		}
		best, last = try, got
		return true
	}
	if m.packet >= 0 && !fails(&diffCase{best.flows, best.packets[m.packet : m.packet+1]}) {
		fails(&diffCase{best.flows, best.packets[:m.packet+1]})
	}
	// Halves first, then one by one.
	for size := len(best.packets) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(best.packets) && len(best.packets) > 1; {
			if !fails(&diffCase{best.flows, without(best.packets, at, size)}) {
				at += size
			}
		}
	}
	for at := 0; at < len(best.flows); {
		if !fails(&diffCase{without(best.flows, at, 1), best.packets}) {
			at++
		}
	}
	for f := range best.flows {
		x.shrinkFlow(&best, f, fails)
	}
	for p := range best.packets {
		x.shrinkPacket(&best, p, fails)
	}
	return best, last
}

func without[T any](l []T, at, n int) []T { return append(append([]T(nil), l[:at]...), l[at+n:]...) }

// shrinkFlow leaves actions out, and words of the mask as long as no flows overlap.
func (x *differ) shrinkFlow(best **diffCase, f int, fails func(*diffCase) bool) {
	with := func(fl datapath.Flow) *diffCase {
		flows := append([]datapath.Flow(nil), (*best).flows...)
		flows[f] = fl
		return &diffCase{flows, (*best).packets}
	}
	for at := 0; at < len((*best).flows[f].Actions)-1; {
		fl := (*best).flows[f]
		fl.Actions = without(fl.Actions, at, 1)
		if !fails(with(fl)) {
			at++
		}
	}
	for w := range flow.DPWords {
		fl := (*best).flows[f]
		if keep := structure[w]; fl.Match.Mask[w]&^keep == 0 {
			continue
		} else {
			fl.Match.Mask[w] &= keep
		}
		fl.Match.Normalize()
		clash := false
		for o := range (*best).flows {
			clash = clash || o != f && overlap(&fl.Match, &(*best).flows[o].Match)
		}
		if !clash {
			fails(with(fl))
		}
	}
}

// shrinkPacket cuts a packet's end off and makes its bytes zero.
func (x *differ) shrinkPacket(best **diffCase, n int, fails func(*diffCase) bool) {
	with := func(p diffPacket) *diffCase {
		packets := append([]diffPacket(nil), (*best).packets...)
		packets[n] = p
		return &diffCase{(*best).flows, packets}
	}
	p := (*best).packets[n]
	p.mark, p.priority = 0, 0
	fails(with(p))
	for cut := len(p.data) / 2; cut > 0; {
		p := (*best).packets[n]
		if p.data = p.data[:max(14, len(p.data)-cut)]; len(p.data) == len((*best).packets[n].data) || !fails(with(p)) {
			cut /= 2
		}
	}
	for i := range (*best).packets[n].data {
		p := (*best).packets[n]
		if p.data[i] == 0 {
			continue
		}
		p.data = append([]byte(nil), p.data...)
		p.data[i] = 0
		fails(with(p))
	}
}
