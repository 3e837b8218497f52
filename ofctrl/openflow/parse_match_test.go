package openflow

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

func testPorts(name string) (PortNo, bool) {
	if name == "p1" {
		return 1, true
	}
	return 0, false
}

// Matches are written as the stock ovs-ofctl writes them.
func TestParseMatchLikeStock(t *testing.T) {
	for _, text := range []string{
		"", "in_port=5", "in_port=LOCAL", "in_port=local", "in_port=65534", "in_port=1,in_port=2",
		"ip", "ip4", "ipv4", "icmp", "tcp", "udp", "sctp", "arp", "rarp", "ipv6", "ip6", "icmp6", "tcp6", "udp6", "sctp6", "mpls", "mplsm",
		"ip,ip", "tcp,ip", "arp,tcp", "nw_proto=6,tcp", "dl_type=0x800,nw_dst=1.2.3.4", "eth_type=0x88cc", "eth,arp", "recirc_id=0,eth,ip",
		"ip,nw_src=1.2.3.4/8", "ip,nw_src=1.2.3.4/255.0.0.255", "ip,nw_src=10.0.0.1,nw_src=10.0.0.2", "ip,nw_src=1.2.3.4/0",
		"ip nw_src=1.1.1.1", " ,ip, ", "in_port:3", "in_port(3),ip",
		"ip,nw_tos=7", "ip,ip_dscp=3", "ip,nw_ecn=5", "ip,nw_ttl=64", "ip,nw_proto=17,tp_dst=80/0xff", "udp,tp_src=5", "sctp,tp_src=7", "tcp6,tcp_dst=3",
		"ip,nw_frag=no", "ip,nw_frag=yes", "ip,nw_frag=first", "ip,nw_frag=later", "ip,nw_frag=not_later",
		"tcp,tcp_flags=+syn-ack", "tcp,tcp_flags=2/7", "tcp,tcp_flags=0x800/0x800", "tcp,tcp_flags=syn|ack",
		"icmp,icmp_code=5,icmp_type=8", "icmp6,icmp_type=135", "icmp6,icmp_type=136,icmp_code=0,nd_target=fe80::1,nd_tll=1:1:1:1:1:1",
		"icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=1:1:1:1:1:1/ff:0:0:0:0:0",
		"ipv6,ipv6_src=fe80::1/64", "ipv6,ipv6_src=::1/::ff", "ipv6,ipv6_label=0x5/0xf", "ipv6,ipv6_label=5",
		"arp,arp_op=2,arp_spa=1.2.3.4,arp_tpa=10.0.0.0/8,arp_sha=1:2:3:4:5:6", "dl_type=0x806,nw_proto=2", "arp,nw_src=1.2.3.4",
		"dl_src=1:2:3:4:5:6/1:0:0:0:0:0", "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", "dl_src=*", "eth_src=1:2:3:4:5:6",
		"dl_vlan=5", "dl_vlan=9999", "dl_vlan=0xffff", "dl_vlan=5,dl_vlan_pcp=3", "dl_vlan_pcp=3", "dl_vlan_pcp=9", "vlan_pcp=3", "vlan_tci=0/0",
		"vlan_tci=0x1005/0x1fff", "vlan_vid=0x1005/0x1fff", "vlan_vid=0x1000/0x1000", "vlan_tci=0x0/0x1fff", "vlan_tci=0", "dl_vlan=5,dl_vlan=0xffff",
		"reg0=5/3", "reg0=5/0xffffffff", "reg0=5/0", "reg0=010", "xxreg0=5/7", "xreg1=6", "metadata=0x5/0x7", "pkt_mark=3/3", "conj_id=4", "actset_output=3",
		"tun_id=5/7", "tunnel_id=5", "tun_src=1.2.3.4,tun_dst=1.2.3.5", "tun_flags=-oam", "tun_flags=1", "tun_gbp_id=5", "tun_ipv6_dst=fe80::1",
		"ct_state=+trk-new", "ct_state=0x21/0xff", "ct_mark=5/7", "ct_label=5/7", "ct_zone=7", "ct_state=+trk+new,ip,ct_nw_src=1.2.3.4,ct_nw_proto=6,ct_tp_dst=5",
		"ct_label=0x12345678901234567890", "recirc_id=3", "packet_type=(1,0x800)", "mpls,mpls_label=5,mpls_tc=3,mpls_bos=1,mpls_ttl=7", "dl_type=0x894f,nsh_spi=5",
	} {
		out, err := exec.Command("ovs-ofctl", "parse-flow", text+",actions=drop").CombinedOutput()
		if err != nil {
			t.Errorf("%q: ovs-ofctl: %v\n%s", text, err, out)
			continue
		}
		_, want, _ := strings.Cut(string(out), ": ADD ")
		want = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(want), "actions=drop"))
		m, err := ParseMatch(text, testPorts, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := FormatMatch(&m, nil); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseMatchPorts(t *testing.T) {
	m, err := ParseMatch(`in_port="p1",ip`, testPorts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := FormatMatch(&m, nil); got != "ip,in_port=1" {
		t.Error(got)
	}
}

// A TLV table gives tunnel options their place and length.
func TestParseMatchTunnelOptions(t *testing.T) {
	var tlv TLVMap
	tlv[0].Len = 4
	tlv[1].Off, tlv[1].Len = 4, 8
	const text = "tun_metadata0=0x12,tun_metadata1=0x1200000000/0xff00000000"
	m, err := ParseMatch(text, nil, &tlv)
	if err != nil {
		t.Fatal(err)
	}
	if got := FormatMatchTLV(&m, nil, &tlv); got != text {
		t.Errorf("%q, want %q", got, text)
	}
	if _, err := ParseMatch("tun_metadata2=1", nil, &tlv); err == nil {
		t.Error("an option that is not mapped is accepted")
	}
}

// What a user gets wrong, in OVS's words where it has some.
func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ text, match, flow string }{ // "": accepted
		{"in_port=zz", "zz: invalid or unknown port for in_port", "in_port=zz: bad value for in_port (zz: invalid or unknown port for in_port)"},
		{"in_port", ": invalid or unknown port for in_port", "in_port: bad value for in_port (: invalid or unknown port for in_port)"},
		{"in_prt=1", "unknown keyword in_prt", "in_prt=1: unknown field in_prt"},
		{"vlan_tci2=1", "unknown keyword vlan_tci2", "vlan_tci2=1: unknown field vlan_tci2"},
		{"NXM_NX_REG0=5", "unknown keyword NXM_NX_REG0", "NXM_NX_REG0=5: unknown field NXM_NX_REG0"},
		{"tcp,tp_dst=99999", "99999: value too large for 2-byte field tcp_dst", "tcp,tp_dst=99999: bad value for tp_dst (99999: value too large for 2-byte field tcp_dst)"},
		{"tp_dst=80", "prerequisites not met for setting tcp_dst", "tp_dst=80: prerequisites not met for setting tp_dst"},
		{"nw_src=1.2.3.4", "prerequisites not met for setting ip_src", "nw_src=1.2.3.4: prerequisites not met for setting nw_src"},
		{"udp,tp_dst=80", "", "udp,tp_dst=80: prerequisites not met for setting tp_dst"},
		{"tp_dst=80,tcp", "", "tp_dst=80,tcp: prerequisites not met for setting tp_dst"},
		{"reg0=1/3", "", "reg0=1/3: bad value for reg0 (1/3: wildcards not allowed here)"},
		{"reg0=5/x", "5/x: bad syntax for reg0 mask", "reg0=5/x: bad value for reg0 (5/x: bad syntax for reg0 mask)"},
		{"reg0=5/0x1ffffffff", "5/0x1ffffffff: mask too large for 4-byte field reg0", "reg0=5/0x1ffffffff: bad value for reg0 (5/0x1ffffffff: mask too large for 4-byte field reg0)"},
		{"reg0=-1", "-1: value too large for 4-byte field reg0", "reg0=-1: bad value for reg0 (-1: value too large for 4-byte field reg0)"},
		{"reg0=1x", "1x: bad syntax for reg0 value", "reg0=1x: bad value for reg0 (1x: bad syntax for reg0 value)"},
		{"reg0=0x1_0", "0x1_0: bad syntax for reg0 value", "reg0=0x1_0: bad value for reg0 (0x1_0: bad syntax for reg0 value)"},
		{"reg0=1,reg0=2", "", "reg0=1,reg0=2: field reg0 set multiple times"},
		{"ip,tcp", "", "ip,tcp: Ethernet type set multiple times"},
		{"dl_type=1/1", "1/1: invalid mask for field eth_type", "dl_type=1/1: bad value for dl_type (1/1: invalid mask for field eth_type)"},
		{"ct_zone=5/6", "5/6: invalid mask for field ct_zone", "ct_zone=5/6: bad value for ct_zone (5/6: invalid mask for field ct_zone)"},
		{"ip,nw_src=1.2.3", "1.2.3: invalid IP address", "ip,nw_src=1.2.3: bad value for nw_src (1.2.3: invalid IP address)"},
		{"ip,nw_src=1.2.3.4/33", "1.2.3.4/33: IPv4 network prefix bits not between 0 and 32, inclusive",
			"ip,nw_src=1.2.3.4/33: bad value for nw_src (1.2.3.4/33: IPv4 network prefix bits not between 0 and 32, inclusive)"},
		{"ipv6,ipv6_src=::1/129", "::1/129: IPv6 network prefix bits not between 0 and 128, inclusive",
			"ipv6,ipv6_src=::1/129: bad value for ipv6_src (::1/129: IPv6 network prefix bits not between 0 and 128, inclusive)"},
		{"dl_src=1:2:3:4:5", "1:2:3:4:5: invalid Ethernet address", "dl_src=1:2:3:4:5: bad value for dl_src (1:2:3:4:5: invalid Ethernet address)"},
		{"dl_src=*", "", "dl_src=*: bad value for dl_src (*: wildcards not allowed here)"},
		{"ct_state=+foo", "foo: unknown ct_state flag(s)", "ct_state=+foo: bad value for ct_state (foo: unknown ct_state flag(s))"},
		{"ct_state=+trk-trk", "trk: Each ct_state flag can be specified only once", "ct_state=+trk-trk: bad value for ct_state (trk: Each ct_state flag can be specified only once)"},
		{"tcp,tcp_flags=0xffff", "0xffff: unknown TCP flag(s)", "tcp,tcp_flags=0xffff: bad value for tcp_flags (0xffff: unknown TCP flag(s))"},
		{"packet_type=0", "0: bad syntax for packet type missing '('", "packet_type=0: bad value for packet_type (0: bad syntax for packet type missing '(')"},
		{"icmp6,icmp_type=135", "", "icmp6,icmp_type=135: prerequisites not met for setting icmp_type"},
		{"vlan_pcp=3", "", "vlan_pcp=3: prerequisites not met for setting vlan_pcp"},
		{"ct_nw_src=1.2.3.4", "prerequisites not met for setting ct_nw_src", "ct_nw_src=1.2.3.4: prerequisites not met for setting ct_nw_src"},
	} {
		text := func(err error) string {
			if err == nil {
				return ""
			}
			return err.Error()
		}
		_, err := ParseMatch(c.text, testPorts, nil)
		if d := cmp.Diff(c.match, text(err)); d != "" {
			t.Errorf("ParseMatch(%q) (-want +got):\n%s", c.text, d)
		}
		_, err = ParseFlow(c.text, testPorts, nil)
		if d := cmp.Diff(c.flow, text(err)); d != "" {
			t.Errorf("ParseFlow(%q) (-want +got):\n%s", c.text, d)
		}
	}
}

