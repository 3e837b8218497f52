package datapath

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
)

// ctCommand is a command about the connections of the datapath.
type ctCommand struct {
	name, usage string
	min, max    int
	run         func(c conntrack.Control, options, args []string) (string, error)
}

var ctCommands = []ctCommand{
	{"dpctl/dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4, ctDump},
	{"dpctl/flush-conntrack", "[dp] [zone=N] [mark=X[/M]] [labels=Y[/N]] [ct-orig-tuple [ct-reply-tuple]]", 0, 6, ctFlush},
	{"dpctl/ct-stats-show", "[dp] [zone=N]", 0, 3, ctStats},
	{"dpctl/ct-bkts", "[dp] [gt=N]", 0, 2, ctBuckets},
	{"dpctl/ct-set-maxconns", "[dp] maxconns", 1, 2, func(c conntrack.Control, _, args []string) (string, error) {
		n, err := argument(args, "maxconns")
		if err != nil {
			return "", err
		}
		return "setting maxconns successful\n", c.SetMax(n)
	}},
	{"dpctl/ct-get-maxconns", "[dp]", 0, 1, func(c conntrack.Control, _, args []string) (string, error) {
		n, err := c.Max()
		return fmt.Sprintf("%d\n", n), errors.Join(none(args), err)
	}},
	{"dpctl/ct-get-nconns", "[dp]", 0, 1, func(c conntrack.Control, _, args []string) (string, error) {
		n, err := c.Count()
		return fmt.Sprintf("%d\n", n), errors.Join(none(args), err)
	}},
	{"dpctl/ct-enable-tcp-seq-chk", "[dp]", 0, 1, func(c conntrack.Control, _, args []string) (string, error) {
		if err := none(args); err != nil {
			return "", err
		}
		return "enabling TCP sequence checking successful\n", c.SetSequenceCheck(true)
	}},
	{"dpctl/ct-disable-tcp-seq-chk", "[dp]", 0, 1, func(c conntrack.Control, _, args []string) (string, error) {
		if err := none(args); err != nil {
			return "", err
		}
		return "disabling TCP sequence checking successful\n", c.SetSequenceCheck(false)
	}},
	{"dpctl/ct-get-tcp-seq-chk", "[dp]", 0, 1, func(c conntrack.Control, _, args []string) (string, error) {
		on, err := c.SequenceCheck()
		word := "disabled"
		if on {
			word = "enabled"
		}
		return "TCP sequence checking: " + word + "\n", errors.Join(none(args), err)
	}},
	{"dpctl/ct-set-limits", "[dp] [default=L] [zone=N,limit=L]...", 1, 64, ctSetLimits},
	{"dpctl/ct-get-limits", "[dp] [zone=N1[,N2]...]", 0, 2, ctGetLimits},
	{"dpctl/ct-del-limits", "[dp] [default] [zone=N1[,N2]...]", 1, 3, ctDelLimits},
}

// registerConntrack adds the commands about connections.
func (e *Engine) registerConntrack(r Registrar) {
	for _, cmd := range slices.Concat(ctCommands, ipfCommands) {
		r.Register(cmd.name, cmd.usage, cmd.min, cmd.max, func(_ context.Context, args []string, reply func(string, error)) {
			ct, ok := e.dp.(Conntracker)
			if !ok {
				reply("", fmt.Errorf("%s: datapath %s does not track connections (Operation not supported)", cmd.name, e.dpName()))
				return
			}
			if err := e.limitsHeld(cmd.name); err != nil {
				reply("", err)
				return
			}
			options, args := cutOptions(args)
			if len(args) > 0 && e.checkDP(args[0]) == nil {
				args = args[1:]
			}
			text, err := cmd.run(ct.Conntrack(), options, args)
			if err != nil {
				text = ""
			}
			reply(text, err)
		})
	}
}

// invalid is a wrong argument in the form of dpctl's errors.
func invalid(format string, args ...any) error {
	return fmt.Errorf("ovs-vswitchd: "+format+" (Invalid argument)", args...)
}

func none(args []string) error {
	if len(args) > 0 {
		return invalid("datapath not found")
	}
	return nil
}

func argument(args []string, name string) (uint32, error) {
	if len(args) == 1 {
		if n, err := strconv.ParseUint(args[0], 10, 32); err == nil {
			return uint32(n), nil
		}
	}
	return 0, invalid("%s missing or malformed", name)
}

// cutZone takes zone=N off the arguments; nil: every zone.
func cutZone(args []string) (zone *uint16, rest []string, err error) {
	if len(args) == 0 || !strings.HasPrefix(args[0], "zone=") {
		return nil, args, nil
	}
	n, err := strconv.ParseUint(args[0][len("zone="):], 10, 16)
	if err != nil {
		return nil, nil, invalid("failed to parse zone")
	}
	z := uint16(n)
	return &z, args[1:], nil
}

// ctOptions reads -m and -s.
func ctOptions(options []string) (o conntrack.TextOptions, err error) {
	for _, w := range options {
		switch w {
		case "-m", "--more":
			o.More = true
		case "-s", "--statistics":
			o.Statistics = true
		default:
			return o, unrecognized(w)
		}
	}
	return o, nil
}

func ctDump(c conntrack.Control, options, args []string) (string, error) {
	o, err := ctOptions(options)
	if err != nil {
		return "", err
	}
	zone, rest, err := cutZone(args)
	if err == nil {
		err = none(rest)
	}
	if err != nil {
		return "", err
	}
	var s strings.Builder
	err = c.Dump(func(e *conntrack.Entry) bool {
		if zone == nil || *zone == e.Orig.Zone {
			s.WriteString(e.Text(o))
			s.WriteByte('\n')
		}
		return true
	})
	return s.String(), err
}

func ctFlush(c conntrack.Control, options, args []string) (string, error) {
	if len(options) > 0 {
		return "", unrecognized(options[0])
	}
	var f conntrack.Filter
	var err error
	if f.Zone, args, err = cutZone(args); err != nil {
		return "", err
	}
	for len(args) > 0 {
		name, value, _ := strings.Cut(args[0], "=")
		if name == "mark" {
			f.Mark, f.MarkMask, err = parseMark(value)
		} else if name == "labels" {
			f.Label, f.LabelMask, err = parseLabel(value)
		} else {
			break
		}
		if err != nil {
			return "", invalid("failed to parse %s", name)
		}
		args = args[1:]
	}
	if len(args) > 2 {
		return "", invalid("%q behind the tuples", args[2])
	}
	for i, to := range []**conntrack.TuplePart{&f.Orig, &f.Reply} {
		if i < len(args) {
			if *to, err = conntrack.ParseTuple(args[i]); err != nil {
				return "", invalid("%w", err)
			}
		}
	}
	if err := f.ShareProto(); err != nil {
		return "", invalid("%w", err)
	}
	n, err := c.Flush(&f)
	if err == nil && n == 0 && (f.Orig.Exact() || f.Reply.Exact()) {
		err = errors.New("ovs-vswitchd: failed to flush conntrack (No such file or directory)")
	}
	return "", err
}

// parseMark reads VALUE[/MASK].
func parseMark(s string) (v, m uint32, err error) {
	value, mask, masked := strings.Cut(s, "/")
	n, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return 0, 0, err
	}
	k := uint64(0xffffffff)
	if masked {
		if k, err = strconv.ParseUint(mask, 0, 32); err != nil {
			return 0, 0, err
		}
	}
	return uint32(n & k), uint32(k), nil
}

