package ebpf

import (
	"maps"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/ovs-bpf/ovs-bpf/bpf"
)

// connsVersion changes with the meaning of the maps of connections (bpf/ct_abi.h). They are not bound to the layout of the
// rest: a new layout goes on with the same maps, in which the old programs track until the last port has the new ones.
const connsVersion = 1

// algMap reports whether a map is of connections that announce others. They came later than the rest of the same version:
// without them nothing was announced.
func algMap(name string) bool {
	return name == "ct_algs" || name == "ct_expects" || name == "ct_announces"
}

// carriedMap reports whether a map belongs to the connections.
func carriedMap(name string) bool {
	return strings.HasPrefix(name, "ct_") && name != "ct_scratches" && !fragmentMap(name) && !algMap(name) && !heldMap(name)
}

// loadConns opens the maps of connections of another layout; nil: there are none that fit.
func (p *pinDir) loadConns(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	for _, dir := range p.others() {
		if m := p.connsIn(dir, spec); m != nil {
			return m
		}
	}
	return nil
}

func (p *pinDir) connsIn(dir string, spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	found := p.mapsIn(dir, spec, carriedMap)
	if found == nil {
		return nil
	}
	var t bpf.DatapathCtTable
	if err := found["ct_tables"].Lookup(uint32(0), &t); err != nil || t.Version != connsVersion {
		closeMaps(found)
		return nil
	}
	maps.Copy(found, p.mapsIn(dir, spec, algMap))
	maps.Copy(found, p.mapsIn(dir, spec, heldMap))
	frags := p.mapsIn(dir, spec, fragmentMap)
	if frags == nil {
		return found
	}
	var ft bpf.DatapathCtFragTable
	if err := frags["ct_fragment_tables"].Lookup(uint32(0), &ft); err != nil || ft.Version != fragmentsVersion {
		closeMaps(frags)
		return found
	}
	maps.Copy(found, frags)
	return found
}

// mapsIn opens maps of another layout; nil if one is not there or does not fit.
func (p *pinDir) mapsIn(dir string, spec *ebpf.CollectionSpec, which func(name string) bool) map[string]*ebpf.Map {
	found := map[string]*ebpf.Map{}
	for name, ms := range spec.Maps {
		if !which(name) {
			continue
		}
		m, err := ebpf.LoadPinnedMap(p.mapPath(dir, name), nil)
		if err == nil {
			found[name] = m
			err = ms.Compatible(m)
		}
		if err != nil {
			closeMaps(found)
			return nil
		}
	}
	return found
}

func closeMaps(m map[string]*ebpf.Map) {
	for _, one := range m {
		one.Close()
	}
}
