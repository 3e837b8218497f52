package bridge

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/bridge/tunnel"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// TunnelDevices are the kernel's metadata devices. The main loop calls it.
type TunnelDevices interface {
	// Native says whether tunnels like s are the datapath's own, else the kernel's; mode is other_config:tunnel-mode:
	// "auto", "kernel" or "native". The error says why they cannot be.
	Native(mode string, s datapath.TunnelSpec) (bool, error)
	// Open makes the kernel's device of a tunnel that is not native, or finds it as an earlier run left it.
	Open(name string, s datapath.TunnelSpec) (ifindex int, err error)
	// Close removes that device.
	Close(name string) error
	// Reserve keeps the UDP port of native tunnels from others on the host until the result, nil for types without, is closed.
	Reserve(name string, s datapath.TunnelSpec) (io.Closer, error)
}

// tunnelPort is what an interface of a tunnel type has when it works.
type tunnelPort struct {
	tunnel.Config
	match  tunnel.Match
	device *tunnelDevice
}

// tunnelDevice is a datapath port that interfaces share.
type tunnelDevice struct {
	name    string
	spec    datapath.TunnelSpec
	ifindex int       // 0: native
	udp     io.Closer // the UDP port of a native one; nil: there is none
	odp     odp.Port
	users   map[*iface]struct{}
	taken   map[tunnel.Match]*iface
}

// tunnelPorts are the datapath ports of tunnels, by name.
type tunnelPorts map[string]*tunnelDevice

func (p tunnelPorts) names() []string { return slices.Sorted(maps.Keys(p)) }

// devices are the names of the kernel's devices that tunnels have.
func (p tunnelPorts) devices() (list []string) {
	for name, d := range p {
		if d.ifindex != 0 {
			list = append(list, name)
		}
	}
	return list
}

// errExists is EEXIST, as OVS says it.
const errExists = "File exists"

// isTunnel reports whether the interface's type is one of a tunnel, supported or not.
func (i *iface) isTunnel() bool { return tunnel.Is(i.typ) }

// openTunnel makes a tunnel port work, or follow its options when it does. One that cannot be keeps nothing.
func (i *iface) openTunnel() error {
	err := i.tryTunnel()
	if err != nil {
		i.closeTunnel()
		i.dropNumber()
	}
	return err
}

func (i *iface) tryTunnel() error {
	a := i.bridge.agent
	c, warnings, err := tunnel.Parse(i.name, i.typ, i.row.Options)
	if err != nil {
		return err
	}
	i.warnings.log(i.bridge.log, warnings)
	if a.tunnelClash(&c, i) { // as in OVS the row has the warnings, too
		return errors.New(strings.Join(append(warnings, i.name+": VXLAN-GBP, and non-VXLAN-GBP tunnels can't be configured on the same dst_port"), "\n"))
	}
	spec := c.Spec()
	spec.Native, err = a.nativeTunnel(spec)
	if err == nil && a.o.TunnelDevices != nil && !spec.Native {
		err = kernelFamily(&c)
	}
	if err == nil && (i.tunnel == nil || i.tunnel.device.spec != spec) {
		i.closeTunnel()
		err = i.joinDevice(spec)
	}
	if err != nil {
		return &tunnelError{i.name, err}
	}
	c.Native = spec.Native
	d := i.tunnel.device
	m := c.Match(d.odp)
	if other := d.taken[m]; other != nil && other != i {
		err := fmt.Errorf("could not add network device %s to ofproto (%s)", i.name, errExists)
		if i.err == nil || i.err.Error() != err.Error() {
			i.bridge.log.Warnf("%s: attempting to add tunnel port with same config as port '%s' (%s)", i.name, other.name, m.Text())
		}
		return err
	}
	i.tunnel.leave(i)
	d.taken[m] = i
	i.tunnel.Config, i.tunnel.match = c, m
	if !i.number() {
		return fmt.Errorf("could not add network device %s to ofproto (no free OpenFlow port number)", i.name)
	}
	return nil
}

