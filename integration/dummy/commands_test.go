package dummy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// commandNames are those that list-commands shows.
func (s *sim) commandNames() map[string]bool {
	names := map[string]bool{}
	for line := range strings.SplitSeq(s.Appctl("list-commands"), "\n") {
		if strings.HasPrefix(line, "  ") {
			names[strings.Fields(line)[0]] = true
		}
	}
	return names
}

// TestCommandsAreThere compares our commands with the stock daemon's: each is ours too, or docs/commands.md says when it comes.
func TestCommandsAreThere(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.addBridge("br0") // some are only there with a bridge
	}
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(.*)` \\| .+ \\|$").FindAllStringSubmatch(string(text), -1) {
		patterns = append(patterns, row[1])
	}
	documented := func(name string) bool {
		for _, p := range patterns {
			if prefix, ok := strings.CutSuffix(p, "*"); p == name || ok && strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	}
	mine, theirs := ours.commandNames(), stock.commandNames()
	if len(theirs) < 100 || len(patterns) < 5 {
		t.Fatalf("%d commands of the stock daemon, %d in docs/commands.md", len(theirs), len(patterns))
	}
	for name := range theirs {
		if !mine[name] && !documented(name) {
			t.Errorf("%s is missing, and not in docs/commands.md", name)
		}
	}
	for name := range mine {
		if documented(name) {
			t.Errorf("%s is there: take it from the list of docs/commands.md", name)
		}
	}
}

// flowCommandCases are commands on datapath flows and features whose answers must be the stock daemon's. Between them nothing
// revalidates, as the clock stands still.
var flowCommandCases = []string{
	"dpctl/add-flow in_port(1),eth(),eth_type(0x0800),ipv4(src=1.2.3.4) 2",
	"dpctl/add-flow in_port(1),eth(),eth_type(0x0800),ipv4(src=1.2.3.4) 2",
	"dpctl/add-flow -s in_port(p2),eth(src=00:00:00:00:00:01),eth_type(0x1234) 1,2",
	"dpctl/dump-flows", "dpctl/dump-flows --names", "dpctl/dump-flows filter=in_port=2", "dpctl/dump-flows filter=ip", "dpctl/dump-flows type=foo",
	"dpctl/dump-flows -x", "dpctl/dump-flows filter=foo", "dpctl/dump-flows nodp",
	"dpctl/mod-flow in_port(1),eth(),eth_type(0x0800),ipv4(src=9.2.3.4) 2",
	"dpctl/mod-flow --may-create in_port(1),eth(),eth_type(0x0800),ipv4(src=9.2.3.4) drop",
	"dpctl/dump-flows",
	"dpctl/del-flow in_port(1),eth(),eth_type(0x0800),ipv4(src=7.2.3.4)",
	"dpctl/del-flow -s in_port(1),eth(),eth_type(0x0800),ipv4(src=9.2.3.4)",
	"dpctl/del-flow ufid:12345678-1234-1234-1234-123456789abc",
	"dpctl/get-flow ufid:12345678-1234-1234-1234-123456789abc",
	"dpctl/dump-flows",
	"dpctl/add-flow nodp in_port(2),eth() 1", "dpctl/add-flow", "dpctl/add-flow in_port(1),eth()",
	"dpctl/del-flows ovs-dummy@x",
	"dpctl/del-flows", "dpctl/dump-flows",
	// What stands without its protocol is refused, ports that are not there are not.
	"dpctl/add-flow in_port(1),eth(),eth_type(0x1236),ipv4(src=1.2.3.4) 2", "dpctl/add-flow in_port(1),eth(),ipv4(src=1.2.3.4) 2",
	"dpctl/add-flow in_port(1),eth(),eth_type(0x0800),tcp_flags(syn) 2", "dpctl/add-flow in_port(1),eth(),eth_type(0x0800),ipv4(proto=17/1),udp(src=4) 2",
	"dpctl/add-flow in_port(1),eth(),eth_type(0x86dd),ipv6(proto=58),nd(target=fe80::1) 2", "dpctl/add-flow in_port(77),eth(),eth_type(0x1234) 88",
	"dpctl/add-flow in_port(1),eth(),eth_type(0x0800),ipv4(proto=17),udp(src=5/0xf) sample(sample=50%,actions(2)),clone(3)",
	"dpctl/add-flow in_port(1),eth(),eth_type(0x8847),mpls(label=5,tc=0,ttl=3,bos=1) trunc(50),2", "dpctl/add-flow in_port(1),eth(),eth_type(0x0806),arp(op=1) set(eth(src=00:00:00:00:00:02)),2",
	"dpctl/dump-flows", "dpctl/del-flows",
	"dpctl/parse-actions 2,set(ipv4(ttl=5)),push_vlan(vid=3,pcp=0)",
	"upcall/disable-megaflows",
	"netdev-dummy/receive p1 in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x9999)",
	"upcall/enable-megaflows", "dpctl/dump-flows",
	"upcall/set-flow-limit 5", "revalidator/purge", "ofproto/list",
	"dpif/set-dp-features br0 foo", "dpif/set-dp-features br0 foo true", "dpif/set-dp-features br0 recirc maybe", "dpif/set-dp-features nobr",
	"dpif/set-dp-features br0 recirc", "dpif/set-dp-features br0 recirc false", "dpif/set-dp-features br0 recirc", "dpif/set-dp-features br0 recirc true",
	"dpif/set-dp-features br0 max_hash_alg 9", "dpif/set-dp-features br0 max_hash_alg x", "dpif/set-dp-features br0 max_hash_alg 0",
	"dpif/set-dp-features br0 max_hash_alg",
	"bridge/dump-flows br0", "bridge/dump-flows --offload-stats br0", "bridge/dump-flows nobr",
	"fdb/add br0 p1 0 50:54:00:00:00:01", "fdb/add br0 p1 0 5",
	"fdb/del br0 0 50:54:00:00:00:02", "fdb/stats-show br0", "fdb/stats-clear br0", "coverage/read-counter nosuch",
}

var errorLine = regexp.MustCompile(`\(Invalid argument\): .*`)

func TestFlowCommandsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		s.addPort("br0", 1)
		s.addPort("br0", 2)
		s.Ofctl("add-flow", "br0", "in_port=1,dl_type=0x9999,actions=output:2")
		// A revalidation would remove the cases' flows; the stock daemon's go on while the clock stands.
		s.Vsctl("set", "open_vswitch", ".", "other_config:max-revalidator=3600000")
		s.Appctl("revalidator/wait")
	}
	for _, c := range flowCommandCases {
		got, gotCode := ours.Try("ovs-appctl", strings.Fields(c)...)
		want, wantCode := stock.Try("ovs-appctl", strings.Fields(c)...)
		if gotCode != wantCode {
			t.Errorf("%s: exit code %d, want %d", c, gotCode, wantCode)
		}
		// Why something is a syntax error is ours to say.
		if diff := cmp.Diff(flowLines(want), flowLines(errorLine.ReplaceAllString(got, "(Invalid argument)"))); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s", c, diff)
		}
	}
}

// flowLines are the lines of an answer in order. That packets are Ethernet ones ours says in other words.
func flowLines(out string) []string {
	out = strings.NewReplacer("packet_type(ns=0,id=0),", "", "eth(),", "").Replace(out)
	lines := strings.Split(regexp.MustCompile(`duration=\d+s`).ReplaceAllString(out, "duration"), "\n")
	return slices.Sorted(slices.Values(lines))
}

// TestFlowsByHand lets the revalidator find flows that it did not make.
func TestFlowsByHand(t *testing.T) {
	t.Parallel()
	s := start(t, 3, "fail_mode=secure")
	s.Ofctl("add-flow", "br0", "cookie=0x7,in_port=1,dl_type=0x9999,actions=resubmit(,1)")
	s.Ofctl("add-flow", "br0", "table=1,cookie=0x8,priority=5,dl_dst=50:54:00:00:00:02,actions=output:2")
	const narrow, wide = "in_port(1),packet_type(ns=0,id=0),eth(dst=50:54:00:00:00:02),eth_type(0x9999)", "in_port(1),packet_type(ns=0,id=0),eth_type(0x9999)"
	s.Appctl("dpctl/add-flow", narrow, "3")
	s.Appctl("dpctl/add-flow", wide, "3")
	s.contains("dump-flows", s.Appctl("dpctl/dump-flows"), "eth_type(0x9999), packets:0, bytes:0, used:never, actions:3")

	// The one gets the actions that the tables have, the other would hide what they look at.
	s.revalidate()
	want := "flow-dump from the main thread:\nrecirc_id(0)," + narrow + ", packets:0, bytes:0, used:never, actions:2\n"
	if diff := cmp.Diff(want, s.Appctl("dpctl/dump-flows")); diff != "" {
		t.Errorf("after a revalidation (-want +got):\n%s", diff)
	}
	s.receive("p1", "in_port(1),eth(dst=50:54:00:00:00:02),eth_type(0x9999)")
	s.went("a packet", "p2", "p2", "p3")
	s.contains("the statistics", s.Appctl("dpctl/mod-flow", "-s", narrow, "3"), "packets:1, bytes:14, ")
	s.receive("p1", "in_port(1),eth(dst=50:54:00:00:00:02),eth_type(0x9999)")
	s.went("a packet", "p3", "p2", "p3")
	s.contains("the statistics", s.Appctl("dpctl/mod-flow", "--clear", "-s", narrow, "3"), "packets:0, bytes:0, ")

	// By its UFID it can be got, explained and deleted.
	s.revalidate()
	ufid := regexp.MustCompile(`ufid:[0-9a-f-]+`).FindString(s.Appctl("dpctl/dump-flows", "-m"))
	s.contains("get-flow", s.Appctl("dpctl/get-flow", ufid), narrow, "actions:2")
	if diff := cmp.Diff("cookie=0x7, table=0 in_port=1,dl_type=0x9999,actions=resubmit(,1)\n"+
		"cookie=0x8, table=1 priority=5,dl_dst=50:54:00:00:00:02,actions=output:2\n", s.Appctl("ofproto/detrace", ufid)); diff != "" {
		t.Errorf("ofproto/detrace (-want +got):\n%s", diff)
	}
	s.Appctl("dpctl/del-flow", "-s", ufid)
	if out := s.Appctl("dpctl/dump-flows"); out != "" {
		t.Errorf("a deleted flow is there: %s", out)
	}

	// A file does many, and what it cannot do it tells.
	file := filepath.Join(s.Dir, "flows")
	if err := os.WriteFile(file, []byte("# flows\n"+narrow+" 2\n\nadd "+wide+" 2\ndelete "+narrow+"\nmodify "+wide+" 3\n"+wide+" 1\nx\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("ovs-vswitchd: updating flow table (File exists)\novs-vswitchd: Failed parsing line number 8, skipped!\n", s.Appctl("dpctl/add-flows", file)); diff != "" {
		t.Errorf("add-flows (-want +got):\n%s", diff)
	}
	s.contains("dump-flows", s.Appctl("dpctl/dump-flows"), "recirc_id(0),"+wide+", packets:0, bytes:0, used:never, actions:3")

	// Nobody uses it: it goes.
	s.Appctl("dpctl/del-flows")
	s.Appctl("dpctl/add-flow", narrow, "2")
	s.Appctl("time/warp", "12000", "1000")
	s.revalidate()
	if out := s.Appctl("dpctl/dump-flows"); out != "" {
		t.Errorf("an idle flow is there: %s", out)
	}
}

// TestExactFlows has megaflows without wildcards.
func TestExactFlows(t *testing.T) {
	t.Parallel()
	s := start(t, 2, "fail_mode=secure")
	s.Ofctl("add-flow", "br0", "actions=output:2")
	s.Appctl("upcall/disable-megaflows")
	s.receive("p1", ping(1, 2, 0))
	s.contains("dump-flows", s.Appctl("dpctl/dump-flows"), "eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),"+
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)")
	s.revalidate()
	s.contains("dump-flows", s.Appctl("dpctl/dump-flows"), "icmp(type=8,code=0)")
	s.Appctl("upcall/enable-megaflows")
	s.receive("p1", ping(1, 2, 0))
	if out := s.Appctl("dpctl/dump-flows"); strings.Contains(out, "icmp(") {
		t.Errorf("a megaflow is exact: %s", out)
	}
	s.went("the packets", "p2 p2", "p2")
}

// lackingFlows need something of conntrack each.
var lackingFlows = []string{
	"ip,ct_state=+trk,actions=drop", "ip,ct_state=+trk+snat,actions=drop", "ct_zone=5,actions=drop", "ct_mark=5,actions=drop", "ct_label=5,actions=drop",
	"ip,ct_state=+trk-inv,ct_nw_src=1.1.1.1,actions=drop", "ipv6,ct_state=+trk-inv,ct_ipv6_src=::1,actions=drop", "ip,ct_state=+trk-inv,ct_nw_proto=6,ct_tp_src=5,actions=drop",
	"ip,actions=ct()", "ip,actions=ct(zone=5)", "ip,actions=ct(commit,force)", "ip,actions=ct(commit,exec(set_field:5->ct_mark))",
	"ip,actions=ct(commit,exec(move:reg1->ct_mark))", "ip,actions=ct(commit,exec(set_field:5->ct_label))", "ip,actions=ct(commit,nat(src=1.1.1.1))",
	"ip,ct_state=+trk-inv,actions=resubmit(,1,ct)", "ip,actions=ct_clear",
}

// TestLackingFeaturesLikeStock turns features of the datapath off, one by one: what needs them is refused with the stock daemon's error.
func TestLackingFeaturesLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 1)
	refused := 0
	for _, feature := range []string{
		"ct_state", "ct_zone", "ct_mark", "ct_label", "ct_state_nat", "ct_orig_tuple", "ct_orig_tuple6", "ct_eventmask", "sample_nesting", "tnl_push_pop",
	} {
		off, on := "false", "true"
		if feature == "sample_nesting" {
			off, on = "0", "10"
		}
		var got [2]string
		for i, s := range both {
			s.Appctl("dpif/set-dp-features", "br0", feature, off)
			p := s.dial(openflow.V13)
			for _, text := range lackingFlows {
				match, actions, _ := strings.Cut(text, ",actions=")
				fm := &openflow.FlowMod{BufferID: openflow.NoBuffer, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny, Priority: 1}
				var err error
				if fm.Match, err = openflow.ParseMatch(match, nil, nil); err != nil {
					t.Fatal(err)
				}
				if fm.Actions, err = openflow.ParseActions(actions, nil, nil); err != nil {
					t.Fatal(err)
				}
				errors := p.errors(p.encode(fm))
				refused += len(errors)
				got[i] += text + ": " + strings.Join(errors, "; ") + "\n"
			}
			p.nc.Close()
			shown, _, _ := strings.Cut(s.Appctl("dpif/set-dp-features", "br0", feature), ", [boot")
			got[i] += shown
			s.Appctl("dpif/set-dp-features", "br0", feature, on)
		}
		if diff := cmp.Diff(strings.Split(got[1], "\n"), strings.Split(got[0], "\n")); diff != "" {
			t.Errorf("without %s (-stock +ours):\n%s", feature, diff)
		}
	}
	if refused < 20 {
		t.Errorf("only %d flows were refused", refused)
	}
}

// TestDPFeatures pretends that the datapath lacks something.
func TestDPFeatures(t *testing.T) {
	t.Parallel()
	s := start(t, 3, "fail_mode=secure")
	s.Ofctl("-OOpenFlow15", "add-group", "br0", "group_id=1,type=select,bucket=output:2")
	s.Ofctl("-OOpenFlow15", "add-flow", "br0", "actions=group:1")
	s.receive("p1", ping(1, 2, 0))
	s.contains("with recirculation", s.Appctl("dpctl/dump-flows"), "recirc(0x1)")
	s.Appctl("dpif/set-dp-features", "br0", "recirc", "false")
	s.contains("show-dp-features", s.Appctl("dpif/show-dp-features", "br0"), "Recirc: No\n")
	s.revalidate()
	s.receive("p1", ping(1, 2, 0))
	if out := s.Appctl("dpctl/dump-flows"); strings.Contains(out, "actions:hash") {
		t.Errorf("a flow recirculates all the same: %s", out)
	}
	s.went("the packets", "p2 p2", "p2", "p3")
}
