package bfd

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

const ms = time.Millisecond

// line is two sessions with a wire between them, driven as their owner drives them.
type line struct {
	clock *clock.Manual
	ends  [2]*end
	cut   [2]bool // by sender
}

type end struct {
	*Session
	data    uint64 // packets received, control packets included
	sent    []*ControlPacket
	times   []time.Time
	changes []Status
}

// failer is what tests and properties have in common.
type failer interface {
	fataler
	Errorf(string, ...any)
}

func newLine(t failer, random func(int) int, a, b map[string]string) *line {
	t.Helper()
	l := &line{clock: clock.NewManual(time.Unix(1000, 0))}
	for i, column := range []map[string]string{a, b} {
		c, err := ParseConfig(column)
		if err != nil {
			t.Fatal(err)
		}
		e := &end{}
		e.Session = New(Options{
			Clock: l.clock, Discriminator: uint32(i + 1), SourcePort: 49152, Random: random,
			RxPackets: func() uint64 { return e.data },
			Changed:   func(_, now Status) { e.changes = append(e.changes, now) },
		}, c, [6]byte{5: byte(i)})
		l.ends[i] = e
	}
	return l
}

// pass lets time pass; f, if not nil, sees every packet.
func (l *line) pass(t failer, d time.Duration) {
	t.Helper()
	stop := l.clock.Now().Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			t.Fatal("time stands still")
		}
		for again := true; again; {
			again = false
			for i, e := range l.ends {
				e.Run()
				frame, _ := e.Send()
				if frame == nil {
					continue
				}
				again = true
				p, err := ParseFrame(frame)
				if err != nil {
					t.Fatal(err)
				}
				e.sent, e.times = append(e.sent, p), append(e.times, l.clock.Now())
				if o := l.ends[1-i]; !l.cut[i] {
					o.data++
					if err := o.Receive(frame); err != nil {
						t.Errorf("refused: %v", err)
					}
				}
			}
		}
		now := l.clock.Now()
		next := stop
		for _, e := range l.ends {
			if at := e.Next(); at.Before(next) {
				next = at
			}
		}
		if !now.Before(stop) {
			return
		}
		l.clock.Advance(max(next.Sub(now), ms/10))
	}
}

func (l *line) want(t failer, what string, states [2]State, forwards [2]bool) {
	t.Helper()
	for i, e := range l.ends {
		if s := e.Status(); s.State != states[i] || s.Forwarding != forwards[i] {
			t.Errorf("%s: end %d is %v, forwarding %v; want %v, %v", what, i, s.State, s.Forwarding, states[i], forwards[i])
		}
	}
}

var (
	bothUp   = [2]State{Up, Up}
	bothDown = [2]State{Down, Down}
	both     = [2]bool{true, true}
	neither  = [2]bool{}
)

func noJitter(int) int { return 0 }

func TestHandshakeAndCut(t *testing.T) {
	fast := map[string]string{"min_tx": "100", "min_rx": "100"}
	l := newLine(t, noJitter, fast, fast)
	l.want(t, "new", bothDown, neither)
	l.pass(t, 1100*ms)
	l.want(t, "after the handshake", bothUp, both)
	l.pass(t, 500*ms)
	n := len(l.ends[0].sent)
	l.pass(t, 1000*ms)
	if got := len(l.ends[0].sent) - n; got != 10 {
		t.Errorf("%d packets in a second of 100 ms intervals", got)
	}
	// One direction is cut: who hears nothing finds out after three intervals, and tells the other.
	l.cut[0] = true
	l.pass(t, 250*ms)
	l.want(t, "just cut", bothUp, both)
	l.pass(t, 60*ms)
	if s := l.ends[1].Status(); s.State != Down || s.Diag != DiagExpired || s.Forwarding {
		t.Errorf("who hears nothing: %+v", s)
	}
	l.pass(t, 1100*ms)
	if s := l.ends[0].Status(); s.State != Init || s.Diag != DiagNeighborDown || s.Forwarding || s.Flaps != 2 {
		t.Errorf("whose neighbor hears nothing: %+v", s)
	}
	l.cut[0] = false
	l.pass(t, 2200*ms)
	l.want(t, "mended", bothUp, both)
	if s := l.ends[1].Status(); s.Flaps != 3 {
		t.Errorf("%d flaps, want 3: up, down, up", s.Flaps)
	}
	for i, e := range l.ends {
		if last := e.changes[len(e.changes)-1]; last != e.Status() {
			t.Errorf("end %d: the last change told is %+v, the status %+v", i, last, e.Status())
		}
	}
}