// tunnelClash reports whether a UDP port is wanted in two ways.
func (a *Agent) tunnelClash(c *tunnel.Config, i *iface) bool {
	d := a.tunnels[tunnel.Device(c.Spec())]
	if d == nil || d.spec.GBP == c.GBP {
		return false
	}
	return len(d.users) > 1 || i.tunnel == nil || i.tunnel.device != d
}

// joinDevice has the interface share the datapath port of its kind, which comes with the first.
func (i *iface) joinDevice(spec datapath.TunnelSpec) error {
	a := i.bridge.agent
	name := tunnel.Device(spec)
	d := a.tunnels[name]
	if d == nil {
		d = &tunnelDevice{name: name, spec: spec, users: map[*iface]struct{}{}, taken: map[tunnel.Match]*iface{}}
		if err := a.addTunnelDevice(d); err != nil {
			return err
		}
		a.tunnels[name] = d
	}
	d.users[i] = struct{}{}
	i.tunnel, i.odp = &tunnelPort{device: d}, d.odp
	return nil
}

func (a *Agent) addTunnelDevice(d *tunnelDevice) error {
	if err := a.openTunnelDevice(d); err != nil {
		return err
	}
	want := odp.PortNone
	if n, ok := a.adopted[d.name]; ok {
		want = n
	}
	spec := d.spec
	port := datapath.PortSpec{Name: d.name, Kind: datapath.PortTunnel, Ifindex: d.ifindex, Type: spec.Type, Number: want, Tunnel: &spec}
	no, err := a.o.Datapath.PortAdd(port)
	if err != nil && want != odp.PortNone && a.o.Datapath.PortDel(want) == nil {
		// An earlier run had another one by that name.
		port.Number = odp.PortNone
		no, err = a.o.Datapath.PortAdd(port)
	}
	if err != nil {
		return errors.Join(err, a.closeTunnelDevice(d))
	}
	a.count("dpif_port_add", 1)
	d.odp = no
	return nil
}

// openTunnelDevice takes of the host what the port needs: a device, or the UDP port alone.
func (a *Agent) openTunnelDevice(d *tunnelDevice) (err error) {
	switch {
	case a.o.TunnelDevices == nil:
	case d.spec.Native:
		d.udp, err = a.o.TunnelDevices.Reserve(d.name, d.spec)
	default:
		d.ifindex, err = a.o.TunnelDevices.Open(d.name, d.spec)
	}
	return err
}

func (a *Agent) closeTunnelDevice(d *tunnelDevice) error {
	if d.udp != nil {
		udp := d.udp
		d.udp = nil
		return udp.Close()
	}
	if d.ifindex == 0 {
		return nil
	}
	d.ifindex = 0
	return a.o.TunnelDevices.Close(d.name)
}

// closeTunnel ends the interface's share; the datapath port goes with the last.
func (i *iface) closeTunnel() {
	if i.tunnel == nil {
		return
	}
	a, d := i.bridge.agent, i.tunnel.device
	i.tunnel.leave(i)
	i.tunnel, i.odp = nil, odp.PortNone
	if delete(d.users, i); len(d.users) > 0 || a.tunnels[d.name] != d {
		return
	}
	delete(a.tunnels, d.name)
	if err := a.o.Datapath.PortDel(d.odp); err != nil && !errors.Is(err, datapath.ErrNoSuchPort) {
		i.bridge.log.Warnf("failed to delete port %s from the datapath: %v", d.name, err)
	}
	a.count("dpif_port_del", 1)
	if err := a.closeTunnelDevice(d); err != nil {
		i.bridge.log.Warnf("failed to remove network device %s: %v", d.name, err)
	}
}

// leave gives up what packets the port takes.
func (t *tunnelPort) leave(i *iface) {
	if t.device.taken[t.match] == i {
		delete(t.device.taken, t.match)
	}
}

// errNoKernelTunnels is for datapaths that have no devices.
var errNoKernelTunnels = fmt.Errorf("tunnels by kernel devices are not supported here: %w", syscall.EOPNOTSUPP)

