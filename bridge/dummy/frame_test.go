package dummy

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// counting are the first 64 numbers: the payload of frames made from flows.
const counting = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"

// TestFrames compares with what ovs-vswitchd 3.1's netdev-dummy/receive makes of the same flows.
func TestFrames(t *testing.T) {
	const macs = "505400000002505400000001"
	const zero = "000000000000000000000000"
	for _, c := range []struct {
		name, flow string
		size       int
		want       string
	}{
		{"hex", "50540000000250540000000112340102", 0, macs + "1234" + "0102"},
		{"Ethertype alone", "eth(),eth_type(0x1234)", 0, zero + "1234"},
		{"ICMP echo", "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)",
			0, macs + "0800" + "4500005c000000004001669f0a0000010a000002" + "080013fc00000000" + counting},
		{"TCP SYN", "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=2),tcp_flags(syn)",
			0, macs + "0800" + "4500002800000000400666ce0a0000010a000002" + "00010002000000000000000050020000" + "9bdd0000"},
		{"ARP", "eth_type(0x0806),arp(sip=1.2.3.4,tip=1.2.3.5,op=1)", 0, zero + "0806" + "0001080006040001" + "00000000000001020304" + "00000000000001020305"},
		{"UDP over IPv6", "in_port(1),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,proto=17),udp(src=3,dst=4)", 0,
			zero + "86dd" + "6000000000481100" + "fe800000000000000000000000000001" + "fe800000000000000000000000000002" + "000300040048" + "1e4f" + counting},
		{"VLAN", "eth(),eth_type(0x8100),vlan(vid=5,pcp=1),encap(eth_type(0x0800),ipv4(proto=0))", 0, zero + "8100" + "2005" + "0800" + "45000014000000000000baeb0000000000000000"},
		{"MPLS", "eth_type(0x8847),mpls(label=3,tc=0,ttl=64,bos=1)", 0, zero + "8847" + "00003140"},
		{"longer, without transport header", "eth_type(0x0800),ipv4(proto=200)", 40, zero + "0800" + "4500001a0000000000c8ba1d0000000000000000" + "000000000000"},
		{"unknown protocol", "eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(proto=200)", 0, macs + "0800" + "450000140000000000c8ba230000000000000000"},
		{"neighbour solicitation", "eth_type(0x86dd),ipv6(proto=58),icmpv6(type=135,code=0),nd(target=fe80::1,sll=00:11:22:33:44:55)", 0,
			zero + "86dd" + "6000000000203a00" + "00000000000000000000000000000000" + "00000000000000000000000000000000" + "8700128900000000" + "fe800000000000000000000000000001" + "0101001122334455"},
		{"later fragment", "eth_type(0x0800),ipv4(proto=17,frag=later)", 0, zero + "0800" + "450000140000206400119a760000000000000000"},
		{"first fragment", "eth_type(0x0800),ipv4(proto=17,frag=first),udp(src=1,dst=2)", 0, zero + "0800" + "4500005c0000200000119a920000000000000000" + "0001000200481b58" + counting},
	} {
		got, key, err := parseFrame(c.flow, c.size, nil)
		if err != nil || key == nil {
			t.Errorf("%s: %v", c.name, err)
		} else if h := hex.EncodeToString(got); h != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, h, c.want)
		}
	}
}

// TestFrameLength has the UDP length right, where 3.1 counts the additional octets twice.
func TestFrameLength(t *testing.T) {
	const want = "000000000000000000000000" + "0800" + "4500002e000000000011bac00000000000000000" + "00010002001affb7" + "000000000000000000000000000000000000"
	got, _, err := parseFrame("in_port(1),eth_type(0x0800),ipv4(proto=17),udp(src=1,dst=2)", 60, nil)
	if h := hex.EncodeToString(got); err != nil || h != want {
		t.Errorf("%v\n got %s\nwant %s", err, h, want)
	}
}

func TestFrameErrors(t *testing.T) {
	for _, bad := range []string{"zzz", "001122334455", "in_port(nobody)", "eth_type(0x0800"} {
		if _, _, err := parseFrame(bad, 0, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if _, _, err := parseFrame("eth_type(0x0806),arp()", 41, nil); !errors.Is(err, errTooSmall) {
		t.Errorf("41 octets for an ARP frame: %v", err)
	}
	names := func(s string) (odp.Port, bool) { return 7, s == "p7" }
	_, key, err := parseFrame("recirc_id(5),skb_mark(3),in_port(p7),eth_type(0x1234)", 0, names)
	if err != nil || key.Get(flow.PktMark) != 3 || key.Get(flow.RecircID) != 0 {
		t.Errorf("metadata: mark %d, recirculation %d, %v", key.Get(flow.PktMark), key.Get(flow.RecircID), err)
	}
}
