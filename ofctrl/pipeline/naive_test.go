package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// naive is an OpenFlow switch that knows nothing of masks and megaflows: each packet walks
// through the tables, and each action changes its bytes at once.
type naive struct {
	s   *scene
	w   *world
	out []string

	br               int
	pkt              packet.Packet
	key              flow.Key // with an OpenFlow in_port
	tags             []VLAN
	table            uint8
	depth, resubmits int
	branches         int
	exit, failed     bool
	missRule         bool
	inSet            bool
	set              []openflow.Action
	stack            [][]byte
	// deep says that the packet has got what its key does not show: a third tag, or the fields of neighbour discovery that
	// a change of its ICMPv6 type revealed.
	deep bool
	// inGroup: a bucket runs. hash is the datapath's, by the first group that wants one.
	inGroup bool
	hash    *hashOnce
	// unknown: a bucket was chosen by a hash that only translation knows.
	unknown bool
	// emitted counts what came out, also in branches that the packet does not take: near the limit of datapath actions,
	// which only translation knows, it is unknown what happens.
	emitted int
	// start is the datapath's key, of which a group's hash is.
	start flow.Key
	// later are the copies that ct sends to a table.
	later []*naive
	// learned are the flows that learn actions made.
	learned map[learnedFlow]string
}

type hashOnce struct {
	done  bool
	value uint32
}

func (n *naive) bridge() *fakeBridge { return []*fakeBridge{n.w.br0, n.w.br1}[n.br] }

func (n *naive) emit(port any) {
	n.emitted++
	n.out = append(n.out, fmt.Sprintf("%v %x", port, n.pkt.Data))
}

// saved is what a copy of the packet does not share with it.
func (n *naive) copy(f func()) {
	was := *n
	n.pkt = *n.pkt.Clone()
	n.tags = append([]VLAN(nil), n.tags...)
	n.set = append([]openflow.Action(nil), n.set...)
	n.stack = append([][]byte(nil), n.stack...)
	f()
	was.branches, was.emitted, was.later = n.branches, n.emitted, n.later
	was.out, was.resubmits, was.failed, was.deep = n.out, n.resubmits, n.failed, n.deep || was.deep
	was.unknown = n.unknown || was.unknown
	*n = was
}

// maxTags is how many tags a packet can have.
const maxTags = 8

// retag makes tags those of packet and key.
func (n *naive) retag(tags []VLAN) {
	if len(tags) > maxTags {
		n.failed = true
		return
	}
	n.tags = append([]VLAN(nil), tags...)
	rest := n.pkt.Data[12+4*tagsIn(n.pkt.Data):]
	data := append([]byte(nil), n.pkt.Data[:12]...)
	for _, t := range n.tags {
		data = append(data, byte(t.TPID>>8), byte(t.TPID), byte(t.TCI>>8)&^0x10, byte(t.TCI))
	}
	n.pkt.Data = append(data, rest...)
	zero(&n.key, flow.VLANTCI, flow.VLANTPID, flow.VLANTCI2, flow.VLANTPID2)
	for i, f := range [][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
		if i < len(n.tags) {
			n.key.Set(f[0], uint64(n.tags[i].TCI))
			n.key.Set(f[1], uint64(n.tags[i].TPID))
		}
	}
	n.deep = n.deep || len(n.tags) > 2
}

