package dummy

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// ipv4 is a frame to a multicast group, with a router alert.
func ipv4(src, dst string, proto byte, payload []byte) []byte {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	b := []byte{1, 0, 0x5e, d[1] & 0x7f, d[2], d[3], 0x50, 0x54, 0, 0, 0, 1, 8, 0}
	ip := []byte{0x46, 0xc0, 0, byte(24 + len(payload)), 0, 0, 0, 0, 1, proto, 0, 0, s[0], s[1], s[2], s[3], d[0], d[1], d[2], d[3], 0x94, 4, 0, 0}
	binary.BigEndian.PutUint16(ip[10:], packet.Checksum(ip, 0))
	return append(append(b, ip...), payload...)
}

// igmp is a message of one group.
func igmp(typ byte, src, dst, group string) []byte {
	g := netip.MustParseAddr(group).As4()
	m := []byte{typ, 0, 0, 0, g[0], g[1], g[2], g[3]}
	binary.BigEndian.PutUint16(m[2:], packet.Checksum(m, 0))
	return ipv4(src, dst, packet.ProtoIGMP, m)
}

// record is one of IGMPv3 and MLDv2.
type record struct {
	typ     byte
	group   string
	sources []string
}

// records are what a report of those has behind its type.
func records(typ byte, list []record) []byte {
	b := []byte{typ, 0, 0, 0, 0, 0, 0, byte(len(list))}
	for _, r := range list {
		b = append(b, r.typ, 0, 0, byte(len(r.sources)))
		for _, a := range append([]string{r.group}, r.sources...) {
			b = append(b, netip.MustParseAddr(a).AsSlice()...)
		}
	}
	return b
}

func igmp3(list ...record) []byte {
	m := records(0x22, list)
	binary.BigEndian.PutUint16(m[2:], packet.Checksum(m, 0))
	return ipv4("10.0.0.1", "224.0.0.22", packet.ProtoIGMP, m)
}

// icmp6 is a frame to a multicast group, behind a hop-by-hop header with a router alert.
func icmp6(src, dst string, m []byte) []byte {
	s, d := netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice()
	binary.BigEndian.PutUint16(m[2:], packet.Checksum(m, packet.PseudoHeader(s, d, packet.ProtoICMPv6)+uint32(len(m))))
	b := append([]byte{0x33, 0x33}, d[12:]...)
	b = append(b, 0x50, 0x54, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(8+len(m)), 0, 1)
	b = append(append(b, s...), d...)
	return append(append(b, packet.ProtoICMPv6, 0, 5, 2, 0, 0, 1, 0), m...)
}

// mld is a message of one group.
func mld(typ byte, src, dst, group string) []byte {
	return icmp6(src, dst, append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, netip.MustParseAddr(group).AsSlice()...))
}

func mld2(list ...record) []byte { return icmp6("fe80::1", "ff02::16", records(143, list)) }

// wrong is a message whose checksum is.
func wrong(b []byte) []byte { b[len(b)-1] ^= 1; return b }

// tagged puts a tag into a frame.
func tagged(vid byte, b []byte) []byte {
	return append(append(append([]byte(nil), b[:12]...), 0x81, 0, 0, vid), b[12:]...)
}

func data4(dst string) []byte {
	return ipv4("10.0.0.9", dst, packet.ProtoUDP, []byte{0, 1, 0, 2, 0, 8, 0, 0})
}
func data6(dst string) []byte { return icmp6("fe80::9", dst, []byte{128, 0, 0, 0, 0, 0, 0, 0}) }

