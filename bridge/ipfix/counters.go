package ipfix

import (
	"encoding/binary"
	"math"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// counters count packets: those of a flow since it was exported last, or all of an exporter.
type counters struct {
	packets, dropped      uint64
	octets, droppedOctets uint64 // of IP packets
	squares               uint64 // sum of the squares of octets
	least, most           uint64 // octets of an IP packet
	l2Octets              uint64
	ingress, egress       [receivers]uint64 // packets
	multicastOctets       uint64            // of IP packets that went out
	flags                 [6]uint64         // TCP segments with tcpFlags
}

// receivers are kinds of destinations.
const (
	unicast = iota
	multicast
	broadcast
	receivers
)

// tcpFlags are those that are counted, in the order of tcpCountElements: ACK, FIN, PSH, RST, SYN, URG.
var tcpFlags = [6]uint64{0x10, 0x01, 0x08, 0x04, 0x02, 0x20}

// add counts a packet.
func (c *counters) add(s *Sample, sh shape) {
	w := s.Weight
	octets := s.ipLen(sh.network)
	c.packets += w
	c.l2Octets += w * uint64(len(s.Data))
	if s.Dropped {
		c.dropped += w
	}
	to := receiver(s.Key)
	if s.Egress {
		c.egress[to] += w
	} else {
		c.ingress[to] += w
	}
	if sh.network == noIP {
		return
	}
	if c.octets += w * octets; s.Dropped {
		c.droppedOctets += w * octets
	}
	c.squares += w * octets * octets
	if c.most = max(c.most, octets); c.least == 0 || octets < c.least {
		c.least = octets
	}
	if s.Egress && to == multicast {
		c.multicastOctets += w * octets
	}
	if sh.transport == tcp {
		set := s.Key.Get(flow.TCPFlags)
		for i, f := range tcpFlags {
			if set&f != 0 {
				c.flags[i] += w
			}
		}
	}
}

// receiver is the kind of a packet's destination.
func receiver(k *flow.Key) int {
	switch dst := k.Get(flow.EthDst); {
	case dst == 1<<48-1:
		return broadcast
	case dst>>40&1 != 0:
		return multicast
	}
	return unicast
}

// Values of flowEndReason.
const (
	endActive    = 2 // the flow was cached as long as it may be
	endForced    = 4 // the exporter ended
	endResources = 5 // another flow needs the room
)

// appendCounts appends the elements of a record behind the key. Times are before the time of the export, in microseconds.
func appendCounts(b []byte, sh shape, delta, total *counters, start, end int64, reason uint8) []byte {
	b = binary.BigEndian.AppendUint32(b, micros(start))
	b = binary.BigEndian.AppendUint32(b, micros(end))
	u64 := func(list ...uint64) {
		for _, v := range list {
			b = binary.BigEndian.AppendUint64(b, v)
		}
	}
	u64(delta.dropped, total.dropped, delta.packets, total.packets)
	u64(total.ingress[unicast], total.ingress[multicast], total.ingress[broadcast], total.egress[unicast], total.egress[broadcast])
	u64(delta.egress[multicast], total.egress[multicast], delta.l2Octets, total.l2Octets)
	b = append(b, reason)
	if sh.network != noIP {
		u64(delta.droppedOctets, total.droppedOctets, delta.octets, total.octets, delta.squares, total.squares, delta.least, delta.most,
			delta.multicastOctets, total.multicastOctets)
	}
	if sh.transport == tcp {
		u64(total.flags[:]...)
	}
	return b
}

// micros is a time in the 32 bits that it has.
func micros(us int64) uint32 { return uint32(min(max(us, 0), math.MaxUint32)) }
