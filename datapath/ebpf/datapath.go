// Package ebpf is the datapath in eBPF: programs at the devices' tc hooks, megaflow tables in
// memory that the programs and the agent share, a ring for packets that go up and a device for
// those that come down. The programs are in package bpf.
package ebpf

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Defaults and bounds of Options.
const (
	DefaultMaxFlows    = 200000
	DefaultMaxMasks    = 256
	DefaultMaxPorts    = 4096
	DefaultMaxConns    = 1 << 18
	DefaultRingBytes   = 8 << 20
	DefaultUpcallRate  = 200000
	DefaultUpcallBurst = 16384

	maxRings  = 64
	algRing   = maxRings - 1 // UPCALL_RING_ALG of bpf/abi.h
	watchRing = maxRings - 2 // UPCALL_RING_WATCH
	// maxStatColumns are the columns of flow counters; CPUs beyond share them.
	maxStatColumns = 15
)

// Options make a Datapath.
type Options struct {
	Name string // of the datapath, for dumps: "ovs-bpf" in "bpf@ovs-bpf"

	// PinDir is a directory on a bpffs, of this instance alone, where everything is pinned so
	// that it forwards on without us; the next Open adopts it. "": nothing is pinned.
	PinDir string

	MaxFlows    int // megaflows
	MaxMasks    int // different masks of them, at most 256
	PortMasks   int // of them, that the flows of one port may bring; 0: a quarter
	MaxPorts    int // rounded up to a power of two
	MaxConns    int // connections that are tracked, at most
	RingBytes   int // of each ring of upcalls, a power of two
	Handlers    int // rings and the goroutines that read them; 0: one per CPU, at most 4
	UpcallRate  int // packets per second that one port may send up per CPU; <0: no limit
	UpcallBurst int // packets at once

	Clock clock.Clock // nil: the machine's

	// For tests: attach as kernels before 6.6 do; counters shared as on machines with many CPUs; programs that a packet goes
	// through before its next look-up is the agent's.
	clsact      bool
	statColumns int
	maxCalls    int
}

// defaultMaxCalls leaves 11 of the 33 programs that the kernel takes a packet through to what happens between two look-ups: a new
// connection that is translated needs that many at worst.
const defaultMaxCalls = 22

func (o *Options) defaults() error {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.MaxFlows, DefaultMaxFlows)
	set(&o.MaxMasks, DefaultMaxMasks)
	set(&o.MaxPorts, DefaultMaxPorts)
	set(&o.MaxConns, DefaultMaxConns)
	set(&o.maxCalls, defaultMaxCalls)
	set(&o.RingBytes, DefaultRingBytes)
	set(&o.Handlers, min(runtime.NumCPU(), 4))
	set(&o.UpcallRate, DefaultUpcallRate)
	set(&o.UpcallBurst, DefaultUpcallBurst)
	set(&o.statColumns, maxStatColumns)
	set(&o.PortMasks, max(o.MaxMasks/4, 1))
	if o.Name == "" {
		o.Name = "ovs-bpf"
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	switch {
	case o.MaxMasks < 1 || o.MaxMasks > DefaultMaxMasks:
		return fmt.Errorf("%d masks: at most %d", o.MaxMasks, DefaultMaxMasks)
	case o.MaxFlows < 1 || o.MaxFlows > 1<<19:
		return fmt.Errorf("%d flows: out of range", o.MaxFlows)
	case o.MaxPorts < 1 || o.MaxPorts > 65535:
		return fmt.Errorf("%d ports: out of range", o.MaxPorts)
	case o.MaxConns < 1 || o.MaxConns > 1<<22:
		return fmt.Errorf("%d connections: out of range", o.MaxConns)
	case o.Handlers < 1 || o.Handlers > watchRing:
		return fmt.Errorf("%d handlers: at most %d", o.Handlers, watchRing)
	case o.RingBytes < 1<<18 || o.RingBytes&(o.RingBytes-1) != 0:
		return fmt.Errorf("ring of %d bytes: must be a power of two of at least 256 KiB", o.RingBytes)
	}
	o.MaxPorts = int(pow2(o.MaxPorts)) // the programs mask numbers
	return nil
}

