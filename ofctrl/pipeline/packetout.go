package pipeline

import (
	"fmt"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// PacketOut translates the actions of a packet-out on bridge b. The caller executes the
// actions that it returns with the key, soon: controller actions in it stay good for 2 seconds.
// What is used is credited with the packet. Errors are an openflow.Err with context: a port that
// does not exist, a packet without Ethernet header. The caller does not hold Options.Mu.
func (t *Translator) PacketOut(b Bridge, po *openflow.PacketOut) (actions []odp.Action, key flow.Key, err error) {
	if len(po.Packet) < packet.EthLen {
		return nil, key, fmt.Errorf("packet-out of %d bytes: %w", len(po.Packet), openflow.BadPacket)
	}
	pkt := datapath.Packet{Data: po.Packet}
	packet.Extract(pkt.Data, &key)

	res := t.results.Get().(*datapath.Result)
	defer t.results.Put(res)
	res.Reset()
	if err := t.packetOut(b, po, &pkt, &key, res); err != nil {
		return nil, key, err
	}
	return t.execution(&pkt, &key, res), key, nil
}

// execution has the result for one packet take effect, and returns the actions to execute. What is used includes learned
// flows, which need the lock for writing: the caller does not hold it.
func (t *Translator) execution(pkt *datapath.Packet, key *flow.Key, res *datapath.Result) []odp.Action {
	now := t.o.Clock.Now()
	for _, c := range res.Credits {
		c.Credit(1, uint64(len(pkt.Data)), now, uint16(key.Get(flow.TCPFlags)))
	}
	for _, h := range res.Held {
		h.Release()
	}
	if res.Drop != odp.DropNone {
		return []odp.Action{odp.Drop{Reason: res.Drop}}
	}
	return slices.Clone(res.Actions)
}

// packetOut is the translation of PacketOut. It gives key its in_port.
func (t *Translator) packetOut(b Bridge, po *openflow.PacketOut, pkt *datapath.Packet, key *flow.Key, res *datapath.Result) error {
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	port := odp.PortNone
	switch p := b.PortByNo(po.InPort); {
	case p != nil:
		port = p.ODP
	case po.InPort >= openflow.PortMax && po.InPort != openflow.PortAny && po.InPort != openflow.PortController && po.InPort != openflow.PortLocal:
		return fmt.Errorf("packet-out from port %d: %w", po.InPort, openflow.BadPort)
	}
	key.Set(flow.InPortOXM, uint64(port))

	x := t.context(res, nil)
	defer t.release(x)
	x.packet, x.learn, x.packetOut = pkt, true, true
	x.key.Init(key, po.InPort)
	x.key.NoTunnel()
	x.key.SetMetadata(&po.Match)
	x.key.SetInPort(po.InPort)
	x.origin = origin{b, po.InPort, po}
	x.enter(b)
	x.controllers(po.Actions)
	x.finish()
	return nil
}

// controllers runs the actions of a packet-out. A port that it comes from treats it like one that came in there.
func (x *xlate) controllers(actions []openflow.Action) {
	in := x.InPort()
	if x.reserved(in) {
		return
	}
	x.sampleInput()
	x.mirrorInput(in)
	x.do(actions)
	x.end()
}
