package conntrack

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestParseFTP(t *testing.T) {
	for _, tc := range []struct {
		text  string
		reply bool
		want  string // "": nothing announced
	}{
		{"PORT 10,0,0,1,20,10\r\n", false, "10.0.0.1 5130 10,0,0,1"},
		{"port 10,0,0,1,0,1\r\n", false, "10.0.0.1 1 10,0,0,1"},
		{"PORT 10,0,0,1,20,10\r\n", true, ""},
		{"PORT 10,0,0,1,20,10", false, "wrong"}, // the rest of the port may be elsewhere
		{"PORT 10,0,0,1,20\r\n", false, "wrong"},
		{"PORT 10,0,0,256,20,10\r\n", false, "wrong"},
		{"PORT 10,0,0,1,256,10\r\n", false, "wrong"},
		{"PORT 10,0,0,1,0,0\r\n", false, "wrong"},
		{"PORT 10.0.0.1,1,2\r\n", false, "wrong"},
		{"PORT\r\n", false, "wrong"},
		{"227 Entering Passive Mode (10,0,0,20,14,178).\r\n", true, "10.0.0.20 3762 10,0,0,20"},
		{"227 =10,0,0,20,14,178\r\n", true, "10.0.0.20 3762 10,0,0,20"},
		{"227 Entering Passive Mode (10,0,0,20,14,178).\r\n", false, ""},
		{"227\r\n", true, "wrong"},
		{"EPRT |1|10.0.0.1|5130|\r\n", false, "10.0.0.1 5130 10.0.0.1"},
		{"EPRT |2|fd00::1|5130|\r\n", false, "fd00::1 5130 fd00::1"},
		{"EPRT !2!fd00::1!5130!\r\n", false, "fd00::1 5130 fd00::1"},
		{"EPRT |1|fd00::1|5130|\r\n", false, "wrong"},
		{"EPRT |2|fd00::1%1|5130|\r\n", false, "wrong"},
		{"EPRT |2|fd00::1|65536|\r\n", false, "wrong"},
		{"EPRT |2|fd00::1|51\r\n", false, "wrong"},
		{"229 Entering Extended Passive Mode (|||1025|)\r\n", true, "invalid IP 1025 "},
		{"229 Entering Extended Passive Mode (||::1|1025|)\r\n", true, "wrong"},
		{"229 Entering Extended Passive Mode (|||-1|)\r\n", true, "wrong"},
		{"229 (\r\n", true, "wrong"},
		{"EPSV\r\n", false, ""},
		{"", false, ""},
		{" ", false, ""},
	} {
		got := ""
		m, announces, ok := parseFTP([]byte(tc.text), tc.reply)
		if announces && !ok {
			got = "wrong"
		} else if announces {
			got = fmt.Sprintf("%s %d %s", m.addr, m.port, tc.text[m.start:m.end])
		}
		if got != tc.want {
			t.Errorf("%q: %q, want %q", tc.text, got, tc.want)
		}
	}
}

// TestParseFTPAny reads anything without harm; what it takes lies in the message.
func TestParseFTPAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]string{"PORT ", "EPRT ", "227 ", "229 (", "229 x", "EPRT |2|", "PORT 1,2,3,"}).Draw(t, "start")
		b := append([]byte(start), rapid.SliceOf(rapid.SampledFrom([]byte("0129,|. )(:\r\nx\x00\xff"))).Draw(t, "rest")...)
		was := bytes.Clone(b)
		m, _, ok := parseFTP(b, start[0] == '2')
		if !bytes.Equal(b, was) {
			t.Fatalf("changed %q to %q", was, b)
		}
		if ok && m.addr.IsValid() {
			want := string(b[m.start:m.end])
			if m.commas {
				want = string(bytes.ReplaceAll(b[m.start:m.end], []byte(","), []byte(".")))
			}
			if a, err := netip.ParseAddr(want); err == nil && a != m.addr {
				t.Fatalf("%q: %s", b, m.addr)
			}
		}
	})
}