// TestIntervals: each end sends as fast as both want, and detects by what the other has promised; jitter only shortens.
func TestIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := rapid.SampledFrom([]string{"10", "50", "100", "333", "1000", "3000"})
		mult := rapid.SampledFrom([]string{"1", "2", "3", "10"})
		column := func(name string) map[string]string {
			return map[string]string{"min_tx": interval.Draw(t, name+" min_tx"), "min_rx": interval.Draw(t, name+" min_rx"), "mult": mult.Draw(t, name+" mult")}
		}
		jitter := rapid.IntRange(0, 1<<20)
		l := newLine(t, func(n int) int { return jitter.Draw(t, "jitter") % n }, column("a"), column("b"))
		l.pass(t, 20*time.Second)
		l.want(t, "after 20 s", bothUp, both)
		var from [2]int
		for i, e := range l.ends {
			from[i] = len(e.sent)
		}
		l.pass(t, 10*time.Second)
		for i, e := range l.ends {
			o := l.ends[1-i]
			interval := max(e.cfg.MinTx, o.cfg.MinRx)
			least := interval * 75 / 100
			most := interval
			if e.cfg.Mult == 1 {
				most = interval * 90 / 100
			}
			for n := from[i] + 1; n < len(e.times); n++ {
				if d := e.times[n].Sub(e.times[n-1]); d < least || d > most+ms/5 {
					t.Fatalf("end %d sent after %v, which must be from %v to %v", i, d, least, most)
				}
			}
			if got, want := o.detect.Sub(e.times[len(e.times)-1]), time.Duration(e.cfg.Mult)*interval; got != want {
				t.Errorf("end %d detects after %v, want %v", 1-i, got, want)
			}
		}
		l.want(t, "after 30 s", bothUp, both)
		l.cut = [2]bool{true, true}
		l.pass(t, 31*time.Second)
		l.want(t, "cut", bothDown, neither)
	})
}

// TestPoll: an interval that grows is in force only when the other end has agreed.
func TestPoll(t *testing.T) {
	l := newLine(t, noJitter, map[string]string{"min_rx": "100"}, map[string]string{"min_rx": "100"})
	l.pass(t, 5*time.Second)
	a, b := l.ends[0], l.ends[1]
	c := a.cfg
	c.MinTx, c.MinRx = 400*ms, 50*ms
	l.cut[0] = true
	a.Configure(c, a.mac)
	l.pass(t, 150*ms)
	if a.minTx != 100*ms || a.minRx != 100*ms || !a.polling() {
		t.Errorf("without an answer: min_tx %v, min_rx %v, polling %v", a.minTx, a.minRx, a.polling())
	}
	if p := a.sent[len(a.sent)-1]; p.Flags != FlagPoll || p.MinTx != 400_000 || p.MinRx != 50_000 {
		t.Errorf("polls with %+v", p)
	}
	l.cut[0] = false
	l.pass(t, 200*ms)
	if a.minTx != 400*ms || a.minRx != 50*ms || a.polling() || b.remote.minTx != 400*ms {
		t.Errorf("answered: min_tx %v, min_rx %v, polling %v, told %v", a.minTx, a.minRx, a.polling(), b.remote.minTx)
	}
	for n, p := range append(a.sent, b.sent...) {
		if p.Flags&(FlagPoll|FlagFinal) == FlagPoll|FlagFinal {
			t.Errorf("packet %d polls and answers", n)
		}
	}
	l.pass(t, 5*time.Second)
	l.want(t, "afterwards", bothUp, both)
	// Both poll at once.
	for _, e := range l.ends {
		c := e.cfg
		c.MinTx, c.MinRx = 700*ms, 300*ms
		e.Configure(c, e.mac)
	}
	l.pass(t, 5*time.Second)
	for i, e := range l.ends {
		if e.minTx != 700*ms || e.minRx != 300*ms || e.polling() {
			t.Errorf("end %d after both polled: min_tx %v, min_rx %v, polling %v", i, e.minTx, e.minRx, e.polling())
		}
	}
}

func TestPathDown(t *testing.T) {
	l := newLine(t, noJitter, map[string]string{"cpath_down": "true"}, nil)
	l.pass(t, 5*time.Second)
	l.want(t, "a path is down", bothUp, [2]bool{true, false})
	if s := l.ends[1].Status(); s.RemoteDiag != DiagConcatenated {
		t.Errorf("told %v", s.RemoteDiag)
	}
	c := l.ends[0].cfg
	c.PathDown = false
	l.ends[0].Configure(c, [6]byte{})
	l.pass(t, 10*ms)
	l.want(t, "up again, told at once", bothUp, both)
}

