package bridge

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bridge/mac"
	"github.com/ovs-bpf/ovs-bpf/bridge/mcast"
	"github.com/ovs-bpf/ovs-bpf/bridge/vlan"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet/packettest"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/pipeline"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/table"
)

// normalWorld is two bridges of a random configuration, joined by patch ports, whose flows are one that says NORMAL
// and some that do so after a change.
type normalWorld struct {
	*pipeline.Translator
	r    *rand.Rand
	text strings.Builder
	refs map[odp.Port]portRef
}

const (
	patchNo     = openflow.PortNo(9)
	normalPorts = 5
)

// vids and addrs are few, so that packets meet what was learned and configured.
func (w *normalWorld) vid() uint16 { return uint16([]int{0, 1, 2, 3, 4095}[w.r.IntN(5)]) }

func (w *normalWorld) addr() mac.Addr {
	a := mac.Addr{2, 0, 0, 0, 0, byte(w.r.IntN(4))}
	switch w.r.IntN(12) {
	case 0:
		a = mac.Addr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case 1:
		a = mac.Addr{1, 0x80, 0xc2, 0, 0, byte(w.r.IntN(32))}
	}
	return a
}

func (w *normalWorld) port(b *bundle) {
	some := func(vs ...int) []int {
		if w.r.IntN(2) == 0 {
			return nil
		}
		return vs[:1+w.r.IntN(len(vs))]
	}
	var c vlan.Config
	if mode := []string{"", "trunk", "access", "native-tagged", "native-untagged", "dot1q-tunnel"}[w.r.IntN(6)]; mode != "" {
		c.Mode = &mode
	}
	if w.r.IntN(2) == 0 {
		tag := int(w.vid())
		c.Tag = &tag
	}
	c.Trunks, c.CVLANs = some(1, 2, 4095), some(2, 3)
	c.Other = map[string]string{
		"priority-tags": []string{"", "never", "if-nonzero", "always"}[w.r.IntN(4)],
		"qinq-ethtype":  []string{"", "802.1q", "802.1ad"}[w.r.IntN(3)],
	}
	b.vlan = vlan.New(c)
	b.protected = w.r.IntN(4) == 0
	b.snooping = portSnooping{flood: w.r.IntN(5) == 0, reports: w.r.IntN(5) == 0}
}

// group is one of few, so that packets meet members.
func (w *normalWorld) group() netip.Addr {
	return netip.MustParseAddr([]string{"239.0.0.1", "239.0.0.3", "224.0.0.1", "ff05::1", "ff05::3", "ff02::1"}[w.r.IntN(6)])
}

// snooping is that of some members and routers.
func (w *normalWorld) snooping(c clock.Clock) *snooping {
	s := &snooping{table: mcast.New[bundleID](c), floodUnregistered: w.r.IntN(2) == 0}
	for range w.r.IntN(8) {
		s.table.Join(mcast.Group{VLAN: w.vid(), Addr: w.group()}, bundleID(1+w.r.IntN(normalPorts)))
	}
	for range w.r.IntN(2) {
		s.table.Query(w.vid(), bundleID(1+w.r.IntN(normalPorts)))
	}
	return s
}

// mirror is one that may copy from some ports to some port or VLAN.
func (w *normalWorld) mirror() *mirror {
	ports := func() map[string]bool {
		m := map[string]bool{}
		for n := 1; n < normalPorts; n++ {
			if w.r.IntN(3) == 0 {
				m[fmt.Sprintf("p%d", n)] = true
			}
		}
		return m
	}
	m := &mirror{all: w.r.IntN(3) == 0, src: ports(), dst: ports(), sent: new(traffic)}
	m.snaplen = uint32([]int{0, 0, 64}[w.r.IntN(3)])
	if w.r.IntN(2) == 0 {
		m.vlans = vlan.NewSet([]int{int(w.vid()), int(w.vid())})
	}
	if m.out = []string{"", "p1", "p2", "p3", "patch"}[w.r.IntN(5)]; m.out == "" {
		m.vlan = w.vid()
	}
	return m
}

