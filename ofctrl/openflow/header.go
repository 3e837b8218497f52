package openflow

import (
	"fmt"
	"io"
)

// HeaderLen is the length of the header that starts every message.
const HeaderLen = 8

// typeExperimenter is the message type of vendor extensions in all versions.
const typeExperimenter = 4

// Header starts every message. Length is of the whole message.
type Header struct {
	Version Version
	Type    uint8
	Length  uint16
	XID     uint32
}

// ParseHeader reads the header at the front of b.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		return Header{}, bad(BadLen, "header of %d bytes", len(b))
	}
	return Header{Version(b[0]), b[1], be16(b[2:]), be32(b[4:])}, nil
}

// ReadMessage reads one whole message. A length below the header's, or above max when max is not 0, is
// an error that wraps BadLen; the stream cannot be used after it. io.EOF comes bare between
// messages only.
func ReadMessage(r io.Reader, max int) ([]byte, error) {
	var head [HeaderLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	h, err := ParseHeader(head[:])
	if err != nil {
		return nil, err
	}
	if h.Length < HeaderLen || max > 0 && int(h.Length) > max {
		return nil, bad(BadLen, "message length %d", h.Length)
	}
	b := make([]byte, h.Length)
	copy(b, head[:])
	if _, err := io.ReadFull(r, b[HeaderLen:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("openflow message body: %w", err)
	}
	return b, nil
}

// State is what a connection has agreed on and what the switch has configured that changes the meaning
// of bytes. The zero State is a fresh connection.
type State struct {
	// FlowModTableID: 1.0 flow mods carry a table in the upper byte of the command
	// (NXT_FLOW_MOD_TABLE_ID).
	FlowModTableID bool
	// NXM: 1.0 flow mods, removals and statistics are sent in Nicira form (NXT_SET_FLOW_FORMAT).
	NXM bool
	// TLV maps tun_metadata fields to tunnel options; nil: none is mapped.
	TLV *TLVMap
	// Loose skips unknown match fields, as a controller does with what a switch sends.
	Loose bool
	// Client encodes as a controller does, which names tun_metadata fields in actions by their largest
	// size and not by the size that the switch's TLV table gives them.
	Client bool
	// Memory makes decoding flow mods cheaper: a *FlowMod is overwritten by the next, and actions of flow mods
	// may be those of others, which nobody changes. nil: each message is on its own.
	Memory *Memory
}

// TLVMap says where in a key's tun_opts each tun_metadata field is kept; both 0: not mapped.
type TLVMap [64]struct{ Off, Len uint8 }

// EmptyOption is the Off of a field that is mapped to an option without data.
const EmptyOption = 0xff

// Decode reads one whole message. st may be nil. On error xid and v are valid if b holds a header, and
// the error wraps the Err to answer with (see errors.As). The message does not alias b. See State.Memory for flow mods.
func Decode(b []byte, st *State) (xid uint32, v Version, m Message, err error) {
	h, err := ParseHeader(b)
	if err != nil {
		return 0, 0, nil, err
	}
	if st == nil {
		st = &State{}
	}
	if int(h.Length) != len(b) {
		return h.XID, h.Version, nil, bad(BadLen, "message length %d in %d bytes", h.Length, len(b))
	}
	d := decoder{v: h.Version, xid: h.XID, st: st, body: b[HeaderLen:]}
	if h.Type != typeHello && (h.Version < V10 || h.Version > V15) {
		return h.XID, h.Version, nil, bad(BadVersion, "version 0x%02x", uint8(h.Version))
	}
	m, err = d.message(h.Type)
	return h.XID, h.Version, m, err
}

// Encode writes a message for a fresh connection; see Append.
func Encode(v Version, xid uint32, m Message) ([]byte, error) {
	return Append(nil, v, xid, m, nil)
}

// Append encodes a message behind dst. st may be nil. A message or action that the version cannot say,
// or that does not fit in 64 KiB, is an error; dst is returned as it was.
func Append(dst []byte, v Version, xid uint32, m Message, st *State) ([]byte, error) {
	if st == nil {
		st = &State{}
	}
	if v < V10 || v > V15 {
		return dst, bad(BadVersion, "encode for version 0x%02x", uint8(v))
	}
	e := encoder{b: dst, start: len(dst), v: v, xid: xid, st: st}
	if err := e.message(m); err != nil {
		return dst, err
	}
	if err := e.finish(); err != nil {
		return dst, err
	}
	return e.b, nil
}
