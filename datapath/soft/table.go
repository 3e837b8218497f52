package soft

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// table is a tuple space of megaflows: one map per mask, whose keys are the masked words that
// the mask has. Megaflows do not overlap in what they do, so the first hit is the answer.
type table struct {
	masks []*subtable
	byKey map[flow.Mask]*subtable
	refs  map[datapath.FlowRef]*entry
	next  datapath.FlowRef // never used twice
}

type subtable struct {
	mask  flow.Mask
	words []int // indexes of the mask's words that are not zero
	flows map[string]*entry
}

type entry struct {
	ref     datapath.FlowRef
	match   flow.Match
	sub     *subtable
	actions atomic.Pointer[[]odp.Action] // atomic: replaced while packets run

	// Counters are atomic: packets hit on any goroutine.
	packets, bytes atomic.Uint64
	used           atomic.Int64
	tcpFlags       atomic.Uint32
}

func (e *entry) stats() datapath.FlowStats {
	return datapath.FlowStats{Packets: e.packets.Load(), Bytes: e.bytes.Load(), Used: e.used.Load(),
		TCPFlags: uint16(e.tcpFlags.Load())}
}

func (t *table) init() {
	t.masks, t.byKey, t.refs = nil, map[flow.Mask]*subtable{}, map[datapath.FlowRef]*entry{}
}

// compact appends the masked words of a key.
func (s *subtable) compact(b []byte, k *flow.Key) []byte {
	for _, w := range s.words {
		b = binary.NativeEndian.AppendUint64(b, k[w]&s.mask[w])
	}
	return b
}

func (t *table) put(f *datapath.Flow, maxFlows, maxMasks int) (datapath.FlowRef, error) {
	m := f.Match
	clear(m.Mask[flow.DPWords:])
	m.Normalize()
	s := t.byKey[m.Mask]
	if s == nil {
		s = &subtable{mask: m.Mask, flows: map[string]*entry{}}
		for i, w := range m.Mask {
			if w != 0 {
				s.words = append(s.words, i)
			}
		}
	}
	key := string(s.compact(nil, &m.Key))
	actions := slices.Clone(f.Actions)
	if e := s.flows[key]; e != nil {
		e.actions.Store(&actions)
		return e.ref, nil
	}
	if len(t.refs) >= maxFlows {
		return 0, fmt.Errorf("%d flows: %w", len(t.refs), datapath.ErrFull)
	}
	if t.byKey[m.Mask] == nil {
		if maxMasks > 0 && len(t.masks) >= maxMasks {
			return 0, fmt.Errorf("%d masks: %w", len(t.masks), datapath.ErrTooManyMask)
		}
		t.masks = append(t.masks, s)
		t.byKey[m.Mask] = s
	}
	t.next++
	e := &entry{ref: t.next, match: m, sub: s}
	e.actions.Store(&actions)
	s.flows[key] = e
	t.refs[e.ref] = e
	return e.ref, nil
}

func (t *table) del(ref datapath.FlowRef) *entry {
	e := t.refs[ref]
	if e == nil {
		return nil
	}
	delete(t.refs, ref)
	delete(e.sub.flows, string(e.sub.compact(nil, &e.match.Key)))
	if len(e.sub.flows) == 0 {
		delete(t.byKey, e.sub.mask)
		t.masks = slices.DeleteFunc(t.masks, func(s *subtable) bool { return s == e.sub })
	}
	return e
}

// lookup finds the flow of a packet, nil if there is none, and how many masks it tried.
func (t *table) lookup(k *flow.Key) (*entry, int) {
	var buf [flow.DPWords * 8]byte
	for i, s := range t.masks {
		if e := s.flows[string(s.compact(buf[:0], k))]; e != nil {
			return e, i + 1
		}
	}
	return nil, len(t.masks)
}
