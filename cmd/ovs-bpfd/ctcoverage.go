package main

import (
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/internal/coverage"
)

// countConnections has the counters of connection tracking among the coverage counters, under OVS's names where it has
// them.
func countConnections(r *coverage.Registry, c conntrack.Control) {
	for name, of := range map[string]func(*conntrack.Counters) uint64{
		"conntrack_clash":              func(n *conntrack.Counters) uint64 { return n.Clash },
		"conntrack_displaced":          func(n *conntrack.Counters) uint64 { return n.Displaced },
		"conntrack_full":               func(n *conntrack.Counters) uint64 { return n.Full },
		"conntrack_zone_full":          func(n *conntrack.Counters) uint64 { return n.ZoneFull },
		"conntrack_invalid":            func(n *conntrack.Counters) uint64 { return n.Invalid },
		"conntrack_invalid_tcp_flags":  func(n *conntrack.Counters) uint64 { return n.InvalidFlags },
		"conntrack_l3csum_err":         func(n *conntrack.Counters) uint64 { return n.L3Checksum },
		"conntrack_l4csum_err":         func(n *conntrack.Counters) uint64 { return n.L4Checksum },
		"conntrack_lookup_natted_miss": func(n *conntrack.Counters) uint64 { return n.NattedMiss },
		"conntrack_tcp_seq_chk_bypass": func(n *conntrack.Counters) uint64 { return n.SequenceBypass },
		"conntrack_tcp_seq_chk_failed": func(n *conntrack.Counters) uint64 { return n.SequenceFailed },
	} {
		r.Func(name, func() uint64 {
			n, err := c.Counters()
			if err != nil {
				return 0
			}
			return of(&n)
		})
	}
}
