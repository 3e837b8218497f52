package pipeline

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// mirrored is newWorld with two mirrors of br0: what comes in by port 1 or goes out by port 2 is for port 3, shortened.
func mirrored(rules ...spec) *world {
	w := newWorld(rules, nil)
	w.br0.PortByNo(1).MirrorsIn = 1
	w.br0.PortByNo(2).MirrorsOut = 2
	w.br0.PortByNo(3).MirrorOutput = true
	w.br0.mirror = func(x Mirroring, _ *Port, m MirrorSet) {
		x.AddMirrored(m)
		x.Copy(w.br0.PortByNo(3), 64)
	}
	return w
}

// from is a packet that comes in by a port of the datapath.
func from(in uint64) *flow.Key {
	k := key(tcp4)
	k.Set(flow.InPortOXM, in)
	return k
}

func TestMirror(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    uint64 // port of the datapath
		want  string
		rules []spec
	}{
		{"in and out", 11, "trunc(64),13,12,trunc(64),13", []spec{rule(0, 1, "", output(2))}},
		{"once", 12, "12,trunc(64),13,12", []spec{rule(0, 1, "", openflow.Output{Port: openflow.PortInPort}, openflow.Output{Port: openflow.PortInPort})}},
		{"dropped", 11, "trunc(64),13", []spec{rule(0, 1, "")}},
		{"reserved", 13, "drop", []spec{rule(0, 1, "", output(1))}},
		// A copy of what is longer is none of what is not.
		{"by length", 12, "check_pkt_len(size=100,gt(12,trunc(64),13,11),le(12,trunc(64),13,11))", []spec{rule(0, 1, "",
			openflow.CheckPktLarger{Len: 100, Dst: sub("reg0[0..0]")}, openflow.Output{Port: openflow.PortInPort}, output(1))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := mirrored(tt.rules...)
			if got := odp.FormatActions(w.run(from(tt.in)).Actions, nil); got != tt.want {
				t.Errorf("actions %s, want %s", got, tt.want)
			}
		})
	}
}

// TestMirrorAfterRecirculation: a packet that comes back has the copies that it had.
func TestMirrorAfterRecirculation(t *testing.T) {
	w := mirrored(rule(0, 1, "", output(2), openflow.CT{RecircTable: 1}), rule(1, 1, "", output(2)))
	w.SetFeatures(func() datapath.Features { f := allFeatures; f.CTState = true; return f }())
	res := w.run(from(11))
	if got := odp.FormatActions(res.Actions[:5], nil); got != "trunc(64),13,12,trunc(64),13" {
		t.Errorf("actions %s", got)
	}
	id, ok := res.Actions[len(res.Actions)-1].(odp.Recirc)
	if !ok {
		t.Fatalf("actions %v", res.Actions)
	}
	f, _ := w.frozen.lookup(id.ID)
	if f.Mirrored != 3 {
		t.Errorf("mirrors %b are said to have a copy", f.Mirrored)
	}
}

// TestMirrorPacketOut: what a controller sends comes in by a port, too.
func TestMirrorPacketOut(t *testing.T) {
	w := mirrored()
	po := &openflow.PacketOut{InPort: 1, Packet: make([]byte, 60), Actions: []openflow.Action{output(2)}}
	for in, want := range map[openflow.PortNo]string{1: "trunc(64),13,12,trunc(64),13", openflow.PortController: "12,trunc(64),13", 3: "drop"} {
		po.InPort = in
		actions, _, err := w.PacketOut(w.br0, po)
		if got := odp.FormatActions(actions, nil); err != nil || got != want {
			t.Errorf("in_port %d: actions %s, error %v, want %s", in, got, err, want)
		}
	}
}