// parseLabel reads VALUE[/MASK] of 128 bits in hexadecimal or up to 64 bits in decimal.
func parseLabel(s string) (v, m [16]byte, err error) {
	value, mask, masked := strings.Cut(s, "/")
	if v, err = parse128(value); err != nil {
		return v, m, err
	}
	for i := range m {
		m[i] = 0xff
	}
	if masked {
		m, err = parse128(mask)
	}
	return v, m, err
}

func parse128(s string) (out [16]byte, err error) {
	hex, ok := strings.CutPrefix(s, "0x")
	if !ok {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return out, err
		}
		hex = strconv.FormatUint(n, 16)
	}
	if hex == "" || len(hex) > 32 {
		return out, strconv.ErrSyntax
	}
	hex = strings.Repeat("0", 32-len(hex)) + hex
	for i := range out {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			return out, err
		}
		out[i] = byte(n)
	}
	return out, nil
}

// ctProtos are the protocols that ct-stats-show counts, in its order.
var ctProtos = []struct {
	name, proto string
}{
	{"TCP", "tcp"}, {"UDP", "udp"}, {"UDPLITE", "udplite"}, {"SCTP", "sctp"}, {"ICMP", "icmp"}, {"ICMPv6", "icmpv6"},
	{"DCCP", "dccp"}, {"IGMP", "igmp"}, {"Other", ""},
}

func ctStats(c conntrack.Control, options, args []string) (string, error) {
	o, err := ctOptions(options)
	if err != nil {
		return "", err
	}
	zone, rest, err := cutZone(args)
	if err == nil && len(rest) > 0 && rest[0] == "verbose" {
		o.More, rest = true, rest[1:]
	}
	if err == nil {
		err = none(rest)
	}
	if err != nil {
		return "", err
	}
	total, counts, states := 0, make([]int, len(ctProtos)), map[string]int{}
	err = c.Dump(func(e *conntrack.Entry) bool {
		if zone != nil && *zone != e.Orig.Zone {
			return true
		}
		total++
		i := slices.IndexFunc(ctProtos, func(p struct{ name, proto string }) bool { return p.proto == conntrack.ProtoName(e.Orig.Proto) })
		if i < 0 {
			i = len(ctProtos) - 1
		}
		counts[i]++
		if ctProtos[i].proto == "tcp" {
			states[e.TCPStateName()]++
		}
		return true
	})
	var s strings.Builder
	fmt.Fprintf(&s, "Connections Stats:\n    Total: %d\n", total)
	for i, n := range counts {
		if n == 0 {
			continue
		}
		fmt.Fprintf(&s, "  %s: %d\n", ctProtos[i].name, n)
		if o.More && ctProtos[i].proto == "tcp" {
			s.WriteString("    Conn per TCP states:\n")
			for _, name := range []string{"CLOSED", "SYN_SENT", "ESTABLISHED", "CLOSING", "TIME_WAIT"} {
				if states[name] > 0 {
					fmt.Fprintf(&s, "\t  [%s]=%d\n", name, states[name])
				}
			}
		}
	}
	return s.String(), err
}

