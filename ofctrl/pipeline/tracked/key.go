// Package tracked holds the key of a packet in translation together with the mask of every bit
// of it that was looked at. There is no way to read the key that does not un-wildcard what is
// read, so a megaflow made of a translation cannot be wider than what decided it.
//
// What makes it right: each bit of the key as it is now is either the packet's own bit in the
// same place, or was written from values that are exact in the mask. Hence un-wildcarding the
// place that is read is always enough.
package tracked

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Key is the key of a packet: as OpenFlow actions have made it (now), and as the datapath has
// it after the actions that were committed (base). Its zero value is not ready: use Init.
type Key struct {
	now, base state
	wc        flow.Mask
	priority  uint64 // skb_priority of the packet itself
	laterFrag bool
	opts      options
	mpls      bool // the packet came with labels
	noTunnel  bool // and by no tunnel
}

// state is one form of the packet.
type state struct {
	key flow.Key
	// written has the bits that translation gave a value.
	written flow.Mask
	// deep are VLAN tags inside the two that a key can hold: what was pushed over.
	deep  [maxDeep]VLAN
	nDeep int
	// tlv says where tunnel options are in key; nil: no bridge was entered yet.
	tlv *table.TLV
	// unparsed: popped labels hid headers that the key has not.
	unparsed bool
	// tunnel is the outer header that the datapath was told, nil: none. Of base only.
	tunnel *flow.Key
	// pushed is how many labels there are more than the packet had.
	pushed int
}

// State is what Save keeps.
type State struct{ s state }

// Init starts from a datapath key; inPort replaces its datapath port number. What OVS always
// matches on is exact from the start: recirc_id, in_port, packet_type, eth_type, of IP packets
// nw_frag.
func (k *Key) Init(key *flow.Key, inPort openflow.PortNo) {
	k.now.key = *key
	clear(k.now.key[flow.DPWords:])
	k.now.written = flow.Mask{}
	k.now.nDeep, k.now.unparsed, k.now.pushed, k.now.tlv, k.now.tunnel = 0, false, 0, nil, nil
	if k.opts.init(key); k.opts.n == 0 {
		clear(table.OptionSpace(&k.now.key)) // what is behind the packet's options is not the packet's
	}
	k.wc = flow.Mask{}
	k.now.key.Set(flow.InPortOXM, uint64(inPort))
	k.now.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
	k.base = k.now
	k.priority = k.now.key.Get(flow.SkbPriority)
	k.wc.SetExact(flow.InPortOXM)
	k.wc.SetExact(flow.RecircID)
	k.wc.SetExact(flow.PacketType)
	k.wc.SetExact(flow.EthType)
	k.laterFrag, k.mpls, k.noTunnel = false, k.IsMPLS(), false
	if k.Has(flow.PrereqIP) {
		k.wc.SetExact(flow.IPFrag)
		k.laterFrag = k.Get(flow.IPFrag)&flow.FragLater != 0
	}
}

// Mask writes the datapath words of the mask of all that was read or written.
func (k *Key) Mask(m *flow.Mask) {
	*m = k.wc
	if k.noTunnel {
		for i, w := range &tunMembers {
			m[i] &^= w
		}
	} else {
		k.optionMask(m)
	}
	clear(m[flow.DPWords:])
	// That there is a tag is part of any knowledge about it.
	for _, f := range [...]flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if v := m.Get(f); v != 0 {
			m.Set(f, v|flow.VLANPresent)
		}
	}
	if !k.mpls { // eth_type says so already
		for _, f := range lseField {
			m.Set(f, 0)
		}
	}
	// A later fragment has no ports, which nw_frag, always exact, says already.
	if k.laterFrag {
		for _, f := range [...]flow.FieldID{flow.TCPSrc, flow.TCPDst, flow.TCPFlags} {
			m.Set(f, 0)
		}
	}
}

// Get reads a field of at most 64 bits (of a wider one the low 64, all of it being
// un-wildcarded).
func (k *Key) Get(id flow.FieldID) uint64 {
	k.wc.SetExact(id)
	return k.now.key.Get(id)
}

