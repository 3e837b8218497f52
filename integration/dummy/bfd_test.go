package dummy

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ovs-bpf/ovs-bpf/bridge/bfd"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

// neighbor makes the frames of the other end of a session.
type neighbor struct {
	bfd.ControlPacket
	ttl uint64
}

func (n neighbor) frame() string {
	var k flow.Key
	k.Set(flow.EthSrc, 0x020000000001)
	k.Set(flow.EthDst, 0x002320000001)
	k.Set(flow.EthType, packet.EthTypeIPv4)
	k.Set(flow.IPv4Src, 0xa9fe0101)
	k.Set(flow.IPv4Dst, 0xa9fe0100)
	k.Set(flow.NwProto, packet.ProtoUDP)
	k.Set(flow.NwTTL, n.ttl)
	k.Set(flow.UDPSrc, 49152)
	k.Set(flow.UDPDst, bfd.Port)
	return hex.EncodeToString(packet.Compose(&k, n.Append(nil)))
}

var (
	jittery       = regexp.MustCompile(`0x[0-9a-f]+|Detect Time: now .*`)
	counters      = regexp.MustCompile(`packets:.*?, used:[^,]*, `)
	discriminator = regexp.MustCompile(`Local Discriminator: 0x([0-9a-f]+)`)
	// What hangs on jitter, on when the machine was started, and on chance.
	unsteady = regexp.MustCompile(`(?m)^.*(Next TX Time|Last TX Time|Local Discriminator|Detect Time: now (-|\+0ms)).*\n`)
)

// bfdState is what a daemon shows of the session of a port, and what it has sent by it: the polls and answers to polls,
// and maybe the last packet. (How many others it has sent hangs on jitter.)
func (s *sim) bfdState(port string, withLast bool) string {
	s.t.Helper()
	show := s.Appctl("bfd/show", port)
	mine := discriminator.FindStringSubmatch(show)[1]
	sent := strings.Fields(s.Run("ovs-pcap", s.pcap(port)))
	for i := range sent {
		// UDP ports and discriminators are each daemon's own.
		sent[i] = strings.Replace(sent[i], fmt.Sprintf("%08s", mine), "discrim.", 1)
		sent[i] = sent[i][:68] + "...." + sent[i][72:]
	}
	var last []string
	if withLast {
		last = sent[len(sent)-1:]
	}
	sent = slices.DeleteFunc(slices.Clone(sent), func(frame string) bool { return strings.ContainsAny(frame[87:88], "048c") })
	return unsteady.ReplaceAllString(show, "") + s.Vsctl("get", "interface", port, "bfd_status") + "\n" + strings.Join(slices.Compact(append(sent, last...)), "\n")
}

// agree wants ours and the stock daemon, in this order, to come to the same. Until they do there is a wait: the stock
// daemon answers before its threads have done all.
func agree(t *testing.T, what string, both []*sim, of func(*sim) string, wait func()) {
	t.Helper()
	var diff string
	for range 100 {
		if diff = cmp.Diff(strings.Split(of(both[1]), "\n"), strings.Split(of(both[0]), "\n")); diff == "" {
			return
		}
		wait()
	}
	t.Fatalf("%s (-stock +ours):\n%s", what, diff)
}

