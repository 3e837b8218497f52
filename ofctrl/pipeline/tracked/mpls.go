package tracked

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// MaxLabels is how many label stack entries a key holds. Deeper stacks can be neither pushed on nor popped.
const MaxLabels = 3

var lseField = [MaxLabels]flow.FieldID{flow.MPLSLSE0, flow.MPLSLSE1, flow.MPLSLSE2}

// Bits of a label stack entry (RFC 3032).
const (
	lseBottom   = 1 << 8
	lseTTLShift = 0
	lseTCShift  = 9
	lseTop      = 12 // where the label begins
	ipv6Null    = 2  // the label that says that IPv6 follows
)

// l3Members are what a packet has behind its label stack, or instead of one, and the datapath's hash of it.
var l3Members = members(flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst, flow.IPv6Label, flow.NwProto, flow.NwTOS, flow.NwECN, flow.NwTTL,
	flow.IPFrag, flow.TCPSrc, flow.TCPDst, flow.TCPFlags, flow.ARPSHA, flow.ARPTHA, flow.NDTarget, flow.NDReserved, flow.NDOptionsType,
	flow.CTNwProto, flow.CTNwSrc, flow.CTNwDst, flow.CTIPv6Src, flow.CTIPv6Dst, flow.CTTPSrc, flow.CTTPDst, flow.DPHash)

// labels counts the label stack entries of a state, reading which of them is the last. The stack of a broken packet ends
// without one that says so: an entry of zero is none, then. MaxLabels may mean more: then whole is false.
func (k *Key) labels(s *state) (n int, whole bool) {
	if !packet.IsMPLS(uint16(s.key.Get(flow.EthType))) { // always exact
		return 0, true
	}
	for i, f := range lseField {
		k.lookLSE(s, f, lseBottom)
		if s.key.Get(f)&lseBottom != 0 {
			return i + 1, true
		}
	}
	for _, f := range lseField {
		lse := s.key.Get(f)
		if lse == 0 {
			k.lookLSE(s, f, 0xffffffff)
			continue
		}
		k.lookLSE(s, f, lse&-lse) // a bit that is set is enough to know
		n++
	}
	return n, n < MaxLabels
}

// lookLSE un-wildcards bits of a label stack entry. What translation wrote there is exact already.
func (k *Key) lookLSE(s *state, f flow.FieldID, bits uint64) {
	k.wc.Set(f, k.wc.Get(f)|bits&^s.written.Get(f))
}

// readLSE reads a label stack entry of a state.
func (k *Key) readLSE(s *state, i int) uint64 {
	k.lookLSE(s, lseField[i], 0xffffffff)
	return s.key.Get(lseField[i])
}

// setLSE writes a label stack entry of a state.
func (s *state) setLSE(i int, lse uint64) {
	s.key.Set(lseField[i], lse)
	s.written.SetExact(lseField[i])
}

func (s *state) setEthType(t uint16) {
	s.key.Set(flow.EthType, uint64(t))
	s.written.SetExact(flow.EthType)
}

// Labelled reports whether the packet has label stack entries.
func (k *Key) Labelled() bool {
	n, _ := k.labels(&k.now)
	return n > 0
}

// IsMPLS reports whether the packet's type says that it has labels.
func (k *Key) IsMPLS() bool { return packet.IsMPLS(uint16(k.Get(flow.EthType))) }

// PushMPLS adds a label stack entry: a copy of the outermost, or for the first one with the TTL and DSCP of the IP header.
// What is behind the first is then out of sight; it must have been committed. It reports whether there was room.
func (k *Key) PushMPLS(ethType uint16) bool {
	s := &k.now
	n, _ := k.labels(s)
	switch n {
	case MaxLabels:
		return false
	case 0:
		lse := uint64(lseBottom | 64<<lseTTLShift)
		if k.Has(flow.PrereqIP) {
			lse = lseBottom | k.Get(flow.NwTTL)<<lseTTLShift | (k.Get(flow.IPDSCP)&7)<<lseTCShift
		}
		if k.ethType(packet.EthTypeIPv6) {
			lse |= ipv6Null << lseTop
		}
		k.forget(&l3Members)
		for i := range lseField[1:] {
			s.setLSE(1+i, 0)
		}
		s.setLSE(0, lse)
		s.pushed++
	default:
		k.push(s, n, k.readLSE(s, 0)&^lseBottom)
	}
	s.setEthType(ethType)
	return true
}

