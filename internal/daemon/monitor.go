package daemon

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// restartInterval is the least time between two restarts of a worker that crashes.
const restartInterval = 10 * time.Second

// errorSignals are the ends of a worker that the monitor takes for crashes.
var errorSignals = []unix.Signal{
	unix.SIGABRT, unix.SIGALRM, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGPIPE, unix.SIGSEGV, unix.SIGXCPU, unix.SIGXFSZ,
}

// monitor starts the worker and starts it again when it crashes.
type monitor struct {
	opts    *Options
	ready   *os.File // to the process that waits for the first readiness, nil if none does
	crashes int
	started bool // a worker has been ready once
}

// run supervises until a worker ends in another way than by a crash, and returns the code to exit with.
func (m *monitor) run() (int, error) {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, fatal...)
	defer signal.Stop(asked)
	// Relative names on the command line are the workers' to resolve, so they start where we did.
	dir, err := os.Getwd()
	if err == nil && m.opts.Detach && !m.opts.NoChdir {
		err = os.Chdir("/")
	}
	if err != nil {
		return 1, fmt.Errorf("monitor: %w", err)
	}
	for {
		began := time.Now()
		c, err := spawn(roleWorker, dir)
		if err != nil {
			return 1, fmt.Errorf("monitor: %w", err)
		}
		st, sig, err := m.watch(c, asked)
		switch {
		case err != nil:
			return 1, fmt.Errorf("monitor: %w", err)
		case sig != 0:
			dieBy(sig)
		case !m.started && st.Exited():
			return max(st.ExitStatus(), 1), nil
		case !m.started:
			return 1, fmt.Errorf("fork child died before signaling startup (%s)", statusText(st))
		}
		died := fmt.Sprintf("pid %d died, %s", c.cmd.Process.Pid, statusText(st))
		if !crashed(st) {
			m.say(logrus.InfoLevel, died+", exiting")
			if st.Exited() {
				return st.ExitStatus(), nil
			}
			return 0, nil
		}
		m.crashes++
		died = fmt.Sprintf("%d crashes: %s", m.crashes, died)
		if wait := restartDelay(began, time.Now()); wait > 0 {
			m.say(logrus.WarnLevel, died+", waiting until 10 seconds since last restart")
			select {
			case s := <-asked:
				dieBy(s.(syscall.Signal))
			case <-time.After(wait):
			}
		}
		m.say(logrus.ErrorLevel, died+", restarting")
	}
}

// watch waits for the end of a worker. It hands on the signals that ask the daemon to end, and says which
// came first.
func (m *monitor) watch(c *child, asked <-chan os.Signal) (st unix.WaitStatus, sig unix.Signal, err error) {
	said := make(chan bool, 1)
	go func() { said <- c.waitReady() }()
	ready := said // nil once it has been read
	type end struct {
		st  unix.WaitStatus
		err error
	}
	ended := make(chan end, 1)
	go func() {
		st, err := c.wait()
		ended <- end{st, err}
	}()
	for {
		select {
		case ok := <-ready:
			ready = nil
			if ok {
				m.workerReady()
			}
		case s := <-asked:
			if sig == 0 {
				sig = s.(syscall.Signal)
			}
			_ = c.cmd.Process.Signal(s)
		case e := <-ended:
			// The pipe has ended with the worker: a readiness that it gave just before counts.
			if ready != nil && <-ready {
				m.workerReady()
			}
			return e.st, sig, e.err
		}
	}
}

// workerReady passes on the first readiness and lets go of the terminal.
func (m *monitor) workerReady() {
	if m.started {
		return
	}
	m.started = true
	if m.ready != nil {
		_ = silence()
		_, _ = m.ready.Write([]byte{0})
		_ = m.ready.Close()
	}
}

// say logs through a log that is open only for this message: the file may be rotated between two crashes.
func (m *monitor) say(level logrus.Level, msg string) {
	l, err := openLog(m.opts)
	if err != nil {
		return // the worker has said so
	}
	defer l.Close()
	l.Module("daemon_unix").Log(level, msg)
}

// restartDelay is how long a worker that was started at began has to wait for its successor.
func restartDelay(began, now time.Time) time.Duration {
	return max(0, restartInterval-now.Sub(began))
}

func crashed(st unix.WaitStatus) bool {
	return st.Signaled() && slices.Contains(errorSignals, st.Signal())
}

// statusText tells an end of a process in OVS's words.
func statusText(st unix.WaitStatus) string {
	switch {
	case st.Exited():
		return fmt.Sprintf("exit status %d", st.ExitStatus())
	case st.Signaled():
		core := ""
		if st.CoreDump() {
			core = ", core dumped"
		}
		return fmt.Sprintf("killed (%s)%s", signalName(st.Signal()), core)
	}
	return fmt.Sprintf("terminated abnormally (%x)", int(st))
}

// signalName is strsignal(3)'s name.
func signalName(s unix.Signal) string {
	name := s.String()
	return strings.ToUpper(name[:1]) + name[1:]
}
