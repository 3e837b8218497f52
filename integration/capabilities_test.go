package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// What docs/deploy gives the container is enough: on a bpffs that somebody else has mounted, the daemon makes bridges, ports and
// tunnels, forwards, and takes over what an earlier one has left.
func TestCapabilities(t *testing.T) {
	e := testenv.Prepare(t)
	fs := filepath.Join(e.Dir, "bpffs")
	if err := os.Mkdir(fs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("bpf", fs, "bpf", 0, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	e.ExternalDatabase()
	e.Program = filepath.Join(e.Dir, "few")
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+net_admin,+bpf,+perfmon,+net_raw %s \"$@\"\n",
		filepath.Join(testenv.Bin(t), "ovs-bpfd"))
	if err := os.WriteFile(e.Program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	e.Start()
	const caps = 1<<12 | 1<<13 | 1<<38 | 1<<39 // NET_ADMIN, NET_RAW, PERFMON, BPF
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	if want := fmt.Sprintf("CapEff:\t%016x\n", caps); err != nil || !strings.Contains(string(status), want) {
		t.Fatalf("status is not with %s: %v\n%s", want, err, status)
	}
	h1, h2 := e.AddHost("10.0.0.1/24"), e.AddHost("10.0.0.2/24")
	e.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf", "--", "add-port", "br0", h1.Port, "--", "add-port", "br0", h2.Port,
		"--", "add-port", "br0", "i0", "--", "set", "interface", "i0", "type=internal",
		"--", "add-port", "br0", "gnv0", "--", "set", "interface", "gnv0", "type=geneve", "options:remote_ip=127.0.0.2")
	h1.Reach("10.0.0.2")
	h1.Ping("10.0.0.2", 1000, 5)
	e.Ofctl("packet-out", "br0", fmt.Sprintf("in_port=controller packet=ffffffffffff02000000000188b5%092d actions=%s", 0, h2.Port))
	e.Kill()
	e.Start()
	h1.Ping("10.0.0.2", 1000, 5)
	for _, port := range []string{h1.Port, h2.Port, "i0", "gnv0"} {
		if got := e.Vsctl("get", "interface", port, "error"); got != "[]" {
			t.Errorf("%s: %s", port, got)
		}
	}
	log, err := os.ReadFile(filepath.Join(e.Dir, "ovs-vswitchd.log"))
	if err != nil || strings.Contains(string(log), "|WARN|") || strings.Contains(string(log), "|ERR|") {
		t.Errorf("warnings: %v\n%s", err, log)
	}
}
