package ebpf

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// tcpLab has one established connection, packets of which were last met as hints say.
type tcpLab struct {
	*ctLab
	there, back talk
}

func newTCPLab(t *testing.T) *tcpLab {
	t.Helper()
	c := &tcpLab{ctLab: newCTLab(t, small(), odp.CT{Commit: true, Zone: 7})}
	c.there = talk{src: []byte{10, 1, 0, 1}, dst: []byte{10, 0, 0, 2}, proto: packet.ProtoTCP, sport: 1024, dport: 80, window: 60000}
	c.back = c.there
	c.back.src, c.back.dst, c.back.sport, c.back.dport = c.there.dst, c.there.src, c.there.dport, c.there.sport
	const syn, ack = 2, 16
	for range 4 {
		c.there.seq, c.there.flags = 100, syn
		c.send(c.a, c.there)
		c.back.seq, c.back.ack, c.back.flags = 500, 101, syn|ack
		c.send(c.b, c.back)
		c.there.seq, c.there.ack, c.there.flags = 101, 501, ack
		c.back.seq, c.back.flags = 501, ack
		for range 3 {
			c.send(c.a, c.there)
			c.send(c.b, c.back)
		}
	}
	c.met()
	return c
}

// met wants both directions forwarded as packets of the established connection.
func (c *tcpLab) met() {
	c.Helper()
	for _, w := range []struct {
		in, out odp.Port
		k       talk
		want    conntrack.State
	}{
		{c.a, c.b, c.there, conntrack.Tracked | conntrack.Established},
		{c.b, c.a, c.back, conntrack.Tracked | conntrack.Established | conntrack.Reply},
	} {
		r := c.send(w.in, w.k)
		if got := c.state(r); got != w.want || r.Verdict != VerdictRedirect || r.Out != w.out {
			c.Errorf("packet of port %d is %v, goes to %d (%s)", w.in, got, r.Out, r.Reason)
		}
		if n := r.Key.Get(flow.CTTPDst); n != 80 {
			c.Errorf("packet of port %d has ct_tp_dst %d", w.in, n)
		}
	}
}

// TestHints takes the index from under an established connection: its hints find it, and without them nothing does.
func TestHints(t *testing.T) {
	c := newTCPLab(t)
	index := c.d.coll.Maps["ct_index"]
	var key [40]byte
	var ref uint64
	was := map[[40]byte]uint64{}
	for it := index.Iterate(); it.Next(&key, &ref); {
		was[key] = ref
	}
	if len(was) != 2 {
		t.Fatalf("%d tuples", len(was))
	}
	for key := range was {
		if err := index.Delete(key); err != nil {
			t.Fatal(err)
		}
	}
	c.met()
	// Another packet of the same hash would not be taken for one of the connection.
	hints, err := mapArray[[2]uint64](c.d.coll.Maps[tableName("hints")])
	if err != nil {
		t.Fatal(err)
	}
	defer hints.close()
	used := 0
	for _, h := range hints.at {
		if h[0] != 0 {
			used++
		}
	}
	if used < 2 {
		t.Errorf("%d hints for both directions", used)
	}
	clear(hints.at)
	if got := c.state(c.send(c.b, c.back)); got&conntrack.Established != 0 {
		t.Errorf("without index and hint: %v", got)
	}
	for key, ref := range was {
		if err := index.Put(key, ref); err != nil {
			t.Fatal(err)
		}
	}
	c.met()

	// All hints say the connection of the packets to port b.
	var one [2]uint64
	for _, h := range hints.at {
		if h[0] != 0 && h[0]>>32&1 == 0 {
			one = h
		}
	}
	for i := range hints.at {
		hints.at[i] = one
	}
	c.met()
	other := c.there
	other.sport++
	if got := c.state(c.send(c.a, other)); got&conntrack.Established != 0 {
		t.Errorf("a packet of another connection is %v by a hint", got)
	}
}

// TestHintsEnd changes what hints say the packets met.
func TestHintsEnd(t *testing.T) {
	c := newTCPLab(t)
	behind := func(actions ...odp.Action) *datapath.Flow {
		f := &datapath.Flow{Actions: actions}
		f.Match.Set(flow.InPortOXM, uint64(c.a))
		f.Match.Set(flow.RecircID, 1)
		return f
	}
	ref, err := c.d.FlowPut(behind(odp.Drop{}))
	if err != nil {
		t.Fatal(err)
	}
	if r := c.send(c.a, c.there); r.Verdict != VerdictDrop {
		t.Errorf("the megaflow drops, the packet goes to %d", r.Out)
	}
	if _, err := c.d.FlowDel(ref); err != nil {
		t.Fatal(err)
	}
	missed := func() uint64 {
		st, err := c.d.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return st.Missed
	}
	before := missed()
	c.send(c.a, c.there)
	if n := missed() - before; n != 1 {
		t.Errorf("the megaflow is gone, %d misses", n)
	}
	// More flows than have been before take its slot too.
	for i := range 64 {
		c.put(c.a, uint32(1000+i), odp.Output{Port: c.a})
	}
	c.send(c.a, c.there)
	if n := missed() - before; n != 2 {
		t.Errorf("the megaflow's slot is another's, %d misses", n)
	}
	if _, err := c.d.FlowPut(behind(odp.Output{Port: c.b})); err != nil {
		t.Fatal(err)
	}
	c.met()

	// The same tuple in another zone, and the connection removed.
	c.track(odp.CT{Commit: true, Zone: 8})
	if got := c.state(c.send(c.a, c.there)); got&conntrack.Established != 0 {
		t.Errorf("in another zone: %v", got)
	}
	c.track(odp.CT{Commit: true, Zone: 7})
	c.met()
	if _, err := c.d.Conntrack().Flush(&conntrack.Filter{}); err != nil {
		t.Fatal(err)
	}
	if got := c.state(c.send(c.a, c.there)); got&conntrack.Established != 0 {
		t.Errorf("the connection is gone, the packet %v", got)
	}
}
