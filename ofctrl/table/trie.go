package table

// trie holds prefixes with the number of rules that have each: a binary tree with compressed
// paths.
type trie struct{ root *trieNode }

type trieNode struct {
	bits  bitString // from the root
	len   int
	count int // rules with exactly this prefix
	child [2]*trieNode
}

// prefixSet is what a search found.
type prefixSet struct {
	lens    [3]uint64 // bit n: a prefix of length n of the key is there
	checked int       // bits of the key that decided all this
}

func (s *prefixSet) has(n int) bool { return s.lens[n/64]>>(n%64)&1 != 0 }

// search finds all prefixes of key. A prefix of length n that is not in the set is told from the
// first min(n, checked) bits of the key alone.
func (t *trie) search(key *bitString, s *prefixSet) {
	for n := t.root; n != nil; {
		if c := key.common(&n.bits, n.len); c < n.len {
			s.checked = c + 1
			return
		}
		if n.count > 0 {
			s.lens[n.len/64] |= 1 << (n.len % 64)
		}
		s.checked = n.len
		if n.child[0] == nil && n.child[1] == nil {
			return
		}
		s.checked = n.len + 1
		n = n.child[key.bit(n.len)]
	}
}

// add changes the count of a prefix by d, 1 or -1; one that falls to 0 goes away.
func (t *trie) add(key bitString, length, d int) {
	key = key.first(length)
	at := &t.root
	var parent **trieNode
	for *at != nil {
		n := *at
		c := key.common(&n.bits, min(n.len, length))
		switch {
		case c < n.len && c < length: // fork
			fork := &trieNode{bits: key.first(c), len: c}
			fork.child[n.bits.bit(c)] = n
			fork.child[key.bit(c)] = &trieNode{bits: key, len: length, count: d}
			*at = fork
			return
		case c < n.len: // the new one is above n
			up := &trieNode{bits: key, len: length, count: d}
			up.child[n.bits.bit(c)] = n
			*at = up
			return
		case c == length: // n itself
			n.count += d
			t.prune(parent, at)
			return
		}
		parent, at = at, &n.child[key.bit(n.len)]
	}
	*at = &trieNode{bits: key, len: length, count: d}
}

// prune drops the node at *at if nothing needs it, then likewise its parent.
func (t *trie) prune(parent, at **trieNode) {
	for at != nil {
		n := *at
		if n.count > 0 || n.child[0] != nil && n.child[1] != nil {
			return
		}
		if n.child[0] != nil {
			*at = n.child[0]
		} else {
			*at = n.child[1]
		}
		parent, at = nil, parent
	}
}
