package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestVersions restricts a bridge's versions: others are refused in the hello exchange.
func TestVersions(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	addBridge(e)
	for _, v := range []string{"OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		e.Ofctl("-O", v, "probe", "br0")
	}
	e.Vsctl("set", "bridge", "br0", "protocols=OpenFlow13")
	for v, want := range map[string]int{"OpenFlow10": 1, "OpenFlow13": 0, "OpenFlow15": 1, "OpenFlow10,OpenFlow13,OpenFlow15": 0} {
		if out, code := e.Try("ovs-ofctl", "-O", v, "probe", "br0"); code != want {
			t.Errorf("%s: exit %d, want %d: %s", v, code, want, out)
		}
	}
	c := dialOF(t, e, "br0")
	sendOF(t, c, "0100 0008 00000001") // HELLO, OpenFlow 1.0 only
	for {
		m, err := readOF(c)
		if err != nil {
			t.Fatalf("no OFPET_HELLO_FAILED: %v", err)
		}
		if m[1] != 1 { // its hello
			continue
		}
		if len(m) < 12 || m[8] != 0 || m[9] != 0 || m[10] != 0 || m[11] != 0 {
			t.Errorf("error %x, want OFPHFC_INCOMPATIBLE", m)
		}
		break
	}
	if _, err := readOF(c); err == nil {
		t.Error("the connection stays")
	}
}

// monitor runs ovs-ofctl monitor on br0; the function returns what it has printed so far.
func monitor(t *testing.T, e *testenv.Env, args ...string) func() string {
	t.Helper()
	dir := t.TempDir()
	pidfile, out := filepath.Join(dir, "pid"), filepath.Join(dir, "out")
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sock := filepath.Join(dir, "ctl")
	e.Run("sh", append([]string{"-c", `out=$1 ; shift; exec "$@" >"$out" 2>&1`, "sh", out, "ovs-ofctl"},
		append(args, "--detach", "--no-chdir", "--pidfile="+pidfile, "--unixctl="+sock, "-vconsole:off")...)...)
	t.Cleanup(func() { e.Try("ovs-appctl", "-T5", "-t", sock, "exit") })
	return func() string {
		b, _ := os.ReadFile(out)
		return string(b)
	}
}

// expect waits until the output has every text, in any order.
func expect(e *testenv.Env, output func() string, texts ...string) {
	e.Eventually(strings.Join(texts, ", "), func() error {
		got := output()
		for _, x := range texts {
			if !strings.Contains(got, x) {
				return fmt.Errorf("no %q in:\n%s", x, got)
			}
		}
		return nil
	})
}

