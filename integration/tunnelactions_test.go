package integration

import (
	"fmt"
	"strings"
	"testing"
)

// flows replaces the flows of a site's bridge.
func (s *tunnelSite) flows(flows ...string) {
	s.Ofctl("del-flows", "br0")
	for _, f := range flows {
		s.Ofctl("-OOpenFlow15", "add-flow", "br0", f)
	}
}

// counted waits until a flow, by its cookie, has these packets and bytes.
func (s *tunnelSite) counted(cookie, packets, bytes int) {
	s.Eventually(fmt.Sprintf("flow %#x", cookie), func() error {
		out := s.Ofctl("dump-flows", "br0", fmt.Sprintf("cookie=%#x/-1", cookie))
		if !strings.Contains(out, fmt.Sprintf("n_packets=%d, n_bytes=%d,", packets, bytes)) {
			return fmt.Errorf("want n_packets=%d, n_bytes=%d:\n%s", packets, bytes, out)
		}
		return nil
	})
}

// eachMode runs a test of one type in every mode that this kernel has.
func eachMode(t *testing.T, typ string, test func(a, b *tunnelSite)) {
	t.Helper()
	a, b := newTunnelSites(t, "native", "native")
	connect(a, b, 2000)
	for _, mode := range []string{"native", "kernel"} {
		if mode == "kernel" && !kernelTypes(a.Env)[typ] {
			continue // of other kernels, see kernels/kernels.sh
		}
		for _, s := range []*tunnelSite{a, b} {
			s.Vsctl("set", "Open_vSwitch", ".", "other_config:tunnel-mode="+mode)
			s.flows("priority=0,actions=NORMAL")
		}
		t.Log(mode)
		test(a, b)
	}
}

// TestTunnelVLAN has hosts send frames with a tag, and with two, through a tunnel.
func TestTunnelVLAN(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "kernel")
	connect(a, b, 2000)
	for _, tags := range [][][2]uint16{{{0x8100, 10}}, {{0x88a8, 7}, {0x8100, 10}}} {
		for _, s := range []*tunnelSite{a, b} {
			h := s.AddHost(fmt.Sprintf("10.0.%d.%d/24", len(tags), s.n), fmt.Sprintf("fd00:%d::%d/64", len(tags), s.n))
			h.Tag(tags...)
			s.Vsctl("add-port", "br0", h.Port)
			s.tunnel("vxlan", fmt.Sprintf("%s%d", underlay4, 3-s.n))
			s.host = h
		}
		peer4, peer6 := fmt.Sprintf("10.0.%d.2", len(tags)), fmt.Sprintf("fd00:%d::2", len(tags))
		a.host.Reach(peer4)
		a.host.Reach(peer6)
		for _, size := range []int{64, 1400} { // devices take only one tag more than their MTU says
			a.host.Ping(peer4, size, 5)
			b.host.Ping(fmt.Sprintf("fd00:%d::1", len(tags)), size, 5)
		}
		if x := transfers(t, a.host, b.host, peer4, "-n", "16M"); x.bytes < 8<<20 {
			t.Errorf("TCP with %d tags: %.0f bytes arrived", len(tags), x.bytes)
		}
		if x := transfers(t, a.host, b.host, peer6, "-R", "-n", "16M"); x.bytes < 8<<20 {
			t.Errorf("TCP with %d tags, the other way: %.0f bytes arrived", len(tags), x.bytes)
		}
		flows := b.Appctl("dpctl/dump-flows", "--names")
		if want := "encap(eth_type(0x0800)"; !strings.Contains(flows, want) || !strings.Contains(flows, "vid=10") && len(tags) == 1 {
			t.Errorf("no flow with a tag inside:\n%s", flows)
		}
	}
}

