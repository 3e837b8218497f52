package vlan

// Mode is a port's VLAN mode.
type Mode uint8

// VLAN modes. The zero Mode is Trunk: a Port row without columns carries everything.
const (
	Trunk Mode = iota
	Access
	NativeTagged
	NativeUntagged
	Dot1qTunnel
)

// modeNames are the values of Port.vlan_mode.
var modeNames = map[string]Mode{
	"trunk":           Trunk,
	"access":          Access,
	"native-tagged":   NativeTagged,
	"native-untagged": NativeUntagged,
	"dot1q-tunnel":    Dot1qTunnel,
}

// Priority says when a port sends frames with a tag of VLAN 0.
type Priority uint8

// Values of other_config:priority-tags.
const (
	Never     Priority = iota
	IfNonzero          // when the priority is not 0
	Always             // also a tag without priority that came in is kept
)

// Port is the VLAN part of a Port row. The zero Port is a trunk of all VLANs.
type Port struct {
	Mode         Mode
	Tag          uint16   // the access, native or service VLAN; 0 for a Trunk
	Trunks       *Set     // of Trunk, NativeTagged and NativeUntagged
	CVLANs       *Set     // of Dot1qTunnel
	ServiceTPID  uint16   // of Dot1qTunnel
	PriorityTags Priority // for output
}

// Config is the columns of a Port row.
type Config struct {
	Mode   *string // vlan_mode
	Tag    *int
	Trunks []int
	CVLANs []int
	Other  map[string]string // other_config
}

// New reads a Port row. A value that the database would not take counts as absent; the mode
// that is absent is Access with a tag, Trunk without.
func New(c Config) Port {
	p := Port{ServiceTPID: TPID8021AD}
	tagged := c.Tag != nil && *c.Tag >= 0 && *c.Tag <= 4095
	if c.Mode != nil {
		p.Mode = modeNames[*c.Mode] // unknown: Trunk
	} else if tagged {
		p.Mode = Access
	}
	if tagged && p.Mode != Trunk {
		p.Tag = uint16(*c.Tag)
	}
	switch p.Mode {
	case Trunk:
		p.Trunks = NewSet(c.Trunks)
	case NativeTagged, NativeUntagged:
		p.Trunks = NewSet(c.Trunks)
		if p.Tag != 0 {
			p.Trunks = p.Trunks.native(p.Tag)
		}
	case Dot1qTunnel:
		p.CVLANs = NewSet(c.CVLANs)
	}
	if c.Other["qinq-ethtype"] == "802.1q" {
		p.ServiceTPID = TPID8021Q
	}
	switch c.Other["priority-tags"] {
	case "if-nonzero", "true": // the latter from before there was a third value
		p.PriorityTags = IfNonzero
	case "always":
		p.PriorityTags = Always
	}
	return p
}

// Equal reports whether two ports treat packets alike.
func (p *Port) Equal(o *Port) bool {
	a, b := *p, *o
	a.Trunks, a.CVLANs, b.Trunks, b.CVLANs = nil, nil, nil, nil
	return a == b && p.Trunks.equal(o.Trunks) && p.CVLANs.equal(o.CVLANs)
}

// Set is a set of VLANs; nil is all of them.
type Set [4096 / 64]uint64

// NewSet makes a set; without members it is all VLANs, as an empty column is.
func NewSet(vids []int) *Set {
	if len(vids) == 0 {
		return nil
	}
	s := new(Set)
	for _, v := range vids {
		if v >= 0 && v <= 4095 {
			s[v/64] |= 1 << (v % 64)
		}
	}
	return s
}

// native is s as a port with that native VLAN trunks it: always the native VLAN, and not VLAN
// 0, because what is untagged on the port is in the native one.
func (s *Set) native(vid uint16) *Set {
	var n Set
	if s != nil {
		n = *s
	} else {
		for i := range n {
			n[i] = ^uint64(0)
		}
	}
	n[vid/64] |= 1 << (vid % 64)
	n[0] &^= 1
	return &n
}

// Has reports whether vid (0 to 4095) is in the set.
func (s *Set) Has(vid uint16) bool {
	return s == nil || vid <= 4095 && s[vid/64]>>(vid%64)&1 != 0
}

func (s *Set) equal(o *Set) bool {
	if s == nil || o == nil {
		return s == o
	}
	return *s == *o
}
