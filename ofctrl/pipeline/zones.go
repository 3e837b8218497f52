package pipeline

import "maps"

// SetZoneTimeouts names the timeout policies of conntrack zones for new connections: datapath actions that commit to
// such a zone carry the name. It reports whether that is a change; then the caller has megaflows translated anew.
func (t *Translator) SetZoneTimeouts(names map[uint16]string) (changed bool) {
	t.o.Mu.Lock()
	defer t.o.Mu.Unlock()
	if maps.Equal(t.zoneTimeouts, names) {
		return false
	}
	t.zoneTimeouts = maps.Clone(names)
	return true
}

// timeout is the name of a zone's policy for a datapath that has timeout policies; "" for none.
func (x *xlate) timeout(zone uint16) string {
	if !x.t.o.Features.CTTimeout {
		return ""
	}
	return x.t.zoneTimeouts[zone]
}
