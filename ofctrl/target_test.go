package ofctrl

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	s := &Switch{o: Options{Bridge: "br0", RunDir: "/run/ovs"}}
	for _, tt := range []struct {
		text string
		want target
		err  string
	}{
		{"tcp:192.0.2.1", target{"tcp", "192.0.2.1:6653", false, false}, ""},
		{"tcp:192.0.2.1:6633", target{"tcp", "192.0.2.1:6633", false, false}, ""},
		{"tcp:[2001:db8::1]", target{"tcp", "[2001:db8::1]:6653", false, false}, ""},
		{"tcp:[fe80::1%eth0]:1", target{"tcp", "[fe80::1%eth0]:1", false, false}, ""},
		{"tcp:controller.example.com:99", target{"tcp", "controller.example.com:99", false, false}, ""},
		{"ptcp:", target{"tcp", ":6653", true, false}, ""},
		{"ptcp:6640:127.0.0.1", target{"tcp", "127.0.0.1:6640", true, false}, ""},
		{"ptcp:6640:[::1]", target{"tcp", "[::1]:6640", true, false}, ""},
		{"unix:/run/ovs/x.sock", target{"unix", "/run/ovs/x.sock", false, false}, ""},
		{"unix:x.sock", target{"unix", "/run/ovs/x.sock", false, false}, ""},
		{"punix:/run/ovs/br0.controller", target{"unix", "/run/ovs/br0.controller", true, false}, ""},
		{"tcp:", target{}, "host name is missing"},
		{"tcp:1.2.3.4:0", target{}, "port"},
		{"tcp:1.2.3.4:65536", target{}, "port"},
		{"tcp:2001:db8::1", target{}, "brackets"},
		{"tcp:[2001:db8::1", target{}, "]"},
		{"tcp:[2001:db8::1]6653", target{}, "[HOST]:PORT"},
		{"ptcp:x", target{}, "port"},
		{"ssl:192.0.2.1", target{"tcp", "192.0.2.1:6653", false, true}, ""},
		{"ssl:", target{}, "host name is missing"},
		{"pssl:", target{"tcp", ":6653", true, true}, ""},
		{"pssl:6640:[::1]", target{"tcp", "[::1]:6640", true, true}, ""},
		{"udp:1.2.3.4", target{}, "unknown type"},
		{"nonsense", target{}, "want TYPE:ADDRESS"},
		{"", target{}, "want TYPE:ADDRESS"},
		{"unix:", target{}, "missing"},
		{"unix:/var/run/docker.sock", target{}, "outside of the run directory"},
		{"unix:/run/ovs/../docker.sock", target{}, "outside of the run directory"},
		{"unix:../docker.sock", target{}, "outside of the run directory"},
		{"unix:/run/ovsx/a", target{}, "outside of the run directory"},
		{"punix:/run/ovs/other.sock", target{}, "overwrite"},
		{"punix:/run/ovs/br0.x/../db.sock", target{}, "overwrite"},
		{"punix:/etc/br0.passwd", target{}, "overwrite"},
		{"punix:br0.mgmt", target{}, "bridge's own"},
		{"punix:br0.snoop", target{}, "bridge's own"},
	} {
		got, err := s.parseTarget(tt.text)
		if err == nil && got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %+v, %v; want %+v, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
	s.o.AnySocketPath = true
	for _, text := range []string{"unix:/var/run/other.sock", "punix:/tmp/any"} {
		if _, err := s.parseTarget(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
