package conntrack

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// helper looks into a connection for other connections that it announces.
type helper uint8

const (
	noHelper helper = iota
	ftpHelper
	tftpHelper
)

// helperOf is the helper of a ct action for a connection; those of another protocol have none.
func helperOf(name string, proto uint8) helper {
	switch {
	case name == "ftp" && proto == packet.ProtoTCP:
		return ftpHelper
	case name == "tftp" && proto == packet.ProtoUDP:
		return tftpHelper
	}
	return noHelper
}

// KnowsHelper reports whether there is a helper of that name; "" is none, which there is.
func KnowsHelper(name string) bool { return name == "" || name == "ftp" || name == "tftp" }

// String is the helper's name in actions and dumps.
func (h helper) String() string { return [...]string{"", "ftp", "tftp"}[h] }

// help does what a packet of a connection with a helper asks for; translate: it is translated. false: it is invalid.
func (t *Table) help(c *conn, p *packet.Packet, h *header, translate, reply bool) bool {
	switch c.helper {
	case tftpHelper:
		// A read or write request (RFC 1350): the answer comes from another port.
		if b := p.Data[h.l4+packet.UDPLen : h.end]; !reply && len(b) >= 2 && (be.Uint16(b) == 1 || be.Uint16(b) == 2) {
			t.expected.announce(newExpectation(c, c.reply.DstPort, true))
		}
	case ftpHelper:
		ok := t.ftp(c, p, h, translate, reply)
		if translate {
			c.adjustSeq(p, h, reply)
		}
		return ok
	}
	return true
}

// ftp notes what an FTP message announces, and if the connection is translated and translate is set gives the message the
// address that the receiver knows.
func (t *Table) ftp(c *conn, p *packet.Packet, h *header, translate, reply bool) bool {
	tcp := p.Data[h.l4:h.end]
	payload := int(tcp[12]>>4) * 4
	m, announces, ok := parseFTP(tcp[payload:], reply)
	if !announces {
		return true
	}
	if !ok {
		return false
	}
	if m.addr.IsValid() {
		own, known := c.orig.Src, c.reply.Dst
		if reply {
			own, known = c.reply.Src, c.orig.Dst
		}
		// An address of somebody else would open a way to that one.
		if addr := m.addr.As16(); addr != own && addr != known {
			return false
		}
		if to := netip.AddrFrom16(known).Unmap(); translate && to != m.addr {
			text := m.text(to)
			seq := be.Uint32(tcp[4:])
			if !h.replace(p, h.l4+payload+m.start, m.end-m.start, text) {
				return false
			}
			c.skews[side(reply)].change(seq, int32(len(text)-(m.end-m.start)))
		}
	}
	t.expected.announce(newExpectation(c, m.port, !reply))
	return true
}

// side is the index of a direction.
func side(reply bool) int {
	if reply {
		return 1
	}
	return 0
}
