package bridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// Interface types that are not devices.
const typePatch = "patch"

// iface is an interface that a bridge has, or tries to have. The main loop owns it.
type iface struct {
	bridge *Bridge
	port   *port
	name   string
	typ    string // effective type: "system", "internal", "patch"...
	row    *ovsdb.Interface

	dev    netdev.Device // nil: a patch port, or the device is missing
	info   netdev.Info   // last state of the device
	ofport openflow.PortNo
	odp    odp.Port
	// gone: the device has vanished; the port keeps its numbers until it comes back.
	gone bool
	// direct: packets go to a peer in another namespace past the device, whose counters miss them.
	direct  bool
	err     error // why the interface does not work; shown in Interface.error
	created time.Time
	resets  int64   // link_resets: times that the link went down
	rx, tx  traffic // of a patch or tunnel port

	tunnel   *tunnelPort // of a tunnel that works
	warnings warnings    // about its options
	bfd      *bfdSession // nil: none is wanted

	shaped      bool                 // the port has a QoS row
	qosError    string               // what was logged of it
	queuesSince map[uint32]time.Time // when queues were made
}

// port is a Port row that a bridge has.
type port struct {
	id   bundleID
	name string
	row  *ovsdb.Port
}

// up reports whether the interface takes part in forwarding.
func (i *iface) up() bool { return i.err == nil && i.ofport != 0 }

// deviceless reports whether the interface has no device of its own: its packets are counted by translations.
func (i *iface) deviceless() bool { return i.patch() || i.isTunnel() }

// patch reports whether the interface is a patch port.
func (i *iface) patch() bool { return i.typ == typePatch }

// effectiveType is the type that an Interface row asks for; the interface named like its bridge is
// always internal.
func effectiveType(bridge string, row *ovsdb.Interface) string {
	switch {
	case row.Name == bridge:
		return netdev.Internal
	case row.Type == "":
		return netdev.System
	}
	return row.Type
}

// open makes an interface work: it opens its device, gives it to the datapath and finds its
// OpenFlow number. Called again for one that failed before. The error is what Interface.error says.
func (i *iface) open() error {
	if i.patch() {
		if err := i.checkPatch(); err != nil {
			i.dropNumber()
			return err
		}
		i.number()
		return nil
	}
	if i.isTunnel() {
		return i.openTunnel()
	}
	a := i.bridge.agent
	if i.dev == nil {
		_, adopted := a.adopted[i.name]
		dev, err := a.o.Devices.Open(netdev.OpenSpec{Name: i.name, Type: i.typ, Adopted: adopted})
		if err != nil {
			return err
		}
		i.dev = dev
	}
	info, err := i.dev.Info()
	if err != nil {
		i.closeDevice()
		return fmt.Errorf("could not open network device %s (%s)", i.name, netdev.Strerror(err))
	}
	if info.Master != 0 {
		// As with the kernel's module: a device has one switch at a time.
		i.abandonDevice()
		return fmt.Errorf("could not add network device %s to ofproto (Device or resource busy: it is part of another device; \"ip link set %s nomaster\" frees it)", i.name, i.name)
	}
	want := i.odp
	if n, ok := a.adopted[i.name]; ok && want == odp.PortNone {
		want = n
	}
	no, err := a.o.Datapath.PortAdd(i.portSpec(info, want))
	if err != nil {
		i.abandonDevice()
		return fmt.Errorf("could not add network device %s to ofproto (%s)", i.name, netdev.Strerror(err))
	}
	a.count("dpif_port_add", 1)
	i.odp, i.info, i.gone = no, info, false
	i.findPeer()
	if !i.number() {
		i.releaseDatapath()
		i.abandonDevice()
		return fmt.Errorf("could not add network device %s to ofproto (no free OpenFlow port number)", i.name)
	}
	return nil
}

// portSpec asks for the interface's datapath port.
func (i *iface) portSpec(info netdev.Info, want odp.Port) datapath.PortSpec {
	kind := datapath.PortNetdev
	if i.typ == netdev.Internal || i.typ == netdev.Tap {
		kind = datapath.PortInternal
	}
	return datapath.PortSpec{Name: i.name, Kind: kind, Ifindex: info.Ifindex, Type: i.shownType(), Number: want}
}

// findPeer tells the datapath whom it can give the interface's packets to without passing through the
// device: the other end of a veth in another namespace, as long as both ends are up.
func (i *iface) findPeer() {
	a := i.bridge.agent
	dp, ok := a.o.Datapath.(datapath.PortPeerer)
	if !ok || i.odp == odp.PortNone || i.typ != netdev.System {
		return
	}
	var peer *datapath.Peer
	if i.info.Up && qosWanted(i.port.row) == nil && i.info.Peer.Ifindex != 0 && i.info.Peer.Netns >= 0 {
		if p, err := a.o.Devices.PeerOf(i.info); err == nil && p.Up {
			peer = &datapath.Peer{MAC: p.MAC, MTU: p.MTU}
		}
	}
	i.direct = i.direct || peer != nil
	if err := dp.PortPeer(i.odp, peer); err != nil {
		i.bridge.log.Warnf("interface %s: %v", i.name, err)
	}
}

