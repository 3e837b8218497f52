package packet

import (
	"errors"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// ErrSegment says that a packet cannot be cut into the segments that its GSO state asks for.
var ErrSegment = errors.New("cannot segment packet")

// FinishChecksum computes a checksum that is still unfinished. Of a GSO packet that is the sum
// over all of it: use Segment for those.
func (p *Packet) FinishChecksum() {
	g := &p.GSO
	if !g.NeedsCsum {
		return
	}
	g.NeedsCsum = false
	start, at := int(g.CsumStart), int(g.CsumStart)+int(g.CsumOffset)
	if at+2 > len(p.Data) {
		return
	}
	if g.CsumOffset == 8 { // SCTP, the only transport with its checksum there
		FinishSCTP(p.Data[start:])
		return
	}
	c := Checksum(p.Data[start:], 0)
	if c == 0 {
		c = 0xffff // UDP's zero is "none"; for the others both mean the same
	}
	be.PutUint16(p.Data[at:], c)
}

// Segment cuts a GSO packet into packets of at most Size payload bytes with finished checksums,
// and finishes the checksum of an ordinary one. The first packet may share the memory of p.
func (p *Packet) Segment() ([]Packet, error) {
	if p.GSO.Type == GSONone {
		p.FinishChecksum()
		return []Packet{*p}, nil
	}
	var key flow.Key
	o := Parse(p.Data, &key)
	if o.L4 < 0 || key.Get(flow.IPFrag) != 0 {
		return nil, fmt.Errorf("%w: no whole IP header", ErrSegment)
	}
	hdr := o.L4
	kind, proto := p.GSO.Type&^GSOECN, key.Get(flow.NwProto)
	switch {
	case (kind == GSOTCPv4 || kind == GSOTCPv6) && proto == ProtoTCP && o.End-o.L4 >= TCPLen:
		hdr += int(p.Data[o.L4+12]>>4) * 4
	case kind == GSOUDPL4 && proto == ProtoUDP:
		hdr += UDPLen
	default:
		return nil, fmt.Errorf("%w: GSO type %d with IP protocol %d", ErrSegment, p.GSO.Type, proto)
	}
	size := int(p.GSO.Size)
	if size == 0 || hdr > o.End || hdr < o.L4+UDPLen {
		return nil, fmt.Errorf("%w: segment size %d, header %d of %d bytes", ErrSegment, size, hdr, o.End)
	}
	payload := p.Data[hdr:o.End]
	var out []Packet
	for i := 0; i == 0 || len(payload) > 0; i++ {
		n := min(size, len(payload))
		d := make([]byte, hdr+n)
		copy(d, p.Data[:hdr])
		copy(d[hdr:], payload[:n])
		payload = payload[n:]
		segmentHeaders(d, o, i, i*size, len(payload) == 0, byte(proto))
		out = append(out, Packet{Data: d})
	}
	return out, nil
}

// segmentHeaders makes the copied headers of segment i, whose payload starts at offset ofs of
// the whole, those of a packet of its own.
func segmentHeaders(d []byte, o Offsets, i, ofs int, last bool, proto byte) {
	ip, l4 := d[o.L3:], d[o.L4:]
	var sum uint32
	if ip[0]>>4 == 4 {
		be.PutUint16(ip[2:], uint16(len(ip)))
		be.PutUint16(ip[4:], be.Uint16(ip[4:])+uint16(i))
		be.PutUint16(ip[10:], 0)
		be.PutUint16(ip[10:], Checksum(ip[:o.L4-o.L3], 0))
		sum = PseudoHeader(ip[12:16], ip[16:20], proto)
	} else {
		be.PutUint16(ip[4:], uint16(len(ip)-IPv6Len))
		sum = PseudoHeader(ip[8:24], ip[24:40], proto)
	}
	at := 6
	if proto == ProtoTCP {
		at = 16
		be.PutUint32(l4[4:], be.Uint32(l4[4:])+uint32(ofs))
		if !last {
			l4[13] &^= 0x09 // FIN and PSH are the last one's
		}
		if i > 0 {
			l4[13] &^= 0x80 // CWR is the first one's
		}
	} else {
		be.PutUint16(l4[4:], uint16(len(l4)))
	}
	be.PutUint16(l4[at:], 0)
	c := Checksum(l4, sum+uint32(len(l4)))
	if c == 0 {
		c = 0xffff
	}
	be.PutUint16(l4[at:], c)
}
