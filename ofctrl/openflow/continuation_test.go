package openflow

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

var pausedPacket = Continuation{
	Bridge: [16]byte{1, 2, 3}, Stack: [][]byte{{1}, {2, 3, 4, 5}}, Mirrors: 5, Conntracked: true,
	Actions: []Action{
		Unroll{0, 0}, Load{flow.WholeField(flow.Reg1), []byte{0, 0, 0, 8}}, Unroll{4, 13}, Output{Port: 3},
		Unroll{4, 13}, ClearActions{}, Unroll{4, 13}, WriteActions{[]Action{Output{Port: 4}, Group{7}}}, Unroll{1, 1 << 60}, Clone{[]Action{Output{Port: 1}}}, DecTTL{},
	},
	ActionSet: []Action{Group{1}}, ODPPort: 100,
}

// A continuation survives the way to the controller and back, in every version; what a version has no form for is refused.
func TestContinuation(t *testing.T) {
	for _, v := range []Version{V10, V11, V12, V13, V14, V15} {
		b, err := Encode(v, 0, &PacketIn{Format: PacketInNXT2, Packet: make([]byte, 14), Paused: &pausedPacket, BufferID: NoBuffer})
		if err != nil {
			t.Fatal(err)
		}
		_, _, m, err := Decode(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeContinuation(m.(*PacketIn).Continuation, v, nil)
		if err != nil {
			t.Fatalf("version %d: %v", v, err)
		}
		want := pausedPacket
		if v >= V15 { // where load is set_field
			want.Actions = append([]Action{want.Actions[0], SetField{Field: flow.Reg1, Value: []byte{0, 0, 0, 8}}}, want.Actions[2:]...)
		}
		if d := cmp.Diff(&want, got); d != "" {
			t.Errorf("version %d (-want +got):\n%s", v, d)
		}
	}
}

// Instructions go as the actions that do the same.
func TestContinuationInstructions(t *testing.T) {
	c := Continuation{Actions: []Action{WriteMetadata{0x55, 0xff}, GotoTable{3}, Meter{9}}}
	for v, want := range map[Version]string{
		V10: "unroll_xlate(table=0, cookie=0),load:0x55->OXM_OF_METADATA[0..7],resubmit(,3),unroll_xlate(table=0, cookie=0),meter:9",
		V15: "unroll_xlate(table=0, cookie=0),set_field:0x55/0xff->metadata,resubmit(,3),unroll_xlate(table=0, cookie=0),meter:9",
	} {
		b, err := Encode(v, 0, &PacketIn{Format: PacketInNXT2, Paused: &c, BufferID: NoBuffer})
		if err != nil {
			t.Fatal(err)
		}
		_, _, m, err := Decode(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeContinuation(m.(*PacketIn).Continuation, v, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s := FormatActions(got.Actions, nil); s != want {
			t.Errorf("version %d: %s, want %s", v, s, want)
		}
	}
}

// stockContinuation is one that ovs-vswitchd 3.1 made for OpenFlow 1.0.
const stockContinuation = "80000014cb5f620927495405cefbc2800ed77db0 00000000 800100060000 0000 8001000800000000" +
	"8006002000000000 ffff00180000232000 07001f000102040000000000000008 8004000504000000 8005001000000000000000000000000d" +
	"8006002000000000 0000000800030000 ffff001000002320000efff805000000 8004000501000000 8005001000000000000000000000000b" +
	"8006006800000000 0000 0008fffd0014 ffff001000002320001200 0000000000 0000000800090000 ffff001000002320000efff803000000 0000000800010000" +
	"ffff00180000232000 07003f80000408 0000000000000005 ffff001000002320000efff803000000 8004000500000000 8005001000000000000000000000000a" +
	"8006001000000000 0000000800020000 8007001000000000 0000000800020000 8008000800000064"

func TestStockContinuation(t *testing.T) {
	b, err := hex.DecodeString(strings.ReplaceAll(stockContinuation, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	c, err := DecodeContinuation(b, V10, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "unroll_xlate(table=0, cookie=0),load:0x8->NXM_NX_REG1[],unroll_xlate(table=4, cookie=13),output:3,resubmit(,5)," +
		"unroll_xlate(table=1, cookie=11),CONTROLLER:20,dec_ttl,output:9,resubmit(,3),output:1,load:0x5->OXM_OF_METADATA[],resubmit(,3)," +
		"unroll_xlate(table=0, cookie=10),output:2"
	if got := FormatActions(c.Actions, nil); got != want {
		t.Errorf("actions\n%s, want\n%s", got, want)
	}
	if got := FormatActions(c.ActionSet, nil); got != "output:2" || c.ODPPort != 100 || c.Bridge[0] != 0xcb {
		t.Errorf("got %+v", c)
	}
	if d := cmp.Diff([][]byte{make([]byte, 4), make([]byte, 2)}, c.Stack); d != "" {
		t.Errorf("stack (-want +got):\n%s", d)
	}
}

func TestBadContinuation(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Err
	}{
		{"800000080000000", PropertyBadLen},
		{"8000000800000000", PropertyBadLen},
		{"8002000c0000000000000000", PropertyBadLen},
		{"8006000500000000", PropertyBadLen},
		{"8006001000000000 0000000c00010000", ActionBadLen},
		{"80f2000800000000", MeterModInvalidMeter},
		{"8042000800000000", PropertyBadType},
		{"80010084" + strings.Repeat("00", 132), PropertyBadLen},
	} {
		b, _ := hex.DecodeString(strings.ReplaceAll(tt.text, " ", ""))
		if _, err := DecodeContinuation(b, V13, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.text, err, tt.want)
		}
	}
}

// FuzzContinuation: what decodes encodes, and is the same again.
func FuzzContinuation(f *testing.F) {
	b, err := hex.DecodeString(strings.ReplaceAll(stockContinuation, " ", ""))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(V10), b)
	for _, v := range []Version{V10, V13, V15} {
		b, err := Encode(v, 0, &PacketIn{Format: PacketInNXT2, Paused: &pausedPacket, BufferID: NoBuffer})
		if err != nil {
			f.Fatal(err)
		}
		_, _, m, _ := Decode(b, nil)
		f.Add(uint8(v), m.(*PacketIn).Continuation)
	}
	f.Fuzz(func(t *testing.T, version uint8, b []byte) {
		v := Version(version)
		if v < V10 || v > V15 {
			return
		}
		st := &State{TLV: &TLVMap{{0, 4}, {4, 124}}}
		_, _ = DecodeContinuation(b, v, &State{Loose: true})
		c, err := DecodeContinuation(b, v, st)
		if err != nil {
			return
		}
		again, err := Append(nil, v, 0, &PacketIn{Format: PacketInNXT2, Paused: c, BufferID: NoBuffer}, st)
		if err != nil {
			return // it may be too long, or be of an action that is decoded only
		}
		_, _, m, err := Decode(again, st)
		if err != nil {
			t.Fatal(err)
		}
		in := m.(*PacketIn).Continuation
		c2, err := DecodeContinuation(in, v, st)
		if err != nil {
			t.Fatalf("%x is written as %x: %v", b, in, err)
		}
		if twice, err := Append(nil, v, 0, &PacketIn{Format: PacketInNXT2, Paused: c2, BufferID: NoBuffer}, st); err != nil || !bytes.Equal(again, twice) {
			t.Fatalf("%x is written as %x, that as %x, %v", b, again, twice, err)
		}
		if d := cmp.Diff(c.Stack, c2.Stack); d != "" || c.Bridge != c2.Bridge || c.ODPPort != c2.ODPPort || c.Mirrors != c2.Mirrors || c.Conntracked != c2.Conntracked {
			t.Fatalf("%+v becomes %+v %s", c, c2, d)
		}
	})
}

// The continuations that OVS 3.1 and 4.0 made for ovn-controller decode, and encode again to the same bytes.
func TestRecordedContinuations(t *testing.T) {
	n := 0
	for _, r := range loadRecorded(t) {
		_, v, m, err := Decode(r.msg, r.st)
		if err != nil {
			t.Fatal(err)
		}
		var in *PacketIn
		switch m := m.(type) {
		case *PacketIn:
			in = m
		case *Resume:
			in = &m.PacketIn
		default:
			continue
		}
		if in.Continuation == nil {
			continue
		}
		n++
		c, err := DecodeContinuation(in.Continuation, v, r.st)
		if err != nil {
			t.Errorf("%x: %v", in.Continuation, err)
			continue
		}
		e := encoder{v: v, st: r.st}
		if err := e.continuation(c); err != nil || !bytes.Equal(e.b, in.Continuation) {
			t.Errorf("%s\nrecorded %x\nencoded  %x, %v", FormatActions(c.Actions, nil), in.Continuation, e.b, err)
		}
	}
	if n == 0 {
		t.Error("no continuation is recorded")
	}
	t.Logf("%d continuations", n)
}
