// Package openflow is the OpenFlow wire codec, 1.0 to 1.5 with the Nicira and ONF extensions.
// Messages are version-independent values; Decode and Encode know each version's bytes. It never
// panics and never reads beyond a message.
package openflow

// Version is an OpenFlow wire version.
type Version uint8

// Wire versions.
const (
	V10 Version = 1 + iota
	V11
	V12
	V13
	V14
	V15
)

// PortNo is an OpenFlow port number in the 32-bit numbering of 1.1 and later; 1.0's 16-bit
// reserved ports are mapped to it.
type PortNo uint32

// Reserved ports (OpenFlow 1.5 section 7.2.1).
const (
	PortMax        PortNo = 0xffffff00
	PortUnset      PortNo = 0xfffffff7
	PortInPort     PortNo = 0xfffffff8
	PortTable      PortNo = 0xfffffff9
	PortNormal     PortNo = 0xfffffffa
	PortFlood      PortNo = 0xfffffffb
	PortAll        PortNo = 0xfffffffc
	PortController PortNo = 0xfffffffd
	PortLocal      PortNo = 0xfffffffe
	PortAny        PortNo = 0xffffffff // also NONE
)

// GroupAny is "no restriction" in filters.
const GroupAny uint32 = 0xffffffff

// TableAll addresses all tables.
const TableAll uint8 = 255

// NoBuffer says that a message carries its packet whole.
const NoBuffer uint32 = 0xffffffff

// Message is the body of one OpenFlow message.
type Message interface{ ofMessage() }
