package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Registrar takes commands; *unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, h func(ctx context.Context, args []string, reply func(text string, err error)))
}

// RegisterCommands adds the bridge layer's ovs-appctl commands.
func (a *Agent) RegisterCommands(r Registrar) {
	// inLoop runs a command in the main loop, where the bridges may be looked at.
	inLoop := func(f func(args []string) (string, error)) func(context.Context, []string, func(string, error)) {
		return func(ctx context.Context, args []string, reply func(string, error)) {
			var text string
			var err error
			if !a.do(ctx, func() { text, err = f(args) }) {
				err = fmt.Errorf("the daemon is ending")
			}
			reply(text, err)
		}
	}
	r.Register("dpif/show", "", 0, 0, inLoop(a.dpifShow))
	r.Register("dpif/dump-dps", "", 0, 0, inLoop(func([]string) (string, error) { return a.dpName() + "\n", nil }))
	r.Register("dpif/show-dp-features", "bridge", 1, 1, inLoop(a.dpFeatures))
	r.Register("dpif/set-dp-features", "[--force] bridge [feature [value]]", 1, 4, inLoop(a.setDPFeatures))
	r.Register("dpif/dump-flows", "[-m] [--names | --no-names] bridge", 1, 3, inLoop(a.dpifDumpFlows))
	r.Register("ofproto/list", "", 0, 0, inLoop(a.ofprotoList))
	r.Register("ofproto/list-tunnels", "", 0, 0, inLoop(a.listTunnels))
	r.Register("ofproto/trace", traceUsage, 1, 64, inLoop(a.ofprotoTrace))
	r.Register("ofproto/trace-packet-out", tracePacketOutUsage, 2, 64, inLoop(a.ofprotoTracePacketOut))
	r.Register("ofproto/detrace", "UFID [pmd=PMD-ID]", 1, 2, inLoop(a.ofprotoDetrace))
	r.Register("bfd/show", "[interface]", 0, 1, inLoop(a.bfdShow))
	r.Register("bfd/set-forwarding", "[interface] normal|false|true", 1, 2, inLoop(a.bfdSetForwarding))
	r.Register("bridge/dump-flows", "[--offload-stats] bridge", 1, 2, inLoop(a.bridgeDumpFlows))
	r.Register("bridge/reconnect", "[bridge]", 0, 1, inLoop(a.reconnect))
	r.Register("fdb/show", "[bridge...]", 0, 64, inLoop(a.fdbShow))
	r.Register("fdb/flush", "[bridge]", 0, 1, inLoop(a.fdbFlush))
	r.Register("fdb/add", "bridge port vlan mac", 4, 4, inLoop(a.fdbAdd))
	r.Register("fdb/del", "bridge vlan mac", 3, 3, inLoop(a.fdbDel))
	r.Register("fdb/stats-show", "bridge", 1, 1, inLoop(a.fdbStatsShow))
	r.Register("fdb/stats-clear", "[bridge]", 0, 1, inLoop(a.fdbStatsClear))
	r.Register("mdb/show", "bridge", 1, 1, inLoop(a.mdbShow))
	r.Register("mdb/flush", "[bridge]", 0, 1, inLoop(a.mdbFlush))
	a.registerQoS(func(name, usage string, minArgs, maxArgs int, f func([]string) (string, error)) {
		r.Register(name, usage, minArgs, maxArgs, inLoop(f))
	})
	r.Register("bpf/show", "", 0, 0, inLoop(a.overview))
	a.underlay.RegisterCommands(r)
	a.engine.RegisterCommands(r, a.portName, a.portByName, a.parseFilter)
}

// dpName is the datapath as type@name.
func (a *Agent) dpName() string { return a.o.Datapath.Type() + "@" + a.o.Datapath.Name() }

func (a *Agent) sorted() []*Bridge {
	return slices.SortedFunc(maps.Values(a.bridges), func(x, y *Bridge) int { return cmp.Compare(x.name, y.name) })
}

func (b *Bridge) sortedIfaces() []*iface {
	return slices.SortedFunc(maps.Values(b.ifaces), func(x, y *iface) int { return cmp.Compare(x.name, y.name) })
}

// ErrUnknownBridge is what bridge/* say where the others have "no such bridge", in OVS's words.
//
//lint:ignore ST1005 OVS's words
var ErrUnknownBridge = errors.New("Unknown bridge")

// find is the bridge that a command names.
func (a *Agent) find(name string) (*Bridge, error) {
	if b := a.bridges[name]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("no such bridge")
}

