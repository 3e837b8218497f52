package conntrack

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// protoNames are what dpctl/dump-conntrack calls IP protocols.
var protoNames = map[uint8]string{
	packet.ProtoICMP: "icmp", packet.ProtoIGMP: "igmp", packet.ProtoTCP: "tcp", packet.ProtoUDP: "udp", 33: "dccp",
	packet.ProtoICMPv6: "icmpv6", packet.ProtoSCTP: "sctp", packet.ProtoUDPLite: "udplite",
}

// ProtoName is the name of an IP protocol in dumps, or its number.
func ProtoName(proto uint8) string {
	if n, ok := protoNames[proto]; ok {
		return n
	}
	return strconv.Itoa(int(proto))
}

// String is the tuple as dumps have it, without its zone.
func (t Tuple) String() string {
	src, dst := netip.AddrFrom16(t.Src), netip.AddrFrom16(t.Dst)
	if t.Family == FamilyIPv4 {
		src, dst = src.Unmap(), dst.Unmap()
	}
	s := fmt.Sprintf("src=%s,dst=%s,", src, dst)
	if t.ICMP() {
		return s + fmt.Sprintf("id=%d,type=%d,code=%d", t.SrcPort, t.ICMPType(), t.ICMPCode())
	}
	return s + fmt.Sprintf("sport=%d,dport=%d", t.SrcPort, t.DstPort)
}

// TextOptions say how an Entry is written: More (-m) and Statistics (-s) as in dpctl/dump-conntrack.
type TextOptions struct{ More, Statistics bool }

// Text is the connection as dpctl/dump-conntrack has it.
func (e *Entry) Text(o TextOptions) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s,orig=(%s),reply=(%s)", ProtoName(e.Orig.Proto), e.Orig, e.Reply)
	if o.More {
		s.WriteString(",id=0")
	}
	if e.Orig.Zone != 0 {
		fmt.Fprintf(&s, ",zone=%d", e.Orig.Zone)
	}
	if o.More {
		s.WriteString(",status=0")
	}
	if o.Statistics {
		fmt.Fprintf(&s, ",timeout=%d", e.Timeout)
	}
	if e.Mark != 0 {
		fmt.Fprintf(&s, ",mark=%d", e.Mark)
	}
	if e.Label != [16]byte{} {
		fmt.Fprintf(&s, ",labels=0x%s", strings.TrimLeft(fmt.Sprintf("%x", e.Label), "0"))
	}
	if e.Orig.Proto == packet.ProtoTCP {
		e.protoInfo(&s, o.More)
	}
	if e.Helper != "" {
		fmt.Fprintf(&s, ",helper=%s", e.Helper)
	}
	if o.More && e.Parent != nil {
		fmt.Fprintf(&s, ",parent=(%s)", e.Parent)
	}
	return s.String()
}

// protoInfo writes the state of a TCP connection.
func (e *Entry) protoInfo(s *strings.Builder, more bool) {
	a, b := e.TCP[0], e.TCP[1]
	if !more {
		fmt.Fprintf(s, ",protoinfo=(state=%s)", e.TCPStateName())
		return
	}
	fmt.Fprintf(s, ",protoinfo=(state_orig=%s,state_reply=%s", a.State, b.State)
	if a.Scale != 0 || b.Scale != 0 {
		fmt.Fprintf(s, ",wscale_orig=%d,wscale_reply=%d", a.Scale, b.Scale)
	}
	fmt.Fprintf(s, ",flags_orig=%s,flags_reply=%s", a.flags(), b.flags())
	s.WriteByte(')')
}

// TCPStateName is the state of both ends in one word.
func (e *Entry) TCPStateName() string {
	s := max(e.TCP[0].State, e.TCP[1].State)
	if s == TCPFinWait2 {
		s = TCPTimeWait
	}
	return s.String()
}

// flags are what is known of an end, in OVS's words.
func (e *TCPEnd) flags() string {
	switch {
	case e.Scaled:
		return "WINDOW_SCALE"
	case e.Found:
		return "BE_LIBERAL"
	}
	return "0"
}

// String is the state's name in dumps.
func (s TCPState) String() string {
	switch s {
	case TCPClosed:
		return "CLOSED"
	case TCPSynSent:
		return "SYN_SENT"
	case TCPEstablished:
		return "ESTABLISHED"
	case TCPClosing:
		return "CLOSING"
	case TCPFinWait2:
		return "FIN_WAIT_2"
	case TCPTimeWait:
		return "TIME_WAIT"
	}
	return strconv.Itoa(int(s))
}
