package integration

import (
	"fmt"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestNativeTunnel connects two switches with tunnels that their programs build, whose next hops the agents find.
func TestNativeTunnel(t *testing.T) {
	a := testenv.New(t)
	b := a.Peer(false)
	a.Run("ip", "link", "add", "under", "netns", a.NS, "type", "veth", "peer", "name", "under", "netns", b.NS)
	hosts := map[*testenv.Env]*testenv.Host{}
	for i, e := range []*testenv.Env{a, b} {
		e.In(e.NS, "ip", "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", "under")
		e.In(e.NS, "ip", "link", "set", "under", "mtu", "1600", "up")
		h := e.AddHost(fmt.Sprintf("10.0.0.%d/24", i+1), fmt.Sprintf("fd00::%d/64", i+1))
		addBridge(e, h)
		e.Vsctl("add-port", "br0", "tun0", "--", "set", "interface", "tun0", "type=geneve",
			fmt.Sprintf("options:remote_ip=192.0.2.%d", 2-i), "options:key=7")
		hosts[e] = h
	}
	pings(hosts[a], "10.0.0.2", "fd00::2")
	for _, e := range []*testenv.Env{a, b} {
		if got := e.Vsctl("get", "interface", "tun0", "error"); got != "[]" {
			t.Errorf("error %s", got)
		}
	}
}
