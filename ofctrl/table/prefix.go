package table

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// maxPrefixes is how many fields of a table can have their prefixes kept in tries.
const maxPrefixes = 4

// prefixField is a part of a key whose prefixes are kept in a trie.
type prefixField struct {
	id        flow.FieldID
	off, size int // bytes
}

// defaultPrefixes are those of tables that are not configured: OVS's.
var defaultPrefixes = []prefixField{field(flow.IPv4Dst), field(flow.IPv4Src), field(flow.IPv6Dst), field(flow.IPv6Src)}

func field(id flow.FieldID) prefixField {
	f := &flow.Fields[id]
	return prefixField{id, f.Off, f.Size}
}

// Prefixed reports whether a field can have its prefixes kept: addresses, and the id of a tunnel.
func Prefixed(id flow.FieldID) bool {
	switch id {
	case flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst:
		return true
	}
	return false
}

// setPrefixes chooses the fields whose prefixes are kept; nil: the default. What a lookup finds does not depend on
// it, but how much of an address it has to read does.
func (c *classifier) setPrefixes(ids []flow.FieldID) {
	fields := defaultPrefixes
	if ids != nil {
		fields = nil
		for _, id := range ids {
			if Prefixed(id) && len(fields) < maxPrefixes {
				fields = append(fields, field(id))
			}
		}
	}
	if slices.Equal(fields, c.prefix) {
		return
	}
	c.prefix = fields
	c.tries = [maxPrefixes]trie{}
	for _, s := range c.subs {
		s.prefix = c.prefixesOf(&s.mask)
		for r := s.first; r != nil; r = r.succ {
			s.countPrefixes(c, r, 1)
		}
	}
	c.touch()
}

// bitString is up to 128 bits, left-aligned.
type bitString [2]uint64

func (b *bitString) bit(i int) int { return int(b[i/64] >> (63 - i%64) & 1) }

// common is how many of the first n bits agree.
func (b *bitString) common(o *bitString, n int) int {
	if x := b[0] ^ o[0]; x != 0 {
		return min(n, bits.LeadingZeros64(x))
	}
	return min(n, 64+bits.LeadingZeros64(b[1]^o[1]))
}

// first keeps the first n bits.
func (b bitString) first(n int) bitString {
	if n <= 64 {
		return bitString{b[0] &^ (^uint64(0) >> n), 0}
	}
	return bitString{b[0], b[1] &^ (^uint64(0) >> (n - 64))}
}

// bits reads the field of a key.
func (p prefixField) bits(k *flow.Key) bitString {
	b := k.Bytes()[p.off : p.off+p.size]
	switch p.size {
	case 4:
		return bitString{uint64(binary.BigEndian.Uint32(b)) << 32, 0}
	case 8:
		return bitString{binary.BigEndian.Uint64(b), 0}
	}
	return bitString{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// prefixOf says that a mask has in a field nothing but its first len bits, at least one.
type prefixOf struct{ field, len, stage int }

// prefixesOf lists the fields in which a mask is a prefix, by stage.
func (c *classifier) prefixesOf(mask *flow.Mask) []prefixOf {
	var list []prefixOf
	for st := range numStages {
		for f, p := range c.prefix {
			if stageOf[p.off/8] != st {
				continue
			}
			b := p.bits(mask)
			n := (&bitString{^b[0], ^b[1]}).leadingZeros()
			if n > 0 && b == b.first(n) {
				list = append(list, prefixOf{f, n, st})
			}
		}
	}
	return list
}

func (b *bitString) leadingZeros() int { return b.common(&bitString{}, 128) }

// addPrefixes counts a rule's prefixes in the table's tries.
func (s *subtable) addPrefixes(c *classifier, r *Rule, d int) {
	if s.ports != nil {
		k := s.key(r)
		s.ports.trie.add(bitString{portsOf(&k)}, 32, d)
	}
	s.countPrefixes(c, r, d)
}

// countPrefixes is addPrefixes for the fields that can be chosen.
func (s *subtable) countPrefixes(c *classifier, r *Rule, d int) {
	if len(s.prefix) == 0 {
		return
	}
	k := s.key(r)
	for _, p := range s.prefix {
		c.tries[p.field].add(c.prefix[p.field].bits(&k), p.len, d)
	}
}

// key is a rule's values as a key.
func (s *subtable) key(r *Rule) (k flow.Key) {
	for i, e := range s.entry {
		k[e.word] = r.word[i]
	}
	return k
}

// ports are the transport ports of the rules of one subtable, so that a packet to a port without
// a rule un-wildcards no more than the bits that tell it apart from those with one.
type ports struct {
	trie trie
	mask uint64 // of tp_src and tp_dst, left-aligned
}

var portsOff = flow.Fields[flow.TCPSrc].Off // tp_dst follows

func portsOf(k *flow.Key) uint64 {
	return uint64(binary.BigEndian.Uint32(k.Bytes()[portsOff:])) << 32
}

func newPorts(mask *flow.Mask) *ports {
	if m := portsOf(mask); m != 0 {
		return &ports{mask: m}
	}
	return nil
}

// has reports whether a rule may have the packet's ports; when not, it adds what told so to wc.
func (p *ports) has(k *flow.Key, wc *flow.Mask) bool {
	var s prefixSet
	p.trie.search(&bitString{portsOf(k) & p.mask}, &s)
	if s.has(32) {
		return true
	}
	b := wc.Bytes()[portsOff : portsOff+4]
	read := p.mask & (bitString{^uint64(0)}).first(s.checked)[0]
	binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)|uint32(read>>32))
	return false
}

// prefixes are the results of searches in a table's tries for one packet, made on demand.
type prefixes struct {
	done  [maxPrefixes]bool
	found [maxPrefixes]prefixSet
}

// has reports whether any rule of the table has the first n bits of the packet's field as its
// prefix of length n.
func (s *prefixes) has(c *classifier, k *flow.Key, f, n int) bool {
	if !s.done[f] {
		b := c.prefix[f].bits(k)
		c.tries[f].search(&b, &s.found[f])
		s.done[f] = true
	}
	return s.found[f].has(n)
}

// read adds to wc the bits that told that a prefix of length n is not there.
func (s *prefixes) read(c *classifier, wc *flow.Mask, f, n int) {
	n = min(n, s.found[f].checked)
	p := c.prefix[f]
	b := wc.Bytes()[p.off : p.off+p.size]
	for i := 0; n > 0; i, n = i+1, n-8 {
		b[i] |= ^(byte(0xff) >> min(n, 8))
	}
}