// Is reports whether a field of at most 64 bits has a value. Of one that has another, the highest bit that
// differs is un-wildcarded: it is reason enough.
func (k *Key) Is(id flow.FieldID, v uint64) bool {
	differs := k.now.key.Get(id) ^ v
	if differs == 0 {
		k.wc.SetExact(id)
		return true
	}
	k.exact(flow.Subfield{Field: id, Ofs: uint16(bits.Len64(differs)) - 1, Bits: 1})
	return false
}

// Read appends a subfield, right-aligned in (Bits+7)/8 bytes, to dst.
func (k *Key) Read(s flow.Subfield, dst []byte) []byte {
	n := len(dst)
	for range (s.Bits + 7) / 8 {
		dst = append(dst, 0)
	}
	if narrow(s) {
		v := k.getBits(s)
		for i := len(dst) - 1; i >= n; i-- {
			dst[i] = byte(v)
			v >>= 8
		}
		return dst
	}
	k.exact(s)
	if isOption(s.Field) {
		flow.CopyBits(dst[n:], 0, k.option(&k.now.key, s.Field), int(s.Ofs), int(s.Bits))
		return dst
	}
	var buf [flowFieldMax]byte
	flow.CopyBits(dst[n:], 0, k.now.key.GetBytes(s.Field, buf[:0]), int(s.Ofs), int(s.Bits))
	return dst
}

// ReadMasked appends a field under a mask, both in wire form, to dst.
func (k *Key) ReadMasked(id flow.FieldID, mask, dst []byte) []byte {
	if isOption(id) {
		return k.Read(flow.Subfield{Field: id, Bits: uint16(8 * len(k.option(&k.now.key, id)))}, dst)
	}
	orMasked(&k.wc, id, mask)
	n := len(dst)
	dst = k.now.key.GetBytes(id, dst)
	for i := range min(len(dst)-n, len(mask)) {
		dst[n+i] &= mask[i]
	}
	return dst
}

// Uint reads a subfield of at most 64 bits.
func (k *Key) Uint(s flow.Subfield) uint64 {
	if narrow(s) {
		return k.getBits(s)
	}
	var buf [flowFieldMax]byte
	var n uint64
	for _, c := range k.Read(s, buf[:0]) {
		n = n<<8 | uint64(c)
	}
	return n
}

// flowFieldMax is the length of the longest field, tun_metadata, in bytes.
const flowFieldMax = 124

// narrow reports whether a subfield's whole field fits 64 bits.
func narrow(s flow.Subfield) bool { return s.Field.Info().Size <= 8 }

func bitsOf(s flow.Subfield) uint64 {
	if s.Bits >= 64 {
		return ^uint64(0)
	}
	return 1<<s.Bits - 1
}

func (k *Key) getBits(s flow.Subfield) uint64 {
	k.exact(s)
	return k.now.key.Get(s.Field) >> s.Ofs & bitsOf(s)
}

// exact un-wildcards a subfield.
func (k *Key) exact(s flow.Subfield) {
	if isOption(s.Field) {
		k.orOption(&k.wc, s)
		return
	}
	orBits(&k.wc, s)
}

func orBits(m *flow.Mask, s flow.Subfield) {
	if narrow(s) {
		m.Set(s.Field, m.Get(s.Field)|bitsOf(s)<<s.Ofs)
		return
	}
	var buf, ones [flowFieldMax]byte
	b := m.GetBytes(s.Field, buf[:0])
	for i := range ones {
		ones[i] = 0xff
	}
	flow.CopyBits(b, int(s.Ofs), ones[:], 0, int(s.Bits))
	m.SetBytes(s.Field, b)
}

// orMasked adds the bits of a field's mask in wire form (nil: all).
func orMasked(m *flow.Mask, id flow.FieldID, mask []byte) {
	if mask == nil {
		m.SetExact(id)
		return
	}
	var buf [flowFieldMax]byte
	b := m.GetBytes(id, buf[:0])
	for i := range min(len(b), len(mask)) {
		b[i] |= mask[i]
	}
	m.SetBytes(id, b)
}

