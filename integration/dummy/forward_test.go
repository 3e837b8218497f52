package dummy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNormalLearnsAndForgets(t *testing.T) {
	t.Parallel()
	s := start(t, 3)
	all := []string{"p1", "p2", "p3"}
	s.receive("p1", ping(1, 2, 0))
	s.went("unknown destination", "p2 p3", all...)
	s.receive("p2", ping(2, 1, 0))
	s.went("learned destination", "p1", all...)
	s.revalidate()
	s.receive("p1", ping(1, 2, 0), ping(1, 2, 0))
	s.went("both learned", "p2 p2", all...)
	s.revalidate() // credits what the megaflow forwarded to host 1
	s.contains("fdb/show", s.Appctl("fdb/show", "br0"), " port  VLAN  MAC                Age\n", "\n    2     0  50:54:00:00:00:02    0\n", "\n    1     0  50:54:00:00:00:01    0\n")

	// Host 1 goes on speaking, host 2 is silent for longer than mac-aging-time.
	for range 4 {
		s.Appctl("time/warp", "90000", "5000")
		s.receive("p1", ping(1, 9, 0))
	}
	s.contains("fdb/show", s.Appctl("fdb/show", "br0"), "    1     0  50:54:00:00:00:01    0")
	s.sent("p1")
	s.sent("p2")
	s.sent("p3")
	s.receive("p3", ping(3, 2, 0), ping(3, 1, 0))
	s.went("the silent host floods, the other does not", "p1 p1 p2", all...)

	// A host moves.
	s.receive("p2", ping(1, 9, 0))
	s.revalidate()
	s.sent("p1")
	s.sent("p3")
	s.receive("p3", ping(3, 1, 0))
	s.went("moved", "p2", all...)
	// And comes back, all by the megaflow of its first stay.
	s.receive("p1", ping(1, 9, 0))
	s.revalidate()
	s.revalidate()
	s.sent("p2")
	s.sent("p3")
	s.receive("p3", ping(3, 1, 0))
	s.went("back", "p1", all...)
	s.contains("dpctl/dump-flows", s.Appctl("dpctl/dump-flows"), "in_port(1),packet_type(ns=0,id=0),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:09),eth_type(0x0800),ipv4(frag=no), packets:1,")
	s.contains("fdb/stats-show", s.Appctl("fdb/stats-show", "br0"), "Total number of port moved MAC entries  : 2", "Total number of expired MAC entries     : 1")
}

