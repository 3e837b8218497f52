package openflow

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

func u16p(v uint16) *uint16 { return &v }

// match builds a match of exact fields.
func match(pairs ...any) (m flow.Match) {
	for i := 0; i < len(pairs); i += 2 {
		m.Set(pairs[i].(flow.FieldID), uint64(pairs[i+1].(int)))
	}
	return m
}

// Messages in literal bytes, both ways.
func TestMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		hex  string
		want Message
	}{
		{"hello 1.0", "01000008 00000001", &Hello{Versions: 1 << V10}},
		{"hello bitmap", "06000010 00000001 0001000800000012", &Hello{Versions: 1<<V10 | 1<<V13}},
		{"hello from the future", "09000008 00000001", &Hello{Versions: 0x3fe}},
		{"echo", "0402000b 00000007 616263", &EchoRequest{Data: []byte("abc")}},
		{"error 1.0", "0101000e 00000001 00020004 0102", &Error{Err: ActionBadOutPort, Data: []byte{1, 2}}},
		{"vendor error 1.0", "01010014 00000001 b0c20000 00002320 00010104", &Error{Err: MatchBadPrereq}},
		{"prerequisite 1.3", "0401000c 00000001 00040009", &Error{Err: MatchBadPrereq}},
		{"experimenter error 1.5", "06010010 00000001 ffff0014 00002320", &Error{Err: TLVTableAlreadyMapped}},
		{"ONF bundle error 1.3", "04010010 00000001 ffff0902 4f4e4600", &Error{Err: BundleBadType}},
		{"unknown error", "0401000c 00000001 00630001", &Error{Type: 0x63, Code: 1}},
		{"get config", "06070008 00000003", &GetConfigRequest{}},
		{"set config", "0609000c 00000003 0001ffff", &SetConfig{Flags: FragDrop, MissSendLen: 0xffff}},
		{"barrier 1.0", "01120008 00000003", &BarrierRequest{}},
		{"barrier 1.3", "04140008 00000003", &BarrierRequest{}},
		{
			"flow mod 1.0",
			"010e0050 00000002 003820fe 0003 000000000000 000000000000 0000 00 00 0000 0000 0000 00000000 00000000 0000 0000" +
				"0000000000000005 0000 000a 0014 8000 ffffffff ffff 0001 00000008 fffb0000",
			&FlowMod{
				Table: TableAll, Match: match(flow.InPortOXM, 3), NewCookie: 5, Idle: 10, Hard: 20, Priority: 0x8000,
				BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny, Flags: FlagSendFlowRem | FlagResetCounts,
				Actions: []Action{Output{Port: PortFlood}},
			},
		},
		{
			"flow mod 1.3",
			"040e0068 00000002 0000000000000000 0000000000000000 0300 0000 0000 0064 ffffffff ffffffff ffffffff 0000 0000" +
				"0001 0015 80000a02 0800 80001401 06 80001c02 0050 000000" +
				"0004 0018 00000000 0000 0010 00000001 0000 000000000000 0001 0008 04000000",
			&FlowMod{
				Table: 3, Match: match(flow.EthType, ethIP, flow.NwProto, ipTCP, flow.TCPDst, 80), Priority: 100,
				BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny,
				Actions: []Action{Output{Port: 1}, GotoTable{4}},
			},
		},
		{
			"flow mod 1.5 modify keeps cookies",
			"060e0050 00000002 0000000000000001 00000000000000ff 0001 0000 0000 0000 ffffffff ffffffff ffffffff 0000 0007" +
				"0001 0004 00000000 0004 0018 00000000 0019 0010 00010004 00000005 00000000 ",
			&FlowMod{
				Command: FlowModify, Cookie: 1, CookieMask: 0xff, NewCookie: KeepCookie, Importance: 7,
				BufferID: NoBuffer, OutPort: PortAny, OutGroup: GroupAny,
				Actions: []Action{SetField{Field: flow.Reg0, Value: []byte{0, 0, 0, 5}}},
			},
		},
		{
			"NXT flow mod with a cookie",
			"01040058 00000002 00002320 0000000d 0000000000000000 0003 0000 0000 0000 ffffffff ffff 0000 0014 000000000000" +
				"00013d10 0000000000000001 00000000000000ff 00000000" +
				"ffff 0010 00002320 000e fff8 02 000000",
			&FlowMod{
				Command: FlowDelete, Table: TableAll, Cookie: 1, CookieMask: 0xff, BufferID: NoBuffer,
				OutPort: PortAny, OutGroup: GroupAny, Nicira: true,
				Actions: []Action{Resubmit{InPort: PortInPort, Table: 2}},
			},
		},
		{
			"packet out 1.0",
			"010d001a 00000002 ffffffff fffe 0008 0000 0008 fff9 0000 aabb",
			&PacketOut{
				BufferID: NoBuffer, InPort: PortLocal, Match: match(flow.InPortOXM, int(PortLocal)),
				Actions: []Action{Output{Port: PortTable}}, Packet: []byte{0xaa, 0xbb},
			},
		},
		{
			"role request 1.3",
			"04180018 00000002 00000002 00000000 0000000000000007",
			&RoleRequest{Role: RolePrimary, HasGenID: true, GenerationID: 7},
		},
		{"role request Nicira", "01040014 00000002 00002320 0000000a 00000002", &RoleRequest{Role: RoleSecondary, Nicira: true}},
		{"packet-in format", "06040014 00000002 00002320 00000010 00000002", &SetPacketInFormat{PacketInNXT2}},
		{"flow mod table id", "01040018 00000002 00002320 0000000f 0100000000000000", &FlowModTableID{true}},
		{
			"aggregate request",
			"04120038 00000002 0002 0000 00000000 ff000000 ffffffff ffffffff 00000000 0000000000000000 0000000000000000 0001000400000000",
			&MultipartRequest{Body: &FlowRequest{Aggregate: true, Table: TableAll, OutPort: PortAny, OutGroup: GroupAny}},
		},
		{
			"aggregate reply 1.5",
			"06130038 00000002 0002 0001 00000000 0000 0024 80020808 0000000000000003 80020a08 00000000000000b4 80020604 00000002 00000000",
			&MultipartReply{More: true, Body: &AggregateReply{Packets: 3, Bytes: 180, Flows: 2}},
		},
		{
			"meter mod",
			"041d0020 00000002 0000 0001 00000005 0001 0010 00000064 00000000 00000000",
			&MeterMod{Meter: MeterConfig{ID: 5, Flags: 1, Bands: []MeterBand{{Type: 1, Rate: 100}}}},
		},
		{
			"bundle with a group",
			"06220038 00000009 00000001 0000 0003 060f 0028 00000009 0000 0100 00000007 0010 0000 ffffffff" +
				"0010 0000 00000000 0000 0008 0064 0000",
			&BundleAdd{ID: 1, Flags: 3, Message: &GroupMod{
				Type: GroupTypeSelect, ID: 7, CommandBucket: BucketAll,
				Buckets: []Bucket{{Weight: 100, WatchPort: PortAny, WatchGroup: GroupAny}},
			}},
		},
		{
			"ct flush of a service",
			"06040048 00000002 00002320 00000020 1100000000000000" +
				"0000 0028 00000000 0001 0014 00000000000000000000ffff 0a000001 00000000 0003 0008 0035 0000" +
				"0002 0008 0007 0000",
			&CTFlush{
				Proto: ipUDP, HasZone: true, Zone: 7,
				Orig: &CTTuple{Dst: []byte{10: 0xff, 11: 0xff, 12: 10, 15: 1}, DstPort: u16p(53)},
			},
		},
		{"ct flush of a zone", "06040018 00000002 00002320 0000001d 000000000000 0007", &CTFlushZone{Zone: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := unhex(t, c.hex)
			_, v, got, err := Decode(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatal(d)
			}
			if v > V15 {
				return
			}
			out, err := Encode(v, be32(b[4:]), got)
			if err != nil || !bytes.Equal(out, b) {
				t.Fatalf("encoded %v\n%x, want\n%x", err, out, b)
			}
		})
	}
}

func TestReadMessage(t *testing.T) {
	r := bytes.NewReader(unhex(t, "0402000a 00000001 0102 0403000800000002 04020007"))
	for _, want := range []int{10, 8} {
		b, err := ReadMessage(r, 0)
		if err != nil || len(b) != want {
			t.Fatalf("%x, %v", b, err)
		}
	}
	if _, err := ReadMessage(r, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut header: %v", err)
	}
	if _, err := ReadMessage(bytes.NewReader(nil), 0); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
	for _, bad := range []string{"0402000700000001", "040200ff00000001"} {
		if _, err := ReadMessage(bytes.NewReader(unhex(t, bad)), 64); !errors.Is(err, BadLen) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
