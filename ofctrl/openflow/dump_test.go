package openflow

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// A flow that was added with the newest version can be dumped with every version, though some say less.
func TestDumpInEveryVersion(t *testing.T) {
	f := FlowStats{
		Match: match(flow.EthType, ethIP, flow.NwProto, ipTCP, flow.TCPDst, 80, flow.Reg0, 7), IdleAge: 3, HardAge: -1,
		Actions: []Action{
			Meter{5}, SetField{Field: flow.EthDst, Value: make([]byte, 6)}, PushVLAN{0x8100}, SetVLANVID{VID: 7},
			SetField{Field: flow.Metadata, Value: make([]byte, 8), Mask: []byte{7: 0xf0}},
			CT{Commit: true, RecircTable: 4, Actions: []Action{NAT{Flags: natSrc, AddrMin: []byte{10, 0, 0, 1}}}},
			ClearActions{}, WriteActions{[]Action{Output{Port: 3}}}, WriteMetadata{5, 0xff}, GotoTable{9},
		},
	}
	const (
		ct    = "ct(commit,table=4,nat(src=10.0.0.1))"
		load  = "load:0->OXM_OF_METADATA[4..7]," + ct
		insts = ",clear_actions,write_actions(output:3),write_metadata:0x5/0xff,goto_table:9"
		oxm   = "set_field:00:00:00:00:00:00->eth_dst,push_vlan:0x8100,set_field:4103->vlan_vid,"
	)
	want := map[Version]string{
		V10: "mod_dl_dst:00:00:00:00:00:00,mod_vlan_vid:7," + load + ",write_metadata:0x5/0xff,resubmit(,9)",
		V11: "mod_dl_dst:00:00:00:00:00:00,push_vlan:0x8100,set_vlan_vid:7," + load + insts,
		V12: oxm + load + insts,
		V13: "meter:5," + oxm + load + insts,
		V14: "meter:5," + oxm + load + insts,
		V15: "meter:5," + oxm + "set_field:0/0xf0->metadata," + ct + insts,
	}
	for v := V10; v <= V15; v++ {
		b, err := Encode(v, 1, &MultipartReply{Body: &FlowReply{Flows: []FlowStats{f}, Nicira: true}})
		if err != nil {
			t.Errorf("version %d: %v", v, err)
			continue
		}
		_, _, m, err := Decode(b, nil)
		if err != nil {
			t.Errorf("version %d: %v\n%x", v, err, b)
			continue
		}
		got := m.(*MultipartReply).Body.(*FlowReply).Flows
		if len(got) != 1 || v != V11 && got[0].Match != f.Match {
			t.Errorf("version %d: %+v", v, got)
			continue
		}
		if text := FormatActions(got[0].Actions, nil); text != want[v] {
			t.Errorf("version %d: %s, want %s", v, text, want[v])
		}
	}
}
