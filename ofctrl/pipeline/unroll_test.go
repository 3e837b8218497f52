package pipeline

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

var pauseHere = openflow.Controller{Pause: true, MaxLen: 0xffff, Reason: openflow.ReasonAction}

func resubmit(id uint8) openflow.Resubmit {
	return openflow.Resubmit{InPort: openflow.PortInPort, Table: id}
}

// stops are pipelines in which NORMAL stops translation, and what their actions are around it: "|" stands for the
// packet's way to a controller or through the datapath, behind it is what follows.
var stops = []struct {
	name string
	f    func(stop openflow.Action) []spec
	br1  func(stop openflow.Action) []spec
	want string
}{
	{"alone", func(s openflow.Action) []spec { return []spec{rule(0, 0, "", s)} }, nil, "|"},
	{"in the middle", func(s openflow.Action) []spec { return []spec{rule(0, 0, "", output(2), s, output(3))} }, nil, "12,|13"},
	{"in nested resubmits", func(s openflow.Action) []spec {
		return []spec{
			rule(0, 0, "", setField("reg0=1"), resubmit(1), output(2)),
			rule(1, 0, "", resubmit(2), openflow.OutputReg{Src: sub("reg1[0..31]")}),
			rule(2, 0, "", setField("reg1=3"), openflow.GotoTable{Table: 3}),
			rule(3, 0, "", openflow.StackPush{Src: sub("reg1[0..31]")}, s, openflow.StackPop{Dst: sub("reg2[0..31]")}, resubmit(4)),
			rule(4, 0, "reg2=3", output(openflow.PortLocal)),
		}
	}, nil, "|10,13,12"},
	{"with an action set", func(s openflow.Action) []spec {
		return []spec{
			rule(0, 0, "", openflow.WriteActions{Actions: []openflow.Action{output(2)}}, openflow.GotoTable{Table: 1}),
			rule(1, 0, "", s, output(3), openflow.WriteActions{Actions: []openflow.Action{output(openflow.PortLocal)}}),
		}
	}, nil, "|13,10"},
	{"in a clone", func(s openflow.Action) []spec {
		return []spec{rule(0, 0, "", openflow.Clone{Actions: []openflow.Action{setField("reg0=2"), s, openflow.OutputReg{Src: sub("reg0[0..31]")}}}, output(3))}
	}, nil, "13,|12"},
	{"behind a patch port", func(openflow.Action) []spec {
		return []spec{rule(0, 0, "", output(9), output(3))}
	}, func(s openflow.Action) []spec {
		return []spec{rule(0, 0, "", resubmit(1), output(1)), rule(1, 0, "", s, output(2))}
	}, "13,|22,21"},
	{"before exit", func(s openflow.Action) []spec {
		return []spec{rule(0, 0, "", resubmit(1), output(2)), rule(1, 0, "", s, output(3), openflow.Exit{})}
	}, nil, "|13"},
}

// world makes the pipelines of a case.
func stopWorld(f, br1 func(openflow.Action) []spec, stop openflow.Action) *world {
	var peer []spec
	if br1 != nil {
		peer = br1(stop)
	}
	return newWorld(f(stop), peer)
}

// A packet that the datapath is to bring back goes on where translation stopped, in all lists that were under way.
func TestUnrollRecirculation(t *testing.T) {
	for _, tt := range stops {
		t.Run(tt.name, func(t *testing.T) {
			w := stopWorld(tt.f, tt.br1, output(openflow.PortNormal))
			stop := func(c Context) { c.(*xlate).freezing = true }
			w.br0.normal, w.br1.normal = stop, stop
			k := frame(t, "in_port=b", arpFrame)
			res := w.run(k)
			before, behind := split[odp.Recirc](res.Actions)
			if len(behind) == 0 {
				t.Fatalf("no recirc in %s", actionsText(res.Actions))
			}
			k.Set(flow.RecircID, uint64(behind[0].(odp.Recirc).ID))
			got := actionsText(append(before, behind[1:]...))
			if got != "" {
				got += ","
			}
			if got += "|" + actionsText(w.run(k).Actions); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			again := w.run(frame(t, "in_port=b", arpFrame))
			if d := cmp.Diff(res.Actions, again.Actions); d != "" {
				t.Errorf("the same state has another name:\n%s", d)
			}
		})
	}
}

// split cuts a list before its first T.
func split[T odp.Action](list []odp.Action) (before, from []odp.Action) {
	for i, a := range list {
		if _, ok := a.(T); ok {
			return append([]odp.Action(nil), list[:i]...), list[i:]
		}
	}
	return list, nil
}

