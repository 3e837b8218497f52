package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// useTLV has tun_metadata fields be those of a bridge's TLV table.
func (x *xlate) useTLV(t *table.Tables) {
	if x.tlv == nil {
		x.tlv = t.TLVVersion() // that of the packet's own options
	}
	p := x.InPort()
	if !x.key.UseTLV(t.TLV(), p != nil && p.Tunnel != nil) {
		x.errorf(odp.DropInvalidTunnelMetadata, "invalid tunnel metadata")
	}
}

// withoutOptions is a datapath's key as a match of all that is not zero, its tunnel options left out: they have places of
// their own in OpenFlow's key.
func withoutOptions(key *flow.Key) flow.Match {
	k := *key
	clear(table.RawOptions(&k))
	k.Set(flow.TunOptsLen, 0)
	return flow.Match{Key: k, Mask: k}
}

// matchOptions has a match want bits of a tun_metadata field, right-aligned in v.
func matchOptions(m *flow.Match, tlv *openflow.TLVMap, to flow.Subfield, v []byte) {
	key, ok := tlv.Bytes(&m.Key, to.Field)
	if !ok {
		return
	}
	mask, _ := tlv.Bytes(&m.Mask, to.Field)
	ones := make([]byte, len(mask))
	for i := range ones {
		ones[i] = 0xff
	}
	flow.CopyBits(key, int(to.Ofs), v, 0, min(int(to.Bits), 8*len(v)))
	flow.CopyBits(mask, int(to.Ofs), ones, 0, int(to.Bits))
	bit := uint64(1) << (to.Field - flow.TunMetadata0)
	m.Key[flow.TunPresentWord] |= bit
	m.Mask[flow.TunPresentWord] |= bit
}
