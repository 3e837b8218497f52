package integration

import (
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestMaxConnections: --ct-maxconns is how many connections there is room for, in each kind of datapath.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	d := testenv.Simulated(t, "--ct-maxconns=1234")
	d.Start()
	for name, d := range map[string]*testenv.Daemon{"eBPF": testenv.New(t, "--ct-maxconns=1234").Daemon, "simulated": d} {
		if got := strings.TrimSpace(d.Appctl("dpctl/ct-get-maxconns")); got != "1234" {
			t.Errorf("%s: %s", name, got)
		}
		d.Appctl("dpctl/ct-set-maxconns", "1000")
		if got := strings.TrimSpace(d.Appctl("dpctl/ct-get-maxconns")); got != "1000" {
			t.Errorf("%s: %s after it was lowered", name, got)
		}
	}
}
