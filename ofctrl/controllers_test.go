package ofctrl

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// controller is a listening controller.
type controller struct {
	t *testing.T
	l net.Listener
}

func newController(t *testing.T) *controller {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &controller{t, l}
}

func (c *controller) target() string { return "tcp:" + c.l.Addr().String() }

// accept takes the switch's connection and says hello.
func (c *controller) accept(version string) *peer {
	c.t.Helper()
	nc, err := c.l.Accept()
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { nc.Close() })
	p := newPeer(c.t, nc)
	p.hello(version)
	return p
}

// sync waits until the switch has done what was sent.
func (p *peer) sync(version string) {
	p.t.Helper()
	p.write(version + " 14 0008 0000abcd")
	for p.read() != version+"1500080000abcd" {
	}
}

func (b *bench) status(target string) ControllerStatus {
	for _, s := range b.Status() {
		if s.Target == target {
			return s
		}
	}
	return ControllerStatus{}
}

func TestControllerConnection(t *testing.T) {
	b := newBench(t, false, nil)
	one, two := newController(t), newController(t)
	b.SetControllers([]ControllerConfig{{Target: one.target()}, {Target: two.target()}})
	p, q := one.accept("04"), two.accept("06")
	b.wait("connections", func() bool { return b.Connected() == 2 })
	st := b.status(one.target())
	if !st.Connected || st.Role != "other" || st.Status["state"] != "ACTIVE" || st.Status["sec_since_connect"] == "" {
		t.Errorf("status %+v", st)
	}
	// Controllers get packet-ins without asking.
	b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: make([]byte, 20)}})
	if got := p.read(); !strings.HasPrefix(got, "040a") {
		t.Errorf("no packet-in: %s", got)
	}
	q.read()

	// A target that stays keeps its connection, one that goes loses it.
	b.SetControllers([]ControllerConfig{{Target: one.target(), MaxBackoff: 3 * time.Second}})
	q.closed()
	p.write("04 02 0008 00000005")
	p.expect("04 03 0008 00000005")
	b.wait("one connection", func() bool { return b.Connected() == 1 })
	if n := len(b.Status()); n != 1 {
		t.Errorf("%d controllers in the status", n)
	}
	b.SetControllers(nil)
	p.closed()
}

func TestRoles(t *testing.T) {
	b := newBench(t, false, nil)
	one, two := newController(t), newController(t)
	b.SetControllers([]ControllerConfig{{Target: one.target()}, {Target: two.target()}})
	p, q := one.accept("04"), two.accept("04")
	role := func(p *peer, role, generation, want string) {
		t.Helper()
		p.write("04 18 0018 00000009" + role + "00000000" + generation)
		p.expect("04 " + want)
	}
	role(p, "00000000", "0000000000000000", "19 0018 00000009 00000001 00000000 ffffffffffffffff") // no change, no generation yet
	role(p, "00000002", "0000000000000005", "19 0018 00000009 00000002 00000000 0000000000000005")
	role(q, "00000002", "0000000000000004", "01 0024 00000009 000b 0000 0418001800000009 00000002 00000000 0000000000000004") // stale
	role(q, "00000009", "0000000000000006", "01 0024 00000009 000b 0002 0418001800000009 00000009 00000000 0000000000000006") // bad role
	role(q, "00000002", "0000000000000006", "19 0018 00000009 00000002 00000000 0000000000000006")
	// The first is a secondary now, and is told so (by ONF's extension in 1.3): it may read but
	// not write.
	p.expect("04 04 0020 00000000 4f4e4600 00000777 00000003 00 000000 0000000000000006")
	role(p, "00000000", "0000000000000000", "19 0018 00000009 00000003 00000000 0000000000000006")
	if s := b.status(one.target()); s.Role != "slave" || b.status(two.target()).Role != "master" {
		t.Errorf("status %+v", b.Status())
	}
	add := "04 0e 0038 00000007" + "0000000000000000 0000000000000000 00 00 0000 0000 0001 ffffffff ffffffff ffffffff 0000 0000" + "0001 0004 00000000"
	p.write(add)
	p.expect("04 01 0044 00000007 0001 000a" + strings.ReplaceAll(add, " ", "")[:112])
	p.sync("04")
	q.write(add)
	q.sync("04")
	if n := b.count0(); n != 1 {
		t.Errorf("%d flows, want the primary's", n)
	}
	// A secondary gets port status and no packet-ins.
	b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: make([]byte, 20)}})
	b.PortStatus(2, b.host.Ports()[0])
	if got := p.read(); !strings.HasPrefix(got, "040c") {
		t.Errorf("the secondary got %s", got)
	}
	if got := q.read(); !strings.HasPrefix(got, "040a") {
		t.Errorf("the primary got %s", got)
	}
}

