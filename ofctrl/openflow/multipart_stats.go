package openflow

func decodePortStatsRequest(d *decoder) (MultipartBody, error) {
	if d.v == V10 {
		return &PortStatsRequest{port10(be16(d.body))}, nil
	}
	p, err := outPort11(be32(d.body))
	return &PortStatsRequest{p}, err
}

// counters are a port's in the order of the wire up to 1.3.
func (p *PortStats) counters() [12]*uint64 {
	return [12]*uint64{
		&p.RxPackets, &p.TxPackets, &p.RxBytes, &p.TxBytes, &p.RxDropped, &p.TxDropped,
		&p.RxErrors, &p.TxErrors, &p.RxFrameErr, &p.RxOverErr, &p.RxCRCErr, &p.Collisions,
	}
}

func decodePortStats(d *decoder) (MultipartBody, error) {
	m := &PortStatsReply{}
	n := 104
	if d.v == V13 {
		n = 112
	}
	for b := d.body; len(b) > 0; b = b[n:] {
		p := PortStats{Port: PortNo(be32(b))}
		if d.v == V10 {
			p.Port = port10(be16(b))
		}
		for i, c := range p.counters() {
			*c = be64(b[8+8*i:])
		}
		if d.v == V13 {
			p.DurationSec, p.DurationNsec = be32(b[104:]), be32(b[108:])
		}
		m.Ports = append(m.Ports, p)
	}
	return m, nil
}

func decodePortStats14(d *decoder) (MultipartBody, error) {
	m := &PortStatsReply{}
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, 80)
		if err != nil {
			return nil, err
		}
		rest = r
		p := PortStats{Port: PortNo(be32(b[4:])), DurationSec: be32(b[8:]), DurationNsec: be32(b[12:])}
		c := p.counters()
		for i := range 8 {
			*c[i] = be64(b[16+8*i:])
		}
		for i := 8; i < 12; i++ {
			*c[i] = ^uint64(0)
		}
		err = eachProperty(b[80:], func(typ uint16, prop []byte) error {
			switch {
			case typ != 0:
				full := pad8(len(prop))
				p.OtherProps = append(append(p.OtherProps, prop...), make([]byte, full-len(prop))...)
			case len(prop) != 40:
				return bad(PropertyBadLen, "ethernet port statistics of %d bytes", len(prop))
			default:
				for i := range 4 {
					*c[8+i] = be64(prop[8+8*i:])
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		m.Ports = append(m.Ports, p)
	}
	return m, nil
}

func (p *PortStats) put(e *encoder) error {
	c := p.counters()
	if e.v >= V14 {
		at := len(e.b)
		e.u16(0, 0)
		e.u32(uint32(p.Port), p.DurationSec, p.DurationNsec)
		for i := range 8 {
			e.u64(*c[i])
		}
		e.u16(0, 40, 0, 0)
		for i := 8; i < 12; i++ {
			e.u64(*c[i])
		}
		e.bytes(p.OtherProps)
		return e.setLen(at, 0)
	}
	if e.v == V10 {
		e.u16(p.Port.to10(), 0, 0, 0)
	} else {
		e.u32(uint32(p.Port), 0)
	}
	for _, v := range c {
		e.u64(*v)
	}
	if e.v == V13 {
		e.u32(p.DurationSec, p.DurationNsec)
	}
	return nil
}

// pullPortQueue reads the port and queue that queue statistics begin with.
func (d *decoder) pullPortQueue(b []byte) (PortNo, uint32) {
	if d.v == V10 {
		return port10(be16(b)), be32(b[4:])
	}
	return PortNo(be32(b)), be32(b[4:])
}

func (e *encoder) portQueue(p PortNo, queue uint32) {
	if e.v == V10 {
		e.u16(p.to10(), 0)
	} else {
		e.u32(uint32(p))
	}
	e.u32(queue)
}

func decodeQueueRequest(d *decoder) (MultipartBody, error) {
	p, q := d.pullPortQueue(d.body)
	if !validPort(p) {
		return nil, bad(ActionBadOutPort, "port 0x%08x", uint32(p))
	}
	return &QueueRequest{p, q}, nil
}

func decodeQueueStats(d *decoder) (MultipartBody, error) {
	m := &QueueReply{}
	n := 32
	if d.v == V13 {
		n = 40
	}
	for b := d.body; len(b) > 0; b = b[n:] {
		q := QueueStats{TxBytes: be64(b[8:]), TxPackets: be64(b[16:]), TxErrors: be64(b[24:])}
		q.Port, q.Queue = d.pullPortQueue(b)
		if d.v == V13 {
			q.DurationSec, q.DurationNsec = be32(b[32:]), be32(b[36:])
		}
		m.Queues = append(m.Queues, q)
	}
	return m, nil
}

func decodeQueueStats14(d *decoder) (MultipartBody, error) {
	m := &QueueReply{}
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, 48)
		if err != nil {
			return nil, err
		}
		rest = r
		q := QueueStats{TxBytes: be64(b[16:]), TxPackets: be64(b[24:]), TxErrors: be64(b[32:])}
		q.Port, q.Queue = d.pullPortQueue(b[8:])
		q.DurationSec, q.DurationNsec = be32(b[40:]), be32(b[44:])
		m.Queues = append(m.Queues, q)
	}
	return m, nil
}

