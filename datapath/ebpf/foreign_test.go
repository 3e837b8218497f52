package ebpf

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// TestLayoutChange opens the datapath with maps of another layout, time and again, under traffic of installed flows, one of
// which makes a changed copy of each packet: nothing may be lost, missed or left, and the counters go on.
func TestLayoutChange(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		l := newLab(t)
		l.host("h1", 1)
		l.host("h2", 2)
		l.in("h1", "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev e0")
		l.in("h2", "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev e0")
		o := small()
		o.PinDir, o.clsact = l.pins(), clsact
		d := l.open(o)
		p1, p2 := l.port(d, "h1", datapath.PortNetdev), l.port(d, "h2", datapath.PortNetdev)
		there := &datapath.Flow{Actions: []odp.Action{odp.PopVLAN{}, odp.Output{Port: p2}}}
		there.Match.Set(flow.InPort, uint64(p1))
		there.Match.Set(flow.EthType, 0x800)
		// The way back is by a clone that the inject program runs.
		back := &datapath.Flow{Actions: []odp.Action{
			odp.Clone{Actions: []odp.Action{odp.Set{Fields: []odp.FieldSet{{Field: flow.NwTTL, Value: []byte{9}}}}, odp.Output{Port: p1}}},
			odp.PopVLAN{},
		}}
		back.Match.Set(flow.InPort, uint64(p2))
		back.Match.Set(flow.EthType, 0x800)
		back.Match.Set(flow.IPv6Src, 0)
		for _, f := range []*datapath.Flow{there, back} {
			if _, err := d.FlowPut(f); err != nil {
				t.Fatal(err)
			}
		}
		const pings = 1500
		ping := exec.Command("ip", "netns", "exec", l.name+"h1", "ping", "-i", "0.002", "-c", "1500", "10.0.0.2")
		var out strings.Builder
		ping.Stdout = &out
		if err := ping.Start(); err != nil {
			t.Fatal(err)
		}
		missed := uint64(0)
		for range 6 {
			st, err := d.Stats()
			if err != nil {
				t.Fatal(err)
			}
			missed += st.Missed
			d.Close(false)
			o.MaxFlows = 4096 + 8192 - o.MaxFlows
			d = l.open(o)
		}
		ping.Wait()
		if n := loss(out.String()); n != 0 || strings.Contains(out.String(), "ttl=64") {
			t.Errorf("clsact=%t: lost %d: %s", clsact, n, out.String())
		}
		st, err := d.Stats()
		if missed += st.Missed; err != nil || missed > 50 || st.Flows != 2 {
			t.Errorf("clsact=%t: %d missed; %+v, %v", clsact, missed, st, err)
		}
		d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, st datapath.FlowStats) bool {
			if st.Packets != pings || st.Bytes != pings*98 || st.Used == 0 {
				t.Errorf("clsact=%t: %v counted %+v", clsact, f.Actions, st)
			}
			return true
		})
		for _, n := range []odp.Port{p1, p2} {
			if c, err := d.PortStats(n); err != nil || c.RxPackets < pings || c.RxPackets > pings+200 || c.TxPackets < pings {
				t.Errorf("clsact=%t: port %d counted %+v, %v", clsact, n, c, err)
			}
		}
		if ents, _ := os.ReadDir(o.PinDir); len(ents) != 1 {
			t.Errorf("clsact=%t: pin directory has %v", clsact, ents)
		}
		if n := strings.Count(l.sh("ip -o link"), "ovs-in-"); n != 1 {
			t.Errorf("clsact=%t: %d devices for copies", clsact, n)
		}
		if err := d.Close(true); err != nil {
			t.Error(err)
		}
		l.clean(t, "h1", "h2")
	}
}

// TestFormat compares what the next layout will be told of this one with the types.
func TestFormat(t *testing.T) {
	var slot bpf.DatapathFlowSlot
	var sub bpf.DatapathSubtable
	got := format{
		slot: int(unsafe.Sizeof(slot)), counts: int(unsafe.Offsetof(slot.Packets)), key: int(unsafe.Offsetof(slot.Key)), keyWords: len(slot.Key),
		tail:     int(unsafe.Sizeof(bpf.DatapathKeyTail{})),
		subtable: int(unsafe.Sizeof(sub)), wordsLen: int(unsafe.Sizeof(sub.Words)), mask: int(unsafe.Offsetof(sub.Mask)), maskIdx: int(unsafe.Offsetof(sub.Idx)),
		port: int(unsafe.Sizeof(bpf.DatapathPort{})), cpuHead: portsOffset, cpuPort: int(unsafe.Sizeof(bpf.DatapathPortCounts{})),
		inject: int(unsafe.Offsetof(bpf.DatapathDpConfig{}.InjectIfindex)),
	}
	if diff := cmp.Diff(formats[layoutVersion], got, cmp.AllowUnexported(format{})); diff != "" {
		t.Error(diff)
	}
}

