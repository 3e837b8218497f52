package dummy

import (
	"fmt"
	"strings"
	"testing"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	s := start(t, 4, "fail_mode=secure")
	s.Ofctl("-O", "OpenFlow15", "add-group", "br0", "group_id=1,type=select,bucket=weight:1,actions=output:2,bucket=weight:3,actions=output:3")
	s.Ofctl("-O", "OpenFlow15", "add-group", "br0", "group_id=2,type=ff,bucket=watch_port:2,actions=output:2,bucket=watch_port:3,actions=output:3")
	s.Ofctl("add-flow", "br0", "in_port=1,actions=group:1,4")
	s.Ofctl("add-flow", "br0", "in_port=4,actions=group:2")
	const n = 200
	var packets []string
	for i := range n {
		packets = append(packets, fmt.Sprintf("eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.%d.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=%d,dst=9)", i%8, 1000+i))
	}
	s.receive("p1", packets...)
	two, three, four := len(s.sent("p2")), len(s.sent("p3")), len(s.sent("p4"))
	if two+three != n || four != n || two < n/10 || three < n/2 {
		t.Errorf("%d, %d and %d packets out of p2, p3 and p4", two, three, four)
	}
	s.revalidate()
	s.contains("statistics", s.Ofctl("-O", "OpenFlow15", "dump-group-stats", "br0", "group_id=1"),
		fmt.Sprintf("ref_count=1,packet_count=%d,", n), fmt.Sprintf("bucket0:packet_count=%d,", two), fmt.Sprintf("bucket1:packet_count=%d,", three))
	s.contains("flows", s.flows("in_port=1"), fmt.Sprintf("n_packets=%d,", n))

	s.receive("p4", ping(1, 2, 0))
	s.went("the first bucket is live", "p2", "p2", "p3")
	s.Appctl("netdev-dummy/set-admin-state", "p2", "down")
	s.Eventually("failover", func() error {
		s.revalidate()
		s.receive("p4", ping(1, 2, 0))
		if len(s.sent("p3")) == 0 {
			return fmt.Errorf("nothing went out of p3")
		}
		return nil
	})
	s.Ofctl("-O", "OpenFlow15", "del-groups", "br0")
	if got := s.flows(); got != "" {
		t.Errorf("flows outlive their groups:\n%s", got)
	}
	if out := s.Appctl("ofproto/trace", "br0", "in_port=1"); !strings.Contains(out, "Datapath actions: drop") {
		t.Errorf("trace:\n%s", out)
	}
}
