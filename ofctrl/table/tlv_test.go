package table

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

func mapping(typ, n uint8, index uint16) openflow.TLVMapping {
	return openflow.TLVMapping{Class: 0xffff, Type: typ, Len: n, Index: index}
}

func mapOptions(maps ...openflow.TLVMapping) *openflow.TLVTableMod {
	return &openflow.TLVTableMod{Maps: maps}
}

func TestModTLV(t *testing.T) {
	tab := newTestTables()
	steps := []struct {
		name string
		mod  *openflow.TLVTableMod
		want error
		maps int
	}{
		{"two", mapOptions(mapping(0, 4, 0), mapping(1, 124, 63)), nil, 2},
		{"field twice", mapOptions(mapping(2, 4, 63)), openflow.TLVTableAlreadyMapped, 2},
		{"option twice", mapOptions(mapping(0, 4, 5)), openflow.TLVTableDupEntry, 2},
		{"option twice in one message", mapOptions(mapping(7, 4, 5), mapping(7, 4, 6)), openflow.TLVTableDupEntry, 2},
		{"full", mapOptions(mapping(3, 124, 2), mapping(4, 8, 3)), openflow.TLVTableFull, 2},
		{"the last bytes", mapOptions(mapping(3, 124, 2), mapping(4, 4, 3)), nil, 4},
		{"no data needs no room", mapOptions(mapping(5, 0, 4)), nil, 5},
		{"one byte", mapOptions(mapping(6, 1, 5)), openflow.TLVTableBadOptLen, 5},
		{"field 64", mapOptions(mapping(6, 4, 64)), openflow.TLVTableBadIndex, 5},
		{"command 3", &openflow.TLVTableMod{Command: 3}, openflow.TLVTableBadCommand, 5},
		{"delete, also what is not there", &openflow.TLVTableMod{Command: 1, Maps: []openflow.TLVMapping{mapping(9, 9, 2), mapping(0, 0, 40)}}, nil, 4},
		{"room again", mapOptions(mapping(3, 120, 2)), nil, 5},
		{"clear", &openflow.TLVTableMod{Command: 2}, nil, 0},
	}
	for _, s := range steps {
		was := tab.TLV()
		if err := tab.ModTLV(s.mod); !errors.Is(err, s.want) {
			t.Errorf("%s: %v, want %v", s.name, err, s.want)
		}
		if n := len(tab.TLV().Maps()); n != s.maps || s.want != nil && tab.TLV() != was {
			t.Errorf("%s: %d mappings, want %d", s.name, n, s.maps)
		}
	}
}