func newNormalWorld(t *testing.T, r *rand.Rand) *normalWorld {
	w := &normalWorld{r: r, refs: map[odp.Port]portRef{}}
	time := clock.NewManual(time.Unix(1e9, 0))
	agent := &Agent{count: func(string, uint64) {}}
	agent.o.Clock = time
	bridges := [2]*Bridge{}
	for i := range bridges {
		bridges[i] = &Bridge{agent: agent, name: fmt.Sprintf("br%d", i), macs: mac.New[bundleID](time), tables: table.New(table.Options{})}
	}
	for i, b := range bridges {
		v := &view{ports: map[openflow.PortNo]*pipeline.Port{}, of: map[openflow.PortNo]*bundle{}, byID: map[bundleID]*bundle{}, forwardBPDU: r.IntN(3) == 0}
		for n := 1; n <= normalPorts; n++ {
			p := &pipeline.Port{No: openflow.PortNo(n), Name: fmt.Sprintf("p%d", n), ODP: odp.Port(10*i + n)}
			if n == normalPorts {
				p.No, p.Name, p.ODP, p.Peer, p.PeerPort = patchNo, "patch", odp.PortNone, bridges[1-i], patchNo
			} else {
				w.refs[p.ODP] = portRef{b, p}
			}
			p.Config = []uint32{0, 0, 0, openflow.ConfigNoFlood, openflow.ConfigNoFwd}[r.IntN(5)]
			bun := &bundle{id: bundleID(n), name: p.Name, members: []*pipeline.Port{p}}
			w.port(bun)
			v.ports[p.No], v.of[p.No], v.byID[bun.id] = p, bun, bun
			v.order, v.bundles = append(v.order, p), append(v.bundles, bun)
			fmt.Fprintf(&w.text, "%s %s: config %#x protected %v %+v\n", b.name, p.Name, p.Config, bun.protected, bun.vlan)
		}
		for n := range r.IntN(4) {
			b.mirrors[n] = w.mirror()
			fmt.Fprintf(&w.text, "%s mirror %+v\n", b.name, b.mirrors[n])
		}
		b.viewMirrors(v)
		if r.IntN(2) == 0 {
			v.snooping = w.snooping(time)
			fmt.Fprintf(&w.text, "%s snoops %+v: %v\n", b.name, *v.snooping, v.snooping.table.Entries())
		}
		b.view.Store(v)
		b.frag.Store(uint32([]uint16{openflow.FragNormal, openflow.FragNXMatch, openflow.FragDrop}[r.IntN(3)]))
		for range r.IntN(6) {
			o := mac.Observation[bundleID]{VLAN: w.vid(), Addr: w.addr(), Port: bundleID(1 + r.IntN(normalPorts))}
			b.macs.Learn(o)
			fmt.Fprintf(&w.text, "%s learned %+v\n", b.name, o)
		}
		normal := []openflow.Action{openflow.Output{Port: openflow.PortNormal}}
		b.tables.AddInternal(0, 0, &flow.Match{}, normal)
		for n, before := range []openflow.Action{
			openflow.PushVLAN{EthType: 0x8100}, openflow.StripVLAN{}, openflow.SetVLANVID{VID: w.vid(), Push: true},
			openflow.SetField{Field: flow.EthDst, Value: []byte{2, 0, 0, 0, 0, 1}}, openflow.DecTTL{}, openflow.Output{Port: patchNo},
		} {
			if r.IntN(6) != 0 {
				continue
			}
			var m flow.Match
			m.Set(flow.InPortOXM, uint64(1+r.IntN(normalPorts)))
			b.tables.AddInternal(0, 1+n, &m, append([]openflow.Action{before}, normal...))
			fmt.Fprintf(&w.text, "%s in_port=%d actions=%T%v,NORMAL\n", b.name, m.Key.Get(flow.InPortOXM), before, before)
		}
	}
	w.Translator = pipeline.New(pipeline.Options{
		Lookup: func(p odp.Port) (pipeline.Bridge, *pipeline.Port) {
			if ref, ok := w.refs[p]; ok {
				return ref.bridge, ref.port
			}
			return nil, nil
		},
		Clock: time, Features: datapath.Features{MaskedSet: true, Trunc: true, Clone: true},
	})
	return w
}

// packet is one with a few addresses and tags.
func (w *normalWorld) packet() (k flow.Key) {
	packet.Extract(packettest.Valid(w.r), &k)
	src, dst := w.addr(), w.addr()
	src[0] &^= 1
	k.SetBytes(flow.EthSrc, src[:])
	k.SetBytes(flow.EthDst, dst[:])
	if g := w.group(); w.r.IntN(3) == 0 {
		switch k.SetBytes(flow.EthDst, []byte{1, 0, 0x5e, 0, 0, 1}); {
		case k.Get(flow.EthType) == packet.EthTypeIPv4 && g.Is4():
			k.SetBytes(flow.IPv4Dst, g.AsSlice())
		case k.Get(flow.EthType) == packet.EthTypeIPv6 && g.Is6():
			k.SetBytes(flow.IPv6Dst, g.AsSlice())
		}
	}
	w.tags(&k, &flow.Mask{})
	k.Set(flow.InPortOXM, uint64(10*w.r.IntN(2)+1+w.r.IntN(normalPorts-1)))
	return k
}

