package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// feature is one row of dpif/show-dp-features. One of flag and number finds it; key is its name for
// dpif/set-dp-features, "" when it follows another one and cannot be set alone.
type feature struct {
	key, title string
	flag       func(*datapath.Features) *bool
	number     func(*datapath.Features) *int
}

// features are the rows in OVS's order.
var features = []feature{
	{"masked_set_action", "Masked set action", func(f *datapath.Features) *bool { return &f.MaskedSet }, nil},
	{"tnl_push_pop", "Tunnel push pop", func(f *datapath.Features) *bool { return &f.TnlPushPop }, nil},
	{"ufid", "Ufid", func(f *datapath.Features) *bool { return &f.UFID }, nil},
	{"trunc", "Truncate action", func(f *datapath.Features) *bool { return &f.Trunc }, nil},
	{"clone", "Clone action", func(f *datapath.Features) *bool { return &f.Clone }, nil},
	{"sample_nesting", "Sample nesting", nil, func(f *datapath.Features) *int { return &f.SampleNesting }},
	{"ct_eventmask", "Conntrack eventmask", func(f *datapath.Features) *bool { return &f.CTEventMask }, nil},
	{"ct_clear", "Conntrack clear", func(f *datapath.Features) *bool { return &f.CTClear }, nil},
	{"max_hash_alg", "Max dp_hash algorithm", nil, func(f *datapath.Features) *int { return &f.MaxHashAlg }},
	{"check_pkt_len", "Check pkt length action", func(f *datapath.Features) *bool { return &f.CheckPktLen }, nil},
	{"ct_timeout", "Conntrack timeout policy", func(f *datapath.Features) *bool { return &f.CTTimeout }, nil},
	{"explicit_drop_action", "Explicit Drop action", func(f *datapath.Features) *bool { return &f.ExplicitDrop }, nil},
	{"lb_output_action", "Optimized Balance TCP mode", func(f *datapath.Features) *bool { return &f.LBOutput }, nil},
	{"ct_zero_snat", "Conntrack all-zero IP SNAT", func(f *datapath.Features) *bool { return &f.CTZeroSNAT }, nil},
	{"add_mpls", "MPLS Label add", func(f *datapath.Features) *bool { return &f.AddMPLS }, nil},
	{"", "psample action", never, nil},
	{"max_vlan_headers", "Max VLAN headers", nil, func(f *datapath.Features) *int { return &f.MaxVLANHeaders }},
	{"max_mpls_depth", "Max MPLS depth", nil, func(f *datapath.Features) *int { return &f.MaxMPLSDepth }},
	{"recirc", "Recirc", func(f *datapath.Features) *bool { return &f.Recirc }, nil},
	{"ct_state", "CT state", func(f *datapath.Features) *bool { return &f.CTState }, nil},
	{"ct_zone", "CT zone", func(f *datapath.Features) *bool { return &f.CTZone }, nil},
	{"ct_mark", "CT mark", func(f *datapath.Features) *bool { return &f.CTMark }, nil},
	{"ct_label", "CT label", func(f *datapath.Features) *bool { return &f.CTLabel }, nil},
	{"ct_state_nat", "CT state NAT", func(f *datapath.Features) *bool { return &f.CTStateNAT }, nil},
	{"ct_orig_tuple", "CT orig tuple", func(f *datapath.Features) *bool { return &f.CTOrigTuple }, nil},
	{"ct_orig_tuple6", "CT orig tuple for IPv6", func(f *datapath.Features) *bool { return &f.CTOrigTuple6 }, nil},
	{"nd_ext", "IPv6 ND Extension", func(f *datapath.Features) *bool { return &f.NDExt }, nil},
}

func never(*datapath.Features) *bool { return new(bool) }

// text is a feature's value, in one of the words for a flag.
func (r *feature) text(f *datapath.Features, no, yes string) string {
	switch {
	case r.number != nil:
		return strconv.Itoa(*r.number(f))
	case *r.flag(f):
		return yes
	}
	return no
}

// dpFeatures answers dpif/show-dp-features.
func (a *Agent) dpFeatures(args []string) (string, error) {
	if _, err := a.find(args[0]); err != nil {
		return "", err
	}
	f := a.translator.Features()
	var s strings.Builder
	for _, r := range features {
		fmt.Fprintf(&s, "%s: %s\n", r.title, r.text(&f, "No", "Yes"))
	}
	return s.String(), nil
}

// setDPFeatures answers dpif/set-dp-features: it shows the features that can be set, or one, or has flows made as if the
// datapath had less of it than it has. With --force also as if it had more, which may make flows that it refuses.
func (a *Agent) setDPFeatures(args []string) (string, error) {
	force := args[0] == "--force"
	if force {
		args = args[1:]
	}
	if len(args) == 0 {
		return "", errors.New("a bridge is missing")
	}
	if _, err := a.find(args[0]); err != nil {
		return "", err
	}
	run, boot := a.translator.Features(), a.o.Datapath.Features()
	var s strings.Builder
	for _, r := range features {
		if r.key == "" || len(args) > 1 && args[1] != r.key {
			continue
		}
		if len(args) == 3 {
			if wrong := r.set(&run, &boot, args[2], force); wrong != "" {
				return wrong + "\n", nil // no error, as in OVS
			}
			a.translator.SetFeatures(run)
			a.portsVersion.n.Add(1) // every translation depends on it
			a.engine.Kick()
			return "", nil
		}
		fmt.Fprintf(&s, "%s (%s) : [run time]:%s, [boot time]:%s\n", r.key, r.title, r.text(&run, "false", "true"), r.text(&boot, "false", "true"))
	}
	if s.Len() == 0 {
		return "Unexpected support field\n", nil
	}
	return s.String(), nil
}

// set takes a value, or says in OVS's words why not.
func (r *feature) set(run, boot *datapath.Features, value string, force bool) (wrong string) {
	const beyond = "Can not set value beyond the datapath capability"
	if r.number != nil {
		n, err := strconv.Atoi(value)
		switch {
		case err != nil || n < 0:
			return "Integer number expected"
		case n > *r.number(boot) && !force:
			return beyond
		}
		*r.number(run) = n
		return ""
	}
	on := value == "true"
	switch {
	case !on && value != "false":
		return "Boolean value expected"
	case on && !*r.flag(boot) && !force:
		return beyond
	}
	*r.flag(run) = on
	return ""
}
