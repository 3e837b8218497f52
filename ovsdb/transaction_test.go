package ovsdb

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// all are columns of a server that has everything that is written.
func all() columns {
	return columns{
		"Open_vSwitch": set("cur_cfg", "datapath_types", "iface_types", "statistics", "dpdk_initialized", "dpdk_version"),
		"Bridge":       set("datapath_id", "datapath_version", "status", "rstp_status"),
		"Interface":    set("ofport", "error", "mac_in_use", "link_state", "statistics", "lacp_current"),
		"Datapath":     set("capabilities", "datapath_version"),
		"Controller":   set("is_connected", "role", "status"),
	}
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

func TestDiff(t *testing.T) {
	const head = `{"op":"update","table":"Interface","where":[["_uuid","==",["uuid","u"]]],"row":{`
	for _, tc := range []struct {
		name     string
		old, new InterfaceStatus
		server   columns
		all      bool
		want     string
	}{
		{name: "nothing", old: InterfaceStatus{OFPort: ptr(1)}, new: InterfaceStatus{OFPort: ptr(1)}},
		{name: "number", old: InterfaceStatus{OFPort: ptr(1)}, new: InterfaceStatus{OFPort: ptr(2)}, want: head + `"ofport":2}}`},
		{name: "number gone", old: InterfaceStatus{OFPort: ptr(1)}, want: head + `"ofport":["set",[]]}}`},
		{name: "string", new: InterfaceStatus{LinkState: "up"}, want: head + `"link_state":"up"}}`},
		{name: "string gone", old: InterfaceStatus{LinkState: "up"}, want: head + `"link_state":["set",[]]}}`},
		{name: "error", new: InterfaceStatus{Error: ptr("a\nb")}, want: head + `"error":"a\nb"}}`},
		{name: "bool", old: InterfaceStatus{LACPCurrent: ptr(true)}, new: InterfaceStatus{LACPCurrent: ptr(false)}, want: head + `"lacp_current":false}}`},
		{name: "map", old: InterfaceStatus{Statistics: map[string]int64{"a": 1, "b": 2}}, new: InterfaceStatus{Statistics: map[string]int64{"a": -9223372036854775808}},
			want: head + `"statistics":["map",[["a",-9223372036854775808]]]}}`},
		{name: "map gone", old: InterfaceStatus{Statistics: map[string]int64{"a": 1}}, want: head + `"statistics":["map",[]]}}`},
		{name: "nil and empty map", old: InterfaceStatus{Statistics: map[string]int64{}}},
		{name: "column that the server lacks", new: InterfaceStatus{MTU: ptr(3)}},
		{name: "table that the server lacks", new: InterfaceStatus{OFPort: ptr(3)}, server: columns{}},
		{name: "everything", new: InterfaceStatus{OFPort: ptr(3)}, all: true,
			want: head + `"ofport":3,"error":["set",[]],"mac_in_use":["set",[]],"link_state":["set",[]],"lacp_current":["set",[]],"statistics":["map",[]]}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := tc.server
			if server == nil {
				server = columns{"Interface": all()["Interface"]}
			}
			d := transaction{server: server}
			d.diff(&Status{Interfaces: map[string]InterfaceStatus{"u": tc.old}}, &Status{Interfaces: map[string]InterfaceStatus{"u": tc.new}}, tc.all, nil)
			var got []string
			for _, op := range d.ops {
				got = append(got, string(op.json))
			}
			want(t, "operations", strings.Join(got, "\n"), tc.want)
		})
	}
}

func TestDiffRoot(t *testing.T) {
	d := transaction{server: all()}
	d.diff(&Status{}, &Status{}, true, nil)
	want(t, "first, without a configuration", string(d.ops[0].json),
		`{"op":"update","table":"Open_vSwitch","where":[],"row":{"statistics":["map",[]],"dpdk_initialized":false,"dpdk_version":"none"}}`)
	old := &Status{CurCfg: ptr(1), DatapathTypes: []string{"bpf"}, Datapaths: map[string]DatapathStatus{"system": {Capabilities: map[string]string{"a": "b"}}}}
	st := *old
	st.CurCfg, st.DatapathTypes = ptr(2), []string{"bpf", "system"}
	d = transaction{server: all(), rewrite: map[string]bool{"new": true}}
	d.diff(old, &st, false, map[string]string{"system": "new", "other": "x"})
	var got []string
	for _, op := range d.ops {
		got = append(got, string(op.json))
	}
	if diff := cmp.Diff([]string{
		`{"op":"update","table":"Open_vSwitch","where":[],"row":{"cur_cfg":2,"datapath_types":["set",["bpf","system"]]}}`,
		`{"op":"update","table":"Datapath","where":[["_uuid","==",["uuid","new"]]],"row":{"capabilities":["map",[["a","b"]]]}}`,
	}, got); diff != "" {
		t.Error(diff)
	}
}

// TestAppendString: any string becomes JSON that reads back as the same, but for what OVSDB cannot have.
func TestAppendString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "text") {
			s = rapid.String().Draw(t, "string")
		}
		var back string
		b := appendString(nil, s)
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%q is written as %s: %v", s, b, err)
		}
		if strings.Contains(back, "\x00") || !utf8.ValidString(back) {
			t.Fatalf("%q reads back as %q", s, back)
		}
		if utf8.ValidString(s) && back != strings.ReplaceAll(s, "\x00", "") {
			t.Fatalf("%q reads back as %q", s, back)
		}
	})
}

// BenchmarkDiff is what 10,000 interfaces cost whose counters have moved.
func BenchmarkDiff(b *testing.B) {
	make := func(n int64) *Status {
		st := &Status{Interfaces: map[string]InterfaceStatus{}}
		for i := range 10_000 {
			statistics := map[string]int64{}
			for _, k := range []string{"rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors",
				"rx_frame_err", "rx_over_err", "rx_crc_err", "collisions", "rx_missed_errors", "rx_multicast_packets"} {
				statistics[k] = n * int64(i)
			}
			st.Interfaces[fmt.Sprintf("00000000-0000-0000-0000-%012d", i)] = InterfaceStatus{
				OFPort: ptr(i), MACInUse: "00:00:00:00:00:01", LinkState: "up", AdminState: "up", Statistics: statistics,
				Status: map[string]string{"driver_name": "veth", "driver_version": "1.0"},
			}
		}
		return st
	}
	old, st := make(1), make(2)
	server := all()
	b.ReportAllocs()
	for b.Loop() {
		t := transaction{server: server}
		t.diff(old, st, false, nil)
		if len(t.ops) < 9_000 {
			b.Fatal(len(t.ops))
		}
	}
}
