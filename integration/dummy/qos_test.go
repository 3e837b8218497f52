package dummy

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

var qosCommands = strings.Split(strings.TrimSpace(`
ofctl queue-stats br0
ofctl queue-stats br0 1
ofctl queue-stats br0 1 0
ofctl queue-stats br0 LOCAL
ofctl queue-stats br0 1 1
ofctl queue-stats br0 9
ofctl queue-stats br0 ALL 0
ofctl queue-stats br0 ALL 3
ofctl queue-get-config br0
ofctl queue-get-config br0 1
ofctl queue-get-config br0 9
ofctl queue-get-config br0 1 0
ofctl queue-get-config br0 1 1
ofctl queue-get-config br0 ANY
appctl qos/show p1
appctl qos/show p2
appctl qos/show br0
appctl qos/show nosuch
appctl qos/show
appctl qos/show-types p1
appctl qos/show-types nosuch
`), "\n")

// The queues of simulated ports as the tools show them, in every version; and the actions of flows on a port
// whose queues have a DSCP. All as with the stock daemon.
func TestQoSLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := start(t, 3), &sim{testenv.Stock(t), t, map[string]int{}}
	stock.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00")
	for i := range 3 {
		stock.addPort("br0", i+1)
	}
	both := func(f func(*sim) string, what string) {
		t.Helper()
		if d := cmp.Diff(f(stock), f(ours)); d != "" {
			t.Errorf("%s (-stock +ours):\n%s", what, d)
		}
	}
	xid := regexp.MustCompile(`\(xid=0x[0-9a-f]+\)|/\S+\.ctl`)
	normal := func(out string) string {
		lines := strings.Split(strings.TrimSpace(xid.ReplaceAllString(out, "")), "\n")
		slices.Sort(lines) // the stock daemon's order is that of hashes
		return strings.Join(lines, "\n")
	}
	for _, v := range []string{"OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		for _, c := range qosCommands {
			words := strings.Fields(c)
			tool, args := "ovs-"+words[0], words[1:]
			if words[0] == "ofctl" {
				args = append([]string{"-O", v}, args...)
			} else if v != "OpenFlow10" {
				continue
			}
			both(func(s *sim) string {
				out, code := s.Try(tool, args...)
				return normal(out) + "\n" + string(rune('0'+code))
			}, v+" "+c)
		}
	}
	for _, s := range []*sim{stock, ours} {
		s.Vsctl("--", "set", "port", "p2", "qos=@n", "--", "--id=@n", "create", "qos", "type=linux-htb", "queues:1=@q", "queues:4=@r",
			"--", "--id=@q", "create", "queue", "dscp=10", "--", "--id=@r", "create", "queue", "dscp=0")
		s.Ofctl("add-flow", "br0", "in_port=1,actions=set_queue:1,2,LOCAL,pop_queue,2,enqueue:2:4,enqueue:3:1")
		s.Ofctl("add-flow", "br0", "in_port=3,actions=push_mpls:0x8847,set_queue:1,2")
	}
	traced := regexp.MustCompile(`(?m)^Datapath actions: .*`)
	for _, f := range []string{"in_port=1,tcp,nw_tos=4", "in_port=1,tcp,nw_tos=40", "in_port=1,tcp6,nw_ecn=3", "in_port=1,arp", "in_port=1,dl_type=0x1234",
		"in_port=1,udp,nw_tos=252,nw_ecn=1", "in_port=3,tcp,nw_tos=4,nw_ttl=9"} {
		both(func(s *sim) string { return traced.FindString(s.Appctl("ofproto/trace", "br0", f)) }, f)
	}
}
