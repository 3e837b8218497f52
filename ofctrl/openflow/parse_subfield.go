package openflow

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// oxmNames are the fields by the names of ovs-fields(7)'s NXM and OXM forms.
var oxmNames = func() map[string]flow.FieldID {
	m := make(map[string]flow.FieldID)
	for i := range flow.Fields {
		for _, o := range flow.Fields[i].OXM {
			m[o.Name] = flow.FieldID(i)
		}
	}
	return m
}()

// ParseField reads the name of a field: ovs-ofctl's, or an NXM or OXM one.
func ParseField(text string) (flow.FieldID, error) {
	if id, ok := textFields[text]; ok {
		return id, nil
	}
	if id, ok := oxmNames[text]; ok {
		return id, nil
	}
	return 0, fmt.Errorf("unknown field %q", text)
}

// ParseSubfield reads a field or some of its bits: "field[]", "field[bit]" or "field[first..last]", as in
// ovs-actions(7).
func ParseSubfield(text string) (flow.Subfield, error) {
	name, bits, ok := strings.Cut(text, "[")
	id, err := ParseField(name)
	if err != nil {
		return flow.Subfield{}, err
	}
	all := flow.WholeField(id)
	if !ok || bits == "]" {
		return all, nil
	}
	bits, ok = strings.CutSuffix(bits, "]")
	from, to, more := strings.Cut(bits, "..")
	if !more {
		to = from
	}
	first, err1 := strconv.ParseUint(from, 10, 16)
	last, err2 := strconv.ParseUint(to, 10, 16)
	if !ok || err1 != nil || err2 != nil || first > last || last >= uint64(all.Bits) {
		return flow.Subfield{}, fmt.Errorf("%q: not a range of the %d bits of %s", text, all.Bits, name)
	}
	return flow.Subfield{Field: id, Ofs: uint16(first), Bits: uint16(last - first + 1)}, nil
}
