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
		k.now.key[i] &^= m
		k.now.written[i] &^= m
	}
}
