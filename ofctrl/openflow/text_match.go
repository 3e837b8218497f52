package openflow

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// PortNames finds a port's name; nil or "" means that the number is printed.
type PortNames func(PortNo) string

// String is the port's number, or the name of a reserved port, as OVS prints it.
func (p PortNo) String() string {
	switch p {
	case PortUnset:
		return "UNSET"
	case PortInPort:
		return "IN_PORT"
	case PortTable:
		return "TABLE"
	case PortNormal:
		return "NORMAL"
	case PortFlood:
		return "FLOOD"
	case PortAll:
		return "ALL"
	case PortController:
		return "CONTROLLER"
	case PortLocal:
		return "LOCAL"
	case PortAny:
		return "ANY"
	}
	return strconv.FormatUint(uint64(p), 10)
}

func (n PortNames) format(p PortNo) string {
	if n != nil {
		if name := n(p); name != "" {
			return name
		}
	}
	return p.String()
}

// FormatMatch writes a match in the form of ovs-ofctl dump-flows ("" for a match of everything), without
// a priority.
func FormatMatch(m *flow.Match, names PortNames) string {
	return FormatMatchTLV(m, names, nil)
}

// FormatMatchTLV is FormatMatch with the tunnel options that the table maps (nil: none).
func FormatMatchTLV(m *flow.Match, names PortNames, tlv *TLVMap) string {
	f := &matchText{m: m, names: names, st: State{TLV: tlv}}
	f.metadata()
	f.protocol()
	f.registers()
	f.tunnel()
	f.masked(flow.Metadata, "metadata")
	if !m.Mask.IsZero(flow.InPort) {
		f.add("in_port=%s", names.format(PortNo(m.Key.Get(flow.InPort))))
	}
	f.vlan()
	f.masked(flow.EthSrc, "dl_src")
	f.masked(flow.EthDst, "dl_dst")
	if !f.namedType && !m.Mask.IsZero(flow.EthType) {
		f.add("dl_type=0x%04x", m.Key.Get(flow.EthType))
	}
	for _, id := range putNSH {
		f.masked(id, id.String())
	}
	f.network()
	f.transport()
	return strings.TrimSuffix(f.b.String(), ",")
}

type matchText struct {
	m     *flow.Match
	names PortNames
	st    State
	b     strings.Builder
	// namedType and namedProto: the protocol's keyword says the eth_type, and the nw_proto.
	namedType, namedProto bool
	megaflow              bool // recirc_id is matched, which only a datapath's flows do
}

func (f *matchText) add(format string, args ...any) {
	fmt.Fprintf(&f.b, format, args...)
	f.b.WriteByte(',')
}

// masked writes name=value[/mask] of a field in its own format, if it is matched.
func (f *matchText) masked(id flow.FieldID, name string) {
	if f.m.Mask.IsZero(id) {
		return
	}
	value, mask := f.m.Key.GetBytes(id, nil), f.m.Mask.GetBytes(id, nil)
	if f.m.Mask.IsExact(id) {
		mask = nil
	}
	f.add("%s=%s", name, FormatValue(id, value, mask))
}

// whole is masked for the fields whose mask OVS does not write.
func (f *matchText) whole(id flow.FieldID, name string) {
	if !f.m.Mask.IsZero(id) {
		f.add("%s=%s", name, FormatValue(id, f.m.Key.GetBytes(id, nil), nil))
	}
}

// FormatValue writes a field's value in wire form with its mask (nil: exact) as ovs-fields(7) says.
func FormatValue(id flow.FieldID, value, mask []byte) string {
	switch id.Info().Format {
	case flow.FormatIPv4:
		if v, ok := netip.AddrFromSlice(value); ok {
			return v.String() + prefixOrMask(mask, 4)
		}
	case flow.FormatIPv6:
		if v, ok := netip.AddrFromSlice(value); ok {
			return v.String() + prefixOrMask(mask, 16)
		}
	case flow.FormatEthernet:
		s := net.HardwareAddr(value).String()
		if mask != nil {
			s += "/" + net.HardwareAddr(mask).String()
		}
		return s
	case flow.FormatDecimal:
		s := strconv.FormatUint(uintBytes(value), 10)
		if mask != nil {
			s += "/" + hexBytes(mask)
		}
		return s
	case flow.FormatPort, flow.FormatPort10:
		if len(value) == 2 {
			return port10(be16(value)).String()
		}
		return PortNo(uintBytes(value)).String()
	}
	s := hexBytes(value)
	if mask != nil {
		s += "/" + hexBytes(mask)
	}
	return s
}

