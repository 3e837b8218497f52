package odp

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

var tunFlagNames = []string{"oam", "df", "csum", "key"}

const tunFlagsAll = flow.TunFlagOAM | flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey

var (
	attrTunnel = attr{"tunnel", []item{it("src", "tun_src", formIP), it("dst", "tun_dst", formIP),
		it("ipv6_src", "tun_ipv6_src", formIP), it("ipv6_dst", "tun_ipv6_dst", formIP), it("tos", "tun_tos", formHex),
		it("ttl", "tun_ttl", formDec), it("tp_src", "tun_tp_src", formDec), it("tp_dst", "tun_tp_dst", formDec)}}
	itemTunID    = it("tun_id", "tun_id", formHex)
	itemGBPID    = it("id", "tun_gbp_id", formDec)
	itemGBPFlags = it("flags", "tun_gbp_flags", formHex)
	tunOpts      = member("tun_opts")
	tunOptsLen   = member("tun_opts_len")
)

// maxTunOpts is how many bytes of Geneve options a key has place for.
const maxTunOpts = 252

// tunnel writes the tunnel of a key, if there is one.
func (w *keyWriter) tunnel() {
	from, to := member("tun_id").Off, tunOpts.Off+tunOpts.Size
	any := func(k *flow.Key) bool {
		for _, c := range k.Bytes()[from:to] {
			if c != 0 {
				return true
			}
		}
		return false
	}
	// Without a tunnel the key is zero, and a mask of it says "not from a tunnel", for which
	// there is no text.
	if any(w.k) {
		w.printf("tunnel(%s)", tunnelText(w.k, w.m, w.o.Verbose))
	}
}

// tunnelText writes the inside of tunnel(). What is zero is left out, as the netlink form of
// OVS has no place for it; only ttl is shown when it is zero and matched.
func tunnelText(k *flow.Key, m *flow.Mask, verbose bool) string {
	var parts []string
	add := func(i *item, always bool) {
		zero := i.empty(k)
		matched := m == nil || !i.empty(m)
		if !matched && !(verbose && (!zero || always)) || zero && !always && (m == nil || i.exact(m) || !matched) {
			return
		}
		var b strings.Builder
		i.format(&b, k, m)
		parts = append(parts, b.String())
	}
	var fl, fm uint64 = k.Get(flow.TunAllFlags), tunFlagsAll
	if m != nil {
		fm = m.Get(flow.TunAllFlags)
	}
	if id, mask := k.Get(flow.TunID), uint64(1<<64-1); id != 0 || fl&flow.TunFlagKey != 0 {
		if m != nil {
			mask = m.Get(flow.TunID)
		}
		if mask != 0 || verbose {
			t := fmt.Sprintf("tun_id=0x%x", id)
			if mask != 1<<64-1 {
				t += "/" + hexNum(mask)
			}
			parts = append(parts, t)
		}
	}
	for i := range attrTunnel.items {
		add(&attrTunnel.items[i], attrTunnel.items[i].name == "ttl")
	}
	if !itemGBPID.empty(k) || !itemGBPFlags.empty(k) {
		var b strings.Builder
		(&attr{"gbp", []item{itemGBPID, itemGBPFlags}}).format(&b, k, m, verbose)
		parts = append(parts, "vxlan("+b.String()+")")
	}
	if s, ok := geneveText(k, m); ok {
		parts = append(parts, "geneve("+s+")")
	}
	switch {
	case fm&tunFlagsAll == tunFlagsAll:
		parts = append(parts, "flags("+flags(tunFlagNames, fl, 0, true)+")")
	case fm != 0 || verbose:
		parts = append(parts, "flags("+flags(tunFlagNames, fl, fm, false)+")")
	}
	return strings.Join(parts, ",")
}

// geneveText writes the options in a key.
func geneveText(k *flow.Key, m *flow.Mask) (string, bool) {
	n := int(k.Bytes()[tunOptsLen.Off])
	if n == 0 || n > maxTunOpts {
		return "", m != nil && m.Bytes()[tunOptsLen.Off] != 0
	}
	opts := k.Bytes()[tunOpts.Off : tunOpts.Off+n]
	var masks []byte
	if m != nil {
		masks = m.Bytes()[tunOpts.Off : tunOpts.Off+n]
	}
	var b strings.Builder
	for len(opts) >= 4 {
		l := int(opts[3]&0x1f) * 4
		if 4+l > len(opts) {
			break
		}
		num := func(name string, v uint64, mask, all uint64, hex bool) {
			t := fmt.Sprint(v)
			if hex {
				t = hexNum(v)
			}
			if masks != nil && mask != all {
				t += "/" + hexNum(mask)
			}
			b.WriteString(name + "=" + t + ",")
		}
		mk := make([]byte, 4)
		if masks != nil {
			mk = masks[:4+l]
		}
		b.WriteByte('{')
		num("class", uint64(binary.BigEndian.Uint16(opts)), uint64(binary.BigEndian.Uint16(mk)), 0xffff, true)
		num("type", uint64(opts[2]), uint64(mk[2]), 0xff, true)
		// The whole length octet is matched; three of its bits are reserved.
		lm := uint64(mk[3]&0x1f) * 4
		num("len", uint64(l), lm, 0x7c, false)
		b.WriteString(hexText(opts[4 : 4+l]))
		if masks != nil && !allOnes(mk[4:]) {
			b.WriteString("/" + hexText(mk[4:]))
		}
		b.WriteByte('}')
		opts = opts[4+l:]
		if masks != nil {
			masks = masks[4+l:]
		}
	}
	return b.String(), true
}

