package conntrack

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// maxFTP is how much of a segment is looked at for an FTP message.
const maxFTP = 128

// ftpMessage announces a data connection: the address, unless it is that of the sender, and the port that wait for it.
type ftpMessage struct {
	addr       netip.Addr // invalid: none in the message
	start, end int        // of the address in the message
	commas     bool       // stand in the address in the place of dots
	port       uint16
}

// parseFTP looks at the start of what an FTP client (reply: a server) sends. It takes PORT and EPRT of the client, and 227 and
// 229 of the server (RFC 959, RFC 2428). announces: it is one of these; ok: it can be read.
func parseFTP(b []byte, reply bool) (m ftpMessage, announces, ok bool) {
	b = b[:min(len(b), maxFTP)]
	verb, rest := "", 0
	if i := bytes.IndexAny(b, " -\r\n"); i > 0 {
		verb, rest = strings.ToUpper(string(b[:i])), i
	}
	switch {
	case !reply && verb == "PORT", reply && verb == "227":
		ok = m.six(b, rest)
	case !reply && verb == "EPRT":
		ok = m.delimited(b, rest+1, true)
	case reply && verb == "229":
		open := bytes.IndexByte(b, '(')
		ok = open > 0 && m.delimited(b, open+1, false)
	default:
		return m, false, false
	}
	return m, true, ok && m.port != 0
}

// six reads h1,h2,h3,h4,p1,p2 from the first digit behind at on.
func (m *ftpMessage) six(b []byte, at int) bool {
	for at < len(b) && !digit(b[at]) {
		at++
	}
	var n [6]uint8
	m.start = at
	for i := range n {
		if i > 0 {
			if at >= len(b) || b[at] != ',' {
				return false
			}
			at++
		}
		v, next, ok := decimal(b, at, 8)
		if !ok {
			return false
		}
		n[i], at = uint8(v), next
		if i == 3 {
			m.end = at
		}
	}
	m.addr, m.port, m.commas = netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5]), true
	return true
}

// delimited reads |1|address|port| or |2|address|port| at at, or without address |||port|; any character may stand for |.
func (m *ftpMessage) delimited(b []byte, at int, address bool) bool {
	if at >= len(b) || digit(b[at]) {
		return false
	}
	parts := bytes.SplitN(b[at+1:], b[at:at+1], 4)
	if len(parts) != 4 || !address && (len(parts[0]) > 0 || len(parts[1]) > 0) {
		return false
	}
	v, n, ok := decimal(append(parts[2][:len(parts[2]):len(parts[2])], 0), 0, 16)
	if !ok || n != len(parts[2]) {
		return false
	}
	m.port = uint16(v)
	if !address {
		return true
	}
	m.start = at + 1 + len(parts[0]) + 1
	m.end = m.start + len(parts[1])
	a, err := netip.ParseAddr(string(parts[1]))
	m.addr = a
	return err == nil && a.Zone() == "" && (string(parts[0]) == "1" && a.Is4() || string(parts[0]) == "2" && a.Is6())
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// decimal reads a number of at most that many bits. Something must stand behind it: the rest may be in another segment.
func decimal(b []byte, at, bits int) (v uint64, next int, ok bool) {
	next = at
	for next < len(b) && digit(b[next]) {
		next++
	}
	v, err := strconv.ParseUint(string(b[at:next]), 10, bits)
	return v, next, err == nil && next < len(b)
}

// text is an address as the message has it.
func (m *ftpMessage) text(a netip.Addr) []byte {
	s := a.String()
	if m.commas {
		s = strings.ReplaceAll(s, ".", ",")
	}
	return []byte(s)
}
