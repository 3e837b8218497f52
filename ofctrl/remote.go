package ofctrl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ControllerConfig is a row of the Controller table.
type ControllerConfig struct {
	Target string
	// MaxBackoff bounds the time between attempts; 0: 8 s. At least 1 s is used.
	MaxBackoff time.Duration
	// InactivityProbe is how long a peer may be silent before it is probed, and then until it is
	// given up; nil: 5 s (60 s for connections that come in), 0: never.
	InactivityProbe *time.Duration
}

const (
	minBackoff     = time.Second
	defaultBackoff = 8 * time.Second
	defaultProbe   = 5 * time.Second
	dialTimeout    = 30 * time.Second
	// tosControl is DSCP 48, network control, in the TOS byte.
	tosControl = 48 << 2
)

// remote is a target at work: a controller that is connected to again and again, or a socket on
// which they come in.
type remote struct {
	sw     *Switch
	name   string           // in the log
	config ControllerConfig // guarded by sw.mu
	mgmt   bool             // the bridge's own service socket
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

// active reports whether the target is a controller, to which the switch connects; those who come
// in are not relied on, and a malformed target is none.
func (r *remote) active() bool {
	return (r.err == nil || errors.Is(r.err, errTLS)) && !r.target.passive
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
		return mgmtProbe
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
		r.listen(ctx)
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
		nc, err := dial(ctx, r.target)
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

func dial(ctx context.Context, t target) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, Control: func(network, _ string, raw syscall.RawConn) error {
		if network == "unix" {
			return nil
		}
		return raw.Control(func(fd uintptr) { markControl(int(fd)) })
	}}
	return d.DialContext(ctx, t.network, t.address)
}

// markControl gives the packets of a socket the precedence of network control. That it fails is
// no reason not to connect.
func markControl(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, tosControl)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tosControl)
}

// listen serves who comes in; when the socket cannot be made it tries again.
func (r *remote) listen(ctx context.Context) {
	s := r.sw
	said := ""
	for {
		l, err := r.open(ctx)
		if err == nil {
			r.set("ACTIVE", nil)
			err = r.accept(ctx, l)
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
	lc := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if network == "unix" {
				// Before bind, where the mode of the file comes from.
				_ = unix.Fchmod(int(fd), 0o770)
				return
			}
			markControl(int(fd))
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

func (r *remote) accept(ctx context.Context, l net.Listener) error {
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
		c := newConn(r.sw, r, nc, true)
		r.sw.wg.Go(func() { _ = c.run(ctx) })
	}
}

func unixError(e syscall.Errno) string {
	s := e.Error()
	// Go has glibc's texts in lower case.
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
