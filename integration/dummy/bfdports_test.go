package dummy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/bridge/bfd"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestBFDPortsLikeStock joins two bridges whose ports watch each other, and compares what hangs on their sessions: the
// buckets of groups, port states, which packets the sessions take.
func TestBFDPortsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, map[string]int{}}, &sim{testenv.Stock(t), t, map[string]int{}}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		s.addBridge("br1", "other_config:hwaddr=aa:55:aa:55:00:01", "fail_mode=secure")
		s.addPort("br0", 1)
		s.addPort("br0", 2)
		for i, port := range []string{"left", "right"} {
			s.Vsctl("add-port", fmt.Sprintf("br%d", i), port, "--", "set", "interface", port, "type=patch", "ofport_request=9",
				"options:peer="+[]string{"right", "left"}[i], "bfd:enable=true", "bfd:min_rx=200", "bfd:min_tx=200")
		}
		s.Ofctl("-OOpenFlow13", "add-group", "br0", "group_id=1,type=ff,bucket=watch_port:9,actions=set_field:1->reg0,output:9,bucket=watch_port:2,actions=output:2")
		s.Ofctl("-OOpenFlow13", "add-flow", "br0", "in_port=1,actions=group:1")
		s.Ofctl("-OOpenFlow13", "add-flow", "br0", "in_port=2,actions=bundle(eth_src,50,active_backup,ofport,members:9,2)")
	}
	warp := func(ms int) {
		for _, s := range both {
			s.Appctl("time/warp", fmt.Sprint(ms), "50")
		}
	}
	same := func(what string, of func(*sim) string) {
		t.Helper()
		agree(t, what, both, of, func() { warp(200) }) // what they come to is steady
	}
	ports := func(s *sim) string {
		var b strings.Builder
		for _, port := range []string{"left", "right"} {
			show, _ := s.Try("ovs-appctl", "bfd/show", port)
			b.WriteString(unsteady.ReplaceAllString(jittery.ReplaceAllString(show, ""), ""))
			b.WriteString(s.Vsctl("get", "interface", port, "bfd_status") + "\n")
		}
		for _, bridge := range []string{"br0", "br1"} {
			_, port, _ := strings.Cut(s.Ofctl("-OOpenFlow15", "dump-ports-desc", bridge, "9"), "addr:")
			b.WriteString(port[18:])
		}
		for _, in := range []string{"1", "2"} {
			_, actions, _ := strings.Cut(s.Appctl("ofproto/trace", "br0", "in_port="+in), "Final flow")
			b.WriteString(actions)
		}
		return b.String()
	}
	warp(3000)
	same("up", ports)
	for _, s := range both {
		s.Vsctl("set", "interface", "right", "bfd:cpath_down=true")
	}
	warp(500)
	same("the path of one is down", ports)
	for _, s := range both {
		s.Vsctl("set", "interface", "right", "bfd:cpath_down=false")
	}
	warp(500)
	same("the path is back", ports)
	for _, s := range both {
		s.Appctl("bfd/set-forwarding", "left", "false")
	}
	warp(500)
	same("one is forced not to forward", ports)
	for _, s := range both {
		s.Appctl("bfd/set-forwarding", "normal")
		s.Vsctl("set", "interface", "right", "bfd:enable=false")
	}
	warp(1000)
	same("one is gone", ports)
	for _, s := range both {
		s.Vsctl("set", "interface", "left", "bfd:enable=false")
	}
	same("both are gone", func(s *sim) string {
		_, end, _ := strings.Cut(s.Appctl("ofproto/trace", "br0", "in_port=1"), "Final flow")
		return end + s.Vsctl("get", "interface", "left", "bfd_status")
	})

	// What a session takes.
	for _, s := range both {
		s.Vsctl("set", "interface", "p1", "bfd:enable=true", "bfd:bfd_src_ip=10.0.0.1")
		s.Ofctl("del-flows", "br0")
	}
	const flow = "in_port=1,dl_src=00:00:00:00:00:01,dl_dst=00:23:20:00:00:07,"
	for _, f := range []string{"udp,nw_dst=10.0.0.1,udp_dst=3784", "udp,nw_dst=10.0.0.1,udp_dst=3785", "udp,nw_dst=10.0.0.1,udp_dst=53", "tcp,nw_dst=10.0.0.1,tcp_dst=3784",
		"dl_vlan=5,udp,nw_dst=10.0.0.1,udp_dst=3784", "udp6,udp_dst=3784", "udp,nw_dst=10.0.0.1,udp_dst=3784,ip_frag=first",
		"udp,nw_dst=10.0.0.1,udp_dst=3784,ip_frag=later", "arp"} {
		same(f, func(s *sim) string {
			_, end, _ := strings.Cut(s.Appctl("ofproto/trace", "br0", flow+f), "Final flow")
			return end
		})
	}
	ours.Vsctl("set", "interface", "p1", "bfd:bfd_remote_dst_mac=00:23:20:00:00:07",
		"--", "add-port", "br0", "t5", "--", "set", "interface", "t5", "type=geneve", "ofport_request=5", "options:remote_ip=192.0.2.5", "options:key=flow",
		"bfd:enable=true", "bfd:check_tnl_key=true")
	// Here the stock daemon's megaflows read the address of all packets, and do not say why one is not the session's.
	tunnel := strings.Replace(flow, "in_port=1", "in_port=5,tun_src=192.0.2.5,tun_dst=192.0.2.6", 1)
	for f, want := range map[string]string{
		flow + "udp,nw_dst=10.0.0.1,udp_dst=3784":                                   "udp,in_port=1,dl_dst=00:23:20:00:00:07,nw_dst=10.0.0.1,nw_frag=no,tp_dst=3784\nDatapath actions: drop\nThis",
		strings.Replace(flow, "07,", "06,", 1) + "udp,nw_dst=10.0.0.1,udp_dst=3784": "udp,in_port=1,dl_dst=00:00:00:00:00:00/00:00:00:00:00:01,nw_frag=no,tp_dst=3784\nDatapath actions: drop\n",
		flow + "udp,nw_dst=10.0.0.2,udp_dst=3784":                                   "nw_dst=0.0.0.2/0.0.0.2,nw_frag=no,tp_dst=3784\nDatapath actions: drop\n",
		tunnel + "udp,udp_dst=3784,tun_id=0":                                        "- Consists of BFD packets.",
		tunnel + "udp,udp_dst=3784,tun_id=6":                                        "tp_dst=3784\nDatapath actions: drop\n",
	} {
		out := ours.Appctl("ofproto/trace", "br0", f)
		ours.contains(f, out, want)
		if taken := strings.Contains(want, "BFD") || strings.HasSuffix(want, "This"); taken != strings.Contains(out, "BFD packet,") {
			t.Errorf("%s: taken must be %v:\n%s", f, taken, out)
		}
	}
	n := neighbor{ttl: 255}
	n.State, n.Mult, n.MyDisc, n.MinTx, n.MinRx = bfd.Down, 3, 9, 1_000_000, 1_000_000
	for _, s := range both {
		s.Vsctl("set", "interface", "p1", "bfd={enable=true}")
		s.receive("p1", n.frame())
	}
	same("a megaflow of BFD", func(s *sim) string { return counters.ReplaceAllString(s.Appctl("dpctl/dump-flows"), "") })
}

