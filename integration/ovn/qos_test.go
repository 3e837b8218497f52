package ovn

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The rate of a logical port: ovn-controller 23.03 makes the qdisc of the egress device itself and says so by a QoS row
// of type linux-noop; the switch puts the port's packets into the queue and leaves the qdisc alone, also when it starts anew.
func TestQueues(t *testing.T) {
	w := newNetwork(t, 1)
	defer w.end()
	c, phys, dev := w.first, w.physical(), "eth1"
	w.restarts = true
	c.Vsctl("set", "interface", dev, "external_ids:ovn-egress-iface=true")
	w.NB("ls-add", "ls1", "--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11",
		"--", "lsp-add", "ls1", "ln", "", "42", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown",
		"--", "lsp-set-options", "ln", "network_name=phys")
	h := w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "", "", "")
	w.installed(h)
	out := phys.host("out")
	out.Run("ip", "addr", "add", "10.1.0.1/24", "dev", "eth0")
	out.Tag([2]uint16{0x8100, 42})
	w.reach("without a rate", h.Host, "10.1.0.1")
	w.NB("set", "logical_switch_port", "p1", "options:qos_max_rate=800000000", "options:qos_min_rate=200000000", "options:qos_burst=900000000")
	w.Sync()

	id := ""
	c.Eventually("the queue's number", func() error {
		if id = strings.Trim(w.SB("get", "port_binding", "p1", "options:qdisc_queue_id"), `"`); id == "" {
			return errors.New("there is none")
		}
		return nil
	})
	n, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	class := fmt.Sprintf("1:%x", n+1)
	packets := func() int {
		t.Helper()
		m := regexp.MustCompile(`class htb ` + class + ` (?s:.*?)Sent \d+ bytes (\d+) pkt`).FindStringSubmatch(c.In(c.NS, "tc", "-s", "class", "show", "dev", dev))
		if m == nil {
			return -1
		}
		sent, _ := strconv.Atoi(m[1])
		return sent
	}
	c.Eventually("the class "+class, func() error {
		if packets() < 0 {
			return errors.New(c.In(c.NS, "tc", "class", "show", "dev", dev))
		}
		return nil
	})
	c.Eventually("linux-noop", func() error {
		if got := c.Vsctl("get", "qos", c.Vsctl("get", "port", dev, "qos"), "type"); got != "linux-noop" {
			return errors.New(got)
		}
		return nil
	})
	queued := func(when string) {
		t.Helper()
		c.Eventually(when, func() error {
			before := packets()
			h.Run("ping", "-n", "-c", "5", "-i", "0.05", "-W", "5", "10.1.0.1")
			if got := packets() - before; got < 5 {
				return fmt.Errorf("%d of 5 packets went through the queue:\n%s", got, c.In(c.NS, "tc", "-s", "class", "show", "dev", dev))
			}
			return nil
		})
	}
	queued("packets of the port are in its queue")
	was := packets()
	// ovn-controller must not see that its database goes, which here goes with the agent: it deletes its qdisc then.
	c.stopController()
	c.Kill()
	c.Start()
	if now := packets(); now < was {
		t.Errorf("the class has counted %d packets, and has %d after a restart", was, now)
	}
	c.startController()
	w.reach("after a restart of the agent", h.Host, "10.1.0.1")
	queued("after a restart of the agent")
	w.NB("clear", "logical_switch_port", "p1", "options")
	c.Eventually("ovn-controller takes the class away", func() error {
		if packets() >= 0 {
			return errors.New(c.In(c.NS, "tc", "class", "show", "dev", dev))
		}
		return nil
	})
	w.reach("without a rate again", h.Host, "10.1.0.1")
}
