package ovn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// routed is a distributed router lr0 between ls1 (h1), ls2 (h2) and a transit switch, behind which lr1 and lr2 both lead to ls3 (h3).
// What ls2 has at 10.2.0.99 and fd02::99 (h4), OVN does not know.
type routed struct {
	*network
	h1, h2, h3, h4 *vm
}

func newRouted(w *network) *routed {
	w.t.Helper()
	w.NB("ls-add", "ls1", "--", "ls-add", "ls2", "--", "ls-add", "ls3", "--", "ls-add", "transit",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls2", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:02:00:02 10.2.0.12 fd02::12",
		"--", "lsp-add", "ls3", "p3", "--", "lsp-set-addresses", "p3", "02:00:00:03:00:03 10.3.0.13 fd03::13",
		"--", "lsp-add", "ls2", "p4", "--", "lsp-set-addresses", "p4", "unknown",
		"--", "lr-add", "lr0", "--", "lr-add", "lr1", "--", "lr-add", "lr2",
		"--", "lrp-add", "lr0", "lr0-ls1", "02:00:00:00:00:01", "10.1.0.1/24", "fd01::1/64",
		"--", "lrp-add", "lr0", "lr0-ls2", "02:00:00:00:00:02", "10.2.0.1/24", "fd02::1/64",
		"--", "lrp-add", "lr0", "lr0-transit", "02:00:00:00:00:03", "100.64.0.1/24", "fd64::1/64",
		"--", "lrp-add", "lr1", "lr1-transit", "02:00:00:00:01:01", "100.64.0.2/24", "fd64::2/64",
		"--", "lrp-add", "lr1", "lr1-ls3", "02:00:00:00:01:02", "10.3.0.1/24", "fd03::1/64",
		"--", "lrp-add", "lr2", "lr2-transit", "02:00:00:00:02:01", "100.64.0.3/24", "fd64::3/64",
		"--", "lrp-add", "lr2", "lr2-ls3", "02:00:00:00:02:02", "10.3.0.2/24", "fd03::2/64")
	for _, port := range []string{"lr0-ls1", "lr0-ls2", "lr0-transit", "lr1-transit", "lr1-ls3", "lr2-transit", "lr2-ls3"} {
		_, ls, _ := strings.Cut(port, "-")
		w.NB("lsp-add", ls, ls+"-"+port, "--", "lsp-set-type", ls+"-"+port, "router", "--", "lsp-set-addresses", ls+"-"+port, "router",
			"--", "lsp-set-options", ls+"-"+port, "router-port="+port)
	}
	for _, lr := range []string{"lr1", "lr2"} {
		w.NB("lr-route-add", lr, "10.0.0.0/8", "100.64.0.1", "--", "lr-route-add", lr, "fd00::/8", "fd64::1")
	}
	r := &routed{network: w}
	r.h1 = w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "10.1.0.1", "fd01::11/64", "fd01::1")
	r.h2 = w.vm("p2", "02:00:00:02:00:02", "10.2.0.12/24", "10.2.0.1", "fd02::12/64", "fd02::1")
	r.h3 = w.vm("p3", "02:00:00:03:00:03", "10.3.0.13/24", "10.3.0.1", "fd03::13/64", "fd03::1")
	r.h4 = w.vm("p4", "02:00:00:02:00:99", "10.2.0.99/24", "10.2.0.1", "fd02::99/64", "fd02::1")
	w.installed(r.h1, r.h2, r.h3, r.h4)
	return r
}

// What a distributed router does without connection tracking.
func TestRouting(t *testing.T) {
	onOneAndTwo(t, routing)
}

func routing(w *network) {
	t, r := w.t, newRouted(w)
	for _, dst := range []string{"10.1.0.1", "fd01::1", "10.2.0.1", "fd02::1", "100.64.0.1", "fd64::1"} {
		r.reach("the router", r.h1.Host, dst)
	}
	for _, dst := range []string{"10.2.0.12", "fd02::12"} {
		r.reach("another switch", r.h1.Host, dst, "-s", "1400")
		r.reach("another switch, in fragments", r.h1.Host, dst, "-s", "5000")
		r.direct(r.h1.Host, dst)
		r.transfer(r.h1.Host, r.h2.Host, dst)
	}
	injected(r)
	t.Log("hop limits")
	expired(r)
	t.Log("unknown neighbours")
	resolved(r)
	t.Log("static routes")
	static(r)
	t.Log("equal routes")
	ecmp(r)
	t.Log("policies")
	policies(r)
	t.Log("trace")
	traced(r)
}

