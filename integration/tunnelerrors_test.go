package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// says waits until an interface has an error that contains want; "[]" is none.
func (s *tunnelSite) says(port, want string) {
	s.Eventually("error of "+port, func() error {
		if got := s.Vsctl("get", "interface", port, "error"); !strings.Contains(got, want) {
			return fmt.Errorf("%s, want %s", got, want)
		}
		return nil
	})
}

// logged is how often the agent has logged a text.
func (s *tunnelSite) logged(t *testing.T, text string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Dir, "ovs-vswitchd.log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), text)
}

// coverage is a counter of the agent.
func (s *tunnelSite) coverage(t *testing.T, name string) (n int) {
	t.Helper()
	if out, code := s.Try("ovs-appctl", "coverage/read-counter", name); code == 0 {
		if _, err := fmt.Sscan(out, &n); err != nil {
			t.Fatalf("coverage/read-counter %s: %s", name, out)
		}
	}
	return n
}

// second makes another tunnel between the sites, for hosts of their own, which works whatever becomes of the first.
func second(a, b *tunnelSite) (x *testenv.Host) {
	for _, s := range []*tunnelSite{b, a} {
		x = s.AddHost(fmt.Sprintf("10.0.9.%d/24", s.n))
		s.Vsctl("add-br", "br9", "--", "add-port", "br9", x.Port, "--", "add-port", "br9", "tun9", "--", "set", "interface", "tun9", "type=vxlan",
			fmt.Sprintf("options:remote_ip=%s%d", underlay4, 3-s.n), "options:dst_port=4799")
	}
	x.Reach("10.0.9.2")
	return x
}

// inModes runs a test with native tunnels and with the kernel's.
func inModes(t *testing.T, test func(t *testing.T, a, b *tunnelSite)) {
	for _, mode := range []string{"native", "kernel"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a, b := newTunnelSites(t, mode, mode)
			connect(a, b, 1600)
			test(t, a, b)
		})
	}
}

// TestTunnelPortInUse has somebody else have the UDP port of a tunnel, and give it back.
func TestTunnelPortInUse(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, a, b *tunnelSite) {
		other := second(a, b)
		release := a.Background(a.NS, "python3", "-c", "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('192.0.2.1', 4789))\ntime.sleep(600)")
		a.Eventually("the port is in use", func() error {
			if out := a.In(a.NS, "ss", "-Hlun", "sport", "=", ":4789"); out == "" {
				return fmt.Errorf("it is not")
			}
			return nil
		})
		const want = "could not add network device tun to ofproto (Address already in use: UDP port 4789)"
		// ovs-vsctl says so, too, but does not fail in all versions.
		a.Try("ovs-vsctl", "add-port", "br0", "tun", "--", "set", "interface", "tun", "type=vxlan", "options:remote_ip=192.0.2.2")
		b.tunnel("vxlan", "192.0.2.1")
		a.says("tun", want)
		if got := a.Vsctl("get", "interface", "tun", "ofport"); got != "-1" {
			t.Errorf("a port that cannot be has the number %s", got)
		}
		a.host.NoReach("10.0.0.2")
		other.Ping("10.0.9.2", 1000, 3)
		release()
		a.says("tun", "[]")
		a.host.Reach("10.0.0.2")
		if n := a.logged(t, want); n != 1 {
			t.Errorf("%q is logged %d times", want, n)
		}
		// It is not left to others, and free when no tunnel needs it.
		if _, code := a.Try("nsenter", "--net=/run/netns/"+a.NS, "nc", "-u", "-l", "-w", "1", "192.0.2.1", "4789"); code == 0 {
			t.Error("the port can be had by others")
		}
		a.Vsctl("del-port", "br0", "tun")
		if out := a.In(a.NS, "ss", "-Hlun", "sport", "=", ":4789"); out != "" {
			t.Errorf("without tunnels the port is in use:\n%s", out)
		}
		other.Ping("10.0.9.2", 1000, 3)
	})
}

// TestTunnelWithoutWay has a tunnel's remote end have no route, and not answer, and then do.
func TestTunnelWithoutWay(t *testing.T) {
	t.Parallel()
	inModes(t, func(t *testing.T, a, b *tunnelSite) {
		other := second(a, b)
		for _, c := range []struct{ remote, want, counter, mend string }{
			{"198.51.100.7", "tunnels to 198.51.100.7: no route (network is unreachable)", "tunnel_no_route", "route"},
			{"2001:db8::77", "tunnels to 2001:db8::77: the neighbour 2001:db8::77 on under does not answer", "tunnel_no_neighbor", "address"},
		} {
			a.tunnel("vxlan", c.remote, "key=3")
			a.says("tun", c.want)
			if got := a.Vsctl("get", "interface", "tun", "ofport"); got == "-1" || got == "[]" {
				t.Errorf("the port, which is as configured, has the number %s", got)
			}
			if before := a.coverage(t, c.counter); a.Vsctl("get", "Open_vSwitch", ".", "other_config:tunnel-mode") == "native" {
				a.host.NoReach("10.0.0.2")
				a.Eventually("the packets are counted", func() error {
					if n := a.coverage(t, c.counter); n <= before {
						return fmt.Errorf("%s is %d", c.counter, n)
					}
					return nil
				})
			}
			other.Ping("10.0.9.2", 1000, 3)
			// The way opens.
			net, plen := underlay4, "/32"
			if strings.Contains(c.remote, ":") {
				net, plen = underlay6, "/128"
			}
			b.In(b.NS, "ip", "addr", "add", c.remote+plen, "dev", "under", "noprefixroute")
			if c.mend == "route" {
				a.In(a.NS, "ip", "route", "add", c.remote+plen, "via", net+"2", "dev", "under")
			}
			b.tunnel("vxlan", net+"1", "key=3", "local_ip="+c.remote)
			a.says("tun", "[]")
			a.host.Reach("10.0.0.2")
			b.host.Reach("10.0.0.1")
			if n := a.logged(t, c.want); n != 1 {
				t.Errorf("%q is logged %d times", c.want, n)
			}
		}
	})
}

// TestTunnelWrongOptions wants the reason on the row, and the rest to work.
func TestTunnelWrongOptions(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	connect(a, b, 1600)
	other := second(a, b)
	for _, c := range []struct{ typ, options, want string }{
		{"vxlan", "remote_ip=nonsense", "bad vxlan 'remote_ip'"},
		{"vxlan", "", "vxlan type requires valid 'remote_ip' argument"},
		{"vxlan", "remote_ip=192.0.2.2 key=0x1000000", "key"},
		{"geneve", "remote_ip=192.0.2.2 packet_type=legacy_l3", "packet_type"},
		{"erspan", "remote_ip=192.0.2.2", "erspan"},
		{"stt", "remote_ip=192.0.2.2", "stt"},
	} {
		args := []string{"--if-exists", "del-port", "br0", "tun", "--", "add-port", "br0", "tun", "--", "set", "interface", "tun", "type=" + c.typ}
		for _, o := range strings.Fields(c.options) {
			args = append(args, "options:"+o)
		}
		a.Try("ovs-vsctl", append([]string{"--timeout=20"}, args...)...)
		a.says("tun", c.want)
		if got := a.Vsctl("get", "interface", "tun", "ofport"); got != "-1" {
			t.Errorf("%s %s: the port has the number %s", c.typ, c.options, got)
		}
	}
	other.Ping("10.0.9.2", 1000, 3)
	a.tunnel("vxlan", "192.0.2.2")
	b.tunnel("vxlan", "192.0.2.1")
	a.says("tun", "[]")
	a.host.Reach("10.0.0.2")
}
