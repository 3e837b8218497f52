package pipeline

import (
	"net/netip"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Tunnel is a tunnel port's configuration, as far as what it sends and receives depends on it (ovs-vswitchd.conf.db(5),
// Interface options).
type Tunnel struct {
	Type string // of the Interface row: "vxlan", "geneve", "gre", "ip6gre"
	// Remote and Local are addresses of the outer header. Invalid: any, or with RemoteFlow and LocalFlow those that the flow
	// says.
	Remote, Local         netip.Addr
	RemoteFlow, LocalFlow bool
	// Key is sent if HasKey; with KeyFlow the flow's.
	Key             uint64
	HasKey, KeyFlow bool
	TOS, TTL        uint8
	// InheritTOS and InheritTTL take them from the inner header where that is IP. ECN bits always are.
	InheritTOS, InheritTTL bool
	DF, Csum               bool
	CsumIPv6               bool   // like Csum, of packets over IPv6 only
	DstPort                uint16 // 0 for types without
	GBP                    bool   // VXLAN with the group based policy extension
	// Mark is the encapsulated packet's if SetMark, else that of the packet.
	Mark    uint32
	SetMark bool
	Native  bool // the datapath does what else the kernel's device does; for traces
}

// Arrival is what says which tunnel port a packet is for that came in by a datapath port of a tunnel.
type Arrival struct {
	Src, Dst netip.Addr // of the outer header
	ID       uint64     // tun_id
}

// ArrivalOf is the arrival of a packet with this key; Dst is invalid when it did not come by a tunnel. Nothing is decided by it but
// what people are shown.
func ArrivalOf(k *flow.Key) Arrival {
	return Arrival{
		Src: addressOf(k.GetBytes(flow.TunSrc, nil), k.GetBytes(flow.TunIPv6Src, nil)),
		Dst: addressOf(k.GetBytes(flow.TunDst, nil), k.GetBytes(flow.TunIPv6Dst, nil)),
		ID:  k.Get(flow.TunID),
	}
}

// arrival reads what the packet arrived with; nothing but its destination when there is none.
func (x *xlate) arrival() (a Arrival) {
	src := flow.TunSrc
	if a.Dst = x.address(flow.TunDst, flow.TunIPv6Dst); !a.Dst.IsValid() {
		return a
	} else if a.Dst.Is6() {
		src = flow.TunIPv6Src
	}
	var buf [16]byte
	a.Src = addressOf(x.key.Read(flow.WholeField(src), buf[:0]), nil)
	a.ID = x.key.Get(flow.TunID)
	return a
}

// arrive finds the port that a packet of a tunnel is for; nil: none.
func (x *xlate) arrive(no odp.Port) (Bridge, *Port) {
	if x.t.o.Receive == nil {
		return nil, nil
	}
	a := x.arrival()
	if !a.Dst.IsValid() {
		return nil, nil
	}
	return x.t.o.Receive(no, a)
}

// address reads an outer address: of IPv4, or else of IPv6; invalid when there is neither.
func (x *xlate) address(v4, v6 flow.FieldID) netip.Addr {
	var four [4]byte
	var buf [16]byte
	if copy(four[:], x.key.Read(flow.WholeField(v4), buf[:0])); four != [4]byte{} {
		return addressOf(four[:], nil)
	}
	return addressOf(nil, x.key.Read(flow.WholeField(v6), buf[:0]))
}

// addressOf is the address of either form that is not zero; invalid when there is none.
func addressOf(v4, v6 []byte) netip.Addr {
	for _, b := range [...][]byte{v4, v6} {
		if a, ok := netip.AddrFromSlice(b); ok && !a.IsUnspecified() {
			return a
		}
	}
	return netip.Addr{}
}

// Congestion notification in IP headers (RFC 3168): the two bits of ToS, and some of their values.
const (
	ecnMask = 3
	ecnECT0 = 2
	ecnCE   = 3
)

// decapsulate does with a packet that came by a tunnel what its outer header demands, and reports whether it goes on.
// Of the outer header what OVS always matches on becomes exact.
func (x *xlate) decapsulate() bool {
	if x.local = x.arrival().Dst; !x.local.IsValid() {
		return true // a trace of no packet that could arrive
	}
	x.key.ReadMasked(flow.TunAllFlags, []byte{0, flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey}, nil)
	if x.key.Get(flow.TunTOS)&ecnMask != ecnCE || !x.key.Has(flow.PrereqIP) {
		return true
	}
	// RFC 6040 section 4.2: who cannot hear of the congestion must feel it.
	if x.key.Get(flow.NwECN) == 0 {
		x.t.o.Count("tunnel_ecn_drop", 1)
		return false
	}
	x.congested = x.key.Get(flow.NwECN) != ecnCE
	x.key.Set(flow.NwECN, ecnCE)
	return true
}

// tunnel sends the packet as it is now into a tunnel. trunc is 0 or how many bytes of it are sent.
func (x *xlate) tunnel(p *Port, trunc uint32) {
	t := p.Tunnel
	remote, local := t.Remote, t.Local
	if t.RemoteFlow {
		remote = x.address(flow.TunDst, flow.TunIPv6Dst)
	}
	if t.LocalFlow {
		local = x.address(flow.TunSrc, flow.TunIPv6Src)
	}
	if remote == x.local { // both invalid, too: nowhere to
		x.warn("Not tunneling to our own address")
		return
	}
	if t.Native {
		x.detail("output to native tunnel")
	} else {
		x.detail("output to kernel tunnel")
	}
	if p.Tx != nil {
		x.Credit(p.Tx)
	}
	var outer flow.Key
	setAddress(&outer, remote, flow.TunDst, flow.TunIPv6Dst)
	setAddress(&outer, local, flow.TunSrc, flow.TunIPv6Src)
	outer.Set(flow.TunTPDst, uint64(t.DstPort))
	outer.Set(flow.TunID, t.Key)
	if t.KeyFlow {
		outer.Set(flow.TunID, x.key.Get(flow.TunID))
	}
	x.outerIP(t, &outer)
	outer.Set(flow.TunAllFlags, x.outerFlags(t, remote))
	switch {
	case t.Type == "geneve":
		x.Depend(x.tables.TLVVersion())
		if !x.key.Options(&outer) {
			x.warn("over 252 bytes of tunnel options, the last are left out")
		}
	case t.GBP:
		outer.Set(flow.TunGBPID, x.key.Get(flow.TunGBPID))
		outer.Set(flow.TunGBPFlags, x.key.Get(flow.TunGBPFlags))
	}
	mark := x.key.Mark()
	if t.SetMark {
		x.key.Set(flow.PktMark, uint64(t.Mark))
	}
	x.commit()
	x.key.RestoreMark(mark)
	x.res.Actions = x.key.CommitTunnel(&outer, x.res.Actions)
	x.sampleOutput(p, SampledTunnel{Type: t.Type, Src: local, Dst: remote, ID: outer.Get(flow.TunID), DstPort: t.DstPort})
	if trunc != 0 {
		x.emit(odp.Trunc{MaxLen: trunc})
	}
	x.emit(odp.Output{Port: p.ODP})
	x.mirror(p, p.MirrorsOut)
}

// outerIP is the ToS and TTL of the outer header.
func (x *xlate) outerIP(t *Tunnel, outer *flow.Key) {
	tos, ttl := uint64(t.TOS), uint64(t.TTL)
	if x.key.Has(flow.PrereqIP) {
		if t.InheritTTL {
			ttl = x.key.Get(flow.NwTTL)
		}
		if t.InheritTOS {
			tos = x.key.Get(flow.NwTOS)
		}
		// RFC 6040 section 4.1, compatibility mode: congestion so far stays inside.
		if ecn := x.key.Get(flow.NwECN); ecn == ecnCE {
			tos |= ecnECT0
		} else {
			tos |= ecn
		}
	}
	outer.Set(flow.TunTOS, tos)
	outer.Set(flow.TunTTL, ttl)
}

func (x *xlate) outerFlags(t *Tunnel, remote netip.Addr) (flags uint64) {
	if t.Type == "geneve" {
		flags = x.key.Get(flow.TunFlags) // OAM, which no other header has
	}
	for _, f := range [...]struct {
		on  bool
		bit uint64
	}{{t.DF, flow.TunFlagDF}, {t.Csum || t.CsumIPv6 && remote.Is6(), flow.TunFlagCsum}, {t.HasKey, flow.TunFlagKey}} {
		if f.on {
			flags |= f.bit
		}
	}
	return flags
}

func setAddress(k *flow.Key, a netip.Addr, v4, v6 flow.FieldID) {
	switch {
	case a.Is4():
		k.SetBytes(v4, a.AsSlice())
	case a.IsValid():
		k.SetBytes(v6, a.AsSlice())
	}
}
