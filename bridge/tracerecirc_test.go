package bridge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// TestParseCTNext has the states and words of a stock ovs-vswitchd 3.1.
func TestParseCTNext(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want uint32
		err  string
	}{
		{in: "trk,new", want: 0x21},
		{in: "trk, est dnat", want: 0xa2},
		{in: "trk,inv", want: 0x30},
		{in: "", want: 0},
		{in: "est|rpl", err: "est|rpl: unknown connection tracking state flag"},
		{in: "new,rpl", err: "new|rpl: invalid connection state: If \"trk\" is unset, no other flags are set\n" +
			"new|rpl: invalid connection state: \"new\" and \"rpy\" are mutually exclusive\n"},
		{in: "trk,new,est,inv", err: "new|est|inv|trk: invalid connection state: when \"inv\" is set, only \"trk\" may also be set\n" +
			"new|est|inv|trk: invalid connection state: \"new\" and \"est\" are mutually exclusive\n"},
	} {
		got, err := parseCTNext(tc.in)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && err.Error() != tc.err {
			t.Errorf("%q: %#x, %v", tc.in, got, err)
		}
	}
}

// TestResume has headlines and flows of a stock ovs-vswitchd 3.1.
func TestResume(t *testing.T) {
	nat := &odp.NAT{Src: true, MinAddr: []byte{10, 0, 0, 1}, MaxAddr: []byte{10, 0, 0, 9}, MinPort: 1000, MaxPort: 2000}
	actions := []odp.Action{
		odp.Clone{Actions: []odp.Action{odp.CT{Commit: true, Zone: 6, NAT: nat}, odp.Recirc{ID: 0x12}}},
		odp.CT{Zone: 9}, odp.Recirc{ID: 0x13},
	}
	var f flow.Key
	f.Set(flow.EthType, 0x0800)
	f.SetBytes(flow.IPv4Src, []byte{9, 9, 9, 9})
	f.Set(flow.TCPSrc, 5)
	list := recirculations([]pipeline.Event{{Recirc: 0x12, Flow: f}, {Recirc: 0x13, Flow: f}, {Recirc: 0x14, Flow: f}}, actions)
	if len(list) != 2 {
		t.Fatalf("%d recirculations, want those of 0x12 and 0x13", len(list))
	}
	var s strings.Builder
	list[0].resume(&s, 0)
	list[1].resume(&s, ctTracked|ctEstablished)
	line := strings.Repeat("=", 79) + "\n"
	want := "\n" + line + "recirc(0x12) - resume conntrack with default ct_state=trk|new (use --ct-next to customize)\n" +
		"Replacing src/dst IP/ports to simulate NAT:\n" +
		" Initial flow: nw_src=9.9.9.9,tp_src=5,nw_dst=0.0.0.0,tp_dst=0\n" +
		" Modified flow: nw_src=10.0.0.1,tp_src=1000,nw_dst=0.0.0.0,tp_dst=0\n" + line + "\n" +
		"\n" + line + "recirc(0x13) - resume conntrack with ct_state=est|trk\n" + line + "\n"
	if diff := cmp.Diff(want, s.String()); diff != "" {
		t.Error(diff)
	}
	if k := &list[1].flow; k.Get(flow.CTState) != 0x22 || k.Get(flow.CTZone) != 9 || k.Get(flow.RecircID) != 0x13 || k.Get(flow.TCPSrc) != 5 {
		t.Errorf("ct_state %#x, zone %d, recirc_id %#x, port %d", k.Get(flow.CTState), k.Get(flow.CTZone), k.Get(flow.RecircID), k.Get(flow.TCPSrc))
	}
}