func (n *naive) has(p flow.Prereq) bool {
	k := &n.key
	t, proto, first := k.Get(flow.EthType), k.Get(flow.NwProto), k.Get(flow.IPFrag)&2 == 0
	ip := t == 0x800 || t == 0x86dd
	switch p {
	case flow.PrereqNone, flow.PrereqEthernet:
		return true
	case flow.PrereqVLAN:
		return len(n.tags) > 0
	case flow.PrereqIPv4:
		return t == 0x800
	case flow.PrereqIPv6:
		return t == 0x86dd
	case flow.PrereqIP:
		return ip
	case flow.PrereqARP:
		return t == 0x806 || t == 0x8035
	case flow.PrereqTCP:
		return ip && first && proto == 6
	case flow.PrereqUDP:
		return ip && first && proto == 17
	case flow.PrereqSCTP:
		return ip && first && proto == 132
	case flow.PrereqICMPv4:
		return t == 0x800 && first && proto == 1
	case flow.PrereqICMPv6:
		return t == 0x86dd && first && proto == 58
	case flow.PrereqND:
		return n.has(flow.PrereqNDSolicit) || n.has(flow.PrereqNDAdvert)
	case flow.PrereqNDSolicit, flow.PrereqNDAdvert:
		return n.has(flow.PrereqICMPv6) && k.Get(flow.ICMPv6Code) == 0 && k.Get(flow.ICMPv6Type) == 135+uint64(p-flow.PrereqNDSolicit)
	case flow.PrereqMPLS:
		return t == 0x8847 || t == 0x8848
	}
	return false
}

// write changes a field in key and packet.
func (n *naive) write(id flow.FieldID, value, mask []byte) {
	if !n.has(id.Info().Prereq) {
		return
	}
	n.key.SetMasked(id, value, mask)
	switch id {
	case flow.VLANTCI, flow.VLANVID, flow.VLANPCP:
		tci := uint16(n.key.Get(flow.VLANTCI))
		switch {
		case tci&flow.VLANPresent == 0:
			n.retag(nil)
		case len(n.tags) == 0:
			n.retag([]VLAN{{TPID: 0x8100, TCI: tci}})
		default:
			n.retag(append([]VLAN{{TPID: n.tags[0].TPID, TCI: tci}}, n.tags[1:]...))
		}
		return
	}
	packet.Commit(&n.pkt, &n.key)
	if (id == flow.ICMPv6Type || id == flow.ICMPv6Code) && n.has(flow.PrereqND) && !n.cameND() {
		n.deep = true
	}
}

// cameND reports whether the packet was a message of neighbour discovery when it came.
func (n *naive) cameND() bool {
	first := naive{key: n.s.key}
	return first.has(flow.PrereqND)
}

func (n *naive) writeBits(d flow.Subfield, v []byte) {
	k := n.key
	d.Write(&k, append(make([]byte, 16), v...))
	n.write(d.Field, k.GetBytes(d.Field, nil), nil)
}

func (n *naive) lookup(id uint8, in openflow.PortNo) *spec {
	if n.s.frag == openflow.FragDrop && n.key.Get(flow.IPFrag) != 0 {
		return nil
	}
	k := n.key
	k.Set(flow.InPortOXM, uint64(in))
	if n.s.frag == openflow.FragNormal && k.Get(flow.IPFrag) != 0 {
		zero(&k, flow.TCPSrc, flow.TCPDst)
	}
	var best *spec
	for i := range n.s.rules[n.br] {
		r := &n.s.rules[n.br][i]
		if r.table == id && r.match.Matches(&k) && (best == nil || r.priority > best.priority) {
			best = r
		}
	}
	return best
}

func (n *naive) in() openflow.PortNo { return openflow.PortNo(n.key.Get(flow.InPortOXM)) }

func (n *naive) resubmit(id uint8, in openflow.PortNo) {
	if n.depth >= maxDepth || n.resubmits >= maxResubmits {
		n.failed = true
		return
	}
	r := n.lookup(id, in)
	if r == nil {
		return
	}
	n.resubmits++
	n.rule(r, id <= n.table)
}

func (n *naive) rule(r *spec, deepens bool) {
	table, miss := n.table, n.missRule
	n.table, n.missRule = r.table, r.priority == 0 && r.match.Mask == (flow.Mask{})
	if deepens {
		n.depth++
	}
	n.run(r.actions)
	if deepens {
		n.depth--
	}
	n.table, n.missRule = table, miss
}

func (n *naive) run(list []openflow.Action) {
	for i, a := range list {
		if n.exit || n.failed {
			return
		}
		if c, ok := a.(openflow.CheckPktLarger); ok {
			n.checkLen(c, list[i+1:])
			return
		}
		if !n.one(a) {
			return
		}
	}
}

