package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Lookup finds the rule of a table, as if the packet came from port in. With hidePorts
// fragments have no transport ports (SET_CONFIG's OFPC_FRAG_NORMAL).
func (k *Key) Lookup(t *table.Tables, id uint8, in openflow.PortNo, hidePorts bool) *table.Rule {
	key := &k.now.key
	was := key.Get(flow.InPortOXM)
	key.Set(flow.InPortOXM, uint64(in))
	defer key.Set(flow.InPortOXM, was)
	if hidePorts && key.Get(flow.IPFrag) != 0 { // always exact
		src, dst := key.Get(flow.TCPSrc), key.Get(flow.TCPDst)
		key.Set(flow.TCPSrc, 0)
		key.Set(flow.TCPDst, 0)
		defer func() {
			key.Set(flow.TCPSrc, src)
			key.Set(flow.TCPDst, dst)
		}()
	}
	return t.Lookup(id, key, &k.wc)
}

// Conjuncts are the rules that make the result of Lookup a conjunctive match, for a trace. It un-wildcards nothing.
func (k *Key) Conjuncts(t *table.Tables, id uint8, in openflow.PortNo, hidePorts bool) []*table.Rule {
	key := k.now.key
	key.Set(flow.InPortOXM, uint64(in))
	if hidePorts && key.Get(flow.IPFrag) != 0 {
		key.Set(flow.TCPSrc, 0)
		key.Set(flow.TCPDst, 0)
	}
	return t.Conjuncts(id, &key)
}

// The fields of a packet and those of its connection's original direction.
var (
	tuple  = [][2]flow.FieldID{{flow.NwProto, flow.CTNwProto}, {flow.TCPSrc, flow.CTTPSrc}, {flow.TCPDst, flow.CTTPDst}}
	tuple4 = append([][2]flow.FieldID{{flow.IPv4Src, flow.CTNwSrc}, {flow.IPv4Dst, flow.CTNwDst}}, tuple...)
	tuple6 = append([][2]flow.FieldID{{flow.IPv6Src, flow.CTIPv6Src}, {flow.IPv6Dst, flow.CTIPv6Dst}}, tuple...)
)

// SwapTuple has the packet's addresses, ports and protocol change places with those of its connection's original
// direction, in the mask, too. A second call brings all back.
func (k *Key) SwapTuple() {
	list := tuple6
	if k.Has(flow.PrereqIPv4) {
		list = tuple4
	}
	for _, f := range list {
		swapFields(&k.now.key, f[0], f[1])
		swapFields(&k.wc, f[0], f[1])
	}
}

func swapFields(k *flow.Key, a, b flow.FieldID) {
	var p, q [16]byte
	one, other := k.GetBytes(a, p[:0]), k.GetBytes(b, q[:0])
	k.SetBytes(a, other)
	k.SetBytes(b, one)
}
