package bridge

import (
	"fmt"
	"maps"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/tunnel"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// tunnelRefs say whose the packets are that come in by a tunnel's datapath port. Immutable, replaced whole.
type tunnelRefs struct {
	ports map[tunnel.Match]portRef
	names map[odp.Port]string // of the datapath ports
}

func (a *Agent) newTunnelRefs() *tunnelRefs {
	r := &tunnelRefs{map[tunnel.Match]portRef{}, map[odp.Port]string{}}
	for name, d := range a.tunnels {
		r.names[d.odp] = name
	}
	return r
}

func (r *tunnelRefs) equal(o *tunnelRefs) bool {
	return maps.Equal(r.ports, o.ports) && maps.Equal(r.names, o.names)
}

func (r *tunnelRefs) find(no odp.Port, p pipeline.Arrival) (portRef, bool) {
	if !p.Dst.IsValid() {
		return portRef{}, false
	}
	return tunnel.Find(r.ports, no, p)
}

// receive says which bridge and OpenFlow port a packet of a tunnel is for.
func (a *Agent) receive(no odp.Port, p pipeline.Arrival) (pipeline.Bridge, *pipeline.Port) {
	ref, ok := a.tunnelRefs.Load().find(no, p)
	if !ok {
		return nil, nil
	}
	return ref.bridge, ref.port
}

// listTunnels answers ofproto/list-tunnels, by bridges and names.
func (a *Agent) listTunnels([]string) (string, error) {
	var s strings.Builder
	for _, b := range a.sorted() {
		for _, i := range b.sortedIfaces() {
			if i.tunnel != nil {
				fmt.Fprintf(&s, "port %d: %s (%s)\n", i.odp, i.name, i.tunnel.Text(i.odp))
			}
		}
	}
	return s.String(), nil
}
