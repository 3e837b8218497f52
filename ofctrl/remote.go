package ofctrl

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/internal/tlsfiles"
)

// ControllerConfig is a row of the Controller table.
type ControllerConfig struct {
	Target string
	// MaxBackoff bounds the time between attempts; 0: 8 s. At least 1 s is used.
	MaxBackoff time.Duration
	// InactivityProbe is how long a peer may be silent before it is probed, and then until it is
	// given up; nil: 5 s (60 s for connections that come in), 0: never.
	InactivityProbe *time.Duration
	// Service says which type the controller is: one that is relied on (primary), or one that only gives services; nil: those
	// that come in are of the latter.
	Service *bool
	// NoAsync: no asynchronous message is sent unless the controller asks for it.
	NoAsync bool
	// QueueSize is how many packet-ins wait for the connection before more are dropped; 0: 100.
	QueueSize int
	// RateLimit bounds packet-ins per second, 0: not; Burst is how many more may come at once, and wait: 0: a quarter of the rate.
	RateLimit, Burst int
	// DSCP of the connection's packets; nil: 48.
	DSCP *uint8
}

const (
	minBackoff     = time.Second
	defaultBackoff = 8 * time.Second
	defaultProbe   = 5 * time.Second
	dialTimeout    = 30 * time.Second
	// defaultDSCP is network control.
	defaultDSCP = 48
	// tlsTimeout bounds the handshake.
	tlsTimeout = 10 * time.Second
)

// remote is a target at work: a controller that is connected to again and again, or a socket on
// which they come in.
type remote struct {
	sw     *Switch
	name   string           // in the log
	config ControllerConfig // guarded by sw.mu
	mgmt   bool             // a socket of the bridge's own
	opened func()           // called when a socket was made, or could not be; may be nil
	target target
	err    error // the target is unusable
	stop   context.CancelFunc

	// Guarded by sw.mu.
	state     string
	since     time.Time // of the last connection
	until     time.Time // of the last disconnection
	lastError string
	conn      *conn  // active targets
	dropped   uint64 // packet-ins
}

func newRemote(s *Switch, c ControllerConfig, mgmt bool) *remote {
	r := &remote{sw: s, name: s.o.Bridge + "<->" + c.Target, config: c, mgmt: mgmt, state: "VOID"}
	if mgmt {
		_, path, _ := cutKind(c.Target)
		r.target = target{network: "unix", address: path, passive: true}
		return r
	}
	if r.target, r.err = s.parseTarget(c.Target); r.err != nil {
		r.lastError = r.err.Error()
	}
	return r
}

// service reports whether the controller is not relied on; sw.mu is held.
func (r *remote) service() bool {
	if r.mgmt || r.config.Service == nil {
		return r.target.passive
	}
	return *r.config.Service
}

// primary reports whether the target is a controller that the bridge relies on; a malformed one is none. sw.mu is held.
func (r *remote) primary() bool { return r.err == nil && !r.service() }

// tos is the TOS byte of the connection's packets.
func (r *remote) tos() int {
	r.sw.mu.Lock()
	defer r.sw.mu.Unlock()
	if r.config.DSCP != nil {
		return int(*r.config.DSCP) << 2
	}
	return defaultDSCP << 2
}

func cutKind(s string) (kind, rest string, ok bool) {
	for i := range s {
		if s[i] == ':' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// probe is the inactivity probe; sw.mu is held.
func (r *remote) probe() time.Duration {
	switch {
	case r.config.InactivityProbe != nil:
		return *r.config.InactivityProbe
	case r.target.passive:
		return serviceProbe
	}
	return defaultProbe
}

func (r *remote) maxBackoff() time.Duration {
	r.sw.mu.Lock()
	defer r.sw.mu.Unlock()
	if r.config.MaxBackoff == 0 {
		return defaultBackoff
	}
	return max(r.config.MaxBackoff, minBackoff)
}

func (r *remote) run(ctx context.Context) {
	switch {
	case r.err != nil:
		r.sw.log.Error(r.err)
	case r.target.passive:
		r.listen(ctx, (*remote).serve)
	default:
		r.connect(ctx)
	}
}

// connect keeps a connection to the target.
func (r *remote) connect(ctx context.Context) {
	s := r.sw
	backoff := time.Duration(0)
	for {
		quiet := backoff >= r.maxBackoff() // failures are no news any more
		r.set("CONNECTING", nil)
		if !quiet {
			s.log.Infof("%s: connecting...", r.name)
		}
		nc, err := r.dial(ctx)
		if err != nil {
			if ctx.Err() == nil && !quiet {
				s.log.Warnf("%s: connection failed (%s)", r.name, errorText(err))
			}
		} else {
			began := s.o.Clock.Now()
			err = newConn(s, r, nc, false).run(ctx)
			if s.o.Clock.Now().Sub(began) >= backoff {
				backoff, quiet = 0, false // it was a good connection
			}
			switch {
			case ctx.Err() != nil:
			case err == nil:
				s.log.Infof("%s: connection closed by peer", r.name)
			default:
				s.log.Infof("%s: connection dropped (%s)", r.name, errorText(err))
			}
		}
		if ctx.Err() != nil {
			r.set("VOID", nil)
			return
		}
		backoff = min(max(2*backoff, minBackoff), r.maxBackoff())
		r.set("BACKOFF", err)
		switch {
		case quiet:
		case backoff < r.maxBackoff():
			s.log.Infof("%s: waiting %d seconds before reconnect", r.name, int(backoff.Seconds()))
		default:
			s.log.Infof("%s: continuing to retry connections in the background but suppressing further logging", r.name)
		}
		select {
		case <-ctx.Done():
			r.set("VOID", nil)
			return
		case <-s.o.Clock.After(backoff):
		}
	}
}

func (r *remote) set(state string, err error) {
	r.sw.mu.Lock()
	r.state = state
	if err != nil {
		r.lastError = errorText(err)
	}
	r.sw.mu.Unlock()
	r.sw.changed()
}

// errorText is an error as OVS puts it in Controller.status: the system's text alone.
func errorText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return unixError(errno)
	}
	return err.Error()
}

