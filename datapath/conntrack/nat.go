package conntrack

import (
	"bytes"
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// How much choosing a translation tries at most.
const (
	maxAddrs = 4   // addresses of a range
	maxPorts = 256 // ports for one address
)

// natOf is what nat() asks for, for the packets of the first direction.
func natOf(n *odp.NAT) State {
	switch {
	case n == nil:
		return 0
	case n.Src:
		return SrcNAT
	case n.Dst:
		return DstNAT
	}
	return 0
}

// choose finds the tuple of answers for a connection whose packets of the first direction, with orig, are
// translated as n says. No connection has it yet. ok is false when there is none among those that are tried.
func (t *Table) choose(orig *Tuple, n *odp.NAT, now int64) (reply Tuple, ok bool) {
	nat := natOf(n)
	if nat == 0 {
		reply = orig.Reverse()
		return reply, t.free(orig, &reply, now)
	}
	h := hash(orig, n.Persistent)
	for i := range uint32(maxAddrs) {
		out := *orig
		addr := &out.Src
		if nat == DstNAT {
			addr = &out.Dst
		}
		if !address(addr, orig.Family, n, h, i) {
			break
		}
		if out, ok = t.choosePort(orig, out, n, now); ok {
			return out.Reverse(), true
		}
	}
	return Tuple{}, false
}

// free reports whether a new connection with tuples orig and reply shares none with another. orig is
// known to be free.
func (t *Table) free(orig, reply *Tuple, now int64) bool {
	if *reply == *orig {
		return true
	}
	c, _ := t.find(reply, now)
	return c == nil
}

// address is the i-th address to try; false: there is none. Without addresses, and with one that is all
// zero, what there is stays.
func address(a *[16]byte, family uint8, n *odp.NAT, h, i uint32) bool {
	if len(n.MinAddr) == 0 || allZero(n.MinAddr) && len(n.MaxAddr) == 0 {
		return i == 0
	}
	if (len(n.MinAddr) == 4) != (family == FamilyIPv4) {
		return false
	}
	lo := mapped(n.MinAddr)
	hi := lo
	if len(n.MaxAddr) == len(n.MinAddr) && bytes.Compare(n.MinAddr, n.MaxAddr) < 0 {
		hi = mapped(n.MaxAddr)
	}
	// The low 64 bits are enough to choose from; above them a range begins at its start.
	loHigh, loLow, hiHigh, hiLow := be.Uint64(lo[:]), be.Uint64(lo[8:]), be.Uint64(hi[:]), be.Uint64(hi[8:])
	last := ^uint64(0)
	if loHigh == hiHigh {
		last = hiLow - loLow // offset of the last address
	}
	if uint64(i) > last {
		return false
	}
	ofs := uint64(h)<<32 | uint64(h)
	if last != ^uint64(0) {
		ofs = (uint64(h)%(last+1) + uint64(i)) % (last + 1)
	} else {
		ofs += uint64(i)
	}
	low, carry := bits.Add64(loLow, ofs, 0)
	be.PutUint64(a[:], loHigh+carry)
	be.PutUint64(a[8:], low)
	return true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// choosePort finds ports with which out, whose addresses are translated, is free.
func (t *Table) choosePort(orig *Tuple, out Tuple, n *odp.NAT, now int64) (Tuple, bool) {
	try := func() bool {
		reply := out.Reverse()
		return t.free(orig, &reply, now)
	}
	if !out.ports() && !out.ICMP() {
		return out, try()
	}
	if n.Dst && n.MinPort != 0 && out.ports() {
		if t.probe(&out.DstPort, t.start(orig, n), n.MinPort, max(n.MinPort, n.MaxPort), try) {
			return out, true
		}
	} else if (n.Dst || n.MinPort == 0) && try() {
		return out, true
	}
	// The source is what may change, also where the destination is translated: the answer's other end
	// knows neither.
	if n.Src && n.MinPort != 0 {
		return out, t.probe(&out.SrcPort, t.start(orig, n), n.MinPort, max(n.MinPort, n.MaxPort), try)
	}
	lo, hi := sourceRange(orig)
	start := uint32(orig.SrcPort) - uint32(lo)
	if n.Random {
		start = t.o.Rand()
	}
	return out, t.probe(&out.SrcPort, start, lo, hi, try)
}

// start is where probing a range of ports begins.
func (t *Table) start(orig *Tuple, n *odp.NAT) uint32 {
	if n.Random {
		return t.o.Rand()
	}
	return hash(orig, false)
}

// probe tries the ports lo to hi from start on: all of a small range; of a large one the neighbours, and then some
// that lie apart.
func (t *Table) probe(port *uint16, start uint32, lo, hi uint16, try func() bool) bool {
	size := uint32(hi-lo) + 1
	start %= size
	stride := 2*(hash32(start)%size) + 1
	for i := range min(size, maxPorts) {
		ofs := start + i
		if size > maxPorts && i >= maxPorts/2 {
			ofs = start + i*stride
		}
		*port = lo + uint16(ofs%size)
		if try() {
			return true
		}
	}
	return false
}

// sourceRange is where a source port that is taken is replaced from: ports mean more the lower
// they are, so it stays in its class. Any identifier of ICMP is as good as another.
func sourceRange(t *Tuple) (lo, hi uint16) {
	switch p := t.SrcPort; {
	case t.ICMP():
		return 0, 65535
	case p < 512:
		return 1, 511
	case p < 1024:
		return 512, 1023
	}
	return 1024, 65535
}

// hash is of a tuple's members, or only its addresses (persistent: a host always gets the same address).
func hash(t *Tuple, persistent bool) uint32 {
	h := uint32(0x811c9dc5)
	word := func(w uint32) { h = (h ^ w) * 0x01000193; h ^= h >> 15 }
	for i := 0; i < 16; i += 4 {
		word(be.Uint32(t.Src[i:]))
		if !persistent {
			word(be.Uint32(t.Dst[i:]))
		}
	}
	if !persistent {
		word(uint32(t.SrcPort)<<16 | uint32(t.DstPort))
		word(uint32(t.Proto))
	}
	return hash32(h)
}

// hash32 mixes all bits.
func hash32(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}
