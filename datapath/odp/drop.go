package odp

// dropNames are OVS's coverage counters of translation drops.
var dropNames = [NumDropReasons]string{
	DropNone:                   "drop_action_of_pipeline",
	DropBridgeNotFound:         "drop_action_bridge_not_found",
	DropRecursionTooDeep:       "drop_action_recursion_too_deep",
	DropTooManyResubmit:        "drop_action_too_many_resubmit",
	DropStackTooDeep:           "drop_action_stack_too_deep",
	DropNoRecirculationContext: "drop_action_no_recirculation_context",
	DropRecirculationConflict:  "drop_action_recirculation_conflict",
	DropTooManyMPLSLabels:      "drop_action_too_many_mpls_labels",
	DropInvalidTunnelMetadata:  "drop_action_invalid_tunnel_metadata",
	DropUnsupportedPacketType:  "drop_action_unsupported_packet_type",
	DropCongestion:             "drop_action_congestion",
	DropForwardingDisabled:     "drop_action_forwarding_disabled",
	DropUnsupported:            "drop_action_unsupported",
}

// String is the name of the reason's coverage counter.
func (r DropReason) String() string {
	if r < NumDropReasons {
		return dropNames[r]
	}
	return "drop_action_unknown"
}
