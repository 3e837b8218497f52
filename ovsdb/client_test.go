package ovsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// schemaCases are the servers that a client must be content with.
func schemaCases(t *testing.T) map[string]string {
	return map[string]string{
		"ours":       ours(t),
		"debian":     debian(t),
		"incomplete": withoutColumns(t, debian(t), "Interface.ingress_policing_kpkts_rate", "Interface.link_resets", "Port.cvlans", "Bridge.rstp_status", "Open_vSwitch.dpdk_version"),
	}
}

func TestSnapshot(t *testing.T) {
	for name, schema := range schemaCases(t) {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, schema)
			s.vsctl("init")
			c := s.client()
			next(t, c, "the empty one", nil)
			s.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=bpf", "fail_mode=secure", "protocols=OpenFlow13,OpenFlow15",
				"other_config:hwaddr=00:00:00:00:00:01", "external_ids:a=b", "flood_vlans=3,4", "stp_enable=true", "mcast_snooping_enable=true",
				"--", "set-controller", "br0", "tcp:127.0.0.1:6653", "--", "set", "controller", "br0", "max_backoff=2000", "inactivity_probe=0",
				"--", "add-port", "br0", "p1", "tag=7", "vlan_mode=native-tagged", "trunks=1,2", "protected=true",
				"--", "set", "interface", "p1", "ofport_request=5", "mtu_request=9000", `mac="00:00:00:00:00:05"`, "external_ids:iface-id=x",
				"options:n=v", "bfd:enable=true", "ingress_policing_rate=100",
				"--", "add-bond", "br0", "bond0", "e1", "e0", "bond_mode=balance-slb", "lacp=active",
				"--", "add-port", "br0", "pp", "--", "set", "interface", "pp", "type=patch", "options:peer=qq", `external_ids:z=""`,
				"--", "--id=@f", "create", "flow_table", "name=t", "flow_limit=9", "prefixes=ip_dst,ip_src", "--", "set", "bridge", "br0", "flow_tables:0=@f", "flow_tables:1=@f",
				"--", "--id=@q", "create", "queue", "dscp=4", "other_config:max-rate=10", "--", "--id=@s", "create", "qos", "type=linux-htb", "queues:1=@q",
				"--", "set", "port", "p1", "qos=@s",
				"--", "--id=@p", "get", "port", "p1", "--", "--id=@m", "create", "mirror", "name=m", "select_src_port=@p", "output_vlan=9", "snaplen=64", "--", "set", "bridge", "br0", "mirrors=@m",
				"--", "--id=@n", "create", "netflow", `targets="127.0.0.1:1"`, "engine_id=2", "--", "set", "bridge", "br0", "netflow=@n",
				"--", "--id=@sf", "create", "sflow", `targets="127.0.0.1:2"`, "agent=eth0", "sampling=64", "--", "set", "bridge", "br0", "sflow=@sf",
				"--", "--id=@i", "create", "ipfix", `targets="127.0.0.1:3"`, "sampling=5", "--", "set", "bridge", "br0", "ipfix=@i",
				"--", "--id=@br", "get", "bridge", "br0", "--", "create", "flow_sample_collector_set", "id=1", "bridge=@br", "ipfix=@i",
				"--", "--id=@ssl", "create", "ssl", "private_key=/k", "certificate=/c", "ca_cert=/a", "bootstrap_ca_cert=true", "--", "set", "open_vswitch", ".", "ssl=@ssl",
				"other_config:max-idle=1000", "external_ids:system-id=h", "next_cfg=42",
				"--", "--id=@tp", "create", "ct_timeout_policy", "timeouts:tcp_established=60", "--", "--id=@z", "create", "ct_zone", "timeout_policy=@tp",
				"--", "--id=@dp", "create", "datapath", `datapath_version=""`, "ct_zones:5=@z", "--", "set", "open_vswitch", ".", "datapaths:system=@dp")
			got := next(t, c, "br0", func(s *Snapshot) bool { return len(s.Bridges) == 1 })
			ipfix := &IPFIX{Targets: []string{"127.0.0.1:3"}, Sampling: ptr(5)}
			table := &FlowTable{Name: "t", FlowLimit: ptr(9), Prefixes: []string{"ip_dst", "ip_src"}}
			want := &Snapshot{
				NextCfg: 42, OtherConfig: map[string]string{"max-idle": "1000"}, ExternalIDs: map[string]string{"system-id": "h"},
				SSL: &SSL{PrivateKey: "/k", Certificate: "/c", CACert: "/a", BootstrapCACert: true},
				Bridges: []*Bridge{{
					Name: "br0", DatapathType: "bpf", FailMode: "secure", Protocols: []string{"OpenFlow13", "OpenFlow15"},
					OtherConfig: map[string]string{"hwaddr": "00:00:00:00:00:01"}, ExternalIDs: map[string]string{"a": "b"}, FloodVLANs: []int{3, 4},
					STPEnable: true, McastSnoopingEnable: true,
					Controllers: []*Controller{{Target: "tcp:127.0.0.1:6653", MaxBackoff: ptr(2000), InactivityProbe: ptr(0)}},
					Ports: []*Port{
						{Name: "bond0", BondMode: "balance-slb", LACP: "active", Interfaces: []*Interface{{Name: "e0"}, {Name: "e1"}}},
						{Name: "br0", Interfaces: []*Interface{{Name: "br0", Type: "internal"}}},
						{
							Name: "p1", Tag: ptr(7), VLANMode: "native-tagged", Trunks: []int{1, 2}, Protected: true,
							QoS: &QoS{Type: "linux-htb", Queues: map[int]*Queue{1: {DSCP: ptr(4), OtherConfig: map[string]string{"max-rate": "10"}}}},
							Interfaces: []*Interface{{
								Name: "p1", OFPortRequest: ptr(5), MTURequest: ptr(9000), MAC: "00:00:00:00:00:05", ExternalIDs: map[string]string{"iface-id": "x"},
								Options: map[string]string{"n": "v"}, BFD: map[string]string{"enable": "true"}, IngressPolicingRate: 100,
							}},
						},
						{Name: "pp", Interfaces: []*Interface{{Name: "pp", Type: "patch", Options: map[string]string{"peer": "qq"}, ExternalIDs: map[string]string{"z": ""}}}},
					},
					Mirrors:    []*Mirror{{Name: "m", OutputVLAN: ptr(9), Snaplen: ptr(64)}},
					FlowTables: map[int]*FlowTable{0: table, 1: table},
					NetFlow:    &NetFlow{Targets: []string{"127.0.0.1:1"}, EngineID: ptr(2)},
					SFlow:      &SFlow{Targets: []string{"127.0.0.1:2"}, Agent: "eth0", Sampling: ptr(64)},
					IPFIX:      ipfix,
				}},
				Datapaths:     map[string]*Datapath{"system": {CTZones: map[int]*CTZone{5: {Timeouts: map[string]int{"tcp_established": 60}}}}},
				CollectorSets: []*CollectorSet{{ID: 1, IPFIX: ipfix}},
			}
			// UUIDs are the server's; references by UUID are compared below.
			uuids := cmp.FilterPath(func(p cmp.Path) bool {
				switch p.Last().String() {
				case ".UUID", ".Bridge", ".SelectSrcPort":
					return true
				}
				return false
			}, cmp.Ignore())
			sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if d := cmp.Diff(want, got, uuids, sorted, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("snapshot (-want +got):\n%s", d)
			}
			b := got.Bridges[0]
			if b.Mirrors[0].SelectSrcPort[0] != b.Ports[2].UUID || got.CollectorSets[0].Bridge != b.UUID {
				t.Errorf("references do not lead to the rows: %v, %v", b.Mirrors[0].SelectSrcPort, got.CollectorSets[0].Bridge)
			}

			// A change makes a snapshot that shares what has not changed.
			s.vsctl("set", "interface", "pp", "options:peer=rr")
			later := next(t, c, "options", func(s *Snapshot) bool { return s.Bridges[0].Ports[3].Interfaces[0].Options["peer"] == "rr" })
			if b.Ports[3].Interfaces[0].Options["peer"] != "qq" {
				t.Error("the old snapshot has changed")
			}
			if later.Bridges[0].Ports[0] != b.Ports[0] || later.Bridges[0].Ports[3] == b.Ports[3] {
				t.Error("ports are not shared as they should be")
			}
			s.vsctl("del-port", "br0", "p1", "--", "del-port", "br0", "bond0")
			next(t, c, "deletion", func(s *Snapshot) bool { return len(s.Bridges[0].Ports) == 2 })
		})
	}
}

