package ovn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// What a logical switch does beside known unicast.
func TestSwitching(t *testing.T) {
	onOneAndTwo(t, switching)
}

func switching(w *network) {
	t, phys := w.t, w.physical()
	w.NB("ls-add", "ls1",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-set-port-security", "p1", "02:00:00:01:00:01 10.1.0.11 fd01::11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12 fd01::12",
		"--", "lsp-add", "ls1", "p3", "--", "lsp-set-addresses", "p3", "unknown",
		"--", "lsp-add", "ls1", "child", "p2", "100", "--", "lsp-set-addresses", "child", "02:00:00:01:01:01 10.1.0.101",
		"--", "lsp-add", "ls1", "local", "--", "lsp-set-type", "local", "localport", "--", "lsp-set-addresses", "local", "02:00:00:01:00:99 10.1.0.2")
	w.NB("ls-add", "ls2",
		"--", "lsp-add", "ls2", "p4", "--", "lsp-set-addresses", "p4", "02:00:00:02:00:04 10.2.0.14 fd02::14",
		"--", "lsp-add", "ls2", "p5", "--", "lsp-set-addresses", "p5", "02:00:00:02:00:05 10.2.0.15 fd02::15",
		"--", "lsp-add", "ls2", "ln", "", "42", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown",
		"--", "lsp-set-options", "ln", "network_name=phys")
	h1 := w.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "", "fd01::11/64", "")
	h2 := w.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "", "fd01::12/64", "")
	h3 := w.vm("p3", "02:00:00:01:00:03", "10.1.0.13/24", "", "fd01::13/64", "")
	h4 := w.vm("p4", "02:00:00:02:00:04", "10.2.0.14/24", "", "fd02::14/64", "")
	h5 := w.vm("p5", "02:00:00:02:00:05", "10.2.0.15/24", "", "fd02::15/64", "")
	local := map[*testenv.Env]*vm{} // each chassis has its own
	for _, c := range w.chassis {
		local[c.Env] = c.vm("local", "02:00:00:01:00:99", "10.1.0.2/24", "", "", "")
	}
	w.installed(h1, h2, h3, h4, h5)

	w.reach("two ports", h1.Host, h2.ip4)
	w.reach("two ports", h1.Host, h2.ip6)
	w.reach("a localport", h2.Host, "10.1.0.2")
	w.reach("a localport", h3.Host, "10.1.0.2")
	t.Log("flood")
	flood(w, h1, h2, h3, local[h1.Env])
	t.Log("unknown addresses")
	unknown(w, h1, h2, h3)
	t.Log("port security")
	portSecurity(w, h1, h2)
	t.Log("a container")
	container(w, h1, h2)
	t.Log("a localnet")
	localnet(w, h4, h5, phys.host("out"))
}

// flood wants that what is for all reaches all, but not back to who sent it, and what is for one whom nobody knows, only the
// ports with unknown addresses.
func flood(w *network, from, known, unknown, local *vm) {
	t := w.t
	t.Helper()
	tx := listen(t, from.Host)
	for _, to := range []string{broadcast, "01:00:5e:01:01:01"} {
		dst := "239.1.1.1"
		if to == broadcast {
			dst = "255.255.255.255"
		}
		text := "flood to " + to
		var rx []*wire
		for _, h := range []*vm{known, unknown, local} {
			rx = append(rx, listen(t, h.Host))
		}
		tx.send(datagram(from.mac, to, from.ip4, dst, 7, 7, []byte(text))...)
		for i, h := range []*vm{known, unknown, local} {
			if p := rx[i].find(carries(text)); p == nil {
				t.Errorf("%s does not reach %s", text, h.lport)
			}
		}
		w.reach("after "+text, from.Host, known.ip4) // what comes back, has come
		w.none(tx, carries(text), text+" comes back")
	}
	rx, other := listen(t, unknown.Host), listen(t, known.Host)
	tx.send(datagram(from.mac, "02:00:00:01:00:77", from.ip4, "10.1.0.77", 7, 7, []byte("stray"))...)
	if p := rx.find(carries("stray")); p == nil {
		t.Error("a packet to an unknown address does not reach the port of unknown addresses")
	}
	w.reach("after a stray packet", from.Host, known.ip4)
	w.none(other, carries("stray"), "a packet to an unknown address reaches a port of known addresses")
}