func TestForced(t *testing.T) {
	l := newLine(t, noJitter, nil, nil)
	yes, no := true, false
	l.ends[0].Force(&yes)
	l.want(t, "forced", bothDown, [2]bool{true, false})
	l.ends[0].Force(&no)
	l.pass(t, 5*time.Second)
	l.want(t, "forced down", bothUp, [2]bool{false, true})
	l.ends[0].Force(nil)
	l.want(t, "not forced", bothUp, both)
	if n := l.ends[0].Status().Flaps; n != 1 {
		t.Errorf("%d flaps", n)
	}
}

func TestDecay(t *testing.T) {
	slow := map[string]string{"min_rx": "100", "decay_min_rx": "500"}
	l := newLine(t, noJitter, slow, slow)
	l.pass(t, 5*time.Second)
	if a := l.ends[0]; !a.decay.on || a.minRx != 500*ms || l.ends[1].remote.minRx != 500*ms {
		t.Errorf("without traffic min_rx is %v", a.minRx)
	}
	for range 60 {
		l.ends[0].data += 10
		l.pass(t, 50*ms)
	}
	if a := l.ends[0]; a.decay.on || a.minRx != 100*ms {
		t.Errorf("with traffic min_rx is %v", a.minRx)
	}
	l.want(t, "at the end", bothUp, both)
}

func TestTrafficIsLife(t *testing.T) {
	l := newLine(t, noJitter, map[string]string{"forwarding_if_rx": "true", "min_rx": "100"}, nil)
	l.pass(t, 3*time.Second)
	l.cut[1] = true
	for range 80 { // of 100 times min_rx
		l.ends[0].Data()
		l.pass(t, 100*ms)
	}
	l.want(t, "data comes, control packets do not", [2]State{Down, Init}, [2]bool{true, false})
	for range 30 {
		l.ends[0].Data()
		l.pass(t, 100*ms)
	}
	l.want(t, "no control packet for 100 times min_rx", [2]State{Down, Init}, neither)
}

// TestQuiet: a neighbor in demand mode, or one that wants no packets, gets none but answers (RFC 5880, section 6.8.7).
func TestQuiet(t *testing.T) {
	for name, change := range map[string]func(*ControlPacket){
		"demand": func(p *ControlPacket) { p.Flags = FlagDemand },
		"mute":   func(p *ControlPacket) { p.MinRx = 0 },
	} {
		l := newLine(t, noJitter, map[string]string{"min_rx": "100"}, map[string]string{"min_rx": "100"})
		l.pass(t, 3*time.Second)
		l.cut[1] = true
		a := l.ends[0]
		p := &ControlPacket{State: Up, Mult: 255, MyDisc: 2, YourDisc: 1, MinTx: 1_000_000, MinRx: 100_000}
		change(p)
		from := addresses{ethDst: defaultMAC, ipSrc: defaultSrcIP, ipDst: defaultDstIP}
		if err := a.Receive(from.frame(p)); err != nil {
			t.Fatal(err)
		}
		n := len(a.sent)
		l.pass(t, 5*time.Second)
		if got := len(a.sent) - n; got != 0 {
			t.Errorf("%s: %d packets", name, got)
		}
		p.Flags |= FlagPoll
		if err := a.Receive(from.frame(p)); err != nil {
			t.Fatal(err)
		}
		l.pass(t, 5*time.Second)
		if got := a.sent[n:]; len(got) != 1 || got[0].Flags != FlagFinal {
			t.Errorf("%s: a poll is answered by %d packets", name, len(got))
		}
	}
}

func TestNotForThisSession(t *testing.T) {
	l := newLine(t, noJitter, nil, nil)
	l.pass(t, 3*time.Second)
	from := addresses{ethDst: defaultMAC, ipSrc: defaultSrcIP, ipDst: defaultDstIP}
	before := l.ends[0].Show()
	err := l.ends[0].Receive(from.frame(&ControlPacket{State: Down, Mult: 3, MyDisc: 2, YourDisc: 9, MinTx: 1, MinRx: 1}))
	if err != errYourDisc {
		t.Errorf("another session's packet: %v", err)
	}
	if after := l.ends[0].Show(); after != before {
		t.Errorf("it changed the session:\n%s\n%s", before, after)
	}
}
