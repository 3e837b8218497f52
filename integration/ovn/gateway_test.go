package ovn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// gateways is a distributed router lr0 whose way to a physical network is by one of two gateway chassis, hv2 rather than hv3. Hosts
// are h1 and h2 of ls1, h3, h4 and h5 of ls2; each has its own kind of NAT. Outside is out.
type gateways struct {
	*network
	phys               *segment
	h1, h2, h3, h4, h5 *vm
	out                *testenv.Host
}

const (
	outer4, outer6 = "172.16.0.50", "fd16::50" // of out
	beyond         = "192.168.99.1"            // behind out, whom lr0 has as its default route
	outerMAC       = "02:00:00:00:00:09"       // of lr0 outside
	floatingMAC    = "02:00:00:99:00:13"       // of h3 outside
)

func newGateways(w *network) *gateways {
	w.t.Helper()
	g := &gateways{network: w, phys: w.physical()}
	w.NB("ls-add", "ls1", "--", "ls-add", "ls2", "--", "ls-add", "ext",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12 fd01::12",
		"--", "lsp-add", "ls2", "p3", "--", "lsp-set-addresses", "p3", "02:00:00:02:00:03 10.2.0.13 fd02::13",
		"--", "lsp-add", "ls2", "p4", "--", "lsp-set-addresses", "p4", "02:00:00:02:00:04 10.2.0.14 fd02::14",
		"--", "lsp-add", "ls2", "p5", "--", "lsp-set-addresses", "p5", "02:00:00:02:00:05 10.2.0.15 fd02::15",
		"--", "lr-add", "lr0",
		"--", "lrp-add", "lr0", "lr0-ls1", "02:00:00:00:00:01", "10.1.0.1/24", "fd01::1/64",
		"--", "lrp-add", "lr0", "lr0-ls2", "02:00:00:00:00:02", "10.2.0.1/24", "fd02::1/64",
		"--", "lrp-add", "lr0", "lr0-ext", outerMAC, "172.16.0.100/24", "fd16::100/64",
		"--", "lsp-add", "ext", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown",
		"--", "lsp-set-options", "ln", "network_name=phys")
	for _, ls := range []string{"ls1", "ls2", "ext"} {
		w.NB("lsp-add", ls, ls+"-lr0", "--", "lsp-set-type", ls+"-lr0", "router", "--", "lsp-set-addresses", ls+"-lr0", "router",
			"--", "lsp-set-options", ls+"-lr0", "router-port=lr0-"+ls, "nat-addresses=router")
	}
	w.NB("lrp-set-gateway-chassis", "lr0-ext", "hv2", "20", "--", "lrp-set-gateway-chassis", "lr0-ext", "hv3", "10",
		"--", "lr-route-add", "lr0", "0.0.0.0/0", outer4,
		"--", "lr-nat-add", "lr0", "snat", "172.16.0.100", "10.1.0.0/24",
		"--", "lr-nat-add", "lr0", "dnat_and_snat", "172.16.0.111", "10.1.0.11",
		"--", "lr-nat-add", "lr0", "dnat_and_snat", "172.16.0.113", "10.2.0.13", "p3", floatingMAC,
		"--", "--stateless", "lr-nat-add", "lr0", "dnat_and_snat", "172.16.0.114", "10.2.0.14",
		"--", "--portrange", "lr-nat-add", "lr0", "snat", "172.16.0.105", "10.2.0.15", "3000-4000",
		"--", "lb-add", "lb", "172.16.0.30:80", "10.1.0.11:8080,10.1.0.12:8080", "tcp", "--", "lr-lb-add", "lr0", "lb")
	hv1, hv2, hv3 := w.chassis[0], w.chassis[1], w.chassis[2]
	g.h1 = hv1.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "10.1.0.1", "fd01::11/64", "fd01::1")
	g.h2 = hv2.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "10.1.0.1", "fd01::12/64", "fd01::1")
	g.h3 = hv1.vm("p3", "02:00:00:02:00:03", "10.2.0.13/24", "10.2.0.1", "fd02::13/64", "fd02::1")
	g.h4 = hv1.vm("p4", "02:00:00:02:00:04", "10.2.0.14/24", "10.2.0.1", "fd02::14/64", "fd02::1")
	g.h5 = hv3.vm("p5", "02:00:00:02:00:05", "10.2.0.15/24", "10.2.0.1", "fd02::15/64", "fd02::1")
	g.out = g.phys.host("out", outer4+"/24", outer6+"/64", beyond+"/32")
	g.out.Run("ip", "-6", "route", "add", "fd00::/14", "via", "fd16::100")
	for _, h := range []*vm{g.h1, g.h2, g.h3, g.h4, g.h5} {
		serve(w.t, h.Host, "[::]:8080", h.lport)
	}
	serve(w.t, g.out, "[::]:8080", "out")
	w.installed(g.h1, g.h2, g.h3, g.h4, g.h5)
	return g
}

// What a distributed router does at its gateway chassis, and without it.
func TestGateways(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 3)
	defer w.end()
	g := newGateways(w)
	t.Log("NAT")
	g.nat()
	t.Log("NAT without a gateway")
	g.floating()
	t.Log("port range")
	g.portRange()
	t.Log("IPv6")
	w.reach("IPv6 without NAT", g.h1.Host, outer6)
	w.reach("IPv6 without NAT", g.out, g.h2.ip6)
	w.connects("IPv6 without NAT", g.h5.Host, outer6, 8080, "out", g.h5.ip6)
	t.Log("MTU")
	g.mtu()
	t.Log("failure of a gateway")
	g.failover()
}

