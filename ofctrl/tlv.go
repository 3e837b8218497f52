package ofctrl

import (
	"context"
	"fmt"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// tlvTable tells which tunnel options are mapped to fields.
func (c *conn) tlvTable(ctx context.Context, xid uint32) error {
	return c.send(ctx, xid, &openflow.TLVTableReply{
		MaxSpace: table.MaxOptionSpace, MaxFields: table.MaxOptions, Maps: c.sw.o.Tables.TLV().Maps(),
	})
}

// tlvTableMod changes which they are.
func (c *conn) tlvTableMod(m *openflow.TLVTableMod) error {
	s := c.sw
	s.o.Mu.Lock()
	err := s.o.Tables.ModTLV(m)
	s.o.Mu.Unlock()
	if err != nil {
		return fmt.Errorf("TLV table: %w", err)
	}
	s.o.Host.TablesChanged()
	return nil
}

// useTLV has what comes now be decoded with the TLV table as it is.
func (c *conn) useTLV() {
	c.tlv = c.sw.o.Tables.TLV()
	c.state.TLV = c.tlv.Layout()
}

// checkTLV finds that a field was taken out of the TLV table since a message was decoded that uses it. The lock of the tables
// is held; then no field that flows use can be taken away.
func (c *conn) checkTLV(m openflow.Message) error {
	if c.sw.o.Tables.TLV().Removed != c.tlv.Removed && table.UsesOptions(m) {
		return fmt.Errorf("the TLV table has changed: %w", openflow.NXInvalidTLVField)
	}
	return nil
}
