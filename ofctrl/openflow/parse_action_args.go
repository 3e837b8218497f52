package openflow

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// actionTexts read what stands behind an action's name.
var actionTexts map[string]func(p *actionParser, value string) (Action, error)

func init() { // the table and what reads nested actions need each other
	u8 := func(f func(uint8) Action) func(*actionParser, string) (Action, error) {
		return numeric(8, func(v uint64) Action { return f(uint8(v)) })
	}
	u16 := func(f func(uint16) Action) func(*actionParser, string) (Action, error) {
		return numeric(16, func(v uint64) Action { return f(uint16(v)) })
	}
	u32 := func(f func(uint32) Action) func(*actionParser, string) (Action, error) {
		return numeric(32, func(v uint64) Action { return f(uint32(v)) })
	}
	word := func(a Action) func(*actionParser, string) (Action, error) {
		return func(*actionParser, string) (Action, error) { return a, nil }
	}
	actionTexts = map[string]func(*actionParser, string) (Action, error){
		"output": (*actionParser).output, "controller": (*actionParser).controller, "enqueue": (*actionParser).enqueue,
		"CONTROLLER": (*actionParser).controller,
		"group":      u32(func(v uint32) Action { return Group{v} }), "bundle": (*actionParser).bundle, "bundle_load": (*actionParser).bundle,
		"set_field": (*actionParser).setField, "load": (*actionParser).load, "move": (*actionParser).move,
		"push": func(p *actionParser, s string) (Action, error) { f, err := p.subfield(s); return StackPush{f}, err },
		"pop":  func(p *actionParser, s string) (Action, error) { f, err := p.target(s); return StackPop{f}, err },

		"mod_vlan_vid": vlanBits(12, func(v uint16) Action { return SetVLANVID{VID: v, Push: true} }),
		"set_vlan_vid": vlanBits(12, func(v uint16) Action { return SetVLANVID{VID: v} }),
		"mod_vlan_pcp": vlanBits(3, func(v uint16) Action { return SetVLANPCP{PCP: uint8(v), Push: true} }),
		"set_vlan_pcp": vlanBits(3, func(v uint16) Action { return SetVLANPCP{PCP: uint8(v)} }),
		"strip_vlan":   word(StripVLAN{}), "pop_vlan": word(StripVLAN{Pop: true}),
		"push_vlan": func(_ *actionParser, s string) (Action, error) {
			v, err := number(s, 16)
			if err == nil && v != 0x8100 && v != 0x88a8 {
				err = fmt.Errorf("%s: not a valid VLAN ethertype", s)
			}
			return PushVLAN{uint16(v)}, err
		},
		"push_mpls":      u16(func(v uint16) Action { return PushMPLS{v} }),
		"pop_mpls":       u16(func(v uint16) Action { return PopMPLS{v} }),
		"set_mpls_label": u32(func(v uint32) Action { return SetMPLSLabel{v} }),
		"set_mpls_tc":    u8(func(v uint8) Action { return SetMPLSTC{v} }),
		"set_mpls_ttl":   u8(func(v uint8) Action { return SetMPLSTTL{v} }),
		"dec_mpls_ttl":   word(DecMPLSTTL{}), "dec_nsh_ttl": word(DecNSHTTL{}),
		"mod_nw_ttl": u8(func(v uint8) Action { return SetTTL{v} }),
		"dec_ttl":    (*actionParser).decTTL,
		"delete_field": func(p *actionParser, s string) (Action, error) {
			f, err := p.target(s)
			return DeleteField{f.Field}, err
		},
		"set_tunnel":   numeric(64, func(v uint64) Action { return SetTunnel{v, v > 0xffffffff} }),
		"set_tunnel64": numeric(64, func(v uint64) Action { return SetTunnel{v, true} }),
		"set_queue":    u32(func(v uint32) Action { return SetQueue{v} }), "pop_queue": word(PopQueue{}),
		"fin_timeout": (*actionParser).finTimeout, "resubmit": (*actionParser).resubmit, "learn": (*actionParser).learn,
		"multipath": (*actionParser).multipath, "note": (*actionParser).note, "exit": word(Exit{}), "sample": (*actionParser).sample,
		"ct": (*actionParser).ct, "ct_clear": word(CTClear{}), "nat": (*actionParser).nat, "clone": (*actionParser).clone,
		"check_pkt_larger": (*actionParser).checkPktLarger, "meter": u32(func(v uint32) Action { return Meter{v} }),
		"conjunction": (*actionParser).conjunction, "encap": (*actionParser).encap, "decap": (*actionParser).decap,
	}
}

