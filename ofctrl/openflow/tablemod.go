package openflow

// Table config bits and properties.
const (
	tableEviction = 2
	tableVacancy  = 3
)

func decodeTableMod(d *decoder) (Message, error) {
	m := &TableMod{Table: d.body[0], Config: be32(d.body[4:])}
	if d.v < V14 {
		return m, nil
	}
	if err := m.properties(d.body[8:]); err != nil {
		return nil, err
	}
	if m.Up > 100 || m.VacancyDown > m.Up || m.Now != 0 {
		return nil, bad(PropertyBadValue, "vacancy down %d up %d now %d", m.VacancyDown, m.Up, m.Now)
	}
	return m, nil
}

func (m *TableMod) properties(b []byte) error {
	return eachProperty(b, func(typ uint16, prop []byte) error {
		if len(prop) != 8 {
			return bad(PropertyBadLen, "table property of %d bytes", len(prop))
		}
		switch typ {
		case tableEviction:
			m.HasEviction, m.EvictionFlags = true, be32(prop[4:])
		case tableVacancy:
			m.HasVacancy, m.VacancyDown, m.Up, m.Now = true, prop[4], prop[5], prop[6]
		default:
			return bad(PropertyBadType, "table property %d", typ)
		}
		return nil
	})
}

func (m *TableMod) putProperties(e *encoder) {
	if m.HasEviction {
		e.u16(tableEviction, 8)
		e.u32(m.EvictionFlags)
	}
	if m.HasVacancy {
		e.u16(tableVacancy, 8)
		e.u8(m.VacancyDown, m.Up, m.Now, 0)
	}
}

func encodeTableMod(e *encoder, m *TableMod) error {
	if e.v == V10 {
		return bad(NXUnencodable, "table mod in OpenFlow 1.0")
	}
	e.begin(17)
	e.u8(m.Table, 0, 0, 0)
	e.u32(m.Config)
	if e.v >= V14 {
		m.putProperties(e)
	}
	return nil
}

func decodeTableDesc(d *decoder) (MultipartBody, error) {
	m := &TableDescReply{}
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, 8)
		if err != nil {
			return nil, err
		}
		rest = r
		t := TableMod{Table: b[2], Config: be32(b[4:])}
		if err := t.properties(b[8:]); err != nil {
			return nil, err
		}
		m.Tables = append(m.Tables, t)
	}
	return m, nil
}

func (m *TableDescReply) put(e *encoder) error {
	for i := range m.Tables {
		t := &m.Tables[i]
		at := len(e.b)
		e.u16(0)
		e.u8(t.Table, 0)
		e.u32(t.Config)
		t.putProperties(e)
		if err := e.setLen(at, 0); err != nil {
			return err
		}
	}
	return nil
}
