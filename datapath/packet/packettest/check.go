package packettest

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// CheckSums computes the IP, TCP, UDP, ICMP, ICMPv6 and SCTP checksums of an Ethernet frame
// anew and says which one is wrong. It does not use the code that updates them.
func CheckSums(data []byte) error {
	var key flow.Key
	o := packet.Parse(data, &key)
	if o.L4 < 0 {
		return nil
	}
	var pseudo uint64
	ip := data[o.L3:]
	if ip[0]>>4 == 4 {
		if s := add(ip[:o.L4-o.L3], 0); s != 0xffff {
			return fmt.Errorf("IPv4 header checksum off by %#x", ^s)
		}
		pseudo = uint64(add(ip[12:20], 0))
	} else {
		pseudo = uint64(add(ip[8:40], 0))
	}
	if key.Get(flow.IPFrag) != 0 {
		return nil
	}
	b, proto := data[o.L4:o.End], key.Get(flow.NwProto)
	pseudo += proto + uint64(len(b))
	var s uint16
	switch {
	case proto == packet.ProtoTCP && len(b) >= packet.TCPLen, proto == packet.ProtoICMPv6 && len(b) >= 8 && ip[0]>>4 == 6:
		s = add(b, pseudo)
	case proto == packet.ProtoUDP && len(b) >= packet.UDPLen:
		if s = add(b, pseudo); b[6] == 0 && b[7] == 0 {
			s = 0xffff
		}
	case proto == packet.ProtoICMP && len(b) >= 8:
		s = add(b, 0)
	case proto == packet.ProtoSCTP && len(b) >= packet.SCTPLen:
		again := append([]byte(nil), b...)
		packet.FinishSCTP(again)
		if [4]byte(again[8:]) != [4]byte(b[8:]) {
			return fmt.Errorf("SCTP checksum is %x, not %x", b[8:12], again[8:12])
		}
		return nil
	default:
		return nil
	}
	if s != 0xffff {
		return fmt.Errorf("checksum of protocol %d off by %#x", proto, ^s)
	}
	return nil
}

func add(b []byte, s uint64) uint16 {
	for i, c := range b {
		s += uint64(c) << (8 * (1 - i%2))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
