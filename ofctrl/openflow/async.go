package openflow

// Forms of SetAsync.
const (
	AsyncStandard uint8 = iota
	AsyncNX             // NXT_SET_ASYNC_CONFIG: the form of 1.3
	AsyncNX2            // NXT_SET_ASYNC_CONFIG2: the form of 1.4
)

// reasons are those that a type has in a version.
func (t AsyncType) reasons(v Version) uint32 {
	switch {
	case t == AsyncPacketIn && v < V14:
		return 1<<(ReasonInvalidTTL+1) - 1
	case t == AsyncPacketIn:
		return 1<<(ReasonPacketOut+1) - 1
	case t == AsyncFlowRemoved:
		return 1<<(RemovedEviction+1) - 1
	case t == AsyncTableStatus:
		return 1<<3 | 1<<4 // vacancy down and up
	case t == AsyncRequestForward:
		return 1<<0 | 1<<1 // groups and meters
	}
	return 1<<0 | 1<<1 | 1<<2
}

// asyncFixed reads the form of 1.3: three types, primary and secondary.
func asyncFixed(b []byte) (c AsyncConfig) {
	for t := AsyncPacketIn; t <= AsyncFlowRemoved; t++ {
		for i := range 2 {
			c.Masks[t][i], c.Present[t][i] = be32(b[8*int(t)+4*i:]), true
		}
	}
	return c
}

// asyncProps reads the form of 1.4: a property for each type, secondary on even numbers.
func asyncProps(b []byte) (c AsyncConfig, err error) {
	err = eachProperty(b, func(typ uint16, prop []byte) error {
		if typ >= 2*uint16(NumAsync) {
			return bad(PropertyBadType, "asynchronous message property %d", typ)
		}
		mask, err := propU32(prop)
		t, i := typ/2, 1-typ%2
		c.Masks[t][i], c.Present[t][i] = mask, true
		return err
	})
	return c, err
}

func decodeSetAsync(d *decoder) (Message, error) {
	c, err := d.async()
	return d.setAsync(c, AsyncStandard, err)
}

// setAsync checks the reasons of a configuration: the form of 1.3 may have more than there are.
func (d *decoder) setAsync(c AsyncConfig, form uint8, err error) (Message, error) {
	for t := range c.Masks {
		for i, mask := range c.Masks[t] {
			known := AsyncType(t).reasons(d.v)
			if mask&^known != 0 && err == nil && (form == AsyncNX2 || form == AsyncStandard && d.v >= V14) {
				err = bad(AsyncInvalid, "reasons 0x%x of asynchronous message type %d", mask, t)
			}
			c.Masks[t][i] = mask & known
		}
	}
	return &SetAsync{Masks: c.Masks, Present: c.Present, Form: form}, err
}

func decodeGetAsyncReply(d *decoder) (Message, error) {
	c, err := d.async()
	return &GetAsyncReply{Masks: c.Masks, Present: c.Present}, err
}

func (d *decoder) async() (AsyncConfig, error) {
	if d.v == V13 {
		return asyncFixed(d.body), nil
	}
	return asyncProps(d.body)
}

func decodeNXSetAsync(d *decoder) (Message, error) {
	return d.setAsync(asyncFixed(d.body), AsyncNX, nil)
}

func decodeNXSetAsync2(d *decoder) (Message, error) {
	c, err := asyncProps(d.body)
	return d.setAsync(c, AsyncNX2, err)
}

func encodeSetAsync(e *encoder, m *SetAsync) error {
	c := AsyncConfig{m.Masks, m.Present}
	switch {
	case m.Form == AsyncNX:
		e.beginExp(nx, 19)
		c.putFixed(e)
	case m.Form == AsyncNX2:
		e.beginExp(nx, 27)
		c.putProps(e)
	case e.v >= V14:
		e.begin(28)
		c.putProps(e)
	case e.v == V13:
		e.begin(28)
		c.putFixed(e)
	default:
		e.beginExp(nx, 19)
		c.putFixed(e)
	}
	return nil
}

func encodeGetAsyncReply(e *encoder, m *GetAsyncReply) error {
	if e.v < V13 {
		return bad(NXUnencodable, "asynchronous configuration in OpenFlow 1.%d", e.v-V10)
	}
	e.begin(27)
	c := AsyncConfig{m.Masks, m.Present}
	if e.v == V13 {
		c.putFixed(e)
	} else {
		if c.Present == ([NumAsync][2]bool{}) {
			for t := range c.Present {
				c.Present[t] = [2]bool{true, true}
			}
		}
		c.putProps(e)
	}
	return nil
}

func (c *AsyncConfig) putFixed(e *encoder) {
	for t := AsyncPacketIn; t <= AsyncFlowRemoved; t++ {
		e.u32(c.Masks[t][0], c.Masks[t][1])
	}
}

func (c *AsyncConfig) putProps(e *encoder) {
	for typ := range 2 * uint16(NumAsync) {
		if t, i := typ/2, 1-typ%2; c.Present[t][i] {
			e.u16(typ, 8)
			e.u32(c.Masks[t][i])
		}
	}
}

func decodeSetPacketInFormat(d *decoder) (Message, error) {
	f := PacketInFormat(be32(d.body))
	if f > PacketInNXT2 {
		return nil, bad(BadPermission, "packet-in format %d", f)
	}
	return &SetPacketInFormat{f}, nil
}