// TestNotifications has ovs-ofctl monitor see what a switch tells by itself.
func TestNotifications(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b, c := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24"), e.AddHost("10.1.1.3/24")
	addBridge(e, a, b)
	a.Reach("10.1.1.2")
	seen := monitor(t, e, "monitor", "br0", "65534", "invalid_ttl")
	seen14 := monitor(t, e, "-O", "OpenFlow14", "monitor", "br0", "65534")
	if got := e.Ofctl("get-frags", "br0"); strings.TrimSpace(got) != "normal" {
		t.Errorf("get-frags: %s", got)
	}
	e.Vsctl("add-port", "br0", c.Port)
	expect(e, seen, "ADD: 3("+c.Port+")")
	e.Vsctl("del-port", c.Port)
	expect(e, seen, "DEL: 3("+c.Port+")")
	e.In(e.NS, "ip", "link", "set", b.Port, "down")
	expect(e, seen, "MOD: 2("+b.Port+")", "config:     PORT_DOWN\n     state:      LINK_DOWN")
	e.Ofctl("mod-port", "br0", b.Port, "up")
	e.Ofctl("mod-port", "br0", b.Port, "no-flood")
	expect(e, seen, "config:     NO_FLOOD\n     state:      0")
	e.Ofctl("mod-port", "br0", b.Port, "flood")

	e.Ofctl("add-flow", "br0", "send_flow_rem,priority=10,idle_timeout=1,cookie=0x77,icmp6,actions=normal")
	e.Ofctl("add-flow", "br0", "send_flow_rem,priority=11,hard_timeout=1,cookie=0x78,udp,actions=normal")
	e.Ofctl("add-flow", "br0", "send_flow_rem,priority=12,cookie=0x79,sctp,actions=drop")
	e.Ofctl("add-flow", "br0", "priority=13,cookie=0x7a,sctp,actions=drop")
	e.Ofctl("del-flows", "br0", "sctp")
	expect(e, seen, "priority=10,icmp6 reason=idle cookie:0x77", "priority=11,udp reason=hard cookie:0x78", "priority=12,sctp reason=delete cookie:0x79")
	expect(e, seen14, "priority=11,udp reason=hard table_id=0 cookie:0x78")
	if strings.Contains(seen(), "0x7a") {
		t.Errorf("told of a flow that did not ask for it:\n%s", seen())
	}

	e.Ofctl("add-flow", "br0", "priority=20,ip,nw_dst=10.1.1.2,nw_ttl=1,cookie=5,actions=dec_ttl,normal")
	e.Ofctl("add-flow", "br0", "priority=20,ip,nw_dst=10.1.1.2,nw_ttl=5,cookie=6,actions=controller:64")
	e.Ofctl("add-flow", "br0", "priority=20,ip,nw_dst=10.1.1.2,nw_ttl=6,cookie=7,actions=controller(reason=no_match,userdata=01.02)")
	for _, ttl := range []string{"1", "5", "6"} {
		e.Try("nsenter", "--net=/run/netns/"+a.NS, "ping", "-n", "-c1", "-W1", "-t", ttl, "10.1.1.2")
	}
	expect(e, seen, "cookie=0x5 total_len=98 in_port=1 (via invalid_ttl) data_len=98 (unbuffered)",
		"cookie=0x6 total_len=98 in_port=1 (via action) data_len=98 (unbuffered)",
		"cookie=0x7 total_len=98 in_port=1 (via no_match) data_len=98 (unbuffered)\n userdata=01.02")
	e.Ofctl("packet-out", "br0", "in_port=2,packet="+strings.Repeat("f", 12)+"0200000000aa88b5"+strings.Repeat("0", 92)+",actions=controller")
	expect(e, seen14, "in_port=2 (via packet_out) data_len=60 (unbuffered)")
	if strings.Contains(seen14(), "invalid_ttl") {
		t.Errorf("an invalid TTL told to a controller that did not ask:\n%s", seen14())
	}
}

// controllerColumns are the status columns of the only Controller row.
func controllerColumns(e *testenv.Env) string {
	return e.Vsctl("--columns=is_connected,role,status", "-f", "csv", "--no-headings", "list", "controller")
}

// controller is one of OpenFlow 1.0 in Python that has all packets switched: arguments are a socket's path, or an
// address and a port.
const controller = `
import socket, struct, sys
if len(sys.argv) == 2:
    l = socket.socket(socket.AF_UNIX)
    l.bind(sys.argv[1])
else:
    l = socket.create_server((sys.argv[1], int(sys.argv[2])), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
l.listen()
while True:
    c, _ = l.accept()
    c.sendall(bytes.fromhex("0100000800000001"))
    c.sendall(struct.pack("!BBHI I14s6s14s xx Q HHHH IHH HHHH", 1, 14, 80, 2, 0x3fffff, b"", b"", b"", 0, 0, 0, 0, 0, 0xffffffff, 0xffff, 0, 0, 8, 0xfffa, 0))
    try:
        while True:
            h = c.recv(8, socket.MSG_WAITALL)
            if len(h) < 8:
                break
            _, kind, n, xid = struct.unpack("!BBHI", h)
            body = c.recv(n - 8, socket.MSG_WAITALL) if n > 8 else b""
            if kind == 2:
                c.sendall(struct.pack("!BBHI", 1, 3, n, xid) + body)
    except OSError:
        pass
`

