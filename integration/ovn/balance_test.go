package ovn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// What load balancers of logical switches do, between switches that a router joins.
func TestBalancing(t *testing.T) { onOneAndTwo(t, balancing) }

func balancing(w *network) {
	t := w.t
	w.NB("ls-add", "ls1", "--", "ls-add", "ls2",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12 fd01::12",
		"--", "lsp-add", "ls2", "p3", "--", "lsp-set-addresses", "p3", "02:00:00:02:00:03 10.2.0.13 fd02::13",
		"--", "lsp-add", "ls2", "p4", "--", "lsp-set-addresses", "p4", "02:00:00:02:00:04 10.2.0.14 fd02::14",
		"--", "lr-add", "lr0",
		"--", "lrp-add", "lr0", "lr0-ls1", "02:00:00:00:00:01", "10.1.0.1/24", "fd01::1/64",
		"--", "lrp-add", "lr0", "lr0-ls2", "02:00:00:00:00:02", "10.2.0.1/24", "fd02::1/64",
		"--", "set", "nb_global", ".", "options:svc_monitor_mac=02:00:00:aa:aa:aa")
	const both = "10.1.0.11:8080,10.1.0.12:8080"
	for _, lb := range [][]string{
		{"tcp", "10.96.0.10:80", both, "tcp"},
		{"udp", "10.96.0.11:53", both, "udp"},
		{"affine", "10.96.0.12:80", both, "tcp"},
		{"all", "10.96.0.13", "10.1.0.11,10.1.0.12"},
		{"fields", "10.96.0.14:80", both, "tcp"},
		{"reject", "10.96.0.15:80", "", "tcp"},
		{"own", "10.96.0.16:80", "10.1.0.11:8080", "tcp"},
		{"health", "10.96.0.17:80", both, "tcp"},
		{"six", "[fd96::10]:80", "[fd01::11]:8080,[fd01::12]:8080", "tcp"},
	} {
		w.NB(append([]string{"lb-add"}, lb...)...)
	}
	w.NB("set", "load_balancer", "affine", "options:affinity_timeout=60",
		"--", "set", "load_balancer", "fields", "selection_fields=ip_src,ip_dst",
		"--", "set", "load_balancer", "reject", "options:reject=true",
		"--", "set", "load_balancer", "health", `ip_port_mappings:10.1.0.11="p1:10.1.0.253"`, `ip_port_mappings:10.1.0.12="p2:10.1.0.253"`,
		"--", "--id=@hc", "create", "load_balancer_health_check", `vip="10.96.0.17:80"`, "options:interval=1", "options:timeout=1",
		"options:success_count=1", "options:failure_count=2", "--", "add", "load_balancer", "health", "health_check", "@hc")
	for _, ls := range []string{"ls1", "ls2"} {
		w.NB("lsp-add", ls, ls+"-lr0", "--", "lsp-set-type", ls+"-lr0", "router", "--", "lsp-set-addresses", ls+"-lr0", "router",
			"--", "lsp-set-options", ls+"-lr0", "router-port=lr0-"+ls)
		for _, lb := range []string{"tcp", "udp", "affine", "all", "fields", "reject", "own", "health", "six"} {
			w.NB("ls-lb-add", ls, lb)
		}
	}
	h1 := w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "10.1.0.1", "fd01::11/64", "fd01::1")
	h2 := w.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "10.1.0.1", "fd01::12/64", "fd01::1")
	h3 := w.vm("p3", "02:00:00:02:00:03", "10.2.0.13/24", "10.2.0.1", "fd02::13/64", "fd02::1")
	h4 := w.vm("p4", "02:00:00:02:00:04", "10.2.0.14/24", "10.2.0.1", "fd02::14/64", "fd02::1")
	for _, h := range []*vm{h1, h2} {
		serve(t, h.Host, "[::]:8080", h.lport)
		serveUDP(t, h.Host, h.ip4+":8080", h.lport)
	}
	w.installed(h1, h2, h3, h4)

	for _, h := range []*vm{h3, h4, h1} { // h1 also as its own client
		for _, vip := range []string{"10.96.0.10", "fd96::10"} {
			w.shared(h, vip, 80)
		}
	}
	w.shared(h3, "10.96.0.13", 8080)
	w.sharedUDP(h3, "10.96.0.11", 53)
	w.sharedUDP(h4, "10.96.0.11", 53)
	t.Log("the only backend is the client")
	w.connects("hairpin", h1.Host, "10.96.0.16", 80, "p1", "10.96.0.16")
	w.connects("beside hairpin", h2.Host, "10.96.0.16", 80, "p1", h2.ip4)
	t.Log("selection")
	w.steady(h3, "10.96.0.14")
	w.steady(h4, "10.96.0.14")
	t.Log("affinity")
	w.steady(h3, "10.96.0.12")
	w.steady(h4, "10.96.0.12")
	t.Log("reject")
	if _, _, err := dial(t, h3.Host, "10.96.0.15", 80); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a load balancer without backends: %v", err)
	}
	t.Log("health")
	w.health(h2, "online")
	w.shared(h3, "10.96.0.17", 80)
	h2.Run("ip", "link", "set", "eth0", "down")
	w.health(h2, "offline")
	w.Sync()
	for range 8 {
		w.connects("the healthy backend", h3.Host, "10.96.0.17", 80, "p1", h3.ip4)
	}
	h2.Run("ip", "link", "set", "eth0", "up")
	h2.Run("ip", "route", "add", "default", "via", "10.1.0.1")
	w.health(h2, "online")
	w.Sync()
	w.shared(h3, "10.96.0.17", 80)
}

