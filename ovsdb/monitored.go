package ovsdb

import (
	"reflect"

	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ovs-bpf/ovs-bpf/ovsdb/models"
)

// database is the name of the database and of its root table.
const database = "Open_vSwitch"

// table is a table that the switch reads.
type table struct {
	row     model.Model // generated model, for its type
	columns []string    // columns that are read
}

// monitored are the tables and columns that a Snapshot is made of. Status columns are not among them, except
// where a new process continues what an earlier one wrote.
func monitored() map[string]table {
	return map[string]table{
		"Open_vSwitch": {&models.OpenvSwitch{}, []string{"bridges", "cur_cfg", "datapaths", "external_ids", "next_cfg", "other_config", "ssl"}},
		"Bridge": {&models.Bridge{}, []string{"controller", "datapath_type", "external_ids", "fail_mode", "flood_vlans", "flow_tables",
			"ipfix", "mcast_snooping_enable", "mirrors", "name", "netflow", "other_config", "ports", "protocols", "rstp_enable", "sflow", "stp_enable"}},
		"Port": {&models.Port{}, []string{"bond_active_slave", "bond_downdelay", "bond_fake_iface", "bond_mode", "bond_updelay", "cvlans",
			"external_ids", "fake_bridge", "interfaces", "lacp", "mac", "name", "other_config", "protected", "qos", "tag", "trunks", "vlan_mode"}},
		"Interface": {&models.Interface{}, []string{"bfd", "cfm_mpid", "external_ids", "ingress_policing_burst", "ingress_policing_kpkts_burst",
			"ingress_policing_kpkts_rate", "ingress_policing_rate", "lldp", "mac", "mtu_request", "name", "ofport", "ofport_request", "options",
			"other_config", "type"}},
		"Controller": {&models.Controller{}, []string{"connection_mode", "controller_burst_limit", "controller_queue_size", "controller_rate_limit",
			"enable_async_messages", "inactivity_probe", "local_gateway", "local_ip", "local_netmask", "max_backoff", "other_config", "target", "type"}},
		"Mirror": {&models.Mirror{}, []string{"filter", "name", "output_port", "output_vlan", "select_all", "select_dst_port", "select_src_port",
			"select_vlan", "snaplen"}},
		"Flow_Table": {&models.FlowTable{}, []string{"flow_limit", "groups", "name", "overflow_policy", "prefixes"}},
		"QoS":        {&models.QoS{}, []string{"other_config", "queues", "type"}},
		"Queue":      {&models.Queue{}, []string{"dscp", "other_config"}},
		"NetFlow":    {&models.NetFlow{}, []string{"active_timeout", "add_id_to_interface", "engine_id", "engine_type", "targets"}},
		"sFlow":      {&models.SFlow{}, []string{"agent", "header", "polling", "sampling", "targets"}},
		"IPFIX": {&models.IPFIX{}, []string{"cache_active_timeout", "cache_max_flows", "obs_domain_id", "obs_point_id", "other_config", "sampling",
			"stats_interval", "targets", "template_interval"}},
		"Flow_Sample_Collector_Set": {&models.FlowSampleCollectorSet{}, []string{"bridge", "id", "ipfix", "local_group_id"}},
		"Datapath":                  {&models.Datapath{}, []string{"ct_zone_default_limit", "ct_zones"}},
		"CT_Zone":                   {&models.CTZone{}, []string{"limit", "timeout_policy"}},
		"CT_Timeout_Policy":         {&models.CTTimeoutPolicy{}, []string{"timeouts"}},
		"SSL":                       {&models.SSL{}, []string{"bootstrap_ca_cert", "ca_cert", "certificate", "private_key"}},
	}
}

// reduce is a model like m for a table of a server that may lack some of its columns: libovsdb refuses models
// that have more than the server. m itself is returned if nothing is missing; its generated copy methods are
// much faster than the reflection that a made-up type needs.
func reduce(m model.Model, has map[string]bool) model.Model {
	t := reflect.TypeOf(m).Elem()
	var fields []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		if column := f.Tag.Get("ovsdb"); column == "_uuid" || has[column] {
			fields = append(fields, f)
		}
	}
	if len(fields) == t.NumField() {
		return m
	}
	for i := range fields {
		fields[i].Index, fields[i].Offset = nil, 0
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// expand is the generated model of a row that may be of a type from reduce.
func expand[T any](row model.Model) *T {
	if full, ok := row.(*T); ok {
		return full
	}
	full := new(T)
	from, to := reflect.ValueOf(row).Elem(), reflect.ValueOf(full).Elem()
	for i := range from.NumField() {
		to.FieldByName(from.Type().Field(i).Name).Set(from.Field(i))
	}
	return full
}

// matters reports whether an update of a row changes more than what the switch writes itself or does not act on.
func matters(table string, before, after model.Model) bool {
	switch table {
	case "Open_vSwitch":
		o, n := expand[models.OpenvSwitch](before), *expand[models.OpenvSwitch](after)
		n.CurCfg, n.ExternalIDs = o.CurCfg, o.ExternalIDs
		return !o.Equals(&n)
	case "Bridge":
		o, n := expand[models.Bridge](before), *expand[models.Bridge](after)
		n.ExternalIDs = o.ExternalIDs
		return !o.Equals(&n)
	case "Port":
		o, n := expand[models.Port](before), *expand[models.Port](after)
		n.BondActiveSlave, n.ExternalIDs = o.BondActiveSlave, o.ExternalIDs
		return !o.Equals(&n)
	case "Interface":
		o, n := expand[models.Interface](before), *expand[models.Interface](after)
		n.Ofport, n.ExternalIDs = o.Ofport, o.ExternalIDs
		return !o.Equals(&n)
	}
	return true
}