// some are the bridges that optional arguments name: all when there are none.
func (a *Agent) some(names []string) ([]*Bridge, error) {
	if len(names) == 0 {
		return a.sorted(), nil
	}
	var list []*Bridge
	for _, n := range names {
		b, err := a.find(n)
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// portName is the device name of a datapath port, "" when unknown.
func (a *Agent) portName(no odp.Port) string {
	if ref, ok := (*a.portRefs.Load())[no]; ok {
		return ref.port.Name
	}
	return a.tunnelRefs.Load().names[no]
}

// portByName is the inverse of portName.
func (a *Agent) portByName(name string) (odp.Port, bool) {
	for no, ref := range *a.portRefs.Load() {
		if ref.port.Name == name {
			return no, true
		}
	}
	for no, n := range a.tunnelRefs.Load().names {
		if n == name {
			return no, true
		}
	}
	return odp.PortNone, false
}

// parseFilter reads the OpenFlow text of a filter of megaflows; its ports are the datapath's.
func (a *Agent) parseFilter(text string) (flow.Match, error) {
	return openflow.ParseFlow(text, func(name string) (openflow.PortNo, bool) {
		no, ok := a.portByName(name)
		return openflow.PortNo(no), ok
	}, nil)
}

// of16 is an OpenFlow port number as OVS's own tables show it: LOCAL is 65534.
func of16(n openflow.PortNo) int64 {
	if n == openflow.PortLocal {
		return 65534
	}
	return int64(n)
}

func (a *Agent) dpifShow([]string) (string, error) {
	st, err := a.o.Datapath.Stats()
	if err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s: hit:%d missed:%d\n", a.dpName(), st.Hit, st.Missed)
	for _, b := range a.sorted() {
		fmt.Fprintf(&s, "  %s:\n", b.name)
		for _, i := range b.sortedIfaces() {
			if !i.up() {
				continue
			}
			no := "none"
			if i.odp != odp.PortNone {
				no = strconv.FormatUint(uint64(i.odp), 10)
			}
			options := i.row.Options
			if _, ok := i.dev.(netdev.Configurable); ok {
				options = nil // a simulated device's are no configuration of a tunnel
			}
			if i.tunnel != nil {
				options = i.tunnel.Options()
			}
			fmt.Fprintf(&s, "    %s %d/%s: (%s%s)\n", i.name, of16(i.ofport), no, i.shownType(), formatOptions(options))
		}
	}
	return s.String(), nil
}

// formatOptions is ": key=value, ..." in the order of keys, "" when there are none.
func formatOptions(options map[string]string) string {
	var w []string
	for _, k := range slices.Sorted(maps.Keys(options)) {
		w = append(w, k+"="+options[k])
	}
	if len(w) == 0 {
		return ""
	}
	return ": " + strings.Join(w, ", ")
}

func (a *Agent) dpifDumpFlows(args []string) (string, error) {
	name := args[len(args)-1]
	b, err := a.find(name)
	if err != nil {
		return "", err
	}
	mine := map[odp.Port]bool{}
	for _, i := range b.ifaces {
		if i.odp != odp.PortNone {
			mine[i.odp] = true
		}
	}
	return a.engine.DumpFlows(args[:len(args)-1], a.portName, func(m *flow.Match) bool { return mine[odp.Port(m.Key.Get(flow.InPortOXM))] }, true)
}

func (a *Agent) ofprotoList([]string) (string, error) {
	var s strings.Builder
	for _, b := range a.sorted() {
		s.WriteString(b.name + "\n")
	}
	return s.String(), nil
}

// defaultPriority is that of a flow that names none; as in OVS, it is left out of text.
const defaultPriority = 32768

// bridgeDumpFlows answers bridge/dump-flows: all flows, hidden ones too.
func (a *Agent) bridgeDumpFlows(args []string) (string, error) {
	b := a.bridges[args[len(args)-1]]
	if b == nil {
		return "", ErrUnknownBridge
	}
	offload := "" // as of a datapath without hardware
	if len(args) == 2 && args[0] == "--offload-stats" {
		offload = "n_offload_packets=0, n_offload_bytes=0, "
	} else if len(args) == 2 {
		return "", fmt.Errorf("bridge/dump-flows: unknown option %q", args[0])
	}
	now := a.o.Clock.Now()
	var s strings.Builder
	a.mu.RLock()
	defer a.mu.RUnlock()
	all := table.All()
	all.Hidden = true
	b.tables.Each(all, func(r *table.Rule) {
		if r.Cookie != 0 {
			fmt.Fprintf(&s, "cookie=%#x, ", r.Cookie)
		}
		if r.Table != 0 {
			fmt.Fprintf(&s, "table_id=%d, ", r.Table)
		}
		st := r.Stats()
		fmt.Fprintf(&s, "duration=%ds, n_packets=%d, n_bytes=%d, %s", int(now.Sub(r.Created).Seconds()), st.Packets, st.Bytes, offload)
		m := r.Match()
		var rule []string
		if r.Priority != defaultPriority {
			rule = append(rule, fmt.Sprintf("priority=%d", r.Priority))
		}
		if text := openflow.FormatMatchTLV(&m, nil, b.tables.TLV().Layout()); text != "" {
			rule = append(rule, text)
		}
		fmt.Fprintf(&s, "%s,actions=%s\n", strings.Join(rule, ","), openflow.FormatActions(r.Actions, nil))
	})
	return s.String(), nil
}

func (a *Agent) reconnect(args []string) (string, error) {
	list, err := a.some(args)
	if err != nil {
		return "", ErrUnknownBridge
	}
	for _, b := range list {
		b.sw.Reconnect()
	}
	return "", nil
}

func (a *Agent) fdbShow(args []string) (string, error) {
	list, err := a.some(args)
	if err != nil {
		return "", err
	}
	var s strings.Builder
	for n, b := range list {
		if len(list) > 1 {
			if n > 0 {
				s.WriteByte('\n')
			}
			fmt.Fprintf(&s, "%s:\n", b.name)
		}
		s.WriteString(" port  VLAN  MAC                Age\n")
		v := b.view.Load()
		for _, e := range b.macs.Entries() {
			port := "?"
			if out := v.byID[e.Port]; out != nil && len(out.members) > 0 {
				port = portText(out.members[0].No)
			}
			age := fmt.Sprintf("%3d", int(e.Age.Seconds()))
			if e.Static {
				age = "static"
			}
			fmt.Fprintf(&s, "%5s  %4d  %s  %s\n", port, e.VLAN, e.Addr, age)
		}
	}
	return s.String(), nil
}

// portText is a port in lists.
func portText(no openflow.PortNo) string {
	if no == openflow.PortLocal {
		return "LOCAL"
	}
	return strconv.FormatUint(uint64(no), 10)
}

func (a *Agent) fdbFlush(args []string) (string, error) {
	list, err := a.some(args)
	if err != nil {
		return "", err
	}
	for _, b := range list {
		b.macs.Flush()
	}
	a.engine.Kick()
	return "table successfully flushed", nil
}

// macArgs reads the vlan and mac arguments of fdb/add and fdb/del.
func macArgs(vlan, addr string) (uint16, mac.Addr, error) {
	var m mac.Addr
	vid, err := strconv.ParseUint(vlan, 10, 16)
	if err != nil || vid > 4095 {
		//lint:ignore ST1005 OVS's words
		return 0, m, fmt.Errorf("Invalid VLAN: %s", vlan)
	}
	hw, err := net.ParseMAC(addr)
	if err != nil || len(hw) != 6 {
		return 0, m, fmt.Errorf("bad MAC address")
	}
	copy(m[:], hw)
	return uint16(vid), m, nil
}

func (a *Agent) fdbAdd(args []string) (string, error) {
	b, err := a.find(args[0])
	if err != nil {
		return "", err
	}
	p := b.ports[args[1]]
	if p == nil {
		return "", fmt.Errorf("unable to find port %s", args[1])
	}
	vid, addr, err := macArgs(args[2], args[3])
	if err != nil {
		return "", err
	}
	if _, _, err := b.macs.AddStatic(vid, addr, p.id); err != nil {
		return "", err
	}
	a.engine.Kick()
	return "", nil
}

func (a *Agent) fdbDel(args []string) (string, error) {
	b, err := a.find(args[0])
	if err != nil {
		return "", err
	}
	vid, addr, err := macArgs(args[1], args[2])
	if err != nil {
		return "", err
	}
	if !b.macs.DelStatic(vid, addr) {
		return "", fmt.Errorf("could not find static mac entry")
	}
	a.engine.Kick()
	return "", nil
}

func (a *Agent) fdbStatsShow(args []string) (string, error) {
	b, err := a.find(args[0])
	if err != nil {
		return "", err
	}
	st := b.macs.Stats()
	var s strings.Builder
	fmt.Fprintf(&s, "Statistics for bridge \"%s\":\n", b.name)
	fmt.Fprintf(&s, "  Current/maximum MAC entries in the table: %d/%d\n", st.Current, st.Max)
	fmt.Fprintf(&s, "  Current static MAC entries in the table : %d\n", st.Static)
	fmt.Fprintf(&s, "  Total number of learned MAC entries     : %d\n", st.Learned)
	fmt.Fprintf(&s, "  Total number of expired MAC entries     : %d\n", st.Expired)
	fmt.Fprintf(&s, "  Total number of evicted MAC entries     : %d\n", st.Evicted)
	fmt.Fprintf(&s, "  Total number of port moved MAC entries  : %d\n", st.Moved)
	return s.String(), nil
}

func (a *Agent) fdbStatsClear(args []string) (string, error) {
	list, err := a.some(args)
	if err != nil {
		return "", err
	}
	for _, b := range list {
		b.macs.ClearStats()
	}
	return "statistics successfully cleared", nil
}

// overview answers bpf/show: what ovs-bpfctl show shows, as JSON.
func (a *Agent) overview([]string) (string, error) {
	type portJSON struct {
		Name      string `json:"name"`
		OFPort    int64  `json:"ofport"`
		Type      string `json:"type"`
		VLAN      string `json:"vlan"`
		Link      string `json:"link"`
		RxPackets uint64 `json:"rx_packets"`
		RxBytes   uint64 `json:"rx_bytes"`
		TxPackets uint64 `json:"tx_packets"`
		TxBytes   uint64 `json:"tx_bytes"`
		Dropped   uint64 `json:"dropped"`
		Error     string `json:"error,omitempty"`
	}
	type controllerJSON struct {
		Target    string `json:"target"`
		Connected bool   `json:"connected"`
	}
	type bridgeJSON struct {
		Name        string           `json:"name"`
		DatapathID  string           `json:"datapath_id"`
		FailMode    string           `json:"fail_mode"`
		Rules       int              `json:"rules"`
		Controllers []controllerJSON `json:"controllers"`
		Ports       []portJSON       `json:"ports"`
		Error       string           `json:"error,omitempty"`
	}
	st, err := a.o.Datapath.Stats()
	if err != nil {
		return "", err
	}
	counters := a.datapathCounters()
	list := []bridgeJSON{}
	for _, b := range a.sorted() {
		j := bridgeJSON{Name: b.name, DatapathID: fmt.Sprintf("%016x", b.dpid.Load()), FailMode: b.failMode(), Rules: b.ruleCount(), Controllers: []controllerJSON{}, Ports: []portJSON{}}
		for _, c := range b.sw.Status() {
			j.Controllers = append(j.Controllers, controllerJSON{c.Target, c.Connected})
		}
		for _, i := range b.sortedIfaces() {
			p := portJSON{Name: i.name, OFPort: of16(i.ofport), Type: i.typ, VLAN: vlanText(i.port.row), Link: linkWord(i)}
			s := i.stats(counters)
			p.RxPackets, p.RxBytes, p.TxPackets, p.TxBytes = s.RxPackets, s.RxBytes, s.TxPackets, s.TxBytes
			p.Dropped = s.RxDropped + s.TxDropped
			if i.err != nil {
				p.Error = i.err.Error()
			}
			j.Ports = append(j.Ports, p)
		}
		list = append(list, j)
	}
	for _, name := range slices.Sorted(maps.Keys(a.refused)) {
		list = append(list, bridgeJSON{Name: name, Error: a.refused[name].Error(), Controllers: []controllerJSON{}, Ports: []portJSON{}})
	}
	text, err := json.Marshal(map[string]any{
		"datapath": a.dpName(), "hit": st.Hit, "missed": st.Missed, "lost": st.Lost, "cache_hit": st.CacheHit,
		"flows": st.Flows, "masks": st.Masks, "flow_limit": a.engine.Stats().Limit, "bridges": list,
	})
	return string(text), err
}

// ruleCount is how many flows controllers see; allRules counts the switch's own ones too.
func (b *Bridge) ruleCount() int { return b.rules(table.Visible) }
func (b *Bridge) allRules() int  { return b.rules(256) }

func (b *Bridge) rules(tables int) int {
	b.agent.mu.RLock()
	defer b.agent.mu.RUnlock()
	n := 0
	for id := range tables {
		n += b.tables.Len(uint8(id))
	}
	return n
}
