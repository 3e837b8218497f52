package mcast

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Message types of IGMP (RFC 1112, RFC 2236, RFC 3376) and MLD (RFC 2710, RFC 3810).
const (
	IGMPQuery    = 0x11
	IGMPv1Report = 0x12
	IGMPv2Report = 0x16
	IGMPLeave    = 0x17
	IGMPv3Report = 0x22

	MLDQuery    = 130
	MLDReport   = 131
	MLDDone     = 132
	MLDv2Report = 143
)

// Types of group records (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12).
const (
	modeIsInclude   = 1
	changeToInclude = 3
	blockOldSources = 6
)

// Lengths in bytes: of messages of one group, and of what is before the records of those with many.
const (
	igmpLen = 8
	mldLen  = 24
	v3Head  = 8
)

// Membership is what a report says of a group.
type Membership struct {
	Group netip.Addr
	Leave bool
}

// Errors of messages.
var (
	ErrChecksum = errors.New("bad checksum")
	errShort    = errors.New("message is cut off")
)

// IGMP checks an IGMP message and reads what it reports.
func IGMP(b []byte) (list []Membership, err error) {
	switch {
	case len(b) < igmpLen:
		return nil, errShort
	case packet.Checksum(b, 0) != 0:
		return nil, ErrChecksum
	}
	switch typ := b[0]; typ {
	case IGMPv1Report, IGMPv2Report, IGMPLeave:
		list = []Membership{{netip.AddrFrom4([4]byte(b[4:8])), typ == IGMPLeave}}
	case IGMPv3Report:
		list, err = records(b, 4)
	}
	return list, err
}

// MLD is IGMP for an MLD message from and to addresses.
func MLD(b []byte, src, dst netip.Addr) (list []Membership, err error) {
	switch {
	case len(b) < v3Head:
		return nil, errShort
	case packet.Checksum(b, packet.PseudoHeader(src.AsSlice(), dst.AsSlice(), packet.ProtoICMPv6)+uint32(len(b))) != 0:
		return nil, ErrChecksum
	}
	switch typ := b[0]; typ {
	case MLDv2Report:
		list, err = records(b, 16)
	case MLDReport, MLDDone:
		if len(b) < mldLen {
			return nil, errShort
		}
		list = []Membership{{netip.AddrFrom16([16]byte(b[8:24])), typ == MLDDone}}
	}
	return list, err
}

// records reads the group records of a report of IGMPv3 or MLDv2, whose addresses are size bytes. A record of an unknown type says
// nothing.
func records(b []byte, size int) (list []Membership, err error) {
	n := int(binary.BigEndian.Uint16(b[6:]))
	b = b[v3Head:]
	for range n {
		if len(b) < 4+size {
			return nil, errShort
		}
		typ, aux, sources := b[0], 4*int(b[1]), int(binary.BigEndian.Uint16(b[2:]))
		group, _ := netip.AddrFromSlice(b[4 : 4+size])
		l := 4 + size + sources*size + aux
		if l > len(b) {
			return nil, errShort
		}
		b = b[l:]
		if typ < modeIsInclude || typ > blockOldSources {
			continue
		}
		list = append(list, Membership{group, sources == 0 && (typ == modeIsInclude || typ == changeToInclude)})
	}
	return list, nil
}