func uintBytes(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// hexBytes is 0x and the digits without leading zeros, and a bare 0 for zero.
func hexBytes(b []byte) string {
	s := strings.TrimLeft(fmt.Sprintf("%x", b), "0")
	if s == "" {
		return "0"
	}
	return "0x" + s
}

// FormatHex writes bytes as one number in hexadecimal, and zero as 0.
func FormatHex(b []byte) string { return hexBytes(b) }

// prefixOrMask is "", /prefix length, or /mask as an address.
func prefixOrMask(mask []byte, size int) string {
	if mask == nil {
		return ""
	}
	if ones, bits := net.IPMask(mask).Size(); bits == size*8 {
		return fmt.Sprintf("/%d", ones)
	}
	a, _ := netip.AddrFromSlice(mask)
	return "/" + a.String()
}

func (f *matchText) metadata() {
	m := f.m
	f.masked(flow.PktMark, "pkt_mark")
	if !m.Mask.IsZero(flow.RecircID) {
		f.megaflow = true
		f.add("recirc_id=%s", hexBytes(m.Key.GetBytes(flow.RecircID, nil)))
	}
	f.masked(flow.DPHash, "dp_hash")
	if !m.Mask.IsZero(flow.ConjID) {
		f.add("conj_id=%d", m.Key.Get(flow.ConjID))
	}
	f.masked(flow.SkbPriority, "skb_priority")
	if !m.Mask.IsZero(flow.ActsetOutput) {
		f.add("actset_output=%s", f.names.format(PortNo(m.Key.Get(flow.ActsetOutput))))
	}
	if mask := m.Mask.Get(flow.CTState); mask != 0 {
		f.add("ct_state=%s", ctState(m.Key.Get(flow.CTState), mask))
	}
	if !m.Mask.IsZero(flow.CTZone) {
		f.add("ct_zone=%d", m.Key.Get(flow.CTZone))
	}
	f.masked(flow.CTMark, "ct_mark")
	f.masked(flow.CTLabel, "ct_label")
	f.masked(flow.CTNwSrc, "ct_nw_src")
	f.masked(flow.CTNwDst, "ct_nw_dst")
	f.masked(flow.CTIPv6Src, "ct_ipv6_src")
	f.masked(flow.CTIPv6Dst, "ct_ipv6_dst")
	if !m.Mask.IsZero(flow.CTNwProto) {
		f.add("ct_nw_proto=%d", m.Key.Get(flow.CTNwProto))
	}
	f.portMasked(flow.CTTPSrc, "ct_tp_src")
	f.portMasked(flow.CTTPDst, "ct_tp_dst")
	if v := m.Key.Get(flow.PacketType); !m.Mask.IsZero(flow.PacketType) {
		if ns := v >> 16; ns == 1 { // an Ethertype
			f.add("packet_type=(1,0x%x)", v&0xffff)
		} else if v != 0 {
			f.add("packet_type=(%d,%d)", ns, v&0xffff)
		} else if f.megaflow {
			f.b.WriteString("eth,")
		}
	}
}

// ctStates are the conntrack flags from bit 0 on.
var ctStates = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}

func ctState(v, mask uint64) string {
	if mask&0xff == 0xff { // all the flags that there are
		return flagNames(ctStates, v)
	}
	var b strings.Builder
	for i, name := range ctStates {
		switch {
		case mask>>i&1 == 0:
		case v>>i&1 != 0:
			b.WriteString("+" + name)
		default:
			b.WriteString("-" + name)
		}
	}
	return b.String()
}

