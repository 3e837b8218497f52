package bfd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Config is what the keys of Interface.bfd say (ovs-vswitchd.conf.db(5)).
type Config struct {
	MinTx, MinRx   time.Duration
	DecayMinRx     time.Duration // 0: off
	Mult           uint8
	ForwardingIfRx bool
	PathDown       bool // cpath_down
	CheckTunnelKey bool
	OAM            bool
	// SrcMAC is nil for the interface's own; RemoteMAC, if not nil, is where packets for the session go.
	SrcMAC, RemoteMAC *[6]byte
	DstMAC            [6]byte
	SrcIP, DstIP      netip.Addr
	// OwnIP: SrcIP is configured, so that only packets for it are the session's.
	OwnIP bool
}

// Defaults of Interface.bfd.
const (
	defaultMinTx = 100
	defaultMinRx = 1000
	defaultMult  = 3
)

var (
	defaultMAC   = [6]byte{0x00, 0x23, 0x20, 0x00, 0x00, 0x01}
	defaultSrcIP = netip.AddrFrom4([4]byte{169, 254, 1, 1})
	defaultDstIP = netip.AddrFrom4([4]byte{169, 254, 1, 0})
)

// Enabled reports whether a bfd column asks for a session.
func Enabled(column map[string]string) bool { return column["enable"] == "true" }

// ParseConfig reads a bfd column. A value that cannot be used is replaced by its default, as in OVS, and told in the
// error; the configuration is good all the same.
func ParseConfig(column map[string]string) (Config, error) {
	p := parser{column: column}
	c := Config{
		MinTx: p.interval("min_tx", defaultMinTx, 1), MinRx: p.interval("min_rx", defaultMinRx, 1), DecayMinRx: p.interval("decay_min_rx", 0, 0),
		Mult: defaultMult, ForwardingIfRx: p.flag("forwarding_if_rx"), PathDown: p.flag("cpath_down"),
		CheckTunnelKey: p.flag("check_tnl_key"), OAM: p.flag("oam"),
		SrcMAC: p.mac("bfd_local_src_mac"), RemoteMAC: p.mac("bfd_remote_dst_mac"), DstMAC: defaultMAC,
		SrcIP: defaultSrcIP, DstIP: defaultDstIP,
	}
	if mac := p.mac("bfd_local_dst_mac"); mac != nil {
		c.DstMAC = *mac
	}
	if n := p.number("mult", defaultMult); n >= 1 && n <= 255 {
		c.Mult = uint8(n)
	} else {
		p.fault("mult %d is not from 1 to 255; %d is used", n, defaultMult)
	}
	if ip := p.ip("bfd_src_ip"); ip.IsValid() {
		c.SrcIP, c.OwnIP = ip, true
	}
	if ip := p.ip("bfd_dst_ip"); ip.IsValid() {
		c.DstIP = ip
	}
	if c.DecayMinRx != 0 && c.DecayMinRx < c.MinRx {
		p.fault("decay_min_rx cannot be less than min_rx (%d ms); decay is off", c.MinRx.Milliseconds())
		c.DecayMinRx = 0
	}
	return c, errors.Join(p.errs...)
}

type parser struct {
	column map[string]string
	errs   []error
}

func (p *parser) fault(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *parser) flag(key string) bool { return p.column[key] == "true" }

func (p *parser) number(key string, def int64) int64 {
	text := p.column[key]
	if text == "" {
		return def
	}
	n, err := strconv.ParseInt(text, 0, 32)
	if err != nil {
		p.fault("%s %q is not an integer; %d is used", key, text, def)
		return def
	}
	return n
}

// interval reads milliseconds; what is below least is least, as in OVS.
func (p *parser) interval(key string, def, least int64) time.Duration {
	return time.Duration(max(p.number(key, def), least)) * time.Millisecond
}

// mac is nil for no address.
func (p *parser) mac(key string) *[6]byte {
	text := p.column[key]
	if text == "" {
		return nil
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		p.fault("%s %q is not an Ethernet address", key, text)
		return nil
	}
	if a := [6]byte(mac); a != [6]byte{} {
		return &a
	}
	return nil
}

func (p *parser) ip(key string) netip.Addr {
	text := p.column[key]
	if text == "" {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is4() {
		p.fault("%s: %q is not a valid IP address", key, text)
		return netip.Addr{}
	}
	return ip
}
