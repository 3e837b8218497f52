package bridge

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// errNotUp is the error of interfaces whose bridge cannot be made.
var errNotUp = errors.New("bridge is not up")

// reconcile makes the snapshot true. It may be called again with the same snapshot and then changes
// nothing, except that it tries again what failed. A failure is noted at its row and stops nothing else.
func (a *Agent) reconcile(s *ovsdb.Snapshot) {
	a.count("bridge_reconfigure", 1)
	a.tls.Store(a.tlsFiles(s))
	want := map[string]*ovsdb.Bridge{}
	for _, row := range s.Bridges {
		if err := a.checkBridge(row); err != nil {
			a.refused[row.Name] = err
			a.log.Errorf("%v", err)
			continue
		}
		delete(a.refused, row.Name)
		want[row.Name] = row
	}
	maps.DeleteFunc(a.refused, func(name string, _ error) bool {
		return !slices.ContainsFunc(s.Bridges, func(r *ovsdb.Bridge) bool { return r.Name == name })
	})

	// What goes makes room first: a device may move from one bridge to another.
	for name, b := range a.bridges {
		if row := want[name]; row == nil || row.UUID != b.row.UUID {
			b.destroy()
			delete(a.bridges, name)
		}
	}
	for _, b := range a.bridges {
		b.removeStale(want[b.name])
	}
	a.renewTunnels()
	for _, row := range slices.SortedFunc(maps.Values(want), func(x, y *ovsdb.Bridge) int { return cmp.Compare(x.Name, y.Name) }) {
		b := a.bridges[row.Name]
		if b == nil {
			b = a.newBridge(row)
			a.bridges[row.Name] = b
		}
		b.row = row
		b.addMissing(row)
	}
	for _, b := range a.bridges {
		b.configureSnooping()
		b.configureMirrors(s)
		b.configure()
		b.configureSampling(s.CollectorSets)
		b.warnUnsupported()
	}
	a.configureZones(s)
	a.publish()
	for _, b := range a.bridges {
		b.configureSwitch(s)
	}
	a.sweep()
}

// checkBridge says why a Bridge row cannot be realised.
func (a *Agent) checkBridge(row *ovsdb.Bridge) error {
	if strings.ContainsAny(row.Name, `/\`) || row.Name == "" {
		return fmt.Errorf("ignoring bridge with invalid name %q: it names a device and a socket", row.Name)
	}
	if typ := cmp.Or(row.DatapathType, "system"); !slices.Contains(a.o.DatapathTypes, typ) {
		return fmt.Errorf("failed to create bridge %s: unknown datapath type %q (this switch serves %s)",
			row.Name, typ, strings.Join(a.o.DatapathTypes, ", "))
	}
	return nil
}

// removeStale drops ports and interfaces that row no longer has, or has as another type.
func (b *Bridge) removeStale(row *ovsdb.Bridge) {
	ports := map[string]*ovsdb.Port{}
	ifaces := map[string]string{b.name: netdev.Internal}
	for _, p := range row.Ports {
		ports[p.Name] = p
		for _, i := range p.Interfaces {
			ifaces[i.Name] = effectiveType(b.name, i)
		}
	}
	for name, i := range b.ifaces {
		if typ, ok := ifaces[name]; !ok || typ != i.typ {
			i.remove()
			delete(b.ifaces, name)
		}
	}
	for name, p := range b.ports {
		if ports[name] == nil && name != b.name {
			b.macs.RemovePort(p.id)
			b.snooping.flushPort(p.id)
			delete(b.ports, name)
		}
	}
}

// addMissing makes the ports and interfaces that b lacks, and tries again those that failed. Interfaces
// that ask for a number come before those that take any, so that nobody sits on a wanted one.
func (b *Bridge) addMissing(row *ovsdb.Bridge) {
	type pair struct {
		port  *ovsdb.Port
		iface *ovsdb.Interface
	}
	var all []pair
	local := false
	for _, p := range row.Ports {
		for _, i := range p.Interfaces {
			all = append(all, pair{p, i})
			local = local || i.Name == b.name
		}
	}
	if !local {
		// The LOCAL port exists even when nobody asked for it.
		all = append(all, pair{&ovsdb.Port{Name: b.name}, &ovsdb.Interface{Name: b.name, Type: netdev.Internal}})
	}
	rank := func(i *ovsdb.Interface) int {
		switch {
		case i.Name == b.name:
			return 0
		case i.OFPortRequest != nil:
			return 1
		case i.OFPort != nil && *i.OFPort > 0:
			return 2 // a number of an earlier run
		}
		return 3
	}
	slices.SortStableFunc(all, func(x, y pair) int {
		return cmp.Or(cmp.Compare(rank(x.iface), rank(y.iface)), cmp.Compare(x.iface.Name, y.iface.Name))
	})
	for _, x := range all {
		p := b.ports[x.port.Name]
		if p == nil {
			b.lastBundle++
			p = &port{id: b.lastBundle, name: x.port.Name}
			b.ports[p.name] = p
		}
		p.row = x.port
		i := b.ifaces[x.iface.Name]
		if i == nil {
			i = &iface{bridge: b, name: x.iface.Name, typ: effectiveType(b.name, x.iface), odp: odp.PortNone, created: b.agent.o.Clock.Now()}
			b.ifaces[i.name] = i
		}
		i.port, i.row = p, x.iface
		b.open(i)
	}
}

// open opens an interface unless it is open, and says what changed.
func (b *Bridge) open(i *iface) {
	if i.dev != nil || i.gone || (i.patch() && i.err == nil && i.ofport != 0) {
		if i.patch() {
			if err := i.checkPatch(); err != nil {
				b.fail(i, err)
				i.dropNumber()
				return
			}
		}
		i.number()
		return
	}
	was := i.ofport
	if err := i.open(); err != nil {
		b.fail(i, err)
		return
	}
	if i.err != nil || i.ofport != openflow.PortLocal && (i.ofport != was || !i.isTunnel()) {
		b.log.Infof("bridge %s: added interface %s on port %d", b.name, i.name, i.ofport)
	}
	i.err = nil
}

// fail notes an interface's error, and logs it when it is new.
func (b *Bridge) fail(i *iface, err error) {
	if i.err == nil || i.err.Error() != err.Error() {
		b.log.Warnf("%v", err)
	}
	i.err = err
}

// sweep removes what an earlier run left and nobody wants now: datapath ports and taps. It runs once,
// after the first configuration.
func (a *Agent) sweep() {
	if a.swept {
		return
	}
	a.swept = true
	used := map[odp.Port]bool{}
	var keep []string
	for _, b := range a.bridges {
		for _, i := range b.ifaces {
			used[i.odp] = true
			keep = append(keep, i.name)
		}
	}
	for name, no := range a.adopted {
		if !used[no] {
			if err := a.o.Datapath.PortDel(no); err != nil {
				a.log.Warnf("failed to delete stale port %s from the datapath: %v", name, err)
			}
		}
	}
	keep = append(keep, a.tunnels.devices()...)
	removed, err := a.o.Devices.Sweep(keep)
	if err != nil {
		a.log.Warnf("failed to remove stale devices: %v", err)
	}
	if len(removed) > 0 {
		a.log.Infof("removed %d stale devices of an earlier run: %s", len(removed), strings.Join(removed, ", "))
	}
	a.adopted = nil
}
