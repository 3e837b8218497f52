package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ovs-bpf/ovs-bpf/internal/unixctl"
)

// The test binary doubles as a small daemon when exampleVariable is set: the daemon that cmd/ovs-bpfd is,
// without a switch in it. Its value says how the daemon behaves.
const exampleVariable = "OVS_BPFD_EXAMPLE"

func TestMain(m *testing.M) {
	if how := os.Getenv(exampleVariable); how != "" {
		os.Exit(exampleMain(how))
	}
	os.Exit(m.Run())
}

// exampleMain has the shape of a daemon's main function.
func exampleMain(how string) int {
	die := func(err error) int {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Program, err)
		return 1
	}
	o, err := Parse(os.Args[1:], EnvDirs())
	switch {
	case err != nil:
		return die(err)
	case o.Help:
		fmt.Print(Help(o.Dirs))
		return 0
	case o.Version:
		fmt.Print(Version())
		return 0
	}
	p, code, err := Start(o)
	if err != nil {
		return die(err)
	}
	if p == nil {
		return code
	}
	log, err := p.OpenLog("example")
	if err != nil {
		return p.Finish(die(err))
	}
	ctx, stop := p.Signals(context.Background())
	defer stop()

	ctl := unixctl.NewServer(p.UnixctlPath())
	log.RegisterCommands(ctl)
	ctl.Register("version", "", 0, 0, unixctl.Text(Version))
	ctl.Register("where", "", 0, 0, unixctl.Text(func() string { d, _ := os.Getwd(); return d }))
	ctl.Register("crash", "", 0, 0, func(context.Context, []string, func(string, error)) { go panic("crash was asked for") })
	exit := make(chan func(string, error), 1)
	ctl.Register("exit", "[--cleanup]", 0, 1, func(_ context.Context, _ []string, reply func(string, error)) { exit <- reply })
	if err := ctl.Start(context.Background()); err != nil {
		return p.Fatal(err)
	}
	if ctl.Path() != "" {
		p.UnlinkAtEnd(ctl.Path())
	}
	switch how {
	case "die-early":
		return p.Finish(3)
	case "end-early":
		return p.Finish(0)
	case "abort-early":
		dieBy(unix.SIGABRT)
	}
	log.Module("example").Info("up")
	if err := p.Ready(); err != nil {
		log.Module("example").WithError(err).Warn("cannot tell that the daemon is ready")
	}
	if how == "crash-after-ready" {
		dieBy(unix.SIGSEGV)
	}
	var reply func(string, error)
	select {
	case <-ctx.Done():
	case reply = <-exit:
		reply("", nil)
	}
	_ = ctl.Close()
	return p.Finish(0)
}

// world is a run directory of its own and what was started in it.
type world struct {
	t   *testing.T
	dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t, t.TempDir()}
	t.Cleanup(func() {
		// A daemon in the background that a failed test has left.
		if pid := w.pid(); pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	})
	return w
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

func (w *world) pid() int {
	text, err := os.ReadFile(w.file("ovs-vswitchd.pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// command prepares the example daemon.
func (w *world) command(how string, args ...string) *exec.Cmd {
	w.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), exampleVariable+"="+how, "OVS_RUNDIR="+w.dir, "OVS_LOGDIR="+w.dir, "OVS_DBDIR="+w.dir,
		"OVS_SYSLOG_METHOD=null", "NOTIFY_SOCKET=")
	return cmd
}

// run runs the example daemon until its first process ends and its output is closed.
func (w *world) run(how string, args ...string) (out string, st syscall.WaitStatus) {
	w.t.Helper()
	cmd := w.command(how, args...)
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.t.Fatalf("%v: %v\n%s", cmd.Args, err, &buf)
	}
	return buf.String(), cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// appctl runs a stock ovs-appctl, which finds the daemon by its pidfile.
func (w *world) appctl(args ...string) (string, error) {
	cmd := exec.Command("ovs-appctl", append([]string{"--timeout=20"}, args...)...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+w.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// eventually waits until a condition that another process makes true.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not in 30 s", what)
		}
	}
}

// gone says whether a process has ended. Nobody reaps a daemon whose parent is gone if the first process of
// the machine does not; such a zombie has ended too, when its last thread has: that closes the files, with their locks.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return strings.HasPrefix(rest, "Z") && (err != nil || len(threads) <= 1)
}

func (w *world) log() string {
	text, _ := os.ReadFile(w.file("ovs-vswitchd.log"))
	return string(text)
}

