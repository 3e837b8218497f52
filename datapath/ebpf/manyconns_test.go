package ebpf

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// manyConns is fewer than the maximum that the daemon takes (--ct-maxconns): -conns 1000000 takes 11 s of a CPU.
var manyConns = flag.Int("conns", 250000, "connections in TestManyConnections")

const (
	skbData    = 76 // in struct __sk_buff
	skbDataEnd = 80

	// Where the generator writes the number of a packet, and the first that it writes.
	frameSrc  = 26
	frameDst  = 30
	firstAddr = 10<<24 | 16<<16
)

// addressGenerator passes many packets to a program in one system call: each has another IPv4 address, from 10.16.0.0 on.
type addressGenerator struct {
	*ebpf.Program
	next *ebpf.Map // number of the next packet
	ways *ebpf.Map
}

func newAddressGenerator(t *testing.T, to *ebpf.Program, offset int16) *addressGenerator {
	t.Helper()
	g := &addressGenerator{}
	var err error
	if g.next, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 2}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.next.Close() })
	if g.ways, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.ways.Close() })
	if err := g.ways.Put(uint32(0), to); err != nil {
		t.Fatal(err)
	}
	const end = "end"
	get := func(key int64) asm.Instructions { // R0: the value
		return asm.Instructions{
			asm.StoreImm(asm.RFP, -4, key, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -4),
			asm.LoadMapPtr(asm.R1, g.next.FD()),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, end),
		}
	}
	prog := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	prog = append(prog, get(1)...)
	prog = append(prog, asm.LoadMem(asm.R7, asm.R0, 0, asm.Word))
	prog = append(prog, get(0)...)
	prog = append(prog,
		asm.LoadMem(asm.R8, asm.R0, 0, asm.Word),
		asm.JGE.Reg(asm.R8, asm.R7, end),
		asm.Mov.Reg(asm.R1, asm.R8),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, skbData, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, skbDataEnd, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, 34),
		asm.JGT.Reg(asm.R4, asm.R3, end),
		asm.Add.Imm(asm.R8, firstAddr),
		asm.HostTo(asm.BE, asm.R8, asm.Word),
		asm.StoreMem(asm.R2, offset, asm.R8, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, g.ways.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, VerdictDrop).WithSymbol(end),
		asm.Return(),
	)
	if g.Program, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: prog}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// send sends the packets with the numbers first to end as if port p had received them.
func (g *addressGenerator) send(c *ctLab, p odp.Port, data []byte, first, end int) {
	c.Helper()
	if err := g.next.Put(uint32(0), uint32(first)); err != nil {
		c.Fatal(err)
	}
	if err := g.next.Put(uint32(1), uint32(end)); err != nil {
		c.Fatal(err)
	}
	skb := make([]byte, skbSize)
	le.PutUint32(skb[skbIfindex:], uint32(c.d.ports[p].spec.Ifindex))
	for done := uint32(first); int(done) < end; { // a signal may end a run early
		if _, err := g.Run(&ebpf.RunOptions{Data: data, Context: skb, Repeat: uint32(end) - done}); err != nil {
			c.Fatal(err)
		}
		if err := g.next.Lookup(uint32(0), &done); err != nil {
			c.Fatal(err)
		}
	}
}

// expect puts a flow of the tracked packets of a port with a state, which go to the other port.
func (c *ctLab) expect(in, out odp.Port, want conntrack.State) {
	c.Helper()
	f := datapath.Flow{Actions: []odp.Action{odp.Output{Port: out}}}
	f.Match.Set(flow.InPortOXM, uint64(in))
	f.Match.Set(flow.RecircID, 1)
	f.Match.Set(flow.CTState, uint64(want))
	if _, err := c.d.FlowPut(&f); err != nil {
		c.Fatal(err)
	}
}

// passed is how many packets of a port had a state since it was asked last.
func (c *ctLab) passed(in odp.Port, state conntrack.State) (n uint64) {
	c.Helper()
	if err := c.d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, s datapath.FlowStats) bool {
		if f.Match.Key.Get(flow.InPortOXM) == uint64(in) && f.Match.Key.Get(flow.RecircID) == 1 && conntrack.State(f.Match.Key.Get(flow.CTState)) == state {
			n = s.Packets
		}
		return true
	}); err != nil {
		c.Fatal(err)
	}
	return n
}

