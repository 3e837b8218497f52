package coverage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

func newRegistry(names ...string) (*Registry, *clock.Manual) {
	c := clock.NewManual(time.Unix(0, 0))
	return NewRegistry(c, names...), c
}

// TestShow has the columns of a recorded ovs-vswitchd (its seq_change, bridge_reconfigure and a long name).
func TestShow(t *testing.T) {
	r, _ := newRegistry("txn_error")
	seq, br := r.New("seq_change"), r.New("bridge_reconfigure")
	long := uint64(1)
	r.Func("datapath_drop_upcall_error", func() uint64 { return long })
	br.Add(3)
	seq.Add(16443)
	r.Sample() // bridge_reconfigure, datapath_drop and most of seq_change are of an earlier slot
	seq.Add(5184)
	r.Sample()
	body := r.Show()
	head, rest, _ := strings.Cut(body, "\n")
	if !strings.HasPrefix(head, "Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=") || len(head) != 86 {
		t.Errorf("%q", head)
	}
	want := "bridge_reconfigure         0.0/sec     0.050/sec        0.0008/sec   total: 3\n" +
		"datapath_drop_upcall_error   0.0/sec     0.017/sec        0.0003/sec   total: 1\n" +
		"seq_change               1036.8/sec   360.450/sec        6.0075/sec   total: 21627\n" +
		"1 events never hit\n"
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Error(diff)
	}
}

func TestRates(t *testing.T) {
	r, _ := newRegistry()
	c := r.New("x")
	// One event per second for two hours: each rate is 1 once its window is full.
	for range 2 * 60 * 12 {
		c.Add(5)
		r.Sample()
	}
	if !strings.Contains(r.Show(), "x                          1.0/sec     1.000/sec        1.0000/sec   total: 7200\n") {
		t.Error(r.Show())
	}
	// Then none: the windows run empty one after the other.
	for i := 1; i <= 60*12; i++ {
		r.Sample()
		fields := strings.Fields(strings.Split(r.Show(), "\n")[1])
		minute := max(0, 1-float64(i)/12)
		if fields[1] != "0.0/sec" || fields[2] != fmt.Sprintf("%.3f/sec", minute) {
			t.Fatalf("after %d slots: %v", i, fields)
		}
	}
	if !strings.Contains(r.Show(), "x                          0.0/sec     0.000/sec        0.0000/sec   total: 7200\n") {
		t.Error(r.Show())
	}
}

func TestRun(t *testing.T) {
	r, c := newRegistry()
	x := r.New("x")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	x.Add(50)
	for !strings.Contains(r.Show(), " 10.0/sec") {
		c.Advance(slot)
		x.Add(50)
		time.Sleep(time.Millisecond) // lets Run see the clock; the loop ends by what it counts
	}
	cancel()
	<-done
}

func TestCounters(t *testing.T) {
	r, _ := newRegistry(StockNames()...)
	a, b := r.New("xlate_actions"), r.New("xlate_actions")
	a.Inc()
	b.Add(2)
	if n, ok := r.Total("xlate_actions"); n != 3 || !ok {
		t.Error(n, ok)
	}
	if n, ok := r.Total("txn_success"); n != 0 || !ok {
		t.Error(n, ok)
	}
	if _, ok := r.Total("nosuch"); ok {
		t.Error("nosuch is known")
	}
	if !strings.HasSuffix(r.Show(), fmt.Sprintf("\n%d events never hit\n", len(StockNames())-1)) {
		t.Error(r.Show())
	}
}

type commands map[string]func(context.Context, []string, func(string, error))

func (c commands) Register(name, _ string, _, _ int, h func(context.Context, []string, func(string, error))) {
	c[name] = h
}

func TestCommands(t *testing.T) {
	r, _ := newRegistry()
	r.New("bridge_reconfigure").Add(19)
	var m Memory
	m.Register(func(add func(string, uint64)) { add("rules", 4); add("ports", 10) })
	m.Register(func(add func(string, uint64)) { add("udpif keys", 8); add("rules", 6); add("meters", 0) })
	cs := commands{}
	r.RegisterCommands(cs)
	m.RegisterCommands(cs)
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"coverage/read-counter", []string{"bridge_reconfigure"}, "19 <nil>"},
		{"coverage/read-counter", []string{"x"}, " No such counter"},
		{"memory/show", nil, "ports:10 rules:10 udpif keys:8 <nil>"},
		{"coverage/show", nil, r.Show() + " <nil>"},
	} {
		cs[tc.name](context.Background(), tc.args, func(text string, err error) {
			if got := fmt.Sprint(text, " ", err); got != tc.want {
				t.Errorf("%s %q: got %q, want %q", tc.name, tc.args, got, tc.want)
			}
		})
	}
}
