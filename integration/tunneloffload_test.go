package integration

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// asWire has a device send packets no longer than its MTU, and coalesce those that it receives.
func asWire(e *testenv.Env, device string) {
	e.In(e.NS, "ethtool", "-K", device, "tso", "off", "tx-udp-segmentation", "off", "tx-udp_tnl-segmentation", "off",
		"tx-udp_tnl-csum-segmentation", "off", "tx-gre-segmentation", "off", "tx-gre-csum-segmentation", "off", "gro", "on")
}

// received are the packets and bytes that came out of a tunnel.
func (s *tunnelSite) received(port string) (packets, bytes float64) {
	s.Appctl("revalidator/wait")
	for word := range strings.FieldsSeq(s.Ofctl("dump-ports", "br0", port)) {
		if v, ok := strings.CutPrefix(word, "pkts="); ok && packets == 0 {
			packets, _ = strconv.ParseFloat(strings.TrimSuffix(v, ","), 64)
		}
		if v, ok := strings.CutPrefix(word, "bytes="); ok && bytes == 0 {
			bytes, _ = strconv.ParseFloat(strings.TrimSuffix(v, ","), 64)
		}
	}
	return packets, bytes
}

// TestTunnelCoalescing wants the segments of a stream to be made one packet again where they leave the wire, before they come into
// the bridge.
func TestTunnelCoalescing(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	connect(a, b, 1600)
	asWire(a.Env, "under")
	asWire(b.Env, "under")
	for _, c := range []tunnelCase{{"vxlan", underlay4, nil}, {"vxlan", underlay6, nil}, {"geneve", underlay4, []string{"csum=true"}}, {"gre", underlay4, nil}} {
		c.open(a, b)
		a.host.Reach("10.0.0.2")
		packets, bytes := b.received("tun")
		if x := transfers(t, a.host, b.host, "10.0.0.2", "-n", "16M"); x.bytes < 8<<20 {
			t.Errorf("%v: %.0f bytes arrived", c, x.bytes)
		}
		after, bytesAfter := b.received("tun")
		if mean := (bytesAfter - bytes) / (after - packets); !(mean > 3000) {
			t.Errorf("%v: packets of %.0f bytes", c, mean)
		}
	}
	for _, s := range []*tunnelSite{a, b} {
		for name, l := range s.Links(s.NS) {
			if strings.HasPrefix(name, "vxlan") || strings.HasPrefix(name, "geneve") {
				t.Errorf("device %s: %+v", name, l)
			}
		}
	}
}

// TestTunnelGateway has long packets go from one tunnel into another: they come whole out of the first, and must be segmented as the
// second's.
func TestTunnelGateway(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	g := &tunnelSite{Env: testenv.New(t), n: 3}
	g.Vsctl("add-br", "br0")
	link(a.Env, 1600, a.NS, "under", "192.0.2.1/24 2001:db8::1/64", g.NS, "ua", "192.0.2.3/24 2001:db8::3/64")
	link(b.Env, 1600, b.NS, "under", "198.51.100.2/24", g.NS, "ub", "198.51.100.3/24")
	gate := func(typA, remoteA, typB, remoteB string) {
		g.Vsctl("--if-exists", "del-port", "br0", "ta", "--", "--if-exists", "del-port", "br0", "tb",
			"--", "add-port", "br0", "ta", "--", "set", "interface", "ta", "type="+typA, "options:remote_ip="+remoteA,
			"--", "add-port", "br0", "tb", "--", "set", "interface", "tb", "type="+typB, "options:remote_ip="+remoteB)
	}
	for _, wire := range []bool{false, true} {
		if wire {
			asWire(a.Env, "under")
			asWire(b.Env, "under")
			asWire(g.Env, "ua")
			asWire(g.Env, "ub")
		}
		for _, c := range []struct{ a, b, option string }{{"vxlan", "gre", "csum=false"}, {"geneve", "vxlan", "csum=true"}} {
			name := fmt.Sprintf("%s (%s) to %s, wire: %v", c.a, c.option, c.b, wire)
			a.tunnel(c.a, "192.0.2.3", c.option)
			b.tunnel(c.b, "198.51.100.3")
			gate(c.a, "192.0.2.1", c.b, "198.51.100.2")
			a.host.Reach("10.0.0.2")
			for _, way := range [][]string{nil, {"-R"}} {
				if x := transfers(t, a.host, b.host, "10.0.0.2", append(way, "-n", "16M")...); x.bytes < 8<<20 {
					t.Errorf("%s %v: %.0f bytes arrived", name, way, x.bytes)
				}
			}
		}
	}
}

// TestTunnelUDPSegmentation has a host send UDP that is segmented later, as QUIC does, through tunnels over an underlay that passes
// it whole.
func TestTunnelUDPSegmentation(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	connect(a, b, 1600)
	for _, c := range []tunnelCase{{"vxlan", underlay4, nil}, {"gre", underlay4, nil}} {
		c.open(a, b)
		a.host.Reach("10.0.0.2")
		const size, segments, writes = 1200, 10, 20
		got := udpSegments(t, a.host, b.host, "10.0.0.2", size, segments, writes)
		if got != segments*writes {
			t.Errorf("%v: %d of %d datagrams arrived", c, got, segments*writes)
		}
	}
}

// udpSegments sends UDP datagrams, some in one write, and returns how many came.
func udpSegments(t *testing.T, from, to *testenv.Host, addr string, size, segments, writes int) (n int) {
	t.Helper()
	in := func(h *testenv.Host, f func() error) {
		t.Helper()
		ns, err := netns.GetFromName(h.NS)
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		if err := netdev.In(ns, f); err != nil {
			t.Fatal(err)
		}
	}
	sa := &unix.SockaddrInet4{Port: 7000}
	fmt.Sscanf(addr, "%d.%d.%d.%d", &sa.Addr[0], &sa.Addr[1], &sa.Addr[2], &sa.Addr[3])
	var rx, tx int
	in(to, func() (err error) {
		if rx, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(unix.Bind(rx, sa), unix.SetsockoptTimeval(rx, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}),
			unix.SetsockoptInt(rx, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20))
	})
	defer unix.Close(rx)
	in(from, func() (err error) {
		if tx, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(unix.Connect(tx, sa), unix.SetsockoptInt(tx, unix.SOL_UDP, unix.UDP_SEGMENT, size))
	})
	defer unix.Close(tx)
	buf := make([]byte, size*segments)
	for range writes {
		if _, err := unix.Write(tx, buf); err != nil {
			t.Fatal(err)
		}
		for range segments {
			k, err := unix.Read(rx, buf)
			if errors.Is(err, unix.EAGAIN) {
				return n
			} else if err != nil || k != size {
				t.Fatalf("datagram of %d bytes: %v", k, err)
			}
			n++
		}
	}
	return n
}
