package bridge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ovsdb"
)

// datapathVersion is Bridge.datapath_version: the version of a kernel module, which there is none of.
const datapathVersion = "<built-in>"

// report gathers the status of everything and hands it to the database writer. done says that a
// reconfiguration has ended: cur_cfg then follows next_cfg in the same transaction.
func (a *Agent) report(done bool) {
	if a.snap == nil {
		return
	}
	st := &ovsdb.Status{
		DatapathTypes: slices.Sorted(slices.Values(a.o.DatapathTypes)),
		IfaceTypes:    a.interfaceTypes(),
		Bridges:       map[string]ovsdb.BridgeStatus{}, Ports: map[string]ovsdb.PortStatus{},
		Interfaces: map[string]ovsdb.InterfaceStatus{}, Controllers: map[string]ovsdb.ControllerStatus{},
		Datapaths: map[string]ovsdb.DatapathStatus{}, Mirrors: map[string]ovsdb.MirrorStatus{},
	}
	if done || a.curCfg != nil {
		cur := a.snap.NextCfg
		if !done {
			cur = *a.curCfg
		}
		a.curCfg = &cur
		st.CurCfg = &cur
	}
	counters := a.datapathCounters()
	for _, row := range a.snap.Bridges {
		b := a.bridges[row.Name]
		if b == nil {
			// Nothing of it works; ovs-vsctl sees that by the missing ofport.
			for _, p := range row.Ports {
				for _, i := range p.Interfaces {
					text := errNotUp.Error()
					if err := a.refused[row.Name]; err != nil {
						text = err.Error()
					}
					st.Interfaces[i.UUID] = ovsdb.InterfaceStatus{Error: &text}
				}
			}
			continue
		}
		st.Bridges[row.UUID] = ovsdb.BridgeStatus{DatapathID: fmt.Sprintf("%016x", b.dpid.Load()), DatapathVersion: datapathVersion}
		for _, i := range b.ifaces {
			if i.row.UUID != "" {
				st.Interfaces[i.row.UUID] = i.status(counters)
			}
		}
		b.controllerStatus(st)
		b.mirrorStatus(st)
	}
	capabilities := capabilities(a.o.Datapath.Features())
	for _, t := range append([]string{"", "netdev"}, a.o.DatapathTypes...) {
		st.Datapaths[t] = ovsdb.DatapathStatus{Capabilities: capabilities}
	}
	delete(st.Datapaths, "netdev") // not served
	// Only the newest matters.
	select {
	case <-a.writes:
	default:
	}
	a.writes <- st
}

// status is what Interface's output columns say.
func (i *iface) status(counters map[odp.Port]datapath.PortStats) ovsdb.InterfaceStatus {
	var st ovsdb.InterfaceStatus
	if i.err != nil {
		text := i.err.Error()
		minus := -1
		st.Error, st.OFPort = &text, &minus
		return st
	}
	no := int(of16(i.ofport))
	st.OFPort = &no
	resets := i.resets // read by the writer later
	st.LinkResets = &resets
	if i.bfd != nil {
		st.BFDStatus = i.bfd.session.Status().Column()
	}
	ifindex := i.info.Ifindex
	st.IfIndex = &ifindex
	st.MACInUse = i.info.MAC.String()
	st.AdminState, st.LinkState = "down", "down"
	switch {
	case i.patch():
		zero := 0
		st.AdminState, st.LinkState, st.IfIndex = "up", "up", &zero
		if i.bridge.agent.peerOf(i) == nil {
			text := fmt.Sprintf("No usable peer '%s' exists in '%s' datapath.", i.row.Options["peer"], cmp.Or(i.bridge.row.DatapathType, "system"))
			st.Error = &text
		}
		st.MACInUse = i.patchMAC()
	case i.isTunnel():
		zero := 0
		st.AdminState, st.LinkState, st.IfIndex = "up", "up", &zero
		st.MACInUse, st.Status = i.patchMAC(), map[string]string{}
		st.Error = i.egressError()
	case i.gone:
		zero := 0
		st.IfIndex = &zero
	default:
		if i.info.Up {
			st.AdminState = "up"
		}
		if i.info.LinkUp() {
			st.LinkState = "up"
		}
		mtu := i.info.MTU
		st.MTU = &mtu
		st.Status = map[string]string{}
		if e, err := i.dev.Ethtool(); err == nil {
			if e.Speed != 0 {
				speed := int64(e.Speed)
				st.LinkSpeed = &speed
			}
			st.Duplex = e.Duplex.String()
			for k, v := range map[string]string{"driver_name": e.Driver, "driver_version": e.DriverVersion, "firmware_version": e.Firmware} {
				if v != "" || k != "driver_name" {
					st.Status[k] = v
				}
			}
		}
	}
	for k, v := range i.egressStatus() {
		if st.Status == nil {
			st.Status = map[string]string{}
		}
		st.Status[k] = v
	}
	st.Statistics = map[string]int64{}
	for k, v := range i.allStats(counters) {
		st.Statistics[k] = int64(v & (1<<63 - 1))
	}
	return st
}

