package dummy

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// pair is the stock daemon and ours with the same bridge br0 and a stopped clock.
func pair(t *testing.T, ports int) [2]*sim {
	t.Helper()
	both := [2]*sim{{testenv.Simulated(t), t, map[string]int{}}, {testenv.Stock(t), t, map[string]int{}}}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := range ports {
			s.addPort("br0", p+1)
		}
	}
	return both
}

// own has the monitor's connection send a flow mod.
func (m *monitor) own(v openflow.Version, text string) {
	m.s.t.Helper()
	fm, err := flowMod(text)
	if err != nil {
		m.s.t.Fatal(err)
	}
	b, err := openflow.Encode(v, 0x1234, fm)
	if err != nil {
		m.s.t.Fatal(err)
	}
	m.s.Appctl("-t", m.ctl, "ofctl/send", hex.EncodeToString(b))
}

var txid = regexp.MustCompile(`\(xid=0x[0-9a-f]+\)|flow_removed.*: `)

// updates sorts what a monitor printed, as the order of initial flows is nobody's promise.
func updates(out string) []string {
	lines := strings.Split(strings.TrimSpace(txid.ReplaceAllString(out, "")), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "BARRIER") || strings.Contains(l, "send: ") })
	slices.Sort(lines)
	return lines
}

// TestMonitorLikeStock has ovs-ofctl monitor watch flow tables of the stock daemon and of ours, through changes of
// every kind, and compares what it prints.
func TestMonitorLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 3)
	for _, tt := range []struct {
		version string
		watch   string
		steps   []string
	}{
		{"OpenFlow10", "watch:", everyChange},
		{"OpenFlow10", "watch:!initial,!actions", everyChange},
		{"OpenFlow11", "watch:", everyChange},
		{"OpenFlow12", "watch:!delete,table=1", everyChange},
		{"OpenFlow13", "watch:", everyChange},
		{"OpenFlow13", "watch:!add,!modify", everyChange},
		{"OpenFlow13", "watch:out_port=2,!initial", everyChange},
		{"OpenFlow13", "watch:ip,nw_dst=10.0.0.0/8", everyChange},
		{"OpenFlow14", "watch:", everyChange},
		{"OpenFlow14", "watch:!own", everyChange},
		{"OpenFlow14", "watch:out_group=7", everyChange},
		{"OpenFlow15", "watch:!initial,!own", everyChange},
		{"OpenFlow15", "watch:table=0", everyChange},
		{"OpenFlow10", "watch:", learnedChanges},
		{"OpenFlow13", "watch:!own,!delete", learnedChanges},
		{"OpenFlow15", "watch:table=1", learnedChanges},
	} {
		t.Run(tt.version+" "+tt.watch, func(t *testing.T) {
			var got [2][]string
			for i, s := range both {
				s.t = t
				got[i] = updates(s.watched(tt.version, tt.watch, tt.steps))
			}
			if diff := cmp.Diff(got[1], got[0]); diff != "" {
				t.Errorf("-stock +ours:\n%s", diff)
			}
			if len(got[0]) < 2 {
				t.Errorf("nothing was seen: %q", got[0])
			}
		})
	}
}

// everyChange are lines of a command each: of ovs-ofctl, "own" on the monitor's connection, "warp" the time,
// "bundle" of flow mods, "ether" a packet with this source, "learned" waits until the flows have a text, "limit" of
// table 1.
var everyChange = []string{
	"add-flow in_port=1,actions=output:2",
	"add-flow table=1,priority=5,ip,nw_dst=10.1.0.0/16,cookie=5,actions=output:3",
	"watch",
	"add-flow in_port=2,actions=output:1",
	"add-flow in_port=2,cookie=9,actions=output:1",
	"add-flow in_port=2,cookie=9,idle_timeout=60,actions=output:2",
	"mod-flows in_port=2,actions=output:2",
	"mod-flows in_port=2,actions=output:3",
	"mod-flows in_port=9,cookie=1/1,actions=output:3",
	"--strict mod-flows in_port=3,actions=output:3",
	"own add 3 1",
	"own mod 3 2",
	"own mod 0 3",
	"own del 0 0",
	"add-flow table=1,in_port=1,hard_timeout=2,actions=drop",
	"add-flow table=1,in_port=2,idle_timeout=3,actions=drop",
	"warp 5000",
	"bundle add in_port=1,actions=output:2|add in_port=2,actions=output:2|delete in_port=1|modify in_port=2,actions=output:1",
	"bundle add in_port=7,actions=output:2|add in_port=7,actions=group:99",
	"group add group_id=7,type=all,bucket=output:2",
	"add-flow -OOpenFlow13 in_port=3,actions=group:7",
	"add-flow -OOpenFlow13 table=1,in_port=3,actions=group:7,output:1",
	"group del group_id=7",
	"del-flows table=1,ip",
	"del-flows ",
}