// parseTunnel reads the inside of tunnel(). What is not given is wildcarded.
func parseTunnel(args string, k *flow.Key, m *flow.Mask) error {
	parts, err := split(args)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if name, inner, ok, err := call(p); err != nil {
			return err
		} else if ok {
			switch name {
			case "flags":
				v, mask, err := parseFlags(tunFlagNames, inner, tunFlagsAll)
				if err != nil {
					return fmt.Errorf("tunnel flags: %w", err)
				}
				if mask == tunFlagsAll {
					mask = 0xffff
				}
				k.Set(flow.TunAllFlags, v)
				m.Set(flow.TunAllFlags, mask)
			case "vxlan":
				inner, gbp, ok, err := call(inner)
				if err != nil || !ok || inner != "gbp" {
					return fmt.Errorf("vxlan(%s): expected gbp(): %w", inner, errSyntax)
				}
				if err := (&attr{"gbp", []item{itemGBPID, itemGBPFlags}}).parse(gbp, k, m); err != nil {
					return err
				}
			case "geneve":
				if err := parseGeneve(inner, k, m); err != nil {
					return fmt.Errorf("geneve: %w", err)
				}
			default:
				return fmt.Errorf("tunnel has no part %q: %w", name, errSyntax)
			}
			continue
		}
		if v, ok := strings.CutPrefix(p, "tun_id="); ok {
			err = itemTunID.parse(v, k, m)
		} else {
			err = attrTunnel.parse(p, k, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseGeneve reads {class=,type=,len=,data} options.
func parseGeneve(s string, k *flow.Key, m *flow.Mask) error {
	at := 0
	kb, mb := k.Bytes()[tunOpts.Off:], m.Bytes()[tunOpts.Off:]
	for s = strings.TrimLeft(s, ", "); s != ""; s = strings.TrimLeft(s, ", ") {
		end := strings.IndexByte(s, '}')
		if s[0] != '{' || end < 0 {
			return fmt.Errorf("%q: expected {class=,type=,len=,data}: %w", s, errSyntax)
		}
		parts, err := pairs(s[1:end])
		if err != nil || len(parts) != 4 || parts[0][0] != "class" || parts[1][0] != "type" || parts[2][0] != "len" {
			return fmt.Errorf("%q: expected {class=,type=,len=,data}: %w", s[:end+1], errSyntax)
		}
		s = s[end+1:]
		var v, mask [3]uint64
		for i, all := range []uint64{0xffff, 0xff, 0x7c} {
			n, ms, masked := strings.Cut(parts[i][1], "/")
			mask[i] = all
			if v[i], err = number(n, 16); err == nil && masked {
				mask[i], err = number(ms, 16)
			}
			if err != nil {
				return err
			}
			if v[i]&^all != 0 || mask[i]&^all != 0 && mask[i] != 0xff {
				return fmt.Errorf("%s=%s: %w", parts[i][0], parts[i][1], errSyntax)
			}
		}
		l := int(v[2])
		if at+4+l > maxTunOpts {
			return fmt.Errorf("more than %d bytes of options: %w", maxTunOpts, errSyntax)
		}
		data, dataMask, masked := strings.Cut(parts[3][0], "/")
		kd := []byte{}
		if l > 0 || data != "" {
			if kd, err = hexBytes(data, l); err != nil {
				return err
			}
		}
		md := make([]byte, l)
		for i := range md {
			md[i] = 0xff
		}
		if masked {
			if md, err = hexBytes(dataMask, l); err != nil {
				return err
			}
		}
		lm := byte(mask[2] / 4)
		if mask[2] >= 0x7c {
			lm = 0xff
		}
		binary.BigEndian.PutUint16(kb[at:], uint16(v[0]))
		kb[at+2], kb[at+3] = byte(v[1]), byte(l/4)
		binary.BigEndian.PutUint16(mb[at:], uint16(mask[0]))
		mb[at+2], mb[at+3] = byte(mask[1]), lm
		copy(kb[at+4:], kd)
		copy(mb[at+4:], md)
		at += 4 + l
	}
	k.Bytes()[tunOptsLen.Off] = byte(at)
	m.Bytes()[tunOptsLen.Off] = 0xff
	return nil
}
