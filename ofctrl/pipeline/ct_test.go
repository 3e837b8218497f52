package pipeline

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestCT has ct actions as the datapath gets them, and what a megaflow must know for that.
func TestCT(t *testing.T) {
	mark := func(v, m byte) openflow.SetField {
		return openflow.SetField{Field: flow.CTMark, Value: []byte{0, 0, 0, v}, Mask: []byte{0, 0, 0, m}}
	}
	here := openflow.CT{RecircTable: openflow.TableAll}
	ct := func(f func(*openflow.CT)) openflow.CT { a := here; f(&a); return a }
	for _, tc := range []struct {
		name    string
		rules   []spec
		actions string
		mask    string
	}{
		{"nothing", []spec{rule(0, 1, "", here, output(2))}, "ct,12", "ip_frag"},
		{"commit", []spec{rule(0, 1, "", ct(func(a *openflow.CT) { a.Commit, a.Force, a.ZoneImm = true, true, 7 }))}, "ct(force_commit,zone=7)", "ip_frag"},
		{"what exec writes is not the packet's", []spec{rule(0, 1, "", ct(func(a *openflow.CT) {
			a.Commit, a.Actions = true, []openflow.Action{mark(2, 3), openflow.SetField{Field: flow.CTLabel, Value: make([]byte, 16)}}
		}), output(2))}, "ct(commit,mark=0x2/0x3,label=0),12", "ip_frag"},
		{"exec moves a register", []spec{rule(0, 1, "", setField("reg1=00000005"), ct(func(a *openflow.CT) {
			a.Commit, a.Actions = true, []openflow.Action{openflow.Move{Dst: sub("ct_mark[4..7]"), Src: sub("reg1[0..3]")}}
		}))}, "ct(commit,mark=0x50/0xf0)", "ip_frag"},
		{"exec reads the packet", []spec{rule(0, 1, "", ct(func(a *openflow.CT) {
			a.Commit, a.Actions = true, []openflow.Action{openflow.Move{Dst: sub("ct_mark[0..3]"), Src: sub("nw_ttl[0..3]")}}
		}))}, "ct(commit,mark=0/0xf)", "nw_ttl/0f ip_frag"},
		{"exec reads the mark", []spec{rule(0, 1, "", ct(func(a *openflow.CT) {
			a.Commit, a.Actions = true, []openflow.Action{openflow.Move{Dst: sub("ct_label[0..3]"), Src: sub("ct_mark[4..7]")}}
		}))}, "ct(commit,label=0x3/0xf)", "ct_mark/000000f0 ct_label/0000000000000000000000000000000f ip_frag"},
		{"zone of a field", []spec{rule(0, 1, "", ct(func(a *openflow.CT) { s := sub("tcp_dst[0..15]"); a.ZoneSrc = &s }))}, "ct(zone=80)", "ip_frag tcp_dst"},
		{"what was written goes before", []spec{rule(0, 1, "", setField("eth_dst=000000000009"), here)}, "set(eth(dst=00:00:00:00:00:09)),ct", "eth_dst ip_frag"},
		{"translation", []spec{rule(0, 1, "", ct(func(a *openflow.CT) {
			a.Commit, a.Actions = true, []openflow.Action{openflow.NAT{Flags: natSrc | natRandom, AddrMin: []byte{1, 2, 3, 4}, PortMin: 5, PortMax: 6}}
		}))}, "ct(commit,nat(src=1.2.3.4:5-6,random))", "ip_frag"},
		{"the packet is untracked behind it", []spec{rule(0, 1, "", here, openflow.Resubmit{InPort: openflow.PortInPort, Table: 1}), rule(1, 2, "ct_state=00000000/00000020", output(2)), rule(1, 1, "", output(3))},
			"ct,12", "ct_state/00000020 ip_frag"},
		{"cleared once", []spec{rule(0, 1, "", openflow.CTClear{}, output(2), openflow.CTClear{}, output(3))}, "ct_clear,12,13", "ct_state/00000020 ip_frag"},
		{"ct leaves nothing to clear", []spec{rule(0, 1, "", here, openflow.CTClear{}, output(2))}, "ct,12", "ip_frag"},
		{"cleared by a copy", []spec{rule(0, 1, "", openflow.Clone{Actions: []openflow.Action{openflow.CTClear{}, output(2)}}, openflow.CTClear{}, output(3), openflow.Resubmit{InPort: openflow.PortInPort, Table: 1}),
			rule(1, 1, "ct_state=00000000/00000020", output(1))}, "ct_clear,12,13", "ct_state/00000020 ip_frag"},
		{"recirculation", []spec{rule(0, 1, "", ct(func(a *openflow.CT) { a.RecircTable = 1 }), output(2))}, "ct,recirc(0x1),12", "ip_frag"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(tc.rules, nil)
			w.o.Features.CTState = true
			k := key(tcp4)
			k.Set(flow.CTState, 0x22)
			k.Set(flow.CTMark, 0x31)
			res := w.run(k)
			if got := odp.FormatActions(res.Actions, nil); got != tc.actions {
				t.Errorf("actions\n got %s\nwant %s", got, tc.actions)
			}
			if got := maskText(&res.Mask); got != tc.mask {
				t.Errorf("mask\n got %s\nwant %s", got, tc.mask)
			}
		})
	}
}

