package soft

import (
	"sync"

	"github.com/ovs-bpf/ovs-bpf/datapath"
	"github.com/ovs-bpf/ovs-bpf/datapath/flow"
)

// upcalls delivers packets to the handler: on goroutines of its own, each with a bounded queue,
// or with none inside send.
type upcalls struct {
	queues []chan *datapath.Upcall
	lost   func(*datapath.Upcall)
	wg     sync.WaitGroup

	mu   sync.Mutex // guards cur and the counts of handlers
	idle *sync.Cond
	cur  *handler

	closeMu sync.RWMutex // held for reading while a queue is written
	closed  bool
}

type handler struct {
	f       func(*datapath.Upcall)
	running int
}

func (u *upcalls) init(n int, lost func(*datapath.Upcall)) {
	u.lost = lost
	u.idle = sync.NewCond(&u.mu)
	for range n {
		q := make(chan *datapath.Upcall, queueLen)
		u.queues = append(u.queues, q)
		u.wg.Go(func() {
			for up := range q {
				if !u.call(up) {
					u.lost(up)
				}
			}
		})
	}
}

func (u *upcalls) handle(f func(*datapath.Upcall)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := u.cur
	u.cur = nil
	if f != nil {
		u.cur = &handler{f: f}
	}
	for old != nil && old.running > 0 {
		u.idle.Wait()
	}
}

// call runs the handler and reports whether there is one.
func (u *upcalls) call(up *datapath.Upcall) bool {
	u.mu.Lock()
	h := u.cur
	if h == nil {
		u.mu.Unlock()
		return false
	}
	h.running++
	u.mu.Unlock()
	h.f(up)
	u.mu.Lock()
	if h.running--; h.running == 0 {
		u.idle.Broadcast()
	}
	u.mu.Unlock()
	return true
}

// send delivers an upcall, or counts it as lost. The packet is copied. Packets of one port stay
// in order: they have the same queue.
func (u *upcalls) send(up *datapath.Upcall) {
	up.Packet = *up.Packet.Clone()
	if len(u.queues) == 0 && u.call(up) || len(u.queues) > 0 && u.enqueue(up) {
		return
	}
	u.lost(up)
}

func (u *upcalls) enqueue(up *datapath.Upcall) bool {
	u.mu.Lock()
	none := u.cur == nil
	u.mu.Unlock()
	if none {
		return false
	}
	u.closeMu.RLock()
	defer u.closeMu.RUnlock()
	if u.closed {
		return false
	}
	select {
	case u.queues[up.Key.Get(flow.InPortOXM)%uint64(len(u.queues))] <- up:
		return true
	default:
		return false
	}
}

// close ends the goroutines; what is queued is still handled.
func (u *upcalls) close() {
	u.closeMu.Lock()
	u.closed = true
	for _, q := range u.queues {
		close(q)
	}
	u.closeMu.Unlock()
	u.wg.Wait()
}