// protocol writes the keyword that stands for the eth_type and nw_proto.
func (f *matchText) protocol() {
	m := f.m
	if !m.Mask.IsExact(flow.EthType) {
		return
	}
	f.namedType = true
	v6 := ""
	switch m.Key.Get(flow.EthType) {
	case 0x0806:
		f.b.WriteString("arp,")
		return
	case 0x8035:
		f.b.WriteString("rarp,")
		return
	case 0x8847:
		f.b.WriteString("mpls,")
		return
	case 0x8848:
		f.b.WriteString("mplsm,")
		return
	case 0x0800:
	case 0x86dd:
		v6 = "6"
	default:
		f.namedType = false
		return
	}
	if m.Mask.IsExact(flow.NwProto) {
		f.namedProto = true
		switch p := m.Key.Get(flow.NwProto); {
		case p == 6:
			f.b.WriteString("tcp" + v6 + ",")
			return
		case p == 17:
			f.b.WriteString("udp" + v6 + ",")
			return
		case p == 132:
			f.b.WriteString("sctp" + v6 + ",")
			return
		case p == 1 && v6 == "", p == 58 && v6 != "":
			f.b.WriteString("icmp" + v6 + ",")
			return
		}
		f.namedProto = false
	}
	if v6 != "" {
		f.b.WriteString("ipv6,")
	} else {
		f.b.WriteString("ip,")
	}
}

func (f *matchText) registers() {
	for i := range 32 {
		f.masked(flow.Reg(i), "reg"+strconv.Itoa(i))
	}
}

func (f *matchText) tunnel() {
	f.masked(flow.TunID, "tun_id")
	f.masked(flow.TunSrc, "tun_src")
	f.masked(flow.TunDst, "tun_dst")
	f.masked(flow.TunIPv6Src, "tun_ipv6_src")
	f.masked(flow.TunIPv6Dst, "tun_ipv6_dst")
	f.masked(flow.TunGBPID, "tun_gbp_id")
	f.masked(flow.TunGBPFlags, "tun_gbp_flags")
	if !f.m.Mask.IsZero(flow.TunTOS) {
		f.add("tun_tos=%x", f.m.Key.Get(flow.TunTOS))
	}
	if !f.m.Mask.IsZero(flow.TunTTL) {
		f.add("tun_ttl=%d", f.m.Key.Get(flow.TunTTL))
	}
	f.whole(flow.TunErspanVer, "tun_erspan_ver")
	f.whole(flow.TunErspanIdx, "tun_erspan_idx")
	f.whole(flow.TunErspanDir, "tun_erspan_dir")
	f.whole(flow.TunErspanHwid, "tun_erspan_hwid")
	f.whole(flow.TunGtpuFlags, "gtpu_flags")
	f.whole(flow.TunGtpuMsgtype, "gtpu_msgtype")
	f.tunFlags()
	f.tunMetadata()
}

// tunFlags writes the flags of a tunnel: of a match those that it has with their signs, of a packet's flow those that are set.
func (f *matchText) tunFlags() {
	flags, mask := f.m.Key.Get(flow.TunAllFlags), f.m.Mask.Get(flow.TunAllFlags)
	var set []string
	signs, all := "", true
	for _, n := range [...]struct {
		name string
		bit  uint64
	}{{"df", flow.TunFlagDF}, {"csum", flow.TunFlagCsum}, {"key", flow.TunFlagKey}, {"oam", flow.TunFlagOAM}} {
		on := flags&n.bit != 0
		if on {
			set = append(set, n.name)
		}
		switch {
		case mask&n.bit == 0:
			all = false
		case on:
			signs += "+" + n.name
		default:
			signs += "-" + n.name
		}
	}
	switch {
	case signs == "":
	case all && len(set) == 0:
		f.add("tun_flags=0")
	case all:
		f.add("tun_flags=%s", strings.Join(set, "|"))
	default:
		f.add("tun_flags=%s", signs)
	}
}

