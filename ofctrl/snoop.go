package ofctrl

import (
	"bufio"
	"context"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/ovs-bpf/ovs-bpf/ofctrl/openflow"
)

// maxSnooped is how many bytes wait for a snooper before it misses messages.
const maxSnooped = 4 << 20

// serveSnoops serves RUNDIR/BRIDGE.snoop until ctx ends: who connects there (ovs-ofctl snoop) reads what the switch and its
// controller say to each other.
func (s *Switch) serveSnoops(ctx context.Context) {
	path := filepath.Join(s.o.RunDir, s.o.Bridge+".snoop")
	r := newRemote(s, ControllerConfig{Target: "punix:" + path, InactivityProbe: new(time.Duration)}, true)
	r.listen(ctx, (*remote).serveSnoop)
}

// serveSnoop serves one snooper. Without a controller to listen to there is nothing to say.
func (r *remote) serveSnoop(ctx context.Context, nc net.Conn) {
	s := r.sw
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()

	c := newConn(s, r, nc, true)
	c.cancel = cancel
	in := bufio.NewReader(nc)
	if err := c.handshake(in); err != nil {
		return
	}
	q := newQueue()
	of := s.snooped(q)
	if of == nil {
		return
	}
	defer func() {
		s.mu.Lock()
		delete(of.snoops, q)
		s.mu.Unlock()
	}()
	// What a snooper says is of no interest, only that it is there.
	s.wg.Go(func() {
		for {
			if _, err := openflow.ReadMessage(in, 0); err != nil {
				cancel(err)
				return
			}
		}
	})
	for {
		items, err := q.take(ctx)
		if err != nil {
			return
		}
		for _, i := range items {
			if _, err := nc.Write(i.bytes); err != nil {
				return
			}
			q.written(i)
		}
	}
}

// snooped chooses the connection to listen to and adds a queue to it: that of the primary controller before others.
func (s *Switch) snooped(q *queue) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var best *conn
	for c := range s.conns {
		if !c.accepted && (best == nil || snoopRank(c) > snoopRank(best) || snoopRank(c) == snoopRank(best) && c.remote.name < best.remote.name) {
			best = c
		}
	}
	if best != nil {
		if best.snoops == nil {
			best.snoops = map[*queue]struct{}{}
		}
		best.snoops[q] = struct{}{}
		best.snooping.Store(true)
	}
	return best
}

func snoopRank(c *conn) int {
	return slices.Index([]openflow.Role{openflow.RoleSecondary, openflow.RoleEqual, openflow.RolePrimary}, c.role)
}

// snoop shows a message to those who listen.
func (c *conn) snoop(b []byte) {
	if !c.snooping.Load() {
		return
	}
	c.sw.mu.Lock()
	defer c.sw.mu.Unlock()
	c.snooping.Store(len(c.snoops) > 0)
	for q := range c.snoops {
		q.offer(b, maxSnooped)
	}
}
