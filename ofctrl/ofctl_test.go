package ofctrl

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

var allVersions = []string{"OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"}

// head is the first line of a flow dump.
func head(version string) string {
	if version == "OpenFlow10" {
		return "NXST_FLOW reply:"
	}
	return fmt.Sprintf("OFPST_FLOW reply (OF%s.%s):", version[8:9], version[9:])
}

// TestOfctlFlows drives the tables through the stock ovs-ofctl in each version.
func TestOfctlFlows(t *testing.T) {
	for _, v := range allVersions {
		t.Run(v, func(t *testing.T) {
			b := newBench(t, false, nil)
			b.SetFailMode(true)
			ofctl := func(args ...string) string { return b.ofctl(append([]string{"-O", v}, args...)...) }
			quiet := func(args ...string) {
				t.Helper()
				if out := ofctl(args...); out != "" {
					t.Errorf("%v:\n%s", args, out)
				}
			}
			dump := func(want ...string) {
				t.Helper()
				got := ofctl("dump-flows", "BR")
				if d := cmp.Diff(strings.Join(append([]string{head(v)}, want...), "\n"), got); d != "" {
					t.Errorf("flows (-want +got):\n%s", d)
				}
			}
			one := func(rest string) string {
				prefix, match, ok := strings.Cut(rest, "; ")
				if !ok {
					match, prefix = rest, ""
				}
				if prefix == "" {
					prefix = "table=0, n_packets=0, n_bytes=0,"
				}
				return " cookie=0x0, " + prefix + " " + match
			}
			dump()
			quiet("add-flow", "BR", "priority=7,in_port=1,actions=output:2")
			dump(one("priority=7,in_port=1 actions=output:2"))
			quiet("add-flow", "BR", "priority=7,in_port=1,actions=output:LOCAL")
			dump(one("priority=7,in_port=1 actions=LOCAL"))
			quiet("mod-flows", "BR", "in_port=1,actions=output:2,NORMAL")
			dump(one("priority=7,in_port=1 actions=output:2,NORMAL"))
			quiet("--strict", "mod-flows", "BR", "priority=7,in_port=1,actions=drop")
			dump(one("priority=7,in_port=1 actions=drop"))
			quiet("--strict", "del-flows", "BR", "priority=8,in_port=1")
			dump(one("priority=7,in_port=1 actions=drop"))
			quiet("del-flows", "BR", "in_port=2")
			dump(one("priority=7,in_port=1 actions=drop"))
			quiet("--strict", "del-flows", "BR", "priority=7,in_port=1")
			dump()

			quiet("add-flow", "BR", "table=5,tcp,nw_dst=10.0.0.0/8,idle_timeout=30,actions=mod_nw_dst:1.2.3.4,output:1")
			quiet("add-flow", "BR", "table=5,priority=1,actions=drop")
			dump(one("table=5, n_packets=0, n_bytes=0, idle_timeout=30,; tcp,nw_dst=10.0.0.0/8 actions="+map[bool]string{true: "mod_nw_dst:1.2.3.4", false: "set_field:1.2.3.4->ip_dst"}[v < "OpenFlow12"]+",output:1"),
				one("table=5, n_packets=0, n_bytes=0,; priority=1 actions=drop"))
			if got := ofctl("dump-flows", "BR", "table=5,tcp"); strings.Count(got, "\n") != 1 {
				t.Errorf("dump with a filter:\n%s", got)
			}
			if got := ofctl("dump-flows", "BR", "table=4"); got != head(v) {
				t.Errorf("dump of an empty table:\n%s", got)
			}
			if got := ofctl("dump-flows", "BR", "out_port=1"); strings.Count(got, "\n") != 1 {
				t.Errorf("dump by output port:\n%s", got)
			}
			quiet("del-flows", "BR", "table=4")
			quiet("del-flows", "BR", "table=5")
			dump()

			quiet("add-flow", "BR", "cookie=0x15,in_port=1,actions=output:2")
			quiet("add-flow", "BR", "cookie=0x25,in_port=2,actions=output:1")
			quiet("add-flow", "BR", "cookie=0x26,in_port=3,actions=output:1")
			quiet("mod-flows", "BR", "cookie=0x05/0x0f,actions=drop")
			if v != "OpenFlow10" {
				quiet("del-flows", "BR", "cookie=0x20/0xf0,out_port=1")
			} else {
				quiet("del-flows", "BR", "cookie=0x26/-1")
			}
			got := ofctl("dump-flows", "BR")
			for _, want := range []string{"cookie=0x15", "cookie=0x25", "in_port=2 actions=drop"} {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in:\n%s", want, got)
				}
			}
			if strings.Contains(got, "cookie=0x26") {
				t.Errorf("0x26 is not deleted:\n%s", got)
			}
			quiet("del-flows", "BR")
			dump()
		})
	}
}

