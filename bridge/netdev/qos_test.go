package netdev

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tc runs tc(8) in the thread's namespace and returns its lines in order.
func tc(t *testing.T, args string) string {
	t.Helper()
	out, err := exec.Command("tc", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("tc %s: %v: %s", args, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func expectTC(t *testing.T, what, args, want string) {
	t.Helper()
	if d := cmp.Diff(want, tc(t, args)); d != "" {
		t.Errorf("%s: tc %s (-want +got):\n%s", what, args, d)
	}
}

func openVeth(t *testing.T, l *Linux, adopted bool) *linuxDevice {
	t.Helper()
	d, err := l.Open(OpenSpec{Name: "q1", Type: System, Adopted: adopted})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*linuxDevice)
}

// sendPriority sends n frames of 100 bytes with a priority.
func sendPriority(t *testing.T, ifindex, priority, n int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, priority); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 100)
	frame[12], frame[13] = 0x88, 0xb5
	for range n {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
			t.Fatal(err)
		}
	}
}

// The qdiscs and classes, as tc(8) shows those that OVS 3.1 makes of the same rows.
func TestHTB(t *testing.T) {
	inNetns(t)
	ip(t, "link add q1 type veth peer name q2")
	ip(t, "link set q1 up")
	ip(t, "link set q2 up")
	l := newLinux(t, "htb")
	d := openVeth(t, l, false)
	set := func(q *QoS) {
		t.Helper()
		if err := d.SetQoS(q); err != nil {
			t.Fatal(err)
		}
	}
	const none = "qdisc noqueue 0: root refcnt 2"
	full := func() *QoS {
		return &QoS{Type: "linux-htb", Options: map[string]string{"max-rate": "1000000000"}, Queues: map[uint32]map[string]string{
			0: {"min-rate": "10000000", "max-rate": "20000000"},
			1: {"max-rate": "5000000", "burst": "200000", "priority": "3"},
			7: {},
		}}
	}
	set(full())
	expectTC(t, "linux-htb", "-d qdisc show dev q1", "qdisc htb 1: root refcnt 3 r2q 10 default 0x1 direct_packets_stat 0 ver 3.17 direct_qlen 1000")
	const (
		class0 = "class htb 1:1 parent 1:fffe prio 0 quantum 125000 rate 10Mbit ceil 20Mbit linklayer ethernet burst 1563b/1 mpu 60b cburst 1562b/1 mpu 60b level 0\n"
		class1 = "class htb 1:2 parent 1:fffe prio 3 quantum 1500 rate 12Kbit ceil 5Mbit linklayer ethernet burst 24999b/1 mpu 60b cburst 25000b/1 mpu 60b level 0\n"
		class7 = "class htb 1:8 parent 1:fffe prio 0 quantum 1500 rate 12Kbit ceil 1Gbit linklayer ethernet burst 1563b/1 mpu 60b cburst 1500b/1 mpu 60b level 0\n"
		root   = "class htb 1:fffe root rate 1Gbit ceil 1Gbit linklayer ethernet burst 1375b/1 mpu 60b cburst 1375b/1 mpu 60b level 7"
	)
	expectTC(t, "linux-htb", "-d class show dev q1", class0+class1+class7+root)
	for _, want := range []string{"tokens: 16291666 ctokens: 195", "tokens: 187 ctokens: 187", "tokens: 19550 ctokens: 9775", "tokens: 260416666 ctokens: 625000"} {
		if got := tc(t, "-s class show dev q1"); !strings.Contains(got, want) {
			t.Errorf("no class with %q:\n%s", want, got)
		}
	}
	typ, opts, queues := d.QoS()
	if d := cmp.Diff([]any{typ, opts, queues}, []any{"linux-htb", []Option{{"max-rate", "1000000000"}}, []Queue{
		{0, []Option{{"burst", "12512"}, {"min-rate", "10000000"}, {"max-rate", "20000000"}}},
		{1, []Option{{"burst", "200000"}, {"priority", "3"}, {"min-rate", "12000"}, {"max-rate", "5000000"}}},
		{7, []Option{{"burst", "12512"}, {"min-rate", "12000"}, {"max-rate", "1000000000"}}},
	}}); d != "" {
		t.Error(d)
	}

	// Changes are made in place: what counts goes on counting.
	sendPriority(t, d.ifindex, 0x10002, 5)
	sendPriority(t, d.ifindex, 0, 3)
	counts := func(want ...QueueStats) {
		t.Helper()
		got, err := d.QueueStats()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	counts(QueueStats{0, 3, 300, 0}, QueueStats{1, 5, 500, 0}, QueueStats{Queue: 7})
	q := full()
	delete(q.Queues, 7)
	q.Queues[1]["max-rate"] = "6000000"
	set(q)
	set(q)
	counts(QueueStats{0, 3, 300, 0}, QueueStats{1, 5, 500, 0})
	changed := strings.Replace(class1, "5Mbit", "6Mbit", 1)
	got := tc(t, "-d class show dev q1")
	if !strings.Contains(got, "ceil 6Mbit") || strings.Contains(got, "1:8") || !strings.HasPrefix(got, class0) {
		t.Errorf("after a change:\n%s\nwant like %s", got, changed)
	}

	// The next run takes it over as it is, and in place; without QoS it takes it away.
	d.Close()
	d = openVeth(t, l, true)
	q.Queues[2] = nil
	set(q)
	counts(QueueStats{0, 3, 300, 0}, QueueStats{1, 5, 500, 0}, QueueStats{Queue: 2})
	d.Close()
	d = openVeth(t, l, true)
	set(nil)
	expectTC(t, "without QoS after a restart", "qdisc show dev q1", none)

	// Without queues there is one; the device's speed is the rate.
	set(&QoS{Type: "linux-htb"})
	expectTC(t, "defaults", "-d class show dev q1", "class htb 1:1 parent 1:fffe prio 0 quantum 1500 rate 12Kbit ceil 10Gbit linklayer ethernet burst 1563b/1 mpu 60b cburst 1250b/1 mpu 60b level 0\n"+
		"class htb 1:fffe root rate 10Gbit ceil 10Gbit linklayer ethernet burst 1250b/1 mpu 60b cburst 1250b/1 mpu 60b level 7")
	set(&QoS{Type: "linux-htb", Options: map[string]string{"max-rate": "80000000000"}})
	if got := tc(t, "class show dev q1"); !strings.Contains(got, "ceil 80Gbit") {
		t.Errorf("more than 32 bits of bytes:\n%s", got)
	}
	set(nil)
	expectTC(t, "without QoS", "qdisc show dev q1", none)
	set(full())
	set(&QoS{Type: QoSNoop})
	expectTC(t, "what was ours, with linux-noop", "qdisc show dev q1", none)

	// What cannot be leaves what there is.
	set(full())
	for _, x := range []struct {
		q    QoS
		want string
	}{
		{QoS{Type: "egress-policer"}, "QoS egress-policer: no such type (this switch has ["},
		{QoS{Type: "linux-htb", Options: map[string]string{"max-rate": "fast"}}, `max-rate is "fast", no number`},
		{QoS{Type: "linux-htb", Queues: map[uint32]map[string]string{3: {"burst": "-1"}}}, `queue 3: burst is "-1", no number`},
		{QoS{Type: "linux-htb", Queues: map[uint32]map[string]string{0xf000: nil}}, "queue 61440: numbers are below 61440"},
		{QoS{Type: "linux-sfq", Queues: map[uint32]map[string]string{1: nil}}, "this type has no queues"},
	} {
		if err := d.SetQoS(&x.q); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%v: error %v, want %q", x.q, err, x.want)
		}
		expectTC(t, "after a refusal", "-d class show dev q1", class0+class1+class7+root)
	}

	// Released, the device is as it was.
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	expectTC(t, "released", "qdisc show dev q1", none)
}

