package integration

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// natLab is a client behind a switch that translates its source and a virtual address, each in a zone of its own, and a server two
// hops away: behind the switch is a router, whose link to the server takes packets of 1,300 bytes only.
type natLab struct {
	*testenv.Env
	client, router, server *testenv.Host
}

const (
	natAddr    = "10.1.1.50" // of the client, for all others
	natPorts   = "20000-23999"
	serverAddr = "10.2.2.2"
	virtual    = "10.3.3.3" // port 80 is the server's 8000
	hairpin    = "10.3.3.9" // port 80 is the client's own 7001
)

func newNATLab(t *testing.T) *natLab {
	t.Helper()
	e := testenv.New(t)
	l := &natLab{Env: e, client: e.AddHost("10.1.1.1/24"), router: e.AddHost("10.1.1.2/24"), server: e.AddHost()}
	addBridge(e, l.client, l.router)
	l.client.Run("ip", "neigh", "replace", "10.1.1.2", "lladdr", l.router.MAC(), "dev", "eth0", "nud", "permanent")
	l.client.Run("ip", "route", "add", "default", "via", "10.1.1.2")
	for _, a := range []string{"10.1.1.1", natAddr} {
		l.router.Run("ip", "neigh", "replace", a, "lladdr", l.client.MAC(), "dev", "eth0", "nud", "permanent")
	}
	e.Run("ip", "link", "add", "v0", "netns", l.router.NS, "type", "veth", "peer", "name", "v0", "netns", l.server.NS)
	l.router.Run("ip", "addr", "add", "10.2.2.1/24", "dev", "v0")
	l.server.Run("ip", "addr", "add", serverAddr+"/24", "dev", "v0")
	l.router.Run("ip", "link", "set", "v0", "up")
	l.server.Run("ip", "link", "set", "v0", "up")
	l.router.Run("ip", "route", "replace", serverAddr+"/32", "dev", "v0", "mtu", "lock", "1300")
	l.server.Run("ip", "route", "add", "default", "via", "10.2.2.1")
	// All errors are sent, not one a second.
	l.router.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")
	l.server.Run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")

	const known = "ct_state=+trk-new-inv"
	flows(e,
		"table=0,priority=1,ip,in_port=1,actions=ct(zone=1,nat,table=1)",
		"table=0,priority=1,ip,in_port=2,actions=ct(zone=2,nat,table=3)",
		"table=1,priority=20,ct_state=+trk+new-rel-inv,tcp,nw_dst="+virtual+",actions=ct(commit,zone=1,nat(dst="+serverAddr+":8000),exec(load:0x5->NXM_NX_CT_MARK[]),table=2)",
		"table=1,priority=10,ct_state=+trk+new-rel-inv,ip,actions=ct(commit,zone=1,table=2)",
		"table=1,priority=10,"+known+",ip,actions=goto_table:2",
		"table=2,ip,actions=ct(zone=2,nat,table=4)",
		"table=4,ct_state=+trk+new-rel-inv,ip,actions=ct(commit,zone=2,nat(src="+natAddr+":"+natPorts+")),output:2",
		"table=4,"+known+",ip,actions=output:2",
		"table=3,"+known+",ip,actions=ct(zone=1,nat,table=5)",
		"table=5,"+known+",ip,actions=output:1",
	)
	return l
}

// TestNATOfRealStacks: HTTP, ping, path MTU discovery by TCP, traceroute, through the translation of source and destination, errors
// of ICMP included; and the dump of the connections has the form that the stock switch's have.
func TestNATOfRealStacks(t *testing.T) {
	t.Parallel()
	l := newNATLab(t)
	http(t, l.client, l.server, serverAddr)
	if got := len(l.client.Run("curl", "-sS", "--max-time", "20", "http://"+virtual+"/file")); got != 1<<20 {
		t.Errorf("HTTP from the virtual address: %d bytes", got)
	}
	l.client.Ping(serverAddr, 64, 3)

	// A segment of 1,500 bytes comes to nothing at the router, which tells the translated source so.
	l.server.Background("python3", "-c", fmt.Sprintf(echo, 7002))
	listens(l.Env, l.server, 7002)
	if who := l.client.Run("python3", "-c", fmt.Sprintf(talk, serverAddr, 7002)); !strings.HasPrefix(who, natAddr+" ") {
		t.Errorf("the client is %s", who)
	}
	if out := l.client.Run("ip", "route", "get", serverAddr); !strings.Contains(out, "mtu 1300") {
		t.Errorf("the client has not learnt the path's MTU: %s", out)
	}
	l.client.Run("ip", "route", "flush", "cache")
	out := l.client.Run("tracepath", "-n", "-m", "5", serverAddr)
	for _, want := range []string{`(?m)^ 1:\s+10\.1\.1\.2 `, `(?m)pmtu 1300$`, `(?m)^ 2:\s+10\.2\.2\.2 .*reached`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("tracepath lacks %s:\n%s", want, out)
		}
	}

	dump := l.Appctl("dpctl/dump-conntrack", "-m")
	for _, want := range []string{
		`(?m)^tcp,orig=\(src=10\.1\.1\.1,dst=10\.3\.3\.3,sport=(\d+),dport=80\),reply=\(src=10\.2\.2\.2,dst=10\.1\.1\.1,sport=8000,dport=\d+\),id=0,zone=1,status=0,mark=5,`,
		`(?m)^tcp,orig=\(src=10\.1\.1\.1,dst=10\.2\.2\.2,sport=\d+,dport=8000\),reply=\(src=10\.2\.2\.2,dst=10\.1\.1\.50,sport=8000,dport=2[0-3]\d\d\d\),id=0,zone=2,`,
		`(?m)^icmp,orig=.*dst=10\.1\.1\.50,.*zone=2,status=0$`,
		`(?m)^udp,orig=.*dst=10\.1\.1\.50,.*zone=2,status=0$`,
	} {
		if !regexp.MustCompile(want).MatchString(dump) {
			t.Errorf("connections lack %s:\n%s", want, dump)
		}
	}
	recorded, err := os.ReadFile("testdata/conntrack.txt")
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]bool{}
	for _, line := range strings.Split(string(recorded), "\n") {
		forms[form(line)] = true
	}
	for _, line := range strings.Split(strings.TrimSpace(dump), "\n") {
		if !forms[form(line)] {
			t.Errorf("no stock switch has dumped a connection so: %s", line)
		}
	}
}