// push puts an entry on a stack of n.
func (k *Key) push(s *state, n int, lse uint64) {
	for i := n; i > 0; i-- {
		s.setLSE(i, k.readLSE(s, i-1))
	}
	s.setLSE(0, lse)
	s.pushed++
}

// pop takes the outermost entry off a stack of n, which is whole.
func (k *Key) pop(s *state, n int) {
	for i := 1; i < n; i++ {
		s.setLSE(i-1, k.readLSE(s, i))
	}
	for i := n - 1; i < MaxLabels; i++ {
		s.setLSE(i, 0)
	}
	s.pushed--
}

// PopMPLS removes the outermost label stack entry and says that ethType is below it. It reports whether it could: a
// packet without labels stays as it is. Behind the last label is what nobody has parsed.
func (k *Key) PopMPLS(ethType uint16) bool {
	n, whole := k.labels(&k.now)
	if !whole {
		return false
	}
	if n == 0 {
		return true
	}
	k.pop(&k.now, n)
	k.now.setEthType(ethType)
	k.now.unparsed = k.now.unparsed || n == 1 || !packet.IsMPLS(ethType)
	return true
}

// Unparsed reports whether the key lacks what is behind labels that were popped.
func (k *Key) Unparsed() bool { return k.now.unparsed }

// sameStack reports whether datapath and key have the same entries but for what fields of the outermost say, which
// shows without a look at how many there are: what differs was written.
func (k *Key) sameStack() bool {
	now, base := &k.now.key, &k.base.key
	return k.now.pushed == k.base.pushed && now.Get(flow.EthType) == base.Get(flow.EthType) && now.Get(flow.MPLSBoS) == base.Get(flow.MPLSBoS) &&
		now.Get(flow.MPLSLSE1) == base.Get(flow.MPLSLSE1) && now.Get(flow.MPLSLSE2) == base.Get(flow.MPLSLSE2)
}

// common counts the innermost entries that two stacks of n and m share.
func (k *Key) common(n, m int) (c int) {
	for c < min(n, m) {
		i, j := n-1-c, m-1-c
		a, b := k.now.key.Get(lseField[i]), k.base.key.Get(lseField[j])
		if i != j { // one of them has moved, the other may be the packet's own
			a, b = k.readLSE(&k.now, i), k.readLSE(&k.base, j)
		}
		if a != b {
			return c
		}
		c++
	}
	return c
}

// commitMPLS pops what differs from the datapath's stack, but for an outermost entry that can be written, and pushes
// what should be there.
func (k *Key) commitMPLS(out []odp.Action) []odp.Action {
	if k.sameStack() {
		if k.IsMPLS() {
			out = k.commitHeader(out, mplsFields)
		}
		return out
	}
	n, _ := k.labels(&k.now)
	m, _ := k.labels(&k.base)
	ethType := uint16(k.now.key.Get(flow.EthType))
	shared := k.common(n, m)
	for m > shared {
		if m == shared+1 && n > shared {
			if n == m {
				out = k.commitHeader(out, mplsFields)
			} else {
				lse := k.readLSE(&k.now, n-m)
				k.base.setLSE(0, lse)
				out = append(out, odp.Set{Fields: []odp.FieldSet{{Field: flow.MPLSLSE0, Value: k.base.key.GetBytes(flow.MPLSLSE0, nil)}}})
			}
			shared++
			continue
		}
		below := ethType
		if n == 0 && m > 1 {
			below = packet.EthTypeMPLS
		}
		out = append(out, odp.PopMPLS{EthType: below})
		k.pop(&k.base, m)
		k.base.setEthType(below)
		m--
	}
	for ; m < n; m++ {
		lse := k.readLSE(&k.now, n-m-1)
		out = append(out, odp.PushMPLS{LSE: uint32(lse), EthType: ethType})
		k.push(&k.base, m, lse)
		k.base.setEthType(ethType)
	}
	k.base.setEthType(ethType)
	return out
}
