package unixctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// maxConns bounds the connections held open; the one that has been idle longest makes room for a new one.
const maxConns = 256

// closeTimeout is how long Close lets clients take their replies.
const closeTimeout = 2 * time.Second

// Server answers the commands of one control socket.
type Server struct {
	path string

	mu       sync.Mutex
	commands map[string]*command
	conns    map[*conn]struct{}
	listener *net.UnixListener
	cancel   context.CancelFunc
	closing  bool

	wg sync.WaitGroup
}

// NewServer makes a server for the socket at path, not listening yet. "none" and "" are for no socket:
// such a server keeps its commands and never gets a request.
func NewServer(path string) *Server {
	s := &Server{path: path, commands: map[string]*command{}, conns: map[*conn]struct{}{}}
	s.Register("list-commands", "", 0, 0, Text(s.listCommands))
	s.Register("set-options", "[--format text|json]", 1, 2, setOptions)
	return s
}

// Path is the socket's name, "" for a server without one.
func (s *Server) Path() string {
	if s.path == "none" {
		return ""
	}
	return s.path
}

// Start makes the socket, with mode 0770 less the umask and replacing a stale one, and serves it until
// Close or the end of ctx.
func (s *Server) Start(ctx context.Context) error {
	if s.Path() == "" {
		return nil
	}
	l, err := Listen(s.path)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	if s.listener != nil || s.closing {
		s.mu.Unlock()
		cancel()
		return errors.Join(fmt.Errorf("control socket %s: started already", s.path), l.Close())
	}
	s.listener, s.cancel = l, cancel
	s.mu.Unlock()
	s.wg.Go(func() { s.accept(ctx, l) })
	context.AfterFunc(ctx, func() { _ = l.Close() })
	return nil
}

func (s *Server) accept(ctx context.Context, l *net.UnixListener) {
	for ctx.Err() == nil {
		nc, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors or memory: make room among the idle, then try again.
			if !s.evict() {
				pause(ctx)
			}
			continue
		}
		c := newConn(s, nc)
		s.mu.Lock()
		if s.closing {
			s.mu.Unlock()
			_ = nc.Close()
			return
		}
		full := len(s.conns) >= maxConns
		s.mu.Unlock()
		if full && !s.evict() {
			_ = nc.Close() // all are busy
			continue
		}
		s.mu.Lock()
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			c.serve(ctx)
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// evict closes the connection that has been idle longest and says whether there was one.
func (s *Server) evict() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest *conn
	for c := range s.conns {
		if c.busy.Load() || c.gone.Load() {
			continue
		}
		if oldest == nil || c.since.Load() < oldest.since.Load() {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	oldest.gone.Store(true)
	_ = oldest.nc.Close()
	return true
}

// Close stops listening, removes the socket, and ends the connections once the replies that have been
// given are on their way. Requests without a reply are cut off. It waits for the handlers that run, so no
// handler may call it.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	s.closing = true
	l, cancel := s.listener, s.cancel
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	_ = l.Close()
	err := os.Remove(s.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	cancel()
	late := time.AfterFunc(closeTimeout, s.cutOff)
	defer late.Stop()
	s.wg.Wait()
	return err
}

// cutOff closes the connections of clients that do not take their replies.
func (s *Server) cutOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.nc.Close()
	}
}
