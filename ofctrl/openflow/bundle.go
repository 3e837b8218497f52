package openflow

func decodeBundleControl(d *decoder) (Message, error) {
	b := d.body
	m := &BundleControl{ID: be32(b), Type: be16(b[4:]), Flags: be16(b[6:])}
	switch {
	case m.Type > 7:
		return nil, bad(BundleBadType, "bundle control type %d", m.Type)
	case m.Flags&^3 != 0:
		return nil, bad(BundleBadFlags, "bundle flags 0x%x", m.Flags)
	}
	return m, nil
}

func decodeBundleAdd(d *decoder) (Message, error) {
	b := d.body
	m := &BundleAdd{ID: be32(b), Flags: be16(b[6:])}
	h, err := ParseHeader(b[8:])
	n := int(h.Length)
	switch {
	case err != nil || n < HeaderLen || n > len(b)-8:
		return nil, bad(BundleMsgBadLen, "bundle message length %d in %d bytes", n, len(b)-8)
	case h.Version != d.v:
		return nil, bad(BundleBadVersion, "bundle message of version 0x%02x", uint8(h.Version))
	case h.XID != d.xid:
		return nil, bad(BundleMsgBadXID, "bundle message xid 0x%x, not 0x%x", h.XID, d.xid)
	case m.Flags&^3 != 0:
		return nil, bad(BundleBadFlags, "bundle flags 0x%x", m.Flags)
	case !bundleable(d.v, h.Type, b[8:8+n]):
		return nil, bad(BundleMsgUnsup, "message type %d in a bundle", h.Type)
	}
	d.body = b[8+HeaderLen : 8+n]
	m.Message, err = d.message(h.Type)
	return m, err
}

// bundleable reports whether a type of message may stand in a bundle: flow, group and port mods and
// packet-outs.
func bundleable(v Version, typ uint8, b []byte) bool {
	switch typ {
	case 13, 14, 16:
		return true
	case 15:
		return v > V10
	case typeExperimenter:
		return len(b) >= 16 && be32(b[8:]) == nx && be32(b[12:]) == 13
	}
	return false
}

func (e *encoder) beginBundle(typ uint8, sub uint32) error {
	switch {
	case e.v >= V14:
		e.begin(typ)
	case e.v == V13:
		e.beginExp(onf, sub)
	default:
		return bad(NXUnencodable, "bundles in OpenFlow 1.%d", e.v-V10)
	}
	return nil
}

func encodeBundleControl(e *encoder, m *BundleControl) error {
	if err := e.beginBundle(33, 2300); err != nil {
		return err
	}
	e.u32(m.ID)
	e.u16(m.Type, m.Flags)
	return nil
}

func encodeBundleAdd(e *encoder, m *BundleAdd) error {
	if err := e.beginBundle(34, 2301); err != nil {
		return err
	}
	e.u32(m.ID)
	e.u16(0, m.Flags)
	b, err := Append(e.b, e.v, e.xid, m.Message, e.st)
	e.b = b
	return err
}
