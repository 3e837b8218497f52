package dummy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// removedSteps end flows for each reason: a version that has what they name, and a command of ovs-ofctl, in
// the version that is tried unless it names one; warp is time. @ begins the cookies of the version.
var removedSteps = []struct{ since, command string }{
	{"10", "add-flow br0 cookie=@01,priority=1,send_flow_rem,idle_timeout=5,actions=2"},
	{"10", "add-flow br0 cookie=@02,priority=2,send_flow_rem,hard_timeout=3,dl_type=0x1111,actions=2"},
	{"10", "add-flow br0 cookie=@03,priority=3,send_flow_rem,ip,nw_dst=1.2.3.4,actions=2"},
	{"10", "-OOpenFlow15 add-flow br0 cookie=@04,table=2,priority=4,send_flow_rem,vlan_tci=0x1000/0x1000,actions=2"},
	{"10", "add-flow br0 cookie=@05,table=2,priority=5,ip,hard_timeout=1,actions=2"},
	{"10", "del-flows br0 ip"},
	{"10", "warp"},
	{"11", "add-group br0 group_id=5,type=all,bucket=output:2"},
	{"11", "add-flow br0 cookie=@05,priority=5,send_flow_rem,dl_type=0x2222,actions=group:5"},
	{"11", "del-groups br0 group_id=5"},
	{"13", "add-meter br0 meter=5,kbps,bands=type=drop,rate=100"},
	{"13", "add-flow br0 cookie=@06,priority=6,send_flow_rem,dl_type=0x3333,actions=meter:5,2"},
	{"13", "del-meter br0 meter=5"},
	// Table 7 has place for one flow and gives up the older one.
	{"10", "add-flow br0 cookie=@07,table=7,priority=6,send_flow_rem,in_port=1,idle_timeout=100,actions=2"},
	{"10", "add-flow br0 cookie=@08,table=7,priority=6,send_flow_rem,in_port=2,idle_timeout=200,actions=2"},
	// Changed and replaced flows are not removed.
	{"10", "add-flow br0 cookie=@09,table=8,priority=6,send_flow_rem,in_port=2,actions=2"},
	{"10", "--strict mod-flows br0 table=8,priority=6,in_port=2,actions=3"},
	{"10", "add-flow br0 cookie=@0a,table=8,priority=6,send_flow_rem,in_port=2,actions=4"},
	{"10", "del-flows br0 table=8"},
}

// durationOf is what moves with the time in flow-removed messages.
var durationOf = regexp.MustCompile(`duration[0-9.]+s|\(xid=0x[0-9a-f]+\)`)

// no checks that no flow matches a pattern.
func (s *sim) no(pattern string) func() error {
	return func() error {
		if out := s.Ofctl("-OOpenFlow15", "dump-flows", "br0"); regexp.MustCompile(pattern).MatchString(out) {
			return fmt.Errorf("there is %s in:\n%s", pattern, out)
		}
		return nil
	}
}

// TestFlowRemovedLikeStock compares what a connected controller is told of flows that end, in each version.
func TestFlowRemovedLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		s.Vsctl("--", "--id=@t", "create", "Flow_Table", "flow_limit=1", "overflow_policy=evict", `groups="NXM_OF_IN_PORT[]"`, "--", "set", "bridge", "br0", "flow_tables:7=@t")
	}
	for _, v := range []string{"10", "11", "12", "13", "14", "15"} {
		var told [2][]string
		cookies := "0x" + v // the stock daemon tells of a removal later than it answers: of another version's flows, too
		for i, s := range both {
			s.Ofctl("-OOpenFlow15", "del-flows", "br0")
			m := s.monitor("-OOpenFlow"+v, "65534")
			for _, step := range removedSteps {
				step.command = strings.ReplaceAll(step.command, "@", cookies)
				switch {
				case step.since > v:
				case strings.HasPrefix(step.command, "-O"):
					s.Ofctl(strings.Fields(step.command)...)
				case step.command == "warp":
					s.Appctl("time/warp", "10000", "1000")
					s.Eventually("flows end", s.no("cookie="+cookies+"0[12],"))
				default:
					s.Ofctl(append([]string{"-OOpenFlow" + v}, strings.Fields(step.command)...)...)
				}
			}
			s.Eventually("the last removal is told", func() error {
				if out := m.printed(); !strings.Contains(out, "cookie:"+cookies+"0a") {
					return fmt.Errorf("only:\n%s", out)
				}
				return nil
			})
			for line := range strings.Lines(m.output()) {
				if strings.Contains(line, "FLOW_REMOVED") && strings.Contains(line, "cookie:"+cookies) {
					told[i] = append(told[i], durationOf.ReplaceAllString(line, ""))
				}
			}
		}
		// 2 by timeouts, 2 deleted; 1.3 tells of groups, 1.4 of meters and evictions.
		if want := map[string]int{"13": 5, "14": 7, "15": 7}[v]; len(told[0]) < max(want, 4) {
			t.Errorf("OpenFlow %s tells only of %q", v, told[0])
		}
		if diff := cmp.Diff(told[1], told[0]); diff != "" {
			t.Errorf("OpenFlow %s (-stock +ours):\n%s", v, diff)
		}
	}
}
