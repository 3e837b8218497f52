package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestStatusColumns(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	addBridge(e, a)
	get := func(table, row, column string) string {
		return strings.Trim(e.Vsctl("get", table, row, column), `"`)
	}
	for _, c := range []struct{ column, want string }{
		{"ofport", "1"}, {"admin_state", "up"}, {"link_state", "up"}, {"mtu", "1500"}, {"error", "[]"},
	} {
		if got := get("interface", a.Port, c.column); got != c.want {
			t.Errorf("%s of %s is %s, want %s", c.column, a.Port, got, c.want)
		}
	}
	mac := e.Link(e.NS, a.Port).Address
	if got := get("interface", a.Port, "mac_in_use"); got != mac {
		t.Errorf("mac_in_use is %s, want %s", got, mac)
	}
	if got := get("interface", "br0", "ofport"); got != "65534" {
		t.Errorf("ofport of br0 is %s", got)
	}
	if id := get("bridge", "br0", "datapath_id"); len(id) != 16 {
		t.Errorf("datapath_id %q", id)
	}
	types := get("Open_vSwitch", ".", "datapath_types")
	if !strings.Contains(types, "bpf") {
		t.Errorf("datapath_types: %s", types)
	}
	if got := get("Open_vSwitch", ".", "iface_types"); !strings.Contains(got, "internal") || !strings.Contains(got, "patch") || !strings.Contains(got, "system") {
		t.Errorf("iface_types: %s", got)
	}
	if next, cur := get("Open_vSwitch", ".", "next_cfg"), get("Open_vSwitch", ".", "cur_cfg"); next != cur {
		t.Errorf("next_cfg %s, cur_cfg %s", next, cur)
	}
	// The promiscuous flag while owned, and back.
	if e.Link(e.NS, a.Port).Promisc == 0 {
		t.Errorf("%s is not promiscuous", a.Port)
	}
	e.Vsctl("del-port", a.Port)
	if n := e.Link(e.NS, a.Port).Promisc; n != 0 {
		t.Errorf("promiscuity of %s after del-port: %d", a.Port, n)
	}
}

func TestBadInterfaces(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	b := e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	e.In(e.NS, "ip", "link", "add", "lbr0", "type", "bridge")
	e.In(e.NS, "ip", "link", "add", "taken0", "type", "veth", "peer", "name", "taken0p")
	e.In(e.NS, "ip", "link", "set", "taken0", "master", "lbr0")
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"missing device", []string{"add-port", "br0", "nodev0"}, "could not open network device nodev0 (No such device)"},
		{"unknown type", []string{"add-port", "br0", "bad0", "--", "set", "interface", "bad0", "type=foo"}, "could not open network device bad0 (Address family not supported by protocol)"},
		{"patch without peer", []string{"add-port", "br0", "pp0", "--", "set", "interface", "pp0", "type=patch"}, "peer"},
		{"device in a Linux bridge", []string{"add-port", "br0", "taken0"}, "Device or resource busy"},
	} {
		out, _ := e.Try("ovs-vsctl", append([]string{"--timeout=20"}, c.args...)...)
		if !strings.Contains(out, "Error detected while setting up") {
			t.Errorf("%s: ovs-vsctl said nothing:\n%s", c.name, out)
		}
		all := e.Vsctl("--columns=name,error", "list", "interface") + out
		if !strings.Contains(all, c.want) {
			t.Errorf("%s: no error with %q:\n%s", c.name, c.want, all)
		}
	}
	if out := e.Vsctl("get", "interface", "nodev0", "ofport"); out != "-1" {
		t.Errorf("ofport of a failed port is %s, want -1", out)
	}
	// Everything else works.
	a.Reach("10.1.1.2")
	// The device appears.
	e.In(e.NS, "ip", "link", "add", "nodev0", "type", "veth", "peer", "name", "nodev0p")
	e.Eventually("the device is taken", func() error {
		if p := e.Vsctl("get", "interface", "nodev0", "ofport"); p == "-1" || p == "[]" {
			return fmt.Errorf("ofport %s", p)
		}
		return nil
	})
	if out := e.Vsctl("get", "interface", "nodev0", "error"); out != "[]" {
		t.Errorf("error remains: %s", out)
	}
	// It vanishes: reported, number kept; and comes back.
	port := e.Vsctl("get", "interface", "nodev0", "ofport")
	e.In(e.NS, "ip", "link", "del", "nodev0")
	e.Eventually("the loss is reported", func() error {
		if s := e.Vsctl("get", "interface", "nodev0", "link_state"); s != "down" {
			return fmt.Errorf("link_state %s", s)
		}
		return nil
	})
	if now := e.Vsctl("get", "interface", "nodev0", "ofport"); now != port {
		t.Errorf("ofport %s became %s when the device vanished", port, now)
	}
	e.In(e.NS, "ip", "link", "add", "nodev0", "type", "veth", "peer", "name", "nodev0p")
	e.In(e.NS, "ip", "link", "set", "nodev0", "up")
	e.Eventually("it is picked up again", func() error {
		if s := e.Vsctl("get", "interface", "nodev0", "admin_state"); s != "up" {
			return fmt.Errorf("admin_state %s", s)
		}
		if now := e.Vsctl("get", "interface", "nodev0", "ofport"); now != port {
			t.Errorf("ofport %s became %s", port, now)
		}
		return nil
	})
	// Duplicate requests: one gets it, the other works with another number.
	e.Vsctl("set", "interface", a.Port, "ofport_request=7", "--", "set", "interface", b.Port, "ofport_request=7")
	p1, p2 := e.Vsctl("get", "interface", a.Port, "ofport"), e.Vsctl("get", "interface", b.Port, "ofport")
	if p1 == p2 || (p1 != "7" && p2 != "7") {
		t.Errorf("ofports %s and %s after both asked for 7", p1, p2)
	}
	a.Reach("10.1.1.2")
}

func TestDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	links := func() string { return strings.Join(slices.Sorted(maps.Keys(e.Links(e.NS))), " ") }
	a := e.AddHost("10.1.1.1/24")
	before := links()
	for i := range 20 {
		addBridge(e, a)
		e.Vsctl("add-port", "br0", "in0", "--", "set", "interface", "in0", "type=internal")
		if i == 0 && !strings.Contains(links(), "in0") {
			t.Fatalf("in0 does not exist: %s", links())
		}
		e.Vsctl("del-br", "br0")
	}
	e.Eventually("devices are gone", func() error {
		if now := links(); now != before {
			return fmt.Errorf("devices before %q, now %q", before, now)
		}
		return nil
	})
	if n := e.Programs(e.NS, a.Port); n != 0 {
		t.Errorf("%d programs left on %s", n, a.Port)
	}
}

func TestManyPorts(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	const n = 500
	args := []string{"--timeout=120", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf"}
	del := []string{"--timeout=120"}
	for i := range n {
		name := fmt.Sprintf("i%d", i)
		args = append(args, "--", "add-port", "br0", name, "--", "set", "interface", name, "type=internal")
		if i > 0 {
			del = append(del, "--")
		}
		del = append(del, "del-port", "br0", name)
	}
	e.Run("ovs-vsctl", args...)
	if got := strings.Count(e.Appctl("dpif/show"), "(internal)"); got < n {
		t.Errorf("dpif/show has %d internal ports, want %d", got, n)
	}
	e.Run("ovs-vsctl", del...)
	if got := strings.Count(e.Appctl("dpif/show"), "(internal)"); got != 1 {
		t.Errorf("dpif/show has %d internal ports after deletion, want LOCAL alone", got)
	}
}

// TestCyclesLeakNothing adds and deletes an internal port 500 times.
func TestCyclesLeakNothing(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	e.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf")
	cycle := func(i int) {
		name := fmt.Sprintf("j%d", i)
		e.Vsctl("add-port", "br0", name, "--", "set", "interface", name, "type=internal")
		e.Vsctl("del-port", "br0", name)
	}
	cycle(0)
	fds, links := countFDs(t, e), len(e.Links(e.NS))
	pins := e.Run("sh", "-c", "find "+e.Dir+"/bpffs /sys/fs/bpf -type f 2>/dev/null | wc -l")
	for i := range 500 {
		cycle(i)
	}
	if now := countFDs(t, e); now > fds+5 {
		t.Errorf("file descriptors: %d before 500 cycles, %d after", fds, now)
	}
	if now := len(e.Links(e.NS)); now != links {
		t.Errorf("devices: %d before, %d after", links, now)
	}
	if now := e.Run("sh", "-c", "find "+e.Dir+"/bpffs /sys/fs/bpf -type f 2>/dev/null | wc -l"); now != pins {
		t.Errorf("pins: %s before, %s after", pins, now)
	}
}

func countFDs(t *testing.T, e *testenv.Env) int {
	t.Helper()
	d, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", e.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	b := e.AddHost("10.1.1.2/24")
	addBridge(e, b, a)
	e.Vsctl("add-port", "br0", "in0", "--", "set", "interface", "in0", "type=internal", "ofport_request=9")
	a.Reach("10.1.1.2")
	// Hosts confirm their neighbours after some seconds, by ARP that goes up: where a start takes longer, as on an emulated
	// machine, they would stop to send for want of an answer.
	e.In(a.NS, "ip", "neigh", "replace", "10.1.1.2", "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	e.In(b.NS, "ip", "neigh", "replace", "10.1.1.1", "lladdr", a.MAC(), "dev", "eth0", "nud", "permanent")
	ports := func() string {
		var s strings.Builder
		for _, p := range []string{a.Port, b.Port, "in0", "br0"} {
			s.WriteString(p + "=" + e.Vsctl("get", "interface", p, "ofport") + " ")
		}
		return s.String()
	}
	before, mac := ports(), e.Link(e.NS, "br0").Address
	ifindex := e.Link(e.NS, "in0").Index
	for _, stop := range []string{"exit", "TERM", "KILL"} {
		// The forwarding of a known flow goes on without the agent.
		ping := e.Background(a.NS, "ping", "-n", "-i", "0.05", "10.1.1.2")
		switch stop {
		case "exit":
			e.Appctl("exit")
			e.Wait()
		case "TERM":
			err := e.Signal(syscall.SIGTERM)
			if err == nil || !strings.Contains(err.Error(), "signal: terminated") {
				t.Errorf("after SIGTERM: %v", err)
			}
		case "KILL":
			e.Kill()
		}
		if _, ok := e.Links(e.NS)["in0"]; !ok {
			t.Errorf("%s: in0 is gone", stop)
		}
		a.Ping("10.1.1.2", 56, 10)
		e.Start()
		a.Ping("10.1.1.2", 56, 10)
		out := ping()
		if !strings.Contains(out, " 0% packet loss") {
			t.Errorf("%s: %s", stop, out[max(0, len(out)-300):])
		}
		if now := ports(); now != before {
			t.Errorf("%s: ofports %s, then %s", stop, before, now)
		}
		if now := e.Link(e.NS, "br0").Address; now != mac {
			t.Errorf("%s: br0 had MAC %s, then %s", stop, mac, now)
		}
		if now := e.Link(e.NS, "in0").Index; now != ifindex {
			t.Errorf("%s: in0 was made anew", stop)
		}
	}
	e.Appctl("exit", "--cleanup")
	e.Wait()
	links := e.Links(e.NS)
	for _, name := range []string{"in0", "br0"} {
		if _, ok := links[name]; ok {
			t.Errorf("%s is left after exit --cleanup", name)
		}
	}
}

func TestSecondInstanceIdles(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a := e.AddHost("10.1.1.1/24")
	addBridge(e, a)
	dir := t.TempDir()
	log := filepath.Join(dir, "second.log")
	e.Background(e.NS, filepath.Join(testenv.Bin(t), "ovs-bpfd"), "unix:"+filepath.Join(e.Dir, "db.sock"),
		"--unixctl="+filepath.Join(dir, "second.ctl"), "--log-file="+log, "-vconsole:off")
	e.Eventually("the second instance says why it idles", func() error {
		b, _ := os.ReadFile(log)
		if !strings.Contains(string(b), "another ovs-vswitchd process is running, disabling this process") {
			return fmt.Errorf("log: %s", b)
		}
		return nil
	})
}
