package pipeline

import (
	"fmt"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// groupOf is a group with a bucket of weight 1 for each list of actions.
func groupOf(id uint32, kind uint8, lists ...[]openflow.Action) *openflow.GroupMod {
	m := &openflow.GroupMod{Command: openflow.GroupAddOrModify, ID: id, Type: kind}
	for i, l := range lists {
		b := openflow.Bucket{ID: uint32(i), WatchPort: openflow.PortAny, WatchGroup: openflow.GroupAny, Actions: l}
		if kind == openflow.GroupTypeSelect {
			b.Weight = 1
		}
		m.Buckets = append(m.Buckets, b)
	}
	return m
}

func newGroupWorld(t *testing.T, groups ...*openflow.GroupMod) *world {
	t.Helper()
	w := newWorld([]spec{rule(0, 1, "", openflow.Group{ID: 1}, setField("eth_src=020000000009"), output(3))}, nil)
	for _, m := range groups {
		if _, err := w.br0.tables.ApplyGroup(m); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func TestGroups(t *testing.T) {
	type list = []openflow.Action
	watch := func(m *openflow.GroupMod, ports ...openflow.PortNo) *openflow.GroupMod {
		for i, p := range ports {
			m.Buckets[i].WatchPort = p
		}
		return m
	}
	set := setField("eth_dst=020000000001")
	for _, tt := range []struct {
		name   string
		groups []*openflow.GroupMod
		want   string // before the rest of the rule
	}{
		{"all", []*openflow.GroupMod{groupOf(1, openflow.GroupTypeAll, list{set, output(2)}, list{output(openflow.PortLocal)})},
			"set(eth_dst=020000000001),12,set(eth_dst=000000000000),10,"},
		{"indirect", []*openflow.GroupMod{groupOf(1, openflow.GroupTypeIndirect, list{output(2)})}, "12,"},
		{"no bucket", []*openflow.GroupMod{groupOf(1, openflow.GroupTypeIndirect)}, ""},
		{"no such group", nil, ""},
		{"fast failover", []*openflow.GroupMod{watch(groupOf(1, openflow.GroupTypeFastFailover, list{output(2)}, list{output(openflow.PortLocal)}), 77, openflow.PortLocal)}, "10,"},
		{"nothing lives", []*openflow.GroupMod{watch(groupOf(1, openflow.GroupTypeFastFailover, list{output(2)}), 77)}, ""},
		{"chain", []*openflow.GroupMod{groupOf(1, openflow.GroupTypeAll, list{openflow.Group{ID: 2}, set}, list{output(3)}), groupOf(2, openflow.GroupTypeAll, list{output(2)}, list{output(openflow.PortLocal)})},
			"set(eth_dst=020000000001),12,10,set(eth_dst=000000000000),13,"},
		{"a bucket that sends nowhere", []*openflow.GroupMod{groupOf(1, openflow.GroupTypeAll, list{set})}, ""},
	} {
		w := newGroupWorld(t, tt.groups...)
		got := actionsText(w.run(key("in_port=b,eth_src=020000000002")).Actions)
		if want := tt.want + "set(eth_src=020000000009),13"; got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
}

// A fast failover group follows the state of a port, which the bridge versions.
func TestFastFailoverFollowsPorts(t *testing.T) {
	m := groupOf(1, openflow.GroupTypeFastFailover, []openflow.Action{output(2)}, []openflow.Action{output(openflow.PortLocal)})
	m.Buckets[0].WatchPort, m.Buckets[1].WatchPort = 2, openflow.PortLocal
	w := newGroupWorld(t, m)
	first := func() odp.Action { return w.run(key("in_port=b")).Actions[0] }
	if a := first(); a != (odp.Output{Port: 12}) {
		t.Errorf("%v", a)
	}
	w.br0.PortByNo(2).State = openflow.StateLinkDown
	if a := first(); a != (odp.Output{Port: 10}) {
		t.Errorf("with the link down %v", a)
	}
}

// A megaflow through a group depends on it and is credited to it and the bucket.
func TestGroupDependencyAndCredit(t *testing.T) {
	w := newGroupWorld(t, groupOf(1, openflow.GroupTypeAll, []openflow.Action{output(2)}, []openflow.Action{output(3)}))
	res := w.run(key("in_port=b"))
	fresh := func() bool {
		for _, d := range res.Deps {
			if d.On.Version() != d.Version {
				return false
			}
		}
		return true
	}
	g := w.br0.tables.Group(1)
	for _, c := range res.Credits {
		c.Credit(3, 300, w.clock.Now(), 0)
	}
	for i, n := range []openflow.Counts{g.Counts(), g.Buckets[0].Counts(), g.Buckets[1].Counts()} {
		if n != (openflow.Counts{Packets: 3, Bytes: 300}) {
			t.Errorf("counter %d: %v", i, n)
		}
	}
	if !fresh() {
		t.Error("stale at once")
	}
	_, _ = w.br0.tables.ApplyGroup(groupOf(1, openflow.GroupTypeAll, []openflow.Action{output(3)}))
	if fresh() {
		t.Error("fresh after a modification of the group")
	}
	w = newGroupWorld(t)
	if res = w.run(key("in_port=b")); !fresh() {
		t.Error("stale at once")
	}
	if _, _ = w.br0.tables.ApplyGroup(groupOf(1, openflow.GroupTypeAll)); fresh() {
		t.Error("fresh after the addition of the group")
	}
}

// A select group without a method has the datapath hash the packet, and then starts again with few
// bits of the hash; the rest of the rule follows.
func TestSelectByDatapathHash(t *testing.T) {
	w := newGroupWorld(t, groupOf(1, openflow.GroupTypeSelect, []openflow.Action{output(2)}, []openflow.Action{output(openflow.PortLocal)}))
	k := key("in_port=b,eth_src=020000000002")
	res := w.run(k)
	id, ok := recirculates(res)
	if !ok || len(res.Actions) != 2 || res.Actions[0] != (odp.Hash{SymL4: true}) {
		t.Fatalf("actions %v", res.Actions)
	}
	for _, c := range res.Credits {
		t.Errorf("credited before the hash: %T", c)
	}
	if res := w.run(k); len(res.Actions) != 2 || res.Actions[1] != (odp.Recirc{ID: id}) {
		t.Errorf("again: actions %v", res.Actions)
	}
	n := map[string]int{}
	for h := range uint64(16) {
		k.Set(flow.RecircID, uint64(id))
		k.Set(flow.DPHash, 0x1230+h)
		res := w.run(k)
		n[actionsText(res.Actions)]++
		if res.Mask.Get(flow.DPHash) != 0xf {
			t.Errorf("mask of dp_hash %#x", res.Mask.Get(flow.DPHash))
		}
		if len(rulesOf(res)) != 1 {
			t.Error("the rule is not credited")
		}
	}
	if got := fmt.Sprint(n); got != "map[10,set(eth_src=020000000009),13:8 12,set(eth_src=020000000009),13:8]" {
		t.Errorf("buckets %s", got)
	}
	// A bucket that does not live is not used.
	m := groupOf(1, openflow.GroupTypeSelect, []openflow.Action{output(2)}, []openflow.Action{output(openflow.PortLocal)})
	m.Buckets[0].WatchPort = 77
	_, _ = w.br0.tables.ApplyGroup(m)
	for h := range uint64(16) {
		k.Set(flow.DPHash, h)
		if a := w.run(k).Actions[0]; a != (odp.Output{Port: 10}) {
			t.Errorf("hash %d: %v", h, a)
		}
	}
}

// The method hash reads the fields that it names and no more; every value has one bucket.
func TestSelectByFields(t *testing.T) {
	m := groupOf(1, openflow.GroupTypeSelect, []openflow.Action{output(2)}, []openflow.Action{output(openflow.PortLocal)})
	m.Selection = openflow.Selection{Method: "hash", Fields: []openflow.HashField{{Field: flow.IPv4Dst, Mask: []byte{255, 255, 255, 0}}}}
	w := newGroupWorld(t, m)
	n := map[odp.Action]int{}
	for i := range 200 {
		k := key(fmt.Sprintf("in_port=b,eth_type=800,nw_proto=6,ip_dst=0a00%02x01", i))
		res := w.run(k)
		n[res.Actions[0]]++
		if got := res.Mask.Get(flow.IPv4Dst); got != 0xffffff00 {
			t.Fatalf("mask %#x", got)
		}
	}
	for _, p := range []odp.Port{12, 10} {
		if got := n[odp.Output{Port: p}]; got < 60 || got > 140 {
			t.Errorf("%d of 200 to port %d", got, p)
		}
	}
}

// The default without a datapath's hash is the same in both directions.
func TestSelectSymmetric(t *testing.T) {
	w := newGroupWorld(t, groupOf(1, openflow.GroupTypeSelect, []openflow.Action{output(2)}, []openflow.Action{output(openflow.PortLocal)}))
	w.o.Features.Recirc = false
	for i := range 50 {
		there := w.run(key(fmt.Sprintf("in_port=b,eth_type=800,nw_proto=6,ip_src=0a0000%02x,ip_dst=0a000001,tcp_src=1234,tcp_dst=50", i)))
		back := w.run(key(fmt.Sprintf("in_port=b,eth_type=800,nw_proto=6,ip_dst=0a0000%02x,ip_src=0a000001,tcp_dst=1234,tcp_src=50", i)))
		if there.Actions[0] != back.Actions[0] {
			t.Errorf("%d: %v and %v", i, there.Actions[0], back.Actions[0])
		}
	}
}

// A packet-out through a select group goes on with its own actions.
func TestPacketOutToSelectGroup(t *testing.T) {
	w := newGroupWorld(t, groupOf(1, openflow.GroupTypeSelect, []openflow.Action{output(2)}))
	po := &openflow.PacketOut{InPort: openflow.PortController, Packet: make([]byte, 60), Actions: []openflow.Action{openflow.Group{ID: 1}, output(3)}}
	actions, k, err := w.PacketOut(w.br0, po)
	if err != nil || len(actions) != 2 {
		t.Fatalf("%v, %v", actions, err)
	}
	k.Set(flow.RecircID, uint64(actions[1].(odp.Recirc).ID))
	k.Set(flow.DPHash, 5)
	if got := actionsText(w.run(&k).Actions); got != "12,13" {
		t.Errorf("actions %s", got)
	}
}