// TestOfctlErrors checks the errors that ovs-ofctl prints.
func TestOfctlErrors(t *testing.T) {
	b := newBench(t, false, nil)
	b.ofctl("add-flow", "BR", "priority=5,tcp,actions=drop")
	tests := []struct {
		args string
		want string
	}{
		{"-O OpenFlow13 add-flow BR check_overlap,priority=5,in_port=1,actions=drop", "OFPFMFC_OVERLAP"},
		{"add-flow BR table=254,actions=drop", "OFPBRC_EPERM"},
		{"del-flows BR table=254", "OFPBRC_EPERM"},
		{"add-flow BR recirc_id=3,actions=drop", "OFPBRC_EPERM"},
		{"-O OpenFlow13 add-flow BR udp,actions=group:7", "OFPBAC_BAD_OUT_GROUP"},
		{"-O OpenFlow13 add-flow BR udp,actions=meter:7", "OFPMMFC_INVALID_METER"},
		{"-O OpenFlow13 queue-stats BR 99 1", "OFPQOFC_BAD_PORT"},
		{"-O OpenFlow13 queue-stats BR 1 7", "OFPQOFC_BAD_QUEUE"},
		{"-O OpenFlow13 dump-meters BR meter=5", "OFPMMFC_UNKNOWN_METER"},
	}
	before := b.ofctl("dump-flows", "BR")
	for _, tt := range tests {
		if got := b.ofctl(strings.Fields(tt.args)...); !strings.Contains(got, tt.want) {
			t.Errorf("%s: no %q in:\n%s", tt.args, tt.want, got)
		}
	}
	if d := cmp.Diff(before, b.ofctl("dump-flows", "BR")); d != "" {
		t.Errorf("errors changed flows:\n%s", d)
	}
}