// TestBFDLikeStock plays the other end of a session to the stock daemon and to ours, and compares what they show and
// what they send.
func TestBFDLikeStock(t *testing.T) {
	t.Parallel()
	ours, stock := &sim{testenv.Simulated(t), t, map[string]int{}}, &sim{testenv.Stock(t), t, map[string]int{}}
	both := []*sim{ours, stock}
	each := func(f func(*sim)) {
		for _, s := range both {
			f(s)
		}
	}
	each(func(s *sim) {
		s.Appctl("time/stop")
		s.addBridge("br0", "other_config:hwaddr=aa:55:aa:55:00:00")
		s.addPort("br0", 1)
	})
	base := neighbor{ttl: 255}
	base.Mult, base.MyDisc, base.MinTx, base.MinRx = 5, 0x1234, 300_000, 200_000
	with := func(f func(*neighbor)) neighbor { n := base; f(&n); return n }
	state := func(st bfd.State) neighbor { return with(func(n *neighbor) { n.State = st }) }
	// send has the other end send a packet, with the discriminator of the session unless it is to be zero.
	send := func(n neighbor) {
		t.Helper()
		each(func(s *sim) {
			m := n
			if m.YourDisc == 0 && m.State != bfd.Down {
				fmt.Sscanf(discriminator.FindStringSubmatch(s.Appctl("bfd/show", "p1"))[1], "%x", &m.YourDisc)
			}
			s.receive("p1", m.frame())
		})
	}
	set := func(columns ...string) {
		t.Helper()
		each(func(s *sim) { s.Vsctl(append([]string{"set", "interface", "p1"}, columns...)...) })
	}
	warp := func(ms int) {
		t.Helper()
		each(func(s *sim) { s.Appctl("time/warp", fmt.Sprint(ms), "100") })
	}
	compare := func(what string, withLast bool) {
		t.Helper()
		agree(t, what, both, func(s *sim) string { return s.bfdState("p1", withLast) }, func() { time.Sleep(100 * time.Millisecond) })
	}
	same := func(what string) { t.Helper(); compare(what, false) }
	set("bfd:enable=true", "bfd:bfd_local_src_mac=00:00:00:00:00:77")
	same("a new session")
	warp(1000)
	compare("the first packets", true)
	send(state(bfd.Down))
	same("a neighbor that is down")
	send(state(bfd.Up))
	same("up")
	warp(1400)
	same("up for 1.4 s")
	warp(4000)
	same("nothing came for 5 s")
	send(state(bfd.Init))
	same("up again")
	send(with(func(n *neighbor) { n.State, n.Flags = bfd.Up, bfd.FlagPoll }))
	same("the answer to a poll")
	set("bfd:min_tx=50")
	same("a poll for a shorter interval")
	send(with(func(n *neighbor) { n.State, n.Flags = bfd.Up, bfd.FlagFinal }))
	same("its end")
	set("bfd:min_tx=2000", "bfd:min_rx=300")
	warp(200)
	same("a poll for a longer interval, and a shorter one")
	send(with(func(n *neighbor) { n.State, n.Flags = bfd.Up, bfd.FlagFinal|bfd.FlagControl }))
	same("its end")
	send(with(func(n *neighbor) { n.State, n.MinRx, n.MinTx, n.Mult = bfd.Up, 4_000_000, 1_500_000, 2 }))
	same("intervals of the neighbor")
	warp(2900)
	same("just before the detection time")
	warp(200)
	same("just after it")
	send(state(bfd.Init))
	send(with(func(n *neighbor) { n.State, n.Diag = bfd.Up, bfd.DiagConcatenated }))
	same("the neighbor's path is down")
	send(state(bfd.Up))
	same("and up")
	send(state(bfd.AdminDown))
	same("the neighbor is administratively down")
	send(state(bfd.Down))
	send(state(bfd.Up))
	send(with(func(n *neighbor) { n.State, n.Diag = bfd.Down, bfd.DiagExpired }))
	same("the neighbor hears nothing")
	send(state(bfd.Up))
	same("up is no answer to down")
	send(state(bfd.Down))
	send(state(bfd.Up))
	set("bfd:cpath_down=true")
	warp(100)
	same("our path is down")
	set("bfd:cpath_down=false", "bfd:mult=7", "bfd:bfd_dst_ip=10.1.2.3", "bfd:bfd_local_dst_mac=00:00:00:00:00:88")
	warp(6000)
	compare("other addresses", true)
	send(state(bfd.Down))
	send(state(bfd.Up))
	for _, bad := range []func(*neighbor){
		func(n *neighbor) { n.ttl = 254 },
		func(n *neighbor) { n.Mult = 0 },
		func(n *neighbor) { n.MyDisc = 0 },
		func(n *neighbor) { n.YourDisc = 0x7777 },
		func(n *neighbor) { n.Flags = bfd.FlagAuth },
		func(n *neighbor) { n.Flags = bfd.FlagMultipoint },
	} {
		send(with(func(n *neighbor) { n.State, n.MinTx = bfd.AdminDown, 77_000; bad(n) }))
	}
	same("bad packets")
	for _, s := range both {
		s.Appctl("bfd/set-forwarding", "p1", "false")
	}
	same("forced not to forward")
	for _, s := range both {
		s.Appctl("bfd/set-forwarding", "normal")
	}
	same("not forced any more")
	set("bfd:min_tx=100", "bfd:decay_min_rx=3000")
	warp(100)
	same("decay is on")
	for range 8 {
		send(with(func(n *neighbor) { n.State, n.Flags = bfd.Up, bfd.FlagFinal }))
		warp(500)
	}
	same("no traffic")
	send(with(func(n *neighbor) { n.State, n.Flags = bfd.Up, bfd.FlagFinal }))
	same("the slow interval is agreed on")
	for range 8 {
		for _, s := range both {
			s.receive("p1", ping(1, 2, 0), ping(1, 2, 0))
		}
		send(with(func(n *neighbor) { n.State, n.Flags = bfd.Up, bfd.FlagFinal }))
		warp(500)
	}
	same("traffic")
	set("bfd:enable=false")
	for _, s := range both {
		s.Eventually("no status", func() error {
			if got := s.Vsctl("get", "interface", "p1", "bfd_status"); got != "{}" {
				return fmt.Errorf("%s", got)
			}
			return nil
		})
		out, code := s.Try("ovs-appctl", "bfd/show", "p1")
		if code == 0 || !strings.HasPrefix(out, "no such bfd object\n") {
			t.Errorf("bfd/show without a session: exit %d: %s", code, out)
		}
	}
}