// ctMemory is what the maps of connections take, as the kernel tells.
func (c *ctLab) ctMemory() (bytes int) {
	c.Helper()
	for name, m := range c.d.coll.Maps {
		if !carriedMap(name) {
			continue
		}
		f, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", m.FD()))
		if err != nil {
			c.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var n int
			if _, err := fmt.Sscanf(s.Text(), "memlock: %d", &n); err == nil {
				bytes += n
			}
		}
		f.Close()
	}
	return bytes
}

const (
	trackedNew   = conntrack.Tracked | conntrack.New
	trackedEst   = conntrack.Tracked | conntrack.Established
	trackedReply = trackedEst | conntrack.Reply
)

// handshake are the segments that open a connection from the first address.
type handshake struct{ syn, synACK, ack talk }

// handshakes has flows that count the packets by their state, and commit those of port a.
func (c *ctLab) handshakes(act odp.CT) (h handshake) {
	c.Helper()
	if err := c.d.FlowFlush(); err != nil {
		c.Fatal(err)
	}
	c.put(c.a, 0, act, odp.Recirc{ID: 1})
	c.put(c.b, 0, odp.CT{Zone: act.Zone}, odp.Recirc{ID: 1})
	c.expect(c.a, c.b, trackedNew)
	c.expect(c.a, c.b, trackedEst)
	c.expect(c.b, c.a, trackedReply)
	h.syn = talk{src: []byte{10, 16, 0, 0}, dst: []byte{10, 0, 0, 2}, proto: packet.ProtoTCP, sport: 5000, dport: 80, seq: 100, window: 60000, flags: syn}
	h.synACK = talk{src: h.syn.dst, dst: h.syn.src, proto: packet.ProtoTCP, sport: 80, dport: 5000, seq: 500, ack: 101, window: 60000, flags: syn | ack}
	h.ack = h.syn
	h.ack.seq, h.ack.ack, h.ack.flags = 101, 501, ack
	return h
}

// TestManyConnections fills the table to the daemon's greatest maximum, looks all connections up in both directions, has a
// flood push at them, dumps them, lets them expire and flushes them.
func TestManyConnections(t *testing.T) {
	n := *manyConns
	o := small()
	o.MaxConns = n
	act := odp.CT{Commit: true, Zone: 7, Timeout: "long"}
	c := newCTLab(t, o, act)
	ct := c.d.Conntrack()
	times := func(seconds uint32) {
		t.Helper()
		var all conntrack.Timeouts
		for i := range all {
			all[i] = seconds
		}
		if err := ct.SetTimeouts("long", &all); err != nil {
			t.Fatal(err)
		}
	}
	times(100000)
	began := time.Now()
	lap := func(what string) {
		t.Helper()
		t.Logf("%s: %.2f s", what, time.Since(began).Seconds())
		began = time.Now()
	}
	h := c.handshakes(act)
	srcs, dsts := newAddressGenerator(t, c.d.coll.Programs["ingress"], frameSrc), newAddressGenerator(t, c.d.coll.Programs["ingress"], frameDst)
	empty := c.ctMemory()
	lap("start")

	srcs.send(c, c.a, h.syn.bytes(true), 0, n)
	lap("SYN")
	if got := c.count(); got != n || c.passed(c.a, trackedNew) != uint64(n) {
		t.Fatalf("%d connections by %d packets, want %d; %+v", got, c.passed(c.a, trackedNew), n, c.counters())
	}
	full := c.ctMemory()
	t.Logf("%d bytes for a possible connection, %d for each that is there", empty/n, (full-empty)/n)
	if full > 600*n {
		t.Errorf("%d bytes a connection", full/n)
	}
	dsts.send(c, c.b, h.synACK.bytes(true), 0, n)
	lap("SYN+ACK")
	srcs.send(c, c.a, h.ack.bytes(true), 0, n)
	lap("ACK")
	if a, b := c.passed(c.a, trackedEst), c.passed(c.b, trackedReply); a != uint64(n) || b != uint64(n) {
		t.Errorf("%d and %d packets of established connections, want %d", a, b, n)
	}

	// There is no room, and none is made.
	flood := h.syn
	flood.sport = 6000
	srcs.send(c, c.a, flood.bytes(true), 0, 10000)
	lap("flood")
	if got, full := c.count(), c.counters().Full; got != n || full != 10000 {
		t.Errorf("%d connections after a flood, %d packets dropped", got, full)
	}

	found, zone := 0, uint16(8)
	if err := ct.Dump(func(e *conntrack.Entry) bool {
		if e.TCP[0].State == conntrack.TCPEstablished && e.TCP[1].State == conntrack.TCPEstablished {
			found++
		}
		return true
	}); err != nil || found != n {
		t.Errorf("%d established connections in the dump, %v", found, err)
	}
	lap("dump")
	if removed, err := ct.Flush(&conntrack.Filter{Zone: &zone}); err != nil || removed != 0 {
		t.Errorf("flush of another zone: %d, %v", removed, err)
	}
	lap("flush of another zone")

	// Half of them is silent from now on.
	times(1)
	srcs.send(c, c.a, h.ack.bytes(true), 0, n/2)
	lap("ACK")
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if got := c.count(); got == n-n/2 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d connections have not expired", got)
		}
	}
	lap("expiry")
	if s := c.state(c.send(c.a, h.ack)); s != trackedNew {
		t.Errorf("a packet of an expired connection: state %#x", s)
	}
	removed, err := ct.Flush(&conntrack.Filter{})
	if err != nil || removed < n-n/2 || c.count() != 0 {
		t.Errorf("%d connections flushed, %v; %d are left", removed, err, c.count())
	}
	lap("flush")
	var key, ref []byte
	if it := c.d.coll.Maps["ct_index"].Iterate(); it.Next(&key, &ref) {
		t.Errorf("the index has %x", key)
	}
	if left := c.ctMemory(); left > empty+full/100 {
		t.Errorf("%d bytes are still used, %d at first", left, empty)
	}
}