// TestCTComesBack resumes behind ct(table=1): with the registers as they were, and the conntrack fields that
// the datapath found, whatever had been known of them before.
func TestCTComesBack(t *testing.T) {
	again := openflow.CT{RecircTable: 1}
	w := newWorld([]spec{
		rule(0, 1, "", setField("reg1=00000005"), openflow.CT{RecircTable: openflow.TableAll}, openflow.CTClear{}, again),
		rule(1, 2, "ct_state=00000022/00000022,ct_mark=00000007,reg1=00000005", output(2)),
		rule(1, 1, "", output(3)),
	}, nil)
	w.o.Features.CTState = true
	res := w.run(key(tcp4))
	recirc, ok := res.Actions[len(res.Actions)-1].(odp.Recirc)
	if !ok {
		t.Fatal(odp.FormatActions(res.Actions, nil))
	}
	k := key(tcp4)
	k.Set(flow.RecircID, uint64(recirc.ID))
	k.Set(flow.CTState, 0x22)
	k.Set(flow.CTMark, 7)
	if got := actionsText(w.run(k).Actions); got != "12" {
		t.Errorf("established: %s", got)
	}
	k.Set(flow.CTState, 0x21)
	if got := actionsText(w.run(k).Actions); got != "13" {
		t.Errorf("new: %s", got)
	}
}

// TestCTTimeout names the policy of a zone for new connections, if the datapath has policies.
func TestCTTimeout(t *testing.T) {
	commit := openflow.CT{Commit: true, ZoneImm: 7, RecircTable: openflow.TableAll}
	plain := openflow.CT{ZoneImm: 7, RecircTable: openflow.TableAll}
	w := newWorld([]spec{rule(0, 1, "", plain, commit)}, nil)
	w.o.Features.CTState, w.o.Features.CTTimeout = true, true
	w.SetZoneTimeouts(map[uint16]string{7: "1", 8: "2"})
	if got := odp.FormatActions(w.run(key(tcp4)).Actions, nil); got != "ct(zone=7),ct(commit,zone=7,timeout=1)" {
		t.Error(got)
	}
	w.o.Features.CTTimeout = false
	if got := odp.FormatActions(w.run(key(tcp4)).Actions, nil); got != "ct(zone=7),ct(commit,zone=7)" {
		t.Error(got)
	}
	if w.SetZoneTimeouts(map[uint16]string{7: "1", 8: "2"}) || !w.SetZoneTimeouts(nil) {
		t.Error("changes are not told from repetitions")
	}
}
