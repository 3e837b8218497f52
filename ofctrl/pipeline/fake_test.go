package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

type version uint64

func (v *version) Version() uint64 { return uint64(*v) }

// fakeBridge is a bridge with ports of a list.
type fakeBridge struct {
	name   string
	tables *table.Tables
	config version
	ports  []*Port
	frag   uint16
	normal func(Context)
	ins    []*PacketIn

	sampling *Sampling
	mirror   func(Mirroring, *Port, MirrorSet)
	samples  []*Sample
}

func (b *fakeBridge) Name() string               { return b.name }
func (b *fakeBridge) UUID() (id [16]byte)        { copy(id[:], b.name); return id }
func (b *fakeBridge) Tables() *table.Tables      { return b.tables }
func (b *fakeBridge) Config() datapath.Versioned { return &b.config }
func (b *fakeBridge) FragHandling() uint16       { return b.frag }
func (b *fakeBridge) PacketIn(in *PacketIn)      { b.ins = append(b.ins, in) }
func (b *fakeBridge) Sampling() *Sampling        { return b.sampling }
func (b *fakeBridge) Sampled(s *Sample)          { b.samples = append(b.samples, s) }
func (b *fakeBridge) DatapathID() uint64         { return 1 }
func (b *fakeBridge) Mirror(x Mirroring, at *Port, m MirrorSet) {
	if b.mirror != nil {
		b.mirror(x, at, m)
	}
}

func (b *fakeBridge) Normal(x Context) {
	if b.normal != nil {
		b.normal(x)
	}
}

func (b *fakeBridge) PortByNo(no openflow.PortNo) *Port {
	for _, p := range b.ports {
		if p.No == no {
			return p
		}
	}
	return nil
}

func (b *fakeBridge) EachPort(f func(*Port)) {
	for _, p := range b.ports {
		f(p)
	}
}

func (b *fakeBridge) port(no openflow.PortNo, dp odp.Port) *Port {
	p := &Port{No: no, Name: fmt.Sprintf("%s-p%d", b.name, no), ODP: dp, State: openflow.StateLive}
	b.ports = append(b.ports, p)
	return p
}

// patch joins two bridges by patch ports with the same number.
func patch(a, b *fakeBridge, no openflow.PortNo) {
	p, q := a.port(no, odp.PortNone), b.port(no, odp.PortNone)
	p.Peer, p.PeerPort = b, no
	q.Peer, q.PeerPort = a, no
}

// world is two bridges, ports 1 to 3 of br0 being 11 to 13 of the datapath and those of br1 21
// to 23, joined by a patch port 9, and a translator above them.
type world struct {
	*Translator
	br0, br1 *fakeBridge
	clock    *clock.Manual
}

var allFeatures = datapath.Features{Recirc: true, Trunc: true, CTClear: true, MaskedSet: true, Clone: true, CheckPktLen: true, MaxHashAlg: 1}

func newWorld(rules0, rules1 []spec) *world {
	w := &world{br0: &fakeBridge{name: "br0"}, br1: &fakeBridge{name: "br1"}, clock: clock.NewManual(time.Unix(1e9, 0))}
	w.br0.tables, w.br1.tables = newTables(rules0), newTables(rules1)
	for i := range 3 {
		w.br0.port(openflow.PortNo(1+i), odp.Port(11+i))
		w.br1.port(openflow.PortNo(1+i), odp.Port(21+i))
	}
	patch(w.br0, w.br1, 9)
	w.br0.port(openflow.PortLocal, 10)
	w.Translator = New(Options{
		Lookup: func(p odp.Port) (Bridge, *Port) {
			for _, b := range []*fakeBridge{w.br0, w.br1} {
				for _, q := range b.ports {
					if q.ODP == p {
						return b, q
					}
				}
			}
			return nil, nil
		},
		Bridge: func(id [16]byte) Bridge {
			for _, b := range []*fakeBridge{w.br0, w.br1} {
				if b.UUID() == id {
					return b
				}
			}
			return nil
		},
		Clock: w.clock, Features: allFeatures,
	})
	return w
}

// run translates a key.
func (w *world) run(k *flow.Key) *datapath.Result {
	res := new(datapath.Result)
	w.Translate(&datapath.Request{Key: k, Learn: true}, res)
	return res
}

// rule makes a rule of pairs of field and value, each exact.
func rule(id uint8, priority int, match string, actions ...openflow.Action) spec {
	return spec{id, priority, parseMatch(match), actions}
}

// parseMatch reads "field=hex[/hex],...".
func parseMatch(s string) (m flow.Match) {
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		value, mask, masked := strings.Cut(value, "/")
		id, ok := flow.FieldByName(name)
		if !ok {
			panic("no field " + name)
		}
		if id == flow.InPort {
			id = flow.InPortOXM
		}
		m.Key.SetMasked(id, wire(id, value), nil)
		if masked {
			m.Mask.SetBytes(id, wire(id, mask))
		} else {
			m.Mask.SetExact(id)
		}
	}
	m.Normalize()
	return m
}

