package ofctrl

import (
	"context"
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// Table feature properties (OpenFlow 1.3 section 7.3.5.5).
const (
	tfInstructions  = 0
	tfNextTables    = 2
	tfWriteActions  = 4
	tfApplyActions  = 6
	tfMatch         = 8
	tfWildcards     = 10
	tfWriteSetField = 12
	tfApplySetField = 14
)

// Instructions, a bitmap of 1<<type: goto_table, write_metadata, write, apply and clear actions, and meter, which is an
// action from 1.5 on.
const (
	instructions     = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5
	meterInstruction = 1 << 6
)

// tableFeatures tells of the features of all tables, or changes them.
func (c *conn) tableFeatures(ctx context.Context, xid uint32, m *openflow.TableFeaturesRequest) error {
	if len(m.Tables) > 0 {
		if err := c.mayWrite(); err != nil {
			return err
		}
		if err := c.changeTableFeatures(m.Tables); err != nil {
			return err
		}
	}
	s := c.sw
	tables := make([]openflow.TableFeatures, table.Visible)
	s.o.Mu.RLock()
	for i := range tables {
		id := uint8(i)
		tables[i] = openflow.TableFeatures{
			Table: id, Name: s.o.Tables.Name(id), MetadataMatch: ^uint64(0), MetadataWrite: ^uint64(0),
			MaxEntries: uint32(s.o.Tables.Limit(id)), Properties: c.tableProperties(id),
		}
	}
	s.o.Mu.RUnlock()
	return parts(ctx, c, xid, tables, func(t []openflow.TableFeatures) openflow.MultipartBody {
		return &openflow.TableFeaturesReply{Tables: t}
	})
}

// tableProperties are the properties of a table's features. All tables can do the same, but for where they go on to.
func (c *conn) tableProperties(id uint8) []openflow.TableProperty {
	last := id == table.Visible-1
	var inst, next, actions []byte
	types := instructions
	if c.version < openflow.V15 {
		types |= meterInstruction
	}
	for i := range 8 {
		if types>>i&1 != 0 && (i != 1 || !last) {
			inst = append(inst, 0, byte(i), 0, 4)
		}
	}
	for t := int(id) + 1; t < table.Visible; t++ {
		next = append(next, byte(t))
	}
	for i := range 32 {
		if actionTypes>>i&1 != 0 {
			actions = append(actions, 0, byte(i), 0, 4)
		}
	}
	match, wild, set := oxmProperties(c.version)
	return []openflow.TableProperty{
		{Type: tfInstructions, Value: inst}, {Type: tfNextTables, Value: next},
		{Type: tfWriteActions, Value: actions}, {Type: tfApplyActions, Value: actions},
		{Type: tfMatch, Value: match}, {Type: tfWildcards, Value: wild},
		{Type: tfWriteSetField, Value: set}, {Type: tfApplySetField, Value: set},
	}
}

// oxmProperties list the OXM headers of the fields that can be matched (with the mask bit where a
// mask can be given), of those that can be left out, and of those that can be set. Fields for which the version has no OXM are
// listed by their Nicira names.
func oxmProperties(v openflow.Version) (match, wild, set []byte) {
	for i := range flow.Fields {
		f := &flow.Fields[i]
		var id *flow.OXM
		for j := range f.OXM {
			if o := &f.OXM[j]; (o.MinVer == 0 || openflow.Version(o.MinVer) <= v) && (id == nil || o.Class == 0x8000) {
				id = o
			}
		}
		if id == nil {
			if len(f.OXM) == 0 {
				continue
			}
			id = &f.OXM[0] // that of a later version, as OVS
		}
		match = oxmHeader(match, id, f.Maskable)
		wild = oxmHeader(wild, id, false)
		if f.Writable {
			set = oxmHeader(set, id, false)
		}
	}
	return match, wild, set
}

func oxmHeader(b []byte, o *flow.OXM, masked bool) []byte {
	length, mask := o.Len, byte(0)
	if masked {
		length, mask = 2*length, 1
	}
	if o.Class == 0xffff {
		length += 4
	}
	b = binary.BigEndian.AppendUint16(b, o.Class)
	b = append(b, o.Number<<1|mask, byte(length))
	if o.Class == 0xffff {
		b = binary.BigEndian.AppendUint32(b, o.Vendor)
	}
	return b
}
