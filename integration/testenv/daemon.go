package testenv

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// commandTimeout bounds every command that a test runs.
const commandTimeout = 60 * time.Second

// build compiles the daemon once per test process.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ovs-bpf-bin-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // for a daemon without root
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "github.com/ovs-bpf/ovs-bpf/cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// Bin is the directory of the built binaries: $OVS_BPF_BIN, which has them already, or one of our own.
func Bin(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("OVS_BPF_BIN"); dir != "" {
		return dir
	}
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// CleanupBin removes what Bin built; for TestMain.
func CleanupBin() {
	if os.Getenv("OVS_BPF_BIN") != "" {
		return // not ours
	}
	if dir, err := build(); err == nil {
		os.RemoveAll(dir)
	}
}

// Daemon is one ovs-bpfd with its own run directory, and the stock OVS tools pointed at it.
type Daemon struct {
	t    testing.TB
	ID   string // unique prefix of every name
	NS   string // namespace of the switch; "" is our own
	Dir  string // OVS_RUNDIR, OVS_LOGDIR, OVS_DBDIR
	Args []string
	// Database is the remote of a database of its own (ExternalDatabase); "": the agent serves the embedded one.
	Database string
	// Program is the agent's binary; "": the one that is built for the tests.
	Program string
	// IsStock tells that it is the stock ovs-vswitchd, to compare with.
	IsStock bool
	user    *syscall.Credential // nil: as we are
	agent   *exec.Cmd
	exited  chan error
}

// newDaemon makes a Daemon that is not started yet.
func newDaemon(t testing.TB, args []string) *Daemon {
	t.Helper()
	var b [3]byte
	rand.Read(b[:])
	id := "t" + hex.EncodeToString(b[:])
	dir, err := os.MkdirTemp("", "ovs-bpf-"+id+"-")
	if err != nil {
		t.Fatal(err)
	}
	return &Daemon{t: t, ID: id, Dir: dir, Args: args}
}

// endWithTest has the daemon end, before what the test made earlier is removed.
func (d *Daemon) endWithTest() {
	d.t.Cleanup(func() {
		if d.t.Failed() {
			d.dump()
		}
		d.Stop()
		syscall.Unmount(filepath.Join(d.Dir, "bpffs"), syscall.MNT_DETACH)
		os.RemoveAll(d.Dir)
	})
}

// nobody is the user and group that owns nothing.
const nobody = 65534

// Simulated starts a daemon with simulated devices (--enable-dummy and more args), without root even if we have it.
func Simulated(t testing.TB, args ...string) *Daemon {
	t.Helper()
	d := newDaemon(t, append([]string{"--enable-dummy"}, args...))
	d.endWithTest()
	if os.Geteuid() == 0 {
		d.user = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(d.Dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	d.Start()
	return d
}

// Stock starts the stock ovs-vswitchd and ovsdb-server in simulated mode: what a Simulated daemon is compared with.
func Stock(t testing.TB) *Daemon {
	t.Helper()
	d := newDaemon(t, nil)
	d.IsStock = true
	d.endWithTest()
	d.ExternalDatabase()
	d.launch("ovs-vswitchd", []string{"--enable-dummy", "--disable-system", "--disable-system-route", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off"})
	return d
}

// Start starts the agent and waits until it has made its first configuration.
func (d *Daemon) Start() {
	d.t.Helper()
	db := []string{"--db", "embedded:" + filepath.Join(d.Dir, "conf.db")}
	if d.Database != "" {
		db = []string{d.Database}
	}
	d.launch(cmp.Or(d.Program, filepath.Join(Bin(d.t), "ovs-bpfd")),
		slices.Concat(db, []string{"--pidfile", "--log-file", "-vconsole:off"}, d.Args))
}

// ExternalDatabase starts an ovsdb-server that lives beside the agent, as ovs-ctl does, and has the agent use it. Without a
// schema file it has the stock one.
func (d *Daemon) ExternalDatabase(schema ...string) {
	d.t.Helper()
	db := filepath.Join(d.Dir, "conf.db")
	d.Run("ovsdb-tool", append([]string{"create", db}, schema...)...)
	d.Database = "unix:" + filepath.Join(d.Dir, "db.sock")
	d.Background("", "ovsdb-server", "--remote=p"+d.Database, db)
	d.Eventually("ovsdb-server answers", func() error {
		_, err := d.try("ovs-vsctl", "--timeout=5", "--no-wait", "init")
		return err
	})
}

// launch starts the agent or what stands in its place.
func (d *Daemon) launch(program string, args []string) {
	d.t.Helper()
	name, args := in(d.NS, program, args)
	cmd := exec.Command(name, args...)
	cmd.Env = d.env()
	cmd.Dir = d.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.user}
	out, err := os.OpenFile(filepath.Join(d.Dir, "agent.out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.agent, d.exited = cmd, make(chan error, 1)
	exited := d.exited
	go func() { exited <- cmd.Wait() }()
	d.Eventually("the agent answers", func() error {
		select {
		case err := <-exited:
			exited <- err
			d.t.Fatalf("%s ended: %v\n%s", program, err, d.read("agent.out"))
		default:
		}
		if _, err := d.try("ovs-appctl", "ofproto/list"); err != nil { // the last to come
			return err
		}
		_, err := d.try("ovs-vsctl", "--timeout=5", "--no-wait", "show")
		return err
	})
}

// in is a command as one that runs in a namespace; "" is our own.
func in(ns, name string, args []string) (string, []string) {
	if ns == "" {
		return name, args
	}
	return "nsenter", append([]string{"--net=/run/netns/" + ns, name}, args...)
}

func (d *Daemon) env() []string {
	return append(os.Environ(), "OVS_RUNDIR="+d.Dir, "OVS_LOGDIR="+d.Dir, "OVS_DBDIR="+d.Dir, "OVS_SYSCONFDIR="+d.Dir,
		"OVN_RUNDIR="+d.Dir, "OVN_LOGDIR="+d.Dir, "OVN_DBDIR="+d.Dir, "OVN_SYSCONFDIR="+d.Dir)
}

// PID is the agent's process id.
func (d *Daemon) PID() int { return d.agent.Process.Pid }

// Signal sends a signal to the agent and waits for its end.
func (d *Daemon) Signal(sig syscall.Signal) error {
	d.t.Helper()
	if err := d.agent.Process.Signal(sig); err != nil {
		return err
	}
	return d.Wait()
}

// Wait waits for the agent's end.
func (d *Daemon) Wait() error {
	d.t.Helper()
	select {
	case err := <-d.exited:
		d.agent = nil
		return err
	case <-time.After(commandTimeout):
		d.t.Fatal("the agent does not end")
		return nil
	}
}

// Stop ends the agent, with everything that it made.
func (d *Daemon) Stop() {
	if d.agent == nil {
		return
	}
	d.try("ovs-appctl", "exit", "--cleanup")
	select {
	case <-d.exited:
	case <-time.After(10 * time.Second):
		d.agent.Process.Kill()
		<-d.exited
	}
	d.agent = nil
}

// Kill ends the agent with SIGKILL.
func (d *Daemon) Kill() {
	d.t.Helper()
	d.agent.Process.Kill()
	<-d.exited
	d.agent = nil
}

func (d *Daemon) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if strings.HasPrefix(name, "ovs-") {
		name, args = in(d.NS, d.tool(name), args)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = d.env()
	return cmd
}

func (d *Daemon) tool(name string) string {
	if name == "ovs-bpfctl" {
		return filepath.Join(Bin(d.t), name)
	}
	return name
}

func (d *Daemon) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := d.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// Run runs a command that must succeed (ovs-* in the switch's namespace with its directories) and
// returns what it printed.
func (d *Daemon) Run(name string, args ...string) string {
	d.t.Helper()
	out, err := d.try(name, args...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// Try runs a command that may fail and returns its output (stdout and stderr) and exit code.
func (d *Daemon) Try(name string, args ...string) (string, int) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	both, err := d.command(ctx, name, args...).CombinedOutput()
	out := string(both)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out, 0
	case errors.As(err, &exit):
		return out, exit.ExitCode()
	default:
		d.t.Fatal(err)
		return "", -1
	}
}

// Background starts a command in a namespace ("": our own) and ends it with the test; the returned function ends it
// earlier and returns its output.
func (d *Daemon) Background(ns, name string, args ...string) func() string {
	d.t.Helper()
	var out bytes.Buffer
	name, args = in(ns, name, args)
	cmd := exec.Command(name, args...)
	cmd.Env = d.env()
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	stop := sync.OnceValue(func() string {
		cmd.Process.Signal(syscall.SIGINT)
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-done
		}
		return out.String()
	})
	d.t.Cleanup(func() { stop() })
	return stop
}

// Vsctl, Ofctl and Appctl run the stock tools; they must succeed.
func (d *Daemon) Vsctl(args ...string) string {
	d.t.Helper()
	return strings.TrimSpace(d.Run("ovs-vsctl", append([]string{"--timeout=20"}, args...)...))
}

// Ofctl runs ovs-ofctl.
func (d *Daemon) Ofctl(args ...string) string { d.t.Helper(); return d.Run("ovs-ofctl", args...) }

// Appctl runs ovs-appctl.
func (d *Daemon) Appctl(args ...string) string { d.t.Helper(); return d.Run("ovs-appctl", args...) }

// patience bounds a wait: guests that are emulated on a busy machine are slow.
const patience = 90 * time.Second

// Eventually waits until f returns nil, as long as patience lasts.
func (d *Daemon) Eventually(what string, f func() error) {
	d.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (d *Daemon) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(d.Dir, name))
	if len(b) > 20000 {
		b = b[len(b)-20000:]
	}
	return string(b)
}

// dump logs what helps to understand a failure.
func (d *Daemon) dump() {
	d.t.Logf("--- agent.out\n%s", d.read("agent.out"))
	d.t.Logf("--- ovs-vswitchd.log\n%s", d.read("ovs-vswitchd.log"))
	if d.agent == nil {
		return
	}
	for _, c := range [][]string{{"ovs-vsctl", "--timeout=5", "show"}, {"ovs-appctl", "-T5", "dpif/show"}, {"ovs-appctl", "-T5", "dpctl/show", "-s"},
		{"ovs-appctl", "-T5", "dpctl/dump-flows", "-m", "--names"}, {"ovs-bpfctl", "drops"}} {
		out, _ := d.try(c[0], c[1:]...)
		d.t.Logf("--- %s\n%s", strings.Join(c, " "), out)
	}
}
