package ofctrl

import (
	"context"
	"encoding/binary"
	"fmt"

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

// Instructions, a bitmap of 1<<type: goto_table, write_metadata, write, apply and clear actions.
const instructions = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5

// tableFeatures answers a request for table features. A request that would change them is
// refused: tables are what they are.
func (c *conn) tableFeatures(ctx context.Context, xid uint32, m *openflow.TableFeaturesRequest) error {
	if len(m.Tables) > 0 {
		return fmt.Errorf("table features cannot be changed: %w", openflow.BadPermission)
	}
	match, wild, set := oxmProperties(c.version)
	tables := make([][]byte, table.Visible)
	for i := range tables {
		tables[i] = oneTable(i, match, wild, set)
	}
	return parts(ctx, c, xid, tables, func(t [][]byte) openflow.MultipartBody {
		var b []byte
		for _, t := range t {
			b = append(b, t...)
		}
		return &openflow.RawMultipart{Type: mpTableFeatures, Body: b}
	})
}

// oneTable is an ofp_table_features with its properties.
func oneTable(id int, match, wild, set []byte) []byte {
	b := make([]byte, 64)
	b[2] = byte(id)
	// No name: names come from the database.
	binary.BigEndian.PutUint64(b[40:], ^uint64(0)) // metadata that can be matched, and written
	binary.BigEndian.PutUint64(b[48:], ^uint64(0))
	binary.BigEndian.PutUint32(b[60:], table.MaxEntries)

	last := id == table.Visible-1
	var inst []byte
	for i := range 8 {
		if instructions>>i&1 != 0 && (i != 1 || !last) {
			inst = append(inst, 0, byte(i), 0, 4)
		}
	}
	b = property(b, tfInstructions, inst)
	var next []byte
	for t := id + 1; t < table.Visible; t++ {
		next = append(next, byte(t))
	}
	b = property(b, tfNextTables, next)
	var actions []byte
	for i := range 32 {
		if actionTypes>>i&1 != 0 {
			actions = append(actions, 0, byte(i), 0, 4)
		}
	}
	b = property(b, tfWriteActions, actions)
	b = property(b, tfApplyActions, actions)
	b = property(b, tfMatch, match)
	b = property(b, tfWildcards, wild)
	b = property(b, tfWriteSetField, set)
	b = property(b, tfApplySetField, set)
	binary.BigEndian.PutUint16(b, uint16(len(b)))
	return b
}

// property appends a property, padded to 8 bytes.
func property(b []byte, kind uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -(4+len(value))&7)...)
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
			continue
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
