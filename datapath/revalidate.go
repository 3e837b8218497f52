package datapath

import (
	"reflect"
	"slices"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// batch is how many megaflows are looked at under one hold of the lock, so that upcalls
// never wait for a whole pass.
const batch = 50

// pass credits statistics, removes idle megaflows and retranslates those whose dependencies
// changed.
func (e *Engine) pass() {
	e.passMu.Lock()
	e.started++
	this := e.started
	e.passMu.Unlock()

	start := e.mono()
	e.mu.Lock()
	all := make([]*megaflow, 0, len(e.flows))
	for _, mf := range e.flows {
		all = append(all, mf)
	}
	wait := e.cfg.Wait
	idle := e.cfg.MaxIdle
	kill := len(all) > 2*e.limit
	if len(all) > e.limit {
		idle = overloadIdle
	}
	e.mu.Unlock()
	if kill {
		e.count("upcall_flow_limit_kill", 1)
	}
	if !wait {
		if e.adopting && !e.held.Load() {
			e.adopting = false
			e.batches(all, e.relearn)
		}
		e.batches(all, func(mf *megaflow) { e.revalidate(mf, idle, kill) })
	}
	e.adapt(time.Duration(e.mono() - start))

	e.passMu.Lock()
	e.finished = this
	e.passMu.Unlock()
	e.passDone.Broadcast()
}

// batches calls f for all, with mu held.
func (e *Engine) batches(all []*megaflow, f func(*megaflow)) {
	for part := range slices.Chunk(all, batch) {
		e.mu.Lock()
		for _, mf := range part {
			f(mf)
		}
		e.mu.Unlock()
	}
}

// revalidate looks at one megaflow. The caller holds mu.
func (e *Engine) revalidate(mf *megaflow, idle time.Duration, kill bool) {
	if e.flows[mf.id] != mf {
		return // removed meanwhile
	}
	st, err := e.dp.FlowStats(mf.ref)
	if err != nil {
		e.forget(mf)
		return
	}
	fresh := st.Packets != mf.seen.Packets
	e.credit(mf, st)
	last := max(st.Used, mf.created)
	if kill || e.mono()-last > int64(idle) {
		e.remove(mf)
		return
	}
	if mf.adopted && (e.held.Load() || mf.recirculated()) || !mf.adopted && !changed(mf.deps) {
		return
	}
	e.retranslate(mf, st, fresh)
}

func changed(deps []Dep) bool {
	for _, d := range deps {
		if d.Changed() {
			return true
		}
	}
	return false
}

// retranslate makes a megaflow say what the tables say now, or removes it when its mask
// does not cover all that the new translation reads.
func (e *Engine) retranslate(mf *megaflow, st FlowStats, fresh bool) {
	t := e.translation()
	defer e.translations.Put(t)
	mf.match.key(&t.key)
	t.req = Request{Key: &t.key, TCPFlags: st.TCPFlags, Learn: fresh && !mf.adopted}
	res := &t.res
	e.tr.Translate(&t.req, res)
	if !mf.match.covers(&res.Mask) {
		for _, h := range res.Held {
			h.Release()
		}
		e.remove(mf)
		return
	}
	actions := result(res)
	if res.Slow != "" {
		actions = slowActions(res.Slow, res.SlowMeter)
	}
	same := mf.slow == "action" && res.Slow == "" || sameActions(mf.actions, actions)
	if mf.slow == "action" && res.Slow == "" && !mf.adopted {
		// What the datapath could not execute may have become something it can.
		same = false
	}
	old := mf.held
	mf.held = append([]Holder(nil), res.Held...)
	mf.credits = append(mf.credits[:0], res.Credits...)
	mf.deps = append(mf.deps[:0], res.Deps...)
	mf.adopted, mf.limit = false, res.SlowMeter
	if same {
		if mf.slow != "" {
			mf.credits = nil
		}
	} else {
		mf.slow = res.Slow
		mf.actions = append([]odp.Action(nil), actions...)
		if e.put(mf) != nil {
			e.remove(mf)
		}
	}
	for _, h := range old {
		h.Release()
	}
}

// sameActions compares lists; an empty list and nil are the same drop.
func sameActions(a, b []odp.Action) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	return reflect.DeepEqual(a, b)
}

// credit gives the traffic since the last look to what the megaflow used.
func (e *Engine) credit(mf *megaflow, st FlowStats) {
	packets, bytes := st.Packets-mf.seen.Packets, st.Bytes-mf.seen.Bytes
	if st.Packets < mf.seen.Packets { // counters restarted
		packets, bytes = st.Packets, st.Bytes
	}
	mf.seen = st
	if packets == 0 {
		return
	}
	used := e.clock.Now().Add(-time.Duration(e.mono() - st.Used))
	for _, c := range mf.credits {
		c.Credit(packets, bytes, used, st.TCPFlags)
	}
}

// remove deletes a megaflow and credits what it counted to the last packet.
func (e *Engine) remove(mf *megaflow) {
	if st, err := e.dp.FlowDel(mf.ref); err == nil {
		e.credit(mf, st)
		e.count("dpif_flow_del", 1)
	}
	e.forget(mf)
}

func (e *Engine) forget(mf *megaflow) {
	delete(e.flows, mf.id)
	for _, h := range mf.held {
		h.Release()
	}
	mf.held = nil
}

// Purge credits and removes every megaflow (revalidator/purge, dpctl/del-flows).
func (e *Engine) Purge() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, mf := range e.flows {
		e.remove(mf)
	}
}

// Credit brings the counters of everything that megaflows use up to date.
func (e *Engine) Credit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, mf := range e.flows {
		if st, err := e.dp.FlowStats(mf.ref); err == nil {
			e.credit(mf, st)
		}
	}
}

// adapt moves the flow limit with the time that a pass takes: it shrinks above 1.3 s, and
// grows while passes are quick and the table is in use.
func (e *Engine) adapt(d time.Duration) {
	e.dumpDuration.Store(int64(d))
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.flows)
	e.avgFlows.Store((e.avgFlows.Load() + int64(n)) / 2)
	e.maxFlows.Store(max(int64(n), e.avgFlows.Load()))
	if e.fixed {
		return
	}
	ms := max(d.Milliseconds(), 1)
	switch {
	case ms > 2000:
		e.limit = int(int64(e.limit) * 1000 / ms)
	case ms > 1300:
		e.limit = e.limit * 3 / 4
	case ms < 1000 && int64(n) > 2000*1000/ms:
		e.limit += 1000
	case ms < 1000 && n > e.limit/2:
		e.limit += 1000
	}
	e.limit = min(max(e.limit, minFlowLimit), e.cfg.FlowLimit)
}