// learnedChanges have flows learned, learned again with other actions, evicted by a lower limit, and deleted with what taught them.
var learnedChanges = []string{
	"add-flow in_port=1,actions=learn(table=1,hard_timeout=10,idle_timeout=5,cookie=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:2",
	"watch",
	"ether 1",
	"learned hard_timeout=10, dl_dst=50:54:00:00:00:01 actions=output:1",
	"add-flow in_port=1,actions=learn(table=1,hard_timeout=60,cookie=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),output:2",
	"ether 2",
	"learned hard_timeout=60, dl_dst=50:54:00:00:00:02 actions=output:1",
	"limit 1",
	"limit 1000000",
	"add-flow in_port=1,actions=learn(table=1,hard_timeout=60,cookie=5,delete_learned,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:7->NXM_NX_REG1[]),output:2",
	"ether 2",
	"learned hard_timeout=60, dl_dst=50:54:00:00:00:02 actions=load:0x7->NXM_NX_REG1[]",
	"add-flow in_port=1,actions=learn(table=1,fin_idle_timeout=3,send_flow_rem,cookie=6,delete_learned,eth_type=0x1234,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[]),output:2",
	"ether 3",
	"learned dl_dst=50:54:00:00:00:03",
	"del-flows in_port=1",
}

// TestMonitorOfEviction: an addition that takes the place of an evicted flow is both. (The stock daemon tells only that the other
// one is gone.)
func TestMonitorOfEviction(t *testing.T) {
	t.Parallel()
	s := start(t, 1, "fail_mode=secure")
	s.limitTable1("1")
	got := updates(s.watched("OpenFlow14", "watch:", []string{"watch", "add-flow table=1,in_port=1,idle_timeout=9,actions=drop", "add-flow table=1,in_port=2,actions=drop"}))
	want := []string{
		" event=ADDED table=1 cookie=0 in_port=2", " event=ADDED table=1 idle_timeout=9 cookie=0 in_port=1", " event=DELETED reason=eviction table=1 idle_timeout=9 cookie=0 in_port=1",
	}
	got = slices.DeleteFunc(got, func(l string) bool { return !strings.Contains(l, "event=") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// limitTable1 bounds table 1, which evicts.
func (s *sim) limitTable1(n string) {
	s.t.Helper()
	s.Vsctl("--id=@t", "create", "flow_table", "flow_limit="+n, "overflow_policy=evict", "--", "set", "bridge", "br0", "flow_tables:1=@t")
}

// watched runs steps under the eyes of a monitor and returns what it printed.
func (s *sim) watched(version, watch string, steps []string) string {
	s.t.Helper()
	s.Ofctl("-OOpenFlow15", "del-flows", "br0")
	s.Ofctl("-OOpenFlow15", "del-groups", "br0")
	v := openflow.V10 + openflow.Version(version[9]-'0')
	var m *monitor
	for _, step := range steps {
		verb, rest, _ := strings.Cut(step, " ")
		switch verb {
		case "watch":
			m = s.monitor("-O", version, watch)
		case "own":
			m.own(v, rest)
		case "warp":
			s.Appctl("time/warp", rest, "1000")
		case "ether":
			s.Appctl("revalidator/purge")
			s.receive("p1", "in_port(1),eth(src=50:54:00:00:00:0"+rest+",dst=50:54:00:00:00:09),eth_type(0x1234)")
		case "learned":
			s.Eventually("a flow is learned", func() error {
				if f := s.flows(); !strings.Contains(f, rest) {
					return fmt.Errorf("flows:\n%s", f)
				}
				return nil
			})
		case "limit":
			s.limitTable1(rest)
		case "bundle":
			file := filepath.Join(s.Dir, "bundle")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(rest, "|", "\n")+"\n"), 0o644); err != nil {
				s.t.Fatal(err)
			}
			s.Try("ovs-ofctl", "-OOpenFlow14", "--bundle", "add-flows", "br0", file)
		case "group":
			what, spec, _ := strings.Cut(rest, " ")
			s.Ofctl("-OOpenFlow13", what+map[string]string{"add": "-group", "del": "-groups"}[what], "br0", spec)
		default:
			args := []string{verb}
			if strings.HasPrefix(verb, "--") {
				verb, rest, _ = strings.Cut(rest, " ")
				args = append(args, verb)
			}
			if strings.HasPrefix(rest, "-O") {
				o, r, _ := strings.Cut(rest, " ")
				args, rest = append([]string{o}, args...), r
			} else {
				args = append([]string{"-O", "OpenFlow11"}, args...)
			}
			s.Try("ovs-ofctl", append(args, "br0", rest)...)
		}
	}
	return m.output()
}

// flowMod makes a flow mod that a monitor's connection sends: "add", "mod" or "del", a port, and the port that the
// flow outputs to.
func flowMod(text string) (*openflow.FlowMod, error) {
	var verb string
	var in uint64
	fm := &openflow.FlowMod{BufferID: openflow.NoBuffer, Priority: 32768, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
	out := openflow.Output{}
	if _, err := fmt.Sscan(text, &verb, &in, &out.Port); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	fm.Command = map[string]openflow.FlowModCommand{"add": openflow.FlowAdd, "mod": openflow.FlowModify, "del": openflow.FlowDelete}[verb]
	if in != 0 {
		fm.Match.Set(flow.InPortOXM, in)
	}
	if verb != "del" {
		fm.Actions = []openflow.Action{out}
	}
	return fm, nil
}

// TestMonitorPause has a monitor that does not read: its monitors pause, and when it reads again it learns what
// the flows are by then.
func TestMonitorPause(t *testing.T) {
	t.Parallel()
	const flows = 6000
	for _, version := range []string{"OpenFlow10", "OpenFlow13", "OpenFlow14"} {
		t.Run(version, func(t *testing.T) {
			s := start(t, 1, "fail_mode=secure")
			var many strings.Builder
			for i := range flows {
				fmt.Fprintf(&many, "table=1,cookie=%d,reg0=%d,actions=output:1,output:2,output:3,output:4,output:5,output:6,output:7,output:8\n", i, i)
			}
			file := filepath.Join(s.Dir, "many")
			if err := os.WriteFile(file, []byte(many.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			s.Ofctl("add-flow", "br0", "table=2,reg0=1,actions=drop")
			s.Ofctl("add-flow", "br0", "table=2,reg0=2,actions=drop")
			s.Ofctl("add-flow", "br0", "table=2,reg0=3,actions=drop")
			m := s.monitor("-O", version, "watch:")
			s.Appctl("-t", m.ctl, "ofctl/block")
			s.Ofctl("add-flows", "br0", file)
			s.contains("coverage", s.Appctl("coverage/show"), "ofmonitor_pause")
			s.Ofctl("del-flows", "br0", "table=2,reg0=1")
			s.Ofctl("mod-flows", "br0", "table=2,reg0=2,actions=output:3")
			s.Ofctl("add-flow", "br0", "table=2,reg0=3,actions=output:4")
			s.Ofctl("--strict", "del-flows", "br0", "table=2,reg0=3")
			s.Ofctl("add-flow", "br0", "table=3,reg0=9,actions=drop")
			s.Appctl("-t", m.ctl, "ofctl/unblock")
			s.Eventually("the monitor resumes", func() error {
				s.Appctl("-t", m.ctl, "ofctl/barrier")
				if !strings.Contains(s.Appctl("coverage/show"), "ofmonitor_resume") {
					return fmt.Errorf("not yet")
				}
				return nil
			})
			s.Ofctl("add-flow", "br0", "table=4,reg0=9,actions=drop")
			out := m.output()
			known := map[string]string{}
			paused, resumed := strings.Index(out, "PAUSED"), strings.Index(out, "RESUMED")
			if paused < 0 || resumed < paused || strings.Count(out[:paused], "event=") > flows {
				t.Fatalf("paused at %d, resumed at %d of %d bytes", paused, resumed, len(out))
			}
			for _, u := range flowUpdate.FindAllStringSubmatch(out, -1) {
				if id := u[2] + " " + u[3]; u[1] == "DELETED" {
					delete(known, id)
				} else {
					known[id] = u[4]
				}
			}
			want := map[string]string{}
			for _, f := range dumpedFlow.FindAllStringSubmatch(s.Ofctl("dump-flows", "br0"), -1) {
				want[f[1]+" "+f[2]] = strings.TrimPrefix(f[3], "drop") // which updates print as no actions
			}
			if diff := cmp.Diff(want, known); diff != "" {
				t.Errorf("what the monitor knows (-flows +known):\n%s", diff)
			}
			if len(want) != flows+3 {
				t.Errorf("%d flows", len(want))
			}
		})
	}
}

var (
	flowUpdate = regexp.MustCompile(`event=(\w+)(?: reason=\w+)? (table=\d+) cookie=\w+ (reg0=\w+)(?: actions=(.*))?`)
	dumpedFlow = regexp.MustCompile(`(table=\d+), .*(reg0=\w+) actions=(.*)`)
)
