package integration

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestTranslation6 translates sources, destinations and ICMPv6 errors of real stacks.
func TestTranslation6(t *testing.T) {
	t.Parallel()
	e, a, b := dualHosts(t)
	flows(e,
		"table=0,priority=1,ipv6,actions=ct(zone=1,nat,table=1)",
		"table=1,priority=20,ct_state=+trk+new-rel-inv,tcp6,in_port=1,ipv6_dst=fd00::260,actions=ct(commit,zone=1,nat(dst=[fd00::2]:7002)),output:2",
		"table=1,priority=10,ct_state=+trk+new-rel-inv,ipv6,in_port=1,ipv6_dst=fd00::2,actions=ct(commit,zone=1,nat(src=[fd00::150]:10000-10100)),output:2",
		"table=1,priority=10,ct_state=+trk+est-inv,ipv6,in_port=1,actions=output:2",
		"table=1,priority=10,ct_state=+trk+est+rpl-inv,ipv6,in_port=2,actions=output:1",
		"table=1,priority=10,ct_state=+trk+rel+rpl-inv,ipv6,in_port=2,actions=output:1",
	)
	b.Background("python3", "-c", fmt.Sprintf(strings.Replace(echo, "socket.socket()", "socket.socket(socket.AF_INET6)", 1), 7002))
	listens(e, b, 7002)
	for range 2 { // by upcalls, then by megaflows
		who := a.Run("python3", "-c", fmt.Sprintf(talk, "fd00::2", 7002))
		if !regexp.MustCompile(`^fd00::150 10(0\d\d|100)\n`).MatchString(who) {
			t.Errorf("the client is %s", who)
		}
		if who := a.Run("python3", "-c", fmt.Sprintf(talk, "fd00::260", 80)); !strings.HasPrefix(who, "fd00::1 ") {
			t.Errorf("the client of the virtual address is %s", who)
		}
		a.Ping("fd00::2", 64, 3)
		b.NoReach("fd00::1")
		a.Run("python3", "-c", `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect(("fd00::2", 9))
s.send(b"x")
try: s.recv(10)
except ConnectionRefusedError: pass
else: raise SystemExit("no error")`)
	}
	out := e.Appctl("dpctl/dump-conntrack", "zone=1")
	for _, want := range []string{
		`tcp,orig=\(src=fd00::1,dst=fd00::2,sport=\d+,dport=7002\),reply=\(src=fd00::2,dst=fd00::150,sport=7002,dport=10\d+\),zone=1,protoinfo=`,
		`tcp,orig=\(src=fd00::1,dst=fd00::260,sport=\d+,dport=80\),reply=\(src=fd00::2,dst=fd00::1,sport=7002,dport=\d+\),zone=1,protoinfo=`,
		`icmpv6,orig=\(src=fd00::1,dst=fd00::2,id=\d+,type=128,code=0\),reply=\(src=fd00::2,dst=fd00::150,id=\d+,type=129,code=0\),zone=1`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

// sctp has a packet with one chunk, and its checksum looked at.
const sctp = `
import socket, struct, sys
def crc(b):
    c = 0xffffffff
    for x in b:
        c ^= x
        for _ in range(8): c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return struct.pack("<I", c ^ 0xffffffff)
def packet(sport, dport, chunk):
    b = struct.pack("!HHI4s", sport, dport, 7, b"") + struct.pack("!BBH", chunk, 0, 20) + bytes(16)
    return b[:8] + crc(b) + b[12:]
def read(s):
    while True:
        b, who = s.recvfrom(2000)
        b = b[(b[0] & 15) * 4:] if s.family == socket.AF_INET else b
        assert crc(b[:8] + bytes(4) + b[12:]) == b[8:12], "checksum"
        return who[0], *struct.unpack("!HH", b[:4]), b[12]
s = socket.socket(socket.%s, socket.SOCK_RAW, 132)
s.settimeout(20)
`

// TestSCTP translates packets of SCTP, which this kernel need not have: they are made by hand, an INIT and its answer.
func TestSCTP(t *testing.T) {
	t.Parallel()
	e, a, b := dualHosts(t)
	for _, v := range []struct{ family, ip, src, snat, dst string }{
		{"AF_INET", "sctp", "10.1.1.1", "10.1.1.50", "10.1.1.2"},
		{"AF_INET6", "sctp6", "fd00::1", "fd00::150", "fd00::2"},
	} {
		to := v.snat
		if v.ip == "sctp6" {
			to = "[" + v.snat + "]"
		}
		flows(e,
			"table=0,priority=1,"+v.ip+",actions=ct(zone=3,nat,table=1)",
			"table=1,priority=10,ct_state=+trk+new-inv,"+v.ip+",in_port=1,actions=ct(commit,zone=3,nat(src="+to+":10000-10100)),output:2",
			"table=1,priority=10,ct_state=+trk+est-inv,"+v.ip+",in_port=1,actions=output:2",
			"table=1,priority=10,ct_state=+trk+est+rpl-inv,"+v.ip+",in_port=2,actions=output:1",
		)
		program := fmt.Sprintf(sctp, v.family)
		b.Background("python3", "-c", program+`
while True:
    try: src, sport, dport, chunk = read(s)
    except TimeoutError: continue
    if chunk == 1: s.sendto(packet(dport, sport, 2), (src, 0))`)
		for range 2 {
			got := strings.TrimSpace(a.Run("python3", "-c", program+`
s.settimeout(1)
for _ in range(30): # until the server listens
    try:
        s.sendto(packet(4000, 5000, 1), ("`+v.dst+`", 0))
        print(*read(s))
        break
    except TimeoutError: pass`))
			if want := v.dst + " 5000 4000 2"; got != want {
				t.Errorf("the answer is %q, want %q", got, want)
			}
		}
		out := e.Appctl("dpctl/dump-conntrack", "zone=3")
		want := fmt.Sprintf(`sctp,orig=\(src=%s,dst=%s,sport=4000,dport=5000\),reply=\(src=%[2]s,dst=%s,sport=5000,dport=10\d\d\d\),zone=3`, v.src, v.dst, v.snat)
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}
