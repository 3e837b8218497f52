package ebpf

import "math/bits"

// freeList is a set of free numbers that gives out the lowest first. So flows that are set up together lie together, and
// few flows in little memory, however many came and went before: the look-up waits for memory more than for anything else
// (60,000 flows in the order of their set-up, after a purge: 0.79 of bpf_redirect_peer, 0.57 where the last freed is taken first).
type freeList struct {
	// A bit of a level says that the word of the level below has one; levels[0] has a bit a number.
	levels [][]uint64
	n      int
}

// newFreeList is for the numbers below n; none of them is free.
func newFreeList(n int) *freeList {
	f := &freeList{}
	for {
		n = (n + 63) / 64
		f.levels = append(f.levels, make([]uint64, n))
		if n <= 1 {
			return f
		}
	}
}

// len is how many numbers are free.
func (f *freeList) len() int { return f.n }

// add frees a number that is not free.
func (f *freeList) add(i uint32) {
	f.n++
	for _, level := range f.levels {
		was := level[i/64]
		level[i/64] = was | 1<<(i%64)
		if was != 0 {
			return
		}
		i /= 64
	}
}

// take returns the lowest number, which is not free any more. There must be one.
func (f *freeList) take() uint32 {
	f.n--
	var i uint32
	for l := len(f.levels) - 1; l >= 0; l-- {
		i = i*64 + uint32(bits.TrailingZeros64(f.levels[l][i]))
	}
	at := i
	for _, level := range f.levels {
		level[at/64] &^= 1 << (at % 64)
		if level[at/64] != 0 {
			break
		}
		at /= 64
	}
	return i
}
