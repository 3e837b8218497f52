package openflow

// eachProperty calls f for each property (type, length, value, padding to 8 bytes) of b. prop is the whole
// property with its 4-byte header, without the padding.
func eachProperty(b []byte, f func(typ uint16, prop []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return bad(PropertyBadLen, "%d bytes behind the properties", len(b))
		}
		n := int(be16(b[2:]))
		if n < 4 || pad8(n) > len(b) {
			return bad(PropertyBadLen, "property length %d in %d bytes", n, len(b))
		}
		if err := f(be16(b), b[:n]); err != nil {
			return err
		}
		b = b[pad8(n):]
	}
	return nil
}

// property writes a property with the value that f appends.
func (e *encoder) property(typ uint16, f func()) error {
	at := len(e.b)
	e.u16(typ, 0)
	f()
	if err := e.setLen(at, 2); err != nil {
		return err
	}
	e.alignFrom(at)
	return nil
}

// Values of one fixed size at the end of a property.

func propU8(prop []byte) (uint8, error) {
	if len(prop) < 5 || len(prop) > 8 { // OVS lets it count its padding
		return 0, bad(PropertyBadLen, "8-bit property of %d bytes", len(prop))
	}
	return prop[4], nil
}

// propU16 is a 16-bit value with padding that the length counts.
func propU16(prop []byte) (uint16, error) {
	if len(prop) != 8 {
		return 0, bad(PropertyBadLen, "16-bit property of %d bytes", len(prop))
	}
	return be16(prop[4:]), nil
}

func propU32(prop []byte) (uint32, error) {
	if len(prop) != 8 {
		return 0, bad(PropertyBadLen, "32-bit property of %d bytes", len(prop))
	}
	return be32(prop[4:]), nil
}

// propU64 is a 64-bit value behind 4 bytes of padding.
func propU64(prop []byte) (uint64, error) {
	if len(prop) != 16 {
		return 0, bad(PropertyBadLen, "64-bit property of %d bytes", len(prop))
	}
	return be64(prop[8:]), nil
}