// TestOfctlShow compares the answers to what people look at first with a stock switch's.
func TestOfctlShow(t *testing.T) {
	b := newBench(t, false, nil)
	tests := []struct{ name, args, want string }{
		{"default flow", "dump-flows BR", "NXST_FLOW reply:\n cookie=0x0, table=0, n_packets=0, n_bytes=0, priority=0 actions=NORMAL"},
		{"internal table", "dump-flows BR table=254", `NXST_FLOW reply:
 cookie=0x0, table=254, n_packets=0, n_bytes=0, priority=2,recirc_id=0 actions=drop
 cookie=0x0, table=254, n_packets=0, n_bytes=0, priority=0,reg0=0x1 actions=controller(reason=)
 cookie=0x0, table=254, n_packets=0, n_bytes=0, priority=0,reg0=0x2 actions=drop
 cookie=0x0, table=254, n_packets=0, n_bytes=0, priority=0,reg0=0x3 actions=drop`},
		{"aggregate", "dump-aggregate BR", "NXST_AGGREGATE reply: packet_count=0 byte_count=0 flow_count=1"},
		{"aggregate 1.3", "-O OpenFlow13 dump-aggregate BR", "OFPST_AGGREGATE reply (OF1.3): packet_count=0 byte_count=0 flow_count=1"},
		{"desc", "dump-desc BR", `OFPST_DESC reply:
Manufacturer: Nicira, Inc.
Hardware: Open vSwitch
Software: 3.7.0
Serial Num: None
DP Description: None`},
		{"show", "show BR", `OFPT_FEATURES_REPLY: dpid:0000020000000001
n_tables:254, n_buffers:0
capabilities: FLOW_STATS TABLE_STATS PORT_STATS QUEUE_STATS ARP_MATCH_IP
actions: output enqueue set_vlan_vid set_vlan_pcp strip_vlan mod_dl_src mod_dl_dst mod_nw_src mod_nw_dst mod_nw_tos mod_tp_src mod_tp_dst
 1(p1): addr:02:00:00:00:00:01
     config:     0
     state:      0
     current:    10GB-FD COPPER
     speed: 10000 Mbps now, 0 Mbps max
 2(p2): addr:02:00:00:00:00:02
     config:     PORT_DOWN
     state:      LINK_DOWN
     speed: 0 Mbps now, 0 Mbps max
 LOCAL(br0): addr:02:00:00:00:00:ff
     config:     0
     state:      0
     speed: 0 Mbps now, 0 Mbps max
OFPT_GET_CONFIG_REPLY: frags=normal miss_send_len=0`},
		{"show 1.5", "-O OpenFlow15 show BR", `OFPT_FEATURES_REPLY (OF1.5): dpid:0000020000000001
n_tables:254, n_buffers:0
capabilities: FLOW_STATS TABLE_STATS PORT_STATS GROUP_STATS QUEUE_STATS BUNDLES
OFPST_PORT_DESC reply (OF1.5):
 1(p1): addr:02:00:00:00:00:01
     config:     0
     state:      0
     current:    10GB-FD COPPER
     speed: 10000 Mbps now, 0 Mbps max
 2(p2): addr:02:00:00:00:00:02
     config:     PORT_DOWN
     state:      LINK_DOWN
     speed: 0 Mbps now, 0 Mbps max
 LOCAL(br0): addr:02:00:00:00:00:ff
     config:     0
     state:      0
     speed: 0 Mbps now, 0 Mbps max
OFPT_GET_CONFIG_REPLY (OF1.5): frags=normal miss_send_len=0`},
		{"port by number", "-O OpenFlow15 dump-ports-desc BR 2", `OFPST_PORT_DESC reply (OF1.5):
 2(p2): addr:02:00:00:00:00:02
     config:     PORT_DOWN
     state:      LINK_DOWN
     speed: 0 Mbps now, 0 Mbps max`},
		{"port counters", "dump-ports BR p1", `OFPST_PORT reply: 1 ports
  port  1: rx pkts=10, bytes=852, drop=0, errs=?, frame=0, over=0, crc=0
           tx pkts=15, bytes=1278, drop=0, errs=0, coll=0`},
		{"no such port", "dump-ports BR 77", "OFPST_PORT reply: 0 ports"},
		{"tables", "-O OpenFlow15 dump-tables BR", `OFPST_TABLE reply (OF1.5):
  table 0:
    active=1, lookup=0, matched=0

  table 1:
    active=0, lookup=0, matched=0

  tables 2...253: ditto`},
		{"tables 1.0", "dump-tables BR", `OFPST_TABLE reply:
  table 0:
    active=1, lookup=0, matched=0
    max_entries=1000000
    matching:
      exact match or wildcard: in_port eth_{src,dst,type} vlan_{vid,pcp} ip_{src,dst} nw_{proto,tos} tcp_{src,dst}

  table 1:
    active=0, lookup=0, matched=0
    (same features)

  tables 2...253: ditto`},
		{"groups", "-O OpenFlow13 dump-groups BR", "OFPST_GROUP_DESC reply (OF1.3):"},
		{"groups 1.0", "dump-groups BR", "NXST_GROUP_DESC reply:"},
		{"group counters 1.0", "dump-group-stats BR", "NXST_GROUP reply:"},
		{"group counters", "-O OpenFlow15 dump-group-stats BR", "OFPST_GROUP reply (OF1.5):"},
		{"meters", "-O OpenFlow13 dump-meters BR", "OFPST_METER_CONFIG reply (OF1.3):"},
		{"meter counters", "-O OpenFlow13 meter-stats BR", "OFPST_METER reply (OF1.3):"},
		{"meter features", "-O OpenFlow13 meter-features BR", `OFPST_METER_FEATURES reply (OF1.3):
max_meter:262144 max_bands:8 max_color:0
band_types: drop
capabilities: kbps pktps burst stats`},
		{"queues", "queue-stats BR", "OFPST_QUEUE reply: 0 queues"},
		{"probe", "-O OpenFlow14 probe BR", ""},
		{"ping", "ping BR", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := b.ofctl(strings.Fields(tt.args)...)
			if tt.name == "ping" {
				if !strings.Contains(got, "64 bytes from") {
					t.Error(got)
				}
				return
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	got := b.ofctl("-O", "OpenFlow13", "dump-group-features", "BR")
	if n := strings.Count(got, "max_groups=0xffffff00\n       actions: output group set_field strip_vlan push_vlan mod_nw_ttl dec_ttl set_mpls_ttl dec_mpls_ttl push_mpls pop_mpls set_queue"); n != 4 {
		t.Errorf("group features:\n%s", got)
	}
	for _, v := range []string{"OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		got = b.ofctl("-O", v, "dump-table-features", "BR")
		for _, want := range []string{
			"apply_actions clear_actions write_actions write_metadata goto_table", "next tables: 1-253",
			"actions: output group set_field strip_vlan push_vlan", "max_entries=1000000", "tables 1...252: ditto", "table 253",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %q in table features:\n%.3000s", v, want, got)
			}
		}
	}
}

// TestOfctlChanges checks what ovs-ofctl does to the host.
func TestOfctlChanges(t *testing.T) {
	b := newBench(t, false, nil)
	for i, v := range allVersions {
		packet := fmt.Sprintf("ffffffffffff0200000000%02x0800", i)
		if out := b.ofctl("-O", v, "packet-out", "BR", "in_port=controller packet="+packet+" actions=output:1,mod_vlan_vid:3,output:2"); out != "" {
			t.Errorf("%s: %s", v, out)
		}
		b.wait("packet-out", func() bool {
			b.host.mu.Lock()
			defer b.host.mu.Unlock()
			return len(b.host.packetOuts) == i+1
		})
		po := b.host.packetOuts[i]
		if po.InPort != openflow.PortController || fmt.Sprintf("%x", po.Packet) != packet || len(po.Actions) < 3 || po.Actions[0] != openflow.Action(openflow.Output{Port: 1}) {
			t.Errorf("%s: %+v", v, po)
		}
		for _, change := range []struct {
			how  string
			want uint32
		}{{"down", openflow.ConfigPortDown}, {"no-flood", openflow.ConfigPortDown | openflow.ConfigNoFlood}, {"up", openflow.ConfigNoFlood}, {"flood", 0}} {
			if change.how == "no-flood" || change.how == "flood" {
				if v != "OpenFlow10" {
					continue // 1.1 dropped the bit
				}
			}
			want := change.want
			if v != "OpenFlow10" {
				want &= openflow.ConfigPortDown
			}
			if out := b.ofctl("-O", v, "mod-port", "BR", "p1", change.how); out != "" {
				t.Errorf("%s: %s", v, out)
			}
			if got := b.host.Ports()[0].Config; got != want {
				t.Errorf("%s: %s: config %#x, want %#x", v, change.how, got, want)
			}
		}
	}
	for _, mode := range []string{"drop", "nx-match", "normal"} {
		b.ofctl("set-frags", "BR", mode)
		if got := b.ofctl("get-frags", "BR"); got != mode {
			t.Errorf("fragments: %q, want %q", got, mode)
		}
	}
	if got := b.ofctl("set-frags", "BR", "reassemble"); !strings.Contains(got, "failed") {
		t.Errorf("reassembly: %q", got)
	}
	if b.host.frag != openflow.FragNormal {
		t.Errorf("fragments %d", b.host.frag)
	}
}

// monitor runs `ovs-ofctl monitor`, which asks for a packet-in format, and gives the lines that it
// prints.
func (b *bench) monitor(format openflow.PacketInFormat, args ...string) <-chan string {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "ovs-ofctl", append(args[:len(args):len(args)], "monitor", "unix:"+b.mgmt(), "65534")...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+b.dir) // for its control socket
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	lines := make(chan string, 1000)
	b.t.Cleanup(func() {
		cancel()
		for range lines {
		}
		_ = cmd.Wait()
	})
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			lines <- clean(sc.Text())
		}
	}()
	b.wait("the monitor's setting", func() bool {
		b.Switch.mu.Lock()
		defer b.Switch.mu.Unlock()
		for c := range b.conns {
			if c.missSendLen == 65534 && c.format == format {
				return true
			}
		}
		return false
	})
	// While it still waits for answers about its settings, it throws away other messages; then it opens its socket.
	b.wait("the monitor's socket", func() bool {
		_, err := os.Stat(filepath.Join(b.dir, fmt.Sprintf("ovs-ofctl.%d.ctl", cmd.Process.Pid)))
		return err == nil
	})
	return lines
}

