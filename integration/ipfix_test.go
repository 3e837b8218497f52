package integration

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

var ipfixCounts = regexp.MustCompile(`sampled pkts=(\d+), ipv4 ok=(\d+)`)

// TestIPFIX samples traffic of real hosts, in the bridge and by a flow.
func TestIPFIX(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	e.Vsctl("--", "--id=@br", "get", "bridge", "br0", "--", "--id=@i", "create", "ipfix", `targets="127.0.0.1:4739"`, "sampling=1",
		"--", "set", "bridge", "br0", "ipfix=@i", "--", "--id=@j", "create", "ipfix", `targets="127.0.0.1:4739"`, "cache_active_timeout=60", "cache_max_flows=10",
		"--", "create", "flow_sample_collector_set", "id=5", "bridge=@br", "ipfix=@j")
	e.Ofctl("add-flow", "br0", "priority=10,icmp,actions=sample(probability=65535,collector_set_id=5),NORMAL")
	a.Ping("10.1.1.2", 56, 10)
	// Each echo and each reply comes in and goes out; hosts send packets of their own, too.
	for what, want := range map[string]int{"dump-ipfix-bridge": 40, "dump-ipfix-flow": 20} {
		e.Eventually(what, func() error {
			m := ipfixCounts.FindStringSubmatch(e.Ofctl(what, "br0"))
			if m == nil {
				return fmt.Errorf("no counters")
			}
			if n, _ := strconv.Atoi(m[2]); n < want {
				return fmt.Errorf("%s IPv4 packets were sampled, want %d", m[2], want)
			}
			return nil
		})
	}
	if out := e.Ofctl("dump-ipfix-flow", "br0"); !regexp.MustCompile(`id +5: flows=2, current flows=2, sampled pkts=20, `).MatchString(out) {
		t.Errorf("flows of the collector set:\n%s", out)
	}
	e.Vsctl("clear", "bridge", "br0", "ipfix", "--", "destroy", "flow_sample_collector_set", e.Vsctl("--bare", "--columns=_uuid", "list", "flow_sample_collector_set"))
	if out := e.Appctl("ofproto/trace", "br0", "in_port=1,icmp"); regexp.MustCompile(`sample|ipfix`).MatchString(regexp.MustCompile(`(?m)^Datapath actions: .*`).FindString(out)) {
		t.Errorf("packets are sampled without an exporter:\n%s", out)
	}
	a.Ping("10.1.1.2", 56, 10)
}
