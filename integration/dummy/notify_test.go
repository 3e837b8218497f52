package dummy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// heard is what came on a connection until a barrier is answered, transaction ids zeroed.
func (p *peer) heard() (list []string) {
	p.t.Helper()
	p.write(p.encode(&openflow.BarrierRequest{}))
	barrier := byte(21)
	if p.v == openflow.V10 {
		barrier = 19
	}
	for {
		b, err := openflow.ReadMessage(p.r, 0)
		if err != nil {
			p.t.Fatal(err)
		}
		if b[1] == barrier {
			return list
		}
		binary.BigEndian.PutUint32(b[4:], 0)
		list = append(list, fmt.Sprintf("%x", b))
	}
}

// notified is a step of TestNotificationsLikeStock: what two controllers, p and q, send, and what else happens.
type notified struct {
	name    string
	p, q    func(v openflow.Version) []openflow.Message
	happens func(s *sim)
}

func always(m ...openflow.Message) func(openflow.Version) []openflow.Message {
	return func(openflow.Version) []openflow.Message { return m }
}

// from is always from a version on, with other messages before it.
func from(v openflow.Version, before []openflow.Message, m ...openflow.Message) func(openflow.Version) []openflow.Message {
	return func(is openflow.Version) []openflow.Message {
		if is < v {
			return before
		}
		return m
	}
}

func role(r openflow.Role, generation uint64) openflow.Message {
	return &openflow.RoleRequest{Role: r, HasGenID: true, GenerationID: generation}
}

func roleNX(r openflow.Role) []openflow.Message {
	return []openflow.Message{&openflow.RoleRequest{Role: r, Nicira: true}}
}

// async asks for asynchronous messages with these reasons in all roles, in a form of set-async.
func async(form uint8, reasons ...uint32) openflow.Message {
	m := &openflow.SetAsync{Form: form}
	for i, mask := range reasons {
		m.Masks[i], m.Present[i] = [2]uint32{mask, mask}, [2]bool{true, true}
	}
	return m
}

// portMod changes the local port.
func portMod(config, mask uint32) func(openflow.Version) []openflow.Message {
	return always(&openflow.PortMod{Port: openflow.PortLocal, HWAddr: [6]byte{0xaa, 0x55, 0xaa, 0x55}, Config: config, Mask: mask})
}

// until is always up to a version.
func until(v openflow.Version, m ...openflow.Message) func(openflow.Version) []openflow.Message {
	return func(is openflow.Version) []openflow.Message {
		if is > v {
			return nil
		}
		return m
	}
}

// monitorRequest asks for all changes of flows.
func monitorRequest(id uint32) openflow.Message {
	m := openflow.FlowMonitor{ID: id, Table: 7, OutPort: openflow.PortAny, OutGroup: openflow.GroupAny,
		Flags: openflow.MonitorInitial | openflow.MonitorAdd | openflow.MonitorRemoved | openflow.MonitorModify | openflow.MonitorActions | openflow.MonitorNoAbbrev}
	return &openflow.MultipartRequest{Body: &openflow.FlowMonitorRequest{Monitors: []openflow.FlowMonitor{m}}}
}

func changeFlows(s *sim) {
	s.Ofctl("add-flow", "br0", "table=7,reg0=3,tcp,actions=2")
	s.Ofctl("mod-flows", "br0", "table=7,actions=3")
	s.Ofctl("del-flows", "br0", "table=7")
}

func formats() (list []notified) {
	for f := openflow.PacketInStandard; f <= openflow.PacketInNXT2; f++ {
		list = append(list, notified{name: fmt.Sprintf("packet-in of format %d", f), p: always(&openflow.SetPacketInFormat{Format: f}), happens: func(s *sim) {
			s.receive("p1", words(manualPackets[0])[1], words(manualPackets[1])[1], words(manualPackets[3])[1])
		}})
	}
	return list
}

