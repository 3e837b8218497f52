// Package demo has the demos, which are scripts, and their test.
package demo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/integration/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.CleanupBin()
	os.Exit(code)
}

// patience is how long a demo may take on a busy machine.
const patience = 5 * time.Minute

// demo is a run of a script.
type demo struct {
	*exec.Cmd
	t   *testing.T
	tmp string
	log string // file of all that it prints
}

// start starts a script as a terminal does: in a process group of its own, and not deaf to Ctrl-C.
func start(t *testing.T, script string) *demo {
	t.Helper()
	d := &demo{t: t, tmp: t.TempDir()}
	d.log = filepath.Join(t.TempDir(), "out")
	out, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	d.Cmd = exec.Command("env", "--default-signal=INT", "./"+script)
	d.Env = append(os.Environ(), "TMPDIR="+d.tmp, "OVS_BPF_BIN="+testenv.Bin(t))
	d.Stdout, d.Stderr = out, out
	d.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *demo) output() string {
	d.t.Helper()
	b, err := os.ReadFile(d.log)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// end waits for the script's end, and wants that code and nothing left behind.
func (d *demo) end(code int) {
	d.t.Helper()
	late := time.AfterFunc(patience, func() { syscall.Kill(-d.Process.Pid, syscall.SIGTERM) })
	defer late.Stop()
	var exit *exec.ExitError
	if err := d.Wait(); err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	if got := d.ProcessState.ExitCode(); got != code {
		d.t.Errorf("exit code %d, want %d", got, code)
	}
	for _, pattern := range []string{
		fmt.Sprintf("/run/netns/demo%d-*", d.Process.Pid),
		d.tmp + "/*",
		"/sys/fs/bpf/ovs-bpf/*" + strings.ReplaceAll(filepath.Base(filepath.Dir(d.tmp)), ".", "_") + "*",
	} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			d.t.Errorf("left behind: %v", left)
		}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if line, _ := os.ReadFile(file); bytes.Contains(line, []byte(d.tmp)) {
			d.t.Errorf("still running: %s", bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	if d.t.Failed() {
		d.t.Log(d.output())
	}
}

// The OVN demo shows what it promises, and leaves nothing.
func TestOVN(t *testing.T) {
	d := start(t, "ovn.sh")
	d.end(0)
	out := d.output()
	for what, n := range map[string]int{
		" 0% packet loss":   3,
		" 100% packet loss": 1,
		"\nround ":          2,
		"Megaflow: ":        1,
	} {
		if got := strings.Count(out, what); got != n {
			t.Errorf("%q is there %d times, want %d", what, got, n)
		}
	}
	for _, want := range []string{
		`output("app")`, "-> output to native tunnel", "Datapath actions: set(", "geneve({class=0x102", // the way
		"+est", "actions:p-app", // megaflows
		"p-web2  drop_action_of_pipeline", `outport == "db"`, "/* drop */", // the ACL
		"ovn-hv2-0", "Done; cleaning up.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// Ctrl-C in the middle leaves nothing either.
func TestInterrupt(t *testing.T) {
	d := start(t, "ovn.sh")
	for deadline := time.Now().Add(patience); !strings.Contains(d.output(), "== Two logical switches"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			break // end tells what it printed
		}
	}
	if err := syscall.Kill(-d.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	d.end(130)
	if strings.Contains(d.output(), "demo failed") {
		t.Errorf("an interrupted demo calls itself failed:\n%s", d.output())
	}
}
