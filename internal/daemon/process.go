package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/internal/vlog"
)

// Process is the worker: the process that does the daemon's work.
type Process struct {
	opts     *Options
	role     string
	ready    *os.File // nil if nobody waits
	pid      *pidfile
	log      *vlog.Log
	lockErr  error // of mlockall, told once there is a log
	received unix.Signal

	mu    sync.Mutex
	files []string // to unlink at the end
	ended bool
}

// Start takes the roles that the options ask for. In the worker it returns the process; in all others (the
// command whose daemon is in the background now, the monitor whose daemon has ended) it returns nil and
// the code to exit with, and an error if there is something to say.
func Start(o *Options) (*Process, int, error) {
	role, ready, err := takeRole()
	if err != nil {
		return nil, 1, err
	}
	if err := setName(Program); err != nil {
		return nil, 1, fmt.Errorf("process name: %w", err)
	}
	signal.Ignore(unix.SIGPIPE)
	if role == roleCommand && o.User != "" {
		id, err := lookupUser(o.User)
		if err != nil {
			return nil, 1, err
		}
		exe, err := os.Executable()
		if err != nil {
			return nil, 1, err
		}
		return nil, 1, execAs(id, o, exe, os.Args, withRole(roleUser))
	}
	// Checked by the first process too, so that its message comes before anything else happens.
	if o.Pidfile != "" && !o.OverwritePidfile && role != roleWorker {
		if err := checkPidfile(o.Pidfile); err != nil {
			return nil, 1, err
		}
	}
	if o.Detach && (role == roleCommand || role == roleUser) {
		code, err := detach()
		return nil, code, err
	}
	if o.Monitor && role != roleWorker {
		code, err := (&monitor{opts: o, ready: ready}).run()
		return nil, code, err
	}
	return startWorker(o, role, ready)
}

func startWorker(o *Options, role string, ready *os.File) (*Process, int, error) {
	p := &Process{opts: o, role: role, ready: ready}
	if o.Detach && !o.NoChdir {
		if err := os.Chdir("/"); err != nil {
			return nil, 1, err
		}
	}
	if o.Pidfile != "" {
		before := readPid(o.Pidfile)
		var err error
		if p.pid, err = claimPidfile(o.Pidfile, o.OverwritePidfile); err != nil {
			return nil, 1, err
		}
		// A predecessor that was killed has left the socket that has its number in its name.
		if before > 0 && before != os.Getpid() && !o.OverwritePidfile {
			_ = os.Remove(ctlPath(o.Dirs, before))
		}
	}
	// A crash ends by SIGABRT, with a core if the limits allow one: what supervisors take for a crash.
	debug.SetTraceback("crash")
	if o.Mlockall {
		// Pages are locked as they are touched: the heap reserves far more addresses than it uses.
		p.lockErr = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
	return p, 0, nil
}

// detach starts the daemon in a session of its own and waits until it is ready.
func detach() (int, error) {
	c, err := spawn(roleDetached, "")
	if err != nil {
		return 1, fmt.Errorf("detach: %w", err)
	}
	if c.waitReady() {
		return 0, nil
	}
	st, err := c.wait()
	switch {
	case err != nil:
		return 1, fmt.Errorf("detach: %w", err)
	case st.Exited():
		// It has said why on the standard error that we share. An end before it was ready is no success.
		return max(st.ExitStatus(), 1), nil
	}
	return 1, fmt.Errorf("fork child died before signaling startup (%s)", statusText(st))
}

// OpenLog makes the daemon's log as the options ask: levels, syslog and file. Modules can be named by -v.
// A wrong specification is an error; a file that cannot be opened is only a warning in the log.
func (p *Process) OpenLog(modules ...string) (*vlog.Log, error) {
	l, err := openLog(p.opts, modules...)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.log = l
	p.mu.Unlock()
	if p.lockErr != nil {
		l.Module("vswitchd").Errorf("mlockall failed: %v", p.lockErr)
	}
	return l, nil
}

func openLog(o *Options, modules ...string) (*vlog.Log, error) {
	l := vlog.New(vlog.Options{
		Program: Program,
		Modules: slices.Concat(vlog.StockModules(), modules),
		OnOpen: func(f *os.File) {
			// The runtime's last words go to the log as well: a detached daemon has no standard error.
			_ = debug.SetCrashOutput(f, debug.CrashOptions{})
		},
	})
	for _, spec := range o.Verbose {
		if err := l.Set(spec); err != nil {
			return nil, fmt.Errorf(`processing "%s": %w`, spec, err)
		}
	}
	method := o.SyslogMethod
	if method == "" {
		method = os.Getenv("OVS_SYSLOG_METHOD")
	}
	if method != "" {
		if err := l.SetSyslogMethod(method); err != nil {
			return nil, err
		}
	}
	if o.SyslogTarget != "" {
		if err := l.SetSyslogTarget(o.SyslogTarget); err != nil {
			return nil, err
		}
	}
	if o.LogFile != "" {
		_ = l.OpenFile(o.LogFile) // warned about already
	}
	return l, nil
}

// UnixctlPath is the name of the control socket, "none" for none.
func (p *Process) UnixctlPath() string {
	switch u := p.opts.Unixctl; u {
	case "none":
		return u
	case "":
		return ctlPath(p.opts.Dirs, os.Getpid())
	default:
		return p.opts.Dirs.RunFile(u)
	}
}

func ctlPath(d Dirs, pid int) string { return d.RunFile(fmt.Sprintf("%s.%d.ctl", Program, pid)) }

// UnlinkAtEnd has files removed when the daemon ends, in an orderly way or by a signal.
func (p *Process) UnlinkAtEnd(paths ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files = append(p.files, paths...)
}

// Ready tells those who wait (the command that detaches, the monitor, systemd) that the first configuration
// is in force. A detached daemon lets go of its terminal. It has no effect a second time.
func (p *Process) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := notifySystemd("READY=1")
	if p.ready == nil {
		return err
	}
	if p.opts.Detach {
		if p.log != nil {
			err = errors.Join(err, p.log.Set("console:off"))
		}
		err = errors.Join(err, silence())
	}
	_, werr := p.ready.Write([]byte{0})
	if errors.Is(werr, unix.EPIPE) {
		werr = nil // who waited has gone
	}
	err = errors.Join(err, werr, p.ready.Close())
	p.ready = nil
	return err
}

