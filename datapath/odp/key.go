package odp

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// Ethertypes and protocols on which attributes depend. The packet package has them too, but it
// is for bytes, not for text.
const (
	ethIPv4 = 0x0800
	ethARP  = 0x0806
	ethRARP = 0x8035
	ethVLAN = 0x8100
	ethQinQ = 0x88a8
	ethIPv6 = 0x86dd
	ethMPLS = 0x8847
	ethMPLM = 0x8848
	ethNone = 0x05ff // no Ethertype: an 802.2 frame

	maxVLANs = 2
	maxMPLS  = 3
)

// TextOptions say how keys and flows are written.
type TextOptions struct {
	// Verbose (-m) writes all fields, the wildcarded ones with their zero mask.
	Verbose bool
	// PortName returns a port's name, "" to write its number; may be nil.
	PortName func(Port) string
	// ipv6 says that actions are for IPv6 packets.
	ipv6 bool
}

// NameFunc returns the number of the port with a name.
type NameFunc func(string) (Port, bool)

func (o *TextOptions) port(p Port) string {
	if o.PortName != nil {
		if s := o.PortName(p); s != "" {
			return s
		}
	}
	return fmt.Sprint(uint32(p))
}

// ctStateNames are the bits of ct_state, lowest first.
var ctStateNames = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}

var tcpFlagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"}

// flags writes bits by name: "a|b" when exact, else "+a-b", "0" and "0/0" for none.
func flags(names []string, v, mask uint64, exact bool) string {
	var s []string
	sep := "|"
	if exact {
		if v == 0 {
			return "0"
		}
	} else {
		if mask == 0 {
			return "0/0"
		}
		sep = ""
	}
	for i := range 64 {
		bit := uint64(1) << i
		name := fmt.Sprintf("[%x]", bit)
		if i < len(names) {
			name = names[i]
		}
		switch {
		case exact && v&bit != 0:
			s = append(s, name)
		case !exact && mask&bit != 0 && v&bit != 0:
			s = append(s, "+"+name)
		case !exact && mask&bit != 0:
			s = append(s, "-"+name)
		}
	}
	return strings.Join(s, sep)
}

// parseFlags reads what flags writes, and value or value/mask as numbers. all is the exact mask.
func parseFlags(names []string, s string, all uint64) (v, mask uint64, err error) {
	bit := func(name string) (uint64, error) {
		for i, n := range names {
			if n == name {
				return 1 << i, nil
			}
		}
		if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
			b, err := number("0x"+name[1:len(name)-1], 64)
			if err == nil && b&(b-1) == 0 && b != 0 && b&^all == 0 {
				return b, nil
			}
		}
		return 0, fmt.Errorf("unknown flag %q: %w", name, errSyntax)
	}
	switch {
	case s == "":
		return 0, all, nil
	case s[0] >= '0' && s[0] <= '9':
		n, m, masked := strings.Cut(s, "/")
		if v, err = number(n, 64); err != nil {
			return 0, 0, err
		}
		mask = all
		if masked {
			mask, err = number(m, 64)
		}
		if err == nil && (v&^all != 0 || mask&^all != 0) {
			err = fmt.Errorf("%q has bits outside of %#x: %w", s, all, errSyntax)
		}
		return v, mask, err
	case s[0] == '+' || s[0] == '-':
		for s != "" {
			sign := s[0]
			if sign != '+' && sign != '-' {
				return 0, 0, fmt.Errorf("%q: expected + or -: %w", s, errSyntax)
			}
			name := s[1:]
			if n := strings.IndexAny(name, "+-"); n >= 0 {
				name = name[:n]
			}
			s = s[1+len(name):]
			b, err := bit(name)
			if err != nil {
				return 0, 0, err
			}
			mask |= b
			if sign == '+' {
				v |= b
			}
		}
		return v, mask, nil
	}
	for name := range strings.SplitSeq(s, "|") {
		b, err := bit(name)
		if err != nil {
			return 0, 0, err
		}
		v |= b
	}
	return v, all, nil
}

