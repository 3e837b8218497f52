package openflow

import "slices"

// Memory is what the decoder of a connection keeps from one flow mod to the next, so that bundles of a hundred thousand
// make little garbage. Its zero value is empty.
type Memory struct {
	mod FlowMod
	// lists are the actions of earlier flow mods, by their bytes: many flows have the same.
	lists map[string][]Action
	// What the bytes mean depends on these.
	version Version
	tlv     *TLVMap
}

const (
	maxLists = 4096 // in a Memory
	maxList  = 512  // bytes of a list that is kept
)

// flowMod is where the next flow mod is decoded to.
func (d *decoder) flowMod() *FlowMod {
	if d.st.Memory == nil {
		return new(FlowMod)
	}
	m := &d.st.Memory.mod
	*m = FlowMod{}
	return m
}

// flowActions reads the instructions of a flow mod, or the actions where those forms have no more. The match is
// known already.
func (d *decoder) flowActions(b []byte, m *FlowMod) ([]Action, error) {
	mem := d.st.Memory
	if mem == nil || len(b) == 0 || len(b) > maxList || m.Nicira && d.v > V10 {
		return d.readFlowActions(b, m)
	}
	if mem.version != d.v || mem.tlv != d.st.TLV || len(mem.lists) >= maxLists {
		mem.version, mem.tlv, mem.lists = d.v, d.st.TLV, make(map[string][]Action)
	}
	if list, ok := mem.lists[string(b)]; ok {
		return list, nil
	}
	list, err := d.readFlowActions(b, m)
	if err == nil && !slices.ContainsFunc(list, dependsOnMatch) {
		mem.lists[string(b)] = list
	}
	return list, err
}

func (d *decoder) readFlowActions(b []byte, m *FlowMod) (list []Action, err error) {
	if d.v == V10 || m.Nicira {
		list, err = d.actions(b)
	} else {
		list, err = d.instructions(b)
	}
	nameL4(list, &m.Match)
	return slices.Clip(list), err
}

// dependsOnMatch reports whether nameL4 or CheckActions may decide what an action is.
func dependsOnMatch(a Action) bool {
	switch a := a.(type) {
	case SetVLANVID, SetVLANPCP:
		return true
	case Clone, WriteActions:
		return true // of what is inside
	case SetField:
		return a.Legacy
	}
	return false
}
