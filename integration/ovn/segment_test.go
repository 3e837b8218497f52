package ovn

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// A segment is an Ethernet switch of Linux in a namespace of its own, as a rack has one.
type segment struct {
	w     *network
	ns    string
	ports int
}

// segment makes a switch without ports.
func (w *network) segment(name string) *segment {
	w.t.Helper()
	s := &segment{w: w, ns: w.first.ID + "-" + name}
	s.addNS(s.ns)
	s.run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	s.run("ip", "link", "set", "br0", "addrgenmode", "none", "up")
	return s
}

func (s *segment) addNS(ns string) {
	s.w.t.Helper()
	s.w.first.Run("ip", "netns", "add", ns)
	s.w.t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	s.w.first.In(ns, "ip", "link", "set", "lo", "up")
}

// run runs a command beside the switch.
func (s *segment) run(name string, args ...string) string {
	s.w.t.Helper()
	return s.w.first.In(s.ns, name, args...)
}

// attach makes a device of a namespace whose other end is a port of the switch, and returns the port.
func (s *segment) attach(ns, dev string) string {
	s.w.t.Helper()
	s.ports++
	port := "s" + strconv.Itoa(s.ports)
	s.run("ip", "link", "add", port, "type", "veth", "peer", "name", dev, "netns", ns)
	mtu := strconv.Itoa(s.w.first.Link(s.ns, "br0").MTU)
	s.run("ip", "link", "set", port, "mtu", mtu, "master", "br0", "addrgenmode", "none", "up")
	s.w.first.In(ns, "ip", "link", "set", dev, "mtu", mtu, "up")
	return port
}

// setMTU is for what is attached later.
func (s *segment) setMTU(n int) {
	s.w.t.Helper()
	s.run("ip", "link", "set", "br0", "mtu", strconv.Itoa(n))
}

// cut takes the carrier from what is attached at a port, or gives it back.
func (s *segment) cut(port string, down bool) {
	s.w.t.Helper()
	state := "up"
	if down {
		state = "down"
	}
	s.run("ip", "link", "set", port, state)
}

// where is the port behind which the switch has learned an address; "": it has not.
func (s *segment) where(mac string) string {
	s.w.t.Helper()
	for line := range strings.Lines(s.run("bridge", "fdb", "show", "br", "br0")) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == mac && !strings.Contains(line, "permanent") {
			return f[2]
		}
	}
	return ""
}

// host makes a host that is attached to the switch: OVN knows nothing of it.
func (s *segment) host(name string, addrs ...string) *testenv.Host {
	s.w.t.Helper()
	h := &testenv.Host{Env: s.w.first.Env, NS: s.ns + "-" + name}
	s.addNS(h.NS)
	h.Port = s.attach(h.NS, "eth0")
	for _, a := range addrs {
		h.Run("ip", "addr", "add", a, "dev", "eth0", "nodad")
	}
	return h
}

// physical makes a network outside, which is behind the bridge br-ex of every chassis and has the name phys in OVN.
func (w *network) physical() *segment {
	w.t.Helper()
	s := w.segment("x")
	for _, c := range w.chassis {
		c.outside = s.attach(c.NS, "eth1")
		c.Vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=bpf", "--", "add-port", "br-ex", "eth1", "--",
			"set", "Open_vSwitch", ".", "external_ids:ovn-bridge-mappings=phys:br-ex")
	}
	return s
}

// learned waits until the switch has an address behind a port.
func (s *segment) learned(mac, port, what string) {
	s.w.t.Helper()
	s.w.first.Eventually(what, func() error {
		if p := s.where(mac); p != port {
			return fmt.Errorf("%s is behind %q, not %s", mac, p, port)
		}
		return nil
	})
}
