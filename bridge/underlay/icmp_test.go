package underlay

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// error4 is "fragmentation needed" about a packet to a UDP port.
func error4(mtu, port uint16) []byte {
	b := make([]byte, 20+8+20+8)
	b[0], b[9] = 0x45, 1
	b[20], b[21] = 3, 4
	binary.BigEndian.PutUint16(b[26:], mtu)
	in := b[28:]
	in[0], in[9] = 0x45, 17
	copy(in[12:], []byte{10, 0, 0, 1})
	copy(in[16:], []byte{10, 0, 0, 2})
	binary.BigEndian.PutUint16(in[22:], port)
	return b
}

func error6(mtu uint32, port uint16) []byte {
	b := make([]byte, 8+40+8)
	b[0] = 2
	binary.BigEndian.PutUint32(b[4:], mtu)
	in := b[8:]
	in[0], in[6], in[8], in[23], in[24], in[39] = 0x60, 17, 0xfd, 1, 0xfd, 2
	binary.BigEndian.PutUint16(in[42:], port)
	return b
}

func change(b []byte, at int, v byte) []byte {
	b[at] = v
	return b
}

func TestParseTooBig(t *testing.T) {
	a := netip.MustParseAddr
	four := TooBig{Src: a1, Dst: a2, Proto: 17, DstPort: 4789, MTU: 1400}
	six := TooBig{Src: a("fd00::1"), Dst: a("fd00::2"), Proto: 17, DstPort: 4789, MTU: 1400}
	low4, low6, gre := four, six, four
	low4.MTU, low6.MTU = minMTU4, minMTU6
	gre.Proto, gre.DstPort = 47, 0
	for _, c := range []struct {
		name  string
		parse func([]byte) (TooBig, bool)
		b     []byte
		want  TooBig
		ok    bool
	}{
		{"fragmentation needed", parseTooBig4, error4(1400, 4789), four, true},
		{"below the least", parseTooBig4, error4(68, 4789), low4, true},
		{"of GRE", parseTooBig4, change(error4(1400, 0), 28+9, 47), gre, true},
		{"of TCP", parseTooBig4, change(error4(1400, 0), 28+9, 6), TooBig{}, false},
		{"no MTU", parseTooBig4, error4(0, 4789), TooBig{}, false},
		{"port unreachable", parseTooBig4, change(error4(1400, 4789), 21, 3), TooBig{}, false},
		{"no ICMP", parseTooBig4, change(error4(1400, 4789), 9, 17), TooBig{}, false},
		{"options", parseTooBig4, change(error4(1400, 4789), 0, 0x4f), TooBig{}, false},
		{"cut off", parseTooBig4, error4(1400, 4789)[:50], TooBig{}, false},
		{"packet too big", parseTooBig6, error6(1400, 4789), six, true},
		{"below the least", parseTooBig6, error6(68, 4789), low6, true},
		{"another type", parseTooBig6, change(error6(1400, 4789), 0, 1), TooBig{}, false},
		{"cut off", parseTooBig6, error6(1400, 4789)[:50], TooBig{}, false},
	} {
		got, ok := c.parse(c.b)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %+v, %v, want %+v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// TestParseAnything wants no panic and no MTU below the least, whatever comes.
func TestParseAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "like one") {
			b = append(error4(1400, 4789)[:rapid.IntRange(0, 56).Draw(t, "n")], b...)
		}
		if got, ok := parseTooBig4(b); ok && got.MTU < minMTU4 {
			t.Errorf("%+v", got)
		}
		if got, ok := parseTooBig6(b); ok && got.MTU < minMTU6 {
			t.Errorf("%+v", got)
		}
	})
}

// TestPathMTU wants an error believed that is about a packet of ours, for as long as the kernel would.
func TestPathMTU(t *testing.T) {
	l := newLab(t)
	l.host.learn(neighborAt(a2, macA2), neighborAt(gw, macGW))
	l.configure(a2, far)
	l.want(with(toA2, macA2), with(toFar, macGW))
	good := TooBig{Src: a1, Dst: a2, Proto: 17, DstPort: 4789, MTU: 1300}
	for _, wrong := range []func(*TooBig){
		func(t *TooBig) { t.Src = far },
		func(t *TooBig) { t.DstPort = 53 },
		func(t *TooBig) { t.Dst = gw },
		func(t *TooBig) { t.MTU = 1500 },
	} {
		bad := good
		wrong(&bad)
		l.host.changes.SetTooBig(bad)
	}
	less := with(toFar, macGW)
	less.MTU = 1200
	l.host.changes.SetTooBig(TooBig{Src: a1, Dst: far, Proto: 17, DstPort: 4789, MTU: 1200})
	l.want(with(toA2, macA2), less)
	l.host.changes.SetTooBig(good)
	small := with(toA2, macA2)
	small.MTU = 1300
	l.want(small, less)
	for _, e := range l.log.AllEntries() {
		if strings.Contains(e.Message, "of 1500 bytes") {
			t.Error(e.Message)
		}
	}
	l.clock.Advance(pathMTULife - time.Second)
	l.Kick()
	l.want(small, less)
	l.clock.Advance(2 * time.Second)
	l.want(with(toA2, macA2), with(toFar, macGW))
	l.SetDemand(Demand{})
	l.want()
}

// TestHear has a router of a namespace send an error, and wants it reported.
func TestHear(t *testing.T) {
	n := newNetwork(t)
	c, err := n.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Behind the peer the path is narrow.
	n.ip(n.peer, "link add narrow mtu 1300 type veth peer name end")
	n.ip(n.peer, "link set narrow up")
	n.ip(n.peer, "link set end up")
	n.ip(n.peer, "addr add 10.77.0.1/24 dev narrow")
	n.ip(n.peer, "addr add fd77::1/64 dev narrow nodad")
	n.sysctl(n.peer, "ipv4/ip_forward", "1")
	n.sysctl(n.peer, "ipv6/conf/all/forwarding", "1")
	n.ip(n.ns, "route add 10.77.0.0/24 via 10.1.0.2")
	n.ip(n.ns, "-6 route add fd77::/64 via fd00::2")
	for _, dst := range []string{"10.77.0.9", "fd77::9"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(dst), 4789)
		limit := time.After(30 * time.Second)
		again := time.NewTicker(50 * time.Millisecond)
		for heard := false; !heard; {
			select {
			case <-again.C:
				n.send(to, 1400)
			case <-c.Ready():
				got := c.take()
				for e := range got.TooBig {
					if e.Dst == to.Addr() && e.DstPort == 4789 && e.MTU == 1300 {
						heard = true
					} else {
						t.Errorf("heard %+v", e)
					}
				}
			case <-limit:
				t.Fatalf("no error about a packet to %s is heard", dst)
			}
		}
		again.Stop()
	}
}
