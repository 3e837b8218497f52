package dummy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// mirrorBridges makes br0 of ports p1 to p6 and br1 of p11 to p13, joined by patch ports.
func (s *sim) mirrorBridges() {
	s.t.Helper()
	s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
	s.addBridge("br1", "other_config:hwaddr=aa:55:aa:55:00:01", "fail_mode=secure")
	for n, columns := range [][]string{nil, nil, {"trunks=0,10,20"}, {"tag=10"}, {"tag=20"}, {"tag=10", "vlan_mode=native-untagged"}, nil} {
		if n > 0 {
			s.addPort("br0", n, columns...)
		}
	}
	for n := 11; n <= 13; n++ {
		s.addPort("br1", n)
	}
	s.Vsctl("add-port", "br0", "q1", "--", "set", "interface", "q1", "type=patch", "ofport_request=9", "options:peer=q2",
		"--", "add-port", "br1", "q2", "--", "set", "interface", "q2", "type=patch", "ofport_request=9", "options:peer=q1")
}

// mirror is a Mirror row: its columns, with ports by name.
type mirror struct {
	name, bridge string
	columns      []string // "select_all=true", "output_port=p5"
}

// mirrors replaces all mirrors. They come one after the other: the stock daemon would have them in the order of their UUIDs.
func (s *sim) mirrors(list ...mirror) {
	s.t.Helper()
	s.Vsctl("clear", "bridge", "br0", "mirrors", "--", "clear", "bridge", "br1", "mirrors")
	for _, m := range list {
		args, known := []string(nil), map[string]bool{}
		create := []string{"--", "--id=@m", "create", "mirror", "name=" + m.name}
		for _, c := range m.columns {
			column, value, _ := strings.Cut(c, "=")
			if strings.HasSuffix(column, "_port") {
				var refs []string
				for _, port := range strings.Split(value, ",") {
					if !known[port] {
						args = append(args, "--", "--id=@"+port, "get", "port", port)
					}
					known[port] = true
					refs = append(refs, "@"+port)
				}
				c = column + "=" + strings.Join(refs, ",")
			}
			create = append(create, c)
		}
		s.Vsctl(slices.Concat(args, create, []string{"--", "add", "bridge", m.bridge, "mirrors", "@m"})...)
	}
}

