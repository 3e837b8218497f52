package ofctrl

import (
	"errors"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

func TestCheckActions(t *testing.T) {
	type list = []openflow.Action
	match := func(fields ...uint64) *flow.Match {
		var m flow.Match
		for i := 0; i < len(fields); i += 2 {
			m.Set(flow.FieldID(fields[i]), fields[i+1])
		}
		return &m
	}
	any := match()
	ip := match(uint64(flow.EthType), 0x800)
	tcp := match(uint64(flow.EthType), 0x800, uint64(flow.NwProto), 6)
	mpls := match(uint64(flow.EthType), 0x8847)
	tagged := match(uint64(flow.VLANTCI), flow.VLANPresent|5)
	setIP := openflow.SetField{Field: flow.IPv4Dst, Value: []byte{1, 2, 3, 4}}
	oldIP := openflow.SetField{Field: flow.IPv4Dst, Value: []byte{1, 2, 3, 4}, Legacy: true}
	setVID := openflow.SetField{Field: flow.VLANVID, Value: []byte{0x10, 5}}
	bad := openflow.ActionMatchInconsistent
	for _, tt := range []struct {
		name    string
		v       openflow.Version
		m       *flow.Match
		actions list
		want    error
	}{
		{"nothing", openflow.V13, any, nil, nil},
		{"outputs", openflow.V13, any, list{openflow.Output{Port: 1}, openflow.Output{Port: openflow.PortNormal}, openflow.Output{Port: openflow.PortLocal}}, nil},
		{"output to no port", openflow.V13, any, list{openflow.Output{Port: openflow.PortAny}}, openflow.ActionBadOutPort},
		{"output to a port that cannot be", openflow.V13, any, list{openflow.Output{Port: 0xff00}}, openflow.ActionBadOutPort},
		{"hidden in write_actions", openflow.V13, any, list{openflow.WriteActions{Actions: list{openflow.Output{Port: 0xff00}}}}, openflow.ActionBadOutPort},
		{"group", openflow.V13, any, list{openflow.Clone{Actions: list{openflow.Group{ID: 1}}}}, openflow.ActionBadOutGroup},
		{"meter", openflow.V13, any, list{openflow.Meter{ID: 1}}, openflow.MeterModUnknownMeter},
		{"goto ahead", openflow.V13, any, list{openflow.GotoTable{Table: 6}}, nil},
		{"goto itself", openflow.V13, any, list{openflow.GotoTable{Table: 5}}, openflow.InstBadTableID},
		{"goto back", openflow.V13, any, list{openflow.GotoTable{Table: 0}}, openflow.InstBadTableID},
		{"address of IP", openflow.V13, ip, list{setIP}, nil},
		{"address of anything", openflow.V13, any, list{setIP}, bad},
		{"address of anything in 1.0", openflow.V10, any, list{setIP}, bad},
		{"mod_nw_dst of anything", openflow.V11, any, list{oldIP}, bad},
		{"mod_nw_dst of anything in 1.0", openflow.V10, any, list{oldIP}, nil},
		{"port of TCP", openflow.V13, tcp, list{openflow.SetField{Field: flow.TCPDst, Value: []byte{0, 80}}}, nil},
		{"port of IP", openflow.V13, ip, list{openflow.SetField{Field: flow.TCPDst, Value: []byte{0, 80}}}, bad},
		{"move from what is not there", openflow.V13, ip, list{openflow.Move{Src: flow.WholeField(flow.TCPSrc), Dst: flow.WholeField(flow.Reg0)}}, bad},
		{"move to a register", openflow.V13, tcp, list{openflow.Move{Src: flow.WholeField(flow.TCPSrc), Dst: flow.WholeField(flow.Reg0)}}, nil},
		{"vlan_vid without a tag", openflow.V13, any, list{setVID}, bad},
		{"vlan_vid with a tag", openflow.V13, tagged, list{setVID}, nil},
		{"vlan_vid after push_vlan", openflow.V13, any, list{openflow.PushVLAN{EthType: 0x8100}, setVID}, nil},
		{"vlan_vid after strip_vlan", openflow.V13, tagged, list{openflow.StripVLAN{}, setVID}, bad},
		{"strip_vlan without a tag", openflow.V13, any, list{openflow.StripVLAN{}}, bad},
		{"strip_vlan in 1.0", openflow.V10, any, list{openflow.StripVLAN{}}, nil},
		{"mod_vlan_vid in 1.0", openflow.V10, any, list{openflow.SetVLANVID{VID: 1, Push: true}}, nil},
		{"dec_ttl of IP", openflow.V13, ip, list{openflow.DecTTL{}}, nil},
		{"dec_ttl of anything", openflow.V13, any, list{openflow.DecTTL{}}, bad},
		{"address behind MPLS", openflow.V13, ip, list{openflow.PushMPLS{EthType: 0x8847}, setIP}, bad},
		{"address after pop_mpls", openflow.V13, mpls, list{openflow.PopMPLS{EthType: 0x800}, setIP}, nil},
		{"clone leaves the packet", openflow.V13, tagged, list{openflow.Clone{Actions: list{openflow.StripVLAN{}}}, setVID}, nil},
	} {
		err := checkActions(tt.v, tt.m, 5, tt.actions)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err := checkPacketOut(tt.v, tt.actions); err != nil && (tt.want == bad || tt.want == nil) {
			t.Errorf("%s, as packet-out: %v", tt.name, err)
		}
	}
}
