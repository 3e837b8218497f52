package ebpf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/tunnel"
)

// TestNextHopUpcall sends up what has no next hop, and then again.
func TestNextHopUpcall(t *testing.T) {
	x := newTunnelLab(t)
	ups := make(chan datapath.Upcall, 10)
	x.d.Handle(func(up *datapath.Upcall) {
		c := *up
		c.Packet = *up.Packet.Clone()
		ups <- c
	})
	n, spec := x.tunnel()
	if err := x.d.DelNextHop(remote4, 0); err != nil {
		t.Fatal(err)
	}
	unresolved := x.hops[remote6]
	unresolved.DstMAC = [6]byte{}
	if err := x.d.SetNextHop(unresolved); err != nil {
		t.Fatal(err)
	}
	for _, to := range []netip.Addr{remote4, remote6} {
		data := x.inner()
		set := setTo(to, flow.TunFlagKey|flow.TunFlagDF, nil)
		x.flow(t, x.inside, set, odp.Output{Port: n})
		res, err := x.d.TestRun(x.inside, data, 0, 0, 1)
		if err != nil || res.Verdict != VerdictDrop || res.Reason != "" {
			t.Fatalf("%+v, %v", res, err)
		}
		var up datapath.Upcall
		select {
		case up = <-ups:
		case <-time.After(10 * time.Second):
			t.Fatal("no upcall")
		}
		_, dst := tunnel.Endpoints(&up.Key)
		if up.Kind != odp.UpcallNextHop || up.Cookie != uint32(n) || dst != to || string(up.Packet.Data) != string(data) {
			t.Fatalf("upcall %d for port %d to %v of %x", up.Kind, up.Cookie, dst, up.Packet.Data)
		}
		h := x.hops[to]
		if err := x.d.SetNextHop(h); err != nil {
			t.Fatal(err)
		}
		if err := x.d.Execute(&up.Packet, &up.Key, []odp.Action{odp.Output{Port: n}}); err != nil {
			t.Fatal(err)
		}
		want, err := tunnel.Encapsulate(spec, &up.Key, &h, tunnel.DefaultPorts, 0, data)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.fromUnderlay(t); string(got) != string(want) {
			t.Errorf("(-want +got) %s", cmp.Diff(want, got))
		}
	}
}

// TestTooBigUpcall sends up what is longer than the way takes.
func TestTooBigUpcall(t *testing.T) {
	x := newTunnelLab(t)
	ups := make(chan datapath.Upcall, 10)
	x.d.Handle(func(up *datapath.Upcall) {
		c := *up
		c.Packet = *up.Packet.Clone()
		ups <- c
	})
	h := x.hops[remote4]
	h.MTU = 1000
	if err := x.d.SetNextHop(h); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1200)
	copy(data, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 8, 0, 0x45, 0, 4, 0x9e, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2})
	for n, s := range x.ports {
		if s.Type != "geneve" {
			continue
		}
		x.flow(t, x.inside, setTo(remote4, 0, make([]byte, 8)), odp.Output{Port: n})
		if _, err := x.d.TestRun(x.inside, data, 0, 0, 1); err != nil {
			t.Fatal(err)
		}
		select {
		case up := <-ups:
			// Outside: IPv4, UDP, Geneve with options, Ethernet with a tag.
			want := datapath.TooBigCookie(n, 1000-20-8-8-8-18)
			if up.Kind != odp.UpcallTooBig || up.Cookie != want || string(up.Packet.Data) != string(data) {
				t.Errorf("upcall %d with cookie %#x, want %#x", up.Kind, up.Cookie, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no upcall")
		}
	}
	drops, err := x.d.Drops()
	if err != nil || len(drops) != 1 || drops[0].Reason != "tunnel_mtu" || drops[0].Packets != 1 {
		t.Errorf("drops %v, %v", drops, err)
	}
}

// fromUnderlay reads what was sent out of the underlay device.
func (x *tunnelLab) fromUnderlay(t *testing.T) []byte {
	t.Helper()
	buf := make([]byte, 10000)
	for range 1000 {
		n, err := unix.Read(x.fd, buf)
		if err == nil {
			return buf[:n]
		}
		unix.Poll([]unix.PollFd{{Fd: int32(x.fd), Events: unix.POLLIN}}, 10)
	}
	t.Fatal("nothing was sent")
	return nil
}

// TestTunnelFlood sends copies out of many tunnels, in one list, and the packet itself with another tunnel to a table behind.
func TestTunnelFlood(t *testing.T) {
	x := newTunnelLab(t)
	const copies = 24
	var actions []odp.Action
	var want [][]byte
	data := x.inner()
	for range copies {
		n, spec := x.tunnel()
		var key flow.Key
		set := x.set(local4, remote4, local6, remote6, &key)
		key.Set(flow.TunAllFlags, key.Get(flow.TunAllFlags)|flow.TunFlagDF)
		for i, f := range set.Fields {
			if f.Field == flow.TunAllFlags {
				set.Fields[i].Value = key.GetBytes(flow.TunAllFlags, nil)
			}
		}
		packet.Extract(data, &key)
		_, dst := tunnel.Endpoints(&key)
		hop := x.hops[dst]
		frame, err := tunnel.Encapsulate(spec, &key, &hop, tunnel.DefaultPorts, 0, data)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, frame)
		actions = append(actions, set, odp.Output{Port: n})
	}
	var last flow.Key
	actions = append(actions, x.set(local4, remote4, local6, remote6, &last), odp.Recirc{ID: 7})
	x.flow(t, x.inside, actions...)
	var f datapath.Flow
	f.Match.Key = last
	for i := range flow.DPWords {
		if f.Match.Key[i] != 0 {
			f.Match.Mask[i] = ^uint64(0)
		}
	}
	f.Match.Key.Set(flow.RecircID, 7)
	f.Match.Mask.SetExact(flow.RecircID)
	f.Match.Mask.SetExact(flow.TunTTL)
	f.Actions = []odp.Action{odp.Output{Port: x.inside}}
	_, err := x.d.FlowPut(&f)
	longMask := errors.Is(err, datapath.ErrTooLong)
	if err != nil && !longMask {
		t.Fatal(err)
	}
	res, err := x.d.TestRun(x.inside, data, 0, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := x.fromUnderlay(t); string(got) != string(w) {
			t.Fatalf("copy %d (-want +got) %s", i, cmp.Diff(w, got))
		}
	}
	if !longMask && (res.Verdict != VerdictRedirect || res.Out != x.inside) {
		t.Errorf("then %+v", res)
	}
}