func (r *remote) dial(ctx context.Context) (net.Conn, error) {
	t, tos := r.target, r.tos()
	d := net.Dialer{Timeout: dialTimeout, Control: func(network, _ string, raw syscall.RawConn) error {
		if network == "unix" {
			return nil
		}
		return raw.Control(func(fd uintptr) { mark(int(fd), tos) })
	}}
	if !t.tls {
		return d.DialContext(ctx, t.network, t.address)
	}
	files, err := r.sw.files()
	if err != nil {
		return nil, err
	}
	config, err := tlsfiles.Client(files)
	if err != nil {
		return nil, err
	}
	nc, err := d.DialContext(ctx, t.network, t.address)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(nc, config)
	if err := shake(ctx, secure); err != nil {
		return nil, err
	}
	return secure, nil
}

// shake does the TLS handshake, or closes the connection.
func shake(ctx context.Context, c *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		c.Close()
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return nil
}

// files are those of TLS connections, or what is wrong with them now.
func (s *Switch) files() (func() tlsfiles.Files, error) {
	files := s.o.TLS
	if files == nil {
		files = func() tlsfiles.Files { return tlsfiles.Files{} }
	}
	return files, files().Check()
}

// mark sets the precedence of a socket's packets. That it fails is no reason not to connect.
func mark(fd, tos int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, tos)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
}

// listen serves who comes in; when the socket cannot be made it tries again.
func (r *remote) listen(ctx context.Context, serve func(*remote, context.Context, net.Conn)) {
	s := r.sw
	said := ""
	for {
		l, err := r.open(ctx)
		if r.opened != nil {
			r.opened()
		}
		if err == nil {
			r.set("ACTIVE", nil)
			err = r.accept(ctx, l, serve)
		}
		if ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != said {
			s.log.Errorf("%s: %v", r.name, err)
			said = text
		}
		r.set("BACKOFF", err)
		select {
		case <-ctx.Done():
			return
		case <-s.o.Clock.After(r.maxBackoff()):
		}
	}
}

// open makes the socket. A Unix socket that an earlier process left is replaced; its mode is
// 0770 less umask.
func (r *remote) open(ctx context.Context) (net.Listener, error) {
	tos := r.tos()
	lc := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if network == "unix" {
				// Before bind, where the mode of the file comes from.
				_ = unix.Fchmod(int(fd), 0o770)
				return
			}
			mark(int(fd), tos)
		})
	}}
	if r.target.network == "unix" {
		if err := removeSocket(r.target.address); err != nil {
			return nil, err
		}
	}
	l, err := lc.Listen(ctx, r.target.network, r.target.address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// removeSocket removes what is in the way, if it is a socket.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is not a socket", path)
	}
	return os.Remove(path)
}

func (r *remote) accept(ctx context.Context, l net.Listener, serve func(*remote, context.Context, net.Conn)) error {
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ECONNABORTED) {
				r.sw.log.Warnf("%s: accept: %v", r.name, err)
				select {
				case <-ctx.Done():
				case <-r.sw.o.Clock.After(time.Second):
				}
				continue
			}
			return err
		}
		r.sw.wg.Go(func() { serve(r, ctx, nc) })
	}
}

// serve serves a connection that came in.
func (r *remote) serve(ctx context.Context, nc net.Conn) {
	if r.target.tls {
		var err error
		if nc, err = r.secure(ctx, nc); err != nil {
			if r.sw.news.allow(r.sw.o.Clock.Now()) {
				r.sw.log.Warnf("%s: %v", r.name, err)
			}
			return
		}
	}
	_ = newConn(r.sw, r, nc, true).run(ctx)
}

// secure does the TLS handshake of a connection that came in.
func (r *remote) secure(ctx context.Context, nc net.Conn) (net.Conn, error) {
	files, err := r.sw.files()
	if err != nil {
		nc.Close()
		return nil, err
	}
	config, err := tlsfiles.Server(files)
	if err != nil {
		nc.Close()
		return nil, err
	}
	c := tls.Server(nc, config)
	return c, shake(ctx, c)
}

func unixError(e syscall.Errno) string {
	s := e.Error()
	// Go has glibc's texts in lower case.
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
