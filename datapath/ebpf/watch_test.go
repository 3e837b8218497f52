package ebpf

import (
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// TestWatchedPort: BFD packets of a watched port come up, misses and those of their megaflow, while all others of the port wait for
// a handler that is busy or are above the port's rate. Those of other ports are like all.
func TestWatchedPort(t *testing.T) {
	const bfd = 3784
	l := newLab(t)
	o := small()
	o.UpcallRate, o.UpcallBurst = 1, 10
	d := l.open(o)
	defer d.Close(true)
	watched := l.port(d, "lo", datapath.PortNetdev)
	l.host("h1", 1)
	other := l.port(d, "h1", datapath.PortNetdev)
	if err := d.PortWatch(watched, true); err != nil {
		t.Fatal(err)
	}
	if err := d.PortWatch(99, true); err == nil {
		t.Error("a port that is not there can be watched")
	}
	busy := make(chan struct{})
	came := make(chan odp.UpcallKind, 100)
	d.Handle(func(up *datapath.Upcall) {
		if up.Key.Get(flow.UDPDst) != bfd || odp.Port(up.Key.Get(flow.InPort)) != watched {
			<-busy
			return
		}
		came <- up.Kind
	})
	defer close(busy)
	run := func(n odp.Port, dst uint16, times int) {
		t.Helper()
		for range times {
			if _, err := d.TestRun(n, udp(49152, dst), 0, 0, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(what string, kind odp.UpcallKind, times int) {
		t.Helper()
		for n := range times {
			select {
			case k := <-came:
				if k != kind {
					t.Fatalf("%s: an upcall of kind %d", what, k)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%s: %d of %d came up", what, n, times)
			}
		}
	}
	run(watched, 53, 30)
	run(other, bfd, 30)
	run(watched, bfd, 30)
	want("misses", 0, 30)
	slow := odp.Userspace{Kind: odp.UpcallSlowPath, Reason: "bfd"}
	if _, err := d.FlowPut(udpFlow(watched, 0, bfd, slow)); err != nil {
		t.Fatal(err)
	}
	run(watched, bfd, 30)
	want("slow path", odp.UpcallSlowPath, 30)
	if err := d.PortWatch(watched, false); err != nil {
		t.Fatal(err)
	}
	run(watched, bfd, 30)
	select {
	case <-came:
		t.Error("a packet of a port that is not watched any more came by")
	default:
	}
	drops, err := d.Drops()
	if err != nil {
		t.Fatal(err)
	}
	limited := map[odp.Port]uint64{}
	for _, dr := range drops {
		if dr.Reason == "upcall_rate_limit" {
			limited[dr.Port] += dr.Packets
		}
	}
	if limited[watched] < 40 || limited[other] < 15 {
		t.Errorf("above the rate: %v", limited)
	}
}
