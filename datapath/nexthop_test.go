package datapath_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/datapath/soft"
	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// tunnelDatapath is a datapath whose upcalls the test makes and whose executions it sees.
type tunnelDatapath struct {
	*soft.Datapath
	up       func(*datapath.Upcall)
	handled  chan struct{}
	executed []execution
}

type execution struct {
	Data    []byte
	Key     flow.Key
	Actions []odp.Action
}

func (d *tunnelDatapath) Handle(f func(*datapath.Upcall)) {
	if d.up = f; f != nil {
		close(d.handled)
	}
}

func (d *tunnelDatapath) Execute(p *datapath.Packet, key *flow.Key, actions []odp.Action) error {
	d.executed = append(d.executed, execution{p.Data, *key, actions})
	return nil
}

// resolver keeps the packets that wait.
type resolver struct {
	dst     netip.Addr
	mark    uint32
	size    int
	waiting func()
}

func (r *resolver) Resolve(dst netip.Addr, mark uint32, size int, send func()) {
	r.dst, r.mark, r.size, r.waiting = dst, mark, size, send
}

func newTunnelBench(t *testing.T) (*tunnelDatapath, *resolver, *patchPanel) {
	clk := clock.NewManual(time.Unix(1000, 0))
	dp := &tunnelDatapath{Datapath: soft.New(soft.Options{Name: "test", Clock: clk}), handled: make(chan struct{})}
	r, panel := &resolver{}, &patchPanel{to: map[odp.Port][]odp.Action{}}
	e, err := datapath.NewEngine(datapath.EngineOptions{Datapath: dp, Translator: panel, Clock: clk, Mono: dp.Mono, Resolver: r})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { e.Run(t.Context()); close(done) }()
	t.Cleanup(func() {
		<-done
		dp.Close(true)
	})
	<-dp.handled
	return dp, r, panel
}

func outer(src, dst string) (k flow.Key) {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	from, to := flow.TunSrc, flow.TunDst
	if d.Is6() {
		from, to = flow.TunIPv6Src, flow.TunIPv6Dst
	}
	k.SetBytes(from, s.AsSlice())
	k.SetBytes(to, d.AsSlice())
	k.Set(flow.TunID, 42)
	return k
}

// TestNextHop wants a packet without next hop executed when its next hop is known, out of its tunnel and with its key.
func TestNextHop(t *testing.T) {
	for _, dst := range []string{"192.0.2.2", "2001:db8::2"} {
		dp, r, _ := newTunnelBench(t)
		src := "192.0.2.1"
		if netip.MustParseAddr(dst).Is6() {
			src = "2001:db8::1"
		}
		up := datapath.Upcall{Packet: datapath.Packet{Data: []byte("a frame")}, Key: outer(src, dst), Kind: odp.UpcallNextHop, Cookie: 7}
		up.Key.Set(flow.PktMark, 5)
		key := up.Key
		dp.up(&up)
		if r.dst != netip.MustParseAddr(dst) || r.mark != 5 || r.size != 7 || len(dp.executed) != 0 {
			t.Fatalf("%s: asked for %v, mark %d, %d bytes; %d executed", dst, r.dst, r.mark, r.size, len(dp.executed))
		}
		// The upcall's memory is the datapath's again.
		copy(up.Packet.Data, "nothing")
		up.Key = flow.Key{}
		r.waiting()
		want := []execution{{[]byte("a frame"), key, []odp.Action{odp.Output{Port: 7}}}}
		if diff := cmp.Diff(want, dp.executed); diff != "" {
			t.Errorf("%s (-want +got):\n%s", dst, diff)
		}
	}
}

// TestTooBig wants the answer to a long packet translated as one that came out of the tunnel.
func TestTooBig(t *testing.T) {
	dp, _, panel := newTunnelBench(t)
	panel.plug(7, odp.Output{Port: 3})
	var k flow.Key
	k.SetBytes(flow.EthDst, []byte{2, 0, 0, 0, 0, 2})
	k.SetBytes(flow.EthSrc, []byte{2, 0, 0, 0, 0, 1})
	k.Set(flow.EthType, packet.EthTypeIPv6)
	k.Set(flow.NwProto, packet.ProtoUDP)
	k.SetBytes(flow.IPv6Src, netip.MustParseAddr("fd00::1").AsSlice())
	k.SetBytes(flow.IPv6Dst, netip.MustParseAddr("fd00::2").AsSlice())
	frame := packet.Compose(&k, make([]byte, 1440))
	up := datapath.Upcall{Packet: datapath.Packet{Data: frame}, Key: outer("192.0.2.1", "192.0.2.2"), Kind: odp.UpcallTooBig, Cookie: datapath.TooBigCookie(7, 1400)}
	up.Key.Set(flow.InPort, 3)
	dp.up(&up)
	if len(dp.executed) != 1 {
		t.Fatalf("%d executed", len(dp.executed))
	}
	got := dp.executed[0]
	want := outer("192.0.2.2", "192.0.2.1")
	want.Set(flow.InPort, 7)
	reply := packet.TooBig(frame, 1400)
	packet.Extract(reply, &want)
	if diff := cmp.Diff(execution{reply, want, []odp.Action{odp.Output{Port: 3}}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	up.Packet.Data = frame[:60]
	dp.up(&up)
	if len(dp.executed) != 1 {
		t.Error("what is no packet is answered")
	}
}