// mirrorCases are mirrors, and what is traced through them.
var mirrorCases = []struct {
	mirrors []mirror
	flows   map[string][]string // by bridge; "*" is in all cases
	traces  []string            // as in traceCases
}{
	{ // A port's input. Its output is reserved.
		mirrors: []mirror{{"m", "br0", []string{"select_src_port=p1", "output_port=p6"}}},
		flows:   map[string][]string{"br0": {"in_port=1,actions=2", "in_port=2,actions=NORMAL", "in_port=6,actions=2", "in_port=1,udp,actions=6,IN_PORT", "in_port=1,tcp,actions=drop", "in_port=LOCAL,actions=6"}},
		traces: []string{"br0 in_port=1,icmp", "~ br0 in_port=1,dl_vlan=10,icmp", "~ br0 in_port=1,dl_vlan=0,dl_vlan_pcp=3,icmp", "~ br0 in_port=1,dl_vlan=0,icmp", "br0 in_port=2", "br0 in_port=6", "br0 in_port=1,udp",
			"br0 in_port=1,tcp", "br0 in_port=LOCAL"},
	},
	{ // A port's output, as packets are then; once for each packet.
		mirrors: []mirror{{"m", "br0", []string{"select_dst_port=p2", "output_port=p6", "snaplen=100"}}},
		flows: map[string][]string{"br0": {"udp,actions=2,2", "tcp,actions=mod_nw_dst:9.9.9.9,2", "icmp,actions=2,mod_nw_dst:9.9.9.9,2", "arp,actions=output(port=2,max_len=64)",
			"dl_type=0x1002,actions=clone(mod_dl_src:50:54:00:00:00:77,2),2", "dl_type=0x1003,actions=mod_vlan_vid:5,2,strip_vlan,3", "dl_type=0x1004,actions=group:1",
			"dl_type=0x1005,actions=write_actions(output:2)", "dl_type=0x1006,actions=CONTROLLER", "dl_type=0x1007,actions=IN_PORT", "dl_type=0x1008,actions=NORMAL"}},
		traces: []string{"br0 in_port=1,udp", "br0 in_port=1,tcp", "br0 in_port=1,icmp", "br0 in_port=1,arp", "br0 in_port=1,dl_type=0x1002", "~ br0 in_port=1,dl_type=0x1003", "br0 in_port=1,dl_type=0x1004",
			"br0 in_port=1,dl_type=0x1005", "br0 in_port=2,dl_type=0x1007", "br0 in_port=1,dl_type=0x1008", "br0 in_port=3,dl_type=0x1008"},
	},
	{ // VLANs.
		mirrors: []mirror{{"m", "br0", []string{"select_all=true", "select_vlan=10", "output_port=p6"}}},
		flows:   map[string][]string{"br0": {"dl_type=0x1001,actions=2", "dl_type=0x1002,actions=3", "dl_type=0x1003,actions=2,mod_vlan_vid:10,1", "dl_type=0x1004,actions=NORMAL"}},
		traces: []string{"~ br0 in_port=1,dl_type=0x1001", "~ br0 in_port=1,dl_vlan=10,dl_type=0x1001", "~ br0 in_port=1,dl_vlan=11,dl_type=0x1001", "~ br0 in_port=1,dl_type=0x1002",
			"~ br0 in_port=3,dl_type=0x1003", "~ br0 in_port=2,dl_type=0x1003", "~ br0 in_port=3,dl_vlan=10,dl_type=0x1001", "~ br0 in_port=3,dl_vlan=11,dl_type=0x1001", "~ br0 in_port=5,dl_type=0x1004", "~ br0 in_port=4,dl_type=0x1004"},
	},
	{ // To an access port and to one with a native VLAN.
		mirrors: []mirror{{"m", "br0", []string{"select_src_port=p1,p3", "output_port=p4"}}, {"n", "br0", []string{"select_src_port=p1,p3", "output_port=p5"}}},
		flows:   map[string][]string{"br0": {"actions=2"}},
		traces:  []string{"~ br0 in_port=1", "~ br0 in_port=1,dl_vlan=10", "~ br0 in_port=1,dl_vlan=20", "~ br0 in_port=3"},
	},
	{ // To a VLAN.
		mirrors: []mirror{{"m", "br0", []string{"select_src_port=p1", "output_vlan=20"}}, {"n", "br0", []string{"select_dst_port=p3", "output_vlan=20"}}, {"o", "br0", []string{"select_dst_port=p3", "output_vlan=10", "snaplen=64"}}},
		flows:   map[string][]string{"br0": {"dl_type=0x1001,actions=2", "dl_type=0x1002,actions=3", "dl_type=0x1003,actions=NORMAL"}},
		traces: []string{"~ br0 in_port=1,dl_type=0x1001", "~ br0 in_port=1,dl_vlan=10,dl_type=0x1001", "~ br0 in_port=1,dl_vlan=20,dl_type=0x1001", "~ br0 in_port=1,dl_type=0x1001,dl_dst=01:80:c2:00:00:00",
			"~ br0 in_port=1,dl_type=0x1002", "~ br0 in_port=2,dl_type=0x1002", "~ br0 in_port=2,dl_vlan=20,dl_type=0x1003", "~ br0 in_port=2,dl_vlan=10,dl_type=0x1003"},
	},
	{ // Two with one output, and one that copies what is copied.
		mirrors: []mirror{{"m", "br0", []string{"select_src_port=p1", "select_dst_port=p2", "output_port=p6"}}, {"n", "br0", []string{"select_dst_port=p2,p3", "output_port=p6"}}, {"o", "br0", []string{"select_dst_port=p6", "output_port=p4"}}},
		flows:   map[string][]string{"br0": {"in_port=1,actions=2,3", "in_port=3,actions=2,1", "in_port=2,actions=3"}},
		traces:  []string{"~ br0 in_port=1", "~ br0 in_port=3", "~ br0 in_port=2"},
	},
	{ // What comes back.
		mirrors: []mirror{{"m", "br0", []string{"select_src_port=p1", "output_port=p6"}}, {"n", "br0", []string{"select_dst_port=p2", "output_port=p4"}}},
		flows: map[string][]string{"br0": {"udp,actions=ct(table=1)", "tcp,actions=2,ct(table=1)", "icmp,actions=ct(table=2)", "table=1,ip,actions=mod_nw_dst:4.4.4.4,2,3", "table=2,icmp,actions=mod_nw_dst:4.4.4.4,ct(table=1)",
			"mpls,actions=pop_mpls:0x0800,2,resubmit(,3)", "table=3,ip,nw_dst=1.1.1.1,actions=2"}},
		traces: []string{"~ br0 in_port=1,udp", "~ br0 in_port=1,tcp", "~ br0 in_port=1,icmp", "~ br0 in_port=3,udp", "~ br0 in_port=3,tcp"},
	},
	{ // Patch ports.
		mirrors: []mirror{{"m", "br0", []string{"select_all=true", "output_port=p6"}}, {"n", "br1", []string{"select_all=true", "output_port=p13"}}},
		flows: map[string][]string{"br0": {"in_port=1,actions=9,2,9", "in_port=3,actions=mod_dl_src:50:54:00:00:00:05,9", "in_port=9,actions=2,9", "in_port=2,icmp,actions=9", "in_port=4,actions=NORMAL"},
			"br1": {"actions=11", "in_port=9,udp,actions=11,IN_PORT,12", "in_port=11,actions=9", "in_port=9,icmp,actions=ct(table=1)", "table=1,actions=12"}},
		traces: []string{"~ br0 in_port=1", "~ br0 in_port=1,udp", "~ br0 in_port=3", "~ br1 in_port=11", "~ br0 in_port=2,icmp", "~ br0 in_port=4"},
	},
	{ // To a patch port.
		mirrors: []mirror{{"m", "br0", []string{"select_all=true", "output_port=q1"}}, {"n", "br0", []string{"select_dst_port=p2", "output_port=q1", "snaplen=80"}}},
		flows:   map[string][]string{"br0": {"in_port=1,actions=2", "in_port=9,actions=NORMAL", "in_port=9,udp,actions=2"}, "br1": {"actions=11,12", "udp,actions=IN_PORT", "in_port=11,actions=9"}},
		traces:  []string{"~ br0 in_port=1", "~ br0 in_port=1,udp", "br1 in_port=11", "br1 in_port=11,udp"},
	},
	{
		mirrors: []mirror{{"m", "br0", []string{"select_src_port=p1", "output_port=q1", "snaplen=80"}}},
		flows:   map[string][]string{"br0": {"in_port=1,actions=2"}},
		traces:  []string{"~ br0 in_port=1"},
	},
}

