package conntrack

import "github.com/ovs-bpf/ovs-bpf/datapath/packet"

// TCPState is the state of one end of a TCP connection, in the numbers of OVS.
type TCPState uint8

// States of an end, in the order in which a connection goes through them.
const (
	TCPClosed      TCPState = 0 // has sent nothing yet
	TCPSynSent     TCPState = 2 // has sent something that nothing acknowledges yet
	TCPEstablished TCPState = 4
	TCPClosing     TCPState = 7 // has sent FIN
	TCPFinWait2    TCPState = 9 // its FIN is acknowledged
	TCPTimeWait    TCPState = 10
)

// Flags of a TCP header.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
	flagURG
)

// Window scaling of an end.
const (
	scaleMask    = 0x0f
	scaleOffered = 0x80 // it has sent the option
	scaleUnknown = 0x40 // its SYN was not seen

	maxScale = 14 // RFC 7323 section 2.3
)

// ackSlack is how far, in bytes, an acknowledgement may lie outside the window: a full unscaled window and a packet.
const ackSlack = 0xffff + 1500

// peer is one end of a TCP connection. The sequence numbers bound what it may send (G. van Rooij,
// "Real Stateful TCP Packet Filtering in IP Filter").
type peer struct {
	end   uint32 // the highest that it has sent
	limit uint32 // the highest that the other end lets it send
	// window is the largest that it has offered, in units of its scale.
	window uint32
	scale  uint8
	state  TCPState
}

// segment is what tracking reads of a TCP packet.
type segment struct {
	seq, ack uint32
	window   uint32
	flags    uint8
	length   uint32 // of the payload
	scale    uint8  // scaleOffered with the value, or 0
}

// parseSegment reads a TCP packet b without IP header, whose header length has been checked.
func parseSegment(b []byte) segment {
	n := int(b[12]>>4) * 4
	s := segment{
		seq: be.Uint32(b[4:]), ack: be.Uint32(b[8:]), window: uint32(be.Uint16(b[14:])),
		flags: b[13], length: uint32(len(b) - n),
	}
	if s.flags&flagSYN != 0 {
		s.scale = windowScale(b[packet.TCPLen:n])
	}
	return s
}

// windowScale finds the window scale option.
func windowScale(options []byte) uint8 {
	const end, noop, scale = 0, 1, 3
	for len(options) > 0 {
		switch options[0] {
		case end:
			return 0
		case noop:
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return 0
		}
		if options[0] == scale && options[1] == 3 {
			return min(options[2], maxScale) | scaleOffered
		}
		options = options[options[1]:]
	}
	return 0
}

// space is how many sequence numbers the segment takes.
func (s *segment) space() uint32 {
	n := s.length
	if s.flags&flagSYN != 0 {
		n++
	}
	if s.flags&flagFIN != 0 {
		n++
	}
	return n
}

// bogus reports whether no TCP sends these flags together.
func (s *segment) bogus() bool {
	f := s.flags
	switch {
	case f&flagSYN != 0 && f&(flagRST|flagFIN) != 0:
		return true
	case f&(flagSYN|flagACK|flagRST) == 0:
		return true
	}
	return f&flagACK == 0 && f&(flagFIN|flagPSH|flagURG) != 0
}

// opens reports whether the segment may begin a connection: a SYN, or one of a connection that is older
// than the table.
func (s *segment) opens() bool { return !s.bogus() && s.flags&(flagSYN|flagACK) != flagSYN|flagACK }

// before reports whether sequence number a lies before b.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// unscaled is the window of a SYN, which is not scaled, in units of a scale, rounded up.
func unscaled(window uint32, scale uint8) uint32 {
	s := scale & scaleMask
	return (window + 1<<s - 1) >> s
}

// open starts a connection with its first segment.
func (c *conn) open(s *segment) {
	src, dst := &c.tcp[0], &c.tcp[1]
	*src = peer{end: s.seq, limit: s.seq + s.space() + 1, window: max(s.window, 1), state: TCPSynSent}
	*dst = peer{limit: 1, window: 1}
	if s.flags&flagSYN != 0 {
		src.scale = s.scale
		src.window = unscaled(src.window, src.scale)
	} else {
		src.scale, dst.scale = scaleUnknown, scaleUnknown
	}
	c.timer = TCPFirst
}

// verdict is what a packet means to its connection.
type verdict uint8

const (
	valid    verdict = iota
	nearly           // valid, but does not keep the connection alive
	validNew         // belongs to it, but it has seen no answer
	invalid
	renews // the connection is over and this is the first packet of another
)

