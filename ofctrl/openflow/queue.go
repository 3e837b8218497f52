package openflow

// Queue properties: rates in 1/10 percent of the link.
const (
	queueMinRate = 1
	queueMaxRate = 2
)

// RateUnknown is the rate of a queue that is not told.
const RateUnknown = 0xffff

func decodeQueueConfigRequest(d *decoder) (Message, error) {
	p := port10(be16(d.body))
	if d.v > V10 {
		var err error
		if p, err = outPort11(be32(d.body)); err != nil {
			return nil, err
		}
	}
	if p >= 0xff00 && p != PortAny {
		return nil, bad(QueueBadPort, "queues of port %v", p)
	}
	return &QueueConfigRequest{p}, nil
}

func encodeQueueConfigRequest(e *encoder, m *QueueConfigRequest) error {
	switch {
	case e.v == V10:
		e.begin(20)
		e.u16(m.Port.to10(), 0)
	case e.v <= V13:
		e.begin(22)
		e.u32(uint32(m.Port), 0)
	default:
		return bad(NXUnencodable, "queue-get-config in OpenFlow 1.%d", e.v-V10)
	}
	return nil
}

// queueHead is the length of a queue's structure before its properties.
func queueHead(v Version) int {
	if v < V12 {
		return 8
	}
	return 16
}

func decodeQueueConfigReply(d *decoder) (Message, error) {
	m := &QueueConfigReply{Port: PortNo(be32(d.body))}
	if d.v == V10 {
		m.Port = port10(be16(d.body))
	}
	for b := d.body[8:]; len(b) > 0; {
		q := QueueConfig{Port: m.Port, Queue: be32(b), MinRate: RateUnknown, MaxRate: RateUnknown}
		head, at := queueHead(d.v), 4
		if d.v >= V12 && len(b) >= head {
			q.Port, at = PortNo(be32(b[4:])), 8
		}
		if len(b) < head {
			return nil, bad(BadLen, "queue of %d bytes", len(b))
		}
		n := int(be16(b[at:]))
		if n < head || n > len(b) || n%8 != 0 {
			return nil, bad(BadLen, "queue length %d in %d bytes", n, len(b))
		}
		err := q.properties(b[head:n], 8)
		if err != nil {
			return nil, err
		}
		m.Queues, b = append(m.Queues, q), b[n:]
	}
	return m, nil
}

// properties reads a queue's, whose rate stands at offset at.
func (q *QueueConfig) properties(b []byte, at int) error {
	return eachProperty(b, func(typ uint16, prop []byte) error {
		if typ != queueMinRate && typ != queueMaxRate {
			return nil
		}
		if len(prop) < at+2 {
			return bad(BadLen, "queue property of %d bytes", len(prop))
		}
		if typ == queueMinRate {
			q.MinRate = be16(prop[at:])
		} else {
			q.MaxRate = be16(prop[at:])
		}
		return nil
	})
}

func encodeQueueConfigReply(e *encoder, m *QueueConfigReply) error {
	switch {
	case e.v == V10:
		e.begin(21)
		e.u16(m.Port.to10(), 0, 0, 0)
	case e.v <= V13:
		e.begin(23)
		e.u32(uint32(m.Port), 0)
	default:
		return bad(NXUnencodable, "queue-get-config in OpenFlow 1.%d", e.v-V10)
	}
	rate := func(typ, v uint16) {
		if v != RateUnknown {
			e.u16(typ, 16, 0, 0, v, 0, 0, 0)
		}
	}
	for _, q := range m.Queues {
		at, lenAt := len(e.b), 4
		e.u32(q.Queue)
		if e.v < V12 {
			e.u32(0)
		} else {
			e.u32(uint32(q.Port))
			e.u64(0)
			lenAt = 8
		}
		rate(queueMinRate, q.MinRate)
		rate(queueMaxRate, q.MaxRate)
		if err := e.setLen(at, lenAt); err != nil {
			return err
		}
	}
	return nil
}

func decodeQueueDescRequest(d *decoder) (MultipartBody, error) {
	p, err := outPort11(be32(d.body))
	return &QueueDescRequest{p, be32(d.body[4:])}, err
}

func decodeQueueDescReply(d *decoder) (MultipartBody, error) {
	m := &QueueDescReply{}
	for b := d.body; len(b) > 0; {
		if len(b) < 16 {
			return nil, bad(BadLen, "queue of %d bytes", len(b))
		}
		n := int(be16(b[8:]))
		if n < 16 || n > len(b) || n%8 != 0 {
			return nil, bad(BadLen, "queue length %d in %d bytes", n, len(b))
		}
		q := QueueConfig{Port: PortNo(be32(b)), Queue: be32(b[4:]), MinRate: RateUnknown, MaxRate: RateUnknown}
		if err := q.properties(b[16:n], 4); err != nil {
			return nil, err
		}
		m.Queues, b = append(m.Queues, q), b[n:]
	}
	return m, nil
}

func (m *QueueDescReply) put(e *encoder) error {
	rate := func(typ, v uint16) {
		if v != RateUnknown {
			e.u16(typ, 8, v, 0)
		}
	}
	for _, q := range m.Queues {
		at := len(e.b)
		e.u32(uint32(q.Port), q.Queue, 0, 0)
		rate(queueMinRate, q.MinRate)
		rate(queueMaxRate, q.MaxRate)
		if err := e.setLen(at, 8); err != nil {
			return err
		}
	}
	return nil
}
