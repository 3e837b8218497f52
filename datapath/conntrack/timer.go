package conntrack

import "fmt"

// Timer says how long a connection may be silent in its state.
type Timer uint8

// The timers.
const (
	TCPFirst    Timer = iota // a SYN
	TCPOpening               // an end has had no acknowledgement
	TCPEstab                 // established
	TCPFirstFin              // one end has closed
	TCPFin                   // both ends have closed
	TCPClose                 // both ends' FIN are acknowledged, or a reset
	UDPFirst                 // one packet
	UDPSingle                // several in one direction
	UDPMultiple              // both directions
	ICMPFirst                // a query
	ICMPReply                // an answer
	OtherFirst               // as of UDP, for protocols without timers of their own
	OtherSingle
	OtherMultiple
	numTimers
)

// Timeouts are the times of all timers in seconds.
type Timeouts [numTimers]uint32

// DefaultTimeouts are OVS's.
var DefaultTimeouts = Timeouts{
	TCPFirst: 30, TCPOpening: 30, TCPEstab: 24 * 60 * 60, TCPFirstFin: 15 * 60, TCPFin: 45, TCPClose: 30,
	UDPFirst: 60, UDPSingle: 60, UDPMultiple: 30, ICMPFirst: 60, ICMPReply: 30,
	OtherFirst: 60, OtherSingle: 60, OtherMultiple: 30,
}

// timerNames are the keys of CT_Timeout_Policy.timeouts that say something here (ovs-vswitchd.conf.db(5)).
var timerNames = map[string]Timer{
	"tcp_syn_sent": TCPFirst, "tcp_syn_recv": TCPOpening, "tcp_established": TCPEstab, "tcp_fin_wait": TCPFirstFin,
	"tcp_time_wait": TCPFin, "tcp_close": TCPClose, "udp_first": UDPFirst, "udp_single": UDPSingle,
	"udp_multiple": UDPMultiple, "icmp_first": ICMPFirst, "icmp_reply": ICMPReply,
}

// onlyKernel are keys for states that this state machine does not tell apart.
var onlyKernel = map[string]bool{
	"tcp_close_wait": true, "tcp_last_ack": true, "tcp_syn_sent2": true, "tcp_retransmit": true, "tcp_unack": true,
}

// PolicyTimeouts are the default timeouts with the changes of a policy, in seconds by OVSDB key.
func PolicyTimeouts(policy map[string]uint32) (Timeouts, error) {
	t := DefaultTimeouts
	for name, s := range policy {
		switch timer, ok := timerNames[name]; {
		case ok:
			t[timer] = s
		case !onlyKernel[name]:
			return t, fmt.Errorf("no timeout %q", name)
		}
	}
	return t, nil
}