// Qdiscs that others made are theirs.
func TestForeignQdisc(t *testing.T) {
	inNetns(t)
	ip(t, "link add q1 type veth peer name q2")
	ip(t, "link set q1 up")
	ip(t, "link set q2 up")
	l := newLinux(t, "foreign")
	for _, x := range []struct {
		add  string
		noop bool
	}{
		{"root handle 5: tbf rate 1mbit burst 10kb latency 50ms", false},
		{"root handle 1: tbf rate 1mbit burst 10kb latency 50ms", false},
		{"root handle 1: htb default 1", false},
		{"root handle 1: htb default 1", true},
	} {
		tc(t, "qdisc add dev q1 "+x.add)
		if x.noop { // as ovn-controller 23.03 does: OVS's form, and it is not ours
			tc(t, "class add dev q1 parent 1: classid 1:fffe htb rate 1mbit")
		}
		before := tc(t, "qdisc show dev q1")
		for _, adopted := range []bool{false, true} {
			d := openVeth(t, l, adopted)
			var q *QoS
			if x.noop {
				q = &QoS{Type: QoSNoop}
			}
			for range 2 {
				if err := d.SetQoS(q); err != nil {
					t.Fatal(err)
				}
			}
			expectTC(t, "without QoS", "qdisc show dev q1", before)
			if err := d.Release(); err != nil {
				t.Fatal(err)
			}
			expectTC(t, "released", "qdisc show dev q1", before)
		}
		// QoS takes its place, and goes.
		d := openVeth(t, l, false)
		if err := d.SetQoS(&QoS{Type: "linux-htb"}); err != nil {
			t.Fatal(err)
		}
		if got := tc(t, "class show dev q1"); !strings.Contains(got, "1:1 parent 1:fffe") {
			t.Errorf("in place of %s: %s", x.add, got)
		}
		if err := d.Release(); err != nil {
			t.Fatal(err)
		}
		expectTC(t, "released", "qdisc show dev q1", "qdisc noqueue 0: root refcnt 2")
	}
}

// What a kernel lacks is named, and nothing is left of the attempt.
func TestNoSuchQdisc(t *testing.T) {
	inNetns(t)
	ip(t, "link add q1 type veth peer name q2")
	ip(t, "link set q1 up")
	ip(t, "link set q2 up")
	d := openVeth(t, newLinux(t, "lacking"), false)
	defer d.Release()
	_, err := d.install(&shaping{typ: "linux-nosuch", kernel: "nosuch"})
	if err == nil || !strings.HasPrefix(err.Error(), "the kernel has no qdisc nosuch (module sch_nosuch): ") {
		t.Errorf("error %v", err)
	}
	expectTC(t, "after the attempt", "qdisc show dev q1", "qdisc noqueue 0: root refcnt 2")
}
