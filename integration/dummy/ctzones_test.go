package dummy

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestTimeoutPolicies has the timeout policies of the database in force as the stock daemon has them: in datapath actions
// and on connections, while they come, change and go.
func TestTimeoutPolicies(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	g := ctGenerator{rand.New(rand.NewPCG(1, 2))}
	udp := func(a, b, port byte) string {
		p := []byte{1, port, 0, 80, 0, 9, 0, 0, 'x'}
		if a > b {
			p = []byte{0, 80, 1, port, 0, 9, 0, 0, 'x'}
		}
		return g.ip(int(a), int(b), packet.ProtoUDP, p)
	}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := 1; p <= 5; p++ {
			s.addPort("br0", p)
		}
		s.Vsctl("--", "--id=@m", "create", "Datapath", "datapath_version=0", "--", "set", "Open_vSwitch", ".", "datapaths:dummy=@m")
		s.reset([]string{"udp,actions=ct(commit,zone=1),ct(commit,zone=2),ct(zone=1),output:2", "icmp,actions=load:3->NXM_NX_REG0[],ct(commit,zone=NXM_NX_REG0[0..15]),output:2",
			"tcp,actions=ct(commit,zone=1),output:2"})
	}
	state := func(s *sim) string {
		s.revalidate()
		var out []string
		for _, l := range strings.Split(s.Appctl("dpctl/dump-flows"), "\n") {
			if _, actions, ok := strings.Cut(l, "actions:"); ok {
				out = append(out, actions)
			}
		}
		slices.Sort(out)
		conns := strings.Split(s.Appctl("dpctl/dump-conntrack", "-s"), "\n")
		slices.Sort(conns)
		return strings.Join(append(out, conns...), "\n")
	}
	compare := func(what string) {
		t.Helper()
		if diff := difference(func() string { return state(ours) }, func() string { return state(stock) }); diff != "" {
			t.Errorf("%s (-stock +ours):\n%s", what, diff)
		}
	}
	var port byte
	traffic := func() {
		port++
		for _, s := range both {
			s.receive("p1", udp(1, 2, port), udp(1, 2, port), udp(1, 3, port), udp(3, 1, port),
				g.ip(1, 2, packet.ProtoICMP, []byte{8, 0, 0, 0, 0, port, 0, 1, 'a', 'b'}),
				g.ip(1, 2, packet.ProtoTCP, []byte{9, port, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0}))
		}
	}
	for _, step := range []struct {
		what string
		run  func(*sim)
	}{
		{"no policy", func(*sim) {}},
		{"policies", func(s *sim) {
			s.Vsctl("add-zone-tp", "dummy", "zone=1", "udp_first=11", "udp_single=12", "udp_multiple=13", "tcp_syn_sent=14", "tcp_close_wait=99")
			s.Vsctl("add-zone-tp", "dummy", "zone=3", "icmp_first=21")
		}},
		{"the same for another zone", func(s *sim) { s.Vsctl("add-zone-tp", "dummy", "zone=2", "icmp_first=21") }},
		{"a change", func(s *sim) {
			s.Vsctl("set", "CT_Timeout_Policy", s.value("CT_Zone", s.value("Datapath", s.datapath(), "ct_zones:1"), "timeout_policy"), "timeouts:udp_first=31")
		}},
		{"a removal", func(s *sim) { s.Vsctl("del-zone-tp", "dummy", "zone=1") }},
		{"all gone", func(s *sim) { s.Vsctl("clear", "Datapath", s.datapath(), "ct_zones") }},
	} {
		for _, s := range both {
			step.run(s)
		}
		compare(step.what + ", before traffic")
		traffic()
		compare(step.what)
	}
	for _, s := range both {
		s.Vsctl("add-zone-tp", "dummy", "zone=9", "udp_first=0")
	}
	if diff := cmp.Diff(stock.Vsctl("list-zone-tp", "dummy"), ours.Vsctl("list-zone-tp", "dummy")); diff != "" {
		t.Errorf("list-zone-tp (-stock +ours):\n%s", diff)
	}
	ours.contains("dp features", ours.Appctl("dpif/show-dp-features", "br0"), "Conntrack timeout policy: Yes")
}

