package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// udp makes a frame from 10.0.0.1 to 10.0.0.2 with these ports.
func udp(src, dst uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 0, 0, 0, 0, 12, 0, 0, 1, 2, 3, 4}
	binary.BigEndian.PutUint16(b[34:], src)
	binary.BigEndian.PutUint16(b[36:], dst)
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum>>16+sum))
	return b
}

// udpFlow matches in_port and ports exactly where the arguments are not 0.
func udpFlow(in odp.Port, src, dst uint64, actions ...odp.Action) *datapath.Flow {
	f := &datapath.Flow{Actions: actions}
	f.Match.Set(flow.InPort, uint64(in))
	f.Match.Set(flow.RecircID, 0)
	f.Match.Set(flow.EthType, 0x800)
	f.Match.Set(flow.NwProto, 17)
	if src != 0 {
		f.Match.Set(flow.UDPSrc, src)
	}
	if dst != 0 {
		f.Match.Set(flow.UDPDst, dst)
	}
	return f
}

func TestFlows(t *testing.T) {
	for _, columns := range []int{1, 16} {
		t.Run(fmt.Sprintf("columns=%d", columns), func(t *testing.T) { testFlows(t, columns) })
	}
}

func testFlows(t *testing.T, columns int) {
	l := newLab(t)
	l.host("h2", 2)
	o := small()
	o.statColumns = columns
	o.MaxFlows, o.MaxMasks, o.PortMasks = 1000, 40, 40
	d := l.open(o)
	defer d.Close(true)
	p1, p2 := l.port(d, "lo", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
	out := odp.Output{Port: p2}

	run := func(src, dst uint16, verdict int) {
		t.Helper()
		r, err := d.TestRun(p1, udp(src, dst), 0, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != verdict || verdict == VerdictRedirect && r.Out != p2 {
			t.Fatalf("%d to %d: verdict %d to port %d, want %d", src, dst, r.Verdict, r.Out, verdict)
		}
	}
	put := func(f *datapath.Flow) datapath.FlowRef {
		t.Helper()
		ref, err := d.FlowPut(f)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	packets := func(ref datapath.FlowRef, want uint64) {
		t.Helper()
		st, err := d.FlowStats(ref)
		if err != nil || st.Packets != want || st.Bytes != want*46 || (st.Used == 0) != (want == 0) {
			t.Fatalf("stats %+v, %v; want %d packets", st, err, want)
		}
	}

	run(1, 2, VerdictDrop) // a miss
	ref := put(udpFlow(p1, 1, 2, out))
	packets(ref, 0)
	run(1, 2, VerdictRedirect)
	run(1, 2, VerdictRedirect)
	run(1, 3, VerdictDrop)
	packets(ref, 2)

	// Replacing keeps the reference and the counters, over and after the grace period.
	if again := put(udpFlow(p1, 1, 2, odp.Drop{Reason: odp.DropCongestion})); again != ref {
		t.Fatalf("replaced flow is %x, was %x", again, ref)
	}
	packets(ref, 2)
	run(1, 2, VerdictDrop)
	packets(ref, 3)
	if err := d.collect(true); err != nil {
		t.Fatal(err)
	}
	packets(ref, 3)
	run(1, 2, VerdictDrop)
	packets(ref, 4)

	// Each mask its subtable, more of them than one program searches.
	var refs []datapath.FlowRef
	for i := range 38 {
		f := udpFlow(p1, 0, 0, out)
		f.Match.Mask.Set(flow.UDPSrc, uint64(0xff00+i))
		f.Match.Key.Set(flow.UDPSrc, uint64(0x5500+i)&uint64(0xff00+i))
		refs = append(refs, put(f))
	}
	for i := range 38 {
		run(uint16(0x5500+i), 9, VerdictRedirect)
	}
	if err := d.collect(true); err != nil {
		t.Fatal(err)
	}
	run(0x5501, 10, VerdictRedirect)
	put(udpFlow(p1, 0, 7, out))
	if _, err := d.FlowPut(udpFlow(p1, 0, 0, out)); !errors.Is(err, datapath.ErrTooManyMask) {
		t.Fatalf("one mask too many: %v", err)
	}
	for _, r := range refs {
		if _, err := d.FlowDel(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.FlowDel(refs[0]); !errors.Is(err, datapath.ErrNoSuchFlow) {
		t.Fatalf("deleted twice: %v", err)
	}
	run(0x5500, 9, VerdictDrop)
	put(udpFlow(p1, 0, 0, out)) // the masks came back
	run(0x5500, 9, VerdictRedirect)

	// As many flows as fit, several times over.
	if err := d.FlowFlush(); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for i := range 1000 {
			put(udpFlow(p1, uint64(i+1), uint64(round+1), out))
		}
		for i := range 1000 {
			run(uint16(i+1), uint16(round+1), VerdictRedirect)
		}
		if _, err := d.FlowPut(udpFlow(p1, 2000, 1, out)); !errors.Is(err, datapath.ErrFull) {
			t.Fatalf("a flow too many: %v", err)
		}
		n := 0
		err := d.FlowDump(func(ref datapath.FlowRef, f *datapath.Flow, st datapath.FlowStats) bool {
			n++
			want := udpFlow(p1, f.Match.Key.Get(flow.UDPSrc), uint64(round+1), out)
			if diff := cmp.Diff(want, f); diff != "" || st.Packets != 1 {
				t.Errorf("dump: %+v %s", st, diff)
			}
			_, err := d.FlowDel(ref)
			return err == nil
		})
		if err != nil || n != 1000 {
			t.Fatalf("dumped %d: %v", n, err)
		}
	}
	st, err := d.Stats()
	if err != nil || st.Flows != 0 || st.Hit < 3000 {
		t.Errorf("stats %+v, %v", st, err)
	}
}

// TestFull fills a table of the default size and finds every flow in it.
func TestFull(t *testing.T) {
	l := newLab(t)
	o := small()
	o.MaxFlows = DefaultMaxFlows
	d := l.open(o)
	defer d.Close(true)
	p1 := l.port(d, "lo", datapath.PortNetdev)
	acts := []odp.Action{odp.Drop{}}
	for i := range DefaultMaxFlows {
		f := udpFlow(p1, uint64(i&0xffff)+1, uint64(i>>16)+1, acts...)
		if _, err := d.FlowPut(f); err != nil {
			t.Fatalf("flow %d: %v", i, err)
		}
	}
	for i := 0; i < DefaultMaxFlows; i += 97 {
		if _, err := d.TestRun(p1, udp(uint16(i&0xffff)+1, uint16(i>>16)+1), 0, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	hits, overflow := 0, uint64(0)
	d.FlowDump(func(_ datapath.FlowRef, _ *datapath.Flow, st datapath.FlowStats) bool {
		hits += int(st.Packets)
		return true
	})
	for i := range d.table.buckets.at {
		overflow += d.table.buckets.at[i].Overflow
	}
	t.Logf("%d flows are not in their first bucket", overflow)
	if want := (DefaultMaxFlows + 96) / 97; hits != want {
		t.Errorf("%d of %d packets hit", hits, want)
	}
	if err := d.FlowFlush(); err != nil {
		t.Fatal(err)
	}
	for i := range d.table.buckets.at {
		if d.table.buckets.at[i] != (bpf.DatapathBucket{}) {
			t.Fatalf("bucket %d is not empty: %v", i, d.table.buckets.at[i])
		}
	}
	if n := d.table.freeSlots.len(); n != len(d.table.slots.at) {
		t.Errorf("%d slots are free", n)
	}
}

func TestTCPFlags(t *testing.T) {
	l := newLab(t)
	d := l.open(small())
	defer d.Close(true)
	p1 := l.port(d, "lo", datapath.PortNetdev)
	f := udpFlow(p1, 0, 0, odp.Drop{})
	f.Match.Set(flow.NwProto, 6)
	ref, err := d.FlowPut(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range []byte{2, 0x10, 1} {
		b := append(udp(1, 2), make([]byte, 8)...)
		b[23], b[17], b[46], b[47] = 6, 40, 0x50, flags
		if _, err := d.TestRun(p1, b, 0, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if st, _ := d.FlowStats(ref); st.TCPFlags != 0x13 {
		t.Errorf("flags %x", st.TCPFlags)
	}
}
