package openflow

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// maxActionNesting bounds how deep actions may stand in each other in text.
const maxActionNesting = 16

// ParseActions reads actions in the form of ovs-actions(7), without instructions. Errors are worded as OVS does.
func ParseActions(text string, ports PortNumbers, tlv *TLVMap) ([]Action, error) {
	p := actionParser{matchParser{ports: ports, st: State{TLV: tlv}}, 0}
	return p.list(text)
}

// actionParser reads actions; of the match it has the values' forms.
type actionParser struct {
	matchParser
	depth int
}

func (p *actionParser) list(text string) ([]Action, error) {
	if p.depth++; p.depth > maxActionNesting {
		return nil, fmt.Errorf("actions nested more than %d deep", maxActionNesting)
	}
	defer func() { p.depth-- }()
	var list []Action
	drop := false
	err := eachAction(text, func(name, value string) error {
		if drop || name == "drop" && len(list) > 0 {
			return fmt.Errorf(`"drop" must not be accompanied by any other action or instruction`)
		}
		if name == "drop" {
			drop = true
			return nil
		}
		more, err := p.one(name, value)
		list = append(list, more...)
		return err
	})
	return list, err
}

// eachAction is eachWord for actions, some of which have "->destination" behind their arguments: that is made part
// of the value, as "arguments->destination".
func eachAction(text string, f func(name, value string) error) error {
	const between = ", \t\r\n"
	for {
		if text = strings.TrimLeft(text, between); text == "" {
			return nil
		}
		n := strings.IndexAny(text, between+"=:(")
		if n < 0 {
			return f(text, "")
		}
		name, value, rest := text[:n], "", text[n+1:]
		switch text[n] {
		case '=', ':':
			m := valueEnd(rest, between, 0)
			value, rest = rest[:m], rest[m:]
		case '(':
			m := valueEnd(rest, "", 1)
			value, rest = rest[:m], rest[min(m+1, len(rest)):]
			if dst, ok := strings.CutPrefix(rest, "->"); ok {
				m = valueEnd(dst, between, 0)
				value, rest = value+"->"+dst[:m], dst[m:]
			}
		}
		if err := f(name, value); err != nil {
			return err
		}
		text = rest
	}
}

// one reads an action; a few words stand for several.
func (p *actionParser) one(name, value string) ([]Action, error) {
	if read := actionTexts[name]; read != nil {
		a, err := read(p, value)
		if err != nil {
			return nil, err
		}
		return []Action{a}, nil
	}
	if id, ok := legacyFields[name]; ok {
		return p.legacy(id, value)
	}
	switch name {
	case "goto_table", "write_actions", "apply_actions", "clear_actions", "write_metadata":
		return nil, fmt.Errorf("%s instruction not allowed here", name)
	}
	if port, ok := p.portOf(name); ok {
		return []Action{p.outputTo(port, value)}, nil
	}
	return nil, fmt.Errorf("unknown action %s", name)
}

// legacyFields are the mod_* actions that write a whole field.
var legacyFields = map[string]flow.FieldID{
	"mod_dl_src": flow.EthSrc, "mod_dl_dst": flow.EthDst, "mod_nw_src": flow.IPv4Src, "mod_nw_dst": flow.IPv4Dst,
	"mod_nw_tos": flow.NwTOS, "mod_nw_ecn": flow.NwECN, "mod_tp_src": flow.TCPSrc, "mod_tp_dst": flow.TCPDst,
}

func (p *actionParser) legacy(id flow.FieldID, value string) ([]Action, error) {
	v, mask, err := p.value(id, value)
	switch {
	case err != nil:
		return nil, err
	case mask != nil:
		return nil, fmt.Errorf("%s: a mask is not allowed here", value)
	case id == flow.NwTOS && v[0]&3 != 0, id == flow.NwECN && v[0] > 3:
		return nil, fmt.Errorf("%s: not a valid value for %s", value, id)
	}
	return []Action{SetField{Field: id, Value: v, Legacy: true}}, nil
}

// portOf reads a port's number or name.
func (p *actionParser) portOf(s string) (PortNo, bool) {
	b, err := p.port(flow.InPortOXM.Info(), s)
	if err != nil {
		return 0, false
	}
	return PortNo(uintBytes(b)), true
}

// outputTo is the action that a port's name alone is; CONTROLLER may have the length behind it.
func (p *actionParser) outputTo(port PortNo, value string) Action {
	a := Output{Port: port}
	if port == PortController {
		a.MaxLen = 0xffff
		if n, err := number(value, 16); value != "" && err == nil {
			a.MaxLen = uint16(n)
		}
	}
	return a
}

// number reads an unsigned number of that many bits, decimal or 0x hexadecimal.
func number(s string, bits int) (uint64, error) {
	v, err := strconv.ParseUint(s, 0, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of %d bits", s, bits)
	}
	return v, nil
}

