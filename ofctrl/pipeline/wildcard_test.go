package pipeline

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// The property of the house: a megaflow is never wider than what decided its actions. A key that
// differs only in wildcarded bits is translated to the same actions. (Its mask may differ: of a rule
// that does not match, the classifier un-wildcards one bit that proves it, and a second
// key may have another one.)
func TestWildcards(t *testing.T) {
	var tried, dropped, acted, hashed int
	rapid.Check(t, func(t *rapid.T) {
		s := (&generator{r: drawRand(t), all: rapid.Bool().Draw(t, "all")}).scene()
		w := s.world()
		r := drawRand(t)
		for range 5 { // a packet that ct sends to an earlier table comes back for ever
			first := w.run(&s.key)
			if first.Drop != odp.DropNone {
				dropped++
			}
			if len(first.Actions) > 0 {
				acted++
			}
			if again := w.run(&s.key); again.Mask != first.Mask {
				t.Fatalf("masks differ: %s\n%s", maskText(&first.Mask), maskText(&again.Mask))
			}
			for range 20 {
				k := s.other(r, &first.Mask)
				if !k.EqualMasked(&s.key, &first.Mask) {
					continue // no such packet
				}
				tried++
				compare(t, s, first, w.run(&k))
			}
			// What revalidation sees: wildcarded bits are zero.
			k := s.key
			k.And(&first.Mask)
			compare(t, s, first, w.run(&k))

			id, ok := recirculates(first)
			if !ok {
				break
			}
			// The same with the packet as it comes back.
			hashed++
			s.key.Set(flow.RecircID, uint64(id))
			s.key.Set(flow.DPHash, uint64(rapid.Uint32Min(1).Draw(t, "dp_hash")))
		}
	})
	t.Logf("%d other keys, %d translations dropped, %d with actions, %d recirculated", tried, dropped, acted, hashed)
	if tried < 1000 || acted < 100 || hashed == 0 {
		t.Error("the generator makes too few cases that say something")
	}
}

// recirculates reports the ID with which a packet comes back.
func recirculates(res *datapath.Result) (id uint32, ok bool) {
	if n := len(res.Actions); n > 0 {
		if r, ok := res.Actions[n-1].(odp.Recirc); ok {
			return r.ID, true
		}
	}
	return 0, false
}

// sameCredit compares receivers of traffic: those that each translation makes anew by what they do.
func sameCredit(a, b datapath.Credit) bool {
	switch a := a.(type) {
	case *learning:
		b, ok := b.(*learning)
		return ok && a.bridge == b.bridge && a.limit == b.limit && reflect.DeepEqual(a.mod, b.mod)
	case *finTimeout:
		b, ok := b.(*finTimeout)
		return ok && *a == *b
	}
	return a == b
}

func compare(t *rapid.T, s *scene, a, b *datapath.Result) {
	t.Helper()
	if d := cmp.Diff(a.Actions, b.Actions); d != "" {
		t.Fatalf("%sactions differ: %s\nmask %s", s, d, maskText(&a.Mask))
	}
	if a.Drop != b.Drop || a.Slow != b.Slow || len(a.Credits) != len(b.Credits) || len(a.Deps) != len(b.Deps) {
		t.Fatalf("results differ: %v %v", a, b)
	}
	for i := range a.Credits {
		if !sameCredit(a.Credits[i], b.Credits[i]) {
			t.Fatalf("%scredits differ: %v, %v", s, a.Credits[i], b.Credits[i])
		}
	}
	for i, w := range a.Mask[flow.DPWords:] {
		if w != 0 {
			t.Fatalf("mask has OpenFlow word %d", i)
		}
	}
}
