package openflow

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// FormatActions writes an action list in the form of ovs-ofctl dump-flows; "drop" when it is empty.
func FormatActions(list []Action, names PortNames) string {
	if len(list) == 0 {
		return "drop"
	}
	words := make([]string, 0, len(list))
	for _, a := range list {
		words = append(words, formatAction(a, names))
	}
	return strings.Join(words, ",")
}

// FormatSubfield writes NAME[ofs..end] with the field's NXM name.
func FormatSubfield(s flow.Subfield) string {
	f := s.Field.Info()
	name := f.Name
	if len(f.OXM) > 0 {
		name = f.OXM[0].Name
	}
	switch {
	case s.Ofs == 0 && int(s.Bits) == f.Bits:
		return name + "[]"
	case s.Bits == 1:
		return fmt.Sprintf("%s[%d]", name, s.Ofs)
	}
	return fmt.Sprintf("%s[%d..%d]", name, s.Ofs, s.Ofs+s.Bits-1)
}

// legacyNames are the mod_* names of the fields that have one.
var legacyNames = map[flow.FieldID]string{
	flow.EthSrc: "mod_dl_src", flow.EthDst: "mod_dl_dst", flow.IPv4Src: "mod_nw_src", flow.IPv4Dst: "mod_nw_dst",
	flow.NwTOS: "mod_nw_tos", flow.IPDSCP: "mod_nw_tos", flow.NwECN: "mod_nw_ecn",
	flow.TCPSrc: "mod_tp_src", flow.TCPDst: "mod_tp_dst", flow.UDPSrc: "mod_tp_src", flow.UDPDst: "mod_tp_dst",
	flow.SCTPSrc: "mod_tp_src", flow.SCTPDst: "mod_tp_dst",
}

func formatAction(a Action, names PortNames) string {
	switch a := a.(type) {
	case Output:
		if a.Port == PortController {
			return fmt.Sprintf("CONTROLLER:%d", a.MaxLen)
		}
		if a.Port < PortMax {
			return "output:" + names.format(a.Port)
		}
		return names.format(a.Port)
	case OutputReg:
		return "output:" + FormatSubfield(a.Src)
	case OutputTrunc:
		return fmt.Sprintf("output(port=%s,max_len=%d)", names.format(a.Port), a.MaxLen)
	case Controller:
		return formatController(a)
	case Unroll:
		return fmt.Sprintf("unroll_xlate(table=%d, cookie=%d)", a.Table, a.Cookie)
	case Enqueue:
		return fmt.Sprintf("enqueue:%s:%d", names.format(a.Port), a.Queue)
	case Group:
		return fmt.Sprintf("group:%d", a.ID)
	case Bundle:
		return formatBundle(a, names)
	case SetField:
		if name := legacyNames[a.Field]; a.Legacy && name != "" {
			v := a.Value
			if a.Field == flow.IPDSCP && len(v) == 1 {
				v = []byte{v[0] << 2}
			}
			return name + ":" + FormatValue(a.Field, v, nil)
		}
		return "set_field:" + FormatValue(a.Field, a.Value, a.Mask) + "->" + a.Field.Info().Name
	case Load:
		return "load:" + hexBytes(a.Value) + "->" + FormatSubfield(a.Dst)
	case Move:
		return "move:" + FormatSubfield(a.Src) + "->" + FormatSubfield(a.Dst)
	case StackPush:
		return "push:" + FormatSubfield(a.Src)
	case StackPop:
		return "pop:" + FormatSubfield(a.Dst)
	case SetVLANVID:
		return withPush("vid", a.Push, a.VID)
	case SetVLANPCP:
		return withPush("pcp", a.Push, uint16(a.PCP))
	case StripVLAN:
		return pick(a.Pop, "pop_vlan", "strip_vlan")
	case PushVLAN:
		return fmt.Sprintf("push_vlan:0x%04x", a.EthType)
	case PushMPLS:
		return fmt.Sprintf("push_mpls:0x%04x", a.EthType)
	case PopMPLS:
		return fmt.Sprintf("pop_mpls:0x%04x", a.EthType)
	case SetMPLSLabel:
		return fmt.Sprintf("set_mpls_label(%d)", a.Label)
	case SetMPLSTC:
		return fmt.Sprintf("set_mpls_tc(%d)", a.TC)
	case SetMPLSTTL:
		return fmt.Sprintf("set_mpls_ttl(%d)", a.TTL)
	case DecMPLSTTL:
		return "dec_mpls_ttl"
	case DecNSHTTL:
		return "dec_nsh_ttl"
	case SetTTL:
		return fmt.Sprintf("mod_nw_ttl:%d", a.TTL)
	case DecTTL:
		return formatDecTTL(a)
	case DeleteField:
		return "delete_field:" + a.Field.Info().Name
	case Encap:
		return formatEncap(a)
	case Decap:
		if a.Type == 0x0001_ffff || a.Type == 0xfffe {
			return "decap()"
		}
		return fmt.Sprintf("decap(packet_type(ns=%d,id=0x%x))", a.Type>>16, a.Type&0xffff)
	case SetTunnel:
		if a.Wide || a.ID > 0xffffffff {
			return fmt.Sprintf("set_tunnel64:%#x", a.ID)
		}
		return fmt.Sprintf("set_tunnel:%#x", a.ID)
	case SetQueue:
		return fmt.Sprintf("set_queue:%d", a.Queue)
	case PopQueue:
		return "pop_queue"
	case FinTimeout:
		return formatFinTimeout(a)
	case Resubmit:
		return formatResubmit(a, names)
	case Learn:
		return formatLearn(a)
	case Conjunction:
		return fmt.Sprintf("conjunction(%d,%d/%d)", a.ID, a.Clause+1, a.N)
	case Multipath:
		return formatMultipath(a)
	case Note:
		return formatNote(a)
	case Exit:
		return "exit"
	case Sample:
		return formatSample(a, names)
	case CT:
		return formatCT(a, names)
	case NAT:
		return formatNAT(a)
	case CTClear:
		return "ct_clear"
	case Clone:
		return "clone(" + formatNested(a.Actions, names) + ")"
	case CheckPktLarger:
		return fmt.Sprintf("check_pkt_larger(%d)->%s", a.Len, FormatSubfield(a.Dst))
	case Meter:
		return fmt.Sprintf("meter:%d", a.ID)
	case WriteMetadata:
		if a.Mask == ^uint64(0) {
			return fmt.Sprintf("write_metadata:%#x", a.Value)
		}
		return fmt.Sprintf("write_metadata:%#x/%#x", a.Value, a.Mask)
	case WriteActions:
		return "write_actions(" + FormatActions(a.Actions, names) + ")"
	case ClearActions:
		return "clear_actions"
	case GotoTable:
		return fmt.Sprintf("goto_table:%d", a.Table)
	}
	return fmt.Sprintf("unknown(%T)", a)
}

