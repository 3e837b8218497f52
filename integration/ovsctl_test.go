package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if code != 0 || strings.Contains(out, "failed") {
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
	a.Reach("10.1.1.2")
	flows := func() string { return sortedFlows(c.Ofctl("-O", "OpenFlow13", "--no-stats", "dump-flows", "br0")) }
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

// sortedFlows are the lines of a dump without its heading.
func sortedFlows(dump string) string {
	var lines []string
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, " ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, "\n")
}