// segment moves a TCP connection on. check says that sequence numbers outside the windows are invalid; bypassed: they
// are outside, and valid.
func (c *conn) segment(s *segment, reply, check bool) (v verdict, bypassed bool) {
	src, dst := &c.tcp[0], &c.tcp[1]
	if reply {
		src, dst = dst, src
	}
	if s.bogus() {
		return invalid, false
	}
	if s.flags&(flagSYN|flagACK) == flagSYN {
		switch {
		case src.state >= TCPFinWait2 && dst.state >= TCPFinWait2:
			src.state, dst.state = TCPClosed, TCPClosed
			return renews, false
		case src.state <= TCPSynSent:
			src.state = TCPSynSent
			c.timer = TCPFirst
			return validNew, false
		}
	}

	// How much the windows of this segment and of the other end are scaled.
	var sws, dws uint8
	if s.flags&flagSYN == 0 {
		switch {
		case src.scale&scaleOffered != 0 && dst.scale&scaleOffered != 0:
			sws, dws = src.scale&scaleMask, dst.scale&scaleMask
		case src.scale&scaleUnknown != 0 && dst.scale&scaleUnknown != 0:
			sws, dws = maxScale, maxScale
		}
	}
	seq, ack, win := s.seq, s.ack, s.window
	end := seq + s.space()
	fresh := false // nothing is known yet of what this end may acknowledge
	if src.state < TCPSynSent {
		if s.flags&flagSYN != 0 && dst.scale&scaleOffered != 0 {
			if src.scale = s.scale; src.scale&scaleOffered != 0 {
				sws, dws = src.scale&scaleMask, dst.scale&scaleMask
				win = unscaled(win, sws)
			} else {
				// Without both options no window is scaled, also not the first.
				dst.window <<= dst.scale & scaleMask
				dst.scale = 0
			}
		}
		src.end, src.state = seq, TCPSynSent
		if limit := end + max(1, dst.window<<dws); src.limit == 1 || !before(limit, src.limit) {
			src.limit, fresh = limit, true
		}
		src.window = max(src.window, win)
	}
	if s.flags&flagACK == 0 || ack == 0 && s.flags&(flagACK|flagRST) == flagACK|flagRST {
		ack = dst.end // acknowledges nothing, or belongs to a stack that resets so
	}
	if seq == end {
		// Without data any number will do.
		seq, end = src.end, src.end
	}
	var skew int64
	if !fresh {
		skew = int64(int32(dst.end - ack))
	}

	inWindow := c.inWindow(s, src, dst, seq, end, skew, sws, dws)
	bypassed = !inWindow && !check
	switch {
	case inWindow || !check:
		c.advance(s, src, dst, end, ack, win, sws)
		c.timer = tcpTimer(src.state, dst.state)
	case (dst.state < TCPSynSent || dst.state >= TCPFinWait2 || src.state >= TCPFinWait2) &&
		!before(src.limit+ackSlack, end) && !before(seq, src.end-ackSlack):
		// An end that repeats its SYN, a connection found half-way, or what comes after the end: nearly in
		// the window is enough, and nothing is acknowledged by it.
		ends := *s
		ends.flags &^= flagACK | flagSYN
		c.advance(&ends, src, dst, end, ack, win, sws)
		return nearly, false
	default:
		return invalid, false
	}
	return valid, bypassed
}

// inWindow reports whether a segment is one that the end may send, and acknowledges what the other
// may have sent.
func (c *conn) inWindow(s *segment, src, dst *peer, seq, end uint32, skew int64, sws, dws uint8) bool {
	return !before(src.limit, end) &&
		!before(seq, src.end-dst.window<<dws) && // sent again: at most a window back
		skew >= -ackSlack && skew <= ackSlack<<sws &&
		// A reset must have the number that comes next, or nearly.
		(s.flags&flagRST == 0 || s.seq-src.end+1 <= 2)
}

// advance takes over what a segment says.
func (c *conn) advance(s *segment, src, dst *peer, end, ack, win uint32, sws uint8) {
	src.window = max(src.window, win)
	if before(src.end, end) {
		src.end = end
	}
	if !before(ack+win<<sws, dst.limit) {
		dst.limit = ack + max(win<<sws, 1)
	}
	if s.flags&flagSYN != 0 && src.state < TCPSynSent {
		src.state = TCPSynSent
	}
	if s.flags&flagFIN != 0 && src.state < TCPClosing {
		src.state = TCPClosing
	}
	if s.flags&flagACK != 0 {
		switch dst.state {
		case TCPSynSent:
			dst.state = TCPEstablished
		case TCPClosing:
			dst.state = TCPFinWait2
		}
	}
	if s.flags&flagRST != 0 {
		src.state, dst.state = TCPTimeWait, TCPTimeWait
	}
}

// tcpTimer is the timer of a connection by the states of its ends.
func tcpTimer(a, b TCPState) Timer {
	switch low, high := min(a, b), max(a, b); {
	case low >= TCPFinWait2:
		return TCPClose
	case low >= TCPClosing:
		return TCPFin
	case low < TCPEstablished:
		return TCPOpening
	case high >= TCPClosing:
		return TCPFirstFin
	}
	return TCPEstab
}