// wire is a field's value of hex digits.
func wire(id flow.FieldID, hex string) []byte {
	hex = strings.TrimPrefix(strings.ReplaceAll(hex, ":", ""), "0x")
	n := id.Info().Bytes
	if len(hex)%2 == 1 {
		hex = "0" + hex
	}
	out := make([]byte, n)
	for i := len(hex) - 2; i >= 0; i -= 2 {
		var b byte
		if _, err := fmt.Sscanf(hex[i:i+2], "%x", &b); err != nil {
			panic(err)
		}
		n--
		out[n] = b
	}
	return out
}

func key(s string) *flow.Key {
	m := parseMatch(s)
	return &m.Key
}

func setField(s string) openflow.SetField {
	name, v, _ := strings.Cut(s, "=")
	value, mask, masked := strings.Cut(v, "/")
	id, ok := flow.FieldByName(name)
	if !ok {
		panic("no field " + name)
	}
	a := openflow.SetField{Field: id, Value: wire(id, value)}
	if masked {
		a.Mask = wire(id, mask)
	}
	return a
}

func sub(s string) flow.Subfield {
	var a, b uint16
	name, r, ok := strings.Cut(strings.TrimSuffix(s, "]"), "[")
	id, found := flow.FieldByName(name)
	if !found {
		panic("no field " + name)
	}
	if !ok {
		return flow.WholeField(id)
	}
	if _, err := fmt.Sscanf(r, "%d..%d", &a, &b); err != nil {
		panic(err)
	}
	return flow.Subfield{Field: id, Ofs: a, Bits: b - a + 1}
}

func output(no openflow.PortNo) openflow.Output { return openflow.Output{Port: no} }

// actionsText is a short form of datapath actions.
func actionsText(list []odp.Action) string {
	var out []string
	for _, a := range list {
		switch a := a.(type) {
		case odp.Output:
			out = append(out, fmt.Sprint(a.Port))
		case odp.Set:
			var f []string
			for _, s := range a.Fields {
				t := fmt.Sprintf("%s=%x", s.Field, s.Value)
				if s.Mask != nil {
					t += fmt.Sprintf("/%x", s.Mask)
				}
				f = append(f, t)
			}
			out = append(out, "set("+strings.Join(f, " ")+")")
		case odp.PushVLAN:
			out = append(out, fmt.Sprintf("push_vlan(%x %x)", a.TPID, a.TCI))
		case odp.PopVLAN:
			out = append(out, "pop_vlan")
		case odp.Trunc:
			out = append(out, fmt.Sprintf("trunc(%d)", a.MaxLen))
		case odp.Userspace:
			out = append(out, fmt.Sprintf("controller(reason=%d max_len=%d id=%d)", a.ControllerReason, a.MaxLen, a.ControllerID))
		case odp.PushMPLS:
			out = append(out, fmt.Sprintf("push_mpls(%x %x)", a.LSE, a.EthType))
		case odp.PopMPLS:
			out = append(out, fmt.Sprintf("pop_mpls(%x)", a.EthType))
		case odp.Recirc:
			out = append(out, "recirc")
		case odp.PopEth:
			out = append(out, "pop_eth")
		case odp.PushEth:
			out = append(out, fmt.Sprintf("push_eth(%x %x)", a.Src, a.Dst))
		case odp.Clone:
			out = append(out, "clone("+actionsText(a.Actions)+")")
		case odp.CheckPktLen:
			out = append(out, fmt.Sprintf("check_pkt_len(%d,gt(%s),le(%s))", a.Len, actionsText(a.Greater), actionsText(a.LessEqual)))
		default:
			out = append(out, fmt.Sprintf("%T", a))
		}
	}
	return strings.Join(out, ",")
}

// baseMask is what is exact in every mask.
var baseMask = func() (m flow.Mask) {
	for _, f := range []flow.FieldID{flow.InPortOXM, flow.RecircID, flow.PacketType, flow.EthType} {
		m.SetExact(f)
	}
	return m
}()

// maskText lists the fields in a mask, without those that always are.
func maskText(m *flow.Mask) string {
	var out []string
	var seen flow.Mask
	for i := range flow.Fields {
		f := &flow.Fields[i]
		if f.Off < 0 || f.Off >= flow.DPWords*8 || m.IsZero(f.ID) {
			continue
		}
		var of flow.Mask
		of.SetExact(f.ID)
		if covered := of; seen.Covers(&covered) || baseMask.Covers(&covered) {
			continue
		}
		seen.Or(&of)
		t := f.Name
		if !m.IsExact(f.ID) {
			t += fmt.Sprintf("/%x", m.GetBytes(f.ID, nil))
		}
		out = append(out, t)
	}
	return strings.Join(out, " ")
}

func frame(t testing.TB, k string, data []byte) *flow.Key {
	t.Helper()
	out := key(k)
	packet.Extract(data, out)
	return out
}

func rulesOf(res *datapath.Result) (out []*table.Rule) {
	for _, c := range res.Credits {
		if r, ok := c.(*table.Rule); ok && r.Table != 254 && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// Learn is the switch's without its lock, as worlds are used by one goroutine.
func (b *fakeBridge) Learn(fm *openflow.FlowMod, limit uint32) { _, _ = b.tables.Learn(fm, limit) }
