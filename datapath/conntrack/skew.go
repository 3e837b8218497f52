package conntrack

import (
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// skew is how far the sequence numbers of one end of a TCP connection are shifted on their way, since bytes were added
// to what it sends or taken out. There are two, for what is sent again from before the last change.
type skew struct {
	at            uint32 // sequence number of the last segment that was changed, as its sender has it
	before, after int32  // up to at, behind it
}

// change notes that the segment with number seq has become longer by n; nothing for one that is sent again.
func (s *skew) change(seq uint32, n int32) {
	if s.before == s.after || before(s.at, seq) {
		*s = skew{seq, s.after, s.after + n}
	}
}

// shift is that of a sequence number as the sender has it.
func (s *skew) shift(seq uint32) int32 {
	if before(s.at, seq) {
		return s.after
	}
	return s.before
}

// unshift is the same of a number as the receiver has it.
func (s *skew) unshift(ack uint32) int32 {
	if before(s.at, ack-uint32(s.before)) {
		return s.after
	}
	return s.before
}

// adjustAck has a segment acknowledge what the other end knows to have sent.
func (c *conn) adjustAck(p *packet.Packet, h *header, reply bool) {
	s := &c.skews[side(!reply)]
	if *s == (skew{}) {
		return
	}
	tcp := p.Data[h.l4:h.end]
	less := func(at int) {
		n := be.Uint32(tcp[at:])
		h.putTCP(p, at, be.AppendUint32(nil, n-uint32(s.unshift(n))))
	}
	if tcp[13]&flagACK != 0 {
		less(8)
	}
	// Selective acknowledgements (RFC 2018).
	const end, noop, sack = 0, 1, 5
	for at, n := packet.TCPLen, int(tcp[12]>>4)*4; at < n && tcp[at] != end; {
		if tcp[at] == noop {
			at++
			continue
		}
		if at+1 >= n || tcp[at+1] < 2 || at+int(tcp[at+1]) > n {
			return
		}
		next := at + int(tcp[at+1])
		if tcp[at] == sack {
			for e := at + 2; e+4 <= next; e += 4 {
				less(e)
			}
		}
		at = next
	}
}

// adjustSeq shifts a segment's number.
func (c *conn) adjustSeq(p *packet.Packet, h *header, reply bool) {
	seq := be.Uint32(p.Data[h.l4+4:])
	if n := c.skews[side(reply)].shift(seq); n != 0 {
		h.putTCP(p, 4, be.AppendUint32(nil, seq+uint32(n)))
	}
}

// unfinished reports whether the checksum of the transport header covers only the pseudo header yet.
func (h *header) unfinished(p *packet.Packet) bool {
	return p.GSO.NeedsCsum && int(p.GSO.CsumStart) == h.l4
}

// putTCP writes into the TCP header and keeps its checksum right.
func (h *header) putTCP(p *packet.Packet, at int, v []byte) {
	tcp := p.Data[h.l4:h.end]
	if h.unfinished(p) {
		copy(tcp[at:], v)
		return
	}
	if at%2 == 0 {
		put(tcp, 16, at, v)
		return
	}
	// An option at an odd place: change the words that it lies in.
	even := slices.Concat(tcp[at-1:at], v, tcp[at+len(v):at+len(v)+1])
	put(tcp, 16, at-1, even)
}

// replace has other bytes in the place of n at offset at, in the payload of a TCP segment. false: the packet would be too long.
func (h *header) replace(p *packet.Packet, at, n int, b []byte) bool {
	const maxLen = 65535
	grown := len(b) - n
	if h.end-h.l3+grown > maxLen {
		return false
	}
	p.Data = slices.Concat(p.Data[:at], b, p.Data[at+n:])
	h.end += grown
	ip, tcp := p.Data[h.l3:h.end], p.Data[h.l4:h.end]
	if h.tuple.Family == FamilyIPv4 {
		put(ip, 10, 2, be.AppendUint16(nil, uint16(len(ip))))
	} else {
		be.PutUint16(ip[4:], uint16(int(be.Uint16(ip[4:]))+grown))
	}
	var own header // the addresses may have been translated
	own.addresses(ip)
	pseudo := packet.PseudoHeader(wire(own.tuple.Family, &own.tuple.Src), wire(own.tuple.Family, &own.tuple.Dst), packet.ProtoTCP) + uint32(len(tcp))
	if h.unfinished(p) {
		be.PutUint16(tcp[16:], ^packet.Checksum(nil, pseudo))
		return true
	}
	be.PutUint16(tcp[16:], 0)
	be.PutUint16(tcp[16:], packet.Checksum(tcp, pseudo))
	return true
}
