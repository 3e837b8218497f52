package bridge

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// portConfigs are the OpenFlow config bits that PORT_MOD set, by port number. They outlive a
// reconfiguration, not the daemon.
type portConfigs struct {
	mu   sync.Mutex
	bits map[openflow.PortNo]uint32
}

func (c *portConfigs) get(no openflow.PortNo) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bits[no]
}

func (c *portConfigs) set(no openflow.PortNo, config, mask uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bits[no] = c.bits[no]&^mask | config&mask
}

// forget drops the bits of ports that are gone.
func (c *portConfigs) forget(keep map[openflow.PortNo]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.bits, func(no openflow.PortNo, _ uint32) bool { return !keep[no] })
}

// portDescs is what controllers are told of a bridge's ports; replaced whole by the main loop.
type portDescs = atomic.Pointer[map[openflow.PortNo]openflow.Port]

// describePorts makes the OpenFlow descriptions of a bridge's ports.
func (b *Bridge) describePorts() []openflow.Port {
	var list []openflow.Port
	for _, i := range b.sortedIfaces() {
		if !i.up() {
			continue
		}
		p := openflow.Port{No: i.ofport, Name: i.name, Config: b.configs.get(i.ofport), State: i.state(), HWAddr: i.info.MAC}
		if i.deviceless() {
			if mac, err := parseMAC(i.patchMAC()); err == nil {
				p.HWAddr = mac
			}
		} else if !i.info.Up {
			p.Config |= openflow.ConfigPortDown
		}
		if i.dev != nil {
			if e, err := i.dev.Ethtool(); err == nil {
				p.Current, p.Advertised, p.Supported, p.PeerFeatures = uint32(e.Current), uint32(e.Advertised), uint32(e.Supported), uint32(e.Peer)
				p.CurrSpeed, p.MaxSpeed = uint32(e.Speed/1000), e.Supported.MaxSpeed()
			}
		}
		list = append(list, p)
	}
	return list
}

// Ports implements ofctrl.Host.
func (b *Bridge) Ports() []openflow.Port {
	descs := b.descs.Load()
	if descs == nil {
		return nil
	}
	var list []openflow.Port
	for _, p := range b.view.Load().order {
		if d, ok := (*descs)[p.No]; ok {
			list = append(list, d)
		}
	}
	return list
}

// PortStats implements ofctrl.Host: the counters of one port, or of all for PortAny.
func (b *Bridge) PortStats(no openflow.PortNo) []openflow.PortStats {
	var list []openflow.PortStats
	b.agent.do(b.ctx, func() {
		counters := b.agent.datapathCounters()
		now := b.agent.o.Clock.Now()
		for _, p := range b.view.Load().order {
			if no != openflow.PortAny && no != p.No {
				continue
			}
			i := b.ifaces[p.Name]
			if i == nil {
				continue
			}
			list = append(list, portStats(i, counters, now))
		}
	})
	return list
}

func portStats(i *iface, counters map[odp.Port]datapath.PortStats, now time.Time) openflow.PortStats {
	s := i.stats(counters)
	age := now.Sub(i.created).Truncate(time.Millisecond)
	st := openflow.PortStats{
		Port: i.ofport, RxPackets: s.RxPackets, TxPackets: s.TxPackets, RxBytes: s.RxBytes, TxBytes: s.TxBytes,
		RxDropped: s.RxDropped, TxDropped: s.TxDropped, RxErrors: s.RxErrors, TxErrors: s.TxErrors,
		RxFrameErr: s.RxFrameErr, RxOverErr: s.RxOverErr, RxCRCErr: s.RxCRCErr, Collisions: s.Collisions,
		DurationSec: uint32(age / time.Second), DurationNsec: uint32(age % time.Second),
	}
	if i.deviceless() {
		const none = ^uint64(0) // "not available" in OpenFlow
		st.RxDropped, st.TxDropped, st.RxErrors, st.TxErrors = none, none, none, none
		st.RxFrameErr, st.RxOverErr, st.RxCRCErr, st.Collisions = none, none, none, none
	}
	return st
}

// SetPortConfig implements ofctrl.Host: PORT_MOD.
func (b *Bridge) SetPortConfig(no openflow.PortNo, config, mask uint32) error {
	var err error
	ok := b.agent.do(b.ctx, func() {
		p := b.view.Load().ports[no]
		if p == nil {
			err = openflow.PortModBadPort
			return
		}
		if mask&openflow.ConfigPortDown != 0 {
			// The administrative state is the device's own.
			if i := b.ifaces[p.Name]; i != nil && i.dev != nil {
				if err = i.dev.SetUp(config&openflow.ConfigPortDown == 0); err != nil {
					err = fmt.Errorf("port %s: %w: %w", p.Name, openflow.PortModEPerm, err)
					return
				}
			}
			mask &^= openflow.ConfigPortDown
		}
		b.configs.set(no, config, mask)
		b.agent.publish()
		b.agent.engine.Kick()
	})
	if !ok {
		return openflow.PortModEPerm
	}
	return err
}

// PacketOut implements ofctrl.Host.
func (b *Bridge) PacketOut(po *openflow.PacketOut) error {
	b.agent.count("ofproto_packet_out", 1)
	actions, key, err := b.agent.translator.PacketOut(b, po)
	if err != nil || len(actions) == 0 {
		return err
	}
	return b.agent.o.Datapath.Execute(&datapath.Packet{Data: po.Packet}, &key, actions)
}

// Resume implements ofctrl.Host.
func (b *Bridge) Resume(r *openflow.Resume, c *openflow.Continuation) error {
	actions, key, err := b.agent.translator.Resume(r, c)
	if err != nil || len(actions) == 0 {
		return err
	}
	return b.agent.o.Datapath.Execute(&datapath.Packet{Data: r.Packet}, &key, actions)
}

// SetFragHandling implements ofctrl.Host.
func (b *Bridge) SetFragHandling(mode uint16) {
	if b.frag.Swap(uint32(mode)) != uint32(mode) {
		b.version.n.Add(1)
		b.agent.engine.Kick()
	}
}

// TablesChanged implements ofctrl.Host: megaflows must follow.
func (b *Bridge) TablesChanged() { b.agent.engine.Kick() }
