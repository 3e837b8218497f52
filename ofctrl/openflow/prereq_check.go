package openflow

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// PrereqOK reports whether the packets of a match have fields with the prerequisite.
func PrereqOK(m *flow.Match, p flow.Prereq) bool { return prereqOK(m, p) }
