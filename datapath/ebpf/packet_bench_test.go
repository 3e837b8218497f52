package ebpf

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// packetBench runs programs on one packet in the kernel, next to one that only redirects.
type packetBench struct {
	d    *Datapath
	n    odp.Port // a veth whose peer is in another namespace
	bare *ebpf.Program
	prog *ebpf.Program
	data []byte
}

// newPacketBench has a clock that stands still: the order of the subtables stays as it is.
func newPacketBench(b *testing.B) *packetBench {
	b.Helper()
	ns, dev := fmt.Sprintf("obp%d", os.Getpid()), fmt.Sprintf("obp%d", os.Getpid())
	for _, c := range [][]string{
		{"netns", "add", ns}, {"link", "add", dev, "type", "veth", "peer", "name", "e0", "netns", ns},
		{"link", "set", dev, "up"}, {"-n", ns, "link", "set", "e0", "up"},
	} {
		if out, err := exec.Command("ip", c...).CombinedOutput(); err != nil {
			b.Fatalf("ip %v: %v: %s", c, err, out)
		}
	}
	b.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	d, err := Open(context.Background(), Options{
		Name: "bench", MaxFlows: 4096, MaxPorts: 64, RingBytes: 1 << 20, Handlers: 1, Clock: clock.NewManual(time.Unix(1, 0)),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close(true) })
	n, err := d.PortAdd(datapath.PortSpec{Name: dev, Number: odp.PortNone})
	if err != nil {
		b.Fatal(err)
	}
	link, err := netlink.LinkByName(dev)
	if err != nil {
		b.Fatal(err)
	}
	bare, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, int32(link.Attrs().Index)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { bare.Close() })
	return &packetBench{d: d, n: n, bare: bare, prog: d.coll.Programs["ingress"], data: udp(1, 2)}
}

// withoutCache replaces the ingress program by one that has no cache of flows.
func (p *packetBench) withoutCache(b *testing.B) {
	b.Helper()
	spec, err := p.d.sized()
	if err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables["hash_mul"].Set(p.d.table.config.at[0].HashMul); err != nil {
		b.Fatal(err)
	}
	if err := spec.Variables["use_cache"].Set(uint32(0)); err != nil {
		b.Fatal(err)
	}
	for i := range p.d.cpuMem.n {
		clear(p.d.cpuMem.at(i).Cache[:])
	}
	shared := map[string]*ebpf.Map{}
	for name, m := range p.d.coll.Maps {
		if !fresh(name) {
			shared[name] = m
		}
	}
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: shared})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	if err := c.Maps["progs"].Put(uint32(bpf.DatapathProgIndexPROG_ACTIONS), c.Programs["actions"]); err != nil {
		b.Fatal(err)
	}
	if err := c.Maps["progs"].Put(uint32(bpf.DatapathProgIndexPROG_MORE), c.Programs["more"]); err != nil {
		b.Fatal(err)
	}
	p.prog = c.Programs["ingress"]
}

const (
	turns   = 15     // turns, of which the quickest counts: others were interrupted
	perTurn = 100000 // packets
)