// Datapath implements datapath.Datapath.
type Datapath struct {
	opts  Options
	pins  *pinDir // nil: none
	coll  *ebpf.Collection
	cpus  int
	tick  jiffies
	grace *grace

	mu        sync.RWMutex // guards what follows; writers of the maps hold it
	table     table
	portMem   mapping[bpf.DatapathPort]
	portIndex mapping[bpf.DatapathPortIndex]
	cpuMem    cpuRecords
	meters    mapping[bpf.DatapathDpMeter]
	policers  mapping[bpf.DatapathPolicer] // by port
	conns     conns
	ports     map[odp.Port]*port
	underlays map[int]hook // by ifindex: devices on which packets of native tunnels arrive
	closed    bool

	reapMu sync.Mutex // one grace period at a time; taken before mu
	reap   chan struct{}

	inject  *injector
	handler atomic.Pointer[func(*datapath.Upcall)]
	handles chan struct{} // closed by the first handler
	handled sync.Once
	readers []*reader
	alg     *alg
	lost    atomic.Uint64 // upcalls that nobody handled

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

var _ datapath.Datapath = (*Datapath)(nil)

// Open loads the programs and makes the maps, or adopts those that an earlier instance left in
// PinDir: its ports, flows and counters. Devices that do not exist any more are dropped. The
// context ends the datapath's goroutines; Close must still be called.
func Open(ctx context.Context, o Options) (_ *Datapath, err error) {
	if err := o.defaults(); err != nil {
		return nil, fmt.Errorf("datapath %s: %w", o.Name, err)
	}
	d := &Datapath{opts: o, ports: map[odp.Port]*port{}, underlays: map[int]hook{}, reap: make(chan struct{}, 1), handles: make(chan struct{})}
	if d.cpus, err = ebpf.PossibleCPU(); err != nil {
		return nil, fmt.Errorf("datapath %s: count CPUs: %w", o.Name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("datapath %s: %w", o.Name, err)
			d.release()
		}
	}()
	if d.grace, err = newGrace(); err != nil {
		return nil, err
	}
	if o.PinDir != "" {
		if d.pins, err = openPinDir(o.PinDir); err != nil {
			return nil, err
		}
	}
	if err = d.load(); err != nil {
		return nil, err
	}
	if d.alg, err = d.newALG(); err != nil {
		return nil, err
	}
	if err = d.adoptPorts(); err != nil {
		return nil, err
	}
	if d.inject, err = d.newInjector(); err != nil {
		return nil, err
	}
	if d.pins != nil {
		if err = d.takeOver(); err != nil {
			return nil, err
		}
	}
	if err = d.openRings(); err != nil {
		return nil, err
	}
	ctx, d.cancel = context.WithCancel(ctx)
	for _, r := range d.readers {
		d.wg.Go(func() { d.read(ctx, r) })
	}
	d.wg.Go(func() { d.maintain(ctx) })
	d.alg.start(ctx, &d.wg)
	return d, nil
}

// Name implements datapath.Datapath.
func (d *Datapath) Name() string { return d.opts.Name }

// Type implements datapath.Datapath.
func (d *Datapath) Type() string { return "bpf" }

// Features implements datapath.Datapath.
func (d *Datapath) Features() datapath.Features {
	return datapath.Features{
		MaxVLANHeaders: 2, MaxMPLSDepth: 3, Recirc: true, MaskedSet: true, UFID: true,
		MaxHashAlg: 1, ExplicitDrop: true, Trunc: true, Clone: true, SampleNesting: 10, CheckPktLen: true,
		Meter: true, NDExt: true,
		CTClear: true, CTState: true, CTZone: true, CTMark: true, CTLabel: true, CTOrigTuple: true, CTStateNAT: true, CTOrigTuple6: true, CTEventMask: true, CTZeroSNAT: true, CTFlush: true, CTTimeout: true, CTHelper: true,
	}
}

// MaxFlows is how many flows fit.
func (d *Datapath) MaxFlows() int { return d.opts.MaxFlows }

// maintain frees what was deleted, a grace period later, and keeps the subtables in the order of
// their recent hits.
func (d *Datapath) maintain(ctx context.Context) {
	for {
		order := false
		select {
		case <-ctx.Done():
			return
		case <-d.reap:
		case <-d.opts.Clock.After(time.Second):
			order = true
			// What is not swept now is when it is looked up.
			_ = d.conns.sweep(sweepSlots)
		}
		// A failed grace period leaves everything as it is; the next one may work.
		_ = d.collect(order)
	}
}

// collect waits for a grace period and frees what was deleted before it.
func (d *Datapath) collect(order bool) error {
	d.reapMu.Lock()
	defer d.reapMu.Unlock()
	var hits []uint64
	if order {
		hits = d.subtableHits()
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	flipped := d.table.config.at[0].Order
	if hits != nil {
		d.table.reorder(hits)
	}
	flipped ^= d.table.config.at[0].Order
	rs := d.table.retired
	d.table.retired = nil
	d.mu.Unlock()
	if len(rs) == 0 && flipped == 0 {
		return nil
	}
	err := d.grace.wait()
	d.alg.take()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.table.retired = append(rs, d.table.retired...)
		return err
	}
	if !d.closed {
		d.table.reclaim(rs)
	}
	return nil
}

// subtableHits are the hits of each subtable that came by search.
func (d *Datapath) subtableHits() []uint64 {
	hits := make([]uint64, DefaultMaxMasks)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil
	}
	o := d.table.order()
	for _, id := range o.Id[:o.N] {
		for i := range d.cpuMem.n {
			hits[id] += atomic.LoadUint64(&d.cpuMem.at(i).SubHits[id])
		}
	}
	return hits
}

