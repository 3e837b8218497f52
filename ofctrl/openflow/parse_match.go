package openflow

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// PortNumbers finds a port by its name; nil knows none.
type PortNumbers func(name string) (PortNo, bool)

// protocols are the keywords that stand for an Ethertype and perhaps an IP protocol (ovs-fields(7)).
var protocols = map[string]struct {
	eth, nw  uint64
	hasProto bool
}{
	"ip": {eth: ethIP}, "ipv4": {eth: ethIP}, "ip4": {eth: ethIP},
	"icmp": {ethIP, ipICMP, true}, "tcp": {ethIP, ipTCP, true}, "udp": {ethIP, ipUDP, true}, "sctp": {ethIP, ipSCTP, true},
	"arp": {eth: ethARP}, "rarp": {eth: ethRARP},
	"ipv6": {eth: ethIPv6}, "ip6": {eth: ethIPv6},
	"icmp6": {ethIPv6, ipICMPv6, true}, "tcp6": {ethIPv6, ipTCP, true}, "udp6": {ethIPv6, ipUDP, true}, "sctp6": {ethIPv6, ipSCTP, true},
	"mpls": {eth: ethMPLS}, "mplsm": {eth: ethMPLSMC},
}

// ParseMatch reads a match in the form of ovs-ofctl(8) and ovs-fields(7): keywords, fields and masks; of a field
// that is given twice the last one counts. Unlike ovs-ofctl it refuses fields that the packets of the match cannot
// have, where that drops the field.
func ParseMatch(text string, ports PortNumbers, tlv *TLVMap) (flow.Match, error) {
	p := matchParser{ports: ports, st: State{TLV: tlv}}
	var given []flow.FieldID
	err := eachWord(text, func(name, value string) error {
		if name == "eth" {
			p.m.Set(flow.PacketType, 0)
			return nil
		}
		if proto, ok := protocols[name]; ok {
			p.m.Set(flow.EthType, proto.eth)
			if proto.hasProto {
				p.m.Set(flow.NwProto, proto.nw)
			}
			return nil
		}
		id, ok := fieldByText(name)
		if !ok {
			return fmt.Errorf("unknown keyword %s", name)
		}
		if value == "*" {
			p.wildcard(id)
			return nil
		}
		if isTunMetadata(id) {
			if _, _, ok := p.st.tlv(id); !ok {
				return fmt.Errorf("%s is not mapped to a tunnel option", id)
			}
			if value == "" { // that it is there
				p.setOption(id, make([]byte, id.Info().Bytes), make([]byte, id.Info().Bytes))
				return nil
			}
		}
		v, mask, err := p.value(id, value)
		if err != nil {
			return err
		}
		p.set(id, v, mask)
		given = append(given, id)
		return nil
	})
	if err != nil {
		return flow.Match{}, err
	}
	for _, id := range given {
		if f := p.transport(id).Info(); !p.m.Mask.IsZero(f.ID) && !prereqOK(&p.m, f.Prereq) {
			return flow.Match{}, fmt.Errorf("prerequisites not met for setting %s", id)
		}
	}
	return p.m, nil
}

// ParseFlow reads the flow of one packet, the form of ofproto/trace and of dpctl/dump-flows filter=: like a match, but
// with whole values in an order in which each has its prerequisites before it. The mask of the result has what was
// given. Errors are worded as OVS does.
func ParseFlow(text string, ports PortNumbers, tlv *TLVMap) (flow.Match, error) {
	p := matchParser{ports: ports, st: State{TLV: tlv}}
	err := eachWord(text, func(name, value string) error {
		if proto, ok := protocols[name]; ok {
			if p.m.Key.Get(flow.EthType) != 0 {
				//lint:ignore ST1005 OVS's words
				return errors.New("Ethernet type set multiple times")
			}
			p.m.Set(flow.EthType, proto.eth)
			if proto.hasProto {
				if p.m.Key.Get(flow.NwProto) != 0 {
					return errors.New("network protocol set multiple times")
				}
				p.m.Set(flow.NwProto, proto.nw)
			}
			return nil
		}
		id, ok := fieldByText(name)
		if !ok {
			return fmt.Errorf("unknown field %s", name)
		}
		if !p.exactPrereq(id.Info().Prereq) {
			return fmt.Errorf("prerequisites not met for setting %s", name)
		}
		if !p.m.Key.IsZero(id) {
			return fmt.Errorf("field %s set multiple times", name)
		}
		if value == "*" {
			return fmt.Errorf("bad value for %s (*: wildcards not allowed here)", name)
		}
		v, mask, err := p.value(id, value)
		if err == nil && mask != nil {
			err = fmt.Errorf("%s: wildcards not allowed here", value)
		}
		if err != nil {
			return fmt.Errorf("bad value for %s (%w)", name, err)
		}
		p.set(id, v, nil)
		return nil
	})
	if err != nil {
		return flow.Match{}, fmt.Errorf("%s: %w", text, err)
	}
	return p.m, nil
}

// textFields are those that text can name, by name and alias.
var textFields = func() map[string]flow.FieldID {
	m := map[string]flow.FieldID{}
	for id := range flow.VLANTPID { // the rest are parts of a key that OpenFlow does not know
		m[id.Info().Name] = id
		if a := id.Info().Alias; a != "" {
			m[a] = id
		}
	}
	return m
}()

func fieldByText(name string) (flow.FieldID, bool) {
	id, ok := textFields[name]
	return id, ok
}

