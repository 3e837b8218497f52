package bridge

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/ofctrl"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// qosWanted is the QoS of a port's row; nil: none.
func qosWanted(row *ovsdb.Port) *ovsdb.QoS {
	if row.QoS == nil || row.QoS.Type == "" {
		return nil
	}
	return row.QoS
}

// shaper is the interface's device if its queues are those that packets leave by. The queues of a tap are not: what its host
// sends through them the datapath takes before, and what is sent to the host passes none.
func (i *iface) shaper() netdev.Shaper {
	if i.dev == nil || i.gone {
		return nil
	}
	s, ok := i.dev.(netdev.Shaper)
	if _, simulated := i.dev.(*netdev.SimDevice); !ok || i.typ != netdev.System && !simulated {
		return nil
	}
	return s
}

// shape gives the interface's device the queues that its port's row asks for.
func (i *iface) shape() {
	s := i.shaper()
	if s == nil {
		return
	}
	row := qosWanted(i.port.row)
	if shaped := row != nil; shaped != i.shaped {
		i.shaped = shaped
		i.findPeer() // who is given packets past the device gets them past its queues
	}
	var q *netdev.QoS
	if row != nil {
		q = &netdev.QoS{Type: row.Type, Options: row.OtherConfig, Queues: map[uint32]map[string]string{}}
		for n, c := range row.Queues {
			q.Queues[uint32(n)] = c.OtherConfig
		}
	}
	text := ""
	if err := s.SetQoS(q); err != nil {
		text = err.Error()
	}
	if text != "" && i.qosError != text {
		i.bridge.log.Warnf("interface %s: %s", i.name, text)
	}
	i.qosError = text
	_, _, queues := s.QoS()
	since := map[uint32]time.Time{}
	if row != nil {
		for _, q := range queues {
			since[q.ID] = i.bridge.agent.o.Clock.Now()
			if t, ok := i.queuesSince[q.ID]; ok {
				since[q.ID] = t
			}
		}
	}
	i.queuesSince = since
}

// queueDSCP are the DSCPs of a port's queues; nil: none has one.
func queueDSCP(row *ovsdb.Port) map[uint32]uint8 {
	var m map[uint32]uint8
	if q := qosWanted(row); q != nil {
		for n, c := range q.Queues {
			if c.DSCP == nil || n < 0 || n >= netdev.MaxQueues {
				continue
			}
			if m == nil {
				m = map[uint32]uint8{}
			}
			m[uint32(n)] = uint8(*c.DSCP & 0x3f)
		}
	}
	return m
}

// eachShaper calls f in the main loop for the ports that have queues: no, or all with PortAny.
func (b *Bridge) eachShaper(no openflow.PortNo, f func(*iface, netdev.Shaper)) {
	b.agent.do(b.ctx, func() {
		for _, p := range b.view.Load().order {
			if i := b.ifaces[p.Name]; i != nil && (no == openflow.PortAny || no == p.No) {
				if s := i.shaper(); s != nil {
					f(i, s)
				}
			}
		}
	})
}

// Queues implements ofctrl.Host.
func (b *Bridge) Queues(no openflow.PortNo) (list []ofctrl.QueueID) {
	b.eachShaper(no, func(i *iface, s netdev.Shaper) {
		_, _, queues := s.QoS()
		for _, q := range queues {
			list = append(list, ofctrl.QueueID{Port: i.ofport, Queue: q.ID})
		}
	})
	return list
}

// QueueStats implements ofctrl.Host.
func (b *Bridge) QueueStats(no openflow.PortNo, queue uint32) (list []openflow.QueueStats) {
	now := b.agent.o.Clock.Now()
	b.eachShaper(no, func(i *iface, s netdev.Shaper) {
		stats, err := s.QueueStats()
		if err != nil {
			b.log.Warnf("interface %s: %v", i.name, err)
		}
		for _, q := range stats {
			if queue != ofctrl.QueueAll && queue != q.Queue {
				continue
			}
			st := openflow.QueueStats{
				Port: i.ofport, Queue: q.Queue, TxBytes: q.Bytes, TxPackets: q.Packets, TxErrors: q.Dropped,
				DurationSec: math.MaxUint32, DurationNsec: math.MaxUint32, // not known
			}
			if since, ok := i.queuesSince[q.Queue]; ok {
				age := now.Sub(since).Truncate(time.Millisecond)
				st.DurationSec, st.DurationNsec = uint32(age/time.Second), uint32(age%time.Second)
			}
			list = append(list, st)
		}
	})
	return list
}

// registerQoS adds the commands.
func (a *Agent) registerQoS(register func(name, usage string, minArgs, maxArgs int, f func([]string) (string, error))) {
	register("qos/show", "interface", 1, 1, a.qosShow)
	register("qos/show-types", "interface", 1, 1, a.qosShowTypes)
}

var errNoInterface = errors.New("no such interface")

func (a *Agent) qosShow(args []string) (string, error) {
	i := a.ifaceByName(args[0])
	if i == nil {
		return "", errNoInterface
	}
	s := i.shaper()
	typ, opts, queues := "", []netdev.Option(nil), []netdev.Queue(nil)
	if s != nil {
		typ, opts, queues = s.QoS()
	}
	if typ == "" {
		return fmt.Sprintf("QoS not configured on %s\n", i.name), nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "QoS: %s %s\n", i.name, typ)
	for _, o := range opts {
		fmt.Fprintf(&b, "%s: %s\n", o.Key, o.Value)
	}
	stats, err := s.QueueStats()
	for _, q := range queues {
		if q.ID == 0 {
			b.WriteString("\nDefault:\n")
		} else {
			fmt.Fprintf(&b, "\nQueue %d:\n", q.ID)
		}
		for _, o := range q.Options {
			fmt.Fprintf(&b, "  %s: %s\n", o.Key, o.Value)
		}
		at := slices.IndexFunc(stats, func(s netdev.QueueStats) bool { return s.Queue == q.ID })
		if at < 0 {
			reason := "No such file or directory"
			if err != nil {
				reason = netdev.Strerror(err)
			}
			fmt.Fprintf(&b, "  Failed to get statistics for queue %d: %s\n", q.ID, reason)
			continue
		}
		fmt.Fprintf(&b, "  tx_packets: %d\n  tx_bytes: %d\n  tx_errors: %d\n", stats[at].Packets, stats[at].Bytes, stats[at].Dropped)
	}
	return b.String(), nil
}

func (a *Agent) qosShowTypes(args []string) (string, error) {
	i := a.ifaceByName(args[0])
	if i == nil {
		return "", errNoInterface
	}
	var types []string
	if s := i.shaper(); s != nil {
		types = s.QoSTypes()
	}
	if len(types) == 0 {
		return fmt.Sprintf("No QoS types supported for interface: %s\n", i.name), nil
	}
	var b strings.Builder
	for _, t := range types {
		fmt.Fprintf(&b, "QoS type: %s\n", t)
	}
	return b.String(), nil
}
