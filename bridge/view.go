package bridge

import (
	"maps"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
)

// view is what translations see of a bridge: immutable, replaced whole by a reconfiguration.
type view struct {
	ports   map[openflow.PortNo]*pipeline.Port
	order   []*pipeline.Port // by number
	bundles []*bundle        // by name
	of      map[openflow.PortNo]*bundle
	byID    map[bundleID]*bundle

	indexes  map[openflow.PortNo]uint32 // of devices
	sampling *pipeline.Sampling         // nil: nothing is sampled
	mirrors  []mirrorView               // by their bits
	snooping *snooping                  // nil: off

	frag        uint16
	forwardBPDU bool
}

// bundleID names a Port row of a bridge for as long as the bridge lives: the MAC table's port.
type bundleID uint32

// bundle is a Port row: what NORMAL forwards to. It has several members when it is a bond.
type bundle struct {
	id        bundleID
	name      string
	vlan      vlan.Port
	protected bool
	snooping  portSnooping
	members   []*pipeline.Port
}

// equal compares what translations can tell apart.
func (v *view) equal(o *view) bool {
	if v == nil || o == nil || v.frag != o.frag || !maps.Equal(v.indexes, o.indexes) || !reflect.DeepEqual(v.sampling, o.sampling) || v.forwardBPDU != o.forwardBPDU || len(v.order) != len(o.order) || len(v.bundles) != len(o.bundles) {
		return false
	}
	if (v.snooping == nil) != (o.snooping == nil) || v.snooping != nil && *v.snooping != *o.snooping {
		return false
	}
	if !slices.EqualFunc(v.mirrors, o.mirrors, mirrorView.equal) {
		return false
	}
	for i, p := range v.order {
		q := o.order[i]
		// Bridges, counters and protocols are compared as pointers: DeepEqual would walk into them.
		if p.Peer != q.Peer || p.Rx != q.Rx || p.Tx != q.Tx || !slices.Equal(p.Protocols, q.Protocols) {
			return false
		}
		a, b := *p, *q
		a.Peer, a.Rx, a.Tx, a.Protocols = nil, nil, nil, nil
		b.Peer, b.Rx, b.Tx, b.Protocols = nil, nil, nil, nil
		if !reflect.DeepEqual(a, b) {
			return false
		}
	}
	for i, b := range v.bundles {
		c := o.bundles[i]
		if b.id != c.id || b.name != c.name || b.protected != c.protected || b.snooping != c.snooping || !b.vlan.Equal(&c.vlan) || len(b.members) != len(c.members) {
			return false
		}
		for j := range b.members {
			if b.members[j].No != c.members[j].No {
				return false
			}
		}
	}
	return true
}

// version counts the views of a bridge; it implements datapath.Versioned.
type version struct{ n atomic.Uint64 }

func (v *version) Version() uint64 { return v.n.Load() }
