package conntrack

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
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
func (t *Table) help(c *conn, p *packet.Packet, h *header, translate, reply bool, now int64) bool {
	switch c.helper {
	case tftpHelper:
		// A read or write request (RFC 1350): the answer comes from another port.
		if b := p.Data[h.l4+packet.UDPLen : h.end]; !reply && len(b) >= 2 && (be.Uint16(b) == 1 || be.Uint16(b) == 2) {
			t.expected.announce(newExpectation(c, c.reply.DstPort, true), now)
		}
	case ftpHelper:
		ok := t.ftp(c, p, h, translate, reply, now)
		if translate {
			c.adjustSeq(p, h, reply)
		}
		return ok
	}
	return true
}

// ftp notes what an FTP message announces, and if the connection is translated and translate is set gives the message the
// address that the receiver knows.
func (t *Table) ftp(c *conn, p *packet.Packet, h *header, translate, reply bool, now int64) bool {
	seq := be.Uint32(p.Data[h.l4+4:])
	a, announces, ok := h.ftp(p, &c.orig, &c.reply, translate, reply)
	if !announces || !ok {
		return ok
	}
	if a.Grown != 0 {
		c.skews[side(reply)].change(seq, a.Grown)
	}
	t.expected.announce(newExpectation(c, a.Port, a.Active), now)
	return true
}

// Announcement is what a message of an FTP control connection announces: a connection to a port.
type Announcement struct {
	Port   uint16
	Active bool  // of the end that began the control connection
	Grown  int32 // by so many bytes its segment has become longer, for another address
}

// ReadFTP reads a packet of an FTP control connection that a datapath keeps elsewhere: orig and reply are its tuples, reply says
// that the packet goes to the end which began it. With translate, for packets that are translated, the message gets
// the address that the receiver knows. announces is false for all other packets, ok for messages that are invalid.
func ReadFTP(p *packet.Packet, key *flow.Key, orig, answer *Tuple, translate, reply bool) (a Announcement, announces, ok bool) {
	var h header
	if !h.parse(p, key, false) || h.frag != 0 || h.related || h.tuple.Proto != packet.ProtoTCP {
		return a, false, true
	}
	return h.ftp(p, orig, answer, translate, reply)
}

// ftp is ReadFTP of a packet that is parsed.
func (h *header) ftp(p *packet.Packet, orig, answer *Tuple, translate, reply bool) (a Announcement, announces, ok bool) {
	tcp := p.Data[h.l4:h.end]
	payload := int(tcp[12]>>4) * 4
	m, announces, ok := parseFTP(tcp[payload:], reply)
	if !announces || !ok {
		return a, announces, ok || !announces
	}
	a = Announcement{Port: m.port, Active: !reply}
	if !m.addr.IsValid() {
		return a, true, true
	}
	own, known := orig.Src, answer.Dst
	if reply {
		own, known = answer.Src, orig.Dst
	}
	// An address of somebody else would open a way to that one.
	if addr := m.addr.As16(); addr != own && addr != known {
		return a, true, false
	}
	if to := netip.AddrFrom16(known).Unmap(); translate && to != m.addr {
		text := m.text(to)
		if !h.replace(p, h.l4+payload+m.start, m.end-m.start, text) {
			return a, true, false
		}
		a.Grown = int32(len(text) - (m.end - m.start))
	}
	return a, true, true
}

// side is the index of a direction.
func side(reply bool) int {
	if reply {
		return 1
	}
	return 0
}
