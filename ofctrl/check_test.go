package ofctrl

import (
	"errors"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

func TestCheckActions(t *testing.T) {
	type list = []openflow.Action
	for _, tt := range []struct {
		name    string
		actions list
		want    error
	}{
		{"nothing", nil, nil},
		{"ports", list{openflow.Output{Port: 1}, openflow.Output{Port: 0xfeff}, openflow.Enqueue{Port: openflow.PortLocal}}, nil},
		{"reserved ports", list{openflow.Output{Port: openflow.PortInPort}, openflow.Output{Port: openflow.PortNormal}, openflow.Output{Port: openflow.PortTable}}, nil},
		{"no port", list{openflow.Output{Port: openflow.PortAny}}, openflow.ActionBadOutPort},
		{"unset", list{openflow.OutputTrunc{Port: openflow.PortUnset}}, openflow.ActionBadOutPort},
		{"a port that cannot be", list{openflow.Enqueue{Port: 0xff00}}, openflow.ActionBadOutPort},
		{"in write_actions", list{openflow.WriteActions{Actions: list{openflow.Output{Port: 0xff00}}}}, openflow.ActionBadOutPort},
		{"an Ethernet header", list{openflow.Encap{}, openflow.Decap{}}, nil},
		{"a header that is not done", list{openflow.Encap{Type: 1<<16 | 0x894f}}, openflow.NXActionBadHeaderType},
		{"in a clone", list{openflow.Clone{Actions: list{openflow.Encap{Type: 1<<16 | 0x8847}}}}, openflow.NXActionBadHeaderType},
		{"NSH", list{openflow.DecNSHTTL{}}, openflow.ActionBadType},
		{"a group, which the tables check", list{openflow.Clone{Actions: list{openflow.Group{ID: 1}}}}, nil},
	} {
		if err := checkActions(tt.actions); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}
