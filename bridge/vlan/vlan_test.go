package vlan

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// parseStack reads "-" or tags like "10p5/20": VID, priority; q before the VID is 802.1ad.
func parseStack(t testing.TB, text string) (s Stack) {
	if text == "-" {
		return s
	}
	for n, f := range strings.Split(text, "/") {
		s[n].TPID = TPID8021Q
		if rest, ok := strings.CutPrefix(f, "q"); ok {
			s[n].TPID, f = TPID8021AD, rest
		}
		vid, pcp, _ := strings.Cut(f, "p")
		v, err := strconv.Atoi(vid)
		if err != nil {
			t.Fatalf("tags %q: %v", text, err)
		}
		s[n].VID = uint16(v)
		if pcp != "" {
			s[n].PCP = pcp[0] - '0'
		}
	}
	return s
}

func formatStack(s Stack) string {
	var parts []string
	for _, t := range s[:s.Depth()] {
		p := strconv.Itoa(int(t.VID))
		if t.TPID == TPID8021AD {
			p = "q" + p
		}
		if t.PCP != 0 {
			p += fmt.Sprint("p", t.PCP)
		}
		parts = append(parts, p)
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, "/")
}

// parsePort reads a Port row like "access tag=10 priority-tags=always".
func parsePort(t testing.TB, text string) Port {
	c := Config{Other: map[string]string{}}
	ints := func(v string) (all []int) {
		for _, f := range strings.Split(v, ",") {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatalf("port %q: %v", text, err)
			}
			all = append(all, n)
		}
		return all
	}
	for _, f := range strings.Fields(text) {
		k, v, pair := strings.Cut(f, "=")
		switch {
		case !pair:
			c.Mode = &k
		case k == "tag":
			c.Tag = &ints(v)[0]
		case k == "trunks":
			c.Trunks = ints(v)
		case k == "cvlans":
			c.CVLANs = ints(v)
		default:
			c.Other[k] = v
		}
	}
	return New(c)
}

// forward is a packet's way from one port to another.
func forward(in, out Port, tags Stack) string {
	if !in.Admit(tags) {
		return "refused"
	}
	s := in.Input(tags)
	if !out.Carries(s) {
		return "none"
	}
	return formatStack(out.Output(s, tags))
}

