package ebpf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// ctLab is a datapath with two ports, on both of which packets are tracked as the test says and then go to the other port.
type ctLab struct {
	*testing.T
	d    *Datapath
	a, b odp.Port
}

func newCTLab(t *testing.T, o Options, act odp.CT) *ctLab {
	t.Helper()
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	d := l.open(o)
	t.Cleanup(func() { d.Close(true) })
	c := &ctLab{T: t, d: d, a: l.port(d, "h1", datapath.PortNetdev), b: l.port(d, "h2", datapath.PortNetdev)}
	c.track(act)
	return c
}

func (c *ctLab) put(in odp.Port, recirc uint32, actions ...odp.Action) {
	c.Helper()
	var f datapath.Flow
	f.Match.Set(flow.InPortOXM, uint64(in))
	f.Match.Set(flow.RecircID, uint64(recirc))
	f.Actions = actions
	if _, err := c.d.FlowPut(&f); err != nil {
		c.Fatal(err)
	}
}

// track says what happens to packets of port a; those of b are tracked and translated only.
func (c *ctLab) track(act odp.CT) {
	c.Helper()
	if err := c.d.FlowFlush(); err != nil {
		c.Fatal(err)
	}
	c.put(c.a, 0, act, odp.Recirc{ID: 1})
	c.put(c.b, 0, odp.CT{Zone: act.Zone, NAT: &odp.NAT{}}, odp.Recirc{ID: 1})
	c.put(c.a, 1, odp.Output{Port: c.b})
	c.put(c.b, 1, odp.Output{Port: c.a})
}

func (c *ctLab) send(in odp.Port, k talk) TestResult {
	c.Helper()
	r, err := c.d.TestRun(in, k.bytes(true), 0, 0, 1)
	if err != nil {
		c.Fatal(err)
	}
	return r
}

func (c *ctLab) state(r TestResult) conntrack.State { return conntrack.State(r.Key.Get(flow.CTState)) }

