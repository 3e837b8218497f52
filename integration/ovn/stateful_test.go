package ovn

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// What ACLs, NAT and load balancers do with connection tracking.
func TestStateful(t *testing.T) {
	onOneAndTwo(t, stateful)
}

func stateful(w *network) {
	t := w.t
	w.NB("ls-add", "ls1", "--", "ls-add", "ext",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12 fd01::12",
		"--", "lsp-add", "ext", "p3", "--", "lsp-set-addresses", "p3", "02:00:00:09:00:03 172.16.0.50 fd09::50",
		"--", "lr-add", "gr", "--", "set", "logical_router", "gr", "options:chassis="+w.first.name,
		"--", "lrp-add", "gr", "gr-ls1", "02:00:00:00:00:01", "10.1.0.1/24", "fd01::1/64",
		"--", "lrp-add", "gr", "gr-ext", "02:00:00:00:00:09", "172.16.0.1/24", "fd09::1/64")
	for _, ls := range []string{"ls1", "ext"} {
		w.NB("lsp-add", ls, ls+"-gr", "--", "lsp-set-type", ls+"-gr", "router", "--", "lsp-set-addresses", ls+"-gr", "router",
			"--", "lsp-set-options", ls+"-gr", "router-port=gr-"+ls)
	}
	h1 := w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "10.1.0.1", "fd01::11/64", "fd01::1")
	h2 := w.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "10.1.0.1", "fd01::12/64", "fd01::1")
	out := w.vm("p3", "02:00:00:09:00:03", "172.16.0.50/24", "", "fd09::50/64", "fd09::1")
	for _, h := range []*vm{h1, h2, out} {
		serve(t, h.Host, "[::]:8080", h.lport)
		serve(t, h.Host, "[::]:8081", h.lport)
	}
	w.installed(h1, h2, out)
	w.reach("without state", h1.Host, h2.ip4)

	t.Log("ACLs")
	statefulACL(w, h1, h2)
	t.Log("source NAT")
	sourceNAT(w, h1, out)
	t.Log("destination NAT")
	destinationNAT(w, h1, h2, out)
	t.Log("load balancers")
	balanced(w, h1, h2, out)
	t.Log("equal routes, answered the way they came")
	symmetric(w, h2)
	// TCP sends again what is lost: that it was, only the counters tell.
	if out := w.first.Run("ovs-bpfctl", "drops"); strings.Contains(out, "internal") {
		t.Errorf("the datapath could not go on with packets:\n%s", out)
	}
}

// statefulACL wants that h2 may be connected to at port 8080 only, and may itself connect.
func statefulACL(w *network, h1, h2 *vm) {
	w.t.Helper()
	w.NB("acl-add", "ls1", "to-lport", "1000", `outport == "p2" && tcp.dst == 8080`, "allow-related",
		"--", "acl-add", "ls1", "to-lport", "900", `outport == "p2" && (tcp || icmp)`, "drop",
		"--", "acl-add", "ls1", "from-lport", "1000", `inport == "p2" && ip`, "allow-related")
	w.Sync()
	for _, dst := range []string{h2.ip4, h2.ip6} {
		w.connects("allowed", h1.Host, dst, 8080, "p2", h1.address(dst))
		w.refuses("not allowed", h1.Host, dst, 8081)
		w.silent("not allowed", h1.Host, dst)
		w.connects("answers are related", h2.Host, h1.address(dst), 8081, "p1", dst)
		w.reach("answers are related", h2.Host, h1.address(dst))
	}
	w.NB("acl-add", "ls1", "to-lport", "1001", `outport == "p2" && tcp.dst == 8080`, "drop")
	w.Sync()
	w.refuses("not allowed any more", h1.Host, h2.ip4, 8080)
	w.NB("acl-del", "ls1")
	w.Sync()
	w.connects("without ACLs", h1.Host, h2.ip4, 8081, "p2", h1.ip4)
}

func sourceNAT(w *network, h1, out *vm) {
	w.t.Helper()
	w.NB("lr-nat-add", "gr", "snat", "172.16.0.1", "10.1.0.0/24")
	w.Sync()
	w.connects("source NAT", h1.Host, out.ip4, 8080, "p3", "172.16.0.1")
	w.reach("source NAT", h1.Host, out.ip4)
	w.connects("IPv6 without NAT", h1.Host, out.ip6, 8080, "p3", h1.ip6)
}

func destinationNAT(w *network, h1, h2, out *vm) {
	w.t.Helper()
	w.NB("lr-nat-add", "gr", "dnat", "172.16.0.20", h2.ip4, "--", "lr-nat-add", "gr", "dnat_and_snat", "172.16.0.11", h1.ip4)
	w.Sync()
	w.connects("destination NAT", out.Host, "172.16.0.20", 8080, "p2", out.ip4)
	w.reach("destination NAT", out.Host, "172.16.0.20")
	w.connects("both NAT", out.Host, "172.16.0.11", 8080, "p1", out.ip4)
	w.reach("both NAT", out.Host, "172.16.0.11")
	w.connects("both NAT", h1.Host, out.ip4, 8080, "p3", "172.16.0.11")
}

