package packet

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

func TestKeyOffsets(t *testing.T) {
	want := map[string]int{"eth_dst": keyEthDst, "eth_type": keyEthType, "eth_src": keyEthSrc, "vlan_tci": keyVLANTCI,
		"vlan_tpid": keyVLANTPID, "vlan_tci2": keyVLANTCI2, "vlan_tpid2": keyVLANTPID2, "ipv4_src": keyIPv4Src,
		"ipv4_dst": keyIPv4Dst, "nw_proto": keyNwProto, "nw_tos": keyNwTOS, "nw_ttl": keyNwTTL, "nw_frag": keyNwFrag,
		"ipv6_label": keyIPv6Label, "tp_src": keyTPSrc, "tp_dst": keyTPDst, "tcp_flags": keyTCPFlags, "ipv6_src": keyIPv6Src,
		"ipv6_dst": keyIPv6Dst, "nd_target": keyNDTarget, "arp_sha": keyARPSHA, "nd_options_type": keyNDOptType,
		"arp_tha": keyARPTHA, "nd_reserved": keyNDReserved, "packet_type": keyPacketType, "mpls_lse0": keyMPLSLSE0}
	for _, m := range flow.Layout {
		if off, ok := want[m.Name]; ok {
			if off != m.Off {
				t.Errorf("%s: offset %d, layout has %d", m.Name, off, m.Off)
			}
			delete(want, m.Name)
		}
	}
	for name := range want {
		t.Errorf("%s is not in the layout", name)
	}
}

// FuzzExtract: no input makes the parser panic, and it never reads behind the data.
func FuzzExtract(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x81\x00\x00\x05\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01"))
	f.Add([]byte("\x33\x33\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x86\xdd\x60\x00\x00\x00\x00\x08\x2c\xff" +
		"\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" +
		"\x3a\x00\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var key flow.Key
		o := Parse(data, &key)
		for _, p := range []int{o.Net, o.MPLS, o.L3, o.L4, o.End} {
			if p > len(data) {
				t.Fatalf("offset %d of %d bytes", p, len(data))
			}
		}
		for w := flow.DPWords; w < flow.Words; w++ {
			if key[w] != 0 {
				t.Fatalf("word %d written", w)
			}
		}
	})
}

func TestExtractAllocatesNothing(t *testing.T) {
	data := make([]byte, 100)
	data[12], data[13], data[14], data[17], data[23] = 8, 0, 0x45, 86, ProtoTCP
	data[46] = 0x50
	var key flow.Key
	if n := testing.AllocsPerRun(100, func() { Extract(data, &key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkExtract(b *testing.B) {
	data := make([]byte, 100)
	data[12], data[13], data[14], data[17], data[23] = 8, 0, 0x45, 86, ProtoTCP
	data[46] = 0x50
	for b.Loop() {
		var key flow.Key
		Extract(data, &key)
	}
}
