package pipeline

import (
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// Protocol is one that a port speaks with its neighbour (BFD): its packets are not for the tables. Values must be
// comparable; they are immutable.
type Protocol interface {
	// Name is the slow path reason of its packets.
	Name() string
	// Takes reports whether the packet, which came in by the port, is one of the protocol's.
	Takes(Context) bool
	// Receive takes such a packet. It comes without the configuration's lock; the packet is valid during the call.
	Receive(*datapath.Packet)
	// Traffic is credited with all packets that come in by the port; it may be nil.
	Traffic() datapath.Credit
}

// speaks gives a packet that came in by a port to the protocol that it belongs to, and reports whether there is one.
func (x *xlate) speaks(p *Port) bool {
	for _, pr := range p.Protocols {
		if c := pr.Traffic(); c != nil {
			x.Credit(c)
		}
		if !pr.Takes(x) {
			continue
		}
		x.Slow(pr.Name())
		if x.listener != nil {
			x.detail("%s packet, which port %s takes itself", strings.ToUpper(pr.Name()), p.Name)
		}
		if x.packet != nil && x.learn {
			x.Credit(&received{pr, x.packet})
		}
		return true
	}
	return false
}

// received is a packet of a protocol. Only translations of packets have one, and are credited with it before a megaflow
// may keep what they are credited to.
type received struct {
	protocol Protocol
	packet   *datapath.Packet
}

// Credit implements datapath.Credit.
func (r *received) Credit(uint64, uint64, time.Time, uint16) {
	if r.packet != nil {
		r.protocol.Receive(r.packet)
		r.packet = nil
	}
}
