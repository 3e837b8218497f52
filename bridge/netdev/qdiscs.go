package netdev

import (
	"encoding/binary"
	"math"

	"github.com/vishvananda/netlink/nl"
)

// The qdiscs without classes. Times are in microseconds, limits in packets, quanta in bytes.

// Attributes of codel and fq_codel (linux/pkt_sched.h).
const (
	codelTarget   = 1
	codelLimit    = 2
	codelInterval = 3

	fqCodelFlows   = 5
	fqCodelQuantum = 6
)

// small reads a number of 32 bits.
func (o *options) small(key string, def uint32) uint32 {
	return uint32(min(o.number(key, uint64(def)), math.MaxUint32))
}

// words encodes a struct of 32-bit members.
func words(list ...uint32) (b []byte) {
	for _, w := range list {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func sfqRoot(s sender, o *options) ([]byte, []Option) {
	quantum, perturb := o.small("quantum", uint32(s.mtu)), o.small("perturb", 10) // seconds
	// quantum, perturb_period, limit, divisor, flows
	return words(quantum, perturb, 0, 0, 0), []Option{plain("quantum", uint64(quantum)), plain("perturb", uint64(perturb))}
}

// codelOptions are those that codel and fq_codel share.
func codelOptions(o *options) (b []byte, shown []Option) {
	for _, x := range []struct {
		typ int
		key string
		def uint32
	}{{codelTarget, "target", 5000}, {codelLimit, "limit", 10240}, {codelInterval, "interval", 100000}} {
		v := o.small(x.key, x.def)
		b = append(b, attr(x.typ, nl.Uint32Attr(v))...)
		shown = append(shown, plain(x.key, uint64(v)))
	}
	return b, shown
}

func codelRoot(_ sender, o *options) ([]byte, []Option) { return codelOptions(o) }

func fqCodelRoot(_ sender, o *options) ([]byte, []Option) {
	b, shown := codelOptions(o)
	flows, quantum := o.small("flows", 1024), o.small("quantum", 1514)
	b = append(append(b, attr(fqCodelFlows, nl.Uint32Attr(flows))...), attr(fqCodelQuantum, nl.Uint32Attr(quantum))...)
	return b, append(shown, plain("flows", uint64(flows)), plain("quantum", uint64(quantum)))
}

func netemRoot(_ sender, o *options) ([]byte, []Option) {
	latency, jitter := o.number("latency", 0), o.number("jitter", 0)
	limit, loss := o.small("limit", 1000), min(o.number("loss", 0), 100)
	us := func(n uint64) uint32 { return ticks(1_000_000, min(n, math.MaxUint32)) }
	// latency, limit, loss, gap, duplicate, jitter
	b := words(us(latency), limit, uint32(loss*math.MaxUint32/100), 0, 0, us(jitter))
	return b, []Option{plain("latency", latency), plain("limit", uint64(limit)), plain("loss", loss), plain("jitter", jitter)}
}