// FormatKey writes a key and mask in the form of ovs-dpctl(8). A nil mask means that all is
// exact. Only what a datapath knows is written.
func FormatKey(k *flow.Key, m *flow.Mask, o TextOptions) string {
	w := keyWriter{k: k, m: m, o: o}
	w.metadata()
	w.ethernet()
	if w.b.Len() == 0 {
		return "<empty>"
	}
	return w.b.String()
}

type keyWriter struct {
	b strings.Builder
	k *flow.Key
	m *flow.Mask
	o TextOptions
}

func (w *keyWriter) comma() {
	if w.b.Len() > 0 && !strings.HasSuffix(w.b.String(), "(") {
		w.b.WriteByte(',')
	}
}

// mask is the mask of a field; all ones without one.
func (w *keyWriter) mask(id flow.FieldID) uint64 {
	if w.m == nil {
		var all flow.Mask
		all.SetExact(id)
		return all.Get(id)
	}
	return w.m.Get(id)
}

// attr writes an attribute if anything of it is matched, or always when verbose.
func (w *keyWriter) attr(a *attr) {
	if w.o.Verbose || a.matched(w.m) {
		w.comma()
		a.format(&w.b, w.k, w.m, w.o.Verbose)
	}
}

// present writes an attribute that is only there when it has a value or a mask.
func (w *keyWriter) present(a *attr) {
	if w.m != nil && a.matched(w.m) || a.matched(w.k) {
		w.attr(a)
	}
}

func (w *keyWriter) printf(format string, args ...any) {
	w.comma()
	fmt.Fprintf(&w.b, format, args...)
}

func (w *keyWriter) metadata() {
	w.attr(&attrRecirc)
	w.attr(&attrDPHash)
	w.attr(&attrPriority)
	w.tunnel()
	if m := w.mask(flow.InPortOXM); m == 0xffffffff {
		w.printf("in_port(%s)", w.o.port(Port(w.k.Get(flow.InPortOXM))))
	} else if m != 0 || w.o.Verbose {
		w.printf("in_port(%d/%s)", w.k.Get(flow.InPortOXM), hexNum(m))
	}
	w.attr(&attrMark)
	if v, m := w.k.Get(flow.CTState), w.mask(flow.CTState); w.o.Verbose {
		w.printf("ct_state(%s", hexNum(v))
		if m != 0xffffffff {
			w.b.WriteString("/" + hexNum(m))
		}
		w.b.WriteByte(')')
	} else if m != 0 {
		w.printf("ct_state(%s)", flags(ctStateNames, v, m, m == 0xffffffff))
	}
	w.attr(&attrCTZone)
	w.attr(&attrCTMark)
	w.attr(&attrCTLabel)
	// The original tuple is there once a packet has been through conntrack.
	if w.k.Get(flow.EthType) == ethIPv6 {
		w.present(&attrCTTuple6)
	} else {
		w.present(&attrCTTuple4)
	}
	switch v, m := w.k.Get(flow.PacketType), w.mask(flow.PacketType); {
	case m == 0xffffffff:
		w.printf("packet_type(ns=%d,id=%s)", v>>16, hexNum(v&0xffff))
	case m != 0:
		w.printf("packet_type(ns=%d/%s,id=%s/%s)", v>>16, hexNum(m>>16), hexNum(v&0xffff), hexNum(m&0xffff))
	}
}

func (w *keyWriter) ethernet() {
	if w.k.Get(flow.PacketType) == 0 {
		if w.o.Verbose || attrEth.matched(w.m) {
			w.attr(&attrEth)
		} else if w.mask(flow.PacketType) == 0 {
			w.printf("eth()")
		}
	}
	depth := 0
	for _, v := range [maxVLANs][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
		if w.k.Get(v[0])&flow.VLANPresent == 0 {
			break
		}
		tpid := w.k.Get(v[1])
		if tpid == 0 {
			tpid = ethVLAN
		}
		w.printf("eth_type(0x%04x)", tpid)
		tci, mask := w.k.Get(v[0]), w.mask(v[0])
		if w.o.Verbose || mask&^flow.VLANPresent != 0 {
			w.printf("vlan(%s)", vlanText(tci, mask, w.o.Verbose))
		}
		w.printf("encap(")
		depth++
	}
	w.network()
	w.b.WriteString(strings.Repeat(")", depth))
}

