package openflow

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// TestMemory decodes all recorded messages twice with a Memory, of which there is one for all or one for each version
// and TLV map, and each for itself.
func TestMemory(t *testing.T) {
	type connection struct {
		v   byte
		tlv TLVMap
	}
	for _, one := range []bool{true, false} {
		states := map[connection]*State{}
		mods, lists := 0, map[*Action]bool{}
		var kept, want [][]Action
		for range 2 {
			for _, r := range loadRecorded(t) {
				_, _, alone, err := Decode(r.msg, r.st)
				if err != nil {
					t.Fatal(err)
				}
				var c connection
				if !one {
					c = connection{r.msg[0], *r.st.TLV}
				}
				if states[c] == nil {
					states[c] = &State{Memory: new(Memory), TLV: r.st.TLV}
				}
				st := *r.st
				if st.Memory = states[c].Memory; !one {
					st.TLV = states[c].TLV
				}
				_, _, m, err := Decode(r.msg, &st)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(alone, m); d != "" {
					t.Fatalf("%x (-alone +with memory):\n%s", r.msg, d)
				}
				if b, ok := m.(*BundleAdd); ok {
					alone, m = alone.(*BundleAdd).Message, b.Message
				}
				if fm, ok := m.(*FlowMod); ok && len(fm.Actions) > 0 {
					mods++
					lists[&fm.Actions[0]] = true
					kept, want = append(kept, fm.Actions), append(want, alone.(*FlowMod).Actions)
				}
			}
		}
		if d := cmp.Diff(want, kept); d != "" {
			t.Errorf("actions changed after they were decoded (-want +got):\n%s", d)
		}
		if !one && (mods < 1000 || len(lists) > mods*2/3) {
			t.Errorf("%d flow mods, %d lists of actions", mods, len(lists))
		}
	}
}

// TestMemoryMatch decodes actions whose meaning depends on what else is in the message, or on the connection.
func TestMemoryMatch(t *testing.T) {
	mem := new(Memory)
	fields := map[uint64]flow.FieldID{6: flow.TCPDst, 17: flow.UDPDst, 132: flow.SCTPDst}
	for _, proto := range []uint64{17, 6, 17, 132} {
		set := SetField{Field: fields[proto], Value: []byte{0, 80}, Legacy: true} // the same bytes where it is mod_tp_dst
		for _, in := range []func(Action) Action{
			func(a Action) Action { return a },
			func(a Action) Action { return Clone{[]Action{a}} },
		} {
			mod := &FlowMod{Actions: []Action{in(set), Output{Port: 1}}, BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny}
			mod.Match.Set(flow.EthType, 0x800)
			mod.Match.Set(flow.NwProto, proto)
			for _, v := range []Version{V10, V11, V13} {
				for _, nicira := range []bool{false, true} {
					mod.Nicira = nicira
					b, err := Encode(v, 1, mod)
					if err != nil {
						t.Fatal(err)
					}
					_, _, want, err := Decode(b, nil)
					if err != nil {
						t.Fatal(err)
					}
					for range 2 {
						_, _, got, err := Decode(b, &State{Memory: mem})
						if err != nil {
							t.Fatal(err)
						}
						if d := cmp.Diff(want, got); d != "" {
							t.Fatalf("protocol %d, version %d, Nicira %v:\n%s", proto, v, nicira, d)
						}
					}
				}
			}
		}
	}
}

// TestMemoryTLV: a load of a tunnel option is another when the option's length is.
func TestMemoryTLV(t *testing.T) {
	mem := new(Memory)
	for _, n := range []uint8{4, 8, 4} {
		st := &State{TLV: &TLVMap{{Len: n}}}
		mod := &FlowMod{BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny, Actions: []Action{
			SetField{Field: flow.TunMetadata0, Value: bytes.Repeat([]byte{1}, int(n))},
		}}
		b, err := Append(nil, V15, 1, mod, st)
		if err != nil {
			t.Fatal(err)
		}
		_, _, want, err := Decode(b, st)
		if err != nil {
			t.Fatal(err)
		}
		st.Memory = mem
		_, _, got, err := Decode(b, st)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d bytes:\n%s", n, d)
		}
	}
}

// TestMemoryIsBounded decodes more lists than are kept, and longer ones.
func TestMemoryIsBounded(t *testing.T) {
	st := &State{Memory: new(Memory)}
	for i := range 3 * maxLists {
		mod := &FlowMod{BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny, Actions: []Action{Output{Port: PortNo(i % 0xfe00)}}}
		if i%2 == 0 {
			mod.Actions = append(mod.Actions, Note{Data: make([]byte, maxList)})
		}
		b, err := Encode(V15, 1, mod)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := Decode(b, st); err != nil {
			t.Fatal(err)
		}
		if n := len(st.Memory.lists); n > maxLists || n > i/2+1 {
			t.Fatalf("%d lists after %d", n, i+1)
		}
	}
}