func formatNested(list []Action, names PortNames) string {
	if len(list) == 0 {
		return ""
	}
	return FormatActions(list, names)
}

func withPush(what string, push bool, v uint16) string {
	s := fmt.Sprintf("mod_vlan_%s:%d", what, v)
	if !push {
		s = fmt.Sprintf("set_vlan_%s:%d", what, v)
	}
	return s
}

// reasonNames are the packet-in reasons in text.
var reasonNames = map[PacketInReason]string{
	ReasonNoMatch: "no_match", ReasonAction: "action", ReasonInvalidTTL: "invalid_ttl",
	ReasonActionSet: "action_set", ReasonGroup: "group", ReasonPacketOut: "packet_out",
	6: "", 7: "", // OVS's own for table misses, explicit and implicit, which have no name
}

// String is the reason's name in OpenFlow text.
func (r PacketInReason) String() string {
	if n, ok := reasonNames[r]; ok {
		return n
	}
	return fmt.Sprint(uint8(r))
}

func formatController(a Controller) string {
	if a.Reason == ReasonAction && a.ControllerID == 0 && len(a.Userdata) == 0 && !a.Pause && a.MeterID == 0 {
		return fmt.Sprintf("CONTROLLER:%d", a.MaxLen)
	}
	var w []string
	if a.Reason != ReasonAction {
		w = append(w, "reason="+a.Reason.String())
	}
	if a.MaxLen != 0xffff {
		w = append(w, fmt.Sprintf("max_len=%d", a.MaxLen))
	}
	if a.ControllerID != 0 {
		w = append(w, fmt.Sprintf("id=%d", a.ControllerID))
	}
	if len(a.Userdata) > 0 {
		w = append(w, "userdata="+dotted(a.Userdata))
	}
	if a.Pause {
		w = append(w, "pause")
	}
	if a.MeterID != 0 {
		w = append(w, fmt.Sprintf("meter_id=%d", a.MeterID))
	}
	return "controller(" + strings.Join(w, ",") + ")"
}

// dotted writes bytes as 00.11.22.
func dotted(b []byte) string {
	w := make([]string, len(b))
	for i, c := range b {
		w[i] = fmt.Sprintf("%02x", c)
	}
	return strings.Join(w, ".")
}

func formatNote(a Note) string { return "note:" + dotted(a.Data) }

func formatDecTTL(a DecTTL) string {
	if len(a.IDs) == 0 || len(a.IDs) == 1 && a.IDs[0] == 0 {
		return "dec_ttl"
	}
	w := make([]string, len(a.IDs))
	for i, id := range a.IDs {
		w[i] = fmt.Sprint(id)
	}
	return "dec_ttl(" + strings.Join(w, ",") + ")"
}