// shownType is the type in dumps: of a device, its own word for it.
func (i *iface) shownType() string {
	if i.dev != nil {
		return i.dev.Type()
	}
	return i.typ
}

// number finds the OpenFlow port: LOCAL, the one requested, the one of an earlier run, any.
func (i *iface) number() bool {
	b := i.bridge
	if i.name == b.name {
		i.ofport = openflow.PortLocal
		return true
	}
	want := openflow.PortNo(0)
	if i.row.OFPortRequest != nil {
		want = openflow.PortNo(*i.row.OFPortRequest)
	}
	if i.ofport != 0 {
		if want == 0 || want == i.ofport || !b.numbers.claim(want, i.name) {
			return true
		}
		b.numbers.release(i.ofport)
		i.ofport = want
		return true
	}
	if want != 0 && b.numbers.claim(want, i.name) {
		i.ofport = want
		return true
	}
	if i.row.OFPort != nil && *i.row.OFPort > 0 && b.numbers.claim(openflow.PortNo(*i.row.OFPort), i.name) {
		i.ofport = openflow.PortNo(*i.row.OFPort)
		return true
	}
	n, ok := b.numbers.allocate(i.name)
	i.ofport = n
	return ok
}

func (i *iface) dropNumber() {
	if i.ofport != 0 {
		i.bridge.numbers.release(i.ofport)
		i.ofport = 0
	}
}

// checkPatch looks at a patch port's options.
func (i *iface) checkPatch() error {
	peer := i.row.Options["peer"]
	switch {
	case peer == "":
		return fmt.Errorf("%s: patch type requires valid 'peer' argument", i.name)
	case peer == i.name:
		return fmt.Errorf("%s: patch peer must not be self", i.name)
	}
	return nil
}

// vanished notes that the device is gone. The numbers stay for when it comes back.
func (i *iface) vanished() {
	i.releaseDatapath()
	i.closeDevice()
	i.gone = true
	i.info = netdev.Info{Name: i.name, MAC: i.info.MAC, MTU: i.info.MTU}
}

// abandonDevice gives back a device that could not be used: what we changed or made is undone.
func (i *iface) abandonDevice() {
	if i.dev != nil {
		if err := i.dev.Release(); err != nil {
			i.bridge.log.Warnf("failed to release network device %s: %v", i.name, err)
		}
		i.dev = nil
	}
}

func (i *iface) closeDevice() {
	if i.dev != nil {
		i.dev.Close()
		i.dev = nil
	}
}

func (i *iface) releaseDatapath() {
	if i.isTunnel() {
		i.closeTunnel()
		return
	}
	if i.odp == odp.PortNone {
		return
	}
	if err := i.bridge.agent.o.Datapath.PortDel(i.odp); err != nil && !errors.Is(err, datapath.ErrNoSuchPort) {
		i.bridge.log.Warnf("failed to delete port %s from the datapath: %v", i.name, err)
	}
	i.bridge.agent.count("dpif_port_del", 1)
	i.odp = odp.PortNone
}

// remove gives the interface up: datapath port, device (a tap that we made is deleted), number.
func (i *iface) remove() {
	i.stopBFD()
	i.releaseDatapath()
	i.abandonDevice()
	i.dropNumber()
}

// settings brings the device's options, MAC and, where it follows the bridge's others, MTU to what is configured;
// smallest is the lowest MTU of those, 0 when there is none.
func (i *iface) settings(smallest int) {
	if i.dev == nil || i.gone {
		return
	}
	if d, ok := i.dev.(netdev.Configurable); ok {
		if err := d.Configure(i.row.Options); err != nil {
			i.bridge.log.Warnf("interface %s: %v", i.name, err)
		}
	}
	if i.typ != netdev.Internal {
		return
	}
	if smallest != 0 && i.row.MTURequest == nil {
		i.setMTU(smallest)
	}
	i.setMAC()
}

// setMTU changes a device's MTU unless it has it. What fails is logged; the device's own stays.
func (i *iface) setMTU(mtu int) {
	if i.gone || mtu == i.info.MTU {
		return
	}
	if err := i.dev.SetMTU(mtu); err != nil {
		i.bridge.log.Warnf("could not set mtu of '%s' to %d: %v", i.name, mtu, err)
		return
	}
	i.info.MTU = mtu
}

// setMAC gives an internal device its address: the bridge's for LOCAL, Interface.mac for others.
func (i *iface) setMAC() {
	var mac netdev.MAC
	switch {
	case i.ofport == openflow.PortLocal:
		copy(mac[:], i.bridge.mac)
	case i.row.MAC != "":
		parsed, err := parseMAC(i.row.MAC)
		if err != nil {
			i.bridge.log.Errorf("interface %s: %v", i.name, err)
			return
		}
		mac = parsed
	default:
		return
	}
	if mac == i.info.MAC {
		return
	}
	if err := i.dev.SetMAC(mac); err != nil {
		i.bridge.log.Errorf("interface %s: setting MAC failed (%v)", i.name, err)
		return
	}
	i.info.MAC = mac
}
