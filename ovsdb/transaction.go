package ovsdb

import "fmt"

// lockName is the OVSDB lock that the switch of a database holds.
const lockName = "ovs_vswitchd"

// operation is one operation of a status transaction.
type operation struct {
	table, uuid string // uuid "" is the one row of Open_vSwitch
	json        []byte
}

func (o *operation) String() string {
	if o.uuid == "" {
		return "table " + o.table
	}
	return fmt.Sprintf("%s row %s", o.table, o.uuid)
}

// transaction are the operations that bring a database from one Status to another.
type transaction struct {
	server  columns
	rewrite map[string]bool // rows, by UUID, of which nothing is known
	ops     []operation
	scratch []byte // of update
}

// diff compares a Status with the one that was written before. datapaths are the UUIDs of the Datapath rows,
// by type. With all, nothing is known of the database and everything is written.
func (t *transaction) diff(old, st *Status, all bool, datapaths map[string]string) {
	t.row("Open_vSwitch", "", all, func(u *update) {
		if st.CurCfg != nil {
			intPtr(u, "cur_cfg", old.CurCfg, st.CurCfg)
		}
		if st.DatapathTypes != nil {
			u.stringSet("datapath_types", old.DatapathTypes, st.DatapathTypes)
		}
		if st.IfaceTypes != nil {
			u.stringSet("iface_types", old.IfaceTypes, st.IfaceTypes)
		}
		u.stringMap("statistics", old.Statistics, st.Statistics)
		// What a switch without DPDK says.
		u.bool("dpdk_initialized", false, false)
		u.string("dpdk_version", "none", "none")
	})
	for uuid, n := range st.Bridges {
		o, known := old.Bridges[uuid]
		t.row("Bridge", uuid, all || !known, func(u *update) {
			u.optString("datapath_id", o.DatapathID, n.DatapathID)
			u.string("datapath_version", o.DatapathVersion, n.DatapathVersion)
			u.stringMap("status", o.Status, n.Status)
			u.stringMap("rstp_status", o.RSTPStatus, n.RSTPStatus)
		})
	}
	for uuid, n := range st.Ports {
		o, known := old.Ports[uuid]
		t.row("Port", uuid, all || !known, func(u *update) {
			u.optString("bond_active_slave", o.BondActiveSlave, n.BondActiveSlave)
			u.stringMap("status", o.Status, n.Status)
			u.intMap("statistics", o.Statistics, n.Statistics)
			u.stringMap("rstp_status", o.RSTPStatus, n.RSTPStatus)
			u.intMap("rstp_statistics", o.RSTPStatistics, n.RSTPStatistics)
		})
	}
	for uuid, n := range st.Interfaces {
		o, known := old.Interfaces[uuid]
		t.row("Interface", uuid, all || !known, func(u *update) { u.iface(&o, &n) })
	}
	for uuid, n := range st.Mirrors {
		o, known := old.Mirrors[uuid]
		t.row("Mirror", uuid, all || !known, func(u *update) { u.intMap("statistics", o.Statistics, n.Statistics) })
	}
	for uuid, n := range st.Controllers {
		o, known := old.Controllers[uuid]
		t.row("Controller", uuid, all || !known, func(u *update) {
			u.bool("is_connected", o.IsConnected, n.IsConnected)
			u.optString("role", o.Role, n.Role)
			u.stringMap("status", o.Status, n.Status)
		})
	}
	for typ, uuid := range datapaths {
		n, ok := st.Datapaths[typ]
		if !ok {
			continue
		}
		o, known := old.Datapaths[typ]
		t.row("Datapath", uuid, all || !known, func(u *update) {
			if n.Version != "" {
				u.string("datapath_version", o.Version, n.Version)
			}
			u.stringMap("capabilities", o.Capabilities, n.Capabilities)
		})
	}
}

func (t *transaction) row(table, uuid string, all bool, columns func(*update)) {
	u := update{has: t.server[table], all: all || t.rewrite[uuid], b: t.scratch[:0]}
	columns(&u)
	t.scratch = u.b
	if op := u.operation(table, uuid); op != nil {
		t.ops = append(t.ops, operation{table, uuid, op})
	}
}

func (u *update) iface(o, n *InterfaceStatus) {
	intPtr(u, "ofport", o.OFPort, n.OFPort)
	u.stringPtr("error", o.Error, n.Error)
	u.optString("mac_in_use", o.MACInUse, n.MACInUse)
	u.optString("admin_state", o.AdminState, n.AdminState)
	u.optString("link_state", o.LinkState, n.LinkState)
	intPtr(u, "link_speed", o.LinkSpeed, n.LinkSpeed)
	intPtr(u, "link_resets", o.LinkResets, n.LinkResets)
	u.optString("duplex", o.Duplex, n.Duplex)
	intPtr(u, "mtu", o.MTU, n.MTU)
	intPtr(u, "ifindex", o.IfIndex, n.IfIndex)
	u.boolPtr("lacp_current", o.LACPCurrent, n.LACPCurrent)
	u.stringMap("bfd_status", o.BFDStatus, n.BFDStatus)
	u.stringMap("status", o.Status, n.Status)
	u.intMap("statistics", o.Statistics, n.Statistics)
}

// json are the operations as they are sent: the lock is asserted first.
func (t *transaction) json() [][]byte {
	list := make([][]byte, 0, len(t.ops)+1)
	list = append(list, []byte(`{"op":"assert","lock":"`+lockName+`"}`))
	for i := range t.ops {
		list = append(list, t.ops[i].json)
	}
	return list
}
