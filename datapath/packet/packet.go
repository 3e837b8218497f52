package packet

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// GSO is a packet's offload state: what a virtio_net_hdr can say.
type GSO struct {
	Type       uint8  // one of the GSO types, with GSOECN
	Size       uint16 // segment payload size
	HdrLen     uint16
	CsumStart  uint16
	CsumOffset uint16
	NeedsCsum  bool // CHECKSUM_PARTIAL: the sum at CsumStart+CsumOffset is unfinished
}

// GSO types (virtio specification 5.1.6).
const (
	GSONone  = 0
	GSOTCPv4 = 1
	GSOUDP   = 3 // IP fragments
	GSOTCPv6 = 4
	GSOUDPL4 = 5
	GSOECN   = 0x80 // the first segment has CWR
)

// Packet is a frame in user space. Data starts at the Ethernet header, VLAN tags in place.
type Packet struct {
	Data []byte
	GSO  GSO
}

// Clone copies a packet with its bytes.
func (p *Packet) Clone() *Packet {
	return &Packet{Data: append([]byte(nil), p.Data...), GSO: p.GSO}
}

// insert makes room for n bytes at offset at. It never writes into memory behind Data, which
// may be somebody else's.
func (p *Packet) insert(at, n int) {
	d := make([]byte, len(p.Data)+n)
	copy(d, p.Data[:at])
	copy(d[at+n:], p.Data[at:])
	p.Data = d
	p.shift(n)
}

// remove takes out n bytes at offset at.
func (p *Packet) remove(at, n int) {
	copy(p.Data[at:], p.Data[at+n:])
	p.Data = p.Data[:len(p.Data)-n]
	p.shift(-n)
}

// shift follows a change of n bytes in front of the network header.
func (p *Packet) shift(n int) {
	if p.GSO.NeedsCsum {
		p.GSO.CsumStart = uint16(int(p.GSO.CsumStart) + n)
	}
	if p.GSO.HdrLen != 0 {
		p.GSO.HdrLen = uint16(int(p.GSO.HdrLen) + n)
	}
}

// partial reports whether the checksum of the transport header at l4, off bytes into it, is
// still to be finished.
func (p *Packet) partial(l4, off int) bool {
	return p.GSO.NeedsCsum && int(p.GSO.CsumStart) == l4 && int(p.GSO.CsumOffset) == off
}

// header members of the key: what Extract fills.
var headers = func() (m flow.Mask) {
	b := m.Bytes()
	for _, f := range [][2]int{{keyEthDst, 24}, {keyIPv4Src, 16}, {keyTPSrc, 6}, {keyIPv6Src, 56}, {keyARPTHA, 6},
		{keyNDReserved, 4}, {keyMPLSLSE0, 4 * MaxMPLS}} {
		for i := range f[1] {
			b[f[0]+i] = 0xff
		}
	}
	return m
}()

// Reextract fills the header words of a key again, after the packet's headers have moved.
func Reextract(data []byte, key *flow.Key) Offsets {
	for i := range key {
		key[i] &^= headers[i]
	}
	return Parse(data, key)
}

// Truncate cuts a packet to at most n bytes, but not into its Ethernet header. What is cut off
// takes part in the checksum, so an unfinished one is finished before.
func (p *Packet) Truncate(n int) {
	n = max(n, EthLen)
	if n >= len(p.Data) {
		return
	}
	p.FinishChecksum()
	p.Data = p.Data[:n]
	p.GSO = GSO{}
}

// MaxLen is the length of the packet in bytes, of a GSO packet that of its longest segment.
func (p *Packet) MaxLen() int {
	if p.GSO.Type == GSONone || p.GSO.Size == 0 {
		return len(p.Data)
	}
	var key flow.Key
	o := Parse(p.Data, &key)
	if o.L4 < 0 {
		return len(p.Data)
	}
	hdr := o.L4 + UDPLen
	if key.Get(flow.NwProto) == ProtoTCP && o.End-o.L4 >= TCPLen {
		hdr = o.L4 + int(p.Data[o.L4+12]>>4)*4
	}
	return min(len(p.Data), hdr+int(p.GSO.Size))
}