// tags gives a packet other tags, in the bits that are not in the mask.
func (w *normalWorld) tags(k *flow.Key, mask *flow.Mask) {
	was := *k
	for i, f := range [][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
		if w.r.IntN(3) == i {
			k.Set(f[0], 0)
			k.Set(f[1], 0)
			k.Set(flow.VLANTCI2, 0)
			k.Set(flow.VLANTPID2, 0)
			break
		}
		k.Set(f[0], uint64(w.vid())|flow.VLANPresent|uint64(w.r.IntN(8))<<13)
		k.Set(f[1], []uint64{0x8100, 0x88a8}[w.r.IntN(2)])
	}
	for i := range k {
		k[i] = k[i]&^mask[i] | was[i]&mask[i]
	}
}

// possible says that there are packets with these tags.
func possible(k *flow.Key) bool {
	have := [2]bool{}
	for i, f := range [][2]flow.FieldID{{flow.VLANTCI, flow.VLANTPID}, {flow.VLANTCI2, flow.VLANTPID2}} {
		have[i] = k.Get(f[0])&flow.VLANPresent != 0
		if t := k.Get(f[1]); have[i] && t != 0x8100 && t != 0x88a8 || !have[i] && (t != 0 || k.Get(f[0]) != 0) {
			return false
		}
	}
	return have[0] || !have[1]
}

func (w *normalWorld) run(k *flow.Key) *datapath.Result {
	res := new(datapath.Result)
	w.Translate(&datapath.Request{Key: k}, res)
	return res
}

// TestNormalWildcards: a packet that differs only in the wildcarded bits of the megaflow of another is switched the same
// way by NORMAL, depends on the same versions and is learned from alike, in bridges of all VLAN modes.
func TestNormalWildcards(t *testing.T) {
	var tried, acted, flooded int
	for seed := range uint64(4000) {
		w := newNormalWorld(t, rand.New(rand.NewPCG(seed, 1)))
		for range 4 {
			first := w.packet()
			want := w.run(&first)
			if len(want.Actions) > 0 {
				acted++
			}
			if len(want.Actions) > 2 {
				flooded++
			}
			for n := range 16 {
				k := first
				if n%2 == 0 {
					// The addresses and tags of another packet, and its headers.
					o := w.packet()
					for i := range flow.DPWords {
						k[i] = k[i]&want.Mask[i] | o[i]&^want.Mask[i]
					}
				} else {
					for i := range flow.DPWords {
						k[i] ^= w.r.Uint64() & w.r.Uint64() &^ want.Mask[i]
					}
					for _, f := range []flow.FieldID{flow.VLANTCI, flow.VLANTPID, flow.VLANTCI2, flow.VLANTPID2} {
						k.SetBytes(f, first.GetBytes(f, nil))
					}
					w.tags(&k, &want.Mask)
				}
				if !possible(&k) || !k.EqualMasked(&first, &want.Mask) {
					continue
				}
				tried++
				got := w.run(&k)
				same := cmp.Equal(want.Actions, got.Actions) && want.Drop == got.Drop && want.Slow == got.Slow &&
					len(want.Deps) == len(got.Deps) && len(want.Credits) == len(got.Credits)
				for i := range want.Deps {
					same = same && want.Deps[i] == got.Deps[i]
				}
				for i := range want.Credits {
					same = same && want.Credits[i] == got.Credits[i]
				}
				if !same {
					t.Fatalf("seed %d\n%sflow %s\ngives %v\nother %s\ngives %v", seed, &w.text,
						odp.FormatKey(&first, &want.Mask, odp.TextOptions{}), odp.FormatActions(want.Actions, nil),
						odp.FormatKey(&k, nil, odp.TextOptions{}), odp.FormatActions(got.Actions, nil))
				}
			}
		}
	}
	t.Logf("%d other packets, %d with actions, %d flooded", tried, acted, flooded)
	if tried < 10000 || acted < 1000 || flooded < 100 {
		t.Error("the generator makes too few cases that say something")
	}
}
