package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// algFlows let in FTP and TFTP of the first host, translated: to the second host its source, to an address that nobody has
// the destination. Of other connections only what those announce.
var algFlows = func() []string {
	list := []string{
		"table=0,priority=0,actions=normal",
		"table=2,in_port=1,actions=output:2",
		"table=2,in_port=2,actions=output:1",
	}
	for _, p := range []string{"tcp", "udp", "tcp6", "udp6"} {
		list = append(list,
			"table=0,priority=1,"+p+",actions=ct(zone=1,nat,table=1)",
			"table=1,priority=20,ct_state=+trk+est-inv,"+p+",actions=goto_table:2",
			"table=1,priority=20,ct_state=+trk+new+rel-inv,"+p+",actions=ct(commit,zone=1,nat),goto_table:2",
		)
		alg, port := "ftp", 21
		if strings.HasPrefix(p, "udp") {
			alg, port = "tftp", 69
		}
		dst, servers, source := "nw_dst", [2]string{"10.1.1.2", "10.1.1.60"}, "10.1.1.250"
		if strings.HasSuffix(p, "6") {
			dst, servers, source = "ipv6_dst", [2]string{"fd01::2", "fd01::60"}, "fd01::1:2:250"
		}
		begin := fmt.Sprintf("table=1,priority=10,ct_state=+trk+new-rel-inv,in_port=1,%s,tp_dst=%d,%s=%%s,actions=ct(commit,zone=1,alg=%s,nat(%%s)),goto_table:2", p, port, dst, alg)
		list = append(list, fmt.Sprintf(begin, servers[0], "src="+source), fmt.Sprintf(begin, servers[1], "dst="+servers[0]))
	}
	return list
}()

// algHosts are hosts behind algFlows.
func algHosts(t *testing.T) (e *testenv.Env, a, b *testenv.Host) {
	t.Helper()
	e = testenv.Prepare(t)
	e.ExternalDatabase()
	e.Start()
	a, b = e.AddHost("10.1.1.1/24", "fd01::1/64"), e.AddHost("10.1.1.2/24", "fd01::2/64")
	addBridge(e, a, b)
	for _, ip := range []string{"10.1.1.2", "10.1.1.60", "fd01::2", "fd01::60"} {
		a.Run("ip", "neigh", "replace", ip, "lladdr", b.MAC(), "dev", "eth0", "nud", "permanent")
	}
	for _, ip := range []string{"10.1.1.1", "10.1.1.250", "fd01::1", "fd01::1:2:250"} {
		b.Run("ip", "neigh", "replace", ip, "lladdr", a.MAC(), "dev", "eth0", "nud", "permanent")
	}
	flows(e, algFlows...)
	return e, a, b
}

// ftpServer serves a directory over IPv4 and IPv6, with the module of Debian. It connects to nobody but who asks it to.
const ftpServer = `
import sys, logging
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
from pyftpdlib.ioloop import IOLoop
logging.basicConfig(level=logging.ERROR)
loop = IOLoop.instance()
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(sys.argv[1], perm="elrw")
for addr in sys.argv[2:]: server = FTPServer((addr, 21), FTPHandler, ioloop=loop)
server.serve_forever()`

// serveFiles has a host serve a directory that is returned, with a file in it.
func serveFiles(t *testing.T, e *testenv.Env, h *testenv.Host) (dir, content string) {
	t.Helper()
	dir = t.TempDir()
	content = strings.Repeat("The quick brown fox jumps over the lazy dog.\n", 4000)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Background("/usr/bin/python3", "-c", ftpServer, dir, "10.1.1.2", "fd01::2")
	listens(e, h, 21)
	return dir, content
}

// TestFileTransfer has curl fetch and send files by FTP and TFTP in every way that they have to open connections, translated.
func TestFileTransfer(t *testing.T) {
	t.Parallel()
	e, a, b := algHosts(t)
	dir, content := serveFiles(t, e, b)
	for _, addr := range []string{"10.1.1.2:69", "[fd01::2]:69"} {
		b.Background("in.tftpd", "--foreground", "--address", addr, "--user", "root", "--secure", dir)
	}
	e.Eventually("the TFTP servers listen", func() error {
		if strings.Count(b.Run("ss", "-Hlun"), ":69 ") != 2 {
			return errors.New("no listener")
		}
		return nil
	})
	curl := func(args ...string) string {
		return a.Run("curl", append([]string{"-sS", "--globoff", "--max-time", "60", "--no-ftp-skip-pasv-ip"}, args...)...)
	}
	for _, server := range []string{"10.1.1.2", "10.1.1.60", "[fd01::2]", "[fd01::60]"} {
		ways := [][]string{{"--ftp-pasv"}, {"--ftp-port", "-"}}
		if server[0] != '[' {
			ways = append(ways, []string{"--disable-epsv"}, []string{"--ftp-port", "-", "--disable-eprt"})
		}
		for _, way := range ways {
			if got := curl(append(way, "ftp://"+server+"/file")...); got != content {
				t.Errorf("ftp %v from %s: %d bytes of %d", way, server, len(got), len(content))
			}
			os.Remove(filepath.Join(dir, "sent"))
			curl(append(way, "-T", filepath.Join(dir, "file"), "ftp://"+server+"/sent")...)
			if got, err := os.ReadFile(filepath.Join(dir, "sent")); err != nil || string(got) != content {
				t.Errorf("ftp %v to %s: %d bytes of %d, %v", way, server, len(got), len(content), err)
			}
		}
		if got := curl("tftp://" + server + "/file"); got != content {
			t.Errorf("tftp from %s: %d bytes of %d", server, len(got), len(content))
		}
	}
	out := e.Appctl("dpctl/dump-conntrack", "-m", "zone=1")
	for _, want := range []string{"helper=ftp", "helper=tftp", "parent=(src=10.1.1.1,dst=10.1.1.60,", "parent=(src=fd01::1,dst=fd01::2,"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in the connections:\n%s", want, out)
		}
	}
}

