package odp

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// UFID is a flow's unique identifier: a hash of key and mask in the form of a random UUID. It is
// the same in every process.
func UFID(m *flow.Match) [16]byte {
	// Most words are zero: only the others are hashed, with their index.
	b := make([]byte, 0, 24*32)
	for i := range flow.DPWords {
		if m.Mask[i]|m.Key[i] != 0 {
			b = append(b, byte(i))
			b = append(b, m.Key.Bytes()[8*i:8*i+8]...)
			b = append(b, m.Mask.Bytes()[8*i:8*i+8]...)
		}
	}
	sum := sha256.Sum256(b)
	id := [16]byte(sum[:16])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// FormatUFID writes "ufid:" and the identifier.
func FormatUFID(id [16]byte) string {
	h := fmt.Sprintf("%x", id[:])
	return "ufid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseUFID reads the identifier, with or without "ufid:".
func ParseUFID(s string) (id [16]byte, err error) {
	h := strings.ReplaceAll(strings.TrimPrefix(s, "ufid:"), "-", "")
	b, err := hexBytes("0x"+h, 16)
	if err != nil || len(h) != 32 {
		return id, fmt.Errorf("%q is not a UFID: %w", s, errSyntax)
	}
	return [16]byte(b), nil
}

// FlowText is a megaflow as dump-flows shows it.
type FlowText struct {
	Match          *flow.Match
	Actions        []Action
	Packets, Bytes uint64
	// Used is the time since the last packet; negative: never.
	Used     time.Duration
	TCPFlags uint16
	// UFID is written in front when it is not nil, with UFIDEnd behind it: ", " in
	// dpctl/dump-flows, " " in dpif/dump-flows.
	UFID    *[16]byte
	UFIDEnd string
	// Layer is written as "dp:Layer" when not empty (dpctl/dump-flows -m).
	Layer string
}

// FormatFlow writes one line of dump-flows, without line end.
func FormatFlow(f *FlowText, o TextOptions) string {
	var b strings.Builder
	if f.UFID != nil {
		b.WriteString(FormatUFID(*f.UFID) + f.UFIDEnd)
	}
	b.WriteString(FormatKey(&f.Match.Key, &f.Match.Mask, o))
	b.WriteString(", " + FormatStats(f.Packets, f.Bytes, f.Used, f.TCPFlags))
	if f.Layer != "" {
		b.WriteString(", dp:" + f.Layer)
	}
	o.ipv6 = f.Match.Key.Get(flow.EthType) == ethIPv6
	b.WriteString(", actions:" + actionsText(f.Actions, &o))
	return b.String()
}

// FormatStats writes a flow's counters as in FlowText.
func FormatStats(packets, bytes uint64, used time.Duration, tcpFlags uint16) string {
	s := fmt.Sprintf("packets:%d, bytes:%d, used:", packets, bytes)
	if used < 0 {
		s += "never"
	} else {
		s += fmt.Sprintf("%d.%03ds", used/time.Second, used%time.Second/time.Millisecond)
	}
	if tcpFlags != 0 {
		s += ", flags:" + tcpFlagLetters(tcpFlags)
	}
	return s
}

// tcpFlagLetters writes TCP flags in the short form of tcpdump.
func tcpFlagLetters(v uint16) string {
	var b strings.Builder
	for _, f := range []struct {
		bit  uint16
		text string
	}{{2, "S"}, {1, "F"}, {8, "P"}, {4, "R"}, {0x20, "U"}, {0x10, "."}, {0x40, "E"}, {0x80, "C"}, {0x100, "N"},
		{0x200, "[200]"}, {0x400, "[400]"}, {0x800, "[800]"}} {
		if v&f.bit != 0 {
			b.WriteString(f.text)
		}
	}
	return b.String()
}

// SplitFlow takes a line of dump-flows apart into the texts of its key and actions.
func SplitFlow(line string) (key, actions string, err error) {
	if rest, ok := strings.CutPrefix(line, "ufid:"); ok {
		i := strings.IndexByte(rest, ' ')
		if i < 0 {
			return "", "", fmt.Errorf("%q: no key behind the UFID: %w", line, errSyntax)
		}
		line = rest[i+1:]
	}
	key, rest, ok := strings.Cut(line, ", packets:")
	if !ok {
		return "", "", fmt.Errorf("%q: no packets: %w", line, errSyntax)
	}
	if _, actions, ok = strings.Cut(rest, ", actions:"); !ok {
		return "", "", fmt.Errorf("%q: no actions: %w", line, errSyntax)
	}
	actions, _, _ = strings.Cut(actions, ", dp-extra-info:")
	return key, actions, nil
}
