package datapath

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// Registrar takes commands; *unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
}

// RegisterCommands adds dpctl/*, upcall/*, revalidator/* and the JSON sources of ovs-bpfctl. name and number
// translate between port numbers and device names; filter reads dump-flows' filter=, which is OpenFlow text.
func (e *Engine) RegisterCommands(r Registrar, name func(odp.Port) string, number odp.NameFunc, filter func(text string) (flow.Match, error)) {
	sync := func(f func(args []string) (string, error)) func(context.Context, []string, func(string, error)) {
		return func(_ context.Context, args []string, reply func(string, error)) { reply(f(args)) }
	}
	r.Register("dpctl/show", "[-s] [dp...]", 0, 16, sync(e.dpctlShow))
	r.Register("dpctl/dump-dps", "", 0, 1, sync(func([]string) (string, error) { return e.dpName() + "\n", nil }))
	r.Register("dpctl/dump-flows", "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]", 0, 6, sync(func(args []string) (string, error) {
		options, args := cutOptions(args)
		var want func(*flow.Match) bool
		for _, a := range args {
			switch {
			case strings.HasPrefix(a, "filter="):
				m, err := filter(a[len("filter="):])
				if err != nil {
					//lint:ignore ST1005 OVS's words
					return "", dpctlError(fmt.Errorf("Failed to parse filter (%w)", err))
				}
				want = func(f *flow.Match) bool { return mayMatch(f, &m) }
			case strings.HasPrefix(a, "pmd="):
			case strings.HasPrefix(a, "type="):
				switch typ := a[len("type="):]; typ {
				case "all", "ovs", "non-offloaded", "non-dpdk":
				case "tc", "dpdk", "offloaded", "partially-offloaded":
					return "", nil // no flow is offloaded
				default:
					//lint:ignore ST1005 OVS's words
					return "", dpctlError(fmt.Errorf("Failed to parse type (%s) (Invalid argument)", typ))
				}
			default:
				if e.checkDP(a) != nil {
					return "", dpctlError(errNoDP)
				}
			}
		}
		return e.DumpFlows(options, name, want, false)
	}))
	e.flowCommands(func(name, usage string, minArgs, maxArgs int, f func([]string) (string, error)) {
		r.Register(name, usage, minArgs, maxArgs, sync(f))
	}, number)
	r.Register("dpctl/normalize-actions", "flow actions", 2, 5, sync(func(args []string) (string, error) { return normalizeActions(args, number, name) }))
	r.Register("dpctl/get-flow", "[dp] ufid", 1, 4, sync(func(args []string) (string, error) { return e.getFlow(args, name) }))
	e.registerConntrack(r)
	r.Register("upcall/show", "", 0, 0, sync(e.upcallShow))
	r.Register("upcall/enable-megaflows", "", 0, 0, sync(func([]string) (string, error) { e.SetMegaflows(true); return "megaflows enabled\n", nil }))
	r.Register("upcall/disable-megaflows", "", 0, 0, sync(func([]string) (string, error) { e.SetMegaflows(false); return "megaflows disabled\n", nil }))
	r.Register("upcall/set-flow-limit", "flow-limit-number", 1, 1, sync(e.setFlowLimit))
	r.Register("revalidator/wait", "", 0, 0, func(ctx context.Context, _ []string, reply func(string, error)) {
		// Off the connection's goroutine: a pass takes as long as it takes.
		go func() { reply("", e.Revalidate(ctx)) }()
	})
	r.Register("revalidator/purge", "", 0, 0, sync(func([]string) (string, error) { e.Purge(); return "", nil }))
	r.Register("bpf/flows", "", 0, 0, sync(func([]string) (string, error) { return e.flowsJSON(name) }))
	r.Register("bpf/drops", "", 0, 0, sync(func([]string) (string, error) { return e.dropsJSON(name) }))
}

func (e *Engine) dpName() string { return e.dp.Type() + "@" + e.dp.Name() }

// checkDP says why a name is not this datapath's: "name" or "type@name".
func (e *Engine) checkDP(name string) error {
	if name == e.dpName() || name == e.dp.Name() {
		return nil
	}
	return fmt.Errorf("opening datapath %s failed (No such device): the datapath is %s", name, e.dpName())
}

// unrecognized is the error of an option that a command does not have, in OVS's words.
func unrecognized(option string) error {
	//lint:ignore ST1005 OVS's words
	return fmt.Errorf("Unrecognized option %s", option)
}

// cutOptions takes the words that start with a dash off.
func cutOptions(args []string) (options, rest []string) {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			options = append(options, a)
		} else {
			rest = append(rest, a)
		}
	}
	return options, rest
}

