package ebpf

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
)

// request is a TFTP request of the i-th client, and transfer what the server sends then.
func request(i int) talk {
	k := udpTalk(i)
	k.dport, k.payload = 69, []byte("\x00\x01file\x00octet\x00")
	return k
}

func transfer(i int) talk {
	k := request(i)
	k.src, k.dst, k.sport, k.dport, k.payload = k.dst, k.src, 3000, k.sport, []byte("\x00\x03\x00\x01x")
	return k
}

// kept is how many elements the maps of announcements have.
func (c *ctLab) kept() (expects, algs int) {
	c.Helper()
	var (
		tuple [40]byte
		e     [16]byte
		slot  uint32
		a     bpf.DatapathCtAlg
	)
	it := c.d.coll.Maps["ct_expects"].Iterate()
	for it.Next(&tuple, &e) {
		expects++
	}
	if err := it.Err(); err != nil {
		c.Fatal(err)
	}
	it = c.d.coll.Maps["ct_algs"].Iterate()
	for it.Next(&slot, &a) {
		algs++
	}
	if err := it.Err(); err != nil {
		c.Fatal(err)
	}
	return expects, algs
}

// TestAnnouncementsBounded has more connections announced than are remembered.
func TestAnnouncementsBounded(t *testing.T) {
	const most, n = 1024, 1300
	o := small()
	o.MaxConns = 1 << 13
	c := newCTLab(t, o, odp.CT{Commit: true, Zone: 1, Helper: "tftp"})
	for i := range n {
		c.send(c.a, request(i))
	}
	if expects, algs := c.kept(); expects != most || algs != n {
		t.Errorf("%d announcements, of %d connections", expects, algs)
	}
	for i, related := range map[int]bool{0: false, n - most - 1: false, n - most: true, n - 1: true} {
		want := conntrack.New | conntrack.Tracked
		if related {
			want |= conntrack.Related
		}
		if s := c.state(c.send(c.b, transfer(i))); s != want {
			t.Errorf("%d: state %#x, want %#x", i, s, want)
		}
	}
	// The same again is no other one.
	c.send(c.a, request(n-1))
	if _, err := c.d.Conntrack().Flush(&conntrack.Filter{}); err != nil {
		t.Fatal(err)
	}
	if expects, algs := c.kept(); expects+algs != 0 {
		t.Errorf("%d announcements, of %d connections, without connections", expects, algs)
	}
	if s := c.state(c.send(c.b, transfer(n-1))); s != conntrack.New|conntrack.Tracked {
		t.Errorf("state %#x", s)
	}
}

// TestAnnouncementsStay: they are there for the next agent, whose other maps have another layout.
func TestAnnouncementsStay(t *testing.T) {
	l := newLab(t)
	l.host("h1", 1)
	l.host("h2", 2)
	o := small()
	o.PinDir = l.pins()
	c := &ctLab{T: t, d: l.open(o)}
	c.a, c.b = l.port(c.d, "h1", datapath.PortNetdev), l.port(c.d, "h2", datapath.PortNetdev)
	act := odp.CT{Commit: true, Zone: 1, Helper: "tftp", Timeout: "short"}
	c.track(act)
	c.send(c.a, request(1))
	if err := c.d.Close(false); err != nil {
		t.Fatal(err)
	}
	o.MaxFlows *= 2
	c.d = l.open(o)
	if s := c.state(c.send(c.b, transfer(1))); s != conntrack.New|conntrack.Related|conntrack.Tracked {
		t.Errorf("state %#x", s)
	}
	n := 0
	c.d.FlowDump(func(_ datapath.FlowRef, f *datapath.Flow, _ datapath.FlowStats) bool {
		if a, ok := f.Actions[0].(odp.CT); ok && a.Commit {
			n++
			if d := cmp.Diff([]odp.Action{act, odp.Recirc{ID: 1}}, f.Actions); d != "" {
				t.Errorf("the flow as it was read back: %s", d)
			}
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d flows with the action", n)
	}
	if err := c.d.Close(true); err != nil {
		t.Error(err)
	}
	l.clean(t, "h1", "h2")
}
