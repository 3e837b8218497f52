package dummy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// variableOfMeters is what differs from run to run: times, transaction ids, what ovs-ofctl prints of an error's request, and
// names that the switch makes up.
var variableOfMeters = regexp.MustCompile(`duration[:=][0-9.]+s,?|\(xid=0x[0-9a-f]+\)|unix:\S+|pid=\d+|recirc_id=\d+,rule_cookie`)

// TestMetersLikeStock gives the same commands about meters to the stock daemon and to ours, and compares all answers.
func TestMetersLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.addBridge("br0", "fail_mode=secure")
		s.addPort("br0", 1)
		s.addPort("br0", 2)
	}
	answer := func(s *sim, command string) string {
		// Words are separated by spaces; flows have none.
		out, code := s.Try(strings.Fields(command)[0], strings.Fields(command)[1:]...)
		out = variableOfMeters.ReplaceAllString(out, "")
		// Meters and groups are in the order of a hash table in OVS.
		for _, entry := range []string{"meter", " group_id"} {
			parts := regexp.MustCompile("(?m)^"+entry).Split(out, -1)
			for i, p := range parts {
				parts[i] = strings.TrimSpace(p)
			}
			slices.Sort(parts[1:])
			out = strings.Join(parts, "\n"+entry)
		}
		return fmt.Sprintf("%s\ncode %d", out, code)
	}
	compared, accepted := 0, 0
	for _, v := range []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		for _, command := range meterCommands {
			command = strings.ReplaceAll(command, "ofctl ", "ovs-ofctl -O "+v+" ")
			command = strings.ReplaceAll(command, "trace ", "ovs-appctl ofproto/trace br0 ")
			want, got := answer(stock, command), answer(ours, command)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-stock +ours):\n%s", command, diff)
			}
			compared++
			if strings.HasSuffix(got, "\ncode 0") {
				accepted++
			}
		}
	}
	if accepted*3 < compared {
		t.Errorf("only %d of %d commands were accepted", accepted, compared)
	}
}

var meterCommands = strings.Split(strings.TrimSpace(`
ofctl del-flows br0
ofctl del-groups br0
ofctl del-meters br0
ofctl meter-features br0
ofctl dump-meters br0
ofctl meter-stats br0
ofctl add-meter br0 meter=1,pktps,burst,bands=type=drop,rate=3,burst_size=1
ofctl add-meter br0 meter=1,pktps,bands=type=drop,rate=3
ofctl add-meter br0 meter=2,kbps,stats,bands=type=drop,rate=100,type=drop,rate=200
ofctl add-meter br0 meter=3,kbps,bands=type=dscp_remark,rate=100,prec_level=1
ofctl add-meter br0 meter=all,pktps,bands=type=drop,rate=10
ofctl add-meter br0 meter=262145,pktps,bands=type=drop,rate=10
ofctl add-meter br0 meter=4294901760,pktps,bands=type=drop,rate=10
ofctl add-meter br0 meter=4294901761,pktps,bands=type=drop,rate=10
ofctl add-meter br0 meter=6,pktps,kbps,bands=type=drop,rate=10
ofctl add-meter br0 meter=6,bands=type=drop,rate=10
ofctl add-meter br0 meter=7,kbps,burst,bands=type=drop,rate=10
ofctl mod-meter br0 meter=77,pktps,bands=type=drop,rate=10
ofctl mod-meter br0 meter=2,pktps,bands=type=drop,rate=7
ofctl mod-meter br0 meter=2,pktps,bands=type=dscp_remark,rate=7,prec_level=1
ofctl add-meter br0 meter=9,pktps,bands=type=drop,rate=1,type=drop,rate=2,type=drop,rate=3,type=drop,rate=4,type=drop,rate=5,type=drop,rate=6,type=drop,rate=7,type=drop,rate=8
ofctl add-meter br0 meter=10,pktps,bands=type=drop,rate=1,type=drop,rate=2,type=drop,rate=3,type=drop,rate=4,type=drop,rate=5,type=drop,rate=6,type=drop,rate=7,type=drop,rate=8,type=drop,rate=9
ofctl dump-meters br0
ofctl dump-meter br0 meter=1
ofctl dump-meter br0 meter=99
ofctl meter-stats br0
ofctl meter-stats br0 meter=99
ofctl add-flow br0 in_port=1,actions=meter:99,output:2
ofctl add-flow br0 in_port=1,actions=meter:1,output:2
ofctl add-flow br0 in_port=1,actions=meter:99,output:2
ofctl mod-flows br0 in_port=1,actions=meter:99,output:2
ofctl add-flow br0 in_port=1,ip,actions=meter:1,set_field:1.2.3.4->nw_dst,output:2
ofctl add-flow br0 in_port=1,tcp,actions=meter:2,push_vlan:0x8100,set_field:4097->vlan_vid,resubmit(,1),output:2
ofctl add-flow br0 table=1,actions=meter:1,in_port
ofctl add-flow br0 table=2,actions=clone(meter:1,output:2)
ofctl add-flow br0 table=2,actions=write_actions(meter:1,output:2)
ofctl add-flow br0 table=2,actions=output:2,meter:1
ofctl add-flow br0 in_port=2,actions=controller(meter_id=2,userdata=01),output:1,controller
ofctl add-flow br0 table=3,actions=controller(meter_id=99)
ofctl add-group br0 group_id=1,type=all,bucket=actions=meter:2,output:2
ofctl add-group br0 group_id=2,type=all,bucket=actions=meter:99,output:2
ofctl packet-out br0 in_port=1,packet=505400000001505400000002080000000000,actions=meter:99,output:2
ofctl dump-flows --no-stats br0
ofctl dump-groups br0
ofctl meter-stats br0 meter=1
ofctl meter-stats br0 meter=2
ofctl del-meter br0 meter=99
ofctl del-meter br0 meter=1
ofctl dump-flows --no-stats br0
ofctl dump-meters br0
ofctl add-meter br0 meter=controller,pktps,bands=type=drop,rate=10
ofctl add-meter br0 meter=controller,pktps,bands=type=drop,rate=10
ofctl add-meter br0 meter=slowpath,pktps,bands=type=drop,rate=10
ofctl mod-meter br0 meter=slowpath,kbps,bands=type=drop,rate=11
ofctl dump-meters br0
ofctl meter-stats br0 meter=controller
ofctl add-flow br0 table=4,actions=meter:4294967294,output:1
ofctl del-meter br0 meter=controller
ofctl del-meter br0 meter=2
ofctl dump-meters br0
ofctl del-meters br0
ofctl dump-meters br0
ofctl dump-flows --no-stats br0
`), "\n")

