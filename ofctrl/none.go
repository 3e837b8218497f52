package ofctrl

import (
	"context"
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// What a switch without groups, meters and queues answers to those who ask for them: what it
// could hold, and that there is nothing. Tools and ovn-controller ask as a matter of course.

// Multipart types (OpenFlow 1.5 section 7.3.5) and, in Nicira form, their subtypes for 1.0.
const (
	mpGroup         = 6
	mpGroupDesc     = 7
	mpGroupFeatures = 8
	mpMeter         = 9
	mpMeterConfig   = 10
	mpMeterFeatures = 11
	mpTableFeatures = 12
	mpQueueDesc     = 15
	mpVendor        = 0xffff

	nxVendor          = 0x00002320
	nxstGroup         = 7
	nxstGroupDesc     = 8
	nxstGroupFeatures = 9
)

// rawMultipart answers the requests that the codec leaves as bytes.
func (c *conn) rawMultipart(ctx context.Context, xid uint32, m *openflow.RawMultipart) error {
	var body []byte
	switch {
	case m.Type == mpVendor && m.Vendor != nxVendor:
		return openflow.BadExperimenter
	case m.Type == mpVendor && (m.Subtype == nxstGroup || m.Subtype == nxstGroupDesc) && c.version == openflow.V10:
	case m.Type == mpVendor && m.Subtype == nxstGroupFeatures && c.version == openflow.V10:
		body = groupFeatures()
	case m.Type == mpVendor:
		return openflow.BadExperimenterType
	case (m.Type == mpGroup || m.Type == mpGroupDesc) && c.version >= openflow.V11:
	case m.Type == mpGroupFeatures && c.version >= openflow.V12:
		body = groupFeatures()
	case (m.Type == mpMeter || m.Type == mpMeterConfig) && c.version >= openflow.V13:
	case m.Type == mpMeterFeatures && c.version >= openflow.V13:
		body = meterFeatures()
	case m.Type == mpQueueDesc && c.version >= openflow.V14:
	case m.Type == mpTableFeatures && c.version >= openflow.V13:
		return c.tableFeatures(ctx, xid, m.Body)
	default:
		return openflow.BadMultipart
	}
	return c.part(ctx, xid, &openflow.RawMultipart{Type: m.Type, Vendor: m.Vendor, Subtype: m.Subtype, Body: body})
}

const (
	groupTypes        = 0xf // all, select, indirect, fast failover
	groupCapabilities = 0x7 // select weight, select liveness, chaining
	maxGroups         = 0xffffff00
)

// groupFeatures is ofp_group_features.
func groupFeatures() []byte {
	b := be32(nil, groupTypes, groupCapabilities)
	b = be32(b, maxGroups, maxGroups, maxGroups, maxGroups)
	return be32(b, actionTypes, actionTypes, actionTypes, actionTypes)
}

// actionTypes are the OpenFlow 1.1+ actions of the switch, a bitmap of 1<<type: output,
// set_mpls_ttl and dec, push and pop VLAN and MPLS, set_queue, group, set and dec IP TTL, set_field.
const actionTypes = 1<<0 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<19 | 1<<20 | 1<<21 | 1<<22 | 1<<23 | 1<<24 | 1<<25

const (
	maxMeters         = 262144
	meterBandTypes    = 1 << 1 // drop
	meterCapabilities = 0xf    // kbps, pktps, burst, stats
	maxBands          = 8
)

// meterFeatures is ofp_meter_features.
func meterFeatures() []byte {
	b := be32(nil, maxMeters, meterBandTypes, meterCapabilities)
	return append(b, maxBands, 0, 0, 0) // no colors, padding
}

// Message types of QUEUE_GET_CONFIG.
const (
	queueGetConfig10 = 20
	queueGetConfig11 = 22 // to 1.3
)

// raw answers the messages that the codec leaves as bytes.
func (c *conn) raw(ctx context.Context, xid uint32, m *openflow.Raw) error {
	const typeExperimenter = 4
	switch {
	case m.Type == queueGetConfig10 && c.version == openflow.V10 && len(m.Body) == 4:
		no := uint32(binary.BigEndian.Uint16(m.Body))
		if no >= 0xff00 {
			no += 0xffff0000
		}
		if !c.sw.hasPort(openflow.PortNo(no)) {
			return openflow.QueueBadPort
		}
		return c.send(ctx, xid, &openflow.Raw{Type: queueGetConfig10 + 1, Body: append(m.Body[:2:2], make([]byte, 6)...)})
	case m.Type == queueGetConfig11 && c.version >= openflow.V11 && c.version <= openflow.V13 && len(m.Body) == 8:
		no := openflow.PortNo(binary.BigEndian.Uint32(m.Body))
		if no != openflow.PortAny && !c.sw.hasPort(no) {
			return openflow.QueueBadPort
		}
		return c.send(ctx, xid, &openflow.Raw{Type: queueGetConfig11 + 1, Body: append(m.Body[:4:4], make([]byte, 4)...)})
	case m.Type != typeExperimenter:
		return openflow.BadType
	case m.Vendor != nxVendor:
		return openflow.BadExperimenter
	}
	return openflow.BadExperimenterType
}

func be32(b []byte, v ...uint32) []byte {
	for _, v := range v {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
