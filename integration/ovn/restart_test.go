package ovn

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Every daemon of OVN can be restarted under traffic without a lost packet, and what changes afterwards is done.
func TestRestarts(t *testing.T) {
	r := newRouted(t)
	defer r.logs()
	c := r.first
	r.reach("before restarts", r.h1.Host, r.h2.ip4)
	resolved(r)
	for n, x := range []struct {
		what string
		do   func()
	}{
		{"ovn-controller", func() { c.stopController(); c.startController() }},
		{"ovn-controller that is killed", func() { r.kill("ovn-controller.pid"); c.controller(); c.startController() }},
		{"northd", func() { c.Run("ovn-appctl", "-t", filepath.Join(r.dir, "northd.ctl"), "exit"); r.northd() }},
		{"the database of the switch", func() { r.killDatabase() }},
	} {
		t.Log(x.what)
		mac := fmt.Sprintf("02:00:00:02:01:%02x", n)
		stop4 := r.h1.Background("ping", "-n", "-i", "0.01", r.h2.ip4)
		stop6 := r.h1.Background("ping", "-n", "-i", "0.01", r.h2.ip6)
		r.h1.Ping(r.h2.ip4, 56, 10)
		x.do()
		r.Sync()
		// A port and its flows come after a restart as before.
		port := fmt.Sprint("new", n)
		r.NB("lsp-add", "ls2", port, "--", "lsp-set-addresses", port, fmt.Sprintf("%s 10.2.0.%d", mac, 150+n))
		h := c.vm(port, mac, fmt.Sprintf("10.2.0.%d/24", 150+n), "10.2.0.1", "", "")
		c.installed(h.Host)
		r.Sync()
		r.reach("a port made after a restart of "+x.what, h.Host, r.h1.ip4)
		for _, out := range []string{stop4(), stop6()} {
			if lost := missing(out); len(lost) > 0 {
				t.Errorf("restart of %s: the answers to pings %v are lost:\n%s", x.what, lost, out[max(0, len(out)-300):])
			}
		}
	}
}

// missing are the numbers of the pings that were not answered; the last may still be under way.
func missing(out string) (lost []int) {
	next := 1
	for line := range strings.Lines(out) {
		_, seq, ok := strings.Cut(line, "icmp_seq=")
		if !ok {
			continue
		}
		seq, _, _ = strings.Cut(seq, " ")
		n, err := strconv.Atoi(seq)
		if err != nil {
			continue
		}
		for ; next < n; next++ {
			lost = append(lost, next)
		}
		next = n + 1
	}
	return lost
}

// kill kills a daemon by its file in the directory of the first chassis.
func (w *network) kill(pidfile string) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.first.Dir, pidfile))
	if err != nil {
		w.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
}

// killDatabase kills the ovsdb-server that the agent of the first chassis runs, which starts another.
func (w *network) killDatabase() {
	w.t.Helper()
	old := w.database()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	w.first.Eventually("another database", func() error {
		if pid := w.database(); pid == 0 || pid == old {
			return fmt.Errorf("process %d, was %d", pid, old)
		}
		out, code := w.first.Try("ovs-vsctl", "--timeout=5", "show")
		if code != 0 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// database is the process of the database of the first chassis: a child of its agent; 0: there is none.
func (w *network) database() int {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.first.PID()))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, task := range tasks {
		b, _ := os.ReadFile(task) // a thread may have ended
		for _, child := range strings.Fields(string(b)) {
			comm, _ := os.ReadFile("/proc/" + child + "/comm")
			if strings.TrimSpace(string(comm)) == "ovsdb-server" {
				pid, _ := strconv.Atoi(child)
				return pid
			}
		}
	}
	return 0
}
