package conntrack

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// split makes two fragments of a packet, the first with n bytes behind the IP header.
func split(p *packet.Packet, id byte, n int) (first, later *packet.Packet) {
	part := func(body []byte, ofs int, more byte) *packet.Packet {
		b := bytes.Clone(p.Data[:34])
		if b[12] == 0x86 {
			b = append(bytes.Clone(p.Data[:54]), p.Data[20], 0, byte(ofs>>8), byte(ofs)|more, 0, 0, 0, id)
			b[20] = 44
			be.PutUint16(b[18:], uint16(8+len(body)))
			return &packet.Packet{Data: append(b, body...)}
		}
		be.PutUint16(b[16:], uint16(20+len(body)))
		b[19], b[20], b[21] = id, more<<5|byte(ofs>>11), byte(ofs>>3)
		b[24], b[25] = 0, 0
		be.PutUint16(b[24:], packet.Checksum(b[14:34], 0))
		return &packet.Packet{Data: append(b, body...)}
	}
	body := p.Data[34:]
	if p.Data[12] == 0x86 {
		body = p.Data[54:]
	}
	return part(body[:n], 0, 1), part(body[n:], n, 0)
}

func long(src, dst string, sp, dp uint16) *packet.Packet {
	return ip(src, dst, packet.ProtoUDP, append(ports(sp, dp), append([]byte{0, 40, 0, 0}, bytes.Repeat([]byte("data"), 8)...)...))
}

// TestFragments has the fragments of a packet translated as the packet would have been.
func TestFragments(t *testing.T) {
	for _, h := range [][3]string{{hostA, hostB, "20.0.0.1"}, {"fd00::1", "fd00::2", "fd00::9"}} {
		l := newLab(t)
		nat := "ct(commit,zone=3,nat(src=" + h[2] + "))"
		l.pass(udp(h[2], h[1], 2000, 2), "ct(commit,zone=3)") // so that the port must change
		first, later := split(long(h[0], h[1], 2000, 2), 7, 16)
		wantFirst, wantLater := split(long(h[2], h[1], 2001, 2), 7, 16)
		if got := state(l.pass(later.Clone(), nat)); got != "inv+trk" {
			t.Errorf("later one first: %s", got)
		}
		for i, s := range []struct {
			got, want *packet.Packet
		}{{first, wantFirst}, {later, wantLater}} {
			k := l.pass(s.got, nat)
			if got := state(k); got != "new+trk+snat" {
				t.Errorf("fragment %d: %s", i, got)
			}
			if diff := cmp.Diff(s.want.Data, s.got.Data); diff != "" {
				t.Errorf("fragment %d (-want +got):\n%s", i, diff)
			}
		}
		first, later = split(long(h[1], h[2], 2, 2001), 9, 24)
		wantFirst, wantLater = split(long(h[1], h[0], 2, 2000), 9, 24)
		for i, s := range []struct {
			got, want *packet.Packet
		}{{first, wantFirst}, {later, wantLater}} {
			if got := state(l.pass(s.got, "ct(zone=3,nat)")); got != "est+rpl+trk+dnat" {
				t.Errorf("answer %d: %s", i, got)
			}
			if diff := cmp.Diff(s.want.Data, s.got.Data); diff != "" {
				t.Errorf("answer %d (-want +got):\n%s", i, diff)
			}
		}
		_, later = split(long(h[1], h[2], 2, 2001), 9, 24)
		if got := state(l.pass(later.Clone(), "ct(zone=4)")); got != "inv+trk" {
			t.Errorf("another zone: %s", got)
		}
		l.now += fragmentTimeout
		if got := state(l.pass(later, "ct(zone=3)")); got != "inv+trk" {
			t.Errorf("too late: %s", got)
		}
	}
}

