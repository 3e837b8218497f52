package bridge

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ovs-bpf/ovs-bpf/bridge/bfd"
	"github.com/ovs-bpf/ovs-bpf/bridge/netdev"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// bfdSession is the BFD session of an interface.
type bfdSession struct {
	bridge  *Bridge
	name    string // of the interface
	session *bfd.Session
	ofport  atomic.Uint32             // where its packets go; the main loop writes it
	rx      atomic.Pointer[rxCounter] // what tells how many packets came in; the main loop writes it
	config  bfd.Config                // the main loop's, as is wrong
	wrong   string                    // of the configuration, logged
	refused refusals

	next  time.Time // guarded by monitor.mu, as is index
	index int       // in the monitor's queue, -1: not there
}

// rxCounter reads an interface's counter of received packets.
type rxCounter func() (uint64, error)

// configureBFD brings the interface's session to what its row says.
func (i *iface) configureBFD() {
	if !i.up() || !bfd.Enabled(i.row.BFD) {
		i.stopBFD()
		return
	}
	c, err := bfd.ParseConfig(i.row.BFD)
	mac := [6]byte(i.info.MAC)
	if i.deviceless() {
		mac, _ = parseMAC(i.patchMAC()) // it is one
	}
	s, fresh := i.bfd, i.bfd == nil
	if fresh {
		s = &bfdSession{bridge: i.bridge, name: i.name, index: -1}
	}
	s.ofport.Store(uint32(i.ofport))
	count := i.receivedPackets()
	s.rx.Store(&count)
	s.config = c
	if fresh {
		i.bfd = s
		s.session = i.bridge.agent.newBFD(s, c, mac)
		s.log(bfd.Status{State: bfd.AdminDown}, s.session.Status())
		i.bridge.agent.monitor.add(s)
	} else {
		s.session.Configure(c, mac)
		i.bridge.agent.monitor.touch(s)
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.wrong {
		i.bridge.agent.bfdLog.Errorf("interface %s: bfd: %v", i.name, err)
	}
	s.wrong = text
}

// stopBFD ends the interface's session.
func (i *iface) stopBFD() {
	if i.bfd != nil {
		i.bridge.agent.monitor.remove(i.bfd)
		i.bfd = nil
	}
}

// receivedPackets tells how many packets the interface has received.
func (i *iface) receivedPackets() rxCounter {
	switch dev := i.dev; {
	case i.deviceless():
		return func() (uint64, error) { return i.rx.packets.Load(), nil }
	case dev == nil:
		return func() (uint64, error) { return 0, nil }
	case i.typ == netdev.Internal || i.typ == netdev.Tap: // what programs send there the device does not count
		dp, no := i.bridge.agent.o.Datapath, i.odp
		return func() (uint64, error) {
			ports, err := dp.Ports()
			for _, p := range ports {
				if p.Number == no {
					return p.Stats.RxPackets, err
				}
			}
			return 0, err
		}
	default:
		return func() (uint64, error) {
			st, err := dev.Stats()
			return st.RxPackets, err
		}
	}
}

// newBFD makes a session that is down.
func (a *Agent) newBFD(s *bfdSession, c bfd.Config, mac [6]byte) *bfd.Session {
	used := map[uint32]bool{0: true}
	for _, b := range a.bridges {
		for _, i := range b.ifaces {
			if i.bfd != nil && i.bfd.session != nil {
				used[i.bfd.session.Discriminator()] = true
			}
		}
	}
	disc := rand.Uint32()
	for used[disc] {
		disc = rand.Uint32()
	}
	const firstPort, ports = 49152, 1<<16 - 49152
	port := firstPort + a.bfdMade%ports
	a.bfdMade++
	return bfd.New(bfd.Options{
		Clock: a.o.Clock, Discriminator: disc, SourcePort: uint16(port), Random: rand.IntN,
		RxPackets: func() uint64 {
			n, err := (*s.rx.Load())()
			if err != nil {
				return 0 // it is gone or going: nothing comes in
			}
			return n
		},
		Changed: func(old, now bfd.Status) {
			s.log(old, now)
			a.statusChanged()
		},
	}, c, mac)
}

// log tells of a change of state.
func (s *bfdSession) log(old, now bfd.Status) {
	if old.State != now.State || old.Diag != now.Diag {
		s.bridge.agent.bfdLog.Infof("%s: BFD state change: %v->%v \"%v\"->\"%v\".", s.name, old.State, now.State, old.Diag, now.Diag)
	}
}

// run does what is due: the monitor's turn.
func (s *bfdSession) run() {
	s.session.Run()
	frame, oam := s.session.Send()
	if frame == nil {
		return
	}
	if err := s.send(frame, oam); err != nil {
		s.bridge.agent.count("bfd_send_error", 1)
	}
}

// send sends a frame by the interface, in the way of every packet that an OpenFlow port sends.
func (s *bfdSession) send(frame []byte, oam bool) error {
	no := openflow.PortNo(s.ofport.Load())
	actions := []openflow.Action{openflow.Output{Port: no}}
	if p := s.bridge.PortByNo(no); oam && p != nil && p.Tunnel != nil {
		actions = append([]openflow.Action{openflow.SetField{Field: flow.TunFlags, Value: []byte{0, 1}, Mask: []byte{0, 1}}}, actions...)
	}
	a := s.bridge.agent
	list, key, err := a.translator.PacketOut(s.bridge, &openflow.PacketOut{InPort: openflow.PortAny, Packet: frame, Actions: actions})
	if err != nil || len(list) == 0 {
		return err
	}
	return a.o.Datapath.Execute(&datapath.Packet{Data: frame}, &key, list)
}

// receive takes a packet for the session.
func (s *bfdSession) receive(p *datapath.Packet) {
	a := s.bridge.agent
	if err := s.session.Receive(p.Data); err != nil {
		a.count("bfd_refused", 1)
		if n := s.refused.note(a.o.Clock.Now()); n > 0 {
			a.bfdLog.Warnf("%s: %d BFD control messages refused, the last one: %v", s.name, n, err)
		}
		return
	}
	a.monitor.touch(s)
}

// refusals counts refused packets, so that they do not flood the log.
type refusals struct {
	mu    sync.Mutex
	n     int
	quiet time.Time
}

// refusalsEvery is the time between two lines of one session in the log.
const refusalsEvery = 12 * time.Second

// note counts a packet, and returns how many are to be told of: 0 for not yet.
func (r *refusals) note(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	if now.Before(r.quiet) {
		return 0
	}
	n := r.n
	r.n, r.quiet = 0, now.Add(refusalsEvery)
	return n
}

// watchPorts tells the datapath which ports have sessions.
func (a *Agent) watchPorts() {
	dp, ok := a.o.Datapath.(datapath.PortWatcher)
	if !ok {
		return
	}
	watched := map[odp.Port]bool{}
	for _, b := range a.bridges {
		for _, i := range b.ifaces {
			if i.bfd != nil && i.odp != odp.PortNone {
				watched[i.odp] = true
			}
		}
	}
	// All of them each time: a port may have been made anew.
	for no := range watched {
		if err := dp.PortWatch(no, true); err != nil {
			a.log.Warnf("BFD: %v", err)
		}
	}
	for no := range a.watched {
		if !watched[no] {
			if err := dp.PortWatch(no, false); err != nil && !errors.Is(err, datapath.ErrNoSuchPort) {
				a.log.Warnf("BFD: %v", err)
			}
		}
	}
	a.watched = watched
}

// followLiveness has translations and controllers follow what sessions say of their ports.
func (a *Agent) followLiveness() {
	for _, b := range a.bridges {
		ports := b.view.Load().ports
		for _, i := range b.ifaces {
			if p := ports[i.ofport]; i.bfd != nil && p != nil && p.State != i.state() {
				a.publish()
				a.engine.Kick()
				return
			}
		}
	}
}
