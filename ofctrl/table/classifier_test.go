package table

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// drawKey draws keys from few values, so that rules are hit, with address bits that share
// prefixes.
func drawKey(t *rapid.T) flow.Key {
	var k flow.Key
	small := func(name string) uint64 { return rapid.Uint64Range(0, 2).Draw(t, name) }
	k.Set(flow.InPort, small("in_port"))
	k.Set(flow.Reg0, small("reg0"))
	k.Set(flow.Metadata, small("metadata"))
	k.Set(flow.EthType, rapid.SampledFrom([]uint64{0x800, 0x86dd, 0x806}).Draw(t, "eth_type"))
	k.Set(flow.EthDst, small("eth_dst"))
	k.Set(flow.VLANTCI, small("tci")<<11)
	k.Set(flow.IPv4Src, 0x0a000000|rapid.Uint64Range(0, 7).Draw(t, "ip_src")<<rapid.IntRange(0, 29).Draw(t, "at"))
	k.Set(flow.IPv4Dst, 0x0a000000|rapid.Uint64Range(0, 7).Draw(t, "ip_dst"))
	v6 := make([]byte, 16)
	v6[rapid.IntRange(0, 15).Draw(t, "v6 at")] = byte(small("v6") << 3)
	k.SetBytes(flow.IPv6Dst, v6)
	k.Set(flow.NwProto, rapid.SampledFrom([]uint64{1, 6, 17}).Draw(t, "proto"))
	k.Set(flow.TCPSrc, rapid.SampledFrom([]uint64{0, 80, 81, 0x8050}).Draw(t, "tp_src"))
	k.Set(flow.TCPDst, rapid.SampledFrom([]uint64{0, 80, 81, 0x8050}).Draw(t, "tp_dst"))
	return k
}

// drawMask draws a mask of whole fields, prefixes and odd bits.
func drawMask(t *rapid.T) flow.Mask {
	var m flow.Mask
	for _, f := range []flow.FieldID{
		flow.InPort, flow.Reg0, flow.Metadata, flow.EthType, flow.EthDst, flow.VLANTCI, flow.NwProto, flow.TCPSrc, flow.TCPDst,
	} {
		if rapid.IntRange(0, 3).Draw(t, f.String()) == 0 {
			m.SetExact(f)
		}
	}
	for _, f := range []flow.FieldID{flow.IPv4Src, flow.IPv4Dst} {
		switch rapid.IntRange(0, 4).Draw(t, f.String()) {
		case 0:
			m.Set(f, 0xffffffff<<rapid.IntRange(0, 31).Draw(t, "host bits"))
		case 1:
			m.Set(f, uint64(rapid.Uint32().Draw(t, "bits")))
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "ipv6") == 0 {
		v := make([]byte, 16)
		n := rapid.IntRange(0, 128).Draw(t, "plen")
		for i := range n {
			v[i/8] |= 0x80 >> (i % 8)
		}
		m.SetBytes(flow.IPv6Dst, v)
	}
	if rapid.IntRange(0, 4).Draw(t, "port mask") == 0 {
		m.Set(flow.TCPDst, 0xffff<<rapid.IntRange(0, 15).Draw(t, "port bits"))
	}
	return m
}

// linear is the model: all rules in a row.
type linear []*modelRule

type modelRule struct {
	match    flow.Match
	priority int
}

func (l linear) best(k *flow.Key) *modelRule {
	var best *modelRule
	for _, r := range l {
		if r.match.Matches(k) && (best == nil || r.priority > best.priority) {
			best = r
		}
	}
	return best
}

// TestClassifierAgainstScan adds and deletes rules at random and compares lookups with a scan;
// and any key that agrees with a looked-up one in the bits that the lookup read gets its rule.
func TestClassifierAgainstScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables := New(Options{})
		var model linear
		nextPriority := 0
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				m := flow.Match{Key: drawKey(t), Mask: drawMask(t)}
				m.Normalize()
				// Priorities are unique, as overlapping rules of one priority have no order.
				priority := nextPriority
				nextPriority = (nextPriority + 7919) % 65536
				if _, err := tables.Apply(&openflow.FlowMod{Table: 3, Match: m, Priority: uint16(priority)}); err != nil {
					t.Fatal(err)
				}
				model = append(model, &modelRule{m, priority})
			},
			"delete": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "rule")
				r := model[i]
				removed, err := tables.Apply(&openflow.FlowMod{
					Command: openflow.FlowDeleteStrict, Table: 3, Match: r.match, Priority: uint16(r.priority),
					OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
				})
				if err != nil || len(removed) != 1 {
					t.Fatalf("delete: %v %v", removed, err)
				}
				if removed[0].Rule.Match() != r.match {
					t.Fatal("another match")
				}
				model = append(model[:i], model[i+1:]...)
			},
			"loose": func(t *rapid.T) {
				m := flow.Match{Key: drawKey(t), Mask: drawMask(t)}
				m.Normalize()
				want := 0
				for _, r := range model {
					if r.match.Mask.Covers(&m.Mask) && r.match.Key.EqualMasked(&m.Key, &m.Mask) {
						want++
					}
				}
				sel := All()
				sel.Match = m
				got := 0
				tables.Each(sel, func(*Rule) { got++ })
				if got != want {
					t.Fatalf("loose match: %d rules, want %d", got, want)
				}
			},
			"": func(t *rapid.T) {
				if n := tables.Len(3); n != len(model) {
					t.Fatalf("%d rules, want %d", n, len(model))
				}
				for range 4 {
					k := drawKey(t)
					var wc flow.Mask
					got := tables.Lookup(3, &k, &wc)
					checkRule(t, got, model.best(&k))
					for range 8 {
						o := mutate(random, &k, &wc)
						checkRule(t, got, model.best(&o))
						var ignored flow.Mask
						if tables.Lookup(3, &o, &ignored) != got {
							t.Fatal("a key that agrees in what was read finds another rule")
						}
					}
				}
			},
		})
	})
}

