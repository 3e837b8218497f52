package dummy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// peer is a connection to a switch, byte by byte.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
	v  openflow.Version
}

func (s *sim) dial(v openflow.Version) *peer {
	s.t.Helper()
	nc, err := net.Dial("unix", filepath.Join(s.Dir, "br0.mgmt"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(60 * time.Second)) // only so that a broken test ends
	p := &peer{s.t, nc, bufio.NewReader(nc), v}
	p.write([]byte{byte(v), 0, 0, 8, 0, 0, 0, 1})
	if _, err := openflow.ReadMessage(p.r, 0); err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// errors sends a message and a barrier, and returns what errors come.
func (p *peer) errors(messages ...[]byte) (list []string) {
	p.t.Helper()
	for _, b := range messages {
		p.write(b)
	}
	p.write(p.encode(&openflow.BarrierRequest{}))
	barrier := byte(21)
	if p.v == openflow.V10 {
		barrier = 19
	}
	for {
		b, err := openflow.ReadMessage(p.r, 0)
		if err != nil {
			return append(list, "connection ended")
		}
		switch b[1] {
		case 1:
			text := fmt.Sprintf("type %d code %d", binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint16(b[10:]))
			if binary.BigEndian.Uint16(b[8:]) == 0xffff {
				text += fmt.Sprintf(" vendor %x/%d", b[12:16], binary.BigEndian.Uint16(b[18:]))
			}
			list = append(list, text)
		case barrier:
			return list
		}
	}
}

func (p *peer) encode(m openflow.Message) []byte {
	p.t.Helper()
	b, err := openflow.Encode(p.v, 0x77, m)
	if err != nil {
		p.t.Fatalf("%T: %v", m, err)
	}
	return b
}

// patch changes bytes of an encoded message, and its length to what it has.
func patch(b []byte, at int, with ...byte) []byte {
	copy(b[at:], with)
	return b
}

// cut shortens or lengthens a message.
func cut(b []byte, n int) []byte {
	b = append(b, make([]byte, 64)...)[:n]
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	return b
}

func addFlow(f func(*openflow.FlowMod)) *openflow.FlowMod {
	fm := &openflow.FlowMod{BufferID: openflow.NoBuffer, Priority: 7, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}
	fm.Match.Set(flow.InPortOXM, 1)
	if f != nil {
		f(fm)
	}
	return fm
}

func addGroup(f func(*openflow.GroupMod)) *openflow.GroupMod {
	gm := &openflow.GroupMod{Command: openflow.GroupAdd, ID: 9, CommandBucket: openflow.BucketAll}
	gm.Buckets = []openflow.Bucket{{ID: 1, WatchPort: openflow.PortAny, WatchGroup: openflow.GroupAny, Actions: []openflow.Action{openflow.Output{Port: 1}}}}
	if f != nil {
		f(gm)
	}
	return gm
}

// TestErrorsLikeStock sends what is wrong to the stock switch and to ours, in every version that can say it: both
// answer with the same types and codes, and the flows and groups stay as they are.
func TestErrorsLikeStock(t *testing.T) {
	t.Parallel()
	both := pair(t, 2)
	for _, s := range both {
		s.Vsctl("--", "--id=@t", "create", "flow_table", "flow_limit=1", "--", "set", "bridge", "br0", "flow_tables:9=@t")
		s.Ofctl("-OOpenFlow13", "add-group", "br0", "group_id=1,type=all,bucket=output:2")
		s.Ofctl("-OOpenFlow13", "add-group", "br0", "group_id=2,type=all,bucket=group:1")
		s.Ofctl("-OOpenFlow13", "add-flow", "br0", "table=9,in_port=1,actions=group:1")
		s.Ofctl("-OOpenFlow13", "add-flow", "br0", "table=0,priority=7,ip,actions=group:2")
	}
	type bad struct {
		name   string
		lo, hi openflow.Version
		send   func(p *peer) [][]byte
	}
	one := func(m openflow.Message) func(*peer) [][]byte {
		return func(p *peer) [][]byte { return [][]byte{p.encode(m)} }
	}
	fm := func(f func(*openflow.FlowMod)) func(*peer) [][]byte { return one(addFlow(f)) }
	gm := func(f func(*openflow.GroupMod)) func(*peer) [][]byte { return one(addGroup(f)) }
	bundle := func(m ...openflow.Message) func(*peer) [][]byte {
		return func(p *peer) (list [][]byte) {
			for _, m := range m {
				list = append(list, p.encode(m))
			}
			return list
		}
	}
	control := func(id uint32, typ, flags uint16) openflow.Message {
		return &openflow.BundleControl{ID: id, Type: typ, Flags: flags}
	}
	add := func(id uint32, flags uint16, m openflow.Message) openflow.Message {
		return &openflow.BundleAdd{ID: id, Flags: flags, Message: m}
	}
	conjunction := []openflow.Action{openflow.Conjunction{ID: 1, N: 2}, openflow.Output{Port: 2}}
	fromController := func() (m flow.Match) { m.Set(flow.InPortOXM, uint64(openflow.PortController)); return m }()
	const all, lo11, lo13 = openflow.V10, openflow.V11, openflow.V13
	tests := []bad{
		{"version", all, openflow.V15, func(p *peer) [][]byte { return [][]byte{patch(p.encode(addFlow(nil)), 0, 9)} }},
		{"type", all, openflow.V15, func(p *peer) [][]byte { return [][]byte{{byte(p.v), 99, 0, 8, 0, 0, 0, 7}} }},
		{"length", all, openflow.V15, func(p *peer) [][]byte { return [][]byte{cut(p.encode(addFlow(nil)), 20)} }},
		{"barrier with a body", all, openflow.V15, func(p *peer) [][]byte { return [][]byte{cut(p.encode(&openflow.BarrierRequest{}), 16)} }},
		{"experimenter", all, openflow.V15, func(p *peer) [][]byte { return [][]byte{{byte(p.v), 4, 0, 16, 0, 0, 0, 7, 1, 2, 3, 4, 0, 0, 0, 1}} }},
		{"Nicira's subtype", all, openflow.V15, func(p *peer) [][]byte {
			return [][]byte{{byte(p.v), 4, 0, 16, 0, 0, 0, 7, 0, 0, 0x23, 0x20, 0, 0, 9, 1}}
		}},
		{"multipart type", lo11, openflow.V15, func(p *peer) [][]byte { return [][]byte{{byte(p.v), 18, 0, 16, 0, 0, 0, 7, 0, 99, 0, 0, 0, 0, 0, 0}} }},
		{"flow command", all, openflow.V15, func(p *peer) [][]byte {
			b := p.encode(addFlow(nil))
			if p.v == openflow.V10 {
				return [][]byte{patch(b, 8+48, 0, 77)}
			}
			return [][]byte{patch(b, 8+17, 77)}
		}},
		{"flow flags", lo11, openflow.V15, func(p *peer) [][]byte { return [][]byte{patch(p.encode(addFlow(nil)), 8+36, 0xff)} }},
		{"flow buffer", all, openflow.V15, fm(func(f *openflow.FlowMod) { f.BufferID = 5 })},
		{"flow in the internal table", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Table = 254 })},
		{"flow in all tables", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Table = 255 })},
		{"full table", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Table = 9; f.Priority = 8 })},
		{"overlap", all, openflow.V15, fm(func(f *openflow.FlowMod) { f.Flags = openflow.FlagCheckOverlap })},
		{"output to a bad port", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Output{Port: 0xfffffff0}} })},
		{"output to no port", all, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Output{Port: openflow.PortAny}} })},
		{"unknown group", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Group{ID: 77}} })},
		{"group beyond the last", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Group{ID: 0xffffff01}} })},
		{"unknown meter", lo13, openflow.V14, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Meter{ID: 77}} })},
		{"goto an earlier table", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Table = 5; f.Actions = []openflow.Action{openflow.GotoTable{Table: 5}} })},
		{"conjunction beside another action", all, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = conjunction })},
		{"conjunction beside an instruction", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{conjunction[0], openflow.GotoTable{Table: 3}} })},
		{"conjunction beside another in clone", all, openflow.V15, fm(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Clone{Actions: conjunction}} })},
		{"conjunction in write_actions", lo11, openflow.V15, fm(func(f *openflow.FlowMod) {
			f.Actions = []openflow.Action{openflow.WriteActions{Actions: conjunction[:1]}}
		})},
		{"conjunction beside another in a bucket", all, openflow.V15, gm(func(g *openflow.GroupMod) { g.Buckets[0].Actions = conjunction })},
		{"conjunction beside another in a packet-out", all, openflow.V15, one(&openflow.PacketOut{BufferID: openflow.NoBuffer, InPort: openflow.PortController,
			Match: fromController, Packet: make([]byte, 14), Actions: conjunction})},
		{"delete in the internal table", lo11, openflow.V15, fm(func(f *openflow.FlowMod) { f.Command = openflow.FlowDelete; f.Table = 254; f.Match = flow.Match{} })},
		{"group that is there", lo11, openflow.V15, gm(func(g *openflow.GroupMod) { g.ID = 1 })},
		{"group number", lo11, openflow.V15, gm(func(g *openflow.GroupMod) { g.ID = 0xffffff01 })},
		{"group type", lo11, openflow.V15, func(p *peer) [][]byte { return [][]byte{patch(p.encode(addGroup(nil)), 8+2, 9)} }},
		{"group command", lo11, openflow.V15, func(p *peer) [][]byte { return [][]byte{patch(p.encode(addGroup(nil)), 8, 0, 99)} }},
		{"modify no group", lo11, openflow.V15, gm(func(g *openflow.GroupMod) { g.Command = openflow.GroupModify })},
		{"indirect group of two buckets", lo11, openflow.V15, gm(func(g *openflow.GroupMod) {
			g.Type = openflow.GroupTypeIndirect
			g.Buckets = append(g.Buckets, g.Buckets[0])
			g.Buckets[1].ID = 2
		})},
		{"buckets with one id", openflow.V15, openflow.V15, gm(func(g *openflow.GroupMod) { g.Buckets = append(g.Buckets, g.Buckets[0]) })},
		{"bucket that is not there", openflow.V15, openflow.V15, gm(func(g *openflow.GroupMod) {
			g.Command, g.ID, g.CommandBucket = openflow.GroupInsertBucket, 1, 77
			g.Buckets[0].ID = 5
		})},
		{"remove a bucket that is not there", openflow.V15, openflow.V15, gm(func(g *openflow.GroupMod) {
			g.Command, g.ID, g.CommandBucket, g.Buckets = openflow.GroupRemoveBucket, 1, 77, nil
		})},
		{"fast failover without watch", lo11, openflow.V15, gm(func(g *openflow.GroupMod) { g.Type = openflow.GroupTypeFastFailover })},
		{"table mod of no table", openflow.V14, openflow.V15, one(&openflow.TableMod{Table: 254, Config: 4})},
		{"table mod with vacancy", openflow.V14, openflow.V15, one(&openflow.TableMod{Config: 8, HasVacancy: true, VacancyDown: 90, Up: 10})},
		{"turn a table off", openflow.V15, openflow.V15, one(&openflow.MultipartRequest{Body: &openflow.TableFeaturesRequest{Tables: []openflow.TableFeatures{{Table: 3, Command: 3, MaxEntries: 1000000, MetadataMatch: ^uint64(0), MetadataWrite: ^uint64(0)}}}})},
		{"entries of a table", openflow.V15, openflow.V15, one(&openflow.MultipartRequest{Body: &openflow.TableFeaturesRequest{Tables: []openflow.TableFeatures{{Table: 3, Command: 1, MaxEntries: 5, MetadataMatch: ^uint64(0), MetadataWrite: ^uint64(0)}}}})},
		{"cancel no monitor", all, lo13, one(&openflow.FlowMonitorCancel{ID: 99})},
		{"close no bundle", lo13, openflow.V15, bundle(control(1, 2, 0))},
		{"commit no bundle", lo13, openflow.V15, bundle(control(1, 4, 0))},
		{"discard no bundle", lo13, openflow.V15, bundle(control(1, 6, 0))},
		{"open a bundle twice", lo13, openflow.V15, bundle(control(2, 0, 1), control(2, 0, 1), control(2, 6, 1))},
		{"flags of a bundle", lo13, openflow.V15, bundle(control(3, 0, 1), add(3, 2, addFlow(nil)), control(3, 6, 1))},
		{"add to a closed bundle", lo13, openflow.V15, bundle(control(4, 0, 1), control(4, 2, 1), add(4, 1, addFlow(nil)), control(4, 6, 1))},
		{"message of a bundle", lo13, openflow.V15, bundle(control(5, 0, 1), add(5, 1, &openflow.EchoRequest{}), control(5, 6, 1))},
		{"bundle that fails", lo13, openflow.V15, bundle(control(6, 0, 1), add(6, 1, addFlow(func(f *openflow.FlowMod) { f.Table = 3 })), add(6, 1, addGroup(nil)),
			add(6, 1, addFlow(func(f *openflow.FlowMod) { f.Command = openflow.FlowDelete; f.Match = flow.Match{} })),
			add(6, 1, addFlow(func(f *openflow.FlowMod) { f.Actions = []openflow.Action{openflow.Group{ID: 77}} })), control(6, 4, 1))},
		{"port mod of no port", all, openflow.V15, one(&openflow.PortMod{Port: 77})},
		{"packet-out with a buffer", all, openflow.V15, one(&openflow.PacketOut{BufferID: 9, InPort: openflow.PortController})},
		{"packet-out from a bad port", all, openflow.V14, one(&openflow.PacketOut{BufferID: openflow.NoBuffer, InPort: 0xfffffff0})},
		{"monitor twice", all, openflow.V11, func(p *peer) [][]byte {
			b := p.encode(&openflow.MultipartRequest{Body: &openflow.FlowMonitorRequest{Monitors: []openflow.FlowMonitor{{ID: 4, Flags: 2, Table: 255, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}}}})
			return [][]byte{b, b}
		}},
	}
	// What the stock switch takes, or answers with an error that is garbled: the errors of the standard.
	own := []struct {
		bad
		want string
	}{
		{bad{"table features", lo13, openflow.V14, one(&openflow.MultipartRequest{Body: &openflow.TableFeaturesRequest{Tables: []openflow.TableFeatures{{Table: 3, Name: "x", MaxEntries: 1000000, MetadataMatch: ^uint64(0), MetadataWrite: ^uint64(0)}}}})}, "type 13 code 5"},
		{bad{"table features of no table", openflow.V14, openflow.V15, one(&openflow.MultipartRequest{Body: &openflow.TableFeaturesRequest{Tables: []openflow.TableFeatures{{Table: 254, Command: 1}}}})}, "type 13 code 0"},
		{bad{"monitor twice", openflow.V14, openflow.V15, func(p *peer) [][]byte {
			b := p.encode(&openflow.MultipartRequest{Body: &openflow.FlowMonitorRequest{Monitors: []openflow.FlowMonitor{{ID: 4, Flags: 2, Table: 255, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}}}})
			return [][]byte{b, b}
		}}, "type 16 code 1"},
		{bad{"monitor command", openflow.V14, openflow.V15, one(&openflow.MultipartRequest{Body: &openflow.FlowMonitorRequest{Monitors: []openflow.FlowMonitor{{ID: 5, Command: 7, Table: 255, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}}}})}, "type 16 code 4"},
		{bad{"no monitor", openflow.V14, openflow.V15, one(&openflow.MultipartRequest{Body: &openflow.FlowMonitorRequest{Monitors: []openflow.FlowMonitor{{ID: 5, Command: 2, Table: 255, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny}}}})}, "type 16 code 3"},
		{bad{"bundle type", openflow.V14, openflow.V15, bundle(control(1, 9, 0))}, "type 17 code 6"},
		{bad{"group of itself", lo11, openflow.V15, gm(func(g *openflow.GroupMod) {
			g.Command, g.ID = openflow.GroupModify, 1
			g.Buckets[0].Actions = []openflow.Action{openflow.Group{ID: 2}}
		})}, "type 6 code 7"},
		{bad{"eviction flags", openflow.V14, openflow.V15, one(&openflow.TableMod{Config: 4, HasEviction: true, EvictionFlags: 1})}, "type 8 code 1"},
	}
	for _, tt := range own {
		for v := tt.lo; v <= tt.hi; v++ {
			t.Run(fmt.Sprintf("%s 1.%d", tt.name, v-openflow.V10), func(t *testing.T) {
				both[0].t = t
				p := both[0].dial(v)
				if got := strings.Join(p.errors(tt.send(p)...), "; "); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			})
		}
	}
	for _, tt := range tests {
		for v := tt.lo; v <= tt.hi; v++ {
			t.Run(fmt.Sprintf("%s 1.%d", tt.name, v-openflow.V10), func(t *testing.T) {
				var got [2]string
				for i, s := range both {
					s.t = t
					before := s.flows("-OOpenFlow13") + s.Ofctl("-OOpenFlow13", "dump-groups", "br0")
					p := s.dial(v)
					got[i] = strings.Join(p.errors(tt.send(p)...), "; ")
					p.nc.Close()
					after := s.flows("-OOpenFlow13") + s.Ofctl("-OOpenFlow13", "dump-groups", "br0")
					if diff := cmp.Diff(steady.ReplaceAllString(before, ""), steady.ReplaceAllString(after, "")); diff != "" {
						t.Errorf("changed:\n%s", diff)
					}
				}
				if got[0] != got[1] {
					t.Errorf("ours: %s\nstock: %s", got[0], got[1])
				}
				if got[1] == "" {
					t.Error("the stock switch takes it")
				}
			})
		}
	}
}
