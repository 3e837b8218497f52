package ebpf

import (
	"errors"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// TestMaskLengths has masks of each class of length find their packet, first by search and then by the cache, and no flow
// that differs from it in one of their words.
func TestMaskLengths(t *testing.T) {
	l := newLab(t)
	o := small()
	d := l.open(o)
	defer d.Close(true)
	in := l.port(d, "lo", datapath.PortNetdev)
	run := func() TestResult {
		t.Helper()
		r, err := d.TestRun(in, udp(1, 2), 0, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	key := run().Key
	// Words behind the first ones: those of the tunnel's options come last.
	f := &datapath.Flow{Actions: []odp.Action{odp.Output{Port: in}}}
	for words := 1; words <= slotWords; words++ {
		f.Match.Key[words-1], f.Match.Mask[words-1] = key[words-1], ^uint64(0)
		differing := f.Match
		for w := range words {
			f.Match.Key[w] ^= 1 << (w % 64)
			ref, err := d.FlowPut(f)
			if err != nil {
				t.Fatal(err)
			}
			if r := run(); r.Verdict != VerdictDrop {
				t.Errorf("%d words: the flow that differs in word %d is found", words, w)
			}
			if _, err := d.FlowDel(ref); err != nil {
				t.Fatal(err)
			}
			f.Match = differing
		}
		ref, err := d.FlowPut(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if r := run(); r.Verdict != VerdictRedirect || r.Out != in {
				t.Errorf("%d words, packet %d: %+v", words, i, r)
			}
		}
		if st, err := d.FlowStats(ref); err != nil || st.Packets != 2 {
			t.Errorf("%d words: %+v, %v", words, st, err)
		}
		if _, err := d.FlowDel(ref); err != nil {
			t.Fatal(err)
		}
	}
	st, err := d.Stats()
	if err != nil || st.CacheHit < uint64(slotWords) {
		t.Errorf("%+v, %v", st, err)
	}
	f.Match.Mask[slotWords] = 1
	if _, err := d.FlowPut(f); !errors.Is(err, datapath.ErrTooLong) {
		t.Errorf("%d words: %v", slotWords+1, err)
	}
}
