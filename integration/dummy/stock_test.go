package dummy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

var rounds = flag.Int("rounds", 6, "how many random flow tables TestLikeStock tries")

// TestLikeStock gives random flow tables and packets to the stock daemon and to ours, and compares every octet that
// comes out, the statistics and the MAC table.
func TestLikeStock(t *testing.T) {
	t.Parallel()
	const flows, packets = 30, 40
	sent := 0
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		s.addPort("br0", 1)
		s.addPort("br0", 2, "trunks=0,10,20")
		s.addPort("br0", 3, "tag=10")
		s.addPort("br0", 4, "tag=20")
		s.addPort("br0", 5, "tag=10", "vlan_mode=native-untagged")
	}
	for round := range *rounds {
		g := generator{rand.New(rand.NewPCG(uint64(round), 1))}
		var table, trace []string
		for range flows {
			table = append(table, g.flow())
		}
		for _, s := range both {
			s.reset(table)
		}
		for range packets {
			port, packet := fmt.Sprintf("p%d", 1+g.IntN(5)), g.packet()
			trace = append(trace, port+" "+packet)
			ours.receive(port, packet)
			ours.revalidate()
			stock.receive(port, packet)
			stock.Appctl("revalidator/purge") // waiting for its revalidators takes it half a second each time
			if g.IntN(8) == 0 {
				for _, s := range both {
					s.Appctl("time/warp", "7000", "1000")
				}
			}
		}
		if diff := difference(ours.state, stock.state); diff != "" {
			t.Fatalf("round %d (-stock +ours):\n%s\nflows:\n%s\npackets:\n%s", round, diff, strings.Join(table, "\n"), strings.Join(trace, "\n"))
		}
		sent += strings.Count(ours.state(), "\np")
	}
	if sent < *rounds*packets {
		t.Errorf("%d rounds of %d packets made %d packets: too few for a comparison", *rounds, packets, sent)
	}
	t.Logf("%d packets came out alike", sent)
}