// TestRecorded compares with a live ovs-vswitchd 3.1 (vlan-limit 2): what a packet with the
// tags of a column that comes in by the port of a row looks like at the other port; "refused"
// when it may not come in, "none" when it does not go out there.
func TestRecorded(t *testing.T) {
	f, err := os.Open("testdata/ovs-3.1.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan()
	packets := strings.Split(lines.Text(), "\t")[2:]
	n := 0
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		in, out := parsePort(t, cells[0]), parsePort(t, cells[1])
		for i, want := range cells[2:] {
			n++
			if got := forward(in, out, parseStack(t, packets[i])); got != want {
				t.Errorf("%s -> %s, tags %s: got %s, want %s", cells[0], cells[1], packets[i], got, want)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if n != 336*21 {
		t.Errorf("%d recorded packets, want %d", n, 336*21)
	}
}

// TestManual has the sentences of ovs-vswitchd.conf.db(5), Port:vlan_mode.
func TestManual(t *testing.T) {
	for _, c := range []struct{ says, in, out, tags, want string }{
		{"trunk: in the VLAN of its header", "trunk", "access tag=7", "7", "-"},
		{"trunk: or VLAN 0 without", "trunk", "access tag=0", "-", "-"},
		{"trunk: header out if the VLAN is not 0", "access tag=7", "trunk", "-", "7"},
		{"trunk: no header in VLAN 0", "access tag=0", "trunk", "-", "-"},
		{"trunk: a VLAN that it does not trunk is dropped", "trunks=1,2", "trunk", "3", "refused"},
		{"trunk: so is VLAN 0", "trunks=1,2", "trunk", "-", "refused"},
		{"access: exactly one VLAN", "trunk", "access tag=7", "8", "none"},
		{"access: a tag is dropped, even of its own VLAN", "access tag=7", "trunk", "7", "refused"},
		{"access: a tag of VLAN 0 is not", "access tag=7", "trunk", "0", "7"},
		{"native: untagged is in the native VLAN", "native-tagged tag=7", "access tag=7", "-", "-"},
		{"native-tagged: a header out", "access tag=7", "native-tagged tag=7", "-", "7"},
		{"native-untagged: none out", "access tag=7", "native-untagged tag=7", "-", "-"},
		{"native-untagged: others tagged", "access tag=8", "native-untagged tag=7", "-", "8"},
		{"native: always trunks its VLAN", "native-tagged tag=7 trunks=8", "trunk", "7", "7"},
		{"native: and lets it out", "access tag=7", "native-tagged tag=7 trunks=8", "-", "7"},
		{"dot1q-tunnel: double tagged", "dot1q-tunnel tag=7", "trunk", "100", "q7/100"},
		{"dot1q-tunnel: untagged gets one", "dot1q-tunnel tag=7", "trunk", "-", "q7"},
		{"dot1q-tunnel: the customer's VLAN comes out", "trunk", "dot1q-tunnel tag=7", "q7/100p3", "100p3"},
		{"dot1q-tunnel: another service VLAN does not", "trunk", "dot1q-tunnel tag=7", "q8/100", "none"},
		{"cvlans: only those in", "dot1q-tunnel tag=7 cvlans=100", "trunk", "101", "refused"},
		{"cvlans: only those out", "trunk", "dot1q-tunnel tag=7 cvlans=100", "q7/101", "none"},
		{"qinq-ethtype", "dot1q-tunnel tag=7 qinq-ethtype=802.1q", "trunk", "100", "7/100"},
		{"priority-tags: never", "trunk", "access tag=7", "7p5", "-"},
		{"priority-tags: if-nonzero", "trunk", "access tag=7 priority-tags=if-nonzero", "7p5", "0p5"},
		{"priority-tags: if-nonzero, old name", "trunk", "access tag=7 priority-tags=true", "7p5", "0p5"},
		{"priority-tags: omitted if both are 0", "trunk", "trunk priority-tags=if-nonzero", "0", "-"},
		{"priority-tags: always retains that", "trunk", "trunk priority-tags=always", "0", "0"},
	} {
		t.Run(c.says, func(t *testing.T) {
			got := forward(parsePort(t, c.in), parsePort(t, c.out), parseStack(t, c.tags))
			if got != c.want {
				t.Errorf("%s -> %s, tags %s: got %s, want %s", c.in, c.out, c.tags, got, c.want)
			}
		})
	}
}

func TestNew(t *testing.T) {
	s := func(s string) *string { return &s }
	i := func(i int) *int { return &i }
	for _, c := range []struct {
		name string
		in   Config
		want Port
	}{
		{"empty", Config{}, Port{ServiceTPID: TPID8021AD}},
		{"tag", Config{Tag: i(5)}, Port{Mode: Access, Tag: 5, ServiceTPID: TPID8021AD}},
		{"tag out of range", Config{Tag: i(4096)}, Port{ServiceTPID: TPID8021AD}},
		{"trunk ignores tag", Config{Mode: s("trunk"), Tag: i(5)}, Port{ServiceTPID: TPID8021AD}},
		{"unknown mode", Config{Mode: s("x"), Tag: i(5)}, Port{ServiceTPID: TPID8021AD}},
		{"access ignores trunks", Config{Tag: i(5), Trunks: []int{1}, CVLANs: []int{1}},
			Port{Mode: Access, Tag: 5, ServiceTPID: TPID8021AD}},
		{"trunks ignore cvlans", Config{Trunks: []int{0, 64, 4095, 5000, -1}, CVLANs: []int{1}},
			Port{Trunks: &Set{0: 1, 1: 1, 63: 1 << 63}, ServiceTPID: TPID8021AD}},
		{"tunnel ignores trunks", Config{Mode: s("dot1q-tunnel"), Trunks: []int{2}, CVLANs: []int{1},
			Other: map[string]string{"qinq-ethtype": "802.1q", "priority-tags": "always"}},
			Port{Mode: Dot1qTunnel, CVLANs: &Set{0: 2}, ServiceTPID: TPID8021Q, PriorityTags: Always}},
	} {
		got := New(c.in)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		if !got.Equal(&c.want) || got.Equal(&Port{Mode: NativeTagged}) {
			t.Errorf("%s: Equal is wrong", c.name)
		}
	}
}

// TestTCI: splitting and joining is the identity but for bit 12.
func TestTCI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tci := rapid.Uint16().Draw(t, "tci")
		if got := FromTCI(TPID8021Q, tci).TCI(); got != tci&^0x1000 {
			t.Fatalf("%#04x became %#04x", tci, got)
		}
	})
}
