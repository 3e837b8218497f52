package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// ovsCtl is an Env whose daemons the stock ovs-ctl starts and stops: our binary is ovs-vswitchd to it.
type ovsCtl struct {
	*testenv.Env
	sbin string
}

func newOvsCtl(t *testing.T) *ovsCtl {
	t.Helper()
	c := &ovsCtl{Env: testenv.Prepare(t), sbin: t.TempDir()}
	copyFile(t, filepath.Join(testenv.Bin(t), "ovs-bpfd"), filepath.Join(c.sbin, "ovs-vswitchd"))
	// The machine's kernel modules are none of this test's business.
	for _, tool := range []string{"modprobe", "rmmod"} {
		if err := os.WriteFile(filepath.Join(c.sbin, tool), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		c.Try("ovs-appctl", "-T10", "exit", "--cleanup")
		c.try("stop")
	})
	return c
}

// try runs ovs-ctl.
func (c *ovsCtl) try(args ...string) (string, int) {
	out, code := c.Try("nsenter", append([]string{"--net=/run/netns/" + c.NS, "env", "OVS_SBINDIR=" + c.sbin,
		"/usr/share/openvswitch/scripts/ovs-ctl"}, args...)...)
	return out, code
}

// run runs ovs-ctl, which must succeed.
func (c *ovsCtl) run(t *testing.T, args ...string) string {
	t.Helper()
	out, code := c.try(args...)
	if code != 0 || strings.Contains(out, "failed!") {
		t.Errorf("ovs-ctl %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// TestOvsCtl starts, asks, restarts and stops the agent with the stock scripts of Open vSwitch. Its flows are there
// again after a restart, and what they forward does not notice.
func TestOvsCtl(t *testing.T) {
	t.Parallel()
	c := newOvsCtl(t)
	start := []string{"start", "--system-id=3e8ac0f6-2b2f-4b3e-8f9c-1d5e7a1f0a11", "--no-full-hostname"}
	c.run(t, start...)
	c.Eventually("the hostname is recorded", func() error { // in the background
		if c.Vsctl("--if-exists", "get", "Open_vSwitch", ".", "external_ids:hostname") == "" {
			return fmt.Errorf("no external_ids:hostname")
		}
		return nil
	})
	if out := c.run(t, "status"); !strings.Contains(out, "ovs-vswitchd is running with pid") {
		t.Errorf("status: %s", out)
	}
	if out := c.run(t, "version"); !strings.Contains(out, "ovs-vswitchd (Open vSwitch) 3.") {
		t.Errorf("version: %s", out)
	}
	if out := c.run(t, start...); !strings.Contains(out, "ovs-vswitchd is already running") {
		t.Errorf("second start: %s", out)
	}

	a, b := c.AddHost("10.1.1.1/24"), c.AddHost("10.1.1.2/24")
	addBridge(c.Env, a, b)
	c.Vsctl("set", "bridge", "br0", "fail_mode=secure", "protocols=OpenFlow10,OpenFlow13")
	c.Ofctl("-O", "OpenFlow13", "add-flow", "br0", "cookie=0x11,priority=10,in_port=1,actions=resubmit(,5)")
	c.Ofctl("-O", "OpenFlow13", "add-flow", "br0", "cookie=0x12,priority=10,in_port=2,actions=resubmit(,5)")
	c.Ofctl("-O", "OpenFlow13", "add-flow", "br0", "cookie=0x13,table=5,priority=1,in_port=1,actions=output:2")
	c.Ofctl("-O", "OpenFlow13", "add-flow", "br0", "cookie=0x14,table=5,priority=1,in_port=2,actions=output:1")
	c.Ofctl("-O", "OpenFlow13", "add-flow", "br0", "cookie=0x15,table=7,priority=7,ip,nw_proto=2,actions=drop")
	// This one's flows are restored by a bundle, because nothing limits its protocols.
	c.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf", "fail_mode=secure")
	c.Ofctl("-O", "OpenFlow14", "add-flow", "br1", "cookie=0x21,priority=10,ip,nw_dst=10.2.0.0/16,actions=LOCAL")
	a.Reach("10.1.1.2")
	flows := func() string {
		return flowLines(c.Ofctl("-O", "OpenFlow13", "--no-stats", "dump-flows", "br0")) + flowLines(c.Ofctl("-O", "OpenFlow14", "--no-stats", "dump-flows", "br1"))
	}
	before := flows()
	for _, how := range [][]string{{"restart"}, {"force-reload-kmod"}} {
		ping := c.Background(a.NS, "ping", "-n", "-i", "0.005", "10.1.1.2")
		c.run(t, append(how, start[1:]...)...)
		if now := flows(); now != before {
			t.Errorf("%s: flows were\n%s\nand are\n%s", how, before, now)
		}
		a.Ping("10.1.1.2", 56, 10)
		if sent, lost := lostPings(t, ping()); lost != 0 {
			t.Errorf("%s: %d of %d pings lost", how, lost, sent)
		}
		if got := c.Vsctl("--if-exists", "get", "Open_vSwitch", ".", "other_config:flow-restore-wait"); got != "" {
			t.Errorf("%s: flow-restore-wait is %s", how, got)
		}
	}
	c.run(t, "stop")
	if out, code := c.try("status"); code == 0 {
		t.Errorf("status after stop: exit 0, %s", out)
	}
	a.Ping("10.1.1.2", 56, 3)
}

// flowLines are the lines of a dump without its heading.
func flowLines(dump string) string {
	var s strings.Builder
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, " ") {
			s.WriteString(line)
		}
	}
	return s.String()
}

// TestFlowRestoreWait looks at what the agent does, and does not, while flow-restore-wait is set.
func TestFlowRestoreWait(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b, other := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24"), e.AddHost("10.1.1.3/24")
	addBridge(e, a, b, other)
	e.Vsctl("set", "bridge", "br0", "fail_mode=secure")
	flow := "in_port=1,actions=output:2"
	back := "in_port=2,actions=output:1"
	e.Ofctl("add-flow", "br0", flow)
	e.Ofctl("add-flow", "br0", back)
	a.Reach("10.1.1.2")
	for _, h := range []*testenv.Host{a, b} {
		h.Run("ip", "neigh", "replace", map[*testenv.Host]string{a: "10.1.1.2", b: "10.1.1.1"}[h], "lladdr", map[*testenv.Host]string{a: b.MAC(), b: a.MAC()}[h],
			"dev", "eth0", "nud", "permanent")
	}
	a.Ping("10.1.1.2", 56, 3)
	ping := e.Background(a.NS, "ping", "-n", "-i", "0.005", "10.1.1.2")
	before := len(megaflows(e))
	e.Vsctl("--no-wait", "set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true",
		"--", "set-controller", "br0", "tcp:127.0.0.1:6653")
	e.Kill()
	e.Start()
	log := func() string { return e.Run("cat", filepath.Join(e.Dir, "ovs-vswitchd.log")) }
	if !strings.Contains(log(), "flow-restore-wait is set") {
		t.Error("the log says nothing of the wait")
	}
	// The tables are empty, and still nothing is taken back.
	e.Ofctl("add-flow", "br0", "table=9,idle_timeout=1,actions=drop")
	time.Sleep(3 * time.Second) // longer than idle_timeout, and several rounds of revalidation
	if n := len(megaflows(e)); n < before {
		t.Errorf("%d megaflows before the restart, %d while waiting", before, n)
	}
	if out := e.Ofctl("dump-flows", "br0", "table=9"); !strings.Contains(out, "idle_timeout=1") {
		t.Errorf("a flow has expired while waiting: %s", out)
	}
	if strings.Contains(log(), "6653: connecting") {
		t.Error("a controller was connected while waiting")
	}
	// No packet is taken up.
	e.Ofctl("add-flow", "br0", "in_port=3,actions=output:2")
	other.Run("ip", "neigh", "replace", "10.1.1.2", "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	other.NoReach("10.1.1.2")
	for match := range megaflows(e) {
		if strings.Contains(match, "in_port("+other.Port+")") && strings.Contains(match, "eth_type(0x0800)") {
			t.Errorf("a packet was taken up while waiting: %s", match)
		}
	}
	e.Ofctl("add-flow", "br0", flow)
	e.Ofctl("add-flow", "br0", back)
	e.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	e.Appctl("revalidator/wait")
	a.Ping("10.1.1.2", 56, 10)
	if sent, lost := lostPings(t, ping()); lost != 0 || sent < 100 {
		t.Errorf("%d of %d pings lost", lost, sent)
	}
	e.Eventually("the controller is connected", func() error {
		if !strings.Contains(log(), "6653: connecting") {
			return fmt.Errorf("not tried")
		}
		return nil
	})
	e.Eventually("the flow expires", func() error {
		if out := e.Ofctl("dump-flows", "br0", "table=9"); strings.Contains(out, "idle_timeout=1") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
