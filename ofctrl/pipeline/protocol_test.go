package pipeline

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline/tracked"
)

// speaker takes UDP packets to port 3784.
type speaker struct{ took, all int }

func (s *speaker) Name() string             { return "bfd" }
func (s *speaker) Traffic() datapath.Credit { return s }
func (s *speaker) Receive(*datapath.Packet) { s.took++ }
func (s *speaker) Takes(x Context) bool {
	return x.Get(flow.EthType) == 0x800 && x.Get(flow.NwProto) == 17 && x.Is(flow.UDPDst, 3784)
}

// Credit implements datapath.Credit: of all packets.
func (s *speaker) Credit(n, _ uint64, _ time.Time, _ uint16) { s.all += int(n) }

// TestProtocol: a port's protocol gets its packets, each once, and the tables do not; all is as before for others.
func TestProtocol(t *testing.T) {
	w := newWorld([]spec{rule(0, 1, "in_port=1", openflow.Output{Port: 9}), rule(0, 2, "in_port=2", openflow.Output{Port: 3})},
		[]spec{rule(0, 1, "", openflow.Output{Port: 1})})
	near, far := new(speaker), new(speaker)
	w.br0.PortByNo(2).Protocols = []Protocol{near}
	w.br1.PortByNo(9).Protocols = []Protocol{far}
	const own, other = ",eth_type=0800,nw_proto=11,udp_dst=0ec8", ",eth_type=0800,nw_proto=11,udp_dst=0ec9"
	for _, c := range []struct {
		name, key       string
		packet, learn   bool
		actions         int
		slow            string
		nearAll, farAll int
		nearOwn, farOwn int
	}{
		{"own", "in_port=0c" + own, true, true, 0, "bfd", 1, 0, 1, 0},
		{"own, without packet", "in_port=0c" + own, false, true, 0, "bfd", 1, 0, 0, 0},
		{"own, in a trace", "in_port=0c" + own, true, false, 0, "bfd", 1, 0, 0, 0},
		{"another", "in_port=0c" + other, true, true, 1, "", 1, 0, 0, 0},
		{"own, by a patch port", "in_port=0b" + own, true, true, 0, "bfd", 0, 1, 0, 1},
		{"another, by a patch port", "in_port=0b" + other, true, true, 1, "", 0, 1, 0, 0},
	} {
		*near, *far = speaker{}, speaker{}
		req, res := &datapath.Request{Key: key(c.key), Learn: c.learn}, new(datapath.Result)
		if c.packet {
			req.Packet = &datapath.Packet{Data: make([]byte, 64)}
		}
		w.Translate(req, res)
		if len(res.Actions) != c.actions || res.Slow != c.slow {
			t.Errorf("%s: %v, slow %q", c.name, res.Actions, res.Slow)
		}
		if near.took+far.took != 0 {
			t.Errorf("%s: received under the lock", c.name)
		}
		for range 2 { // as an upcall and, if a megaflow kept them, by its traffic
			for _, r := range res.Credits {
				r.Credit(1, 64, time.Time{}, 0)
			}
		}
		if near.all != 2*c.nearAll || far.all != 2*c.farAll || near.took != c.nearOwn || far.took != c.farOwn {
			t.Errorf("%s: near %+v, far %+v", c.name, near, far)
		}
	}
	// By a packet-out, too.
	*far = speaker{}
	frame := packet.Compose(key("eth_type=0800,nw_proto=11,udp_dst=0ec8"), make([]byte, 24))
	po := &openflow.PacketOut{InPort: openflow.PortAny, Packet: frame, Actions: []openflow.Action{openflow.Output{Port: 9}}}
	if list, _, err := w.PacketOut(w.br0, po); err != nil || len(list) != 0 || far.took != 1 {
		t.Errorf("packet-out: %v, %v, far %+v", list, err, far)
	}
}

// TestIs: whether a field has a value is the same for every packet that agrees in what was read for it.
func TestIs(t *testing.T) {
	fields := []flow.FieldID{flow.UDPDst, flow.EthDst, flow.TunID, flow.NwProto}
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SampledFrom(fields).Draw(t, "field")
		most := uint64(1)<<id.Info().Bits - 1
		value := rapid.Uint64().Draw(t, "value") & most
		var key flow.Key
		key.Set(id, (value^rapid.Uint64().Draw(t, "other")&rapid.Uint64().Draw(t, "other bits"))&most)
		var k tracked.Key
		k.Init(&key, 1)
		is := k.Is(id, value)
		if is != (key.Get(id) == value) {
			t.Fatalf("%#x is %#x: %v", key.Get(id), value, is)
		}
		var mask flow.Mask
		k.Mask(&mask)
		m := mask.Get(id)
		alike := key.Get(id)&m | rapid.Uint64().Draw(t, "wildcarded")&most&^m
		if (alike == value) != is {
			t.Fatalf("mask %#x makes %#x and %#x alike, of which one is %#x", m, alike, key.Get(id), value)
		}
	})
}