// checkLen goes on with the rest of the list on a copy, which knows how long the packet is. Where the other way
// leads counts for the limits and for which group is the first to hash.
func (n *naive) checkLen(a openflow.CheckPktLarger, rest []openflow.Action) {
	if n.branches++; n.branches > maxBranches {
		n.failed = true
		return
	}
	larger := byte(0)
	if len(n.pkt.Data) > int(a.Len) {
		larger = 1
	}
	for _, way := range []byte{1, 0} {
		out, later, deep, unknown := n.out, n.later, n.deep, n.unknown
		n.copy(func() {
			n.writeBits(a.Dst, []byte{way})
			n.run(rest)
			n.actionSet()
		})
		if way != larger {
			n.out, n.later, n.deep = out, later, deep
			n.unknown = unknown || n.unknown && n.failed // that it fails counts, if it does
		}
	}
	n.set = nil
}

func (n *naive) bundle(a openflow.Bundle) {
	port := openflow.PortAny
	for _, p := range a.Members {
		if p == openflow.PortInPort || n.bridge().PortByNo(p) != nil {
			port = p
			break
		}
	}
	if a.Dst == nil {
		n.output(port, 0)
	} else {
		n.writeBits(*a.Dst, []byte{byte(port >> 8), byte(port)})
	}
}

func (n *naive) one(a openflow.Action) bool {
	switch a := a.(type) {
	case openflow.Output:
		n.output(a.Port, a.MaxLen)
	case openflow.OutputReg:
		n.output(openflow.PortNo(a.Src.Uint(&n.key)), a.MaxLen)
	case openflow.SetField:
		n.write(a.Field, a.Value, a.Mask)
	case openflow.Load:
		n.writeBits(a.Dst, a.Value)
	case openflow.Move:
		if n.has(a.Src.Field.Info().Prereq) {
			n.writeBits(a.Dst, a.Src.Read(&n.key))
		}
	case openflow.StackPush:
		n.stack = append(n.stack, a.Src.Read(&n.key))
	case openflow.StackPop:
		if len(n.stack) > 0 {
			v := n.stack[len(n.stack)-1]
			n.stack = n.stack[:len(n.stack)-1]
			n.writeBits(a.Dst, v)
		}
	case openflow.PushVLAN:
		n.retag(append([]VLAN{{TPID: a.EthType, TCI: flow.VLANPresent}}, n.tags...))
	case openflow.StripVLAN:
		if len(n.tags) > 0 {
			n.retag(n.tags[1:])
		}
	case openflow.SetVLANVID:
		n.vlan(a.VID, 0xfff, a.Push)
	case openflow.SetVLANPCP:
		n.vlan(uint16(a.PCP)<<13, 0xe000, a.Push)
	case openflow.SetTTL:
		n.write(flow.NwTTL, []byte{a.TTL}, nil)
	case openflow.SetMPLSLabel:
		n.write(flow.MPLSLabel, []byte{0, byte(a.Label >> 16), byte(a.Label >> 8), byte(a.Label)}, nil)
	case openflow.SetMPLSTC:
		n.write(flow.MPLSTC, []byte{a.TC}, nil)
	case openflow.SetMPLSTTL:
		n.write(flow.MPLSTTL, []byte{a.TTL}, nil)
	case openflow.DecTTL:
		return n.dec(flow.NwTTL, a.IDs...)
	case openflow.DecMPLSTTL:
		return n.has(flow.PrereqMPLS) && n.dec(flow.MPLSTTL)
	case openflow.Resubmit:
		in := a.InPort
		if in == openflow.PortInPort {
			in = n.in()
		}
		n.resubmit(a.Table, in)
	case openflow.GotoTable:
		n.resubmit(a.Table, n.in())
	case openflow.WriteActions:
		group := slices.ContainsFunc(n.set, isGroup)
		n.set = append(n.set, a.Actions...)
		for _, b := range a.Actions {
			if o, ok := b.(openflow.Output); ok && !group {
				n.key.Set(flow.ActsetOutput, uint64(o.Port))
			} else if isGroup(b) && !group {
				group = true
				n.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
			}
		}
	case openflow.Group:
		n.group(a.ID)
	case openflow.ClearActions:
		n.set = nil
		n.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
	case openflow.WriteMetadata:
		n.key.Set(flow.Metadata, n.key.Get(flow.Metadata)&^a.Mask|a.Value&a.Mask)
	case openflow.Clone:
		n.copy(func() {
			n.run(a.Actions)
			n.actionSet()
		})
	case openflow.Controller:
		n.controller(a.Reason, a.ControllerID, a.MaxLen)
	case openflow.Bundle:
		n.bundle(a)
	case openflow.Meter:
		if m := n.bridge().tables.Meter(a.ID); m != nil {
			n.out = append(n.out, fmt.Sprintf("meter %d", m.Datapath.ID()))
		}
	case openflow.Learn:
		n.learn(a)
	case openflow.CT:
		n.ct(a)
	case openflow.CTClear:
		if n.key.Get(flow.CTState)&0x20 != 0 {
			conntrack.Clear(&n.key)
		}
	case openflow.Exit:
		n.exit = true
	}
	return true
}

