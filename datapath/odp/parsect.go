package odp

import (
	"fmt"
	"strings"
)

func parseCT(args string) (Action, error) {
	parts, err := split(args)
	if err != nil {
		return nil, err
	}
	var a CT
	for _, p := range parts {
		key, v, _ := strings.Cut(p, "=")
		var n uint64
		var err error
		switch {
		case p == "commit":
			a.Commit = true
		case p == "force_commit":
			a.Commit, a.Force = true, true
		case p == "nat" || strings.HasPrefix(p, "nat("):
			a.NAT, err = parseNAT(p)
		case key == "zone":
			n, err = number(v, 16)
			a.Zone = uint16(n)
		case key == "mark":
			a.Mark, err = parseCTMark(v)
		case key == "label":
			a.Label, err = parseCTLabel(v)
		case key == "helper" && v != "":
			a.Helper = v
		case key == "timeout" && v != "":
			a.Timeout = v
		default:
			err = fmt.Errorf("no part %q: %w", p, errSyntax)
		}
		if err != nil {
			return nil, fmt.Errorf("ct: %w", err)
		}
	}
	return a, nil
}

func parseCTMark(s string) (*[2]uint32, error) {
	v, m, masked := strings.Cut(s, "/")
	n, err := number(v, 32)
	mask := uint64(0xffffffff)
	if err == nil && masked {
		mask, err = number(m, 32)
	}
	if err != nil {
		return nil, err
	}
	return &[2]uint32{uint32(n), uint32(mask)}, nil
}

func parseCTLabel(s string) (*[2][16]byte, error) {
	v, m, masked := strings.Cut(s, "/")
	if !masked {
		m = "0x" + strings.Repeat("f", 32)
	}
	n, err := hexBytes(v, 16)
	if err != nil {
		return nil, err
	}
	mask, err := hexBytes(m, 16)
	if err != nil {
		return nil, err
	}
	return &[2][16]byte{[16]byte(n), [16]byte(mask)}, nil
}

// parseNAT reads nat, nat(src), nat(dst=MIN-MAX:PORT-PORT,persistent,hash,random).
func parseNAT(s string) (*NAT, error) {
	_, args, ok, err := call(s)
	if err != nil {
		return nil, err
	}
	var n NAT
	if !ok {
		return &n, nil
	}
	parts, err := split(args)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		key, v, ranged := strings.Cut(p, "=")
		switch {
		case key == "src" || key == "dst":
			if n.Src || n.Dst {
				return nil, fmt.Errorf("%q: src or dst given twice: %w", s, errSyntax)
			}
			n.Src, n.Dst = key == "src", key == "dst"
			if ranged {
				if err := parseNATRange(v, &n); err != nil {
					return nil, err
				}
			}
		case p == "persistent":
			n.Persistent = true
		case p == "hash":
			n.Hash = true
		case p == "random":
			n.Random = true
		default:
			return nil, fmt.Errorf("nat has no part %q: %w", p, errSyntax)
		}
	}
	if !n.Src && !n.Dst && (n.Persistent || n.Hash || n.Random) {
		return nil, fmt.Errorf("%q: options without src or dst: %w", s, errSyntax)
	}
	return &n, nil
}

// parseNATRange reads MIN[-MAX][:PORT[-PORT]]; with ports, IPv6 addresses are in brackets.
func parseNATRange(s string, n *NAT) error {
	addrs, ports := s, ""
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.LastIndexByte(s, ']')
		if end < 0 {
			return fmt.Errorf("%q: missing ]: %w", s, errSyntax)
		}
		addrs, ports = s[:end+1], s[end+1:]
	case strings.Count(s, ":") <= 1:
		if i := strings.IndexByte(s, ':'); i >= 0 {
			addrs, ports = s[:i], s[i:]
		}
	}
	if addrs != "" {
		lo, hi, ranged := strings.Cut(addrs, "-")
		parse := func(a string) ([]byte, error) {
			v6 := strings.Contains(a, ":")
			if strings.HasPrefix(a, "[") && strings.HasSuffix(a, "]") {
				a = a[1 : len(a)-1]
			}
			return parseIP(a, v6)
		}
		var err error
		if n.MinAddr, err = parse(lo); err != nil {
			return err
		}
		if ranged {
			if n.MaxAddr, err = parse(hi); err != nil {
				return err
			}
			if len(n.MaxAddr) != len(n.MinAddr) {
				return fmt.Errorf("%q: addresses of two kinds: %w", s, errSyntax)
			}
		}
	}
	if ports == "" {
		return nil
	}
	if ports[0] != ':' {
		return fmt.Errorf("%q: expected a port: %w", s, errSyntax)
	}
	lo, hi, ranged := strings.Cut(ports[1:], "-")
	v, err := number(lo, 16)
	if err == nil && v == 0 {
		err = fmt.Errorf("%q: port 0: %w", s, errSyntax)
	}
	if err != nil {
		return err
	}
	n.MinPort = uint16(v)
	if ranged {
		if v, err = number(hi, 16); err != nil {
			return err
		}
		n.MaxPort = uint16(v)
	}
	return nil
}