// A packet that a controller brings back goes on in the same way, also when the message went through the wire and the
// tables are empty.
func TestPauseAndResume(t *testing.T) {
	for _, tt := range stops {
		for _, v := range []openflow.Version{openflow.V10, openflow.V15} {
			t.Run(tt.name, func(t *testing.T) {
				w := stopWorld(tt.f, tt.br1, pauseHere)
				k := frame(t, "in_port=b", arpFrame)
				res := w.run(k)
				before, behind := split[odp.Userspace](res.Actions)
				if len(behind) == 0 {
					t.Fatalf("no pause in %s", actionsText(res.Actions))
				}
				if u := behind[0].(odp.Userspace); !u.Continuation || u.RecircID == 0 {
					t.Errorf("got %+v", u)
				}
				w.Userspace(upcall(res, len(before), k, arpFrame))
				ins := append(w.br0.ins, w.br1.ins...)
				if len(ins) != 1 || ins[0].Paused == nil {
					t.Fatalf("got %d packet-ins, the first %+v", len(ins), ins)
				}
				got := actionsText(append(before, behind[1:]...))
				if got != "" {
					got += ","
				}
				actions, _, err := w.Resume(wired(t, v, ins[0]))
				if err != nil {
					t.Fatal(err)
				}
				if got += "|" + actionsText(actions); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		}
	}
}

// wired is a packet-in as its controller sends it back.
func wired(t *testing.T, v openflow.Version, in *PacketIn) (*openflow.Resume, *openflow.Continuation) {
	t.Helper()
	m := in.PacketIn
	m.Format = openflow.PacketInNXT2
	b, err := openflow.Encode(v, 0, &m)
	if err != nil {
		t.Fatal(err)
	}
	_, _, got, err := openflow.Decode(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := openflow.Encode(v, 0, &openflow.Resume{PacketIn: *got.(*openflow.PacketIn)})
	if err != nil {
		t.Fatal(err)
	}
	_, _, got, err = openflow.Decode(back, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := got.(*openflow.Resume)
	c, err := openflow.DecodeContinuation(r.Continuation, v, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r, c
}

// What the controller changed counts: the packet, registers, the port; and connection tracking only if it was there.
func TestResumeChanged(t *testing.T) {
	w := newWorld([]spec{rule(0, 0, "", setField("reg0=1"), pauseHere, resubmit(1)),
		rule(1, 5, "ct_mark=7", setField("eth_src=0a0000000001"), openflow.OutputReg{Src: sub("reg0[0..31]")}, output(1)),
		rule(1, 1, "", output(openflow.PortLocal))}, nil)
	k := frame(t, "in_port=b,ct_state=21,ct_mark=7,pkt_mark=4", arpFrame)
	res := w.run(k)
	w.Userspace(upcall(res, 0, k, arpFrame))
	in := w.br0.ins[0]
	if !in.Paused.Conntracked || in.Metadata.Key.Get(flow.CTMark) != 7 {
		t.Fatalf("got %+v", in.Paused)
	}
	r, c := wired(t, openflow.V15, in)
	r.Metadata.Set(flow.Reg0, 3)
	r.Metadata.Set(flow.InPortOXM, 2)
	r.Packet[6] = 0x22
	actions, key, err := w.Resume(r, c)
	if err != nil {
		t.Fatal(err)
	}
	if got := actionsText(actions); got != "set(eth_src=0a0000000001),13,11" {
		t.Errorf("got %s", got)
	}
	if key.Get(flow.EthSrc) != 0x220000000001 || key.Get(flow.PktMark) != 4 || key.Get(flow.CTMark) != 7 || key.Get(flow.InPortOXM) != 11 {
		t.Errorf("key %x", key)
	}
	c.Conntracked = false
	if actions, _, _ = w.Resume(r, c); actionsText(actions) != "10" {
		t.Errorf("without connection tracking: %s", actionsText(actions))
	}

	c.Bridge[0]++
	if _, _, err := w.Resume(r, c); !errors.Is(err, openflow.NXResumeStale) {
		t.Errorf("a bridge that is gone: %v", err)
	}
	r.Packet = r.Packet[:13]
	if _, _, err := w.Resume(r, c); !errors.Is(err, openflow.BadPacket) {
		t.Errorf("a short packet: %v", err)
	}
}

// Each packet-in of what goes on says of which rule it is.
func TestUnrollCookies(t *testing.T) {
	w := newWorld([]spec{rule(0, 0, "", resubmit(1), output(openflow.PortController)), rule(1, 0, "", pauseHere, output(openflow.PortController))}, nil)
	for i, id := range []uint8{0, 1} {
		var zero flow.Match
		r := w.br0.tables.Lookup(id, &zero.Key, &zero.Mask)
		r.Cookie = uint64(i + 5)
	}
	k := frame(t, "in_port=b", arpFrame)
	w.Userspace(upcall(w.run(k), 0, k, arpFrame))
	r, c := wired(t, openflow.V13, w.br0.ins[0])
	if r.Cookie != 5 || r.Table != 0 {
		t.Errorf("pause of table %d, cookie %d", r.Table, r.Cookie)
	}
	const want = "unroll_xlate(table=1, cookie=6),CONTROLLER:0,unroll_xlate(table=0, cookie=5),CONTROLLER:0"
	if got := openflow.FormatActions(c.Actions, nil); !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	actions, key, err := w.Resume(r, c)
	if err != nil || len(actions) != 2 {
		t.Fatalf("%s, %v", actionsText(actions), err)
	}
	w.br0.ins = nil
	for _, a := range actions {
		u := a.(odp.Userspace)
		up := upcall(w.run(k), 0, &key, arpFrame)
		up.Cookie = u.Cookie
		w.Userspace(up)
	}
	for i, want := range []struct {
		table  uint8
		cookie uint64
	}{{1, 6}, {0, 5}} {
		if in := w.br0.ins[i]; in.Table != want.table || in.Cookie != want.cookie {
			t.Errorf("packet-in of table %d, cookie %d, want %v", in.Table, in.Cookie, want)
		}
	}
}
