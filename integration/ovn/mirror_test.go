package ovn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestMirror has OVN copy what a port receives and sends to a host of the underlay, by GRE.
func TestMirror(t *testing.T) {
	t.Parallel()
	w := newNetwork(t, 1)
	defer w.end()
	c := w.first
	sink := c.AddHost("192.0.2.2/24")
	c.In(c.NS, "ip", "addr", "add", "192.0.2.1/24", "dev", sink.Port)
	w.NB("ls-add", "ls1",
		"--", "lsp-add", "ls1", "p1", "--", "lsp-set-addresses", "p1", "02:00:00:01:00:01 10.1.0.11",
		"--", "lsp-add", "ls1", "p2", "--", "lsp-set-addresses", "p2", "02:00:00:01:00:02 10.1.0.12")
	w.NB("mirror-add", "in", "gre", "5", "to-lport", "192.0.2.2")
	w.NB("mirror-add", "out", "gre", "6", "from-lport", "192.0.2.2")
	w.NB("lsp-attach-mirror", "p1", "in", "--", "lsp-attach-mirror", "p1", "out")
	c.Eventually("br-int", func() error { _, err := c.br(); return err })
	h1 := c.vm("p1", "02:00:00:01:00:01", "10.1.0.11/24", "", "", "")
	h2 := c.vm("p2", "02:00:00:01:00:02", "10.1.0.12/24", "", "", "")
	for _, h := range []*vm{h1, h2} {
		c.installed(h.Host)
	}
	w.Sync()
	w.reach("mirrored ports", h1.Host, h2.ip4)
	c.Eventually("two mirrors", func() error {
		if out := c.Vsctl("--columns=name,output_port", "list", "mirror"); strings.Count(out, "output_port") != 2 || strings.Contains(out, "[]") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})

	at, from, out := listen(t, sink), listen(t, h1.Host), listen(t, h2.Host)
	// copied waits for a packet in GRE with a key.
	copied := func(key uint32, text string) {
		t.Helper()
		p := at.find(func(p gopacket.Packet) bool {
			gre, ok := p.Layer(layers.LayerTypeGRE).(*layers.GRE)
			return ok && gre.Key == key && gre.KeyPresent && gre.Protocol == layers.EthernetTypeTransparentEthernetBridging && carries(text)(p)
		})
		if p == nil {
			t.Fatalf("no copy of %q with key %d at the sink\n%s", text, key, c.Appctl("dpctl/dump-flows", "--names"))
		}
		outer := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if outer.SrcIP.String() != "192.0.2.1" || outer.DstIP.String() != "192.0.2.2" {
			t.Errorf("outer header from %s to %s", outer.SrcIP, outer.DstIP)
		}
	}
	for _, text := range []string{"first", "second, by the megaflow"} {
		from.send(datagram(h1.mac, h2.mac, h1.ip4, h2.ip4, 1000, 2000, []byte(text+" out"))...)
		if out.find(carries(text+" out")) == nil {
			t.Fatalf("%s does not get what is mirrored", h2.lport)
		}
		copied(6, text+" out")
		out.send(datagram(h2.mac, h1.mac, h2.ip4, h1.ip4, 2000, 1000, []byte(text+" in"))...)
		copied(5, text+" in")
	}
	for _, name := range []string{"in", "out"} {
		c.Eventually("statistics of "+name, func() error {
			var bytes, packets int
			stats := c.Vsctl("get", "mirror", name, "statistics")
			if n, _ := fmt.Sscanf(stats, "{tx_bytes=%d, tx_packets=%d}", &bytes, &packets); n != 2 || packets < 2 || bytes < 60*packets/2 {
				return fmt.Errorf("%s", stats)
			}
			return nil
		})
	}
	w.NB("lsp-detach-mirror", "p1", "in", "--", "lsp-detach-mirror", "p1", "out", "--", "mirror-del")
	c.Eventually("no mirror", func() error {
		if out := c.Vsctl("list", "mirror"); out != "" {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