func TestSnapshotNewColumns(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init", "--", "add-br", "br0")
	c := s.client()
	s.vsctl("--", "--id=@m", "create", "mirror", "name=m", "--", "set", "bridge", "br0", "mirrors=@m")
	s.vsctl("--", "--id=@i", "create", "ipfix", `targets="127.0.0.1:3"`, "--", "set", "bridge", "br0", "ipfix=@i",
		"--", "--id=@z", "create", "ct_zone", "external_ids:a=b", "--", "--id=@dp", "create", "datapath", `datapath_version=""`, "ct_zones:5=@z", "--", "set", "open_vswitch", ".", "datapaths:system=@dp",
		"--", "--id=@br", "get", "bridge", "br0", "--", "create", "flow_sample_collector_set", "id=1", "bridge=@br")
	// ovs-vsctl of Debian does not know these columns.
	s.transact(`{"op":"update","table":"Mirror","where":[],"row":{"filter":"icmp"}}`,
		`{"op":"update","table":"IPFIX","where":[],"row":{"stats_interval":7,"template_interval":8}}`,
		`{"op":"update","table":"CT_Zone","where":[],"row":{"limit":9}}`,
		`{"op":"update","table":"Datapath","where":[],"row":{"ct_zone_default_limit":10}}`,
		`{"op":"update","table":"Flow_Sample_Collector_Set","where":[],"row":{"local_group_id":11}}`)
	got := next(t, c, "new columns", func(s *Snapshot) bool { return len(s.CollectorSets) == 1 && s.CollectorSets[0].LocalGroupID != nil })
	b, d := got.Bridges[0], got.Datapaths["system"]
	text := fmt.Sprint(b.Mirrors[0].Filter, " ", *b.IPFIX.StatsInterval, *b.IPFIX.TemplateInterval, *d.CTZones[5].Limit, *d.CTZoneDefaultLimit, *got.CollectorSets[0].LocalGroupID)
	want(t, "columns", text, "icmp 7 8 9 10 11")
}