// eachWord cuts "key=value,key:value,key(value) key" apart, at commas and space outside of parentheses.
func eachWord(text string, f func(name, value string) error) error {
	const between, end = ", \t\r\n", ", \t\r\n=:("
	for {
		if text = strings.TrimLeft(text, between); text == "" {
			return nil
		}
		n := strings.IndexAny(text, end)
		if n < 0 {
			return f(text, "")
		}
		name, value := text[:n], ""
		switch rest := text[n+1:]; text[n] {
		case '=', ':':
			m := valueEnd(rest, between, 0)
			value, text = rest[:m], rest[m:]
		case '(':
			m := valueEnd(rest, "", 1)
			value, text = rest[:m], rest[min(m+1, len(rest)):]
		default:
			text = rest
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
}

// valueEnd is where a value ends: at the first byte of stop outside of parentheses, or where those that are open
// (depth) close.
func valueEnd(s, stop string, depth int) int {
	inner := depth
	for i := range len(s) {
		switch c := s[i]; {
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < inner || depth == 0 && inner > 0 {
				return i
			}
		case depth == 0 && strings.IndexByte(stop, c) >= 0:
			return i
		}
	}
	return len(s)
}

// matchParser is what a text has said so far.
type matchParser struct {
	m     flow.Match
	ports PortNumbers
	st    State
}

// exactPrereq is prereqOK for a flow, of which what was not given is zero.
func (p *matchParser) exactPrereq(q flow.Prereq) bool {
	m := flow.Match{Key: p.m.Key}
	for i := range m.Mask {
		m.Mask[i] = ^uint64(0)
	}
	return prereqOK(&m, q)
}

// transport finds the field that a name means in the match's protocol: tp_dst is that of UDP as well, nw_src of ARP is
// the sender's address.
func (p *matchParser) transport(id flow.FieldID) flow.FieldID {
	eth, proto := p.m.Key.Get(flow.EthType), p.m.Key.Get(flow.NwProto)
	var other map[flow.FieldID]flow.FieldID
	switch {
	case eth == ethARP || eth == ethRARP:
		other = arpFields
	case proto == ipUDP:
		other = udpFields
	case proto == ipSCTP:
		other = sctpFields
	case proto == ipICMPv6:
		other = icmpv6Fields
	}
	if o, ok := other[id]; ok {
		return o
	}
	return id
}

// Fields that are kept in the same place, by the field whose name stands for them too.
var (
	arpFields    = map[flow.FieldID]flow.FieldID{flow.IPv4Src: flow.ARPSPA, flow.IPv4Dst: flow.ARPTPA, flow.NwProto: flow.ARPOp}
	udpFields    = map[flow.FieldID]flow.FieldID{flow.TCPSrc: flow.UDPSrc, flow.TCPDst: flow.UDPDst}
	sctpFields   = map[flow.FieldID]flow.FieldID{flow.TCPSrc: flow.SCTPSrc, flow.TCPDst: flow.SCTPDst}
	icmpv6Fields = map[flow.FieldID]flow.FieldID{flow.ICMPType: flow.ICMPv6Type, flow.ICMPCode: flow.ICMPv6Code}
)

func (p *matchParser) wildcard(id flow.FieldID) {
	if isTunMetadata(id) {
		p.m.Key[flow.TunPresentWord] &^= presence(id)
		p.m.Mask[flow.TunPresentWord] &^= presence(id)
		for _, k := range []*flow.Key{&p.m.Key, &p.m.Mask} {
			b, _ := p.st.TLV.Bytes(k, id)
			clear(b)
		}
		return
	}
	var all flow.Mask
	all.SetExact(id)
	for i, w := range all {
		p.m.Mask[i] &^= w
		p.m.Key[i] &^= w
	}
}

// set writes a value in wire form; a nil mask is an exact one. VLAN fields say that there is a tag, as well.
func (p *matchParser) set(id flow.FieldID, v, mask []byte) {
	k, m := &p.m.Key, &p.m.Mask
	switch id {
	case flow.DlVLAN:
		if n := uintBytes(v); n == 0xffff { // OpenFlow 1.0's "none"
			p.m.Set(flow.VLANTCI, 0)
		} else {
			p.m.Set(flow.VLANVID, n&0xfff|flow.VLANPresent)
		}
		return
	case flow.DlVLANPCP, flow.VLANPCP:
		k.Set(id, uintBytes(v))
		m.SetExact(id)
		k.Set(flow.VLANTCI, k.Get(flow.VLANTCI)|flow.VLANPresent)
		m.Set(flow.VLANTCI, m.Get(flow.VLANTCI)|flow.VLANPresent)
		return
	}
	if f := id.Info(); f.Off < 0 {
		p.setOption(id, v, mask)
		return
	}
	p.wildcard(id)
	if mask == nil {
		k.SetBytes(id, v)
		m.SetExact(id)
		return
	}
	m.SetBytes(id, mask)
	for i := range v {
		v[i] &= mask[i]
	}
	k.SetBytes(id, v)
}

// setOption writes a tunnel option that the table maps; others are not known, and match nothing.
func (p *matchParser) setOption(id flow.FieldID, v, mask []byte) {
	off, n, ok := p.st.tlv(id)
	if !ok {
		return
	}
	p.m.Key[flow.TunPresentWord] |= presence(id)
	p.m.Mask[flow.TunPresentWord] |= presence(id)
	key, m := p.m.Key.Bytes()[tunOptsOff+off:][:n], p.m.Mask.Bytes()[tunOptsOff+off:][:n]
	for i := range n {
		m[i] = 0xff
		if mask != nil {
			m[i] = mask[len(mask)-n+i]
		}
		key[i] = v[len(v)-n+i] & m[i]
	}
}