// A field cannot be taken away as long as a flow or a group uses it, wherever.
func TestTLVInUse(t *testing.T) {
	field := func(i int) flow.FieldID { return flow.TunMetadata0 + flow.FieldID(i) }
	whole := func(i int) flow.Subfield { return flow.Subfield{Field: field(i), Bits: 32} }
	for name, use := range map[string]func(*openflow.FlowMod, *openflow.GroupMod){
		"match": func(f *openflow.FlowMod, _ *openflow.GroupMod) {
			f.Match.Mask[flow.TunPresentWord], f.Match.Key[flow.TunPresentWord] = 2, 2
		},
		"set_field": func(f *openflow.FlowMod, _ *openflow.GroupMod) {
			f.Actions = []openflow.Action{openflow.SetField{Field: field(1), Value: []byte{1}}}
		},
		"move": func(f *openflow.FlowMod, _ *openflow.GroupMod) {
			f.Actions = []openflow.Action{openflow.Move{Src: whole(1), Dst: flow.WholeField(flow.Reg0)}}
		},
		"learn": func(f *openflow.FlowMod, _ *openflow.GroupMod) {
			src := whole(1)
			f.Actions = []openflow.Action{openflow.Learn{Specs: []openflow.LearnSpec{{Src: &src, To: flow.WholeField(flow.Reg0)}}}}
		},
		"in clone": func(f *openflow.FlowMod, _ *openflow.GroupMod) {
			f.Actions = []openflow.Action{openflow.Clone{Actions: []openflow.Action{openflow.StackPush{Src: whole(1)}}}}
		},
		"bucket": func(_ *openflow.FlowMod, g *openflow.GroupMod) {
			g.Buckets[0].Actions = []openflow.Action{openflow.Load{Dst: whole(1), Value: []byte{0, 0, 0, 1}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			tab := newTestTables()
			if err := tab.ModTLV(mapOptions(mapping(0, 4, 0), mapping(1, 4, 1))); err != nil {
				t.Fatal(err)
			}
			f := &openflow.FlowMod{Priority: 5, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
			g := &openflow.GroupMod{ID: 1, Buckets: []openflow.Bucket{{WatchPort: openflow.PortAny, WatchGroup: openflow.GroupAny}}}
			use(f, g)
			if _, err := tab.ApplyGroup(g); err != nil {
				t.Fatal(err)
			}
			if _, err := tab.Apply(f); err != nil {
				t.Fatal(err)
			}
			if !UsesOptions(f) && !UsesOptions(g) {
				t.Error("the message is said to use none")
			}
			for _, m := range []*openflow.TLVTableMod{{Command: 2}, {Command: 1, Maps: []openflow.TLVMapping{mapping(1, 4, 1)}}} {
				if err := tab.ModTLV(m); !errors.Is(err, openflow.TLVTableInUse) {
					t.Errorf("command %d: %v", m.Command, err)
				}
			}
			if err := tab.ModTLV(&openflow.TLVTableMod{Command: 1, Maps: []openflow.TLVMapping{mapping(0, 4, 0)}}); err != nil {
				t.Errorf("the other field: %v", err)
			}
			tab.Apply(&openflow.FlowMod{Command: openflow.FlowDelete, Table: openflow.TableAll, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny})
			tab.ApplyGroup(&openflow.GroupMod{Command: openflow.GroupDelete, ID: openflow.GroupAll})
			if err := tab.ModTLV(&openflow.TLVTableMod{Command: 2}); err != nil {
				t.Errorf("when nothing is there: %v", err)
			}
		})
	}
}

func newTestTables() *Tables { return New(Options{}) }

// rawKey is a datapath's key with options.
func rawKey(raw ...byte) *flow.Key {
	var k flow.Key
	copy(OptionSpace(&k), raw)
	k.Set(flow.TunOptsLen, uint64(len(raw)))
	return &k
}

func TestFromPacket(t *testing.T) {
	tab := newTestTables()
	if err := tab.ModTLV(mapOptions(mapping(0, 4, 3), mapping(1, 0, 4), mapping(0x82, 8, 5))); err != nil {
		t.Fatal(err)
	}
	tlv := tab.TLV()
	for _, tt := range []struct {
		name    string
		raw     []byte
		ok      bool
		present uint64
		value   []byte // of tun_metadata3
	}{
		{"none", nil, true, 0, make([]byte, 4)},
		{"one, and one without data", []byte{0xff, 0xff, 0, 1, 1, 2, 3, 4, 0xff, 0xff, 1, 0}, true, 3 << 3, []byte{1, 2, 3, 4}},
		{"not mapped", []byte{0, 1, 0, 1, 1, 2, 3, 4}, true, 0, make([]byte, 4)},
		{"not mapped and critical", []byte{0, 1, 0x80, 1, 1, 2, 3, 4}, false, 0, make([]byte, 4)},
		{"another length", []byte{0xff, 0xff, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8}, false, 0, make([]byte, 4)},
		{"longer than what is there", []byte{0xff, 0xff, 0, 2, 1, 2, 3, 4}, false, 0, make([]byte, 4)},
		{"twice", []byte{0xff, 0xff, 0, 1, 1, 2, 3, 4, 0xff, 0xff, 0, 1, 5, 6, 7, 8}, true, 1 << 3, []byte{5, 6, 7, 8}},
		{"reserved bits", []byte{0xff, 0xff, 0, 0xe1, 1, 2, 3, 4}, true, 1 << 3, []byte{1, 2, 3, 4}},
	} {
		k := rawKey(tt.raw...)
		if ok := tlv.FromPacket(k); ok != tt.ok || k[flow.TunPresentWord] != tt.present {
			t.Errorf("%s: %v, present %x, want %v, %x", tt.name, ok, k[flow.TunPresentWord], tt.ok, tt.present)
		}
		if b, _ := tlv.Layout().Bytes(k, flow.TunMetadata0+3); cmp.Diff(tt.value, b) != "" {
			t.Errorf("%s: value %x", tt.name, b)
		}
	}
}

// A packet that agrees in the mask has the same bits in all that was read, and the fields of a key survive the way through
// a packet.
func TestOptionsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := newTestTables()
		for i := range rapid.IntRange(0, 8).Draw(t, "fields") {
			_ = tab.ModTLV(mapOptions(mapping(uint8(i), 4*rapid.Uint8Range(0, 10).Draw(t, "len"), uint16(i*7))))
		}
		tlv := tab.TLV()
		raw := func(label string) []byte {
			if rapid.Bool().Draw(t, label+" random") {
				return rapid.SliceOfN(rapid.Byte(), 0, 252).Draw(t, label)
			}
			var b []byte
			for range rapid.IntRange(0, 4).Draw(t, label+" options") {
				n := rapid.Uint8Range(0, 10).Draw(t, label+" n")
				b = append(b, 0xff, 0xff, rapid.Uint8Range(0, 9).Draw(t, label+" type"), n)
				b = append(b, rapid.SliceOfN(rapid.Byte(), int(n)*4, int(n)*4).Draw(t, label+" body")...)
			}
			return b
		}
		a := rawKey(raw("a")...)
		var wc, mask flow.Mask
		for i := range OptionSpace(&wc) {
			OptionSpace(&wc)[i] = rapid.SampledFrom([]byte{0, 0, 0, 0xff, 0x0f}).Draw(t, "wc")
		}
		wc[flow.TunPresentWord] = rapid.Uint64().Draw(t, "present")
		mask = wc
		tlv.PacketMask(&mask, RawOptions(a))
		b := rawKey(raw("b")...)
		for i := range flow.DPWords { // b is anything where the mask says nothing
			b[i] = b[i]&^mask[i] | a[i]&mask[i]
		}
		mappedA, mappedB := *a, *b
		okA, okB := tlv.FromPacket(&mappedA), tlv.FromPacket(&mappedB)
		if okA != okB {
			t.Fatalf("%x %v, %x %v, mask %x", RawOptions(a), okA, RawOptions(b), okB, OptionSpace(&mask))
		}
		for i := range wc {
			if (mappedA[i]^mappedB[i])&wc[i] != 0 {
				t.Fatalf("%x and %x differ in word %d under %x", RawOptions(a), RawOptions(b), i, OptionSpace(&mask))
			}
		}
		if okA {
			back := mappedA
			if !tlv.ToPacket(&back) {
				t.Fatal("what was in a packet does not fit")
			}
			if !tlv.FromPacket(&back) || back[flow.TunPresentWord] != mappedA[flow.TunPresentWord] || cmp.Diff(OptionSpace(&back), OptionSpace(&mappedA)) != "" {
				t.Fatalf("%x becomes %x", OptionSpace(&mappedA), OptionSpace(&back))
			}
		}
	})
}

