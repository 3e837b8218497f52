package pipeline

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// emitPause sends the packet to the controller that is to bring it back, to go on with levels. As in OVS the packet-in
// names the rule that what is frozen began with, and no table.
func (x *xlate) emitPause(a *openflow.Controller, levels []Level) {
	if x.listener != nil && !x.learn {
		return // a trace without side effects shows no such action, as in OVS
	}
	in := &PacketIn{
		PacketIn: openflow.PacketIn{Reason: a.Reason, BufferID: openflow.NoBuffer, Userdata: a.Userdata, Cookie: x.ruleCookie()},
		MaxLen:   a.MaxLen, ControllerID: a.ControllerID, InPort: x.key.InPort(),
	}
	if x.rule == nil && x.first != nil {
		in.Cookie = x.first.Cookie
	}
	f := x.state()
	f.Actions = unroll(levels)
	x.packetIn(a, in, f)
}

// continuation is a frozen state in the form that a controller gets. m has the metadata of the packet-in.
func (f *Frozen) continuation(m *flow.Match, in odp.Port) *openflow.Continuation {
	c := &openflow.Continuation{
		Bridge: f.Bridge.UUID(), Actions: f.Actions, ActionSet: f.ActionSet,
		Mirrors: uint32(f.Mirrored), Conntracked: m.Key.Get(flow.CTState) != 0, ODPPort: uint32(in),
	}
	for s := f.Stack; len(s) > 0; {
		n := len(s) - 1
		from := n - int(s[n])
		c.Stack = append(c.Stack, s[from:n])
		s = s[:from]
	}
	for i, j := 0, len(c.Stack)-1; i < j; i, j = i+1, j-1 {
		c.Stack[i], c.Stack[j] = c.Stack[j], c.Stack[i]
	}
	return c
}

// Resume translates what follows for a packet that a controller brings back: r has the packet and its metadata as the
// controller left them. It is otherwise like PacketOut. The error is an openflow.Err with context: openflow.NXResumeStale
// when the bridge is gone that the packet was in.
func (t *Translator) Resume(r *openflow.Resume, c *openflow.Continuation) (actions []odp.Action, key flow.Key, err error) {
	if len(r.Packet) < packet.EthLen {
		return nil, key, fmt.Errorf("resume with a packet of %d bytes: %w", len(r.Packet), openflow.BadPacket)
	}
	pkt := datapath.Packet{Data: r.Packet}
	packet.Extract(pkt.Data, &key)
	res := t.results.Get().(*datapath.Result)
	defer t.results.Put(res)
	res.Reset()
	if err := t.resume(r, c, &pkt, &key, res); err != nil {
		return nil, key, err
	}
	return t.execution(&pkt, &key, res), key, nil
}

// resume is the translation of Resume. It gives key its metadata.
func (t *Translator) resume(r *openflow.Resume, c *openflow.Continuation, pkt *datapath.Packet, key *flow.Key, res *datapath.Result) error {
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	var b Bridge
	if t.o.Bridge != nil {
		b = t.o.Bridge(c.Bridge)
	}
	if b == nil {
		return fmt.Errorf("resume in a bridge that is gone: %w", openflow.NXResumeStale)
	}
	in := openflow.PortNo(r.Metadata.Key.Get(flow.InPortOXM))
	if r.Metadata.Mask.IsZero(flow.InPortOXM) {
		in = openflow.PortAny
	}
	for i := range flow.DPWords { // what is of the datapath in the metadata is the packet's
		key[i] = key[i]&^resumed[i] | r.Metadata.Key[i]&resumed[i]
	}
	optionsOf(&r.Metadata, b.Tables().TLV(), key)
	if !c.Conntracked {
		for _, id := range ctFields {
			key.SetBytes(id, nil)
		}
	}
	key.Set(flow.InPortOXM, uint64(c.ODPPort))

	x := t.context(res, nil)
	defer t.release(x)
	x.packet, x.learn = pkt, true
	x.key.Init(key, in)
	f := &Frozen{Bridge: b, InPort: in, Tunneled: true, Actions: c.Actions, Written: onlyOpenFlow(&r.Metadata), ActionSet: c.ActionSet, Mirrored: MirrorSet(c.Mirrors)}
	var out openflow.PortNo
	out, f.HasGroup = outputOf(c.ActionSet)
	f.Written.Set(flow.ActsetOutput, uint64(out))
	if len(f.Actions) == 0 {
		f.Actions = []openflow.Action{openflow.Note{}} // none would mean to look up a table
	}
	for _, v := range c.Stack {
		f.Stack = append(append(f.Stack, v...), byte(len(v)))
	}
	x.goOn(f)
	x.end()
	x.finish()
	return nil
}

var (
	ctFields = []flow.FieldID{flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel, flow.CTNwProto, flow.CTNwSrc, flow.CTNwDst,
		flow.CTIPv6Src, flow.CTIPv6Dst, flow.CTTPSrc, flow.CTTPDst}

	// resumed are the members of the datapath's key that come with the packet, not from it.
	resumed = func() (m flow.Mask) {
		for _, id := range append(ctFields, packetInFields...) {
			m.SetExact(id)
		}
		clear(m[flow.DPWords:])
		return m
	}()
)

// onlyOpenFlow is what a match has that datapaths do not know.
func onlyOpenFlow(m *flow.Match) (o flow.Match) {
	copy(o.Key[flow.DPWords:flow.TunPresentWord], m.Key[flow.DPWords:])
	copy(o.Mask[flow.DPWords:flow.TunPresentWord], m.Mask[flow.DPWords:])
	return o
}

// optionsOf has a datapath's key have the tunnel options of a match.
func optionsOf(m *flow.Match, t *table.TLV, key *flow.Key) {
	k := m.Key
	t.ToPacket(&k)
	copy(table.OptionSpace(key), table.OptionSpace(&k))
	key.Set(flow.TunOptsLen, k.Get(flow.TunOptsLen))
}