// vlanText writes the parts of a VLAN TCI.
func vlanText(tci, mask uint64, verbose bool) string {
	var s []string
	if vid, m := tci&0xfff, mask&0xfff; verbose || m != 0 || mask == flow.VLANPresent {
		t := fmt.Sprintf("vid=%d", vid)
		if m != 0xfff {
			t += fmt.Sprintf("/0x%x", m)
		}
		s = append(s, t)
	}
	if pcp, m := tci>>13, mask>>13; verbose || m != 0 {
		t := fmt.Sprintf("pcp=%d", pcp)
		if m != 7 {
			t += fmt.Sprintf("/0x%x", m)
		}
		s = append(s, t)
	}
	if tci&flow.VLANPresent == 0 {
		s = append(s, "cfi=0")
	}
	return strings.Join(s, ",")
}

func (w *keyWriter) network() {
	t, m := w.k.Get(flow.EthType), w.mask(flow.EthType)
	switch {
	case m == 0:
		return
	case m != 0xffff:
		w.printf("eth_type(0x%04x/0x%04x)", t, m)
		return
	case t == ethNone:
		w.printf("eth_type(0/0xffff)")
		return
	}
	w.printf("eth_type(0x%04x)", t)
	switch t {
	case ethIPv4:
		w.attr(&attrIPv4)
		w.transport(false)
	case ethIPv6:
		w.attr(&attrIPv6)
		w.transport(true)
	case ethARP, ethRARP:
		w.attr(&attrARP)
	case ethMPLS, ethMPLM:
		w.mpls()
	}
}

func (w *keyWriter) transport(v6 bool) {
	if w.mask(flow.NwProto) != 0xff || w.k.Get(flow.IPFrag)&flow.FragLater != 0 {
		return
	}
	switch proto := w.k.Get(flow.NwProto); {
	case proto == 6:
		w.attr(&attrTCP)
		v, m := w.k.Get(flow.TCPFlags), w.mask(flow.TCPFlags)
		if w.o.Verbose || m != 0 {
			w.printf("tcp_flags(%s)", flags(tcpFlagNames, v, m, m == 0xfff))
		}
	case proto == 17:
		w.attr(&attrUDP)
	case proto == 132:
		w.attr(&attrSCTP)
	case proto == 1 && !v6:
		w.attr(&attrICMP)
	case proto == 58 && v6:
		w.attr(&attrICMPv6)
		if t := w.k.Get(flow.ICMPv6Type); (t == 135 || t == 136) && w.mask(flow.ICMPv6Type) == 0xff {
			w.attr(&attrND)
			if w.m == nil || attrNDExt.matched(w.m) {
				w.attr(&attrNDExt)
			}
		}
	}
}

// lseText writes the parts of a label stack entry.
func lseText(lse uint64) string {
	return fmt.Sprintf("label=%d,tc=%d,ttl=%d,bos=%d", lse>>12, lse>>9&7, lse&0xff, lse>>8&1)
}

func (w *keyWriter) mpls() {
	var parts []string
	matched := w.o.Verbose
	for _, id := range []flow.FieldID{flow.MPLSLSE0, flow.MPLSLSE1, flow.MPLSLSE2} {
		lse, m := w.k.Get(id), w.mask(id)
		matched = matched || m != 0
		if m == 0xffffffff {
			parts = append(parts, lseText(lse))
		} else {
			parts = append(parts, fmt.Sprintf("label=%d/0x%x,tc=%d/%x,ttl=%d/0x%x,bos=%d/%x",
				lse>>12, m>>12, lse>>9&7, m>>9&7, lse&0xff, m&0xff, lse>>8&1, m>>8&1))
		}
		if lse&0x100 != 0 {
			break // bottom of stack
		}
	}
	// Labels that nothing looks at are left out at the end.
	for n := len(parts); !w.o.Verbose && n > 1 && w.mask(flow.MPLSLSE0+flow.FieldID(n-1)) == 0; n-- {
		parts = parts[:n-1]
	}
	if matched {
		w.printf("mpls(%s)", strings.Join(parts, ","))
	}
}
