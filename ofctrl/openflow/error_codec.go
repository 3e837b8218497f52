package openflow

import "encoding/binary"

// Error is the error's OVS name, for example OFPBAC_BAD_OUT_PORT.
func (e Err) Error() string {
	if e == NXUnsupportedPacketInFormat {
		e = BadPermission
	}
	if int(e) < len(errTable) && errTable[e].name != "" {
		return errTable[e].name
	}
	return "OFPERR_UNKNOWN"
}

// wire returns the form of the error in a version. What a version cannot say becomes
// NXBRC_UNENCODABLE_ERROR, as in OVS.
func (e Err) wire(v Version) wireErr {
	if e == NXUnsupportedPacketInFormat {
		e = BadPermission
	}
	if v < V10 || v > V15 {
		v = V10
	}
	i := v - V10
	if int(e) < len(errTable) && errTable[e].has>>i&1 != 0 {
		return errTable[e].wire[i]
	}
	return errTable[NXUnencodable].wire[i]
}

// Wire returns the error's type and code in a version. vendor is not 0 for experimenter errors: with
// typ 0xffff the form of 1.2 and later, else the Nicira vendor error of 1.0 and 1.1, which stands
// inside type 0xb0c2.
func (e Err) Wire(v Version) (typ, code uint16, vendor uint32) {
	w := e.wire(v)
	return w.typ, w.code, w.vendor
}

// typeNXVendor is the error type that holds a Nicira vendor error in 1.0 and 1.1.
const typeNXVendor = 0xb0c2

type errKey struct {
	v Version
	wireErr
}

var errByWire = func() map[errKey]Err {
	m := make(map[errKey]Err, 6*len(errTable))
	for e := range errTable {
		for i, w := range errTable[e].wire {
			if errTable[e].has>>i&1 != 0 {
				m[errKey{V10 + Version(i), w}] = Err(e)
			}
		}
	}
	return m
}()

// decodeError reads an error message. An error that is not known decodes as ErrUnknown with
// its type and code kept.
func decodeError(d *decoder) (Message, error) {
	b := d.body
	m := &Error{Type: be16(b), Code: be16(b[2:]), Data: b[4:]}
	w := wireErr{0, m.Type, m.Code}
	switch {
	case m.Type == typeNXVendor && d.v <= V11:
		if len(m.Data) < 8 {
			return nil, bad(BadLen, "vendor error of %d bytes", len(m.Data))
		}
		w = wireErr{be32(m.Data), be16(m.Data[4:]), be16(m.Data[6:])}
		m.Vendor, m.Type, m.Code, m.Data = w.vendor, w.typ, w.code, m.Data[8:]
	case m.Type == 0xffff && d.v >= V12:
		if len(m.Data) < 4 {
			return nil, bad(BadLen, "experimenter error of %d bytes", len(m.Data))
		}
		w.vendor = be32(m.Data)
		m.Vendor, m.Data = w.vendor, m.Data[4:]
	}
	m.Err = errByWire[errKey{d.v, w}]
	if m.Err != ErrUnknown {
		m.Type, m.Code, m.Vendor = 0, 0, 0
	}
	m.Data = clone(m.Data)
	return m, nil
}

func encodeError(e *encoder, m *Error) error {
	e.begin(1)
	w := wireErr{m.Vendor, m.Type, m.Code}
	if m.Err != ErrUnknown || w == (wireErr{}) {
		w = m.Err.wire(e.v)
	}
	switch {
	case w.vendor == 0 && (w.typ != 0xffff || e.v < V12):
		e.u16(w.typ, w.code)
	case w.typ == 0xffff:
		e.u16(w.typ, w.code)
		e.u32(w.vendor)
	default:
		e.u16(typeNXVendor, 0)
		e.u32(w.vendor)
		e.u16(w.typ, w.code)
	}
	// The whole message must fit its 16-bit length.
	e.bytes(m.Data[:min(len(m.Data), 0xffff-e.size())])
	return nil
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
