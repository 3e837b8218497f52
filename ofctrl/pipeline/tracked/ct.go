package tracked

import (
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// execMembers are what actions inside ct() may write: they belong to the connection.
var execMembers = members(flow.CTMark, flow.CTLabel)

// Exec runs the actions inside ct() and returns what they give the connection, value and mask; nil: nothing. The
// packet's own mark and label stay as they are. Unless the actions read them, those need not be exact for it.
func (k *Key) Exec(reads bool, f func()) (mark *[2]uint32, label *[2][16]byte) {
	was := k.now
	var wc flow.Mask
	for i, m := range execMembers {
		wc[i] = k.wc[i] & m
		k.now.written[i] &^= m
		if !reads {
			k.wc[i] &^= m
		}
	}
	f()
	if m := k.now.written.Get(flow.CTMark); m != 0 {
		mark = &[2]uint32{uint32(k.now.key.Get(flow.CTMark) & m), uint32(m)}
	}
	if !k.now.written.IsZero(flow.CTLabel) {
		var v [2][16]byte
		k.now.key.GetBytes(flow.CTLabel, v[0][:0])
		k.now.written.GetBytes(flow.CTLabel, v[1][:0])
		for i := 0; i < 16; i += 8 {
			binary.BigEndian.PutUint64(v[0][i:], binary.BigEndian.Uint64(v[0][i:])&binary.BigEndian.Uint64(v[1][i:]))
		}
		label = &v
	}
	for i, m := range execMembers {
		if !reads {
			k.wc[i] &^= m
		}
		k.wc[i] |= wc[i]
	}
	k.now = was
	return mark, label
}

// LeaveCT leaves the conntrack members to the datapath: what Metadata returns has none of them.
func (k *Key) LeaveCT() {
	for i, m := range ctMembers {
		k.now.written[i] &^= m
	}
}

// Track notes that the datapath has tracked its packet. The packet of the translation is untracked from now on.
func (k *Key) Track() {
	k.base.key.Set(flow.CTState, ctTracked)
	k.forget(&ctMembers)
}

// Untrack makes a packet that is tracked an untracked one. It reports whether the datapath has to do so, too.
func (k *Key) Untrack() (inDatapath bool) {
	k.wc.Set(flow.CTState, k.wc.Get(flow.CTState)|ctTracked&^k.now.written.Get(flow.CTState))
	if k.now.key.Get(flow.CTState)&ctTracked == 0 {
		return false
	}
	inDatapath = k.base.key.Get(flow.CTState)&ctTracked != 0
	k.base.key.Set(flow.CTState, 0)
	k.forget(&ctMembers)
	return inDatapath
}
