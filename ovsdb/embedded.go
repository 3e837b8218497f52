package ovsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
	"github.com/ovs-bpf/ovs-bpf/schemas"
)

// Timers of an embedded server.
const (
	startTimeout  = 20 * time.Second // until it listens; a big database takes time to read
	stopTimeout   = 5 * time.Second  // from SIGTERM to SIGKILL
	restartMin    = 100 * time.Millisecond
	restartMax    = 8 * time.Second
	leaveTimeout  = 2 * time.Second // for a server of a killed predecessor to go
	socketPolling = 10 * time.Millisecond
)

// EmbeddedOptions of StartEmbedded.
type EmbeddedOptions struct {
	// RunDir is where db.sock and ovsdb-server's pidfile and control socket are made; it must exist.
	RunDir string
	// File keeps the database; "" is conf.db in OVS_DBDIR, or in RunDir if that is not set.
	File string
	// Schema is the text of the schema; "" is the one built in.
	Schema string
	// Log tells when the server ends unexpectedly; nil for silence.
	Log *logrus.Entry
	// Clock is for the backoff of restarts; nil for the machine's.
	Clock clock.Clock
}

// Embedded is an ovsdb-server that lives as long as we do: it is started again when it dies, and killed by the kernel
// when we are.
type Embedded struct {
	o      EmbeddedOptions
	server string // path of ovsdb-server
	cancel context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	pid int
}

// StartEmbedded makes the database if it is missing, brings it to the schema if it is older, starts ovsdb-server and
// returns when it listens. It ends with ctx or with Close.
func StartEmbedded(ctx context.Context, o EmbeddedOptions) (*Embedded, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Schema == "" {
		o.Schema = schemas.VSwitch()
	}
	var err error
	if o.RunDir, err = filepath.Abs(o.RunDir); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	if o.File == "" {
		dir := o.RunDir
		if d := os.Getenv("OVS_DBDIR"); d != "" {
			dir = d
		}
		o.File = filepath.Join(dir, "conf.db")
	}
	if o.File, err = filepath.Abs(o.File); err != nil {
		return nil, fmt.Errorf("database file: %w", err)
	}
	e := &Embedded{o: o, done: make(chan struct{})}
	if e.server, err = findProgram("ovsdb-server"); err != nil {
		return nil, err
	}
	if err := e.waitFree(ctx); err != nil {
		return nil, err
	}
	if err := prepareFile(ctx, o.File, o.Schema); err != nil {
		return nil, err
	}
	ctx, e.cancel = context.WithCancel(ctx)
	started := make(chan error)
	go e.supervise(ctx, started)
	if err := <-started; err != nil {
		e.Close()
		return nil, err
	}
	if err := e.initialise(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Remote is what clients connect to.
func (e *Embedded) Remote() string { return "unix:" + e.socket() }

// PID is the server's process id, 0 while it is being started again.
func (e *Embedded) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pid
}

// Close stops the server and waits for its end.
func (e *Embedded) Close() {
	e.cancel()
	<-e.done
}

func (e *Embedded) socket() string { return filepath.Join(e.o.RunDir, "db.sock") }

func (e *Embedded) dial(ctx context.Context) (net.Conn, error) {
	return remote{network: "unix", address: e.socket()}.dial(ctx)
}

// waitFree refuses to take the socket from a server that uses it; one of a killed predecessor gets a moment to end.
func (e *Embedded) waitFree(ctx context.Context) error {
	deadline := time.Now().Add(leaveTimeout)
	for {
		conn, err := e.dial(ctx)
		if err != nil {
			return ctx.Err()
		}
		conn.Close()
		if time.Now().After(deadline) {
			return fmt.Errorf("a database server already listens on %s: connect to it (unix:%s) instead of embedding one", e.socket(), e.socket())
		}
		time.Sleep(socketPolling)
	}
}

// supervise runs the server until ctx ends. The outcome of the first start is sent to started.
func (e *Embedded) supervise(ctx context.Context, started chan<- error) {
	defer close(e.done)
	// PR_SET_PDEATHSIG counts the death of the thread that started the process, so that thread is kept.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff := restartMin
	leave := time.Now().Add(leaveTimeout)
	for first := true; ; first = false {
		began := e.o.Clock.Now()
		child, err := e.start(ctx)
		if first {
			// A killed predecessor's server may hold the file's lock for a moment after it has left the socket.
			for err != nil && strings.Contains(err.Error(), "lock") && time.Now().Before(leave) && ctx.Err() == nil {
				time.Sleep(restartMin)
				child, err = e.start(ctx)
			}
			started <- err
			if err != nil {
				return
			}
		}
		if err == nil {
			err = child.wait(ctx)
			e.setPID(0)
		}
		if ctx.Err() != nil {
			return
		}
		if e.o.Clock.Now().Sub(began) > restartMax {
			backoff = restartMin
		}
		if e.o.Log != nil {
			e.o.Log.Errorf("ovsdb-server for %s ended unexpectedly (%v), starting it again", e.o.File, err)
		}
		select {
		case <-e.o.Clock.After(backoff):
		case <-ctx.Done():
			return
		}
		backoff = min(2*backoff, restartMax)
	}
}

func (e *Embedded) setPID(pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid = pid
}

// child is a running server.
type child struct {
	cmd    *exec.Cmd
	output *tail
	exited chan error // gets one value
}

// start starts the server and waits until it listens.
func (e *Embedded) start(ctx context.Context) (*child, error) {
	cmd := exec.Command(e.server, e.o.File,
		"--remote=punix:"+e.socket(),
		"--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
		"--private-key=db:Open_vSwitch,SSL,private_key",
		"--certificate=db:Open_vSwitch,SSL,certificate",
		"--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert",
		"--pidfile="+filepath.Join(e.o.RunDir, "ovsdb-server.pid"),
		"-vconsole:warn", "-vsyslog:off")
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+e.o.RunDir)
	cmd.Dir = "/"
	c := &child{cmd: cmd, output: &tail{}, exited: make(chan error, 1)}
	cmd.Stderr = c.output
	// In a group of its own: the terminal's interrupt is for us, and we end it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start ovsdb-server: %w", err)
	}
	e.setPID(cmd.Process.Pid)
	go func() { c.exited <- cmd.Wait() }()
	deadline := time.NewTimer(startTimeout)
	defer deadline.Stop()
	for {
		if conn, err := e.dial(ctx); err == nil {
			conn.Close()
			return c, nil
		}
		select {
		case err := <-c.exited:
			e.setPID(0)
			return nil, c.ended(err)
		case <-deadline.C:
			c.stop()
			return nil, fmt.Errorf("ovsdb-server does not listen on %s after %v%s", e.socket(), startTimeout, c.output)
		case <-ctx.Done():
			c.stop()
			return nil, ctx.Err()
		case <-time.After(socketPolling):
		}
	}
}