// ctBuckets has one bucket, as the table is not divided.
func ctBuckets(c conntrack.Control, _, args []string) (string, error) {
	gt := 0
	if len(args) > 0 && strings.HasPrefix(args[0], "gt=") {
		n, err := strconv.Atoi(args[0][len("gt="):])
		if err != nil {
			return "", invalid("failed to parse gt")
		}
		gt, args = n, args[1:]
	}
	n, err := c.Count()
	if err := errors.Join(none(args), err); err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "Total Buckets: 1\nCurrent Connections: %d\n\n", n)
	if n > 0 {
		line := "+-----------+-----------------------------------------+\n"
		s.WriteString(line + "|  Buckets  |         Connections per Buckets         |\n" + line)
		cell := "."
		if n > gt {
			cell = strconv.Itoa(n)
		}
		fmt.Fprintf(&s, "   0..  7   | %5s\n\n", cell)
	}
	return s.String(), nil
}

func ctSetLimits(c conntrack.Control, _, args []string) (string, error) {
	if len(args) == 0 {
		return "", invalid("no limit given")
	}
	var standard *uint32
	var list []conntrack.ZoneLimit
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, "default="); ok {
			n, err := strconv.ParseUint(v, 10, 32)
			if err != nil {
				return "", invalid("invalid default limit")
			}
			l := uint32(n)
			standard = &l
			continue
		}
		z := conntrack.ZoneLimit{}
		hasZone, hasLimit := false, false
		for _, word := range strings.Split(a, ",") {
			name, value, ok := strings.Cut(word, "=")
			if !ok {
				return "", invalid("field %s missing value", word)
			}
			bits := 16
			if name == "limit" {
				bits = 32
			} else if name != "zone" {
				return "", invalid("invalid zone limit field: %s", name)
			}
			n, err := strconv.ParseUint(value, 10, bits)
			if err != nil {
				return "", invalid("failed to parse field %s", name)
			}
			if name == "zone" {
				z.Zone, hasZone = uint16(n), true
			} else {
				z.Limit, hasLimit = uint32(n), true
			}
		}
		if !hasZone || !hasLimit {
			return "", invalid("failed to parse zone limit")
		}
		list = append(list, z)
	}
	if standard != nil {
		if err := c.SetDefaultLimit(*standard); err != nil {
			return "", err
		}
	}
	for _, z := range list {
		if err := c.SetLimit(z.Zone, z.Limit); err != nil {
			return "", err
		}
	}
	return "", nil
}

// zoneList reads zone=N1,N2...
func zoneList(arg string) (zones []uint16, err error) {
	v, ok := strings.CutPrefix(arg, "zone=")
	if !ok {
		return nil, invalid("invalid argument %s", arg)
	}
	for _, w := range strings.Split(v, ",") {
		n, err := strconv.ParseUint(w, 10, 16)
		if err != nil {
			return nil, invalid("invalid zone")
		}
		zones = append(zones, uint16(n))
	}
	return zones, nil
}

func ctGetLimits(c conntrack.Control, _, args []string) (string, error) {
	var zones []uint16
	var err error
	switch len(args) {
	case 0:
	case 1:
		if zones, err = zoneList(args[0]); err != nil {
			return "", err
		}
	default:
		return "", invalid("invalid argument %s", args[1])
	}
	standard, list, err := c.Limits(zones...)
	var s strings.Builder
	fmt.Fprintf(&s, "default limit=%d\n", standard)
	for _, z := range list {
		fmt.Fprintf(&s, "zone=%d,limit=%d,count=%d\n", z.Zone, z.Limit, z.Count)
	}
	return s.String(), err
}

func ctDelLimits(c conntrack.Control, _, args []string) (string, error) {
	if len(args) == 0 {
		return "", invalid("no zone given")
	}
	standard := args[0] == "default"
	if standard {
		args = args[1:]
	}
	var zones []uint16
	if len(args) > 0 {
		var err error
		if zones, err = zoneList(args[0]); err != nil {
			return "", err
		}
	}
	if len(args) > 1 {
		return "", invalid("invalid argument %s", args[1])
	}
	if standard {
		if err := c.SetDefaultLimit(0); err != nil {
			return "", err
		}
	}
	for _, z := range zones {
		if err := c.DelLimit(z); err != nil {
			return "", err
		}
	}
	return "", nil
}
