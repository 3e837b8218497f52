package dummy

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// ovnGroups are the groups of testdata/ovn.flows.gz with their first bucket: which one dp_hash chooses is each datapath's.
func ovnGroups() []string {
	list := []string{
		"group_id=4,type=select,bucket=actions=set_field:0x1000000000000/0xffff000000000000->xreg4,resubmit(,22)",
		"group_id=13,type=select,bucket=actions=set_field:0x1/0xffff->reg15,resubmit(,37)",
	}
	nat := func(id, table, reg, to, mark string) {
		list = append(list, fmt.Sprintf("group_id=%s,type=select,bucket=actions=ct(commit,table=%s,zone=NXM_NX_REG%s[0..15],nat(dst=%s),exec(set_field:0x2/0x2->ct_mark%s))", id, table, reg, to, mark))
	}
	const skip, force = ",set_field:0x4/0x4->ct_mark", ",set_field:0x8/0x8->ct_mark"
	for id, to := range map[string]string{"2": "10.1.0.12:8080", "15": "10.1.0.11:8080", "8": "10.1.0.11:5353", "7": "[fd01::11]:8080", "5": "10.1.0.12:8080", "16": "10.1.0.11:8080", "14": "10.1.0.11"} {
		nat(id, "21", "13", to, "")
	}
	for id, to := range map[string]string{"9": "10.1.0.11:8080", "12": "10.1.0.12:8080"} {
		nat(id, "16", "11", to, "")
	}
	for _, id := range []string{"10", "11", "6", "3"} {
		nat(id, "16", "11", "10.1.0.11:8080", force)
	}
	nat("1", "16", "11", "10.1.0.11:8080", skip)
	return list
}

// ovnHost is a host behind a port of the recorded switch.
type ovnHost struct {
	port     string
	mac, gw  string // hex
	ip4, ip6 netip.Addr
}

var ovnHosts = []ovnHost{
	{"p1", "020000010001", "020000000001", netip.MustParseAddr("10.1.0.11"), netip.MustParseAddr("fd01::11")},
	{"p2", "020000010002", "020000000001", netip.MustParseAddr("10.1.0.12"), netip.MustParseAddr("fd01::12")},
	{"p3", "020000020003", "020000000002", netip.MustParseAddr("10.2.0.13"), netip.MustParseAddr("fd02::13")},
	{"p4", "020000020005", "020000000002", netip.MustParseAddr("10.2.0.15"), netip.Addr{}},
}

