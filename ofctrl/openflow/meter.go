package openflow

// Flags of meters.
const (
	MeterKbps  uint16 = 1 << 0
	MeterPktps uint16 = 1 << 1
	MeterBurst uint16 = 1 << 2
	MeterStat  uint16 = 1 << 3 // ask for statistics, which are always kept
	meterFlags        = 0xf
)

// Commands of MeterMod.
const (
	MeterAdd uint16 = iota
	MeterModify
	MeterDelete
)

// Numbers of meters: a flow's meters have numbers from 1 to MeterMax.
const (
	MeterMax        uint32 = 0xffff0000
	MeterSlowPath   uint32 = 0xfffffffd // limits packets that are translated one by one
	MeterController uint32 = 0xfffffffe // limits packets to controllers that no other meter limits
	MeterAll        uint32 = 0xffffffff
)

// Meter band types.
const (
	BandDrop       uint16 = 1
	BandDSCPRemark uint16 = 2
)

func decodeMeterMod(d *decoder) (Message, error) {
	b := d.body
	m := &MeterMod{Command: be16(b), Meter: MeterConfig{ID: be32(b[4:]), Flags: be16(b[2:])}}
	switch {
	case m.Command > MeterDelete:
		return nil, bad(MeterModBadCommand, "meter command %d", m.Command)
	case m.Command == MeterDelete: // a deletion has no more to say
		return m, nil
	case m.Meter.Flags&^meterFlags != 0 || m.Meter.Flags&MeterKbps != 0 && m.Meter.Flags&MeterPktps != 0:
		return nil, bad(MeterModBadFlags, "meter flags 0x%x", m.Meter.Flags)
	}
	var err error
	m.Meter.Bands, err = decodeBands(b[8:])
	return m, err
}

func decodeBands(b []byte) (out []MeterBand, err error) {
	for len(b) > 0 {
		if len(b) < 16 || be16(b[2:]) != 16 {
			return nil, bad(BadLen, "meter band in %d bytes", len(b))
		}
		k := MeterBand{Type: be16(b), Rate: be32(b[4:]), Burst: be32(b[8:])}
		switch k.Type {
		case BandDrop:
		case BandDSCPRemark:
			k.PrecLevel = b[12]
		default:
			return nil, bad(MeterModBadBand, "meter band type %d", k.Type)
		}
		out, b = append(out, k), b[16:]
	}
	return out, nil
}

func (e *encoder) bands(list []MeterBand) {
	for _, k := range list {
		e.u16(k.Type, 16)
		e.u32(k.Rate, k.Burst)
		e.u8(k.PrecLevel, 0, 0, 0)
	}
}

func encodeMeterMod(e *encoder, m *MeterMod) error {
	if e.v < V13 {
		return bad(NXUnencodable, "meters in OpenFlow 1.%d", e.v-V10)
	}
	e.begin(29)
	e.u16(m.Command, m.Meter.Flags)
	e.u32(m.Meter.ID)
	e.bands(m.Meter.Bands)
	return nil
}

func decodeMeterConfig(d *decoder) (MultipartBody, error) {
	m := &MeterConfigReply{}
	for rest := d.body; len(rest) > 0; {
		b, r, err := entry(rest, 8)
		if err != nil {
			return nil, err
		}
		rest = r
		c := MeterConfig{ID: be32(b[4:]), Flags: be16(b[2:])}
		if c.Bands, err = decodeBands(b[8:]); err != nil {
			return nil, err
		}
		m.Meters = append(m.Meters, c)
	}
	return m, nil
}

func (m *MeterConfigReply) put(e *encoder) error {
	for _, c := range m.Meters {
		at := len(e.b)
		e.u16(0, c.Flags)
		e.u32(c.ID)
		e.bands(c.Bands)
		if err := e.setLen(at, 0); err != nil {
			return err
		}
	}
	return nil
}

func decodeMeterStats(d *decoder) (MultipartBody, error) {
	m := &MeterStatsReply{}
	for b := d.body; len(b) > 0; {
		if len(b) < 40 {
			return nil, bad(BadLen, "meter statistics of %d bytes", len(b))
		}
		n := int(be16(b[4:]))
		if n < 40 || n > len(b) {
			return nil, bad(BadLen, "meter statistics length %d in %d bytes", n, len(b))
		}
		s := MeterStats{
			ID: be32(b), Flows: be32(b[12:]), Packets: be64(b[16:]), Bytes: be64(b[24:]),
			DurationSec: be32(b[32:]), DurationNsec: be32(b[36:]),
		}
		var err error
		if s.Bands, err = decodeCounts(b[40:n]); err != nil {
			return nil, err
		}
		m.Meters, b = append(m.Meters, s), b[n:]
	}
	return m, nil
}

func (m *MeterStatsReply) put(e *encoder) error {
	for _, s := range m.Meters {
		at := len(e.b)
		e.u32(s.ID)
		e.u16(0, 0, 0, 0)
		e.u32(s.Flows)
		e.u64(s.Packets, s.Bytes)
		e.u32(s.DurationSec, s.DurationNsec)
		for _, c := range s.Bands {
			e.u64(c.Packets, c.Bytes)
		}
		if err := e.setLen(at, 4); err != nil {
			return err
		}
	}
	return nil
}

func decodeMeterFeatures(d *decoder) (MultipartBody, error) {
	b := d.body
	return &MeterFeaturesReply{
		MaxMeter: be32(b), BandTypes: be32(b[4:]), Capabilities: be32(b[8:]), MaxBands: b[12], MaxColor: b[13],
	}, nil
}
