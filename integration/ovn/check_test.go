package ovn

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// A vm is a host that is a logical port, with what OVN knows of it.
type vm struct {
	*testenv.Host
	lport, mac string
	ip4, ip6   string // without length; "" has none
}

// vm makes a host of a logical port. An address is with its length; gateways may be "".
func (c *chassis) vm(lport, mac, ip4, gw4, ip6, gw6 string) *vm {
	c.w.t.Helper()
	v := &vm{lport: lport, mac: mac}
	v.ip4, _, _ = strings.Cut(ip4, "/")
	v.ip6, _, _ = strings.Cut(ip6, "/")
	var addrs []string
	for _, a := range []string{ip4, ip6} {
		if a != "" {
			addrs = append(addrs, a)
		}
	}
	v.Host = c.bind(lport, mac, addrs...)
	if gw4 != "" {
		v.Run("ip", "route", "add", "default", "via", gw4)
	}
	if gw6 != "" {
		v.Run("ip", "-6", "route", "add", "default", "via", gw6)
	}
	return v
}

// vm makes a host of a logical port on the chassis whose turn it is.
func (w *network) vm(lport, mac, ip4, gw4, ip6, gw6 string) *vm {
	w.t.Helper()
	c := w.chassis[w.made%len(w.chassis)]
	w.made++
	return c.vm(lport, mac, ip4, gw4, ip6, gw6)
}

// installed waits for ovn-installed of hosts, and until all chassis know of it.
func (w *network) installed(hosts ...*vm) {
	w.t.Helper()
	for _, h := range hosts {
		w.of(h.Host).installed(h.Host)
	}
	w.Sync()
}

// address is that of the host in the family of another.
func (v *vm) address(other string) string {
	if netip.MustParseAddr(other).Is6() {
		return v.ip6
	}
	return v.ip4
}

// try pings until an answer, at most a time; more are arguments of ping.
func (w *network) try(h *testenv.Host, dst string, limit time.Duration, more ...string) (out string, ok bool) {
	for deadline := time.Now().Add(limit); ; {
		var code int
		out, code = w.first.Try("nsenter", append([]string{"--net=/run/netns/" + h.NS, "ping", "-n", "-c", "1", "-W", "1", dst}, more...)...)
		if code == 0 || time.Now().After(deadline) {
			return out, code == 0
		}
	}
}

// reach wants that a host answers soon, and then always. If not, it shows what becomes of the packet.
func (w *network) reach(what string, h *testenv.Host, dst string, more ...string) bool {
	w.t.Helper()
	out, ok := w.try(h, dst, 15*time.Second, more...)
	if !ok {
		w.t.Errorf("%s: no answer to ping %s:\n%s\n%s", what, dst, out, w.explain(h, dst))
		return false
	}
	out, code := w.first.Try("nsenter", append([]string{"--net=/run/netns/" + h.NS, "ping", "-n", "-c", "5", "-i", "0.05", "-W", "3", dst}, more...)...)
	if code != 0 || !strings.Contains(out, " 0% packet loss") {
		w.t.Errorf("%s: ping %s:\n%s\n%s", what, dst, out, w.explain(h, dst))
		return false
	}
	return true
}

// silent wants that a host never answers.
func (w *network) silent(what string, h *testenv.Host, dst string, more ...string) {
	w.t.Helper()
	if out, code := w.first.Try("nsenter", append([]string{"--net=/run/netns/" + h.NS, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "1", dst}, more...)...); code == 0 {
		w.t.Errorf("%s: ping %s was answered:\n%s\n%s", what, dst, out, w.explain(h, dst))
	}
}

// explain traces the ping of a host, or what asks for the address first.
func (w *network) explain(h *testenv.Host, dst string) string {
	if _, code := h.Env.Try("ovs-vsctl", "--timeout=5", "port-to-br", h.Port); code != 0 {
		return h.NS + " is outside"
	}
	flow, err := w.pingFlow(h, dst)
	if err != nil {
		return err.Error()
	}
	out, _ := h.Env.Try("ovs-appctl", "ofproto/trace", "br-int", flow)
	return flow + "\n" + out
}

// pingFlow is the ICMP echo request of a host, as text that ofproto/trace reads; while the host does not know whom to send
// it to, what it asks.
func (w *network) pingFlow(h *testenv.Host, dst string) (string, error) {
	type route struct{ Gateway, PrefSrc string }
	type neighbour struct{ LLAddr string }
	var routes []route
	out, _ := w.first.Try("nsenter", "--net=/run/netns/"+h.NS, "ip", "-j", "route", "get", dst)
	if err := json.Unmarshal([]byte(out), &routes); err != nil || len(routes) == 0 {
		return "", fmt.Errorf("route to %s: %q", dst, out)
	}
	hop := dst
	if routes[0].Gateway != "" {
		hop = routes[0].Gateway
	}
	var n []neighbour
	out, _ = w.first.Try("nsenter", "--net=/run/netns/"+h.NS, "ip", "-j", "neigh", "show", "to", hop)
	json.Unmarshal([]byte(out), &n) // empty is no JSON
	src, own := routes[0].PrefSrc, h.MAC()
	in := "in_port=" + h.Env.Vsctl("get", "interface", h.Port, "ofport") + ",dl_src=" + own
	six := netip.MustParseAddr(dst).Is6()
	switch {
	case len(n) == 0 || n[0].LLAddr == "":
		if six {
			a := netip.MustParseAddr(hop).As16()
			return fmt.Sprintf("%s,dl_dst=33:33:ff:%02x:%02x:%02x,icmp6,icmp_type=135,nw_ttl=255,ipv6_src=%s,ipv6_dst=ff02::1:ff%02x:%02x%02x,nd_target=%s,nd_sll=%s",
				in, a[13], a[14], a[15], src, a[13], a[14], a[15], hop, own), nil
		}
		return fmt.Sprintf("%s,dl_dst=%s,arp,arp_op=1,arp_spa=%s,arp_tpa=%s,arp_sha=%s", in, broadcast, src, hop, own), nil
	case six:
		return fmt.Sprintf("%s,dl_dst=%s,icmp6,icmp_type=128,nw_ttl=64,ipv6_src=%s,ipv6_dst=%s", in, n[0].LLAddr, src, dst), nil
	default:
		return fmt.Sprintf("%s,dl_dst=%s,icmp,icmp_type=8,nw_ttl=64,nw_src=%s,nw_dst=%s", in, n[0].LLAddr, src, dst), nil
	}
}
