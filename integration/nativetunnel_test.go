package integration

import (
	"fmt"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestNativeTunnel connects two switches with tunnels that their programs build, whose next hops the agents find. The second has
// its address on a bridge, in which the wire is: packets go from bridge to bridge in the kernel.
func TestNativeTunnel(t *testing.T) {
	a := testenv.New(t)
	b := a.Peer(false)
	a.Run("ip", "link", "add", "under", "netns", a.NS, "type", "veth", "peer", "name", "under", "netns", b.NS)
	hosts := map[*testenv.Env]*testenv.Host{}
	for i, e := range []*testenv.Env{a, b} {
		e.In(e.NS, "ip", "link", "set", "under", "mtu", "1600", "up")
		dev := "under"
		if e == b {
			dev = "br-under"
			e.Vsctl("add-br", dev, "--", "set", "bridge", dev, "datapath_type=bpf", "--", "add-port", dev, "under",
				"--", "set", "interface", dev, "mtu_request=1600")
			e.In(e.NS, "ip", "link", "set", dev, "up")
		}
		e.In(e.NS, "ip", "addr", "add", fmt.Sprintf("192.0.2.%d/24", i+1), "dev", dev)
		h := e.AddHost(fmt.Sprintf("10.0.0.%d/24", i+1), fmt.Sprintf("fd00::%d/64", i+1))
		addBridge(e, h)
		e.Vsctl("add-port", "br0", "tun0", "--", "set", "interface", "tun0", "type=geneve",
			fmt.Sprintf("options:remote_ip=192.0.2.%d", 2-i), "options:key=7")
		hosts[e] = h
	}
	pings(hosts[a], "10.0.0.2", "fd00::2")
	if r := iperf(t, hosts[a], hosts[b], "10.0.0.2"); r == 0 {
		t.Error("no TCP")
	}
	for _, e := range []*testenv.Env{a, b} {
		if got := e.Vsctl("get", "interface", "tun0", "error"); got != "[]" {
			t.Errorf("error %s", got)
		}
	}
}