func (f *matchText) tunMetadata() {
	for id := flow.TunMetadata0; id <= flow.TunMetadata63 && f.st.TLV != nil; id++ {
		off, n, ok := f.st.tlv(id)
		if !ok {
			continue
		}
		mask := f.m.Mask.Bytes()[tunOptsOff+off:][:n]
		switch {
		case f.m.Mask[flow.TunPresentWord]&presence(id) == 0:
			continue
		case f.m.Key[flow.TunPresentWord]&presence(id) == 0:
			f.add("%v=NP", id)
			continue
		case allZero(mask):
			f.add("%v", id)
			continue
		}
		s := hexBytes(f.m.Key.Bytes()[tunOptsOff+off:][:n])
		if !allOnes(mask) {
			s += "/" + hexBytes(mask)
		}
		f.add("%v=%s", id, s)
	}
}

func (f *matchText) vlan() {
	for i, id := range []flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		mask, v := f.m.Mask.Get(id), f.m.Key.Get(id)
		n := ""
		if i > 0 {
			n = "1"
		}
		const vid, cfi, pcp = 0x0fff, flow.VLANPresent, 0xe000
		switch {
		case mask == 0:
		case mask&vid == vid && mask&cfi != 0 && v&cfi != 0 && (mask&pcp == pcp || mask&pcp == 0):
			f.add("dl_vlan%s=%d", n, v&vid)
			if mask&pcp == pcp {
				f.add("dl_vlan_pcp%s=%d", n, v>>13)
			}
		case mask == pcp|cfi && v&cfi != 0:
			f.add("dl_vlan_pcp%s=%d", n, v>>13)
		case mask == 0xffff:
			f.add("vlan_tci%s=0x%04x", n, v)
		default:
			f.add("vlan_tci%s=0x%04x/0x%04x", n, v, mask)
		}
	}
}

func (f *matchText) network() {
	m := f.m
	arp := f.namedType && (m.Key.Get(flow.EthType) == 0x0806 || m.Key.Get(flow.EthType) == 0x8035)
	switch {
	case arp:
		f.masked(flow.ARPSPA, "arp_spa")
		f.masked(flow.ARPTPA, "arp_tpa")
		if !m.Mask.IsZero(flow.ARPOp) {
			f.add("arp_op=%d", m.Key.Get(flow.ARPOp))
		}
		f.masked(flow.ARPSHA, "arp_sha")
		f.masked(flow.ARPTHA, "arp_tha")
		return
	case m.Key.Get(flow.EthType) == 0x86dd || m.Key.Get(flow.PacketType) == 1<<16|0x86dd:
		f.masked(flow.IPv6Src, "ipv6_src")
		f.masked(flow.IPv6Dst, "ipv6_dst")
		f.ipv6Label()
	default:
		f.masked(flow.IPv4Src, "nw_src")
		f.masked(flow.IPv4Dst, "nw_dst")
	}
	if !f.namedProto && !m.Mask.IsZero(flow.NwProto) {
		f.add("nw_proto=%d", m.Key.Get(flow.NwProto))
	}
	if !m.Mask.IsZero(flow.IPDSCP) {
		f.add("nw_tos=%d", m.Key.Get(flow.NwTOS)&0xfc)
	}
	if !m.Mask.IsZero(flow.NwECN) {
		f.add("nw_ecn=%d", m.Key.Get(flow.NwECN))
	}
	if !m.Mask.IsZero(flow.NwTTL) {
		f.add("nw_ttl=%d", m.Key.Get(flow.NwTTL))
	}
	for _, l := range []struct {
		id   flow.FieldID
		name string
	}{{flow.MPLSLabel, "mpls_label"}, {flow.MPLSTC, "mpls_tc"}, {flow.MPLSTTL, "mpls_ttl"}, {flow.MPLSBoS, "mpls_bos"}} {
		if !m.Mask.IsZero(l.id) {
			f.add("%s=%d", l.name, m.Key.Get(l.id))
		}
	}
	for i, id := range []flow.FieldID{flow.MPLSLSE1, flow.MPLSLSE2} {
		switch v, mask := m.Key.Get(id), m.Mask.Get(id); mask {
		case 0:
		case 0xffffffff:
			f.add("mpls_lse%d=%d", i+1, v)
		default:
			f.add("mpls_lse%d=0x%08x/0x%08x", i+1, v, mask)
		}
	}
	if mask, v := m.Mask.Get(flow.IPFrag), m.Key.Get(flow.IPFrag); mask != 0 {
		f.add("nw_frag=%s", fragName(v, mask))
	}
}

