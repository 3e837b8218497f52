// Package testenv makes the surroundings of an integration test: network namespaces with hosts
// in them, one ovs-bpfd with its own run directory, and the stock OVS tools pointed at it. All names are
// unique, so that tests run in parallel with others; everything is removed at the end.
package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	out, err := exec.Command("go", "build", "-o", dir, "github.com/ovs-bpf/ovs-bpf/cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// Bin is the directory of the built binaries.
func Bin(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// CleanupBin removes what Bin built; for TestMain.
func CleanupBin() {
	if dir, err := build(); err == nil {
		os.RemoveAll(dir)
	}
}

// Env is one switch in a network namespace of its own.
type Env struct {
	t      testing.TB
	ID     string // unique prefix of every name
	NS     string // namespace of the switch
	Dir    string // OVS_RUNDIR, OVS_LOGDIR, OVS_DBDIR
	Args   []string
	agent  *exec.Cmd
	exited chan error
	hosts  int
}

// New makes an Env and starts the agent with the embedded database.
func New(t testing.TB, args ...string) *Env {
	t.Helper()
	e := Prepare(t, args...)
	e.Start()
	return e
}

// Prepare makes an Env without starting the agent.
func Prepare(t testing.TB, args ...string) *Env {
	t.Helper()
	var b [3]byte
	rand.Read(b[:])
	id := "t" + hex.EncodeToString(b[:])
	dir, err := os.MkdirTemp("", "ovs-bpf-"+id+"-")
	if err != nil {
		t.Fatal(err)
	}
	e := &Env{t: t, ID: id, NS: id + "-sw", Dir: dir, Args: args}
	e.addNS(e.NS)
	t.Cleanup(func() {
		if t.Failed() {
			e.dump()
		}
		e.Stop()
		syscall.Unmount(filepath.Join(dir, "bpffs"), syscall.MNT_DETACH)
		os.RemoveAll(dir)
	})
	return e
}

func (e *Env) addNS(ns string) {
	e.t.Helper()
	e.Run("ip", "netns", "add", ns)
	e.t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	e.In(ns, "ip", "link", "set", "lo", "up")
}

// Start starts the agent and waits until it has made its first configuration.
func (e *Env) Start() {
	e.t.Helper()
	args := append([]string{"--net=/run/netns/" + e.NS, filepath.Join(Bin(e.t), "ovs-bpfd"),
		"--db", "embedded:" + filepath.Join(e.Dir, "conf.db"), "--pidfile", "--log-file", "-vconsole:off"}, e.Args...)
	cmd := exec.Command("nsenter", args...)
	cmd.Env = e.env()
	out, err := os.OpenFile(filepath.Join(e.Dir, "agent.out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.agent, e.exited = cmd, make(chan error, 1)
	exited := e.exited
	go func() { exited <- cmd.Wait() }()
	e.Eventually("the agent answers", func() error {
		select {
		case err := <-exited:
			exited <- err
			e.t.Fatalf("ovs-bpfd ended: %v\n%s", err, e.read("agent.out"))
		default:
		}
		if _, err := e.try("ovs-appctl", "version"); err != nil {
			return err
		}
		_, err := e.try("ovs-vsctl", "--timeout=5", "--no-wait", "show")
		return err
	})
}

func (e *Env) env() []string {
	return append(os.Environ(), "OVS_RUNDIR="+e.Dir, "OVS_LOGDIR="+e.Dir, "OVS_DBDIR="+e.Dir, "OVS_SYSCONFDIR="+e.Dir)
}

// PID is the agent's process id.
func (e *Env) PID() int { return e.agent.Process.Pid }

// Signal sends a signal to the agent and waits for its end.
func (e *Env) Signal(sig syscall.Signal) error {
	e.t.Helper()
	if err := e.agent.Process.Signal(sig); err != nil {
		return err
	}
	return e.Wait()
}

// Wait waits for the agent's end.
func (e *Env) Wait() error {
	e.t.Helper()
	select {
	case err := <-e.exited:
		e.agent = nil
		return err
	case <-time.After(commandTimeout):
		e.t.Fatal("the agent does not end")
		return nil
	}
}

// Stop ends the agent, with everything that it made.
func (e *Env) Stop() {
	if e.agent == nil {
		return
	}
	e.try("ovs-appctl", "exit", "--cleanup")
	select {
	case <-e.exited:
	case <-time.After(10 * time.Second):
		e.agent.Process.Kill()
		<-e.exited
	}
	e.agent = nil
}

// Kill ends the agent with SIGKILL.
func (e *Env) Kill() {
	e.t.Helper()
	e.agent.Process.Kill()
	<-e.exited
	e.agent = nil
}

func (e *Env) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if strings.HasPrefix(name, "ovs-") {
		args = append([]string{"--net=/run/netns/" + e.NS, e.tool(name)}, args...)
		name = "nsenter"
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = e.env()
	return cmd
}

func (e *Env) tool(name string) string {
	if name == "ovs-bpfctl" {
		return filepath.Join(Bin(e.t), name)
	}
	return name
}

func (e *Env) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := e.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String() + stderr.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// Run runs a command that must succeed (ovs-* in the switch's namespace with its directories) and
// returns what it printed.
func (e *Env) Run(name string, args ...string) string {
	e.t.Helper()
	out, err := e.try(name, args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// Try runs a command that may fail and returns its output (stdout and stderr) and exit code.
func (e *Env) Try(name string, args ...string) (string, int) {
	e.t.Helper()
	out, err := e.try(name, args...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out, 0
	case errors.As(err, &exit):
		return out, exit.ExitCode()
	default:
		e.t.Fatal(err)
		return "", -1
	}
}

// In runs a command that must succeed in a namespace.
func (e *Env) In(ns, name string, args ...string) string {
	e.t.Helper()
	return e.Run("nsenter", append([]string{"--net=/run/netns/" + ns, name}, args...)...)
}

// Background starts a command in a namespace and ends it with the test; the returned function ends it
// earlier and returns its output.
func (e *Env) Background(ns, name string, args ...string) func() string {
	e.t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + ns, name}, args...)...)
	cmd.Env = e.env()
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		e.t.Fatal(err)
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
	e.t.Cleanup(func() { stop() })
	return stop
}

// Vsctl, Ofctl and Appctl run the stock tools; they must succeed.
func (e *Env) Vsctl(args ...string) string {
	e.t.Helper()
	return strings.TrimSpace(e.Run("ovs-vsctl", append([]string{"--timeout=20"}, args...)...))
}

// Ofctl runs ovs-ofctl.
func (e *Env) Ofctl(args ...string) string { e.t.Helper(); return e.Run("ovs-ofctl", args...) }

// Appctl runs ovs-appctl.
func (e *Env) Appctl(args ...string) string { e.t.Helper(); return e.Run("ovs-appctl", args...) }

// Eventually waits until f returns nil, at most 30 s.
func (e *Env) Eventually(what string, f func() error) {
	e.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			e.t.Fatalf("%s: not within 30 s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Host is a namespace with one interface eth0 whose peer is a port of the switch's namespace.
type Host struct {
	Env  *Env
	NS   string
	Port string // device in the switch's namespace
}

// AddHost makes a host; addrs are added to eth0. The port is not added to any bridge.
func (e *Env) AddHost(addrs ...string) *Host {
	e.t.Helper()
	e.hosts++
	h := &Host{Env: e, NS: fmt.Sprintf("%s-h%d", e.ID, e.hosts), Port: "p" + strconv.Itoa(e.hosts)}
	e.addNS(h.NS)
	e.Run("ip", "link", "add", h.Port, "netns", e.NS, "type", "veth", "peer", "name", "eth0", "netns", h.NS)
	e.In(e.NS, "ip", "link", "set", h.Port, "up")
	h.Run("ip", "link", "set", "eth0", "up")
	for _, a := range addrs {
		h.Run("ip", "addr", "add", a, "dev", "eth0", "nodad")
	}
	return h
}

// Run runs a command on the host.
func (h *Host) Run(name string, args ...string) string {
	h.Env.t.Helper()
	return h.Env.In(h.NS, name, args...)
}

// Background starts a command on the host.
func (h *Host) Background(name string, args ...string) func() string {
	h.Env.t.Helper()
	return h.Env.Background(h.NS, name, args...)
}

// MAC is the address of eth0.
func (h *Host) MAC() string {
	h.Env.t.Helper()
	return strings.TrimSpace(h.Run("cat", "/sys/class/net/eth0/address"))
}

// Ping sends n packets of size bytes (payload) and wants every answer.
func (h *Host) Ping(dst string, size, n int) {
	h.Env.t.Helper()
	out := h.Run("ping", "-n", "-c", strconv.Itoa(n), "-i", "0.05", "-W", "3", "-s", strconv.Itoa(size), dst)
	if !strings.Contains(out, " 0% packet loss") {
		h.Env.t.Fatalf("ping %s: %s", dst, out)
	}
}

// Reach waits until the first ping is answered.
func (h *Host) Reach(dst string) {
	h.Env.t.Helper()
	h.Env.Eventually("ping "+dst, func() error {
		_, err := h.Env.try("nsenter", "--net=/run/netns/"+h.NS, "ping", "-n", "-c", "1", "-W", "1", dst)
		return err
	})
}

// NoReach wants that no ping is answered.
func (h *Host) NoReach(dst string) {
	h.Env.t.Helper()
	if out, code := h.Env.Try("nsenter", "--net=/run/netns/"+h.NS, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", dst); code == 0 {
		h.Env.t.Fatalf("ping %s was answered: %s", dst, out)
	}
}

func (e *Env) read(name string) string {
	b, _ := os.ReadFile(filepath.Join(e.Dir, name))
	if len(b) > 20000 {
		b = b[len(b)-20000:]
	}
	return string(b)
}

// dump logs what helps to understand a failure.
func (e *Env) dump() {
	e.t.Logf("--- agent.out\n%s", e.read("agent.out"))
	e.t.Logf("--- ovs-vswitchd.log\n%s", e.read("ovs-vswitchd.log"))
	if e.agent == nil {
		return
	}
	for _, c := range [][]string{{"ovs-vsctl", "--timeout=5", "show"}, {"ovs-appctl", "-T5", "dpif/show"}, {"ovs-appctl", "-T5", "dpctl/show", "-s"},
		{"ovs-appctl", "-T5", "dpctl/dump-flows", "-m", "--names"}, {"ovs-bpfctl", "drops"}} {
		out, _ := e.try(c[0], c[1:]...)
		e.t.Logf("--- %s\n%s", strings.Join(c, " "), out)
	}
}
