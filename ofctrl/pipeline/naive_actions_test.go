package pipeline

import (
	"fmt"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// What the naive switch knows of actions beside those of the packet's headers: meters, learn, conntrack.

// meterIDs are the meters of both bridges; any packet passes.
var meterIDs = []uint32{1, 2}

func (r *recorder) Meter(id uint32, _ *packet.Packet) bool {
	r.out = append(r.out, fmt.Sprintf("meter %d", id))
	return true
}

// Track is a connection tracker to which each packet is the first of its connection.
func (r *recorder) Track(pkt *packet.Packet, key *flow.Key, a *odp.CT) bool {
	r.out = append(r.out, trackText(a.Zone, a.Commit, a.Mark, pkt.Data))
	track(key, a.Zone, a.Mark)
	return true
}

func trackText(zone uint16, commit bool, mark *[2]uint32, data []byte) string {
	s := fmt.Sprintf("ct zone %d commit %v", zone, commit)
	if mark != nil {
		s += fmt.Sprintf(" mark %x/%x", mark[0], mark[1])
	}
	return fmt.Sprintf("%s %x", s, data)
}

func track(key *flow.Key, zone uint16, mark *[2]uint32) {
	conntrack.Clear(key)
	key.Set(flow.CTState, 0x21)
	key.Set(flow.CTZone, uint64(zone))
	if mark != nil {
		key.Set(flow.CTMark, uint64(mark[0]))
	}
}

// fakeMeterer is the part of a datapath that has meters.
type fakeMeterer struct{}

func (fakeMeterer) MeterLimits() datapath.MeterLimits {
	return datapath.MeterLimits{Meters: 10, Bands: 1}
}
func (fakeMeterer) MeterIDs() []uint32 { return nil }
func (fakeMeterer) MeterSet(uint32, datapath.MeterConfig) error {
	return nil
}
func (fakeMeterer) MeterDel(uint32) error { return nil }
func (fakeMeterer) MeterStats(uint32) (datapath.MeterStats, error) {
	return datapath.MeterStats{}, nil
}

// learnedFlow names a flow that a learn action made.
type learnedFlow struct {
	bridge   int
	priority int
	match    string
}

// learn is that of learnAction.
func (n *naive) learn(a openflow.Learn) {
	var dst [6]byte
	n.key.GetBytes(flow.EthSrc, dst[:0])
	n.learned[learnedFlow{n.br, int(a.Priority), fmt.Sprintf("%x", dst)}] = fmt.Sprintf("cookie %d reg2 %08x", a.Cookie, n.key.Get(flow.Reg0))
}

// learnTable is the one that all learn actions are about.
const learnTable = 5

func (g *generator) learnAction() openflow.Action {
	return openflow.Learn{
		Table: learnTable, Priority: uint16(1 + g.n(2)), Cookie: uint64(g.n(2)),
		Specs: []openflow.LearnSpec{
			{Dst: learnMatch, Src: field("eth_src"), To: sub("eth_dst"), Bits: 48},
			{Dst: learnLoad, Src: field("reg0"), To: sub("reg2"), Bits: 32},
		},
	}
}

// learnedFlows are those in the tables.
func (w *world) learnedFlows() map[learnedFlow]string {
	out := make(map[learnedFlow]string)
	for i, b := range []*fakeBridge{w.br0, w.br1} {
		sel := table.All()
		sel.Table = learnTable
		b.tables.Each(sel, func(r *table.Rule) {
			m := r.Match()
			out[learnedFlow{i, r.Priority, fmt.Sprintf("%x", m.Key.GetBytes(flow.EthDst, nil))}] =
				fmt.Sprintf("cookie %d reg2 %x", r.Cookie, r.Actions[0].(openflow.Load).Value)
		})
	}
	return out
}

// ctAction makes a ct action without translation.
func (g *generator) ctAction() openflow.Action {
	a := openflow.CT{Commit: g.n(2) == 0, ZoneImm: uint16(g.n(3)), RecircTable: openflow.TableAll}
	if g.n(2) == 0 {
		a.RecircTable = uint8(g.n(3))
	}
	if g.n(4) == 0 {
		s := sub("reg0[0..15]")
		a.ZoneSrc = &s
	}
	if a.Commit && g.n(2) == 0 {
		a.Actions = []openflow.Action{
			openflow.SetField{Field: flow.CTMark, Value: []byte{0, 0, 0, 5}, Mask: []byte{0, 0, 0, 7}},
			openflow.Move{Src: sub("reg0[0..3]"), Dst: sub("ct_mark[4..7]")},
		}[:1+g.n(2)]
	}
	return a
}

// ct has a copy of the packet go on in a table when all else is done.
func (n *naive) ct(a openflow.CT) {
	zone := a.ZoneImm
	if a.ZoneSrc != nil {
		zone = uint16(a.ZoneSrc.Uint(&n.key))
	}
	var mark *[2]uint32
	if len(a.Actions) > 0 {
		mark = &[2]uint32{5, 7}
	}
	if len(a.Actions) > 1 {
		mark[0] |= uint32(n.key.Get(flow.Reg0)&0xf) << 4
		mark[1] |= 0xf0
	}
	n.emitted++
	n.out = append(n.out, trackText(zone, a.Commit, mark, n.pkt.Data))
	if a.RecircTable != openflow.TableAll {
		n.copy(func() {
			fork := *n
			track(&fork.key, zone, mark)
			fork.table = a.RecircTable
			n.later = append(n.later, &fork)
		})
	}
	conntrack.Clear(&n.key)
}

// resume is what a fork does. What fails leaves nothing.
func (n *naive) resume() {
	out := len(n.out)
	n.depth, n.resubmits, n.branches = 0, 0, 0
	n.exit, n.missRule, n.inSet, n.inGroup = false, false, false, false
	n.unknown = n.unknown || n.deep // the key of the packet as it comes back shows other things
	n.start = n.key
	packet.Reextract(n.pkt.Data, &n.start)
	n.hash = new(hashOnce)
	later := len(n.later)
	if r := n.lookup(n.table, n.in()); r != nil {
		n.rule(r, false)
	}
	if !n.failed {
		n.actionSet()
	}
	if n.failed {
		n.out, n.later = n.out[:out], n.later[:later]
	}
}

// maxForks is when a packet that goes in circles is left alone.
const maxForks = 30

// resumeAll resumes the forks in the order in which they were made.
func (n *naive) resumeAll() {
	for forks := 0; len(n.later) > 0; forks++ {
		if forks == maxForks {
			n.unknown = true
			return
		}
		f := n.later[0]
		f.out, f.later, f.emitted = n.out, slices.Clone(n.later[1:]), n.emitted
		f.failed = false
		f.resume()
		n.out, n.later, n.emitted = f.out, f.later, f.emitted
		n.failed, n.deep, n.unknown = n.failed || f.failed, n.deep || f.deep, n.unknown || f.unknown
	}
}
