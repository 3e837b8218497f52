// Package integration tests the built daemon with the stock OVS tools, real Linux stacks in
// namespaces and a real ovsdb-server.
package integration

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
