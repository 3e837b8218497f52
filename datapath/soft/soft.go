// Package soft is a complete datapath in plain Go: the executable specification of what a
// datapath does, the simulator's engine, and the oracle of the eBPF datapath's tests.
//
// Ports have no devices. Whoever owns a port puts packets in with Receive and takes them out
// with the function given to Attach.
package soft

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/execute"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Limits of a datapath.
const (
	defaultMaxFlows = 200000
	maxRecirc       = 16   // look-ups of one packet
	maxActions      = 4096 // of one flow, nested ones counted
	queueLen        = 1024 // upcalls that wait for one handler
	maxPorts        = 65535
)

// Options make a Datapath.
type Options struct {
	Name string
	Type string // "dummy" when empty
	// Clock gives the time of flow statistics and meters; clock.Real when nil.
	Clock clock.Clock
	// Handlers is how many goroutines handle upcalls. With 0 an upcall runs inside the Receive or
	// Execute that caused it, so that everything has happened when that returns.
	Handlers int
	MaxFlows int // 0: 200,000
	MaxMasks int // 0: no limit
	// Rand decides samples and chooses ports of nat(random); nil means math/rand.
	Rand func() uint32
	// SkipChecksums has conntrack not look at checksums (conntrack.Options).
	SkipChecksums bool
	// Count adds to a coverage counter; may be nil.
	Count func(name string, n uint64)
}

// Datapath implements datapath.Datapath.
type Datapath struct {
	o     Options
	start time.Time

	mu     sync.RWMutex // guards what follows; not held while actions or upcalls run
	ports  map[odp.Port]*port
	table  table
	meters map[uint32]*meter
	closed bool

	conns   *conntrack.Table
	upcalls upcalls
	hit     atomic.Uint64
	missed  atomic.Uint64
	lost    atomic.Uint64
	maskHit atomic.Uint64

	dropMu sync.Mutex
	drops  map[dropID]uint64
}

type dropID struct {
	reason string
	port   odp.Port
}

// Reasons of the datapath itself to drop (OVS's coverage counters).
const (
	dropShort   = "datapath_drop_rx_invalid_packet"
	dropUpcall  = "datapath_drop_upcall_error"
	dropPort    = "datapath_drop_invalid_port"
	dropRecirc  = "datapath_drop_recirc_error"
	dropMeter   = "datapath_drop_meter"
	dropAction  = "datapath_drop_action_error"
	dropPoliced = "ingress_policing" // not one of OVS's: there it is tc(8) that drops
	// No room for a connection, or no free tuple; OVS's userspace datapath lets such packets pass.
	dropConntrack = "datapath_drop_conntrack"
)

var (
	_ datapath.Datapath    = (*Datapath)(nil)
	_ datapath.Conntracker = (*Datapath)(nil)
)