func (e *Engine) dpctlShow(args []string) (string, error) {
	options, dps := cutOptions(args)
	statistics := false
	for _, o := range options {
		switch o {
		case "-s", "--statistics":
			statistics = true
		default:
			return "", unrecognized(o)
		}
	}
	for _, d := range dps {
		if err := e.checkDP(d); err != nil {
			return "", err
		}
	}
	st, err := e.dp.Stats()
	if err != nil {
		return "", err
	}
	ports, err := e.dp.Ports()
	if err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s:\n", e.dpName())
	fmt.Fprintf(&s, "  lookups: hit:%d missed:%d lost:%d\n", st.Hit, st.Missed, st.Lost)
	fmt.Fprintf(&s, "  flows: %d\n", st.Flows)
	total := st.Hit + st.Missed
	ratio := func(n uint64, scale float64) float64 {
		if total == 0 {
			return 0
		}
		return scale * float64(n) / float64(total)
	}
	fmt.Fprintf(&s, "  masks: hit:%d total:%d hit/pkt:%.2f\n", st.MaskHit, st.Masks, ratio(st.MaskHit, 1))
	fmt.Fprintf(&s, "  cache: hit:%d hit-rate:%.2f%%\n", st.CacheHit, ratio(st.CacheHit, 100))
	slices.SortFunc(ports, func(a, b PortInfo) int { return cmp.Compare(a.Number, b.Number) })
	for _, p := range ports {
		fmt.Fprintf(&s, "  port %d: %s", p.Number, p.Name)
		if p.Type != "" && p.Type != "system" {
			fmt.Fprintf(&s, " (%s%s)", p.Type, p.Tunnel.text())
		}
		s.WriteByte('\n')
		if statistics {
			fmt.Fprintf(&s, "    RX packets:%d errors:? dropped:%d overruns:? frame:?\n", p.Stats.RxPackets, p.Stats.RxDropped)
			fmt.Fprintf(&s, "    TX packets:%d errors:? dropped:%d aborted:? carrier:?\n", p.Stats.TxPackets, p.Stats.TxDropped)
			s.WriteString("    collisions:?\n")
			fmt.Fprintf(&s, "    RX bytes:%s  TX bytes:%s\n", humanBytes(p.Stats.RxBytes), humanBytes(p.Stats.TxBytes))
		}
	}
	return s.String(), nil
}

// humanBytes is the number, and from 1 KiB on a rounded form behind it.
func humanBytes(n uint64) string {
	v := float64(n)
	for _, unit := range []string{"", " KiB", " MiB", " GiB", " TiB"} {
		if v < 1024 || unit == " TiB" {
			if unit == "" {
				return strconv.FormatUint(n, 10)
			}
			return fmt.Sprintf("%d (%.1f%s)", n, v, unit)
		}
		v /= 1024
	}
	return strconv.FormatUint(n, 10)
}

// used is the time since a flow's last packet, negative for never.
func (e *Engine) used(st FlowStats) time.Duration {
	if st.Used == 0 || st.Packets == 0 {
		return -1
	}
	return max(0, time.Duration(e.mono()-st.Used))
}

// DumpFlows writes the megaflows as dpctl/dump-flows does, or as dpif/dump-flows (dpif). Options are -m,
// --names and --no-names; only flows that want accepts, all when it is nil.
func (e *Engine) DumpFlows(options []string, name func(odp.Port) string, want func(*flow.Match) bool, dpif bool) (string, error) {
	verbose, names := false, false
	for _, o := range options {
		switch o {
		case "-m", "--more":
			verbose = true
		case "--names":
			names = true
		case "--no-names":
			names = false
		default:
			return "", unrecognized(o)
		}
	}
	if verbose && !slices.Contains(options, "--no-names") {
		names = true // as OVS does
	}
	o := odp.TextOptions{Verbose: verbose}
	if names {
		o.PortName = name
	}
	var s strings.Builder
	err := e.dp.FlowDump(func(_ FlowRef, f *Flow, st FlowStats) bool {
		if want != nil && !want(&f.Match) {
			return true
		}
		if !dpif && s.Len() == 0 {
			s.WriteString("flow-dump from the main thread:\n")
		}
		t := odp.FlowText{Match: &f.Match, Actions: f.Actions, Packets: st.Packets, Bytes: st.Bytes, Used: e.used(st), TCPFlags: st.TCPFlags}
		if verbose {
			id := odp.UFID(&f.Match)
			t.UFID, t.UFIDEnd = &id, ", "
			if dpif {
				t.UFIDEnd = " "
			} else {
				t.Layer = "ovs"
			}
		}
		s.WriteString(odp.FormatFlow(&t, o))
		s.WriteByte('\n')
		return true
	})
	return s.String(), err
}

