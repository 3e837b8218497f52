package ofctrl

import (
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// ctFlushZone removes the connections of a zone. Without connection tracking it has none, so nothing is to be
// done: controllers that flush the zones which they take into use need not know.
func (c *conn) ctFlushZone(m *openflow.CTFlushZone) error {
	if c.sw.o.Conntrack == nil {
		return nil
	}
	if _, err := c.sw.o.Conntrack.Flush(&conntrack.Filter{Zone: &m.Zone}); err != nil {
		return fmt.Errorf("flush conntrack zone %d: %w", m.Zone, err)
	}
	return nil
}

// ctFlush removes the connections that a message describes.
func (c *conn) ctFlush(m *openflow.CTFlush) error {
	if c.sw.o.Conntrack == nil {
		return unsupported(c.version, m)
	}
	f := conntrack.Filter{Orig: tuplePart(m.Proto, m.Orig), Reply: tuplePart(m.Proto, m.Reply)}
	if m.HasZone {
		f.Zone = &m.Zone
	}
	if m.Mark != nil {
		f.Mark, f.MarkMask = *m.Mark, 0xffffffff
		if m.MarkMask != nil {
			f.MarkMask = *m.MarkMask
		}
	}
	if m.Labels != nil {
		f.Label = [16]byte(m.Labels)
		for i := range f.LabelMask {
			f.LabelMask[i] = 0xff
		}
		if m.LabelsMask != nil {
			f.LabelMask = [16]byte(m.LabelsMask)
		}
	}
	if f.Orig == nil && f.Reply == nil && m.Proto != 0 {
		f.Orig = &conntrack.TuplePart{Proto: m.Proto}
	}
	if _, err := c.sw.o.Conntrack.Flush(&f); err != nil {
		return fmt.Errorf("flush conntrack: %w", err)
	}
	return nil
}

// tuplePart is a tuple of a message. Addresses that are all zero fit all, as ovs-ofctl sends them for none.
func tuplePart(proto uint8, t *openflow.CTTuple) *conntrack.TuplePart {
	if t == nil {
		return nil
	}
	p := &conntrack.TuplePart{
		Proto: proto, SrcPort: t.SrcPort, DstPort: t.DstPort, ICMPID: t.ICMPID, ICMPType: t.ICMPType, ICMPCode: t.ICMPCode,
	}
	address := func(b []byte) *[16]byte {
		if len(b) != 16 || [16]byte(b) == [16]byte{} {
			return nil
		}
		a := [16]byte(b)
		return &a
	}
	p.Src, p.Dst = address(t.Src), address(t.Dst)
	return p
}
