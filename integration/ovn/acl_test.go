package ovn

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Ports of the ACLs and QoS rules below.
const (
	udpDropped  = 21
	udpAllowed  = 22
	udpRejected = 23
	udpLogged   = 24
	udpMarked   = 31
	udpLimited  = 32
	tcpRejected = 80
)

// What ACLs and QoS rules do without connection tracking.
func TestStatelessACL(t *testing.T) {
	onOneAndTwo(t, statelessACL)
}

func statelessACL(w *network) {
	t := w.t
	h1, h2 := twoVMs(w)
	udp := func(port int) string { return fmt.Sprint("udp.dst == ", port) }
	w.NB("acl-add", "ls1", "from-lport", "1000", udp(udpDropped), "drop",
		"--", "acl-add", "ls1", "from-lport", "1001", udp(udpAllowed), "allow-stateless",
		"--", "acl-add", "ls1", "from-lport", "999", udp(udpRejected), "reject",
		"--", "acl-add", "ls1", "to-lport", "999", fmt.Sprint("tcp.dst == ", tcpRejected), "reject",
		"--", "meter-add", "few", "drop", "5", "pktps",
		"--", "--log", "--severity=info", "--meter=few", "--name=logged", "acl-add", "ls1", "from-lport", "998", udp(udpLogged), "drop",
		"--", "qos-add", "ls1", "from-lport", "100", udp(udpMarked), "dscp=12",
		"--", "qos-add", "ls1", "from-lport", "101", udp(udpLimited), "rate=1000", "burst=500")
	w.Sync()
	w.reach("beside ACLs", h1.Host, h2.ip4)
	w.reach("beside ACLs", h1.Host, h2.ip6)

	tx, rx := listen(t, h1.Host), listen(t, h2.Host)
	send := func(dst string, port uint16, text string) {
		tx.send(datagram(h1.mac, h2.mac, h1.address(dst), dst, 1000, port, []byte(text))...)
	}
	for _, dst := range []string{h2.ip4, h2.ip6} {
		send(dst, udpDropped, "dropped")
		send(dst, udpAllowed, "allowed to "+dst)
		if rx.find(func(p gopacket.Packet) bool {
			if carries("dropped")(p) {
				t.Error("an ACL does not drop")
			}
			return carries("allowed to " + dst)(p)
		}) == nil {
			t.Errorf("an ACL does not allow to %s", dst)
		}
		send(dst, udpRejected, "rejected")
		if tx.find(unreachable(dst)) == nil {
			t.Errorf("no port unreachable from %s", dst)
		}
		if out, code := w.first.Try("nsenter", "--net=/run/netns/"+h1.NS, "nc", "-w", "10", "-z", "-v", dst, strconv.Itoa(tcpRejected)); code == 0 ||
			!strings.Contains(out, "refused") {
			t.Errorf("a rejected connection to %s: %s", dst, out)
		}
	}
	w.reach("after rejections", h1.Host, h2.ip4)
	w.none(rx, func(p gopacket.Packet) bool {
		tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		return carries("rejected")(p) || ok && tcp.DstPort == tcpRejected
	}, "what is rejected arrives")

	t.Log("DSCP")
	send(h2.ip4, udpMarked, "marked")
	switch p := rx.find(carries("marked")); {
	case p == nil:
		t.Error("a marked packet is lost")
	case p.Layer(layers.LayerTypeIPv4).(*layers.IPv4).TOS != 12<<2:
		t.Errorf("TOS of a marked packet: %#x", p.Layer(layers.LayerTypeIPv4).(*layers.IPv4).TOS)
	}

	t.Log("rate")
	const burst, size = 500, 1000
	send(h2.ip4, udpLimited, "limited") // else the burst goes up, and what comes behind it passes it
	if rx.find(carries("limited")) == nil {
		t.Error("not even the first packet passes a rate")
	}
	for n := range burst {
		send(h2.ip4, udpLimited, fmt.Sprintf("limited %*d", -size, n))
	}
	send(h2.ip4, udpAllowed, "the last")
	arrived := 0
	if rx.find(func(p gopacket.Packet) bool {
		if carries("limited")(p) {
			arrived++
		}
		return carries("the last")(p)
	}) == nil {
		t.Error("what no QoS rule is for, is lost")
	}
	if arrived == 0 || arrived == burst {
		t.Errorf("%d of %d packets arrive in spite of a rate", arrived, burst)
	}
	t.Logf("%d of %d packets pass a rate", arrived, burst)

	t.Log("log")
	for range burst {
		send(h2.ip4, udpLogged, "logged")
	}
	w.first.Eventually("the log of an ACL", func() error {
		b, err := os.ReadFile(filepath.Join(w.first.Dir, "ovn-controller.log"))
		if !logged.Match(b) {
			return fmt.Errorf("not in the log, %v", err)
		}
		return nil
	})
	b, err := os.ReadFile(filepath.Join(w.first.Dir, "ovn-controller.log"))
	if n := len(logged.FindAll(b, -1)); err != nil || n > burst/2 {
		t.Errorf("%d of %d packets are logged in spite of a meter, %v", n, burst, err)
	}
	if out := w.first.Ofctl("-O", "OpenFlow15", "meter-stats", "br-int"); !metered.MatchString(out) {
		t.Errorf("no meter has dropped:\n%s", out)
	}
}

var (
	logged  = regexp.MustCompile(`acl_log\(ovn_pinctrl\d+\)\|INFO\|name="logged", verdict=drop, severity=info, direction=from-lport: udp,.*tp_dst=24`)
	metered = regexp.MustCompile(`(?m)^0: packet_count:[1-9]`)
)

// unreachable is ICMP for a port that cannot be reached, from an address.
func unreachable(from string) func(gopacket.Packet) bool {
	return func(p gopacket.Packet) bool {
		if p.NetworkLayer() == nil || p.NetworkLayer().NetworkFlow().Src().String() != from {
			return false
		}
		four, ok4 := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		six, ok6 := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
		return ok4 && four.TypeCode == layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort) ||
			ok6 && six.TypeCode == layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodePortUnreachable)
	}
}

// twoVMs is a logical switch ls1 with two hosts.
func twoVMs(w *network) (h1, h2 *vm) {
	w.t.Helper()
	w.NB("ls-add", "ls1", "--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12 fd01::12")
	h1 = w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "", "fd01::11/64", "")
	h2 = w.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "", "fd01::12/64", "")
	w.installed(h1, h2)
	return h1, h2
}