func (n *naive) controller(r openflow.PacketInReason, id, maxLen uint16) {
	n.emit(fmt.Sprintf("controller %d %d %d", r, id, maxLen))
}

func (n *naive) vlan(v, mask uint16, push bool) {
	switch {
	case len(n.tags) > 0:
		n.retag(append([]VLAN{{TPID: n.tags[0].TPID, TCI: n.tags[0].TCI&^mask | v}}, n.tags[1:]...))
	case push:
		n.retag([]VLAN{{TPID: 0x8100, TCI: v | flow.VLANPresent}})
	}
}

func (n *naive) dec(id flow.FieldID, controllers ...uint16) bool {
	if !n.has(id.Info().Prereq) {
		return true
	}
	ttl := n.key.Get(id)
	if ttl <= 1 {
		if len(controllers) == 0 {
			controllers = []uint16{0}
		}
		for _, c := range controllers {
			n.controller(openflow.ReasonInvalidTTL, c, 0xffff)
		}
		return false
	}
	n.write(id, []byte{byte(ttl - 1)}, nil)
	return true
}

func (n *naive) actionSet() {
	set := n.set
	n.set = nil
	var last [rankNone]openflow.Action
	for _, a := range set {
		if r := rank(a); r < rankNone {
			last[r] = a
		}
	}
	if last[rankGroup] == nil && last[rankOutput] == nil && last[rankResubmit] == nil {
		return
	}
	exit := n.exit
	n.exit, n.inSet = false, true
	for _, r := range []int{rankPop, rankPushVLAN, rankDecTTL} {
		if last[r] != nil && !n.one(last[r]) {
			n.exit, n.inSet = exit, false
			return
		}
	}
	for _, a := range set {
		if rank(a) == rankField {
			n.one(a)
		}
	}
	if last[rankGroup] != nil {
		n.one(last[rankGroup])
	} else if last[rankOutput] != nil {
		n.one(last[rankOutput])
	} else {
		n.one(last[rankResubmit])
	}
	n.exit, n.inSet = exit, false
}

func isGroup(a openflow.Action) bool { _, ok := a.(openflow.Group); return ok }

func (n *naive) group(id uint32) {
	if n.depth >= maxDepth || n.resubmits >= maxResubmits {
		n.failed = true
		return
	}
	if id >= uint32(len(n.s.groups)) {
		return
	}
	g := n.s.groups[id]
	n.depth++
	defer func() { n.depth-- }()
	for i := range g.Buckets {
		b := &g.Buckets[i]
		switch g.Type {
		case openflow.GroupTypeFastFailover:
			if !n.live(b) {
				continue
			}
		case openflow.GroupTypeSelect:
			if b = n.choose(g); b == nil {
				return
			}
		}
		var stack [][]byte
		n.copy(func() {
			n.set, n.exit, n.inGroup = append([]openflow.Action(nil), b.Actions...), false, true
			n.actionSet()
			stack = n.stack
		})
		n.stack = stack // what a bucket leaves behind
		if g.Type != openflow.GroupTypeAll || n.failed {
			return
		}
	}
}

