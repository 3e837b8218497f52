package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Tunnel options. A datapath's key has them as they are in the packet, one behind the other; OpenFlow's has each that a
// bridge's TLV table maps to a field in the place of that field. So a field's bits are read and written like those of any other
// field, and Mask brings what was read back to the places of the packet.

// options are a packet's own.
type options struct {
	raw [table.MaxOptionSpace]byte
	n   int
	// strict: the packet came by a tunnel port, where options that must not be ignored are looked for in each.
	strict bool
	// tlv is the table that brought them to their places.
	tlv *table.TLV
}

func (o *options) init(key *flow.Key) {
	o.n = copy(o.raw[:], table.RawOptions(key))
	o.strict, o.tlv = false, nil
}

// UseTLV has fields be those of a bridge's table. It reports false for a packet that came by a tunnel port with options that
// must not be ignored, but are not known. With ReadsOptions the translation depends on the first table that was used.
func (k *Key) UseTLV(t *table.TLV, tunnel bool) bool {
	k.now.tlv = t
	if k.opts.tlv != nil {
		return true
	}
	k.opts.tlv, k.opts.strict = t, tunnel
	if k.opts.n == 0 {
		return true
	}
	ok := t.FromPacket(&k.now.key)
	copy(table.OptionSpace(&k.base.key), table.OptionSpace(&k.now.key))
	k.base.key[flow.TunPresentWord] = k.now.key[flow.TunPresentWord]
	return ok || !tunnel
}

// ReadsOptions reports whether the packet's tunnel options have been looked at.
func (k *Key) ReadsOptions() bool {
	return k.opts.tlv != nil && (k.opts.strict || table.ReadsOptions(&k.wc))
}

// optionMask makes a mask that of a datapath's key, as far as options are concerned.
func (k *Key) optionMask(m *flow.Mask) {
	if k.ReadsOptions() {
		k.opts.tlv.PacketMask(m, k.opts.raw[:k.opts.n])
	}
}

// FlowMask makes a mask of Mask, as far as options are concerned, one of OpenFlow's key, for people to see.
func (k *Key) FlowMask(m *flow.Mask) {
	if k.noTunnel {
		return
	}
	copy(table.OptionSpace(m), table.OptionSpace(&k.wc))
	m[flow.TunPresentWord] = k.wc[flow.TunPresentWord]
	m.Set(flow.TunOptsLen, 0)
}

func isOption(id flow.FieldID) bool { return id >= flow.TunMetadata0 && id <= flow.TunMetadata63 }

// option is where a field is in m, nil when it is not mapped.
func (k *Key) option(m *flow.Key, id flow.FieldID) []byte {
	if k.now.tlv == nil {
		return nil
	}
	b, _ := k.now.tlv.Layout().Bytes(m, id)
	return b
}

// orOption adds bits of a field to a mask, and that the field is there or not.
func (k *Key) orOption(m *flow.Mask, s flow.Subfield) {
	flow.CopyBits(k.option(m, s.Field), int(s.Ofs), ones[:], 0, int(s.Bits))
	m[flow.TunPresentWord] |= present(s.Field)
}

var ones = func() (b [flowFieldMax]byte) {
	for i := range b {
		b[i] = 0xff
	}
	return b
}()

func present(id flow.FieldID) uint64 { return 1 << (id - flow.TunMetadata0) }

// writeOption writes bits of a field from right-aligned bytes; the packet has the option then. One that is not mapped any more
// is not written.
func (k *Key) writeOption(s flow.Subfield, v []byte) bool {
	b := k.option(&k.now.key, s.Field)
	if b == nil {
		return false
	}
	k.orOption(&k.wc, s)
	k.orOption(&k.now.written, s)
	var wide [flowFieldMax]byte
	if len(v) < len(wide) { // CopyBits does not extend
		copy(wide[len(wide)-len(v):], v)
		v = wide[:]
	}
	flow.CopyBits(b, int(s.Ofs), v, 0, min(int(s.Bits), 8*len(b)))
	k.now.key[flow.TunPresentWord] |= present(s.Field)
	return true
}

// setOption writes the bits of a field that are set in mask. As in a match a shorter value is the low bytes, of a longer one the
// first count.
func (k *Key) setOption(id flow.FieldID, v, mask []byte) bool {
	b := k.option(&k.now.key, id)
	if b == nil {
		return false
	}
	if len(v) > len(b) {
		v, mask = v[:len(b)], mask[:min(len(mask), len(b))]
	}
	off := len(b) - len(v)
	for i := range b {
		bits, value := byte(0xff), byte(0)
		if i >= off {
			value = v[i-off]
		}
		if mask != nil {
			if bits = 0; i >= off {
				bits = mask[i-off]
			}
		}
		b[i] = b[i]&^bits | value&bits
		k.option(&k.wc, id)[i] |= bits
		k.option(&k.now.written, id)[i] |= bits
	}
	for _, m := range []*flow.Key{&k.wc, &k.now.written, &k.now.key} {
		m[flow.TunPresentWord] |= present(id)
	}
	return true
}

// DeleteOption takes an option from the packet.
func (k *Key) DeleteOption(id flow.FieldID) {
	b := k.option(&k.now.key, id)
	if b == nil {
		return
	}
	s := flow.Subfield{Field: id, Bits: uint16(8 * len(b))}
	k.orOption(&k.wc, s)
	k.orOption(&k.now.written, s)
	clear(b)
	k.now.key[flow.TunPresentWord] &^= present(id)
}