// notifications go from what a connection asks for to what it is told.
var notifications = slices.Concat([]notified{
	{name: "echo, config", p: always(&openflow.EchoRequest{Data: []byte{1, 2, 3}}, &openflow.SetConfig{MissSendLen: 0xffff}, &openflow.GetConfigRequest{})},
	{name: "Nicira's role", p: always(roleNX(openflow.RolePrimary)...), q: always(roleNX(openflow.RoleSecondary)...)},
	{name: "equal again", p: always(roleNX(openflow.RoleEqual)...), q: always(roleNX(openflow.RoleEqual)...)},
	{name: "role", p: from(openflow.V12, nil, role(openflow.RolePrimary, 1))},
	{name: "another is primary", q: from(openflow.V12, roleNX(openflow.RolePrimary), role(openflow.RolePrimary, 2))},
	{name: "both equal", p: always(roleNX(openflow.RoleEqual)...), q: always(roleNX(openflow.RoleEqual)...)},
	{name: "set-async of Nicira", p: always(async(openflow.AsyncNX, 0x3f, 0x7, 0xf))},
	{name: "set-async of more reasons than there are", p: func(v openflow.Version) []openflow.Message {
		form := openflow.AsyncNX2
		if v >= openflow.V14 {
			form = openflow.AsyncStandard
		}
		var list []openflow.Message
		for _, mask := range []uint32{0x1, 0x7, 0xf, 0x3f, 0x7f, 0x18, 0x3} {
			list = append(list, async(form, mask), async(form, 0x3, mask), async(form, 0x3, 0x7, mask), async(form, 0x3, 0x7, 0x7, mask),
				async(form, 0x3, 0x7, 0x7, 0x7, mask), async(form, 0x3, 0x7, 0x7, 0x7, 0x18, mask))
		}
		return list
	}},
	{name: "set-async", p: func(v openflow.Version) []openflow.Message {
		switch {
		case v >= openflow.V14:
			return []openflow.Message{async(openflow.AsyncStandard, 0x3f, 0x7, 0xf, 0x7, 0x18, 0x3), &openflow.GetAsyncRequest{}}
		case v == openflow.V13:
			return []openflow.Message{async(openflow.AsyncNX2, 0x7, 0x7, 0xf, 0x7, 0x18, 0x3), async(openflow.AsyncStandard, 0x3f, 0xff, 0x3f), &openflow.GetAsyncRequest{}}
		default:
			return []openflow.Message{async(openflow.AsyncNX2, 0x7, 0x7, 0xf, 0x7, 0x18, 0x3)}
		}
	}},
	{name: "controller id", p: always(&openflow.SetControllerID{ID: 7})},
	{name: "flow format, table id, flow age", p: func(v openflow.Version) []openflow.Message {
		list := []openflow.Message{&openflow.FlowModTableID{Set: true}, &openflow.FlowAge{}}
		if v == openflow.V10 {
			list = append(list, &openflow.SetFlowFormat{Format: 2}, &openflow.SetFlowFormat{Format: 9})
		}
		return list
	}},
	{name: "nothing for other controllers", q: always(&openflow.SetControllerID{ID: 8})},
}, formats(), []notified{
	{name: "flow removed", happens: func(s *sim) {
		s.Ofctl("add-flow", "br0", "cookie=5,send_flow_rem,priority=9,arp,actions=2")
		s.Ofctl("add-flow", "br0", "send_flow_rem,table=3,reg0=3,hard_timeout=20,idle_timeout=10,tcp6,tcp_dst=9,actions=2")
		s.Ofctl("del-flows", "br0", "arp")
		s.Ofctl("del-flows", "br0", "table=3")
	}},
	{name: "port status", happens: func(s *sim) {
		s.Ofctl("mod-port", "br0", "br0", "no-flood")
		s.Ofctl("mod-port", "br0", "br0", "flood")
	}},
	{name: "a port mod of its own", p: portMod(openflow.ConfigNoFwd, openflow.ConfigNoFwd), q: always(&openflow.EchoRequest{})},
	{name: "a port mod of another", q: portMod(0, openflow.ConfigNoFwd)},
	// The stock daemon answers those of 1.4 and later with an error that has its memory in it: TestMonitorLikeStock.
	{name: "a flow monitor", p: until(openflow.V13, monitorRequest(5)), happens: changeFlows},
	{name: "a flow monitor cancelled", p: until(openflow.V13, &openflow.FlowMonitorCancel{ID: 5}, &openflow.FlowMonitorCancel{ID: 6}), happens: changeFlows},
	{name: "table status", happens: func(s *sim) {
		s.Ofctl("-OOpenFlow14", "mod-table", "br0", "9", "vacancy:20,80")
		for i := range 5 {
			s.Ofctl("-OOpenFlow14", "add-flow", "br0", fmt.Sprintf("table=9,reg0=%d,actions=2", i))
		}
		s.Ofctl("-OOpenFlow14", "del-flows", "br0", "table=9")
	}},
	{name: "a group mod of another", q: always(addGroup(nil), &openflow.GroupMod{Command: openflow.GroupDelete, ID: openflow.GroupAll, CommandBucket: openflow.BucketAll})},
	{name: "a meter mod of another", q: from(openflow.V13, nil, &openflow.MeterMod{
		Meter: openflow.MeterConfig{ID: 3, Flags: 1 | 4, Bands: []openflow.MeterBand{{Type: 1, Rate: 5, Burst: 6}}},
	}, &openflow.MeterMod{Command: 2, Meter: openflow.MeterConfig{ID: 3}})},
})

