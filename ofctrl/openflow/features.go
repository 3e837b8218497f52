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