func TestVLANs(t *testing.T) {
	t.Parallel()
	s := start(t, 0)
	s.addPort("br0", 1, "tag=10")
	s.addPort("br0", 2, "tag=10")
	s.addPort("br0", 3, "tag=20")
	s.addPort("br0", 4, "trunks=10,30")
	all := []string{"p1", "p2", "p3", "p4"}
	s.receive("p1", ping(1, 2, 0))
	if diff := cmp.Diff([]string{"5054000000025054000000010800"}, []string{s.sent("p2")[0][:28]}); diff != "" {
		t.Errorf("access port (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"505400000002505400000001" + "8100000a" + "0800"}, []string{s.sent("p4")[0][:36]}); diff != "" {
		t.Errorf("trunk port (-want +got):\n%s", diff)
	}
	s.went("VLAN 20 is another", "", all...)
	s.receive("p4", ping(4, 1, 10))
	s.went("tagged, to the one that is known", "p1", all...)
	s.receive("p4", ping(4, 9, 20), ping(4, 9, 0))
	s.went("not trunked", "", all...)
	s.receive("p3", ping(3, 1, 0))
	s.went("alone in its VLAN", "", all...)
	s.Vsctl("set", "port", "p3", "tag=10")
	s.receive("p3", ping(3, 1, 0))
	s.went("in VLAN 10 now", "p1", all...)
}

func TestPatchPorts(t *testing.T) {
	t.Parallel()
	s := start(t, 1)
	s.addBridge("br1")
	s.addPort("br1", 2)
	s.Vsctl("add-port", "br0", "pa", "--", "set", "interface", "pa", "type=patch", "options:peer=pb",
		"--", "add-port", "br1", "pb", "--", "set", "interface", "pb", "type=patch", "options:peer=pa")
	s.receive("p1", ping(1, 2, 0))
	s.receive("p2", ping(2, 1, 0))
	s.went("across", "p1 p2", "p1", "p2")
	s.contains("fdb/show br1", s.Appctl("fdb/show", "br1"), "50:54:00:00:00:01", "50:54:00:00:00:02")
	s.contains("dpif/show", s.Appctl("dpif/show"), "dummy@ovs-dummy: hit:0 missed:2\n", "    br0 65534/100: (dummy-internal)\n", "    p1 1/1: (dummy)\n",
		"/none: (patch: peer=pb)\n", "    br1 65534/101: (dummy-internal)\n", "    p2 2/2: (dummy)\n")
	s.Vsctl("set", "interface", "pb", "options:peer=nobody")
	s.receive("p1", ping(1, 2, 0))
	s.went("cut", "", "p1", "p2")
}

func TestFlowsAndMegaflows(t *testing.T) {
	t.Parallel()
	s := start(t, 3, "fail_mode=secure")
	s.receive("p1", ping(1, 2, 0))
	s.went("a secure bridge without flows", "", "p1", "p2", "p3")
	s.Ofctl("-OOpenFlow13", "add-flow", "br0", "in_port=1,icmp,actions=mod_nw_dst:10.0.0.77,dec_ttl,resubmit(,1)")
	s.Ofctl("-OOpenFlow13", "add-flow", "br0", "table=1,ip,nw_dst=10.0.0.77,actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:2,strip_vlan,output:3,in_port")
	s.receive("p1", ping(1, 2, 0), ping(1, 2, 0), ping(1, 2, 0))
	const ip = "450000" + "5c" + "00000000" + "3f01" + "6754" + "0a000001" + "0a00004d"
	for port, tag := range map[string]string{"p1": "", "p2": "81000005", "p3": ""} {
		want := "505400000002505400000001" + tag + "0800" + ip
		list := s.sent(port)
		if len(list) != 3 {
			t.Errorf("%s sent %d packets, want 3", port, len(list))
		}
		for _, got := range list {
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s:\n got %s\nwant %s...", port, got, want)
			}
		}
	}
	s.revalidate()
	want := "cookie=0x0, table=0, n_packets=3, n_bytes=318, icmp,in_port=1 actions=set_field:10.0.0.77->ip_dst,dec_ttl,resubmit(,1)\n" +
		"cookie=0x0, table=1, n_packets=3, n_bytes=318, ip,nw_dst=10.0.0.77 actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:2,pop_vlan,output:3,IN_PORT"
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(s.flows("-OOpenFlow13"), "\n")); diff != "" {
		t.Errorf("dump-flows (-want +got):\n%s", diff)
	}
	s.contains("dump-ports", s.Ofctl("dump-ports", "br0", "1"), "rx pkts=4, bytes=424,", "tx pkts=3, bytes=318,")
	s.contains("dpctl/dump-flows", s.Appctl("dpctl/dump-flows"), "in_port(1)", "eth_type(0x0800),ipv4(", "packets:2, bytes:212,", "push_vlan(vid=5,pcp=0),2,pop_vlan,3,1")
	s.contains("dpctl/show", s.Appctl("dpctl/show"), "  lookups: hit:2 missed:2 lost:0\n", "  port 0: ovs-dummy (dummy-internal)\n", "  port 1: p1 (dummy)\n")

	// The tables change: so do the megaflows.
	s.Ofctl("mod-flows", "br0", "table=1,actions=output:3")
	s.revalidate()
	s.receive("p1", ping(1, 2, 0))
	s.went("modified", "p3", "p1", "p2", "p3")
	s.Ofctl("del-flows", "br0")
	s.revalidate()
	s.receive("p1", ping(1, 2, 0))
	s.went("deleted", "", "p1", "p2", "p3")

	// Idle megaflows go after max-idle, 10 s.
	s.contains("dpctl/dump-flows", s.Appctl("dpctl/dump-flows"), "actions:drop")
	s.Appctl("time/warp", "11000", "500")
	if out := s.Appctl("dpctl/dump-flows"); out != "" {
		t.Errorf("megaflows that should have gone: %s", out)
	}
}
