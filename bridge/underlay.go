package bridge

import (
	"github.com/ovs-bpf/ovs-bpf/bridge/underlay"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// newUnderlay makes the view of the network that tunnels run over.
func (a *Agent) newUnderlay() *underlay.Underlay {
	dp, _ := a.o.Datapath.(datapath.Underlayer)
	return underlay.New(underlay.Options{
		Host: a.o.Host, Watch: a.o.Devices.Watch, Datapath: dp, Clock: a.o.Clock, Log: a.o.Log("tunnel"), Count: a.count,
		NoSystemRoutes: a.o.NoSystemRoutes, Changed: a.statusChanged,
	})
}

// remote is the address that a tunnel sends to; false when flows say it.
func (i *iface) remote() (underlay.Remote, bool) {
	if i.tunnel == nil || !i.tunnel.Remote.IsValid() {
		return underlay.Remote{}, false
	}
	return underlay.Remote{Dst: i.tunnel.Remote, Mark: i.tunnel.Mark}, true
}

// demandUnderlay tells the underlay what the bridges have now.
func (a *Agent) demandUnderlay() {
	d := underlay.Demand{Taken: map[string]bool{}}
	refs := map[odp.Port]int{}
	for _, b := range a.bridges {
		for _, i := range b.ifaces {
			if !i.up() {
				continue
			}
			refs[i.odp]++
			if r, ok := i.remote(); ok {
				d.Remotes = append(d.Remotes, r)
			}
		}
	}
	ports, err := a.o.Datapath.Ports()
	if err != nil {
		a.log.Warnf("failed to read the datapath's ports: %v", err)
		return
	}
	for _, p := range ports {
		switch p.Kind {
		case datapath.PortNetdev:
			d.Taken[p.Name] = true
		case datapath.PortTunnel:
			if p.Tunnel != nil {
				d.Ports = append(d.Ports, underlay.Port{Name: p.Name, Number: uint32(p.Number), Refs: refs[p.Number], Spec: *p.Tunnel})
			}
		}
	}
	a.underlay.SetDemand(d)
}

// egressStatus are the keys of Interface.status that a tunnel's way has.
func (i *iface) egressStatus() map[string]string {
	r, ok := i.remote()
	if !ok {
		return nil
	}
	device, carrier := i.bridge.agent.underlay.Egress(r)
	if device == "" {
		return nil
	}
	state := "down"
	if carrier {
		state = "up"
	}
	return map[string]string{"tunnel_egress_iface": device, "tunnel_egress_iface_carrier": state}
}

// egressError is what Interface.error says of a tunnel that is as configured, and whose packets have no way; nil when they have.
func (i *iface) egressError() *string {
	if r, ok := i.remote(); ok {
		if text := i.bridge.agent.underlay.Problem(r); text != "" {
			return &text
		}
	}
	return nil
}