// subfield reads NAME, NAME[], NAME[bit] or NAME[from..to].
func (p *actionParser) subfield(s string) (flow.Subfield, error) {
	name, bits, found := strings.Cut(s, "[")
	id, ok := fieldByText(name)
	if !ok {
		id, ok = fieldByOXM[strings.ToUpper(name)]
	}
	if !ok {
		return flow.Subfield{}, fmt.Errorf("%s: unknown field `%s'", s, name)
	}
	whole := flow.WholeField(id)
	if !found {
		return whole, nil
	}
	bits, ok = strings.CutSuffix(bits, "]")
	if !ok {
		return flow.Subfield{}, fmt.Errorf("%s: missing ] in field %s", s, name)
	}
	if bits == "" {
		return whole, nil
	}
	from, to, ranged := strings.Cut(bits, "..")
	if !ranged {
		to = from
	}
	lo, err1 := strconv.ParseUint(from, 10, 16)
	hi, err2 := strconv.ParseUint(to, 10, 16)
	switch {
	case err1 != nil || err2 != nil:
		return flow.Subfield{}, fmt.Errorf("%s: syntax error expecting [] or [<bit>] or [<start>..<end>]", s)
	case lo > hi:
		return flow.Subfield{}, fmt.Errorf("%s: starting bit %d is after ending bit %d", s, lo, hi)
	case hi >= uint64(id.Info().Bits):
		return flow.Subfield{}, fmt.Errorf("%s: %d-bit field %s has no bit %d", s, id.Info().Bits, name, hi)
	}
	return flow.Subfield{Field: id, Ofs: uint16(lo), Bits: uint16(hi - lo + 1)}, nil
}

// target is subfield for one that is written.
func (p *actionParser) target(s string) (flow.Subfield, error) {
	f, err := p.subfield(s)
	if err == nil && !f.Field.Info().Writable {
		err = fmt.Errorf("%s is read-only", f.Field)
	}
	return f, err
}

// fieldByOXM are the fields by the names that OXM and NXM have for them.
var fieldByOXM = func() map[string]flow.FieldID {
	m := map[string]flow.FieldID{}
	for _, id := range textFields {
		for _, o := range id.Info().OXM {
			m[strings.ToUpper(o.Name)] = id
		}
	}
	return m
}()

// arrow cuts "source->destination" apart.
func arrow(name, s string) (src, dst string, err error) {
	i := strings.LastIndex(s, "->")
	if i < 0 {
		return "", "", fmt.Errorf("%s: missing `->' in %s", s, name)
	}
	return s[:i], s[i+2:], nil
}

// fit is a number as the right-aligned bytes of a subfield.
func fit(s string, bits uint16) ([]byte, error) {
	n := (int(bits) + 7) / 8
	v, err := integer(s, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	if spare := 8*n - int(bits); spare > 0 && v[0]>>(8-spare) != 0 {
		return nil, fmt.Errorf("%s: value does not fit into %d bits", s, bits)
	}
	return v, nil
}

// setField reads "value[/mask]->field".
func (p *actionParser) setField(s string) (Action, error) {
	value, name, err := arrow("set_field", s)
	if err != nil {
		return nil, err
	}
	id, ok := fieldByText(name)
	if !ok {
		return nil, fmt.Errorf("%s is not a valid OXM field name", name)
	}
	if !id.Info().Writable {
		return nil, fmt.Errorf("%s is read-only", name)
	}
	v, mask, err := p.value(id, value)
	if err != nil {
		return nil, err
	}
	for i := range mask {
		v[i] &= mask[i]
	}
	if id.Info().Format == flow.FormatPort10 { // ports of matches are read as 32 bits
		v = u16b(PortNo(be32(v)).to10())
	}
	if id.Info().Off < 0 {
		_, n, ok := p.st.tlv(id)
		if !ok {
			return nil, fmt.Errorf("%s is not mapped to a tunnel option", id)
		}
		// Read as long as the longest option.
		spare := max(len(v)-n, 0)
		if !allZero(v[:spare]) {
			return nil, fmt.Errorf("%s: value too large for %s, an option of %d bytes", value, id, n)
		}
		v = v[spare:]
		if mask != nil {
			mask = mask[spare:]
		}
	}
	return SetField{Field: id, Value: v, Mask: mask}, nil
}

func (p *actionParser) load(s string) (Action, error) {
	value, name, err := arrow("load", s)
	if err != nil {
		return nil, err
	}
	dst, err := p.target(name)
	if err != nil {
		return nil, err
	}
	v, err := fit(value, dst.Bits)
	return Load{Dst: dst, Value: v}, err
}

func (p *actionParser) move(s string) (Action, error) {
	from, to, err := arrow("move", s)
	if err != nil {
		return nil, err
	}
	src, err := p.subfield(from)
	if err != nil {
		return nil, err
	}
	dst, err := p.target(to)
	if err == nil && src.Bits != dst.Bits {
		err = fmt.Errorf("%s: source field is %d bits wide but destination is %d bits wide", s, src.Bits, dst.Bits)
	}
	return Move{src, dst}, err
}

// output reads what is behind "output".
func (p *actionParser) output(s string) (Action, error) {
	if strings.Contains(s, "port=") {
		a := OutputTrunc{}
		err := eachWord(s, func(name, value string) error {
			switch name {
			case "port":
				port, ok := p.portOf(value)
				if !ok {
					return fmt.Errorf("output to unknown truncate port: %s", value)
				}
				a.Port = port
				return nil
			case "max_len":
				n, err := number(value, 32)
				a.MaxLen = uint32(n)
				return err
			}
			return fmt.Errorf("invalid key '%s' in output_trunc argument", name)
		})
		if err == nil && a.MaxLen < minTruncated {
			err = fmt.Errorf("max_len %d is less than the minimum value %d", a.MaxLen, minTruncated)
		}
		return a, err
	}
	if port, ok := p.portOf(s); ok {
		return p.outputTo(port, ""), nil
	}
	src, err := p.subfield(s)
	if err != nil {
		return nil, fmt.Errorf("%s: output to unknown port", s)
	}
	return OutputReg{Src: src, MaxLen: 0xffff}, nil
}

// minTruncated is an Ethernet header: no less of a packet is sent.
const minTruncated = 14

func (p *actionParser) note(s string) (Action, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ".", ""))
	if err != nil {
		return nil, fmt.Errorf("bad hex digit in `note' argument")
	}
	return Note{b}, nil
}
