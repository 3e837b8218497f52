package packet_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
)

// TestExtractAsOVS holds Extract to the stock ovs-ofctl, which prints the key of every packet
// of a capture with OVS's own parser.
func TestExtractAsOVS(t *testing.T) {
	const seed, count = 1, 50000
	r := rand.New(rand.NewPCG(seed, seed))
	var packets [][]byte
	le := binary.LittleEndian
	pcap := le.AppendUint32(nil, 0xa1b2c3d4)
	pcap = le.AppendUint16(le.AppendUint16(pcap, 2), 4)
	pcap = append(pcap, make([]byte, 8)...)
	pcap = le.AppendUint32(le.AppendUint32(pcap, 1<<18), 1)
	for len(packets) < count {
		p := packettest.Generate(r)
		if len(p) == 0 {
			continue // ovs-ofctl prints nothing for it
		}
		packets = append(packets, p)
		pcap = append(pcap, make([]byte, 8)...)
		pcap = le.AppendUint32(le.AppendUint32(pcap, uint32(len(p))), uint32(len(p)))
		pcap = append(pcap, p...)
	}
	file := filepath.Join(t.TempDir(), "p.pcap")
	if err := os.WriteFile(file, pcap, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ovs-ofctl", "parse-pcap", file).Output()
	if err != nil {
		t.Fatalf("ovs-ofctl parse-pcap: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(packets) {
		t.Fatalf("%d lines for %d packets", len(lines), len(packets))
	}
	bad := 0
	for i, line := range lines {
		var key flow.Key
		packet.Extract(packets[i], &key)
		if diff := differs(&key, line); diff != "" {
			t.Errorf("packet %d %x\n ovs: %s\n %s", i, packets[i], line, diff)
			if bad++; bad == 10 {
				t.FailNow()
			}
		}
	}
}

// differs compares each field that OVS printed with the key.
func differs(k *flow.Key, line string) string {
	var b strings.Builder
	printed := map[string]bool{}
	for part := range strings.SplitSeq(line, ",") {
		name, want, ok := strings.Cut(part, "=")
		printed[name] = true
		if !ok {
			if got := keyword(k); got != name {
				fmt.Fprintf(&b, "%s is %s; ", name, got)
			}
			continue
		}
		if got := ofField(k, name); got != want && !(name == "in_port") {
			fmt.Fprintf(&b, "%s is %s; ", part, got)
		}
	}
	// What OVS leaves out must be zero.
	for name, id := range map[string]flow.FieldID{"nd_target": flow.NDTarget, "tcp_flags": flow.TCPFlags} {
		if !printed[name] && !k.IsZero(id) {
			fmt.Fprintf(&b, "%s not printed by ovs; ", name)
		}
	}
	return b.String()
}

// keyword is the word with which OpenFlow text starts.
func keyword(k *flow.Key) string {
	v6 := ""
	switch k.Get(flow.EthType) {
	case packet.EthTypeARP:
		return "arp"
	case packet.EthTypeRARP:
		return "rarp"
	case packet.EthTypeMPLS:
		return "mpls"
	case packet.EthTypeMPLSMulticast:
		return "mplsm"
	case packet.EthTypeIPv6:
		v6 = "6"
	case packet.EthTypeIPv4:
	default:
		return "?"
	}
	switch k.Get(flow.NwProto) {
	case packet.ProtoTCP:
		return "tcp" + v6
	case packet.ProtoUDP:
		return "udp" + v6
	case packet.ProtoSCTP:
		return "sctp" + v6
	case packet.ProtoICMP:
		if v6 == "" {
			return "icmp"
		}
	case packet.ProtoICMPv6:
		if v6 != "" {
			return "icmp6"
		}
	}
	if v6 != "" {
		return "ipv6"
	}
	return "ip"
}

func ofField(k *flow.Key, name string) string {
	dec := func(id flow.FieldID) string { return fmt.Sprint(k.Get(id)) }
	mac := func(id flow.FieldID) string { return net.HardwareAddr(k.GetBytes(id, nil)).String() }
	ip := func(id flow.FieldID) string {
		a, _ := netip.AddrFromSlice(k.GetBytes(id, nil))
		return a.String()
	}
	switch name {
	case "dl_type":
		return fmt.Sprintf("0x%04x", k.Get(flow.EthType))
	case "dl_src":
		return mac(flow.EthSrc)
	case "dl_dst":
		return mac(flow.EthDst)
	case "vlan_tci":
		return fmt.Sprintf("0x%04x", k.Get(flow.VLANTCI))
	case "vlan_tci1":
		return fmt.Sprintf("0x%04x", k.Get(flow.VLANTCI2))
	case "dl_vlan":
		return dec(flow.DlVLAN)
	case "dl_vlan_pcp":
		return dec(flow.DlVLANPCP)
	case "dl_vlan1":
		return fmt.Sprint(k.Get(flow.VLANTCI2) & 0xfff)
	case "dl_vlan_pcp1":
		return fmt.Sprint(k.Get(flow.VLANTCI2) >> 13)
	case "nw_src", "arp_spa":
		return ip(flow.IPv4Src)
	case "nw_dst", "arp_tpa":
		return ip(flow.IPv4Dst)
	case "ipv6_src":
		return ip(flow.IPv6Src)
	case "ipv6_dst":
		return ip(flow.IPv6Dst)
	case "nd_target":
		return ip(flow.NDTarget)
	case "ipv6_label":
		return fmt.Sprintf("0x%05x", k.Get(flow.IPv6Label))
	case "nw_tos":
		return fmt.Sprint(k.Get(flow.IPDSCP) << 2)
	case "nw_frag":
		return []string{"no", "first", "?", "later"}[k.Get(flow.IPFrag)]
	case "tcp_flags":
		return tcpFlags(uint16(k.Get(flow.TCPFlags)))
	case "arp_sha", "nd_sll":
		return mac(flow.ARPSHA)
	case "arp_tha", "nd_tll":
		return mac(flow.ARPTHA)
	case "arp_op":
		return dec(flow.NwProto)
	}
	id, ok := flow.FieldByName(name)
	if !ok {
		return "unknown"
	}
	return dec(id)
}

func tcpFlags(v uint16) string {
	if v == 0 {
		return "0"
	}
	var s []string
	names := []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"}
	for i, n := range names {
		if v>>i&1 != 0 {
			s = append(s, n)
		}
	}
	return strings.Join(s, "|")
}