// shared wants that p1 and p2 both serve a host.
func (w *network) shared(h *vm, vip string, port uint16) {
	w.t.Helper()
	by := map[string]int{}
	for range 24 {
		name, _, err := dial(w.t, h.Host, vip, port)
		if err != nil {
			w.t.Errorf("%s from %s: %v\n%s", vip, h.lport, err, w.explain(h.Host, vip))
			return
		}
		by[name]++
	}
	if len(by) != 2 || by["p1"] == 0 || by["p2"] == 0 {
		w.t.Errorf("%s serves %s by %v", vip, h.lport, by)
	}
}

// steady wants that one backend serves all connections of a host.
func (w *network) steady(h *vm, vip string) {
	w.t.Helper()
	by := map[string]int{}
	for n := range 12 {
		name, _, err := dial(w.t, h.Host, vip, 80)
		if err != nil && n == 0 {
			continue // what the first packet makes ovn-controller or a learn action do, the answer may come before
		}
		if err != nil {
			w.t.Errorf("%s from %s: %v\n%s", vip, h.lport, err, w.explain(h.Host, vip))
			return
		}
		by[name]++
	}
	if len(by) != 1 {
		w.t.Errorf("%s serves %s by %v", vip, h.lport, by)
	}
}

// health waits until ovn-controller has found out how a backend is.
func (w *network) health(h *vm, status string) {
	w.t.Helper()
	w.first.Eventually(h.lport+" is "+status, func() error {
		if out := w.SB("--bare", "--columns=status", "find", "service_monitor", "logical_port="+h.lport); out != status {
			return fmt.Errorf("%s is %q", h.lport, out)
		}
		return nil
	})
}

// serveUDP has a host answer every datagram to an address with its name.
func serveUDP(t *testing.T, h *testenv.Host, addr, name string) {
	t.Helper()
	inside(t, h, func() error {
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 1500)
			for {
				_, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				c.WriteTo([]byte(name), from)
			}
		}()
		return nil
	})
}

// sharedUDP wants that p1 and p2 both answer datagrams of a host.
func (w *network) sharedUDP(h *vm, vip string, port uint16) {
	w.t.Helper()
	by := map[string]int{}
	for range 24 {
		inside(w.t, h.Host, func() error {
			c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr(vip), port).String())
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.Write([]byte("who")); err != nil {
				return err
			}
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			b := make([]byte, 100)
			n, err := c.Read(b)
			if err != nil {
				return fmt.Errorf("%s: %w", vip, err)
			}
			by[strings.TrimSpace(string(b[:n]))]++
			return nil
		})
	}
	if len(by) != 2 || by["p1"] == 0 || by["p2"] == 0 {
		w.t.Errorf("%s answers %s by %v", vip, h.lport, by)
	}
}