// TestControllers connects br0 to a controller by each kind of target, and takes it away.
func TestControllers(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	a, b := e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	sock := filepath.Join(e.Dir, "controller.sock")
	for _, c := range []struct {
		target string
		listen []string
	}{
		{"unix:" + sock, []string{sock}},
		{"tcp:127.0.0.1:6653", []string{"127.0.0.1", "6653"}},
		{"tcp:[::1]:6654", []string{"::1", "6654"}},
	} {
		e.Vsctl("set-fail-mode", "br0", "secure", "--", "set-controller", "br0", c.target, "--", "set", "controller", "br0", "max_backoff=1000")
		e.Eventually("without it", func() error {
			if got := controllerColumns(e); !strings.Contains(got, "false") || !strings.Contains(got, "BACKOFF") && !strings.Contains(got, "CONNECTING") {
				return fmt.Errorf("controller: %s", got)
			}
			return nil
		})
		stop := e.Background(e.NS, "python3", append([]string{"-c", controller}, c.listen...)...)
		e.Eventually(c.target+" connected", func() error {
			if got := controllerColumns(e); !strings.Contains(got, "true,other,") || !strings.Contains(got, "state=ACTIVE") {
				return fmt.Errorf("controller: %s", got)
			}
			return nil
		})
		a.Reach("10.1.1.2") // its flow is there
		stop()
		e.Eventually(c.target+" gone", func() error {
			if got := controllerColumns(e); !strings.Contains(got, "false") || !strings.Contains(got, "last_error=") {
				return fmt.Errorf("controller: %s", got)
			}
			return nil
		})
		a.Ping("10.1.1.2", 56, 2) // secure: what it said goes on
		e.Vsctl("del-controller", "br0")
		e.Ofctl("del-flows", "br0")
	}
	// Secure: without a controller there is no flow. Standalone: NORMAL takes over.
	e.Ofctl("del-flows", "br0")
	if out, code := e.Try("nsenter", "--net=/run/netns/"+a.NS, "ping", "-n", "-c1", "-W1", "10.1.1.2"); code == 0 {
		t.Errorf("secure without flows: %s", out)
	}
	e.Vsctl("set-fail-mode", "br0", "standalone")
	a.Reach("10.1.1.2")
	// Passive targets, relative and on any port.
	e.Vsctl("set-controller", "br0", "punix:br0.controller", "ptcp:6699:127.0.0.1")
	e.Eventually("passive targets listen", func() error {
		for _, target := range []string{"unix:" + filepath.Join(e.Dir, "br0.controller"), "tcp:127.0.0.1:6699"} {
			if out, code := e.Try("ovs-ofctl", "probe", target); code != 0 {
				return fmt.Errorf("%s: %s", target, out)
			}
		}
		return nil
	})
	a.Ping("10.1.1.2", 56, 2)
}

// TestFlowModErrors asks for flows that cannot be.
func TestFlowModErrors(t *testing.T) {
	t.Parallel()
	e := testenv.New(t)
	addBridge(e)
	e.Ofctl("add-flow", "br0", "check_overlap,priority=5,ip,actions=drop")
	for _, c := range []struct{ flow, want string }{
		{"check_overlap,priority=5,tcp,actions=drop", "OFPFMFC_OVERLAP"},
		{"table=254,actions=drop", "OFPBRC_EPERM"},
		{"recirc_id=5,actions=drop", "OFPBRC_EPERM"},
		{"actions=group:5", "OFPBAC_BAD_OUT_GROUP"},
		{"actions=meter:5", "OFPMMFC_INVALID_METER"},
		{"actions=goto_table:0", "OFPBIC_BAD_TABLE_ID"},
	} {
		if out, code := e.Try("ovs-ofctl", "-O", "OpenFlow13", "add-flow", "br0", c.flow); code != 1 || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want %s: %s", c.flow, code, c.want, out)
		}
	}
	e.Ofctl("add-flow", "br0", "recirc_id=0,actions=output:77")
	if out := e.Ofctl("--no-stats", "dump-flows", "br0"); !strings.Contains(out, "actions=output:77") || strings.Contains(out, "tcp") {
		t.Errorf("flows: %s", out)
	}
}
