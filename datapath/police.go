package datapath

import (
	"cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Policing limits what a port receives (Interface.ingress_policing_*): a packet must keep within both rates. GSO
// packets count as one, and by their bytes as they come. The zero value does not limit.
type Policing struct {
	Rate, Burst             uint32 // kbit/s and kbit; rate 0: no limit, burst 0: DefaultPolicingBurst
	PacketRate, PacketBurst uint32 // thousands of packets per second, and of packets; the same
}

// Bursts that are not given (ovs-vswitchd.conf.db(5)).
const (
	DefaultPolicingBurst       = 8000 // kbit
	DefaultPolicingPacketBurst = 16   // thousands of packets
)

// maxPacketRate keeps what is counted in thousandths of a packet per millisecond within 32 bits.
const maxPacketRate = 1<<32/1000 - 1

// On says that there is a limit.
func (p Policing) On() bool { return p.Rate != 0 || p.PacketRate != 0 }

// Buckets are the sizes of the token buckets and their rates per millisecond, in bits and thousandths of a packet;
// size 0: no limit.
func (p Policing) Buckets() (size, rate [2]uint64) {
	if p.Rate != 0 {
		size[0], rate[0] = uint64(cmp.Or(p.Burst, DefaultPolicingBurst))*1000, uint64(p.Rate)
	}
	if p.PacketRate != 0 {
		size[1] = uint64(cmp.Or(p.PacketBurst, DefaultPolicingPacketBurst)) * 1000 * 1000
		rate[1] = uint64(min(p.PacketRate, maxPacketRate)) * 1000
	}
	return size, rate
}

// Policer is a Datapath that can limit what a port receives. Packets that are dropped for it are in PortStats.RxPoliced.
type Policer interface {
	// PortPolice sets a port's limits. Buckets are full after a change; the same limits again change nothing.
	PortPolice(odp.Port, Policing) error
}