// Set writes all of a field of at most 64 bits, if the packet has it.
func (k *Key) Set(id flow.FieldID, v uint64) bool {
	if !k.Has(id.Info().Prereq) {
		return false
	}
	k.touch(id, nil)
	k.now.key.Set(id, v)
	k.fix(id)
	return true
}

// SetMasked writes the bits of a field that are set in mask (nil: all), if the packet has the
// field. As in OVS, bits that are written become exact: a write of what is there already can
// then be left out of the datapath actions.
func (k *Key) SetMasked(id flow.FieldID, v, mask []byte) bool {
	if f := id.Info(); !f.Writable || !k.Has(f.Prereq) {
		return false
	}
	if isOption(id) {
		return k.setOption(id, v, mask)
	}
	k.touch(id, mask)
	k.now.key.SetMasked(id, v, mask)
	k.fix(id)
	return true
}

// Write writes a subfield from right-aligned bytes, extended by zeros, if the packet has the field.
func (k *Key) Write(s flow.Subfield, v []byte) bool {
	if f := s.Field.Info(); !f.Writable || !k.Has(f.Prereq) {
		return false
	}
	if isOption(s.Field) {
		return k.writeOption(s, v)
	}
	k.exact(s)
	orBits(&k.now.written, s)
	if narrow(s) {
		var n uint64
		for _, c := range v {
			n = n<<8 | uint64(c)
		}
		m := bitsOf(s) << s.Ofs
		k.now.key.Set(s.Field, k.now.key.Get(s.Field)&^m|n<<s.Ofs&m)
	} else {
		var buf, wide [flowFieldMax]byte
		if len(v) < len(wide) { // CopyBits does not extend
			copy(wide[len(wide)-len(v):], v)
			v = wide[:]
		}
		b := k.now.key.GetBytes(s.Field, buf[:0])
		flow.CopyBits(b, int(s.Ofs), v, 0, int(s.Bits))
		k.now.key.SetBytes(s.Field, b)
	}
	k.fix(s.Field)
	return true
}

// Move copies bits, if the packet has both fields.
func (k *Key) Move(dst, src flow.Subfield) bool {
	if !k.Has(dst.Field.Info().Prereq) || !k.Has(src.Field.Info().Prereq) {
		return false
	}
	var buf [flowFieldMax]byte
	return k.Write(dst, k.Read(src, buf[:0]))
}

func (k *Key) touch(id flow.FieldID, mask []byte) {
	orMasked(&k.wc, id, mask)
	orMasked(&k.now.written, id, mask)
}

// fix keeps the key's own conventions after a field was written.
func (k *Key) fix(id flow.FieldID) {
	switch id {
	case flow.VLANTCI, flow.DlVLAN, flow.VLANVID, flow.DlVLANPCP, flow.VLANPCP:
		k.fixVLAN(id)
	case flow.InPort:
		k.touch(flow.InPortOXM, nil)
		if v := k.now.key.Get(flow.InPortOXM) & 0xffff; v >= 0xff00 {
			k.now.key.Set(flow.InPortOXM, v|0xffff0000)
		} else {
			k.now.key.Set(flow.InPortOXM, v)
		}
	}
}

// ResetPriority gives the packet back the skb_priority that it came with.
func (k *Key) ResetPriority() {
	// Nothing is read: the value is the packet's own, in its own place.
	k.now.key.Set(flow.SkbPriority, k.priority)
}

// Save remembers the packet as it is now; Restore brings it back, except for what was
// committed: the next commit then undoes that.
func (k *Key) Save(s *State) { s.s = k.now }

// Restore undoes all writes since Save.
func (k *Key) Restore(s *State) { k.now = s.s }

// Branch is what Fork keeps.
type Branch struct{ now, base state }

// Fork remembers the packet as it is now, and as the datapath has it; Join brings both back, for a list of datapath
// actions that runs on a copy of the packet.
func (k *Key) Fork(b *Branch) { b.now, b.base = k.now, k.base }

