package ofctrl

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// (What ovs-ofctl sees of meters is compared with the stock switch in integration/dummy.)

// meterMod is a METER_MOD of OpenFlow 1.3 in hexadecimal.
func meterMod(command, flags int, id uint32, bands ...string) string {
	list := strings.ReplaceAll(strings.Join(bands, ""), " ", "")
	return fmt.Sprintf("04 1d %04x 00000005 %04x %04x %08x %s", 16+len(list)/2, command, flags, id, list)
}

// drop is a drop band.
func drop(rate, burst int) string { return fmt.Sprintf("0001 0010 %08x %08x 00000000", rate, burst) }

// TestMeterErrors sends what ovs-ofctl does not. The answers are those of ovs-vswitchd 3.1 to the same bytes.
func TestMeterErrors(t *testing.T) {
	b := newBench(t, false, nil)
	p := b.dial()
	p.hello("04")
	before := ""
	for _, tt := range []struct {
		name string
		send string
		want string // type and code of the error, "" for none
	}{
		{"add", meterMod(0, 5, 1, drop(5, 0)), ""},
		{"no bands", meterMod(0, 1, 50), "000c 000b"},
		{"rate 0", meterMod(0, 1, 51, drop(0, 0)), "000c 0006"},
		{"meter 0", meterMod(0, 1, 0, drop(5, 0)), "000c 0002"},
		{"modify meter 0", meterMod(1, 1, 0, drop(5, 0)), "000c 0002"},
		{"command 3", meterMod(3, 1, 5, drop(5, 0)), "000c 0004"},
		{"no unit", meterMod(0, 0, 52, drop(5, 0)), "000c 0005"},
		{"two units", meterMod(0, 3, 52, drop(5, 0)), "000c 0005"},
		{"unknown flag", meterMod(0, 16, 53, drop(5, 0)), "000c 0005"},
		{"band type 3", meterMod(0, 1, 54, "0003 0010 00000001 00000001 00000000"), "000c 0008"},
		{"experimenter band", meterMod(0, 1, 54, "ffff 0010 00000001 00000001 00000000"), "000c 0008"},
		{"band of 20 bytes", meterMod(0, 1, 55, "0001 0014 00000001 00000001 00000000 00000000"), "0001 0006"},
		{"band of 12 bytes", meterMod(0, 1, 56, "0001 000c 00000001 00000001"), "0001 0006"},
		{"two bytes", meterMod(0, 1, 57, "0001"), "0001 0006"},
		{"a reserved number", meterMod(0, 1, 0xffff0001, drop(5, 0)), "000c 0002"},
		{"another", meterMod(0, 1, 0xfffffffc, drop(5, 0)), "000c 0002"},
		{"all", meterMod(0, 1, 0xffffffff, drop(5, 0)), "000c 0002"},
		{"modify unknown", meterMod(1, 1, 0xfffffffe, drop(5, 0)), "000c 0003"},
		{"exists before its band is wrong", meterMod(0, 1, 1, "0002 0010 00000001 00000001 00000000"), "000c 0001"},
		{"unknown before its band is wrong", meterMod(1, 1, 777, "0002 0010 00000001 00000001 00000000"), "000c 0003"},
		{"too many bands before unknown", meterMod(1, 1, 777, strings.Repeat(drop(1, 0), 9)), "000c 000b"},
		{"delete meter 0", meterMod(2, 99, 0), ""},
		{"delete unknown", meterMod(2, 1, 0xfffffff0), ""},
	} {
		p.write(tt.send)
		p.write("04 14 0008 00000006")
		got := p.read()
		if tt.want == "" {
			if !strings.HasPrefix(got, "0415") {
				t.Errorf("%s: %s", tt.name, got)
			}
		} else {
			if want := strings.ReplaceAll(tt.want, " ", ""); len(got) < 24 || got[16:24] != want {
				t.Errorf("%s: %s, want error %s", tt.name, got, tt.want)
			}
			if !strings.Contains(got, strings.ReplaceAll(tt.send, " ", "")) {
				t.Errorf("%s: the error does not show the request: %s", tt.name, got)
			}
			p.read() // the barrier's reply
		}
		now := b.ofctl("-OOpenFlow13", "dump-meters", "BR")
		if before == "" {
			before = now
		}
		if diff := cmp.Diff(before, now); diff != "" || b.meters.Len() != 1 {
			t.Errorf("%s: %d meters in the datapath, and\n%s", tt.name, b.meters.Len(), diff)
		}
	}
	if !strings.Contains(before, "rate=5 burst_size=5") {
		t.Errorf("a burst of 0 is as much as the rate:\n%s", before)
	}
}