// form is a line of dpctl/dump-conntrack without its values.
func form(line string) string { return regexp.MustCompile(`=[^,()]+`).ReplaceAllString(line, "=") }

// manyServer serves echo on four ports, in one thread; it tells each client first who it is.
const manyServer = `
import selectors, socket, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
sel = selectors.DefaultSelector()
for port in range(7100, 7104):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    s.listen(1000)
    sel.register(s, selectors.EVENT_READ, True)
while True:
    for key, _ in sel.select():
        if key.data:
            c, who = key.fileobj.accept()
            c.sendall(("%s %d\n" % who).encode())
            sel.register(c, selectors.EVENT_READ, False)
            continue
        b = key.fileobj.recv(100)
        if b:
            key.fileobj.sendall(b)
        else:
            sel.unregister(key.fileobj)
            key.fileobj.close()`

// manyClient has 2,500 connections to each port at a time, says whom the server takes them for, and then uses each once more.
const manyClient = `
import socket, threading, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
def read(s, n, end=None):
    b = b""
    while len(b) < n and not (end and b.endswith(end)):
        part = s.recv(n - len(b))
        assert part
        b += part
    return b
def connect(port, out):
    for i in range(2500):
        s = socket.create_connection(("10.2.2.2", port), timeout=60)
        out.append((s, read(s, 100, b"\n").decode().strip()))
lists = [[] for _ in range(4)]
threads = [threading.Thread(target=connect, args=(7100 + i, lists[i])) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
for port, l in enumerate(lists):
    for i, (s, who) in enumerate(l):
        s.sendall(b"%08d" % i)
for port, l in enumerate(lists):
    for i, (s, who) in enumerate(l):
        assert read(s, 8) == b"%08d" % i
        print(who, 7100 + port)`

// TestManyParallelConnections translates 10,000 connections at a time to 4,000 ports: each has a tuple of its own and is answered.
func TestManyParallelConnections(t *testing.T) {
	t.Parallel()
	const n = 10000
	l := newNATLab(t)
	l.server.Background("python3", "-c", manyServer)
	listens(l.Env, l.server, 7103)
	lines := strings.Split(strings.TrimSpace(l.client.Run("python3", "-c", manyClient)), "\n")
	tuples := map[string]bool{}
	for _, line := range lines {
		f := strings.Fields(line)
		if port, err := strconv.Atoi(f[1]); f[0] != natAddr || err != nil || port < 20000 || port > 23999 {
			t.Fatalf("a client is %s", line)
		}
		tuples[line] = true
	}
	if len(lines) != n || len(tuples) != n {
		t.Errorf("%d of %d connections are answered, and have %d tuples", len(lines), n, len(tuples))
	}
	replies := map[string]bool{}
	for _, m := range regexp.MustCompile(`orig=\(src=10\.1\.1\.1,[^)]*dport=71\d\d\),reply=\(([^)]*)\),zone=2`).FindAllStringSubmatch(l.Appctl("dpctl/dump-conntrack", "zone=2"), -1) {
		replies[m[1]] = true
	}
	if len(replies) != n {
		t.Errorf("%d different tuples of answers in the dump", len(replies))
	}
}

// TestHairpin: a client reaches its own server by a virtual address; the server takes it for that address, so that the answers come
// by the switch.
func TestHairpin(t *testing.T) {
	t.Parallel()
	l := newNATLab(t)
	const known = "ct_state=+trk+est-inv"
	back := fmt.Sprintf("mod_dl_src:%s,mod_dl_dst:%s,in_port", l.router.MAC(), l.client.MAC())
	for _, f := range []string{
		"table=0,priority=50,tcp,in_port=1,nw_dst=" + hairpin + ",tp_dst=80,actions=ct(zone=1,nat,table=13)",
		"table=13,ct_state=+trk+new-inv,tcp,actions=ct(commit,zone=1,nat(dst=10.1.1.1:7001),table=14)",
		"table=13," + known + ",tcp,actions=goto_table:14",
		"table=14,tcp,actions=ct(zone=2,nat,table=15)",
		"table=15,ct_state=+trk+new-inv,tcp,actions=ct(commit,zone=2,nat(src=" + hairpin + "))," + back,
		"table=15," + known + ",tcp,actions=" + back,
		"table=0,priority=50,tcp,in_port=1,nw_dst=" + hairpin + ",tp_src=7001,actions=ct(zone=2,nat,table=16)",
		"table=16," + known + ",tcp,actions=ct(zone=1,nat,table=17)",
		"table=17," + known + ",tcp,actions=" + back,
	} {
		l.Ofctl("add-flow", "br0", f)
	}
	l.client.Background("python3", "-c", fmt.Sprintf(echo, 7001))
	listens(l.Env, l.client, 7001)
	for range 2 { // by upcalls, then by megaflows
		if who := l.client.Run("python3", "-c", fmt.Sprintf(talk, hairpin, 80)); !strings.HasPrefix(who, hairpin+" ") {
			t.Errorf("the client is %s", who)
		}
	}
}