func (g *gateways) nat() {
	g.t.Helper()
	g.reach("source NAT", g.h2.Host, outer4)
	g.reach("the default route", g.h2.Host, beyond)
	g.connects("source NAT", g.h2.Host, outer4, 8080, "out", "172.16.0.100")
	g.connects("both NAT", g.h1.Host, outer4, 8080, "out", "172.16.0.111")
	g.connects("both NAT", g.out, "172.16.0.111", 8080, "p1", outer4)
	g.reach("both NAT", g.out, "172.16.0.111")
	g.connects("both NAT without state", g.h4.Host, outer4, 8080, "out", "172.16.0.114")
	g.connects("both NAT without state", g.out, "172.16.0.114", 8080, "p4", outer4)
	by := map[string]int{}
	for range 24 {
		name, as, err := dial(g.t, g.out, "172.16.0.30", 80)
		if err != nil || as != outer4 {
			g.t.Errorf("the load balancer of the router from outside: %q, %v", as, err)
			return
		}
		by[name]++
	}
	if by["p1"] == 0 || by["p2"] == 0 {
		g.t.Errorf("the load balancer of the router serves by %v", by)
	}
	g.phys.learned(outerMAC, g.chassis[1].outside, "the router is at the first gateway")
}

// floating wants that an address with a MAC address of its own is where its host is.
func (g *gateways) floating() {
	g.t.Helper()
	g.connects("distributed NAT", g.out, "172.16.0.113", 8080, "p3", outer4)
	g.connects("distributed NAT", g.h3.Host, outer4, 8080, "out", "172.16.0.113")
	g.reach("distributed NAT", g.out, "172.16.0.113")
	g.phys.learned(floatingMAC, g.chassis[0].outside, "a floating address is at the chassis of its host")
}

// portRange wants source ports that are in the range of NAT.
func (g *gateways) portRange() {
	g.t.Helper()
	g.reach("NAT with a port range", g.h5.Host, outer4)
	tx, rx := listen(g.t, g.h5.Host), listen(g.t, g.out)
	for n := range 8 {
		tx.send(datagram(g.h5.mac, "02:00:00:00:00:02", g.h5.ip4, outer4, uint16(50000+n), 9999, []byte("range"))...)
	}
	seen := map[layers.UDPPort]bool{}
	for range 8 {
		p := rx.find(carries("range"))
		if p == nil {
			g.t.Errorf("%d of 8 packets arrive", len(seen))
			return
		}
		port := p.Layer(layers.LayerTypeUDP).(*layers.UDP).SrcPort
		if src := p.NetworkLayer().NetworkFlow().Src().String(); src != "172.16.0.105" || port < 3000 || port > 4000 || seen[port] {
			g.t.Errorf("a packet from %s port %d, with %v before", src, port, seen)
		}
		seen[port] = true
	}
}

// mtu wants that packets that are too long for the way out are answered with what fits.
func (g *gateways) mtu() {
	g.t.Helper()
	g.NB("set", "logical_router_port", "lr0-ext", "options:gateway_mtu=1300")
	g.Sync()
	for _, x := range []struct{ dst, want string }{{outer4, "mtu = 1300"}, {outer6, "mtu=1300"}} {
		g.first.Eventually("the answer to a long packet to "+x.dst, func() error {
			out, _ := g.try(g.h1.Host, x.dst, 0, "-M", "do", "-s", "1350")
			if !strings.Contains(out, x.want) && !strings.Contains(out, "mtu=1300") {
				return fmt.Errorf("%s\n%s", out, g.explain(g.h1.Host, x.dst))
			}
			return nil
		})
		g.reach("a packet that fits the way out", g.h1.Host, x.dst, "-M", "do", "-s", "1200")
	}
}

// failover wants that the second gateway takes over from the first, and gives back.
func (g *gateways) failover() {
	g.t.Helper()
	hv1, hv2, hv3 := g.chassis[0], g.chassis[1], g.chassis[2]
	g.cuts = true
	for _, c := range []*chassis{hv2, hv3} {
		hv1.Eventually("BFD to "+c.name, func() error {
			out := hv1.Vsctl("--bare", "--columns=bfd_status", "find", "interface", "name=ovn-"+c.name+"-0")
			if !strings.Contains(out, "state=up") {
				return fmt.Errorf("bfd_status %s", out)
			}
			return nil
		})
	}
	rx := listen(g.t, g.out)
	g.under.cut(hv2.underlay, true)
	g.phys.learned(outerMAC, hv3.outside, "the router is at the second gateway")
	if rx.find(func(p gopacket.Packet) bool {
		arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP)
		return ok && string(arp.SourceProtAddress) == string(arp.DstProtAddress) && p.LinkLayer().LinkFlow().Src().String() == outerMAC
	}) == nil {
		g.t.Error("the second gateway does not tell where the router is")
	}
	if _, ok := g.try(g.h1.Host, outer4, 30*time.Second); !ok {
		g.t.Error("no answer by the second gateway")
	}
	g.reach("by the second gateway", g.h1.Host, outer4)
	g.reach("by the second gateway", g.out, "172.16.0.111")
	g.connects("by the second gateway", g.h1.Host, outer4, 8080, "out", "172.16.0.111")
	g.reach("without a gateway", g.out, "172.16.0.113")
	g.under.cut(hv2.underlay, false)
	g.phys.learned(outerMAC, hv2.outside, "the router is at the first gateway again")
	if _, ok := g.try(g.h1.Host, outer4, 30*time.Second); !ok {
		g.t.Error("no answer by the first gateway")
	}
	g.reach("by the first gateway again", g.h2.Host, outer4)
	g.reach("by the first gateway again", g.h1.Host, outer4)
}
