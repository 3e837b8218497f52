package conntrack

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseTuple reads parts of a tuple as dpctl/flush-conntrack has them: ct_nw_src=A,ct_nw_dst=A (or ct_ipv6_src,
// ct_ipv6_dst), ct_nw_proto=N, ct_tp_src=N, ct_tp_dst=N, icmp_id=N, icmp_type=N, icmp_code=N.
func ParseTuple(s string) (*TuplePart, error) {
	p := &TuplePart{}
	family := ""
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, fmt.Errorf("field %s missing value", name)
		}
		number := func(bits int) uint16 {
			var n uint64
			if v, err := strconv.ParseUint(value, 10, bits); err == nil {
				n = v
			} else {
				ok = false
			}
			return uint16(n)
		}
		switch name {
		case "ct_nw_src", "ct_nw_dst", "ct_ipv6_src", "ct_ipv6_dst":
			a, err := netip.ParseAddr(value)
			if err != nil || a.Zone() != "" || a.Is4() != strings.HasPrefix(name, "ct_nw") {
				return nil, fmt.Errorf("failed to parse field %s", name)
			}
			if f := name[:6]; family != "" && family != f {
				return nil, fmt.Errorf("the L3 protocol does not match %s", value)
			} else {
				family = f
			}
			b := a.As16()
			if strings.HasSuffix(name, "src") {
				p.Src = &b
			} else {
				p.Dst = &b
			}
		case "ct_nw_proto":
			p.Proto = uint8(number(8))
		case "ct_tp_src":
			n := number(16)
			p.SrcPort = &n
		case "ct_tp_dst":
			n := number(16)
			p.DstPort = &n
		case "icmp_id":
			n := number(16)
			p.ICMPID = &n
		case "icmp_type":
			n := uint8(number(8))
			p.ICMPType = &n
		case "icmp_code":
			n := uint8(number(8))
			p.ICMPCode = &n
		default:
			return nil, fmt.Errorf("invalid conntrack tuple field: %s", name)
		}
		if !ok {
			return nil, fmt.Errorf("failed to parse field %s", name)
		}
	}
	icmp := p.Proto == 1 || p.Proto == 58
	if icmp && (p.SrcPort != nil || p.DstPort != nil) || p.Proto != 0 && !icmp && (p.ICMPID != nil || p.ICMPType != nil || p.ICMPCode != nil) {
		return nil, fmt.Errorf("invalid L4 fields")
	}
	return p, nil
}

// ShareProto has a tuple without protocol take that of the other one, and refuses ports of no protocol.
func (f *Filter) ShareProto() error {
	for _, p := range [][2]*TuplePart{{f.Orig, f.Reply}, {f.Reply, f.Orig}} {
		own, other := p[0], p[1]
		if own == nil || own.Proto != 0 {
			continue
		}
		if other != nil {
			own.Proto = other.Proto
		}
		if own.Proto == 0 && (own.SrcPort != nil || own.DstPort != nil || own.ICMPID != nil || own.ICMPType != nil || own.ICMPCode != nil) {
			return errors.New("port is set without protocol")
		}
	}
	return nil
}

// Exact reports whether the tuple can fit one connection of a zone only.
func (p *TuplePart) Exact() bool {
	if p == nil || p.Proto == 0 || p.Src == nil || p.Dst == nil {
		return false
	}
	if p.Proto == 1 || p.Proto == 58 {
		return p.ICMPID != nil && p.ICMPType != nil && p.ICMPCode != nil
	}
	return p.SrcPort != nil && p.DstPort != nil
}
