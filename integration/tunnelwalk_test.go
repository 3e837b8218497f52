package integration

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// walkSite makes what docs/tunnels.md builds step by step: br0 with a host and a tunnel, and br-underlay, which has the host's address
// on its internal port and the wire in it.
func walkSite(t *testing.T, e *testenv.Env, n int) *tunnelSite {
	t.Helper()
	s := &tunnelSite{Env: e, n: n}
	s.host = e.AddHost(fmt.Sprintf("10.0.0.%d/24", n))
	s.host.Run("ip", "link", "set", "eth0", "address", fmt.Sprintf("02:00:00:00:00:%02x", n))
	e.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf",
		"--", "add-port", "br0", s.host.Port, "--", "set", "interface", s.host.Port, "ofport_request=1",
		"--", "add-port", "br0", "vxlan0", "--", "set", "interface", "vxlan0", "type=vxlan", "ofport_request=2", fmt.Sprintf("options:remote_ip=192.0.2.%d", 3-n), "options:key=42")
	e.Vsctl("add-br", "br-underlay", "--", "set", "bridge", "br-underlay", "datapath_type=bpf", fmt.Sprintf("other_config:hwaddr=02:00:00:00:01:%02x", n),
		"--", "add-port", "br-underlay", "eth1")
	e.In(e.NS, "ip", "addr", "add", fmt.Sprintf("192.0.2.%d/24", n), "dev", "br-underlay")
	e.In(e.NS, "ip", "link", "set", "br-underlay", "up")
	return s
}

// walked are the numbers of a dump that differ from run to run.
var walked = regexp.MustCompile(`packets:\d+, bytes:\d+, used:[\d.]+s(, flags:[A-Z.]+)?`)

// TestTunnelWalkThrough does what docs/tunnels.md shows, compares what it says is printed, and wants packets from bridge to bridge
// to leave the kernel for the first of them only.
func TestTunnelWalkThrough(t *testing.T) {
	t.Parallel()
	ea, eb := testenv.New(t), testenv.New(t)
	ea.Run("ip", "link", "add", "eth1", "netns", ea.NS, "mtu", "1600", "type", "veth", "peer", "name", "eth1", "netns", eb.NS, "mtu", "1600")
	ea.In(ea.NS, "ip", "link", "set", "eth1", "up")
	eb.In(eb.NS, "ip", "link", "set", "eth1", "up")
	a, b := walkSite(t, ea, 1), walkSite(t, eb, 2)
	a.host.Reach("10.0.0.2")
	a.host.Ping("10.0.0.2", 1400, 5)
	if x := transfers(t, a.host, b.host, "10.0.0.2", "-n", "16M"); x.bytes < 8<<20 {
		t.Errorf("TCP: %.0f bytes arrived", x.bytes)
	}

	beforeA, beforeB := missed(t, a.Env), missed(t, b.Env)
	const pings = 400
	a.host.Run("ping", "-q", "-n", "-f", "-c", fmt.Sprint(pings), "10.0.0.2")
	for e, before := range map[*testenv.Env]int{a.Env: beforeA, b.Env: beforeB} {
		// Hosts send packets of their own, too.
		if n := missed(t, e) - before; n > pings/8 {
			t.Errorf("%d packets of %d leave the kernel", n, 4*pings)
		}
	}

	text, err := os.ReadFile("../docs/tunnels.md")
	if err != nil {
		t.Fatal(err)
	}
	_, doc, _ := strings.Cut(string(text), "## A walk-through\n")
	commands := 0
	for block := range strings.SplitSeq(doc, "\n$ ") {
		line, want, _ := strings.Cut(block, "\n")
		args := strings.Fields(line)
		if len(args) < 2 || args[0] != "ovs-appctl" {
			continue
		}
		commands++
		want, _, _ = strings.Cut(want, "```")
		a.Eventually(line, func() error {
			a.host.Ping("10.0.0.2", 56, 1) // flows that are not used go
			out := walked.ReplaceAllString(a.Appctl(args[1:]...), "packets:N, bytes:N, used:Ns")
			for l := range strings.Lines(want) {
				if l = strings.TrimSpace(walked.ReplaceAllString(l, "packets:N, bytes:N, used:Ns")); !strings.Contains(out, l) {
					return fmt.Errorf("docs/tunnels.md has %q, printed is:\n%s", l, out)
				}
			}
			return nil
		})
	}
	if commands < 3 {
		t.Errorf("docs/tunnels.md shows %d commands", commands)
	}
}

// missed is how many packets the datapath has sent up.
func missed(t *testing.T, e *testenv.Env) (n int) {
	t.Helper()
	out := e.Appctl("dpctl/show", "-s")
	m := regexp.MustCompile(`missed:(\d+) lost:0`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("packets are lost:\n%s", out)
	}
	fmt.Sscan(m[1], &n)
	return n
}

// TestTunnelLoop has the route of a tunnel lead into the tunnel: its packets are dropped and counted, and the rest works.
func TestTunnelLoop(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	x, y := e.AddHost("10.0.0.1/24"), e.AddHost("10.0.0.2/24")
	addBridge(e, x, y)
	e.In(e.NS, "ip", "addr", "add", "192.0.2.1/24", "dev", "br0")
	e.In(e.NS, "ip", "link", "set", "br0", "up")
	e.Vsctl("add-port", "br0", "tun", "--", "set", "interface", "tun", "type=vxlan", "options:remote_ip=192.0.2.2")
	// Nobody has this address: packets to it are flooded, the encapsulated ones as well.
	x.Run("ip", "neigh", "replace", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0", "nud", "permanent")
	e.In(e.NS, "ip", "neigh", "replace", "192.0.2.2", "lladdr", "02:00:00:00:00:99", "dev", "br0", "nud", "permanent")
	e.Eventually("packets that go round are dropped and counted", func() error {
		e.Try("nsenter", "--net=/run/netns/"+x.NS, "ping", "-q", "-n", "-c", "3", "-i", "0.1", "-W", "1", "10.0.0.9")
		// The kernel ends it, or our own limit.
		if out := e.Run("ovs-bpfctl", "drops"); !regexp.MustCompile(`(?m)^[1-9]\d* +br0 +(nesting_limit|output_copy_failed)$`).MatchString(out) {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if out := e.In(e.NS, "ip", "neigh", "show", "192.0.2.2"); !strings.Contains(out, "PERMANENT") {
		t.Errorf("a neighbour that was set by hand is %s", out)
	}
	x.Ping("10.0.0.2", 1000, 5)
}