// TestMetersTraceLikeStock compares where the meter is among the actions for the datapath. The datapath's own numbers of
// meters are compared in the first run only: OVS gives each id in turn, as we do.
func TestMetersTraceLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	var got, want []string
	for _, s := range []*sim{stock, ours} {
		s.addBridge("br0", "fail_mode=secure", "datapath_type=dummy")
		s.addPort("br0", 1)
		s.addPort("br0", 2)
		ofctl := func(args ...string) { s.Ofctl(append([]string{"-OOpenFlow15"}, args...)...) }
		for i, m := range []string{"3", "4", "controller", "slowpath"} {
			ofctl("add-meter", "br0", fmt.Sprintf("meter=%s,pktps,bands=type=drop,rate=%d", m, 10+i))
		}
		ofctl("add-flow", "br0", "in_port=1,udp,actions=meter:4,set_field:1.2.3.4->nw_dst,output:2")
		ofctl("add-flow", "br0", "in_port=1,tcp,actions=meter:4,push_vlan:0x8100,set_field:4097->vlan_vid,resubmit(,1),output:2")
		ofctl("add-flow", "br0", "table=1,actions=meter:3,in_port")
		ofctl("add-flow", "br0", "in_port=2,actions=controller(meter_id=3,userdata=01),output:1,controller")
		ofctl("add-flow", "br0", "in_port=2,udp,actions=meter:3,dec_ttl,controller")
		for _, flow := range []string{"in_port=1,udp", "in_port=1,tcp", "in_port=2", "in_port=2,udp,nw_ttl=1", "in_port=2,udp,nw_ttl=9"} {
			out := s.Appctl("ofproto/trace", "br0", flow)
			lines := traceLines(out, true) // the stock daemon reads more of the packet than it needs
			if s == ours {
				got = append(got, lines...)
			} else {
				want = append(want, lines...)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("traces (-stock +ours):\n%s", diff)
	}
	if !strings.Contains(strings.Join(got, ""), "sample(sample=100.0%,actions(meter(") {
		t.Errorf("no packet-in is metered:\n%s", got)
	}
}

// TestMeterLimits counts what passes meters while the time stands still, and when it has moved.
func TestMeterLimits(t *testing.T) {
	s := start(t, 3)
	s.Appctl("time/stop")
	ofctl := func(args ...string) string {
		s.t.Helper()
		return s.Ofctl(append([]string{"-OOpenFlow13"}, args...)...)
	}
	burst := func(from string, n int) {
		for range n {
			s.receive(from, ping(1, 2, 0)) // of 106 bytes
		}
	}
	count := func(what, port string, want int) {
		t.Helper()
		if n := len(s.sent(port)); n != want {
			t.Errorf("%s: %d packets, want %d", what, n, want)
		}
	}
	stats := func(meter, want string) {
		t.Helper()
		got := regexp.MustCompile(`(?m) duration:\S+|^OFPST.*\n`).ReplaceAllString(ofctl("meter-stats", "br0", "meter="+meter), "")
		if diff := cmp.Diff(want, strings.TrimSpace(got)); diff != "" {
			t.Errorf("statistics of meter %s (-want +got):\n%s", meter, diff)
		}
	}
	ofctl("del-flows", "br0")
	ofctl("add-meter", "br0", "meter=7,pktps,burst,bands=type=drop,rate=4,burst_size=6")
	ofctl("add-flow", "br0", "in_port=1,actions=meter:7,output:2")
	burst("p1", 10)
	count("a burst", "p2", 6)
	stats("7", "meter:7 flow_count:1 packet_in_count:10 byte_in_count:1060 bands:\n0: packet_count:4 byte_count:424")
	s.Appctl("time/warp", "500")
	burst("p1", 10)
	count("half a second later", "p2", 2)
	s.Appctl("time/warp", "60000", "60000")
	burst("p1", 10)
	count("much later", "p2", 6)

	// A modification fills the bucket and clears the counters; megaflows stay.
	ofctl("mod-meter", "br0", "meter=7,kbps,burst,bands=type=drop,rate=1,burst_size=2")
	burst("p1", 5)
	count("two kilobits", "p2", 2)
	stats("7", "meter:7 flow_count:1 packet_in_count:5 byte_in_count:530 bands:\n0: packet_count:3 byte_count:318")

	// The meter's flow goes with it, and so do the megaflows.
	ofctl("add-flow", "br0", "priority=1,in_port=1,actions=output:3")
	ofctl("del-meter", "br0", "meter=7")
	if got := s.flows("-OOpenFlow13", "in_port=1"); strings.Contains(got, "meter") || !strings.Contains(got, "output:3") {
		t.Errorf("flows after the deletion:\n%s", got)
	}
	s.revalidate()
	burst("p1", 10)
	count("without the meter", "p2", 0)
	count("without the meter", "p3", 10)
}

// TestControllerMeters limits packet-ins by the meter of the action and by the one for all.
func TestControllerMeters(t *testing.T) {
	s := start(t, 3)
	s.Appctl("time/stop")
	ofctl := func(args ...string) string {
		s.t.Helper()
		return s.Ofctl(append([]string{"-OOpenFlow13"}, args...)...)
	}
	ofctl("del-flows", "br0")
	ofctl("add-meter", "br0", "meter=7,pktps,burst,bands=type=drop,rate=1,burst_size=3")
	ofctl("add-flow", "br0", "in_port=1,actions=controller(meter_id=7,userdata=01),output:2")
	ofctl("add-flow", "br0", "in_port=3,actions=controller(userdata=02),output:2")
	run := func(want1, want3 int) {
		t.Helper()
		m := s.monitor("65534", "-OOpenFlow13", "-Pnxt_packet_in")
		for range 8 {
			s.receive("p1", ping(1, 2, 0))
			s.receive("p3", ping(1, 2, 0))
		}
		out := m.output()
		if n1, n3 := strings.Count(out, "in_port=1 (via action)"), strings.Count(out, "in_port=3 (via action)"); n1 != want1 || n3 != want3 {
			t.Errorf("%d and %d packet-ins, want %d and %d:\n%s", n1, n3, want1, want3, out)
		}
		if n := len(s.sent("p2")); n != 16 {
			t.Errorf("%d packets were forwarded, want 16: meters of packet-ins limit nothing else", n)
		}
	}
	run(3, 8)
	ofctl("add-meter", "br0", "meter=controller,pktps,burst,bands=type=drop,rate=1,burst_size=2")
	s.revalidate()
	run(0, 2)
	// Without its own, the common one limits it; it is empty now.
	ofctl("del-meter", "br0", "meter=7")
	s.revalidate()
	run(0, 0)
	ofctl("del-meters", "br0")
	s.revalidate()
	run(8, 8)
	if got := s.flows("-OOpenFlow13", "in_port=1"); !strings.Contains(got, "meter_id=7") {
		t.Errorf("the flow went with the meter of its controller action:\n%s", got)
	}
}

// TestSlowPathMeter limits the packets that are translated one by one.
func TestSlowPathMeter(t *testing.T) {
	s := start(t, 3)
	s.Appctl("time/stop")
	ofctl := func(args ...string) string {
		s.t.Helper()
		return s.Ofctl(append([]string{"-OOpenFlow13"}, args...)...)
	}
	ofctl("del-flows", "br0")
	// Over 64 kB of actions for the datapath.
	var list []string
	for i := range 1100 {
		list = append(list, fmt.Sprintf("set_field:%d->reg0,mod_nw_tos:%d,output:2", i, 4*(i%60)))
	}
	ofctl("add-flow", "br0", "table=1,ip,actions="+strings.Join(list, ","))
	ofctl("add-flow", "br0", "in_port=1,actions=resubmit(,1),resubmit(,1),resubmit(,1),resubmit(,1),output:3")
	burst := func(want int) {
		t.Helper()
		for range 6 {
			s.receive("p1", ping(1, 2, 0))
		}
		if n := len(s.sent("p3")); n != want {
			t.Errorf("%d of 6 packets passed, want %d", n, want)
		}
	}
	burst(6)
	if got := s.Appctl("dpctl/dump-flows"); !strings.Contains(got, "userspace(") || strings.Contains(got, "meter") {
		t.Fatalf("no slow flow without meter:\n%s", got)
	}
	ofctl("add-meter", "br0", "meter=slowpath,pktps,burst,bands=type=drop,rate=1,burst_size=2")
	s.revalidate()
	if got := s.Appctl("dpctl/dump-flows"); !strings.Contains(got, "actions:sample(sample=100.0%,actions(meter(0),userspace(") {
		t.Errorf("the slow flow is not metered:\n%s", got)
	}
	burst(2)
	ofctl("del-meter", "br0", "meter=slowpath")
	s.revalidate()
	burst(6)
}

// TestMetersOfBridges shares the datapath's meters between bridges, and takes back those of a bridge that goes.
func TestMetersOfBridges(t *testing.T) {
	s := start(t, 2)
	ofctl := func(args ...string) { s.t.Helper(); s.Ofctl(append([]string{"-OOpenFlow13"}, args...)...) }
	used := func(want int) {
		t.Helper()
		s.revalidate()
		got := s.Appctl("memory/show")
		if want == 0 && strings.Contains(got, "meters:") || want > 0 && !strings.Contains(got, fmt.Sprintf("meters:%d ", want)) {
			t.Errorf("memory/show has not meters:%d:\n%s", want, got)
		}
	}
	used(0)
	for range 3 {
		s.addBridge("br1")
		for _, br := range []string{"br0", "br1"} {
			ofctl("add-meter", br, "meter=5,pktps,bands=type=drop,rate=1")
			ofctl("add-meter", br, "meter=controller,pktps,bands=type=drop,rate=1")
			ofctl("add-flow", br, "priority=9,actions=meter:5,NORMAL,controller")
		}
		used(4)
		s.receive("p1", ping(1, 2, 0))
		s.Vsctl("del-br", "br1")
		used(2)
		ofctl("del-meters", "br0")
		used(0)
	}
	// So does going from no controllers to some.
	ofctl("add-meter", "br0", "meter=5,pktps,bands=type=drop,rate=1")
	used(1)
	s.Vsctl("set-controller", "br0", "unix:"+s.Dir+"/nobody")
	used(0)
}

// TestMetersInBundles replaces flows that use meters, and fails where a meter is missing.
func TestMetersInBundles(t *testing.T) {
	s := start(t, 2)
	ofctl := func(args ...string) string {
		s.t.Helper()
		return s.Ofctl(append([]string{"-OOpenFlow14"}, args...)...)
	}
	ofctl("del-flows", "br0")
	ofctl("add-meter", "br0", "meter=5,pktps,bands=type=drop,rate=1")
	file := func(lines ...string) string {
		name := filepath.Join(s.Dir, "flows")
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	is := func(want string) {
		t.Helper()
		if diff := cmp.Diff(want, s.flows("-OOpenFlow14", "--no-stats")); diff != "" {
			t.Errorf("flows (-want +got):\n%s", diff)
		}
	}
	ofctl("--bundle", "replace-flows", "br0", file("in_port=1,actions=meter:5,output:2", "in_port=2,actions=output:1"))
	is("in_port=1 actions=meter:5,output:2\nin_port=2 actions=output:1")
	out, code := s.Try("ovs-ofctl", "-OOpenFlow14", "--bundle", "replace-flows", "br0", file("in_port=2,actions=meter:5,output:1", "in_port=3,actions=meter:6,output:1"))
	if code == 0 || !strings.Contains(out, "OFPMMFC_INVALID_METER") {
		t.Errorf("a flow with an unknown meter: %d %s", code, out)
	}
	is("in_port=1 actions=meter:5,output:2\nin_port=2 actions=output:1")
	ofctl("replace-flows", "br0", file("in_port=2,actions=meter:5,output:1"))
	is("in_port=2 actions=meter:5,output:1")
	if got := ofctl("meter-stats", "br0"); !strings.Contains(got, "meter:5 flow_count:1 ") {
		t.Errorf("users of the meter:\n%s", got)
	}
}
