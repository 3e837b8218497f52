// Package tunnel puts packets into tunnels and takes them out, byte by byte: VXLAN (RFC 7348, with the group based policy
// extension), Geneve (RFC 8926) and GRE (RFC 2784, RFC 2890) with Ethernet inside, over IPv4 and IPv6. It is the executable
// specification of native tunnels; the programs in package bpf do the same.
package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// Errors that callers tell apart.
var (
	// ErrNotOurs says that a packet is for the host, as it is: no tunnel's, damaged, or of a kind that is not understood.
	ErrNotOurs = errors.New("not a tunnel's packet")
	// ErrECN says that a packet met congestion outside and cannot say so inside (RFC 6040 section 4.2): it is dropped.
	ErrECN = errors.New("congestion experienced, and no ECN inside")
	// ErrMTU says that the encapsulated packet is longer than its way allows.
	ErrMTU = errors.New("longer than the MTU of the way")
	// ErrKey says that the key has no tunnel that could be built.
	ErrKey = errors.New("no such tunnel")
)

// Ports are the outer UDP source ports that tell flows apart, first and last.
type Ports struct{ First, Last uint16 }

// DefaultPorts are those of Linux and OVS.
var DefaultPorts = Ports{32768, 61000}

// pick is the port of a flow.
func (p Ports) pick(hash uint32) uint16 {
	n := uint64(p.Last) - uint64(p.First) + 1
	return p.First + uint16(uint64(hash)*n>>32)
}

const (
	protoUDP = 17
	protoGRE = 47

	ethLen, ipv4Len, ipv6Len, udpLen = 14, 20, 40, 8

	etherIPv4, etherIPv6, etherTEB = 0x0800, 0x86dd, 0x6558

	vxlanLen     = 8
	vxlanVNI     = 0x08 // the header has a network identifier
	vxlanGBP     = 0x80 // and a group policy
	gbpDontLearn = 0x40
	gbpApplied   = 0x08

	geneveLen      = 8
	geneveOAM      = 0x80
	geneveCritical = 0x40 // one of the options is
	optLen         = 4
	optCritical    = 0x80
	optWords       = 0x1f

	greCsum = 0x8000
	greKey  = 0x2000
	greSeq  = 0x1000

	// MaxOpts is how many bytes of options a Geneve header can have.
	MaxOpts = 252
	// defaultTTL is that of packets whose key has none.
	defaultTTL = 64
)

var be = binary.BigEndian

// kind is what follows the outer IP header.
type kind uint8

const (
	vxlan kind = iota + 1
	geneve
	gre
)

func kindOf(s *datapath.TunnelSpec) (kind, error) {
	switch s.Type {
	case "vxlan":
		return vxlan, nil
	case "geneve":
		return geneve, nil
	case "gre", "ip6gre":
		return gre, nil
	}
	return 0, fmt.Errorf("type %q: %w", s.Type, ErrKey)
}

// Endpoints are the outer addresses in a key; one that is not set is the zero Addr.
func Endpoints(key *flow.Key) (src, dst netip.Addr) {
	addr := func(v4, v6 flow.FieldID) (a netip.Addr) {
		if !key.IsZero(v4) {
			a, _ = netip.AddrFromSlice(key.GetBytes(v4, nil))
		} else if !key.IsZero(v6) {
			a, _ = netip.AddrFromSlice(key.GetBytes(v6, nil))
		}
		return a
	}
	return addr(flow.TunSrc, flow.TunIPv6Src), addr(flow.TunDst, flow.TunIPv6Dst)
}

func setEndpoints(key *flow.Key, src, dst []byte) {
	if len(src) == 4 {
		key.SetBytes(flow.TunSrc, src)
		key.SetBytes(flow.TunDst, dst)
		return
	}
	key.SetBytes(flow.TunIPv6Src, src)
	key.SetBytes(flow.TunIPv6Dst, dst)
}

// optsAt is where the options are in a key.
var optsAt = (flow.TunOptsLen.Info().Off/8 + 1) * 8

// Options are the Geneve options in a key, its own memory.
func Options(key *flow.Key) []byte {
	return key.Bytes()[optsAt : optsAt+min(int(key.Get(flow.TunOptsLen)), MaxOpts)]
}

// Clear makes a key that of a packet without tunnel.
func Clear(key *flow.Key) {
	clear(key.Bytes()[flow.TunID.Info().Off : flow.DPWords*8])
}

// options checks that options fill their space and says whether one of them is critical.
func options(o []byte) (critical, ok bool) {
	for len(o) > 0 {
		if len(o) < optLen {
			return false, false
		}
		n := optLen + int(o[3]&optWords)*4
		if n > len(o) {
			return false, false
		}
		critical = critical || o[2]&optCritical != 0
		o = o[n:]
	}
	return critical, true
}
