package dummy

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestController(t *testing.T) {
	t.Parallel()
	s := start(t, 2, "fail_mode=secure")
	s.Ofctl("add-flow", "br0", "priority=5,in_port=1,actions=controller(max_len=64),2")
	m := s.monitor("65534")
	s.receive("p1", ping(1, 2, 0), ping(1, 2, 0))
	s.went("copies to a controller do not keep packets", "p2 p2", "p1", "p2")
	s.Ofctl("packet-out", "br0", "in_port=controller packet=5054000000015054000000021234 actions=output:1,output:2")
	if diff := cmp.Diff([][]string{{"5054000000015054000000021234"}, {"5054000000015054000000021234"}}, [][]string{s.sent("p1"), s.sent("p2")}); diff != "" {
		t.Errorf("packet-out (-want +got):\n%s", diff)
	}
	s.Appctl("netdev-dummy/set-admin-state", "p2", "down")
	s.Eventually("link_state follows", func() error { return s.is("down", "interface", "p2", "link_state") })
	out := m.output()
	s.contains("monitor", out, "total_len=106 in_port=1 (via action) data_len=106 (unbuffered)", // max_len is for switches that buffer
		"icmp,vlan_tci=0x0000,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2",
		"OFPT_PORT_STATUS", "MOD: 2(p2): addr:", "config:     PORT_DOWN", "state:      LINK_DOWN")
	if n := strings.Count(out, "PACKET_IN"); n != 2 {
		t.Errorf("%d packet-ins, want 2:\n%s", n, out)
	}
}

// is compares a column of the database.
func (s *sim) is(want, table, row, column string) error {
	if got := strings.Trim(s.Vsctl("get", table, row, column), `"`); got != want {
		return &wrongColumn{column, got, want}
	}
	return nil
}

type wrongColumn struct{ column, got, want string }

func (e *wrongColumn) Error() string { return e.column + " is " + e.got + ", want " + e.want }

// hasError checks what the error of an interface contains, "" for none at all.
func (s *sim) hasError(iface, want string) {
	s.t.Helper()
	got := strings.ReplaceAll(s.Vsctl("get", "interface", iface, "error"), `\"`, `"`)
	if want == "" && got != "[]" || !strings.Contains(got, want) {
		s.t.Errorf("error of %s is %s, want %q", iface, got, want)
	}
}