// TestNotificationsLikeStock has two controllers ask for all that a switch tells by itself, in every version and as every
// extension, and has it happen: the stock switch and ours must send them the same octets.
func TestNotificationsLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := manualPair(t)
	both := []*sim{ours, stock}
	for _, s := range both {
		s.Vsctl("--", "--id=@t", "create", "flow_table", "flow_limit=5", "--", "set", "bridge", "br0", "flow_tables:9=@t")
		s.Ofctl("add-flow", "br0", "priority=5,tcp,actions=controller(id=7,max_len=32)")
		s.Ofctl("add-flow", "br0", "priority=5,udp,actions=dec_ttl(7)")
		s.Ofctl("add-flow", "br0", "priority=5,icmp,cookie=3,actions=load:5->reg0,set_tunnel:7,controller(id=7,userdata=0102,reason=no_match)")
	}
	total := 0
	for v := openflow.V10; v <= openflow.V15; v++ {
		var p, q [2]*peer
		for i, s := range both {
			p[i], q[i] = s.dial(v), s.dial(v)
		}
		for _, n := range notifications {
			var got [2][]string
			hear := func(i int) {
				for who, c := range []*peer{p[i], q[i]} {
					for _, m := range c.heard() {
						got[i] = append(got[i], fmt.Sprintf("%c %s", "pq"[who], m))
					}
				}
			}
			listen := func(i int) func() string {
				return func() string {
					hear(i)
					list := slices.Clone(got[i])
					slices.Sort(list)
					return strings.Join(list, "\n")
				}
			}
			for i, s := range both {
				for _, c := range []struct {
					to   *peer
					send func(openflow.Version) []openflow.Message
				}{{p[i], n.p}, {q[i], n.q}} {
					if c.send == nil {
						continue
					}
					for _, m := range c.send(v) {
						c.to.write(c.to.encode(m))
					}
				}
				hear(i) // all has been done
				if n.happens != nil {
					n.happens(s)
				}
			}
			if diff := difference(listen(0), listen(1)); diff != "" {
				t.Errorf("version %v, %s (-stock +ours):\n%s", v, n.name, diff)
			}
			status := fmt.Sprintf("p %02x1f", byte(v)) // OFPT_TABLE_STATUS
			if n.name == "table status" && v >= openflow.V14 && !slices.ContainsFunc(got[0], func(m string) bool { return strings.HasPrefix(m, status) }) {
				t.Errorf("version %v: no table status among %q", v, got[0])
			}
			total += len(got[0])
		}
	}
	if total < 100 {
		t.Errorf("%d messages: too few for a comparison", total)
	}
	t.Logf("%d messages are alike", total)
}