// Flows are written with all that their packets have.
func TestFormatFlow(t *testing.T) {
	const eth = "vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00"
	const ip = "nw_src=0.0.0.0,nw_dst=0.0.0.0"
	for text, want := range map[string]string{
		"":                           eth + ",dl_type=0x0000",
		"in_port=p1,ip":              "ip,in_port=1," + eth + "," + ip + ",nw_proto=0,nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=no",
		"tcp,tcp_flags=syn|ack":      "tcp," + eth + "," + ip + ",nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=no,tp_src=0,tp_dst=0,tcp_flags=syn|ack",
		"ip,nw_frag=later":           "ip," + eth + "," + ip + ",nw_proto=0,nw_tos=0,nw_ecn=0,nw_ttl=0,nw_frag=later",
		"ct_state=new|trk":           "ct_state=new|trk," + eth + ",dl_type=0x0000",
		"recirc_id=3":                "recirc_id=0x3,eth," + eth + ",dl_type=0x0000",
		"mpls,mpls_label=5":          "mpls," + eth + ",mpls_label=5,mpls_tc=0,mpls_ttl=0,mpls_bos=0,mpls_lse1=0,mpls_lse2=0",
		"dl_vlan=10,dl_vlan_pcp=3":   "dl_vlan=10,dl_vlan_pcp=3,vlan_tci1=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,dl_type=0x0000",
		"packet_type=(0,1)":          "packet_type=(0,1)",
		"xreg0=5,reg0=1,metadata=07": "reg0=0x1,reg1=0x5,metadata=0x7," + eth + ",dl_type=0x0000",
	} {
		m, err := ParseFlow(text, testPorts, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := FormatFlow(&m.Key, nil, nil); got != want {
			t.Errorf("%q:\n%s, want\n%s", text, got, want)
		}
	}
}

// What FormatMatch writes is read as the same match, and no text makes a parser panic.
func FuzzParseMatch(f *testing.F) {
	for _, s := range []string{
		"in_port=1,tcp,nw_src=10.0.0.0/8,tp_dst=80,dl_vlan=5,reg0=0x1/0xff,ct_state=+trk-new", "in_port(p1),packet_type=(1,0x800)",
		"icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1/64", "tun_flags=+oam,tun_id=5/7,tun_metadata0=5", "vlan_tci=0x1005/0x1fff,arp,arp_op=300",
		"tcp,tcp_flags=+syn-ack", "ip,nw_frag=not_later,nw_tos=255", "ct_label=0x123/0xfff,xxreg1=7", "a=((,b", "reg0=\"", "in_port=\"\\x\"",
	} {
		f.Add(s)
	}
	var tlv TLVMap
	tlv[0].Len = 4
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := ParseFlow(text, testPorts, &tlv); err == nil {
			FormatFlow(&m.Key, nil, &tlv)
		}
		m, err := ParseMatch(text, testPorts, &tlv)
		if err != nil {
			return
		}
		// What the text form does not show is not compared: parts of masks that OVS does not write either.
		written := FormatMatchTLV(&m, nil, &tlv)
		again, err := ParseMatch(written, testPorts, &tlv)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, written, err)
		}
		if twice := FormatMatchTLV(&again, nil, &tlv); twice != written {
			t.Fatalf("%q is written as %q, that as %q", text, written, twice)
		}
		for _, id := range []flow.FieldID{flow.InPortOXM, flow.EthSrc, flow.EthDst, flow.Reg0, flow.Metadata, flow.CTMark, flow.TunID} {
			if again.Key.Get(id) != m.Key.Get(id) || again.Mask.Get(id) != m.Mask.Get(id) {
				t.Fatalf("%q is written as %q: %v differs", text, written, id)
			}
		}
	})
}
