package ebpf

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// site is one of two hosts with a datapath each, an underlay between them, and a host behind each.
type site struct {
	*lab
	t        *testing.T
	d        *Datapath
	n        int // 1 or 2
	host     string
	inside   odp.Port
	tunnel   odp.Port
	underlay netlink.Link
}

func (s *site) addr(six bool) netip.Addr { return siteAddr(s.n, six) }

func siteAddr(n int, six bool) netip.Addr {
	if six {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", n))
	}
	return netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", n))
}

// enter goes to the namespace of the site's datapath.
func (s *site) enter() {
	s.t.Helper()
	ns, err := netns.GetFromName(s.name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		s.t.Fatal(err)
	}
}

// newSites makes two sites whose underlay devices, named under, are the ends of a veth.
func newSites(t *testing.T) [2]*site {
	var out [2]*site
	for i := range out {
		s := &site{lab: newLab(t), t: t, n: i + 1, host: fmt.Sprint("h", i+1)}
		s.lab.host(s.host, s.n)
		out[i] = s
	}
	a, b := out[0], out[1]
	a.enter()
	a.sh(fmt.Sprintf("ip link add under type veth peer name under netns %s", b.name))
	for _, s := range out {
		s.enter()
		s.sh(fmt.Sprintf("sysctl -qw net.ipv6.conf.under.accept_dad=0; ip addr add %v/24 dev under; ip addr add %v/64 dev under nodad; ip link set under mtu 1600 up", s.addr(false), s.addr(true)))
	}
	for _, s := range out {
		s.enter()
		var err error
		if s.underlay, err = netlink.LinkByName("under"); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// open opens the site's datapath.
func (s *site) open(o Options) {
	s.enter()
	s.d = s.lab.open(o)
	s.t.Cleanup(func() {
		if s.d != nil {
			s.enter()
			s.d.Close(true)
		}
	})
	s.inside = s.port(s.d, s.host, datapath.PortNetdev)
	s.addUnderlay()
}

func (s *site) addUnderlay() {
	s.t.Helper()
	if err := s.d.SetUnderlay([]datapath.UnderlayDevice{{Ifindex: s.underlay.Attrs().Index, Addresses: []netip.Addr{s.addr(false), s.addr(true)}}}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) hop(to *site, six bool) {
	s.t.Helper()
	h := datapath.NextHop{Dst: to.addr(six), Src: s.addr(six), Ifindex: s.underlay.Attrs().Index, MTU: s.underlay.Attrs().MTU}
	copy(h.SrcMAC[:], s.underlay.Attrs().HardwareAddr)
	copy(h.DstMAC[:], to.underlay.Attrs().HardwareAddr)
	if err := s.d.SetNextHop(h); err != nil {
		s.t.Fatal(err)
	}
}

// connect has all that the host sends go through the tunnel, and all that comes out of it go to the host.
func (s *site) connect(spec datapath.TunnelSpec, to netip.Addr, flags uint64, opts []byte) {
	s.t.Helper()
	s.enter()
	spec.Native = true
	var err error
	if s.tunnel, err = s.d.PortAdd(datapath.PortSpec{Name: "tun0", Kind: datapath.PortTunnel, Type: spec.Type, Number: odp.PortNone, Tunnel: &spec}); err != nil {
		s.t.Fatal(err)
	}
	s.flow(s.inside, setTo(to, flags, opts), odp.Output{Port: s.tunnel})
	s.flow(s.tunnel, odp.Output{Port: s.inside})
}

func setTo(to netip.Addr, flags uint64, opts []byte) odp.Set {
	var k flow.Key
	k.Set(flow.TunID, 42)
	k.Set(flow.TunAllFlags, flags)
	set := odp.Set{TunOpts: opts}
	for _, id := range []flow.FieldID{flow.TunID, flow.TunAllFlags} {
		set.Fields = append(set.Fields, odp.FieldSet{Field: id, Value: k.GetBytes(id, nil)})
	}
	id := flow.TunDst
	if to.Is6() {
		id = flow.TunIPv6Dst
	}
	set.Fields = append(set.Fields, odp.FieldSet{Field: id, Value: to.AsSlice()})
	return set
}

func (s *site) flow(in odp.Port, actions ...odp.Action) {
	s.t.Helper()
	var f datapath.Flow
	f.Match.Key.Set(flow.InPort, uint64(in))
	f.Match.Mask.SetExact(flow.InPort)
	f.Match.Mask.SetExact(flow.RecircID)
	f.Actions = actions
	if _, err := s.d.FlowPut(&f); err != nil {
		s.t.Fatal(err)
	}
}

// disconnect removes the tunnel.
func (s *site) disconnect() {
	s.t.Helper()
	s.enter()
	if err := s.d.PortDel(s.tunnel); err != nil {
		s.t.Fatal(err)
	}
}

// exchange sends pings of some sizes and a stream from host to host, whose packets must be whole in the tunnel port.
func exchange(t *testing.T, a, b *site) {
	t.Helper()
	a.in(a.host, "ping -q -c 3 -i 0.05 -W 5 10.0.0.2 && ping -q -c 1 -s 1400 -W 5 10.0.0.2 && ping -q -c 2 -s 8000 -i 0.05 -W 5 10.0.0.2 && ping -q -c 3 -i 0.05 -W 5 fd00::2")
	for _, s := range []*site{a, b} {
		before, err := s.d.PortStats(s.tunnel)
		if err != nil {
			t.Fatal(err)
		}
		other := map[*site]string{a: "10.0.0.2", b: "fd00::1"}[s]
		s.iperf(s.host, "-n 32M -c "+other)
		after, err := s.d.PortStats(s.tunnel)
		if err != nil {
			t.Fatal(err)
		}
		packets, bytes := after.TxPackets-before.TxPackets, after.TxBytes-before.TxBytes
		if bytes < 24<<20 || bytes/packets < 4000 {
			t.Errorf("%d bytes in %d packets: segmented", bytes, packets)
		}
	}
}

func TestTunnels(t *testing.T) {
	sites := newSites(t)
	a, b := sites[0], sites[1]
	for _, s := range sites {
		s.open(small())
		s.iperfServer(s.host)
	}
	a.hop(b, false)
	a.hop(b, true)
	b.hop(a, false)
	b.hop(a, true)
	opts := []byte{1, 2, 0x80, 1, 0, 0, 0, 7}
	for _, tc := range []struct {
		name  string
		spec  datapath.TunnelSpec
		flags uint64
		opts  []byte
	}{
		{"vxlan", datapath.TunnelSpec{Type: "vxlan", DstPort: 4789}, flow.TunFlagDF | flow.TunFlagKey, nil},
		{"geneve", datapath.TunnelSpec{Type: "geneve", DstPort: 6081}, flow.TunFlagDF | flow.TunFlagKey | flow.TunFlagCsum, opts},
		{"gre", datapath.TunnelSpec{Type: "gre"}, flow.TunFlagKey, nil},
	} {
		// Not as tests of their own: the namespace is this thread's.
		for _, six := range []bool{false, true} {
			t.Logf("%s, IPv6 outside: %v", tc.name, six)
			a.connect(tc.spec, b.addr(six), tc.flags, tc.opts)
			b.connect(tc.spec, a.addr(six), tc.flags, tc.opts)
			exchange(t, a, b)
			if t.Failed() {
				dumpState(t, a.d)
				dumpState(t, b.d)
			}
			a.disconnect()
			b.disconnect()
		}
	}
}

// TestTunnelToLinux is against the kernel's own device, with filters in the place of links.
func TestTunnelToLinux(t *testing.T) {
	sites := newSites(t)
	a, b := sites[0], sites[1]
	o := small()
	o.clsact = true
	a.open(o)
	a.iperfServer(a.host)
	b.iperfServer(b.host)
	a.hop(b, false)
	a.hop(b, true)
	for _, six := range []bool{false, true} {
		for _, csum := range []bool{false, true} {
			t.Logf("IPv6 outside: %v, checksum: %v", six, csum)
			flags, opt := uint64(flow.TunFlagKey), "noudpcsum udp6zerocsumtx udp6zerocsumrx"
			if csum {
				flags, opt = flags|flow.TunFlagCsum, "udpcsum noudp6zerocsumtx udp6zerocsumrx"
			}
			a.connect(datapath.TunnelSpec{Type: "vxlan", DstPort: 4789}, b.addr(six), flags, nil)
			b.enter()
			b.sh(fmt.Sprintf("ip link add vx0 type vxlan id 42 local %v remote %v dstport 4789 %s; ip link add br0 type bridge; sysctl -qw net.ipv6.conf.vx0.disable_ipv6=1; ip link set vx0 master br0 mtu 1500 up; ip link set %s master br0; ip link set br0 up", b.addr(six), a.addr(six), opt, b.host))
			a.in(a.host, "ping -q -c 3 -i 0.05 -W 5 10.0.0.2 && ping -q -c 2 -s 8000 -i 0.05 -W 5 10.0.0.2 && ping -q -c 3 -i 0.05 -W 5 fd00::2")
			t.Logf("to Linux %.1f, from Linux %.1f Gbit/s", a.iperf(a.host, "-n 32M -c 10.0.0.2")/1e9, b.iperf(b.host, "-n 32M -c fd00::1")/1e9)
			b.enter()
			b.sh("ip link del vx0; ip link del br0")
			a.disconnect()
		}
	}
}