func TestCommandErrors(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	for _, c := range []struct{ command, want string }{
		{"netdev-dummy/receive nobody 505400000001505400000002123400", "no such dummy netdev"},
		{"netdev-dummy/receive p1 zzz", "syntax error at zzz"},
		{"netdev-dummy/receive p1 001122334455", "syntax error at 001122334455"},
		{"netdev-dummy/receive p1 --qid 5 eth_type(0x1234)", "bad rx queue id."},
		{"netdev-dummy/receive p1 eth_type(0x1234) --len 10", "too small packet len"},
		{"netdev-dummy/set-admin-state p1 sideways", "Invalid Admin State"},
		{"netdev-dummy/set-admin-state nobody up", "Unknown Dummy Interface"},
		{"netdev-dummy/ip4addr nobody 10.0.0.1/24", "Unknown Dummy Interface"},
		{"netdev-dummy/ip4addr p1 10.0.0.", "10.0.0.: invalid IP address"},
		{"netdev-dummy/ip6addr p1 fe80", "fe80: invalid IPv6 address"},
		{"dpif-dummy/change-port-number dummy@ovs-dummy p1 9", "unknown datapath or not a dummy"},
		{"dpif-dummy/change-port-number ovs-dummy nobody 9", "unknown port"},
		{"dpif-dummy/change-port-number ovs-dummy p1 x", "bad port number"},
		{"dpif-dummy/change-port-number ovs-dummy p1 2", "port number already in use"},
	} {
		out, code := s.Try("ovs-appctl", strings.Fields(c.command)...)
		if code != 2 || !strings.HasPrefix(out, c.want) {
			t.Errorf("%s: exit %d, %q; want %q", c.command, code, out, c.want)
		}
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	s := start(t, 2)
	s.receive("p1", ping(1, 2, 0))
	s.Appctl("dpif-dummy/change-port-number", "ovs-dummy", "p1", "33")
	s.contains("dpif/show", s.Appctl("dpif/show"), "    p1 1/33: (dummy)\n")
	s.receive("p1", ping(1, 2, 0))
	s.receive("p2", ping(2, 1, 0))
	s.went("renumbered", "p1 p2 p2", "p1", "p2")
	s.contains("dpctl/dump-flows", s.Appctl("dpctl/dump-flows"), "in_port(33)")

	// A device with an address answers for it, to who asks through the bridge.
	if out := s.Appctl("netdev-dummy/ip4addr", "br0", "10.0.0.100/24"); out != "OK\n" {
		t.Errorf("ip4addr: %q", out)
	}
	s.receive("p1", "eth(src=50:54:00:00:00:01,dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.100,op=1,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)")
	want := []string{"505400000001" + "aa55aa550000" + "0806" + "0001080006040002" + "aa55aa550000" + "0a000064" + "505400000001" + "0a000001"}
	if diff := cmp.Diff(want, s.sent("p1")); diff != "" {
		t.Errorf("ARP reply (-want +got):\n%s", diff)
	}

	// Two devices joined by a connection: what p2 sends, p4 receives.
	wire := "unix:" + filepath.Join(s.Dir, "wire")
	s.addBridge("br1")
	s.addPort("br1", 4)
	s.addPort("br1", 5)
	s.Vsctl("set", "interface", "p4", "options:pstream=p"+wire, "--", "set", "interface", "p2", "options:stream="+wire)
	s.Eventually("the connection", func() error {
		s.Appctl("time/warp", "1000") // until the next attempt
		if out := s.Appctl("netdev-dummy/conn-state", "p2"); out != "p2: connected\n" {
			return &wrongColumn{"conn-state", out, "p2: connected"}
		}
		return nil
	})
	if out := s.Appctl("netdev-dummy/conn-state"); out != "p2: connected\n" {
		t.Errorf("conn-state of all: %q", out)
	}
	s.receive("p1", ping(1, 9, 0))
	s.Eventually("the packet on the other bridge", func() error {
		if n := len(s.sent("p5")); n != 1 {
			return &wrongColumn{"packets out of p5", "none", "1"}
		}
		return nil
	})
}

func TestLevels(t *testing.T) {
	t.Parallel()
	const refused = `unknown datapath type "`
	for _, c := range []struct {
		args    []string
		types   string
		bridges map[string]string // datapath_type -> what the error of the bridge contains
		system  string            // the error of an interface of type system
	}{
		{nil, "[dummy]", map[string]string{"dummy": "", "": refused + `system"`, "system": refused, "bpf": refused, "netdev": refused},
			"could not open network device eth7 (No such device)"},
		{[]string{"--enable-dummy=system"}, "[dummy, system]", map[string]string{"dummy": "", "": "", "system": "", "bpf": refused}, ""},
		{[]string{"--enable-dummy=system", "--disable-system"}, "[dummy]", map[string]string{"dummy": "", "system": refused}, ""},
		{[]string{"--enable-dummy=override"}, "[bpf, dummy, netdev, system]", map[string]string{"dummy": "", "": "", "system": "", "bpf": "", "netdev": ""}, ""},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			s := &sim{testenv.Simulated(t, c.args...), t, nil}
			for typ, want := range c.bridges {
				br := "br" + typ
				s.Vsctl("add-br", br, "--", "set", "bridge", br, `datapath_type="`+typ+`"`)
				s.hasError(br, want)
			}
			s.Vsctl("add-port", "brdummy", "eth7")
			s.hasError("eth7", c.system)
			if err := s.is(c.types, "Open_vSwitch", ".", "datapath_types"); err != nil {
				t.Error(err)
			}
		})
	}
}