func (w *world) left() []string {
	var names []string
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		args []string
		out  string
		code int
	}{
		{[]string{"-V"}, "ovs-vswitchd (Open vSwitch) 3.7.0\n", 0},
		{[]string{"--help"}, "ovs-vswitchd: Open vSwitch daemon with an eBPF datapath\nusage: ovs-vswitchd [OPTIONS] [DATABASE]\n", 0},
		{[]string{"--bogus"}, "ovs-vswitchd: unrecognized option '--bogus'\n", 1},
		{[]string{"a", "b"}, "ovs-vswitchd: at most one non-option argument accepted; use --help for usage\n", 1},
		{[]string{"-vfoo"}, "ovs-vswitchd: processing \"foo\": no destination, level, or module \"foo\"\n", 1},
		{[]string{"-vfoo", "--detach"}, "ovs-vswitchd: processing \"foo\": no destination, level, or module \"foo\"\n", 1},
		{[]string{"-vfoo", "--detach", "--monitor", "--pidfile"}, "ovs-vswitchd: processing \"foo\": no destination, level, or module \"foo\"\n", 1},
		{[]string{"--user=nosuchuser"}, "ovs-vswitchd: --user=nosuchuser: user nosuchuser not found, aborting.\n", 1},
		{[]string{"--user=:nosuchgroup"}, "ovs-vswitchd: --user=:nosuchgroup: group nosuchgroup not found, aborting.\n", 1},
		{[]string{"--dpdk"}, "ovs-vswitchd: Using --dpdk to configure DPDK is not supported.\n", 1},
		{[]string{"--syslog-method=zz"}, "ovs-vswitchd: unsupported syslog method 'zz'\n", 1},
		{[]string{"--pidfile=/nonexistent/x"}, "ovs-vswitchd: /nonexistent/x.tmp", 1},
		{[]string{"--unixctl=/nonexistent/x"}, "ovs-vswitchd: control socket: ", 1},
	} {
		out, st := w.run("serve", tc.args...)
		if st.ExitStatus() != tc.code || !strings.HasPrefix(out, tc.out) {
			t.Errorf("%q: %q, code %d; want %q, code %d", tc.args, out, st.ExitStatus(), tc.out, tc.code)
		}
	}
	if got := w.left(); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

// TestDetach is the life of a daemon that ovs-ctl starts: everything that scripts look at.
func TestDetach(t *testing.T) {
	w := newWorld(t)
	out, st := w.run("serve", "unix:"+w.file("db.sock"), "-vconsole:emer", "-vsyslog:err", "-vfile:info", "--mlockall", "--no-chdir",
		"--log-file", "--pidfile", "--detach")
	if out != "" || st.ExitStatus() != 0 {
		t.Fatalf("%q, code %d", out, st.ExitStatus())
	}
	pid := w.pid()
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err != nil || string(comm) != "ovs-vswitchd\n" {
		t.Errorf("comm %q, %v", comm, err)
	}
	if st, err := os.Stat(w.file("ovs-vswitchd.pid")); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("pidfile: %v %v", st, err)
	}
	if sid, err := unix.Getsid(pid); sid != pid {
		t.Errorf("session %d, %v", sid, err)
	}
	for fd := range 3 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); to != "/dev/null" {
			t.Errorf("descriptor %d is %s, %v", fd, to, err)
		}
	}
	if out, err := w.appctl("version"); err != nil || !strings.HasPrefix(out, "ovs-vswitchd (Open vSwitch) 3.7.0\n") {
		t.Errorf("%q, %v", out, err)
	}
	here, _ := os.Getwd()
	if out, err := w.appctl("where"); err != nil || out != here+"\n" {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := w.appctl("vlog/list"); err != nil || !strings.Contains(out, "\nexample            OFF        ERR       INFO\n") {
		t.Errorf("%q, %v", out, err)
	}
	// A second one is refused, in the foreground and in the background, and changes nothing.
	for _, more := range [][]string{nil, {"--detach"}, {"--detach", "--monitor"}} {
		out, st := w.run("serve", append(more, "--pidfile", "--no-chdir")...)
		if want := fmt.Sprintf("ovs-vswitchd: %s: already running as pid %d, aborting\n", w.file("ovs-vswitchd.pid"), pid); out != want || st.ExitStatus() != 1 {
			t.Errorf("%q, code %d; want %q", out, st.ExitStatus(), want)
		}
	}
	// Rotation.
	if err := os.Rename(w.file("ovs-vswitchd.log"), w.file("old.log")); err != nil {
		t.Fatal(err)
	}
	if out, err := w.appctl("vlog/reopen"); err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if l := w.log(); !strings.Contains(l, "|vlog|INFO|opened log file "+w.file("ovs-vswitchd.log")+"\n") {
		t.Error(l)
	}
	if out, err := w.appctl("exit"); err != nil || out != "" {
		t.Errorf("%q, %v", out, err)
	}
	w.eventually("the end", func() bool { return gone(pid) })
	if got := w.left(); !slices.Equal(got, []string{"old.log", "ovs-vswitchd.log"}) {
		t.Errorf("left behind: %q", got)
	}
}

