package datapath

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// outer is what a packet has in front of its network header while actions run: VLAN tags, outermost first, and labels.
type outer struct {
	tags   []tag
	labels []uint32
}

// tag is a VLAN tag.
type tag struct{ tpid, tci uint16 }

// outerOf is what a packet of a flow has.
func outerOf(k *flow.Key) (o outer) {
	for _, f := range [...]flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
		if tci := uint16(k.Get(f)); tci&flow.VLANPresent != 0 {
			o.tags = append(o.tags, tag{tpidVLAN, tci})
		}
	}
	for _, f := range [...]flow.FieldID{flow.MPLSLSE0, flow.MPLSLSE1, flow.MPLSLSE2} {
		lse := uint32(k.Get(f))
		if lse == 0 {
			break
		}
		o.labels = append(o.labels, lse)
	}
	return o
}

const (
	tpidVLAN = 0x8100
	// maxOuter bounds the tags and labels that are followed.
	maxOuter = 64
)

// apply does what an action does to tags and labels; it reports whether the action is one of those.
func (o *outer) apply(a odp.Action) bool {
	switch a := a.(type) {
	case odp.PushVLAN:
		o.tags = append([]tag{{a.TPID, a.TCI | flow.VLANPresent}}, o.tags[:min(len(o.tags), maxOuter)]...)
	case odp.PopVLAN:
		if len(o.tags) > 0 {
			o.tags = o.tags[1:]
		}
	case odp.PushMPLS:
		o.labels = append([]uint32{a.LSE}, o.labels[:min(len(o.labels), maxOuter)]...)
	case odp.PopMPLS:
		if len(o.labels) > 0 {
			o.labels = o.labels[1:]
		}
	default:
		return false
	}
	return true
}

// text says what there is, as OVS does.
func (o *outer) text() string {
	var s strings.Builder
	for _, t := range o.tags {
		s.WriteString("vlan(")
		if t.tpid != tpidVLAN {
			fmt.Fprintf(&s, "tpid=0x%04x,", t.tpid)
		}
		fmt.Fprintf(&s, "vid=%d,pcp=%d): ", t.tci&0xfff, t.tci>>13)
	}
	if len(o.tags) == 0 {
		s.WriteString("no vlan: ")
	}
	for _, l := range o.labels {
		fmt.Fprintf(&s, "mpls(label=%d,tc=%d,ttl=%d): ", l>>12, l>>9&7, l&0xff)
	}
	if len(o.labels) == 0 {
		s.WriteString("no mpls: ")
	}
	return s.String()
}

// order is a key by which those with fewer and smaller tags come first.
func (o *outer) order() string {
	var b []byte
	for _, t := range o.tags {
		b = binary.BigEndian.AppendUint16(b, t.tci)
		b = binary.BigEndian.AppendUint16(b, t.tpid)
	}
	b = append(b, 0, 0, 0, 0)
	for _, l := range o.labels {
		b = binary.BigEndian.AppendUint32(b, l)
	}
	return string(b)
}

// normalizeActions answers dpctl/normalize-actions: what a flow's actions do to packets with each stack of tags and labels that they
// make, outputs in order, so that lists which do the same can be compared.
func normalizeActions(args []string, number odp.NameFunc, name func(odp.Port) string) (string, error) {
	options, args := cutOptions(args)
	verbose, names := false, func(odp.Port) string { return "" }
	for _, o := range options {
		switch o {
		case "-m", "--more":
			verbose = true
		case "--names":
			names = name
		case "--no-names":
		default:
			return "", unrecognized(o)
		}
	}
	if len(args) != 2 {
		return "", errors.New("a flow and its actions are missing")
	}
	m, err := odp.ParseKey(args[0], number)
	if err != nil {
		return "", dpctlError(fmt.Errorf("odp_flow_key_from_string (%w) (Invalid argument)", err))
	}
	var s strings.Builder
	fmt.Fprintf(&s, "input flow: %s\n", odp.FormatKey(&m.Key, &m.Mask, odp.TextOptions{PortName: names}))
	list, err := odp.ParseActions(args[1], number)
	if err != nil {
		return "", dpctlError(fmt.Errorf("odp_actions_from_string (Invalid argument): %w", err))
	}
	if verbose {
		fmt.Fprintf(&s, "input actions: %s\n", odp.FormatActions(list, names))
	}
	o := outerOf(&m.Key)
	heads, lists := map[string]string{}, map[string][]odp.Action{}
	keep := func(a ...odp.Action) {
		k := o.order()
		heads[k], lists[k] = o.text(), append(lists[k], a...)
	}
	for _, a := range list {
		if !o.apply(a) {
			keep(a)
		}
	}
	if len(lists) == 0 {
		keep()
	}
	for _, k := range slices.Sorted(maps.Keys(lists)) {
		sortOutputs(lists[k])
		fmt.Fprintf(&s, "%s%s\n", heads[k], odp.FormatActions(lists[k], names))
	}
	return s.String(), nil
}

// sortOutputs sorts outputs between which nothing happens to the packet.
func sortOutputs(list []odp.Action) {
	for len(list) > 0 {
		n := slices.IndexFunc(list, func(a odp.Action) bool { _, ok := a.(odp.Output); return !ok })
		if n < 0 {
			n = len(list)
		}
		slices.SortFunc(list[:n], func(a, b odp.Action) int { return cmp.Compare(a.(odp.Output).Port, b.(odp.Output).Port) })
		list = list[min(n+1, len(list)):]
	}
}
