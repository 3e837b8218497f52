package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// The fields of each header that datapath actions can set, in the order of the ODP attributes.
var (
	ethFields      = []flow.FieldID{flow.EthSrc, flow.EthDst}
	ipv4Fields     = []flow.FieldID{flow.IPv4Src, flow.IPv4Dst, flow.NwTOS, flow.NwECN, flow.NwTTL}
	ipv6Fields     = []flow.FieldID{flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.NwTOS, flow.NwECN, flow.NwTTL}
	arpFields      = []flow.FieldID{flow.ARPSPA, flow.ARPTPA, flow.ARPOp, flow.ARPSHA, flow.ARPTHA}
	tcpFields      = []flow.FieldID{flow.TCPSrc, flow.TCPDst}
	udpFields      = []flow.FieldID{flow.UDPSrc, flow.UDPDst}
	sctpFields     = []flow.FieldID{flow.SCTPSrc, flow.SCTPDst}
	icmpFields     = []flow.FieldID{flow.ICMPType, flow.ICMPCode}
	icmpv6Fields   = []flow.FieldID{flow.ICMPv6Type, flow.ICMPv6Code}
	ndFields       = []flow.FieldID{flow.NDTarget, flow.NDSLL, flow.NDTLL}
	ndExtFields    = []flow.FieldID{flow.NDReserved, flow.NDOptionsType}
	mplsFields     = []flow.FieldID{flow.MPLSLabel, flow.MPLSTC, flow.MPLSTTL}
	priorityFields = []flow.FieldID{flow.SkbPriority}
	markFields     = []flow.FieldID{flow.PktMark}

	settable = func() (m flow.Mask) {
		for _, l := range [][]flow.FieldID{ethFields, ipv4Fields, ipv6Fields, arpFields, tcpFields, ndFields, ndExtFields, mplsFields, priorityFields, markFields} {
			for _, id := range l {
				m.SetExact(id)
			}
		}
		return m
	}()
)

// Commit appends what makes the datapath's packet like the key: one Set for each header that
// differs, then VLAN tags. Bits that differ were written, so they are exact in the mask.
func (k *Key) Commit(out []odp.Action) []odp.Action {
	out = k.commitEthernet(out)
	if k.differs() {
		out = k.commitFields(out)
	} else {
		out = k.commitMPLS(out)
	}
	return k.commitVLAN(out)
}

// differs compares all that can be set at once.
func (k *Key) differs() bool {
	for i, m := range settable[:flow.DPWords] {
		if (k.now.key[i]^k.base.key[i])&m != 0 {
			return true
		}
	}
	return false
}

func (k *Key) commitFields(out []odp.Action) []odp.Action {
	out = k.commitHeader(out, ethFields)
	// Labels first: a packet with labels has no other headers to set, and of what labels hid nothing was set.
	out = k.commitMPLS(out)
	switch t := k.Get(flow.EthType); {
	case k.now.unparsed || packet.IsMPLS(uint16(t)):
	case t == packet.EthTypeIPv4:
		out = k.commitHeader(out, ipv4Fields)
		out = k.commitTransport(out, icmpFields, packet.ProtoICMP)
	case t == packet.EthTypeIPv6:
		out = k.commitHeader(out, ipv6Fields)
		out = k.commitTransport(out, icmpv6Fields, packet.ProtoICMPv6)
	case t == packet.EthTypeARP || t == packet.EthTypeRARP:
		out = k.commitHeader(out, arpFields)
	}
	out = k.commitHeader(out, priorityFields)
	return k.commitHeader(out, markFields)
}

// commitTransport writes what is behind the IP header; icmp are the fields of protocol proto.
func (k *Key) commitTransport(out []odp.Action, icmp []flow.FieldID, proto uint64) []odp.Action {
	nd := !k.same(ndFields) || !k.same(ndExtFields)
	if !nd && k.same(tcpFields) { // ICMP type and code are in the ports' places
		return out
	}
	switch k.Get(flow.NwProto) {
	case packet.ProtoTCP:
		return k.commitHeader(out, tcpFields)
	case packet.ProtoUDP:
		return k.commitHeader(out, udpFields)
	case packet.ProtoSCTP:
		return k.commitHeader(out, sctpFields)
	case proto:
		// Each Set must find a packet that has its fields: those of neighbour discovery are
		// written while type and code say so.
		if nd && !isND(k.readND(&k.base)) {
			if isND(k.readND(&k.now)) {
				out = k.commitHeader(out, icmp)
			} else {
				out = k.pretendND(out)
			}
		}
		out = k.commitHeader(out, ndFields)
		out = k.commitHeader(out, ndExtFields)
		return k.commitHeader(out, icmp)
	}
	return out
}

// readND reads the type and code of an ICMPv6 message.
func (k *Key) readND(s *state) (icmpType, code uint64) {
	k.wc.SetExact(flow.ICMPv6Type)
	k.wc.SetExact(flow.ICMPv6Code)
	return s.key.Get(flow.ICMPv6Type), s.key.Get(flow.ICMPv6Code)
}

// isND reports whether they are those of neighbour discovery.
func isND(icmpType, code uint64) bool {
	return code == 0 && (icmpType == ndSolicit || icmpType == ndAdvert)
}

// pretendND makes the datapath's packet one of neighbour discovery, which it neither was nor is to be: only in between
// were its fields written.
func (k *Key) pretendND(out []odp.Action) []odp.Action {
	k.base.key.Set(flow.ICMPv6Type, ndSolicit)
	k.base.key.Set(flow.ICMPv6Code, 0)
	k.base.written.SetExact(flow.ICMPv6Type)
	k.base.written.SetExact(flow.ICMPv6Code)
	return append(out, odp.Set{Fields: []odp.FieldSet{{Field: flow.ICMPv6Type, Value: []byte{ndSolicit}}, {Field: flow.ICMPv6Code, Value: []byte{0}}}})
}

func (k *Key) same(fields []flow.FieldID) bool {
	for _, id := range fields {
		if !k.sameField(id) {
			return false
		}
	}
	return true
}

func (k *Key) sameField(id flow.FieldID) bool {
	if id.Info().Size <= 8 {
		return k.now.key.Get(id) == k.base.key.Get(id)
	}
	var a, b [16]byte
	k.now.key.GetBytes(id, a[:0])
	k.base.key.GetBytes(id, b[:0])
	return a == b
}

// commitHeader appends a Set of the fields that differ. Its mask has the bits that translation wrote, in
// the key as it is now or as it was committed: the same for every packet of the megaflow. (What look-ups
// read is exact too, but which bits a look-up needs to read may differ from packet to packet.)
func (k *Key) commitHeader(out []odp.Action, fields []flow.FieldID) []odp.Action {
	if k.same(fields) {
		return out
	}
	set := make([]odp.FieldSet, 0, len(fields))
	for _, id := range fields {
		if k.sameField(id) {
			continue
		}
		f := odp.FieldSet{Field: id, Value: k.now.key.GetBytes(id, nil), Mask: k.now.written.GetBytes(id, nil)}
		before := k.base.written.GetBytes(id, nil)
		for i := range f.Mask {
			f.Mask[i] |= before[i]
			f.Value[i] &= f.Mask[i]
		}
		k.base.written.SetBytes(id, f.Mask)
		if k.base.written.IsExact(id) {
			f.Mask = nil
		}
		set = append(set, f)
		k.base.key.SetBytes(id, k.now.key.GetBytes(id, nil))
	}
	return append(out, odp.Set{Fields: set})
}
