package openflow

type (
	// TableFeaturesRequest asks for features, or changes them when it names tables.
	TableFeaturesRequest struct{ Tables []TableFeatures }
	TableFeaturesReply   struct{ Tables []TableFeatures }
	// TableFeatures is what one table can do. Command is for requests of 1.5.
	TableFeatures struct {
		Table                        uint8
		Command                      uint8
		Features                     uint32 // 1.5
		Name                         string
		MetadataMatch, MetadataWrite uint64
		Capabilities, MaxEntries     uint32
		Properties                   []TableProperty
	}
	// TableProperty is one property: Type as in OpenFlow 1.5 section 7.3.5.18.2 and its value as it is on the
	// wire: instruction, action and field headers, table numbers.
	TableProperty struct {
		Type  uint16
		Value []byte
	}
	// TableStatus tells of a vacancy event: Reason 3 down, 4 up.
	TableStatus struct {
		Reason uint8
		Table  TableMod
	}
	// RequestForward tells a controller of another one's group or meter mod.
	RequestForward struct {
		XID     uint32
		Message Message
	}
	// FlowAge is NXT_FLOW_AGE, which has no effect.
	FlowAge struct{}
)

func (*TableFeaturesRequest) ofMultipart() {}
func (*TableFeaturesReply) ofMultipart()   {}
func (*TableStatus) ofMessage()            {}
func (*RequestForward) ofMessage()         {}
func (*FlowAge) ofMessage()                {}

const tableFeaturesLen = 64

func (d *decoder) tableFeatures() (out []TableFeatures, err error) {
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, tableFeaturesLen)
		if err != nil {
			return nil, err
		}
		rest = r
		t := TableFeatures{
			Table: b[2], Name: cstring(b[8:40]), MetadataMatch: be64(b[40:]), MetadataWrite: be64(b[48:]),
			Capabilities: be32(b[56:]), MaxEntries: be32(b[60:]),
		}
		if d.v == V15 {
			t.Command, t.Features = b[3], be32(b[4:])
		}
		err = eachProperty(b[tableFeaturesLen:], func(typ uint16, prop []byte) error {
			t.Properties = append(t.Properties, TableProperty{typ, clone(prop[4:])})
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func decodeTableFeaturesRequest(d *decoder) (MultipartBody, error) {
	t, err := d.tableFeatures()
	return &TableFeaturesRequest{t}, err
}

func decodeTableFeaturesReply(d *decoder) (MultipartBody, error) {
	t, err := d.tableFeatures()
	return &TableFeaturesReply{t}, err
}

func (e *encoder) tableFeatures(list []TableFeatures) error {
	for _, t := range list {
		at := len(e.b)
		e.u16(0)
		e.u8(t.Table, pick(e.v == V15, t.Command, 0))
		e.u32(pick(e.v == V15, t.Features, 0))
		e.text(t.Name, 32)
		e.u64(t.MetadataMatch, t.MetadataWrite)
		e.u32(t.Capabilities, t.MaxEntries)
		for _, p := range t.Properties {
			if err := e.property(p.Type, func() { e.bytes(p.Value) }); err != nil {
				return err
			}
		}
		if err := e.setLen(at, 0); err != nil {
			return err
		}
	}
	return nil
}

func decodeTableStatus(d *decoder) (Message, error) {
	b, rest, err := entry(d.body[8:], 8)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, bad(BadLen, "%d bytes behind a table description", len(rest))
	}
	m := &TableStatus{Reason: d.body[0], Table: TableMod{Table: b[2], Config: be32(b[4:])}}
	return m, m.Table.properties(b[8:])
}

func encodeTableStatus(e *encoder, m *TableStatus) error {
	if e.v < V14 {
		return bad(NXUnencodable, "table status in OpenFlow 1.%d", e.v-V10)
	}
	e.begin(31)
	e.u8(m.Reason, 0, 0, 0, 0, 0, 0, 0)
	desc := TableDescReply{Tables: []TableMod{m.Table}}
	return desc.put(e)
}

// decodeRequestForward reads a group or meter mod inside a message, of one level only.
func decodeRequestForward(d *decoder) (Message, error) {
	h, err := ParseHeader(d.body)
	if err != nil || int(h.Length) < HeaderLen || int(h.Length) > len(d.body) {
		return nil, bad(BadLen, "forwarded request of %d bytes", len(d.body))
	}
	group := h.Type == 15 && d.v > V10
	if h.Type == typeExperimenter && d.v == V10 && h.Length >= 16 {
		group = be32(d.body[8:]) == nx && be32(d.body[12:]) == 31
	}
	if h.Version != d.v || !group && h.Type != 29 {
		return nil, bad(BadType, "forwarded message type %d", h.Type)
	}
	inner := decoder{v: d.v, xid: h.XID, st: d.st, body: d.body[HeaderLen:h.Length]}
	m, err := inner.message(h.Type)
	if err != nil {
		return nil, err
	}
	return &RequestForward{h.XID, m}, nil
}

func encodeRequestForward(e *encoder, m *RequestForward) error {
	switch {
	case e.v >= V14:
		e.begin(32)
	case e.v == V13:
		e.beginExp(onf, 2350)
	default:
		e.beginExp(nx, 132)
	}
	b, err := Append(e.b, e.v, m.XID, m.Message, e.st)
	e.b = b
	return err
}
