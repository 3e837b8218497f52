package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestRoutes wants the routes of tunnels to follow the host's, and a user's to go before them.
func TestRoutes(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	e.In(e.NS, "ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
	e.In(e.NS, "ip", "link", "set", "d0", "up")
	e.In(e.NS, "ip", "link", "set", "d1", "up")
	e.In(e.NS, "ip", "addr", "add", "10.1.0.1/24", "dev", "d0")
	e.In(e.NS, "ip", "addr", "add", "fd00::1/64", "dev", "d0", "nodad")
	e.In(e.NS, "ip", "route", "add", "default", "via", "10.1.0.254")
	shown := func(lines ...string) {
		t.Helper()
		e.Eventually("the routes", func() error {
			out := e.Appctl("ovs/route/show")
			for _, line := range lines {
				want := true
				if line[0] == '-' {
					want, line = false, line[1:]
				}
				if strings.Contains(out, line+"\n") != want {
					return fmt.Errorf("%q shown is not %v:\n%s", line, want, out)
				}
			}
			return nil
		})
	}
	lookup := func(args, want string) {
		t.Helper()
		if out := e.Appctl(append([]string{"ovs/route/lookup"}, strings.Fields(args)...)...); out != want {
			t.Errorf("lookup of %s: %q, want %q", args, out, want)
		}
	}
	shown("Cached: 10.1.0.1/32 dev d0 SRC 10.1.0.1 local", "Cached: 10.1.0.0/24 dev d0 SRC 10.1.0.1", "Cached: fd00::1/128 dev d0 SRC fd00::1 local",
		"Cached: 0.0.0.0/0 dev d0 GW 10.1.0.254 SRC 10.1.0.1", "Cached: fd00::/64 dev d0 SRC fd00::1", "Cached: 127.0.0.0/8 dev lo SRC 127.0.0.1 local")
	lookup("10.1.0.1", "src 10.1.0.1\ngateway ::\ndev d0\n")
	lookup("192.0.2.1", "src 10.1.0.1\ngateway 10.1.0.254\ndev d0\n")
	e.In(e.NS, "ip", "route", "add", "192.0.2.0/24", "via", "10.1.0.3")
	shown("Cached: 192.0.2.0/24 dev d0 GW 10.1.0.3 SRC 10.1.0.1")
	e.Appctl("ovs/route/add", "192.0.2.0/24", "d0", "10.1.0.4")
	lookup("192.0.2.1", "src 10.1.0.1\ngateway 10.1.0.4\ndev d0\n")
	e.In(e.NS, "ip", "route", "add", "default", "via", "10.1.0.9", "table", "77")
	e.In(e.NS, "ip", "rule", "add", "fwmark", "5", "table", "77")
	lookup("192.0.2.1 pkt_mark=5", "src 10.1.0.1\ngateway 10.1.0.9\ndev d0\n")
	e.In(e.NS, "ip", "link", "set", "d0", "down")
	shown("-Cached: 192.0.2.0/24 dev d0 GW 10.1.0.3 SRC 10.1.0.1", "-Cached: 10.1.0.0/24 dev d0 SRC 10.1.0.1")
}
