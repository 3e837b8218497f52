package ebpf

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestFreeList compares with a sorted list.
func TestFreeList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10000).Draw(t, "numbers")
		f := newFreeList(n)
		var want []uint32
		for _, i := range rapid.SliceOf(rapid.IntRange(-1, n-1)).Draw(t, "steps") { // -1 takes
			switch at, free := slices.BinarySearch(want, uint32(i)); {
			case i >= 0 && !free:
				f.add(uint32(i))
				want = slices.Insert(want, at, uint32(i))
			case i < 0 && len(want) > 0:
				if got := f.take(); got != want[0] {
					t.Fatalf("took %d, want %d", got, want[0])
				}
				want = want[1:]
			}
			if f.len() != len(want) {
				t.Fatalf("%d are free, want %d", f.len(), len(want))
			}
		}
	})
}
