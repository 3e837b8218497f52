package bfd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

var be = binary.BigEndian

// Port is the UDP destination port of control packets (RFC 5881, section 4).
const Port = 3784

// TTL is what control packets are sent with; a lower one has passed a router (RFC 5881, section 5).
const TTL = 255

const (
	version   = 1
	packetLen = 24 // without authentication
)

// Flags of a control packet (RFC 5880, section 4.1).
type Flags uint8

// The flags, as they stand in the packet's second byte beside the state.
const (
	FlagMultipoint Flags = 1 << iota
	FlagDemand
	FlagAuth
	FlagControl // control plane independent
	FlagFinal
	FlagPoll

	flagsMask Flags = 1<<6 - 1
)

// ControlPacket is a BFD control packet (RFC 5880, section 4.1). Intervals are in microseconds, as on the wire.
type ControlPacket struct {
	Diag                    Diag
	State                   State
	Flags                   Flags
	Mult                    uint8
	MyDisc, YourDisc        uint32
	MinTx, MinRx, MinRxEcho uint32
}

// Append appends the packet's wire form.
func (p *ControlPacket) Append(b []byte) []byte {
	b = append(b, version<<5|uint8(p.Diag)&diagMask, uint8(p.State)<<6|uint8(p.Flags), p.Mult, packetLen)
	for _, v := range [...]uint32{p.MyDisc, p.YourDisc, p.MinTx, p.MinRx, p.MinRxEcho} {
		b = be.AppendUint32(b, v)
	}
	return b
}

// Reasons why a control packet is refused (RFC 5880, section 6.8.6).
var (
	errShort      = fmt.Errorf("shorter than %d bytes", packetLen)
	errVersion    = errors.New("incorrect version")
	errAuth       = errors.New("authenticated, but authentication is not configured")
	errLength     = errors.New("unexpected length")
	errMult       = errors.New("zero multiplier")
	errMultipoint = errors.New("unsupported multipoint flag")
	errMyDisc     = errors.New("zero discriminator of the sender")
	errYourDisc   = errors.New("discriminator of another session")
	errNoYourDisc = errors.New("no discriminator of this session, which the sender's state needs")
	errTTL        = fmt.Errorf("TTL is not %d", TTL)
	errNoPacket   = errors.New("no UDP packet")
)

// Parse reads the payload of a UDP packet, and checks what can be checked without a session.
func Parse(b []byte) (*ControlPacket, error) {
	if len(b) < packetLen {
		return nil, errShort
	}
	p := &ControlPacket{
		Diag: Diag(b[0] & diagMask), State: State(b[1] >> 6), Flags: Flags(b[1]) & flagsMask, Mult: b[2],
		MyDisc: be.Uint32(b[4:]), YourDisc: be.Uint32(b[8:]), MinTx: be.Uint32(b[12:]), MinRx: be.Uint32(b[16:]), MinRxEcho: be.Uint32(b[20:]),
	}
	switch length := int(b[3]); {
	case b[0]>>5 != version:
		return nil, errVersion
	case p.Flags&FlagAuth != 0:
		return nil, errAuth
	case length < packetLen || length > len(b):
		return nil, errLength
	case p.Mult == 0:
		return nil, errMult
	case p.Flags&FlagMultipoint != 0:
		return nil, errMultipoint
	case p.MyDisc == 0:
		return nil, errMyDisc
	case p.YourDisc == 0 && p.State > Down:
		return nil, errNoYourDisc
	}
	return p, nil
}

// ParseFrame finds the control packet in an Ethernet frame that has one.
func ParseFrame(frame []byte) (*ControlPacket, error) {
	var key flow.Key
	o := packet.Parse(frame, &key)
	if o.L4 < 0 || key.Get(flow.NwProto) != packet.ProtoUDP || o.End < o.L4+packet.UDPLen {
		return nil, errNoPacket
	}
	if key.Get(flow.NwTTL) != TTL {
		return nil, errTTL
	}
	return Parse(frame[o.L4+packet.UDPLen : o.End])
}

// addresses are those of the frames that a session sends.
type addresses struct {
	ethSrc, ethDst [6]byte
	ipSrc, ipDst   netip.Addr // IPv4
	udpSrc         uint16
}

// frame puts a control packet into an Ethernet frame. As the stock daemon's its UDP checksum is zero, for none: the
// IP header has one, and what BFD says is checked by its own rules.
func (a *addresses) frame(p *ControlPacket) []byte {
	const l4 = packet.UDPLen + packetLen
	b := make([]byte, 0, packet.EthLen+packet.IPv4Len+l4)
	b = append(append(b, a.ethDst[:]...), a.ethSrc[:]...)
	b = be.AppendUint16(b, packet.EthTypeIPv4)
	const precedenceInternetControl = 0xc0
	b = append(b, 0x45, precedenceInternetControl, 0, packet.IPv4Len+l4, 0, 0, 0, 0, TTL, packet.ProtoUDP, 0, 0)
	src, dst := a.ipSrc.As4(), a.ipDst.As4()
	b = append(append(b, src[:]...), dst[:]...)
	header := b[packet.EthLen:]
	be.PutUint16(header[10:], packet.Checksum(header, 0))
	b = be.AppendUint16(b, a.udpSrc)
	b = be.AppendUint16(b, Port)
	b = append(b, 0, l4, 0, 0)
	return p.Append(b)
}

// micros is a packet's form of an interval.
func micros(d time.Duration) uint32 { return uint32(min(d.Microseconds(), 1<<32-1)) }
