package odp

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// ParseKey reads what FormatKey writes; ports may be names that names knows (nil: none). Values
// without a mask are exact, attributes that are not given are wildcarded. A key with an
// Ethertype but without vlan() matches only untagged packets, as a datapath key's first
// Ethertype is the outermost one.
func ParseKey(text string, names NameFunc) (flow.Match, error) {
	p := keyParser{names: names}
	if err := p.parse(text, 0); err != nil {
		return flow.Match{}, fmt.Errorf("flow %q: %w", text, err)
	}
	p.m.Normalize()
	return p.m, nil
}

type keyParser struct {
	m     flow.Match
	names NameFunc
	vlans int
}

// plainAttrs are those without rules of their own.
var plainAttrs = func() map[string]*attr {
	out := map[string]*attr{}
	for _, a := range []*attr{&attrRecirc, &attrDPHash, &attrPriority, &attrMark, &attrCTZone, &attrCTMark, &attrCTLabel,
		&attrCTTuple4, &attrCTTuple6, &attrEth, &attrIPv4, &attrIPv6, &attrARP, &attrTCP, &attrUDP, &attrSCTP,
		&attrICMP, &attrICMPv6, &attrND, &attrNDExt} {
		out[a.name] = a
	}
	return out
}()

// parse reads a list of attributes; depth counts the encap() around it.
func (p *keyParser) parse(text string, depth int) error {
	parts, err := split(text)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, part := range parts {
		name, args, ok, err := call(part)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%q: expected name(value): %w", part, errSyntax)
		}
		if seen[name] {
			return fmt.Errorf("%s given twice: %w", name, errSyntax)
		}
		seen[name] = true
		k, m := &p.m.Key, &p.m.Mask
		switch name {
		case "in_port":
			err = p.inPort(args)
		case "ct_state":
			var v, mask uint64
			if v, mask, err = parseFlags(ctStateNames, args, 0xffffffff); err == nil {
				k.Set(flow.CTState, v)
				m.Set(flow.CTState, mask)
			}
		case "tcp_flags":
			var v, mask uint64
			if v, mask, err = parseFlags(tcpFlagNames, args, 0xfff); err == nil {
				k.Set(flow.TCPFlags, v)
				m.Set(flow.TCPFlags, mask)
			}
		case "tunnel":
			err = parseTunnel(args, k, m)
		case "packet_type":
			err = p.packetType(args)
		case "eth_type":
			err = p.ethType(args, i+1 < len(parts) && strings.HasPrefix(parts[i+1], "vlan(") || hasEncap(parts[i+1:]))
		case "vlan":
			err = p.vlan(args)
		case "encap":
			if depth+1 > maxVLANs || p.vlans <= depth {
				return fmt.Errorf("encap() without or with too many VLAN headers: %w", errSyntax)
			}
			err = p.parse(args, depth+1)
		case "mpls":
			err = p.mpls(args)
		default:
			a := plainAttrs[name]
			if a == nil {
				return fmt.Errorf("unknown field %q: %w", name, errSyntax)
			}
			err = a.parse(args, k, m)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func hasEncap(parts []string) bool {
	for _, s := range parts {
		if strings.HasPrefix(s, "encap(") {
			return true
		}
	}
	return false
}

func (p *keyParser) inPort(args string) error {
	v, mask, masked := strings.Cut(args, "/")
	n, err := portNumber(v, p.names)
	if err != nil {
		return err
	}
	p.m.Set(flow.InPortOXM, uint64(n))
	if masked {
		m, err := number(mask, 32)
		if err != nil {
			return err
		}
		p.m.Mask.Set(flow.InPortOXM, m)
	}
	return nil
}

func portNumber(s string, names NameFunc) (Port, error) {
	if n, err := number(s, 32); err == nil {
		return Port(n), nil
	}
	if names != nil {
		if n, ok := names(s); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%q is not a port: %w", s, errSyntax)
}

func (p *keyParser) packetType(args string) error {
	ns := low("ns", "packet_type", 0xffff, formDec)
	id := low("id", "packet_type", 0xffff, formHex)
	var km [2]flow.Match
	list, err := pairs(args)
	if err != nil {
		return err
	}
	for _, kv := range list {
		var err error
		switch kv[0] {
		case "ns":
			err = ns.parse(kv[1], &km[0].Key, &km[0].Mask)
		case "id":
			err = id.parse(kv[1], &km[1].Key, &km[1].Mask)
		default:
			err = fmt.Errorf("no field %q: %w", kv[0], errSyntax)
		}
		if err != nil {
			return err
		}
	}
	join := func(a, b *flow.Key) uint64 { return a.Get(flow.PacketType)<<16 | b.Get(flow.PacketType)&0xffff }
	p.m.Key.Set(flow.PacketType, join(&km[0].Key, &km[1].Key))
	p.m.Mask.Set(flow.PacketType, join(&km[0].Mask, &km[1].Mask))
	return nil
}

// ethType reads an Ethertype, which before vlan() or encap() is the TPID of a VLAN header.
func (p *keyParser) ethType(args string, vlan bool) error {
	if args == "0/0xffff" {
		p.m.Set(flow.EthType, ethNone)
		p.untagged()
		return nil
	}
	v, mask, masked := strings.Cut(args, "/")
	t, err := number(v, 16)
	if err != nil {
		return err
	}
	m := uint64(0xffff)
	if masked {
		if m, err = number(mask, 16); err != nil {
			return err
		}
	}
	if !vlan {
		p.m.Key.Set(flow.EthType, t)
		p.m.Mask.Set(flow.EthType, m)
		p.untagged()
		return nil
	}
	if p.vlans >= maxVLANs || t != ethVLAN && t != ethQinQ || masked {
		return fmt.Errorf("0x%04x is not the type of a VLAN header here: %w", t, errSyntax)
	}
	tci, tpid := vlanFields(p.vlans)
	p.vlans++
	p.m.Set(tpid, t)
	// Without vlan() all that is known is that there is a header.
	p.m.Key.Set(tci, flow.VLANPresent)
	p.m.Mask.Set(tci, flow.VLANPresent)
	return nil
}

// untagged says that no VLAN header follows those given.
func (p *keyParser) untagged() {
	if p.vlans < maxVLANs {
		tci, _ := vlanFields(p.vlans)
		p.m.Set(tci, 0)
	}
}

func vlanFields(i int) (tci, tpid flow.FieldID) {
	if i == 0 {
		return flow.VLANTCI, flow.VLANTPID
	}
	return flow.VLANTCI2, flow.VLANTPID2
}

func (p *keyParser) vlan(args string) error {
	if p.vlans == 0 {
		return fmt.Errorf("no eth_type of a VLAN before: %w", errSyntax)
	}
	tci, mask, err := parseTCI(args)
	if err != nil {
		return err
	}
	if tci&flow.VLANPresent == 0 {
		return fmt.Errorf("cfi=0 in a key with encap(): %w", errSyntax)
	}
	id, _ := vlanFields(p.vlans - 1)
	p.m.Key.Set(id, tci)
	p.m.Mask.Set(id, mask|flow.VLANPresent)
	return nil
}

// parseTCI reads vid=, pcp=, cfi= or tci=; what is not given is wildcarded, cfi is 1.
func parseTCI(args string) (tci, mask uint64, err error) {
	list, err := pairs(args)
	if err != nil {
		return 0, 0, err
	}
	tci = flow.VLANPresent
	for _, kv := range list {
		v, ms, masked := strings.Cut(kv[1], "/")
		var shift int
		var all uint64
		switch kv[0] {
		case "vid":
			all = 0xfff
		case "pcp":
			all, shift = 7, 13
		case "cfi":
			all, shift = 1, 12
		case "tci":
			all = 0xffff
		default:
			return 0, 0, fmt.Errorf("no field %q: %w", kv[0], errSyntax)
		}
		n, err := number(v, 16)
		m := all
		if err == nil && masked {
			m, err = number(ms, 16)
		}
		if err != nil {
			return 0, 0, err
		}
		if n > all || m > all {
			return 0, 0, fmt.Errorf("%s=%s is too large: %w", kv[0], kv[1], errSyntax)
		}
		tci = tci&^(all<<shift) | n<<shift
		mask = mask&^(all<<shift) | m<<shift
	}
	return tci, mask, nil
}

func (p *keyParser) mpls(args string) error {
	lses, masks, err := parseLSEs(args)
	if err != nil {
		return err
	}
	for i := range lses {
		p.m.Key.Set(flow.MPLSLSE0+flow.FieldID(i), lses[i])
		p.m.Mask.Set(flow.MPLSLSE0+flow.FieldID(i), masks[i])
	}
	return nil
}

// parseLSEs reads label=,tc=,ttl=,bos= for up to three label stack entries; each label= after
// the first begins another one. A mask of tc and bos is hexadecimal without 0x, as OVS writes it.
func parseLSEs(args string) (lses, masks []uint64, err error) {
	list, err := pairs(args)
	if err != nil {
		return nil, nil, err
	}
	for _, kv := range list {
		var shift int
		var all uint64
		switch kv[0] {
		case "label":
			all, shift = 0xfffff, 12
			lses, masks = append(lses, 0), append(masks, 0)
		case "tc":
			all, shift = 7, 9
		case "bos":
			all, shift = 1, 8
		case "ttl":
			all = 0xff
		default:
			return nil, nil, fmt.Errorf("no field %q: %w", kv[0], errSyntax)
		}
		n := len(lses) - 1
		if n < 0 || n >= maxMPLS {
			return nil, nil, fmt.Errorf("label= missing, or more than %d labels: %w", maxMPLS, errSyntax)
		}
		v, ms, masked := strings.Cut(kv[1], "/")
		x, err := number(v, 32)
		m := all
		if err == nil && masked {
			m, err = number(ms, 32)
		}
		if err != nil {
			return nil, nil, err
		}
		if x > all || m > all {
			return nil, nil, fmt.Errorf("%s=%s is too large: %w", kv[0], kv[1], errSyntax)
		}
		lses[n] |= x << shift
		masks[n] |= m << shift
	}
	return lses, masks, nil
}
