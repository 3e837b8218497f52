package datapath

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// adopt takes the flows that the datapath already has: those of an earlier run. They forward as they are until the
// first pass finds out what the tables say of them now.
func (e *Engine) adopt() error {
	err := e.dp.FlowDump(func(ref FlowRef, f *Flow, st FlowStats) bool {
		id := e.seed.id(&f.Match.Key, &f.Match.Mask)
		e.flows[id] = &megaflow{
			id: id, ref: ref, match: pack(&f.Match.Key, &f.Match.Mask), actions: append([]odp.Action(nil), f.Actions...),
			seen: st, created: e.mono(), adopted: true,
		}
		return true
	})
	e.adopting = len(e.flows) > 0
	return err
}

// HoldAdopted says whether flows of an earlier run stay as they are, as long as packets use them, whatever the tables say:
// while these are being filled again.
func (e *Engine) HoldAdopted(on bool) {
	if e.held.Swap(on) && !on {
		e.Kick()
	}
}

// recirculated reports whether the packets come from another megaflow. What they were about to do there is not known
// of an adopted one. Nothing is asked of it any more: what sends packets to it is itself translated anew, to a
// name for the rest of the way that no earlier run has used (AdoptedNames), and so it ends for want of packets.
func (mf *megaflow) recirculated() bool { return mf.recircID() != 0 }

// recircID is the name of the way that the packets are on, which is exact in every megaflow.
func (mf *megaflow) recircID() uint32 {
	var key flow.Key
	mf.match.key(&key)
	return uint32(key.Get(flow.RecircID))
}

// relearn has the bridges learn from the traffic of an adopted megaflow before any of them is translated anew:
// otherwise what is known of none of the hosts would be flooded for a moment. The caller holds mu.
func (e *Engine) relearn(mf *megaflow) {
	if e.flows[mf.id] != mf || !mf.adopted || mf.recirculated() {
		return
	}
	st, err := e.dp.FlowStats(mf.ref)
	if err != nil || e.mono()-st.Used > int64(DefaultMaxIdle) {
		return
	}
	t := e.translation()
	defer e.translations.Put(t)
	mf.match.key(&t.key)
	res := &t.res
	// First without effects: bits that the mask does not have say nothing of the packets.
	for _, learn := range []bool{false, true} {
		res.Reset()
		t.req = Request{Key: &t.key, TCPFlags: st.TCPFlags, Learn: learn}
		e.tr.Translate(&t.req, res)
		for _, h := range res.Held {
			h.Release()
		}
		if !mf.match.covers(&res.Mask) {
			return
		}
	}
}

// AdoptedNames are the highest recirculation ID and the highest cookie of packets sent up among the flows that are
// installed: with those of an earlier run, whose meaning is lost, new ones must not be mixed up.
func (e *Engine) AdoptedNames() (recirc, cookie uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, mf := range e.flows {
		recirc = max(recirc, mf.recircID())
		names(mf.actions, &recirc, &cookie)
	}
	return recirc, cookie
}

// names raises the names to the highest ones in a list of actions.
func names(list []odp.Action, recirc, cookie *uint32) {
	for _, a := range list {
		switch a := a.(type) {
		case odp.Recirc:
			*recirc = max(*recirc, a.ID)
		case odp.Userspace:
			*cookie = max(*cookie, a.Cookie)
		case odp.Sample:
			names(a.Actions, recirc, cookie)
		case odp.Clone:
			names(a.Actions, recirc, cookie)
		case odp.CheckPktLen:
			names(a.Greater, recirc, cookie)
			names(a.LessEqual, recirc, cookie)
		}
	}
}
