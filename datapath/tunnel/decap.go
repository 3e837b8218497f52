package tunnel

import (
	"fmt"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Decapsulate takes a frame off that came for a local address of the host and returns what is in it, in memory of its own, and the
// tunnel in key, whose other members it leaves. ErrNotOurs: the frame is the host's.
func Decapsulate(s *datapath.TunnelSpec, frame []byte, key *flow.Key) ([]byte, error) {
	k, err := kindOf(s)
	if err != nil {
		return nil, err
	}
	var d decapsulation
	if err := d.ip(frame); err != nil {
		return nil, err
	}
	var t flow.Key
	setEndpoints(&t, d.src, d.dst)
	t.Set(flow.TunTOS, uint64(d.tos))
	t.Set(flow.TunTTL, uint64(d.ttl))
	var inner []byte
	switch k {
	case gre:
		inner, err = d.gre(&t)
	default:
		inner, err = d.udp(k, s, &t)
	}
	if err != nil {
		return nil, err
	}
	if len(inner) < packet.EthLen {
		return nil, notOurs("%d bytes inside", len(inner))
	}
	inner = slices.Clone(inner)
	if !congested(inner, d.tos&3) {
		return nil, ErrECN
	}
	copy(key.Bytes()[flow.TunID.Info().Off:flow.DPWords*8], t.Bytes()[flow.TunID.Info().Off:])
	return inner, nil
}

type decapsulation struct {
	src, dst []byte
	tos, ttl byte
	proto    byte
	body     []byte
}

func notOurs(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrNotOurs)...)
}

// ip reads the outer IP header of a whole packet without fragments or, of IPv6, extension headers.
func (d *decapsulation) ip(f []byte) error {
	if len(f) < ethLen+ipv4Len {
		return notOurs("%d bytes", len(f))
	}
	ip := f[ethLen:]
	switch be.Uint16(f[12:]) {
	case etherIPv4:
		ihl, total := int(ip[0]&15)*4, int(be.Uint16(ip[2:]))
		switch {
		case ip[0]>>4 != 4 || ihl < ipv4Len || total < ihl || total > len(ip):
			return notOurs("IPv4 header of %d bytes in a packet of %d", ihl, total)
		case be.Uint16(ip[6:])&0x3fff != 0:
			return notOurs("a fragment")
		case packet.Checksum(ip[:ihl], 0) != 0:
			return notOurs("wrong checksum of the IPv4 header")
		}
		d.src, d.dst, d.tos, d.ttl, d.proto = ip[12:16], ip[16:20], ip[1], ip[8], ip[9]
		d.body = ip[ihl:total]
	case etherIPv6:
		if len(ip) < ipv6Len || ip[0]>>4 != 6 {
			return notOurs("%d bytes of IPv6", len(ip))
		}
		n := int(be.Uint16(ip[4:]))
		if n > len(ip)-ipv6Len {
			return notOurs("IPv6 packet is cut off")
		}
		d.src, d.dst, d.ttl, d.proto = ip[8:24], ip[24:40], ip[7], ip[6]
		d.tos = byte(be.Uint16(ip) >> 4)
		d.body = ip[ipv6Len : ipv6Len+n]
	default:
		return notOurs("not IP")
	}
	return nil
}