// TestZoneLimits has the limits of the database, which the stock daemon reads from 3.3 on: they hold until they are
// taken away, and no command changes limits meanwhile.
func TestZoneLimits(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	s.Ofctl("add-flow", "br0", "ip,actions=ct(commit,zone=1),ct(commit,zone=2),output:2")
	s.Appctl("dpctl/ct-set-limits", "zone=5,limit=50")
	limits := func(what, want string, zones ...string) {
		t.Helper()
		got := strings.Fields(s.Appctl(append([]string{"dpctl/ct-get-limits"}, zones...)...))
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	refused := func(what string, want int, args ...string) {
		t.Helper()
		out, code := s.Try("ovs-appctl", args...)
		if code != want || want != 0 && !strings.Contains(out, "the zone limits are set via database") {
			t.Errorf("%s: %v ended with %d, %s", what, args, code, out)
		}
	}
	s.Vsctl("--", "--id=@m", "create", "Datapath", "datapath_version=0", "--", "set", "Open_vSwitch", ".", "datapaths:dummy=@m")
	dp := s.datapath()
	s.updateRow("Datapath", dp, `"ct_zone_default_limit":7`)
	limits("default", "default limit=7 zone=5,limit=50,count=0")
	refused("default", 2, "dpctl/ct-set-limits", "zone=5,limit=51")
	refused("default", 2, "dpctl/ct-del-limits", "zone=5")
	s.Vsctl("--", "--id=@z", "create", "CT_Zone", "external_ids:a=b", "--", "set", "Datapath", dp, "ct_zones:1=@z")
	limits("a zone without limit", "default limit=7 zone=5,limit=50,count=0")
	zone := s.value("Datapath", dp, "ct_zones:1")
	s.updateRow("CT_Zone", zone, `"limit":2`)
	limits("a zone", "default limit=7 zone=1,limit=2,count=0 zone=5,limit=50,count=0")
	g := ctGenerator{rand.New(rand.NewPCG(1, 2))}
	var packets []string
	for i := range byte(4) {
		packets = append(packets, g.ip(1, 2, packet.ProtoUDP, []byte{1, i, 0, 80, 0, 9, 0, 0, 'x'}))
	}
	s.receive("p1", packets...)
	limits("a zone that is full", "default limit=7 zone=1,limit=2,count=2 zone=2,limit=7,count=2", "zone=1,2")
	s.contains("coverage", s.Appctl("coverage/show"), "conntrack_zone_full")
	s.updateRow("CT_Zone", zone, `"limit":3`)
	s.receive("p1", packets...)
	limits("more room", "default limit=7 zone=1,limit=3,count=3 zone=5,limit=50,count=0")
	s.updateRow("Datapath", dp, `"ct_zone_default_limit":["set",[]]`)
	limits("no default", "default limit=0 zone=1,limit=3,count=3 zone=5,limit=50,count=0")
	refused("a zone", 2, "dpctl/ct-set-limits", "default=5")
	s.Vsctl("remove", "Datapath", dp, "ct_zones", "1")
	limits("no limit", "default limit=0 zone=5,limit=50,count=0")
	refused("none", 0, "dpctl/ct-set-limits", "default=5")
	limits("by command again", "default limit=5 zone=5,limit=50,count=0")
	if got := strings.TrimSpace(s.Appctl("dpctl/ct-get-nconns")); got != "6" {
		t.Errorf("%s connections, want 6", got)
	}
}

// datapath is the UUID of the only Datapath row.
func (s *sim) datapath() string {
	s.t.Helper()
	return strings.TrimSpace(s.Vsctl("--bare", "--columns=_uuid", "list", "Datapath"))
}

// value is a column of a row.
func (s *sim) value(table, row, column string) string {
	s.t.Helper()
	return strings.TrimSpace(s.Vsctl("get", table, row, column))
}

// updateRow sets columns that this ovs-vsctl does not know yet, and waits until they are in force.
func (s *sim) updateRow(table, uuid, columns string) {
	s.t.Helper()
	s.Run("ovsdb-client", "transact", "unix:"+filepath.Join(s.Dir, "db.sock"),
		fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":%q,"where":[["_uuid","==",["uuid",%q]]],"row":{%s}},
			{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",1]]}]`, table, uuid, columns))
	s.Eventually("the configuration is in force", func() error {
		if now, next := s.value("Open_vSwitch", ".", "cur_cfg"), s.value("Open_vSwitch", ".", "next_cfg"); now != next {
			return fmt.Errorf("cur_cfg %s, next_cfg %s", now, next)
		}
		return nil
	})
}
