package netdev

import (
	"encoding/binary"
	"math"

	"github.com/vishvananda/netlink/nl"
)

// ticksPerSecond is the kernel's unit of time in buffers and rate tables: 64 ns (PSCHED_SHIFT of net/pkt_sched.h).
const ticksPerSecond = 1_000_000_000 / 64

// ticks is how long it takes to send size bytes at rate bytes/s.
func ticks(rate, size uint64) uint32 {
	if rate == 0 {
		return 0
	}
	return uint32(min(ticksPerSecond*size/rate, math.MaxUint32))
}

// leastBurst is what HTB needs to send at rate bytes/s: a packet, and what the clock's resolution lets pass.
func (s sender) leastBurst(rate uint64) uint64 { return s.mtu + rate/1_000_000_000 }

// smallest is what the shortest frame counts as (ETH_ZLEN).
const smallest = 60

// rate encodes a rate and its table of times for 256 packet sizes, which the kernel wants and does not use.
func (s sender) rate(rate uint64) (spec nl.TcRateSpec, table []byte) {
	cell := uint8(0)
	for frame := s.mtu + 14 + 4; frame >= 256; frame >>= 1 {
		cell++
	}
	table = make([]byte, 0, 1024)
	for i := range uint64(256) {
		table = binary.NativeEndian.AppendUint32(table, ticks(rate, max((i+1)<<cell, smallest)))
	}
	return nl.TcRateSpec{CellLog: cell, Linklayer: nl.LINKLAYER_ETHERNET, Mpu: smallest, Rate: uint32(min(rate, math.MaxUint32))}, table
}

// rateToQuantum is the part of its rate that a class may send in one turn (r2q of tc-htb(8)).
const rateToQuantum = 10

func htbRoot(sender, *options) ([]byte, []Option) {
	glob := nl.TcHtbGlob{Version: 3, Rate2Quantum: rateToQuantum, Defcls: defaultClass}
	return attr(nl.TCA_HTB_INIT, glob.Serialize()), nil
}

func htbClass(s sender, c class) []byte {
	low, lows := s.rate(c.min)
	high, highs := s.rate(c.max)
	parms := nl.TcHtbCopt{
		Rate: low, Ceil: high, Prio: c.priority,
		Buffer: ticks(c.min, max(c.burst, s.leastBurst(c.min))), Cbuffer: ticks(c.max, max(c.burst, s.leastBurst(c.max))),
	}
	if c.min/rateToQuantum < s.mtu {
		parms.Quantum = uint32(s.mtu) // less could not send a packet in one turn
	}
	b := attr(nl.TCA_HTB_PARMS, parms.Serialize())
	for _, r := range []struct {
		typ  int
		rate uint64
	}{{nl.TCA_HTB_RATE64, c.min}, {nl.TCA_HTB_CEIL64, c.max}} {
		if r.rate > math.MaxUint32 {
			b = append(b, attr(r.typ, nl.Uint64Attr(r.rate))...)
		}
	}
	return append(append(b, attr(nl.TCA_HTB_RTAB, lows)...), attr(nl.TCA_HTB_CTAB, highs)...)
}

// htbQueue reads a queue's settings: it may send at least a packet per second, and bursts of at least a packet.
func htbQueue(s sender, o *options, limit uint64) (class, []Option) {
	c := class{
		min:   min(max(o.number("min-rate", 0)/8, s.mtu), limit),
		burst: max(o.number("burst", 0)/8, s.mtu+64), priority: uint32(min(o.number("priority", 0), math.MaxUint32)),
	}
	c.max = between(o.number("max-rate", 0)/8, c.min, limit)
	shown := []Option{bits("burst", c.burst)}
	if c.priority != 0 {
		shown = append(shown, plain("priority", uint64(c.priority)))
	}
	return c, append(shown, bits("min-rate", c.min), bits("max-rate", c.max))
}

// between is a queue's highest rate: limit if it has none of its own.
func between(rate, low, limit uint64) uint64 {
	if rate == 0 {
		return limit
	}
	return min(max(rate, low), limit)
}

func hfscRoot(sender, *options) ([]byte, []Option) {
	return binary.NativeEndian.AppendUint16(nil, defaultClass), nil
}

func hfscClass(_ sender, c class) []byte {
	// A service curve is a rate, a time and the rate after it.
	curve := func(typ int, rate uint64) []byte {
		b := make([]byte, 8, 12)
		return attr(typ, binary.NativeEndian.AppendUint32(b, uint32(min(rate, math.MaxUint32))))
	}
	return append(append(curve(nl.TCA_HFSC_RSC, c.min), curve(nl.TCA_HFSC_FSC, c.min)...), curve(nl.TCA_HFSC_USC, c.max)...)
}

func hfscQueue(_ sender, o *options, limit uint64) (class, []Option) {
	c := class{min: min(max(o.number("min-rate", 0)/8, 1), limit)}
	c.max = between(o.number("max-rate", 0)/8, c.min, limit)
	return c, []Option{bits("min-rate", c.min), bits("max-rate", c.max)}
}