// patchMAC is a stable address for a port that has no device.
func (i *iface) patchMAC() string {
	mac, _ := bridgeMAC("", i.row.UUID, nil)
	return mac.String()
}

// datapathCounters are the datapath's own counters by port.
func (a *Agent) datapathCounters() map[odp.Port]datapath.PortStats {
	ports, err := a.o.Datapath.Ports()
	if err != nil {
		a.log.Warnf("failed to read the datapath's ports: %v", err)
		return nil
	}
	m := make(map[odp.Port]datapath.PortStats, len(ports))
	for _, p := range ports {
		m[p.Number] = p.Stats
	}
	return m
}

// stats are an interface's packets and bytes. What programs redirect into and out of a tap its own
// counters do not see, nor what they give to the peer of a veth: those are the datapath's.
func (i *iface) stats(counters map[odp.Port]datapath.PortStats) netdev.Stats {
	var s netdev.Stats
	if i.deviceless() {
		s.RxPackets, s.RxBytes = i.rx.packets.Load(), i.rx.bytes.Load()
		s.TxPackets, s.TxBytes = i.tx.packets.Load(), i.tx.bytes.Load()
		return s
	}
	if i.dev != nil {
		if got, err := i.dev.Stats(); err == nil {
			s = got
		}
	}
	if dp, ok := counters[i.odp]; ok && (i.typ == netdev.Internal || i.typ == netdev.Tap || i.dev == nil) {
		s.RxPackets, s.RxBytes, s.TxPackets, s.TxBytes = dp.RxPackets, dp.RxBytes, dp.TxPackets, dp.TxBytes
		s.RxDropped, s.TxDropped = dp.RxDropped, dp.TxDropped
	} else if ok {
		s.RxDropped += dp.RxPoliced
		if i.direct {
			s.TxPackets, s.TxBytes = dp.TxPackets, dp.TxBytes
		}
	}
	return s
}

// allStats are the keys of Interface.statistics.
func (i *iface) allStats(counters map[odp.Port]datapath.PortStats) map[string]uint64 {
	s := i.stats(counters)
	if i.deviceless() {
		return map[string]uint64{"rx_packets": s.RxPackets, "rx_bytes": s.RxBytes, "tx_packets": s.TxPackets, "tx_bytes": s.TxBytes}
	}
	all := maps.Collect(s.All())
	if n := counters[i.odp].RxPoliced; n > 0 || policing(i.row).On() {
		all["ovs_rx_qos_drops"] = n // OVS's name where it drops such packets itself
	}
	return all
}

// linkWord is the link of bpf/show.
func linkWord(i *iface) string {
	switch {
	case i.err != nil:
		return "error"
	case i.gone:
		return "gone"
	case i.deviceless() || i.info.LinkUp():
		return "up"
	}
	return "down"
}

// vlanText says a port's VLANs in a few letters.
func vlanText(row *ovsdb.Port) string {
	s := ""
	if row.Tag != nil {
		s = strconv.Itoa(*row.Tag)
	}
	if row.VLANMode != "" && row.VLANMode != "access" {
		if s != "" {
			s += " "
		}
		s += row.VLANMode
	}
	if len(row.Trunks) > 0 {
		if s != "" {
			s += " "
		}
		s += "trunks"
		for n, v := range row.Trunks {
			sep := ","
			if n == 0 {
				sep = " "
			}
			s += sep + strconv.Itoa(v)
		}
	}
	if s == "" {
		return "trunk"
	}
	return s
}

// capabilities are Datapath.capabilities.
func capabilities(f datapath.Features) map[string]string {
	b := strconv.FormatBool
	return map[string]string{
		"add_mpls": b(f.AddMPLS), "check_pkt_len": b(f.CheckPktLen), "clone": b(f.Clone), "ct_clear": b(f.CTClear),
		"ct_eventmask": b(f.CTEventMask), "ct_flush": b(f.CTFlush), "ct_label": b(f.CTLabel), "ct_mark": b(f.CTMark),
		"ct_orig_tuple": b(f.CTOrigTuple), "ct_orig_tuple6": b(f.CTOrigTuple6), "ct_state": b(f.CTState),
		"ct_state_nat": b(f.CTStateNAT), "ct_timeout": b(f.CTTimeout), "ct_zero_snat": b(f.CTZeroSNAT), "ct_zone": b(f.CTZone),
		"explicit_drop_action": b(f.ExplicitDrop), "lb_output_action": b(f.LBOutput), "masked_set_action": b(f.MaskedSet),
		"max_hash_alg": strconv.Itoa(f.MaxHashAlg), "max_mpls_depth": strconv.Itoa(f.MaxMPLSDepth),
		"max_vlan_headers": strconv.Itoa(f.MaxVLANHeaders), "nd_ext": b(f.NDExt), "psample": "false", "recirc": b(f.Recirc),
		"sample_nesting": b(f.SampleNesting > 0), "tnl_push_pop": b(f.TnlPushPop), "trunc": b(f.Trunc), "ufid": b(f.UFID),
	}
}

// seconds and number read a configuration value; def when it is absent or no number.
func seconds(text string, def int) time.Duration {
	return time.Duration(number(text, def)) * time.Second
}

func number(text string, def int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return def
}
