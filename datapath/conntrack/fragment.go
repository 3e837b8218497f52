package conntrack

import "github.com/ovs-bpf/ovs-bpf/datapath/flow"

// Limits of what is remembered of fragmented packets.
const (
	maxFragments    = 1024
	fragmentTimeout = 30e9 // ns; RFC 791 section 3.2 and RFC 8200 section 4.5 wait 15 to 60 s
)

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
	ports map[fragmentKey]fragmentPorts
	ring  [maxFragments]fragmentKey
	next  int
}

// fragment gives a later fragment the ports of its first one, and remembers those of a first one. false: a
// later fragment whose first one has not been seen.
func (t *Table) fragment(h *header, now int64) bool {
	f := &t.fragments
	k := fragmentKey{h.tuple.Src, h.tuple.Dst, h.fragID, h.tuple.Zone, h.tuple.Proto, h.tuple.Family}
	if h.later() {
		p, ok := f.ports[k]
		h.tuple.SrcPort, h.tuple.DstPort = p.src, p.dst
		return ok && p.expires > now
	}
	if h.related {
		return true // its connection is another's
	}
	if f.ports == nil {
		f.ports = map[fragmentKey]fragmentPorts{}
	}
	if _, ok := f.ports[k]; !ok {
		delete(f.ports, f.ring[f.next])
		f.ring[f.next] = k
		f.next = (f.next + 1) % maxFragments
	}
	f.ports[k] = fragmentPorts{h.tuple.SrcPort, h.tuple.DstPort, now + fragmentTimeout}
	return true
}

// later reports whether the packet is a fragment without a transport header.
func (h *header) later() bool { return h.frag&flow.FragLater != 0 }
