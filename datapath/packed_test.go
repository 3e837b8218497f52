package datapath

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// sparse draws a key in which most words are zero.
func sparse(t *rapid.T, name string) (k flow.Key) {
	for range rapid.IntRange(0, 12).Draw(t, name+" words") {
		k[rapid.IntRange(0, flow.Words-1).Draw(t, "word")] = rapid.Uint64().Draw(t, "value")
	}
	return k
}

func TestPacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, mask, other := sparse(t, "key"), sparse(t, "mask"), sparse(t, "other")
		p := pack(&key, &mask)
		want := flow.Match{Key: key, Mask: mask}
		clear(want.Key[flow.DPWords:])
		clear(want.Mask[flow.DPWords:])
		var k flow.Key
		if p.key(&k); k != want.Key {
			t.Fatalf("key: got %x, want %x", k, want.Key)
		}
		want.Normalize()
		var m flow.Match
		if p.match(&m); m != want {
			t.Fatalf("match: got %x, want %x", m, want)
		}
		read := other
		clear(read[flow.DPWords:])
		if got, want := p.covers(&other), want.Mask.Covers(&read); got != want {
			t.Fatalf("covers: got %v, want %v", got, want)
		}
		if got := p.covers(&mask); !got {
			t.Fatal("a mask does not cover itself")
		}
	})
}

// TestMatchID checks that the name of a match depends on what matches, and on nothing else.
func TestMatchID(t *testing.T) {
	seed := newMatchSeed()
	rapid.Check(t, func(t *rapid.T) {
		key, mask := sparse(t, "key"), sparse(t, "mask")
		id := seed.id(&key, &mask)
		bit := uint64(1) << rapid.IntRange(0, 63).Draw(t, "bit")
		w := rapid.IntRange(0, flow.DPWords-1).Draw(t, "word")
		other := key
		other[w] ^= bit
		if got, want := seed.id(&other, &mask) == id, mask[w]&bit == 0; got != want {
			t.Fatalf("another key: same name %v, want %v", got, want)
		}
		wide := mask
		wide[w] ^= bit
		if seed.id(&key, &wide) == id {
			t.Fatal("another mask has the same name")
		}
	})
}

func BenchmarkMatchID(b *testing.B) {
	seed := newMatchSeed()
	var key flow.Key
	var mask flow.Mask
	for i := range 10 {
		key[i*5], mask[i*5] = uint64(i), ^uint64(0)
	}
	b.ReportAllocs()
	for b.Loop() {
		seed.id(&key, &mask)
	}
}

func BenchmarkPack(b *testing.B) {
	var key flow.Key
	var mask flow.Mask
	for i := range 10 {
		key[i*5], mask[i*5] = uint64(i), ^uint64(0)
	}
	b.ReportAllocs()
	for b.Loop() {
		pack(&key, &mask)
	}
}