// TestFragmentWithoutConnection has a later fragment that is to be translated like its first one, which has made no connection.
func TestFragmentWithoutConnection(t *testing.T) {
	l := newLab(t)
	first, later := split(long(hostA, hostB, 2000, 2), 7, 16)
	l.pass(first, "ct(zone=3)")
	for _, tc := range []struct {
		action string
		pass   bool
	}{
		{"ct(zone=3)", true}, {"ct(zone=3,nat)", true}, {"ct(commit,zone=3)", true}, {"ct(commit,zone=3,nat)", true},
		{"ct(commit,zone=3,nat(src=20.0.0.1))", false}, {"ct(commit,zone=3,nat(dst=20.0.0.1))", false},
	} {
		p := later.Clone()
		var key flow.Key
		packet.Extract(p.Data, &key)
		if pass := l.again(p, &key, tc.action); pass != tc.pass || pass && state(&key) != "new+trk" {
			t.Errorf("%s: pass %t, %s", tc.action, pass, state(&key))
		}
	}
}

// TestFragmentsAreBounded has a flood of first fragments.
func TestFragmentsAreBounded(t *testing.T) {
	l := newLab(t)
	for i := range 3 * DefaultMaxFragments {
		first, _ := split(long(hostA, hostB, uint16(i), 2), 7, 16)
		be.PutUint16(first.Data[18:], uint16(i))
		be.PutUint16(first.Data[24:], 0)
		be.PutUint16(first.Data[24:], packet.Checksum(first.Data[14:34], 0))
		if got := state(l.pass(first, "ct")); got != "new+trk" {
			t.Fatal(got)
		}
	}
	if n := len(l.fragments.ports); n != DefaultMaxFragments {
		t.Errorf("%d fragmented packets are remembered", n)
	}
}

// TestFragmentSettings has fragments invalid where they are disabled, too small, or more than may be remembered.
func TestFragmentSettings(t *testing.T) {
	for v, h := range [][2]string{{hostA, hostB}, {"fd00::1", "fd00::2"}} {
		l := newLab(t)
		first, later := split(long(h[0], h[1], 1, 2), 7, 16)
		set := func(f func(*FragmentSettings)) {
			t.Helper()
			st, _ := l.Fragments()
			f(&st.FragmentSettings)
			if err := l.SetFragments(st.FragmentSettings); err != nil {
				t.Fatal(err)
			}
		}
		both := func(what, want string) {
			t.Helper()
			got := state(l.pass(first.Clone(), "ct(commit)")) + " " + state(l.pass(later.Clone(), "ct(commit)"))
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		both("as they are", "new+trk new+trk")
		set(func(s *FragmentSettings) { s.Disabled[v] = true })
		both("disabled", "inv+trk inv+trk")
		set(func(s *FragmentSettings) { s.Disabled[v], s.Disabled[1-v] = false, true })
		both("the other version disabled", "new+trk new+trk")
		set(func(s *FragmentSettings) { s.Min[v] = 400 })
		both("too small, except the last one", "inv+trk new+trk") // the first one is still remembered
		set(func(s *FragmentSettings) { s.Min[v], s.Max = 0, 0 })
		both("none remembered", "inv+trk inv+trk")
		set(func(s *FragmentSettings) { s.Max = 1 })
		both("one remembered", "new+trk new+trk")
		other, _ := split(long(h[0], h[1], 3, 4), 8, 16)
		l.pass(other, "ct(commit)")
		if got := state(l.pass(later.Clone(), "ct(commit)")); got != "inv+trk" {
			t.Errorf("one that gave way: %s", got)
		}
		l.now += fragmentTimeout
		st, err := l.Fragments()
		want := FragmentStats{Accepted: 8, Completed: 4, TooSmall: 1, Expired: 1, Purged: 2}
		if diff := cmp.Diff(want, st.Stats[v]); diff != "" || err != nil || st.Count != 0 {
			t.Errorf("%d remembered, %v, statistics (-want +got):\n%s", st.Count, err, diff)
		}
		for _, bad := range []FragmentSettings{{Max: MaxFragments + 1}, {Min: [2]uint32{399, 0}}, {Min: [2]uint32{0, 1}}} {
			if err := l.SetFragments(bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
	}
}
