package bridge

import (
	"net"
	"testing"
)

func parse(t *testing.T, s string) net.HardwareAddr {
	t.Helper()
	m, err := net.ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBridgeMAC(t *testing.T) {
	members := func(list ...string) []member {
		var m []member
		for _, s := range list {
			m = append(m, member{mac: parse(t, s)})
		}
		return m
	}
	for _, c := range []struct {
		name, hwaddr string
		members      []member
		want         string // "": made from the UUID
		bad          bool
	}{
		{"lowest", "", members("00:11:22:33:44:55", "00:11:22:33:44:02"), "00:11:22:33:44:02", false},
		{"local ones are not unique", "", members("02:00:00:00:00:01", "00:11:22:33:44:55"), "00:11:22:33:44:55", false},
		{"only local ones", "", members("02:00:00:00:00:01"), "", false},
		{"group and zero addresses", "", members("01:00:00:00:00:01", "00:00:00:00:00:00"), "", false},
		{"configured", "02:aa:bb:cc:dd:ee", members("00:11:22:33:44:55"), "02:aa:bb:cc:dd:ee", false},
		{"configured multicast", "01:aa:bb:cc:dd:ee", members("00:11:22:33:44:55"), "00:11:22:33:44:55", true},
		{"configured nonsense", "x", nil, "", true},
	} {
		got, err := bridgeMAC(c.hwaddr, "0000-uuid", c.members)
		if (err != nil) != c.bad {
			t.Errorf("%s: error %v", c.name, err)
		}
		if c.want != "" && got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if c.want == "" {
			again, _ := bridgeMAC("", "0000-uuid", nil)
			other, _ := bridgeMAC("", "1111-uuid", nil)
			if got.String() != again.String() || got.String() == other.String() || got[0]&3 != 2 {
				t.Errorf("%s: %s: not a stable local address of the row (%s, %s)", c.name, got, again, other)
			}
		}
	}
}

func TestDatapathID(t *testing.T) {
	m := parse(t, "00:11:22:33:44:55")
	for _, c := range []struct {
		config string
		want   uint64
		bad    bool
	}{
		{"", 0x001122334455, false},
		{"00000000000000ff", 0xff, false},
		{"0xff", 0xff, false},
		{"ff", 0x001122334455, true},
		{"0000000000000000", 0x001122334455, true},
		{"000000000000000g", 0x001122334455, true},
	} {
		got, err := datapathID(c.config, m)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("datapathID(%q) = %#x, %v; want %#x, error %v", c.config, got, err, c.want, c.bad)
		}
	}
}

func TestReservedMAC(t *testing.T) {
	for s, want := range map[string]bool{
		"01:80:c2:00:00:00": true, "01:80:c2:00:00:0f": true, "01:80:c2:00:00:10": false,
		"00:e0:2b:00:00:00": true, "00:e0:2b:00:00:04": true, "00:e0:2b:00:00:01": false,
		"01:00:0c:cc:cc:cc": true, "01:00:0c:cc:cc:cd": true, "01:00:0c:cd:cd:cd": true, "01:00:0c:00:00:00": true,
		"01:00:0c:cc:cc:c0": true, "01:00:0c:cc:cc:c7": true, "01:00:0c:cc:cc:c8": false,
		"ff:ff:ff:ff:ff:ff": false, "33:33:00:00:00:01": false,
	} {
		if got := reservedMAC(parse(t, s)); got != want {
			t.Errorf("reservedMAC(%s) = %v", s, got)
		}
	}
}

func TestOFPorts(t *testing.T) {
	o := newOFPorts()
	if o.claim(0, "x") || o.claim(maxOFPort+1, "x") {
		t.Error("numbers out of range were given")
	}
	if again := o.claim(2, "b"); !again || !o.claim(2, "b") || o.claim(2, "c") {
		t.Error("number 2 must be b's alone")
	}
	a, _ := o.allocate("a")
	c, _ := o.allocate("c")
	if a != 1 || c != 3 {
		t.Errorf("allocated %d and %d, want 1 and 3", a, c)
	}
	// A number that was given back comes last.
	o.release(a)
	if d, _ := o.allocate("d"); d != 4 {
		t.Errorf("allocated %d, want 4: 1 has just been somebody else's", d)
	}
	for n := 5; n <= maxOFPort; n++ {
		if _, ok := o.allocate("x"); !ok {
			t.Fatalf("no number although %d is free", n)
		}
	}
	if n, ok := o.allocate("y"); !ok || n != 1 {
		t.Errorf("allocated %d, %v; want the 1 that was given back", n, ok)
	}
	if n, ok := o.allocate("z"); ok {
		t.Errorf("allocated %d of a full space", n)
	}
}
