package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// tunnelCase is one way to connect two sites.
type tunnelCase struct {
	typ     string
	net     string // of the remote addresses
	options []string
}

const (
	underlay4 = "192.0.2."
	underlay6 = "2001:db8::"
)

// tunnelCases are the types over IPv4 and IPv6, with keys and checksums.
var tunnelCases = []tunnelCase{
	{"vxlan", underlay4, []string{"key=5"}},
	{"vxlan", underlay6, nil},
	{"geneve", underlay4, []string{"key=5", "csum=true"}},
	{"geneve", underlay6, []string{"csum=false"}},
	{"gre", underlay4, []string{"key=5"}},
	{"gre", underlay6, nil},
	{"ip6gre", underlay6, []string{"key=5", "csum=true"}},
}

func (c tunnelCase) String() string {
	return c.typ + " over " + map[string]string{underlay4: "IPv4", underlay6: "IPv6"}[c.net] + " " + strings.Join(c.options, ",")
}

// open has both sites use the tunnel.
func (c tunnelCase) open(a, b *tunnelSite) {
	a.tunnel(c.typ, c.net+"2", c.options...)
	b.tunnel(c.typ, c.net+"1", c.options...)
}

// of is the case in a mode of tunnels, with what the kernel's devices cannot do left out; false when the kernel has no such.
func (c tunnelCase) of(mode string, has map[string]bool) (tunnelCase, bool) {
	if mode == "native" {
		return c, true
	}
	if strings.Contains(c.typ, "gre") {
		// They take no packets with a checksum, and before Linux 6.3 send all with a key.
		c.options = []string{"key=5"}
		if c.typ == "gre" && c.net == underlay6 {
			return c, false // that is ip6gre
		}
	}
	return c, has[c.typ]
}

// transfer is what iperf3 says of a run.
type transfer struct {
	bytes         float64 // that arrived
	packets, lost float64 // of UDP
}

// transfers runs iperf3 from one host to another. UDP packets (over IPv6) that the receiving socket had no room for count as arrived.
func transfers(t *testing.T, from, to *testenv.Host, addr string, args ...string) transfer {
	t.Helper()
	receiver := to
	if slices.Contains(args, "-R") {
		receiver = from
	}
	before := noRoom(t, receiver)
	stop := to.Background("iperf3", "-s", "-1")
	defer stop()
	from.Env.Eventually("iperf3 server", func() error {
		if out := to.Run("ss", "-Hltn", "sport", "=", ":5201"); !strings.Contains(out, "5201") {
			return fmt.Errorf("not listening")
		}
		return nil
	})
	args = append([]string{"-J", "-c", addr}, args...)
	if !slices.Contains(args, "-u") {
		// iperf3 ends when all is sent. What the receiver has not read by then does not count, which is as much as sockets hold.
		args = append(args, "-w", "256K")
	}
	out := from.Run("iperf3", args...)
	var r struct {
		End struct {
			SumReceived struct{ Bytes float64 } `json:"sum_received"`
			Sum         struct {
				Bytes, Packets float64
				LostPackets    float64 `json:"lost_packets"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("iperf3: %v\n%s", err, out)
	}
	x := transfer{r.End.SumReceived.Bytes, r.End.Sum.Packets, r.End.Sum.LostPackets}
	if x.bytes == 0 {
		x.bytes = r.End.Sum.Bytes
	}
	if x.lost > 0 {
		x.lost -= noRoom(t, receiver) - before
	}
	return x
}

// noRoom is how many UDP packets over IPv6 found a host's socket full.
func noRoom(t *testing.T, h *testenv.Host) float64 {
	t.Helper()
	for line := range strings.Lines(h.Run("cat", "/proc/net/snmp6")) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "Udp6RcvbufErrors" {
			n, err := strconv.ParseFloat(words[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no counters of UDP")
	return 0
}

// setMTU has a site's hosts send packets of these lengths.
func (s *tunnelSite) setMTU(mtu int) {
	s.host.Run("ip", "link", "set", "eth0", "mtu", strconv.Itoa(mtu))
}

// traffic sends packets of all lengths both ways, whole and in fragments, and streams of TCP and UDP.
func traffic(t *testing.T, a, b *tunnelSite) {
	t.Helper()
	a.host.Reach("10.0.0.2")
	a.host.Reach("fd00::2")
	for _, mtu := range []int{8500, 1500} {
		a.setMTU(mtu)
		b.setMTU(mtu)
		for _, size := range []int{64, 1400, 8000} {
			a.host.Ping("10.0.0.2", size, 2)
			b.host.Ping("fd00::1", size, 2)
		}
	}
	for _, way := range [][]string{nil, {"-R"}} {
		if x := transfers(t, a.host, b.host, "10.0.0.2", append(way, "-n", "16M")...); x.bytes < 8<<20 {
			t.Errorf("TCP %v: %.0f bytes arrived", way, x.bytes)
		}
		if x := transfers(t, a.host, b.host, "fd00::2", append(way, "-u", "-b", "30M", "-n", "1M")...); x.lost > 0 || x.packets < 500 {
			t.Errorf("UDP %v: %.0f packets, %.0f lost", way, x.packets, x.lost)
		}
	}
}

// TestTunnelMatrix connects two sites by tunnels of every type and mode, over IPv4 and IPv6.
func TestTunnelMatrix(t *testing.T) {
	t.Parallel()
	a, b := newTunnelSites(t, "native", "native")
	connect(a, b, 9000)
	for _, s := range []*tunnelSite{a, b} {
		s.In(s.NS, "ip", "link", "set", s.host.Port, "mtu", "9000")
	}
	has := kernelTypes(a.Env)
	if !has["vxlan"] {
		t.Fatal("this kernel has no VXLAN")
	}
	for _, mode := range []string{"native", "kernel"} {
		for _, s := range []*tunnelSite{a, b} {
			s.Vsctl("--", "--if-exists", "del-port", "br0", "tun", "--", "set", "Open_vSwitch", ".", "other_config:tunnel-mode="+mode)
		}
		for _, c := range tunnelCases {
			if c, ok := c.of(mode, has); ok {
				t.Log(mode, c)
				c.open(a, b)
				traffic(t, a, b)
				for _, s := range []*tunnelSite{a, b} {
					if got := s.Vsctl("get", "interface", "tun", "error"); got != "[]" {
						t.Errorf("error %s", got)
					}
				}
			}
		}
	}
}
