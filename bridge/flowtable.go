package bridge

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// configureTables gives the flow tables what the Flow_Table rows say: those whose configuration changed.
func (b *Bridge) configureTables() {
	was := b.flowTables
	b.flowTables = map[int]table.Config{}
	for _, id := range slices.Sorted(maps.Keys(b.row.FlowTables)) {
		if id < 0 || id >= table.Visible {
			continue // the switch's own: nobody else puts flows there
		}
		cfg, problems := tableConfig(b.row.FlowTables[id])
		b.flowTables[id] = cfg
		if old, ok := was[id]; ok && reflect.DeepEqual(old, cfg) {
			continue
		}
		for _, p := range problems {
			b.log.Warnf("bridge %s: flow table %d: %v", b.name, id, p)
		}
		b.sw.ConfigureTable(uint8(id), cfg)
	}
	for id := range was {
		if _, ok := b.flowTables[id]; !ok {
			b.sw.ConfigureTable(uint8(id), table.Config{})
		}
	}
}

// tableConfig reads a row; what is wrong there is left out.
func tableConfig(row *ovsdb.FlowTable) (cfg table.Config, problems []error) {
	cfg.Name = row.Name
	cfg.Limit = row.FlowLimit
	cfg.Evict = row.OverflowPolicy == "evict"
	for _, text := range row.Groups {
		f, err := openflow.ParseSubfield(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("groups: %w", err))
			continue
		}
		cfg.Groups = append(cfg.Groups, f)
	}
	for _, text := range row.Prefixes {
		if text == "none" {
			cfg.Prefixes = []flow.FieldID{}
			break
		}
		id, err := openflow.ParseField(text)
		if err == nil && !table.Prefixed(id) {
			err = fmt.Errorf("field %q has no prefixes", text)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("prefixes: %w", err))
			continue
		}
		cfg.Prefixes = append(cfg.Prefixes, id)
	}
	return cfg, problems
}
