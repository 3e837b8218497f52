package table

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Commands of NXT_TLV_TABLE_MOD.
const (
	tlvAdd = iota
	tlvDelete
	tlvClear
)

// MaxOptionSpace is how many bytes all mapped tunnel options have together, MaxOptions how many there are.
const (
	MaxOptionSpace = 256
	MaxOptions     = 64
)

// TLV is a TLV table (ovs-ofctl add-tlv-map): which Geneve option each tun_metadata field is, and where in a key's tun_opts
// OpenFlow has it. A datapath's key has options there as they are in the packet. Values are immutable.
type TLV struct {
	layout openflow.TLVMap
	maps   [MaxOptions]openflow.TLVMapping
	mapped uint64 // fields, a bitmap
	byKind map[uint32]uint8
	// Removed counts how often mappings were taken away: a field that was mapped is at its place as long as it stays.
	Removed uint64
}

// Any reports whether a field is mapped.
func (t *TLV) Any() bool { return t.mapped != 0 }

// Mapped reports whether tun_metadata<i> is.
func (t *TLV) Mapped(i int) bool { return t.mapped>>i&1 != 0 }

// Layout is where the fields are.
func (t *TLV) Layout() *openflow.TLVMap { return &t.layout }

// Maps lists what is mapped, in the order of fields.
func (t *TLV) Maps() (list []openflow.TLVMapping) {
	for m := t.mapped; m != 0; m &= m - 1 {
		list = append(list, t.maps[bits.TrailingZeros64(m)])
	}
	return list
}

func kindOf(class uint16, typ uint8) uint32 { return uint32(class)<<8 | uint32(typ) }

// TLV is the TLV table as it is now. It needs no lock.
func (t *Tables) TLV() *TLV { return t.tlv.Load() }

// TLVVersion moves with the TLV table. Its Version needs no lock.
func (t *Tables) TLVVersion() *TLVCounter { return &t.tlvVersion }

// ModTLV changes the TLV table, all or nothing. Errors are an openflow.Err with context, as in OVS. A field that flows or
// groups use cannot be taken away.
func (t *Tables) ModTLV(m *openflow.TLVTableMod) error {
	old := t.TLV()
	n := *old
	n.byKind = make(map[uint32]uint8, len(old.byKind)+len(m.Maps))
	for k, v := range old.byKind {
		n.byKind[k] = v
	}
	remove := uint64(0)
	switch m.Command {
	case tlvAdd:
		for _, e := range m.Maps {
			if err := n.add(e); err != nil {
				return err
			}
		}
	case tlvDelete:
		for _, e := range m.Maps {
			if e.Index >= MaxOptions {
				return fmt.Errorf("tun_metadata%d: %w", e.Index, openflow.TLVTableBadIndex)
			}
			remove |= 1 << e.Index & n.mapped
		}
	case tlvClear:
		remove = n.mapped
	default:
		return fmt.Errorf("TLV table command %d: %w", m.Command, openflow.TLVTableBadCommand)
	}
	if remove != 0 {
		if used := t.usedOptions() & remove; used != 0 {
			return fmt.Errorf("tun_metadata%d is in use: %w", bits.TrailingZeros64(used), openflow.TLVTableInUse)
		}
		n.remove(remove)
	}
	t.tlv.Store(&n)
	t.tlvVersion.n.Add(1)
	return nil
}