// Join undoes all writes and commits since Fork.
func (k *Key) Join(b *Branch) { k.now, k.base = b.now, b.base }

// Peek copies the key as it is now for people to see. It un-wildcards nothing, so nothing may be decided by the copy.
func (k *Key) Peek(key *flow.Key) { *key = k.now.key }

// InPort is the OpenFlow port in the key.
func (k *Key) InPort() openflow.PortNo { return openflow.PortNo(k.Get(flow.InPortOXM)) }

// SetInPort writes the OpenFlow port.
func (k *Key) SetInPort(p openflow.PortNo) { k.Set(flow.InPortOXM, uint64(p)) }

// Arrive says which OpenFlow port the packet came in by, where Init could not: its tunnel had to be read first.
func (k *Key) Arrive(p openflow.PortNo) {
	k.now.key.Set(flow.InPortOXM, uint64(p))
	k.base.key.Set(flow.InPortOXM, uint64(p))
}

var (
	ctMembers  = members(flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel, flow.CTNwProto, flow.CTNwSrc, flow.CTNwDst, flow.CTIPv6Src, flow.CTIPv6Dst, flow.CTTPSrc, flow.CTTPDst)
	tunMembers = func() flow.Mask {
		m := members(flow.TunID, flow.TunSrc, flow.TunDst, flow.TunIPv6Src, flow.TunIPv6Dst, flow.TunAllFlags, flow.TunTOS, flow.TunTTL,
			flow.TunTPSrc, flow.TunTPDst, flow.TunGBPID, flow.TunGBPFlags, flow.TunOptsLen,
			flow.TunErspanIdx, flow.TunErspanVer, flow.TunErspanDir, flow.TunErspanHwid, flow.TunGtpuFlags, flow.TunGtpuMsgtype)
		for _, mb := range flow.Layout {
			if mb.Name == "tun_opts" {
				b := m.Bytes()[mb.Off : mb.Off+mb.Size]
				for i := range b {
					b[i] = 0xff
				}
			}
		}
		m[flow.TunPresentWord] = ^uint64(0)
		return m
	}()
	pipeMembers = func() flow.Mask {
		m := members(flow.Metadata, flow.ConjID, flow.ActsetOutput)
		for i := range 32 {
			m.SetExact(flow.Reg(i))
		}
		return m
	}()
)

func members(ids ...flow.FieldID) (m flow.Mask) {
	for _, id := range ids {
		m.SetExact(id)
	}
	return m
}

// forget makes members zero without looking at them.
func (k *Key) forget(m *flow.Mask) {
	for i, w := range m {
		k.now.key[i] &^= w
		k.now.written[i] |= w
	}
}

// EnterBridge prepares the key for the peer of a patch port: a new port, and none of the
// metadata of the bridge it comes from.
func (k *Key) EnterBridge(in openflow.PortNo) {
	k.forget(&tunMembers)
	k.forget(&ctMembers)
	k.forget(&pipeMembers)
	k.now.key.Set(flow.ActsetOutput, uint64(openflow.PortUnset))
	k.SetInPort(in)
}

// Metadata returns which metadata (registers, metadata, tunnel, conntrack) translation wrote, and
// the values. It depends only on bits that are exact.
func (k *Key) Metadata(m *flow.Match) {
	m.Key, m.Mask = k.now.key, k.now.written
	m.Mask.And(&metadata)
	m.Normalize()
}

// SetMetadata starts from what an earlier translation wrote (Metadata), or a controller gave. What is
// no metadata in m is ignored.
func (k *Key) SetMetadata(m *flow.Match) {
	for i, w := range m.Mask {
		w &= metadata[i]
		k.now.key[i] = k.now.key[i]&^w | m.Key[i]&w
		k.now.written[i] |= w
	}
}

// metadata are the members that are not in the packet and that a datapath does not set.
var metadata = func() (m flow.Mask) {
	for _, o := range []*flow.Mask{&tunMembers, &ctMembers, &pipeMembers} {
		m.Or(o)
	}
	return m
}()
