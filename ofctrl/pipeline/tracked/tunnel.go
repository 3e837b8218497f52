package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// outerFields are the fields of a set(tunnel()), in the order of the ODP text.
var outerFields = [...]flow.FieldID{flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunTOS, flow.TunTTL,
	flow.TunTPDst, flow.TunGBPID, flow.TunGBPFlags, flow.TunAllFlags}

// CommitTunnel appends what has the datapath send the packet with this outer header, in a datapath's key, unless
// it has been told already. Nothing is read: the header is written as a whole, whatever the packet came with.
func (k *Key) CommitTunnel(outer *flow.Key, out []odp.Action) []odp.Action {
	if k.base.tunnel != nil && *k.base.tunnel == *outer {
		return out
	}
	kept := *outer
	k.base.tunnel = &kept
	s := odp.Set{Fields: make([]odp.FieldSet, 0, len(outerFields))}
	for _, id := range outerFields {
		// What is not given is zero; but a TTL and a key that are zero are to be seen.
		always := id == flow.TunTTL || id == flow.TunID && outer.Get(flow.TunAllFlags)&flow.TunFlagKey != 0
		if always || !outer.IsZero(id) {
			s.Fields = append(s.Fields, odp.FieldSet{Field: id, Value: outer.GetBytes(id, nil)})
		}
	}
	if opts := table.RawOptions(&kept); len(opts) > 0 {
		s.TunOpts = append([]byte(nil), opts...)
	}
	return append(out, s)
}

// Options gives a datapath's key the tunnel options of the packet as it is now. It reports false, and leaves out the last, when
// there are more than a header can have.
func (k *Key) Options(outer *flow.Key) bool {
	if k.now.tlv == nil || !k.now.tlv.Any() {
		return true
	}
	for i := range table.MaxOptions {
		id := flow.TunMetadata0 + flow.FieldID(i)
		b := k.option(&k.now.key, id)
		if b == nil && !k.now.tlv.Mapped(i) {
			continue
		}
		k.wc[flow.TunPresentWord] |= present(id)
		if k.now.key[flow.TunPresentWord]&present(id) != 0 {
			k.orOption(&k.wc, flow.Subfield{Field: id, Bits: uint16(8 * len(b))})
		}
	}
	copy(table.OptionSpace(outer), table.OptionSpace(&k.now.key))
	outer[flow.TunPresentWord] = k.now.key[flow.TunPresentWord]
	return k.now.tlv.ToPacket(outer)
}

// NoTunnel says that the packet did not come by a tunnel, as in_port or recirc_id tell, which always are exact: Mask need not say
// again that all of the tunnel is zero. Should the datapath's key have one, that is what it was told for an output, and not the packet's.
func (k *Key) NoTunnel() {
	k.noTunnel, k.opts.n = true, 0
	for i, m := range &tunMembers {
		k.now.key[i] &^= m
		k.base.key[i] &^= m
	}
}

// ScratchTunnel is NoTunnel for a trace, whose flow may give values to fields of tunnels that packets outside of tunnels do
// not come with.
func (k *Key) ScratchTunnel() { k.noTunnel = true }

// HasTunnel reports whether neither was said.
func (k *Key) HasTunnel() bool { return !k.noTunnel }

// KeepTunnel has all of the packet's tunnel count as written, if the datapath was told of another one: then its key may have that.
func (k *Key) KeepTunnel() {
	if k.base.tunnel != nil && !k.noTunnel {
		k.wc.Or(&tunMembers)
		k.now.written.Or(&tunMembers)
	}
}

// Mark is the mark of the packet as it is now, to be given to RestoreMark only.
type Mark struct{ value, written uint64 }

// Mark remembers the packet's mark; it reads nothing.
func (k *Key) Mark() Mark {
	return Mark{k.now.key.Get(flow.PktMark), k.now.written.Get(flow.PktMark)}
}

// RestoreMark undoes what was written to the mark since, except for what was committed: the next commit undoes that.
func (k *Key) RestoreMark(m Mark) {
	k.now.key.Set(flow.PktMark, m.value)
	k.now.written.Set(flow.PktMark, m.written)
}