// fragName is ovs-fields(7)'s name of an ip_frag match.
func fragName(v, mask uint64) string {
	switch {
	case mask == 3 && v == 0:
		return "no"
	case mask == 3 && v == flow.FragAny:
		return "first"
	case mask == 3 && v == flow.FragAny|flow.FragLater:
		return "later"
	case mask == flow.FragAny && v == flow.FragAny:
		return "yes"
	case mask == flow.FragAny:
		return "no"
	case mask == flow.FragLater && v == 0:
		return "not_later"
	case mask == flow.FragLater:
		return "later"
	}
	return "<error>"
}

// portMasked writes a 16-bit port: decimal, or hexadecimal with a mask.
func (f *matchText) portMasked(id flow.FieldID, name string) {
	if f.m.Mask.IsZero(id) {
		return
	}
	if f.m.Mask.IsExact(id) {
		f.add("%s=%d", name, f.m.Key.Get(id))
		return
	}
	f.add("%s=0x%x/0x%x", name, f.m.Key.Get(id), f.m.Mask.Get(id))
}

func (f *matchText) transport() {
	m := f.m
	proto := uint64(0)
	if f.namedProto {
		proto = m.Key.Get(flow.NwProto)
	}
	switch proto {
	case 1, 58:
		for _, l := range []struct {
			id   flow.FieldID
			name string
		}{{flow.ICMPType, "icmp_type"}, {flow.ICMPCode, "icmp_code"}} {
			if !m.Mask.IsZero(l.id) {
				f.add("%s=%d", l.name, m.Key.Get(l.id))
			}
		}
		f.masked(flow.NDTarget, "nd_target")
		f.masked(flow.NDSLL, "nd_sll")
		f.masked(flow.NDTLL, "nd_tll")
		if !m.Mask.IsZero(flow.NDReserved) {
			f.add("nd_reserved=%d", m.Key.Get(flow.NDReserved))
		}
		if !m.Mask.IsZero(flow.NDOptionsType) {
			f.add("nd_options_type=%d", m.Key.Get(flow.NDOptionsType))
		}
	default:
		f.portMasked(flow.TCPSrc, "tp_src")
		f.portMasked(flow.TCPDst, "tp_dst")
	}
	if mask := m.Mask.Get(flow.TCPFlags); mask != 0 {
		f.add("tcp_flags=%s", tcpFlags(m.Key.Get(flow.TCPFlags), mask))
	}
}

var tcpFlagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"}

// flagNames writes an exact set of flags.
func flagNames(names []string, v uint64) string {
	if v == 0 {
		return "0"
	}
	var set []string
	for i, name := range names {
		if v>>i&1 != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, "|")
}

// tcpFlags writes +syn-ack for single flags, syn|ack for all of them.
func tcpFlags(v, mask uint64) string {
	if mask&0xfff == 0xfff {
		return flagNames(tcpFlagNames, v)
	}
	var b strings.Builder
	for i, name := range tcpFlagNames {
		switch {
		case mask>>i&1 == 0:
		case v>>i&1 != 0:
			b.WriteString("+" + name)
		default:
			b.WriteString("-" + name)
		}
	}
	return b.String()
}

// ipv6Label is the one field whose masked form has leading zeros.
func (f *matchText) ipv6Label() {
	v, mask := f.m.Key.Get(flow.IPv6Label), f.m.Mask.Get(flow.IPv6Label)
	switch {
	case mask == 0:
	case mask == 0xfffff:
		f.add("ipv6_label=0x%05x", v)
	default:
		f.add("ipv6_label=0x%05x/0x%05x", v, mask)
	}
}
