// Package vlan is what a port's VLAN mode does to a packet's tags under NORMAL, as
// ovs-vswitchd.conf.db(5) has it under Port:vlan_mode. Where the manual says nothing, it does
// what ovs-vswitchd 3.1 does (the recorded answers in testdata).
//
// A packet goes through three steps. The port that it comes in by admits it (Admit) and
// translates its tags (Input) into the switch's own view: a stack whose first VID is the
// packet's VLAN. Each port that carries that VLAN (Carries) translates it back (Output).
package vlan

// Tag protocol identifiers.
const (
	TPID8021Q  = 0x8100
	TPID8021AD = 0x88a8
)

// Tag is one VLAN tag. The zero Tag is none.
type Tag struct {
	TPID uint16
	VID  uint16 // 0 to 4095
	PCP  uint8  // 0 to 7
}

// FromTCI splits a tag control information; the bit between VID and PCP does not count.
func FromTCI(tpid, tci uint16) Tag { return Tag{tpid, tci & 0xfff, uint8(tci >> 13)} }

// TCI is the tag control information, with 0 for the bit between VID and PCP.
func (t Tag) TCI() uint16 { return uint16(t.PCP)<<13 | t.VID }

// MaxTags is how many tags matter, as in OVS: those that a match can see.
const MaxTags = 2

// Stack is tags from the outermost inwards. On the wire it ends at the first zero Tag; in the
// switch's view a zero Tag is VLAN 0.
type Stack [MaxTags]Tag

// VID is the VLAN that a stack in the switch's view is in.
func (s Stack) VID() uint16 { return s[0].VID }

// Depth is the number of tags of a stack on the wire.
func (s Stack) Depth() int {
	for n, t := range s {
		if t == (Tag{}) {
			return n
		}
	}
	return len(s)
}

// push puts t outside; a tag too many is lost from the inside.
func (s Stack) push(t Tag) Stack {
	copy(s[1:], s[:])
	s[0] = t
	return s
}

// pop takes the outermost tag off.
func (s Stack) pop() Stack {
	copy(s[:], s[1:])
	s[len(s)-1] = Tag{}
	return s
}

// Admit reports whether a packet with these tags on the wire may come in by p. A trunk that
// does not carry the VLAN refuses it, an access port any VLAN but 0, its own included.
func (p *Port) Admit(in Stack) bool {
	vid := in[0].VID
	switch p.Mode {
	case Access:
		return vid == 0
	case NativeTagged, NativeUntagged:
		return vid == 0 || p.Trunks.Has(vid)
	case Dot1qTunnel:
		return p.CVLANs.Has(vid)
	}
	return p.Trunks.Has(vid)
}

// Input translates the tags of a packet that came in by p, and was admitted, into the switch's
// view.
func (p *Port) Input(in Stack) Stack {
	switch p.Mode {
	case Access:
		return Stack{p.own(in[0])}
	case NativeTagged, NativeUntagged:
		if in[0].VID == 0 {
			in[0] = p.own(in[0])
		}
	case Dot1qTunnel:
		in = in.push(Tag{TPID: p.ServiceTPID, VID: p.Tag})
	}
	return in
}

// own is a tag of VLAN 0, or none, made one of the port's VLAN; its priority stays.
func (p *Port) own(t Tag) Tag {
	if t.TPID == 0 {
		t.TPID = TPID8021Q
	}
	t.VID = p.Tag
	return t
}

// Carries reports whether p takes part in flooding a packet of this stack, in the switch's
// view. An access port does not let out what would still be tagged by a customer's VLAN.
func (p *Port) Carries(s Stack) bool {
	vid, inner := s[0].VID, s[1].VID
	switch p.Mode {
	case Access:
		return vid == p.Tag && inner == 0
	case Dot1qTunnel:
		return vid == p.Tag && p.CVLANs.Has(inner)
	}
	return p.Trunks.Has(vid)
}

// Output translates a stack in the switch's view into the tags of the packet that goes out by
// p. in are the tags with which the packet came in by its port: their priority goes into a
// priority tag.
func (p *Port) Output(s, in Stack) Stack {
	switch p.Mode {
	case Access:
		s = Stack{}
	case NativeUntagged:
		if s[0].VID == p.Tag {
			s = s.pop()
		}
	case Dot1qTunnel:
		s = s.pop()
	}
	if p.PriorityTags != Never {
		s[0].PCP = in[0].PCP
	}
	for n := range s {
		t := &s[n]
		empty := t.VID == 0 && t.PCP == 0
		if empty && !(p.PriorityTags == Always && t.TPID != 0) {
			// The wire has no gap: what is further inside is gone too.
			clear(s[n:])
			break
		}
		if t.TPID == 0 {
			t.TPID = TPID8021Q
		}
	}
	return s
}