func numeric(bits int, f func(uint64) Action) func(*actionParser, string) (Action, error) {
	return func(_ *actionParser, s string) (Action, error) {
		v, err := number(s, bits)
		return f(v), err
	}
}

func vlanBits(bits uint, f func(uint16) Action) func(*actionParser, string) (Action, error) {
	return func(_ *actionParser, s string) (Action, error) {
		v, err := number(s, 16)
		if err == nil && v>>bits != 0 {
			err = fmt.Errorf("%s: not a valid VLAN %s", s, pick(bits == 12, "VID", "PCP"))
		}
		return f(uint16(v)), err
	}
}

func (p *actionParser) controller(s string) (Action, error) {
	if s == "" {
		return Output{PortController, 0xffff}, nil
	}
	if n, err := number(s, 16); err == nil {
		return Output{PortController, uint16(n)}, nil
	}
	a := Controller{MaxLen: 0xffff, Reason: ReasonAction}
	err := eachWord(s, func(name, value string) error {
		var n uint64
		var err error
		switch name {
		case "reason":
			for r, known := range reasonNames {
				if known != "" && known == value {
					a.Reason = r
					return nil
				}
			}
			return fmt.Errorf("unknown reason \"%s\"", value)
		case "max_len":
			n, err = number(value, 16)
			a.MaxLen = uint16(n)
		case "id":
			n, err = number(value, 16)
			a.ControllerID = uint16(n)
		case "userdata":
			a.V2 = true
			a.Userdata, err = hex.DecodeString(strings.ReplaceAll(value, ".", ""))
			if err != nil {
				err = fmt.Errorf("bad hex digit in `controller' action `userdata'")
			}
		case "pause":
			a.Pause, a.V2 = true, true
		case "meter_id":
			n, err = number(value, 32)
			a.MeterID, a.V2 = uint32(n), true
		default:
			err = fmt.Errorf("unknown key \"%s\" parsing controller action", name)
		}
		return err
	})
	return a, err
}

func (p *actionParser) enqueue(s string) (Action, error) {
	port, queue, ok := cutAny(s, ":,")
	if !ok {
		return nil, fmt.Errorf("\"enqueue\" syntax is \"enqueue:PORT:QUEUE\" or \"enqueue(PORT,QUEUE)\"")
	}
	no, ok := p.portOf(port)
	if !ok {
		return nil, fmt.Errorf("%s: enqueue to unknown port", port)
	}
	n, err := number(queue, 32)
	return Enqueue{no, uint32(n)}, err
}

