package ovsdb

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Timers of a connection. Backoff is that of OVS's own clients.
const (
	connectTimeout = 30 * time.Second
	minBackoff     = time.Second
	maxBackoff     = 8 * time.Second
	probeInterval  = 5 * time.Second
	probeTimeout   = 10 * time.Second
)

var errClientClosed = errors.New("database client is closed")

// Options of Connect.
type Options struct {
	// Remote is where the server is: unix:PATH, tcp:HOST[:PORT], ssl:HOST[:PORT], or several, separated by commas.
	Remote string
	// TLS is needed by ssl: remotes.
	TLS *tls.Config
	// Log tells of connections made and lost; nil for silence.
	Log *logrus.Entry
	// LockLog tells when another instance holds the lock; nil for Log.
	LockLog *logrus.Entry
	// Count adds to a coverage counter (txn_success and the like); nil for none.
	Count func(name string, n uint64)
	// Clock is for backoff, probes and retries; nil for the machine's.
	Clock clock.Clock
}

// LockState is whose the OVSDB lock is.
type LockState int

// The states of the lock.
const (
	LockUnknown   LockState = iota // there is no connection
	LockContended                  // another instance holds it; ours is queued
	LockHeld                       // ours
)

func (s LockState) String() string { return [...]string{"unknown", "contended", "held"}[s] }

// Client is a connection to a database that is made again for ever.
type Client struct {
	remotes   []remote
	log       *logrus.Entry // may be nil
	lockLog   *logrus.Entry // may be nil
	clock     clock.Clock
	counter   func(string, uint64)
	snapshots chan *Snapshot
	events    chan LockState
	cancel    context.CancelFunc
	stopped   chan struct{} // closed when the client has ended

	mu      sync.Mutex
	link    *link // nil while there is no connection
	lock    LockState
	changed chan struct{} // closed and replaced when link or lock changes

	writeMu sync.Mutex // one Write at a time; guards written
	written written
}

// link is one connection: the session that holds the lock and writes, and the replica that is read.
type link struct {
	session *session
	schema  columns
	replica *replica
	kick    chan struct{} // has a value when the lock has become ours
}

