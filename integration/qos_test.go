package integration

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// queuePackets are the packets that OpenFlow counts at a queue of port 2 of br0.
func queuePackets(t *testing.T, e *testenv.Env, queue int) int {
	t.Helper()
	out := e.Ofctl("queue-stats", "br0", "2", fmt.Sprint(queue))
	m := regexp.MustCompile(`port 2 queue \d+: bytes=\d+, pkts=(\d+), errors=0, duration=`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no statistics of queue %d: %s", queue, out)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestQoS sends through the queues of a port: by flows, with a DSCP, in the datapath. The queues are changed, the agent is
// killed and started again, and what they count goes on; the device is as it was at the end.
func TestQoS(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	qdisc := func() string { t.Helper(); return e.In(e.NS, "tc", "qdisc", "show", "dev", b.Port) }
	classes := func() string { t.Helper(); return e.In(e.NS, "tc", "class", "show", "dev", b.Port) }
	e.Vsctl("--", "set", "port", b.Port, "qos=@n", "--", "--id=@n", "create", "qos", "type=linux-htb", "other-config:max-rate=1000000000", "queues:1=@q", "queues:7=@r",
		"--", "--id=@q", "create", "queue", "other-config:min-rate=10000000", "dscp=10", "--", "--id=@r", "create", "queue", "other-config:max-rate=500000000")
	if out := classes(); strings.Count(out, "parent 1:fffe") != 3 {
		t.Fatalf("not three classes:\n%s", out)
	}
	want := "QoS: " + b.Port + ` linux-htb
max-rate: 1000000000

Default:
  burst: 12512
  min-rate: 12000
  max-rate: 1000000000
  tx_packets: N
  tx_bytes: N
  tx_errors: 0

Queue 1:
  burst: 12512
  min-rate: 10000000
  max-rate: 1000000000
  tx_packets: N
  tx_bytes: N
  tx_errors: 0

Queue 7:
  burst: 12512
  min-rate: 12000
  max-rate: 500000000
  tx_packets: N
  tx_bytes: N
  tx_errors: 0`
	if got := regexp.MustCompile(`(tx_packets|tx_bytes): \d+`).ReplaceAllString(strings.TrimSpace(e.Appctl("qos/show", b.Port)), "$1: N"); got != want {
		t.Errorf("qos/show:\n%s\nwant\n%s", got, want)
	}

	// Each request goes through the queue that its TOS names.
	for _, f := range []string{"nw_tos=4,actions=set_queue:1,2", "nw_tos=8,actions=enqueue:2:7", "nw_tos=12,actions=set_queue:7,pop_queue,2"} {
		e.Ofctl("add-flow", "br0", "priority=10,icmp,in_port=1,icmp_type=8,"+f)
	}
	ping := func(tos string, n int) {
		t.Helper()
		a.Run("ping", "-Q", tos, "-c", fmt.Sprint(n), "-i", "0.01", "-W", "10", "10.1.1.2")
	}
	counted := func(what, tos string, n, queue int) {
		t.Helper()
		before := map[int]int{1: queuePackets(t, e, 1), 7: queuePackets(t, e, 7)}
		ping(tos, n)
		for q, was := range before {
			want := 0
			if q == queue {
				want = n
			}
			if got := queuePackets(t, e, q) - was; got != want {
				t.Errorf("%s: %d packets more in queue %d, want %d", what, got, q, want)
			}
		}
	}
	seen := filepath.Join(e.Dir, "seen")
	b.Background("sh", "-c", "exec tcpdump -l -n -v -i eth0 'icmp[icmptype] == icmp-echo and ip[1] & 0xfc == 40' >"+seen)
	e.Eventually("the capture listens", func() error {
		if out := b.Run("cat", "/proc/net/packet"); strings.Count(strings.TrimSpace(out), "\n") == 0 {
			return errors.New("no packet socket")
		}
		return nil
	})
	counted("set_queue", "4", 20, 1)
	counted("enqueue", "8", 20, 7)
	counted("pop_queue", "12", 5, -1)
	e.Eventually("the DSCP of queue 1 has been seen", func() error {
		if out := b.Run("cat", seen); strings.Count(out, "tos 0x28") < 15 { // the first may be missed
			return errors.New(out)
		}
		return nil
	})

	// In place, and over a restart.
	q := e.Vsctl("get", "port", b.Port, "qos")
	was := queuePackets(t, e, 7)
	e.Vsctl("set", "qos", q, "other-config:max-rate=2000000000")
	if out := classes(); !strings.Contains(out, "ceil 2Gbit") || queuePackets(t, e, 7) != was {
		t.Errorf("after a change:\n%s", out)
	}
	e.Kill()
	e.Start()
	e.Eventually("the agent knows the queues", func() error {
		if out := e.Ofctl("queue-stats", "br0", "2"); strings.Count(out, "port 2 queue ") != 3 {
			return errors.New(out)
		}
		return nil
	})
	if n := queuePackets(t, e, 7); n != was {
		t.Errorf("queue 7 has sent %d packets, not %d", n, was)
	}
	for _, v := range []string{"OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		if out := e.Ofctl("-O", v, "queue-stats", "br0", "2"); strings.Count(out, "port 2 queue ") != 3 {
			t.Errorf("%s: queue-stats: %s", v, out)
		}
		if out := e.Ofctl("-O", v, "queue-get-config", "br0", "2"); !strings.Contains(out, "queue 0:\nqueue 1:\nqueue 7:") {
			t.Errorf("%s: queue-get-config: %s", v, out)
		}
	}

	// What is not known is said, and what there was stays.
	e.Vsctl("set", "qos", q, "type=egress-policer")
	e.Eventually("the refusal is in the log", func() error {
		if out := e.Run("cat", filepath.Join(e.Dir, "ovs-vswitchd.log")); !strings.Contains(out, "WARN|interface "+b.Port+": QoS egress-policer: no such type") {
			return errors.New("no word of it")
		}
		return nil
	})
	if out := qdisc(); !strings.Contains(out, "htb 1:") {
		t.Errorf("after a refusal: %s", out)
	}
	e.Vsctl("set", "qos", q, "type=linux-htb")

	// What goes while there is no agent, goes with the next one; another's stays.
	e.Kill()
	e.Vsctl("--no-wait", "clear", "port", b.Port, "qos")
	e.Start()
	e.Eventually("the qdisc of the earlier run goes", func() error {
		if out := qdisc(); strings.Contains(out, "htb") {
			return errors.New(out)
		}
		return nil
	})
	e.In(e.NS, "tc", "qdisc", "add", "dev", b.Port, "root", "handle", "1:", "htb", "default", "1")
	e.Kill()
	e.Start()
	e.Vsctl("set", "bridge", "br0", "other-config:mac-aging-time=100") // waits for the configuration
	if out := qdisc(); !strings.Contains(out, "htb 1:") {
		t.Errorf("another's qdisc is gone: %s", out)
	}
	a.Reach("10.1.1.2")
}
