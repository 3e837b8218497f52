package ebpf

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// TestMPLSTraffic carries traffic over a trunk under labels, beside a tag and alone: GSO packets stay whole, and
// their checksums come out right.
func TestMPLSTraffic(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	l.sh("ip link add va mtu 1600 type veth peer name vb mtu 1600; ip link set va up; ip link set vb up")
	d := l.open(small())
	defer d.Close(true)
	p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
	va, vb := l.port(d, "va", datapath.PortNetdev), l.port(d, "vb", datapath.PortNetdev)
	l.iperfServer("h2")
	label := func(n uint32, bottom bool) odp.PushMPLS {
		return odp.PushMPLS{LSE: n<<12 | 64 | uint32(b2u(bottom))<<8, EthType: 0x8847}
	}
	tag := odp.PushVLAN{TPID: 0x8100, TCI: 0x1005}
	for name, lists := range map[string][2][]odp.Action{
		"one label":        {{label(5, true)}, {odp.PopMPLS{EthType: 0x800}}},
		"three labels":     {{label(5, true), label(6, false), label(7, false)}, {odp.PopMPLS{EthType: 0x8847}, odp.PopMPLS{EthType: 0x8847}, odp.PopMPLS{EthType: 0x800}}},
		"label, then tag":  {{label(5, true), tag}, {odp.PopVLAN{}, odp.PopMPLS{EthType: 0x800}}},
		"tag, then label":  {{tag, label(5, true)}, {odp.PopMPLS{EthType: 0x800}, odp.PopVLAN{}}},
		"label under copy": {{odp.Clone{Actions: []odp.Action{label(9, true), odp.Drop{}}}, label(5, true)}, {odp.PopMPLS{EthType: 0x800}}},
	} {
		if err := d.FlowFlush(); err != nil {
			t.Fatal(err)
		}
		put := func(in, out odp.Port, typ uint64, acts []odp.Action) datapath.FlowRef {
			t.Helper()
			f := &datapath.Flow{Actions: append(append([]odp.Action{}, acts...), odp.Output{Port: out})}
			f.Match.Set(flow.InPort, uint64(in))
			f.Match.Set(flow.EthType, typ)
			ref, err := d.FlowPut(f)
			if err != nil {
				t.Fatal(err)
			}
			return ref
		}
		for _, p := range [][4]odp.Port{{p1, va, vb, p2}, {p2, vb, va, p1}} {
			put(p[0], p[1], 0x806, nil)
			put(p[2], p[3], 0x806, nil)
			put(p[0], p[1], 0x800, lists[0])
		}
		there := put(vb, p2, 0x8847, lists[1])
		put(va, p1, 0x8847, lists[1])
		if out, err := l.try("h1", "ping -c3 -i0.05 -W1 -s 3000 10.0.0.2"); err != nil {
			dumpState(t, d)
			t.Fatalf("%s: %s", name, out)
		}
		rate := l.iperf("h1", "-c 10.0.0.2 -t 1")
		st, err := d.FlowStats(there)
		t.Logf("%s: %.1f Gbit/s, packets of %d bytes", name, rate/1e9, st.Bytes/max(1, st.Packets))
		if err != nil || rate < 1e8 {
			t.Errorf("%s: %.0f bit/s, %v", name, rate, err)
		}
		// With the sums finished by the sender's CPU too.
		l.in("h1", "ethtool -K e0 tx off >/dev/null")
		if rate := l.iperf("h1", "-c 10.0.0.2 -t 1"); rate < 1e8 {
			t.Errorf("%s without offload: %.0f bit/s", name, rate)
		}
		l.in("h1", "ethtool -K e0 tx on tso on gso on >/dev/null")
	}
}

