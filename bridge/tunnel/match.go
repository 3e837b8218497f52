package tunnel

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// Match says which packets a tunnel port takes. Two ports cannot have the same.
type Match struct {
	Port                  odp.Port
	Remote, Local         netip.Addr // Local invalid: any that LocalFlow ports do not say
	RemoteFlow, LocalFlow bool
	Key                   uint64
	KeyFlow               bool
}

// Match is what the port takes when it shares a datapath's port.
func (c *Config) Match(port odp.Port) Match {
	return Match{Port: port, Remote: c.Remote, Local: c.Local, RemoteFlow: c.RemoteFlow, LocalFlow: c.LocalFlow, Key: c.InKey, KeyFlow: c.InKeyFlow}
}

// Find finds whose a packet is that came in by a datapath's port. Ports that say more come before those that say less: a
// key before flow, then a remote address before flow, then a local address before none before flow.
func Find[V any](ports map[Match]V, port odp.Port, a pipeline.Arrival) (v V, ok bool) {
	for _, keyFlow := range [...]bool{false, true} {
		for _, remoteFlow := range [...]bool{false, true} {
			m := Match{Port: port, KeyFlow: keyFlow, RemoteFlow: remoteFlow}
			if !keyFlow {
				m.Key = a.ID
			}
			if !remoteFlow {
				m.Remote = a.Src
			}
			m.Local = a.Dst
			if v, ok = ports[m]; ok {
				return v, ok
			}
			m.Local = netip.Addr{}
			if v, ok = ports[m]; ok {
				return v, ok
			}
			m.LocalFlow = true
			if v, ok = ports[m]; ok {
				return v, ok
			}
		}
	}
	return v, false
}
