package dummy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// payloadLen is how much a frame made from a flow carries behind its headers, where its protocol carries anything.
const payloadLen = 64

// maxFrame is the largest frame of --len.
const maxFrame = 65535 + packet.EthLen

var errTooSmall = errors.New("too small packet len")

// parseFrame reads a frame in hex digits, or a datapath flow of which one is made; size is the frame's length, 0 for
// what comes naturally. The key holds the flow's metadata.
func parseFrame(text string, size int, names odp.NameFunc) ([]byte, *flow.Key, error) {
	if b, err := hex.DecodeString(strings.ReplaceAll(text, " ", "")); err == nil && len(b) >= packet.EthLen {
		return b, new(flow.Key), nil
	}
	m, err := odp.ParseKey(text, names)
	if err != nil {
		return nil, nil, fmt.Errorf("syntax error at %s: %w", text, err)
	}
	m.Key.Set(flow.RecircID, 0) // what arrives has not been recirculated
	var payload []byte
	if size == 0 {
		if carries(&m.Key) {
			payload = make([]byte, payloadLen)
			for i := range payload {
				payload[i] = byte(i)
			}
		}
		return packet.Compose(&m.Key, payload), &m.Key, nil
	}
	bare := len(packet.Compose(&m.Key, nil))
	if size < bare {
		return nil, nil, errTooSmall
	}
	return packet.Compose(&m.Key, make([]byte, size-bare)), &m.Key, nil
}

// carries reports whether a frame of the key has a payload unless a length is given, by OVS's rules.
func carries(k *flow.Key) bool {
	const (
		echoReply, echoRequest   = 0, 8
		echoRequest6, echoReply6 = 128, 129
	)
	ethType := k.Get(flow.EthType)
	if ethType != packet.EthTypeIPv4 && ethType != packet.EthTypeIPv6 || k.Get(flow.IPFrag)&flow.FragLater != 0 {
		return false
	}
	switch k.Get(flow.NwProto) {
	case packet.ProtoUDP:
		return true
	case packet.ProtoTCP:
		const fin, syn, rst = 1, 2, 4
		return k.Get(flow.TCPFlags)&(fin|syn|rst) == 0
	case packet.ProtoICMP:
		kind := k.Get(flow.ICMPType)
		return kind == echoReply || kind == echoRequest
	case packet.ProtoICMPv6:
		kind := k.Get(flow.ICMPv6Type)
		return (kind == echoReply6 || kind == echoRequest6) && k.Get(flow.ICMPv6Code) == 0
	}
	return false
}
