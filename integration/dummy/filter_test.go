package dummy

import (
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestFilterLikeStock compares which megaflows dpctl/dump-flows filter= shows, and what it says of bad filters.
func TestFilterLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "fail_mode=secure")
		s.addPort("br0", 1)
		s.addPort("br0", 2)
		s.Ofctl("add-flow", "br0", "table=0,in_port=1,ip,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_proto=1,actions=output:2")
		s.Ofctl("add-flow", "br0", "table=0,in_port=1,tcp,tp_dst=80,actions=output:2")
		s.Ofctl("add-flow", "br0", "table=0,in_port=2,dl_vlan=5,actions=output:1")
		s.Ofctl("add-flow", "br0", "table=0,in_port=2,dl_vlan=6,actions=output:1")
		s.receive("p1", ping(1, 2, 0))
		s.receive("p2", ping(2, 1, 5))
		s.receive("p2", ping(2, 1, 6))
		s.receive("p1", "eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=80),tcp_flags(syn)")
	}
	shown := 0
	for _, f := range []string{
		"", "in_port=1", "in_port=2", "in_port=p1", "in_port=7", "icmp", "tcp", "tcp,tp_dst=80", "tcp,tp_dst=81", "udp", "ip", "arp", "ipv6",
		"ip,nw_src=10.0.0.1", "ip,nw_src=10.0.0.77", "icmp,nw_dst=10.0.0.3", "dl_vlan=5", "dl_vlan=6", "dl_vlan=7", "in_port=2,dl_vlan=5,icmp", "in_port(1)",
		"zz", "tp_dst=1", "in_port=zz", "ip,nw_src=10.0.0.0/8", "reg0=1,reg0=2",
	} {
		got, gotCode := ours.Try("ovs-appctl", "dpctl/dump-flows", "filter="+f)
		want, wantCode := stock.Try("ovs-appctl", "dpctl/dump-flows", "filter="+f)
		if g, w := strings.Count(got, "packets:"), strings.Count(want, "packets:"); g != w || gotCode != wantCode {
			t.Errorf("filter=%s: %d flows, exit code %d, want %d, %d\n%s\nstock:\n%s", f, g, gotCode, w, wantCode, got, want)
		}
		shown += strings.Count(want, "packets:")
		if i := strings.Index(want, "Failed to parse filter"); i >= 0 {
			first, _, _ := strings.Cut(want[i:], "\n")
			if !strings.Contains(got, first) {
				t.Errorf("filter=%s: %q, want %q", f, got, first)
			}
		}
	}
	if shown < 20 {
		t.Errorf("the stock daemon showed %d flows: too few for a comparison", shown)
	}
}
