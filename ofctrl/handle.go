package ofctrl

import (
	"context"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Capabilities of FeaturesReply (ofp_capabilities).
const (
	capFlowStats  = 1 << 0
	capTableStats = 1 << 1
	capPortStats  = 1 << 2
	capGroupStats = 1 << 3
	capQueueStats = 1 << 6
	capARPMatchIP = 1 << 7
	capBundles    = 1 << 9
)

// Formats of NXT_SET_FLOW_FORMAT: NXFF_OPENFLOW10 and NXFF_NXM.
const (
	flowFormat10  = 0
	flowFormatNXM = 2
)

// actions10 are the actions of OpenFlow 1.0, output to enqueue.
const actions10 = 0xfff

// handle does one message. Errors that are for the peer wrap an openflow.Err.
func (c *conn) handle(ctx context.Context, xid uint32, m openflow.Message) error {
	s := c.sw
	switch m := m.(type) {
	case *openflow.Hello, *openflow.EchoReply:
		return nil
	case *openflow.Error:
		s.log.Debugf("%s: peer reports error %v", c.remote.name, m.Err)
		return nil
	case *openflow.EchoRequest:
		return c.send(ctx, xid, &openflow.EchoReply{Data: m.Data})
	case *openflow.FeaturesRequest:
		return c.send(ctx, xid, c.features())
	case *openflow.GetConfigRequest:
		s.mu.Lock()
		reply := &openflow.GetConfigReply{Flags: s.frag, MissSendLen: c.missSendLen}
		if c.version < openflow.V13 && c.async[openflow.AsyncPacketIn][0]&(1<<openflow.ReasonInvalidTTL) != 0 {
			reply.Flags |= invalidTTLToController
		}
		s.mu.Unlock()
		return c.send(ctx, xid, reply)
	case *openflow.SetConfig:
		c.setConfig(m)
		return nil
	case *openflow.BarrierRequest:
		// Messages of a connection are done one after the other: the fence is there already.
		return c.send(ctx, xid, &openflow.BarrierReply{})
	case *openflow.FlowMod:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.flowMod(m)
	case *openflow.GroupMod:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.groupMod(xid, m)
	case *openflow.MeterMod:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.meterMod(xid, m)
	case *openflow.TableMod:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.tableMod(m)
	case *openflow.PacketOut:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.packetOut(m)
	case *openflow.Resume:
		return c.resume(m)
	case *openflow.PortMod:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.portMod(m)
	case *openflow.BundleControl:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.bundleControl(ctx, xid, m)
	case *openflow.BundleAdd:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.bundleAdd(m)
	case *openflow.CTFlushZone:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.ctFlushZone(m)
	case *openflow.CTFlush:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.ctFlush(m)
	case *openflow.RoleRequest:
		return c.handleRole(ctx, xid, m)
	case *openflow.SetAsync:
		s.mu.Lock()
		c.setAsync(m)
		s.mu.Unlock()
		s.checkMisses()
		return nil
	case *openflow.GetAsyncRequest:
		s.mu.Lock()
		reply := &openflow.GetAsyncReply{Masks: c.async}
		s.mu.Unlock()
		return c.send(ctx, xid, reply)
	case *openflow.SetPacketInFormat:
		if m.Format > openflow.PacketInNXT2 {
			return openflow.NXUnsupportedPacketInFormat
		}
		s.mu.Lock()
		c.format = m.Format
		s.mu.Unlock()
		return nil
	case *openflow.SetControllerID:
		s.mu.Lock()
		c.controllerID = m.ID
		s.mu.Unlock()
		s.checkMisses()
		return nil
	case *openflow.SetFlowFormat:
		if m.Format != flowFormat10 && m.Format != flowFormatNXM {
			return fmt.Errorf("flow format %d: %w", m.Format, openflow.BadPermission)
		}
		c.nxm.Store(m.Format == flowFormatNXM)
		return nil
	case *openflow.FlowModTableID:
		c.state.FlowModTableID = m.Set
		return nil
	case *openflow.MultipartRequest:
		return c.multipart(ctx, xid, m)
	case *openflow.FlowMonitorCancel:
		return c.cancelMonitor(m.ID)
	case *openflow.QueueConfigRequest:
		return c.queueConfig(ctx, xid, m)
	case *openflow.TLVTableMod:
		if err := c.mayWrite(); err != nil {
			return err
		}
		return c.tlvTableMod(m)
	case *openflow.TLVTableRequest:
		return c.tlvTable(ctx, xid)
	case *openflow.FlowAge:
		return nil // ages are always told
	}
	// Also replies and asynchronous messages, which are not for a switch.
	return unsupported(c.version, m)
}

func (c *conn) features() *openflow.FeaturesReply {
	r := &openflow.FeaturesReply{
		DatapathID:   c.sw.o.Host.DatapathID(),
		Tables:       table.Visible,
		Capabilities: capFlowStats | capTableStats | capPortStats | capQueueStats,
	}
	switch c.version {
	case openflow.V10:
		r.Capabilities |= capARPMatchIP
		r.Actions = actions10
	case openflow.V11:
		r.Capabilities |= capGroupStats | capARPMatchIP
	default:
		r.Capabilities |= capGroupStats
	}
	if c.version >= openflow.V14 {
		r.Capabilities |= capBundles
	}
	if c.version <= openflow.V12 {
		r.Ports = c.sw.o.Host.Ports()
	}
	return r
}

// fragMask is the fragment handling in the flags of SetConfig.
const fragMask = 3

// invalidTTLToController is the flag (OFPC_INVALID_TTL_TO_CONTROLLER) by which OpenFlow before 1.3 asks for packets
// whose TTL ran out; later versions have the asynchronous configuration for it.
const invalidTTLToController = 1 << 2

// setConfig takes what can be taken: a fragment mode that the switch has not is ignored, which
// peers see by asking.
func (c *conn) setConfig(m *openflow.SetConfig) {
	s := c.sw
	mode := m.Flags & fragMask
	s.mu.Lock()
	c.missSendLen = m.MissSendLen
	if c.version < openflow.V13 {
		wanted := &c.async[openflow.AsyncPacketIn][0]
		*wanted &^= 1 << openflow.ReasonInvalidTTL
		if m.Flags&invalidTTLToController != 0 {
			*wanted |= 1 << openflow.ReasonInvalidTTL
		}
	}
	change := c.role != openflow.RoleSecondary && mode != openflow.FragReasm && mode != s.frag
	if change {
		s.frag = mode
	}
	s.mu.Unlock()
	s.checkMisses()
	if change {
		s.o.Host.SetFragHandling(mode)
	}
}

func (c *conn) packetOut(m *openflow.PacketOut) error {
	if err := c.checkPacketOut(m); err != nil {
		return err
	}
	c.sw.o.Mu.RLock()
	err := c.sw.o.Tables.CheckGroups(m.Actions)
	if err == nil {
		err = c.sw.o.Tables.CheckMeters(m.Actions)
	}
	c.sw.o.Mu.RUnlock()
	if err != nil {
		return fmt.Errorf("packet-out: %w", err)
	}
	return c.sw.o.Host.PacketOut(m)
}

// checkPacketOut finds what can be wrong without the tables.
func (c *conn) checkPacketOut(m *openflow.PacketOut) error {
	if m.BufferID != openflow.NoBuffer {
		return fmt.Errorf("packet-out: %w", openflow.BufferUnknown)
	}
	return checkActions(m.Actions)
}
