package dummy

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// TestUnimplementedLikeStock sends standard actions that neither OVS nor we have, and OVS's own for its tests: the stock
// switch and ours refuse them with the same errors.
func TestUnimplementedLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 2)
	refused := 0
	for v := openflow.V11; v <= openflow.V15; v++ {
		for _, typ := range []uint16{11, 12, 26, 27} { // copy_ttl_out, copy_ttl_in, push_pbb, pop_pbb
			var got [2]string
			for i, s := range both {
				p := s.dial(v)
				fm := addFlow(nil)
				fm.Actions = []openflow.Action{openflow.Group{ID: 1}}
				b := p.encode(fm)
				binary.BigEndian.PutUint16(b[len(b)-8:], typ) // of the same length as group
				got[i] = strings.Join(p.errors(b), "\n")
			}
			if diff := cmp.Diff(got[1], got[0]); diff != "" {
				t.Errorf("version %v, action %d (-stock +ours):\n%s", v, typ, diff)
			}
			if got[0] != "" {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing is refused")
	}
	// OVS has these in simulated mode only.
	for _, action := range []string{"debug_slow", "debug_recirc"} {
		out, code := both[0].Try("ovs-ofctl", "add-flow", "br0", fmt.Sprintf("actions=%s,output:2", action))
		if code == 0 || !strings.Contains(out, "OFPBAC_BAD_EXP_TYPE") && !strings.Contains(out, "OFPBAC_BAD_VENDOR_TYPE") {
			t.Errorf("%s: code %d: %s", action, code, out)
		}
	}
}