// TestOVNFlowsLikeStock has hosts talk through the flow table that ovn-controller 23.03 made of two logical switches and
// a router with stateful ACLs, NAT and load balancers, and compares every octet and the connections with the stock daemon.
func TestOVNFlowsLikeStock(t *testing.T) {
	t.Parallel()
	const ports = 9
	both := []*sim{{testenv.Simulated(t), t, map[string]int{}}, {testenv.Stock(t), t, map[string]int{}}}
	ours := both[0]
	flows := gunzip(t, "testdata/ovn.flows.gz")
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := 1; p <= ports; p++ {
			s.addPort("br0", p)
		}
		s.Ofctl("add-tlv-map", "br0", "{class=0x102,type=0x80,len=4}->tun_metadata0")
		for id, meter := range []string{"pktps,bands=type=drop,rate=10", "kbps,bands=type=drop,rate=1000000", "kbps,burst,bands=type=drop,rate=100000,burst_size=10000",
			"pktps,bands=type=drop,rate=100", "pktps,burst,bands=type=drop,rate=100,burst_size=20"} {
			s.Ofctl("-OOpenFlow15", "add-meter", "br0", fmt.Sprintf("meter=%d,%s", id+1, meter))
		}
		for name, text := range map[string]string{"flows": flows, "groups": strings.Join(ovnGroups(), "\n")} {
			if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.Ofctl("-OOpenFlow15", "add-groups", "br0", filepath.Join(s.Dir, "groups"))
		s.Ofctl("-OOpenFlow15", "add-flows", "br0", filepath.Join(s.Dir, "flows"))
	}
	delivered := 0
	for n, tc := range []struct {
		from  int
		to    string
		proto byte
		dport uint16
	}{
		{0, "10.1.0.12", packet.ProtoICMP, 0}, {0, "10.2.0.13", packet.ProtoICMP, 0}, {2, "10.1.0.11", packet.ProtoICMP, 0}, {2, "10.2.0.15", packet.ProtoICMP, 0},
		{0, "fd01::12", packet.ProtoICMPv6, 0}, {0, "fd02::13", packet.ProtoICMPv6, 0}, {2, "fd01::11", packet.ProtoTCP, 7},
		{0, "10.1.0.12", packet.ProtoTCP, 80}, {2, "10.1.0.11", packet.ProtoTCP, 8080}, {2, "10.1.0.11", packet.ProtoTCP, 22}, {2, "10.1.0.11", packet.ProtoTCP, 23},
		{2, "10.1.0.12", packet.ProtoTCP, 443}, {1, "10.2.0.13", packet.ProtoTCP, 9999}, {0, "10.2.0.13", packet.ProtoTCP, 9999}, {3, "10.2.0.13", packet.ProtoTCP, 6666},
		{2, "10.1.0.12", packet.ProtoUDP, 5001}, {2, "10.1.0.12", packet.ProtoUDP, 4999}, {0, "10.2.0.13", packet.ProtoUDP, 5001},
		{0, "10.96.0.10", packet.ProtoTCP, 80}, {1, "10.96.0.10", packet.ProtoTCP, 80}, {2, "10.96.0.10", packet.ProtoTCP, 80}, {3, "10.96.0.10", packet.ProtoTCP, 80},
		{2, "10.96.0.11", packet.ProtoUDP, 53}, {0, "10.96.0.11", packet.ProtoUDP, 53}, {1, "10.96.0.12", packet.ProtoTCP, 80}, {2, "10.96.0.12", packet.ProtoTCP, 80},
		{2, "10.96.0.13", packet.ProtoICMP, 0}, {2, "10.96.0.14", packet.ProtoTCP, 80}, {2, "10.96.0.15", packet.ProtoTCP, 80}, {2, "10.96.0.17", packet.ProtoTCP, 80},
		{2, "fd96::10", packet.ProtoTCP, 80}, {0, "fd96::10", packet.ProtoTCP, 80}, {0, "10.2.0.200", packet.ProtoUDP, 5001}, {0, "10.20.0.113", packet.ProtoICMP, 0},
		{2, "10.20.0.111", packet.ProtoICMP, 0}, {2, "10.20.0.210", packet.ProtoTCP, 80}, {3, "192.168.80.1", packet.ProtoUDP, 5001},
	} {
		h := ovnHosts[tc.from]
		talk := fmt.Sprintf("%s to %s, protocol %d, port %d", h.port, tc.to, tc.proto, tc.dport)
		type sent struct{ port, packet string }
		queue := []sent{{h.port, h.open(netip.MustParseAddr(tc.to), tc.proto, uint16(20000+n), tc.dport)}}
		for range 12 { // no talk is longer
			if len(queue) == 0 {
				break
			}
			next := queue[0]
			queue = queue[1:]
			for _, s := range both {
				s.receive(next.port, next.packet)
			}
			for _, host := range ovnHosts {
				for _, p := range ours.sent(host.port) {
					delivered++
					if a := host.answer(p); a != "" {
						queue = append(queue, sent{host.port, a})
					}
				}
			}
		}
		text := func(s *sim) string {
			var b strings.Builder
			for p := 1; p <= ports; p++ {
				fmt.Fprintf(&b, "p%d\n%s", p, s.Run("ovs-pcap", s.pcap(fmt.Sprintf("p%d", p))))
			}
			conns := strings.Split(s.Appctl("dpctl/dump-conntrack", "-m"), "\n")
			slices.Sort(conns)
			return b.String() + strings.Join(conns, "\n")
		}
		if diff := difference(func() string { return text(ours) }, func() string { return text(both[1]) }); diff != "" {
			t.Fatalf("%s (-stock +ours):\n%s", talk, diff)
		}
	}
	if conns := strings.Count(ours.conns(), "orig="); delivered < 80 || conns < 40 {
		t.Errorf("only %d packets and %d connections to compare", delivered, conns)
	}
	t.Logf("%d packets delivered alike", delivered)
}

