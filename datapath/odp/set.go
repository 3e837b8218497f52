package odp

import (
	"fmt"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// fieldsOf lists the fields that together are all bits of a member that actions may write.
var fieldsOf = func() map[int][]flow.FieldID {
	out := map[int][]flow.FieldID{}
	for _, id := range []flow.FieldID{flow.SkbPriority, flow.PktMark, flow.EthSrc, flow.EthDst, flow.IPv4Src, flow.IPv4Dst,
		flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.NwTOS, flow.NwECN, flow.NwTTL, flow.ARPSHA, flow.ARPTHA, flow.TCPSrc, flow.TCPDst, flow.NDTarget, flow.NDReserved, flow.NDOptionsType, flow.TunID, flow.TunSrc,
		flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunTOS, flow.TunTTL, flow.TunAllFlags, flow.TunTPSrc,
		flow.TunTPDst, flow.TunGBPID, flow.TunGBPFlags} {
		f := id.Info()
		out[f.Off] = append(out[f.Off], id)
	}
	return out
}()

// fieldsOfAttr are the fields of members that mean something else in each attribute.
var fieldsOfAttr = map[*attr][]flow.FieldID{
	&attrICMP:   {flow.ICMPType, flow.ICMPCode},
	&attrICMPv6: {flow.ICMPv6Type, flow.ICMPv6Code},
	&attrUDP:    {flow.UDPSrc, flow.UDPDst},
	&attrSCTP:   {flow.SCTPSrc, flow.SCTPDst},
	&attrARP:    {flow.ARPSPA, flow.ARPTPA, flow.ARPOp, flow.ARPSHA, flow.ARPTHA},
	&attrND:     {flow.NDTarget, flow.NDSLL, flow.NDTLL},
}

// setFields turns the masked bits of an attribute into fields to set.
func setFields(a *attr, k *flow.Key, m *flow.Mask) (out []FieldSet, err error) {
	for n := range a.items {
		i := &a.items[n]
		if i.empty(m) {
			continue
		}
		ids := fieldsOf[i.off]
		if f := fieldsOfAttr[a]; f != nil {
			ids = f[n : n+1]
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("%s(%s) cannot be set: %w", a.name, i.name, errSyntax)
		}
		for _, id := range ids {
			if m.IsZero(id) {
				continue
			}
			s := FieldSet{Field: id, Value: k.GetBytes(id, nil)}
			if !m.IsExact(id) {
				s.Mask = m.GetBytes(id, nil)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// parseSet reads the inside of set().
func parseSet(text string) (Set, error) {
	name, args, ok, err := call(text)
	if err != nil || !ok {
		return Set{}, fmt.Errorf("set(%s): expected set(field(...)): %w", text, errSyntax)
	}
	var k flow.Key
	var m flow.Mask
	var s Set
	switch name {
	case "tunnel":
		if err := parseTunnel(args, &k, &m); err != nil {
			return s, err
		}
		for _, a := range []*attr{{"", []item{itemTunID}}, &attrTunnel, {"", []item{itemGBPID, itemGBPFlags}}, {"", []item{it("", "tun_flags", formHex)}}} {
			f, err := setFields(a, &k, &m)
			if err != nil {
				return s, err
			}
			for i := range f {
				f[i].Mask = nil // a tunnel is always written as a whole
			}
			s.Fields = append(s.Fields, f...)
		}
		if n := int(k.Bytes()[tunOptsLen.Off]); n > 0 {
			s.TunOpts = append([]byte(nil), k.Bytes()[tunOpts.Off:tunOpts.Off+n]...)
		}
	case "mpls":
		lse, mask, err := parseLSEs(args)
		if err != nil {
			return s, err
		}
		if len(lse) != 1 {
			return s, fmt.Errorf("set(mpls): one label stack entry, not %d: %w", len(lse), errSyntax)
		}
		k.Set(flow.MPLSLSE0, lse[0])
		f := FieldSet{Field: flow.MPLSLSE0, Value: k.GetBytes(flow.MPLSLSE0, nil)}
		if mask[0] != 0xffffffff {
			m.Set(flow.MPLSLSE0, mask[0])
			f.Mask = m.GetBytes(flow.MPLSLSE0, nil)
		}
		s.Fields = []FieldSet{f}
	default:
		a := plainAttrs[name]
		if a == nil || !slices.Contains(settableAttrs, a) {
			return s, fmt.Errorf("%s cannot be set: %w", name, errSyntax)
		}
		if err := a.parse(args, &k, &m); err != nil {
			return s, err
		}
		if s.Fields, err = setFields(a, &k, &m); err != nil {
			return s, err
		}
		s.IPv6 = a == &attrIPv6
	}
	if len(s.Fields) == 0 {
		return s, fmt.Errorf("set(%s) sets nothing: %w", text, errSyntax)
	}
	return s, nil
}

// setText writes the inside of set().
func setText(s *Set) string {
	if len(s.Fields) == 0 {
		return ""
	}
	var k flow.Key
	var m flow.Mask
	for _, f := range s.Fields {
		k.SetMasked(f.Field, f.Value, f.Mask)
		if f.Mask == nil {
			m.SetExact(f.Field)
		} else {
			m.SetMasked(f.Field, f.Mask, f.Mask)
		}
	}
	w := keyWriter{k: &k, m: &m}
	first := s.Fields[0].Field
	switch {
	case first >= flow.MPLSLabel && first <= flow.MPLSTTL || first == flow.MPLSLSE0:
		w.mpls()
		return w.b.String()
	case isTunnel(first):
		n := copy(k.Bytes()[tunOpts.Off:tunOpts.Off+maxTunOpts], s.TunOpts)
		k.Bytes()[tunOptsLen.Off] = byte(n)
		return "tunnel(" + tunnelText(&k, nil, false) + ")"
	}
	a := attrOfSet(s)
	if a == nil {
		return fmt.Sprintf("%v(%s)", first, hexText(s.Fields[0].Value))
	}
	a.format(&w.b, &k, &m, false)
	return w.b.String()
}

func isTunnel(id flow.FieldID) bool {
	return id >= flow.TunID && id <= flow.TunGBPFlags || id >= flow.TunAllFlags && id <= flow.TunOptsLen
}

// attrOfSet is the attribute to which the fields of a set belong. Some fields have ids of their
// own though they share members with others; ToS and TTL are those of both versions of IP.
func attrOfSet(s *Set) *attr {
	ip := &attrIPv4
	if s.IPv6 {
		ip = &attrIPv6
	}
	both := false
	for _, f := range s.Fields {
		switch f.Field {
		case flow.SkbPriority:
			return &attrPriority
		case flow.PktMark:
			return &attrMark
		case flow.EthSrc, flow.EthDst:
			return &attrEth
		case flow.IPv4Src, flow.IPv4Dst:
			return &attrIPv4
		case flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label:
			return &attrIPv6
		case flow.NwTOS, flow.IPDSCP, flow.NwECN, flow.NwTTL:
			both = true
		case flow.ARPOp, flow.ARPSPA, flow.ARPTPA, flow.ARPSHA, flow.ARPTHA:
			return &attrARP
		case flow.TCPSrc, flow.TCPDst:
			return &attrTCP
		case flow.UDPSrc, flow.UDPDst:
			return &attrUDP
		case flow.SCTPSrc, flow.SCTPDst:
			return &attrSCTP
		case flow.ICMPType, flow.ICMPCode:
			return &attrICMP
		case flow.ICMPv6Type, flow.ICMPv6Code:
			return &attrICMPv6
		case flow.NDTarget, flow.NDSLL, flow.NDTLL:
			return &attrND
		case flow.NDReserved, flow.NDOptionsType:
			return &attrNDExt
		}
	}
	if both {
		return ip
	}
	return nil
}