func (t *TLV) add(e openflow.TLVMapping) error {
	switch kind := kindOf(e.Class, e.Type); {
	case e.Index >= MaxOptions:
		return fmt.Errorf("tun_metadata%d: %w", e.Index, openflow.TLVTableBadIndex)
	case e.Len%4 != 0 || e.Len > 124:
		return fmt.Errorf("option of %d bytes: %w", e.Len, openflow.TLVTableBadOptLen)
	case t.mapped>>e.Index&1 != 0:
		return fmt.Errorf("tun_metadata%d: %w", e.Index, openflow.TLVTableAlreadyMapped)
	default:
		if _, dup := t.byKind[kind]; dup {
			return fmt.Errorf("option class 0x%x type 0x%x: %w", e.Class, e.Type, openflow.TLVTableDupEntry)
		}
		off, ok := t.room(int(e.Len))
		if !ok {
			return fmt.Errorf("option of %d bytes: %w", e.Len, openflow.TLVTableFull)
		}
		t.layout[e.Index].Off, t.layout[e.Index].Len = off, e.Len
		t.maps[e.Index] = e
		t.mapped |= 1 << e.Index
		t.byKind[kind] = uint8(e.Index)
	}
	return nil
}

// room finds a place for n bytes among the mapped fields, which stay where they are.
func (t *TLV) room(n int) (uint8, bool) {
	if n == 0 {
		return openflow.EmptyOption, true
	}
	var used [MaxOptionSpace]bool
	for _, l := range t.layout {
		for i := range int(l.Len) {
			used[int(l.Off)+i] = true
		}
	}
	for at, free := 0, 0; at < MaxOptionSpace; at++ {
		if free++; used[at] {
			free = 0
		}
		if free == n {
			return uint8(at + 1 - n), true
		}
	}
	return 0, false
}

func (t *TLV) remove(fields uint64) {
	t.mapped &^= fields
	t.Removed++
	for m := fields; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		delete(t.byKind, kindOf(t.maps[i].Class, t.maps[i].Type))
		t.layout[i].Off, t.layout[i].Len = 0, 0
		t.maps[i] = openflow.TLVMapping{}
	}
}

// optionHeader is the length of an option's header: class, type, and in the low 5 bits of the last byte the length of what
// follows in words (RFC 8926 section 3.5).
const optionHeader = 4

// critical is the bit of an option's type that says that who does not know the option must drop the packet.
const critical = 0x80

// FromPacket makes a datapath's key one of OpenFlow: options that are mapped come to the places of their fields, others are
// left out. It reports false for options that must not be ignored: of a wrong length, or critical and not mapped.
func (t *TLV) FromPacket(k *flow.Key) bool {
	var raw [MaxOptionSpace]byte
	opts := OptionSpace(k)
	copy(raw[:], opts)
	clear(opts)
	k[flow.TunPresentWord] = 0
	rest := raw[:min(k.Get(flow.TunOptsLen), maxPacketOptions)]
	for len(rest) >= optionHeader {
		n := optionHeader + int(rest[3]&0x1f)*4
		if n > len(rest) {
			return false
		}
		body, typ := rest[optionHeader:n], rest[2]
		i, ok := t.byKind[kindOf(binary.BigEndian.Uint16(rest), typ)]
		rest = rest[n:]
		switch {
		case ok && int(t.layout[i].Len) == len(body):
			copy(opts[t.layout[i].Off:], body)
			k[flow.TunPresentWord] |= 1 << i
		case ok, typ&critical != 0:
			return false
		}
	}
	return len(rest) == 0
}

// maxPacketOptions is how many bytes of options a Geneve header can have.
const maxPacketOptions = 252

// tunOpts is where options are in a key.
var tunOpts = func() int {
	for _, m := range flow.Layout {
		if m.Name == "tun_opts" {
			return m.Off
		}
	}
	panic("flow.Layout without tun_opts") // a wrong table, found by any test
}()

// OptionSpace is the place of options in a key, aliasing it.
func OptionSpace(key *flow.Key) []byte { return key.Bytes()[tunOpts:][:MaxOptionSpace] }

// RawOptions are the options of a datapath's key, aliasing it.
func RawOptions(key *flow.Key) []byte {
	return OptionSpace(key)[:min(key.Get(flow.TunOptsLen), maxPacketOptions)]
}

