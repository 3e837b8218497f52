package tracked

import (
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// VLAN is one tag of a stack.
type VLAN struct {
	TPID uint16
	TCI  uint16 // flow.VLANPresent is set
}

// inKey is how many tags a key holds; maxDeep how many more a translation can have pushed.
const (
	inKey   = 2
	maxDeep = 6
	maxTags = inKey + maxDeep
)

var tciField = [inKey]flow.FieldID{flow.VLANTCI, flow.VLANTCI2}
var tpidField = [inKey]flow.FieldID{flow.VLANTPID, flow.VLANTPID2}

// readTCI un-wildcards bits of the i-th tag. What translation wrote there is exact already: a
// packet that gets its first tag need not be looked at for a second.
func (k *Key) readTCI(s *state, i int, bits uint64) {
	f := tciField[i]
	k.wc.Set(f, k.wc.Get(f)|bits&^s.written.Get(f))
}

// hasTag reports whether there is an i-th tag (0 or 1), reading that bit.
func (k *Key) hasTag(i int) bool {
	k.readTCI(&k.now, i, flow.VLANPresent)
	return k.now.key.Get(tciField[i])&flow.VLANPresent != 0
}

// stack returns the tags of a state. It un-wildcards which there are, not what is in them.
func (k *Key) stack(s *state, dst *[maxTags]VLAN) []VLAN {
	n := 0
	for i := range inKey {
		k.readTCI(s, i, flow.VLANPresent)
		if s.key.Get(tciField[i])&flow.VLANPresent == 0 {
			return dst[:n]
		}
		dst[n] = VLAN{TPID: uint16(s.key.Get(tpidField[i])), TCI: uint16(s.key.Get(tciField[i]))}
		n++
	}
	n += copy(dst[n:], s.deep[:s.nDeep])
	return dst[:n]
}

// exactTags un-wildcards the first n tags, as far as they are in the key.
func (k *Key) exactTags(n int) {
	for i := range min(n, inKey) {
		k.readTCI(&k.now, i, 0xffff)
		f := tpidField[i]
		k.wc.Set(f, k.wc.Get(f)|0xffff&^k.now.written.Get(f))
	}
}

// setStack makes tags the packet's; all of the old ones must be exact.
func (s *state) setStack(tags []VLAN) {
	for i := range inKey {
		var t VLAN
		if i < len(tags) {
			t = tags[i]
		}
		s.key.Set(tciField[i], uint64(t.TCI))
		s.key.Set(tpidField[i], uint64(t.TPID))
		s.written.SetExact(tciField[i])
		s.written.SetExact(tpidField[i])
	}
	s.nDeep = copy(s.deep[:], tags[min(len(tags), inKey):])
}

// VLANs appends the packet's tags, outermost first, to dst, and un-wildcards them.
func (k *Key) VLANs(dst []VLAN) []VLAN {
	var buf [maxTags]VLAN
	tags := k.stack(&k.now, &buf)
	k.exactTags(len(tags))
	return append(dst, tags...)
}

// SetVLANs replaces the tags. At most 8 are kept.
func (k *Key) SetVLANs(tags []VLAN) bool {
	var buf [maxTags]VLAN
	if len(tags) > maxTags {
		return false
	}
	k.exactTags(len(k.stack(&k.now, &buf)))
	k.now.setStack(tags)
	return true
}

// PushVLAN adds an empty tag outside all others. It reports whether there was room.
func (k *Key) PushVLAN(tpid uint16) bool {
	var buf [maxTags]VLAN
	tags := k.stack(&k.now, &buf)
	if len(tags) == maxTags {
		return false
	}
	k.exactTags(len(tags))
	n := len(tags)
	copy(buf[1:], tags)
	buf[0] = VLAN{TPID: tpid, TCI: flow.VLANPresent}
	k.now.setStack(buf[:n+1])
	return true
}

// PopVLAN removes the outermost tag; without one there is nothing to do.
func (k *Key) PopVLAN() {
	var buf [maxTags]VLAN
	tags := k.stack(&k.now, &buf)
	if len(tags) == 0 {
		return
	}
	k.exactTags(len(tags))
	k.now.setStack(tags[1:])
}

// SetVLANBits is mod_vlan_vid and mod_vlan_pcp: it writes the bits of the TCI that are in mask.
// A packet without a tag gets one if push says so, else stays.
func (k *Key) SetVLANBits(value, mask uint16, push bool) {
	if !k.hasTag(0) {
		if push {
			k.now.setStack([]VLAN{{TPID: packet.EthTypeVLAN, TCI: value&mask | flow.VLANPresent}})
		}
		return
	}
	m := uint64(mask | flow.VLANPresent)
	k.readTCI(&k.now, 0, m)
	k.now.written.Set(flow.VLANTCI, k.now.written.Get(flow.VLANTCI)|m)
	k.now.key.Set(flow.VLANTCI, k.now.key.Get(flow.VLANTCI)&^m|uint64(value&mask)|flow.VLANPresent)
	k.fixVLAN(flow.VLANTCI)
}

// fixVLAN completes a tag after one of its fields was written: dl_vlan and the priorities make
// one, and one that came about has 802.1Q's TPID. A TCI that was written without
// flow.VLANPresent is no tag, and takes those inside it away.
func (k *Key) fixVLAN(id flow.FieldID) {
	if id == flow.DlVLAN || id == flow.DlVLANPCP || id == flow.VLANPCP {
		k.hasTag(0)
		k.now.key.Set(flow.VLANTCI, k.now.key.Get(flow.VLANTCI)|flow.VLANPresent)
		k.now.written.Set(flow.VLANTCI, k.now.written.Get(flow.VLANTCI)|flow.VLANPresent)
	}
	if !k.hasTag(0) {
		k.exactTags(inKey)
		k.now.setStack(nil)
		return
	}
	k.exactTags(1)
	if k.now.key.Get(flow.VLANTPID) == 0 {
		k.now.key.Set(flow.VLANTPID, packet.EthTypeVLAN)
		k.now.written.SetExact(flow.VLANTPID)
	}
}

// commitVLAN pops what differs from the datapath's stack and pushes what should be there.
func (k *Key) commitVLAN(out []odp.Action) []odp.Action {
	same := slices.Equal(k.now.deep[:k.now.nDeep], k.base.deep[:k.base.nDeep])
	for i := range inKey {
		same = same && k.now.key.Get(tciField[i]) == k.base.key.Get(tciField[i]) && k.now.key.Get(tpidField[i]) == k.base.key.Get(tpidField[i])
	}
	if same {
		return out
	}
	var b, f [maxTags]VLAN
	old, tags := k.stack(&k.base, &b), k.stack(&k.now, &f)
	n, m := len(old), len(tags)
	// Tags in the same place that differ were written, and those that moved are exact.
	for n > 0 && m > 0 && old[n-1] == tags[m-1] {
		n, m = n-1, m-1
	}
	k.exactTags(m) // what is pushed must be exact, whoever wrote it
	for range n {
		out = append(out, odp.PopVLAN{})
	}
	for ; m > 0; m-- {
		out = append(out, odp.PushVLAN{TPID: tags[m-1].TPID, TCI: tags[m-1].TCI})
	}
	k.base.setStack(tags)
	return out
}