func (n *naive) live(b *openflow.Bucket) bool {
	switch {
	case b.WatchPort != openflow.PortAny:
		return n.bridge().PortByNo(b.WatchPort) != nil
	case b.WatchGroup != openflow.GroupAny:
		if b.WatchGroup >= uint32(len(n.s.groups)) {
			return false
		}
		w := n.s.groups[b.WatchGroup].Buckets
		return slices.ContainsFunc(w, func(b openflow.Bucket) bool { return n.live(&b) })
	}
	return true
}

// choose finds the bucket of a select group.
func (n *naive) choose(g *openflow.GroupMod) *openflow.Bucket {
	var weighty []*openflow.Bucket
	for i := range g.Buckets {
		if g.Buckets[i].Weight > 0 {
			weighty = append(weighty, &g.Buckets[i])
		}
	}
	if len(weighty) == 0 {
		return nil
	}
	if g.Selection.Method == "hash" {
		n.unknown = n.unknown || len(weighty) > 1
		return weighty[0]
	}
	if !n.hash.done {
		h := odp.Hash{SymL4: g.Selection.Param>>32 == 1, Basis: uint32(g.Selection.Param)}
		if g.Selection.Method == "" {
			h = odp.Hash{SymL4: true}
		}
		*n.hash = hashOnce{true, execute.Hash(&n.start, h)}
	}
	slots := n.w.br0.tables.Group(g.ID).Slots()
	return &slots[n.hash.value&uint32(len(slots)-1)].Bucket
}

func (n *naive) send(p *Port) {
	switch {
	case n.failed:
	case p.Peer != nil:
		if n.depth >= maxDepth || n.resubmits >= maxResubmits {
			n.failed = true
			return
		}
		n.copy(func() {
			n.br = 1 - n.br
			n.depth++
			n.set, n.stack, n.exit, n.inSet, n.missRule, n.table = nil, nil, false, false, false, 0
			n.inGroup = false
			clear(n.key[flow.DPWords:])
			zero(&n.key, flow.TunID)
			conntrack.Clear(&n.key)
			n.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
			n.key.Set(flow.InPortOXM, uint64(p.PeerPort))
			n.pipeline()
		})
	default:
		n.emit(p.ODP)
	}
}

func (n *naive) pipeline() {
	if r := n.lookup(0, n.in()); r != nil {
		n.rule(r, false)
	}
	if !n.failed {
		n.actionSet()
	}
}

func (n *naive) output(no openflow.PortNo, maxLen uint16) {
	b := n.bridge()
	switch no {
	case openflow.PortInPort:
		if p := b.PortByNo(n.in()); p != nil {
			n.send(p)
		}
	case openflow.PortFlood, openflow.PortAll:
		in := n.in()
		for _, p := range b.ports {
			if p.No != in {
				n.send(p)
			}
		}
	case openflow.PortController:
		r := openflow.ReasonAction
		if n.inGroup {
			r = openflow.ReasonGroup
		} else if n.inSet {
			r = openflow.ReasonActionSet
		} else if n.missRule {
			r = openflow.ReasonNoMatch
		}
		n.controller(r, 0, maxLen)
	case openflow.PortNormal:
		n.normal()
	case openflow.PortAny, openflow.PortUnset, openflow.PortTable:
	default:
		if p := b.PortByNo(no); p != nil && no != n.in() {
			n.send(p)
		}
	}
}

func (n *naive) normal() {
	b := n.bridge()
	no := openflow.PortNo(n.key.Get(flow.EthDst)&3) + 1
	p := b.PortByNo(no)
	if p == nil {
		return
	}
	if no != n.in() {
		n.copy(func() {
			switch {
			case no == 2 && len(n.tags) > 0:
				n.retag(n.tags[1:])
			case no == 3 && len(n.tags) < 2:
				n.retag(append([]VLAN{{TPID: 0x8100, TCI: 0x1007}}, n.tags...))
			}
			n.send(p)
		})
	}
	if no != 1 && n.in() != 1 {
		n.send(b.PortByNo(1))
	}
}

