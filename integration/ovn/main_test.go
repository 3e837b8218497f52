// Package ovn tests the daemon as the switch of an unmodified OVN.
package ovn

import (
	"os"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.CleanupBin()
	os.Exit(code)
}
