package integration

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestMTU sets MTUs: internal ports that ask for none have the smallest of the others.
func TestMTU(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.Vsctl("add-port", "br0", "in0", "--", "set", "interface", "in0", "type=internal")
	for _, c := range []struct {
		set  []string
		want map[string]int
	}{
		{[]string{"set", "interface", a.Port, "mtu_request=1400"}, map[string]int{a.Port: 1400, b.Port: 1500, "br0": 1400, "in0": 1400}},
		{[]string{"set", "interface", "in0", "mtu_request=1300"}, map[string]int{a.Port: 1400, "br0": 1300, "in0": 1300}},
		{[]string{"set", "interface", a.Port, "mtu_request=1500"}, map[string]int{a.Port: 1500, "br0": 1300, "in0": 1300}},
		{[]string{"clear", "interface", "in0", "mtu_request"}, map[string]int{"br0": 1500, "in0": 1500}},
		{[]string{"set", "interface", a.Port, "mtu_request=99999999"}, map[string]int{a.Port: 1500, "br0": 1500}},
	} {
		e.Vsctl(c.set...)
		for dev, want := range c.want {
			if got := e.Link(e.NS, dev).MTU; got != want {
				t.Errorf("%s: MTU of %s is %d, want %d", strings.Join(c.set, " "), dev, got, want)
			}
			if got := e.Vsctl("get", "interface", dev, "mtu"); got != fmt.Sprint(want) {
				t.Errorf("%s: mtu column of %s is %s, want %d", strings.Join(c.set, " "), dev, got, want)
			}
		}
	}
	// Others change it too: internal ports follow.
	e.In(e.NS, "ip", "link", "set", b.Port, "mtu", "1350")
	e.Eventually("br0 follows", func() error {
		if got := e.Link(e.NS, "br0").MTU; got != 1350 {
			return fmt.Errorf("MTU %d", got)
		}
		return nil
	})
}

// TestBridgeIdentity sets a bridge's address and datapath id, rightly and wrongly.
func TestBridgeIdentity(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	addBridge(e, a)
	own := e.Vsctl("get", "interface", "br0", "mac_in_use")
	for _, c := range []struct{ setting, mac, id string }{
		{"hwaddr=02:11:22:33:44:55", `"02:11:22:33:44:55"`, `"0000021122334455"`},
		{"datapath-id=00000000000000aa", `"02:11:22:33:44:55"`, `"00000000000000aa"`},
		{"datapath-id=0x12", `"02:11:22:33:44:55"`, `"0000000000000012"`},
		{"datapath-id=xyz", `"02:11:22:33:44:55"`, `"0000021122334455"`},
		{"hwaddr=01:11:22:33:44:55", own, `"0000` + strings.ReplaceAll(strings.Trim(own, `"`), ":", "") + `"`},
	} {
		e.Vsctl("set", "bridge", "br0", "other_config:"+c.setting)
		if got := e.Vsctl("get", "interface", "br0", "mac_in_use"); got != c.mac {
			t.Errorf("%s: mac_in_use %s, want %s", c.setting, got, c.mac)
		}
		if got := e.Vsctl("get", "bridge", "br0", "datapath_id"); got != c.id {
			t.Errorf("%s: datapath_id %s, want %s", c.setting, got, c.id)
		}
		if got := e.Ofctl("show", "br0"); !strings.Contains(got, "dpid:"+strings.Trim(c.id, `"`)) {
			t.Errorf("%s: %s", c.setting, got)
		}
	}
}

// TestPatchErrors makes patch ports without the other end.
func TestPatchErrors(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	addBridge(e)
	e.Vsctl("add-port", "br0", "pp0", "--", "set", "interface", "pp0", "type=patch", "options:peer=pp1")
	state := func() string { return e.Vsctl("get", "interface", "pp0", "ofport", "error") }
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "1\n\"No usable peer 'pp1' exists in 'bpf' datapath.\""},
		{[]string{"add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf", "--", "add-port", "br1", "pp1", "--", "set", "interface", "pp1", "type=patch", "options:peer=pp0"}, "1\n[]"},
		{[]string{"del-br", "br1"}, "1\n\"No usable peer 'pp1' exists in 'bpf' datapath.\""},
		{[]string{"set", "interface", "pp0", "options:peer=pp0"}, "-1\n\"pp0: patch peer must not be self\""},
		{[]string{"remove", "interface", "pp0", "options", "peer"}, "-1\n\"pp0: patch type requires valid 'peer' argument\""},
	} {
		if c.args != nil {
			e.Vsctl(c.args...)
		}
		if got := state(); got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
}

