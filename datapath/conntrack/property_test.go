package conntrack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"

	"pgregory.net/rapid"
)

// TestProperties sends random packets through random ct actions and holds the table to what must always be so.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		l := &lab{TB: fatal{t: t}, now: 1}
		l.Table = NewTable(Options{Now: func() int64 { return l.now }, Rand: r.Uint32})
		most := 2 + r.Uint32N(40)
		_ = l.SetMax(most)
		var zones [3]uint32
		if r.IntN(2) == 0 {
			zones[2] = 1 + r.Uint32N(3)
			_ = l.SetLimit(2, zones[2])
		}
		for range 80 {
			if r.IntN(10) == 0 {
				l.now += r.Int64N(40e9)
			}
			zone := r.IntN(3)
			p := randomPacket(r)
			before := p.Clone()
			ct := fmt.Sprintf("ct(%szone=%d%s)", []string{"", "commit,", "force_commit,"}[r.IntN(3)], zone, randomNAT(r))
			key := new(flow.Key)
			packet.Extract(p.Data, key)
			passed := l.again(p, key, ct)
			checkState(t, State(key.Get(flow.CTState)), passed)
			if err := packettest.CheckSums(p.Data); err != nil {
				t.Fatalf("%s: %v", ct, err)
			}
			if s := State(key.Get(flow.CTState)); s&natBits == 0 && !bytes.Equal(before.Data, p.Data) {
				t.Fatalf("%s changed a packet and does not say so", ct)
			} else if s&natBits != 0 && s&Related == 0 {
				l.translatesBack(t, before, p, zone)
			}
			l.invariants(t)
			if n := l.perZone[2]; zones[2] != 0 && n > zones[2] || len(l.all) > int(most) {
				t.Fatalf("%d connections, %d in zone 2", len(l.all), n)
			}
		}
	})
}

// fatal is the part of a testing.TB that a lab needs.
type fatal struct {
	testing.TB
	t *rapid.T
}

func (f fatal) Helper()                   {}
func (f fatal) Fatal(a ...any)            { f.t.Fatal(a...) }
func (f fatal) Fatalf(s string, a ...any) { f.t.Fatalf(s, a...) }

// checkState holds a ct_state to ovs-fields(7).
func checkState(t *rapid.T, s State, passed bool) {
	switch {
	case !passed:
	case s&Tracked == 0,
		s&Invalid != 0 && s != Invalid|Tracked,
		s&New != 0 && s&(Established|Reply) != 0,
		s&natBits == natBits:
		t.Fatalf("state %#x", s)
	}
}

// translatesBack has the receiver of a translated packet answer.
func (l *lab) translatesBack(t *rapid.T, before, after *packet.Packet, zone int) {
	var h, b header
	var key flow.Key
	packet.Extract(after.Data, &key)
	if !h.parse(after, &key, true) || !b.parse(before, new(flow.Key), true) {
		t.Fatal("translated what cannot be read")
	}
	h.tuple.Zone, b.tuple.Zone = uint16(zone), uint16(zone)
	out, in := h.tuple.Reverse(), b.tuple
	c := l.conns[out]
	if c == nil || l.conns[in] != c {
		t.Fatalf("%v became %v, whose answer is of another connection", in, h.tuple)
	}
	if c.orig != c.reply && (out == c.orig) == (in == c.orig) {
		t.Fatalf("%v and its answer %v go the same way", in, out)
	}
}

// invariants are of the table's own structure: above all that no tuple belongs to two connections.
func (l *lab) invariants(t *rapid.T) {
	tuples, zones := 0, map[uint16]uint32{}
	for i, c := range l.all {
		if c.at != i || l.conns[c.orig] != c || l.conns[c.reply] != c {
			t.Fatalf("%v or %v belongs to another connection", c.orig, c.reply)
		}
		tuples += 2
		if c.orig == c.reply {
			tuples--
		}
		zones[c.orig.Zone]++
		if c.replied == (c.next != nil) {
			t.Fatalf("%v: with answer %v, but linked %v", c.orig, c.replied, c.next != nil)
		}
		if c.nat == 0 && c.reply != c.orig.Reverse() {
			t.Fatalf("%v is translated without a translation", c.orig)
		}
	}
	if len(l.conns) != tuples || len(zones) != len(l.perZone) {
		t.Fatalf("%d tuples of %d connections in %d zones", len(l.conns), len(l.all), len(l.perZone))
	}
	for z, n := range zones {
		if l.perZone[z] != n {
			t.Fatalf("zone %d: %d, not %d", z, l.perZone[z], n)
		}
	}
	n := 0
	for c := l.lru.next; c != &l.lru; c = c.next {
		n++
	}
	if n > len(l.all) {
		t.Fatalf("%d connections wait, of %d", n, len(l.all))
	}
}