func cutAny(s, chars string) (before, after string, ok bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func (p *actionParser) decTTL(s string) (Action, error) {
	a := DecTTL{}
	for _, w := range words(s) {
		n, err := number(w, 16)
		if err != nil {
			return nil, err
		}
		a.IDs = append(a.IDs, uint16(n))
	}
	return a, nil
}

// words are the parts of a list with commas or spaces between them.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (p *actionParser) resubmit(s string) (Action, error) {
	a := Resubmit{InPort: PortInPort, Table: TableAll}
	parts := strings.Split(s, ",")
	if port := strings.TrimSpace(parts[0]); port != "" {
		no, ok := p.portOf(port)
		if !ok {
			return nil, fmt.Errorf("%s: resubmit to unknown port", port)
		}
		a.InPort = no
	}
	if len(parts) > 1 && strings.TrimSpace(parts[1]) != "" {
		n, err := number(strings.TrimSpace(parts[1]), 8)
		if err != nil {
			return nil, fmt.Errorf("%s: resubmit to unknown table", parts[1])
		}
		a.Table = uint8(n)
	}
	switch {
	case len(parts) > 3, len(parts) == 3 && strings.TrimSpace(parts[2]) != "ct":
		return nil, fmt.Errorf("%s: unknown parameter", s)
	case a.InPort == PortInPort && a.Table == TableAll:
		return nil, fmt.Errorf("at least one \"in_port\" or \"table\" must be specified  on resubmit")
	}
	a.CT = len(parts) == 3
	return a, nil
}

func (p *actionParser) finTimeout(s string) (Action, error) {
	a := FinTimeout{}
	err := eachWord(s, func(name, value string) error {
		n, err := number(value, 16)
		switch name {
		case "idle_timeout":
			a.Idle = uint16(n)
		case "hard_timeout":
			a.Hard = uint16(n)
		default:
			return fmt.Errorf("invalid key '%s' in 'fin_timeout' argument", name)
		}
		return err
	})
	return a, err
}

// hashed reads the fields of a hash and its basis.
func hashed(fields, basis string) (uint16, uint16, error) {
	n := slices.Index(fieldsNames, fields)
	if n < 0 {
		return 0, 0, fmt.Errorf("unknown fields `%s'", fields)
	}
	b, err := number(basis, 16)
	return uint16(n), uint16(b), err
}

func (p *actionParser) multipath(s string) (Action, error) {
	w := words(s)
	if len(w) != 6 {
		return nil, fmt.Errorf("%s: not enough arguments to multipath action", s)
	}
	a := Multipath{}
	var err error
	if a.Fields, a.Basis, err = hashed(w[0], w[1]); err != nil {
		return nil, err
	}
	n := slices.Index([]string{"modulo_n", "hash_threshold", "hrw", "iter_hash"}, w[2])
	if n < 0 {
		return nil, fmt.Errorf("%s: unknown algorithm `%s'", s, w[2])
	}
	a.Algorithm = uint16(n)
	links, err := number(w[3], 32)
	if err != nil || links < 1 || links > 65536 {
		return nil, fmt.Errorf("%s: n_links %s is not in valid range 1 to 65536", s, w[3])
	}
	a.MaxLink = uint16(links - 1)
	arg, err := number(w[4], 32)
	if err != nil {
		return nil, err
	}
	a.Arg = uint32(arg)
	if a.Dst, err = p.target(w[5]); err == nil && a.Dst.Bits < 16 && links > 1<<a.Dst.Bits {
		err = fmt.Errorf("%s: %d-bit destination field has %d possible values, less than specified n_links %d", s, a.Dst.Bits, 1<<a.Dst.Bits, links)
	}
	return a, err
}

// bundle reads bundle and bundle_load: fields,basis,algorithm,ofport,[dst,]members:...
func (p *actionParser) bundle(s string) (Action, error) {
	head, members, ok := strings.Cut(s, "members:")
	if !ok {
		if head, members, ok = strings.Cut(s, "slaves:"); !ok {
			return nil, fmt.Errorf("%s: missing member delimiter, expected `members', got `'", s)
		}
	}
	w := words(head)
	if len(w) != 4 && len(w) != 5 {
		return nil, fmt.Errorf("%s: not enough arguments to bundle action", s)
	}
	a := Bundle{}
	var err error
	if a.Fields, a.Basis, err = hashed(w[0], w[1]); err != nil {
		return nil, err
	}
	switch w[2] {
	case "active_backup":
	case "hrw":
		a.Algorithm = 1
	default:
		return nil, fmt.Errorf("%s: unknown algorithm `%s'", s, w[2])
	}
	if w[3] != "ofport" {
		return nil, fmt.Errorf("%s: unknown member_type `%s'", s, w[3])
	}
	if len(w) == 5 {
		dst, err := p.target(w[4])
		if err != nil {
			return nil, err
		}
		a.Dst = &dst
	}
	for _, m := range words(strings.Trim(members, "[]")) {
		no, ok := p.portOf(m)
		if !ok {
			return nil, fmt.Errorf("%s: bad port number", m)
		}
		a.Members = append(a.Members, no)
	}
	return a, nil
}

