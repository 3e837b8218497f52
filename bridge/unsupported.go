package bridge

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/tunnel"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// unsupported lists what a bridge's rows ask for that this switch does not do yet. Each is
// said in the log when it appears: configuration is never ignored in silence.
func unsupported(b *ovsdb.Bridge) []string {
	var list []string
	say := func(on bool, format string, args ...any) {
		if on {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	say(b.STPEnable, "stp_enable: STP is not supported; the bridge forwards without loop protection")
	say(b.RSTPEnable, "rstp_enable: RSTP is not supported; the bridge forwards without loop protection")
	say(b.NetFlow != nil, "netflow: NetFlow is not supported; nothing is exported")
	say(b.SFlow != nil, "sflow: sFlow is not supported; nothing is exported")
	for _, c := range b.Controllers {
		say(c.ConnectionMode == "in-band" || c.LocalIP != "",
			"controller %s: in-band control is not supported; no hidden flows and no address are made for it", c.Target)
	}
	for _, p := range b.Ports {
		say(len(p.Interfaces) > 1, "port %s: bonds are not supported; only its first interface sends", p.Name)
		for _, i := range p.Interfaces {
			typ := effectiveType(b.Name, i)
			q := qosWanted(p)
			say(q != nil && q.Type != netdev.QoSNoop && typ != netdev.System && typ != netdev.Dummy,
				"port %s: QoS of %s ports is not supported; packets are sent unshaped", p.Name, typ)
			say(policing(i).On() && (typ == typePatch || tunnel.Is(typ)),
				"interface %s: ingress policing of %s ports is not supported; packets are not limited", i.Name, typ)
			say(i.CFMMPID != nil, "interface %s: CFM is not supported; no session is made", i.Name)
			say(i.LLDP["enable"] == "true", "interface %s: LLDP is not supported; nothing is sent", i.Name)
		}
	}
	return list
}

// warnUnsupported logs what is new in the list of unsupported configuration.
func (b *Bridge) warnUnsupported() {
	now := map[string]bool{}
	for _, text := range unsupported(b.row) {
		now[text] = true
		if !b.refusals[text] {
			b.log.Warnf("bridge %s: %s", b.name, text)
		}
	}
	b.refusals = now
}
