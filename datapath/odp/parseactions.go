package odp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseActions reads what FormatActions writes; ports may be names that names knows (nil: none).
// "drop" is the explicit Drop action, an empty text an empty list.
func ParseActions(text string, names NameFunc) ([]Action, error) {
	l, err := parseActions(text, names, 0)
	if err != nil {
		return nil, fmt.Errorf("actions %q: %w", text, err)
	}
	return l, nil
}

// parseNested is parseActions for a list inside of an action: "drop" alone is the empty list
// there, as an empty list is written so.
func parseNested(text string, names NameFunc, depth int) ([]Action, error) {
	if strings.TrimSpace(text) == "drop" {
		return nil, nil
	}
	return parseActions(text, names, depth)
}

func parseActions(text string, names NameFunc, depth int) ([]Action, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d: %w", maxDepth, errSyntax)
	}
	parts, err := split(text)
	if err != nil {
		return nil, err
	}
	var out []Action
	for _, p := range parts {
		a, err := parseAction(p, names, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func parseAction(s string, names NameFunc, depth int) (Action, error) {
	name, args, ok, err := call(s)
	if err != nil {
		return nil, err
	}
	if !ok {
		switch name {
		case "pop_vlan":
			return PopVLAN{}, nil
		case "pop_eth":
			return PopEth{}, nil
		case "ct":
			return CT{}, nil
		case "ct_clear":
			return CTClear{}, nil
		case "drop":
			return Drop{}, nil
		}
		n, err := portNumber(name, names)
		return Output{n}, err
	}
	switch name {
	case "userspace":
		return parseUserspace(args)
	case "set":
		return parseSet(args)
	case "push_vlan":
		return parsePushVLAN(args)
	case "push_mpls", "pop_mpls":
		return parseMPLSAction(name, args)
	case "recirc":
		n, err := number(args, 32)
		return Recirc{uint32(n)}, err
	case "meter":
		n, err := number(args, 32)
		return Meter{uint32(n)}, err
	case "trunc":
		n, err := number(args, 32)
		return Trunc{uint32(n)}, err
	case "hash":
		alg, basis, ok, err := call(args)
		if err != nil || !ok || alg != "l4" && alg != "sym_l4" {
			return nil, fmt.Errorf("hash(%s): expected l4(basis) or sym_l4(basis): %w", args, errSyntax)
		}
		n, err := number(basis, 32)
		return Hash{SymL4: alg == "sym_l4", Basis: uint32(n)}, err
	case "sample":
		return parseSample(args, names, depth)
	case "clone":
		l, err := parseNested(args, names, depth+1)
		return Clone{l}, err
	case "check_pkt_len":
		return parseCheckPktLen(args, names, depth)
	case "push_eth":
		return parsePushEth(args)
	case "ct":
		return parseCT(args)
	}
	return nil, fmt.Errorf("unknown action %q: %w", name, errSyntax)
}

func parseUserspace(args string) (Action, error) {
	parts, err := split(args)
	if err != nil {
		return nil, err
	}
	var a Userspace
	for _, p := range parts {
		name, inner, ok, err := call(p)
		if err != nil {
			return nil, err
		}
		if !ok {
			if !strings.HasPrefix(p, "pid=") {
				return nil, fmt.Errorf("userspace has no part %q: %w", p, errSyntax)
			}
			if _, err := number(p[4:], 32); err != nil {
				return nil, err
			}
			continue
		}
		switch name {
		case "slow_path":
			a.Kind, a.Reason = UpcallSlowPath, inner
		case "controller":
			a.Kind = UpcallController
			err = parseController(inner, &a)
		case "flow_sample", "ipfix":
			err = parseSampled(name, inner, &a)
		case "sFlow":
			a.Kind = UpcallSFlow
			v, ok := strings.CutPrefix(inner, "cookie=")
			if !ok {
				return nil, fmt.Errorf("%s(%s): expected cookie=: %w", name, inner, errSyntax)
			}
			var n uint64
			n, err = number(v, 32)
			a.Cookie = uint32(n)
		default:
			err = fmt.Errorf("userspace has no part %q: %w", name, errSyntax)
		}
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

func parseController(args string, a *Userspace) error {
	list, err := pairs(args)
	if err != nil {
		return err
	}
	for _, kv := range list {
		bits := map[string]int{"reason": 8, "dont_send": 1, "continuation": 1, "recirc_id": 32, "rule_cookie": 64,
			"controller_id": 16, "max_len": 16}[kv[0]]
		if bits == 0 {
			return fmt.Errorf("controller has no part %q: %w", kv[0], errSyntax)
		}
		v, err := number(kv[1], bits)
		if err != nil {
			return fmt.Errorf("%s: %w", kv[0], err)
		}
		switch kv[0] {
		case "reason":
			a.ControllerReason = uint8(v)
		case "dont_send":
			a.DontSend = v != 0
		case "continuation":
			a.Continuation = v != 0
		case "recirc_id":
			a.RecircID = uint32(v)
		case "rule_cookie":
			a.RuleCookie = v
		case "controller_id":
			a.ControllerID = uint16(v)
		case "max_len":
			a.MaxLen = uint16(v)
		}
	}
	return nil
}

func parsePushVLAN(args string) (Action, error) {
	a := PushVLAN{TPID: ethVLAN}
	if rest, ok := strings.CutPrefix(args, "tpid="); ok {
		t, tci, _ := strings.Cut(rest, ",")
		v, err := number(t, 16)
		if err != nil {
			return nil, err
		}
		a.TPID, args = uint16(v), tci
	}
	tci, mask, err := parseTCI(args)
	if err != nil {
		return nil, err
	}
	if mask&0xfff != 0xfff {
		return nil, fmt.Errorf("push_vlan(%s): expected vid=: %w", args, errSyntax)
	}
	a.TCI = uint16(tci)
	return a, nil
}

func parseMPLSAction(name, args string) (Action, error) {
	i := strings.LastIndex(args, "eth_type=")
	if i < 0 {
		return nil, fmt.Errorf("%s(%s): eth_type= missing: %w", name, args, errSyntax)
	}
	t, err := number(strings.TrimSpace(args[i+len("eth_type="):]), 16)
	if err != nil {
		return nil, err
	}
	rest := strings.TrimRight(args[:i], ", ")
	if name == "pop_mpls" {
		if rest != "" {
			return nil, fmt.Errorf("pop_mpls(%s): expected eth_type= only: %w", args, errSyntax)
		}
		return PopMPLS{uint16(t)}, nil
	}
	lse, _, err := parseLSEs(rest)
	if err != nil {
		return nil, err
	}
	if len(lse) != 1 {
		return nil, fmt.Errorf("push_mpls(%s): expected one label: %w", args, errSyntax)
	}
	return PushMPLS{LSE: uint32(lse[0]), EthType: uint16(t)}, nil
}

func parseSample(args string, names NameFunc, depth int) (Action, error) {
	parts, err := split(args)
	if err != nil {
		return nil, err
	}
	var a Sample
	for _, p := range parts {
		if v, ok := strings.CutPrefix(p, "sample="); ok {
			f, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
			if err != nil || !strings.HasSuffix(v, "%") || !(f >= 0 && f <= 100) {
				return nil, fmt.Errorf("%q is not a percentage: %w", v, errSyntax)
			}
			a.Probability = uint32(math.Floor(f/100*(1<<32-1) + .5))
			continue
		}
		name, inner, ok, err := call(p)
		if err != nil || !ok || name != "actions" {
			return nil, fmt.Errorf("sample has no part %q: %w", p, errSyntax)
		}
		if a.Actions, err = parseNested(inner, names, depth+1); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func parseCheckPktLen(args string, names NameFunc, depth int) (Action, error) {
	parts, err := split(args)
	if err != nil {
		return nil, err
	}
	var a CheckPktLen
	for _, p := range parts {
		if v, ok := strings.CutPrefix(p, "size="); ok {
			n, err := number(v, 16)
			if err != nil {
				return nil, err
			}
			a.Len = uint16(n)
			continue
		}
		name, inner, ok, err := call(p)
		if err != nil || !ok || name != "gt" && name != "le" {
			return nil, fmt.Errorf("check_pkt_len has no part %q: %w", p, errSyntax)
		}
		l, err := parseNested(inner, names, depth+1)
		if err != nil {
			return nil, err
		}
		if name == "gt" {
			a.Greater = l
		} else {
			a.LessEqual = l
		}
	}
	return a, nil
}

func parsePushEth(args string) (Action, error) {
	list, err := pairs(args)
	if err != nil {
		return nil, err
	}
	var a PushEth
	for _, kv := range list {
		mac, err := parseMAC(kv[1])
		if err != nil {
			return nil, err
		}
		switch kv[0] {
		case "src":
			a.Src = [6]byte(mac)
		case "dst":
			a.Dst = [6]byte(mac)
		default:
			return nil, fmt.Errorf("push_eth has no field %q: %w", kv[0], errSyntax)
		}
	}
	return a, nil
}
