package conntrack

// silent moves a connection without states of its own on: UDP, ICMP queries and protocols that are not
// looked into. Until there is an answer its packets are new.
func (c *conn) silent(reply bool) verdict {
	first, single, multiple := OtherFirst, OtherSingle, OtherMultiple
	switch c.timer {
	case UDPFirst, UDPSingle, UDPMultiple:
		first, single, multiple = UDPFirst, UDPSingle, UDPMultiple
	case ICMPFirst, ICMPReply:
		first, single, multiple = ICMPFirst, ICMPFirst, ICMPReply
	}
	switch {
	case reply, c.timer == multiple:
		c.timer = multiple
		return valid
	case c.timer == first:
		c.timer = single
	}
	return validNew
}
