package conntrack

import (
	"bytes"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// translate makes a packet of connection c look as its receiver knows the connection, and returns
// the bits which say what was done. The key follows the packet.
func (c *conn) translate(p *packet.Packet, key *flow.Key, h *header, reply bool) State {
	other, done := &c.reply, c.nat
	if reply {
		other, done = &c.orig, c.nat^natBits
	}
	out := other.Reverse()
	if h.related {
		// Only the translated side of the error's own addresses: it may come from a router.
		if done == SrcNAT {
			out.Dst = mapped(wire(out.Family, h.address(p, false)))
		} else {
			out.Src = mapped(wire(out.Family, h.address(p, true)))
		}
		h.rewriteInner(p.Data, other)
	} else if h.tuple.ICMP() && !h.later() {
		l4 := p.Data[h.l4:h.end]
		put(l4, 2, 4, be.AppendUint16(nil, out.SrcPort))
	}
	src, dst := flow.IPv4Src, flow.IPv4Dst
	if out.Family == FamilyIPv6 {
		src, dst = flow.IPv6Src, flow.IPv6Dst
	}
	key.SetBytes(src, wire(out.Family, &out.Src))
	key.SetBytes(dst, wire(out.Family, &out.Dst))
	if !h.related && h.tuple.ports() && !h.later() {
		key.Set(flow.TCPSrc, uint64(out.SrcPort))
		key.Set(flow.TCPDst, uint64(out.DstPort))
	}
	packet.Commit(p, key)
	packet.Reextract(p.Data, key)
	return done
}

// address is the packet's own source or destination.
func (h *header) address(p *packet.Packet, source bool) *[16]byte {
	var own header
	own.addresses(p.Data[h.l3:h.end])
	if source {
		return &own.tuple.Src
	}
	return &own.tuple.Dst
}

// put writes into b at offset at, and updates the checksum at sum. Without a change it stays as it is: its two zeros
// are not the same for all packets.
func put(b []byte, sum, at int, v []byte) {
	if bytes.Equal(b[at:at+len(v)], v) {
		return
	}
	be.PutUint16(b[sum:], packet.UpdateChecksum(be.Uint16(b[sum:]), b[at:at+len(v)], v))
	copy(b[at:], v)
}

// rewriteInner gives the packet in an ICMP error the tuple t. Its checksums stay right, as far as
// they are there.
func (h *header) rewriteInner(data []byte, t *Tuple) {
	icmp := data[h.l4:h.end]
	l3, l4 := h.inner3-h.l4, h.inner4-h.l4
	n := len(icmp)
	sum := -1 // of the inner transport header
	switch {
	case t.Proto == packet.ProtoTCP && n >= l4+18:
		sum = l4 + 16
	case t.Proto == packet.ProtoUDP && be.Uint16(icmp[l4+6:]) != 0:
		sum = l4 + 6
	case t.ICMP():
		sum = l4 + 2
	}
	// write changes covered bytes of the inner packet; sums are the offsets of checksums that cover them.
	write := func(at int, v []byte, sums ...int) {
		old := bytes.Clone(icmp[at : at+len(v)])
		if bytes.Equal(old, v) {
			return
		}
		for _, s := range sums {
			if s < 0 {
				continue
			}
			c := packet.UpdateChecksum(be.Uint16(icmp[s:]), old, v)
			put(icmp, 2, s, be.AppendUint16(nil, c))
		}
		put(icmp, 2, at, v)
	}
	addresses := append(bytes.Clone(wire(t.Family, &t.Src)), wire(t.Family, &t.Dst)...)
	pseudo := sum
	if t.Family == FamilyIPv4 {
		if t.ICMP() {
			pseudo = -1
		}
		write(l3+12, addresses, l3+10, pseudo)
	} else {
		write(l3+8, addresses, pseudo)
	}
	switch {
	case t.ICMP():
		write(l4+4, be.AppendUint16(nil, t.SrcPort), sum)
	case t.ports():
		write(l4, be.AppendUint16(be.AppendUint16(nil, t.SrcPort), t.DstPort), sum)
	}
}
