package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The metrics of tunnels. Each forwarder stands on both sides of an underlay, with a host behind each side. The Linux bridge has the
// kernel's VXLAN device, whatever type the others are to have: no other is in every kernel.

const (
	underDevice = "under"
	tunnelMTU   = 1600 // of the underlay: 1,500 bytes fit in
)

var underIP = [2]string{"192.0.2.1", "192.0.2.2"}

// tunnel says which one the forwarders are to have.
type tunnel struct {
	typ    string // of OVS
	device bool   // ours is a device of the kernel, not native
	// wire has packets that are longer than the MTU segmented before they enter the underlay, as if that were none of the host's
	// memory, and what arrives may be coalesced (GRO). A veth passes them whole else.
	wire bool
}

// overlay is a forwarder's bed for tunnels.
type overlay struct {
	*bed         // its hosts
	sites [2]bed // its switches, p1 of each at a host
	set   func(context.Context, tunnel) error
	has   tunnel
}

// tunneled measures between the hosts of a tunnel.
func tunneled(t tunnel, measure func(context.Context, *options, *bed) ([]float64, error)) func(context.Context, *options, *bed) ([]float64, error) {
	return func(ctx context.Context, o *options, b *bed) ([]float64, error) {
		if b.overlay == nil {
			v, err := makeOverlay(ctx, o, b.forwarder)
			if err != nil {
				return nil, err
			}
			b.overlay = v
			b.undo = append(b.undo, v.close)
		}
		if err := b.overlay.become(ctx, t); err != nil {
			return nil, err
		}
		return measure(ctx, o, b.overlay.bed)
	}
}

func makeOverlay(ctx context.Context, o *options, f forwarder) (_ *overlay, err error) {
	id := netnsPrefix() + f.name
	v := &overlay{bed: &bed{forwarder: f, hosts: [2]string{id + "-t1", id + "-t2"}}}
	defer func() {
		if err != nil {
			v.close()
			err = fmt.Errorf("tunnel of %s: %w", f.name, err)
		}
	}()
	for i := range v.sites {
		s := &v.sites[i]
		*s = bed{forwarder: f, hosts: v.hosts, sw: fmt.Sprintf("%s-sw%d", id, i+1)}
		if s.dir, err = os.MkdirTemp("", "ovs-bpf-bench-"); err != nil {
			return nil, err
		}
		s.undo = append(s.undo, func() { os.RemoveAll(s.dir) })
	}
	if err := v.wire(ctx); err != nil {
		return nil, err
	}
	if err := v.listen(); err != nil {
		return nil, err
	}
	v.set, err = f.tunnel(ctx, o, v)
	return v, err
}

func (v *overlay) close() {
	for i := range v.sites {
		v.sites[i].close()
	}
	v.bed.close()
}

// wire makes namespaces and devices.
func (v *overlay) wire(ctx context.Context) error {
	if err := v.namespaces(ctx, v.hosts[0], v.hosts[1], v.sites[0].sw, v.sites[1].sw); err != nil {
		return err
	}
	var c commands
	for i, s := range v.sites {
		c.ip(ctx, s.sw, "link", "set", "lo", "up")
		c.ip(ctx, s.sw, "link", "add", "p1", "type", "veth", "peer", "name", hostDevice, "netns", v.hosts[i])
		c.ip(ctx, s.sw, "link", "set", "p1", "up", "promisc", "on", "addrgenmode", "none")
	}
	c.ip(ctx, v.sites[0].sw, "link", "add", underDevice, "type", "veth", "peer", "name", underDevice, "netns", v.sites[1].sw)
	for _, s := range v.sites {
		c.ip(ctx, s.sw, "link", "set", underDevice, "mtu", fmt.Sprint(tunnelMTU), "up", "addrgenmode", "none")
	}
	c.add(v.addresses(ctx))
	return c.err()
}

// offloads are what a device does with long packets.
var offloads = map[bool][]string{
	false: {"tso", "on", "tx-udp_tnl-segmentation", "on", "tx-udp_tnl-csum-segmentation", "on", "gro", "off"},
	true:  {"tso", "off", "tx-udp_tnl-segmentation", "off", "tx-udp_tnl-csum-segmentation", "off", "gro", "on"},
}

// become has the forwarder build such a tunnel, and waits until it works.
func (v *overlay) become(ctx context.Context, t tunnel) error {
	if v.has == t {
		return nil
	}
	for _, s := range v.sites {
		if _, err := s.in(ctx, s.sw, append([]string{"ethtool", "-K", underDevice}, offloads[t.wire]...)...); err != nil {
			return err
		}
	}
	if err := v.set(ctx, t); err != nil {
		return err
	}
	if err := v.reach(ctx); err != nil {
		return fmt.Errorf("tunnel of %s, %+v: %w", v.name, t, err)
	}
	v.has = t
	return nil
}