func TestDetachChangesDirectory(t *testing.T) {
	w := newWorld(t)
	for _, more := range [][]string{{"--detach"}, {"--detach", "--monitor"}} {
		cmd := w.command("serve", append(more, "--pidfile", "--log-file=relative.log", "-vconsole:off")...)
		cmd.Dir = w.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q, %v", out, err)
		}
		if out, err := w.appctl("where"); err != nil || out != "/\n" {
			t.Errorf("%q, %v", out, err)
		}
		if _, err := os.Stat(w.file("relative.log")); err != nil {
			t.Error(err)
		}
		pid := w.pid()
		if out, err := w.appctl("exit"); err != nil {
			t.Errorf("%q, %v", out, err)
		}
		w.eventually("the end", func() bool { return gone(pid) })
	}
}

func TestSignals(t *testing.T) {
	for _, sig := range fatal {
		sig := sig.(syscall.Signal)
		t.Run(signalName(sig), func(t *testing.T) {
			w := newWorld(t)
			cmd := w.command("serve", "--pidfile", "--log-file", "-vconsole:off")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.eventually("the start", func() bool { return strings.Contains(w.log(), "|example|INFO|up") })
			_ = cmd.Process.Signal(unix.SIGPIPE) // ignored
			_ = cmd.Process.Signal(sig)
			_ = cmd.Wait()
			if st := cmd.ProcessState.Sys().(syscall.WaitStatus); !st.Signaled() || st.Signal() != sig {
				t.Errorf("ended with %v", cmd.ProcessState)
			}
			if want := fmt.Sprintf("|fatal_signal|WARN|terminating with signal %d (%s)\n", int(sig), signalName(sig)); !strings.Contains(w.log(), want) {
				t.Errorf("%q is not in\n%s", want, w.log())
			}
			if got := w.left(); !slices.Equal(got, []string{"ovs-vswitchd.log"}) {
				t.Errorf("left behind: %q", got)
			}
		})
	}
}

// TestKilled: what SIGKILL leaves behind is no obstacle for the next start.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	args := []string{"--pidfile", "--detach", "--no-chdir", "--unixctl=x.ctl", "-vconsole:off"}
	for range 2 {
		if out, st := w.run("serve", args...); st.ExitStatus() != 0 {
			t.Fatalf("%q, code %d", out, st.ExitStatus())
		}
		pid := w.pid()
		if out, err := w.appctl("-t", w.file("x.ctl"), "version"); err != nil {
			t.Errorf("%q, %v", out, err)
		}
		_ = unix.Kill(pid, unix.SIGKILL)
		w.eventually("the end", func() bool { return gone(pid) })
		if got := w.left(); !slices.Equal(got, []string{"ovs-vswitchd.pid", "x.ctl"}) {
			t.Errorf("left behind: %q", got)
		}
	}
}

// TestKilledWithDefaultSocket: the socket with the dead daemon's number in its name goes too.
func TestKilledWithDefaultSocket(t *testing.T) {
	w := newWorld(t)
	var pid int
	for range 2 {
		if out, st := w.run("serve", "--pidfile", "--detach", "--no-chdir", "-vconsole:off"); st.ExitStatus() != 0 {
			t.Fatalf("%q, code %d", out, st.ExitStatus())
		}
		pid = w.pid()
		_ = unix.Kill(pid, unix.SIGKILL)
		w.eventually("the end", func() bool { return gone(pid) })
	}
	if got := w.left(); !slices.Equal(got, []string{fmt.Sprintf("ovs-vswitchd.%d.ctl", pid), "ovs-vswitchd.pid"}) {
		t.Errorf("left behind: %q", got)
	}
}

// TestFatal: what a daemon in the background cannot do is told on the terminal and in the log.
func TestFatal(t *testing.T) {
	w := newWorld(t)
	out, st := w.run("serve", "--unixctl=/nonexistent/x", "--log-file", "--detach", "-vconsole:info", "--pidfile")
	if st.ExitStatus() != 1 || strings.Count(out, "control socket: ") != 1 || !strings.Contains(out, "\novs-vswitchd: control socket: ") {
		t.Errorf("%q, code %d", out, st.ExitStatus())
	}
	if !strings.Contains(w.log(), "|vswitchd|EMER|control socket: ") {
		t.Error(w.log())
	}
	if got := w.left(); !slices.Equal(got, []string{"ovs-vswitchd.log"}) {
		t.Errorf("left behind: %q", got)
	}
}

