package ebpf

import (
	"errors"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath"
)

// reapAt is how many dead flows are kept before the grace period that frees them is
// started ahead of time.
const reapAt = 4096

// FlowPut implements datapath.Datapath. It makes no system call, unless the table is full of
// flows that were deleted a moment ago.
func (d *Datapath) FlowPut(f *datapath.Flow) (datapath.FlowRef, error) {
	w, err := compileWith(f.Actions, ethTypeOf(&f.Match.Key, &f.Match.Mask), &d.conns)
	if err != nil {
		return 0, err
	}
	ref, pending, err := d.flowPut(f, w)
	// A port at its limit waits for nobody: empty masks are given back once a second.
	if errors.Is(err, datapath.ErrFull) && pending || errors.Is(err, datapath.ErrTooManyMask) && !errors.Is(err, errPortMasks) {
		// An order of search without the empty masks also gives those back.
		if err := d.collect(true); err != nil {
			return 0, err
		}
		ref, _, err = d.flowPut(f, w)
	}
	return ref, err
}

func (d *Datapath) flowPut(f *datapath.Flow, w words) (ref datapath.FlowRef, pending bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, false, errClosed
	}
	ref, err = d.table.put(f, w)
	d.kick()
	return ref, len(d.table.retired) > 0, err
}

// FlowDel implements datapath.Datapath.
func (d *Datapath) FlowDel(ref datapath.FlowRef) (datapath.FlowStats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return datapath.FlowStats{}, errClosed
	}
	e, err := d.table.entry(ref)
	if err != nil {
		return datapath.FlowStats{}, err
	}
	entry := d.table.entries[e]
	d.table.del(e)
	st := datapath.FlowStats{}
	d.table.sum(entry.slot, &st)
	d.table.sumOld(entry.old, &st)
	d.kick()
	return d.toMono(st), nil
}

// kick starts a grace period when there is much to free.
func (d *Datapath) kick() {
	if len(d.table.retired) >= reapAt {
		select {
		case d.reap <- struct{}{}:
		default:
		}
	}
}

func (d *Datapath) toMono(st datapath.FlowStats) datapath.FlowStats {
	st.Used = d.tick.mono64(uint64(st.Used))
	return st
}

// FlowStats implements datapath.Datapath.
func (d *Datapath) FlowStats(ref datapath.FlowRef) (datapath.FlowStats, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return datapath.FlowStats{}, errClosed
	}
	e, err := d.table.entry(ref)
	if err != nil {
		return datapath.FlowStats{}, err
	}
	return d.toMono(d.table.flowStats(e)), nil
}

// FlowDump implements datapath.Datapath. The flow is only valid during the call of f, which may
// call other methods.
func (d *Datapath) FlowDump(f func(datapath.FlowRef, *datapath.Flow, datapath.FlowStats) bool) error {
	var flow datapath.Flow
	for e := uint32(0); ; e++ {
		d.mu.RLock()
		if d.closed {
			d.mu.RUnlock()
			return errClosed
		}
		for int(e) < len(d.table.entries) && !d.table.entries[e].live {
			e++
		}
		if int(e) >= len(d.table.entries) {
			d.mu.RUnlock()
			return nil
		}
		d.table.match(e, &flow.Match)
		flow.Actions = d.table.entries[e].actions
		ref, st := d.table.ref(e), d.toMono(d.table.flowStats(e))
		d.mu.RUnlock()
		if !f(ref, &flow, st) {
			return nil
		}
	}
}

// FlowFlush implements datapath.Datapath.
func (d *Datapath) FlowFlush() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return errClosed
	}
	for e := range d.table.entries {
		if d.table.entries[e].live {
			d.table.del(uint32(e))
		}
	}
	d.mu.Unlock()
	if err := d.collect(false); err != nil {
		return fmt.Errorf("flush flows: %w", err)
	}
	return nil
}