// TestDatabaseGone ends the database server: forwarding and OpenFlow go on; what is configured after its return counts.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	e := testenv.Prepare(t)
	db, sock := filepath.Join(e.Dir, "conf.db"), filepath.Join(e.Dir, "db.sock")
	e.Run("ovsdb-tool", "create", db)
	server := func() func() string { return e.Background("", "ovsdb-server", "--remote=punix:"+sock, db) }
	stop := server()
	e.Database = "unix:" + sock
	e.Start()
	a, b, c := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24"), e.AddHost("10.1.1.3/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	stop()
	a.Ping("10.1.1.2", 56, 5)
	e.Ofctl("add-flow", "br0", "priority=9,icmp,actions=normal") // a new translation
	a.Ping("10.1.1.2", 56, 5)
	if out := e.Appctl("ofproto/list"); out != "br0\n" {
		t.Errorf("ofproto/list without the database: %s", out)
	}
	server()
	e.Eventually("the server is back", func() error {
		if out, code := e.Try("ovs-vsctl", "--timeout=5", "--no-wait", "show"); code != 0 {
			return fmt.Errorf("ovs-vsctl: %s", out)
		}
		return nil
	})
	e.Run("ovs-vsctl", "--timeout=30", "add-port", "br0", c.Port)
	if got := e.Vsctl("get", "interface", c.Port, "ofport"); got != "3" {
		t.Errorf("ofport %s", got)
	}
	a.Reach("10.1.1.3")
	if got := e.Ofctl("dump-flows", "br0"); !strings.Contains(got, "priority=9,icmp") {
		t.Errorf("flows after the return: %s", got)
	}
}

// TestBridgeCycles makes and deletes a bridge again and again: nothing grows.
func TestBridgeCycles(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.Vsctl("del-br", "br0")
	before, links := countFDs(t, e), slices.Sorted(maps.Keys(e.Links(e.NS)))
	for range 15 {
		addBridge(e, a, b)
		e.Ofctl("dump-flows", "br0")
		e.Vsctl("del-br", "br0")
	}
	if now := countFDs(t, e); now > before+2 {
		t.Errorf("%d file descriptors, %d after 15 cycles", before, now)
	}
	if now := slices.Sorted(maps.Keys(e.Links(e.NS))); !slices.Equal(now, links) {
		t.Errorf("devices %v, then %v", links, now)
	}
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
}

// TestPatchCounters sends through a pair of patch ports: both ends count, in OpenFlow and in the database.
func TestPatchCounters(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a)
	e.Vsctl("add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=bpf", "--", "add-port", "br1", b.Port,
		"--", "add-port", "br0", "pp0", "--", "set", "interface", "pp0", "type=patch", "options:peer=pp1", "ofport_request=9",
		"--", "add-port", "br1", "pp1", "--", "set", "interface", "pp1", "type=patch", "options:peer=pp0", "ofport_request=9")
	e.Ofctl("add-flow", "br1", "priority=5,icmp,nw_src=10.1.1.1,actions=normal")
	a.Reach("10.1.1.2")
	a.Ping("10.1.1.2", 56, 20)
	e.Eventually("counters", func() error {
		var flow, rx, tx int
		dump := e.Ofctl("dump-flows", "br1", "icmp")
		if _, err := fmt.Sscanf(dump[strings.Index(dump, "n_packets="):], "n_packets=%d,", &flow); err != nil {
			return fmt.Errorf("%w in %s", err, dump)
		}
		in, out := e.Ofctl("dump-ports", "br1", "pp1"), e.Ofctl("dump-ports", "br0", "pp0")
		if _, err := fmt.Sscanf(in[strings.Index(in, "rx pkts="):], "rx pkts=%d,", &rx); err != nil {
			return fmt.Errorf("%w in %s", err, in)
		}
		if _, err := fmt.Sscanf(out[strings.Index(out, "tx pkts="):], "tx pkts=%d,", &tx); err != nil {
			return fmt.Errorf("%w in %s", err, out)
		}
		if flow < 20 || rx < flow || tx != rx {
			return fmt.Errorf("flow %d, received %d, sent %d", flow, rx, tx)
		}
		if !strings.Contains(out, "drop=?, errs=?, coll=?") {
			return fmt.Errorf("dump-ports: %s", out)
		}
		return nil
	})
}
