package bfd

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// stockFrame is what Open vSwitch 3.1 sends from a new session.
const stockFrame = "002320000001aa55aa550001080045c0003400000000ff1164fba9fe0101a9fe0100c0010ec80020000020400318f6e87ccc00000000000f4240000f424000000000"

func TestFrame(t *testing.T) {
	a := addresses{ethSrc: [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 1}, ethDst: defaultMAC, ipSrc: defaultSrcIP, ipDst: defaultDstIP, udpSrc: 49153}
	p := ControlPacket{State: Down, Mult: 3, MyDisc: 0xf6e87ccc, MinTx: 1_000_000, MinRx: 1_000_000}
	frame := a.frame(&p)
	if got := hex.EncodeToString(frame); got != stockFrame {
		t.Errorf("frame\n%s, the stock daemon's is\n%s", got, stockFrame)
	}
	back, err := ParseFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&p, back); diff != "" {
		t.Errorf("parsed (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	good := "2fd0051800000001000000020000000300000004" + "00000005"
	p, err := Parse(bytesOf(t, good+"ffff")) // padding
	want := &ControlPacket{Diag: 15, State: Up, Flags: FlagFinal, Mult: 5, MyDisc: 1, YourDisc: 2, MinTx: 3, MinRx: 4, MinRxEcho: 5}
	if diff := cmp.Diff(want, p); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, c := range []struct {
		name string
		at   int
		b    byte
		want error
	}{
		{"version 0", 0, 0x0f, errVersion},
		{"version 2", 0, 0x4f, errVersion},
		{"authentication", 1, 0xc4, errAuth},
		{"multipoint", 1, 0xc1, errMultipoint},
		{"no multiplier", 2, 0, errMult},
		{"length 23", 3, 23, errLength},
		{"length 25", 3, 25, errLength},
		{"no sender", 7, 0, errMyDisc},
		{"no receiver", 11, 0, errNoYourDisc},
	} {
		b := bytesOf(t, good)
		b[c.at] = c.b
		if _, err := Parse(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := Parse(bytesOf(t, good)[:23]); !errors.Is(err, errShort) {
		t.Errorf("short: %v", err)
	}
}

func TestParseFrame(t *testing.T) {
	tagged := stockFrame[:24] + "81000005" + stockFrame[24:]
	for name, c := range map[string]struct {
		frame string
		want  error
	}{
		"plain":        {stockFrame, nil},
		"tagged":       {tagged, nil},
		"TTL 254":      {stockFrame[:44] + "fe" + stockFrame[46:], errTTL},
		"TCP":          {stockFrame[:46] + "06" + stockFrame[48:], errNoPacket},
		"cut":          {stockFrame[:len(stockFrame)-2], errNoPacket},
		"UDP cut":      {stockFrame[:74], errNoPacket},
		"IP too short": {stockFrame[:32] + "0030" + stockFrame[36:], errShort},
	} {
		if _, err := ParseFrame(bytesOf(t, c.frame)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestParseAnything: no bytes make it panic, and what it takes is what it writes.
func TestParseAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := bytesOf(t, stockFrame)
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		b = b[:rapid.IntRange(0, len(b)).Draw(t, "length")]
		p, err := ParseFrame(b)
		if err != nil {
			return
		}
		again, err := Parse(p.Append(nil))
		if err != nil || *again != *p {
			t.Errorf("%v is written as %v (%v)", p, again, err)
		}
	})
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func bytesOf(t fataler, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConfig(t *testing.T) {
	def := Config{MinTx: 100e6, MinRx: 1000e6, Mult: 3, DstMAC: defaultMAC, SrcIP: defaultSrcIP, DstIP: defaultDstIP}
	with := func(f func(*Config)) Config { c := def; f(&c); return c }
	for _, c := range []struct {
		column string
		value  string
		want   Config
		bad    bool
	}{
		{"min_tx", "50", with(func(c *Config) { c.MinTx = 50e6 }), false},
		{"min_tx", "-5", with(func(c *Config) { c.MinTx = 1e6 }), false},
		{"min_rx", "0", with(func(c *Config) { c.MinRx = 1e6 }), false},
		{"min_rx", "x", def, true},
		{"min_rx", "99999999999999999999", def, true},
		{"decay_min_rx", "2000", with(func(c *Config) { c.DecayMinRx = 2000e6 }), false},
		{"decay_min_rx", "900", def, true},
		{"mult", "255", with(func(c *Config) { c.Mult = 255 }), false},
		{"mult", "256", def, true},
		{"mult", "0", def, true},
		{"forwarding_if_rx", "true", with(func(c *Config) { c.ForwardingIfRx = true }), false},
		{"cpath_down", "true", with(func(c *Config) { c.PathDown = true }), false},
		{"check_tnl_key", "true", with(func(c *Config) { c.CheckTunnelKey = true }), false},
		{"oam", "true", with(func(c *Config) { c.OAM = true }), false},
		{"bfd_local_src_mac", "00:00:00:00:00:07", with(func(c *Config) { c.SrcMAC = &[6]byte{5: 7} }), false},
		{"bfd_local_dst_mac", "00:00:00:00:00:07", with(func(c *Config) { c.DstMAC = [6]byte{5: 7} }), false},
		{"bfd_remote_dst_mac", "00:00:00:00:00:07", with(func(c *Config) { c.RemoteMAC = &[6]byte{5: 7} }), false},
		{"bfd_remote_dst_mac", "00:00:00:00:00:00", def, false},
		{"bfd_local_dst_mac", "x", def, true},
		{"bfd_src_ip", "10.0.0.1", with(func(c *Config) { c.SrcIP, c.OwnIP = netip.MustParseAddr("10.0.0.1"), true }), false},
		{"bfd_dst_ip", "10.0.0.2", with(func(c *Config) { c.DstIP = netip.MustParseAddr("10.0.0.2") }), false},
		{"bfd_dst_ip", "fe80::1", def, true},
		{"something", "else", def, false},
	} {
		got, err := ParseConfig(map[string]string{"enable": "true", c.column: c.value})
		if (err != nil) != c.bad {
			t.Errorf("%s=%s: error %v", c.column, c.value, err)
		}
		if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s=%s (-want +got):\n%s", c.column, c.value, diff)
		}
	}
	if Enabled(nil) || Enabled(map[string]string{"enable": "yes"}) || !Enabled(map[string]string{"enable": "true"}) {
		t.Error("enable is what is true alone")
	}
}
