package ofctrl

import (
	"encoding/binary"
	"errors"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Message types that are the same in all versions (OpenFlow 1.5 section 7.1.1).
const (
	typeHello     = 0
	typeError     = 1
	typeEchoReply = 3
)

// messageXID is the transaction id of a message.
func messageXID(b []byte) uint32 { return binary.BigEndian.Uint32(b[4:]) }

// errorKind is the OpenFlow error that err stands for.
func errorKind(err error) openflow.Err {
	var kind openflow.Err
	if errors.As(err, &kind) {
		return kind
	}
	return openflow.ErrUnknown
}

// replyError is the error message for a request. OpenFlow wants at least the first 64 bytes of it
// in there; like OVS we send as much as fits, so that tools can show what was wrong.
func replyError(kind openflow.Err, request []byte) *openflow.Error {
	return &openflow.Error{Err: kind, Data: request}
}
