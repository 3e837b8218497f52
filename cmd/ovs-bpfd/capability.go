package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// checkCapabilities says which capabilities the kernel's devices and programs need and this process lacks. It is
// asked first: of the system calls that would fail, most only say "operation not permitted".
func checkCapabilities() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&hdr, &have[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	if missing := missingCapabilities(uint64(have[1].Effective)<<32 | uint64(have[0].Effective)); len(missing) > 0 {
		return fmt.Errorf("missing capability: %s", strings.Join(missing, ", "))
	}
	return nil
}

// missingCapabilities are what a process with an effective set lacks.
func missingCapabilities(effective uint64) []string {
	has := func(c int) bool { return effective&(1<<c) != 0 }
	admin := has(unix.CAP_SYS_ADMIN)
	var missing []string
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"CAP_NET_ADMIN (network devices and programs on them)", has(unix.CAP_NET_ADMIN)},
		{"CAP_BPF (maps and programs)", has(unix.CAP_BPF) || admin},
		{"CAP_PERFMON (programs that follow pointers)", has(unix.CAP_PERFMON) || admin},
		{"CAP_NET_RAW (packets that are sent for controllers)", has(unix.CAP_NET_RAW)},
	} {
		if !c.ok {
			missing = append(missing, c.name)
		}
	}
	return missing
}