// mutate changes bits of k outside wc: some at random, single ones, whole words.
func mutate(random *rand.Rand, k *flow.Key, wc *flow.Mask) flow.Key {
	o := *k
	for i := range o {
		switch random.IntN(4) {
		case 0:
			o[i] ^= random.Uint64() &^ wc[i]
		case 1:
			o[i] ^= 1 << random.IntN(64) &^ wc[i]
		case 2:
			o[i] ^= random.Uint64() & random.Uint64() & random.Uint64() &^ wc[i]
		}
	}
	return o
}

func checkRule(t *rapid.T, got *Rule, want *modelRule) {
	t.Helper()
	switch {
	case got == nil && want == nil:
	case got == nil || want == nil:
		t.Fatalf("got %v, want %v", got, want)
	case got.Priority != want.priority || got.Match() != want.match:
		t.Fatalf("got priority %d, want %d", got.Priority, want.priority)
	}
}

// TestTrieAgainstScan compares a trie with a list of prefixes.
func TestTrieAgainstScan(t *testing.T) {
	type prefix struct {
		bits bitString
		len  int
	}
	rapid.Check(t, func(t *rapid.T) {
		var tr trie
		count := map[prefix]int{}
		draw := func(t *rapid.T) bitString {
			return bitString{rapid.Uint64Range(0, 7).Draw(t, "high") << rapid.IntRange(0, 61).Draw(t, "at"), rapid.Uint64Range(0, 3).Draw(t, "low") << 62}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := rapid.IntRange(1, 128).Draw(t, "len")
				p := prefix{draw(t).first(n), n}
				tr.add(p.bits, n, 1)
				count[p]++
			},
			"remove": func(t *rapid.T) {
				for p := range count {
					tr.add(p.bits, p.len, -1)
					if count[p]--; count[p] == 0 {
						delete(count, p)
					}
					return
				}
				if tr.root != nil {
					t.Fatal("an empty trie has nodes")
				}
			},
			"": func(t *rapid.T) {
				k := draw(t)
				var s prefixSet
				tr.search(&k, &s)
				for n := 1; n <= 128; n++ {
					if want := count[prefix{k.first(n), n}] > 0; s.has(n) != want {
						t.Fatalf("length %d: %v, want %v", n, s.has(n), want)
					}
					if s.has(n) {
						continue
					}
					need := min(n, s.checked)
					for p := range count {
						if p.len == n && p.bits.first(need) == k.first(need) {
							t.Fatalf("length %d: %d bits do not tell %x from %x", n, need, p.bits, k)
						}
					}
				}
			},
		})
	})
}