// recorder is the world as datapath actions see it.
type recorder struct {
	out  []string
	back []func() // what recirculated
	run  func(*packet.Packet, *flow.Key)
}

func (r *recorder) Output(p odp.Port, pkt *packet.Packet) {
	r.out = append(r.out, fmt.Sprintf("%v %x", p, pkt.Data))
}

func (r *recorder) Upcall(pkt *packet.Packet, _ *flow.Key, u *odp.Userspace) {
	r.out = append(r.out, fmt.Sprintf("controller %d %d %d %x", u.ControllerReason, u.ControllerID, u.MaxLen, pkt.Data))
}

func (r *recorder) Recirculate(pkt *packet.Packet, k *flow.Key) {
	p, key := pkt.Clone(), *k
	r.back = append(r.back, func() { r.run(p, &key) })
}

func (r *recorder) Drop(odp.DropReason) {}

func isHash(a odp.Action) bool { _, ok := a.(odp.Hash); return ok }

// item is list[i], or says that there is none.
func item(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// The datapath actions of a translation do to packets what the OpenFlow actions say.
func TestAgainstNaiveSwitch(t *testing.T) {
	var compared, emitted, recirculated, learned int
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		w := s.world()
		n := &naive{s: s, w: w, pkt: packet.Packet{Data: append([]byte(nil), s.data...)}, key: s.key, start: s.key, hash: new(hashOnce), learned: make(map[learnedFlow]string)}
		for i, f := range [][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
			if i < tagsIn(s.data) {
				n.tags = append(n.tags, VLAN{TPID: uint16(n.key.Get(f[1])), TCI: uint16(n.key.Get(f[0]))})
			}
		}
		n.key.Set(flow.InPortOXM, s.key.Get(flow.InPortOXM)-10)
		n.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
		n.pipeline()
		if n.failed {
			n.out, n.later = nil, nil
		}
		if n.resumeAll(); n.unknown || n.emitted > maxActions/8 {
			return
		}

		dropped := false
		var actions string
		rec := new(recorder)
		rec.run = func(pkt *packet.Packet, key *flow.Key) {
			res := w.run(key)
			dropped = dropped || res.Drop != odp.DropNone
			actions += actionsText(res.Actions) + ";"
			if err := (&execute.Executor{Sink: rec, Tracker: rec}).Run(pkt, key, res.Actions); err != nil {
				t.Fatal(err)
			}
			if len(res.Actions) > 0 && isHash(res.Actions[0]) { // the same once more, before what was put off
				last := len(rec.back) - 1
				rec.back = slices.Insert(rec.back[:last], 0, rec.back[last])
			}
		}
		pkt, key := datapath.Packet{Data: append([]byte(nil), s.data...)}, s.key
		rec.run(&pkt, &key)
		for turns := 0; len(rec.back) > 0; {
			if turns++; turns > 10*maxForks {
				t.Fatalf("%sthe packet goes in circles", s)
			}
			recirculated++
			back := rec.back[0]
			rec.back = rec.back[1:]
			back()
		}
		if n.failed != dropped {
			t.Fatalf("%sdropped: %v, the naive switch says %v; actions %s", s, dropped, n.failed, actions)
		}
		if n.deep {
			return
		}
		compared++
		emitted += len(n.out)
		learned += len(n.learned)
		if diff := cmp.Diff(n.learned, w.learnedFlows()); diff != "" {
			t.Fatalf("%slearned (-naive +translated):\n%s", s, diff)
		}
		for i := range max(len(n.out), len(rec.out)) {
			if want, got := item(n.out, i), item(rec.out, i); want != got {
				t.Fatalf("%sactions %s\npacket %d of %d, naive %d:\n got %s\nwant %s", s, actions, i, len(rec.out), len(n.out), got, want)
			}
		}
	})
	t.Logf("%d compared, %d packets out, %d recirculated, %d flows learned", compared, emitted, recirculated, learned)
	if compared < 50 || emitted < 50 || recirculated == 0 || learned == 0 {
		t.Error("the generator makes too few cases that say something")
	}
}
