package pipeline

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// spec is a rule to be made.
type spec struct {
	table    uint8
	priority int
	match    flow.Match
	actions  []openflow.Action
}

func newTables(rules []spec) *table.Tables {
	t := table.New(table.Options{})
	for _, r := range rules {
		t.AddInternal(r.table, r.priority, &r.match, r.actions)
	}
	return t
}
