package pipeline

import (
	"sync"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Options make a Translator.
type Options struct {
	// Lookup says which bridge and OpenFlow port a datapath port is; nil bridge: none.
	Lookup func(odp.Port) (Bridge, *Port)
	// Receive says which bridge and OpenFlow port a packet of a tunnel is for that came in by a datapath port that Lookup
	// does not know; nil bridge: none. May be nil: there are no tunnels.
	Receive func(odp.Port, Arrival) (Bridge, *Port)
	// Bridge finds a bridge by its UUID, nil when there is none. May be nil: no packet can be resumed.
	Bridge func(uuid [16]byte) Bridge
	// Ports is versioned by every change of what Lookup answers. May be nil when that
	// never changes.
	Ports datapath.Versioned
	// Mu guards tables and configuration. It is held for reading during a translation.
	Mu       *sync.RWMutex
	Clock    clock.Clock // nil: the machine's
	Features datapath.Features
	// Count adds to a coverage counter; may be nil.
	Count func(name string, n uint64)
}

// Translator turns keys of packets into datapath actions. It implements datapath.Translator.
type Translator struct {
	o        Options
	contexts sync.Pool
	results  sync.Pool // for packet-outs
	cookies  *ids[cookie, *sender]
	frozen   *ids[frozenID, *Frozen]
	samplers *ids[sampler, sampler]

	zoneTimeouts map[uint16]string // guarded by o.Mu; never changed in place
}

var _ datapath.Translator = (*Translator)(nil)

// New makes a translator.
func New(o Options) *Translator {
	if o.Mu == nil {
		o.Mu = new(sync.RWMutex)
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Count == nil {
		o.Count = func(string, uint64) {}
	}
	t := &Translator{o: o}
	t.contexts.New = func() any { return &xlate{t: t} }
	t.results.New = func() any { return new(datapath.Result) }
	t.cookies = newIDs[cookie, *sender](o.Clock, maxCookies)
	t.frozen = newIDs[frozenID, *Frozen](o.Clock, maxFrozen)
	t.samplers = newIDs[sampler, sampler](o.Clock, maxSamplers)
	return t
}

// SkipNames has new recirculation IDs and cookies begin after those of an earlier run, which megaflows may still have.
func (t *Translator) SkipNames(recirc, cookie uint32) {
	t.frozen.skip(recirc)
	t.cookies.skip(cookie)
	t.samplers.skip(cookie)
}

// Features are what translations take the datapath to have.
func (t *Translator) Features() datapath.Features {
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	return t.o.Features
}

// SetFeatures has translations take the datapath to have these features; the caller has megaflows translated anew.
func (t *Translator) SetFeatures(f datapath.Features) {
	t.o.Mu.Lock()
	defer t.o.Mu.Unlock()
	t.o.Features = f
}

// Translate implements datapath.Translator.
func (t *Translator) Translate(req *datapath.Request, res *datapath.Result) { t.Trace(req, res, nil) }

// Trace is Translate with a listener, which may be nil.
func (t *Translator) Trace(req *datapath.Request, res *datapath.Result, l Listener) {
	happen(t.trace(req, res, l), tcpFlags(req))
}

// trace is Trace up to the effects that cannot be had under the read lock.
func (t *Translator) trace(req *datapath.Request, res *datapath.Result, l Listener) []datapath.Credit {
	t.o.Mu.RLock()
	defer t.o.Mu.RUnlock()
	x := t.context(res, l)
	defer t.release(x)
	x.packet, x.learn = req.Packet, req.Learn
	x.translate(req.Key)
	return x.effects
}

func (t *Translator) context(res *datapath.Result, l Listener) *xlate {
	x := t.contexts.Get().(*xlate)
	x.res, x.listener = res, l
	return x
}

// release gives a context back, keeping its memory but nothing that it refers to.
func (t *Translator) release(x *xlate) {
	clear(x.actionSet[:cap(x.actionSet)])
	*x = xlate{t: t, stack: x.stack[:0], actionSet: x.actionSet[:0], vlans: x.vlans[:0], key: x.key}
	t.contexts.Put(x)
}

// translate runs a datapath key through the tables.
func (x *xlate) translate(key *flow.Key) {
	if x.t.o.Ports != nil {
		x.Depend(x.t.o.Ports)
	}
	b, in := x.t.o.Lookup(odp.Port(key.Get(flow.InPortOXM)))
	id := uint32(key.Get(flow.RecircID)) // always exact
	switch {
	case id != 0:
		no := openflow.PortAny // of a packet-out
		if in != nil {
			no = in.No
		}
		x.key.Init(key, no)
		x.thaw(id)
	default:
		if in != nil {
			x.key.Init(key, in.No)
			if in.Tunnel == nil {
				x.key.NoTunnel()
			}
		} else {
			x.key.Init(key, openflow.PortAny)
			if b, in = x.arrive(odp.Port(key.Get(flow.InPortOXM))); in == nil {
				x.errorf(odp.DropBridgeNotFound, "no OpenFlow port for the datapath's in_port")
				break
			}
			x.key.Arrive(in.No)
		}
		x.origin = origin{bridge: b, in: in.No}
		x.enter(b)
		x.sampleInput()
		x.begin(in)
	}
	x.end()
	x.finish()
}

// begin starts the pipeline for a packet that came in by a port of the bridge.
func (x *xlate) begin(in *Port) {
	if in.Tunnel != nil {
		if in.Rx != nil {
			x.Credit(in.Rx)
		}
		if !x.decapsulate() {
			x.countRule()
			return
		}
	}
	switch {
	case x.speaks(in):
	case in.MirrorOutput:
		x.countRule()
		x.reserved(in)
	case x.receives(in):
		x.tableZero(in)
	}
}

// countRule counts a packet by the rule that it would have met, as OVS does.
func (x *xlate) countRule() {
	if r := x.lookup(0, x.key.InPort(), true); r != nil {
		x.Credit(r)
	}
}

// end runs the action set at the end of a pipeline, unless the pipeline goes on after a recirculation.
func (x *xlate) end() {
	if !x.freezing {
		x.runActionSet()
	}
	x.recirculate()
}

// tableZero starts the pipeline of the bridge, for a packet that is mirrored if it came in by a port, not by a patch port.
func (x *xlate) tableZero(in *Port) {
	x.first = x.lookup(0, x.key.InPort(), true)
	x.mirrorInput(in)
	x.doRule(x.first, false)
}

// receives reports whether the tables see packets that come in by a port.
func (x *xlate) receives(p *Port) bool {
	if p.Config&(openflow.ConfigNoRecv|openflow.ConfigPortDown) != 0 || p.State&openflow.StateBlocked != 0 {
		x.detail("port %s does not receive", p.Name)
		return false
	}
	return true
}

// finish writes the result.
func (x *xlate) finish() {
	x.key.Mask(&x.res.Mask)
	if x.tlv != nil && x.key.ReadsOptions() {
		x.Depend(x.tlv)
	}
	if x.bridge != nil {
		// Also where nothing is slow: the datapath may find that it cannot do the actions.
		x.res.SlowMeter = x.findMeter(openflow.MeterSlowPath)
	}
	if x.rehash && x.drop == odp.DropNone {
		x.restart()
	}
	if x.drop == odp.DropNone {
		x.finishInput()
	}
	if x.drop != odp.DropNone {
		clear(x.res.Actions)
		x.res.Actions = x.res.Actions[:0]
		x.res.Slow, x.res.Drop = "", x.drop
	} else if x.size() > maxActions {
		x.Slow("action")
	}
}