// TestLongFlood executes a list that is too long for the programs.
func TestLongFlood(t *testing.T) {
	x := newTunnelLab(t)
	data := x.inner()
	var key flow.Key
	packet.Extract(data, &key)
	key.Set(flow.InPort, uint64(x.inside))
	var actions []odp.Action
	var want [][]byte
	for range 80 {
		n, spec := x.tunnel()
		set := setTo(remote4, flow.TunFlagDF|flow.TunFlagKey, nil)
		actions = append(actions, set, odp.Output{Port: n})
		k := key
		for _, f := range set.Fields {
			k.SetBytes(f.Field, f.Value)
		}
		hop := x.hops[remote4]
		frame, err := tunnel.Encapsulate(spec, &k, &hop, tunnel.DefaultPorts, 0, data)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, frame)
	}
	if _, err := compile(actions, 0); !errors.Is(err, datapath.ErrTooLong) {
		t.Fatalf("not too long: %v", err)
	}
	if err := x.d.Execute(&datapath.Packet{Data: data}, &key, actions); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got := x.fromUnderlay(t); string(got) != string(w) {
			t.Fatalf("copy %d (-want +got) %s", i, cmp.Diff(w, got))
		}
	}
}

// TestTunnelActions reads lists back as they were.
func TestTunnelActions(t *testing.T) {
	x := newTunnelLab(t)
	for range 500 {
		var key flow.Key
		list := []odp.Action{odp.Output{Port: 3}}
		for range x.r.IntN(5) {
			list = append(list, x.set(local4, remote4, local6, remote6, &key), odp.Output{Port: 4})
		}
		w, err := compile(list, 0)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]uint32, len(w))
		for i := range ids {
			ids[i] = uint32(i + 100)
		}
		w.link(ids)
		got, blocks, err := decode(100, func(n uint32) *[blockWords]uint64 {
			if n < 100 || int(n) >= 100+len(w) {
				return nil
			}
			return &w[n-100]
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) != len(w)-1 {
			t.Fatalf("%d of %d blocks", len(blocks)+1, len(w))
		}
		if d := cmp.Diff(odp.FormatActions(list, nil), odp.FormatActions(got, nil)); d != "" {
			t.Fatal(d)
		}
	}
}

