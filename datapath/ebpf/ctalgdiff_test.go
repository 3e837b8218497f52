package ebpf

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// TestDifferentialALG is the same for connections of FTP and TFTP and those that they announce.
func TestDifferentialALG(t *testing.T) {
	packets := *diffConversations / 4
	seen := differTalks(t, packets, func(g *ctGen) { g.alg = true })
	for state, least := range map[string]int{"new": 100, "est": 100, "rel": 50, "rpl": 100, "inv": 100, "snat": 100, "dnat": 100, "message": 50, "request": 200, "announced": 100} {
		if seen[state]*1000 < packets*least/10 {
			t.Errorf("%d packets %s only", seen[state], state)
		}
	}
}

// help has a ct action begin connections with helpers, and leaves most connections untranslated or translated to an address
// of a length that no other has.
func (g *ctGen) help(a *odp.CT) {
	a.Helper = []string{"", "ftp", "ftp", "ftp", "tftp"}[g.n(5)]
	a.Force = a.Force && g.chance(4)
}

// message puts an FTP message in the place of a segment's payload, at times a wrong one, and selective acknowledgements in its
// options.
func (g *ctGen) message(k *talk) {
	if g.chance(4) && len(k.options) == 0 {
		n := 1 + g.n(4)
		k.options = []byte{1, 1, 5, byte(2 + 8*n)}
		if g.chance(2) {
			k.options = []byte{5, byte(2 + 8*n)}
		}
		for i := range 2 * n {
			k.options = be.AppendUint32(k.options, k.ack+uint32(i*100-200))
		}
		for len(k.options)%4 != 0 {
			k.options = append(k.options, byte(g.n(2)))
		}
	}
	if k.flags&(syn|rst) != 0 || g.chance(3) {
		return
	}
	g.seen["message"]++
	who := k.src
	if g.chance(6) {
		who = k.dst
	}
	addr, _ := netip.AddrFromSlice(who)
	port := 2000 + g.n(3)
	family := 1
	if k.v6 {
		family = 2
	}
	commas := strings.ReplaceAll(addr.String(), ".", ",")
	if k.v6 {
		commas = "10,0,0,1"
	}
	text := []string{
		fmt.Sprintf("PORT %s,%d,%d\r\n", commas, port>>8, port&255),
		fmt.Sprintf("EPRT |%d|%s|%d|\r\n", family, addr, port),
		fmt.Sprintf("227 Entering Passive Mode (%s,%d,%d).\r\n", commas, port>>8, port&255),
		fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)\r\n", port),
		"PASV\r\n", "227 ", "220-hello\r\n", "PORT", "eprt-x",
	}[min(g.n(14), 8)]
	if g.chance(20) {
		text = text[:g.n(len(text))]
	}
	if g.chance(6) {
		text = strings.ToLower(text)
	}
	k.payload = []byte(text)
	if g.chance(4) {
		k.payload = append(k.payload, make([]byte, g.n(1200))...)
	}
}

// request makes a datagram a TFTP request, or something else of TFTP.
func (g *ctGen) request(k *talk) {
	if !g.alg || g.chance(4) {
		return
	}
	g.seen["request"]++
	k.payload = append([]byte{0, byte(1 + g.n(4))}, "file\x00octet\x00"...)[:2+g.n(12)]
}

// announced is the first packet of a connection that one of the last may have announced, from the end that was told so.
func (g *ctGen) announced() *talk {
	if len(g.got) == 0 {
		return nil
	}
	k := parts(g.got[len(g.got)-1-g.n(min(len(g.got), 5))].data)
	if k == nil || k.proto != packet.ProtoTCP && k.proto != packet.ProtoUDP {
		return nil
	}
	g.seen["announced"]++
	to := k.sport
	n := &talk{v6: k.v6, src: k.dst, dst: k.src, proto: k.proto, sport: uint16(3000 + g.n(3)), dport: to, window: 1000, seq: g.r.Uint32()}
	if k.proto == packet.ProtoTCP {
		n.dport, n.flags = uint16(2000+g.n(3)), syn
	}
	return n
}
