package pipeline

import (
	"testing"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

const ndSolicitation = "in_port=b,eth_src=020000000001,eth_dst=020000000002,eth_type=86dd,nw_proto=3a,ipv6_src=1,ipv6_dst=2,icmpv6_type=87,nd_target=5"

// TestNeighbourDiscovery has the order in which the fields of a message are set: the datapath sets those of neighbour
// discovery only while type and code say that it is one.
func TestNeighbourDiscovery(t *testing.T) {
	clone := func(list ...openflow.Action) openflow.Clone { return openflow.Clone{Actions: list} }
	for _, tc := range []struct {
		name string
		list []openflow.Action
		want string
	}{
		{"a target before another code", []openflow.Action{setField("nd_target=9"), setField("icmpv6_code=1"), output(2)},
			"set(nd_target=00000000000000000000000000000009),set(icmpv6_code=01),12"},
		{"the code was a copy's", []openflow.Action{clone(setField("icmpv6_code=1"), output(2)), setField("nd_target=9"), output(3)},
			"set(icmpv6_code=01),12,set(icmpv6_code=00),set(nd_target=00000000000000000000000000000009),13"},
		{"neither was nor is", []openflow.Action{clone(setField("icmpv6_code=1"), output(2)), setField("nd_target=9"), setField("icmpv6_code=2"), output(3)},
			"set(icmpv6_code=01),12,set(icmpv6_type=87 icmpv6_code=00),set(nd_target=00000000000000000000000000000009),set(icmpv6_code=02),13"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld([]spec{rule(0, 1, "", tc.list...)}, nil)
			if got := actionsText(w.run(key(ndSolicitation)).Actions); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
