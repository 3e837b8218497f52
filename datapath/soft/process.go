package soft

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Receive puts a packet into a port and forwards it. The datapath may change the packet.
func (d *Datapath) Receive(n odp.Port, p *datapath.Packet) error {
	var key flow.Key
	return d.ReceiveKey(n, p, &key)
}

// ReceiveKey is Receive for a packet that has metadata already: key holds what is known besides
// headers and port (tunnel, mark, priority).
func (d *Datapath) ReceiveKey(n odp.Port, p *datapath.Packet, key *flow.Key) error {
	in := d.port(n)
	if in == nil {
		return fmt.Errorf("port %d: %w", n, datapath.ErrNoSuchPort)
	}
	if len(p.Data) < packet.EthLen && key.Get(flow.PacketType) == 0 {
		in.rxDropped.Add(1)
		d.drop(dropShort, n)
		return nil
	}
	in.rxPackets.Add(1)
	in.rxBytes.Add(uint64(len(p.Data)))
	if l := in.policer.Load(); l != nil && !l.passes(d.o.Clock.Now(), len(p.Data)) {
		in.rxDropped.Add(1)
		in.rxPoliced.Add(1)
		d.drop(dropPoliced, n)
		return nil
	}
	key.Set(flow.InPortOXM, uint64(n))
	packet.Reextract(p.Data, key)
	d.process(p, key, 0)
	return nil
}

// process looks a packet up and runs what the flow says.
func (d *Datapath) process(p *packet.Packet, key *flow.Key, depth int) {
	in := odp.Port(key.Get(flow.InPortOXM))
	if depth >= maxRecirc {
		d.drop(dropRecirc, in)
		return
	}
	d.mu.RLock()
	e, masks := d.table.lookup(key)
	d.mu.RUnlock()
	d.maskHit.Add(uint64(masks))
	if e == nil {
		d.missed.Add(1)
		d.upcalls.send(&datapath.Upcall{Packet: *p, Key: *key})
		return
	}
	d.hit.Add(1)
	e.packets.Add(1)
	e.bytes.Add(uint64(len(p.Data)))
	e.used.Store(d.Mono())
	if key.Get(flow.NwProto) == packet.ProtoTCP {
		e.tcpFlags.Or(uint32(key.Get(flow.TCPFlags)))
	}
	s := sink{d: d, in: in, depth: depth}
	if err := (&execute.Executor{Sink: &s, Tracker: &s, Rand: d.o.Rand}).Run(p, key, *e.actions.Load()); err != nil {
		d.drop(dropAction, in)
	}
}

// sink is what one packet's actions do to the datapath.
type sink struct {
	d     *Datapath
	in    odp.Port
	depth int
}

func (s *sink) Output(n odp.Port, p *packet.Packet) {
	if !s.d.output(n, p) {
		s.d.drop(dropPort, s.in)
	}
}

func (s *sink) Upcall(p *packet.Packet, key *flow.Key, a *odp.Userspace) {
	s.d.upcalls.send(&datapath.Upcall{Packet: *p, Key: *key, Kind: a.Kind, Cookie: a.Cookie})
}

func (s *sink) Recirculate(p *packet.Packet, key *flow.Key) {
	s.d.process(p, key, s.depth+1)
}

func (s *sink) Meter(id uint32, p *packet.Packet) bool {
	if s.d.meterPass(id, len(p.Data)) {
		return true
	}
	s.d.drop(dropMeter, s.in)
	return false
}

// Track implements execute.Tracker.
func (s *sink) Track(p *packet.Packet, key *flow.Key, a *odp.CT) bool {
	if s.d.conns.Track(p, key, a) {
		return true
	}
	s.d.drop(dropConntrack, s.in)
	return false
}

func (s *sink) Drop(r odp.DropReason) { s.d.drop(r.String(), s.in) }