// Stats implements datapath.Datapath.
func (d *Datapath) Stats() (datapath.Stats, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return datapath.Stats{}, errClosed
	}
	st := datapath.Stats{Flows: d.table.flows, Masks: len(d.table.subs), Lost: d.lost.Load()}
	for i := range d.cpuMem.n {
		t := &d.cpuMem.at(i).Total
		cached := atomic.LoadUint64(&t.CacheHit)
		st.CacheHit += cached
		st.Hit += cached + atomic.LoadUint64(&t.Hit)
		st.Missed += atomic.LoadUint64(&t.Missed)
		st.Lost += atomic.LoadUint64(&t.Lost)
		st.MaskHit += atomic.LoadUint64(&t.MaskHit)
	}
	return st, nil
}

var errClosed = errors.New("datapath is closed")

// Close implements datapath.Datapath.
func (d *Datapath) Close(cleanup bool) error {
	d.cancel()
	for _, r := range d.readers {
		r.ring.Close()
	}
	d.alg.stop()
	d.wg.Wait()
	d.reapMu.Lock()
	defer d.reapMu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	var errs []error
	if cleanup {
		for n := range d.ports {
			errs = append(errs, d.portDel(n))
		}
		for _, h := range d.underlays {
			errs = append(errs, h.detach())
		}
	}
	if cleanup {
		errs = append(errs, d.inject.remove())
	}
	if cleanup && d.pins != nil {
		errs = append(errs, d.pins.removeAll())
	}
	d.closed = true
	d.release()
	return errors.Join(errs...)
}

// release closes whatever is open; pins stay.
func (d *Datapath) release() {
	if d.inject != nil {
		d.inject.close()
	}
	for _, r := range d.readers {
		r.ring.Close()
		r.m.Close()
	}
	if d.alg != nil {
		d.alg.close()
	}
	for _, p := range d.ports {
		p.hook.close()
	}
	for _, h := range d.underlays {
		h.close()
	}
	d.table.close()
	d.portMem.close()
	d.portIndex.close()
	d.cpuMem.close()
	d.meters.close()
	d.policers.close()
	d.conns.close()
	if d.coll != nil {
		d.coll.Close()
	}
	if d.grace != nil {
		d.grace.close()
	}
	if d.pins != nil {
		d.pins.close()
	}
}
