package pipeline

import (
	"math/bits"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// Link selection of multipath (enum nx_mp_algorithm).
const (
	multipathModuloN = iota
	multipathHashThreshold
	multipathHRW
	multipathIterHash
)

// maxHRWLinks is how many links are compared with one another: with more, iter_hash takes hrw's place.
const maxHRWLinks = 64

// multipath writes the number of the link that a hash of the packet chooses.
func (x *xlate) multipath(a openflow.Multipath) {
	link := chooseLink(x.hashOf(a.Fields, a.Basis), a.Algorithm, uint32(a.MaxLink)+1, a.Arg)
	x.key.Write(a.Dst, []byte{byte(link >> 8), byte(link)})
	x.isNow(a.Dst)
}

// chooseLink is one of n links, which are at least 1 and at most 65,536.
func chooseLink(hash uint32, algorithm uint16, n, arg uint32) uint32 {
	switch {
	case algorithm == multipathModuloN:
		return hash % n
	case algorithm == multipathHashThreshold:
		if n == 1 {
			return 0
		}
		return hash / (^uint32(0)/n + 1)
	case algorithm == multipathHRW && n <= maxHRWLinks:
		best, top := uint32(0), murmur2(hash, 0)
		for link := uint32(1); link < n; link++ {
			if w := murmur2(hash, link); w > top {
				best, top = link, w
			}
		}
		return best
	case algorithm == multipathHRW:
		arg = 0
	}
	// Each try hits with a probability of about a half at least.
	if arg < n || arg/2 > n {
		arg = 1 << bits.Len32(n-1)
	}
	for i := uint32(0); ; i++ {
		if link := murmur2(hash, i) % arg & 0xffff; link < n {
			return link
		}
	}
}

// bundleHRW is bundle's algorithm of the highest random weight (enum nx_bd_algorithm); the other is active_backup.
const bundleHRW = 1

// bundle sends the packet to a live member, or writes its number.
func (x *xlate) bundle(a openflow.Bundle) {
	port := x.member(a)
	if a.Dst == nil {
		x.outputTo(port, 0)
		return
	}
	x.key.Write(*a.Dst, []byte{byte(port >> 8), byte(port)}) // 16 bits are what OpenFlow 1.0 has of a port
	x.isNow(*a.Dst)
}

// member chooses a live member, PortAny when there is none.
func (x *xlate) member(a openflow.Bundle) openflow.PortNo {
	var hash, top uint32
	best := openflow.PortAny
	hrw := a.Algorithm == bundleHRW
	if hrw && len(a.Members) > 1 { // one is chosen whatever the packet is
		hash = x.hashOf(a.Fields, a.Basis)
	}
	found := false
	for i, port := range a.Members {
		if !x.memberLive(port) {
			continue
		}
		if !hrw {
			return port
		}
		if w := murmur2(uint32(i), hash); !found || w > top {
			best, top, found = port, w, true
		}
	}
	return best
}

// memberLive reports whether a bundle may use a member. Reserved ports are always there.
func (x *xlate) memberLive(port openflow.PortNo) bool {
	switch port {
	case openflow.PortInPort, openflow.PortTable, openflow.PortNormal, openflow.PortFlood, openflow.PortAll, openflow.PortAny:
		return true
	}
	return x.portLive(port)
}

// portLive reports whether a port is there, up, and not known to lead nowhere. (Ports are versioned by the bridge, on which translation
// depends already.)
func (x *xlate) portLive(no openflow.PortNo) bool {
	p := x.bridge.PortByNo(no)
	return p != nil && p.Config&openflow.ConfigPortDown == 0 && p.State&openflow.StateLive != 0
}