// TestBFDTraffic has data count as a sign of life.
func TestBFDTraffic(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*sim{"ours": {testenv.Simulated(t), t, map[string]int{}}, "stock": {testenv.Stock(t), t, map[string]int{}}} {
		s.Appctl("time/stop")
		s.addBridge("br0")
		s.addBridge("br1")
		for i, port := range []string{"left", "right"} {
			s.Vsctl("add-port", fmt.Sprintf("br%d", i), port, "--", "set", "interface", port, "type=patch", "ofport_request=9",
				"options:peer="+[]string{"right", "left"}[i], "bfd:enable=true", "bfd:min_rx=200", "bfd:min_tx=200", "bfd:forwarding_if_rx=true")
		}
		status := func(what, want string) {
			t.Helper()
			s.Eventually(name+": "+what, func() error {
				if got := s.Vsctl("get", "interface", "left", "bfd_status:state", "bfd_status:forwarding"); got != want {
					return fmt.Errorf("%s", got)
				}
				return nil
			})
		}
		s.Appctl("time/warp", "4000", "50")
		status("up", "up\n\"true\"")
		// The other end falls silent, but its data comes.
		s.Vsctl("set", "interface", "right", "bfd:enable=false")
		for range 12 {
			s.Ofctl("packet-out", "br1", "none", "output:9", "020000000001020000000002080045")
			s.Appctl("time/warp", "250", "50")
		}
		status("data alone", "down\n\"true\"")
		s.Appctl("time/warp", "4000", "50")
		status("nothing", "down\n\"false\"")
	}
}