func (p *actionParser) sample(s string) (Action, error) {
	a := Sample{SamplingPort: PortAny, Form: 1}
	id := func(value string) (uint32, *flow.Subfield, error) {
		if n, err := number(value, 32); err == nil {
			return uint32(n), nil, nil
		}
		f, err := p.subfield(value)
		a.Form = 4
		return 0, &f, err
	}
	err := eachWord(s, func(name, value string) error {
		var n uint64
		var err error
		switch name {
		case "probability":
			n, err = number(value, 16)
			a.Probability = uint16(n)
		case "collector_set_id":
			n, err = number(value, 32)
			a.CollectorSet = uint32(n)
		case "obs_domain_id":
			a.ObsDomain, a.ObsDomainSrc, err = id(value)
		case "obs_point_id":
			a.ObsPoint, a.ObsPointSrc, err = id(value)
		case "sampling_port":
			no, ok := p.portOf(value)
			if !ok {
				return fmt.Errorf("%s: unknown port", value)
			}
			a.SamplingPort, a.Form = no, max(a.Form, 2)
		case "ingress":
			a.Direction, a.Form = 1, max(a.Form, 3)
		case "egress":
			a.Direction, a.Form = 2, max(a.Form, 3)
		default:
			err = fmt.Errorf("invalid key \"%s\" in \"sample\" argument", name)
		}
		return err
	})
	if err == nil && a.Probability == 0 {
		err = fmt.Errorf("non-zero \"probability\" must be specified on sample")
	}
	return a, err
}

func (p *actionParser) ct(s string) (Action, error) {
	a := CT{RecircTable: TableAll}
	err := eachWord(s, func(name, value string) error {
		switch name {
		case "commit":
			a.Commit = true
		case "force":
			a.Force = true
		case "table":
			n, err := number(value, 8)
			if err != nil || n == uint64(TableAll) {
				return fmt.Errorf("unknown table %s", value)
			}
			a.RecircTable = uint8(n)
		case "zone":
			if n, err := number(value, 16); err == nil {
				a.ZoneImm = uint16(n)
				return nil
			}
			src, err := p.subfield(value)
			if err == nil && src.Bits != 16 {
				err = fmt.Errorf("zone of %d bits, not 16", src.Bits)
			}
			a.ZoneSrc = &src
			return err
		case "alg":
			port, ok := map[string]uint16{"ftp": 21, "tftp": 69}[value]
			if !ok {
				return fmt.Errorf("invalid alg: %s", value)
			}
			a.ALG = port
		case "nat":
			nat, err := p.nat(value)
			a.Actions = append(a.Actions, nat)
			return err
		case "exec":
			list, err := p.list(value)
			a.Actions = append(a.Actions, list...)
			return err
		default:
			return fmt.Errorf("invalid argument to \"ct\" action: `%s'", name)
		}
		return nil
	})
	if err == nil && a.Force && !a.Commit {
		//lint:ignore ST1005 OVS's words
		err = fmt.Errorf("\"force\" flag requires \"commit\" flag.")
	}
	return a, err
}

