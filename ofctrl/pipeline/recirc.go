package pipeline

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// maxFrozen bounds recirculation ids in use.
const maxFrozen = 1 << 20

// Frozen is a translation that stopped because only the datapath can go on: it resumes when
// the packet comes back with the recirculation id that names it. Values are immutable.
type Frozen struct {
	Bridge Bridge
	InPort openflow.PortNo
	// Start: translation goes on at its very start, that of a packet-out's with PacketOut.
	Start, PacketOut bool
	// Hashed: the packet has the datapath's Hash in dp_hash.
	Hashed bool
	Hash   odp.Hash
	// Levels are the rest of the lists of actions that were under way, innermost first. Without any, translation goes
	// on with a packet-out's Actions or with a look-up in Table.
	Levels  []Level
	Table   uint8
	Actions []openflow.Action
	// Written is the metadata that translation gave a value: registers, metadata, tunnel.
	Written   flow.Match
	Stack     []byte
	ActionSet []openflow.Action
	HasGroup  bool
	// Mirrored are the bridge's mirrors that have a copy of the packet.
	Mirrored MirrorSet
	// TLV says where Written has tunnel options; nil: it has none.
	TLV *table.TLV
	// Local is the address that the packet was tunneled to; invalid: it did not come by a tunnel.
	Local netip.Addr
	// Tunneled: the datapath's key of the packet may have a tunnel. Unless Written has all of it, that is the packet's.
	Tunneled bool
}

// frozenID is the part of a frozen state that a map can compare.
type frozenID struct {
	bridge   Bridge
	in       openflow.PortNo
	table    uint8
	hasGroup bool
	written  string

	start, packetOut, hashed bool
	hash                     odp.Hash
	tlv                      *table.TLV
	local                    netip.Addr
	tunneled                 bool
	mirrored                 MirrorSet
}

// freeze names the state of the translation, to go on in table with actions (nil: with a
// lookup there). The megaflow holds it. ok is false when the translation has ended instead.
func (x *xlate) freeze(table uint8, actions []openflow.Action) (id uint32, ok bool) {
	f := x.state()
	f.Table, f.Actions = table, slices.Clone(actions)
	if id, ok = x.name(f); ok {
		x.forked(id)
	}
	return id, ok
}

// state is the state of the translation, without where to go on.
func (x *xlate) state() *Frozen {
	f := &Frozen{
		Bridge: x.bridge, InPort: x.key.InPort(),
		Stack: bytes.Clone(x.stack), ActionSet: slices.Clone(x.actionSet), HasGroup: x.hasGroup,
		Local: x.local, Tunneled: x.key.HasTunnel(), Mirrored: x.mirrored,
	}
	x.key.KeepTunnel()
	x.key.Metadata(&f.Written)
	if table.ReadsOptions(&f.Written.Mask) {
		f.TLV = x.tables.TLV()
	}
	return f
}

// sameFrozen compares what a frozen state has beside what is in its frozenID; a and b may be nil.
func sameFrozen(a, b *Frozen) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Stack, b.Stack) && sameActions(a.Actions, b.Actions) && sameActions(a.ActionSet, b.ActionSet) &&
		slices.EqualFunc(a.Levels, b.Levels, sameLevel)
}

// name names a frozen state.
func (x *xlate) name(f *Frozen) (id uint32, ok bool) {
	key := frozenID{f.Bridge, f.InPort, f.Table, f.HasGroup, matchString(&f.Written), f.Start, f.PacketOut, f.Hashed, f.Hash, f.TLV, f.Local, f.Tunneled, f.Mirrored}
	n := x.t.frozen.get(key, f, sameFrozen)
	if n == nil {
		x.errorf(odp.DropCongestion, "over %d recirculation ids", maxFrozen)
		return 0, false
	}
	x.res.Held = append(x.res.Held, n)
	return n.id, true
}

// thaw goes on with what an id names.
func (x *xlate) thaw(id uint32) {
	f, ok := x.t.frozen.lookup(id)
	if !ok {
		x.errorf(odp.DropNoRecirculationContext, "Recirculation context not found for ID %x", id)
		return
	}
	x.goOn(f)
}

// goOn goes on with a frozen state.
func (x *xlate) goOn(f *Frozen) {
	x.from, x.hashed, x.packetOut, x.local = f, f.Hashed, f.PacketOut, f.Local
	if !f.Tunneled {
		x.key.NoTunnel()
	}
	x.enter(f.Bridge)
	written := &f.Written
	if t := x.tables.TLV(); f.TLV != nil && t != f.TLV {
		moved := f.Written
		t.Remap(&moved, f.TLV)
		written = &moved
	}
	x.key.SetMetadata(written)
	x.key.SetInPort(f.InPort)
	x.stack = append(x.stack, f.Stack...)
	x.actionSet, x.hasGroup = append(x.actionSet, f.ActionSet...), f.HasGroup
	x.table, x.mirrored = f.Table, f.Mirrored
	x.mirrorInput(x.InPort())
	if f.Levels != nil {
		x.resume(f.Levels)
	} else if len(f.Actions) > 0 {
		x.event(Event{Kind: EventThaw, Text: fmt.Sprintf("Resuming with %d actions of table %d", len(f.Actions), f.Table)})
		x.do(f.Actions)
	} else {
		x.event(Event{Kind: EventThaw, Text: fmt.Sprintf("Resuming from table %d", f.Table)})
		x.doRule(x.lookup(f.Table, f.InPort, f.Start), false)
	}
}

// matchString is a match as a map key.
func matchString(m *flow.Match) string {
	var b []byte
	for _, k := range [...]*flow.Key{&m.Mask, &m.Key} {
		c := flow.MakeCompact(k, &m.Mask)
		for _, w := range append(c.Map[:], c.Word...) {
			for range 8 {
				b = append(b, byte(w))
				w >>= 8
			}
		}
	}
	return string(b)
}
