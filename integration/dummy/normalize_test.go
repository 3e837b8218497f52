package dummy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// TestNormalizeLikeStock normalizes actions. Of labels the stock daemon cannot read the actions, and it puts all in one line.
func TestNormalizeLikeStock(t *testing.T) {
	t.Parallel()
	both := [2]*sim{{testenv.Simulated(t), t, nil}, {testenv.Stock(t), t, nil}}
	for _, s := range both {
		s.addBridge("br0")
	}
	const (
		ip     = "eth_type(0x0800),ipv4(src=1.2.3.4,dst=2.3.4.5,proto=6,tos=0,ttl=3,frag=no),tcp(src=1,dst=2)"
		plain  = "in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)," + ip
		tagged = "in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x8100),vlan(vid=5,pcp=1),encap(" + ip + ")"
		label  = "in_port(1),eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),eth_type(0x8847),mpls(label=5,tc=1,ttl=7,bos=1)"
	)
	for _, args := range [][]string{
		{plain, "3,1,2"}, {plain, "3,push_vlan(vid=3,pcp=0),2,1,pop_vlan,1,set(eth(dst=00:00:00:00:00:03)),4,2"},
		{plain, "push_vlan(vid=3,pcp=2),push_vlan(vid=9,pcp=0),2,pop_vlan,5,pop_vlan,7"}, {tagged, "1,pop_vlan,2,push_vlan(vid=8,pcp=0),3"},
		{tagged, "drop"}, {plain, "drop"}, {plain, "set(ipv4(ttl=5)),2,ct(commit),3,set(tcp(dst=9)),1"}, {plain, "recirc(1)"},
		{plain, "push_vlan(vid=3,pcp=0),2,pop_vlan,push_vlan(vid=3,pcp=0),1,pop_vlan,push_vlan(vid=2,pcp=0),5"}, {plain, "clone(1),clone(2),3"},
		{"-m", plain, "2"}, {label, "2,1"}, {"foo", "1"}, {plain, "foo"}, {plain},
	} {
		var got [2]string
		for i, s := range both {
			out, code := s.Try("ovs-appctl", append([]string{"dpctl/normalize-actions"}, args...)...)
			if got[i] = strings.ReplaceAll(out, "\n", ""); code != 0 { // why is ours to say
				got[i] = fmt.Sprintf("exit code %d", code)
			}
		}
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("%q (-stock +ours):\n%s", args, diff)
		}
	}
	out := both[0].Appctl("dpctl/normalize-actions", label, "1,push_mpls(label=3,tc=1,ttl=64,bos=0,eth_type=0x8847),2,pop_mpls(eth_type=0x8847),3,pop_mpls(eth_type=0x800),5,4")
	_, out, _ = strings.Cut(out, "\n")
	want := "no vlan: no mpls: 4,5\nno vlan: mpls(label=3,tc=1,ttl=64): mpls(label=5,tc=1,ttl=7): 2\nno vlan: mpls(label=5,tc=1,ttl=7): 1,3\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}
