package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// tunnelSite is a switch with br0 and a host behind it, on an underlay where it has the addresses 192.0.2.n and 2001:db8::n. The
// host has 10.0.0.n and fd00::n.
type tunnelSite struct {
	*testenv.Env
	n    int
	host *testenv.Host
}

// newTunnelSites makes two sites with these tunnel modes, without an underlay.
func newTunnelSites(t *testing.T, modes ...string) (a, b *tunnelSite) {
	t.Helper()
	var sites []*tunnelSite
	for i, mode := range modes {
		s := &tunnelSite{Env: testenv.New(t), n: i + 1}
		s.host = s.AddHost(fmt.Sprintf("10.0.0.%d/24", s.n), fmt.Sprintf("fd00::%d/64", s.n))
		s.Vsctl("set", "Open_vSwitch", ".", "other_config:tunnel-mode="+mode, "--", "add-br", "br0", "--", "add-port", "br0", s.host.Port)
		sites = append(sites, s)
	}
	return sites[0], sites[1]
}

// link makes a veth between two namespaces, with addresses and an MTU.
func link(e *testenv.Env, mtu int, nsA, nameA, addrA, nsB, nameB, addrB string) {
	e.Run("ip", "link", "add", nameA, "netns", nsA, "mtu", strconv.Itoa(mtu), "type", "veth", "peer", "name", nameB, "netns", nsB, "mtu", strconv.Itoa(mtu))
	for _, end := range [][3]string{{nsA, nameA, addrA}, {nsB, nameB, addrB}} {
		e.In(end[0], "ip", "link", "set", "dev", end[1], "up")
		for _, a := range strings.Fields(end[2]) {
			args := []string{"addr", "add", a, "dev", end[1]}
			if strings.Contains(a, ":") {
				args = append(args, "nodad")
			}
			e.In(end[0], "ip", args...)
		}
	}
}

// connect makes the underlay between two sites.
func connect(a, b *tunnelSite, mtu int) {
	link(a.Env, mtu, a.NS, "under", "192.0.2.1/24 2001:db8::1/64", b.NS, "under", "192.0.2.2/24 2001:db8::2/64")
}

// tunnel has a site's only tunnel be of a type, to a remote address.
func (s *tunnelSite) tunnel(typ, remote string, options ...string) {
	args := []string{"--if-exists", "del-port", "br0", "tun", "--", "add-port", "br0", "tun", "--", "set", "interface", "tun", "type=" + typ, "options:remote_ip=" + remote}
	for _, o := range options {
		args = append(args, "options:"+o)
	}
	s.Vsctl(args...)
}

// device is the kernel's device of VXLAN; Index is 0 if there is none.
func (s *tunnelSite) device() testenv.Link { return s.Links(s.NS)["vxlan_sys_4789"] }

// exchange sends packets of all lengths both ways.
func exchange(a, b *tunnelSite) {
	a.host.Reach("10.0.0.2")
	a.host.Ping("10.0.0.2", 56, 3)
	a.host.Ping("10.0.0.2", 8000, 3)
	b.host.Reach("fd00::1")
	b.host.Ping("fd00::1", 1300, 3)
}

// kernelTypes are the tunnel types that this kernel has devices of.
func kernelTypes(e *testenv.Env) map[string]bool {
	types := map[string]bool{}
	for typ, device := range map[string]string{
		"vxlan": "vxlan external dstport 1", "geneve": "geneve external dstport 2", "gre": "gretap external", "ip6gre": "ip6gretap external",
	} {
		if _, code := e.Try("ip", append([]string{"-n", e.NS, "link", "add", "probe", "type"}, strings.Fields(device)...)...); code == 0 {
			types[typ] = true
			e.In(e.NS, "ip", "link", "del", "probe")
		}
	}
	return types
}

// TestKernelTunnels connects a site whose tunnels are a device of the kernel's with one that encapsulates itself, by each
// type that the kernel has, and follows the device over a restart and changes of the mode.
func TestKernelTunnels(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "kernel", "native")
	connect(a, b, 1600)
	has := kernelTypes(a.Env)
	if !has["vxlan"] {
		t.Fatal("this kernel has no VXLAN")
	}
	const v4, v6 = "192.0.2.", "2001:db8::"
	for _, c := range []struct{ typ, net, option string }{
		{"geneve", v4, "key=5"}, {"geneve", v6, "csum=true"}, {"gre", v4, "key=5"}, {"ip6gre", v6, "key=5"},
		{"vxlan", v6, "csum=false"}, {"vxlan", v4, "csum=true"}, {"vxlan", v4, "key=5"},
	} {
		if !has[c.typ] {
			continue // of other kernels, see kernels/kernels.sh
		}
		a.tunnel(c.typ, c.net+"2", c.option)
		b.tunnel(c.typ, c.net+"1", c.option)
		exchange(a, b)
	}
	if device, carrier := a.Vsctl("get", "interface", "tun", "status:tunnel_egress_iface"), a.Vsctl("get", "interface", "tun", "status:tunnel_egress_iface_carrier"); device != "under" || carrier != "up" {
		t.Errorf("the tunnel leaves by %s, carrier %s", device, carrier)
	}
	made := a.device()
	if made.Index == 0 || b.device().Index != 0 {
		t.Fatalf("devices: %+v, and where tunnels are native %+v", made, b.device())
	}
	a.Kill()
	a.host.Ping("10.0.0.2", 56, 3) // the programs and the device go on
	a.Start()
	a.host.Reach("10.0.0.2")
	if found := a.device(); found.Index != made.Index {
		t.Errorf("the device was %+v, after a restart it is %+v", made, found)
	}
	b.Vsctl("set", "Open_vSwitch", ".", "other_config:tunnel-mode=kernel")
	exchange(a, b)
	if b.device().Index == 0 {
		t.Error("tunnel-mode=kernel makes no device")
	}
	a.Vsctl("set", "Open_vSwitch", ".", "other_config:tunnel-mode=auto")
	exchange(a, b)
	if d := a.device(); d.Index != 0 {
		t.Errorf("tunnel-mode=auto leaves the device %+v", d)
	}
	b.Vsctl("del-port", "br0", "tun")
	if d := b.device(); d.Index != 0 {
		t.Errorf("without a tunnel the device %+v is left", d)
	}
}