// TestNoMeters: a datapath without meters has no features, and refuses.
func TestNoMeters(t *testing.T) {
	b := newBench(t, false, func(o *Options) { o.Meters = nil })
	if got := b.ofctl("-OOpenFlow13", "meter-features", "BR"); !strings.Contains(got, "max_meter:0 max_bands:0") || !strings.Contains(got, "capabilities:") {
		t.Errorf("features:\n%s", got)
	}
	if got := b.ofctl("-OOpenFlow13", "add-meter", "BR", "meter=1,pktps,bands=type=drop,rate=1"); !strings.Contains(got, "OFPMMFC_INVALID_METER") {
		t.Errorf("add:\n%s", got)
	}
	if got := b.ofctl("-OOpenFlow13", "del-meters", "BR"); got != "" {
		t.Errorf("delete:\n%s", got)
	}
}

// TestManyMeters dumps more meters than one message holds.
func TestManyMeters(t *testing.T) {
	const n = 3000
	b := newBench(t, false, nil)
	p := b.dial()
	p.hello("04")
	for i := range n {
		p.write(meterMod(0, 1, uint32(i+1), drop(i+1, 0), drop(i+2, 0)))
	}
	p.write("04 14 0008 00000006")
	p.expect("04 15 0008 00000006")
	for _, command := range []string{"dump-meters", "meter-stats"} {
		if got := strings.Count(b.ofctl("-OOpenFlow13", command, "BR"), "meter"); got != n {
			t.Errorf("%s: %d meters, want %d", command, got, n)
		}
	}
	b.Flush()
	if got := b.meters.Len(); got != 0 {
		t.Errorf("%d meters after a flush", got)
	}
}

// TestRequestForward: a controller that asked for it hears of group and meter mods of others, also in bundles, but of
// none that failed, and not of its own.
func TestRequestForward(t *testing.T) {
	b := newBench(t, false, nil)
	p, quiet := b.dial(), b.dial()
	for _, x := range []*peer{p, quiet} {
		x.hello("05")
		x.write("05 09 000c 00000002 0000 ffff") // miss_send_len: service connections hear nothing without
	}
	p.write("05 1c 0010 00000003 000b 0008 00000003") // request forward for both reasons, in the role equal
	fence := func(x *peer, xid string) {
		t.Helper()
		x.write("05 14 0008" + xid)
		x.expect("05 15 0008" + xid)
	}
	fence(p, "00000010")
	next := func(what string) openflow.Message {
		t.Helper()
		raw, err := hex.DecodeString(p.read())
		if err != nil {
			t.Fatal(err)
		}
		_, _, m, err := openflow.Decode(raw, new(openflow.State))
		f, ok := m.(*openflow.RequestForward)
		if err != nil || !ok || f.XID == 0 {
			t.Fatalf("%s: %x: %+v, %v", what, raw, m, err)
		}
		return f.Message
	}
	forwarded := func(what string, want openflow.Message) {
		t.Helper()
		if diff := cmp.Diff(want, next(what)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	o := func(args ...string) string { return b.ofctl(append([]string{"-OOpenFlow14"}, args...)...) }
	o("add-meter", "BR", "meter=7,pktps,bands=type=drop,rate=9")
	forwarded("meter", &openflow.MeterMod{Meter: openflow.MeterConfig{ID: 7, Flags: openflow.MeterPktps, Bands: []openflow.MeterBand{{Type: openflow.BandDrop, Rate: 9}}}})
	o("add-meter", "BR", "meter=7,pktps,bands=type=drop,rate=8") // fails
	o("del-meters", "BR")
	forwarded("deletion", &openflow.MeterMod{Command: openflow.MeterDelete, Meter: openflow.MeterConfig{ID: openflow.MeterAll}})

	o("add-group", "BR", "group_id=3,type=all")
	forwardedGroup := func(what string, command openflow.GroupCommand, id uint32) {
		t.Helper()
		m := next(what)
		if g, ok := m.(*openflow.GroupMod); !ok || g.Command != command || g.ID != id {
			t.Errorf("%s: %+v", what, m)
		}
	}
	forwardedGroup("group", openflow.GroupAdd, 3)
	file := filepath.Join(t.TempDir(), "groups")
	if err := os.WriteFile(file, []byte("group_id=4,type=all\ngroup_id=5,type=indirect,bucket=output:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o("--bundle", "add-groups", "BR", file)
	forwardedGroup("first of a bundle", openflow.GroupAdd, 4)
	forwardedGroup("second of a bundle", openflow.GroupAdd, 5)
	o("--bundle", "add-groups", "BR", file) // fails

	p.write("05 1d 0020 00000009 0000 0001 00000008" + drop(5, 0)) // its own
	fence(p, "00000011")
	fence(quiet, "00000012")
}
