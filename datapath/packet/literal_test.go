package packet_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

const (
	macs  = "020000000002 020000000001 "
	ip6   = "fe800000000000000000000000000001 ff020000000000000000000000000002 "
	tcpIP = macs + "0800 4500 0028 0000 0000 40 06 0000 0a000001 0a000002 "
	ndIP  = macs + "86dd 60000000 0028 3a ff " + ip6 + "87 00 0000 00000000 fe800000000000000000000000000009 "
)

// TestExtract: literal packets, and what must be in their key.
func TestExtract(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"empty", "", "eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),eth_type(0)"},
		{"one byte short", macs + "08", "eth(src=00:00:00:00:00:00),eth_type(0)"},
		{"tcp", tcpIP + "0001 0050 00000000 00000000 5012 0000 0000 0000",
			"eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=80),tcp_flags(syn|ack)"},
		{"tcp, data offset too small", tcpIP + "0001 0050 00000000 00000000 4012 0000 0000 0000",
			"eth_type(0x0800),ipv4(proto=6),tcp(src=0,dst=0),tcp_flags(0)"},
		{"tcp, options cut off", tcpIP + "0001 0050 00000000 00000000 6012 0000 0000 0000",
			"eth_type(0x0800),ipv4(proto=6),tcp(src=0,dst=0),tcp_flags(0)"},
		{"ipv4, total length beyond the data", macs + "0800 4500 0029 0000 0000 40 06 0000 0a000001 0a000002 0001 0050 00000000 00000000 5012 0000 0000 0000",
			"eth_type(0x0800),ipv4(src=0.0.0.0,proto=0,ttl=0)"},
		{"ipv4, header length 16", macs + "0800 4400 0014 0000 0000 40 06 0000 0a000001 0a000002", "eth_type(0x0800),ipv4(src=0.0.0.0,ttl=0)"},
		{"vlan cut off behind its tci", macs + "8100 0005 08", "eth_type(0x8100)"},
		{"two vlans", macs + "88a8 6005 8100 0006 1234", "eth_type(0x88a8),vlan(vid=5,pcp=3),encap(eth_type(0x8100),vlan(vid=6,pcp=0),encap(eth_type(0x1234)))"},
		{"0x9100 is not a vlan", macs + "9100 0005 0800", "eth_type(0x9100)"},
		{"llc", macs + "0003 424203", "eth_type(0/0xffff)"},
		{"snap", macs + "0024 aaaa03000000 0806 0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002",
			"eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.2,op=1,sha=02:00:00:00:00:01)"},
		{"arp, operation 256", macs + "0806 0001 0800 06 04 0100 020000000001 0a000001 000000000000 0a000002", "eth_type(0x0806),arp(sip=10.0.0.1,op=0)"},
		{"arp of other hardware", macs + "0806 0006 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002", "eth_type(0x0806),arp(sip=0.0.0.0,op=0)"},
		{"nd", ndIP + "01 01 020000000003 02 01 020000000004",
			"eth_type(0x86dd),ipv6(proto=58),icmpv6(type=135,code=0),nd(target=fe80::9,sll=02:00:00:00:00:03,tll=02:00:00:00:00:04),nd_ext(nd_options_type=1)"},
		{"nd, an option twice", ndIP + "01 01 020000000003 01 01 020000000004",
			"eth_type(0x86dd),ipv6(proto=58),icmpv6(type=135,code=0),nd(target=::,sll=00:00:00:00:00:00,tll=00:00:00:00:00:00)"},
		{"nd, an option of length 0", ndIP + "01 01 020000000003 02 00 020000000004",
			"eth_type(0x86dd),ipv6(proto=58),icmpv6(type=135,code=0),nd(target=fe80::9,sll=02:00:00:00:00:03,tll=00:00:00:00:00:00)"},
		{"ipv6, later fragment", macs + "86dd 60000000 0010 2c ff " + ip6 + "11 00 0008 00000001 0001 0002 0008 0000",
			"eth_type(0x86dd),ipv6(proto=44,frag=later)"},
		{"ipv6, extension cut off", macs + "86dd 61200005 0008 00 ff " + ip6 + "11 01 000000000000",
			"eth_type(0x86dd),ipv6(src=fe80::1,label=0,proto=0,tclass=0,hlimit=0)"},
		{"ipv6, ah then udp", macs + "86dd 61200005 0014 33 ff " + ip6 + "11 01 0000 00000000 00000000 0001 0002 0008 0000",
			"eth_type(0x86dd),ipv6(label=0x5,proto=17,tclass=0x12,hlimit=255,frag=no),udp(src=1,dst=2)"},
		{"four labels", macs + "8847 00001040 00002040 00003040 00004140", "eth_type(0x8847),mpls(label=1,tc=0,ttl=64,bos=0,label=2,tc=0,ttl=64,bos=0,label=3,tc=0,ttl=64,bos=0)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := hex.DecodeString(strings.ReplaceAll(tt.data, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			m, err := odp.ParseKey(tt.want, nil)
			if err != nil {
				t.Fatal(err)
			}
			var key flow.Key
			packet.Extract(data, &key)
			if !m.Matches(&key) {
				t.Errorf("want %s\ngot  %s", tt.want, odp.FormatKey(&key, nil, odp.TextOptions{Verbose: true}))
			}
		})
	}
}
