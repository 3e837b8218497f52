package datapath

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Defaults and bounds of the engine (ovs-vswitchd.conf.db(5), Open_vSwitch other_config).
const (
	DefaultFlowLimit      = 200000
	DefaultMaxIdle        = 10 * time.Second
	DefaultMaxRevalidator = 500 * time.Millisecond

	initialFlowLimit = 10000
	minFlowLimit     = 1000
	// overloadIdle is the idle time that flows are left above the flow limit.
	overloadIdle = 100 * time.Millisecond
)

// Config is what an operator can change while the engine runs.
type Config struct {
	FlowLimit      int
	MaxIdle        time.Duration
	MaxRevalidator time.Duration
	// Wait (flow-restore-wait) leaves installed megaflows alone and takes no upcalls.
	Wait bool
}

// EngineOptions make an Engine.
type EngineOptions struct {
	Datapath   Datapath
	Translator Translator
	Clock      clock.Clock
	// Mono is now on the clock of FlowStats.Used, in nanoseconds.
	Mono func() int64
	// Count adds to a coverage counter; may be nil.
	Count func(name string, n uint64)
	// Resolver takes the packets of native tunnels that have no next hop; may be nil for a datapath without them.
	Resolver Resolver
}

// Engine stands between a datapath and the pipeline: it answers misses with megaflows, keeps them
// right while tables change, removes idle ones, and credits their traffic to what they used.
type Engine struct {
	dp    Datapath
	tr    Translator
	clock clock.Clock
	mono  func() int64
	count func(string, uint64)
	seed  matchSeed
	// resolver may be nil.
	resolver Resolver

	mu      sync.Mutex // guards what follows
	cfg     Config
	flows   map[matchID]*megaflow
	limit   int  // adaptive, at most cfg.FlowLimit
	fixed   bool // upcall/set-flow-limit was used
	scratch Flow // for FlowPut, which keeps nothing of it

	// adopting flows of an earlier run: until the first pass that looks at them; passes alone use it.
	adopting bool
	held     atomic.Bool // adopted flows stay as they are (HoldAdopted)

	kick chan struct{}
	// pass numbers revalidations; waiters of Revalidate look at it.
	passMu   sync.Mutex
	passDone *sync.Cond
	started  uint64
	finished uint64
	stopped  bool

	translations sync.Pool
	wait         atomic.Bool  // cfg.Wait, which every upcall reads
	exact        atomic.Bool  // flows without wildcards (SetMegaflows), which every miss reads
	zoneLimits   atomic.Bool  // conntrack zone limits come from the database (HoldZoneLimits)
	dumpDuration atomic.Int64 // of the last pass, ns
	avgFlows     atomic.Int64
	maxFlows     atomic.Int64
}

// megaflow is what the engine believes of one installed flow. Its fields belong to Engine.mu.
type megaflow struct {
	id  matchID
	ref FlowRef
	// match has the key of the packet which missed, with the bits that the mask wildcards: a translation
	// of the masked key alone may prove its way by other bits, and so by another mask.
	match   packed
	actions []odp.Action
	credits []Credit
	deps    []Dep
	held    []Holder
	slow    string
	// limit is the meter of packets that come up for slow.
	limit *Meter
	// seen are the counters already credited.
	seen    FlowStats
	created int64
	// adopted flows come from an earlier run: nothing is known of them until retranslated.
	adopted bool
}

// translation is the memory of one.
type translation struct {
	req Request
	res Result
	key flow.Key // for req, where no packet has it
}

func (e *Engine) translation() *translation {
	t := e.translations.Get().(*translation)
	t.res.Reset()
	return t
}

