package odp

import (
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// FormatActions writes actions in the form of ovs-actions(7); "drop" is an empty list. names
// returns a port's name, "" to write its number; it may be nil.
func FormatActions(actions []Action, names func(Port) string) string {
	return actionsText(actions, &TextOptions{PortName: names})
}

// FormatActionsFor is FormatActions for packets of a key: what sets a field of both IP versions names the right one.
func FormatActionsFor(key *flow.Key, actions []Action, names func(Port) string) string {
	return actionsText(actions, &TextOptions{PortName: names, ipv6: key.Get(flow.EthType) == ethIPv6})
}

func actionsText(actions []Action, o *TextOptions) string {
	if len(actions) == 0 {
		return "drop"
	}
	parts := make([]string, len(actions))
	for i, a := range actions {
		parts[i] = actionText(a, o)
	}
	return strings.Join(parts, ",")
}

func actionText(a Action, o *TextOptions) string {
	list := func(l []Action) string { return actionsText(l, o) }
	switch a := a.(type) {
	case Output:
		return o.port(a.Port)
	case Userspace:
		return userspaceText(&a, o.port)
	case Set:
		a.IPv6 = a.IPv6 || o.ipv6
		return "set(" + setText(&a) + ")"
	case PushVLAN:
		s := ""
		if a.TPID != ethVLAN {
			s = fmt.Sprintf("tpid=0x%04x,", a.TPID)
		}
		return "push_vlan(" + s + vlanText(uint64(a.TCI), 0xffff, false) + ")"
	case PopVLAN:
		return "pop_vlan"
	case PushMPLS:
		return fmt.Sprintf("push_mpls(%s,eth_type=0x%x)", lseText(uint64(a.LSE)), a.EthType)
	case PopMPLS:
		return fmt.Sprintf("pop_mpls(eth_type=0x%x)", a.EthType)
	case Recirc:
		return "recirc(" + hexNum(uint64(a.ID)) + ")"
	case Hash:
		if a.SymL4 {
			return fmt.Sprintf("hash(sym_l4(%d))", a.Basis)
		}
		return fmt.Sprintf("hash(l4(%d))", a.Basis)
	case Trunc:
		return fmt.Sprintf("trunc(%d)", a.MaxLen)
	case Sample:
		return fmt.Sprintf("sample(sample=%.1f%%,actions(%s))", 100*float64(a.Probability)/(1<<32-1), list(a.Actions))
	case Clone:
		return "clone(" + list(a.Actions) + ")"
	case CheckPktLen:
		return fmt.Sprintf("check_pkt_len(size=%d,gt(%s),le(%s))", a.Len, list(a.Greater), list(a.LessEqual))
	case Meter:
		return fmt.Sprintf("meter(%d)", a.ID)
	case PushEth:
		return "push_eth(src=" + macText(a.Src[:]) + ",dst=" + macText(a.Dst[:]) + ")"
	case PopEth:
		return "pop_eth"
	case CT:
		return ctText(&a)
	case CTClear:
		return "ct_clear"
	case Drop:
		return "drop"
	}
	return fmt.Sprintf("<unknown %T>", a)
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// userspaceText writes a Userspace action. The cookie is not shown for slow_path and controller,
// which have no place for it in OVS; pid is that of netlink sockets, which we have none of.
func userspaceText(a *Userspace, port func(Port) string) string {
	var s string
	switch a.Kind {
	case UpcallSlowPath:
		s = "slow_path(" + a.Reason + ")"
	case UpcallController:
		s = fmt.Sprintf("controller(reason=%d,dont_send=%d,continuation=%d,recirc_id=%d,rule_cookie=%s,controller_id=%d,max_len=%d)",
			a.ControllerReason, bit(a.DontSend), bit(a.Continuation), a.RecircID, hexNum(a.RuleCookie), a.ControllerID, a.MaxLen)
	case UpcallSFlow:
		s = fmt.Sprintf("sFlow(cookie=%s)", hexNum(uint64(a.Cookie)))
	case UpcallFlowSample, UpcallIPFIX:
		s = sampledText(a, port)
	default:
		return "userspace(pid=0)"
	}
	return "userspace(pid=0," + s + ")"
}

func ctText(a *CT) string {
	var s []string
	if a.Force {
		s = append(s, "force_commit")
	} else if a.Commit {
		s = append(s, "commit")
	}
	if a.Zone != 0 {
		s = append(s, fmt.Sprintf("zone=%d", a.Zone))
	}
	if a.Mark != nil {
		s = append(s, fmt.Sprintf("mark=%s/%s", hexNum(uint64(a.Mark[0])), hexNum(uint64(a.Mark[1]))))
	}
	if a.Label != nil {
		t := "label=" + hexText(a.Label[0][:])
		if !allOnes(a.Label[1][:]) {
			t += "/" + hexText(a.Label[1][:])
		}
		s = append(s, t)
	}
	if a.Helper != "" {
		s = append(s, "helper="+a.Helper)
	}
	if a.Timeout != "" {
		s = append(s, "timeout="+a.Timeout)
	}
	if a.NAT != nil {
		s = append(s, natText(a.NAT))
	}
	if len(s) == 0 {
		return "ct"
	}
	return "ct(" + strings.Join(s, ",") + ")"
}

func natText(n *NAT) string {
	if !n.Src && !n.Dst {
		return "nat"
	}
	s := "src"
	if n.Dst {
		s = "dst"
	}
	addr := func(b []byte) string {
		if len(b) == 16 && n.MinPort != 0 {
			return "[" + ipText(b) + "]"
		}
		return ipText(b)
	}
	if n.MinAddr != nil || n.MinPort != 0 {
		s += "="
	}
	if n.MinAddr != nil {
		s += addr(n.MinAddr)
		if n.MaxAddr != nil && string(n.MaxAddr) != string(n.MinAddr) {
			s += "-" + addr(n.MaxAddr)
		}
	}
	if n.MinPort != 0 {
		s += fmt.Sprintf(":%d", n.MinPort)
		if n.MaxPort != 0 && n.MaxPort != n.MinPort {
			s += fmt.Sprintf("-%d", n.MaxPort)
		}
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{n.Persistent, "persistent"}, {n.Hash, "hash"}, {n.Random, "random"}} {
		if f.on {
			s += "," + f.name
		}
	}
	return "nat(" + s + ")"
}