func randomNAT(r *rand.Rand) string {
	nat := ""
	switch r.IntN(4) {
	case 0:
		return ""
	case 1:
		return ",nat"
	case 2:
		nat = "src"
	default:
		nat = "dst"
	}
	return ",nat(" + nat + []string{"", "=10.0.0.2", "=20.0.0.1", "=20.0.0.1-20.0.0.3", "=20.0.0.1:5-7", "=10.0.0.1:2", "=fd00::2", "=0.0.0.0"}[r.IntN(8)] + []string{"", ",random", ",persistent"}[r.IntN(3)] + ")"
}

func randomPacket(r *rand.Rand) *packet.Packet {
	hosts := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "20.0.0.1", "20.0.0.2"}
	if r.IntN(4) == 0 {
		hosts = []string{"fd00::1", "fd00::2", "fd00::3"}
	}
	a, b := hosts[r.IntN(len(hosts))], hosts[r.IntN(len(hosts))]
	sp, dp := 1+uint16(r.IntN(8)), 1+uint16(r.IntN(3))
	if r.IntN(2) == 0 {
		sp, dp = dp, sp
	}
	v6 := len(hosts) == 3
	switch r.IntN(6) {
	case 0:
		types := []byte{8, 0, 13, 14, 40}
		if v6 {
			types = []byte{128, 129, 135}
		}
		return icmp(a, b, types[r.IntN(len(types))], uint16(r.IntN(3)))
	case 1:
		typ := byte(3)
		if v6 {
			typ = 1
		}
		return report(hosts[r.IntN(len(hosts))], b, typ, udp(b, a, sp, dp))
	case 2:
		return ip(a, b, 47, make([]byte, 8))
	case 3:
		flags := []byte{flagSYN, flagSYN | flagACK, flagACK, flagFIN | flagACK, flagRST, flagRST | flagACK, 0}
		return tcp{flags[r.IntN(len(flags))], 1 + r.Uint32N(3), 1 + r.Uint32N(3), uint16(r.IntN(3)) * 500, r.IntN(3), byte(r.IntN(2)) * 7}.packet(a, b, sp, dp)
	}
	return udp(a, b, sp, dp)
}

// FuzzTrack has packets of any octets tracked.
func FuzzTrack(f *testing.F) {
	f.Add(udp(hostA, hostB, 1, 2).Data)
	f.Add(tcp{flagSYN, 1, 0, 1, 1, 7}.packet(hostA, hostB, 1, 2).Data)
	f.Add(report(hostB, hostA, 3, udp(hostA, hostB, 1, 2)).Data)
	f.Add(report("fd00::2", "fd00::1", 2, icmp("fd00::1", "fd00::2", 128, 7)).Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		l := newLab(t)
		l.o.SkipChecksums = true
		for _, p := range []*packet.Packet{udp(hostA, hostB, 1, 2), tcp{flagSYN, 1, 0, 1, 1, 7}.packet(hostA, hostB, 1, 2), icmp("fd00::1", "fd00::2", 128, 7)} {
			l.pass(p, "ct(commit,nat(src))")
		}
		p := &packet.Packet{Data: bytes.Clone(data)}
		var key flow.Key
		packet.Extract(p.Data, &key)
		l.again(p, &key, "ct(commit,nat(dst=1.1.1.1-1.1.1.9:3-900))")
		l.again(p, &key, "ct(nat)")
		if len(p.Data) != len(data) {
			t.Fatal("the length changed")
		}
	})
}