// time measures a program in nanoseconds per packet, the kernel's own work for a test run included.
func (p *packetBench) time(b *testing.B, prog *ebpf.Program) float64 {
	b.Helper()
	skb := make([]byte, skbSize)
	ifindex := uint32(p.d.ports[p.n].spec.Ifindex)
	skb[skbIfindex], skb[skbIfindex+1], skb[skbIfindex+2] = byte(ifindex), byte(ifindex>>8), byte(ifindex>>16)
	var took time.Duration
	if err := pinned(func(int) error {
		start := time.Now()
		_, err := prog.Run(&ebpf.RunOptions{Data: p.data, Context: skb, Repeat: perTurn})
		took = time.Since(start)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	return float64(took.Nanoseconds()) / perTurn
}

// compare measures the program and the bare redirect in turns.
func (p *packetBench) compare(b *testing.B) {
	b.Helper()
	bare, ours := math.Inf(1), math.Inf(1)
	for range turns {
		bare, ours = min(bare, p.time(b, p.bare)), min(ours, p.time(b, p.prog))
	}
	b.ReportMetric(ours, "ns/packet")
	b.ReportMetric(ours-bare, "ns-above-redirect")
	b.ReportMetric(0, "ns/op") // meaningless here
}

func (p *packetBench) put(b *testing.B, f *datapath.Flow) {
	b.Helper()
	if _, err := p.d.FlowPut(f); err != nil {
		b.Fatal(err)
	}
}

// forwarded are the flows of the packet with a mask of ordinary length.
func (p *packetBench) flow(actions ...odp.Action) *datapath.Flow {
	f := udpFlow(p.n, 1, 2, actions...)
	f.Match.Set(flow.EthDst, 0x020000000002)
	f.Match.Set(flow.EthSrc, 0x020000000001)
	return f
}

// tcp is the flow of all TCP packets.
func (p *packetBench) tcp(b *testing.B, recirc uint32, actions ...odp.Action) {
	b.Helper()
	f := &datapath.Flow{Actions: actions}
	f.Match.Set(flow.InPortOXM, uint64(p.n))
	f.Match.Set(flow.RecircID, uint64(recirc))
	f.Match.Set(flow.EthType, packet.EthTypeIPv4)
	f.Match.Set(flow.NwProto, packet.ProtoTCP)
	f.Match.Set(flow.IPFrag, 0)
	if recirc != 0 {
		f.Match.Set(flow.CTState, uint64(conntrack.Established|conntrack.Tracked))
		f.Match.Mask.Set(flow.CTState, uint64(conntrack.Established|conntrack.Tracked|conntrack.New|conntrack.Invalid))
	}
	p.put(b, f)
}

// established has the handshake of a connection tracked, and returns a packet of it that can come any number of times.
func (p *packetBench) established(b *testing.B, act odp.CT) []byte {
	b.Helper()
	var f datapath.Flow
	f.Match.Set(flow.InPortOXM, uint64(p.n))
	f.Actions = []odp.Action{act, odp.Output{Port: p.n}}
	ref, err := p.d.FlowPut(&f)
	if err != nil {
		b.Fatal(err)
	}
	k := talk{src: []byte{10, 0, 0, 1}, dst: []byte{10, 0, 0, 2}, proto: packet.ProtoTCP, sport: 5000, dport: 80, seq: 100, window: 60000, flags: syn}
	r := talk{src: k.dst, dst: k.src, proto: packet.ProtoTCP, sport: 80, dport: 5000, seq: 500, ack: 101, window: 60000, flags: syn | ack}
	last := k
	last.seq, last.ack, last.flags = 101, 501, ack
	for _, t := range []talk{k, r, last} {
		if _, err := p.d.TestRun(p.n, t.bytes(true), 0, 0, 1); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := p.d.FlowDel(ref); err != nil {
		b.Fatal(err)
	}
	return last.bytes(true)
}

// masks puts n-1 masks before that of the packet's flow.
func (p *packetBench) masks(b *testing.B, n int) {
	b.Helper()
	if err := p.d.FlowFlush(); err != nil {
		b.Fatal(err)
	}
	if err := p.d.collect(true); err != nil { // the masks leave the order of search, too
		b.Fatal(err)
	}
	for i := range n - 1 {
		f := p.flow(odp.Drop{})
		// Prefixes of addresses that the packet has not.
		f.Match.Set(flow.IPv4Src, 11<<24)
		f.Match.Set(flow.IPv4Dst, 11<<24)
		f.Match.Mask.Set(flow.IPv4Src, math.MaxUint32<<(i%16)&math.MaxUint32)
		f.Match.Mask.Set(flow.IPv4Dst, math.MaxUint32<<(i/16)&math.MaxUint32)
		p.put(b, f)
	}
	p.put(b, p.flow(odp.Output{Port: p.n}))
}

// tried is how many subtables a packet looks at.
func (p *packetBench) tried(b *testing.B) float64 {
	b.Helper()
	before, err := p.d.Stats()
	if err != nil {
		b.Fatal(err)
	}
	p.time(b, p.prog)
	after, err := p.d.Stats()
	if err != nil {
		b.Fatal(err)
	}
	return float64(after.MaskHit-before.MaskHit) / perTurn
}

// BenchmarkPacket measures the way of a packet through the ingress program by BPF_PROG_TEST_RUN: nanoseconds,
// and those above a program that does nothing but redirect.
func BenchmarkPacket(b *testing.B) {
	p := newPacketBench(b)
	out := odp.Output{Port: p.n}
	set := func(id flow.FieldID, v ...byte) odp.Action {
		return odp.Set{Fields: []odp.FieldSet{{Field: id, Value: v}}}
	}
	for _, c := range []struct {
		name    string
		actions []odp.Action
	}{
		{"output", []odp.Action{out}},
		{"drop", []odp.Action{odp.Drop{}}},
		{"set eth", []odp.Action{set(flow.EthDst, 2, 0, 0, 0, 0, 2), out}},
		{"set ipv4", []odp.Action{set(flow.IPv4Src, 10, 0, 0, 1), out}},
		{"set ttl", []odp.Action{set(flow.NwTTL, 64), out}},
		{"set udp", []odp.Action{set(flow.UDPSrc, 0, 1), out}},
		{"set mark", []odp.Action{set(flow.PktMark, 0, 0, 0, 1), out}},
		{"set priority", []odp.Action{set(flow.SkbPriority, 0, 0, 0, 1), out}},
		{"push and pop VLAN", []odp.Action{odp.PushVLAN{TPID: 0x8100, TCI: 0x1005}, odp.PopVLAN{}, out}},
		{"copy", []odp.Action{out, out}},
	} {
		b.Run("cached/"+c.name, func(b *testing.B) {
			if err := p.d.FlowFlush(); err != nil {
				b.Fatal(err)
			}
			p.put(b, p.flow(c.actions...))
			p.compare(b)
		})
	}
	b.Run("cached/recirculate", func(b *testing.B) {
		if err := p.d.FlowFlush(); err != nil {
			b.Fatal(err)
		}
		p.put(b, p.flow(odp.Hash{}, odp.Recirc{ID: 7}))
		f := p.flow(out)
		f.Match.Set(flow.RecircID, 7)
		p.put(b, f)
		p.compare(b)
	})
	for _, act := range []struct {
		name string
		odp.CT
	}{
		{"no ct", odp.CT{}},
		{"ct", odp.CT{Commit: true, Zone: 1}},
	} {
		b.Run("established TCP/"+act.name, func(b *testing.B) {
			if err := p.d.FlowFlush(); err != nil {
				b.Fatal(err)
			}
			p.data = p.established(b, act.CT)
			defer func() { p.data = udp(1, 2) }()
			p.tcp(b, 0, out)
			if act.Commit {
				p.tcp(b, 0, act.CT, odp.Recirc{ID: 7})
				p.tcp(b, 7, out)
			}
			p.compare(b)
		})
	}
	p.withoutCache(b)
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		b.Run(fmt.Sprintf("uncached/mask %d", n), func(b *testing.B) {
			p.masks(b, n)
			if got := p.tried(b); got != float64(n) {
				b.Fatalf("%g subtables tried, want %d", got, n)
			}
			p.compare(b)
		})
	}
}
