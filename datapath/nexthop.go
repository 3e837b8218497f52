package datapath

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// TooBigCookie is the cookie of an odp.UpcallTooBig: the tunnel port, and how long IP packets can be inside.
func TooBigCookie(port odp.Port, mtu uint16) uint32 { return uint32(mtu)<<16 | uint32(port)&0xffff }

// underlay takes upcalls of the way of tunnels, and reports whether up is one. They are not of flows: megaflows have sent the
// packets.
func (e *Engine) underlay(up *Upcall) bool {
	switch up.Kind {
	case odp.UpcallNextHop:
		e.await(up)
	case odp.UpcallTooBig:
		e.tooBig(up)
	default:
		return false
	}
	return true
}

// await has a packet wait for the next hop of its tunnel.
func (e *Engine) await(up *Upcall) {
	dst := address(&up.Key, flow.TunDst, flow.TunIPv6Dst)
	if e.resolver == nil || !dst.IsValid() {
		e.count("tunnel_no_route", 1)
		return
	}
	pkt, key := up.Packet.Clone(), up.Key
	out := []odp.Action{odp.Output{Port: odp.Port(up.Cookie)}}
	e.resolver.Resolve(dst, uint32(key.Get(flow.PktMark)), len(pkt.Data), func() {
		if err := e.dp.Execute(pkt, &key, out); err != nil {
			e.count("dpif_execute_error", 1)
		}
	})
}

// tooBig answers a packet that was too long for its tunnel: the answer comes out of the tunnel, as if the first router of the
// way inside had sent it.
func (e *Engine) tooBig(up *Upcall) {
	reply := packet.TooBig(up.Packet.Data, int(up.Cookie>>16))
	if reply == nil {
		return
	}
	answer := Upcall{Packet: Packet{Data: reply}}
	copy(answer.Key.Bytes()[flow.TunID.Info().Off:flow.DPWords*8], up.Key.Bytes()[flow.TunID.Info().Off:])
	for _, pair := range [][2]flow.FieldID{{flow.TunSrc, flow.TunDst}, {flow.TunIPv6Src, flow.TunIPv6Dst}} {
		answer.Key.SetBytes(pair[0], up.Key.GetBytes(pair[1], nil))
		answer.Key.SetBytes(pair[1], up.Key.GetBytes(pair[0], nil))
	}
	answer.Key.Set(flow.InPort, uint64(up.Cookie&0xffff))
	packet.Extract(reply, &answer.Key)
	e.count("tunnel_too_big", 1)
	e.upcall(&answer)
}

// address reads an outer address: of IPv4, or else of IPv6; invalid when there is neither.
func address(k *flow.Key, v4, v6 flow.FieldID) netip.Addr {
	for _, id := range [...]flow.FieldID{v4, v6} {
		if a, ok := netip.AddrFromSlice(k.GetBytes(id, nil)); ok && !a.IsUnspecified() {
			return a
		}
	}
	return netip.Addr{}
}