// expired wants the answer to a packet whose time is over from the router where it was, and that routers count.
func expired(r *routed) {
	r.t.Helper()
	for _, x := range []struct{ dst, router, want string }{
		{"10.2.0.12", "10.1.0.1", "Time to live exceeded"},
		{"fd02::12", "fd01::1", "Time exceeded: Hop limit"},
	} {
		r.first.Eventually("time exceeded from "+x.router, func() error {
			out, _ := r.try(r.h1.Host, x.dst, 0, "-t", "1")
			if !strings.Contains(out, x.want) || !strings.Contains(out, "rom "+x.router) {
				return fmt.Errorf("%s\n%s", out, r.explain(r.h1.Host, x.dst))
			}
			return nil
		})
		out, _ := r.try(r.h1.Host, x.dst, 0)
		if !strings.Contains(out, "ttl=63") {
			r.t.Errorf("one router does not count one: %s", out)
		}
	}
}

// resolved wants that the router asks who has an address that OVN does not know, and remembers.
func resolved(r *routed) {
	r.t.Helper()
	for _, dst := range []string{r.h4.ip4, r.h4.ip6} {
		if out, ok := r.try(r.h1.Host, dst, 15*time.Second); !ok {
			r.t.Errorf("an unknown neighbour does not answer: %s\n%s", out, r.explain(r.h1.Host, dst))
		}
		r.first.Eventually("the binding of "+dst, func() error {
			out := r.SB("--bare", "--columns=mac", "find", "mac_binding", `ip="`+dst+`"`)
			if !strings.Contains(out, r.h4.mac) {
				return fmt.Errorf("mac_binding of %s: %q", dst, out)
			}
			return nil
		})
		// Until the binding has become a flow, ovn-controller asks for each packet, and keeps only some.
		r.Sync()
		r.reach("a known neighbour", r.h1.Host, dst)
	}
}

func static(r *routed) {
	r.t.Helper()
	r.NB("lr-route-add", "lr0", "10.3.0.0/24", "100.64.0.2", "--", "lr-route-add", "lr0", "fd03::/64", "fd64::2")
	r.Sync()
	for _, dst := range []string{r.h3.ip4, r.h3.ip6} {
		r.reach("behind a static route", r.h1.Host, dst)
		if out, _ := r.try(r.h1.Host, dst, 0); !strings.Contains(out, "ttl=62") {
			r.t.Errorf("two routers do not count two: %s", out)
		}
	}
	r.NB("lr-route-del", "lr0", "fd03::/64")
	r.Sync()
	r.silent("behind a deleted route", r.h1.Host, r.h3.ip6)
}

// ecmp wants that both of two equal routes are used, and that a connection stays on one.
func ecmp(r *routed) {
	r.t.Helper()
	r.NB("--ecmp", "lr-route-add", "lr0", "10.3.0.0/24", "100.64.0.3")
	r.Sync()
	r.reach("behind equal routes", r.h1.Host, r.h3.ip4)
	tx, rx := listen(r.t, r.h1.Host), listen(r.t, r.h3.Host)
	const flows, each = 32, 4
	for range each {
		for n := range flows {
			tx.send(datagram(r.h1.mac, "02:00:00:00:00:01", r.h1.ip4, r.h3.ip4, 1000+uint16(n), 9, []byte("equal"))...)
		}
	}
	via := map[layers.UDPPort]map[string]int{}
	routers := map[string]int{}
	for range flows * each {
		p := rx.find(carries("equal"))
		if p == nil {
			r.t.Errorf("%d of %d packets arrive", sum(routers), flows*each)
			break
		}
		src := p.LinkLayer().LinkFlow().Src().String()
		port := p.Layer(layers.LayerTypeUDP).(*layers.UDP).SrcPort
		if via[port] == nil {
			via[port] = map[string]int{}
		}
		via[port][src]++
		routers[src]++
	}
	if len(routers) != 2 {
		r.t.Errorf("of two equal routes are used: %v", routers)
	}
	for port, m := range via {
		if len(m) != 1 {
			r.t.Errorf("the connection from port %d uses both routes: %v", port, m)
		}
	}
	r.t.Logf("packets by router: %v", routers)
}