func (c *ctLab) dump() (out []string) {
	c.Helper()
	if err := c.d.Conntrack().Dump(func(e *conntrack.Entry) bool {
		out = append(out, e.Text(conntrack.TextOptions{Statistics: true}))
		return true
	}); err != nil {
		c.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func (c *ctLab) counters() conntrack.Counters {
	c.Helper()
	n, err := c.d.Conntrack().Counters()
	if err != nil {
		c.Fatal(err)
	}
	return n
}

func (c *ctLab) count() int {
	c.Helper()
	n, err := c.d.Conntrack().Count()
	if err != nil {
		c.Fatal(err)
	}
	return n
}

// udpTalk is the i-th of many different connections.
func udpTalk(i int) talk {
	return talk{src: []byte{10, 1, byte(i >> 8), byte(i)}, dst: []byte{10, 0, 0, 2}, proto: packet.ProtoUDP, sport: uint16(1024 + i>>16), dport: 53}
}

func TestConnections(t *testing.T) {
	c := newCTLab(t, small(), odp.CT{Commit: true, Zone: 7, Mark: &[2]uint32{5, 0xff}})
	k := talk{src: []byte{10, 0, 0, 1}, dst: []byte{10, 0, 0, 2}, proto: packet.ProtoUDP, sport: 1000, dport: 53}
	back := talk{src: k.dst, dst: k.src, proto: packet.ProtoUDP, sport: 53, dport: 1000}
	if s := c.state(c.send(c.a, k)); s != conntrack.New|conntrack.Tracked {
		t.Errorf("first packet: state %#x", s)
	}
	if s := c.state(c.send(c.b, back)); s != conntrack.Established|conntrack.Reply|conntrack.Tracked {
		t.Errorf("answer: state %#x", s)
	}
	got := c.dump()
	for i := range got {
		got[i] = strings.Replace(got[i], "timeout=29", "timeout=30", 1)
	}
	want := []string{"udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1000,dport=53),reply=(src=10.0.0.2,dst=10.0.0.1,sport=53,dport=1000),zone=7,timeout=30,mark=5"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	zone := uint16(8)
	if n, err := c.d.Conntrack().Flush(&conntrack.Filter{Zone: &zone}); n != 0 || err != nil {
		t.Errorf("flush of another zone: %d, %v", n, err)
	}
	zone = 7
	if n, err := c.d.Conntrack().Flush(&conntrack.Filter{Zone: &zone}); n != 1 || err != nil {
		t.Errorf("flush: %d, %v", n, err)
	}
	if s := c.state(c.send(c.b, back)); s != conntrack.New|conntrack.Tracked {
		t.Errorf("answer to what is forgotten: state %#x", s)
	}
	if n := c.count(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestConnectionLimits(t *testing.T) {
	o := small()
	o.MaxConns = 1000
	c := newCTLab(t, o, odp.CT{Commit: true, Zone: 7})
	ct := c.d.Conntrack()
	if err := errors.Join(ct.SetDefaultLimit(3), ct.SetLimit(8, 5)); err != nil {
		t.Fatal(err)
	}
	fill := func(n int) (passed int) {
		for i := range n {
			if r := c.send(c.a, udpTalk(i)); r.Verdict == VerdictRedirect {
				passed++
			} else if r.Reason != "conntrack" {
				t.Fatalf("dropped for %s", r.Reason)
			}
		}
		return passed
	}
	if n := fill(6); n != 3 {
		t.Errorf("default limit of 3: %d", n)
	}
	c.track(odp.CT{Commit: true, Zone: 8})
	if n := fill(6); n != 5 {
		t.Errorf("limit of 5: %d", n)
	}
	standard, zones, err := ct.Limits(7, 8)
	if d := cmp.Diff([]conntrack.ZoneLimit{{Zone: 7, Limit: 3, Count: 3}, {Zone: 8, Limit: 5, Count: 5}}, zones); d != "" || standard != 3 || err != nil {
		t.Errorf("limits: %d, %v, %s", standard, err, d)
	}
	if n := c.counters().ZoneFull; n != 4 {
		t.Errorf("%d dropped at a limit", n)
	}
	if err := errors.Join(ct.DelLimit(8), ct.SetDefaultLimit(0)); err != nil {
		t.Fatal(err)
	}
	if n := fill(20); n != 20 {
		t.Errorf("no limit: %d of 20", n)
	}

	// Connections that have no answer give way, the others stay.
	if err := ct.SetMax(1001); !errors.Is(err, datapath.ErrFull) {
		t.Errorf("more than there is room for: %v", err)
	}
	if _, err := ct.Flush(&conntrack.Filter{}); err != nil {
		t.Fatal(err)
	}
	for i := range 900 {
		c.send(c.a, udpTalk(i))
		k := udpTalk(i)
		k.src, k.dst, k.sport, k.dport = k.dst, k.src, k.dport, k.sport
		c.send(c.b, k)
	}
	for i := range 3000 {
		if r := c.send(c.a, udpTalk(10000+i)); r.Verdict != VerdictRedirect {
			t.Fatalf("packet %d of a flood: %s", i, r.Reason)
		}
	}
	answered := 0
	for _, line := range c.dump() {
		if strings.Contains(line, "timeout=2") || strings.Contains(line, "timeout=30") {
			answered++
		}
	}
	if n := c.count(); n != 1000 || answered != 900 {
		t.Errorf("%d connections after a flood, %d with answers", n, answered)
	}
	if n := c.counters().Displaced; n != 2900 {
		t.Errorf("%d displaced", n)
	}
	// A smaller maximum leaves those that there are.
	if err := ct.SetMax(500); err != nil {
		t.Fatal(err)
	}
	if r := c.send(c.a, udpTalk(20000)); r.Reason != "conntrack" || c.count() != 1000 || c.counters().Full != 1 {
		t.Errorf("above the maximum: %q, %d connections, %+v", r.Reason, c.count(), c.counters())
	}
}

// TestConnectionTimeouts: named timeouts, and the sweep.
func TestConnectionTimeouts(t *testing.T) {
	c := newCTLab(t, small(), odp.CT{Commit: true, Zone: 1, Timeout: "short"})
	ct := c.d.Conntrack()
	timeout := func(i int) string {
		t.Helper()
		c.send(c.a, udpTalk(i))
		for _, line := range c.dump() {
			if strings.Contains(line, fmt.Sprintf("src=10.1.0.%d,", i)) {
				_, after, _ := strings.Cut(line, "timeout=")
				return after
			}
		}
		return "none"
	}
	is := func(what, got string, want int) {
		t.Helper()
		if got != fmt.Sprint(want) && got != fmt.Sprint(want-1) {
			t.Errorf("%s: %s, want %d", what, got, want)
		}
	}
	is("no such policy yet", timeout(1), 60)
	a, b := conntrack.DefaultTimeouts, conntrack.DefaultTimeouts
	a[conntrack.UDPFirst], a[conntrack.UDPSingle] = 1000, 2000
	b[conntrack.UDPFirst], b[conntrack.UDPSingle] = 1, 5000
	if err := ct.SetTimeouts("short", &a); err != nil {
		t.Fatal(err)
	}
	is("policy", timeout(2), 1000)
	if err := ct.SetTimeouts("short", &b); err != nil {
		t.Fatal(err)
	}
	is("changed policy", timeout(2), 5000)
	for i := range 500 {
		c.send(c.a, udpTalk(300+i))
	}
	if n, _, err := ct.Limits(1); n != 0 || err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		// Not by Count, which sweeps.
		c.d.conns.mu.Lock()
		n := c.d.conns.table.at[0].Count
		c.d.conns.mu.Unlock()
		if n == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections are not swept", n)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := ct.SetTimeouts("short", nil); err != nil {
		t.Fatal(err)
	}
	is("policy removed", timeout(3), 60)
	is("its connections have the default ones now", timeout(2), 60)
	var err error
	for i := 0; err == nil; i++ {
		if err = ct.SetTimeouts(fmt.Sprint(i), &a); i > maxPolicies {
			t.Fatal("too many policies")
		}
	}
	if !errors.Is(err, datapath.ErrFull) {
		t.Error(err)
	}
}

// TestConnectionsStay: they, their translations, limits and names of timeouts are there for the next agent, also for one whose
// other maps have another layout.
func TestConnectionsStay(t *testing.T) {
	for _, flows := range []int{4096, 8192} {
		connectionsStay(t, flows)
	}
}

func connectionsStay(t *testing.T, flows int) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	o := small()
	o.PinDir = l.pins()
	d := l.open(o)
	c := &ctLab{T: t, d: d, a: l.port(d, "h1", datapath.PortNetdev), b: l.port(d, "h2", datapath.PortNetdev)}
	label := [2][16]byte{{1, 2, 3}, {0xff, 0xff, 0xff}}
	act := odp.CT{Commit: true, Zone: 3, Timeout: "long", Label: &label, Mark: &[2]uint32{4, 4},
		NAT: &odp.NAT{Src: true, MinAddr: []byte{10, 0, 0, 50}, MaxAddr: []byte{10, 0, 0, 51}, MinPort: 2000, MaxPort: 3000, Hash: true}}
	c.track(act)
	times := conntrack.DefaultTimeouts
	times[conntrack.UDPMultiple] = 5000
	ct := d.Conntrack()
	if err := errors.Join(ct.SetTimeouts("long", &times), ct.SetLimit(3, 77), ct.SetMax(99), ct.SetSequenceCheck(false)); err != nil {
		t.Fatal(err)
	}
	out := c.send(c.a, udpTalk(1))
	was := parts(out.Data)
	if was == nil || was.src[3] < 50 || was.sport < 2000 || was.sport > 3000 {
		t.Fatalf("translated to %x", out.Data)
	}
	back := talk{src: was.dst, dst: was.src, proto: was.proto, sport: was.dport, dport: was.sport}
	before := c.dump()
	if err := d.Close(false); err != nil {
		t.Fatal(err)
	}

	o.MaxFlows = flows
	c.d = l.open(o)
	defer c.d.Close(true)
	if d := cmp.Diff(before, c.dump()); d != "" && !strings.Contains(d, "timeout") {
		t.Error(d)
	}
	r := c.send(c.b, back)
	if k := parts(r.Data); k == nil || k.dport != 1024 || !slices.Equal(k.dst, udpTalk(1).src) {
		t.Errorf("the answer became %x", r.Data)
	}
	if s := c.state(r); s != conntrack.Established|conntrack.Reply|conntrack.Tracked|conntrack.DstNAT {
		t.Errorf("state %#x", s)
	}
	if lines := c.dump(); len(lines) != 1 || !strings.Contains(lines[0], "timeout=4999") && !strings.Contains(lines[0], "timeout=5000") {
		t.Errorf("timeouts: %v", lines)
	}
	ct = c.d.Conntrack()
	_, zones, _ := ct.Limits()
	limit, _ := ct.Max()
	check, _ := ct.SequenceCheck()
	if len(zones) != 1 || zones[0].Limit != 77 || limit != 99 || check {
		t.Errorf("limits %v, maximum %d, check %v", zones, limit, check)
	}
	var found []odp.Action
	c.d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, _ datapath.FlowStats) bool {
		if a, ok := f.Actions[0].(odp.CT); ok && a.Commit {
			found = f.Actions
		}
		return true
	})
	if d := cmp.Diff([]odp.Action{act, odp.Recirc{ID: 1}}, found); d != "" {
		t.Errorf("the flow as it was read back: %s", d)
	}
}

// TestParallelTranslation translates more connections than there are ports, by packets on all CPUs at once: no tuple
// is given twice, and none is lost.
func TestParallelTranslation(t *testing.T) {
	const clients, ports = 64, 40
	c := newCTLab(t, small(), odp.CT{Commit: true, Zone: 1, NAT: &odp.NAT{Src: true, Random: true,
		MinAddr: []byte{10, 0, 0, 50}, MinPort: 3000, MaxPort: 3000 + ports - 1}})
	for round := range 20 {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				prog := c.d.coll.Programs["ingress"]
				skb := make([]byte, skbSize)
				le.PutUint32(skb[skbIfindex:], uint32(c.d.ports[c.a].spec.Ifindex))
				for i := range clients {
					k := udpTalk(i*7%clients + w%2) // two CPUs at a time have the same packets
					if err := runProgram(prog, k.bytes(true), skb); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		replies := map[conntrack.Tuple]int{}
		origs := map[conntrack.Tuple]int{}
		n := 0
		if err := c.d.Conntrack().Dump(func(e *conntrack.Entry) bool {
			replies[e.Reply]++
			origs[e.Orig]++
			n++
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if n != ports || len(replies) != n || len(origs) != n || c.count() != n {
			t.Fatalf("round %d: %d connections, %d tuples, %d translated, count %d; want %d", round, n, len(origs), len(replies), c.count(), ports)
		}
		// What the index has is what there is.
		entries := 0
		var key [40]byte
		var ref uint64
		for it := c.d.coll.Maps["ct_index"].Iterate(); it.Next(&key, &ref); {
			entries++
		}
		if entries != 2*n {
			t.Fatalf("round %d: %d entries of the index for %d connections", round, entries, n)
		}
		if _, err := c.d.Conntrack().Flush(&conntrack.Filter{}); err != nil {
			t.Fatal(err)
		}
		if n := c.count(); n != 0 {
			t.Fatalf("%d connections are left", n)
		}
	}
}