func (b *bench) expect(lines <-chan string, want ...string) {
	b.t.Helper()
	timeout := time.After(20 * time.Second)
	for _, w := range want {
		for {
			select {
			case got, ok := <-lines:
				if !ok {
					b.t.Fatalf("the monitor ended before %q", w)
				}
				if got == w {
					break
				}
				b.t.Logf("monitor: %s", got)
				continue
			case <-timeout:
				b.t.Fatalf("the monitor did not print %q", w)
			}
			break
		}
	}
}

func TestMonitor(t *testing.T) {
	for _, v := range allVersions {
		t.Run(v, func(t *testing.T) {
			b := newBench(t, true, nil)
			b.SetFailMode(true)
			lines := b.monitor(openflow.PacketInNXT2, "-O", v)
			tag := ""
			if v != "OpenFlow10" {
				tag = fmt.Sprintf(" (OF%s.%s)", v[8:9], v[9:])
			}
			var m flow.Match
			m.Set(flow.InPortOXM, 1)
			packet := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x12, 0x34}
			b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: packet, Metadata: m, Cookie: 7, Table: 3}, InPort: 1})
			b.expect(lines, "NXT_PACKET_IN2"+tag+": table_id=3 cookie=0x7 total_len=14 in_port=1 (via action) data_len=14 (unbuffered)")
			b.SendPacketIn(&PacketIn{PacketIn: openflow.PacketIn{Reason: openflow.ReasonAction, Packet: packet, Metadata: m}, ControllerID: 5})
			p := b.host.Ports()[0]
			p.State = openflow.StateLinkDown
			b.PortStatus(2, p)
			b.expect(lines, "OFPT_PORT_STATUS"+tag+": MOD: 1(p1): addr:02:00:00:00:00:01", "     state:      LINK_DOWN")
			b.PortStatus(1, p)
			b.expect(lines, "OFPT_PORT_STATUS"+tag+": DEL: 1(p1): addr:02:00:00:00:00:01")

			b.ofctl("-O", v, "add-flow", "BR", "in_port=1,send_flow_rem,idle_timeout=10,cookie=9,actions=drop")
			b.ofctl("-O", v, "add-flow", "BR", "in_port=2,send_flow_rem,hard_timeout=20,actions=drop")
			b.ofctl("-O", v, "add-flow", "BR", "in_port=3,send_flow_rem,actions=drop")
			b.ofctl("-O", v, "add-flow", "BR", "in_port=4,hard_timeout=5,actions=drop")
			b.ofctl("-O", v, "del-flows", "BR", "in_port=3")
			var removed []string
			b.advance(time.Second, "removals", func() bool {
				select {
				case l := <-lines:
					if strings.Contains(l, "FLOW_REMOVED") {
						removed = append(removed, l)
					}
				default:
				}
				return len(removed) >= 3
			})
			for i, want := range []string{"in_port=3 reason=delete", "in_port=1 reason=idle cookie:0x9", "in_port=2 reason=hard"} {
				for _, w := range strings.Fields(want) {
					if !strings.Contains(removed[i], w) {
						t.Errorf("no %q in %q", w, removed[i])
					}
				}
			}
		})
	}
}

