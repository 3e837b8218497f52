package openflow

import (
	"encoding/binary"
	"fmt"
)

// bad is an error that wraps the Err to answer with.
func bad(e Err, format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, e)...)
}

// clone copies bytes out of a receive buffer; nil for none.
func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func allOnes(b []byte) bool {
	for _, c := range b {
		if c != 0xff {
			return false
		}
	}
	return true
}

// cstring is the text of a fixed field up to its first NUL.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// pad8 rounds up to the 8 bytes that OpenFlow structures are aligned to.
func pad8(n int) int { return (n + 7) &^ 7 }

// encoder appends one message (or a structure in it) to b. start is where the message begins, so that
// padding is relative to it.
type encoder struct {
	b     []byte
	start int
	v     Version
	xid   uint32
	st    *State
}

func (e *encoder) size() int { return len(e.b) - e.start }

// begin writes the header of a message of the type; finish sets its length.
func (e *encoder) begin(typ uint8) {
	e.start = len(e.b)
	e.b = append(e.b, byte(e.v), typ, 0, 0)
	e.u32(e.xid)
}

// beginExp starts an experimenter message.
func (e *encoder) beginExp(vendor, subtype uint32) {
	e.begin(typeExperimenter)
	e.u32(vendor, subtype)
}

func (e *encoder) finish() error {
	n := e.size()
	if n > 0xffff {
		return fmt.Errorf("message of %d bytes does not fit in 64 KiB: %w", n, BadLen)
	}
	binary.BigEndian.PutUint16(e.b[e.start+2:], uint16(n))
	return nil
}

func (e *encoder) u8(v ...uint8) { e.b = append(e.b, v...) }

func (e *encoder) u16(vs ...uint16) {
	for _, v := range vs {
		e.b = binary.BigEndian.AppendUint16(e.b, v)
	}
}

func (e *encoder) u32(vs ...uint32) {
	for _, v := range vs {
		e.b = binary.BigEndian.AppendUint32(e.b, v)
	}
}

func (e *encoder) u64(vs ...uint64) {
	for _, v := range vs {
		e.b = binary.BigEndian.AppendUint64(e.b, v)
	}
}

func (e *encoder) bytes(b []byte) { e.b = append(e.b, b...) }

var zeros [64]byte

func (e *encoder) zero(n int) {
	for ; n > len(zeros); n -= len(zeros) {
		e.b = append(e.b, zeros[:]...)
	}
	e.b = append(e.b, zeros[:max(n, 0)]...)
}

// text writes a string into a fixed field of n bytes, always NUL-terminated.
func (e *encoder) text(s string, n int) {
	s = s[:min(len(s), n-1)]
	e.b = append(e.b, s...)
	e.zero(n - len(s))
}

// alignFrom pads so that what began at offset at of b is a multiple of 8 bytes.
func (e *encoder) alignFrom(at int) { e.zero(pad8(len(e.b)-at) - (len(e.b) - at)) }

// setLen writes the 16-bit length at off of the structure that began at offset at of b.
func (e *encoder) setLen(at, off int) error {
	n := len(e.b) - at
	if n > 0xffff {
		return fmt.Errorf("structure of %d bytes does not fit in 64 KiB: %w", n, BadLen)
	}
	binary.BigEndian.PutUint16(e.b[at+off:], uint16(n))
	return nil
}