// nativeTunnel says in which of the two ways tunnels like s work.
func (a *Agent) nativeTunnel(s datapath.TunnelSpec) (bool, error) {
	mode := a.tunnelMode()
	if a.o.TunnelDevices != nil {
		return a.o.TunnelDevices.Native(mode, s)
	}
	if _, ok := a.o.Datapath.(datapath.Underlayer); ok && mode == tunnelKernel {
		return false, errNoKernelTunnels
	} else if ok {
		return true, nil
	}
	return false, nil // a simulated datapath: packets end at the port
}

// kernelFamily refuses a remote that the kernel's device of the type cannot send to: those of GRE are of one family each.
func kernelFamily(c *tunnel.Config) error {
	switch {
	case c.Type == "gre" && c.Remote.Is6():
		return fmt.Errorf("the kernel's gre devices send over IPv4 only; to %s, type ip6gre and other_config:tunnel-mode=native do", c.Remote)
	case c.Type == "ip6gre" && c.Remote.Is4():
		return fmt.Errorf("the kernel's ip6gre devices send over IPv6 only; to %s, type gre and other_config:tunnel-mode=native do", c.Remote)
	}
	return nil
}

// Values of other_config:tunnel-mode.
const (
	tunnelAuto   = "auto"
	tunnelKernel = "kernel"
	tunnelNative = "native"
)

// tunnelMode is Open_vSwitch other_config:tunnel-mode.
func (a *Agent) tunnelMode() string {
	mode := tunnelAuto
	if a.snap != nil && a.snap.OtherConfig["tunnel-mode"] != "" {
		mode = a.snap.OtherConfig["tunnel-mode"]
	}
	if mode == tunnelAuto || mode == tunnelKernel || mode == tunnelNative {
		a.tunnelWarned = ""
		return mode
	}
	if a.tunnelWarned != mode {
		a.log.Warnf("other_config:tunnel-mode: %q is not one of auto, kernel, native; using auto", mode)
		a.tunnelWarned = mode
	}
	return tunnelAuto
}

// renewTunnels gives up the datapath ports of tunnels that are to work in the other way now; they are made anew when
// their interfaces are opened.
func (a *Agent) renewTunnels() {
	for _, name := range a.tunnels.names() {
		d := a.tunnels[name]
		if native, err := a.nativeTunnel(d.spec); err == nil && native == d.spec.Native {
			continue
		}
		for _, i := range slices.Collect(maps.Keys(d.users)) {
			i.closeTunnel()
		}
	}
}

// tunnelEvent takes the event of a device that may be one of tunnels, and reports whether the configuration must be
// looked at again: somebody else removed it.
func (a *Agent) tunnelEvent(e netdev.Event) bool {
	d := a.tunnels[e.Info.Name]
	if d == nil && e.Kind == netdev.Removed {
		return a.wantsTunnel(e.Info) // somebody made room
	}
	if d == nil || d.ifindex == 0 || e.Kind != netdev.Removed && e.Info.Ifindex == d.ifindex || e.Kind == netdev.Removed && e.Info.Ifindex != d.ifindex {
		return false
	}
	a.log.Warnf("network device %s has vanished", d.name)
	for _, i := range slices.Collect(maps.Keys(d.users)) {
		i.closeTunnel()
	}
	return true
}

// wantsTunnel reports whether a tunnel port does not work because of a device that has gone: it had the name, or the packets.
func (a *Agent) wantsTunnel(gone netdev.Info) bool {
	for _, b := range a.bridges {
		for _, i := range b.ifaces {
			var open *netdev.OpenError
			if i.isTunnel() && errors.As(i.err, &open) && (open.Name == gone.Name || errors.Is(i.err, syscall.EEXIST)) {
				return true
			}
		}
	}
	return false
}

// interfaceTypes are what iface_types says.
func (a *Agent) interfaceTypes() []string {
	return slices.Sorted(slices.Values(slices.Concat(a.o.Devices.Types(), tunnel.Types(), []string{typePatch})))
}

// pipeline is what translations see.
func (t *tunnelPort) pipeline() *pipeline.Tunnel {
	c := t.Config.Tunnel
	return &c
}