func gunzip(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		b, err = io.ReadAll(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// open is the first packet of a talk.
func (h ovnHost) open(to netip.Addr, proto byte, sport, dport uint16) string {
	dst := h.gw
	for _, other := range ovnHosts {
		if other.gw == h.gw && (other.ip4 == to || other.ip6 == to) {
			dst = other.mac
		}
	}
	src := h.ip4
	if to.Is6() {
		src = h.ip6
	}
	return dst + h.mac + ipHex(src, to, proto, l4(proto, sport, dport, 1000, 0, 2, nil))
}

func l4(proto byte, sport, dport uint16, seq, ack uint32, flags byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	switch proto {
	case packet.ProtoICMP, packet.ProtoICMPv6:
		typ := byte(8)
		if proto == packet.ProtoICMPv6 {
			typ = 128
		}
		return []byte{typ, 0, 0, 0, byte(sport >> 8), byte(sport), 0, 1, 'p', 'i', 'n', 'g'}
	case packet.ProtoUDP:
		return append(b, 0, 12, 0, 0, 'd', 'a', 't', 'a')
	}
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), ack)
	return append(append(b, 0x50, flags, 0x20, 0, 0, 0, 0, 0), payload...)
}

// ipHex is an IP packet behind its EtherType.
func ipHex(src, dst netip.Addr, proto byte, body []byte) string {
	var h []byte
	if src.Is4() {
		h = []byte{8, 0, 0x45, 0, 0, byte(20 + len(body)), 0, 1, 0, 0, 64, proto, 0, 0}
		h = append(append(h, src.AsSlice()...), dst.AsSlice()...)
		binary.BigEndian.PutUint16(h[12:], packet.Checksum(h[2:], 0))
	} else {
		h = append([]byte{0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(body)), proto, 64}, append(src.AsSlice(), dst.AsSlice()...)...)
	}
	if proto == packet.ProtoICMPv6 {
		c := packet.Checksum(body, packet.PseudoHeader(src.AsSlice(), dst.AsSlice(), proto)+uint32(len(body)))
		body[2], body[3] = byte(c>>8), byte(c)
	} else {
		body = sum(body, proto, src.AsSlice(), dst.AsSlice())
	}
	return hex.EncodeToString(append(h, body...))
}

// answer is what the host says to a packet; "": nothing.
func (h ovnHost) answer(text string) string {
	p, err := hex.DecodeString(text)
	if err != nil || len(p) < 34 || text[:12] != h.mac {
		return ""
	}
	var src, dst netip.Addr
	var proto byte
	var body []byte
	switch binary.BigEndian.Uint16(p[12:]) {
	case packet.EthTypeIPv4:
		src, dst = netip.AddrFrom4([4]byte(p[26:])), netip.AddrFrom4([4]byte(p[30:]))
		proto, body = p[23], p[34:14+binary.BigEndian.Uint16(p[16:])]
	case packet.EthTypeIPv6:
		src, dst = netip.AddrFrom16([16]byte(p[22:])), netip.AddrFrom16([16]byte(p[38:]))
		proto, body = p[20], p[54:54+binary.BigEndian.Uint16(p[18:])]
	default:
		return ""
	}
	sport, dport := binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:])
	const fin, syn, rst, psh, ack = 1, 2, 4, 8, 16
	var out []byte
	switch proto {
	case packet.ProtoICMP, packet.ProtoICMPv6:
		reply := map[byte]byte{8: 0, 128: 129}
		typ, asks := reply[body[0]]
		if !asks {
			return ""
		}
		out = append([]byte{typ, 0, 0, 0}, body[4:]...)
	case packet.ProtoUDP:
		if dport >= 20000 {
			return ""
		}
		out = l4(proto, dport, sport, 0, 0, 0, nil)
	case packet.ProtoTCP:
		seq, acked, flags := binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:]), body[13]
		payload := uint32(len(body) - 20)
		switch {
		case flags&rst != 0:
			return ""
		case flags == syn:
			out = l4(proto, dport, sport, 9000, seq+1, syn|ack, nil)
		case flags == syn|ack:
			out = l4(proto, dport, sport, acked, seq+1, psh|ack, []byte("get"))
		case payload > 0:
			out = l4(proto, dport, sport, acked, seq+payload, fin|ack, nil)
		case flags&fin != 0 && dport >= 20000:
			out = l4(proto, dport, sport, acked, seq+1, fin|ack, nil)
		case flags&fin != 0:
			out = l4(proto, dport, sport, acked, seq+1, ack, nil)
		default:
			return ""
		}
	}
	return hex.EncodeToString(p[6:12]) + h.mac + ipHex(dst, src, proto, out)
}
