package openflow

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// value reads a field's value in wire form with its mask, nil when the value is exact.
func (p *matchParser) value(id flow.FieldID, s string) (v, mask []byte, err error) {
	f := id.Info()
	switch f.Format {
	case flow.FormatIPv4:
		v, mask, err = parseAddr(s, 4, "invalid IP address")
	case flow.FormatIPv6:
		v, mask, err = parseAddr(s, 16, "invalid IPv6 address")
	case flow.FormatEthernet:
		v, mask, err = parseEthernet(s)
	case flow.FormatPort, flow.FormatPort10:
		v, err = p.port(f, s)
	case flow.FormatPacketType:
		v, err = parsePacketType(s)
	case flow.FormatTunnelFlags:
		v, mask, err = parseFlags(s, f.Bytes, "tunnel", []string{"oam"})
	case flow.FormatCTState:
		v, mask, err = parseFlags(s, f.Bytes, "ct_state", ctStates)
	case flow.FormatTCPFlags:
		v, mask, err = parseFlags(s, f.Bytes, "TCP", tcpFlagNames)
	case flow.FormatFrag:
		v, mask, err = parseFrag(s)
	default:
		v, mask, err = parseInteger(f, s)
	}
	if err != nil {
		return nil, nil, err
	}
	switch {
	case mask == nil || allOnes(mask):
		return v, nil, nil
	case !f.Maskable && !allZero(mask):
		return nil, nil, fmt.Errorf("%s: invalid mask for field %s", s, id)
	}
	return v, mask, nil
}

var (
	errSyntaxInteger = errors.New("bad syntax")
	errLarge         = errors.New("too large")
)

// integer reads a number as C does: decimal, 0x hexadecimal of any length, 0 octal.
func integer(s string, n int) ([]byte, error) {
	out := make([]byte, n)
	if h, ok := strings.CutPrefix(s, "0x"); ok {
		s = h
		if s == "" {
			return out, nil
		}
		if strings.ContainsAny(s[:1], "+-_") {
			return nil, errSyntaxInteger
		}
		v, ok := new(big.Int).SetString(s, 16)
		if !ok || strings.Contains(s, "_") {
			return nil, errSyntaxInteger
		}
		if v.BitLen() > 8*n {
			return nil, errLarge
		}
		return v.FillBytes(out), nil
	}
	d := strings.TrimPrefix(s, "+")
	if len(d) > 1 && d[0] == '-' && strings.Trim(d[1:], "0123456789") == "" {
		return nil, errLarge // a large unsigned number to C
	}
	base := 10
	if len(d) > 1 && d[0] == '0' {
		base, d = 8, d[1:]
	}
	v, err := strconv.ParseUint(d, base, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return nil, errLarge
	case err != nil:
		return nil, errSyntaxInteger
	case n < 8 && v>>(8*n) != 0:
		return nil, errLarge
	}
	for i := n - 1; i >= 0; i-- {
		out[i] = byte(v)
		v >>= 8
	}
	return out, nil
}

func parseInteger(f *flow.Field, s string) (v, mask []byte, err error) {
	part := func(t, what string) ([]byte, error) {
		b, err := integer(t, f.Bytes)
		switch err {
		case errSyntaxInteger:
			return nil, fmt.Errorf("%s: bad syntax for %s %s", s, f.Name, what)
		case errLarge:
			return nil, fmt.Errorf("%s: %s too large for %d-byte field %s", s, what, f.Bytes, f.Name)
		}
		return b, nil
	}
	t, m, masked := strings.Cut(s, "/")
	if v, err = part(t, "value"); err == nil && masked {
		mask, err = part(m, "mask")
	}
	return v, mask, err
}

// parseAddr reads address, address/prefix length or address/mask of n bytes.
func parseAddr(s string, n int, invalid string) (v, mask []byte, err error) {
	bad := fmt.Errorf("%s: %s", s, invalid)
	addr := func(t string) ([]byte, bool) {
		a, err := netip.ParseAddr(t)
		if err != nil || a.Zone() != "" || a.BitLen() != 8*n {
			return nil, false
		}
		return a.AsSlice(), true
	}
	t, m, masked := strings.Cut(s, "/")
	v, ok := addr(t)
	if !ok {
		return nil, nil, bad
	}
	if !masked {
		return v, nil, nil
	}
	if m, ok := addr(m); ok {
		return v, m, nil
	}
	bits, err := strconv.Atoi(m)
	if err != nil {
		return nil, nil, bad
	}
	if bits < 0 || bits > 8*n {
		return nil, nil, fmt.Errorf("%s: IPv%d network prefix bits not between 0 and %d, inclusive", s, map[int]int{4: 4, 16: 6}[n], 8*n)
	}
	mask = make([]byte, n)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return v, mask, nil
}

// parseEthernet reads six hexadecimal numbers, and six more as the mask.
func parseEthernet(s string) (v, mask []byte, err error) {
	t, m, masked := strings.Cut(s, "/")
	v, ok := ethernet(t)
	if ok && masked {
		mask, ok = ethernet(m)
	}
	if !ok {
		return nil, nil, fmt.Errorf("%s: invalid Ethernet address", s)
	}
	return v, mask, nil
}

