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