// Signal is the cause of the end of a context of Signals.
type Signal struct{ unix.Signal }

func (s Signal) Error() string {
	return fmt.Sprintf("signal %d (%s)", int(s.Signal), signalName(s.Signal))
}

// fatal are the signals that end the daemon in an orderly way.
// SIGSEGV is here as one that somebody sends; a fault of the program itself is a panic.
var fatal = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGALRM, unix.SIGSEGV}

// Signals gives a context that ends when a signal asks the daemon to end; its cause is then a Signal. A
// second signal ends the process at once. stop ends the watch.
func (p *Process) Signals(ctx context.Context) (watched context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, fatal...)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case s := <-ch:
				sig := s.(syscall.Signal)
				p.mu.Lock()
				again := p.received != 0
				p.received = sig
				l := p.log
				p.mu.Unlock()
				if again {
					p.end()
					dieBy(sig)
				}
				if l != nil {
					l.Module("fatal_signal").Warnf("terminating with signal %d (%s)", int(sig), signalName(sig))
				}
				cancel(Signal{sig})
			}
		}
	})
	return ctx, sync.OnceFunc(func() {
		close(done)
		wg.Wait()
		signal.Stop(ch)
		cancel(context.Canceled)
	})
}

// Finish removes the pidfile and the files of UnlinkAtEnd and closes the log. After a signal the process
// dies by that signal here; else Finish returns the code to exit with.
func (p *Process) Finish(code int) int {
	_ = notifySystemd("STOPPING=1")
	p.end()
	p.mu.Lock()
	sig, l := p.received, p.log
	p.mu.Unlock()
	if l != nil {
		l.Close()
	}
	if sig != 0 {
		dieBy(sig)
	}
	return code
}

// Fatal ends a daemon that cannot go on: the reason goes to the log as an emergency and to standard error,
// and the code to exit with is 1.
func (p *Process) Fatal(err error) int {
	p.mu.Lock()
	l := p.log
	p.mu.Unlock()
	if l != nil {
		_ = l.Set("console:off") // the line below is enough there
		l.Module("vswitchd").Log(logrus.FatalLevel, err.Error())
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", Program, err)
	return p.Finish(1)
}

func (p *Process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	for _, f := range p.files {
		_ = os.Remove(f)
	}
	if p.pid != nil {
		p.pid.remove()
	}
}
