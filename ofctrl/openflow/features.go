package openflow

func decodeFeaturesReply(d *decoder) (Message, error) {
	b := d.body
	m := &FeaturesReply{
		DatapathID: be64(b), Buffers: be32(b[8:]), Tables: b[12], AuxiliaryID: b[13],
		Capabilities: be32(b[16:]), Actions: be32(b[20:]),
	}
	ports, err := decodePorts(d.v, b[24:])
	m.Ports = ports
	return m, err
}

func encodeFeaturesReply(e *encoder, m *FeaturesReply) error {
	e.begin(6)
	e.u64(m.DatapathID)
	e.u32(m.Buffers)
	e.u8(m.Tables, m.AuxiliaryID, 0, 0)
	e.u32(m.Capabilities, m.Actions)
	if e.v <= V12 {
		for i := range m.Ports {
			e.port(&m.Ports[i])
		}
	}
	return nil
}

// invalidTTL is the config flag of versions up to 1.2 that asks for packets with an invalid TTL.
const invalidTTL = 1 << 2

func decodeSetConfig(d *decoder) (Message, error) {
	m := &SetConfig{be16(d.body), be16(d.body[2:])}
	allowed := FragNXMatch
	if d.v <= V12 {
		allowed |= invalidTTL
	}
	if m.Flags&^allowed != 0 {
		return nil, bad(SwitchConfigBadFlags, "config flags 0x%x", m.Flags)
	}
	return m, nil
}
