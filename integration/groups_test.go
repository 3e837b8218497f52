package integration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// groupCounts are the packets of a group's buckets.
func groupCounts(t *testing.T, e *testenv.Env, id int) (buckets []int) {
	t.Helper()
	out := e.Ofctl("-O", "OpenFlow15", "dump-group-stats", "br0", fmt.Sprintf("group_id=%d", id))
	for _, m := range regexp.MustCompile(`bucket\d+:packet_count=(\d+)`).FindAllStringSubmatch(out, -1) {
		n, _ := strconv.Atoi(m[1])
		buckets = append(buckets, n)
	}
	return buckets
}

// TestGroups sends traffic of real hosts through groups of each type.
func TestGroups(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b, c := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24"), e.AddHost("10.1.1.3/24")
	addBridge(e, a, b, c)
	groups := func(args ...string) { e.Ofctl(append([]string{"-O", "OpenFlow15"}, args...)...) }
	groups("add-group", "br0", "group_id=1,type=all,bucket=actions=output:2,bucket=actions=output:3")
	groups("add-group", "br0", "group_id=2,type=select,selection_method=dp_hash,bucket=weight:1,actions=output:2,bucket=weight:1,actions=output:2")
	groups("add-group", "br0", "group_id=3,type=select,selection_method=hash,fields(ip_dst),bucket=weight:1,actions=output:2,bucket=weight:1,actions=output:2")
	groups("add-group", "br0", "group_id=4,type=ff,bucket=watch_port:3,actions=output:3,bucket=watch_port:2,actions=output:2")
	groups("add-group", "br0", "group_id=5,type=indirect,bucket=actions=group:2")
	e.Ofctl("del-flows", "br0")
	e.Ofctl("add-flow", "br0", "priority=1,actions=NORMAL")
	to := func(group int) {
		e.Ofctl("add-flow", "br0", fmt.Sprintf("priority=10,icmp,in_port=1,actions=group:%d", group))
	}
	total := func(what string, id, want int) {
		t.Helper()
		e.Eventually(what, func() error {
			sum := 0
			for _, n := range groupCounts(t, e, id) {
				sum += n
			}
			if sum != want {
				return fmt.Errorf("group %d: %d packets in its buckets, want %d", id, sum, want)
			}
			return nil
		})
	}
	for _, id := range []int{1, 2, 3, 5} {
		to(id)
		a.Ping("10.1.1.2", 56, 10)
		if id == 1 {
			total("all", id, 20)
			continue
		}
		total("statistics", id, 10)
	}
	// The live bucket first; then the other one.
	to(4)
	a.Ping("10.1.1.3", 56, 10)
	c.Run("ip", "link", "set", "eth0", "down")
	a.Reach("10.1.1.2")
	e.Eventually("failover is counted", func() error {
		if n := groupCounts(t, e, 4); len(n) != 2 || n[0] < 10 || n[1] == 0 {
			return fmt.Errorf("packets of buckets %v", n)
		}
		return nil
	})
	// Both buckets of the select group get flows, on few megaflows.
	e.Ofctl("add-flow", "br0", "priority=10,udp,in_port=1,actions=group:2")
	a.Run("python3", "-c", `
import socket
for port in range(2000, 2100):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.sendto(b"x", ("10.1.1.2", 9))
`)
	e.Eventually("both buckets are used", func() error {
		n := groupCounts(t, e, 2)
		if len(n) != 2 || n[0] < 20 || n[1] < 20 {
			return fmt.Errorf("packets of buckets %v", n)
		}
		return nil
	})
	if n := strings.Count(e.Appctl("dpctl/dump-flows"), "dp_hash"); n == 0 || n > 40 {
		t.Errorf("%d megaflows on dp_hash", n)
	}
	groups("del-groups", "br0", "group_id=2")
	if out := e.Ofctl("dump-flows", "br0"); strings.Contains(out, "group:2") {
		t.Errorf("flows outlive their group:\n%s", out)
	}
}
