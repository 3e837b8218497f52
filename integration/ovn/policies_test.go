package ovn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// What northd makes of port groups, address sets and virtual ports, what OVN forgets, and what it tells of drops.
func TestPolicies(t *testing.T) { onOneAndTwo(t, policed) }

func policed(w *network) {
	t := w.t
	w.NB("ls-add", "ls1", "--", "ls-add", "ls2",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12",
		"--", "lsp-add", "ls2", "p3", "--", "lsp-set-addresses", "p3", "02:00:00:02:00:03 10.2.0.13",
		"--", "lsp-add", "ls2", "p4", "--", "lsp-set-addresses", "p4", "02:00:00:02:00:04 10.2.0.14",
		"--", "lsp-add", "ls2", "p5", "--", "lsp-set-addresses", "p5", "unknown",
		"--", "lsp-add", "ls2", "shared", "--", "lsp-set-type", "shared", "virtual", "--", "lsp-set-addresses", "shared", "02:00:00:02:00:50 10.2.0.50",
		"--", "set", "logical_switch_port", "shared", "options:virtual-ip=10.2.0.50", "options:virtual-parents=\"p3,p4\"",
		"--", "lr-add", "lr0",
		"--", "lrp-add", "lr0", "lr0-ls1", "02:00:00:00:00:01", "10.1.0.1/24",
		"--", "lrp-add", "lr0", "lr0-ls2", "02:00:00:00:00:02", "10.2.0.1/24")
	for _, ls := range []string{"ls1", "ls2"} {
		w.NB("lsp-add", ls, ls+"-lr0", "--", "lsp-set-type", ls+"-lr0", "router", "--", "lsp-set-addresses", ls+"-lr0", "router",
			"--", "lsp-set-options", ls+"-lr0", "router-port=lr0-"+ls)
	}
	h1 := w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "10.1.0.1", "", "")
	h2 := w.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "10.1.0.1", "", "")
	h3 := w.vm("p3", "02:00:00:02:00:03", "10.2.0.13/24", "10.2.0.1", "", "")
	h4 := w.vm("p4", "02:00:00:02:00:04", "10.2.0.14/24", "10.2.0.1", "", "")
	h5 := w.vm("p5", "02:00:00:02:00:99", "10.2.0.99/24", "10.2.0.1", "", "")
	for _, h := range []*vm{h1, h2} {
		for _, port := range []string{"8080", "8081", "8082"} {
			serve(t, h.Host, "[::]:"+port, h.lport)
		}
	}
	w.installed(h1, h2, h3, h4, h5)

	t.Log("aging")
	w.aged(h1, h5)
	t.Log("virtual ports")
	w.virtual(h1, h3, h4)
	t.Log("port groups and address sets")
	w.groups(h1, h2, h3, h4)
	t.Log("drops")
	w.dropsTold(h1)
}

// groups wants that ACLs of a port group follow its ports and the sets of addresses that they name.
func (w *network) groups(h1, h2, h3, h4 *vm) {
	w.t.Helper()
	w.NB("pg-add", "group", "p1", "p2",
		"--", "create", "address_set", "name=near", `addresses="10.2.0.13"`, "--", "create", "address_set", "name=far", `addresses="10.9.0.0/24"`,
		"--", "acl-add", "group", "to-lport", "1002", "outport == @group && ip4.src == {$near, $far} && tcp.dst == {8080, 8082}", "allow-related",
		"--", "--log", "--severity=info", "--name=closed", "acl-add", "group", "to-lport", "1000", "outport == @group && tcp", "reject")
	w.Sync()
	refused := func(what string, from, to *vm, port uint16) {
		w.t.Helper()
		if _, _, err := dial(w.t, from.Host, to.ip4, port); !errors.Is(err, syscall.ECONNREFUSED) {
			w.t.Errorf("%s: port %d of %s from %s: %v", what, port, to.lport, from.lport, err)
		}
	}
	for _, h := range []*vm{h1, h2} {
		w.connects("of the set", h3.Host, h.ip4, 8080, h.lport, h3.ip4)
		w.connects("of the set", h3.Host, h.ip4, 8082, h.lport, h3.ip4)
		refused("another port", h3, h, 8081)
		refused("another host", h4, h, 8080)
	}
	c := w.of(h1.Host)
	if out := c.Ofctl("-O", "OpenFlow15", "dump-flows", "br-int"); !strings.Contains(out, "conj_id=") {
		w.t.Error("the ACL has no conjunction: the test is for one")
	}
	c.Eventually("the log of a rejected connection", func() error {
		b, err := os.ReadFile(filepath.Join(c.Dir, "ovn-controller.log"))
		if !rejected.Match(b) {
			return fmt.Errorf("not in the log, %v", err)
		}
		return nil
	})
	w.NB("add", "address_set", "near", "addresses", "10.2.0.14")
	w.Sync()
	w.connects("newly of the set", h4.Host, h1.ip4, 8080, "p1", h4.ip4)
	w.NB("remove", "address_set", "near", "addresses", "10.2.0.13")
	w.Sync()
	refused("not of the set any more", h3, h1, 8080)
	w.NB("pg-set-ports", "group", "p2")
	w.Sync()
	w.connects("not of the group any more", h3.Host, h1.ip4, 8081, "p1", h3.ip4)
	refused("still of the group", h3, h2, 8081)
}