// ReadsOptions reports whether a mask of OpenFlow's key has anything of tunnel options.
func ReadsOptions(wc *flow.Mask) bool {
	for _, w := range wc[tunOpts/8:][:MaxOptionSpace/8] {
		if w != 0 {
			return true
		}
	}
	return wc[flow.TunPresentWord] != 0
}

// PacketMask makes wc, a mask of OpenFlow's key for a packet with these raw options, one of the datapath's key. The
// headers of all options are exact: they say where each value is.
func (t *TLV) PacketMask(wc *flow.Mask, raw []byte) {
	var read [MaxOptionSpace]byte
	opts := OptionSpace(wc)
	copy(read[:], opts)
	clear(opts)
	for at := 0; at < len(raw); {
		rest := raw[at:]
		n := optionHeader
		if len(rest) >= optionHeader {
			n += int(rest[3]&0x1f) * 4
		}
		n = min(n, len(rest))
		for i := range min(optionHeader, n) {
			opts[at+i] = 0xff
		}
		if n > optionHeader {
			if i, ok := t.byKind[kindOf(binary.BigEndian.Uint16(rest), rest[2])]; ok {
				copy(opts[at+optionHeader:at+n], read[t.layout[i].Off:][:t.layout[i].Len])
			}
		}
		at += n
	}
	wc.SetExact(flow.TunOptsLen)
}

// ToPacket makes OpenFlow's key a datapath's: the fields that are present become options, in the order of their numbers.
// It reports false, and leaves out the last fields, when there are more than 252 bytes of them.
func (t *TLV) ToPacket(k *flow.Key) bool {
	var raw [MaxOptionSpace]byte
	opts := OptionSpace(k)
	at, fits := 0, true
	for m := k[flow.TunPresentWord] & t.mapped; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		e, l := t.maps[i], t.layout[i]
		if at+optionHeader+int(l.Len) > maxPacketOptions {
			fits = false
			break
		}
		binary.BigEndian.PutUint16(raw[at:], e.Class)
		raw[at+2], raw[at+3] = e.Type, l.Len/4
		copy(raw[at+optionHeader:], opts[l.Off:][:l.Len])
		at += optionHeader + int(l.Len)
	}
	copy(opts, raw[:])
	k.Set(flow.TunOptsLen, uint64(at))
	k[flow.TunPresentWord] = 0
	return fits
}

// Remap moves the fields of a match from the places that an earlier table gave them to those of t; fields that are not the
// same options any more are left out.
func (t *TLV) Remap(m *flow.Match, from *TLV) {
	if t == from || from == nil {
		return
	}
	was := *m
	if was.Mask[flow.TunPresentWord] == ^uint64(0) { // all was forgotten: what stays wildcarded would be the packet's
		defer func() {
			ones := OptionSpace(&m.Mask)
			for i := range ones {
				ones[i] = 0xff
			}
			m.Mask[flow.TunPresentWord] = ^uint64(0)
		}()
	}
	for _, k := range []*flow.Key{&m.Key, &m.Mask} {
		clear(OptionSpace(k))
		k[flow.TunPresentWord] = 0
	}
	for fields := was.Mask[flow.TunPresentWord]; fields != 0; fields &= fields - 1 {
		i := bits.TrailingZeros64(fields)
		if t.mapped>>i&1 == 0 || t.maps[i] != from.maps[i] {
			continue
		}
		m.Mask[flow.TunPresentWord] |= 1 << i
		m.Key[flow.TunPresentWord] |= was.Key[flow.TunPresentWord] & (1 << i)
		n := int(t.layout[i].Len)
		copy(m.Key.Bytes()[tunOpts+int(t.layout[i].Off):][:n], was.Key.Bytes()[tunOpts+int(from.layout[i].Off):])
		copy(m.Mask.Bytes()[tunOpts+int(t.layout[i].Off):][:n], was.Mask.Bytes()[tunOpts+int(from.layout[i].Off):])
	}
}
