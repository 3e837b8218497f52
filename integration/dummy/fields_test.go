package dummy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fieldCase is a match field: what a flow has to match before it, a value, a value with a mask that has the value in it
// ("" if the field has no masks), and a value that neither matches.
type fieldCase struct{ field, before, value, masked, other string }

// fieldCases are the fields that the stock 3.1 has, in the order of ovs-fields(7), but for the options of Geneve.
var fieldCases = fields()

func fields() []fieldCase {
	list := []fieldCase{
		{"dp_hash", "", "0x5", "0x5/0xf", "0x6"},
		{"recirc_id", "", "0", "", "1"},
		{"packet_type", "", "(0,0)", "", "(1,0x800)"},
		{"conj_id", "", "0", "", "5"},
		{"tun_id", "", "0x12", "0x10/0xf0", "0x22"},
		{"tunnel_id", "", "0x12345678abcdef", "0x12000000000000/0xff000000000000", "0x22"},
		{"tun_src", "", "192.168.1.1", "192.168.0.0/16", "10.0.0.1"},
		{"tun_dst", "", "192.168.1.1", "192.168.1.0/255.255.255.0", "10.0.0.1"},
		{"tun_ipv6_src", "", "fe80::1", "fe80::/16", "fc00::1"},
		{"tun_ipv6_dst", "", "fe80::1", "fe80::/64", "fc00::1"},
		{"tun_flags", "", "oam", "+oam", "0"},
		{"tun_gbp_id", "", "0x1234", "0x1200/0xff00", "0x4321"},
		{"tun_gbp_flags", "", "0x8", "0x8/0x8", "0"},
		{"tun_ttl", "", "64", "", "1"},
		{"tun_tos", "", "32", "", "1"},
		{"tun_erspan_ver", "", "1", "1/0x3", "2"},
		{"tun_erspan_idx", "", "0x12345", "0x12000/0xff000", "0x54321"},
		{"tun_erspan_dir", "", "1", "1/0x1", "0"},
		{"tun_erspan_hwid", "", "0x11", "0x10/0x30", "0x2"},
		{"tun_gtpu_flags", "", "0x30", "0x30/0xf0", "0x1"},
		{"tun_gtpu_msgtype", "", "255", "255/0xf", "1"},
		{"metadata", "", "0x123456789abcdef0", "0x1200000000000000/0xff00000000000000", "0x1"},
		{"in_port", "", "1", "", "2"},
		{"in_port_oxm", "", "1", "", "2"},
		{"actset_output", "", "unset", "", "1"},
		{"skb_priority", "", "0x5", "", "0x6"},
		{"pkt_mark", "", "0x12", "0x10/0xf0", "0x22"},
		{"ct_state", "", "new|trk", "-inv+trk", "inv|trk"},
		{"ct_zone", "", "5", "5/0xff", "6"},
		{"ct_mark", "", "0x12", "0x10/0xf0", "0x22"},
		{"ct_label", "", "0x123456789abcdef00000000000000001", "0x1/0xf", "0x2"},
		{"ct_nw_proto", "ct_state=est|trk,ip", "6", "", "17"},
		{"ct_nw_src", "ct_state=est|trk,ip", "10.0.0.1", "10.0.0.0/8", "11.0.0.1"},
		{"ct_nw_dst", "ct_state=est|trk,ip", "10.0.0.1", "10.0.0.0/8", "11.0.0.1"},
		{"ct_ipv6_src", "ct_state=est|trk,ipv6", "fe80::1", "fe80::/16", "fc00::1"},
		{"ct_ipv6_dst", "ct_state=est|trk,ipv6", "fe80::1", "fe80::/16", "fc00::1"},
		{"ct_tp_src", "ct_state=est|trk,ip,ct_nw_proto=6", "80", "80/0xfff0", "100"},
		{"ct_tp_dst", "ct_state=est|trk,ip,ct_nw_proto=17", "80", "80/0xfff0", "100"},
	}
	for i := range 16 {
		list = append(list, fieldCase{fmt.Sprintf("reg%d", i), "", "0x12345678", "0x12000000/0xff000000", "0x1"})
	}
	for i := range 8 {
		list = append(list, fieldCase{fmt.Sprintf("xreg%d", i), "", "0x123456789abcdef0", "0x1200000000000000/0xff00000000000000", "0x1"})
	}
	for i := range 4 {
		list = append(list, fieldCase{fmt.Sprintf("xxreg%d", i), "", "0x123456789abcdef00000000000000001", "0x1/0xf", "0x2"})
	}
	list = append(list,
		fieldCase{"eth_src", "", "50:54:00:00:00:01", "50:54:00:00:00:00/ff:ff:ff:ff:ff:fe", "50:54:00:00:00:02"},
		fieldCase{"dl_src", "", "50:54:00:00:00:03", "", "50:54:00:00:00:02"},
		fieldCase{"eth_dst", "", "50:54:00:00:00:02", "00:00:00:00:00:00/01:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"},
		fieldCase{"dl_dst", "", "ff:ff:ff:ff:ff:ff", "01:00:00:00:00:00/01:00:00:00:00:00", "50:54:00:00:00:02"},
		fieldCase{"eth_type", "", "0x800", "", "0x806"},
		fieldCase{"dl_type", "", "0x88cc", "", "0x806"},
		fieldCase{"vlan_tci", "", "0x700a", "0x1000/0x1000", "0"},
		fieldCase{"dl_vlan", "", "10", "", "11"},
		fieldCase{"vlan_vid", "", "0x100a", "0x1002/0x1002", "9"},
		fieldCase{"dl_vlan_pcp", "dl_vlan=10", "3", "", "2"},
		fieldCase{"vlan_pcp", "vlan_vid=0x100a", "3", "", "2"},
		fieldCase{"mpls_label", "mpls", "100", "", "1"},
		fieldCase{"mpls_tc", "mpls", "3", "", "1"},
		fieldCase{"mpls_bos", "mpls", "1", "", "0"},
		fieldCase{"mpls_ttl", "mpls", "64", "", "1"},
		fieldCase{"ip_src", "ip", "10.0.0.1", "10.0.0.0/255.255.255.254", "11.0.0.1"},
		fieldCase{"nw_src", "ip", "10.0.0.3", "0.0.0.3/0.0.0.3", "11.0.0.1"},
		fieldCase{"ip_dst", "ip", "10.0.0.2", "10.0.0.0/8", "11.0.0.1"},
		fieldCase{"nw_dst", "ip", "10.0.0.9", "", "11.0.0.1"},
		fieldCase{"ipv6_src", "ipv6", "fe80::1", "fe80::/16", "fc00::1"},
		fieldCase{"ipv6_dst", "ipv6", "fe80::2", "::2/::3", "fc00::1"},
		fieldCase{"ipv6_label", "ipv6", "0x12345", "0x12000/0xff000", "0x54321"},
		fieldCase{"nw_proto", "ip", "6", "", "17"},
		fieldCase{"ip_proto", "ipv6", "6", "", "17"},
		fieldCase{"nw_tos", "ip", "32", "", "16"},
		fieldCase{"ip_dscp", "ip", "8", "", "7"},
		fieldCase{"nw_ecn", "ip", "0", "", "1"},
		fieldCase{"ip_ecn", "ipv6", "0", "", "1"},
		fieldCase{"nw_ttl", "ip", "64", "", "1"},
		fieldCase{"ip_frag", "ip", "no", "not_later", "later"},
		fieldCase{"nw_frag", "ip", "first", "yes", "no"},
		fieldCase{"arp_op", "arp", "1", "", "2"},
		fieldCase{"arp_spa", "arp", "10.0.0.1", "10.0.0.0/8", "11.0.0.1"},
		fieldCase{"arp_tpa", "arp", "10.0.0.2", "10.0.0.0/8", "11.0.0.1"},
		fieldCase{"arp_sha", "arp", "50:54:00:00:00:01", "50:00:00:00:00:00/ff:00:00:00:00:00", "00:00:00:00:00:09"},
		fieldCase{"arp_tha", "arp", "00:00:00:00:00:00", "00:00:00:00:00:00/ff:00:00:00:00:00", "50:00:00:00:00:09"},
		fieldCase{"tcp_src", "tcp", "1000", "0x3e8/0xfff8", "99"},
		fieldCase{"tp_src", "tcp6", "9", "8/0xfff8", "99"},
		fieldCase{"tcp_dst", "tcp", "80", "0x40/0xffc0", "199"},
		fieldCase{"tp_dst", "tcp6", "10", "0x8/0xfff8", "199"},
		fieldCase{"tcp_flags", "tcp", "syn", "+syn-ack", "ack"},
		fieldCase{"udp_src", "udp", "7", "0/0xfff8", "199"},
		fieldCase{"udp_dst", "udp", "4789", "0x1000/0xf000", "199"},
		fieldCase{"sctp_src", "sctp", "7", "0/0xfff8", "199"},
		fieldCase{"sctp_dst", "sctp", "80", "0x40/0xffc0", "199"},
		fieldCase{"icmp_type", "icmp", "8", "", "0"},
		fieldCase{"icmp_code", "icmp", "0", "", "3"},
		fieldCase{"icmpv6_type", "icmp6", "135", "", "1"},
		fieldCase{"icmpv6_code", "icmp6", "0", "", "1"},
		fieldCase{"nd_target", "icmp6,icmpv6_type=135,icmpv6_code=0", "fe80::9", "fe80::/16", "fc00::1"},
		fieldCase{"nd_sll", "icmp6,icmpv6_type=135,icmpv6_code=0", "50:54:00:00:00:01", "50:00:00:00:00:00/ff:00:00:00:00:00", "00:00:00:00:00:09"},
		fieldCase{"nd_tll", "icmp6,icmpv6_type=136,icmpv6_code=0", "50:54:00:00:00:02", "50:00:00:00:00:00/ff:00:00:00:00:00", "00:00:00:00:00:09"},
		fieldCase{"nd_reserved", "icmp6,icmpv6_type=136,icmpv6_code=0", "0", "", "9"},
		fieldCase{"nd_options_type", "icmp6,icmpv6_type=136,icmpv6_code=0", "2", "", "1"},
		fieldCase{"nsh_flags", "dl_type=0x894f", "1", "1/0x3", "2"},
		fieldCase{"nsh_mdtype", "dl_type=0x894f", "1", "", "2"},
		fieldCase{"nsh_np", "dl_type=0x894f", "3", "", "1"},
		fieldCase{"nsh_spi", "dl_type=0x894f", "0x1234", "", "0x1"},
		fieldCase{"nsh_si", "dl_type=0x894f", "255", "", "1"},
		fieldCase{"nsh_c1", "dl_type=0x894f", "0x1", "0x1/0xf", "0x2"},
		fieldCase{"nsh_c2", "dl_type=0x894f", "0x1", "0x1/0xf", "0x2"},
		fieldCase{"nsh_c3", "dl_type=0x894f", "0x1", "0x1/0xf", "0x2"},
		fieldCase{"nsh_c4", "dl_type=0x894f", "0x1", "0x1/0xf", "0x2"},
		fieldCase{"nsh_ttl", "dl_type=0x894f", "63", "", "1"},
	)
	for _, word := range []string{"eth", "ip", "ipv4", "ip4", "icmp", "tcp", "udp", "sctp", "arp", "rarp", "ipv6", "ip6", "icmp6", "tcp6", "udp6", "sctp6", "mpls", "mplsm"} {
		list = append(list, fieldCase{field: word})
	}
	return list
}

