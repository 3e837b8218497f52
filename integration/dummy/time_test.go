package dummy

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTimeouts(t *testing.T) {
	t.Parallel()
	s := start(t, 2, "fail_mode=secure")
	m := s.monitor("65534", "-OOpenFlow13")
	s.Ofctl("add-flow", "br0", "cookie=1,send_flow_rem,hard_timeout=30,priority=1,actions=2")
	s.Ofctl("add-flow", "br0", "cookie=2,send_flow_rem,idle_timeout=20,priority=2,icmp,actions=2")
	s.Ofctl("add-flow", "br0", "cookie=3,send_flow_rem,idle_timeout=20,priority=3,udp,actions=2")
	left := func() string {
		t.Helper()
		return strings.Join(regexp.MustCompile(`cookie=0x[1-9]`).FindAllString(s.flows(), -1), " ")
	}
	expect := func(when, want string) {
		t.Helper()
		if diff := cmp.Diff(want, left()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	// A packet by a megaflow keeps a flow alive as one by an upcall does.
	s.Appctl("time/warp", "15000", "1000")
	s.receive("p1", ping(1, 2, 0), ping(1, 2, 0))
	s.Appctl("time/warp", "4000", "1000")
	s.receive("p1", ping(1, 2, 0))
	expect("after 19 s", "cookie=0x1 cookie=0x2 cookie=0x3")
	s.Appctl("time/warp", "2000", "1000")
	expect("after 21 s", "cookie=0x1 cookie=0x2")
	s.Appctl("time/warp", "8000", "1000")
	expect("after 29 s", "cookie=0x1 cookie=0x2")
	s.Appctl("time/warp", "2000", "1000")
	expect("after 31 s", "cookie=0x2")
	s.Appctl("time/warp", "7000", "1000")
	expect("19 s after the last packet", "cookie=0x2")
	s.Appctl("time/warp", "2000", "1000")
	expect("21 s after the last packet", "")
	s.receive("p1", ping(1, 2, 0))
	s.went("no flow any more", "p2 p2 p2", "p2")
	s.contains("monitor", m.output(),
		"OFPT_FLOW_REMOVED (OF1.3) (xid=0x0): priority=3,udp reason=idle table_id=0 cookie:0x3 ",
		"OFPT_FLOW_REMOVED (OF1.3) (xid=0x0): priority=1 reason=hard table_id=0 cookie:0x1 ",
		"OFPT_FLOW_REMOVED (OF1.3) (xid=0x0): priority=2,icmp reason=idle table_id=0 cookie:0x2 ",
		"idle20 pkts3 bytes318")
}

// TestTimeGoesOn warps a clock that runs: the time has passed, and goes on.
func TestTimeGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	for _, bad := range [][]string{{"0"}, {"x"}, {"-5"}, {"100", "0"}, {"x", "5"}} {
		if out, code := s.Try("ovs-appctl", append([]string{"time/warp"}, bad...)...); code == 0 || !strings.HasPrefix(out, "invalid MSECS\n") {
			t.Errorf("time/warp %v: exit %d: %s", bad, code, out)
		}
	}
	if out := s.Appctl("time/warp", "1"); out != "warped\n" {
		t.Errorf("time/warp: %q", out)
	}
	s.Ofctl("add-flow", "br0", "cookie=7,actions=drop")
	s.Appctl("time/warp", "60000", "7000") // the last step is what is left
	s.contains("dump-flows", s.Ofctl("dump-flows", "br0", "cookie=7/-1"), "duration=60s, ")
}
