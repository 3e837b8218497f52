package openflow

// port10 maps the 16-bit ports of 1.0 to 32 bits: 0xff00 and above are the reserved ports.
func port10(p uint16) PortNo {
	if p >= 0xff00 {
		return PortNo(p) | 0xffff0000
	}
	return PortNo(p)
}

// to10 is the 16-bit form of a port.
func (p PortNo) to10() uint16 { return uint16(p) }

// validPort checks a 32-bit port: OVS has 16-bit ports only, and the reserved ones.
func validPort(p PortNo) bool { return p < 0xff00 || p >= PortMax }

// outPort11 checks the 32-bit port of a request.
func outPort11(p uint32) (PortNo, error) {
	if !validPort(PortNo(p)) {
		return 0, bad(ActionBadOutPort, "port 0x%08x", p)
	}
	return PortNo(p), nil
}

// Port config and state bits that each version has (OpenFlow 1.0 section 5.2.1, 1.1 A.2.1).
const (
	configBits10 = 0x7f
	configBits11 = ConfigPortDown | ConfigNoRecv | ConfigNoFwd | ConfigNoPacketIn
	stateBits10  = StateLinkDown | 0x300 // and the spanning tree state
	stateBits11  = StateLinkDown | StateBlocked | StateLive
)

// features10 maps OFPPF_* of 1.0 to the numbers of 1.1: the media and pause bits moved up.
func features10(f uint32) uint32 { return f&0x7f | f&0xf80<<4 }

func to10Features(f uint32) uint32 { return f&0x7f | f>>4&0xf80 }

// portLen is the fixed length of a port description.
func portLen(v Version) int {
	switch {
	case v == V10:
		return 48
	case v <= V13:
		return 64
	}
	return 40
}

func decodePorts(v Version, b []byte) ([]Port, error) {
	var ports []Port
	for len(b) > 0 {
		p, n, err := decodePort(v, b)
		if err != nil {
			return nil, err
		}
		ports, b = append(ports, p), b[n:]
	}
	return ports, nil
}

// decodePort reads one port description at the front of b and says how long it is.
func decodePort(v Version, b []byte) (p Port, n int, err error) {
	n = portLen(v)
	if len(b) < n {
		return p, 0, bad(BadLen, "port description of %d bytes", len(b))
	}
	switch {
	case v == V10:
		p = Port{
			No: port10(be16(b)), HWAddr: [6]byte(b[2:]), Name: cstring(b[8:24]),
			Config: be32(b[24:]) & configBits10, State: be32(b[28:]) & stateBits10,
			Current: features10(be32(b[32:])), Advertised: features10(be32(b[36:])),
			Supported: features10(be32(b[40:])), PeerFeatures: features10(be32(b[44:])),
		}
	case v <= V13:
		p = Port{
			No: PortNo(be32(b)), HWAddr: [6]byte(b[8:]), Name: cstring(b[16:32]),
			Config: be32(b[32:]) & configBits11, State: be32(b[36:]) & stateBits11,
		}
		p.ethernet(b[40:])
	default:
		p = Port{
			No: PortNo(be32(b)), HWAddr: [6]byte(b[8:]), Name: cstring(b[16:32]),
			Config: be32(b[32:]) & configBits11, State: be32(b[36:]) & stateBits11,
		}
		n = int(be16(b[4:]))
		if n < 40 || n > len(b) {
			return p, 0, bad(BadLen, "port description length %d", n)
		}
		err = eachProperty(b[40:n], func(typ uint16, prop []byte) error {
			switch {
			case typ != 0: // optical and experimenter properties do not matter to a switch
				return nil
			case len(prop) != 32:
				return bad(PropertyBadLen, "ethernet port property of %d bytes", len(prop))
			}
			p.ethernet(prop[8:])
			return nil
		})
	}
	return p, n, err
}

func (p *Port) ethernet(b []byte) {
	p.Current, p.Advertised, p.Supported, p.PeerFeatures = be32(b), be32(b[4:]), be32(b[8:]), be32(b[12:])
	p.CurrSpeed, p.MaxSpeed = be32(b[16:]), be32(b[20:])
}

func (e *encoder) port(p *Port) {
	if e.v == V10 {
		e.u16(p.No.to10())
		e.bytes(p.HWAddr[:])
		e.text(p.Name, 16)
		e.u32(p.Config&configBits10, p.State&stateBits10)
		e.u32(to10Features(p.Current), to10Features(p.Advertised), to10Features(p.Supported), to10Features(p.PeerFeatures))
		return
	}
	e.u32(uint32(p.No))
	if e.v >= V14 {
		e.u16(72, 0)
	} else {
		e.u32(0)
	}
	e.bytes(p.HWAddr[:])
	e.u16(0)
	e.text(p.Name, 16)
	e.u32(p.Config&configBits11, p.State&stateBits11)
	if e.v >= V14 {
		e.u16(0, 32, 0, 0)
	}
	e.u32(p.Current, p.Advertised, p.Supported, p.PeerFeatures, p.CurrSpeed, p.MaxSpeed)
}

func decodePortStatus(d *decoder) (Message, error) {
	p, n, err := decodePort(d.v, d.body[8:])
	if err != nil {
		return nil, err
	}
	if n != len(d.body)-8 {
		return nil, bad(BadLen, "port status with %d bytes behind the port", len(d.body)-8-n)
	}
	return &PortStatus{Reason: d.body[0], Port: p}, nil
}

func decodePortMod(d *decoder) (Message, error) {
	b := d.body
	if d.v == V10 {
		return &PortMod{
			Port: port10(be16(b)), HWAddr: [6]byte(b[2:]),
			Config: be32(b[8:]) & configBits10, Mask: be32(b[12:]) & configBits10,
			Advertise: features10(be32(b[16:])),
		}, nil
	}
	m := &PortMod{
		Port: PortNo(be32(b)), HWAddr: [6]byte(b[8:]),
		Config: be32(b[16:]) & configBits11, Mask: be32(b[20:]) & configBits11,
	}
	if !validPort(m.Port) {
		return nil, bad(ActionBadOutPort, "port mod of port 0x%08x", uint32(m.Port))
	}
	if d.v <= V13 {
		m.Advertise = be32(b[24:])
		return m, nil
	}
	err := eachProperty(b[24:], func(typ uint16, prop []byte) error {
		switch {
		case typ != 0:
			return bad(PropertyBadType, "port mod property %d", typ)
		case len(prop) != 8:
			return bad(PropertyBadLen, "port mod property of %d bytes", len(prop))
		}
		m.Advertise = be32(prop[4:])
		return nil
	})
	return m, err
}

func encodePortMod(e *encoder, m *PortMod) error {
	if e.v == V10 {
		e.begin(15)
		e.u16(m.Port.to10())
		e.bytes(m.HWAddr[:])
		e.u32(m.Config&configBits10, m.Mask&configBits10, to10Features(m.Advertise), 0)
		return nil
	}
	e.begin(16)
	e.u32(uint32(m.Port), 0)
	e.bytes(m.HWAddr[:])
	e.u16(0)
	e.u32(m.Config&configBits11, m.Mask&configBits11)
	switch {
	case e.v <= V13:
		e.u32(m.Advertise, 0)
	case m.Advertise != 0:
		e.u16(0, 8)
		e.u32(m.Advertise)
	}
	return nil
}
