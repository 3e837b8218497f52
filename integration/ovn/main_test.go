// Package ovn tests the daemon as the switch of an unmodified OVN.
package ovn

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestMain(m *testing.M) {
	// Tests wait more than they work: on a few CPUs more of them can run at once.
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		flag.Set("test.parallel", "4")
	}
	code := m.Run()
	testenv.CleanupBin()
	os.Exit(code)
}
