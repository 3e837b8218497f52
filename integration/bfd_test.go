package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestBFD has sessions on two paths to another switch, ours or the stock one, and breaks a path in ways that its devices do not see.
func TestBFD(t *testing.T) {
	t.Parallel()
	for _, peer := range []string{"ours", "stock"} {
		t.Run(peer, func(t *testing.T) {
			t.Parallel()
			e := testenv.New(t)
			far := e.Peer(peer == "stock")
			for _, path := range []string{"pa", "pb"} {
				e.Run("ip", "link", "add", path, "netns", e.NS, "type", "veth", "peer", "name", path, "netns", far.NS)
				e.In(e.NS, "ip", "link", "set", path, "up")
				e.In(far.NS, "ip", "link", "set", path, "up")
			}
			// A second without packets means down: the machine may be busy.
			const session = "bfd={enable=true,min_tx=100,min_rx=100,mult=10}"
			for _, s := range []*testenv.Env{e, far} {
				s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "fail_mode=secure")
				if s.IsStock {
					s.Vsctl("set", "bridge", "br0", "datapath_type=netdev")
				}
				s.Vsctl("add-port", "br0", "pa", "--", "set", "interface", "pa", "ofport_request=1", session,
					"--", "add-port", "br0", "pb", "--", "set", "interface", "pb", "ofport_request=2", session)
			}
			e.Ofctl("-OOpenFlow13", "add-group", "br0", "group_id=1,type=ff,bucket=watch_port:1,actions=output:1,bucket=watch_port:2,actions=output:2")
			e.Ofctl("-OOpenFlow13", "add-flow", "br0", "in_port=LOCAL,actions=group:1")
			status := func(s *testenv.Env, path, want string) {
				t.Helper()
				s.Eventually(path+" of "+s.ID+" is "+want, func() error {
					got := s.Vsctl("get", "interface", path, "bfd_status:state", "bfd_status:forwarding", "bfd_status:diagnostic", "bfd_status:flap_count")
					if got = strings.Join(strings.Fields(strings.ReplaceAll(got, `"`, "")), " "); !strings.HasPrefix(got, want) {
						return fmt.Errorf("%s", got)
					}
					return nil
				})
			}
			goes := func(want string) {
				t.Helper()
				e.Eventually("the group chooses "+want, func() error {
					out := e.Appctl("ofproto/trace", "--names", "br0", "in_port=LOCAL")
					if !strings.Contains(out, "\nDatapath actions: "+want+"\n") {
						return fmt.Errorf("%s", out)
					}
					return nil
				})
			}
			for _, s := range []*testenv.Env{e, far} {
				status(s, "pa", "up true")
				status(s, "pb", "up true")
			}
			goes("pa")
			flows := e.Appctl("dpctl/dump-flows", "--names")
			if want := "ipv4(proto=17,frag=no),udp(dst=3784), "; strings.Count(flows, want) != 2 || strings.Count(flows, "slow_path(bfd)") != 2 {
				t.Errorf("megaflows of BFD:\n%s", flows)
			}

			// The far end falls silent.
			far.Vsctl("set", "interface", "pa", "bfd:enable=false")
			status(e, "pa", "down false Control Detection Time Expired")
			goes("pb")
			if desc := e.Ofctl("-OOpenFlow15", "dump-ports-desc", "br0", "1"); strings.Contains(desc, "LIVE") {
				t.Errorf("the port of a dead path is live:\n%s", desc)
			}
			// It says that what is behind it is dead.
			far.Vsctl("set", "interface", "pb", "bfd:cpath_down=true")
			status(e, "pb", "up false")
			goes("drop")
			// All is mended.
			far.Vsctl("set", "interface", "pb", "bfd:cpath_down=false", "--", "set", "interface", "pa", "bfd:enable=true")
			status(e, "pa", "up true")
			status(e, "pb", "up true")
			goes("pa")
			e.Vsctl("remove", "interface", "pa", "bfd", "enable", "--", "remove", "interface", "pb", "bfd", "enable")
			if got := e.Vsctl("get", "interface", "pa", "bfd_status"); got != "{}" {
				e.Eventually("no status", func() error {
					if got = e.Vsctl("get", "interface", "pa", "bfd_status"); got != "{}" {
						return fmt.Errorf("%s", got)
					}
					return nil
				})
			}
		})
	}
}
