package datapath

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
)

// ipfCommands are the commands about IP fragments. There is no reassembly: they say which fragments are tracked.
var ipfCommands = []ctCommand{
	{"dpctl/ipf-set-enabled", "[dp] v4|v6", 1, 2, func(c conntrack.Control, _, args []string) (string, error) {
		return ipfEnable(c, args, true)
	}},
	{"dpctl/ipf-set-disabled", "[dp] v4|v6", 1, 2, func(c conntrack.Control, _, args []string) (string, error) {
		return ipfEnable(c, args, false)
	}},
	{"dpctl/ipf-set-min-frag", "[dp] v4|v6 minfragment", 2, 3, ipfMin},
	{"dpctl/ipf-set-max-nfrags", "[dp] maxfrags", 1, 2, ipfMax},
	{"dpctl/ipf-get-status", "[dp]", 0, 2, ipfStatus},
}

// fragmentControl is the part of a Control that has the settings of fragments.
func fragmentControl(c conntrack.Control) (conntrack.FragmentControl, error) {
	if f, ok := c.(conntrack.FragmentControl); ok {
		return f, nil
	}
	return nil, errors.New("ovs-vswitchd: fragments have no settings in this datapath (Operation not supported)")
}

// changeFragments changes the settings of fragments; refused is dpctl's text for what is beyond the limits.
func changeFragments(c conntrack.Control, refused string, change func(*conntrack.FragmentSettings)) error {
	f, err := fragmentControl(c)
	if err != nil {
		return err
	}
	st, err := f.Fragments()
	if err != nil {
		return err
	}
	change(&st.FragmentSettings)
	if err = f.SetFragments(st.FragmentSettings); errors.Is(err, conntrack.ErrFragments) {
		return fmt.Errorf("ovs-vswitchd: %s (Operation not permitted)", refused)
	}
	return err
}

// last is the last but n argument; "" if there is none.
func last(args []string, n int) string {
	if len(args) <= n {
		return ""
	}
	return args[len(args)-1-n]
}

// ipVersion reads v4 or v6 as an index; quote is how dpctl names them if it is neither.
func ipVersion(word, quote string) (int, error) {
	switch word {
	case "v4":
		return 0, nil
	case "v6":
		return 1, nil
	}
	return 0, invalid("parameter missing: %sv4%s for IPv4 or %sv6%s for IPv6", quote, quote, quote, quote)
}

func ipfEnable(c conntrack.Control, args []string, on bool) (string, error) {
	v, err := ipVersion(last(args, 0), "'")
	if err != nil {
		return "", err
	}
	verb := "disabling"
	if on {
		verb = "enabling"
	}
	err = changeFragments(c, verb+" fragmentation reassembly failed", func(s *conntrack.FragmentSettings) { s.Disabled[v] = !on })
	return verb + " fragmentation reassembly successful\n", err
}

func ipfMin(c conntrack.Control, _, args []string) (string, error) {
	v, err := ipVersion(last(args, 1), "")
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(last(args, 0), 10, 32)
	if err != nil {
		return "", invalid("parameter missing for minimum fragment size")
	}
	err = changeFragments(c, "requested minimum fragment size too small; see documentation", func(s *conntrack.FragmentSettings) { s.Min[v] = uint32(n) })
	return "setting minimum fragment size successful\n", err
}

func ipfMax(c conntrack.Control, _, args []string) (string, error) {
	n, err := strconv.ParseUint(last(args, 0), 10, 32)
	if err != nil {
		return "", invalid("parameter missing for maximum fragments")
	}
	err = changeFragments(c, "setting maximum fragments failed", func(s *conntrack.FragmentSettings) { s.Max = uint32(n) })
	return "setting maximum fragments successful\n", err
}

func ipfStatus(c conntrack.Control, options, args []string) (string, error) {
	o, err := ctOptions(options)
	if err == nil {
		err = none(args)
	}
	if err != nil {
		return "", err
	}
	f, err := fragmentControl(c)
	if err != nil {
		return "", err
	}
	st, err := f.Fragments()
	if err != nil {
		return "", err
	}
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, "        "+format+"\n", args...) }
	line("Fragmentation Module Status")
	line("---------------------------")
	for v, name := range [2]string{"v4", "v6"} {
		enabled := 1
		if st.Disabled[v] {
			enabled = 0
		}
		line("%s enabled: %d", name, enabled)
	}
	line("max num frags (v4/v6): %d", st.Max)
	line("num frag: %d", st.Count)
	for v, name := range [2]string{"v4", "v6"} {
		n := &st.Stats[v]
		line("min %s frag size: %d", name, st.Min[v])
		line("%s frags accepted: %d", name, n.Accepted)
		line("%s frags completed: %d", name, n.Completed)
		line("%s frags expired: %d", name, n.Expired)
		line("%s frags too small: %d", name, n.TooSmall)
		line("%s frags overlapped: 0", name) // not looked at
		line("%s frags purged: %d", name, n.Purged)
	}
	if o.More {
		s.WriteString("\n        Fragment Lists:\n\n") // fragments are not kept
	}
	return s.String(), nil
}
