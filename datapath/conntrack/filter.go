package conntrack

// Filter chooses connections; its zero value chooses all.
type Filter struct {
	Zone             *uint16
	Mark, MarkMask   uint32
	Label, LabelMask [16]byte
	Orig, Reply      *TuplePart
}

// TuplePart says some parts of a tuple; nil members and protocol 0 fit all.
type TuplePart struct {
	Proto              uint8
	Src, Dst           *[16]byte
	SrcPort, DstPort   *uint16
	ICMPID             *uint16
	ICMPType, ICMPCode *uint8
}

// Matches reports whether a connection is chosen.
func (f *Filter) Matches(e *Entry) bool {
	if f.Zone != nil && *f.Zone != e.Orig.Zone || (e.Mark^f.Mark)&f.MarkMask != 0 {
		return false
	}
	for i, m := range f.LabelMask {
		if (e.Label[i]^f.Label[i])&m != 0 {
			return false
		}
	}
	return f.Orig.matches(&e.Orig) && f.Reply.matches(&e.Reply)
}

func (p *TuplePart) matches(t *Tuple) bool {
	if p == nil {
		return true
	}
	icmp := t.ICMP()
	return (p.Proto == 0 || p.Proto == t.Proto) && fits(p.Src, t.Src) && fits(p.Dst, t.Dst) &&
		(p.SrcPort == nil || !icmp && *p.SrcPort == t.SrcPort) &&
		(p.DstPort == nil || !icmp && *p.DstPort == t.DstPort) &&
		(p.ICMPID == nil || icmp && *p.ICMPID == t.SrcPort) &&
		(p.ICMPType == nil || icmp && *p.ICMPType == t.ICMPType()) &&
		(p.ICMPCode == nil || icmp && *p.ICMPCode == t.ICMPCode())
}

func fits[T comparable](want *T, v T) bool { return want == nil || *want == v }