// A field keeps its value when it moves, and loses it when it becomes another option.
func TestRemap(t *testing.T) {
	tab := newTestTables()
	tab.ModTLV(mapOptions(mapping(0, 4, 0), mapping(1, 4, 1), mapping(2, 4, 2)))
	old := tab.TLV()
	var m flow.Match
	for i := range flow.FieldID(3) {
		key, _ := old.Layout().Bytes(&m.Key, flow.TunMetadata0+i)
		mask, _ := old.Layout().Bytes(&m.Mask, flow.TunMetadata0+i)
		copy(key, []byte{1, 2, 3, byte(i)})
		copy(mask, []byte{0xff, 0xff, 0xff, 0xff})
	}
	m.Key[flow.TunPresentWord], m.Mask[flow.TunPresentWord] = 7, 7
	tab.ModTLV(&openflow.TLVTableMod{Command: 2})
	tab.ModTLV(mapOptions(mapping(2, 4, 2), mapping(9, 4, 1), mapping(0, 4, 0)))
	tab.TLV().Remap(&m, old)
	if m.Mask[flow.TunPresentWord] != 5 {
		t.Errorf("fields %x", m.Mask[flow.TunPresentWord])
	}
	for i, want := range map[flow.FieldID][]byte{0: {1, 2, 3, 0}, 1: {0, 0, 0, 0}, 2: {1, 2, 3, 2}} {
		if got, _ := tab.TLV().Layout().Bytes(&m.Key, flow.TunMetadata0+i); cmp.Diff(want, got) != "" {
			t.Errorf("tun_metadata%d is %x, want %x", i, got, want)
		}
	}
}
