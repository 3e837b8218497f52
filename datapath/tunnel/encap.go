package tunnel

import (
	"fmt"
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Encapsulate returns the frame that leaves the host for a packet that goes out of a tunnel port. The key has the tunnel and
// the packet's own headers; id is the identification of an IPv4 packet that may be fragmented. The packet's checksums
// are finished, and it is one segment (docs/tunnels.md says what differs for those that are segmented later); DSCP and ECN of the
// outer header are what the key says.
func Encapsulate(s *datapath.TunnelSpec, key *flow.Key, hop *datapath.NextHop, ports Ports, id uint16, inner []byte) ([]byte, error) {
	k, err := kindOf(s)
	if err != nil {
		return nil, err
	}
	src, dst := Endpoints(key)
	if !src.IsValid() {
		src = hop.Src
	}
	if !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4() {
		return nil, fmt.Errorf("from %v to %v: %w", src, dst, ErrKey)
	}
	e := encapsulation{key: key, flags: key.Get(flow.TunAllFlags), src: src, dst: dst}
	var body []byte
	switch k {
	case vxlan:
		body = e.vxlan(s.GBP)
	case geneve:
		if body, err = e.geneve(); err != nil {
			return nil, err
		}
	case gre:
		body = e.gre()
	}
	body = append(body, inner...)
	proto := byte(protoGRE)
	if k == gre {
		if e.flags&flow.TunFlagCsum != 0 {
			be.PutUint16(body[4:], packet.Checksum(body, 0))
		}
	} else {
		to := uint16(key.Get(flow.TunTPDst))
		if to == 0 {
			to = s.DstPort
		}
		proto, body = protoUDP, e.udp(ports, to, body)
	}
	out := e.ip(proto, id, body)
	if hop.MTU != 0 && len(out) > hop.MTU {
		return nil, fmt.Errorf("%d bytes of %d: %w", len(out), hop.MTU, ErrMTU)
	}
	etherType := uint16(etherIPv4)
	if !dst.Is4() {
		etherType = etherIPv6
	}
	frame := append(append(make([]byte, 0, ethLen+len(out)), hop.DstMAC[:]...), hop.SrcMAC[:]...)
	return append(be.AppendUint16(frame, etherType), out...), nil
}

type encapsulation struct {
	key      *flow.Key
	flags    uint64
	src, dst netip.Addr
}

func (e *encapsulation) vxlan(gbp bool) []byte {
	h := make([]byte, vxlanLen)
	h[0] = vxlanVNI
	id, flags := e.key.Get(flow.TunGBPID), e.key.Get(flow.TunGBPFlags)&(gbpDontLearn|gbpApplied)
	if gbp && (id != 0 || flags != 0) {
		h[0] |= vxlanGBP
		h[1] = byte(flags)
		be.PutUint16(h[2:], uint16(id))
	}
	be.PutUint32(h[4:], uint32(e.key.Get(flow.TunID))<<8)
	return h
}

func (e *encapsulation) geneve() ([]byte, error) {
	opts := Options(e.key)
	critical, ok := options(opts)
	if !ok {
		return nil, fmt.Errorf("options do not fill %d bytes: %w", len(opts), ErrKey)
	}
	h := make([]byte, geneveLen)
	h[0] = byte(len(opts) / 4)
	if e.flags&flow.TunFlagOAM != 0 {
		h[1] |= geneveOAM
	}
	if critical {
		h[1] |= geneveCritical
	}
	be.PutUint16(h[2:], etherTEB)
	be.PutUint32(h[4:], uint32(e.key.Get(flow.TunID))<<8)
	return append(h, opts...), nil
}

func (e *encapsulation) gre() []byte {
	h := []byte{0, 0, etherTEB >> 8, etherTEB & 0xff}
	if e.flags&flow.TunFlagCsum != 0 {
		h[0] |= greCsum >> 8
		h = append(h, 0, 0, 0, 0)
	}
	if e.flags&flow.TunFlagKey != 0 {
		h[0] |= greKey >> 8
		h = be.AppendUint32(h, uint32(e.key.Get(flow.TunID)))
	}
	return h
}

// udp puts a UDP header in front. Its checksum is optional over IPv4, and over IPv6 for tunnels too (RFC 6935).
func (e *encapsulation) udp(ports Ports, to uint16, body []byte) []byte {
	hash := execute.Hash(e.key, odp.Hash{SymL4: true})
	h := be.AppendUint16(be.AppendUint16(nil, ports.pick(hash)), to)
	h = append(be.AppendUint16(h, uint16(udpLen+len(body))), 0, 0)
	h = append(h, body...)
	if e.flags&flow.TunFlagCsum != 0 {
		c := packet.Checksum(h, packet.PseudoHeader(e.src.AsSlice(), e.dst.AsSlice(), protoUDP)+uint32(len(h)))
		if c == 0 {
			c = 0xffff // 0 would be none
		}
		be.PutUint16(h[6:], c)
	}
	return h
}

func (e *encapsulation) ip(proto byte, id uint16, body []byte) []byte {
	tos, ttl := byte(e.key.Get(flow.TunTOS)), byte(e.key.Get(flow.TunTTL))
	if ttl == 0 {
		ttl = defaultTTL
	}
	if !e.dst.Is4() {
		h := be.AppendUint32(nil, 6<<28|uint32(tos)<<20)
		h = append(be.AppendUint16(h, uint16(len(body))), proto, ttl)
		return append(append(append(h, e.src.AsSlice()...), e.dst.AsSlice()...), body...)
	}
	frag := uint16(0)
	if e.flags&flow.TunFlagDF != 0 {
		frag, id = 0x4000, 0
	}
	h := be.AppendUint16([]byte{0x45, tos}, uint16(ipv4Len+len(body)))
	h = be.AppendUint16(be.AppendUint16(h, id), frag)
	h = append(append(append(h, ttl, proto, 0, 0), e.src.AsSlice()...), e.dst.AsSlice()...)
	be.PutUint16(h[10:], packet.Checksum(h, 0))
	return append(h, body...)
}