// none wants that nothing of what has arrived is so.
func (w *network) none(x *wire, is func(gopacket.Packet) bool, what string) {
	w.t.Helper()
	for p := x.next(quiet); p != nil; p = x.next(quiet) {
		if is(p) {
			w.t.Errorf("%s: %v", what, p)
			return
		}
	}
}

// unknown wants that a port of unknown addresses can be reached, and that its address is learned.
func unknown(w *network, known, other, h *vm) {
	w.t.Helper()
	w.reach("from a port of unknown addresses", h.Host, known.ip4)
	w.first.Eventually("the address of p3 is learned", func() error {
		if out := w.SB("--bare", "--columns=mac", "list", "fdb"); !strings.Contains(out, h.mac) {
			return fmt.Errorf("fdb: %q", out)
		}
		return nil
	})
	w.Sync()
	w.reach("to a port of unknown addresses", known.Host, h.ip4)
	w.reach("to a port of unknown addresses", other.Host, h.ip6)
	if out := w.SB("--bare", "--columns=mac", "list", "fdb"); strings.Contains(out, known.mac) {
		w.t.Errorf("a known address is learned: %q", out)
	}
}

// portSecurity wants that a port with port security sends only as itself.
func portSecurity(w *network, secure, h *vm) {
	w.t.Helper()
	secure.Run("ip", "addr", "add", "10.1.0.66/24", "dev", "eth0")
	w.silent("a foreign IP address", secure.Host, h.ip4, "-I", "10.1.0.66")
	secure.Run("ip", "addr", "del", "10.1.0.66/24", "dev", "eth0")
	tx, rx := listen(w.t, secure.Host), listen(w.t, h.Host)
	tx.send(datagram("02:00:00:01:00:66", h.mac, secure.ip4, h.ip4, 7, 7, []byte("foreign MAC"))...)
	tx.send(datagram(secure.mac, h.mac, secure.ip4, h.ip4, 7, 7, []byte("own"))...)
	if rx.find(func(p gopacket.Packet) bool {
		if carries("foreign")(p) {
			w.t.Error("a foreign MAC address passes port security")
		}
		return carries("own")(p)
	}) == nil {
		w.t.Error("its own address does not pass port security")
	}
	w.reach("with port security", secure.Host, h.ip4)
}

// container wants that a child port is reached through its parent with its tag. The parent is no more itself after that.
func container(w *network, h, parent *vm) {
	w.t.Helper()
	w.silent("before there is a container", h.Host, "10.1.0.101")
	parent.Run("ip", "addr", "flush", "dev", "eth0")
	parent.Run("ip", "link", "set", "eth0", "address", "02:00:00:01:01:01")
	parent.Run("ip", "addr", "add", "10.1.0.101/24", "dev", "eth0")
	w.silent("a container without its tag", parent.Host, h.ip4)
	parent.Tag([2]uint16{0x8100, 100})
	w.reach("from a container", parent.Host, h.ip4)
	w.reach("to a container", h.Host, "10.1.0.101")
}

// localnet wants that a logical switch and the VLAN of a physical network are one.
func localnet(w *network, h, h5 *vm, out *testenv.Host) {
	w.t.Helper()
	out.Run("ip", "addr", "add", "10.2.0.1/24", "dev", "eth0")
	out.Run("ip", "addr", "add", "fd02::1/64", "dev", "eth0", "nodad")
	w.silent("without a tag it is another network", out, h.ip4)
	out.Tag([2]uint16{0x8100, 42})
	if !w.reach("from the physical network", out, h.ip4) {
		w.t.Log(h.Env.Try("ovs-appctl", "fdb/show", "br-ex"))
	}
	w.reach("to the physical network", h.Host, "10.2.0.1")
	w.reach("to the physical network", h.Host, "fd02::1")
	w.reach("to the physical network", h5.Host, "10.2.0.1")
	w.reach("within the logical switch", h.Host, h5.ip4)
	w.reach("within the logical switch", h.Host, h5.ip6)
}
