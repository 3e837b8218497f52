package pipeline

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// maxCookies bounds the controller actions in megaflows.
const maxCookies = 1 << 18

// cookie is what makes the packet-ins of a controller action equal.
type cookie struct {
	bridge     Bridge
	table      uint8
	reason     openflow.PacketInReason
	ruleCookie uint64
	maxLen     uint16
	id         uint16
	inPort     openflow.PortNo
	userdata   string
	written    string
}

// reason is why output:CONTROLLER sends a packet.
func (x *xlate) reason() openflow.PacketInReason {
	switch {
	case x.packetOut && x.rule == nil && x.listener == nil: // those of a trace are nobody's
		return openflow.ReasonPacketOut
	case x.inGroup:
		return openflow.ReasonGroup
	case x.inActionSet:
		return openflow.ReasonActionSet
	case x.rule != nil && x.rule.Priority == 0 && x.rule.Match().Mask == (flow.Mask{}):
		return openflow.ReasonNoMatch // a table-miss rule
	}
	return openflow.ReasonAction
}

// controller sends a copy of the packet up for the controllers. What the packet-in will say
// stays here, under a cookie that the megaflow holds.
func (x *xlate) controller(a openflow.Controller) {
	x.packetIn(&a, &PacketIn{
		PacketIn: openflow.PacketIn{Reason: a.Reason, Table: x.table, BufferID: openflow.NoBuffer, Userdata: a.Userdata, Cookie: x.ruleCookie()},
		MaxLen:   a.MaxLen, ControllerID: a.ControllerID, InPort: x.key.InPort(),
	}, nil)
}

// noCookie is, as in OVS, the cookie where no flow did it.
const noCookie = ^uint64(0)

// ruleCookie is that of the rule whose actions are executed.
func (x *xlate) ruleCookie() uint64 {
	if x.rule != nil {
		return x.rule.Cookie
	}
	return x.cookie
}

// packetIn sends a copy of the packet to the controllers, who may bring it back to go on with f if that is not nil.
func (x *xlate) packetIn(a *openflow.Controller, in *PacketIn, f *Frozen) {
	x.commit()
	x.key.Metadata(&in.Metadata)
	n := x.t.cookies.get(cookie{x.bridge, in.Table, in.Reason, in.Cookie, in.MaxLen, in.ControllerID, in.InPort, string(a.Userdata), matchString(&in.Metadata)},
		&sender{x.bridge, in, x.tables.TLV(), f}, func(a, b *sender) bool { return a.tlv == b.tlv && sameFrozen(a.frozen, b.frozen) })
	if n == nil {
		x.errorf(odp.DropCongestion, "over %d controller actions", maxCookies)
		return
	}
	x.res.Held = append(x.res.Held, n)
	up := odp.Userspace{
		Kind: odp.UpcallController, Cookie: n.id, ControllerReason: uint8(a.Reason), MaxLen: a.MaxLen,
		RuleCookie: in.Cookie, ControllerID: a.ControllerID,
		// A trace without side effects shows what the flow does, but sends nothing.
		DontSend: x.listener != nil && !x.learn,
	}
	if f != nil {
		up.Continuation, up.RecircID = true, n.id
	}
	x.emit(x.toController(a.MeterID, up))
}

// sender is a packet-in without its packet; Metadata has what translation wrote.
type sender struct {
	bridge Bridge
	in     *PacketIn
	tlv    *table.TLV // of in's metadata
	frozen *Frozen    // how the packet goes on that waits for its controller; nil: it does not wait
}

// Userspace implements datapath.Translator: it takes packets of controller actions and those that are sampled.
func (t *Translator) Userspace(up *datapath.Upcall) {
	switch up.Kind {
	case odp.UpcallController:
	case odp.UpcallIPFIX, odp.UpcallFlowSample:
		t.sampledPacket(up)
		return
	default:
		t.o.Count("upcall_unknown_userspace_action", 1)
		return
	}
	s, ok := t.cookies.lookup(up.Cookie)
	if !ok {
		t.o.Count("upcall_stale_cookie", 1)
		return
	}
	in := *s.in
	p := up.Packet.Clone()
	p.FinishChecksum()
	in.Packet, in.TotalLen = p.Data, len(p.Data)
	key := up.Key
	s.tlv.FromPacket(&key)
	in.Metadata = packetInMetadata(&key, &s.in.Metadata, in.InPort, s.tlv.Layout())
	if s.frozen != nil {
		in.Paused = s.frozen.continuation(&in.Metadata, odp.Port(up.Key.Get(flow.InPortOXM)))
	}
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	s.bridge.PacketIn(&in)
}

// packetInFields are the fields of a packet-in that are not in its packet.
var packetInFields = func() []flow.FieldID {
	l := []flow.FieldID{flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunFlags, flow.TunGBPID, flow.TunGBPFlags,
		flow.Metadata, flow.PktMark, flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel}
	for i := range 32 {
		l = append(l, flow.Reg(i))
	}
	return l
}()

// packetInMetadata has the fields that are not zero: of the datapath's key, but where
// translation wrote them what it wrote.
func packetInMetadata(key *flow.Key, written *flow.Match, in openflow.PortNo, tlv *openflow.TLVMap) (m flow.Match) {
	var k flow.Key
	for i, w := range written.Mask {
		k[i] = key[i]&^w | written.Key[i]&w
	}
	// The key is a datapath's: what only OpenFlow knows is from translation alone.
	for i := flow.DPWords; i < flow.TunPresentWord; i++ {
		k[i] = written.Key[i] & written.Mask[i]
	}
	var value [16]byte
	for _, f := range packetInFields {
		if !k.IsZero(f) {
			m.Key.SetBytes(f, k.GetBytes(f, value[:0]))
			m.Mask.SetExact(f)
		}
	}
	for p := k[flow.TunPresentWord]; p != 0; p &= p - 1 {
		id := flow.TunMetadata0 + flow.FieldID(bits.TrailingZeros64(p))
		if v, ok := tlv.Bytes(&k, id); ok {
			matchOptions(&m, tlv, flow.Subfield{Field: id, Bits: uint16(8 * len(v))}, v)
		}
	}
	if pt := k.Get(flow.PacketType); pt != 0 {
		m.Set(flow.PacketType, pt)
	}
	m.Set(flow.InPortOXM, uint64(in))
	return m
}