// transact runs operations with ovsdb-client.
func (s *server) transact(ops ...string) string {
	s.t.Helper()
	out := s.run("ovsdb-client", "transact", s.remote(), `["Open_vSwitch",`+strings.Join(ops, ",")+`]`)
	if strings.Contains(out, `"error"`) {
		s.t.Fatalf("transact: %s", out)
	}
	return out
}

func TestStatus(t *testing.T) {
	for name, schema := range schemaCases(t) {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, schema)
			s.vsctl("init", "--", "add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-controller", "br0", "tcp:127.0.0.1",
				"--", "--id=@m", "create", "mirror", "name=m", "--", "set", "bridge", "br0", "mirrors=@m",
				"--", "--id=@dp", "create", "datapath", `datapath_version=""`, "--", "set", "open_vswitch", ".", "datapaths:system=@dp", "next_cfg=7")
			c := s.client()
			snap := next(t, c, "configuration", nil)
			b := snap.Bridges[0]
			p1 := b.Ports[1].Interfaces[0].UUID
			st := &Status{
				CurCfg: ptr(snap.NextCfg), DatapathTypes: []string{"bpf", "system"}, IfaceTypes: []string{"internal", "patch"},
				Bridges: map[string]BridgeStatus{b.UUID: {DatapathID: "0000000000000001", DatapathVersion: "<built-in>", RSTPStatus: map[string]string{"k": "v"}}},
				Ports:   map[string]PortStatus{b.Ports[1].UUID: {BondActiveSlave: "00:00:00:00:00:09", Statistics: map[string]int64{"stp_tx_count": 3}}},
				Interfaces: map[string]InterfaceStatus{
					p1: {
						OFPort: ptr(1), MACInUse: "00:00:00:00:00:02", AdminState: "up", LinkState: "down", LinkSpeed: ptr(int64(10_000_000_000)), LinkResets: ptr(int64(2)),
						Duplex: "full", MTU: ptr(1500), IfIndex: ptr(3), LACPCurrent: ptr(true), BFDStatus: map[string]string{"state": "up"},
						Status: map[string]string{"driver_name": `a "q" \ é`}, Statistics: map[string]int64{"rx_bytes": 1<<62 + 1, "tx_bytes": 5},
					},
					b.Ports[0].Interfaces[0].UUID:          {OFPort: ptr(-1), Error: ptr("could not open network device")},
					"00000000-0000-0000-0000-00000000dead": {OFPort: ptr(9)}, // deleted meanwhile
				},
				Mirrors:     map[string]MirrorStatus{b.Mirrors[0].UUID: {Statistics: map[string]int64{"tx_packets": 8}}},
				Controllers: map[string]ControllerStatus{b.Controllers[0].UUID: {IsConnected: true, Role: "master", Status: map[string]string{"state": "ACTIVE"}}},
				Datapaths:   map[string]DatapathStatus{"system": {Capabilities: map[string]string{"recirc": "true"}}, "netdev": {}},
			}
			write(t, c, st)
			get := func(table, record string, columns ...string) string {
				return strings.ReplaceAll(s.vsctl(append([]string{"get", table, record}, columns...)...), "\n", " ")
			}
			want(t, "root", get("open", ".", "cur_cfg", "datapath_types", "iface_types", "dpdk_initialized"), `7 [bpf, system] [internal, patch] false`)
			want(t, "bridge", get("bridge", "br0", "datapath_id", "datapath_version"), `"0000000000000001" "<built-in>"`)
			want(t, "port", get("port", "p1", "bond_active_slave", "statistics"), `"00:00:00:00:00:09" {stp_tx_count=3}`)
			want(t, "interface", get("interface", "p1", "ofport", "mac_in_use", "admin_state", "link_state", "link_speed", "duplex", "mtu", "ifindex", "lacp_current", "error", "bfd_status", "statistics", "status"),
				`1 "00:00:00:00:00:02" up down 10000000000 full 1500 3 true [] {state=up} {rx_bytes=4611686018427387905, tx_bytes=5} {driver_name="a \"q\" \\ é"}`)
			want(t, "local", get("interface", "br0", "ofport", "error", "statistics"), `-1 "could not open network device" {}`)
			want(t, "mirror", get("mirror", "m", "statistics"), `{tx_packets=8}`)
			want(t, "controller", get("controller", "br0", "is_connected", "role", "status"), `true master {state=ACTIVE}`)
			want(t, "datapath", s.vsctl("--columns=capabilities", "--bare", "list", "datapath"), `recirc=true`)
			if schemaHas(schema, "Open_vSwitch", "dpdk_version") {
				want(t, "dpdk_version", get("open", ".", "dpdk_version"), "none")
			}
			if schemaHas(schema, "Interface", "link_resets") {
				want(t, "link_resets", get("interface", "p1", "link_resets"), "2")
			}
			if schemaHas(schema, "Bridge", "rstp_status") {
				want(t, "rstp_status", get("bridge", "br0", "rstp_status"), "{k=v}")
			}

			// The status that we write makes no new configuration: the next snapshot is the one asked for.
			s.vsctl("set", "open", ".", "next_cfg=8")
			snap = next(t, c, "the next", nil)
			if len(c.Snapshots()) != 0 {
				t.Error("more than one snapshot for one change")
			}
			want(t, "next_cfg", fmt.Sprint(snap.NextCfg), "8")
			if got := snap.Bridges[0].Ports[1].Interfaces[0].OFPort; got == nil || *got != 1 {
				t.Errorf("ofport is not read back: %v", got)
			}

			// What has become absent is emptied.
			st2 := *st
			st2.CurCfg = ptr(8)
			st2.Interfaces = map[string]InterfaceStatus{p1: {OFPort: ptr(1)}}
			write(t, c, &st2)
			want(t, "interface", get("interface", "p1", "ofport", "mac_in_use", "link_state", "link_speed", "lacp_current", "statistics", "status"), `1 [] [] [] [] {} {}`)
			want(t, "cur_cfg", get("open", ".", "cur_cfg"), "8")
		})
	}
}

