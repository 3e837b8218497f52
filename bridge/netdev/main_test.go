package netdev

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inNetns moves the test's goroutine into a new network namespace until the test ends. It has
// no IPv6, so that no packets run but the test's.
func inNetns(t *testing.T) netns.NsHandle {
	t.Helper()
	runtime.LockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ns.Close()
		if err := netns.Set(old); err != nil {
			t.Fatal(err) // the thread stays locked, and ends with the goroutine
		}
		old.Close()
		runtime.UnlockOSThread()
	})
	noIPv6(t)
	return ns
}

func noIPv6(t *testing.T) {
	t.Helper()
	for _, conf := range []string{"default", "all"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+conf+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// ip runs ip(8) in the thread's namespace.
func ip(t *testing.T, args string) {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func newLinux(t *testing.T, instance string) *Linux {
	t.Helper()
	l, err := NewLinux(instance)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustOpen(t *testing.T, p Provider, name, typ string) Device {
	t.Helper()
	d, err := p.Open(OpenSpec{Name: name, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustInfo(t *testing.T, d Device) Info {
	t.Helper()
	i, err := d.Info()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// send puts n copies of frame on a device.
func send(t *testing.T, ifindex, n int, frame []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for range n {
		err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fds counts the process's open files.
func fds(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}