// bridgeTunnel puts the kernel's VXLAN device into a Linux bridge.
func bridgeTunnel(ctx context.Context, _ *options, v *overlay) (func(context.Context, tunnel) error, error) {
	var c commands
	for i, s := range v.sites {
		c.ip(ctx, s.sw, "addr", "add", underIP[i]+"/24", "dev", underDevice)
		c.ip(ctx, s.sw, "link", "add", "vx0", "type", "vxlan", "id", "5", "local", underIP[i], "remote", underIP[1-i], "dstport", "4789", "noudpcsum")
		c.ip(ctx, s.sw, "link", "add", "br0", "type", "bridge", "stp_state", "0", "forward_delay", "0")
		c.ip(ctx, s.sw, "link", "set", "br0", "up", "addrgenmode", "none")
		for _, port := range []string{"p1", "vx0"} {
			c.ip(ctx, s.sw, "link", "set", port, "master", "br0", "mtu", "1500", "up", "addrgenmode", "none")
		}
	}
	return func(context.Context, tunnel) error { return nil }, c.err()
}

// agentTunnel starts ovs-bpfd on both sides.
func agentTunnel(ctx context.Context, o *options, v *overlay) (func(context.Context, tunnel) error, error) {
	for i := range v.sites {
		s := &v.sites[i]
		d := newDaemon(s)
		s.undo = append(s.undo, func() { unix.Unmount(filepath.Join(s.dir, "bpffs"), unix.MNT_DETACH) })
		if err := d.start(ctx, o); err != nil {
			return nil, err
		}
		if _, err := s.in(ctx, s.sw, "ip", "addr", "add", underIP[i]+"/24", "dev", underDevice); err != nil {
			return nil, err
		}
		if err := d.tunnel(ctx, i, "bpf"); err != nil {
			return nil, err
		}
	}
	return v.reconfigure, nil
}

// stockTunnel starts ovs-vswitchd on both sides. In user space it must own the device of the underlay, whose address is then that of a
// bridge.
func stockTunnel(ctx context.Context, _ *options, v *overlay) (func(context.Context, tunnel) error, error) {
	for i := range v.sites {
		s := &v.sites[i]
		d := newDaemon(s)
		if err := d.startStock(ctx); err != nil {
			return nil, err
		}
		if _, err := d.tool(ctx, "ovs-vsctl", "--timeout=20", "add-br", "br-under", "--", "set", "bridge", "br-under", "datapath_type=netdev",
			"--", "add-port", "br-under", underDevice); err != nil {
			return nil, err
		}
		var c commands
		c.ip(ctx, s.sw, "link", "set", "br-under", "mtu", fmt.Sprint(tunnelMTU), "up")
		c.ip(ctx, s.sw, "addr", "add", underIP[i]+"/24", "dev", "br-under")
		for _, place := range [][2]string{{v.hosts[i], hostDevice}, {s.sw, "br-under"}} {
			_, err := s.in(ctx, place[0], "ethtool", "-K", place[1], "tx", "off")
			c.add(err)
		}
		if err := c.err(); err != nil {
			return nil, err
		}
		if err := d.tunnel(ctx, i, "netdev"); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, t tunnel) error {
		// It cannot take packets that are longer than the MTU.
		for _, s := range v.sites {
			if _, err := s.in(ctx, s.sw, "ethtool", "-K", underDevice, "gro", "off"); err != nil {
				return err
			}
		}
		return v.reconfigure(ctx, t)
	}, nil
}

// tunnel makes the bridge of one side.
func (d *daemon) tunnel(ctx context.Context, side int, datapathType string) error {
	_, err := d.tool(ctx, "ovs-vsctl", "--timeout=20", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type="+datapathType,
		"--", "add-port", "br0", "p1", "--", "add-port", "br0", "tun", "--", "set", "interface", "tun", "type=vxlan",
		"options:remote_ip="+underIP[1-side], "options:key=5")
	d.b.ctl = d
	return err
}

// reconfigure gives the tunnel ports another type.
func (v *overlay) reconfigure(ctx context.Context, t tunnel) error {
	mode := "native"
	if t.device {
		mode = "kernel"
	}
	for _, s := range v.sites {
		if _, err := s.ctl.tool(ctx, "ovs-vsctl", "--timeout=20", "set", "open_vswitch", ".", "other_config:tunnel-mode="+mode,
			"--", "set", "interface", "tun", "type="+t.typ); err != nil {
			return err
		}
		if got, err := s.ctl.tool(ctx, "ovs-vsctl", "get", "interface", "tun", "error"); err != nil || strings.TrimSpace(got) != "[]" {
			return fmt.Errorf("%+v: %s: %w", t, got, err)
		}
	}
	return nil
}
