package openflow

// versionsUpTo is the bitmap of all versions up to v.
func versionsUpTo(v Version) uint32 {
	return uint32(uint64(1)<<(min(v, 31)+1) - 2)
}

// decodeHello reads a HELLO of any version. Elements that are not known, and damaged ones, do not
// count: then the header's version speaks.
func decodeHello(d *decoder) (Message, error) {
	m := &Hello{Versions: versionsUpTo(d.v)}
	for b := d.body; len(b) >= 4; {
		typ, n := be16(b), int(be16(b[2:]))
		if n < 4 || n > len(b) {
			break
		}
		if typ == 1 && n >= 8 {
			m.Versions = be32(b[4:])
		}
		b = b[min(pad8(n), len(b)):]
	}
	return m, nil
}

// encodeHello adds the version bitmap unless the header's version already says the same.
func encodeHello(e *encoder, m *Hello) {
	e.begin(typeHello)
	if m.Versions != 0 && m.Versions != versionsUpTo(e.v) {
		e.u16(1, 8)
		e.u32(m.Versions)
	}
}
