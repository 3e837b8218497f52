package openflow

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// stockReads writes messages to a file and returns what ovs-ofctl says of each.
func stockReads(t *testing.T, msgs [][]byte) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "messages")
	if err := os.WriteFile(file, bytes.Join(msgs, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ovs-ofctl", "ofp-parse", file).Output()
	if err != nil {
		t.Fatal("ovs-ofctl ofp-parse:", err)
	}
	starts := regexp.MustCompile(`(?m)^(OFP|NX|ONF)`).FindAllIndex(out, -1)
	if len(starts) != len(msgs) {
		t.Fatalf("%d messages in %d lines\n%s", len(msgs), len(starts), out[:min(len(out), 2000)])
	}
	var texts []string
	for i, s := range starts {
		end := len(out)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		texts = append(texts, strings.TrimSpace(string(out[s[0]:end])))
	}
	return texts
}

// ovs-ofctl says of our encodings of flow mods what we decoded: the same match and actions in text.
func TestStockReadsFlowMods(t *testing.T) {
	var msgs [][]byte
	var mods []*FlowMod
	var tlvs []*TLVMap
	for _, r := range loadRecorded(t) {
		xid, v, m, err := Decode(r.msg, r.st)
		if err != nil {
			t.Fatal(err)
		}
		fm, ok := m.(*FlowMod)
		if !ok || r.st.FlowModTableID || strings.Contains(FormatActions(fm.Actions, nil), "dec_nsh_ttl") && v < V13 {
			continue // 3.1 does not read its own dec_nsh_ttl before 1.3
		}
		b, err := Append(nil, v, xid, m, r.st)
		if err != nil {
			t.Fatal(err)
		}
		msgs, mods, tlvs = append(msgs, b), append(mods, fm), append(tlvs, r.st.TLV)
	}
	if len(mods) < 1000 {
		t.Fatalf("only %d flow mods", len(mods))
	}
	for i, text := range stockReads(t, msgs) {
		head, actions, _ := strings.Cut(text, " actions=")
		if got := FormatActions(mods[i].Actions, nil); got != actions {
			t.Errorf("actions %s, stock says %s", got, actions)
		}
		if got, want := FormatMatchTLV(&mods[i].Match, nil, tlvs[i]), stockMatch(head); got != want {
			t.Errorf("match %s, stock says %s", got, want)
		}
	}
}

// stockMatch is the match in the text of a flow mod, which stands between the command and what else is said.
func stockMatch(text string) string {
	_, text, _ = strings.Cut(text, "): ")
	for _, word := range strings.Fields(text) {
		name, _, _ := strings.Cut(word, ":")
		switch name {
		case "ADD", "MOD", "MOD_STRICT", "DEL", "DEL_STRICT", "table", "cookie", "idle", "hard", "importance", "out_port", "out_group", "buf",
			"send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts", "flags":
			continue
		}
		return regexp.MustCompile(`^priority=\d+,?`).ReplaceAllString(word, "")
	}
	return ""
}

// Messages that only a switch sends are read as we mean them.
func TestStockReadsReplies(t *testing.T) {
	port := Port{No: 1, HWAddr: [6]byte{2, 0, 0, 0, 0, 1}, Name: "p1", Config: ConfigPortDown, State: StateLinkDown, CurrSpeed: 10000000}
	stats := FlowStats{
		Table: 3, Match: match(), Priority: 7, DurationSec: 5, Idle: 9, IdleAge: -1, HardAge: -1,
		Packets: 2, Bytes: 120, Actions: []Action{Output{Port: 4}},
	}
	for _, c := range []struct {
		msg  Message
		from Version
		want string // in what stock says
	}{
		{&FeaturesReply{DatapathID: 0xabc, Tables: 254, Capabilities: 0x4f}, V10, "dpid:0000000000000abc"},
		{&PortStatus{Reason: 2, Port: port}, V10, "1(p1): addr:02:00:00:00:00:01"},
		{&MultipartReply{Body: &PortDescReply{Ports: []Port{port}}}, V10, "PORT_DOWN"},
		{&MultipartReply{Body: &FlowReply{Flows: []FlowStats{stats, stats}}}, V10, "n_packets=2, n_bytes=120, idle_timeout=9, priority=7 actions=output:4"},
		{&MultipartReply{Body: &AggregateReply{Packets: 5, Bytes: 6, Flows: 7}}, V10, "packet_count=5 byte_count=6 flow_count=7"},
		{&MultipartReply{Body: &PortStatsReply{Ports: []PortStats{{Port: 3, RxPackets: 11, TxBytes: 22}}}}, V10, "rx pkts=11"},
		{&MultipartReply{Body: &QueueReply{Queues: []QueueStats{{Port: 3, Queue: 4, TxPackets: 9}}}}, V10, "queue 4: bytes=0, pkts=9"},
		{&MultipartReply{Body: &TableReply{Tables: []TableStats{{Table: 1, Name: "classifier", Max: 1000000, Active: 8, Lookup: 9, Matched: 10}}}}, V10, "active=8, lookup=9, matched=10"},
		{&MultipartReply{Body: &DescReply{Manufacturer: "Nicira, Inc.", Serial: "None"}}, V10, "Manufacturer: Nicira, Inc."},
		{&MultipartReply{Body: &GroupFeaturesReply{Types: 0xf}}, V12, "Types:  0xf"},
		{&MultipartReply{Body: &MeterFeaturesReply{MaxMeter: 77, BandTypes: 2}}, V13, "max_meter:77"},
		{&FlowRemoved{Match: match(), Priority: 9, Reason: RemovedHardTimeout, DurationSec: 3, Packets: 4, Bytes: 5}, V10, "reason=hard"},
		{&PacketIn{BufferID: NoBuffer, Reason: ReasonAction, Packet: make([]byte, 60), Metadata: match()}, V10, "(via action)"},
		{&PacketIn{BufferID: NoBuffer, Format: PacketInNXT, Reason: ReasonAction, Packet: make([]byte, 60), Table: 4}, V10, "table_id=4"},
		{&PacketIn{BufferID: NoBuffer, Format: PacketInNXT2, Packet: make([]byte, 60), Userdata: []byte{1, 2}, Cookie: 5}, V10, "userdata=01.02"},
		{&RoleReply{Role: RolePrimary}, V10, "role=primary"},
		{&RoleStatus{Role: RoleSecondary, Reason: 1, GenerationID: 4}, V13, "role=secondary"},
		{&BundleControl{ID: 5, Type: 1}, V13, "OPEN_REPLY"},
		{&TLVTableReply{MaxSpace: 256, MaxFields: 64, Maps: []TLVMapping{{Class: 0x102, Type: 0x80, Len: 4}}}, V10, "0x102"},
		{&MultipartReply{Body: &FlowMonitorReply{Updates: []FlowUpdate{
			{Event: UpdateAdded, Table: 4, Priority: 9, Cookie: 0x77, Match: match(), Actions: []Action{Output{Port: 3}}},
			{Event: UpdateRemoved, Reason: uint8(RemovedDelete), Table: 5, Priority: 9, Match: match()},
			{Event: UpdateAbbrev, XID: 0x1234},
		}}}, V10, "event=ABBREV xid=0x1234"},
		{&MultipartReply{Body: &FlowMonitorReply{Updates: []FlowUpdate{
			{Event: UpdateAdded, Table: 4, Priority: 9, Cookie: 0x77, Match: match(), Actions: []Action{Output{Port: 3}}},
		}}}, V10, "event=ADDED table=4 cookie=0x77 actions=output:3"},
		{&MultipartReply{Body: &FlowMonitorReply{Updates: []FlowUpdate{
			{Event: UpdateRemoved, Reason: uint8(RemovedDelete), Table: 5, Match: match(flow.EthType, 0x800)},
		}}}, V10, "event=DELETED reason=delete table=5 cookie=0 ip"},
		{&MultipartRequest{Body: &FlowMonitorRequest{Monitors: []FlowMonitor{
			{ID: 5, Flags: MonitorAdd | MonitorRemoved, Table: 3, OutPort: 9, OutGroup: GroupAny, Match: match(flow.EthType, 0x800)},
		}}}, V10, "flags=add,delete"},
		{&MultipartReply{Body: &TableFeaturesReply{Tables: []TableFeatures{{Table: 7, Name: "seven", MaxEntries: 12345}}}}, V13, "seven"},
		{&MultipartReply{Body: &TableDescReply{Tables: []TableMod{{Table: 7}}}}, V14, "table 7"},
		{&TableStatus{Reason: 3, Table: TableMod{Table: 7, HasVacancy: true, VacancyDown: 10, Up: 20, Now: 9}}, V14, "VACANCY_DOWN"},
		{&RequestForward{XID: 9, Message: &GroupMod{ID: 77, CommandBucket: BucketAll}}, V10, "group_id=77"},
		{&MultipartReply{Body: &GroupStatsReply{Groups: []GroupStats{{ID: 7, Packets: 5, Bytes: 6, Buckets: []Counts{{1, 2}}}}}}, V10, "packet_count=5"},
		{&MultipartReply{Body: &GroupDescReply{Groups: []GroupDesc{{ID: 7, Type: GroupTypeSelect, Buckets: []Bucket{
			{Weight: 50, WatchPort: PortAny, WatchGroup: GroupAny, Actions: []Action{Output{Port: 6}}},
		}}}}}, V10, "weight:50"},
		{&MultipartReply{Body: &MeterStatsReply{Meters: []MeterStats{{ID: 7, Packets: 5, Bands: []Counts{{1, 2}}}}}}, V13, "packet_in_count:5"},
		{&MultipartReply{Body: &MeterConfigReply{Meters: []MeterConfig{{ID: 7, Flags: 1, Bands: []MeterBand{{Type: 1, Rate: 99}}}}}}, V13, "rate=99"},
		{&MultipartReply{Body: &QueueDescReply{Queues: []QueueConfig{{Port: 1, Queue: 2, MinRate: 500, MaxRate: RateUnknown}}}}, V14, "min_rate:50.0%"},
		{&GetAsyncReply{Masks: [NumAsync][2]uint32{{3, 0}}}, V13, "no_match"},
		{&Error{Err: FlowModOverlap, Data: make([]byte, 8)}, V10, "OFPFMFC_OVERLAP"},
	} {
		for v := c.from; v <= V15; v++ {
			msg := c.msg
			b, err := Encode(v, 1, msg)
			if err != nil {
				t.Errorf("%s in version %d: %v", messageName(msg), v, err)
				continue
			}
			if text := stockReads(t, [][]byte{b})[0]; !strings.Contains(text, c.want) {
				t.Errorf("%s in version %d: %s lacks %q", messageName(msg), v, text, c.want)
			}
		}
	}
}