func formatEncap(a Encap) string {
	switch a.Type {
	case 0:
		return "encap(ethernet)"
	case 0x0001_894f:
		return "encap(nsh" + formatEncapNSH(a.Props) + ")"
	case 0x0001_8847:
		return "encap(mpls)"
	case 0x0001_8848:
		return "encap(mpls_mc)"
	}
	return fmt.Sprintf("encap(packet_type(ns=%d,id=0x%x))", a.Type>>16, a.Type&0xffff)
}

// formatEncapNSH writes the properties of an NSH header: 1 is the metadata type, 2 a TLV.
func formatEncapNSH(props []byte) string {
	var w []string
	for len(props) >= 4 {
		n := int(props[3])
		if n < 4 || n > len(props) {
			break
		}
		switch v := props[4:n]; {
		case props[2] == 1 && len(v) >= 1:
			w = append(w, fmt.Sprintf("md_type=%d", v[0]))
		case props[2] == 2 && len(v) >= 4:
			w = append(w, fmt.Sprintf("tlv(0x%04x,%d,0x%x)", be16(v), v[2], v[4:min(4+int(v[3]), len(v))]))
		}
		props = props[min(pad8(n), len(props)):]
	}
	if len(w) == 0 {
		return ""
	}
	return "(" + strings.Join(w, ",") + ")"
}

func formatFinTimeout(a FinTimeout) string {
	var w []string
	if a.Idle != 0 {
		w = append(w, fmt.Sprintf("idle_timeout=%d", a.Idle))
	}
	if a.Hard != 0 {
		w = append(w, fmt.Sprintf("hard_timeout=%d", a.Hard))
	}
	return "fin_timeout(" + strings.Join(w, ",") + ")"
}

func formatResubmit(a Resubmit, names PortNames) string {
	if a.InPort != PortInPort && a.Table == TableAll && !a.CT {
		return "resubmit:" + names.format(a.InPort)
	}
	s := "resubmit("
	if a.InPort != PortInPort {
		s += names.format(a.InPort)
	}
	s += ","
	if a.Table != TableAll {
		s += fmt.Sprint(a.Table)
	}
	if a.CT {
		s += ",ct"
	}
	return s + ")"
}

// fieldsNames are the nx_hash_fields.
var fieldsNames = []string{"eth_src", "symmetric_l4", "symmetric_l3l4", "symmetric_l3l4+udp", "nw_src", "nw_dst", "symmetric_l3"}

func hashFields(n uint16) string {
	if int(n) < len(fieldsNames) {
		return fieldsNames[n]
	}
	return "<unknown>"
}

func formatBundle(a Bundle, names PortNames) string {
	algorithm := "active_backup"
	if a.Algorithm == 1 {
		algorithm = "hrw"
	}
	members := make([]string, len(a.Members))
	for i, p := range a.Members {
		members[i] = names.format(p)
	}
	name, dst := "bundle", ""
	if a.Dst != nil {
		name, dst = "bundle_load", FormatSubfield(*a.Dst)+","
	}
	return fmt.Sprintf("%s(%s,%d,%s,ofport,%smembers:%s)", name, hashFields(a.Fields), a.Basis, algorithm, dst, strings.Join(members, ","))
}

func formatMultipath(a Multipath) string {
	algorithms := []string{"modulo_n", "hash_threshold", "hrw", "iter_hash"}
	algorithm := "<unknown>"
	if int(a.Algorithm) < len(algorithms) {
		algorithm = algorithms[a.Algorithm]
	}
	return fmt.Sprintf("multipath(%s,%d,%s,%d,%d,%s)", hashFields(a.Fields), a.Basis, algorithm, int(a.MaxLink)+1, a.Arg, FormatSubfield(a.Dst))
}

func formatSample(a Sample, names PortNames) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sample(probability=%d,collector_set_id=%d,", a.Probability, a.CollectorSet)
	if a.ObsDomainSrc != nil {
		fmt.Fprintf(&b, "obs_domain_id=%s,", FormatSubfield(*a.ObsDomainSrc))
	} else {
		fmt.Fprintf(&b, "obs_domain_id=%d,", a.ObsDomain)
	}
	if a.ObsPointSrc != nil {
		fmt.Fprintf(&b, "obs_point_id=%s", FormatSubfield(*a.ObsPointSrc))
	} else {
		fmt.Fprintf(&b, "obs_point_id=%d", a.ObsPoint)
	}
	if a.Form >= 2 && a.SamplingPort != PortAny && a.SamplingPort != 0 {
		fmt.Fprintf(&b, ",sampling_port=%s", names.format(a.SamplingPort))
	}
	switch a.Direction {
	case 1:
		b.WriteString(",ingress")
	case 2:
		b.WriteString(",egress")
	}
	return b.String() + ")"
}