// TestMeter sends through meters: a rate in packets and one in kilobits, what they drop is counted, and the slow
// path takes from the same bucket.
func TestMeter(t *testing.T) {
	l := newLab(t)
	l.host("h2", 2)
	d := l.open(small())
	defer d.Close(true)
	p1, p2 := l.port(d, "lo", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
	for _, tc := range []struct {
		config   datapath.MeterConfig
		pass     int // of 300 packets of 46 bytes, sent at once
		band     int // that drops the others
		slowPass bool
	}{
		{datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1, Burst: 20}}}, 20, 0, false},
		{datapath.MeterConfig{Bands: []datapath.MeterBand{{Rate: 1, Burst: 46}}}, 125, 0, false},
		{datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1, Burst: 50}, {Rate: 3, Burst: 30}}}, 30, 1, false},
		{datapath.MeterConfig{Packets: true, Bands: []datapath.MeterBand{{Rate: 1 << 30}}}, 300, 0, true},
	} {
		if err := d.MeterSet(5, tc.config); err != nil {
			t.Fatal(err)
		}
		f := udpFlow(p1, 0, 0, odp.Meter{ID: 5}, odp.Output{Port: p2})
		if _, err := d.FlowPut(f); err != nil {
			t.Fatal(err)
		}
		pass := 0
		for range 300 {
			r, err := d.TestRun(p1, udp(1, 2), 0, 0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict == VerdictRedirect {
				pass++
			} else if r.Reason != "meter" {
				t.Fatalf("dropped by %s", r.Reason)
			}
		}
		st, err := d.MeterStats(5)
		if err != nil {
			t.Fatal(err)
		}
		// A few tokens come while it runs.
		if pass < tc.pass || pass > tc.pass+3 {
			t.Errorf("%+v: %d packets pass, want %d", tc.config, pass, tc.pass)
		}
		if st.Packets != 300 || st.Bytes != 300*46 || st.Bands[tc.band].Packets != uint64(300-pass) || st.Bands[tc.band].Bytes != uint64(300-pass)*46 || st.Duration <= 0 {
			t.Errorf("%+v: %+v", tc.config, st)
		}
		if got := d.meterPasses(5, 46); got != tc.slowPass {
			t.Errorf("%+v: the slow path's packet passes: %v", tc.config, got)
		}
	}
	if err := d.MeterDel(5); err != nil {
		t.Fatal(err)
	}
	if r, err := d.TestRun(p1, udp(1, 2), 0, 0, 1); err != nil || r.Verdict != VerdictRedirect {
		t.Errorf("without meter: %+v, %v", r, err)
	}
	for name, err := range map[string]error{
		"deleted twice": d.MeterDel(5), "no bands": d.MeterSet(1, datapath.MeterConfig{}),
		"rate 0":         d.MeterSet(1, datapath.MeterConfig{Bands: []datapath.MeterBand{{}}}),
		"id":             d.MeterSet(MaxMeters, datapath.MeterConfig{Bands: []datapath.MeterBand{{Rate: 1}}}),
		"too many bands": d.MeterSet(1, datapath.MeterConfig{Bands: make([]datapath.MeterBand, 9)}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCopies outputs copies that are cut or changed, also when no agent is there any more, and by the tables that the
// next one adopts.
func TestCopies(t *testing.T) {
	l := newLab(t)
	for i, h := range []string{"h1", "h2", "h3"} {
		l.host(h, i+1)
		l.in(h, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	}
	o := small()
	o.PinDir = l.pins()
	d := l.open(o)
	p1, p2, p3 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev), l.port(d, "h3", datapath.PortNetdev)
	set := func(id flow.FieldID, v ...byte) odp.Action {
		return odp.Set{Fields: []odp.FieldSet{{Field: id, Value: v}}}
	}
	f := udpFlow(p1, 0, 0,
		odp.Trunc{MaxLen: 50}, odp.Output{Port: p2},
		odp.Clone{Actions: []odp.Action{set(flow.NwTTL, 7), odp.Output{Port: p2}, odp.Recirc{ID: 3}}},
		odp.CheckPktLen{Len: 60, Greater: []odp.Action{set(flow.NwTTL, 8), odp.Output{Port: p2}}},
		odp.Sample{Probability: 1<<32 - 2, Actions: []odp.Action{set(flow.NwTTL, 9), odp.Output{Port: p2}}},
		odp.Trunc{MaxLen: 60}, odp.Output{Port: p3})
	r := udpFlow(p1, 0, 0, set(flow.NwTOS, 4), odp.Output{Port: p3})
	r.Match.Set(flow.RecircID, 3)
	for _, f := range []*datapath.Flow{f, r} {
		if _, err := d.FlowPut(f); err != nil {
			t.Fatal(err)
		}
	}
	fds := map[string]int{}
	for h := range l.hosts {
		fds[h] = l.packetSocket(h)
		defer unix.Close(fds[h])
		if err := unix.SetsockoptTimeval(fds[h], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 300000}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		if _, err := unix.Write(fds["h1"], append(udp(1, 2), make([]byte, 54)...)); err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for _, h := range []string{"h2", "h3"} {
			for {
				b := make([]byte, 200)
				n, from, err := unix.Recvfrom(fds[h], b, 0)
				if err != nil {
					break
				}
				if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING && b[12] == 8 && b[13] == 0 {
					got[h] = append(got[h], fmt.Sprintf("%d:%d:%d", n, b[22], b[15]))
				}
			}
		}
		if s := strings.Join(got["h2"], " "); s != "50:64:0 100:7:0 100:8:0 100:9:0" {
			t.Errorf("%s: h2 got %s", when, s)
		}
		if s := strings.Join(got["h3"], " "); s != "100:7:4 60:64:0" {
			t.Errorf("%s: h3 got %s", when, s)
		}
	}
	check("at first")
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	check("without agent")
	d = l.open(o)
	check("adopted")
	for _, name := range []string{"h1", "h2", "h3"} {
		if n := l.port(d, name, datapath.PortNetdev); n != map[string]odp.Port{"h1": p1, "h2": p2, "h3": p3}[name] {
			t.Errorf("%s is port %d", name, n)
		}
	}
	found := 0
	d.FlowDump(func(_ datapath.FlowRef, g *datapath.Flow, _ datapath.FlowStats) bool {
		if g.Match.Key.Get(flow.RecircID) == 0 {
			found = len(g.Actions)
		}
		return true
	})
	if found != len(f.Actions) {
		t.Errorf("%d actions adopted, were %d", found, len(f.Actions))
	}
	if err := d.Close(true); err != nil {
		t.Fatal(err)
	}
	if links := l.sh("ip -br link"); strings.Contains(links, "ovs-in-") {
		t.Errorf("left: %s", links)
	}
}