// TestKernelTunnelErrors wants the reason on the row when a device cannot be made, the rest to work, and another try when
// there is room.
func TestKernelTunnelErrors(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	e.Vsctl("set", "Open_vSwitch", ".", "other_config:tunnel-mode=kernel", "--", "add-br", "br0")
	e.In(e.NS, "ip", "link", "add", "vxlan_sys_4789", "type", "veth", "peer", "name", "other")
	e.In(e.NS, "ip", "addr", "add", "192.0.2.2/32", "dev", "lo") // a way
	e.Vsctl("add-port", "br0", "vx", "--", "set", "interface", "vx", "type=vxlan", "options:remote_ip=192.0.2.2")
	e.Vsctl("add-port", "br0", "vx2", "--", "set", "interface", "vx2", "type=vxlan", "options:remote_ip=192.0.2.2", "options:dst_port=4790")
	says := func(port, want string) {
		t.Helper()
		e.Eventually("error of "+port, func() error {
			if got := e.Vsctl("get", "interface", port, "error"); !strings.Contains(got, want) {
				return fmt.Errorf("%s, want %s", got, want)
			}
			return nil
		})
	}
	says("vx", "could not add network device vx to ofproto (File exists: a veth device that is not ours;")
	says("vx2", "[]")
	e.In(e.NS, "ip", "link", "del", "vxlan_sys_4789")
	says("vx", "[]")
}

// TestTunnelMTU wants the sender of a packet that is too long for the underlay told how long packets can be.
func TestTunnelMTU(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	connect(a, b, 1500)
	told := func(s *tunnelSite, dst string, size int, want string) {
		t.Helper()
		s.Eventually(fmt.Sprintf("a packet of %d bytes to %s is answered", size, dst), func() error {
			out, _ := s.Try("nsenter", "--net=/run/netns/"+s.host.NS, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", strconv.Itoa(size), dst)
			if !strings.Contains(out, want) {
				return fmt.Errorf("want %q:\n%s", want, out)
			}
			return nil
		})
		s.host.Run("ip", "route", "flush", "cache")
		s.host.Run("ip", "-6", "route", "flush", "cache")
	}
	for _, mode := range []string{"native", "kernel"} {
		a.Vsctl("set", "Open_vSwitch", ".", "other_config:tunnel-mode="+mode)
		a.tunnel("vxlan", "192.0.2.2")
		b.tunnel("vxlan", "192.0.2.1")
		a.host.Reach("10.0.0.2")
		a.host.Reach("fd00::2")
		told(a, "10.0.0.2", 1472, "(mtu = 1450)")
		told(a, "fd00::2", 1452, "mtu=1450")
		a.host.Ping("10.0.0.2", 1422, 2)
	}
	told(b, "10.0.0.1", 1472, "(mtu = 1450)")
}

// TestTunnelPathMTU has the underlay be narrow behind a router, which says so to the switch.
func TestTunnelPathMTU(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	r := a.NS + "r"
	a.Run("ip", "netns", "add", r)
	t.Cleanup(func() { a.Try("ip", "netns", "del", r) })
	link(a.Env, 1500, a.NS, "under", "192.0.2.1/24", r, "r1", "192.0.2.254/24")
	link(a.Env, 1400, r, "r2", "198.51.100.254/24", b.NS, "under", "198.51.100.2/24")
	a.In(r, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	a.In(a.NS, "ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.254")
	b.In(b.NS, "ip", "route", "add", "192.0.2.0/24", "via", "198.51.100.254")
	a.tunnel("vxlan", "198.51.100.2")
	b.tunnel("vxlan", "192.0.2.1")
	a.host.Reach("10.0.0.2")
	a.Eventually("the sender hears of the narrow path", func() error {
		out, _ := a.Try("nsenter", "--net=/run/netns/"+a.host.NS, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", "10.0.0.2")
		if !strings.Contains(out, "(mtu = 1350)") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	a.host.Ping("10.0.0.2", 1322, 2)
}
