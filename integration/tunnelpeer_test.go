package integration

import (
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// linuxPeer makes a namespace for the other end of a site's tunnels that has no switch, and connects it with the underlay. Its
// host is the namespace itself.
func linuxPeer(t *testing.T, a *tunnelSite, mtu int) *tunnelSite {
	t.Helper()
	ns := a.NS + "x"
	a.Run("ip", "netns", "add", ns)
	t.Cleanup(func() { a.Try("ip", "netns", "del", ns) })
	a.In(ns, "ip", "link", "set", "lo", "up")
	link(a.Env, mtu, a.NS, "under", "192.0.2.1/24 2001:db8::1/64", ns, "under", "192.0.2.2/24 2001:db8::2/64")
	return &tunnelSite{Env: a.Env, n: 2, host: &testenv.Host{Env: a.Env, NS: ns}}
}

// device makes the peer's end: a device of the kernel's with the host's addresses.
func (s *tunnelSite) makeDevice(args string) {
	s.Try("ip", "-n", s.host.NS, "link", "del", "eth0")
	s.host.Run("ip", append(strings.Fields("link add eth0 address 02:00:00:00:00:02 type"), strings.Fields(args)...)...)
	s.host.Run("ip", "addr", "add", "10.0.0.2/24", "dev", "eth0")
	s.host.Run("ip", "addr", "add", "fd00::2/64", "dev", "eth0", "nodad")
	s.host.Run("ip", "link", "set", "eth0", "up")
}

// TestTunnelLinuxPeer has every type, in both modes, talk with a device of Linux alone.
func TestTunnelLinuxPeer(t *testing.T) {
	t.Parallel()
	a := &tunnelSite{Env: testenv.New(t), n: 1}
	a.host = a.AddHost("10.0.0.1/24", "fd00::1/64")
	a.In(a.NS, "ip", "link", "set", a.host.Port, "mtu", "9000")
	a.Vsctl("add-br", "br0", "--", "add-port", "br0", a.host.Port)
	b := linuxPeer(t, a, 9000)
	has := kernelTypes(a.Env)
	const over4, over6 = "local 192.0.2.2 remote 192.0.2.1 ", "local 2001:db8::2 remote 2001:db8::1 "
	for _, mode := range []string{"native", "kernel"} {
		a.Vsctl("--", "--if-exists", "del-port", "br0", "tun", "--", "set", "Open_vSwitch", ".", "other_config:tunnel-mode="+mode)
		for _, c := range []struct{ kind, device, typ, net, options string }{
			{"vxlan", "vxlan id 5 dstport 4789 " + over4, "vxlan", underlay4, "key=5"},
			{"vxlan", "vxlan id 0xfffffe dstport 4790 udp6zerocsumrx udp6zerocsumtx " + over6, "vxlan", underlay6, "key=0xfffffe csum=false dst_port=4790"},
			{"geneve", "geneve id 5 remote 192.0.2.1 udpcsum", "geneve", underlay4, "key=5 csum=true"},
			{"geneve", "geneve id 7 remote 2001:db8::1", "geneve", underlay6, "key=7"},
			{"gre", "gretap key 5 " + over4, "gre", underlay4, "key=5"},
			{"gre", "gretap csum oseq " + over4, "gre", underlay4, "csum=true"},
			{"ip6gre", "ip6gretap encaplimit none key 9 " + over6, "gre", underlay6, "key=9"},
			{"ip6gre", "ip6gretap encaplimit none key 9 " + over6, "ip6gre", underlay6, "key=9"},
		} {
			// The kernel's device of gre is of IPv4 alone, takes no packets with a checksum, and has all keyed before Linux 6.3.
			if !has[c.kind] || mode == "kernel" && c.typ == "gre" && (c.net == underlay6 || strings.Contains(c.options, "csum=true")) {
				continue // of other kernels, see kernels/kernels.sh
			}
			t.Log(mode, c.device)
			b.makeDevice(c.device)
			a.tunnel(c.typ, c.net+"2", strings.Fields(c.options)...)
			traffic(t, a, b)
			if got := a.Vsctl("get", "interface", "tun", "error"); got != "[]" {
				t.Errorf("error %s", got)
			}
		}
	}
}
