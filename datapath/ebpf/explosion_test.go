package ebpf

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// allowed translates as a table does that drops all but 10.0.0.1 to 10.0.0.2 from port 1000 to 2000: a bit that
// differs is proof enough, with those before it (OVS's prefix tracking).
type allowed struct{ out odp.Port }

func (a *allowed) Translate(req *datapath.Request, res *datapath.Result) {
	k := req.Key
	for _, id := range []flow.FieldID{flow.InPort, flow.RecircID, flow.EthType, flow.NwProto, flow.IPFrag} {
		res.Mask.SetExact(id)
	}
	for _, f := range []struct {
		id   flow.FieldID
		bits int
		want uint64
	}{{flow.IPv4Src, 32, 0x0a000001}, {flow.IPv4Dst, 32, 0x0a000002}, {flow.UDPSrc, 16, 1000}, {flow.UDPDst, 16, 2000}} {
		diff := k.Get(f.id) ^ f.want
		n := f.bits
		for i := range f.bits {
			if diff>>(f.bits-1-i)&1 != 0 {
				n = i + 1
				break
			}
		}
		res.Mask.Set(f.id, res.Mask.Get(f.id)|(1<<n-1)<<(f.bits-n))
		if diff != 0 {
			return
		}
	}
	res.Actions = append(res.Actions, odp.Output{Port: a.out})
}

func (a *allowed) Userspace(*datapath.Upcall) {}

func udpFrom(src, dst uint32, sport, dport uint16) []byte {
	b := udp(sport, dport)
	binary.BigEndian.PutUint32(b[26:], src)
	binary.BigEndian.PutUint32(b[30:], dst)
	b[24], b[25] = 0, 0
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum>>16+sum))
	return b
}

// TestExplosion replays packets that differ from the allowed ones in one more bit each, for all combinations of
// prefixes: the masks of one port are bounded, others still get theirs, and their packets are found at once.
func TestExplosion(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	l.host("h3", 3)
	for _, h := range []string{"h1", "h2", "h3"} {
		// What the hosts say themselves would look at masks, too.
		l.in(h, "sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
	}
	o := small()
	o.MaxFlows, o.RingBytes = 20000, 8<<20
	d := l.open(o)
	defer d.Close(true)
	p1, p2, p3 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev), l.port(d, "h3", datapath.PortNetdev)
	counts := map[string]uint64{}
	var mu sync.Mutex
	e, err := datapath.NewEngine(datapath.EngineOptions{
		Datapath: d, Translator: &allowed{p2}, Clock: clock.Real{}, Mono: ktime,
		Count: func(name string, n uint64) {
			mu.Lock()
			defer mu.Unlock()
			counts[name] += n
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	wait, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if err := e.Revalidate(wait); err != nil {
		t.Fatal(err)
	}
	flows := func(more int) {
		t.Helper()
		for range 400 {
			if e.FlowCount() >= more {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%d flows, want %d", e.FlowCount(), more)
	}
	run := func(n odp.Port, data []byte) TestResult {
		t.Helper()
		r, err := d.TestRun(n, data, 0, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	good := udpFrom(0x0a000001, 0x0a000002, 1000, 2000)
	run(p3, good)
	flows(1)

	sent := 0
	fd := l.packetSocket("h1")
	defer unix.Close(fd)
	for i := range 33 {
		for j := range 17 {
			// One flipped bit each; a source that differs hides the rest, so it varies last.
			src, sport, dport := uint32(0x0a000001), uint16(1000), uint16(2000)
			dst := uint32(0x0a000002)
			if i < 32 {
				dst ^= 1 << i
			} else if j < 16 {
				sport ^= 1 << j
			}
			if _, err := unix.Write(fd, udpFrom(src, dst, sport, dport)); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Write(fd, udpFrom(src^1<<(i%32), dst, sport, dport)); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Write(fd, udpFrom(src, 0x0a000002, 1000, dport^1<<(j%16))); err != nil {
				t.Fatal(err)
			}
			sent += 3
		}
		time.Sleep(2 * time.Millisecond)
	}
	var st datapath.Stats
	var narrowed uint64
	for range 400 {
		if st, err = d.Stats(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		narrowed = counts["upcall_narrowed"]
		answered := counts["dpif_execute"] + counts["dpif_execute_error"]
		mu.Unlock()
		if answered >= st.Missed {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%d packets: %d flows of %d masks, %d narrowed", sent, st.Flows, st.Masks, narrowed)
	if st.Masks > DefaultMaxMasks/4+16 || narrowed == 0 {
		t.Errorf("%d masks, %d narrowed", st.Masks, narrowed)
	}

	// The other port: established traffic needs one look, and new masks of its own are taken.
	before, _ := d.Stats()
	for range 1000 {
		if r := run(p3, good); r.Verdict != VerdictRedirect || r.Out != p2 {
			t.Fatalf("established packet: %+v", r)
		}
	}
	after, _ := d.Stats()
	if n := after.MaskHit - before.MaskHit; n > 100 {
		t.Errorf("1000 packets of another port looked at %d masks", n)
	}
	for j := range 16 {
		n := e.FlowCount()
		run(p3, udpFrom(0x0a000001, 0x0a000002, 1000, 2000^1<<j))
		flows(n + 1)
	}
	mu.Lock()
	defer mu.Unlock()
	if counts["upcall_narrowed"] != narrowed {
		t.Errorf("flows of another port were narrowed")
	}
	if r := run(p1, good); r.Verdict != VerdictDrop && r.Out != p2 {
		t.Errorf("good packet of the attacker: %+v", r)
	}
}