// New makes a datapath without ports. Close ends its goroutines.
func New(o Options) *Datapath {
	if o.Type == "" {
		o.Type = "dummy"
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.MaxFlows == 0 {
		o.MaxFlows = defaultMaxFlows
	}
	d := &Datapath{
		o: o, start: o.Clock.Now(),
		ports:  map[odp.Port]*port{},
		meters: map[uint32]*meter{},
		drops:  map[dropID]uint64{},
	}
	d.table.init()
	d.conns = conntrack.NewTable(conntrack.Options{Now: d.Mono, Rand: o.Rand, SkipChecksums: o.SkipChecksums})
	d.upcalls.init(o.Handlers, func(up *datapath.Upcall) {
		d.lost.Add(1)
		d.drop(dropUpcall, odp.Port(up.Key.Get(flow.InPortOXM)))
	})
	return d
}

// Name implements datapath.Datapath.
func (d *Datapath) Name() string { return d.o.Name }

// Type implements datapath.Datapath.
func (d *Datapath) Type() string { return d.o.Type }

// Mono is now on the clock of FlowStats.Used, in nanoseconds, never 0.
func (d *Datapath) Mono() int64 { return int64(d.o.Clock.Now().Sub(d.start)) + 1 }

// Features implements datapath.Datapath.
func (d *Datapath) Features() datapath.Features {
	return datapath.Features{
		MaxVLANHeaders: packet.MaxVLANs, MaxMPLSDepth: packet.MaxMPLS,
		Recirc: true, MaskedSet: true, UFID: true, Trunc: true, Clone: true, SampleNesting: 10, CTClear: true,
		MaxHashAlg: 1, CheckPktLen: true, ExplicitDrop: true, Meter: true, NDExt: true,
		CTState: true, CTZone: true, CTMark: true, CTLabel: true, CTOrigTuple: true, CTStateNAT: true, CTOrigTuple6: true, CTEventMask: true, CTZeroSNAT: true, CTFlush: true, CTTimeout: true, CTHelper: true,
		PlainQueues: true,
	}
}

// Conntrack implements datapath.Conntracker.
func (d *Datapath) Conntrack() conntrack.Control { return d.conns }

// Stats implements datapath.Datapath.
func (d *Datapath) Stats() (datapath.Stats, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return datapath.Stats{
		Hit: d.hit.Load(), Missed: d.missed.Load(), Lost: d.lost.Load(), MaskHit: d.maskHit.Load(),
		Flows: len(d.table.refs), Masks: len(d.table.masks),
	}, nil
}

// Drops implements datapath.Datapath.
func (d *Datapath) Drops() ([]datapath.Drops, error) {
	d.dropMu.Lock()
	defer d.dropMu.Unlock()
	var out []datapath.Drops
	for id, n := range d.drops {
		out = append(out, datapath.Drops{Reason: id.reason, Port: id.port, Packets: n})
	}
	slices.SortFunc(out, func(a, b datapath.Drops) int {
		if a.Reason != b.Reason {
			if a.Reason < b.Reason {
				return -1
			}
			return 1
		}
		return int(int64(a.Port) - int64(b.Port))
	})
	return out, nil
}

func (d *Datapath) drop(reason string, port odp.Port) {
	d.dropMu.Lock()
	defer d.dropMu.Unlock()
	d.drops[dropID{reason, port}]++
}

// Close implements datapath.Datapath. Nothing of a soft datapath outlives it, with cleanup or without.
func (d *Datapath) Close(bool) error {
	d.mu.Lock()
	closed := d.closed
	d.closed = true
	d.mu.Unlock()
	if !closed {
		d.upcalls.close()
	}
	return nil
}

// FlowPut implements datapath.Datapath.
func (d *Datapath) FlowPut(f *datapath.Flow) (datapath.FlowRef, error) {
	if err := execute.Supported(f.Actions, true); err != nil {
		return 0, err
	}
	if n := countActions(f.Actions); n > maxActions {
		return 0, fmt.Errorf("%d actions, at most %d: %w", n, maxActions, datapath.ErrTooLong)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.table.put(f, d.o.MaxFlows, d.o.MaxMasks)
}

func countActions(actions []odp.Action) int {
	n := len(actions)
	for _, a := range actions {
		switch a := a.(type) {
		case odp.Clone:
			n += countActions(a.Actions)
		case odp.Sample:
			n += countActions(a.Actions)
		case odp.CheckPktLen:
			n += countActions(a.Greater) + countActions(a.LessEqual)
		}
	}
	return n
}

// FlowDel implements datapath.Datapath.
func (d *Datapath) FlowDel(ref datapath.FlowRef) (datapath.FlowStats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.table.del(ref)
	if e == nil {
		return datapath.FlowStats{}, datapath.ErrNoSuchFlow
	}
	return e.stats(), nil
}

// FlowStats implements datapath.Datapath.
func (d *Datapath) FlowStats(ref datapath.FlowRef) (datapath.FlowStats, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	e := d.table.refs[ref]
	if e == nil {
		return datapath.FlowStats{}, datapath.ErrNoSuchFlow
	}
	return e.stats(), nil
}

// FlowDump implements datapath.Datapath, in the order in which flows were installed. f may change the table.
func (d *Datapath) FlowDump(f func(datapath.FlowRef, *datapath.Flow, datapath.FlowStats) bool) error {
	d.mu.RLock()
	refs := slices.Sorted(maps.Keys(d.table.refs))
	d.mu.RUnlock()
	for _, ref := range refs {
		d.mu.RLock()
		e := d.table.refs[ref]
		d.mu.RUnlock()
		if e == nil {
			continue
		}
		fl := datapath.Flow{Match: e.match, Actions: *e.actions.Load()}
		if !f(ref, &fl, e.stats()) {
			break
		}
	}
	return nil
}

// FlowFlush implements datapath.Datapath.
func (d *Datapath) FlowFlush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.table.init()
	return nil
}

// Execute implements datapath.Datapath. Packet and key stay as they are.
func (d *Datapath) Execute(p *datapath.Packet, key *flow.Key, actions []odp.Action) error {
	if err := execute.Supported(actions, true); err != nil {
		return err
	}
	k := *key
	s := sink{d: d, in: odp.Port(key.Get(flow.InPortOXM))}
	return (&execute.Executor{Sink: &s, Tracker: &s, Rand: d.o.Rand}).Run(p.Clone(), &k, actions)
}

// Handle implements datapath.Datapath. It returns when no upcall runs in the function set
// before, so it must not be called from there.
func (d *Datapath) Handle(f func(*datapath.Upcall)) { d.upcalls.handle(f) }
