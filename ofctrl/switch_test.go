package ofctrl

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHost is a bridge with two ports.
type fakeHost struct {
	mu         sync.Mutex
	ports      []openflow.Port
	packetOuts []*openflow.PacketOut
	frag       uint16
	changes    int
}

func newFakeHost() *fakeHost {
	return &fakeHost{ports: []openflow.Port{
		{No: 1, HWAddr: [6]byte{2, 0, 0, 0, 0, 1}, Name: "p1", Current: 1<<6 | 1<<11, CurrSpeed: 10_000_000},
		{No: 2, HWAddr: [6]byte{2, 0, 0, 0, 0, 2}, Name: "p2", Config: openflow.ConfigPortDown, State: openflow.StateLinkDown},
		{No: openflow.PortLocal, HWAddr: [6]byte{2, 0, 0, 0, 0, 0xff}, Name: "br0"},
	}}
}

func (h *fakeHost) DatapathID() uint64 { return 0x0000020000000001 }

func (h *fakeHost) Ports() []openflow.Port {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ports)
}

func (h *fakeHost) PortStats(no openflow.PortNo) []openflow.PortStats {
	var out []openflow.PortStats
	for _, p := range h.Ports() {
		if no == openflow.PortAny || no == p.No {
			out = append(out, openflow.PortStats{Port: p.No, RxPackets: 10, RxBytes: 852, TxPackets: 15, TxBytes: 1278, RxErrors: ^uint64(0)})
		}
	}
	return out
}

func (h *fakeHost) Queues(openflow.PortNo) []QueueID                         { return nil }
func (h *fakeHost) QueueStats(openflow.PortNo, uint32) []openflow.QueueStats { return nil }

func (h *fakeHost) SetPortConfig(no openflow.PortNo, config, mask uint32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.ports {
		if p := &h.ports[i]; p.No == no {
			p.Config = p.Config&^mask | config&mask
		}
	}
	return nil
}

func (h *fakeHost) PacketOut(m *openflow.PacketOut) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.packetOuts = append(h.packetOuts, m)
	return nil
}

func (h *fakeHost) Resume(*openflow.Resume, *openflow.Continuation) error {
	return openflow.NXResumeStale
}

func (h *fakeHost) SetFragHandling(mode uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.frag = mode
}

// tableChanges is how many times the tables changed.
func (h *fakeHost) tableChanges() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changes
}

func (h *fakeHost) TablesChanged() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes++
}

// bench is a switch at work with what surrounds it.
type bench struct {
	*Switch
	t      *testing.T
	host   *fakeHost
	tables *table.Tables
	meters *datapath.Meters
	mu     sync.RWMutex
	dir    string
	clock  *clock.Manual // nil: real time
	logged syncBuffer
}

// syncBuffer collects log lines from many goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newBench starts a switch; with manual its clock stands still until it is moved.
func newBench(t *testing.T, manual bool, change func(*Options)) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "ofctrl") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{t: t, host: newFakeHost(), dir: dir}
	var c clock.Clock = clock.Real{}
	if manual {
		b.clock = clock.NewManual(time.Unix(1_000_000, 0))
		c = b.clock
	}
	log := logrus.New()
	log.SetOutput(&b.logged)
	b.tables = table.New(table.Options{Clock: c, Mu: &b.mu})
	dp := soft.New(soft.Options{Clock: c})
	t.Cleanup(func() { dp.Close(true) })
	b.meters = datapath.NewMeters(dp)
	o := Options{Meters: b.meters, Bridge: "br0", RunDir: dir, Mu: &b.mu, Tables: b.tables, Host: b.host, Log: logrus.NewEntry(log), Clock: c}
	if change != nil {
		change(&o)
	}
	b.Switch = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b.wait("the service socket", func() bool {
		nc, err := net.Dial("unix", b.mgmt())
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return b
}

func (b *bench) mgmt() string { return filepath.Join(b.dir, "br0.mgmt") }

// wait polls until the condition holds.
func (b *bench) wait(what string, ok func() bool) {
	b.t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.t.Fatalf("waited for %s in vain; log:\n%s", what, b.logged.String())
}

// advance moves the clock in steps until the condition holds.
func (b *bench) advance(step time.Duration, what string, ok func() bool) {
	b.t.Helper()
	b.wait(what, func() bool {
		if ok() {
			return true
		}
		b.clock.Advance(step)
		return false
	})
}

// ofctl runs ovs-ofctl; BR in args is the switch. It returns standard output and error with what
// differs from run to run cut out.
func (b *bench) ofctl(args ...string) string {
	b.t.Helper()
	args = slices.Clone(args)
	for i, a := range args {
		if a == "BR" {
			args[i] = "unix:" + b.mgmt()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), ofctlTimeout)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "ovs-ofctl", args...).CombinedOutput()
	if ctx.Err() != nil {
		b.t.Fatalf("ovs-ofctl %s is not done after %v: %s", args, ofctlTimeout, out)
	}
	return clean(string(out))
}

// ofctlTimeout only ends what hangs: 100,000 flow mods take half a minute under the race detector on a busy machine.
const ofctlTimeout = 5 * time.Minute

var varying = regexp.MustCompile(`duration=[0-9.]+s, |idle_age=\d+, |hard_age=\d+, | \(xid=0x[0-9a-f]+\)|(?m)^\d{4}-\d\d-\d\dT\S+\|`)

func clean(s string) string { return strings.TrimRight(varying.ReplaceAllString(s, ""), "\n") }
