package coverage

// StockNames are the events of OVS that monitoring exports by name (ovn-kubernetes, openstack-network-exporter);
// a registry that knows them answers 0 instead of refusing.
func StockNames() []string {
	return []string{
		"bridge_reconfigure",
		"dpif_execute", "dpif_execute_with_help", "dpif_flow_del", "dpif_flow_flush", "dpif_flow_get", "dpif_flow_put",
		"dpif_port_add", "dpif_port_del",
		"netlink_overflow", "netlink_received", "netlink_recv_jumbo", "netlink_sent",
		"ofproto_dpif_expired", "ofproto_flush", "ofproto_packet_out", "ofproto_recv_openflow", "ofproto_reinit_ports",
		"packet_in", "packet_in_drop",
		"pstream_open", "stream_open",
		"rconn_discarded", "rconn_overflow", "rconn_queued", "rconn_sent",
		"txn_aborted", "txn_error", "txn_incomplete", "txn_success", "txn_try_again", "txn_uncommitted", "txn_unchanged",
		"upcall_flow_limit_hit", "upcall_flow_limit_kill",
		"vconn_open", "vconn_received", "vconn_sent",
		"xlate_actions", "xlate_actions_oversize", "xlate_actions_too_many_output",
	}
}