// match is a match of the field, all of it a keyword if that is what it is.
func (c *fieldCase) match(value string) string {
	if c.value == "" {
		return c.field
	}
	return strings.Trim(c.before+","+c.field+"="+value, ",")
}

// TestFieldsLikeStock adds flows that match every field, with and without a mask, in every OpenFlow version: the stock
// daemon and ours must answer, dump and find them alike, for traced flows and for packets.
func TestFieldsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := manualPair(t)
	both := []*sim{ours, stock}
	added := make([]bool, len(fieldCases))
	for _, v := range []string{"10", "11", "12", "13", "14", "15"} {
		for _, s := range both {
			s.Ofctl("-OOpenFlow15", "del-flows", "br0")
		}
		for i, c := range fieldCases {
			// The tables with even numbers have exact matches, the odd ones masks.
			for m, value := range []string{c.value, c.masked} {
				if value == "" && m == 1 {
					continue
				}
				line := fmt.Sprintf("-OOpenFlow%s add-flow br0 table=%d,priority=%d,%s,actions=2", v, 1+i, 5-m, c.match(value))
				want, got := stock.ofctlAnswer(line, ""), ours.ofctlAnswer(line, "")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-stock +ours):\n%s", line, diff)
				}
				added[i] = added[i] || strings.HasSuffix(got, "exit code 0")
			}
		}
		for _, line := range []string{"-OOpenFlow" + v + " dump-flows br0", "-OOpenFlow15 dump-flows br0"} {
			if diff := cmp.Diff(stock.ofctlAnswer(line, ""), ours.ofctlAnswer(line, "")); diff != "" {
				t.Errorf("ovs-ofctl %s (-stock +ours):\n%s", line, diff)
			}
		}
	}
	for i, c := range fieldCases {
		if added[i] == unmatched.MatchString(c.field) {
			t.Errorf("a flow of %s is accepted: %v", c.field, added[i])
		}
	}
	var all []string
	for i := range fieldCases {
		all = append(all, fmt.Sprintf("table=%d,priority=0,actions=3", 1+i), fmt.Sprintf("table=0,priority=9,reg15=%d,actions=resubmit(,%d)", 1000+i, 1+i))
	}
	var every strings.Builder
	for i := range fieldCases {
		fmt.Fprintf(&every, ",resubmit(,%d)", 1+i)
	}
	all = append(all, "table=0,priority=0,actions="+every.String()[1:])
	for _, s := range both {
		file := filepath.Join(s.Dir, "flows")
		if err := os.WriteFile(file, []byte(strings.Join(all, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.Ofctl("-OOpenFlow15", "add-flows", "br0", file)
	}
	for i, c := range fieldCases {
		c.trace(t, ours, stock, 1000+i)
	}
	t.Run("packets", func(t *testing.T) { packetsOfFields(t, ours, stock) })
}

// unmatched fields have no number in the protocol, or are the switch's own.
var unmatched = regexp.MustCompile(`^(dp_hash|tun_ttl|tun_tos|skb_priority)$`)

// untraced fields cannot be in a flow that is traced: ovs-appctl ofproto/trace refuses them, or their values depend on what
// the switch does.
var untraced = regexp.MustCompile(`^(conj_id|actset_output|in_port|in_port_oxm|recirc_id|packet_type|.*reg15|xreg7|xxreg3|tun_flags|nsh_.*)$`)

// trace has both daemons trace flows of the values: the first and the last must take different ways.
func (c *fieldCase) trace(t *testing.T, ours, stock *sim, table int) {
	if untraced.MatchString(c.field) || c.value == "" {
		return
	}
	var ways []string
	for _, value := range []string{c.value, c.other} {
		flow := fmt.Sprintf("in_port=1,reg15=%d,%s", table, c.match(value))
		want, got := stock.Appctl("ofproto/trace", "br0", flow), ours.Appctl("ofproto/trace", "br0", flow)
		if diff := cmp.Diff(tracedActions(want, true), tracedActions(got, true)); diff != "" {
			t.Errorf("trace of %s (-stock +ours):\n%s", flow, diff)
		}
		_, way, _ := strings.Cut(got, "Datapath actions: ")
		ways = append(ways, way)
	}
	if ways[0] == ways[1] && !unmatched.MatchString(c.field) {
		t.Errorf("%s: %s and %s take the same way:\n%s", c.field, c.value, c.other, ways[0])
	}
}

// packetsOfFields sends packets through all tables.
func packetsOfFields(t *testing.T, ours, stock *sim) {
	const v6 = "p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0x12345,proto=%d,tclass=0,hlimit=255,frag=no)"
	packets := append([]string{
		"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=132,tos=0,ttl=64,frag=no),sctp(src=7,dst=80)",
		"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=1,ttl=64,frag=first),udp(src=7,dst=80)",
		"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=1,ttl=64,frag=later)",
		"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x88cc)",
		"p1 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x8035),arp(sip=10.0.0.1,tip=10.0.0.2,op=3,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)",
		"p2 eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x8848),mpls(label=1,tc=1,ttl=1,bos=1)",
		fmt.Sprintf(v6, 17) + ",udp(src=7,dst=80)",
		fmt.Sprintf(v6, 132) + ",sctp(src=7,dst=80)",
		fmt.Sprintf(v6, 58) + ",icmpv6(type=135,code=0),nd(target=fe80::9,sll=50:54:00:00:00:01,tll=00:00:00:00:00:00)",
		fmt.Sprintf(v6, 58) + ",icmpv6(type=136,code=0),nd(target=fe80::9,sll=00:00:00:00:00:00,tll=50:54:00:00:00:02)",
		fmt.Sprintf(v6, 58) + ",icmpv6(type=128,code=0)",
	}, manualPackets...)
	for _, p := range packets {
		word := strings.Fields(p)
		flow := "in_port(" + word[0][1:] + ")," + word[1]
		if diff := cmp.Diff(tracedActions(stock.Appctl("ofproto/trace", flow), true), tracedActions(ours.Appctl("ofproto/trace", flow), true)); diff != "" {
			t.Errorf("ofproto/trace %s (-stock +ours):\n%s", flow, diff)
		}
		ours.receive(word[0], word[len(word)-1])
		ours.revalidate()
		stock.receive(word[0], word[len(word)-1])
		stock.Appctl("revalidator/purge")
	}
	hits := func(s *sim) func() string {
		// Each daemon splits its answer where it likes.
		return func() string {
			return partOfDump.ReplaceAllString(s.ofctlAnswer("-OOpenFlow15 dump-flows br0", ""), "")
		}
	}
	if diff := difference(hits(ours), hits(stock)); diff != "" {
		t.Errorf("hits (-stock +ours):\n%s", diff)
	}
}

var partOfDump = regexp.MustCompile(`OFPST_FLOW reply.*\n`)