var rejected = regexp.MustCompile(`acl_log\(ovn_pinctrl\d+\)\|INFO\|name="closed", verdict=reject, severity=info, direction=to-lport: tcp,`)

// virtual wants that an address is where the parent is that tells of it.
func (w *network) virtual(from, h3, h4 *vm) {
	w.t.Helper()
	claim := func(h *vm) {
		w.t.Helper()
		h.Run("ip", "addr", "add", "10.2.0.50/32", "dev", "eth0")
		tx := listen(w.t, h.Host)
		ip := net.ParseIP("10.2.0.50").To4()
		w.first.Eventually("the virtual port is at "+h.lport, func() error {
			tx.send(&layers.Ethernet{SrcMAC: mac(h.mac), DstMAC: mac(broadcast), EthernetType: layers.EthernetTypeARP},
				&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
					SourceHwAddress: mac(h.mac), SourceProtAddress: ip, DstHwAddress: mac(broadcast), DstProtAddress: ip})
			out := w.SB("--bare", "--columns=virtual_parent", "find", "port_binding", "logical_port=shared")
			if out != h.lport {
				return fmt.Errorf("its parent is %q", out)
			}
			return nil
		})
		w.Sync()
		w.reach("a virtual port at "+h.lport, from.Host, "10.2.0.50")
	}
	claim(h3)
	h3.Run("ip", "addr", "del", "10.2.0.50/32", "dev", "eth0")
	claim(h4)
}

// aged wants that what a router has learned of a neighbour is forgotten in time, and learned again.
func (w *network) aged(from, h *vm) {
	w.t.Helper()
	bound := func() bool { return w.SB("--bare", "--columns=mac", "find", "mac_binding", "ip="+h.ip4) != "" }
	for range 2 {
		w.NB("set", "logical_router", "lr0", "options:mac_binding_age_threshold=0")
		if _, ok := w.try(from.Host, h.ip4, 15*time.Second); !ok {
			w.t.Errorf("an unknown neighbour does not answer:\n%s", w.explain(from.Host, h.ip4))
		}
		w.first.Eventually("a binding", func() error {
			if !bound() {
				return errors.New("there is none")
			}
			return nil
		})
		w.NB("set", "logical_router", "lr0", "options:mac_binding_age_threshold=1")
		w.first.Eventually("the end of a binding", func() error {
			if bound() {
				return errors.New("it is still there")
			}
			return nil
		})
		w.Sync()
	}
	w.NB("remove", "logical_router", "lr0", "options", "mac_binding_age_threshold")
}

// dropsTold wants that a packet which nobody is to get is told of to a collector.
func (w *network) dropsTold(h *vm) {
	w.t.Helper()
	c := w.of(h.Host)
	var collector net.PacketConn
	inside(w.t, &testenv.Host{Env: c.Env, NS: c.NS}, func() (err error) {
		collector, err = net.ListenPacket("udp", "127.0.0.1:0")
		return err
	})
	defer collector.Close()
	c.Vsctl("--", "--id=@br", "get", "bridge", "br-int", "--", "--id=@i", "create", "ipfix", fmt.Sprintf("targets=%q", collector.LocalAddr()), "cache_max_flows=0",
		"--", "create", "flow_sample_collector_set", "id=5", "bridge=@br", "ipfix=@i")
	const domain = 10
	w.NB("set", "nb_global", ".", "options:debug_drop_collector_set=5", fmt.Sprint("options:debug_drop_domain_id=", domain))
	w.Sync()
	tx := listen(w.t, h.Host)
	b := make([]byte, 1500)
	c.Eventually("a sample of a dropped packet", func() error {
		tx.send(datagram(h.mac, "02:00:00:01:00:77", h.ip4, "10.1.0.77", 7, 7, []byte("for nobody"))...)
		collector.SetReadDeadline(time.Now().Add(time.Second))
		n, _, err := collector.ReadFrom(b)
		if err != nil {
			return err
		}
		// Version 10, the domain of the logical switch, and a data set.
		if n < 20 || binary.BigEndian.Uint16(b) != 10 || b[12] != domain || binary.BigEndian.Uint16(b[16:]) < 256 {
			return fmt.Errorf("an IPFIX message %x", b[:n])
		}
		return nil
	})
	w.NB("remove", "nb_global", ".", "options", "debug_drop_collector_set")
	w.Sync()
}
