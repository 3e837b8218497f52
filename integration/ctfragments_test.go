package integration

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// udpEcho answers every datagram with its own bytes; pieces sends some and wants them back. Both take address family and
// port.
const (
	udpEcho = `
import socket
s = socket.socket(socket.%s, socket.SOCK_DGRAM)
s.bind(("", %d))
while True:
    b, who = s.recvfrom(65536)
    s.sendto(b, who)`

	pieces = `
import socket, os
s = socket.socket(socket.%s, socket.SOCK_DGRAM)
s.settimeout(3)
s.connect(("%s", %d))
got = 0
for size in (4000, 1472, 9000, 4000, 60000):
    data = os.urandom(size)
    for attempt in range(5):
        s.send(data)
        try:
            if s.recv(65536) == data:
                got += 1
                break
        except socket.timeout: pass
print(got)`
)

// dualHosts are trackedHosts with IPv6 addresses too.
func dualHosts(t *testing.T) (e *testenv.Env, a, b *testenv.Host) {
	t.Helper()
	e, a, b = trackedHosts(t)
	for h, other := range map[*testenv.Host]*testenv.Host{a: b, b: a} {
		n := map[*testenv.Host]string{a: "1", b: "2"}
		h.Run("ip", "addr", "add", "fd00::"+n[h]+"/64", "dev", "eth0", "nodad")
		for _, last := range []string{n[other], n[other] + "50", n[other] + "60"} {
			h.Run("ip", "neigh", "replace", "fd00::"+last, "lladdr", other.MAC(), "dev", "eth0", "nud", "permanent")
		}
	}
	return e, a, b
}

// TestFragments sends packets in pieces both ways through a translation of their source.
func TestFragments(t *testing.T) {
	t.Parallel()
	e, a, b := dualHosts(t)
	var table []string
	for _, v := range []struct{ ip, src string }{{"ip", "10.1.1.50"}, {"ipv6", "fd00::150"}} {
		table = append(table,
			"table=0,priority=1,"+v.ip+",actions=ct(zone=1,nat,table=1)",
			"table=1,priority=10,ct_state=+trk+new-rel-inv,"+v.ip+",in_port=1,actions=ct(commit,zone=1,nat(src="+v.src+")),output:2",
			"table=1,priority=10,ct_state=+trk+est-inv,"+v.ip+",in_port=1,actions=output:2",
			"table=1,priority=10,ct_state=+trk+est+rpl-inv,"+v.ip+",in_port=2,actions=output:1")
	}
	flows(e, table...)
	for port, family := range map[int]string{7004: "AF_INET", 7006: "AF_INET6"} {
		b.Background("python3", "-c", fmt.Sprintf(udpEcho, family, port))
		e.Eventually("a server waits", func() error {
			if !strings.Contains(b.Run("ss", "-Hlun"), fmt.Sprintf(":%d ", port)) {
				return fmt.Errorf("port %d is not bound", port)
			}
			return nil
		})
	}
	everything := func(when string) {
		t.Helper()
		for family, to := range map[string]string{"AF_INET": "10.1.1.2", "AF_INET6": "fd00::2"} {
			// The first one may be lost: its pieces go up by several ways, and one may arrive before what it depends on.
			e.Eventually("a ping in pieces", func() error {
				if out, code := e.Try("nsenter", "--net=/run/netns/"+a.NS, "ping", "-n", "-c", "1", "-W", "1", "-s", "8000", to); code != 0 {
					return errors.New(out)
				}
				return nil
			})
			a.Ping(to, 8000, 5)
			if got := a.Run("python3", "-c", fmt.Sprintf(pieces, family, to, map[string]int{"AF_INET": 7004, "AF_INET6": 7006}[family])); strings.TrimSpace(got) != "5" {
				t.Errorf("%s: %s of 5 datagrams to %s came back", when, strings.TrimSpace(got), to)
			}
		}
	}
	everything("at first")
	everything("by megaflows")
	if out := e.Appctl("dpctl/dump-conntrack"); !strings.Contains(out, "dst=10.1.1.50,") || !strings.Contains(out, "dst=fd00::150,") {
		t.Errorf("connections:\n%s", out)
	}
	status := func(line string) int {
		t.Helper()
		m := regexp.MustCompile(line + `: (\d+)`).FindStringSubmatch(e.Appctl("dpctl/ipf-get-status"))
		if m == nil {
			t.Fatalf("no %q in the status:\n%s", line, e.Appctl("dpctl/ipf-get-status"))
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	// Each ping is six pieces each way.
	for _, v := range []string{"v4", "v6"} {
		if n, done := status(v+" frags accepted"), status(v+" frags completed"); n < 2*2*5*6 || done < 2*2*5 {
			t.Errorf("%s: %d accepted, %d completed", v, n, done)
		}
	}

	e.Appctl("dpctl/ipf-set-disabled", "v4")
	lost := func(when, to string) {
		t.Helper()
		if out, code := e.Try("nsenter", "--net=/run/netns/"+a.NS, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-s", "4000", to); code == 0 {
			t.Errorf("%s: %s", when, out)
		}
	}
	lost("IPv4 fragments are disabled", "10.1.1.2")
	a.Ping("10.1.1.2", 64, 3)
	a.Ping("fd00::2", 4000, 3)
	e.Appctl("dpctl/ipf-set-min-frag", "v6", "1600")
	lost("IPv6 fragments are too small", "fd00::2")
	if n := status("v6 frags too small"); n < 2 {
		t.Errorf("%d are too small", n)
	}
	e.Kill()
	e.Start()
	if status("v4 enabled") != 0 || status("min v6 frag size") != 1600 {
		t.Errorf("settings after a restart:\n%s", e.Appctl("dpctl/ipf-get-status"))
	}
	e.Appctl("dpctl/ipf-set-enabled", "v4")
	e.Appctl("dpctl/ipf-set-min-frag", "v6", "400")
	flows(e, table...)
	e.Appctl("revalidator/wait")
	everything("set as before")
}
