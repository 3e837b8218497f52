// Package tunnel is what the bridge knows of tunnel ports: their options, and which of them a packet is for. It has no state
// of its own and touches neither devices nor datapaths.
package tunnel

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// defaultTTL is that of outer headers (ovs-vswitchd.conf.db(5), Interface options:ttl).
const defaultTTL = 64

// kind is a type of tunnel.
type kind struct {
	device  string // name of the datapath's port, with the UDP port behind it where there is one
	port    uint16 // default UDP port; 0: not over UDP
	keyBits int
	keys    []string // options beside those that all have
}

var kinds = map[string]kind{
	"vxlan":  {device: "vxlan_sys", port: 4789, keyBits: 24, keys: []string{"dst_port", "csum", "exts"}},
	"geneve": {device: "genev_sys", port: 6081, keyBits: 24, keys: []string{"dst_port", "csum"}},
	"gre":    {device: "gre_sys", keyBits: 32, keys: []string{"csum", "seq"}},
	"ip6gre": {device: "ip6gre_sys", keyBits: 32, keys: []string{"csum", "seq"}},
}

// foreign are the tunnel types of OVS that are not built here.
var foreign = []string{"bareudp", "erspan", "gtpu", "ip6erspan", "lisp", "srv6", "stt"}

// Types are the Interface types that Parse knows.
func Types() []string { return slices.Sorted(maps.Keys(kinds)) }

// Is reports whether an Interface type is one of a tunnel, supported or not.
func Is(typ string) bool {
	_, ok := kinds[typ]
	return ok || slices.Contains(foreign, typ)
}

// Config is the configuration of a tunnel port.
type Config struct {
	pipeline.Tunnel
	// InKey is the key of packets that the port takes, with InKeyFlow any. HasInKey: it was given.
	InKey               uint64
	InKeyFlow, HasInKey bool
}

// Parse reads the options of an Interface row. Warnings are for the log: what they are about has no effect. A port with
// an error cannot be; the error's text has those of the warnings, as Interface.error of OVS.
func Parse(name, typ string, options map[string]string) (c Config, warnings []string, err error) {
	k, ok := kinds[typ]
	if !ok {
		return c, nil, fmt.Errorf("%s: %s tunnels are not supported by this switch, only %s are", name, typ, strings.Join(Types(), ", "))
	}
	p := parser{name: name, typ: typ, kind: k, options: options}
	p.Type, p.TTL, p.DF, p.DstPort = typ, defaultTTL, true, k.port
	p.CsumIPv6 = k.port != 0 // RFC 6935: without, only receivers that allow it take a packet
	for _, key := range slices.Sorted(maps.Keys(options)) {
		p.option(key, options[key])
	}
	p.InKey, p.InKeyFlow, p.HasInKey = p.key("in_key")
	p.Key, p.KeyFlow, p.HasKey = p.key("out_key")
	p.addresses()
	if p.wrong {
		return c, p.texts, fmt.Errorf("%s", strings.Join(p.texts, "\n"))
	}
	return p.Config, p.texts, nil
}

// parser collects what the options of one row say.
type parser struct {
	Config
	name, typ string
	kind      kind
	options   map[string]string
	texts     []string
	wrong     bool // the port cannot be
}

func (p *parser) warn(format string, args ...any) {
	text := p.name + ": " + fmt.Sprintf(format, args...)
	if !slices.Contains(p.texts, text) { // key counts twice
		p.texts = append(p.texts, text)
	}
}

func (p *parser) fail(format string, args ...any) {
	p.warn(format, args...)
	p.wrong = true
}

// common are the options that all types have; those that are empty here are read elsewhere, or by others.
var common = map[string]func(p *parser, value string){
	"remote_ip": nil, "local_ip": nil, "key": nil, "in_key": nil, "out_key": nil,
	"psk": nil, "remote_cert": nil, "remote_name": nil, // ovs-monitor-ipsec's
	"tos": (*parser).tos, "ttl": (*parser).ttl, "egress_pkt_mark": (*parser).mark, "packet_type": (*parser).packetType,
	"df_default": func(p *parser, v string) { p.DF = v != "false" },
}

// special are the options that only some types have.
var special = map[string]func(p *parser, value string){
	"dst_port": (*parser).dstPort, "exts": (*parser).exts,
	"csum": func(p *parser, v string) { p.Csum, p.CsumIPv6 = v == "true", v == "true" },
	"seq": func(p *parser, v string) {
		if v == "true" {
			p.fail("GRE sequence numbers are not supported by this switch")
		}
	},
}