// TestTunnelTruncate wants a packet that was cut off to arrive so, and what is sent afterwards whole.
func TestTunnelTruncate(t *testing.T) {
	t.Parallel()
	eachMode(t, "vxlan", func(a, b *tunnelSite) {
		a.tunnel("vxlan", underlay4+"2", "key=flow")
		b.tunnel("vxlan", underlay4+"1", "key=flow")
		a.host.Reach("10.0.0.2")
		a.flows("priority=0,actions=NORMAL", fmt.Sprintf("priority=9,icmp,in_port=%s,actions=set_field:1->tun_id,output(port=tun,max_len=100),"+
			"set_field:2->tun_id,output:tun,set_field:3->tun_id,output(port=tun,max_len=65535)", a.host.Port))
		b.flows("priority=0,actions=NORMAL", "cookie=1,priority=9,ip,in_port=tun,tun_id=1,actions=drop",
			fmt.Sprintf("cookie=2,priority=9,icmp,in_port=tun,tun_id=2,actions=%s", b.host.Port), "cookie=3,priority=9,icmp,in_port=tun,tun_id=3,actions=drop")
		a.host.Ping("10.0.0.2", 1000, 5)
		b.counted(1, 5, 5*100)
		b.counted(2, 5, 5*1042)
		b.counted(3, 5, 5*1042)
	})
}

// TestTunnelOptions has one switch set Geneve options that the other matches.
func TestTunnelOptions(t *testing.T) {
	t.Parallel()
	eachMode(t, "geneve", func(a, b *tunnelSite) {
		for i, s := range []*tunnelSite{a, b} {
			s.Ofctl("del-tlv-map", "br0")
			// The bridges may call them differently.
			s.Ofctl("add-tlv-map", "br0", fmt.Sprintf("{class=0x102,type=0,len=4}->tun_metadata%d,{class=0x102,type=1,len=124}->tun_metadata%d,{class=0xffff,type=7,len=100}->tun_metadata%d",
				5*i, 5*i+1, 5*i+2))
			s.tunnel("geneve", fmt.Sprintf("%s%d", underlay4, 2-i), "key=9")
		}
		a.host.Reach("10.0.0.2")
		long, high := "0x"+strings.Repeat("c5", 124), "0x"+strings.Repeat("0f", 100)
		a.flows("priority=0,actions=NORMAL",
			fmt.Sprintf("priority=9,icmp,in_port=%s,actions=set_field:0x1234->tun_metadata0,set_field:%s->tun_metadata1,set_field:%s->tun_metadata2,output:tun", a.host.Port, long, high))
		b.flows("priority=0,actions=NORMAL",
			fmt.Sprintf("cookie=1,priority=9,icmp,in_port=tun,tun_id=9,tun_metadata5=0x1234,tun_metadata6=%s,tun_metadata7=%s,actions=%s", long, high, b.host.Port),
			"cookie=2,priority=8,icmp,in_port=tun,actions=drop")
		a.host.Ping("10.0.0.2", 1000, 5)
		b.counted(1, 5, 5*1042)
		a.flows("priority=0,actions=NORMAL", fmt.Sprintf("priority=9,icmp,in_port=%s,actions=set_field:0x1235->tun_metadata0,output:tun", a.host.Port))
		a.host.NoReach("10.0.0.2")
		b.counted(1, 5, 5*1042)
		b.counted(2, 3, 3*98)
		flows := b.Appctl("dpctl/dump-flows", "--names")
		if want := "geneve({class=0x102,type=0,len=4,0x1235}"; !strings.Contains(flows, want) {
			t.Errorf("no %s in flows:\n%s", want, flows)
		}
	})
}

// TestTunnelGroupPolicy has one switch set VXLAN's group policy, and the other match it.
func TestTunnelGroupPolicy(t *testing.T) {
	t.Parallel()
	eachMode(t, "vxlan", func(a, b *tunnelSite) {
		a.tunnel("vxlan", underlay6+"2", "exts=gbp")
		b.tunnel("vxlan", underlay6+"1", "exts=gbp")
		a.host.Reach("10.0.0.2")
		a.flows("priority=0,actions=NORMAL", fmt.Sprintf("priority=9,icmp,in_port=%s,actions=set_field:0x4321->tun_gbp_id,set_field:8->tun_gbp_flags,output:tun", a.host.Port))
		b.flows("priority=0,actions=NORMAL", fmt.Sprintf("cookie=1,priority=9,icmp,in_port=tun,tun_gbp_id=0x4321,tun_gbp_flags=8,actions=%s", b.host.Port),
			"cookie=2,priority=8,icmp,in_port=tun,actions=drop")
		a.host.Ping("10.0.0.2", 1000, 5)
		b.counted(1, 5, 5*1042)
		a.flows("priority=0,actions=NORMAL")
		a.host.NoReach("10.0.0.2")
		b.counted(2, 3, 3*98)
	})
}
