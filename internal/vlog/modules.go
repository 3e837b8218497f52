package vlog

// StockModules are the modules of OVS that have a counterpart in this daemon, for Options.Modules: their
// names are what operators, scripts and documents give to vlog/set.
func StockModules() []string {
	return []string{
		"bfd", "bond", "bridge", "connmgr", "coverage", "daemon", "daemon_unix", "dpctl", "dpif", "fatal_signal", "flow",
		"jsonrpc", "lacp", "mac_learning", "memory", "netdev", "netdev_linux", "netdev_vport", "netlink", "odp_util", "ofp_actions",
		"ofproto", "ofproto_dpif", "ofproto_dpif_mirror", "ofproto_dpif_upcall", "ofproto_dpif_xlate", "ovsdb_cs", "ovsdb_idl",
		"rconn", "reconnect", "route_table", "rstp", "stp", "stream_ssl", "timeval", "tunnel", "unixctl", "vconn", "vlog", "vswitchd",
	}
}