// TestTunnelRestart keeps tunnels, next hops and underlay while nobody runs, and adopts them.
func TestTunnelRestart(t *testing.T) {
	sites := newSites(t)
	a, b := sites[0], sites[1]
	o := small()
	b.open(o)
	o.PinDir = a.pins()
	a.open(o)
	a.hop(b, false)
	b.hop(a, false)
	spec := datapath.TunnelSpec{Type: "geneve", DstPort: 6081}
	a.connect(spec, b.addr(false), flow.TunFlagKey, nil)
	b.connect(spec, a.addr(false), flow.TunFlagKey, nil)
	const ping = "ping -q -c 2 -i 0.05 -W 5 10.0.0.2"
	a.in(a.host, ping)
	a.enter()
	if err := a.d.Close(false); err != nil {
		t.Fatal(err)
	}
	a.in(a.host, ping)
	a.enter()
	a.d = a.lab.open(o)
	a.in(a.host, ping)
	spec.Native = true
	a.enter()
	n, err := a.d.PortAdd(datapath.PortSpec{Name: "tun0", Kind: datapath.PortTunnel, Type: spec.Type, Number: odp.PortNone, Tunnel: &spec})
	if err != nil || n != a.tunnel {
		t.Fatalf("adopted as %d, was %d: %v", n, a.tunnel, err)
	}
	a.addUnderlay()
	a.in(a.host, ping)
	ports, err := a.d.Ports()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(ports, func(p datapath.PortInfo) bool { return p.Number == n })
	if i < 0 || ports[i].Stats.TxPackets < 6 || ports[i].Tunnel == nil || *ports[i].Tunnel != spec {
		t.Errorf("port %+v", ports)
	}
	a.enter()
	if err := a.d.SetUnderlay(nil); err != nil {
		t.Fatal(err)
	}
	if out := a.sh("bpftool net show dev under; tc filter show dev under ingress"); strings.Contains(out, "underlay") || strings.Contains(out, "ovs-bpf") {
		t.Errorf("a program is left:\n%s", out)
	}
	a.addUnderlay()
	if err := a.d.Close(true); err != nil {
		t.Fatal(err)
	}
	if out := a.sh("bpftool net show dev under; tc filter show dev under ingress"); strings.Contains(out, "underlay") || strings.Contains(out, "ovs-bpf") {
		t.Errorf("a program is left:\n%s", out)
	}
	a.d = nil
}

// TestTunnelVLAN has a tag go along, also in front of packets that are segmented later.
func TestTunnelVLAN(t *testing.T) {
	sites := newSites(t)
	a, b := sites[0], sites[1]
	for _, s := range sites {
		s.open(small())
		s.iperfServer(s.host)
	}
	a.hop(b, false)
	b.hop(a, false)
	for _, spec := range []datapath.TunnelSpec{{Type: "geneve", DstPort: 6081}, {Type: "gre"}} {
		for _, tags := range []int{1, 2} {
			for i, s := range sites {
				s.connect(spec, sites[1-i].addr(false), flow.TunFlagKey, nil)
				var in, out []odp.Action
				for n := range tags {
					in = append(in, odp.PushVLAN{TPID: []uint16{0x8100, 0x88a8}[n], TCI: uint16(5+n) | 0x1000})
					out = append(out, odp.PopVLAN{})
				}
				s.flow(s.inside, append(in, setTo(sites[1-i].addr(false), flow.TunFlagKey, nil), odp.Output{Port: s.tunnel})...)
				s.flow(s.tunnel, append(out, odp.Output{Port: s.inside})...)
			}
			t.Logf("%s, %d tags", spec.Type, tags)
			exchange(t, a, b)
			a.disconnect()
			b.disconnect()
		}
	}
}

// TestTunnelRelay sends what comes out of one tunnel into another, of all kinds.
func TestTunnelRelay(t *testing.T) {
	sites := newSites(t)
	a, b := sites[0], sites[1]
	a.enter()
	a.lab.host("h3", 3)
	for _, s := range sites {
		s.open(small())
	}
	a.iperfServer("h3")
	a.enter()
	other := a.port(a.d, "h3", datapath.PortNetdev)
	for _, six := range []bool{false, true} {
		a.hop(b, six)
		b.hop(a, six)
	}
	kinds := []datapath.TunnelSpec{{Type: "vxlan", DstPort: 4789}, {Type: "geneve", DstPort: 6081}}
	for _, first := range kinds {
		for _, second := range kinds {
			if first == second {
				continue
			}
			for _, six := range []bool{false, true} {
				t.Logf("%s, then %s over IPv6: %v", first.Type, second.Type, six)
				var n [2][2]odp.Port // site, tunnel
				for i, s := range sites {
					for j, spec := range []datapath.TunnelSpec{first, second} {
						spec.Native = true
						var err error
						n[i][j], err = s.d.PortAdd(datapath.PortSpec{Name: fmt.Sprint("tun", j), Kind: datapath.PortTunnel, Number: odp.PortNone, Tunnel: &spec})
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				a.flow(a.inside, setTo(b.addr(false), 0, nil), odp.Output{Port: n[0][0]})
				b.flow(n[1][0], setTo(a.addr(six), 0, nil), odp.Output{Port: n[1][1]})
				a.flow(n[0][1], odp.Output{Port: other})
				a.flow(other, setTo(b.addr(six), 0, nil), odp.Output{Port: n[0][1]})
				b.flow(n[1][1], setTo(a.addr(false), 0, nil), odp.Output{Port: n[1][0]})
				a.flow(n[0][0], odp.Output{Port: a.inside})
				a.in(a.host, "ping -q -c 2 -i 0.05 -W 5 10.0.0.3 && ping -q -c 1 -s 4000 -W 5 10.0.0.3 && ping -q -c 2 -i 0.05 -W 5 fd00::3")
				t.Logf("%.1f, %.1f Gbit/s", a.iperf(a.host, "-n 16M -c 10.0.0.3")/1e9, a.iperf(a.host, "-n 16M -c fd00::3")/1e9)
				for i, s := range sites {
					for _, p := range n[i] {
						if err := s.d.PortDel(p); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
		}
	}
}
