package ebpf

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// lab is a network namespace for the switch, in which the test's goroutine is, and one for
// each host.
type lab struct {
	t     *testing.T
	name  string
	hosts map[string]netns.NsHandle
}

var labCount int

func newLab(t *testing.T) *lab {
	t.Helper()
	runtime.LockOSThread()
	orig, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	labCount++
	l := &lab{t: t, name: fmt.Sprintf("obt%d-%d", os.Getpid(), labCount), hosts: map[string]netns.NsHandle{}}
	l.sh("ip netns add " + l.name)
	t.Cleanup(func() {
		if err := netns.Set(orig); err != nil {
			t.Fatal(err)
		}
		orig.Close()
		runtime.UnlockOSThread()
		for h, ns := range l.hosts {
			ns.Close()
			exec.Command("ip", "netns", "del", l.name+h).Run()
		}
		exec.Command("ip", "netns", "del", l.name).Run()
	})
	ns, err := netns.GetFromName(l.name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	l.sh("ip link set lo up")
	return l
}

// sh runs a command in the switch's namespace and wants it to succeed.
func (l *lab) sh(cmd string) string {
	l.t.Helper()
	out, err := exec.Command("sh", "-c", cmd).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// host makes a host: a namespace with e0 (address 10.0.0.<n>, fd00::<n>), whose peer is the
// switch's device of the host's name.
func (l *lab) host(name string, n int) {
	l.t.Helper()
	ns := l.name + name
	l.sh("ip netns add " + ns)
	h, err := netns.GetFromName(ns)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hosts[name] = h
	l.sh(fmt.Sprintf("ip link add %s type veth peer name e0 netns %s", name, ns))
	l.sh(fmt.Sprintf("ip link set %s up", name))
	l.in(name, fmt.Sprintf("sysctl -qw net.ipv6.conf.e0.accept_dad=0; ip link set lo up; ip link set e0 address 02:00:00:00:00:%02x; ip addr add 10.0.0.%d/24 dev e0; ip addr add fd00::%x/64 dev e0 nodad; ip link set e0 up", n, n, n))
}

// in runs a command in a host and wants it to succeed.
func (l *lab) in(host, cmd string) string {
	l.t.Helper()
	out, err := l.try(host, cmd)
	if err != nil {
		l.t.Fatalf("%s: %s: %v\n%s", host, cmd, err, out)
	}
	return out
}

func (l *lab) try(host, cmd string) (string, error) {
	out, err := exec.Command("ip", "netns", "exec", l.name+host, "sh", "-c", cmd).CombinedOutput()
	return string(out), err
}

// start runs a command in a host until the test ends.
func (l *lab) start(host string, args ...string) *exec.Cmd {
	l.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.name + host}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// packetSocket opens a raw socket on a host's device.
func (l *lab) packetSocket(host string) int {
	l.t.Helper()
	here, err := netns.Get()
	if err != nil {
		l.t.Fatal(err)
	}
	defer here.Close()
	defer netns.Set(here)
	if err := netns.Set(l.hosts[host]); err != nil {
		l.t.Fatal(err)
	}
	dev, err := net.InterfaceByName("e0")
	if err != nil {
		l.t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(bits.ReverseBytes16(unix.ETH_P_ALL)))
	if err != nil {
		l.t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: dev.Index, Protocol: bits.ReverseBytes16(unix.ETH_P_ALL)}); err != nil {
		l.t.Fatal(err)
	}
	return fd
}

// pins makes a pin directory on a bpffs of the test's own.
func (l *lab) pins() string {
	l.t.Helper()
	dir := l.t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return filepath.Join(dir, "dp")
}

func small() Options {
	return Options{Name: "test", MaxFlows: 4096, MaxConns: 4096, MaxPorts: 64, RingBytes: 1 << 20, Handlers: 1}
}

func (l *lab) open(o Options) *Datapath {
	l.t.Helper()
	d, err := Open(context.Background(), o)
	if err != nil {
		l.t.Fatalf("%+v", err)
	}
	return d
}

func (l *lab) port(d *Datapath, name string, kind datapath.PortKind) odp.Port {
	l.t.Helper()
	n, err := d.PortAdd(datapath.PortSpec{Name: name, Kind: kind, Type: "system", Number: odp.PortNone})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// learner is a tiny learning switch: it installs a flow per in_port, addresses and type.
type learner struct {
	d     *Datapath
	ports []odp.Port

	mu      sync.Mutex
	macs    map[uint64]odp.Port
	errs    []error
	misses  int
	gso     int
	biggest int
	noFlows bool
}

func learn(d *Datapath, ports ...odp.Port) *learner {
	l := &learner{d: d, ports: ports, macs: map[uint64]odp.Port{}}
	d.Handle(l.handle)
	return l
}

func (l *learner) handle(up *datapath.Upcall) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.misses++
	if up.Packet.GSO.Size > 0 {
		l.gso++
	}
	l.biggest = max(l.biggest, len(up.Packet.Data))
	k := &up.Key
	in := odp.Port(k.Get(flow.InPort))
	l.macs[k.Get(flow.EthSrc)] = in
	var acts []odp.Action
	out, known := l.macs[k.Get(flow.EthDst)]
	if known {
		acts = append(acts, odp.Output{Port: out})
	} else {
		for _, p := range l.ports {
			if p != in {
				acts = append(acts, odp.Output{Port: p})
			}
		}
	}
	if known && !l.noFlows {
		f := datapath.Flow{Actions: acts}
		for _, id := range []flow.FieldID{flow.InPort, flow.RecircID, flow.EthSrc, flow.EthDst, flow.EthType, flow.VLANTCI} {
			f.Match.Key.SetBytes(id, k.GetBytes(id, nil))
			f.Match.Mask.SetExact(id)
		}
		if _, err := l.d.FlowPut(&f); err != nil {
			l.errs = append(l.errs, err)
		}
	}
	if err := l.d.Execute(&up.Packet, k, acts); err != nil {
		l.errs = append(l.errs, err)
	}
}

func (l *learner) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.errs {
		t.Error(err)
	}
}

func dumpState(t *testing.T, d *Datapath) {
	t.Helper()
	st, err := d.Stats()
	t.Logf("stats %+v %v", st, err)
	ps, _ := d.Ports()
	for _, p := range ps {
		t.Logf("port %d %s %+v", p.Number, p.Name, p.Stats)
	}
	dr, _ := d.Drops()
	t.Logf("drops %+v", dr)
	d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, s datapath.FlowStats) bool {
		t.Logf("flow in %d dst %012x type %04x: %v %+v", f.Match.Key.Get(flow.InPort), f.Match.Key.Get(flow.EthDst), f.Match.Key.Get(flow.EthType), f.Actions, s)
		return true
	})
}

func unmount(dir string) { unix.Unmount(dir, unix.MNT_DETACH) }

func contains(s, sub string) bool { return strings.Contains(s, sub) }
