package pipeline

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// drawOptions are raw options of few kinds, sometimes any bytes.
func drawOptions(t *rapid.T, label string) (b []byte) {
	if rapid.IntRange(0, 9).Draw(t, label+" kind") == 0 {
		return rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, label)
	}
	for range rapid.IntRange(0, 3).Draw(t, label+" options") {
		n := rapid.Uint8Range(0, 2).Draw(t, label+" n")
		b = append(b, 0xff, 0xff, rapid.SampledFrom([]byte{0, 1, 2, 3, 0x81}).Draw(t, label+" type"), n)
		b = append(b, rapid.SliceOfN(rapid.Uint8Range(0, 3), int(n)*4, int(n)*4).Draw(t, label+" body")...)
	}
	return b
}

// A megaflow of a packet with tunnel options is never wider than what was read of them: another packet that agrees in its
// mask has the same actions and mask. (Only packets that come by a tunnel have any.)
func TestOptionWildcards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(nil, nil)
		lens := [4]uint8{4, 8, 0, 4}
		for i, n := range lens {
			if err := w.br0.tables.ModTLV(&openflow.TLVTableMod{Maps: []openflow.TLVMapping{{Class: 0xffff, Type: uint8(i), Len: n, Index: uint16(i)}}}); err != nil {
				t.Fatal(err)
			}
		}
		w.br0.ports[0].Tunnel = &Tunnel{Type: "geneve"}
		w.br0.ports[2].Tunnel = &Tunnel{Type: "geneve", Remote: netip.MustParseAddr("1.1.1.1")}
		tlv := w.br0.tables.TLV().Layout()
		field := func(label string) (flow.FieldID, int) {
			i := rapid.SampledFrom([]int{0, 1, 3}).Draw(t, label)
			return flow.TunMetadata0 + flow.FieldID(i), int(lens[i])
		}
		for p := range rapid.IntRange(1, 6).Draw(t, "rules") {
			var m flow.Match
			switch rapid.IntRange(0, 3).Draw(t, "match") {
			case 0:
				m.Key[flow.TunPresentWord], m.Mask[flow.TunPresentWord] = 4, 4
			case 1, 2:
				id, n := field("field")
				mask, _ := tlv.Bytes(&m.Mask, id)
				key, _ := tlv.Bytes(&m.Key, id)
				for i := range n {
					mask[i] = rapid.SampledFrom([]byte{0, 0xff, 1}).Draw(t, "mask")
					key[i] = rapid.Uint8Range(0, 3).Draw(t, "value") & mask[i]
				}
				bit := uint64(1) << (id - flow.TunMetadata0)
				m.Key[flow.TunPresentWord], m.Mask[flow.TunPresentWord] = bit, bit
			}
			src, n := field("src")
			sub := flow.Subfield{Field: src, Ofs: uint16(rapid.IntRange(0, 8*n-3).Draw(t, "ofs")), Bits: 2}
			actions := []openflow.Action{
				openflow.Move{Src: sub, Dst: flow.Subfield{Field: flow.Reg0, Bits: 2}}, openflow.OutputReg{Src: flow.WholeField(flow.Reg0)},
				openflow.SetField{Field: src, Value: []byte{2}, Mask: []byte{3}}, openflow.OutputReg{Src: flow.Subfield{Field: src, Bits: 2}},
				openflow.DeleteField{Field: src}, openflow.Resubmit{InPort: 2, Table: 1}, output(9), output(3),
			}
			list := rapid.SliceOfN(rapid.SampledFrom(actions), 1, 4).Draw(t, "actions")
			id := uint8(rapid.IntRange(0, 1).Draw(t, "table"))
			if _, err := w.br0.tables.Apply(&openflow.FlowMod{Table: id, Priority: uint16(p), Match: m, Actions: list, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}); err != nil {
				t.Fatal(err)
			}
		}
		make := func(raw []byte) *flow.Key {
			k := key("in_port=b")
			copy(table.OptionSpace(k), raw)
			k.Set(flow.TunOptsLen, uint64(len(raw)))
			return k
		}
		a := make(drawOptions(t, "a"))
		one := w.run(a)
		b := make(drawOptions(t, "b"))
		for i := range flow.DPWords {
			b[i] = b[i]&^one.Mask[i] | a[i]&one.Mask[i]
		}
		two := w.run(b)
		if one.Drop != two.Drop || one.Mask != two.Mask || cmp.Diff(one.Actions, two.Actions) != "" {
			t.Fatalf("%x: %s %v\n%x: %s %v\nmask %x", table.RawOptions(a), actionsText(one.Actions), one.Drop, table.RawOptions(b), actionsText(two.Actions), two.Drop, table.OptionSpace(&one.Mask))
		}
	})
}

// Options that must not be ignored drop the packet at a tunnel port, and what an action made of options is what a tunnel gets.
func TestCriticalOptions(t *testing.T) {
	w := newWorld([]spec{rule(0, 0, "", output(2))}, nil)
	k := key("in_port=b")
	copy(table.OptionSpace(k), []byte{0, 1, 0x80, 0})
	k.Set(flow.TunOptsLen, 4)
	if res := w.run(k); actionsText(res.Actions) != "12" {
		t.Errorf("by another port: %s", actionsText(res.Actions))
	}
	w.br0.ports[0].Tunnel = &Tunnel{}
	if res := w.run(k); res.Drop != odp.DropInvalidTunnelMetadata {
		t.Errorf("by a tunnel: %s", actionsText(res.Actions))
	}
	if err := w.br0.tables.ModTLV(&openflow.TLVTableMod{Maps: []openflow.TLVMapping{{Class: 1, Type: 0x80, Index: 7}}}); err != nil {
		t.Fatal(err)
	}
	if res := w.run(k); actionsText(res.Actions) != "12" {
		t.Errorf("when it is mapped: %s", actionsText(res.Actions))
	}
}
