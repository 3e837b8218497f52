package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestCommandTexts asks every command that tools parse, in the text form of OVS.
func TestCommandTexts(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf",
		"--", "add-port", "br0", "pp0", "--", "set", "interface", "pp0", "type=patch", "options:peer=pp1",
		"--", "add-port", "br1", "pp1", "--", "set", "interface", "pp1", "type=patch", "options:peer=pp0")
	a.Reach("10.1.1.2")
	a.Ping("10.1.1.2", 56, 5)
	ufid := `ufid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	stats := `packets:\d+, bytes:\d+, used:(never|\d+\.\d{3}s), `
	port := `    RX packets:\d+ errors:[?0] dropped:\d+ overruns:[?0] frame:[?0]\n    TX packets:\d+ errors:[?0] dropped:\d+ aborted:[?0] carrier:[?0]\n` +
		`    collisions:[?0]\n    RX bytes:\d+( \(.* [KM]iB\))?  TX bytes:\d+( \(.* [KM]iB\))?\n`
	for _, c := range []struct{ command, want string }{
		{"version", `^ovs-vswitchd \(Open vSwitch\) 3\.7\.0\novs-bpf .*\n$`},
		{"list-commands", `^The available commands are:\n(  \S+ +.*\n)+$`},
		{"ofproto/list", `^br0\nbr1\n$`},
		{"dpif/show", `^bpf@ovs-bpf: hit:\d+ missed:\d+\n  br0:\n    br0 65534/\d+: \(internal\)\n    ` + a.Port + ` 1/\d+: \(system\)\n    ` + b.Port +
			` 2/\d+: \(system\)\n    pp0 3/none: \(patch: peer=pp1\)\n  br1:\n    br1 65534/\d+: \(internal\)\n    pp1 1/none: \(patch: peer=pp0\)\n$`},
		{"dpif/dump-dps", `^bpf@ovs-bpf\n$`},
		{"dpctl/dump-dps", `^bpf@ovs-bpf\n$`},
		{"dpif/show-dp-features br0", `^Masked set action: Yes\n(.+: (Yes|No|\d+)\n)+$`},
		{"dpctl/show", `^bpf@ovs-bpf:\n  lookups: hit:\d+ missed:\d+ lost:\d+\n  flows: \d+\n  masks: hit:\d+ total:\d+ hit/pkt:\d+\.\d\d\n` +
			`  cache: hit:\d+ hit-rate:\d+\.\d\d%\n(  port \d+: \S+( \(internal\))?\n){4}$`},
		{"dpctl/show -s", `^bpf@ovs-bpf:\n(  [a-z]+: .*\n){4}(  port \d+: .*\n` + port + `){4}$`},
		{"dpctl/show bpf@ovs-bpf", `^bpf@ovs-bpf:\n`},
		{"dpctl/dump-flows", `^flow-dump from the main thread:\n(recirc_id\(0\),in_port\(\d+\),.*, ` + stats + `actions:\S+\n)+$`},
		{"dpctl/dump-flows --names", `in_port\(` + a.Port + `\),.*actions:` + b.Port + `\n`},
		{"dpctl/dump-flows -m", `(?m)^` + ufid + `, .*in_port\(` + a.Port + `\),.*, ` + stats + `dp:ovs, actions:` + b.Port + `$`},
		{"dpctl/dump-flows -m --no-names", `(?m)^` + ufid + `, .*in_port\(\d+\),.*, dp:ovs, actions:\d+$`},
		{"dpctl/dump-flows type=offloaded", `^$`},
		{"dpif/dump-flows br0", `^(recirc_id\(0\),in_port\(\d+\),.*, ` + stats + `actions:\S+\n)+$`},
		{"dpif/dump-flows -m br0", `(?m)^` + ufid + ` .*in_port\(` + a.Port + `\),.*, ` + stats + `actions:` + b.Port + `$`},
		{"fdb/show br0", `^ port  VLAN  MAC                Age\n( {4}[12] {5}0  ([0-9a-f]{2}:){5}[0-9a-f]{2}  +\d+\n)+$`},
		{"fdb/stats-show br0", `^Statistics for bridge "br0":\n  Current/maximum MAC entries in the table: 2/8192\n`},
		{"bridge/dump-flows br0", `^duration=\d+s, n_packets=\d+, n_bytes=\d+, priority=0,actions=NORMAL\n` +
			`table_id=254, duration=\d+s, n_packets=0, n_bytes=0, priority=2,recirc_id=0,actions=drop\n` +
			`table_id=254, duration=\d+s, n_packets=0, n_bytes=0, priority=0,reg0=0x1,actions=controller\(reason=\)\n`},
		{"upcall/show", `^bpf@ovs-bpf:\n  flows         : \(current \d+\) \(avg \d+\) \(max \d+\) \(limit \d+\)\n  dump duration : \d+ms\n  ufid enabled : true\n\n  \d+: \(keys \d+\)\n$`},
		{"memory/show", `^handlers:\d+ idl-cells-Open_vSwitch:\d+ ports:\d+ revalidators:\d+ rules:\d+( udpif keys:\d+)?\n$`},
		{"coverage/show", `^Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=[0-9a-f]{8}:\n(\S+ +\d+\.\d/sec +\d+\.\d{3}/sec +\d+\.\d{4}/sec   total: \d+\n)+\d+ events never hit\n$`},
		{"vlog/list", `^                 console    syslog    file\n                 -------    ------    ------\n(\S+ +[A-Z]+ +[A-Z]+ +[A-Z]+\n)+$`},
		{"revalidator/wait", `^$`},
		{"revalidator/purge", `^$`},
		{"bridge/reconnect br0", `^$`},
	} {
		if got := e.Appctl(strings.Fields(c.command)...); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s:\n%s\nwant %s", c.command, got, c.want)
		}
	}
	if got := e.Appctl("dpctl/dump-flows"); strings.Count(got, "\n") > 4 {
		t.Errorf("after revalidator/purge: %s", got)
	}
}

// TestCommandErrors gives commands what they cannot use: the words are those of OVS, and ovs-appctl exits with 2.
func TestCommandErrors(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	addBridge(e)
	for _, c := range []struct{ command, want string }{
		{"nosuch", `"nosuch" is not a valid command (use "list-commands" to see a list of valid commands)`},
		{"version x", `"version" command takes at most 0 arguments`},
		{"dpif/dump-flows", `"dpif/dump-flows" command requires at least 1 arguments`},
		{"dpif/dump-flows nobr", "no such bridge"},
		{"dpif/show-dp-features nobr", "no such bridge"},
		{"dpctl/show -x", "Unrecognized option -x"},
		{"dpctl/show nodp", "opening datapath nodp failed"},
		{"dpctl/dump-flows -z", "Unrecognized option -z"},
		{"dpctl/dump-flows type=foo", "Failed to parse type (foo)"},
		{"fdb/show nobr", "no such bridge"},
		{"fdb/flush nobr", "no such bridge"},
		{"fdb/add br0 br0 0 00:00", "bad MAC address"},
		{"fdb/del br0 0 00:00:00:00:00:77", "could not find static mac entry"},
		{"bridge/dump-flows nobr", "Unknown bridge"},
		{"bridge/reconnect nobr", "Unknown bridge"},
		{"vlog/set foo", `no destination, level, or module "foo"`},
		{"vlog/set PATTERN:foo:x", `unknown destination "foo"`},
		{"vlog/disable-rate-limit foo", "unknown module"},
		{"coverage/read-counter nosuch", "No such counter"},
		{"exit --foo", "--foo"},
	} {
		out, code := e.Try("ovs-appctl", strings.Fields(c.command)...)
		if code != 2 || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want 2 with %q: %s", c.command, code, c.want, out)
		}
	}
}

// TestFDB adds, moves and removes MAC entries by hand.
func TestFDB(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	e.Appctl("fdb/add", "br0", a.Port, "0", "02:00:00:00:00:aa")
	e.Appctl("fdb/add", "br0", b.Port, "5", "02:00:00:00:00:bb")
	out := e.Appctl("fdb/show", "br0")
	for _, want := range []string{"    1     0  02:00:00:00:00:aa  static\n", "    2     5  02:00:00:00:00:bb  static\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if out := e.Appctl("fdb/flush", "br0"); out != "table successfully flushed\n" {
		t.Errorf("fdb/flush: %q", out)
	}
	if out := e.Appctl("fdb/show", "br0"); strings.Contains(out, a.MAC()) || !strings.Contains(out, "02:00:00:00:00:aa") {
		t.Errorf("after a flush, which leaves static entries: %s", out)
	}
	e.Appctl("fdb/del", "br0", "5", "02:00:00:00:00:bb")
	if out := e.Appctl("fdb/show", "br0"); strings.Contains(out, ":bb") {
		t.Errorf("after fdb/del: %s", out)
	}
	a.Ping("10.1.1.2", 56, 2)
	// Limits of the table.
	e.Vsctl("set", "bridge", "br0", "other_config:mac-table-size=20", "other_config:mac-aging-time=60")
	if out := e.Appctl("fdb/stats-show", "br0"); !strings.Contains(out, "/20\n") {
		t.Errorf("mac-table-size: %s", out)
	}
}

// TestLogs looks at the log that tools read: its lines, its levels and its rotation.
func TestLogs(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	e.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf")
	e.Vsctl("del-br", "br1")
	e.Vsctl("del-port", b.Port)
	path := filepath.Join(e.Dir, "ovs-vswitchd.log")
	read := func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|\d{5,}\|[a-z_0-9]+\|(INFO|DBG)\|.+\n$`)
	for l := range strings.Lines(read()) { // no warning in normal operation either
		if !line.MatchString(l) {
			t.Errorf("log line %q", l)
		}
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	e.Appctl("vlog/reopen")
	e.Appctl("vlog/set", "bridge:file:off")
	e.Vsctl("add-br", "br2", "--", "set", "bridge", "br2", "datapath_type=bpf")
	e.Appctl("vlog/set", "bridge:file:info")
	e.Vsctl("add-br", "br3", "--", "set", "bridge", "br3", "datapath_type=bpf")
	if got := read(); !strings.Contains(got, "|vlog|INFO|opened log file "+path) || strings.Contains(got, "br2") || !strings.Contains(got, "bridge br3") {
		t.Errorf("log after vlog/reopen and vlog/set:\n%s", got)
	}
	if out := e.Appctl("vlog/list"); !regexp.MustCompile(`(?m)^bridge +OFF +\S+ +INFO$`).MatchString(out) {
		t.Errorf("vlog/list: %s", out)
	}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", e.PID())); err != nil || string(comm) != "ovs-vswitchd\n" {
		t.Errorf("comm is %q: %v", comm, err)
	}
	if pid, err := os.ReadFile(filepath.Join(e.Dir, "ovs-vswitchd.pid")); err != nil || string(pid) != fmt.Sprintf("%d\n", e.PID()) {
		t.Errorf("pidfile has %q: %v", pid, err)
	}
}