// mayMatch reports whether a packet can match both a megaflow and another match: where both look, they want the same.
func mayMatch(a, b *flow.Match) bool {
	both := a.Mask
	if both.IsExact(flow.EthType) {
		for _, id := range [...]flow.FieldID{flow.VLANTCI, flow.VLANTCI2} {
			if a.Key.Get(id) == 0 {
				both.SetExact(id) // a datapath's first Ethertype is that of the outermost tag
			}
		}
	}
	both.And(&b.Mask)
	return a.Key.EqualMasked(&b.Key, &both)
}

func (e *Engine) getFlow(args []string, name func(odp.Port) string) (string, error) {
	options, args := cutOptions(args)
	var ports func(odp.Port) string
	for _, o := range options {
		switch o {
		case "-m", "--more", "--names":
			ports = name
		case "--no-names":
			ports = nil
		default:
			return "", unrecognized(o)
		}
	}
	if len(args) == 0 {
		return "", errors.New("a UFID is missing")
	}
	if len(args) > 1 && e.checkDP(args[0]) != nil {
		return "", dpctlError(errNoDP)
	}
	id, err := odp.ParseUFID(args[len(args)-1])
	if err != nil {
		return "", dpctlError(fmt.Errorf("parsing flow ufid: %w", err))
	}
	text := ""
	err = e.dp.FlowDump(func(_ FlowRef, f *Flow, st FlowStats) bool {
		if odp.UFID(&f.Match) != id {
			return true
		}
		text = odp.FormatFlow(&odp.FlowText{Match: &f.Match, Actions: f.Actions, Packets: st.Packets, Bytes: st.Bytes,
			Used: e.used(st), TCPFlags: st.TCPFlags}, odp.TextOptions{PortName: ports}) + "\n"
		return false
	})
	if err == nil && text == "" {
		err = dpctlError(errors.New("getting flow (No such file or directory)"))
	}
	return text, err
}

func (e *Engine) upcallShow([]string) (string, error) {
	st := e.Stats()
	var s strings.Builder
	fmt.Fprintf(&s, "%s:\n", e.dpName())
	fmt.Fprintf(&s, "  flows         : (current %d) (avg %d) (max %d) (limit %d)\n", st.Flows, st.AvgFlows, st.MaxFlows, st.Limit)
	fmt.Fprintf(&s, "  dump duration : %dms\n", max(st.DumpDuration.Milliseconds(), 1))
	fmt.Fprintf(&s, "  ufid enabled : true\n\n")
	fmt.Fprintf(&s, "  0: (keys %d)\n", st.Flows)
	return s.String(), nil
}

func (e *Engine) setFlowLimit(args []string) (string, error) {
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 0 {
		return "", fmt.Errorf("flow limit %q is not a number of flows", args[0])
	}
	e.SetFlowLimit(n)
	return fmt.Sprintf("set flow_limit to %d\n", n), nil
}

func (e *Engine) flowsJSON(name func(odp.Port) string) (string, error) {
	type megaflowJSON struct {
		UFID    string `json:"ufid"`
		Flow    string `json:"flow"`
		Actions string `json:"actions"`
		Packets uint64 `json:"packets"`
		Bytes   uint64 `json:"bytes"`
		UsedMS  int64  `json:"used_ms"`
	}
	list := []megaflowJSON{}
	err := e.dp.FlowDump(func(_ FlowRef, f *Flow, st FlowStats) bool {
		used := int64(-1)
		if u := e.used(st); u >= 0 {
			used = u.Milliseconds()
		}
		list = append(list, megaflowJSON{
			UFID:    strings.TrimPrefix(odp.FormatUFID(odp.UFID(&f.Match)), "ufid:"),
			Flow:    odp.FormatKey(&f.Match.Key, &f.Match.Mask, odp.TextOptions{PortName: name}),
			Actions: odp.FormatActions(f.Actions, name),
			Packets: st.Packets, Bytes: st.Bytes, UsedMS: used,
		})
		return true
	})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func (e *Engine) dropsJSON(name func(odp.Port) string) (string, error) {
	type dropJSON struct {
		Reason  string `json:"reason"`
		Port    string `json:"port"`
		Packets uint64 `json:"packets"`
	}
	drops, err := e.dp.Drops()
	if err != nil {
		return "", err
	}
	list := []dropJSON{}
	for _, d := range drops {
		if d.Packets == 0 {
			continue
		}
		port := ""
		if d.Port != odp.PortNone {
			if port = name(d.Port); port == "" {
				port = fmt.Sprintf("port %d", d.Port)
			}
		}
		list = append(list, dropJSON{d.Reason, port, d.Packets})
	}
	text, err := json.Marshal(list)
	return string(text), err
}