func TestPacketInFormats(t *testing.T) {
	for _, v := range allVersions {
		for format, name := range map[openflow.PacketInFormat]string{
			openflow.PacketInStandard: "standard", openflow.PacketInNXT: "nxt_packet_in", openflow.PacketInNXT2: "nxt_packet_in2",
		} {
			t.Run(v+" "+name, func(t *testing.T) {
				b := newBench(t, false, nil)
				lines := b.monitor(format, "-O", v, "-P", name)
				var m flow.Match
				m.Set(flow.InPortOXM, 2)
				m.Set(flow.Metadata, 5)
				packet := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x12, 0x34}
				b.SendPacketIn(&PacketIn{
					PacketIn: openflow.PacketIn{Reason: openflow.ReasonNoMatch, Packet: packet, TotalLen: 14, Metadata: m, Cookie: 7, Table: 3}, InPort: 2,
				})
				got := <-lines
				for strings.HasPrefix(got, "OFPT_ECHO_REQUEST") { // of a tool that waited long
					got = <-lines
				}
				prefix := [...]string{"OFPT_PACKET_IN", "NXT_PACKET_IN", "NXT_PACKET_IN2"}[format]
				if !strings.HasPrefix(got, prefix) || !strings.Contains(got, "in_port=2 ") || !strings.Contains(got, "(via no_match) data_len=14 (unbuffered)") {
					t.Errorf("got %q", got)
				}
				// What a form can say, it says.
				if v >= "OpenFlow13" || format != openflow.PacketInStandard {
					for _, want := range []string{"table_id=3", "cookie=0x7", "metadata=0x5"} {
						if !strings.Contains(got, want) {
							t.Errorf("no %q in %q", want, got)
						}
					}
				}
			})
		}
	}
}
