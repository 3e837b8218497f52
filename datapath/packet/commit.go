package packet

import (
	"bytes"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// Commit writes into the packet's headers what the key says in fields that can be set:
// Ethernet and IP addresses, ToS, TTL, flow label, ports, ICMP type and code, ARP, neighbour
// discovery, the top MPLS label. Checksums are kept right if they were right; of an unfinished
// checksum only the pseudo header's part is adjusted. Fields for which the packet has no header
// are ignored, as are those that say what headers there are (Ethertype, protocol, fragments).
func Commit(p *Packet, key *flow.Key) {
	var cur flow.Key
	copy(cur.Bytes()[keyPacketType:keyPacketType+4], key.Bytes()[keyPacketType:])
	o := Parse(p.Data, &cur)
	diff := false
	for i := range cur {
		diff = diff || (cur[i]^key[i])&headers[i] != 0
	}
	if !diff {
		return
	}
	c := commit{p: p, o: o, cur: cur.Bytes(), want: key.Bytes()}
	if o.Net >= EthLen {
		c.plain(keyEthDst, 6, 0)
		c.plain(keyEthSrc, 6, 6)
	}
	if o.MPLS >= 0 && len(p.Data) >= o.MPLS+MPLSLen {
		c.plain(keyMPLSLSE0, 4, o.MPLS)
	}
	if o.L3 < 0 {
		return
	}
	switch cur.Get(flow.EthType) {
	case EthTypeIPv4:
		c.ipv4()
		c.transport()
	case EthTypeIPv6:
		c.ipv6()
		c.transport()
	case EthTypeARP, EthTypeRARP:
		c.arp()
	}
}

type commit struct {
	p         *Packet
	o         Offsets
	cur, want []byte // keys: as the packet is, as it shall be
}

func (c *commit) changed(off, n int) bool {
	return !bytes.Equal(c.cur[off:off+n], c.want[off:off+n])
}

// plain writes a member that no checksum covers.
func (c *commit) plain(off, n, at int) {
	if c.changed(off, n) {
		copy(c.p.Data[at:at+n], c.want[off:off+n])
	}
}

func (c *commit) arp() {
	b := c.p.Data[c.o.L3:]
	if len(b) < ARPLen || be.Uint32(b) != 0x00010800 || be.Uint16(b[4:]) != 0x0604 {
		return
	}
	if c.changed(keyNwProto, 1) {
		be.PutUint16(b[6:], uint16(c.want[keyNwProto]))
	}
	c.plain(keyARPSHA, 6, c.o.L3+8)
	c.plain(keyIPv4Src, 4, c.o.L3+14)
	c.plain(keyARPTHA, 6, c.o.L3+18)
	c.plain(keyIPv4Dst, 4, c.o.L3+24)
}

func (c *commit) ipv4() {
	h := c.p.Data[c.o.L3:]
	later := c.cur[keyNwFrag]&flow.FragLater != 0
	for _, f := range []struct{ off, at int }{{keyIPv4Src, 12}, {keyIPv4Dst, 16}} {
		if c.changed(f.off, 4) {
			old, now := c.cur[f.off:f.off+4], c.want[f.off:f.off+4]
			c.ipv4Header(f.at, now)
			if !later {
				c.pseudo(old, now)
			}
		}
	}
	if c.changed(keyNwTOS, 1) {
		c.ipv4Header(0, []byte{h[0], c.want[keyNwTOS]})
	}
	if c.changed(keyNwTTL, 1) {
		c.ipv4Header(8, []byte{c.want[keyNwTTL], h[9]})
	}
}

// ipv4Header writes into the IPv4 header at an even offset and updates its checksum.
func (c *commit) ipv4Header(at int, now []byte) {
	h := c.p.Data[c.o.L3:]
	be.PutUint16(h[10:], update(be.Uint16(h[10:]), h[at:at+len(now)], now))
	copy(h[at:], now)
}

func (c *commit) ipv6() {
	h := c.p.Data[c.o.L3:]
	if c.o.L4 >= 0 { // else label, class and hop limit are not in the key
		be.PutUint32(h, be.Uint32(h)&0xf0000000|uint32(c.want[keyNwTOS])<<20|be.Uint32(c.want[keyIPv6Label:])&0xfffff)
		h[7] = c.want[keyNwTTL]
	}
	l4 := c.o.L4 >= 0 && c.cur[keyNwFrag]&flow.FragLater == 0
	if c.changed(keyIPv6Src, 16) {
		if l4 {
			c.pseudo(c.cur[keyIPv6Src:keyIPv6Src+16], c.want[keyIPv6Src:keyIPv6Src+16])
		}
		copy(h[8:24], c.want[keyIPv6Src:])
	}
	if c.changed(keyIPv6Dst, 16) {
		// With segments left in a routing header the checksum has the last hop's address.
		if l4 && !routed(h[:c.o.End-c.o.L3]) {
			c.pseudo(c.cur[keyIPv6Dst:keyIPv6Dst+16], c.want[keyIPv6Dst:keyIPv6Dst+16])
		}
		copy(h[24:40], c.want[keyIPv6Dst:])
	}
}

// routed reports whether a well-formed IPv6 packet has a routing header with segments left.
func routed(b []byte) bool {
	for proto, n := b[6], IPv6Len; ; {
		switch proto {
		case protoHopOpts, protoDstOpts, protoRouting:
			if proto == protoRouting && b[n+3] > 0 {
				return true
			}
			proto, n = b[n], n+(int(b[n+1])+1)*8
		case protoAH:
			proto, n = b[n], n+(int(b[n+1])+2)*4
		case protoFragment:
			proto, n = b[n], n+8
		default:
			return false
		}
	}
}

// sumAt is where the checksum of the transport header is in it, -1 when there is none.
func (c *commit) sumAt() int {
	n := c.o.End - c.o.L4
	switch proto := c.cur[keyNwProto]; {
	case proto == ProtoTCP && n >= TCPLen:
		return 16
	case proto == ProtoUDP && n >= UDPLen:
		return 6
	case proto == ProtoICMPv6 && n >= ICMPv6Len && be.Uint16(c.cur[keyEthType:]) == EthTypeIPv6:
		return 2
	}
	return -1
}

// pseudo updates the transport checksum for a change of an address.
func (c *commit) pseudo(old, now []byte) {
	at := c.sumAt()
	if at < 0 {
		return
	}
	s := c.p.Data[c.o.L4+at:]
	if c.p.partial(c.o.L4, at) {
		// The field has the pseudo header's sum itself, not its complement.
		be.PutUint16(s, ^update(^be.Uint16(s), old, now))
		return
	}
	c.putSum(s, update(be.Uint16(s), old, now))
}

// putSum writes a transport checksum; one of UDP that is not used stays so, and one that is
// used is never written as zero.
func (c *commit) putSum(s []byte, v uint16) {
	if c.cur[keyNwProto] == ProtoUDP {
		if be.Uint16(s) == 0 {
			return
		}
		if v == 0 {
			v = 0xffff
		}
	}
	be.PutUint16(s, v)
}

// covered writes bytes of the transport header or payload at an even offset.
func (c *commit) covered(at int, now []byte) {
	b := c.p.Data[c.o.L4:c.o.End]
	if bytes.Equal(b[at:at+len(now)], now) {
		return
	}
	// An unfinished sum does not have them yet.
	if sum := c.sumAt(); sum >= 0 && !c.p.partial(c.o.L4, sum) {
		c.putSum(b[sum:], update(be.Uint16(b[sum:]), b[at:at+len(now)], now))
	}
	copy(b[at:], now)
}

func (c *commit) transport() {
	if c.o.L4 < 0 || c.cur[keyNwFrag]&flow.FragLater != 0 {
		return
	}
	b := c.p.Data[c.o.L4:c.o.End]
	ports := c.want[keyTPSrc : keyTPSrc+4]
	switch c.cur[keyNwProto] {
	case ProtoTCP:
		if l := 0; len(b) >= TCPLen {
			if l = int(b[12]>>4) * 4; l >= TCPLen && l <= len(b) {
				c.covered(0, ports)
			}
		}
	case ProtoUDP:
		if len(b) >= UDPLen {
			c.covered(0, ports)
		}
	case ProtoSCTP:
		if len(b) >= SCTPLen {
			c.sctp(b, ports)
		}
	case ProtoICMP:
		if len(b) >= ICMPLen && c.changed(keyTPSrc, 4) {
			now := []byte{ports[1], ports[3]}
			be.PutUint16(b[2:], update(be.Uint16(b[2:]), b[:2], now))
			copy(b, now)
		}
	case ProtoICMPv6:
		if len(b) >= ICMPv6Len {
			if be.Uint16(c.cur[keyEthType:]) == EthTypeIPv6 && b[1] == 0 && (b[0] == ndSolicit || b[0] == ndAdvert) {
				c.nd(b)
			}
			c.covered(0, []byte{ports[1], ports[3]})
		}
	}
}

// sctp writes the ports; a CRC that was wrong stays wrong by the same difference.
func (c *commit) sctp(b, ports []byte) {
	if !c.changed(keyTPSrc, 4) {
		return
	}
	if c.p.partial(c.o.L4, 8) {
		copy(b, ports)
		return
	}
	var had [4]byte
	copy(had[:], b[8:12])
	FinishSCTP(b)
	for i := range had {
		had[i] ^= b[8+i]
	}
	copy(b, ports)
	FinishSCTP(b)
	for i := range had {
		b[8+i] ^= had[i]
	}
}

func (c *commit) nd(b []byte) {
	if c.changed(keyNDReserved, 4) {
		c.covered(4, c.want[keyNDReserved:keyNDReserved+4])
	}
	if len(b) < ndLen {
		return
	}
	sll, tll, ok := ndOptions(b, nil)
	if c.changed(keyNDTarget, 16) {
		c.covered(8, c.want[keyNDTarget:keyNDTarget+16])
	}
	if !ok {
		return
	}
	if sll > 0 && c.changed(keyARPSHA, 6) {
		c.covered(sll, c.want[keyARPSHA:keyARPSHA+6])
	}
	if tll > 0 && c.changed(keyARPTHA, 6) {
		c.covered(tll, c.want[keyARPTHA:keyARPTHA+6])
	}
	if c.changed(keyNDOptType, 1) {
		// The type of the first link-layer option.
		at := min(sll, tll)
		if at == 0 {
			at = max(sll, tll)
		}
		if at > 0 {
			c.covered(at-2, []byte{c.want[keyNDOptType], b[at-1]})
		}
	}
}