func (q *QueueStats) put(e *encoder) {
	if e.v >= V14 {
		e.u16(48, 0, 0, 0)
	}
	e.portQueue(q.Port, q.Queue)
	e.u64(q.TxBytes, q.TxPackets, q.TxErrors)
	if e.v >= V13 {
		e.u32(q.DurationSec, q.DurationNsec)
	}
}

// Constant parts of table statistics: what OVS says of its tables.
const (
	tableWildcards10 = wc10All
	tableWildcards11 = 0xffff &^ (1 << 10) // all but the type of the match
)

// tableStatsLen is the length of one table's statistics, countersAt where its last four members are.
func tableStatsLen(v Version) (n, countersAt int) {
	switch v {
	case V10:
		return 64, 44
	case V11:
		return 88, 68
	case V12:
		return 128, 108
	}
	return 24, 4
}

func decodeTableReply(d *decoder) (MultipartBody, error) {
	m := &TableReply{}
	n, at := tableStatsLen(d.v)
	for b := d.body; len(b) > 0; b = b[n:] {
		t := TableStats{Table: b[0], Active: be32(b[at:]), Lookup: be64(b[at+4:]), Matched: be64(b[at+12:])}
		switch d.v {
		case V10:
			t.Name, t.Max = cstring(b[4:36]), be32(b[40:])
		case V11, V12:
			t.Name, t.Config, t.Max = cstring(b[8:40]), be32(b[at-8:]), be32(b[at-4:])
		}
		m.Tables = append(m.Tables, t)
	}
	return m, nil
}

func (t *TableStats) put(e *encoder) {
	inst := uint32(tableInstructions11)
	if t.Table == lastTable {
		inst &^= 1 << instGotoTable
	}
	e.u8(t.Table, 0, 0, 0)
	switch e.v {
	case V10:
		e.text(t.Name, 32)
		e.u32(tableWildcards10, t.Max)
	case V11:
		e.u32(0)
		e.text(t.Name, 32)
		e.u32(tableWildcards11, tableWildcards11, inst, tableActions11, tableActions11, t.Config, t.Max)
	case V12:
		e.u32(0)
		e.text(t.Name, 32)
		e.u64(tableFields12, tableFields12)
		e.u32(tableActions12, tableActions12)
		e.u64(tableSet12, tableSet12, ^uint64(0), ^uint64(0))
		e.u32(inst, t.Config, t.Max)
	}
	e.u32(t.Active)
	e.u64(t.Lookup, t.Matched)
}

// lastTable is the last table that flows can be in: there is none to go to.
const lastTable = 253

// What every table can do, for 1.1 and 1.2: bits of instruction, action and field numbers.
const (
	tableInstructions11 = 1<<instGotoTable | 1<<instWriteMetadata | 1<<instWriteActions | 1<<instApplyActions | 1<<instClearActions
	tableActions11      = 0x01ffffff &^ (1<<11 | 1<<12) // all but copy TTL
	tableActions12      = 1<<0 | 1<<15 | 1<<16 | 1<<17 | 1<<18 | 1<<19 | 1<<20 | 1<<21 | 1<<22 | 1<<23 | 1<<24 | 1<<25
	tableFields12       = 1<<36 - 1&^(1<<1)               // all but in_phy_port
	tableSet12          = tableFields12 &^ (1<<5 | 1<<10) // nor eth_type and nw_proto
)
