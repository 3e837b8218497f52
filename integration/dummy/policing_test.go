package dummy

import (
	"fmt"
	"testing"
)

// Ingress policing with the time in hand.
func TestPolicing(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	s.Ofctl("add-flow", "br0", "in_port=1,actions=2")
	send := func(what string, n, want int) {
		t.Helper()
		for range n {
			s.receive("p1", ping(1, 2, 0))
		}
		if got := len(s.sent("p2")); got != want {
			t.Errorf("%s: %d of %d packets went on, want %d", what, got, n, want)
		}
	}
	size := len(func() string { s.receive("p1", ping(1, 2, 0)); return s.sent("p2")[0] }()) / 2 * 8 // bits
	send("without a limit", 20, 20)
	s.Vsctl("set", "interface", "p1", "ingress_policing_rate=1", "ingress_policing_burst=4")
	burst := 4000 / size
	send("a burst", burst+5, burst)
	s.Appctl("time/warp", fmt.Sprint(2*size))
	send("after the time of two packets at 1 bit per millisecond", 4, 2)
	s.Vsctl("set", "interface", "p1", "ingress_policing_kpkts_rate=1")
	send("a change fills the bucket", burst+5, burst)
	s.Vsctl("set", "interface", "p1", "ingress_policing_rate=0", "ingress_policing_burst=0", "ingress_policing_kpkts_rate=0")
	send("without a limit again", 20, 20)
	s.Appctl("time/warp", "6000", "1000")
	if got, want := s.Vsctl("get", "interface", "p1", "statistics:ovs_rx_qos_drops"), fmt.Sprint(5+2+5); got != want {
		t.Errorf("the row counts %s drops, not %s", got, want)
	}
}
