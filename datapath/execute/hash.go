package execute

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Hash is the value of a hash action: over addresses, protocol and ports, or the same in both
// directions of a connection with SymL4. It is never 0, which means "no hash".
//
// The function is FNV-1a over 32-bit words with a final mix; OVS leaves the choice to each
// datapath.
func Hash(key *flow.Key, a odp.Hash) uint32 {
	h := hash32(a.Basis ^ 0x811c9dc5)
	src, dst := flow.IPv4Src, flow.IPv4Dst
	size := 4
	switch key.Get(flow.EthType) {
	case packet.EthTypeIPv4:
	case packet.EthTypeIPv6:
		src, dst, size = flow.IPv6Src, flow.IPv6Dst, 16
	default:
		size = 0
	}
	var ba, bb [16]byte
	s, d := key.GetBytes(src, ba[:0])[:size], key.GetBytes(dst, bb[:0])[:size]
	var ports uint32
	if key.Get(flow.IPFrag) == 0 {
		switch key.Get(flow.NwProto) {
		case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP:
			ports = uint32(key.Get(flow.TCPSrc)<<16 | key.Get(flow.TCPDst))
		}
	}
	if a.SymL4 {
		for i := range s {
			s[i] ^= d[i]
		}
		h.bytes(s)
		// Both MAC addresses: with frames that are not IP they are all there is.
		eth := key.Get(flow.EthSrc) ^ key.Get(flow.EthDst)
		if size == 0 {
			h.word(uint32(eth >> 32))
			h.word(uint32(eth))
			h.word(uint32(key.Get(flow.EthType)))
		}
		h.word(ports>>16 ^ ports&0xffff)
	} else {
		h.bytes(s)
		h.bytes(d)
		h.word(ports)
	}
	if size != 0 {
		h.word(uint32(key.Get(flow.NwProto)))
	}
	return h.finish()
}

type hash32 uint32

func (h *hash32) word(w uint32) { *h = (*h ^ hash32(w)) * 0x01000193; *h ^= *h >> 15 }

func (h *hash32) bytes(b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		h.word(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	}
}

func (h *hash32) finish() uint32 {
	v := uint32(*h)
	v ^= v >> 16
	v *= 0x85ebca6b
	v ^= v >> 13
	v *= 0xc2b2ae35
	v ^= v >> 16
	return max(v, 1)
}
