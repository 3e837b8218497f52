package bridge

import (
	"fmt"
	"math"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// policing reads Interface.ingress_policing_*.
func policing(row *ovsdb.Interface) datapath.Policing {
	limit := func(n int) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }
	return datapath.Policing{
		Rate: limit(row.IngressPolicingRate), Burst: limit(row.IngressPolicingBurst),
		PacketRate: limit(row.IngressPolicingKpktsRate), PacketBurst: limit(row.IngressPolicingKpktsBurst),
	}
}

// police limits what the interface receives as its row says.
func (i *iface) police() {
	dp, ok := i.bridge.agent.o.Datapath.(datapath.Policer)
	if !ok || i.deviceless() || i.odp == odp.PortNone {
		return
	}
	var err error
	if err = dp.PortPolice(i.odp, policing(i.row)); err != nil {
		err = fmt.Errorf("interface %s: ingress policing: %w", i.name, err)
	}
	i.bridge.warn("policing "+i.name, err)
}