func sum(m map[string]int) (n int) {
	for _, x := range m {
		n += x
	}
	return n
}

func policies(r *routed) {
	r.t.Helper()
	r.NB("lr-policy-add", "lr0", "100", "ip4.dst == 10.3.0.0/24 && udp.dst == 11", "drop",
		"--", "lr-policy-add", "lr0", "99", "ip4.dst == 10.3.0.0/24 && udp.dst == 12", "reroute", "100.64.0.3",
		"--", "lr-policy-add", "lr0", "98", "ip4.dst == 10.3.0.0/24 && udp.dst == 13", "reroute", "100.64.0.2")
	r.Sync()
	tx, rx := listen(r.t, r.h1.Host), listen(r.t, r.h3.Host)
	for _, x := range []struct {
		port   uint16
		router string // "": the packet is dropped
	}{{11, ""}, {12, "02:00:00:00:02:02"}, {13, "02:00:00:00:01:02"}} {
		for range 4 {
			tx.send(datagram(r.h1.mac, "02:00:00:00:00:01", r.h1.ip4, r.h3.ip4, 1, x.port, fmt.Append(nil, "policy ", x.port))...)
		}
		if x.router == "" {
			continue
		}
		for range 4 {
			p := rx.find(func(p gopacket.Packet) bool {
				if carries("policy 11")(p) {
					r.t.Error("a policy does not drop")
				}
				return carries(fmt.Sprint("policy ", x.port))(p)
			})
			if p == nil {
				r.t.Errorf("a packet to port %d that a policy routes is lost", x.port)
			} else if src := p.LinkLayer().LinkFlow().Src().String(); src != x.router {
				r.t.Errorf("a packet to port %d comes by %s, not %s", x.port, src, x.router)
			}
		}
	}
}

// traced wants that the tools of OVN read what our traces say: that a packet from h1 to h2 ends at the port of h2.
func traced(r *routed) {
	r.t.Helper()
	flow, err := r.pingFlow(r.h1.Host, r.h2.ip4)
	if err != nil {
		r.t.Fatal(err)
	}
	trace := r.first.Appctl("ofproto/trace", "br-int", flow)
	port := r.first.Vsctl("get", "interface", r.h2.Port, "ofport")
	end := "output:" + port + "\n"
	if r.h2.Env != r.h1.Env { // the port of a tunnel
		end = "native tunnel"
	}
	if !strings.Contains(trace, end) || !strings.Contains(trace, "Datapath actions: ") {
		r.t.Errorf("the trace of %s does not end at port %s:\n%s", flow, port, trace)
	}
	logical := r.first.Run("ovn-trace", "--db="+r.remote("sb"), "--ovs=unix:"+r.first.Dir+"/br-int.mgmt", "ls1",
		`inport == "p1" && eth.src == 02:00:00:01:00:01 && eth.dst == 02:00:00:00:00:01 && ip4.src == 10.1.0.11 && ip4.dst == 10.2.0.12 && ip.ttl == 64 && icmp4.type == 8`)
	if !strings.Contains(logical, `output to "p2"`) || !strings.Contains(logical, " actions=") || !strings.Contains(logical, "cookie=0x") {
		r.t.Errorf("ovn-trace --ovs:\n%s", logical)
	}
	out := r.first.Run("sh", "-c", `ovs-appctl ofproto/trace br-int "$1" | ovn-detrace --ovnsb="$2" --ovnnb="$3" --ovsdb="unix:$4/db.sock"`,
		"sh", flow, r.remote("sb"), r.remote("nb"), r.first.Dir)
	for _, want := range []string{"Logical datapath: \"ls1\"", "Logical datapath: \"lr0\"", "Logical datapath: \"ls2\"", "Logical flow: table="} {
		if !strings.Contains(out, want) {
			r.t.Errorf("ovn-detrace does not say %s:\n%s", want, out)
		}
	}
}