// Connect starts a client. It fails only for a malformed remote: a server that is not there is waited for.
// The client ends with ctx or with Close.
func Connect(ctx context.Context, o Options) (*Client, error) {
	remotes, err := parseRemotes(o.Remote, o.TLS)
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.LockLog == nil {
		o.LockLog = o.Log
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Client{
		remotes: remotes, log: o.Log, lockLog: o.LockLog, clock: o.Clock, counter: o.Count, snapshots: make(chan *Snapshot, 1),
		events: make(chan LockState, 1), cancel: cancel, stopped: make(chan struct{}), changed: make(chan struct{}),
	}
	go c.run(ctx)
	return c, nil
}

// Close ends the client. A Write that waits fails.
func (c *Client) Close() {
	c.cancel()
	<-c.stopped
}

// Snapshots gives the desired configuration, the newest only: one that nobody has taken is replaced. A snapshot
// is made when the lock has been got, and while it is held, when something the switch acts on has changed
// or the connection has been made again. The channel is never closed.
func (c *Client) Snapshots() <-chan *Snapshot { return c.snapshots }

// LockEvents gives the newest state of the lock after a change. After LockHeld, LockContended means that another
// instance has taken over and this one must let go; LockUnknown does not.
func (c *Client) LockEvents() <-chan LockState { return c.events }

// LockState is whose the lock is now.
func (c *Client) LockState() LockState {
	_, lock, _ := c.current()
	return lock
}

// Locked reports whether the lock is ours.
func (c *Client) Locked() bool { return c.LockState() == LockHeld }

// WaitLocked waits until the lock is ours.
func (c *Client) WaitLocked(ctx context.Context) error {
	_, err := c.writable(ctx)
	return err
}

func (c *Client) current() (*link, LockState, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link, c.lock, c.changed
}

func (c *Client) setLink(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = l
	if l == nil && c.lock != LockUnknown {
		c.setLockLocked(LockUnknown)
		return
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// setLock notes what l's server has said of the lock, unless l is not the connection any more.
func (c *Client) setLock(l *link, s LockState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l && c.lock != s {
		c.setLockLocked(s)
	}
}

func (c *Client) setLockLocked(s LockState) {
	c.lock = s
	if s != LockHeld {
		// A configuration is not for who may not realise it.
		select {
		case <-c.snapshots:
		default:
		}
	}
	select {
	case <-c.events:
	default:
	}
	c.events <- s
	close(c.changed)
	c.changed = make(chan struct{})
}

// publish replaces the snapshot that waits, unless the lock is not ours any more.
func (c *Client) publish(s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock != LockHeld {
		return
	}
	select {
	case <-c.snapshots:
	default:
	}
	c.snapshots <- s
}

func (c *Client) count(name string, n uint64) {
	if c.counter != nil {
		c.counter(name, n)
	}
}

// run makes connections until ctx ends.
func (c *Client) run(ctx context.Context) {
	defer close(c.stopped)
	log := reconnectLog{entry: c.log}
	backoff := minBackoff
	for i := 0; ctx.Err() == nil; {
		name := c.remotes[i].text
		log.connecting(name)
		var since time.Time // when the connection was made
		err := c.serve(ctx, c.remotes[i], func() {
			since = c.clock.Now()
			log.connected(name)
		})
		switch {
		case ctx.Err() != nil:
			return
		case since.IsZero():
			log.failed(name, err)
			i = (i + 1) % len(c.remotes)
		default:
			log.dropped(name, err)
			if c.clock.Now().Sub(since) >= maxBackoff {
				backoff = minBackoff
				continue // it was good; try at once
			}
		}
		log.waiting(name, backoff)
		select {
		case <-c.clock.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// serve makes one connection and works until it ends; up is called when it is made.
func (c *Client) serve(ctx context.Context, r remote, up func()) error {
	connectCtx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := r.dial(connectCtx)
	if err != nil {
		return err
	}
	l := &link{kick: make(chan struct{}, 1)}
	l.session = newSession(conn, func(method string, params json.RawMessage) { c.notified(l, method, params) })
	defer l.session.close()
	if l.schema, err = l.session.schema(connectCtx); err != nil {
		return err
	}
	if l.replica, err = newReplica(connectCtx, r, l.schema); err != nil {
		return err
	}
	defer l.replica.close()
	up()
	c.setLink(l)
	defer c.setLink(nil)
	// The answer is handled in the order of what the server sends: "locked" may follow at once.
	l.session.send(connectCtx, "lock", []byte(`["`+lockName+`"]`), func(result json.RawMessage, err error) {
		var reply struct {
			Locked bool `json:"locked"`
		}
		if err == nil {
			err = json.Unmarshal(result, &reply)
		}
		switch {
		case err != nil:
			l.session.fail(fmt.Errorf("lock: %w", err))
		case reply.Locked:
			c.gotLock(l)
		default:
			c.lostLock(l)
		}
	})
	return c.work(ctx, l)
}

// notified handles what the server says by itself.
func (c *Client) notified(l *link, method string, params json.RawMessage) {
	var names []string
	if err := json.Unmarshal(params, &names); err != nil || len(names) == 0 || names[0] != lockName {
		return
	}
	switch method {
	case "locked":
		c.gotLock(l)
	case "stolen":
		c.lostLock(l)
	}
}

func (c *Client) gotLock(l *link) {
	c.setLock(l, LockHeld)
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (c *Client) lostLock(l *link) {
	if c.lockLog != nil {
		c.lockLog.Errorf("another ovs-vswitchd process is running, disabling this process (pid %d) until it goes away", os.Getpid())
	}
	c.setLock(l, LockContended)
}

// work publishes snapshots and probes the server until the connection ends.
func (c *Client) work(ctx context.Context, l *link) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { c.probe(ctx, l) })
	var b builder
	var last *Snapshot // what was published under this lock
	current := false   // the replica is at least as new as the lock
	for {
		var again <-chan time.Time
		if current && c.Locked() {
			s, err := b.build(l.replica.rows)
			switch {
			case err == nil && reflect.DeepEqual(s, last):
				// Events of rows that were read already come late. Shared ports make the comparison cheap.
			case err == nil:
				last = s
				c.publish(s)
			case errors.Is(err, errTorn):
				again = c.clock.After(time.Millisecond)
			}
			// Without a root row there is nothing to do; making it is a change too.
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.session.done:
			return l.session.reason()
		case <-l.replica.lost:
			return errors.New("connection closed by peer")
		case <-l.replica.dirty:
		case <-l.kick:
			// The lock came by the other connection. The answer to an echo comes after what the instance that
			// had the lock before has caused.
			echo, cancel := context.WithTimeout(ctx, probeTimeout)
			err := l.replica.client.Echo(echo)
			cancel()
			if err != nil {
				return fmt.Errorf("read the configuration: %w", err)
			}
			last, current = nil, true
		case <-again:
		}
	}
}

// probe asks both connections for a sign of life, and ends the session, and with it the link, when there is none.
func (c *Client) probe(ctx context.Context, l *link) {
	for {
		select {
		case <-c.clock.After(probeInterval):
		case <-ctx.Done():
			return
		case <-l.session.done:
			return
		}
		echo, cancel := context.WithCancel(ctx)
		answer := make(chan error, 1)
		go func() {
			err := l.session.echo(echo)
			if err == nil {
				err = l.replica.client.Echo(echo)
			}
			answer <- err
		}()
		var err error
		select {
		case err = <-answer:
		case <-c.clock.After(probeTimeout):
			cancel()
			<-answer
			err = fmt.Errorf("silent for %v", probeTimeout)
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			l.session.fail(fmt.Errorf("no response to inactivity probe: %w", err))
			return
		}
	}
}
