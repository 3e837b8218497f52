package datapath

import (
	"hash/maphash"
	"math/bits"
	"unsafe"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// packed is a key and a mask without the words in which both are zero: there are many megaflows, and
// a flow.Match is 1.5 kB.
type packed struct {
	has  wordSet
	word []uint64 // of each word in has: the key's and the mask's
}

type wordSet [(flow.DPWords + 63) / 64]uint64

func (s *wordSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// pack keeps the datapath words. The key keeps bits that the mask has not.
func pack(key *flow.Key, mask *flow.Mask) packed {
	var p packed
	n := 0
	for i := range flow.DPWords {
		if key[i]|mask[i] != 0 {
			p.has.add(i)
			n += 2
		}
	}
	p.word = make([]uint64, 0, n)
	for i := range p.each {
		p.word = append(p.word, key[i], mask[i])
	}
	return p
}

// each goes over the words that are there: their index in a key, and in p.word.
func (p *packed) each(yield func(i, at int) bool) {
	at := 0
	for w, has := range p.has {
		for ; has != 0; has &= has - 1 {
			if !yield(w*64+bits.TrailingZeros64(has), at) {
				return
			}
			at += 2
		}
	}
}

// key writes the key with all its bits.
func (p *packed) key(k *flow.Key) {
	*k = flow.Key{}
	for i, at := range p.each {
		k[i] = p.word[at]
	}
}

// match writes the mask, and the key where the mask is.
func (p *packed) match(m *flow.Match) {
	*m = flow.Match{}
	for i, at := range p.each {
		m.Mask[i] = p.word[at+1]
		m.Key[i] = p.word[at] & p.word[at+1]
	}
}

// covers reports whether every bit of the datapath words of m is in the mask.
func (p *packed) covers(m *flow.Mask) bool {
	var mine flow.Mask
	for i, at := range p.each {
		mine[i] = p.word[at+1]
	}
	for i := range flow.DPWords {
		if m[i]&^mine[i] != 0 {
			return false
		}
	}
	return true
}

// matchID names a key with its mask: 128 bits of two independently seeded hashes, so that the
// index needs no copy of the match.
type matchID [2]uint64

type matchSeed [2]maphash.Seed

func newMatchSeed() matchSeed { return matchSeed{maphash.MakeSeed(), maphash.MakeSeed()} }

// id hashes the datapath words that the mask has bits in, and which ones these are.
func (s *matchSeed) id(key *flow.Key, mask *flow.Mask) matchID {
	var has wordSet
	var buf [2*flow.DPWords + len(has)]uint64
	n := len(has)
	for i, m := range mask[:flow.DPWords] {
		if m != 0 {
			has.add(i)
			buf[n], buf[n+1] = m, key[i]&m
			n += 2
		}
	}
	copy(buf[:], has[:])
	b := unsafe.Slice((*byte)(unsafe.Pointer(&buf)), n*8)
	return matchID{maphash.Bytes(s[0], b), maphash.Bytes(s[1], b)}
}