// TestMirrorTraceLikeStock compares traces through mirrors with those of the stock daemon.
func TestMirrorTraceLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.mirrorBridges()
		s.Ofctl("-OOpenFlow13", "add-group", "br0", "group_id=1,type=all,bucket=mod_dl_src:50:54:00:00:00:09,output:2,bucket=output:2,bucket=output:3")
	}
	traced := 0
	for n, c := range mirrorCases {
		for _, s := range both {
			for _, br := range []string{"br0", "br1"} {
				file := filepath.Join(s.Dir, "flows")
				if err := os.WriteFile(file, []byte(strings.Join(append(c.flows[br], "priority=0,actions=drop"), "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				s.Ofctl("-OOpenFlow13", "replace-flows", br, file)
			}
			s.mirrors(c.mirrors...)
		}
		for _, line := range c.traces {
			traced++
			args, wide := strings.CutPrefix(line, "~ ")
			of := func(s *sim) string {
				out, _ := s.Try("ovs-appctl", append([]string{"ofproto/trace"}, strings.Fields(args)...)...)
				if wide {
					out = regexp.MustCompile("(?m)^Megaflow:.*$").ReplaceAllString(out, "Megaflow")
				}
				return regexp.MustCompile(`recirc\(0x[0-9a-f]+\)|recirc_id=(0x[0-9a-f]+|[1-9]\d*)`).ReplaceAllString(out, "recirc")
			}
			if diff := cmp.Diff(strings.Split(of(stock), "\n"), strings.Split(of(ours), "\n")); diff != "" {
				t.Errorf("case %d %v: %s (-stock +ours):\n%s", n, c.mirrors, line, diff)
			}
		}
	}
	if traced < 50 {
		t.Errorf("only %d traces", traced)
	}
}

// TestMirrorsLikeStock gives random flow tables, mirrors and packets to the stock daemon and to ours, and compares every
// octet that comes out, and what the mirrors count.
func TestMirrorsLikeStock(t *testing.T) {
	t.Parallel()
	const flows, packets = 20, 25
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Appctl("time/stop")
		s.mirrorBridges()
	}
	copies := 0
	for round := range *rounds {
		g := generator{rand.New(rand.NewPCG(uint64(round), 7))}
		var table, trace []string
		for range flows {
			// Not with these: which port comes first is not said anywhere, but decides in which VLAN a copy is.
			table = append(table, strings.NewReplacer("ALL", "NORMAL", "FLOOD", "output:3").Replace(g.flow()))
		}
		var mirrors []mirror
		for n := range 1 + g.IntN(3) {
			mirrors = append(mirrors, mirror{fmt.Sprint("m", n), "br0", g.mirror()})
		}
		for _, s := range both {
			s.reset(table)
			s.mirrors(mirrors...)
		}
		for range packets {
			port, packet := fmt.Sprintf("p%d", 1+g.IntN(5)), g.packet()
			trace = append(trace, port+" "+packet)
			ours.receive(port, packet)
			ours.revalidate()
			stock.receive(port, packet)
			stock.Appctl("revalidator/purge")
		}
		state := func(s *sim) string {
			b := s.state() + "\np6 " + s.Run("ovs-pcap", s.pcap("p6"))
			s.Appctl("time/warp", "6000", "2000")
			for _, m := range mirrors {
				b += "\n" + s.Vsctl("get", "mirror", m.name, "statistics")
			}
			return b
		}
		if diff := difference(func() string { return state(ours) }, func() string { return state(stock) }); diff != "" {
			t.Fatalf("round %d (-stock +ours):\n%s\nmirrors: %v\nflows:\n%s\npackets:\n%s", round, diff, mirrors, strings.Join(table, "\n"), strings.Join(trace, "\n"))
		}
		for _, m := range mirrors {
			var bytes, n int
			if _, err := fmt.Sscanf(ours.Vsctl("get", "mirror", m.name, "statistics"), "{tx_bytes=%d, tx_packets=%d}", &bytes, &n); err != nil {
				t.Fatal(err)
			}
			copies += n
		}
	}
	if copies < 5**rounds {
		t.Errorf("%d rounds made %d copies: too few for a comparison", *rounds, copies)
	}
	t.Logf("%d copies alike", copies)
}

// mirror are the columns of a random mirror.
func (g generator) mirror() []string {
	ports := func() string {
		list := []string{"p1", "p2", "p3", "p4", "p5", "br0"}
		g.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return strings.Join(list[:1+g.IntN(4)], ",")
	}
	columns := []string{g.pick("output_port=p6", "output_port=p5", "output_port=p4", "output_vlan=10", "output_vlan=30")}
	if g.IntN(2) == 0 {
		columns = append(columns, "select_all=true")
	} else {
		columns = append(columns, g.pick("select_src_port=", "select_dst_port=")+ports())
	}
	more := [][]string{nil, nil, {"select_vlan=10"}, {"select_vlan=0,20"}, {"snaplen=40"}, {"snaplen=20", "select_vlan=0"}}
	if strings.HasPrefix(columns[0], "output_vlan") {
		more = more[:4] // when a copy is copied, the stock daemon does not shorten what follows it in the VLAN
	}
	return append(columns, more[g.IntN(len(more))]...)
}
