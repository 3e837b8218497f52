package odp

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// form is how a value is written.
type form uint8

const (
	formDec form = iota
	formHex
	formMAC
	formIP
	formFrag
)

// item is one part of an attribute: a member of the key.
type item struct {
	name string
	off  int
	size int
	full uint64 // bits that there are, of members of up to 8 bytes; 0: all
	form form
}

// attr is one attribute of the text: name(item=value,...), or name(value) with one unnamed item.
type attr struct {
	name  string
	items []item
}

func member(name string) flow.Member {
	for _, m := range flow.Layout {
		if m.Name == name {
			return m
		}
	}
	panic("odp: no key member " + name) // a wrong table, found by any test
}

func it(name, member_ string, f form) item {
	m := member(member_)
	return item{name: name, off: m.Off, size: m.Size, form: f}
}

// low is an item in the low bits of a member.
func low(name, member_ string, full uint64, f form) item {
	i := it(name, member_, f)
	i.full = full
	return i
}

// The attributes that are plain lists of items.
var (
	attrRecirc    = attr{"recirc_id", []item{it("", "recirc_id", formHex)}}
	attrDPHash    = attr{"dp_hash", []item{it("", "dp_hash", formHex)}}
	attrPriority  = attr{"skb_priority", []item{it("", "skb_priority", formHex)}}
	attrMark      = attr{"skb_mark", []item{it("", "pkt_mark", formHex)}}
	attrCTZone    = attr{"ct_zone", []item{it("", "ct_zone", formHex)}}
	attrCTMark    = attr{"ct_mark", []item{it("", "ct_mark", formHex)}}
	attrCTLabel   = attr{"ct_label", []item{it("", "ct_label", formHex)}}
	attrCTTuple4  = attr{"ct_tuple4", []item{it("src", "ct_nw_src", formIP), it("dst", "ct_nw_dst", formIP), it("proto", "ct_nw_proto", formDec), it("tp_src", "ct_tp_src", formDec), it("tp_dst", "ct_tp_dst", formDec)}}
	attrCTTuple6  = attr{"ct_tuple6", []item{it("src", "ct_ipv6_src", formIP), it("dst", "ct_ipv6_dst", formIP), it("proto", "ct_nw_proto", formDec), it("src_port", "ct_tp_src", formDec), it("dst_port", "ct_tp_dst", formDec)}}
	attrEth       = attr{"eth", []item{it("src", "eth_src", formMAC), it("dst", "eth_dst", formMAC)}}
	attrIPv4      = attr{"ipv4", []item{it("src", "ipv4_src", formIP), it("dst", "ipv4_dst", formIP), it("proto", "nw_proto", formDec), it("tos", "nw_tos", formHex), it("ttl", "nw_ttl", formDec), low("frag", "nw_frag", 3, formFrag)}}
	attrIPv6      = attr{"ipv6", []item{it("src", "ipv6_src", formIP), it("dst", "ipv6_dst", formIP), low("label", "ipv6_label", 0xfffff, formHex), it("proto", "nw_proto", formDec), it("tclass", "nw_tos", formHex), it("hlimit", "nw_ttl", formDec), low("frag", "nw_frag", 3, formFrag)}}
	attrARP       = attr{"arp", []item{it("sip", "ipv4_src", formIP), it("tip", "ipv4_dst", formIP), it("op", "nw_proto", formDec), it("sha", "arp_sha", formMAC), it("tha", "arp_tha", formMAC)}}
	attrTCP       = attr{"tcp", []item{it("src", "tp_src", formDec), it("dst", "tp_dst", formDec)}}
	attrUDP       = attr{"udp", attrTCP.items}
	attrSCTP      = attr{"sctp", attrTCP.items}
	attrICMP      = attr{"icmp", []item{low("type", "tp_src", 0xff, formDec), low("code", "tp_dst", 0xff, formDec)}}
	attrICMPv6    = attr{"icmpv6", attrICMP.items}
	attrND        = attr{"nd", []item{it("target", "nd_target", formIP), it("sll", "arp_sha", formMAC), it("tll", "arp_tha", formMAC)}}
	attrNDExt     = attr{"nd_ext", []item{it("nd_reserved", "nd_reserved", formHex), it("nd_options_type", "nd_options_type", formDec)}}
	settableAttrs = []*attr{&attrPriority, &attrMark, &attrEth, &attrIPv4, &attrIPv6, &attrARP, &attrTCP, &attrUDP, &attrSCTP, &attrICMP, &attrICMPv6, &attrND, &attrNDExt}
)

var fragNames = []string{"no", "first", "?", "later"}

// uint reads the item of at most 8 bytes.
func (i *item) uint(k *flow.Key) (v uint64) {
	for _, c := range k.Bytes()[i.off : i.off+i.size] {
		v = v<<8 | uint64(c)
	}
	if i.full != 0 {
		v &= i.full
	}
	return v
}

func (i *item) setUint(k *flow.Key, v uint64) {
	b := k.Bytes()[i.off : i.off+i.size]
	for n := len(b) - 1; n >= 0; n-- {
		b[n], v = byte(v), v>>8
	}
}