// wait waits for the server's end, or for ctx's and then ends it.
func (c *child) wait(ctx context.Context) error {
	select {
	case err := <-c.exited:
		return c.ended(err)
	case <-ctx.Done():
		c.stop()
		return ctx.Err()
	}
}

func (c *child) ended(err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("ovsdb-server: %w%s", err, c.output)
}

// stop ends the server and waits for it.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// initialise makes the Open_vSwitch row if it is missing, as "ovs-vsctl init" does.
func (e *Embedded) initialise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := e.dial(ctx)
	if err != nil {
		return fmt.Errorf("initialise the database: %w", err)
	}
	s := newSession(conn, func(string, json.RawMessage) {})
	defer s.close()
	// The wait fails when there is a row, and the insert with it.
	_, err = s.transact(ctx, [][]byte{
		[]byte(`{"op":"wait","table":"Open_vSwitch","timeout":0,"columns":["_uuid"],"where":[],"until":"==","rows":[]}`),
		[]byte(`{"op":"insert","table":"Open_vSwitch","row":{}}`),
	})
	var op *opError
	if err != nil && !(errors.As(err, &op) && op.index == 0 && op.Code == codeTimedOut) {
		return fmt.Errorf("initialise the database: %w", err)
	}
	return nil
}

// tail keeps the end of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// tailSize is how many bytes a tail keeps.
const tailSize = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if n := len(t.b) - tailSize; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

// String is ": " and the text in one line, or "".
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.Join(strings.FieldsFunc(string(bytes.TrimSpace(t.b)), func(r rune) bool { return r == '\n' }), "; ")
	if text == "" {
		return ""
	}
	return ": " + text
}