// mcastSteps are packets, "ovs-vsctl" and "ovs-appctl" commands, in order.
var mcastSteps = []any{
	"appctl mdb/show br0",
	at(1, igmp(0x16, "10.0.0.1", "239.1.1.1", "239.1.1.1")),
	at(1, igmp(0x16, "10.0.0.1", "239.1.1.1", "239.1.1.1")),
	at(2, igmp(0x12, "10.0.0.2", "239.1.1.1", "239.1.1.1")),
	at(2, data4("239.1.1.1")),
	at(4, data4("239.1.1.1")),
	at(3, igmp(0x11, "0.0.0.0", "224.0.0.1", "0.0.0.0")),
	at(3, igmp(0x11, "10.0.0.3", "224.0.0.1", "0.0.0.0")),
	at(3, igmp(0x11, "10.0.0.3", "224.0.0.1", "0.0.0.0")),
	at(3, igmp(0x16, "10.0.0.3", "239.3.3.3", "239.3.3.3")),
	at(1, data4("239.1.1.1")),
	at(3, data4("239.1.1.1")),
	at(3, data4("239.3.3.3")),
	at(1, data4("224.0.0.9")),
	at(1, wrong(igmp(0x16, "10.0.0.1", "239.9.9.9", "239.9.9.9"))),
	at(1, igmp(0x99, "10.0.0.1", "239.1.1.1", "239.1.1.1")),
	at(2, igmp3(record{4, "239.2.2.2", nil}, record{1, "239.2.2.3", []string{"10.0.0.9"}}, record{3, "239.1.1.1", nil}, record{9, "239.2.2.6", nil})),
	at(2, igmp3(record{5, "239.2.2.4", []string{"10.0.0.9"}}, record{6, "239.2.2.5", nil}, record{2, "239.2.2.7", nil})),
	at(2, igmp3(record{1, "239.2.2.4", nil})),
	at(1, igmp(0x17, "10.0.0.1", "224.0.0.2", "239.1.1.1")),
	at(1, igmp(0x17, "10.0.0.1", "224.0.0.2", "239.1.1.1")),
	at(1, data4("239.1.1.1")),
	// VLANs.
	at(5, igmp(0x16, "10.0.0.5", "239.5.5.5", "239.5.5.5")),
	at(1, data4("239.5.5.5")),
	at(1, tagged(10, data4("239.5.5.5"))),
	at(1, tagged(10, igmp(0x16, "10.0.0.1", "239.5.5.5", "239.5.5.5"))),
	// MLD.
	at(1, mld(131, "fe80::1", "ff05::1:3", "ff05::1:3")),
	at(2, mld2(record{4, "ff05::2", nil}, record{3, "ff05::1:3", nil}, record{2, "ff05::9", []string{"fe80::1"}})),
	at(4, mld(130, "::", "ff02::1", "::")),
	at(4, mld(130, "fe80::4", "ff02::1", "::")),
	at(1, wrong(mld(131, "fe80::1", "ff05::bad", "ff05::bad"))),
	at(1, data6("ff05::1:3")),
	at(1, data6("ff05::2")),
	at(1, data6("ff02::1")),
	at(1, data6("ff02::5")),
	at(1, mld(132, "fe80::1", "ff02::2", "ff05::1:3")),
	"warp 100000",
	at(1, igmp(0x16, "10.0.0.1", "239.1.1.1", "239.1.1.1")),
	"appctl mdb/show br0",
	// What ports ask for.
	"vsctl set port p6 other_config:mcast-snooping-flood=true",
	"vsctl set port p2 other_config:mcast-snooping-flood-reports=true",
	at(1, data4("239.7.7.7")),
	"vsctl set bridge br0 other_config:mcast-snooping-disable-flood-unregistered=true",
	at(1, data4("239.7.7.7")),
	at(6, data4("239.7.7.7")),
	at(2, data4("239.1.1.1")),
	at(1, data4("224.0.0.9")),
	at(1, igmp(0x16, "10.0.0.1", "239.1.1.1", "239.1.1.1")),
	at(2, igmp(0x16, "10.0.0.1", "239.1.1.1", "239.1.1.1")),
	at(2, igmp(0x17, "10.0.0.1", "224.0.0.2", "239.1.1.1")),
	"warp 100000",
	"appctl mdb/show br0",
	"vsctl set port p3 tag=10",
	"appctl mdb/show br0",
	"vsctl del-port p1",
	"appctl mdb/show br0",
	"warp 150000",
	"appctl mdb/show br0",
	"appctl mdb/flush br0",
	"appctl mdb/show br0",
	"appctl mdb/show none",
	"vsctl set bridge br0 mcast_snooping_enable=false",
	"appctl mdb/show br0",
	"appctl mdb/flush br0",
	"appctl mdb/flush",
	at(2, data4("239.1.1.1")),
}

// arrival is a packet that is traced from a port.
type arrival struct {
	port  int
	frame []byte
}

func at(port int, frame []byte) arrival { return arrival{port, frame} }

// megaflows are lines that differ: with tags, the stock daemon's lack their priority.
var megaflows = regexp.MustCompile(`(?m)^Megaflow:.*$`)

// icmpTypes are of ICMPv6 in the stock daemon's words: it reads 8 of 16 bits.
var icmpTypes = regexp.MustCompile(`icmp_type=0x([0-9a-f]+)/0xff`)

// TestMulticastSnoopingLikeStock compares traces of IGMP, MLD and multicast, which have side effects, and the tables.
func TestMulticastSnoopingLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "mcast_snooping_enable=true")
		for n := 1; n <= 4; n++ {
			s.addPort("br0", n)
		}
		s.addPort("br0", 5, "tag=10")
		s.addPort("br0", 6)
	}
	for n, step := range mcastSteps {
		switch step := step.(type) {
		case arrival:
			agree(t, fmt.Sprintf("step %d: %x", n, step.frame), both, func(s *sim) string {
				out := s.Appctl("ofproto/trace", "br0", fmt.Sprintf("in_port=%d", step.port), hex.EncodeToString(step.frame))
				if binary.BigEndian.Uint16(step.frame[12:]) == packet.EthTypeVLAN {
					out = megaflows.ReplaceAllString(out, "")
				}
				out = icmpTypes.ReplaceAllStringFunc(out, func(s string) string {
					n, _ := strconv.ParseUint(icmpTypes.FindStringSubmatch(s)[1], 16, 8)
					return fmt.Sprint("icmp_type=", n)
				})
				mdb, _ := s.Try("ovs-appctl", "mdb/show", "br0")
				return out + mdb
			}, func() {})
		case string:
			words := strings.Fields(step)
			for _, s := range both {
				switch words[0] {
				case "vsctl":
					s.Vsctl(words[1:]...)
				case "warp":
					s.Appctl("time/warp", words[1], "1000")
				}
			}
			if words[0] == "appctl" {
				agree(t, fmt.Sprintf("step %d: %s", n, step), both, func(s *sim) string {
					out, _ := s.Try("ovs-appctl", words[1:]...)
					return out
				}, func() {})
			}
		}
	}
}
