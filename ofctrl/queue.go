package ofctrl

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

const (
	// maxPacketIns is how many packet-ins wait for a connection before more are dropped, if its controller's row does not say.
	maxPacketIns = 100
	// maxNotices is how many other asynchronous messages wait before the connection is given up:
	// a controller that lost one would be wrong without knowing.
	maxNotices = 20_000
	// maxReplies is how many bytes of replies wait before the connection's requests have to.
	maxReplies = 1 << 20
)

// item is a message on its way out: encoded already, or to be encoded by the writer.
type item struct {
	bytes  []byte
	msg    openflow.Message
	update bool // of flow monitors
}

// queue is what waits to be written to a connection.
type queue struct {
	mu        sync.Mutex
	items     []item
	packetIns int
	notices   int
	replies   int // bytes
	updates   int // bytes
	wake      chan struct{}
	room      chan struct{}
}

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

var errTooSlow = errors.New("connection does not take its messages")

// reply adds an encoded reply. It waits while there are too many: only the connection's own
// reader calls it, so a peer that does not read is not read from.
func (q *queue) reply(ctx context.Context, b []byte) error {
	for {
		q.mu.Lock()
		if q.replies == 0 || q.replies+len(b) <= maxReplies {
			if b != nil {
				q.replies += len(b)
				q.add(item{bytes: b})
			}
			q.mu.Unlock()
			return nil
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.room:
		}
	}
}

// push adds an encoded reply without waiting: a small one, that no request causes.
func (q *queue) push(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.replies += len(b)
	q.add(item{bytes: b})
}

// update adds an encoded update of flow monitors without waiting: they pause when there are too many.
func (q *queue) update(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.updates += len(b)
	q.add(item{bytes: b, update: true})
}

// waitingUpdates is how many bytes of updates wait.
func (q *queue) waitingUpdates() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.updates
}

// drained waits until there is room for replies again; it is for the connection's reader.
func (q *queue) drained(ctx context.Context) error { return q.reply(ctx, nil) }

// offer adds an encoded message unless limit bytes wait. Never waits.
func (q *queue) offer(b []byte, limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.replies+len(b) <= limit {
		q.replies += len(b)
		q.add(item{bytes: slices.Clone(b)})
	}
}

// packetIn adds a packet-in unless limit of them wait; it reports false when it was dropped. Never waits.
func (q *queue) packetIn(m openflow.Message, limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.packetIns >= limit {
		return false
	}
	q.packetIns++
	q.add(item{msg: m})
	return true
}

// notice adds another asynchronous message, or fails with errTooSlow. Never waits.
func (q *queue) notice(m openflow.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.notices >= maxNotices {
		return errTooSlow
	}
	q.notices++
	q.add(item{msg: m})
	return nil
}

// add appends; q.mu is held.
func (q *queue) add(i item) {
	q.items = append(q.items, i)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for messages and returns all of them.
func (q *queue) take(ctx context.Context) ([]item, error) {
	for {
		q.mu.Lock()
		items := q.items
		q.items = nil
		q.mu.Unlock()
		if len(items) > 0 {
			return items, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-q.wake:
		}
	}
}

// written gives back the room of a message.
func (q *queue) written(i item) {
	q.mu.Lock()
	switch i.msg.(type) {
	case nil:
		if i.update {
			q.updates -= len(i.bytes)
			break
		}
		q.replies -= len(i.bytes)
	case *openflow.PacketIn:
		q.packetIns--
	default:
		q.notices--
	}
	q.mu.Unlock()
	if i.msg == nil {
		select {
		case q.room <- struct{}{}:
		default:
		}
	}
}