// TestLayout3 takes over from maps of version 3, written here as that version had them.
func TestLayout3(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	o := small()
	o.PinDir = l.pins()
	dir := filepath.Join(o.PinDir, "v3_0123456789abcdef")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("h1")
	if err != nil {
		t.Fatal(err)
	}
	dev := link.Attrs().Index
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	array := func(name string, size, n int, values map[uint32][]byte) {
		t.Helper()
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(n), Flags: unix.BPF_F_MMAPABLE})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for k, v := range values {
			if err := m.Put(k, append(v, make([]byte, size-len(v))...)); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Pin(filepath.Join(dir, "map_"+name)); err != nil {
			t.Fatal(err)
		}
	}
	le := func(vs ...any) (b []byte) {
		for _, v := range vs {
			b, _ = binary.Append(b, ne, v)
		}
		return b
	}
	name := [16]byte{'h', '1'}
	array("ports", 64, 8, map[uint32][]byte{5: le(uint32(dev), uint32(0), uint32(1), uint32(1), name, name)})
	array("config", 208, 1, map[uint32][]byte{0: le(uint32(3), uint32(1))})
	array("orders", 520, 2, map[uint32][]byte{1: le(uint32(1), uint32(0), uint16(2))})
	// A mask of nine words: in_port, the IPv6 addresses and others.
	idx := [24]byte{0, 1, 5, 6, 8, 9, 10, 11, 16}
	var mask, key [22]uint64
	for i := range 9 {
		mask[i], key[i] = ^uint64(0), uint64(i)<<32
	}
	key[0] = 5 << 24 // in_port 5, big-endian
	array("subtables", 208, 256, map[uint32][]byte{2: le(uint32(9), uint32(1), idx, mask)})
	output := actWord(uint8(bpf.DatapathActOpACT_OUTPUT)|opLast, 0, 0, 5)
	array("slots", 192, 16, map[uint32][]byte{7: le(uint32(3), uint32(0), output, key), 8: le(uint32(200), uint32(0), output, key)})
	array("acts", 64, 64, map[uint32][]byte{7: le(output, uint64(0))})
	array("stats", 32, 16*3, map[uint32][]byte{
		7 * 3: le(uint64(10), uint64(1000), uint64(0), uint64(2)), 7*3 + 2: le(uint64(1), uint64(60), uint64(0), uint64(0x10)),
	})
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 416, MaxEntries: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	per := make([][]byte, cpus)
	for i := range per {
		per[i] = append(le(uint64(3), uint64(300)), make([]byte, 400)...)
	}
	if err := m.Put(uint32(5), per); err != nil {
		t.Fatal(err)
	}
	if err := m.Pin(filepath.Join(dir, "map_port_stat")); err != nil {
		t.Fatal(err)
	}

	d := l.open(o)
	if n := l.port(d, "h1", datapath.PortNetdev); n != 5 {
		t.Errorf("h1 is port %d", n)
	}
	if st, err := d.PortStats(5); err != nil || st.RxPackets < 3*uint64(cpus) || st.RxBytes < 300*uint64(cpus) {
		t.Errorf("counters of the port: %+v, %v", st, err)
	}
	n := 0
	d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, st datapath.FlowStats) bool {
		n++
		if out, ok := f.Actions[0].(odp.Output); len(f.Actions) != 1 || !ok || out.Port != 5 {
			t.Errorf("actions %v", f.Actions)
		}
		for i := range 9 {
			if f.Match.Mask[idx[i]] != mask[i] || f.Match.Key[idx[i]] != key[i] {
				t.Errorf("word %d: %x/%x", idx[i], f.Match.Key[idx[i]], f.Match.Mask[idx[i]])
			}
		}
		if st.Packets != 11 || st.Bytes != 1060 || st.TCPFlags != 0x12 {
			t.Errorf("counted %+v", st)
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d flows", n)
	}
	if ents, _ := os.ReadDir(o.PinDir); len(ents) != 1 {
		t.Errorf("pin directory has %v", ents)
	}
	if err := d.Close(true); err != nil {
		t.Error(err)
	}
}
