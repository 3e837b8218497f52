package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.CleanupBin()
	os.Exit(code)
}

// TestBench runs one small round of everything: each forwarder forwards, each metric measures. What the
// values are is no matter.
func TestBench(t *testing.T) {
	var out, lines bytes.Buffer
	o := &options{
		daemon: filepath.Join(testenv.Bin(t), "ovs-bpfd"), rounds: 1, time: 100 * time.Millisecond, // a busy machine gives no CPU for 10 ms
		setUps: 1000, tcpBytes: 2 << 20, rules: 5000, switches: 3, packetOuts: 500, out: &out, lines: &lines,
	}
	if err := bench(context.Background(), o); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
	got := map[string]int{}
	for dec := json.NewDecoder(&lines); dec.More(); {
		var r record
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		// A translation's time is a difference, which noise can turn round where so few are measured.
		if r.Value <= 0 && r.Series.Unit != "fraction" && r.Series.Name != "translation" {
			t.Errorf("%s of %s: %v", r.Series.Name, r.Forwarder, r.Value)
		}
		if r.Series.Unit == "fraction" && r.Value > 0.5 {
			t.Errorf("%s of %s: %v", r.Series.Name, r.Forwarder, r.Value)
		}
		got[r.Series.Name]++
	}
	want := map[string]int{}
	for _, m := range metrics() {
		for _, s := range m.series {
			want[s.Name] = len(forwarders())
			if m.ctl {
				want[s.Name] = 2
			}
			if m.ct || m.tunnel {
				want[s.Name] = 3
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("forwarders measured (-want +got):\n%s", d)
	}
	if left, _ := filepath.Glob("/run/netns/obb*"); len(left) > 0 {
		for _, ns := range left {
			if strings.Contains(ns, netnsPrefix()) {
				t.Errorf("%s is left", ns)
			}
		}
	}
}

func TestRatio(t *testing.T) {
	var out bytes.Buffer
	r := newReport(nil, []string{"direct", ours})
	s := series{Name: "x", Unit: "packets/s"}
	for round, v := range [][2]float64{{100, 50}, {200, 180}, {10, 8}, {0, 7}} {
		for i, f := range []string{"direct", ours} {
			if err := r.add(record{Round: round, Series: s, Forwarder: f, Value: v[i]}); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, ok := r.ratio("x", "direct")
	if want := (ratio{0.5, 0.8, 0.9, 3}); !ok || got != want {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	if _, ok := r.ratio("x", "bridge"); ok {
		t.Error("a ratio to what was not measured")
	}
	if err := r.write(&out); err != nil || !strings.Contains(out.String(), "0.80 (0.50..0.90)") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestFrames(t *testing.T) {
	got := frames(2, func(i int) header {
		return header{src: [4]byte{10, 82, 0, byte(i)}, srcPort: 1024, dstPort: 9999, ttl: 64}
	})[frameLen:]
	want := make([]byte, frameLen)
	copy(want, []byte{
		2, 0, 0, 0, 0x77, 2, 2, 0, 0, 0, 0x77, 1, 8, 0,
		0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0x66, 0x1a, 10, 82, 0, 1, 10, 77, 0, 2,
		4, 0, 0x27, 0x0f, 0, 30, 0, 0, 1, 0, 0, 0,
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