func schemaHas(schema, table, column string) bool {
	var s struct {
		Tables map[string]struct{ Columns map[string]json.RawMessage }
	}
	_ = json.Unmarshal([]byte(schema), &s)
	return s.Tables[table].Columns[column] != nil
}

// TestDatapathRowLater: ovn-controller makes the Datapath row when it likes, and makes it again.
func TestDatapathRowLater(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init")
	c := s.client()
	next(t, c, "first", nil)
	st := &Status{Datapaths: map[string]DatapathStatus{"system": {Version: "1", Capabilities: map[string]string{"recirc": "true"}}}}
	write(t, c, st)
	for range 2 {
		s.vsctl("clear", "open", ".", "datapaths", "--", "--id=@dp", "create", "datapath", `datapath_version=""`, "--", "set", "open", ".", "datapaths:system=@dp")
		next(t, c, "the row", func(s *Snapshot) bool { return s.Datapaths["system"] != nil })
		write(t, c, st)
		want(t, "datapath", s.vsctl("--columns=capabilities,datapath_version", "--bare", "list", "datapath"), "recirc=true\n1")
	}
}

func TestRefusedRow(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init", "--", "add-br", "br0", "--", "set-controller", "br0", "tcp:127.0.0.1")
	c := s.client()
	b := next(t, c, "br0", nil).Bridges[0]
	st := &Status{
		CurCfg: ptr(3), Bridges: map[string]BridgeStatus{b.UUID: {DatapathID: "00000000000000ff"}},
		Controllers: map[string]ControllerStatus{b.Controllers[0].UUID: {Role: "boss"}},
	}
	err := tryWrite(t, c, st)
	if err == nil || !strings.Contains(err.Error(), "Controller row "+b.Controllers[0].UUID) || !strings.Contains(err.Error(), "boss") {
		t.Errorf("error %v does not tell the row and the value", err)
	}
	want(t, "the rest", s.vsctl("get", "bridge", "br0", "datapath_id"), `"00000000000000ff"`)
	want(t, "cur_cfg", s.vsctl("get", "open", ".", "cur_cfg"), "3")
	st2 := *st
	st2.Controllers = map[string]ControllerStatus{b.Controllers[0].UUID: {Role: "slave"}}
	write(t, c, &st2)
	want(t, "role", s.vsctl("get", "controller", "br0", "role"), "slave")
}

