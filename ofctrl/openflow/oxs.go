package openflow

// classOXS is the class of OpenFlow's extensible statistics (1.5 section 7.2.4.2).
const classOXS = 0x8002

// Statistics fields by number.
const (
	oxsDuration = 1 << iota
	oxsIdle
	_
	oxsFlows
	oxsPackets
	oxsBytes
)

// flowCounts is a list of statistics. Fields that are not in it are unknown: counters ^0.
type flowCounts struct {
	has            uint8
	sec, nsec      uint32
	idle           uint32 // seconds; the nanoseconds do not matter
	flows          uint32
	packets, bytes uint64
}

// pull reads a list of statistics with its header and padding. Unknown fields are skipped.
func (s *flowCounts) pull(b []byte) (rest []byte, err error) {
	*s = flowCounts{packets: ^uint64(0), bytes: ^uint64(0)}
	if len(b) < 4 {
		return nil, bad(BadLen, "statistics of %d bytes", len(b))
	}
	n := int(be16(b[2:]))
	if n < 4 || pad8(n) > len(b) {
		return nil, bad(BadLen, "statistics length %d in %d bytes", n, len(b))
	}
	rest = b[pad8(n):]
	for b = b[4:n]; len(b) > 0; {
		if len(b) < 4 || int(b[3])+4 > len(b) {
			return nil, bad(BadLen, "statistics field in %d bytes", len(b))
		}
		class, num, v := be16(b), b[2]>>1, b[4:4+int(b[3])]
		b = b[4+len(v):]
		size := [6]int{8, 8, 0, 4, 8, 8}
		if class != classOXS || num > 5 || num == 2 {
			continue
		}
		if len(v) != size[num] {
			return nil, bad(BadLen, "statistics field %d of %d bytes", num, len(v))
		}
		s.has |= 1 << num
		switch uint8(1) << num {
		case oxsDuration:
			s.sec, s.nsec = be32(v), be32(v[4:])
		case oxsIdle:
			s.idle = be32(v)
		case oxsFlows:
			s.flows = be32(v)
		case oxsPackets:
			s.packets = be64(v)
		case oxsBytes:
			s.bytes = be64(v)
		}
	}
	return rest, nil
}

// put writes the statistics of has.
func (s *flowCounts) put(e *encoder, has uint8) error {
	at := len(e.b)
	e.u16(0, 0)
	field := func(num, n uint32) { e.u32(classOXS<<16 | num<<9 | n) }
	if has&oxsDuration != 0 {
		field(0, 8)
		e.u32(s.sec, s.nsec)
	}
	if has&oxsIdle != 0 {
		field(1, 8)
		e.u32(s.idle, 0)
	}
	if has&oxsPackets != 0 {
		field(4, 8)
		e.u64(s.packets)
	}
	if has&oxsBytes != 0 {
		field(5, 8)
		e.u64(s.bytes)
	}
	if has&oxsFlows != 0 {
		field(3, 4)
		e.u32(s.flows)
	}
	if err := e.setLen(at, 2); err != nil {
		return err
	}
	e.alignFrom(at)
	return nil
}
