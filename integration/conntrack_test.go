package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// trackedHosts are a bridge with two hosts that know each other's addresses.
func trackedHosts(t *testing.T) (e *testenv.Env, a, b *testenv.Host) {
	t.Helper()
	e = testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b = e.AddHost("10.1.1.1/24"), e.AddHost("10.1.1.2/24")
	addBridge(e, a, b)
	for _, ip := range []string{"10.1.1.2", "10.1.1.60"} {
		a.Run("ip", "neigh", "replace", ip, "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	}
	for _, ip := range []string{"10.1.1.1", "10.1.1.50"} {
		b.Run("ip", "neigh", "replace", ip, "lladdr", a.MAC(), "dev", "eth0", "nud", "permanent")
	}
	return e, a, b
}

// echo serves TCP: it tells who the client is and then sends back what comes.
const echo = `
import socket, threading
def serve(c, who):
    c.sendall((who[0] + " " + str(who[1]) + "\n").encode())
    while True:
        b = c.recv(65536)
        if not b: break
        c.sendall(b)
    c.close()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", %d))
s.listen(100)
while True: threading.Thread(target=serve, args=s.accept(), daemon=True).start()`

// talk sends two megabytes to an echo server and wants them back, and prints whom the server takes it for.
const talk = `
import socket, threading, hashlib, os
s = socket.create_connection(("%s", %d), timeout=20)
f = s.makefile("rb")
who = f.readline().decode().strip()
data = os.urandom(2 << 20)
threading.Thread(target=lambda: s.sendall(data)).start()
assert f.read(len(data)) == data
print(who)`

func listens(e *testenv.Env, h *testenv.Host, port int) {
	e.Eventually("a server listens", func() error {
		if !strings.Contains(h.Run("ss", "-Hltn"), fmt.Sprintf(":%d ", port)) {
			return errors.New("no listener")
		}
		return nil
	})
}

func flows(e *testenv.Env, list ...string) {
	e.Ofctl("del-flows", "br0")
	for _, f := range list {
		e.Ofctl("add-flow", "br0", f)
	}
}

// TestStatefulFirewall lets only the first host begin connections.
func TestStatefulFirewall(t *testing.T) {
	t.Parallel()
	e, a, b := trackedHosts(t)
	flows(e,
		"table=0,priority=1,ip,actions=ct(zone=5,table=1)",
		"table=1,priority=10,ct_state=+trk+new-inv,ip,in_port=1,actions=ct(commit,zone=5,exec(load:0x7->NXM_NX_CT_MARK[])),output:2",
		"table=1,priority=10,ct_state=+trk+est-inv,ct_mark=7,ip,in_port=1,actions=output:2",
		"table=1,priority=10,ct_state=+trk+est+rpl-inv,ct_mark=7,ip,in_port=2,actions=output:1",
	)
	for h, port := range map[*testenv.Host]int{a: 7001, b: 7002} {
		h.Background("python3", "-c", fmt.Sprintf(echo, port))
		listens(e, h, port)
	}
	for range 2 { // by upcalls, then by megaflows
		a.Ping("10.1.1.2", 64, 3)
		b.NoReach("10.1.1.1")
		if who := a.Run("python3", "-c", fmt.Sprintf(talk, "10.1.1.2", 7002)); !strings.HasPrefix(who, "10.1.1.1 ") {
			t.Errorf("the client is %s", who)
		}
		b.Run("python3", "-c", `
import socket
s = socket.socket()
s.settimeout(1)
try: s.connect(("10.1.1.1", 7001))
except socket.timeout: pass
else: raise SystemExit("connected")`)
	}
	out := e.Appctl("dpctl/dump-conntrack", "zone=5")
	if !regexp.MustCompile(`tcp,orig=\(src=10\.1\.1\.1,dst=10\.1\.1\.2,sport=\d+,dport=7002\),.*zone=5,mark=7`).MatchString(out) ||
		!strings.Contains(out, "icmp,orig=(src=10.1.1.1,dst=10.1.1.2,id=") || strings.Contains(out, "orig=(src=10.1.1.2") {
		t.Errorf("connections:\n%s", out)
	}
	e.Appctl("dpctl/flush-conntrack", "zone=5")
	if out := e.Appctl("dpctl/dump-conntrack"); strings.TrimSpace(out) != "" {
		t.Errorf("after a flush:\n%s", out)
	}
}

// TestTranslation translates sources, destinations and ICMP errors of real stacks, and goes on over a killed agent and its
// restart.
func TestTranslation(t *testing.T) {
	t.Parallel()
	e, a, b := trackedHosts(t)
	table := []string{
		"table=0,priority=1,ip,actions=ct(zone=1,nat,table=1)",
		"table=1,priority=20,ct_state=+trk+new-rel-inv,tcp,in_port=1,nw_dst=10.1.1.60,actions=ct(commit,zone=1,nat(dst=10.1.1.2:7002),table=2)",
		"table=1,priority=10,ct_state=+trk+new-rel-inv,ip,in_port=1,nw_dst=10.1.1.2,actions=ct(commit,zone=1,nat(src=10.1.1.50:10000-10100),table=2)",
		"table=1,priority=10,ct_state=+trk+est-inv,ip,actions=goto_table:2",
		"table=1,priority=10,ct_state=+trk+rel-inv,ip,actions=goto_table:2",
		"table=2,in_port=1,actions=output:2",
		"table=2,in_port=2,actions=output:1",
	}
	flows(e, table...)
	b.Background("python3", "-c", fmt.Sprintf(echo, 7002))
	listens(e, b, 7002)
	everything := func(when string) {
		t.Helper()
		m := regexp.MustCompile(`^10\.1\.1\.50 (\d+)`).FindStringSubmatch(a.Run("python3", "-c", fmt.Sprintf(talk, "10.1.1.2", 7002)))
		if m == nil {
			t.Fatalf("%s: the source is not translated", when)
		}
		if port, _ := strconv.Atoi(m[1]); port < 10000 || port > 10100 {
			t.Errorf("%s: the source port is %d", when, port)
		}
		if who := a.Run("python3", "-c", fmt.Sprintf(talk, "10.1.1.60", 80)); !strings.HasPrefix(who, "10.1.1.1 ") {
			t.Errorf("%s: the client of the virtual address is %s", when, who)
		}
		a.Ping("10.1.1.2", 64, 3)
		// The error of a closed port is about a packet that the client has never sent so.
		a.Run("python3", "-c", `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect(("10.1.1.2", 9))
s.send(b"x")
try: s.recv(10)
except ConnectionRefusedError: pass
else: raise SystemExit("no error")`)
	}
	everything("at first")
	everything("by megaflows")

	// One connection all the time.
	log := filepath.Join(t.TempDir(), "echoes")
	a.Background("python3", "-c", `
import socket, sys, time
log = open(sys.argv[1], "a", buffering=1)
s = socket.create_connection(("10.1.1.2", 7002), timeout=60)
f = s.makefile("rb")
f.readline()
n = 0
while True:
    s.sendall(b"%06d\n" % n)
    assert int(f.readline()) == n
    log.write("echo\n")
    n += 1
    time.sleep(0.02)`, log)
	echoes := func() int {
		b, _ := os.ReadFile(log) // not there before the first
		return bytes.Count(b, []byte("echo"))
	}
	goesOn := func(when string) {
		t.Helper()
		n := echoes()
		e.Eventually(when, func() error {
			if now := echoes(); now < n+20 {
				return fmt.Errorf("%d echoes, then %d", n, now)
			}
			return nil
		})
	}
	goesOn("the connection works")
	e.Vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	e.Kill()
	goesOn("the connection goes on without an agent")
	e.Start()
	goesOn("the connection goes on with a new agent")
	flows(e, table...)
	e.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	e.Appctl("revalidator/wait")
	goesOn("the connection goes on with new flows")
	everything("after a restart")
	if n := strings.TrimSpace(e.Appctl("dpctl/ct-get-nconns")); n == "0" {
		t.Error("no connections are counted")
	}
	if out := e.Appctl("dpctl/dump-conntrack"); !strings.Contains(out, "dst=10.1.1.60,") || !strings.Contains(out, "dst=10.1.1.50,") {
		t.Errorf("connections:\n%s", out)
	}
}