func (i *item) all() uint64 {
	if i.full != 0 {
		return i.full
	}
	return 1<<(8*i.size) - 1
}

// empty and exact say whether a mask has no bit and every bit of the item.
func (i *item) empty(m *flow.Mask) bool {
	for _, c := range m.Bytes()[i.off : i.off+i.size] {
		if c != 0 {
			return i.full != 0 && i.uint(m) == 0
		}
	}
	return true
}

func (i *item) exact(m *flow.Mask) bool {
	if i.size <= 4 {
		return i.uint(m) == i.all()
	}
	return allOnes(m.Bytes()[i.off : i.off+i.size])
}

func allOnes(b []byte) bool {
	for _, c := range b {
		if c != 0xff {
			return false
		}
	}
	return true
}

// format writes value and, if it is not exact, the mask; mask nil means exact.
func (i *item) format(b *strings.Builder, k *flow.Key, m *flow.Mask) {
	if i.name != "" {
		b.WriteString(i.name + "=")
	}
	partial := m != nil && !i.exact(m)
	raw := func(k *flow.Key) []byte { return k.Bytes()[i.off : i.off+i.size] }
	switch i.form {
	case formMAC:
		b.WriteString(macText(raw(k)))
		if partial {
			b.WriteString("/" + macText(raw(m)))
		}
	case formIP:
		b.WriteString(ipText(raw(k)))
		if partial {
			b.WriteString("/" + ipText(raw(m)))
		}
	case formFrag:
		b.WriteString(fragNames[i.uint(k)])
		if partial {
			b.WriteString("/" + hexNum(i.uint(m)))
		}
	default:
		switch {
		case i.size > 8:
			b.WriteString(hexText(raw(k)))
		case i.form == formHex:
			b.WriteString(hexNum(i.uint(k)))
		default:
			fmt.Fprintf(b, "%d", i.uint(k))
		}
		if partial {
			if i.size > 8 {
				b.WriteString("/" + hexText(raw(m)))
			} else {
				b.WriteString("/" + hexNum(i.uint(m)))
			}
		}
	}
}

// parse reads "value" or "value/mask" into a key and a mask.
func (i *item) parse(s string, k *flow.Key, m *flow.Mask) error {
	v, mask, masked := strings.Cut(s, "/")
	dst := func(k *flow.Key) []byte { return k.Bytes()[i.off : i.off+i.size] }
	one := func(s string, k *flow.Key) error {
		var b []byte
		var err error
		switch {
		case i.form == formMAC:
			b, err = parseMAC(s)
		case i.form == formIP:
			b, err = parseIP(s, i.size == 16)
		case i.size > 8:
			b, err = hexBytes(s, i.size)
		default:
			var n uint64
			if n, err = number(s, 8*i.size); err == nil && n > i.all() {
				err = fmt.Errorf("%s is above %#x: %w", s, i.all(), errSyntax)
			}
			if err == nil {
				i.setUint(k, n)
			}
			return err
		}
		copy(dst(k), b)
		return err
	}
	if i.form == formFrag {
		n := 0
		for n < len(fragNames) && (n == 2 || fragNames[n] != v) {
			n++
		}
		if n == len(fragNames) && v == "?" {
			n = 2
		}
		if n == len(fragNames) {
			return fmt.Errorf("frag=%s is none of no, first, later: %w", v, errSyntax)
		}
		i.setUint(k, uint64(n))
	} else if err := one(v, k); err != nil {
		return err
	}
	if masked {
		return one(mask, m)
	}
	if i.size <= 4 {
		i.setUint(m, i.all())
	} else {
		for n := range dst(m) {
			dst(m)[n] = 0xff
		}
	}
	return nil
}

// matched reports whether any item of the attribute is matched.
func (a *attr) matched(m *flow.Mask) bool {
	if m == nil {
		return true
	}
	for i := range a.items {
		if !a.items[i].empty(m) {
			return true
		}
	}
	return false
}

func (a *attr) format(b *strings.Builder, k *flow.Key, m *flow.Mask, verbose bool) {
	b.WriteString(a.name + "(")
	first := true
	for i := range a.items {
		f := &a.items[i]
		if !verbose && m != nil && f.empty(m) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		f.format(b, k, m)
	}
	b.WriteByte(')')
}

func (a *attr) parse(args string, k *flow.Key, m *flow.Mask) error {
	if a.items[0].name == "" {
		if err := a.items[0].parse(strings.TrimSpace(args), k, m); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		return nil
	}
	list, err := pairs(args)
	if err != nil {
		return err
	}
next:
	for _, p := range list {
		for i := range a.items {
			if a.items[i].name == p[0] {
				if err := a.items[i].parse(p[1], k, m); err != nil {
					return fmt.Errorf("%s(%s): %w", a.name, p[0], err)
				}
				continue next
			}
		}
		return fmt.Errorf("%s has no field %q: %w", a.name, p[0], errSyntax)
	}
	return nil
}