func formatLearn(a Learn) string {
	var b strings.Builder
	fmt.Fprintf(&b, "learn(table=%d", a.Table)
	for _, n := range []struct {
		name string
		v    uint16
		def  uint16
	}{{"idle_timeout", a.Idle, 0}, {"hard_timeout", a.Hard, 0}, {"fin_idle_timeout", a.FinIdle, 0}, {"fin_hard_timeout", a.FinHard, 0}, {"priority", a.Priority, 0x8000}} {
		if n.v != n.def {
			fmt.Fprintf(&b, ",%s=%d", n.name, n.v)
		}
	}
	if a.Flags&1 != 0 {
		b.WriteString(",send_flow_rem")
	}
	if a.Flags&2 != 0 {
		b.WriteString(",delete_learned")
	}
	if a.Cookie != 0 {
		fmt.Fprintf(&b, ",cookie=%#x", a.Cookie)
	}
	if a.Limit != 0 {
		fmt.Fprintf(&b, ",limit=%d", a.Limit)
	}
	if a.Flags&4 != 0 && a.ResultDst != nil {
		b.WriteString(",result_dst=" + FormatSubfield(*a.ResultDst))
	}
	for _, s := range a.Specs {
		b.WriteString("," + formatLearnSpec(s))
	}
	return b.String() + ")"
}

func formatLearnSpec(s LearnSpec) string {
	switch {
	case s.Dst == 2 && s.Src != nil:
		return "output:" + FormatSubfield(*s.Src)
	case s.Dst == 1 && s.Src != nil:
		return "load:" + FormatSubfield(*s.Src) + "->" + FormatSubfield(s.To)
	case s.Dst == 1:
		return "load:" + hexBytes(s.Value) + "->" + FormatSubfield(s.To)
	case s.Src == nil && int(s.To.Bits) == s.To.Field.Info().Bits:
		return s.To.Field.Info().Name + "=" + FormatValue(s.To.Field, s.Value, nil)
	case s.Src == nil:
		return FormatSubfield(s.To) + "=" + hexBytes(s.Value)
	case *s.Src == s.To:
		return FormatSubfield(s.To)
	}
	return FormatSubfield(s.To) + "=" + FormatSubfield(*s.Src)
}

func formatCT(a CT, names PortNames) string {
	var w []string
	if a.Commit {
		w = append(w, "commit")
	}
	if a.Force {
		w = append(w, "force")
	}
	if a.RecircTable != TableAll {
		w = append(w, fmt.Sprintf("table=%d", a.RecircTable))
	}
	if a.ZoneSrc != nil {
		w = append(w, "zone="+FormatSubfield(*a.ZoneSrc))
	} else if a.ZoneImm != 0 {
		w = append(w, fmt.Sprintf("zone=%d", a.ZoneImm))
	}
	var exec []Action
	for _, n := range a.Actions {
		if nat, ok := n.(NAT); ok {
			w = append(w, formatNAT(nat))
		} else {
			exec = append(exec, n)
		}
	}
	if len(exec) > 0 {
		w = append(w, "exec("+FormatActions(exec, names)+")")
	}
	switch a.ALG {
	case 0:
	case 21:
		w = append(w, "alg=ftp")
	case 69:
		w = append(w, "alg=tftp")
	default:
		w = append(w, fmt.Sprintf("alg=%d", a.ALG))
	}
	return "ct(" + strings.Join(w, ",") + ")"
}

func formatNAT(a NAT) string {
	if a.Flags&3 == 0 {
		return "nat"
	}
	dir := "dst"
	if a.Flags&1 != 0 {
		dir = "src"
	}
	s := dir
	if len(a.AddrMin) > 0 {
		lo, _ := netip.AddrFromSlice(a.AddrMin)
		s += "="
		open, end := "", ""
		if lo.Is6() && a.PortMin != 0 {
			open, end = "[", "]"
		}
		s += open + lo.String() + end
		if hi, ok := netip.AddrFromSlice(a.AddrMax); ok && hi != lo && hi.IsValid() {
			s += "-" + open + hi.String() + end
		}
		if a.PortMin != 0 {
			s += fmt.Sprintf(":%d", a.PortMin)
			if a.PortMax != 0 && a.PortMax != a.PortMin {
				s += fmt.Sprintf("-%d", a.PortMax)
			}
		}
	}
	for bit, name := range []string{2: "persistent", 3: "hash", 4: "random"} {
		if name != "" && a.Flags>>bit&1 != 0 {
			s += "," + name
		}
	}
	return "nat(" + s + ")"
}
