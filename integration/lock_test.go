package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestStolenLock takes the database's lock away: the daemon lets go, forwarding goes on, and it takes over
// again when the thief is gone.
func TestStolenLock(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	b := e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	log := func() string {
		text, _ := os.ReadFile(filepath.Join(e.Dir, "ovs-vswitchd.log"))
		return string(text)
	}
	thief := e.Background(e.NS, "ovsdb-client", "steal", "unix:"+filepath.Join(e.Dir, "db.sock"), "ovs_vswitchd")
	e.Eventually("the daemon lets go", func() error {
		if !strings.Contains(log(), "another ovs-vswitchd process is running, disabling this process") {
			return fmt.Errorf("log: %s", log())
		}
		return nil
	})
	e.Eventually("it has no bridges", func() error {
		if out, code := e.Try("ovs-appctl", "bridge/dump-flows", "br0"); code != 2 || !strings.HasPrefix(out, "Unknown bridge\n") {
			return fmt.Errorf("bridge/dump-flows: %s", out)
		}
		return nil
	})
	if out := e.Appctl("bridge/reconnect"); out != "" {
		t.Errorf("bridge/reconnect: %s", out)
	}
	a.Ping("10.1.1.2", 56, 10)
	thief()
	e.Eventually("the daemon takes over again", func() error {
		out, code := e.Try("ovs-vsctl", "--timeout=3", "set", "bridge", "br0", "external_ids:again=yes")
		if code != 0 {
			return fmt.Errorf("ovs-vsctl: %s", out)
		}
		return nil
	})
	e.Eventually("commands work", func() error {
		if out, _ := e.Try("ovs-appctl", "dpif/show"); !strings.Contains(out, "br0") {
			return fmt.Errorf("dpif/show: %s", out)
		}
		return nil
	})
	a.Ping("10.1.1.2", 56, 10)
}
