package daemon

import (
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func setGroups(groups []uint32) error {
	if len(groups) == 0 {
		return nil
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return e
	}
	return nil
}

// dieBy ends the process by a signal, so that its parent sees why. The Go runtime catches every signal and
// ignores some that nobody asked for, so the kernel's default is put back beneath it.
func dieBy(sig unix.Signal) {
	var byDefault [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags, no restorer, no mask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	_ = unix.Kill(os.Getpid(), sig)
	// The first process of a pid namespace is immune to default actions.
	time.Sleep(100 * time.Millisecond)
	os.Exit(128 + int(sig))
}

// setName makes /proc/PID/comm of the process read name: ovs-ctl recognises the daemon by it.
func setName(name string) error { return os.WriteFile("/proc/self/comm", []byte(name), 0) }

// silence points the standard descriptors at /dev/null.
func silence() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}