func ethernet(s string) ([]byte, bool) {
	b := make([]byte, 0, 6)
	for part := range strings.SplitSeq(s, ":") {
		v, err := strconv.ParseUint(part, 16, 8)
		if err != nil || len(part) > 2 || len(b) == 6 {
			return nil, false
		}
		b = append(b, byte(v))
	}
	return b, len(b) == 6
}

// portNames are the ports that have a name in every switch, in lower case.
var portNames = map[string]PortNo{
	"in_port": PortInPort, "table": PortTable, "normal": PortNormal, "flood": PortFlood, "all": PortAll,
	"controller": PortController, "local": PortLocal, "any": PortAny, "none": PortAny, "unset": PortUnset,
}

// port reads a port's number or name. OpenFlow 1.0's reserved numbers are those of 1.1.
func (p *matchParser) port(f *flow.Field, s string) ([]byte, error) {
	no, ok := PortNo(0), false
	name := s
	if q, err := strconv.Unquote(s); err == nil && len(s) > 1 && s[0] == '"' {
		name = q
	} else if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		no, ok = PortNo(n), true
		switch {
		case n >= 0xfff8 && n <= 0xffff:
			no += PortMax - 0xff00
		case n >= 0xff00 && n < uint64(PortMax):
			ok = false
		}
	} else {
		no, ok = portNames[strings.ToLower(s)]
	}
	if !ok && p.ports != nil {
		no, ok = p.ports(name)
	}
	if !ok {
		return nil, fmt.Errorf("%s: invalid or unknown port for %s", s, f.Name)
	}
	return []byte{byte(no >> 24), byte(no >> 16), byte(no >> 8), byte(no)}, nil
}

// parsePacketType reads (ns,type).
func parsePacketType(s string) ([]byte, error) {
	t, ok := strings.CutPrefix(s, "(")
	if !ok {
		return nil, fmt.Errorf("%s: bad syntax for packet type missing '('", s)
	}
	t, ok = strings.CutSuffix(t, ")")
	if !ok {
		return nil, fmt.Errorf("%s: bad syntax for packet type missing ')'", s)
	}
	ns, typ, ok := strings.Cut(t, ",")
	n, err1 := integer(ns, 2)
	v, err2 := integer(typ, 2)
	if !ok || err1 != nil || err2 != nil {
		return nil, fmt.Errorf("%s: bad syntax for packet type, which is (namespace,type)", s)
	}
	return append(n, v...), nil
}

// parseFlags reads a|b (exact), +a-b, or a number with an optional mask.
func parseFlags(s string, n int, kind string, names []string) (v, mask []byte, err error) {
	unknown := func(t string) error { return fmt.Errorf("%s: unknown %s flag(s)", t, kind) }
	all := uint64(1)<<len(names) - 1
	bit := func(name string) uint64 {
		for i, f := range names {
			if f == name {
				return 1 << i
			}
		}
		return 0
	}
	wire := func(x uint64) []byte {
		b := make([]byte, n)
		for i := n - 1; i >= 0; i-- {
			b[i] = byte(x)
			x >>= 8
		}
		return b
	}
	switch {
	case s == "" || s == "0":
		return wire(0), nil, nil
	case s[0] >= '0' && s[0] <= '9':
		t, m, masked := strings.Cut(s, "/")
		v, err := integer(t, n)
		if err == nil && masked {
			mask, err = integer(m, n)
		}
		if err != nil || uintBytes(v)&^all != 0 || uintBytes(mask)&^all != 0 {
			return nil, nil, unknown(s)
		}
		if masked && uintBytes(mask) == all && kind == "TCP" {
			mask = nil // all the flags that there are
		}
		return v, mask, nil
	case s[0] == '+' || s[0] == '-':
		var set, known uint64
		for rest := s; rest != ""; {
			sign := rest[0]
			name := rest[1:]
			end := 0
			for end < len(name) && (end == 0 || name[end] != '+' && name[end] != '-') {
				end++
			}
			name, rest = name[:end], name[end:]
			b := bit(name)
			switch {
			case b == 0:
				return nil, nil, unknown(name)
			case known&b != 0:
				return nil, nil, fmt.Errorf("%s: Each %s flag can be specified only once", name, kind)
			}
			known |= b
			if sign == '+' {
				set |= b
			}
		}
		return wire(set), wire(known), nil
	}
	var set uint64
	for name := range strings.SplitSeq(s, "|") {
		b := bit(name)
		if b == 0 {
			return nil, nil, unknown(s)
		}
		set |= b
	}
	return wire(set), nil, nil
}

// frags are the words for fragments, value and mask.
var frags = map[string][2]byte{
	"no": {0, 3}, "yes": {flow.FragAny, flow.FragAny}, "first": {flow.FragAny, 3},
	"later": {flow.FragAny | flow.FragLater, 3}, "not_later": {0, flow.FragLater},
}

func parseFrag(s string) (v, mask []byte, err error) {
	f, ok := frags[s]
	if !ok {
		return nil, nil, fmt.Errorf(`%s: unknown fragment type (valid types are "no", "yes", "first", "later", "not_later"`, s)
	}
	if f[1] == 3 {
		return []byte{f[0]}, nil, nil
	}
	return []byte{f[0]}, []byte{f[1]}, nil
}
