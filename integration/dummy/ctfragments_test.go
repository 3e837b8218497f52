package dummy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestFragmentCommands has the commands about IP fragments answer as those of the stock daemon, except that there is
// no least size by default.
func TestFragmentCommands(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	least := regexp.MustCompile(`min (v[46]) frag size: (0|1200|1280)\n`)
	for _, s := range []*sim{ours, stock} {
		s.addBridge("br0")
	}
	for _, command := range []string{
		"get-status", "get-status dummy@ovs-dummy", "get-status -m", "get-status x", "set-disabled v4", "set-disabled dummy@ovs-dummy v6", "get-status",
		"set-enabled v4", "set-enabled v6", "set-enabled v5", "set-enabled", "set-disabled v7", "set-max-nfrags 500", "set-max-nfrags 5001", "set-max-nfrags x",
		"set-max-nfrags dummy@ovs-dummy 5000", "get-status", "set-min-frag v4 399", "set-min-frag v4 x", "set-min-frag v9 500", "set-min-frag v4", "set-min-frag v4 800",
		"set-min-frag dummy@ovs-dummy v6 70000", "get-status",
	} {
		answer := func(s *sim) string {
			out, code := s.Try("ovs-appctl", strings.Fields("dpctl/ipf-"+command)...)
			if code != 0 {
				out = strings.Split(out, "\n")[0]
			}
			return fmt.Sprintf("%d %s", code, least.ReplaceAllString(out, "min $1\n"))
		}
		if diff := cmp.Diff(answer(stock), answer(ours)); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s", command, diff)
		}
	}
	ours.Appctl("dpctl/ipf-set-max-nfrags", "0")
	ours.contains("status", ours.Appctl("dpctl/ipf-get-status"), "max num frags (v4/v6): 0", "min v4 frag size: 800", "min v6 frag size: 70000")
	if out, code := ours.Try("ovs-appctl", "dpctl/ipf-set-enabled", "dummy@ovs-dummy"); code != 2 || !strings.Contains(out, "parameter missing") {
		t.Errorf("without a version: %d %s", code, out)
	}
}
