package ovn

import (
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// twoPorts is a logical switch with hosts h1 (10.0.0.1) and h2 (10.0.0.2) on the first chassis.
func twoPorts(w *network) (h1, h2 *testenv.Host) {
	w.t.Helper()
	w.NB("ls-add", "ls1", "--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:00:00:01 10.0.0.1 fd00::1",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:00:00:02 10.0.0.2 fd00::2")
	c := w.first
	h1 = c.bind("p1", "02:00:00:00:00:01", "10.0.0.1/24", "fd00::1/64")
	h2 = c.bind("p2", "02:00:00:00:00:02", "10.0.0.2/24", "fd00::2/64")
	c.installed(h1)
	c.installed(h2)
	w.Sync()
	return h1, h2
}

func (c *chassis) br() (string, error) {
	out, code := c.Try("ovs-vsctl", "--timeout=5", "br-exists", "br-int")
	if code != 0 {
		return out, errNoBridge
	}
	return out, nil
}

// An unmodified ovn-controller makes a logical switch of our agent: ports become installed and up, packets pass, a wait for
// hypervisors returns; ovn-controller and the agent can be restarted under traffic.
func TestLogicalSwitch(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 1)
	defer w.end()
	w.restarts = true
	h1, h2 := twoPorts(w)
	h1.Reach("10.0.0.2")
	h1.Ping("10.0.0.2", 56, 10)
	h1.Ping("fd00::2", 1000, 10)
	if up := w.SB("get", "Port_Binding", "p1", "up"); up != "true" {
		t.Errorf("port p1 is up: %s", up)
	}
	before := strings.Count(w.first.Ofctl("-O", "OpenFlow15", "dump-flows", "br-int"), "\n")

	// Each restart under traffic of established flows.
	for _, restart := range []struct {
		what string
		do   func()
	}{
		{"ovn-controller", func() { w.first.stopController(); w.first.startController() }},
		{"the agent", func() { w.first.Kill(); w.first.Start() }},
	} {
		stop := h2.Background("ping", "-n", "-i", "0.01", "10.0.0.1")
		time.Sleep(500 * time.Millisecond) // established traffic before, and after
		restart.do()
		w.Sync()
		w.first.Eventually("flows after a restart of "+restart.what, func() error {
			if n := strings.Count(w.first.Ofctl("-O", "OpenFlow15", "dump-flows", "br-int"), "\n"); n < before {
				return errFewFlows
			}
			return nil
		})
		time.Sleep(500 * time.Millisecond)
		if out := stop(); !strings.Contains(out, " 0% packet loss") {
			t.Errorf("restart of %s: %s", restart.what, out[max(0, len(out)-400):])
		}
	}
	h1.Ping("10.0.0.2", 56, 10)
}
