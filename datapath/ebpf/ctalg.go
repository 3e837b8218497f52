package ebpf

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/bpf"
	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/conntrack"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
	"github.com/ovs-bpf/ovs-bpf/datapath/odp"
	"github.com/ovs-bpf/ovs-bpf/datapath/packet"
)

// What is to know of a connection besides (bpf/ct_alg_abi.h, ALG_*).
const (
	algFTP = 1 << iota
	algTFTP
	algRelated // CS_REL

	algHelpers = algFTP | algTFTP
)

// Flags of what goes up and comes down (CT_HELPED_*).
const (
	helpedReply = 1 << iota
	helpedNAT
	helpedAnnounces
	helpedActive
	helpedInvalid
)

// helperShift is where the helper is in the policy of an action.
const helperShift = 16

var algOf = map[string]uint8{"ftp": algFTP, "tftp": algTFTP}

func helperName(alg uint8) string {
	switch alg {
	case algFTP:
		return "ftp"
	case algTFTP:
		return "tftp"
	}
	return ""
}

// maxMessages is how many FTP messages wait to be read. What finds no place is dropped: it is sent again.
const maxMessages = 64

// alg reads the FTP messages that may announce a connection: programs find them, and do what is said here, when the packet
// comes down again. The packet goes on in the middle of its action list, which is read before anybody may change it: see take.
type alg struct {
	d        *Datapath
	wake     int // eventfd that ends the waiting
	stopped  atomic.Bool
	taken    atomic.Uint32 // of DatapathCtTable.Messages
	done     atomic.Uint32 // as many went down again or were lost
	messages chan *message

	mu   sync.Mutex // guards what follows
	ring *reader
	rec  ringbuf.Record
}

// message is a packet that waits to be read.
type message struct {
	datapath.Upcall
	note bpf.DatapathCtNote
	rest []odp.Action
}

func (d *Datapath) newALG() (_ *alg, err error) {
	a := &alg{d: d, wake: -1, messages: make(chan *message, maxMessages)}
	if a.ring, err = d.openRing(algRing); err != nil {
		return nil, err
	}
	a.ring.ring.SetDeadline(time.Unix(1, 0)) // reads what there is
	if a.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		a.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	return a, nil
}

// start has goroutines wait for messages and read them: until stop, and until the context ends.
func (a *alg) start(ctx context.Context, wg *sync.WaitGroup) {
	wg.Go(func() {
		fds := []unix.PollFd{{Fd: int32(a.ring.m.FD()), Events: unix.POLLIN}, {Fd: int32(a.wake), Events: unix.POLLIN}}
		for !a.stopped.Load() {
			if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			a.takeAll()
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case m := <-a.messages:
				if a.help(m) != nil {
					a.d.lost.Add(1)
				}
				a.done.Add(1)
			}
		}
	})
}

func (a *alg) stop() {
	a.stopped.Store(true)
	_, _ = unix.Write(a.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (a *alg) close() {
	a.ring.ring.Close()
	a.ring.m.Close()
	if a.wake >= 0 {
		unix.Close(a.wake)
	}
}

// take takes over all messages that have come up so far, and with them what is left of their action lists: before a list
// that programs have run is changed.
func (a *alg) take() {
	n := atomic.LoadUint32(&a.d.conns.table.at[0].Messages)
	if n == a.taken.Load() {
		return
	}
	a.takeAll()
	a.taken.Store(n)
}

func (a *alg) takeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.ring.ring.ReadInto(&a.rec) == nil {
		m, err := a.read(a.rec.RawSample)
		if err == nil {
			select {
			case a.messages <- m:
				continue
			default:
			}
		}
		a.d.lost.Add(1)
		a.done.Add(1)
	}
}

// read copies a message out of the ring.
func (a *alg) read(raw []byte) (*message, error) {
	m := &message{}
	if !parseUpcall(raw, &m.Upcall) {
		return nil, fmt.Errorf("message of %d bytes: %w", len(raw), errDamaged)
	}
	m.note = (*bpf.DatapathUpcallRec)(unsafe.Pointer(&raw[0])).Note
	m.Packet = *m.Packet.Clone()
	acts := a.d.table.acts.at
	d := &decoder{policies: &a.d.conns, block: func(n uint32) *[blockWords]uint64 {
		if int(n) >= len(acts) {
			return nil
		}
		return &acts[n].W
	}}
	var err error
	m.rest, err = d.rest(m.note.Block, int(m.note.Pc), ethTypeOf(&m.Key, nil))
	return m, err
}

// help reads a message, gives it the address that its receiver knows, and lets it go on.
func (a *alg) help(m *message) error {
	orig, reply, err := a.d.conns.tuples(m.note.Slot, m.note.Gen)
	if err != nil {
		return err
	}
	flags := uint8(m.note.Flags) & (helpedReply | helpedNAT)
	p := packet.Packet{Data: m.Packet.Data, GSO: packet.GSO(m.Packet.GSO)}
	n, announces, ok := conntrack.ReadFTP(&p, &m.Key, &orig, &reply, flags&helpedNAT != 0, flags&helpedReply != 0)
	switch {
	case !ok:
		flags |= helpedInvalid
		m.Key.Set(flow.CTState, m.Key.Get(flow.CTState)|uint64(conntrack.Invalid))
		n = conntrack.Announcement{}
	case announces:
		flags |= helpedAnnounces
		if n.Active {
			flags |= helpedActive
		}
	}
	w, err := a.d.compileHelped([3]uint64{
		actWord(opCTHelped, flags, n.Port, m.note.Slot), uint64(m.note.Gen) | uint64(uint32(n.Grown))<<32,
		uint64(m.note.Seq) | uint64(m.note.Space)<<32,
	}, m.rest, ethTypeOf(&m.Key, nil))
	if err != nil {
		return err
	}
	return a.d.send(&datapath.Packet{Data: p.Data, GSO: m.Packet.GSO}, &m.Key, w)
}

// compileHelped makes a list that begins with what was made of a message.
func (d *Datapath) compileHelped(helped [3]uint64, rest []odp.Action, ethType uint16) (words, error) {
	a := &assembler{out: make(words, 1), list: list{ethType: ethType}, policies: &d.conns}
	a.emit(false, helped[:]...)
	if err := a.actions(rest, false); err != nil {
		return nil, err
	}
	if len(a.out) > maxBlocks {
		return nil, fmt.Errorf("%d actions: %w", len(rest), datapath.ErrTooLong)
	}
	return a.out, nil
}

// tuples are those of a connection that is still there.
func (c *conns) tuples(slot, gen uint32) (orig, reply conntrack.Tuple, err error) {
	if err := c.lock(); err != nil {
		return orig, reply, err
	}
	defer c.mu.Unlock()
	if int(slot) < len(c.slots.at) {
		s := &c.slots.at[slot]
		orig, reply = tupleOf(&s.Orig), tupleOf(&s.Reply)
		if s.Used != 0 && atomic.LoadUint32(&s.Gen) == gen {
			return orig, reply, nil
		}
	}
	return orig, reply, fmt.Errorf("connection in slot %d: %w", slot, errGone)
}

var errGone = errors.New("not there any more")

// parent is the tuple of who announced a connection; nil: nobody.
func (c *conns) parent(slot uint32, s *bpf.DatapathCtConn) *conntrack.Tuple {
	if s.Alg&algRelated == 0 {
		return nil
	}
	var a bpf.DatapathCtAlg
	if c.d.coll.Maps["ct_algs"].Lookup(slot, &a) != nil || a.Gen != s.Gen {
		return nil
	}
	t := tupleOf(&a.Parent)
	return &t
}
