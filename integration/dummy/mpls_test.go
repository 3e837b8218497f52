package dummy

import (
	"strings"
	"testing"
)

// TestLabelsLikeStock pops and pushes labels of packets whose stack is whole, ends without a bottom, has a label of zeros, or is
// deeper than a key can hold. What the stock daemon does with a stack without a bottom hangs on bits that its megaflow does not
// have: each packet comes to an empty datapath.
func TestLabelsLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 2)
	for _, actions := range []string{"pop_mpls:0x8847", "pop_mpls:0x0800", "set_mpls_ttl:3,pop_mpls:0x8848", "pop_mpls:0x8847,push_mpls:0x8847"} {
		for _, s := range both {
			s.Ofctl("mod-flows", "br0", "mpls,actions="+actions+",output:2")
		}
		for _, stack := range []string{
			"00001040", "0000104000002040", "00001040000020400000314001020304", "0000104000002040000030400000404000004140",
			"00000000", "000000000000000000001140",
		} {
			packet := "ffffffffffff0000000000018847" + stack
			for _, s := range both {
				s.Appctl("revalidator/purge")
				s.receive("p1", packet)
			}
			out := func(s *sim) func() string {
				var all []string
				return func() string {
					all = append(all, s.sent("p2")...)
					return strings.Join(all, "\n")
				}
			}
			if diff := difference(out(both[0]), out(both[1])); diff != "" {
				t.Errorf("%s of labels %q (-stock +ours):\n%s", actions, stack, diff)
			}
		}
	}
}