func TestLockHandover(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init")
	a := s.client()
	next(t, a, "of the first", nil)
	log, hook := logtest.NewNullLogger()
	b := connect(t, Options{Remote: s.remote(), Log: logrus.NewEntry(log)})
	eventually(t, "the second waits", func() error { return mustEqual(b.LockState().String(), "contended") })
	if e := hook.LastEntry(); e.Level != logrus.ErrorLevel || !strings.HasPrefix(e.Message, "another ovs-vswitchd process is running, disabling this process (pid ") {
		t.Errorf("log: %s %s", e.Level, e.Message)
	}
	s.vsctl("set", "open", ".", "next_cfg=1")
	next(t, a, "of the first", func(s *Snapshot) bool { return s.NextCfg == 1 })
	if len(b.Snapshots()) != 0 {
		t.Error("a client without the lock has got a configuration")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Write(ctx, &Status{CurCfg: ptr(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("write without the lock: %v", err)
	}
	write(t, a, &Status{CurCfg: ptr(1)})
	a.Close()
	waitLocked(t, b)
	want(t, "next_cfg", fmt.Sprint(next(t, b, "after takeover", nil).NextCfg), "1")
	write(t, b, &Status{CurCfg: ptr(2)})
	want(t, "cur_cfg", s.vsctl("get", "open", ".", "cur_cfg"), "2")
	if got := <-b.LockEvents(); got != LockHeld {
		t.Errorf("newest lock event is %v", got)
	}
}

func TestLockStolen(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init")
	c := s.client()
	waitLocked(t, c)
	conn, err := c.remotes[0].dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	thief := newSession(conn, func(string, json.RawMessage) {})
	defer thief.close()
	if _, err := thief.call(context.Background(), "steal", []byte(`["ovs_vswitchd"]`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lock is lost", func() error { return mustEqual(c.LockState().String(), "contended") })
	done := make(chan error)
	go func() { done <- c.Write(context.Background(), &Status{CurCfg: ptr(5)}) }()
	select {
	case err := <-done:
		t.Fatalf("wrote without the lock: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	want(t, "cur_cfg", s.vsctl("get", "open", ".", "cur_cfg"), "0")
	if _, err := thief.call(context.Background(), "unlock", []byte(`["ovs_vswitchd"]`)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want(t, "cur_cfg", s.vsctl("get", "open", ".", "cur_cfg"), "5")
}

func TestServerRestart(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init", "--", "add-br", "br0")
	counts := map[string]uint64{}
	c := connect(t, Options{Remote: s.remote(), Count: func(n string, d uint64) { counts[n] += d }})
	b := next(t, c, "before", nil).Bridges[0]
	st := &Status{CurCfg: ptr(1), Bridges: map[string]BridgeStatus{b.UUID: {DatapathID: "0000000000000007"}},
		Interfaces: map[string]InterfaceStatus{b.Ports[0].Interfaces[0].UUID: {LinkState: "up"}}}
	write(t, c, st)
	s.stop()
	eventually(t, "the loss is noticed", func() error { return mustEqual(c.LockState().String(), "unknown") })
	done := make(chan error)
	go func() { done <- c.Write(context.Background(), st) }() // waits for the server
	s.start()
	next(t, c, "after", func(s *Snapshot) bool { return len(s.Bridges) == 1 })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// These columns are ephemeral: the restart has emptied them.
	want(t, "datapath_id", s.vsctl("get", "bridge", "br0", "datapath_id"), `"0000000000000007"`)
	want(t, "link_state", s.vsctl("get", "interface", "br0", "link_state"), "up")
	before := counts["txn_success"]
	write(t, c, st)
	if counts["txn_success"] != before || counts["txn_unchanged"] != 1 {
		t.Errorf("an unchanged status was written: %v", counts)
	}
	s.vsctl("del-br", "br0")
	next(t, c, "deletion after the restart", func(s *Snapshot) bool { return len(s.Bridges) == 0 })
}

func TestServerLater(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init")
	s.stop()
	c := s.client()
	s.start()
	next(t, c, "when it is there", nil)
}

// TestFrozenServer: a server that answers nothing any more is found out by the probe.
func TestFrozenServer(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init")
	hand := clock.NewManual(time.Unix(0, 0))
	c := connect(t, Options{Remote: s.remote(), Clock: hand})
	next(t, c, "before", nil)
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) })
	eventually(t, "the loss is noticed", func() error {
		hand.Advance(time.Second)
		return mustEqual(c.LockState().String(), "unknown")
	})
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is connected again", func() error {
		hand.Advance(time.Second)
		return mustEqual(c.LockState().String(), "held")
	})
	next(t, c, "after", nil)
}

func TestNoRootRow(t *testing.T) {
	s := newServer(t, ours(t))
	c := s.client()
	waitLocked(t, c)
	s.vsctl("init")
	next(t, c, "after init", nil)
}

func TestTCP(t *testing.T) {
	s := newServer(t, ours(t), "--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
	s.vsctl("init", "--", "set-manager", "ptcp:0:127.0.0.1")
	var port string
	eventually(t, "the server listens", func() error {
		port = strings.Trim(s.vsctl("--if-exists", "get", "manager", ".", "status:bound_port"), `"`)
		_, err := strconv.Atoi(port)
		return err
	})
	// The first of the list is not there.
	c := connect(t, Options{Remote: "unix:" + s.dir + "/none,tcp:127.0.0.1:" + port})
	next(t, c, "by tcp", nil)
}

func TestLongSocketName(t *testing.T) {
	s := newServer(t, ours(t))
	s.vsctl("init")
	long := filepath.Join(s.dir, strings.Repeat("d", 120))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../db.sock", filepath.Join(long, "db.sock")); err != nil {
		t.Fatal(err)
	}
	c := connect(t, Options{Remote: "unix:" + long + "/db.sock"})
	next(t, c, "by a long name", nil)
}

func TestMalformedRemotes(t *testing.T) {
	for remote, reason := range map[string]string{
		"":                        "no remote is given",
		"db.sock":                 "not of the form",
		"unix:":                   "name is missing",
		"http:localhost":          `unknown connection method "http"`,
		"tcp:":                    "host is missing",
		"tcp:127.0.0.1:x":         `bad port number "x"`,
		"tcp:127.0.0.1:0":         `bad port number "0"`,
		"tcp:127.0.0.1:65536":     `bad port number "65536"`,
		"tcp:::1:6640":            "needs brackets",
		"tcp:[::1":                "malformed address",
		"tcp:[::1]x":              "malformed address",
		"ssl:127.0.0.1:6640":      "needs a private key",
		"ptcp:6640":               "passive",
		"punix:/tmp/x":            "passive",
		"unix:/a,tcp:1.2.3.4:bad": `bad port number "bad"`,
	} {
		c, err := Connect(context.Background(), Options{Remote: remote})
		if err == nil {
			c.Close()
			t.Errorf("%q is accepted", remote)
			continue
		}
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: error %q does not say %q", remote, err, reason)
		}
	}
	for text, address := range map[string]string{"tcp:host": "host:6640", "tcp:[::1]:1": "[::1]:1", "tcp:[::1]": "[::1]:6640", "unix:/a b": "/a b"} {
		list, err := parseRemotes(text, nil)
		if err != nil || list[0].address != address {
			t.Errorf("%q: %v, %v, want %s", text, list, err, address)
		}
	}
}

func TestReconnectLog(t *testing.T) {
	log, hook := logtest.NewNullLogger()
	l := reconnectLog{entry: logrus.NewEntry(log)}
	absent := fmt.Errorf("dial: %w", syscall.ENOENT)
	for d := time.Second; d <= maxBackoff; d *= 2 {
		l.connecting("unix:x")
		l.failed("unix:x", absent)
		l.waiting("unix:x", d)
	}
	l.connecting("unix:x") // suppressed
	l.failed("unix:x", absent)
	l.connected("unix:x")
	l.dropped("unix:x", errors.New("connection closed by peer"))
	var got []string
	for _, e := range hook.AllEntries() {
		got = append(got, e.Level.String()+" "+e.Message)
	}
	if d := cmp.Diff([]string{
		"info unix:x: connecting...", "warning unix:x: connection attempt failed (No such file or directory)", "info unix:x: waiting 1 seconds before reconnect",
		"info unix:x: connecting...", "warning unix:x: connection attempt failed (No such file or directory)", "info unix:x: waiting 2 seconds before reconnect",
		"info unix:x: connecting...", "warning unix:x: connection attempt failed (No such file or directory)", "info unix:x: waiting 4 seconds before reconnect",
		"info unix:x: connecting...", "warning unix:x: connection attempt failed (No such file or directory)",
		"info unix:x: continuing to reconnect in the background but suppressing further logging",
		"info unix:x: connected", "info unix:x: connection dropped (connection closed by peer)",
	}, got); d != "" {
		t.Error(d)
	}
}