// NewEngine makes an engine and adopts the flows that the datapath already has.
func NewEngine(o EngineOptions) (*Engine, error) {
	e := &Engine{
		dp: o.Datapath, tr: o.Translator, clock: o.Clock, mono: o.Mono, count: o.Count,
		cfg:   Config{FlowLimit: DefaultFlowLimit, MaxIdle: DefaultMaxIdle, MaxRevalidator: DefaultMaxRevalidator},
		flows: map[matchID]*megaflow{},
		seed:  newMatchSeed(),

		resolver: o.Resolver,
		limit:    initialFlowLimit,
		kick:     make(chan struct{}, 1),
	}
	if e.count == nil {
		e.count = func(string, uint64) {}
	}
	e.passDone = sync.NewCond(&e.passMu)
	e.translations.New = func() any { return new(translation) }
	err := e.adopt()
	return e, err
}

// Configure changes the engine's settings; zero durations and limits mean the defaults.
func (e *Engine) Configure(c Config) {
	if c.FlowLimit <= 0 {
		c.FlowLimit = DefaultFlowLimit
	}
	if c.MaxIdle <= 0 {
		c.MaxIdle = DefaultMaxIdle
	}
	if c.MaxRevalidator <= 0 {
		c.MaxRevalidator = DefaultMaxRevalidator
	}
	e.mu.Lock()
	was := e.cfg.Wait
	e.cfg = c
	e.wait.Store(c.Wait)
	if !e.fixed {
		e.limit = min(e.limit, c.FlowLimit)
	}
	e.mu.Unlock()
	if was && !c.Wait {
		e.Kick()
	}
}

// SetFlowLimit fixes the flow limit (upcall/set-flow-limit).
func (e *Engine) SetFlowLimit(n int) {
	e.mu.Lock()
	e.limit, e.fixed = n, true
	e.mu.Unlock()
	e.Kick()
}

// Run handles upcalls and revalidates until ctx ends.
func (e *Engine) Run(ctx context.Context) {
	e.dp.Handle(e.upcall)
	defer e.dp.Handle(nil)
	for {
		e.mu.Lock()
		period := e.cfg.MaxRevalidator
		e.mu.Unlock()
		select {
		case <-ctx.Done():
			e.passMu.Lock()
			e.stopped = true
			e.passMu.Unlock()
			e.passDone.Broadcast()
			return
		case <-e.kick:
		case <-e.clock.After(period):
		}
		e.pass()
	}
}

// Kick asks for a revalidation soon: something that translations depend on has changed.
func (e *Engine) Kick() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// Revalidate waits for a whole revalidation that starts from now on (revalidator/wait).
func (e *Engine) Revalidate(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		e.passMu.Lock()
		defer e.passMu.Unlock()
		e.passDone.Broadcast()
	})
	defer stop()
	e.passMu.Lock()
	defer e.passMu.Unlock()
	want := e.started + 1
	for e.finished < want {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.stopped {
			return errors.New("revalidation has stopped")
		}
		e.Kick()
		e.passDone.Wait()
	}
	return nil
}

// upcall answers one packet. It runs on the datapath's handler goroutines.
func (e *Engine) upcall(up *Upcall) {
	if e.underlay(up) {
		return
	}
	if e.wait.Load() {
		e.count("upcall_restore_wait", 1)
		return
	}
	if up.Kind != 0 && up.Kind != odp.UpcallSlowPath {
		e.tr.Userspace(up)
		return
	}
	t := e.translation()
	defer e.translations.Put(t)
	t.req = Request{Key: &up.Key, Packet: &up.Packet, Learn: true}
	res := &t.res
	e.tr.Translate(&t.req, res)
	e.count("xlate_actions", 1)

	now := e.clock.Now()
	for _, c := range res.Credits {
		c.Credit(1, uint64(len(up.Packet.Data)), now, uint16(up.Key.Get(flow.TCPFlags)))
	}
	held := res.Held
	if up.Kind == 0 {
		held = e.install(&up.Key, res)
	}
	// Also without actions: the datapath counts the drop.
	if err := e.dp.Execute(&up.Packet, &up.Key, result(res)); err != nil {
		e.count("dpif_execute_error", 1)
	} else {
		e.count("dpif_execute", 1)
	}
	for _, h := range held {
		h.Release()
	}
}

