package conntrack

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// fragmentTimeout is how long a first fragment is remembered, in ns; RFC 791 section 3.2 and RFC 8200 section 4.5 wait
// 15 to 60 s.
const fragmentTimeout = 30e9

// fragmentKey identifies a fragmented packet in a zone: behind a translation it may have other ports there.
type fragmentKey struct {
	Src, Dst [16]byte
	ID       uint32
	Zone     uint16
	Proto    uint8
	Family   uint8
}

type fragmentPorts struct {
	src, dst uint16
	expires  int64
}

// fragments remember the ports of first fragments for those that follow, which have none. The oldest gives way.
type fragments struct {
	set   FragmentSettings
	stats [2]FragmentStats // IPv4, IPv6
	ports map[fragmentKey]fragmentPorts
	ring  [MaxFragments]fragmentKey // the first set.Max are used
	next  int
}

// fragment gives a later fragment the ports of its first one, and remembers those of a first one. false: it is
// invalid, as a later fragment whose first one has not been seen.
func (t *Table) fragment(h *header, now int64) bool {
	f := &t.fragments
	v := version(h.tuple.Family)
	s := &f.stats[v]
	if f.set.Disabled[v] {
		return false
	}
	if h.more && h.end-h.l3 < int(f.set.Min[v]) {
		s.TooSmall++
		return false
	}
	k := fragmentKey{h.tuple.Src, h.tuple.Dst, h.fragID, h.tuple.Zone, h.tuple.Proto, h.tuple.Family}
	if h.later() {
		p, ok := f.ports[k]
		h.tuple.SrcPort, h.tuple.DstPort = p.src, p.dst
		if !ok || p.expires <= now {
			return false
		}
		s.Accepted++
		if !h.more {
			s.Completed++
		}
		return true
	}
	if h.related {
		return true // its connection is another's
	}
	if f.set.Max == 0 {
		return false
	}
	if p, ok := f.ports[k]; ok && p.expires <= now {
		f.drop(k, now)
	}
	if _, ok := f.ports[k]; !ok {
		f.drop(f.ring[f.next], now)
		f.ring[f.next] = k
		f.next = (f.next + 1) % int(f.set.Max)
	}
	f.ports[k] = fragmentPorts{h.tuple.SrcPort, h.tuple.DstPort, now + fragmentTimeout}
	s.Accepted++
	return true
}

// drop forgets a first fragment, for another one or because its time is over.
func (f *fragments) drop(k fragmentKey, now int64) {
	p, ok := f.ports[k]
	if !ok {
		return
	}
	delete(f.ports, k)
	if s := &f.stats[version(k.Family)]; p.expires <= now {
		s.Expired++
	} else {
		s.Purged++
	}
}

// later reports whether the packet is a fragment without a transport header.
func (h *header) later() bool { return h.frag&flow.FragLater != 0 }

// version is the index of an IP version in FragmentSettings.
func version(family uint8) int {
	if family == FamilyIPv6 {
		return 1
	}
	return 0
}
