package dummy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// through is a packet from host a to host b as it arrives by a tunnel from a remote end, with a key.
func through(remote string, key, a, b int) string {
	return fmt.Sprintf("tunnel(tun_id=%#x,src=%s,dst=10.9.0.1,ttl=64,flags(df|key)),", key, remote) + ping(a, b, 0)
}

// counted checks the packets that an interface has received and sent.
func (s *sim) counted(what, port string, rx, tx int) {
	s.t.Helper()
	s.revalidate()
	out := s.Ofctl("dump-ports", "br0", port)
	for _, want := range []string{fmt.Sprintf("rx pkts=%d,", rx), fmt.Sprintf("tx pkts=%d,", tx), "drop=?"} {
		if !strings.Contains(out, want) {
			s.t.Errorf("%s: counters of %s lack %q:\n%s", what, port, want, out)
		}
	}
}

// TestTunnelTraffic: tunnels are ports of a switch like others, though several share one of the datapath.
func TestTunnelTraffic(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	s.addTunnels([]string{1: "vxlan remote_ip=10.0.0.1 key=5", 2: "vxlan remote_ip=10.0.0.2 key=flow", 3: "geneve remote_ip=fc00::3"}, 1, 2, 3)
	s.Vsctl("set", "port", "t1", "tag=10", "--", "set", "port", "p1", "tag=10")

	// NORMAL floods to and learns of tunnels, each with its VLANs.
	s.receive("p1", ping(1, 2, 0))
	s.went("flooded", "p2", "p1", "p2")
	s.contains("the megaflow", s.Appctl("dpctl/dump-flows"), "set(tunnel(tun_id=0x5,dst=10.0.0.1,ttl=64,tp_dst=4789,flags(df|key))),4789")
	s.counted("flooded", "t1", 0, 1)
	s.receive("vxlan_sys_4789", through("10.0.0.1", 5, 2, 1))
	s.went("answered", "p1", "p1", "p2")
	s.contains("the MAC table", s.Appctl("fdb/show", "br0"), "   21    10  50:54:00:00:00:02")
	s.receive("p1", ping(1, 2, 0))
	s.went("known now", "", "p1", "p2")
	s.counted("known now", "t1", 1, 2)
	s.counted("known now", "t2", 0, 1)

	// A packet of nobody is dropped; the configuration is followed.
	s.receive("vxlan_sys_4789", through("10.0.0.1", 6, 2, 1))
	s.went("of another key", "", "p1", "p2")
	s.Vsctl("set", "interface", "t1", "options:key=6")
	s.revalidate()
	s.receive("vxlan_sys_4789", through("10.0.0.1", 5, 2, 1), through("10.0.0.1", 6, 2, 1))
	s.went("of the key that is wanted now", "p1", "p1", "p2")
	s.receive("p1", ping(1, 2, 0))
	s.contains("the megaflow", s.Appctl("dpctl/dump-flows"), "set(tunnel(tun_id=0x6,dst=10.0.0.1,ttl=64,tp_dst=4789,flags(df|key))),4789")

	// The datapath's port goes with the last.
	s.Vsctl("del-port", "t1")
	s.contains("one is left", s.Appctl("dpctl/show"), "vxlan_sys_4789 (vxlan: packet_type=ptap)", "genev_sys_6081 (geneve: packet_type=ptap)")
	s.Vsctl("del-port", "t2")
	if out := s.Appctl("dpctl/show"); strings.Contains(out, "vxlan_sys") {
		t.Errorf("the port of no tunnel is there:\n%s", out)
	}
	s.contains("iface_types", s.Vsctl("get", "open_vswitch", ".", "iface_types"), "geneve, gre,", "ip6gre,", "vxlan")
}

// TestTunnelAndRecirculation: where a packet goes in a tunnel first, it still is what came in afterwards.
func TestTunnelAndRecirculation(t *testing.T) {
	t.Parallel()
	s := start(t, 2, "fail_mode=secure")
	s.addTunnels([]string{1: "vxlan remote_ip=10.0.0.1 key=flow", 2: "vxlan remote_ip=10.0.0.2 key=flow"}, 1, 2)
	s.addBridge("br1", "fail_mode=secure")
	s.Vsctl("add-port", "br0", "x0", "--", "set", "interface", "x0", "type=patch", "options:peer=x1", "ofport_request=10", "--",
		"add-port", "br1", "x1", "--", "set", "interface", "x1", "type=patch", "options:peer=x0", "ofport_request=11", "--",
		"add-port", "br1", "u1", "--", "set", "interface", "u1", "type=geneve", "options:remote_ip=10.0.0.9", "options:key=flow", "options:egress_pkt_mark=3", "ofport_request=31")
	for _, f := range []string{
		"in_port=t1,icmp,actions=set_field:9->tun_id,t2,x0,ct(table=1)", "table=1,ct_state=+trk,tun_id=9,tun_src=10.0.0.1,actions=p1,in_port", "table=1,priority=1,actions=p2",
		"in_port=p1,actions=set_field:8->tun_id,t1,output(port=t1,max_len=100),t2",
	} {
		s.Ofctl("add-flow", "br0", f)
	}
	s.Ofctl("add-flow", "br1", "in_port=x1,actions=u1")
	s.receive("vxlan_sys_4789", through("10.0.0.1", 5, 2, 1))
	s.went("tracked", "p1", "p1", "p2")
	s.counted("relayed", "t2", 0, 1)
	s.counted("sent back", "t1", 1, 1)
	got := megaflowActions(s)
	const relay = "set(tunnel(tun_id=0x9,dst=10.0.0.2,ttl=64,tp_dst=4789,flags(df|key))),4789," +
		"set(skb_mark(0x3)),set(tunnel(tun_id=0x0,dst=10.0.0.9,ttl=64,tp_dst=6081,flags(df|key))),6081,set(skb_mark(0)),ct,recirc(N)"
	want := []string{relay, "1,set(tunnel(tun_id=0x9,dst=10.0.0.1,ttl=64,tp_dst=4789,flags(df|key))),4789"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	s.receive("p1", ping(1, 2, 0))
	s.counted("truncated and not", "t1", 1, 3)
	s.counted("truncated and not", "t2", 0, 2)
}

// megaflowActions are the actions of all megaflows, in the order in which they came.
func megaflowActions(s *sim) (list []string) {
	for _, l := range strings.Split(s.Appctl("dpctl/dump-flows"), "\n") {
		if _, actions, ok := strings.Cut(l, "actions:"); ok {
			list = append(list, recirc.ReplaceAllString(actions, "recirc(N)"))
		}
	}
	return list
}

// TestTunnelMode: a value that is none is said in the log, and the simulated datapath has its own way.
func TestTunnelMode(t *testing.T) {
	t.Parallel()
	s := start(t, 1)
	s.addTunnels([]string{1: "vxlan remote_ip=10.0.0.1"}, 1)
	s.Vsctl("set", "open_vswitch", ".", "other_config:tunnel-mode=both")
	s.contains("the tunnel", s.Appctl("ofproto/list-tunnels"), "port 4789: t1 (vxlan: ::->10.0.0.1, key=0, legacy_l2, dp port=4789, ttl=64)")
	log, err := os.ReadFile(filepath.Join(s.Dir, "ovs-vswitchd.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), `"both" is not one of auto, kernel, native`); n != 1 {
		t.Errorf("the log says %d times that there is no such mode", n)
	}
}