// install makes a megaflow of a translation. It returns the holders that no megaflow took over.
func (e *Engine) install(key *flow.Key, res *Result) []Holder {
	// Beside adopted flows: what half-filled tables say of one packet must not be said of those that an earlier run let pass.
	if e.exact.Load() || e.held.Load() {
		exactMask(key, &res.Mask)
	}
	id := e.seed.id(key, &res.Mask)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flows[id] != nil {
		// Another packet of the same flow was first. If tables changed in between, the
		// next revalidation finds out.
		return res.Held
	}
	if len(e.flows) >= e.limit {
		e.count("upcall_flow_limit_hit", 1)
		return res.Held
	}
	mf := &megaflow{
		id:      id,
		match:   pack(key, &res.Mask),
		actions: append([]odp.Action(nil), result(res)...),
		credits: append([]Credit(nil), res.Credits...),
		deps:    append([]Dep(nil), res.Deps...),
		held:    append([]Holder(nil), res.Held...),
		slow:    res.Slow,
		limit:   res.SlowMeter,
		created: e.mono(),
	}
	err := e.put(mf)
	if errors.Is(err, ErrTooManyMask) {
		// A narrower megaflow is as right, and of whole words there are few masks.
		mask := res.Mask
		for i := range flow.DPWords {
			if mask[i] != 0 {
				mask[i] = ^uint64(0)
			}
		}
		mf.id, mf.match = e.seed.id(key, &mask), pack(key, &mask)
		if e.flows[mf.id] != nil {
			return res.Held
		}
		e.count("upcall_narrowed", 1)
		err = e.put(mf)
	}
	if err != nil {
		return res.Held
	}
	e.flows[mf.id] = mf
	return nil
}

// put writes a megaflow into the datapath; one that it cannot execute becomes a slow-path flow.
// The caller holds mu.
func (e *Engine) put(mf *megaflow) error {
	if mf.slow != "" {
		mf.actions = slowActions(mf.slow, mf.limit)
	}
	f := &e.scratch
	mf.match.match(&f.Match)
	f.Actions = mf.actions
	ref, err := e.dp.FlowPut(f)
	if errors.Is(err, ErrUnsupported) || errors.Is(err, ErrTooLong) {
		mf.slow = "action"
		mf.actions = slowActions(mf.slow, mf.limit)
		f.Actions = mf.actions
		ref, err = e.dp.FlowPut(f)
	}
	if err != nil {
		e.count("dpif_flow_put_error", 1)
		return err
	}
	e.count("dpif_flow_put", 1)
	if mf.slow != "" {
		// Its packets are credited one by one as they come up.
		mf.credits = nil
	}
	mf.ref = ref
	return nil
}

// result is what a translation does with a packet: its actions, or a drop with its reason.
func result(res *Result) []odp.Action {
	if res.Drop != odp.DropNone {
		return []odp.Action{odp.Drop{Reason: res.Drop}}
	}
	return res.Actions
}

// slowActions send packets up to be translated one by one, as many as the meter lets pass.
func slowActions(reason string, limit *Meter) []odp.Action {
	up := []odp.Action{odp.Userspace{Kind: odp.UpcallSlowPath, Reason: reason}}
	if limit == nil {
		return up
	}
	return []odp.Action{odp.Sample{Probability: 1<<32 - 1, Actions: append([]odp.Action{odp.Meter{ID: limit.ID()}}, up...)}}
}

// FlowCount is how many megaflows are installed.
func (e *Engine) FlowCount() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.flows)
}

// EngineStats is the content of upcall/show.
type EngineStats struct {
	Flows, AvgFlows, MaxFlows, Limit int
	DumpDuration                     time.Duration
}

// Stats tells the engine's state.
func (e *Engine) Stats() EngineStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return EngineStats{
		Flows: len(e.flows), AvgFlows: int(e.avgFlows.Load()), MaxFlows: int(e.maxFlows.Load()),
		Limit: e.limit, DumpDuration: time.Duration(e.dumpDuration.Load()),
	}
}
