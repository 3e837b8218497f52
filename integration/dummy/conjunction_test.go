package dummy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestConjunctionLikeStock(t *testing.T) {
	t.Parallel()
	// The first example of ovs-fields(7), "conjunctive match fields", with Ethernet addresses and one more flow.
	manual := []string{
		"priority=100,ip,ip_src=10.0.0.1,actions=conjunction(1234,1/2)", "priority=100,ip,ip_src=10.0.0.4,actions=conjunction(1234,1/2)",
		"priority=100,ip,ip_src=10.0.0.6,actions=conjunction(1234,1/2)", "priority=100,ip,ip_src=10.0.0.7,actions=note:01.02,conjunction(1234,1/2),conjunction(5,1/3)",
		"priority=100,ip,ip_dst=10.0.0.2,actions=conjunction(1234,2/2)", "priority=100,ip,ip_dst=10.0.0.5,actions=conjunction(1234,2/2)",
		"priority=100,ip,ip_dst=10.0.0.7,actions=conjunction(1234,2/2),conjunction(5,2/3)", "priority=100,tcp,tp_dst=80,actions=conjunction(5,3/3)",
		"conj_id=1234,actions=output:3", "conj_id=5,ip,priority=3,actions=output:4",
		"priority=50,ip,ip_src=10.0.0.4,actions=output:5", "priority=0,actions=output:2", "priority=200,tcp,tp_dst=99,actions=IN_PORT",
	}
	var steps []string
	for _, hosts := range [][2]int{{1, 2}, {4, 2}, {4, 3}, {7, 7}, {6, 1}, {1, 7}} {
		steps = append(steps, "p1 "+ping(hosts[0], hosts[1], 0), "p1 "+tcp(hosts[0], hosts[1], 1, 80, "ack"), "p1 "+tcp(hosts[0], hosts[1], 1, 99, "ack"),
			fmt.Sprintf("trace in_port=1,tcp,nw_src=10.0.0.%d,nw_dst=10.0.0.%d,tp_dst=80", hosts[0], hosts[1]))
	}
	steps = append(steps, "ofctl dump-flows br0 --no-stats", "ofctl -OOpenFlow13 dump-flows br0 --no-stats",
		"ofctl mod-flows br0 conj_id=1234,actions=output:1", "p2 "+ping(1, 2, 0), "ofctl --strict del-flows br0 priority=100,ip,ip_src=10.0.0.1", "p2 "+ping(1, 2, 0),
		"ofctl mod-flows br0 ip,ip_src=10.0.0.4,actions=output:2", "p1 "+ping(4, 2, 0))
	runLikeStock(t, []stockCase{
		{"the manual's example", manual, steps},
		{"errors", []string{"priority=0,actions=output:2"}, []string{
			"ofctl add-flow br0 actions=conjunction(1,1/2),output:1", "ofctl add-flow br0 actions=note:01,output:1,conjunction(1,1/2)", "ofctl add-flow br0 actions=conjunction(1,1/1)",
			"ofctl add-flow br0 actions=conjunction(1,3/2)", "ofctl add-flow br0 actions=conjunction(1,1/65)", "ofctl -OOpenFlow13 add-flow br0 actions=conjunction(1,1/2),goto_table:2",
			"ofctl add-flow br0 actions=clone(conjunction(1,1/2)),output:4", "p1 " + ping(1, 2, 0), "trace in_port=1",
			"ofctl packet-out br0 in_port=3,packet=505400000002505400000001080045000000,actions=conjunction(1,1/2)",
			"ofctl packet-out br0 in_port=3,packet=505400000002505400000001080045000000,actions=conjunction(1,1/2),output:1",
			"ofctl --strict del-flows br0 priority=32768", "ofctl -OOpenFlow13 add-flow br0 actions=write_actions(conjunction(1,1/2))",
			"ofctl add-flow br0 priority=5,actions=conjunction(1,1/2),conjunction(1,2/2)", "ofctl add-flow br0 priority=4,conj_id=1,actions=output:3", "p1 " + ping(1, 2, 0),
			"ofctl add-flow br0 priority=5,ip,actions=conjunction(1,1/64)",
		}},
	})
}

// TestRandomConjunctionsLikeStock compares where packets go by random conjunctions. Those of one priority have one
// number, as which of several is taken is not said.
func TestRandomConjunctionsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, nil}, &sim{testenv.Stock(t), t, nil}
	for _, s := range []*sim{ours, stock} {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00", "fail_mode=secure")
		for p := range 5 {
			s.addPort("br0", p+1)
		}
	}
	by := 0
	for round := range *rounds {
		g := generator{rand.New(rand.NewPCG(uint64(round), 7))}
		table := []string{"priority=0,actions=output:5"}
		n := []int{2, 2, 3}
		for id := range n {
			table = append(table, fmt.Sprintf("conj_id=%d,priority=%d,%sactions=output:%d", id, g.IntN(60), g.chance(3, "tcp,"), 2+id))
		}
		match := func() string {
			return g.pick("tcp", "ip,nw_src=10.0.0."+g.pick("1", "2", "3", "0/31"), "ip,nw_dst=10.0.0."+g.pick("1", "2", "3", "2/31"), "tcp,tp_dst="+g.pick("80", "81", "0x50/0xfffe"), "dl_dst=50:54:00:00:00:0"+g.pick("1", "2"))
		}
		for range 30 {
			id := g.IntN(len(n))
			table = append(table, fmt.Sprintf("priority=%d,%s,actions=conjunction(%d,%d/%d)", 10+id*20, match(), id, 1+g.IntN(n[id]), n[id]))
		}
		for range 4 {
			table = append(table, fmt.Sprintf("priority=%d,%s,actions=in_port", 5+20*g.IntN(3), match()))
		}
		for _, s := range []*sim{ours, stock} {
			s.reset(table)
		}
		var packets []string
		for range 40 {
			packets = append(packets, tcp(1+g.IntN(3), 1+g.IntN(3), 1000, 80+g.IntN(3), "ack"))
		}
		for _, p := range packets {
			ours.receive("p1", p)
			stock.receive("p1", p)
		}
		if diff := difference(ours.state, stock.state); diff != "" {
			t.Fatalf("round %d (-stock +ours):\n%s\nflows:\n%s\npackets:\n%s", round, diff, strings.Join(table, "\n"), strings.Join(packets, "\n"))
		}
		state := strings.Split(ours.state(), "\n")
		by += len(slices.DeleteFunc(state, func(l string) bool {
			return !strings.HasPrefix(l, "p2 ") && !strings.HasPrefix(l, "p3 ") && !strings.HasPrefix(l, "p4 ")
		}))
	}
	if by < 5**rounds {
		t.Errorf("only %d packets went by a conjunction", by)
	}
	t.Logf("%d packets went by a conjunction", by)
}