func (p *actionParser) nat(s string) (Action, error) {
	a := NAT{}
	err := eachWord(s, func(name, value string) error {
		switch name {
		case "src", "dst":
			a.Flags |= pick[uint16](name == "src", natSrc, natDst)
			if value == "" {
				return nil
			}
			return a.addresses(value)
		case "persistent":
			a.Flags |= natPersistent
		case "hash":
			a.Flags |= natHash
		case "random":
			a.Flags |= natRandom
		default:
			return fmt.Errorf("invalid key \"%s\" in \"nat\" argument", name)
		}
		return nil
	})
	if err == nil && a.Flags&natSrc != 0 && a.Flags&natDst != 0 {
		//lint:ignore ST1005 OVS's words
		err = fmt.Errorf("May only specify one of \"src\" or \"dst\".")
	}
	return a, err
}

// addresses reads ADDR[-ADDR][:PORT[-PORT]], with IPv6 addresses in brackets when there are ports.
func (a *NAT) addresses(s string) error {
	bad := fmt.Errorf("%s: not an address range of nat", s)
	addrs, ports := s, ""
	if i := strings.LastIndexByte(s, ']'); i >= 0 {
		addrs, ports = s[:i+1], strings.TrimPrefix(s[i+1:], ":")
	} else if strings.Count(s, ":") == 1 {
		addrs, ports, _ = strings.Cut(s, ":")
	}
	for i, w := range strings.SplitN(addrs, "-", 2) {
		ip, err := netip.ParseAddr(strings.Trim(w, "[]"))
		if err != nil || ip.Zone() != "" {
			return bad
		}
		if i == 0 {
			a.AddrMin = ip.AsSlice()
		} else if a.AddrMax = ip.AsSlice(); len(a.AddrMax) != len(a.AddrMin) {
			return bad
		}
	}
	if ports == "" {
		return nil
	}
	for i, w := range strings.SplitN(ports, "-", 2) {
		n, err := number(w, 16)
		if err != nil || n == 0 {
			return bad
		}
		if i == 0 {
			a.PortMin = uint16(n)
		} else if a.PortMax = uint16(n); a.PortMax < a.PortMin {
			return bad
		}
	}
	return nil
}

func (p *actionParser) clone(s string) (Action, error) {
	list, err := p.list(s)
	return Clone{list}, err
}

func (p *actionParser) checkPktLarger(s string) (Action, error) {
	size, name, err := arrow("check_pkt_larger", s)
	if err != nil {
		return nil, err
	}
	n, err := number(size, 16)
	if err != nil {
		return nil, err
	}
	dst, err := p.target(name)
	if err == nil && dst.Bits != 1 {
		//lint:ignore ST1005 OVS's words
		err = fmt.Errorf("Only 1-bit destination field is allowed")
	}
	return CheckPktLarger{uint16(n), dst}, err
}

func (p *actionParser) conjunction(s string) (Action, error) {
	var id, k, n uint32
	if c, err := fmt.Sscanf(strings.ReplaceAll(s, " ", ""), "%d,%d/%d", &id, &k, &n); err != nil || c != 3 {
		return nil, fmt.Errorf("\"conjunction\" syntax is \"conjunction(id,i/n)\"")
	}
	if n < 2 || n > 64 || k < 1 || k > n {
		return nil, fmt.Errorf("conjunction must have 2 to 64 clauses and be one of them")
	}
	return Conjunction{id, uint8(k - 1), uint8(n)}, nil
}

func (p *actionParser) encap(s string) (Action, error) {
	types := map[string]uint32{"ethernet": 0, "mpls": 0x0001_8847, "mpls_mc": 0x0001_8848}
	t, ok := types[s]
	if !ok {
		return nil, fmt.Errorf("encap hdr not supported: %s", s)
	}
	return Encap{Type: t}, nil
}

func (p *actionParser) decap(s string) (Action, error) {
	if s != "" {
		return nil, fmt.Errorf("decap with argument not supported: %s", s)
	}
	return Decap{Type: 0x0000_fffe}, nil
}
