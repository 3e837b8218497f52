package odp

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of parentheses in text.
const maxDepth = 16

var errSyntax = errors.New("syntax error")

// split cuts text at the commas that are outside of parentheses, braces and brackets.
func split(s string) ([]string, error) {
	var out []string
	depth, from := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			if depth--; depth < 0 {
				return nil, fmt.Errorf("%q: unexpected %q: %w", s, s[i], errSyntax)
			}
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[from:i]))
				from = i + 1
			}
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("%q: missing closing parenthesis: %w", s, errSyntax)
	}
	if rest := strings.TrimSpace(s[from:]); rest != "" || from > 0 {
		out = append(out, rest)
	}
	return out, nil
}

// call takes name(args) apart. ok is false if s has no parentheses.
func call(s string) (name, args string, ok bool, err error) {
	open := strings.IndexByte(s, '(')
	if open < 0 {
		return s, "", false, nil
	}
	if s[len(s)-1] != ')' {
		return "", "", false, fmt.Errorf("%q: text behind parenthesis: %w", s, errSyntax)
	}
	return strings.TrimSpace(s[:open]), s[open+1 : len(s)-1], true, nil
}

// pairs cuts "a=1,b=2" apart; what has no "=" has an empty value.
func pairs(s string) ([][2]string, error) {
	parts, err := split(s)
	if err != nil {
		return nil, err
	}
	out := make([][2]string, len(parts))
	for i, p := range parts {
		k, v, _ := strings.Cut(p, "=")
		out[i] = [2]string{strings.TrimSpace(k), strings.TrimSpace(v)}
	}
	return out, nil
}

// number reads a decimal or 0x number of at most bits bits.
func number(s string, bits int) (uint64, error) {
	base := 10
	d := s
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		base, d = 16, s[2:]
	}
	v, err := strconv.ParseUint(d, base, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of %d bits: %w", s, bits, errSyntax)
	}
	return v, nil
}

// hexBytes reads a 0x or small decimal number as n big-endian bytes.
func hexBytes(s string, n int) ([]byte, error) {
	out := make([]byte, n)
	if !strings.HasPrefix(s, "0x") {
		v, err := number(s, 64)
		if err != nil {
			return nil, err
		}
		for i := n - 1; i >= 0; i-- {
			out[i], v = byte(v), v>>8
		}
		if v != 0 {
			return nil, fmt.Errorf("%q has more than %d bytes: %w", s, n, errSyntax)
		}
		return out, nil
	}
	d := strings.TrimLeft(s[2:], "0")
	if len(d) > 2*n || len(s) == 2 {
		return nil, fmt.Errorf("%q is not a number of %d bytes: %w", s, n, errSyntax)
	}
	for i := range len(d) {
		v, err := strconv.ParseUint(d[len(d)-1-i:len(d)-i], 16, 4)
		if err != nil {
			return nil, fmt.Errorf("%q is not a hexadecimal number: %w", s, errSyntax)
		}
		out[n-1-i/2] |= byte(v) << (4 * (i % 2))
	}
	return out, nil
}

// hexText writes bytes as one number: "0x12ab", "0" for zero.
func hexText(b []byte) string {
	s := strings.TrimLeft(fmt.Sprintf("%x", b), "0")
	if s == "" {
		return "0"
	}
	return "0x" + s
}

// hexNum is C's %#x.
func hexNum(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0x" + strconv.FormatUint(v, 16)
}

func parseMAC(s string) ([]byte, error) {
	out := make([]byte, 0, 6)
	for part := range strings.SplitSeq(s, ":") {
		v, err := strconv.ParseUint(part, 16, 8)
		if err != nil || len(out) == 6 {
			return nil, fmt.Errorf("%q is not an Ethernet address: %w", s, errSyntax)
		}
		out = append(out, byte(v))
	}
	if len(out) != 6 {
		return nil, fmt.Errorf("%q is not an Ethernet address: %w", s, errSyntax)
	}
	return out, nil
}

func macText(b []byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

func parseIP(s string, v6 bool) ([]byte, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Is4() == v6 || a.Zone() != "" {
		return nil, fmt.Errorf("%q is not an IP address of the right kind: %w", s, errSyntax)
	}
	return a.AsSlice(), nil
}

func ipText(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}