// TestOverwritePidfile: the later daemon owns the file, and the end of the earlier one does not remove it.
func TestOverwritePidfile(t *testing.T) {
	w := newWorld(t)
	start := func(more ...string) int {
		t.Helper()
		if out, st := w.run("serve", append(more, "--pidfile", "--detach", "-vconsole:off")...); st.ExitStatus() != 0 {
			t.Fatalf("%q, code %d", out, st.ExitStatus())
		}
		return w.pid()
	}
	first := start()
	second := start("--overwrite-pidfile")
	if first == second {
		t.Fatal("the pidfile was not overwritten")
	}
	_ = unix.Kill(first, unix.SIGTERM)
	w.eventually("the end", func() bool { return gone(first) })
	if w.pid() != second {
		t.Errorf("the pidfile has %d, want %d", w.pid(), second)
	}
	_ = unix.Kill(second, unix.SIGTERM)
	w.eventually("the end", func() bool { return gone(second) })
	if got := w.left(); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

// TestPidfileRace: of many that start at once, exactly one runs.
func TestPidfileRace(t *testing.T) {
	w := newWorld(t)
	const n = 6
	codes := make(chan int, n)
	for range n {
		cmd := w.command("serve", "--pidfile", "--detach", "--no-chdir", "-vconsole:off")
		go func() {
			_ = cmd.Run()
			codes <- cmd.ProcessState.ExitCode()
		}()
	}
	ok := 0
	for range n {
		if <-codes == 0 {
			ok++
		}
	}
	if ok != 1 {
		t.Errorf("%d run", ok)
	}
	if out, err := w.appctl("exit"); err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

// TestStartFails: the command that detaches tells of a daemon that ends before it is ready.
func TestStartFails(t *testing.T) {
	for _, tc := range []struct {
		how  string
		code int
		out  string
	}{
		{"die-early", 3, ""},
		{"end-early", 1, ""}, // an end before it was ready is a failure, whatever its code
		{"abort-early", 1, "ovs-vswitchd: fork child died before signaling startup (killed (Aborted)"},
	} {
		for _, more := range [][]string{{"--detach"}, {"--detach", "--monitor"}} {
			w := newWorld(t)
			out, st := w.run(tc.how, append(more, "--pidfile", "-vconsole:off")...)
			if st.ExitStatus() != tc.code || !strings.HasPrefix(out, tc.out) || tc.out == "" && out != "" {
				t.Errorf("%s %q: %q, code %d", tc.how, more, out, st.ExitStatus())
			}
		}
	}
}

func TestMonitor(t *testing.T) {
	w := newWorld(t)
	if out, st := w.run("serve", "--pidfile", "--detach", "--monitor", "--log-file", "-vconsole:off"); st.ExitStatus() != 0 || out != "" {
		t.Fatalf("%q, code %d", out, st.ExitStatus())
	}
	first := w.pid()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", first))
	if err != nil {
		t.Fatal(err)
	}
	supervisor, _ := strconv.Atoi(strings.Fields(string(stat))[3])
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", supervisor)); err != nil || string(comm) != "ovs-vswitchd\n" {
		t.Errorf("comm of the monitor: %q, %v", comm, err)
	}
	_, _ = w.appctl("crash")
	w.eventually("the restart", func() bool { return w.pid() != first && strings.Count(w.log(), "|example|INFO|up\n") == 2 })
	second := w.pid()
	for _, want := range []string{
		"panic: crash was asked for", // the runtime's last words are in the log
		fmt.Sprintf("|daemon_unix|WARN|1 crashes: pid %d died, killed (Aborted)", first),
		"waiting until 10 seconds since last restart\n",
		fmt.Sprintf("|daemon_unix|ERR|1 crashes: pid %d died, killed (Aborted)", first),
	} {
		if !strings.Contains(w.log(), want) {
			t.Errorf("%q is not in\n%s", want, w.log())
		}
	}
	if out, err := w.appctl("version"); err != nil {
		t.Errorf("%q, %v", out, err)
	}
	_ = unix.Kill(second, unix.SIGTERM)
	w.eventually("the end", func() bool { return gone(second) && gone(supervisor) })
	if want := fmt.Sprintf("|daemon_unix|INFO|pid %d died, killed (Terminated), exiting\n", second); !strings.Contains(w.log(), want) {
		t.Errorf("%q is not in\n%s", want, w.log())
	}
	// A signal to the monitor ends both.
	if out, st := w.run("serve", "--pidfile", "--detach", "--monitor", "-vconsole:off"); st.ExitStatus() != 0 {
		t.Fatalf("%q, code %d", out, st.ExitStatus())
	}
	worker := w.pid()
	stat, err = os.ReadFile(fmt.Sprintf("/proc/%d/stat", worker))
	if err != nil {
		t.Fatal(err)
	}
	supervisor, _ = strconv.Atoi(strings.Fields(string(stat))[3])
	_ = unix.Kill(supervisor, unix.SIGTERM)
	w.eventually("the end", func() bool { return gone(worker) && gone(supervisor) })
}

func TestRestartDelay(t *testing.T) {
	began := time.Unix(1000, 0)
	for after, want := range map[time.Duration]time.Duration{
		0: 10 * time.Second, 3 * time.Second: 7 * time.Second, 10 * time.Second: 0, time.Hour: 0,
	} {
		if got := restartDelay(began, began.Add(after)); got != want {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
}

// TestUser: the daemon becomes another user and keeps what it needs, on every thread.
func TestUser(t *testing.T) {
	w := newWorld(t)
	// nobody must reach the files of the test, which go test keeps under directories of root.
	open, err := os.MkdirTemp("/tmp", "ovs-bpf-user")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(open)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(exe)
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(open, "daemon"), binary, 0o755), os.Chmod(open, 0o755))
	}
	w.dir = filepath.Join(open, "run")
	if err = errors.Join(err, os.Mkdir(w.dir, 0o755), os.Chown(w.dir, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(open, "log") // of root
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := w.command("serve", "--user=nobody:daemon", "--pidfile", "--detach", "--log-file="+filepath.Join(logs, "x.log"), "-vconsole:off", "--mlockall")
	cmd.Path, cmd.Args[0] = filepath.Join(open, "daemon"), filepath.Join(open, "daemon")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	pid := w.pid()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	var want uint64
	for _, c := range neededCaps(&Options{Mlockall: true}) {
		want |= 1 << c
	}
	for _, name := range tasks {
		status, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has ended
		}
		for line := range strings.SplitSeq(string(status), "\n") {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			switch f[0] {
			case "Uid:":
				if f[1] != "65534" || f[2] != "65534" || f[3] != "65534" {
					t.Errorf("%s: %s", name, line)
				}
			case "Gid:":
				if f[1] != "1" || f[2] != "1" {
					t.Errorf("%s: %s", name, line)
				}
			case "CapEff:":
				have, err := strconv.ParseUint(f[1], 16, 64)
				if err != nil || have&^want != 0 || have&(1<<unix.CAP_NET_ADMIN) == 0 {
					t.Errorf("%s: %s, want %x", name, line, want)
				}
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(logs, "x.log")); err != nil || !bytes.Contains(text, []byte("|example|INFO|up\n")) {
		t.Errorf("log: %q, %v", text, err)
	}
	_ = unix.Kill(pid, unix.SIGTERM)
	w.eventually("the end", func() bool { return gone(pid) })
}

func TestSystemd(t *testing.T) {
	w := newWorld(t)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.file("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	cmd := w.command("serve", "-vconsole:off")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+w.file("notify"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		_ = manager.SetReadDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 1000)
		n, err := manager.Read(b)
		if got := string(b[:n]); err != nil || got != fmt.Sprintf("%s\nMAINPID=%d", want, cmd.Process.Pid) {
			t.Errorf("got %q, %v", got, err)
		}
		_ = cmd.Process.Signal(unix.SIGTERM)
	}
	_ = cmd.Wait()
}

// TestRoleVariable: a value that the daemon has not set itself is refused.
func TestRoleVariable(t *testing.T) {
	w := newWorld(t)
	for _, v := range []string{"detached", "worker", "x"} {
		cmd := w.command("serve")
		cmd.Env = append(cmd.Env, roleVariable+"="+v)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is for the daemon's own use") {
			t.Errorf("%s: %q, %v", v, out, err)
		}
	}
}

func TestHeldBy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pid")
	if pid, err := heldBy(path); pid != 0 || err != nil {
		t.Errorf("no file: %d, %v", pid, err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if pid, err := heldBy(path); pid != 0 || err != nil {
		t.Errorf("file without a lock: %d, %v", pid, err)
	}
	p, err := claimPidfile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.file.Close()
	if text, err := os.ReadFile(path); err != nil || string(text) != fmt.Sprintf("%d\n", os.Getpid()) {
		t.Errorf("%q, %v", text, err)
	}
	// Somebody else's file in its place stays.
	if err := errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	p.remove()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