func (p *parser) option(key, value string) {
	read, ok := common[key]
	if !ok && slices.Contains(p.kind.keys, key) {
		read, ok = special[key]
	}
	switch {
	case !ok:
		p.warn("unknown %s argument '%s'", p.typ, key)
	case read != nil:
		read(p, value)
	}
}

func (p *parser) tos(v string) {
	const ecn = 3
	n, err := strconv.ParseUint(v, 0, 8)
	switch {
	case v == "inherit":
		p.InheritTOS = true
	case err != nil || n&ecn != 0:
		p.warn("invalid TOS %s", v)
	default:
		p.TOS = uint8(n)
	}
}

func (p *parser) ttl(v string) {
	n, err := strconv.ParseUint(v, 10, 8)
	switch {
	case v == "inherit":
		p.InheritTTL = true
	case err != nil:
		p.warn("invalid TTL %s", v)
	case n != 0: // else the default, as in OVS
		p.TTL = uint8(n)
	}
}

func (p *parser) mark(v string) {
	n, err := strconv.ParseUint(v, 0, 32)
	if err != nil {
		p.warn("invalid egress_pkt_mark %s", v)
		return
	}
	p.Mark, p.SetMark = uint32(n), true
}

func (p *parser) packetType(v string) {
	switch {
	case v == "legacy_l2":
	case v != "legacy_l3" && v != "ptap":
		p.fail("unknown packet_type '%s'", v)
	case v == "legacy_l3" && p.typ == "vxlan":
		p.fail("legacy_l3 configured on VXLAN (without GPE) tunnel that cannot carry L3 traffic")
	default:
		p.fail("packet_type=%s is not supported by this switch, only legacy_l2 is", v)
	}
}

func (p *parser) dstPort(v string) {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil || n == 0 {
		p.fail("invalid dst_port %s", v)
		return
	}
	p.DstPort = uint16(n)
}

func (p *parser) exts(v string) {
	for _, e := range strings.Split(v, ",") {
		switch e = strings.TrimSpace(e); e {
		case "gbp":
			p.GBP = true
		case "gpe":
			p.fail("VXLAN-GPE is not supported by this switch")
		case "":
		default:
			p.warn("unknown extension '%s'", e)
		}
	}
}

// key reads one of in_key and out_key, or key instead of it.
func (p *parser) key(name string) (key uint64, flow, ok bool) {
	v, ok := p.options[name]
	if !ok {
		name = "key"
		v, ok = p.options[name]
	}
	if !ok || v == "flow" {
		return 0, ok, ok
	}
	key, err := strconv.ParseUint(v, 0, 64)
	if err != nil || key>>p.kind.keyBits != 0 {
		p.fail("invalid %s %s: a key of %s has %d bits", name, v, p.typ, p.kind.keyBits)
	}
	return key, false, true
}

// addresses reads remote_ip and local_ip.
func (p *parser) addresses() {
	var localOK bool
	p.Local, p.LocalFlow, localOK = address(p.options["local_ip"])
	if !localOK {
		p.warn("bad %s 'local_ip'", p.typ)
	}
	text := p.options["remote_ip"]
	remote, flow, ok := address(text)
	p.Remote, p.RemoteFlow = remote, flow
	switch {
	case ok && remote.IsMulticast():
		p.fail("multicast remote_ip=%s not allowed", text)
		return
	case !ok:
		p.warn("bad %s 'remote_ip'", p.typ)
	}
	switch {
	case p.LocalFlow && !flow:
		p.fail("%s type requires 'remote_ip=flow' with 'local_ip=flow'", p.typ)
	case !flow && (!remote.IsValid() || remote.IsUnspecified()):
		p.fail("%s type requires valid 'remote_ip' argument", p.typ)
	case remote.IsValid() && p.Local.IsValid() && remote.Is4() != p.Local.Is4():
		p.fail("'remote_ip' and 'local_ip' has to be of the same address family")
	}
}

// address reads an address, "flow" or "".
func address(text string) (a netip.Addr, flow, ok bool) {
	if text == "" || text == "flow" {
		return a, text == "flow", true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false, false
	}
	return a.Unmap(), false, true
}

// Spec is the datapath's port that the tunnel shares with others.
func (c *Config) Spec() datapath.TunnelSpec {
	return datapath.TunnelSpec{Type: c.Type, DstPort: c.DstPort, GBP: c.GBP}
}

// Device is the name of that port, and of its device where it has one.
func Device(s datapath.TunnelSpec) string {
	d := kinds[s.Type].device
	if s.DstPort == 0 {
		return d
	}
	return fmt.Sprintf("%s_%d", d, s.DstPort)
}
