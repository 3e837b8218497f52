package openflow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// TestParseActions reads actions and writes them again in OVS's form: where "=>" is missing the text must come back.
func TestParseActions(t *testing.T) {
	for _, row := range []string{
		"output:1", "1 => output:1", "normal => NORMAL", "LOCAL", "in_port => IN_PORT", "TABLE", "drop", " => drop",
		"output(port=1,max_len=100)", "output:reg1[0..15] => output:NXM_NX_REG1[0..15]", "output:normal => NORMAL",
		"CONTROLLER => CONTROLLER:65535", "controller:7 => CONTROLLER:7", "controller() => CONTROLLER:65535", "CONTROLLER:128",
		"controller(max_len=100,id=3)", "controller(reason=no_match,userdata=00.11.ff,pause,meter_id=4)", "enqueue:1:2", "enqueue(1,2) => enqueue:1:2",
		"group:5", "bundle(eth_src,0,active_backup,ofport,members:1,2)", "bundle(symmetric_l4,60,hrw,ofport,slaves:2,3) => bundle(symmetric_l4,60,hrw,ofport,members:2,3)",
		"bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],members:4,8)", "set_field:0x5->reg0", "set_field:ANY->in_port", "set_field:7->in_port", "set_field:0x5/0xf->reg0",
		"set_field:00:11:22:33:44:55->eth_src", "set_field:fe80::1->ipv6_dst", "set_field:10.0.0.0/255.0.0.0->ip_src => set_field:10.0.0.0/8->ip_src",
		"load:5->reg0[] => load:0x5->NXM_NX_REG0[]", "load:0x5->NXM_NX_REG0[3..9]", "load:1->reg0[7] => load:0x1->NXM_NX_REG0[7]",
		"move:NXM_NX_REG0[0..3]->NXM_NX_REG1[4..7]", "push:reg0 => push:NXM_NX_REG0[]", "pop:NXM_NX_REG0[]",
		"mod_dl_src:00:11:22:33:44:55", "mod_nw_dst:1.2.3.4", "mod_nw_tos:4", "mod_nw_ecn:2", "mod_tp_dst:80", "mod_nw_ttl:9",
		"dec_ttl", "dec_ttl(1,2)", "mod_vlan_vid:5", "set_vlan_vid:5", "mod_vlan_pcp:3", "strip_vlan", "pop_vlan", "push_vlan:0x88a8",
		"push_mpls:0x8847", "pop_mpls:0x0800", "set_mpls_label:5 => set_mpls_label(5)", "set_mpls_tc(1)", "set_mpls_ttl(7)", "dec_mpls_ttl",
		"encap(ethernet)", "decap()", "set_tunnel:0x5", "set_tunnel64:0x5", "set_queue:3", "pop_queue", "fin_timeout(idle_timeout=5,hard_timeout=6)",
		"resubmit:3", "resubmit(,2)", "resubmit(3,2)", "resubmit(,2,ct)", "note:00.11", "note:0011 => note:00.11", "exit",
		"multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[])", "conjunction(1,1/2)",
		"sample(probability=1,collector_set_id=2,obs_domain_id=3,obs_point_id=4)",
		"sample(probability=1,collector_set_id=2,obs_domain_id=3,obs_point_id=NXM_NX_REG1[],sampling_port=7,egress)",
		"ct(commit,zone=1)", "ct(table=4,zone=NXM_NX_REG1[0..15])", "ct(commit,force,nat(src=1.2.3.4-1.2.3.9:80-90,random))",
		"ct(commit,nat(dst=[fe80::1]:77))", "ct(nat)", "ct(commit,exec(set_field:0x5->ct_mark),alg=ftp)", "ct_clear",
		"clone(output:1,clone(output:2))", "check_pkt_larger(100)->NXM_NX_REG0[0]", "meter:1", "check_pkt_larger(9)->reg0[1],output:1 => check_pkt_larger(9)->NXM_NX_REG0[1],output:1",
		"learn(table=1,idle_timeout=5,cookie=0x7,eth_type=0x800,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:NXM_NX_REG0[]->NXM_NX_REG1[],output:NXM_OF_IN_PORT[])",
	} {
		in, want, ok := strings.Cut(row, " => ")
		if !ok {
			want = in
		}
		list, err := ParseActions(in, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if diff := cmp.Diff(want, FormatActions(list, nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

// TestParseActionsOverTheWire encodes what was read and decodes it again: nothing of it may be impossible.
func TestParseActionsOverTheWire(t *testing.T) {
	for _, text := range []string{
		"learn(table=1,priority=9,eth_type=0x800,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],NXM_OF_VLAN_TCI[0..11],load:5->reg1[],output:NXM_OF_IN_PORT[])",
		"ct(commit,zone=NXM_NX_REG1[0..15],nat(src=[fe80::1]-[fe80::9]:80-90),exec(set_field:7->ct_mark))",
		"bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],members:4,8),multipath(eth_src,50,modulo_n,4,0,reg0[0..15])",
		"controller(reason=action,userdata=01),sample(probability=1,collector_set_id=2,obs_domain_id=reg3[],obs_point_id=4),set_field:1/1->reg4",
	} {
		list, err := ParseActions(text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var from flow.Match
		from.Set(flow.InPortOXM, uint64(PortController))
		b, err := Encode(V15, 1, &PacketOut{InPort: PortController, BufferID: NoBuffer, Actions: list, Packet: make([]byte, 14), Match: from})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, _, m, err := Decode(b, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(FormatActions(list, nil), FormatActions(m.(*PacketOut).Actions, nil)); diff != "" {
			t.Errorf("%s (-read +decoded):\n%s", text, diff)
		}
	}
}

func TestParseActionsErrors(t *testing.T) {
	for in, want := range map[string]string{
		"foo": "unknown action foo", "goto_table:1": "goto_table instruction not allowed here", "output:p2": "p2: output to unknown port",
		"write_actions(output:1)": "write_actions instruction not allowed here", "set_field:1->nosuch": "nosuch is not a valid OXM field name",
		"load:9->reg0[0..1]": "9: value does not fit into 2 bits", "note:x": "bad hex digit in `note' argument",
		"set_field:1->ct_state": "ct_state is read-only", "output:1,drop": `"drop" must not be accompanied by any other action or instruction`,
		"move:reg0[0..3]->reg1[]": "reg0[0..3]->reg1[]: source field is 4 bits wide but destination is 32 bits wide",
		"load:1->reg0[32]":        "reg0[32]: 32-bit field reg0 has no bit 32", "mod_nw_tos:3": "3: not a valid value for nw_tos",
		"ct(force)": `"force" flag requires "commit" flag.`, strings.Repeat("clone(", 20): "actions nested more than 16 deep",
	} {
		if _, err := ParseActions(in, nil, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// FuzzParseActions must not panic, and what it reads must be writable as text.
func FuzzParseActions(f *testing.F) {
	for _, s := range []string{"ct(commit,nat(src=[fe80::1]:7))", "learn(NXM_OF_VLAN_TCI[0..11],reg0=5)", "output:reg0[", "set_field:/->reg0", "conjunction(1,2/3)", "load:->reg0[..]"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		if list, err := ParseActions(s, nil, &TLVMap{}); err == nil {
			FormatActions(list, nil)
		}
	})
}

// TestParseOptions reads set_field of tunnel options as long as the TLV table has them.
func TestParseOptions(t *testing.T) {
	tlv := &TLVMap{{Off: 0, Len: 4}, {Off: 4, Len: 8}}
	list, err := ParseActions("set_field:5->tun_metadata0,set_field:0x100/0xff00->tun_metadata1", nil, tlv)
	want := []Action{
		SetField{Field: flow.TunMetadata0, Value: []byte{0, 0, 0, 5}},
		SetField{Field: flow.TunMetadata0 + 1, Value: []byte{0, 0, 0, 0, 0, 0, 1, 0}, Mask: []byte{0, 0, 0, 0, 0, 0, 0xff, 0}},
	}
	if diff := cmp.Diff(want, list); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for in, want := range map[string]string{
		"set_field:0x123456789->tun_metadata0": "0x123456789: value too large for tun_metadata0, an option of 4 bytes",
		"set_field:1->tun_metadata2":           "tun_metadata2 is not mapped to a tunnel option",
	} {
		if _, err := ParseActions(in, nil, tlv); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}