// rxPackets is how many packets a host has received.
func rxPackets(t *testing.T, h *testenv.Host) (n int) {
	t.Helper()
	var list []struct {
		Stats struct {
			RX struct{ Packets int } `json:"rx"`
		} `json:"stats64"`
	}
	if err := json.Unmarshal([]byte(h.Run("ip", "-s", "-j", "link", "show", "eth0")), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0].Stats.RX.Packets
}

// TestLongMessage sends a message in the segments of one large packet, which stays one when the message becomes longer, and
// talks in both directions behind it.
func TestLongMessage(t *testing.T) {
	t.Parallel()
	e, a, b := algHosts(t)
	file := filepath.Join(t.TempDir(), "received")
	b.Background("python3", "-c", `
import socket, sys
s = socket.create_server(("10.1.1.2", 21))
while True:
    c, who = s.accept()
    f = c.makefile("rb")
    for line in f:
        c.sendall(line)
        with open(sys.argv[1], "ab") as out: out.write(line)
    c.close()`, file)
	listens(e, b, 21)
	before := rxPackets(t, b)
	a.Run("python3", "-c", `
import socket
s = socket.create_connection(("10.1.1.2", 21), timeout=30)
f = s.makefile("rb")
for i in range(3):
    more = (b"x" * 12000 + b"\n")
    s.sendall(b"PORT 10,1,1,1,20,%d\r\n" % i + more)
    # The server's echo is no message of a server.
    assert f.readline() == b"PORT 10,1,1,250,20,%d\r\n" % i
    got = f.readline()
    assert got == more, (len(got), len(more), got[:60], got[-60:])
    s.sendall(b"NOOP\r\n")
    assert f.readline() == b"NOOP\r\n"`)
	got, err := os.ReadFile(file)
	var want string
	for i := range 3 {
		want += fmt.Sprintf("PORT 10,1,1,250,20,%d\r\n%s\nNOOP\r\n", i, strings.Repeat("x", 12000))
	}
	if err != nil || string(got) != want {
		t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
	}
	// Alone the segments are 27.
	if n := rxPackets(t, b) - before; n > 22 {
		t.Errorf("the server has received %d packets", n)
	}
}

// TestFileTransferRestart kills the agent between an announcement and its connection, and has one announced while
// there is none.
func TestFileTransferRestart(t *testing.T) {
	t.Parallel()
	e, a, b := algHosts(t)
	_, content := serveFiles(t, e, b)
	steps := t.TempDir()
	a.Background("python3", "-c", `
import ftplib, os, socket, sys, time
def step(done, wait):
    open(os.path.join(sys.argv[1], done), "w").close()
    while not os.path.exists(os.path.join(sys.argv[1], wait)): time.sleep(0.02)
f = ftplib.FTP()
f.trust_server_pasv_ipv4_address = True
f.connect("10.1.1.60", timeout=60)
f.login()
f.af = socket.AF_INET
f.sendcmd("TYPE I")
def fetch(where):
    s = socket.create_connection(where, timeout=60)
    f.putcmd("RETR file")
    data = s.makefile("rb").read()
    f.getresp()
    f.getresp()
    return data
where = f.makepasv()
step("announced", "restarted")
data = fetch(where)
step("fetched", "killed")
f.putcmd("PASV")
step("asked", "again")
where = ftplib.parse227(f.getresp())
data += fetch(where)
with open(os.path.join(sys.argv[1], "part"), "wb") as out: out.write(data)
os.rename(os.path.join(sys.argv[1], "part"), os.path.join(sys.argv[1], "data"))`, steps)
	done := func(step string) {
		t.Helper()
		e.Eventually("the client is at "+step, func() error {
			_, err := os.Stat(filepath.Join(steps, step))
			return err
		})
	}
	let := func(step string) {
		if err := os.WriteFile(filepath.Join(steps, step), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start := func() {
		t.Helper()
		e.Start()
		flows(e, algFlows...)
		e.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	}
	done("announced")
	e.Vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	e.Kill()
	start()
	let("restarted")
	done("fetched")
	e.Vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	e.Kill()
	let("killed")
	done("asked")
	start()
	let("again")
	done("data")
	if got, _ := os.ReadFile(filepath.Join(steps, "data")); string(got) != content+content {
		t.Errorf("%d bytes of %d", len(got), 2*len(content))
	}
}
