package openflow

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// Matches of all registers come through the wire in every version that can say them, those of releases after 3.1, too.
func TestRegisters(t *testing.T) {
	for _, kind := range []struct {
		name, value string
		n           int
	}{{"reg", "0x12345678/0xff00ff00", 32}, {"xreg", "0x123456789abcdef0", 16}, {"xxreg", "0x123456789abcdef00000000000000001", 8}} {
		for i := range kind.n {
			text := fmt.Sprintf("%s%d=%s", kind.name, i, kind.value)
			m, err := ParseMatch(text, nil, nil)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			fm := &FlowMod{BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny, Match: m}
			for v := V10; v <= V15; v++ {
				if v == V11 { // its match is fixed
					continue
				}
				b, err := Encode(v, 0, fm)
				if err != nil {
					t.Errorf("%s in %v: %v", text, v, err)
					continue
				}
				_, _, again, err := Decode(b, &State{})
				if err != nil {
					t.Errorf("%s in %v: %v", text, v, err)
					continue
				}
				if diff := cmp.Diff(FormatMatch(&m, nil), FormatMatch(&again.(*FlowMod).Match, nil)); diff != "" {
					t.Errorf("%s in %v (-want +got):\n%s", text, v, diff)
				}
			}
		}
	}
	if flow.Reg(31).Info().Bits != 32 {
		t.Error("there are 32 registers")
	}
}