// count0 is the number of flows that controllers see.
func (b *bench) count0() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, _, n := b.tables.Aggregate(table.All())
	return int(n)
}

func TestProbe(t *testing.T) {
	b := newBench(t, true, nil)
	one := newController(t)
	b.SetControllers([]ControllerConfig{{Target: one.target()}})
	p := one.accept("04")
	b.wait("connection", func() bool { return b.Connected() == 1 })
	got := make(chan string)
	go func() { got <- p.read() }()
	var probe string
	b.advance(time.Second, "a probe", func() bool {
		select {
		case probe = <-got:
			return true
		default:
			return false
		}
	})
	if probe != "0402000800000000" {
		t.Errorf("probe %s", probe)
	}
	// No answer.
	b.advance(time.Second, "the end of the connection", func() bool { return b.Connected() == 0 })
	if s := b.status(one.target()); s.Connected || !strings.Contains(s.Status["last_error"], "inactivity probe") {
		t.Errorf("status %+v", s)
	}
	// It connects again.
	again := make(chan *peer, 1)
	go func() { again <- one.accept("04") }()
	b.advance(time.Second, "another connection", func() bool { return b.Connected() == 1 })
	<-again
}

func TestBackoff(t *testing.T) {
	b := newBench(t, true, nil)
	one := newController(t)
	target := one.target()
	one.l.Close()
	b.SetControllers([]ControllerConfig{{Target: target}})
	b.wait("a failure", func() bool { return b.status(target).Status["state"] == "BACKOFF" })
	if s := b.status(target); s.Status["last_error"] != "Connection refused" || s.Connected {
		t.Errorf("status %+v", s)
	}
	b.advance(time.Second, "the end of news", func() bool { return strings.Contains(b.logged.String(), "suppressing") })
	if n := strings.Count(b.logged.String(), "connection failed"); n > 5 {
		t.Errorf("%d failures in the log", n)
	}
	l, err := net.Listen("tcp", strings.TrimPrefix(target, "tcp:"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one.l = l
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		one.accept("04")
	}()
	b.advance(time.Second, "a connection", func() bool { return b.Connected() == 1 })
	<-accepted
}

func TestFailModes(t *testing.T) {
	flows := func(b *bench) string {
		b.mu.RLock()
		defer b.mu.RUnlock()
		var lines []string
		sel := table.All()
		sel.Hidden = true
		sel.Table = 0
		b.tables.Each(sel, func(r *table.Rule) { lines = append(lines, fmt.Sprint(r.Priority, r.Actions)) })
		return strings.Join(lines, ", ")
	}
	const standard, open = "0 [{NORMAL 0}]", "15790320 [{NORMAL 0}]"
	b := newBench(t, true, nil)
	check := func(when, want string) {
		t.Helper()
		if got := flows(b); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	check("at first", standard)
	b.SetFailMode(true)
	check("secure", "")
	b.SetFailMode(true)
	b.SetFailMode(false)
	check("standalone", standard)
	b.ofctl("del-flows", "BR")
	check("deleted", "")
	b.SetFailMode(false)
	check("no change", "")

	one := newController(t)
	target := one.target()
	b.SetControllers([]ControllerConfig{{Target: target}})
	p := one.accept("04")
	b.wait("connection", func() bool { return b.Connected() == 1 })
	check("with a controller", "")
	one.l.Close()
	p.nc.Close()
	b.wait("the end of the connection", func() bool { return b.Connected() == 0 })
	b.advance(time.Second, "fail-open", func() bool { return flows(b) == open })
	if !strings.Contains(b.logged.String(), "failing open") {
		t.Error("nothing in the log")
	}
	if got := b.ofctl("dump-flows", "BR"); got != "NXST_FLOW reply:" {
		t.Errorf("fail-open shows: %s", got)
	}
	// Secure has no fail-open.
	b.SetFailMode(true)
	check("secure without a controller", "")
	b.SetFailMode(false)
	check("standalone without a controller", open)
	l, err := net.Listen("tcp", strings.TrimPrefix(target, "tcp:"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	one.l = l
	done := make(chan struct{})
	go func() {
		defer close(done)
		one.accept("04")
	}()
	b.advance(time.Second, "a connection", func() bool { return b.Connected() == 1 })
	<-done
	b.wait("the end of fail-open", func() bool { return flows(b) == "" })
	b.SetControllers(nil)
	check("no controllers", standard)
}

// Flows that were restored before the controllers were set stay.
func TestRestoring(t *testing.T) {
	b := newBench(t, false, nil)
	b.Restoring(true)
	b.ofctl("add-flow", "BR", "in_port=1,actions=drop")
	b.SetControllers([]ControllerConfig{{Target: "tcp:127.0.0.1:1"}})
	if n := b.count0(); n != 2 {
		t.Errorf("%d flows", n)
	}
	b.Restoring(false)
	b.SetControllers(nil)
	if n := b.count0(); n != 1 {
		t.Errorf("%d flows after a flush", n)
	}
}

func TestBadTargets(t *testing.T) {
	b := newBench(t, false, nil)
	b.SetControllers([]ControllerConfig{{Target: "tcp:"}, {Target: "unix:/etc/passwd"}, {Target: "ssl:127.0.0.1:1"}})
	b.wait("a line each", func() bool {
		return strings.Count(b.logged.String(), "level=error") == 2 && strings.Contains(b.logged.String(), "private key")
	})
	for target, want := range map[string]string{"tcp:": "host name", "unix:/etc/passwd": "outside of the run directory", "ssl:127.0.0.1:1": "private key"} {
		if s := b.status(target); !strings.Contains(s.Status["last_error"], want) || s.Connected {
			t.Errorf("%s: %+v", target, s)
		}
	}
	// The rest works.
	if got := b.ofctl("dump-desc", "BR"); !strings.Contains(got, "Nicira") {
		t.Error(got)
	}
}

func TestPassiveControllers(t *testing.T) {
	b := newBench(t, false, nil)
	path := filepath.Join(b.dir, "br0.extra")
	b.SetControllers([]ControllerConfig{{Target: "punix:" + path}})
	b.wait("the socket", func() bool { _, err := os.Stat(path); return err == nil })
	var p *peer
	b.wait("a connection", func() bool {
		nc, err := net.Dial("unix", path)
		if err != nil {
			return false
		}
		p = newPeer(t, nc)
		return true
	})
	p.hello("04")
	b.wait("the status", func() bool { return b.status("punix:" + path).Status["n_connections"] == "1" })
	b.SetControllers(nil)
	p.closed()
	b.wait("the end of the socket", func() bool { _, err := os.Stat(path); return os.IsNotExist(err) })
}

func TestServiceSocket(t *testing.T) {
	// What an earlier process left is replaced.
	stale := func(o *Options) {
		l, err := net.Listen("unix", filepath.Join(o.RunDir, "br0.mgmt"))
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
	}
	b := newBench(t, false, stale)
	info, err := os.Stat(b.mgmt())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got&^0o770 != 0 || got&0o700 != 0o700 {
		t.Errorf("mode %v", got)
	}
}

// A file that is no socket is not replaced: the log says so, and the switch tries again.
func TestServiceSocketInTheWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "br0.mgmt")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeSocket(path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

func TestAsyncMasks(t *testing.T) {
	b := newBench(t, false, nil)
	one := newController(t)
	b.SetControllers([]ControllerConfig{{Target: one.target()}})
	p := one.accept("04")
	// Default of 1.3, then only port deletions.
	p.write("04 1a 0008 00000001")
	p.expect("04 1b 0020 00000001 00000003 00000000 00000007 00000007 0000000f 00000000")
	p.write("04 1c 0020 00000002 00000000 00000000 00000002 00000000 00000000 00000000")
	p.write("04 1a 0008 00000003")
	p.expect("04 1b 0020 00000003 00000000 00000000 00000002 00000000 00000000 00000000")
	var m flow.Match
	m.Set(flow.InPortOXM, 1)
	b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: make([]byte, 20), Metadata: m}})
	b.PortStatus(0, b.host.Ports()[0])
	b.PortStatus(1, b.host.Ports()[0])
	if got := p.read(); !strings.HasPrefix(got, "040c00500000000001") {
		t.Errorf("got %s", got)
	}
}

// TestManyFlows: replies of more than 64 KB come in parts that add up.
func TestManyFlows(t *testing.T) {
	b := newBench(t, false, nil)
	b.SetFailMode(true)
	b.mu.Lock()
	const n = 5000
	for i := range uint64(n) {
		fm := &openflow.FlowMod{Priority: 1, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny, NewCookie: i,
			Actions: []openflow.Action{openflow.Output{Port: 1}, openflow.Output{Port: 2}}}
		fm.Match.Set(flow.InPortOXM, 1+i%7)
		fm.Match.Set(flow.EthDst, i)
		if _, err := b.tables.Apply(fm); err != nil {
			t.Fatal(err)
		}
	}
	b.mu.Unlock()
	for _, v := range allVersions {
		got := b.ofctl("-O", v, "dump-flows", "BR")
		if lines := strings.Count(got, "cookie="); lines != n {
			t.Errorf("%s: %d flows, want %d", v, lines, n)
		}
	}
	if d := cmp.Diff("OFPST_AGGREGATE reply (OF1.3): packet_count=0 byte_count=0 flow_count=5000", b.ofctl("-O", "OpenFlow13", "dump-aggregate", "BR")); d != "" {
		t.Error(d)
	}
}
