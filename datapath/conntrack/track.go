package conntrack

import (
	"encoding/binary"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// Track does what a ct action says to a packet, and writes the conntrack members of its key, which must be
// the packet's. pass is false for a packet that must not go on: its connection was to be committed, and there was
// no room, or no tuple to translate it to.
func (t *Table) Track(p *packet.Packet, key *flow.Key, a *odp.CT) (pass bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Now()
	t.sweep(swept, now)

	// Of an earlier ct in the same zone only that it has translated counts.
	was := State(key.Get(flow.CTState)) & natBits
	if uint16(key.Get(flow.CTZone)) != a.Zone {
		was = 0
	}
	h := header{}
	if !h.parse(p, key, !t.o.SkipChecksums) {
		t.counters.Invalid++
		switch h.wrong {
		case wrongL3:
			t.counters.L3Checksum++
		case wrongL4:
			t.counters.L4Checksum++
		}
		write(key, Invalid, a.Zone, nil, nil)
		return true
	}
	h.tuple.Zone = a.Zone
	if h.frag != 0 && !t.fragment(&h, now) {
		t.counters.Invalid++
		write(key, Invalid, a.Zone, nil, nil)
		return true
	}
	c, reply := t.lookup(&h, was != 0, now)
	if c != nil && a.Force && reply && !h.related && !h.later() {
		t.remove(c)
		c, reply = nil, false
	}

	state := was
	create := false
	translates := a.NAT != nil && was == 0
	if c != nil && c.helper == ftpHelper && translates && !h.related && h.frag == 0 {
		c.adjustAck(p, &h, reply)
	}
	switch {
	case c == nil && h.related:
		state = Invalid
	case c == nil && h.later():
		if translates && a.Commit && (a.NAT.Src || a.NAT.Dst) {
			return false // its first fragment has made no connection that says how
		}
		state |= New // like its first fragment, which makes the connection
	case c == nil:
		create = true
	case h.related:
		state |= Related
		if reply {
			state |= Reply
		}
	default:
		switch v := t.advance(c, p, &h, reply, now); v {
		case invalid:
			state = Invalid
		case renews:
			t.remove(c)
			c, create, reply = nil, true, false
		case validNew:
			state |= New
		case valid, nearly:
			state |= Established
			if reply {
				state |= Reply
			}
		}
		if c != nil && c.related && state != Invalid {
			state |= Related
		}
	}
	var expected *expectation
	if create {
		expected = t.announcement(&h.tuple, now)
		if !h.opens(p) {
			state = Invalid
		} else {
			state |= New
			if expected != nil {
				state |= Related
			}
			if a.Commit {
				if c = t.create(p, &h, a, expected, now); c == nil {
					return false
				}
			}
		}
	}
	if state&Invalid != 0 {
		t.counters.Invalid++
	} else if c != nil {
		if c.nat != 0 && translates {
			state |= c.translate(p, key, &h, reply)
		}
		if !c.related { // what a connection has from its master stays
			c.set(a)
		}
		if c.helper != noHelper && !h.related && h.frag == 0 && !t.help(c, p, &h, translates, reply, now) {
			state |= Invalid
			t.counters.Invalid++
		}
	}
	if c == nil && expected != nil && state&Invalid == 0 {
		c = expected.master // it lends what it would pass on
	}
	write(key, state, a.Zone, &h.tuple, c)
	return true
}

// set changes mark and label as a ct action says.
func (c *conn) set(a *odp.CT) {
	if a.Mark != nil {
		c.mark = c.mark&^a.Mark[1] | a.Mark[0]&a.Mark[1]
	}
	if a.Label != nil {
		for i, m := range a.Label[1] {
			c.label[i] = c.label[i]&^m | a.Label[0][i]&m
		}
	}
}

// lookup finds the packet's connection. A packet that was translated before is found by what would answer it.
func (t *Table) lookup(h *header, translated bool, now int64) (c *conn, reply bool) {
	if translated {
		r := h.tuple.Reverse()
		if c, reply = t.find(&r, now); c != nil {
			return c, !reply
		}
		t.counters.NattedMiss++
	}
	return t.find(&h.tuple, now)
}

// advance moves a connection on by one of its packets.
func (t *Table) advance(c *conn, p *packet.Packet, h *header, reply bool, now int64) (v verdict) {
	if h.later() {
		if reply || c.replied {
			return nearly
		}
		return validNew
	}
	if c.orig.Proto == packet.ProtoTCP {
		s := parseSegment(p.Data[h.l4:h.end])
		var bypassed bool
		switch v, bypassed = c.segment(&s, reply, t.check); {
		case v == invalid && s.bogus():
			t.counters.InvalidFlags++
		case v == invalid:
			t.counters.SequenceFailed++
		case bypassed:
			t.counters.SequenceBypass++
		}
	} else {
		v = c.silent(reply)
	}
	if v == valid || v == validNew {
		t.touch(c, reply, now)
	}
	return v
}

// opens reports whether a packet may begin a connection.
func (h *header) opens(p *packet.Packet) bool {
	switch {
	case h.tuple.Proto == packet.ProtoTCP:
		s := parseSegment(p.Data[h.l4:h.end])
		return s.opens()
	case h.tuple.ICMP():
		_, asks := query(h.tuple.Family, h.tuple.ICMPType())
		return asks
	}
	return true
}

// create makes the connection of a packet that opens one; nil: it cannot.
func (t *Table) create(p *packet.Packet, h *header, a *odp.CT, e *expectation, now int64) *conn {
	if !t.room(h.tuple.Zone, now) {
		return nil
	}
	nat := a.NAT
	if e != nil && nat != nil {
		nat = e.nat()
	}
	reply, ok := t.choose(&h.tuple, nat, now)
	if !ok {
		t.counters.Clash++
		return nil
	}
	c := &conn{orig: h.tuple, reply: reply, nat: natOf(nat), timeouts: &DefaultTimeouts, helper: helperOf(a.Helper, h.tuple.Proto)}
	if e != nil {
		m := e.master
		c.related, c.parent, c.mark, c.label = true, m.orig, m.mark, m.label
	}
	if to := t.policies[a.Timeout]; to != nil {
		c.timeouts = to
	}
	switch {
	case h.tuple.Proto == packet.ProtoTCP:
		s := parseSegment(p.Data[h.l4:h.end])
		c.open(&s)
	case h.tuple.Proto == packet.ProtoUDP:
		c.timer = UDPFirst
	case h.tuple.ICMP():
		c.timer = ICMPFirst
	default:
		c.timer = OtherFirst
	}
	c.expires = now + int64(c.timeouts[c.timer])*1e9
	t.insert(c)
	return c
}

// write fills the conntrack members of a key: from the connection, or while there is none from the tuple,
// which is nil when the packet has none.
func write(key *flow.Key, s State, zone uint16, tuple *Tuple, c *conn) {
	var mark uint32
	var label [16]byte
	if c != nil {
		mark, label, tuple = c.mark, c.label, &c.orig
		if c.related {
			tuple = &c.parent
		}
	}
	Clear(key)
	key.Set(flow.CTState, uint64(s|Tracked))
	key.Set(flow.CTZone, uint64(zone))
	key.Set(flow.CTMark, uint64(mark))
	key.SetBytes(flow.CTLabel, label[:])
	if tuple == nil {
		return
	}
	key.Set(flow.CTNwProto, uint64(tuple.Proto))
	if tuple.Family == FamilyIPv4 {
		key.Set(flow.CTNwSrc, uint64(binary.BigEndian.Uint32(tuple.Src[12:])))
		key.Set(flow.CTNwDst, uint64(binary.BigEndian.Uint32(tuple.Dst[12:])))
	} else {
		key.SetBytes(flow.CTIPv6Src, tuple.Src[:])
		key.SetBytes(flow.CTIPv6Dst, tuple.Dst[:])
	}
	src, dst := tuple.SrcPort, tuple.DstPort
	if tuple.ICMP() {
		src, dst = uint16(tuple.ICMPType()), uint16(tuple.ICMPCode())
	}
	key.Set(flow.CTTPSrc, uint64(src))
	key.Set(flow.CTTPDst, uint64(dst))
}

// Clear zeroes the conntrack members of a key: the packet is untracked.
func Clear(key *flow.Key) {
	for _, id := range [...]flow.FieldID{flow.CTState, flow.CTZone, flow.CTMark, flow.CTLabel, flow.CTNwProto, flow.CTNwSrc,
		flow.CTNwDst, flow.CTIPv6Src, flow.CTIPv6Dst, flow.CTTPSrc, flow.CTTPDst} {
		f := id.Info()
		clear(key.Bytes()[f.Off : f.Off+f.Size])
	}
}