func (d *decapsulation) udp(k kind, s *datapath.TunnelSpec, t *flow.Key) ([]byte, error) {
	b := d.body
	if d.proto != protoUDP || len(b) < udpLen+max(vxlanLen, geneveLen) {
		return nil, notOurs("no UDP")
	}
	n := int(be.Uint16(b[4:]))
	if be.Uint16(b[2:]) != s.DstPort || n < udpLen+max(vxlanLen, geneveLen) || n > len(b) {
		return nil, notOurs("UDP to port %d", be.Uint16(b[2:]))
	}
	b = b[:n]
	flags := uint64(flow.TunFlagKey)
	if be.Uint16(b[6:]) != 0 {
		if packet.Checksum(b, packet.PseudoHeader(d.src, d.dst, protoUDP)+uint32(n)) != 0 {
			return nil, notOurs("wrong UDP checksum")
		}
		flags |= flow.TunFlagCsum
	}
	t.Set(flow.TunTPSrc, uint64(be.Uint16(b)))
	t.Set(flow.TunTPDst, uint64(be.Uint16(b[2:])))
	h := b[udpLen:]
	t.Set(flow.TunID, uint64(be.Uint32(h[4:])>>8))
	if k == vxlan {
		known := byte(vxlanVNI)
		if s.GBP {
			known |= vxlanGBP
		}
		// Bits that are not understood are refused, as Linux does: they may say what is inside.
		policy := h[0]&known&vxlanGBP != 0
		if h[0]&vxlanVNI == 0 || h[0]&^known != 0 || h[7] != 0 ||
			policy && h[1]&^(gbpDontLearn|gbpApplied) != 0 || !policy && (h[1] != 0 || h[2] != 0 || h[3] != 0) {
			return nil, notOurs("VXLAN flags %#x", be.Uint32(h))
		}
		if policy {
			t.Set(flow.TunGBPID, uint64(be.Uint16(h[2:])))
			t.Set(flow.TunGBPFlags, uint64(h[1]))
		}
		t.Set(flow.TunAllFlags, flags)
		return h[vxlanLen:], nil
	}
	opts := int(h[0]&0x3f) * 4
	if h[0]>>6 != 0 || be.Uint16(h[2:]) != etherTEB || geneveLen+opts > len(h) {
		return nil, notOurs("Geneve header %#x", be.Uint32(h))
	}
	if _, ok := options(h[geneveLen : geneveLen+opts]); !ok {
		return nil, notOurs("damaged Geneve options")
	}
	if h[1]&geneveOAM != 0 {
		flags |= flow.TunFlagOAM
	}
	t.Set(flow.TunOptsLen, uint64(opts))
	copy(t.Bytes()[optsAt:], h[geneveLen:geneveLen+opts])
	t.Set(flow.TunAllFlags, flags)
	return h[geneveLen+opts:], nil
}

func (d *decapsulation) gre(t *flow.Key) ([]byte, error) {
	b := d.body
	if d.proto != protoGRE || len(b) < 4 {
		return nil, notOurs("no GRE")
	}
	h := be.Uint16(b)
	if h&^(greCsum|greKey|greSeq) != 0 || be.Uint16(b[2:]) != etherTEB {
		return nil, notOurs("GRE header %#x", be.Uint32(b))
	}
	n := 4
	for _, bit := range []uint16{greCsum, greKey, greSeq} {
		if h&bit != 0 {
			n += 4
		}
	}
	if len(b) < n {
		return nil, notOurs("GRE header is cut off")
	}
	var flags uint64
	if h&greCsum != 0 {
		if packet.Checksum(b, 0) != 0 {
			return nil, notOurs("wrong GRE checksum")
		}
		flags |= flow.TunFlagCsum
	}
	if h&greKey != 0 {
		at := 4
		if h&greCsum != 0 {
			at = 8
		}
		t.Set(flow.TunID, uint64(be.Uint32(b[at:])))
		flags |= flow.TunFlagKey
	}
	t.Set(flow.TunAllFlags, flags)
	return b[n:], nil
}

// congested brings the ECN field of the outer header in (RFC 6040 section 4.2); false: the packet is to be dropped.
func congested(frame []byte, outer byte) bool {
	const ect1, ect0, ce = 1, 2, 3
	if outer != ce && outer != ect1 {
		return true
	}
	var key flow.Key
	at := packet.Parse(frame, &key)
	if t := key.Get(flow.EthType); at.L3 < 0 || t != etherIPv4 && t != etherIPv6 {
		return true
	}
	ip := frame[at.L3:]
	inner := ip[1] & 3
	if key.Get(flow.EthType) == etherIPv6 {
		inner = ip[1] >> 4 & 3
	}
	to := inner
	switch {
	case outer == ce && inner == 0:
		return false
	case outer == ce:
		to = ce
	case inner == ect0:
		to = ect1
	}
	if to == inner {
		return true
	}
	if key.Get(flow.EthType) == etherIPv4 {
		old := [2]byte(ip[:2])
		ip[1] = ip[1]&^3 | to
		be.PutUint16(ip[10:], packet.UpdateChecksum(be.Uint16(ip[10:]), old[:], ip[:2]))
	} else {
		ip[1] = ip[1]&^0x30 | to<<4
	}
	return true
}
