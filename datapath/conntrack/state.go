package conntrack

// State is the ct_state of a packet (ovs-fields(7)).
type State uint32

// The bits of a State.
const (
	New         State = 1 << iota // of a connection that is not committed, or has had no reply
	Established                   // of a connection that has packets in both directions
	Related                       // an ICMP error about a connection, or of a connection that another one announced
	Reply                         // against the direction of the connection's first packet
	Invalid                       // belongs to no connection
	Tracked                       // has been through conntrack
	SrcNAT                        // its source was translated
	DstNAT                        // its destination was translated

	natBits = SrcNAT | DstNAT
)