// difference compares two states. The stock daemon answers before it has done everything: it gets some time.
func difference(ours, stock func() string) string {
	var diff string
	for range 20 {
		// Lines alone: cmp would align within them.
		if diff = cmp.Diff(strings.Split(stock(), "\n"), strings.Split(ours(), "\n")); diff == "" {
			return ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return diff
}

// reset begins anew with a flow table.
func (s *sim) reset(table []string) {
	s.t.Helper()
	file := filepath.Join(s.Dir, "flows")
	if err := os.WriteFile(file, []byte(strings.Join(table, "\n")+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
	s.Ofctl("-OOpenFlow13", "del-flows", "br0")
	s.Ofctl("-OOpenFlow13", "add-flows", "br0", file)
	s.Appctl("fdb/flush", "br0")
	s.revalidate()
	for p := 1; p <= 5; p++ {
		name := fmt.Sprintf("p%d", p)
		s.Vsctl("remove", "interface", name, "options", "tx_pcap")
		if err := os.Remove(s.pcap(name)); err != nil {
			s.t.Fatal(err)
		}
		s.Vsctl("set", "interface", name, "options:tx_pcap="+s.pcap(name))
	}
}

var age = regexp.MustCompile(` +\d+$`)

// state is what came out, the flows with their statistics and the MAC table.
func (s *sim) state() string {
	s.t.Helper()
	s.revalidate()
	var b strings.Builder
	for p := 1; p <= 5; p++ {
		name := fmt.Sprintf("p%d", p)
		for _, line := range strings.Fields(s.Run("ovs-pcap", s.pcap(name))) {
			fmt.Fprintf(&b, "%s %s\n", name, line)
		}
	}
	b.WriteString(s.flows("-OOpenFlow13") + "\n")
	fdb := strings.Split(s.Appctl("fdb/show", "br0"), "\n")
	for i := range fdb {
		fdb[i] = age.ReplaceAllString(fdb[i], "")
	}
	slices.Sort(fdb)
	return b.String() + strings.Join(fdb, "\n")
}

// generator makes flows and packets of few values, so that they meet.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

// chance is a word once in n times.
func (g generator) chance(n int, word string) string {
	if g.IntN(n) == 0 {
		return word
	}
	return ""
}

func (g generator) flow() string {
	table := g.IntN(3)
	words := []string{fmt.Sprintf("table=%d,priority=%d", table, g.IntN(1000))}
	words = append(words, g.pick("", "", "ip", "icmp", "tcp", "udp", "arp", "ipv6"))
	if l3 := words[1]; l3 != "" && l3 != "arp" && l3 != "ipv6" {
		words = append(words, g.chance(3, "nw_src=10.0.0."+g.pick("1", "2", "0/31")), g.chance(3, "nw_dst=10.0.0."+g.pick("1", "2", "2/30")), g.chance(6, "nw_tos=32"), g.chance(6, "nw_ttl=64"))
		if l3 == "tcp" || l3 == "udp" {
			words = append(words, g.chance(3, "tp_dst="+g.pick("80", "53", "0x40/0xffc0")), g.chance(5, "tp_src=1000"))
		}
		if l3 == "tcp" {
			words = append(words, g.chance(5, "tcp_flags="+g.pick("+syn-ack", "+ack", "-rst")))
		}
	}
	words = append(words, g.chance(3, "in_port="+g.pick("1", "2", "3", "LOCAL")), g.pick("", "", "", "", "dl_vlan=10", "dl_vlan=20", "vlan_tci=0"),
		g.chance(6, "dl_dst=50:54:00:00:00:0"+g.pick("1", "2", "3")), g.chance(8, "dl_src=50:54:00:00:00:00/ff:ff:ff:ff:ff:fc"), g.chance(8, "reg0="+g.pick("1", "2", "0/1")))
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	var actions []string
	for range 1 + g.IntN(4) {
		actions = append(actions, g.action(table, words))
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "dl_vlan=") }) {
		// At the end, as after it the match promises no tag any more.
		actions = append(actions, g.pick("", "pop_vlan,output:1", "pop_vlan,NORMAL"))
	}
	return strings.Join(words, ",") + ",actions=" + strings.TrimSuffix(strings.Join(actions, ","), ",")
}

func (g generator) action(table int, match []string) string {
	list := []string{"output:1", "output:2", "output:3", "output:4", "output:5", "NORMAL", "NORMAL", "IN_PORT", "FLOOD", "ALL", "LOCAL",
		"set_field:50:54:00:00:00:02->eth_dst", "set_field:50:54:00:00:00:07->eth_src", "set_field:1->reg0", "load:2->NXM_NX_REG0[0..3]",
		"move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG1[16..31]", "output:NXM_NX_REG0[]"}
	if table < 2 {
		next := fmt.Sprint(table + 1)
		list = append(list, "resubmit(,"+next+")", "resubmit(,"+next+")", "resubmit(,"+next+")", "resubmit(3,"+next+")", "clone(set_field:7->reg1,resubmit(,"+next+"))")
	}
	if table == 2 && slices.Contains(match, "vlan_tci=0") {
		// Nowhere else: of more tags than vlan-limit the stock daemon loses some.
		list = append(list, "push_vlan:0x8100,set_field:4106->vlan_vid", "push_vlan:0x8100,set_field:4106->vlan_vid")
	}
	l3 := slices.ContainsFunc(match, func(w string) bool { return w == "ip" || w == "icmp" || w == "tcp" || w == "udp" })
	if l3 {
		list = append(list, "set_field:10.0.0.2->nw_dst", "set_field:10.0.0.9->nw_src", "mod_nw_tos:32", "dec_ttl", "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]")
	}
	if slices.Contains(match, "tcp") {
		list = append(list, "set_field:8080->tcp_dst", "set_field:1->tcp_src")
	}
	if slices.Contains(match, "udp") {
		list = append(list, "set_field:5353->udp_dst")
	}
	if slices.ContainsFunc(match, func(w string) bool { return strings.HasPrefix(w, "dl_vlan=") }) {
		list = append(list, "set_field:4116->vlan_vid", "set_field:4106->vlan_vid")
	}
	return g.pick(list...)
}

func (g generator) packet() string {
	host := func() string { return g.pick("1", "2", "3", "4") }
	eth := fmt.Sprintf("eth(src=50:54:00:00:00:0%s,dst=%s)", host(), g.pick("50:54:00:00:00:01", "50:54:00:00:00:02", "50:54:00:00:00:03", "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:00", "01:00:5e:00:00:01"))
	ip := func(proto int) string {
		return fmt.Sprintf("eth_type(0x0800),ipv4(src=10.0.0.%s,dst=10.0.0.%s,proto=%d,tos=%s,ttl=%s,frag=%s)", host(), host(), proto, g.pick("0", "0x20", "0x23"), g.pick("1", "64", "255"), g.pick("no", "no", "no", "no", "first"))
	}
	ports := fmt.Sprintf("(src=%s,dst=%s)", g.pick("1000", "2000"), g.pick("53", "80", "100"))
	var rest string
	switch g.IntN(6) {
	case 0:
		rest = ip(1) + ",icmp(type=8,code=0)"
	case 1:
		rest = ip(6) + ",tcp" + ports + ",tcp_flags(" + g.pick("syn", "syn|ack", "ack", "fin|ack", "rst") + ")"
	case 2, 3:
		rest = ip(17) + ",udp" + ports
	case 4:
		rest = fmt.Sprintf("eth_type(0x0806),arp(sip=10.0.0.%s,tip=10.0.0.%s,op=%s,sha=50:54:00:00:00:01,tha=00:00:00:00:00:00)", host(), host(), g.pick("1", "2"))
	default:
		rest = "eth_type(0x86dd),ipv6(src=fe80::" + host() + ",dst=fe80::" + host() + ",label=0,proto=17,tclass=0,hlimit=64,frag=no),udp" + ports
	}
	if vid := g.pick("", "", "10", "20", "30"); vid != "" {
		return eth + ",eth_type(0x8100),vlan(vid=" + vid + ",pcp=" + g.pick("0", "3") + "),encap(" + rest + ")"
	}
	return eth + "," + rest
}
