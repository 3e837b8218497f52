package dummy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What becomes of packets without a flow: controllers of versions before 1.3 get them unasked, tables can be told to send
// them up, on, or nowhere; a port can keep them.
func TestMissLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 2)
	for _, c := range []struct {
		name    string
		version string     // the monitor's
		setup   [][]string // ovs-ofctl commands
	}{
		{"unasked by 1.0", "OpenFlow10", nil},
		{"not by 1.3", "OpenFlow13", nil},
		{"table 0 misses, to goto_table", "OpenFlow10", [][]string{{"-OOpenFlow11", "add-flow", "br0", "table=1,actions=2"}}},
		{"after goto_table", "OpenFlow10", [][]string{{"-OOpenFlow11", "add-flow", "br0", "in_port=1,actions=goto_table:5"}}},
		{"not after resubmit", "OpenFlow10", [][]string{{"add-flow", "br0", "in_port=1,actions=resubmit(,5),2"}}},
		{"continue", "OpenFlow10", [][]string{{"-OOpenFlow11", "mod-table", "br0", "0", "continue"}, {"-OOpenFlow11", "add-flow", "br0", "table=1,actions=2"}}},
		{"continue to a miss", "OpenFlow10", [][]string{{"-OOpenFlow11", "mod-table", "br0", "0", "continue"}}},
		{"drop", "OpenFlow10", [][]string{{"-OOpenFlow11", "mod-table", "br0", "0", "drop"}}},
		{"to any controller", "OpenFlow13", [][]string{{"-OOpenFlow11", "mod-table", "br0", "0", "controller"}}},
		{"kept by the port", "OpenFlow10", [][]string{{"mod-port", "br0", "1", "no-packet-in"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got [2]string
			for i, s := range both {
				s.t = t
				s.Ofctl("-OOpenFlow11", "del-flows", "br0")
				s.Ofctl("-OOpenFlow11", "mod-table", "br0", "all", "controller")
				s.Ofctl("mod-port", "br0", "1", "packet-in")
				for _, args := range c.setup {
					s.Ofctl(args...)
				}
				s.Appctl("revalidator/purge") // stock goes on with old megaflows after a table mod
				m := s.monitor("-O"+c.version, "65534", "--no-names")
				s.receive("p1", ping(1, 2, 0), ping(1, 2, 0))
				s.revalidate()
				got[i] = m.output()
				for _, packet := range s.sent("p2") {
					got[i] += "sent " + packet + "\n"
				}
				got[i] = txid.ReplaceAllString(got[i], "")
			}
			if diff := cmp.Diff(got[1], got[0]); diff != "" {
				t.Errorf("stock (-), ours (+):\n%s", diff)
			}
		})
	}
	for _, s := range both {
		s.t = t
	}
}
