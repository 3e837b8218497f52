package pipeline

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestSampledDrops: what an exporter hears of a packet that came in says whether it went out, and where it is looked up again it is not
// sampled again.
func TestSampledDrops(t *testing.T) {
	for _, tt := range []struct {
		name    string
		actions []openflow.Action
		dropped bool
	}{
		{"output", []openflow.Action{output(2)}, false},
		{"nowhere", []openflow.Action{setField("eth_dst=9")}, true},
		{"a clone", []openflow.Action{openflow.Clone{Actions: []openflow.Action{output(2)}}}, false},
		{"a packet-in", []openflow.Action{openflow.Controller{MaxLen: 9}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld([]spec{rule(0, 1, "", tt.actions...)}, nil)
			w.br0.sampling = &Sampling{Probability: 1<<32 - 1, Input: true}
			k := key(tcp4)
			res := w.run(k)
			u, ok := res.Actions[0].(odp.Userspace)
			if !ok || u.Kind != odp.UpcallIPFIX || u.Sampled.OutputPort != odp.PortNone {
				t.Fatalf("actions %v", res.Actions)
			}
			w.Userspace(&datapath.Upcall{Kind: u.Kind, Cookie: u.Cookie, Key: *k, Packet: packet.Packet{Data: make([]byte, 60)}})
			if len(w.br0.samples) != 1 || w.br0.samples[0].Dropped != tt.dropped || w.br0.samples[0].InPort != 1 {
				t.Errorf("samples %+v", w.br0.samples)
			}
		})
	}
}