// balanced wants that both backends of a load balancer serve, in the switch and in the router, also themselves.
func balanced(w *network, h1, h2, out *vm) {
	w.t.Helper()
	w.NB("lb-add", "inner", "10.96.0.10:80", "10.1.0.11:8080,10.1.0.12:8080", "tcp", "--", "ls-lb-add", "ls1", "inner",
		"--", "lb-add", "outer", "172.16.0.30:80", "10.1.0.11:8080,10.1.0.12:8080", "tcp", "--", "lr-lb-add", "gr", "outer",
		"--", "lb-add", "six", "[fd96::10]:80", "[fd01::11]:8080,[fd01::12]:8080", "tcp", "--", "ls-lb-add", "ls1", "six")
	w.Sync()
	for _, x := range []struct {
		from *vm
		vip  string
	}{{out, "172.16.0.30"}, {h1, "10.96.0.10"}, {h2, "fd96::10"}} {
		by := map[string]int{}
		for range 24 {
			name, _, err := dial(w.t, x.from.Host, x.vip, 80)
			if err != nil {
				w.t.Errorf("the load balancer %s from %s: %v", x.vip, x.from.lport, err)
				break
			}
			by[name]++
		}
		if by["p1"] == 0 || by["p2"] == 0 {
			w.t.Errorf("the load balancer %s serves %s by %v", x.vip, x.from.lport, by)
		}
	}
	w.NB("lb-del", "inner", "--", "lb-add", "inner", "10.96.0.10:80", "10.1.0.12:8080", "tcp", "--", "ls-lb-add", "ls1", "inner")
	w.Sync()
	for range 4 { // by the router, whose NAT is for all that passes it
		w.connects("the backend that is left", h1.Host, "10.96.0.10", 80, "p2", "172.16.0.11")
	}
}

// symmetric wants that what comes by one of two equal routes is answered by the same.
func symmetric(w *network, h *vm) {
	w.t.Helper()
	w.NB("lsp-add", "ext", "p4", "--", "lsp-set-addresses", "p4", "02:00:00:09:00:04 172.16.0.51",
		"--", "lsp-add", "ext", "p5", "--", "lsp-set-addresses", "p5", "02:00:00:09:00:05 172.16.0.52")
	r1 := w.vm("p4", "02:00:00:09:00:04", "172.16.0.51/24", "", "", "")
	r2 := w.vm("p5", "02:00:00:09:00:05", "172.16.0.52/24", "", "", "")
	for _, r := range []*vm{r1, r2} {
		r.Run("ip", "addr", "add", "192.168.50.5/32", "dev", "lo")
		r.Run("ip", "route", "add", "10.1.0.0/24", "via", "172.16.0.1", "src", "192.168.50.5")
	}
	for _, hop := range []string{"172.16.0.51", "172.16.0.52"} {
		w.NB("--ecmp-symmetric-reply", "lr-route-add", "gr", "192.168.50.0/24", hop)
	}
	w.installed(r1, r2)
	for _, r := range []*vm{r1, r2} {
		for range 8 {
			w.connects("by one of equal routes", r.Host, h.ip4, 8080, h.lport, "192.168.50.5")
		}
	}
}

// serve has a host tell everybody who connects to an address its name, and as whom it sees the client.
func serve(t *testing.T, h *testenv.Host, addr, name string) {
	t.Helper()
	inside(t, h, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				from := netip.MustParseAddrPort(c.RemoteAddr().String()).Addr().Unmap()
				fmt.Fprintln(c, name, from)
				c.Close()
			}
		}()
		return nil
	})
}

// dial connects a host to a port and returns who answers, and as whom it is seen.
func dial(t *testing.T, h *testenv.Host, dst string, port uint16) (name, as string, err error) {
	t.Helper()
	inside(t, h, func() error {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", netip.AddrPortFrom(netip.MustParseAddr(dst), port).String(), 2*time.Second); err != nil {
			return nil
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		var b []byte
		if b, err = io.ReadAll(c); err == nil {
			name, as, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
		}
		return nil
	})
	return name, as, err
}

// connects wants that a host can connect, to whom and as whom.
func (w *network) connects(what string, h *testenv.Host, dst string, port uint16, name, as string) {
	w.t.Helper()
	var n, a string
	var err error
	for range 5 {
		if n, a, err = dial(w.t, h, dst, port); err == nil {
			break
		}
	}
	if err != nil || n != name || a != as {
		out, _ := w.first.Try("ovs-appctl", "dpctl/dump-conntrack")
		w.t.Errorf("%s: port %d of %s: answer of %q to %q, want of %q to %q, %v\n%s\nconnections:\n%s", what, port, dst, n, a, name, as, err,
			w.explain(h, dst), out)
	}
}

// refuses wants that a host gets no answer.
func (w *network) refuses(what string, h *testenv.Host, dst string, port uint16) {
	w.t.Helper()
	name, _, err := dial(w.t, h, dst, port)
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		w.t.Errorf("%s: port %d of %s: answer of %q, %v", what, port, dst, name, err)
	}
}