// TestSYNFlood has SYNs of ten times as many sources as there is room for push at connections that are established, and
// packets of these on another CPU meanwhile. All of them pass as established, and new connections can be made.
func TestSYNFlood(t *testing.T) {
	const room, conns, rounds = 4096, 3000, 20
	o := small()
	o.MaxConns = room
	c := newCTLab(t, o, odp.CT{})
	h := c.handshakes(odp.CT{Commit: true, Zone: 7})
	ingress := c.d.coll.Programs["ingress"]
	srcs, dsts, attack := newAddressGenerator(t, ingress, frameSrc), newAddressGenerator(t, ingress, frameDst), newAddressGenerator(t, ingress, frameSrc)
	srcs.send(c, c.a, h.syn.bytes(true), 0, conns)
	dsts.send(c, c.b, h.synACK.bytes(true), 0, conns)
	srcs.send(c, c.a, h.ack.bytes(true), 0, conns)

	var wg sync.WaitGroup
	wg.Go(func() {
		flood := h.syn
		flood.sport = 6000
		attack.send(c, c.a, flood.bytes(true), 0, 10*room)
	})
	for range rounds {
		srcs.send(c, c.a, h.ack.bytes(true), 0, conns)
	}
	wg.Wait()
	if n := c.passed(c.a, trackedEst); n != conns*(rounds+1) {
		t.Errorf("%d of %d packets passed as established", n, conns*(rounds+1))
	}
	if n := c.passed(c.a, trackedNew); n != conns+10*room {
		t.Errorf("%d of %d SYNs passed", n, conns+10*room)
	}
	if n, out := c.count(), c.counters().Displaced; n != room || out < 9*room {
		t.Errorf("%d connections, room for %d; %d gave way", n, room, out)
	}
	h.syn.sport, h.synACK.dport, h.ack.sport = 7000, 7000, 7000
	for i := range 100 { // one by one: those that begin in the moment of the flood may give way, too
		srcs.send(c, c.a, h.syn.bytes(true), i, i+1)
		dsts.send(c, c.b, h.synACK.bytes(true), i, i+1)
	}
	if n := c.passed(c.b, trackedReply); n != conns+100 {
		t.Errorf("%d answers to new connections after the flood, want 100", int(n)-conns)
	}
	established := 0
	if err := c.d.Conntrack().Dump(func(e *conntrack.Entry) bool {
		if e.Orig.SrcPort == 5000 && e.TCP[1].State == conntrack.TCPEstablished {
			established++
		}
		return true
	}); err != nil || established != conns {
		t.Errorf("%d of %d connections are whole, %v", established, conns, err)
	}
}
