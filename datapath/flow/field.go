// Package flow holds the one table of match fields, the flow Key and Mask laid out by it,
// and their compact forms.
package flow

// MatchKind of prerequisites: what a packet must be for a field to exist in it.
type Prereq uint8

// Prerequisites of match fields (ovs-fields(7)).
const (
	PrereqNone Prereq = iota
	PrereqEthernet
	PrereqVLAN
	PrereqIPv4
	PrereqIPv6
	PrereqIP // IPv4 or IPv6
	PrereqARP
	PrereqTCP
	PrereqUDP
	PrereqSCTP
	PrereqICMPv4
	PrereqICMPv6
	PrereqND
	PrereqNDSolicit
	PrereqNDAdvert
	PrereqMPLS
	PrereqNSH
	PrereqCT
)

// Format is the text form of a field's value.
type Format uint8

// Text forms (ovs-fields(7)).
const (
	FormatDecimal Format = iota
	FormatHex
	FormatIPv4
	FormatIPv6
	FormatEthernet
	FormatPort10 // 16-bit OpenFlow 1.0 port
	FormatPort   // 32-bit OpenFlow port
	FormatPacketType
	FormatTunnelFlags
	FormatCTState
	FormatFrag
	FormatTCPFlags
)

// OXM is one identity of a field on the wire.
type OXM struct {
	Name   string
	Class  uint16
	Number uint8  // the 7-bit oxm_field
	Vendor uint32 // experimenter id when Class is 0xffff, else 0
	Len    int    // bytes of the value without mask, experimenter id not counted
	MinVer uint8  // lowest OpenFlow version byte (0x03 = 1.2 ...) it belongs to; 0 = any
}

// Field says all that is known about one match field.
type Field struct {
	ID        FieldID
	Name      string // name in OpenFlow text; Alias is another accepted one, or ""
	Alias     string
	Bytes     int // bytes of the value on the wire
	Bits      int // significant low bits of it
	Off, Size int // the storage in a Key: byte offset (-1: mapped by a TLV table) and size
	Shift     int // position of the value's lowest bit in the storage
	StoreMask uint64
	Maskable  bool
	Writable  bool
	Prereq    Prereq
	Format    Format
	OXM       []OXM
}

// Whole reports whether the field is all of its storage, byte for byte.
func (f *Field) Whole() bool { return f.StoreMask == 0 }

var byName = func() map[string]FieldID {
	m := make(map[string]FieldID, 2*NumFields)
	for i := range Fields {
		f := &Fields[i]
		m[f.Name] = f.ID
		if f.Alias != "" {
			m[f.Alias] = f.ID
		}
		for _, o := range f.OXM {
			m[o.Name] = f.ID
		}
	}
	return m
}()

// FieldByName finds a field by its OpenFlow text name, its alias or an OXM/NXM name.
func FieldByName(name string) (FieldID, bool) {
	id, ok := byName[name]
	return id, ok
}

type oxmKey struct {
	class  uint16
	number uint8
	vendor uint32
}

type oxmRef struct {
	id  FieldID
	len int
}

var byOXM = func() map[oxmKey]oxmRef {
	m := make(map[oxmKey]oxmRef, 2*NumFields)
	for i := range Fields {
		for _, o := range Fields[i].OXM {
			m[oxmKey{o.Class, o.Number, o.Vendor}] = oxmRef{Fields[i].ID, o.Len}
		}
	}
	return m
}()

// FieldByOXM finds a field by its wire identity (vendor is 0 unless class is 0xffff) and
// returns the value's length in bytes with it.
func FieldByOXM(class uint16, number uint8, vendor uint32) (id FieldID, valueLen int, ok bool) {
	r, ok := byOXM[oxmKey{class, number, vendor}]
	return r.id, r.len, ok
}

// Info returns the row of the field.
func (id FieldID) Info() *Field { return &Fields[id] }

// String is the field's name in OpenFlow text.
func (id FieldID) String() string {
	if int(id) < len(Fields) {
		return Fields[id].Name
	}
	return "field?"
}

// Reg is the field of 32-bit register n, 0 to 31.
func Reg(n int) FieldID { return Reg0 + FieldID(n) }
