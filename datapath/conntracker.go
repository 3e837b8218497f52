package datapath

import "github.com/ovs-bpf/ovs-bpf/datapath/conntrack"

// Conntracker is a Datapath that tracks connections.
type Conntracker interface {
	// Conntrack is the control of its connections.
	Conntrack() conntrack.Control
}
