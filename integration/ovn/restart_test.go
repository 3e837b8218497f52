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
func TestRestarts(t *testing.T) { onOneAndTwo(t, restarts) }

func restarts(w *network) {
	t, r := w.t, newRouted(w)
	w.restarts = true
	each := func(do func(c *chassis)) func() {
		return func() {
			for _, c := range w.chassis {
				do(c)
			}
		}
	}
	w.NB("acl-add", "ls1", "to-lport", "1000", "tcp || icmp", "allow-related", "--", "acl-add", "ls2", "to-lport", "1000", "tcp || icmp", "allow-related")
	w.Sync()
	r.reach("before restarts", r.h1.Host, r.h2.ip4)
	resolved(r)
	for n, x := range []struct {
		what string
		do   func()
	}{
		{"ovn-controller", each(func(c *chassis) { c.stopController(); c.startController() })},
		{"ovn-controller that is killed", each(func(c *chassis) { c.kill("ovn-controller.pid"); c.controller(); c.startController() })},
		{"northd", func() { w.first.Run("ovn-appctl", "-t", filepath.Join(r.dir, "northd.ctl"), "exit"); r.northd() }},
		{"the database of the switch", each((*chassis).killDatabase)},
		{"the agent that is killed", each(func(c *chassis) { c.Kill(); c.Start() })},
	} {
		t.Log(x.what)
		mac := fmt.Sprintf("02:00:00:02:01:%02x", n)
		stop4 := r.h1.Background("ping", "-n", "-i", "0.01", r.h2.ip4)
		stop6 := r.h1.Background("ping", "-n", "-i", "0.01", r.h2.ip6)
		stopTCP := r.converse(r.h1, r.h2)
		r.h1.Ping(r.h2.ip4, 56, 10)
		x.do()
		r.Sync()
		// A port and its flows come after a restart as before.
		port := fmt.Sprint("new", n)
		r.NB("lsp-add", "ls2", port, "--", "lsp-set-addresses", port, fmt.Sprintf("%s 10.2.0.%d", mac, 150+n))
		h := w.vm(port, mac, fmt.Sprintf("10.2.0.%d/24", 150+n), "10.2.0.1", "", "")
		w.installed(h)
		r.reach("a port made after a restart of "+x.what, h.Host, r.h1.ip4)
		stopTCP()
		for _, out := range []string{stop4(), stop6()} {
			if lost := missing(out); len(lost) > 0 {
				t.Errorf("restart of %s: the answers to pings %v are lost:\n%s\n%s", x.what, lost, out[:min(500, len(out))], out[max(0, len(out)-300):])
			}
		}
	}
}

// missing are the numbers of the pings that were not answered; those of the end may still be under way. The first packets of a
// connection may pass each other: some go up, others find the megaflow already.
func missing(out string) (lost []int) {
	answered := map[int]bool{}
	last := 0
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
		answered[n] = true
		last = max(last, n)
	}
	for n := 1; n < last; n++ {
		if !answered[n] {
			lost = append(lost, n)
		}
	}
	return lost
}

// kill kills a daemon by its file in the directory of the chassis.
func (c *chassis) kill(pidfile string) {
	w := c.w
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Dir, pidfile))
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

// killDatabase kills the ovsdb-server that the agent of the chassis runs, which starts another.
func (c *chassis) killDatabase() {
	w := c.w
	w.t.Helper()
	old := c.database()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	c.Eventually("another database", func() error {
		if pid := c.database(); pid == 0 || pid == old {
			return fmt.Errorf("process %d, was %d", pid, old)
		}
		out, code := c.Try("ovs-vsctl", "--timeout=5", "show")
		if code != 0 {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// database is the process of the database of the chassis: a child of its agent; 0: there is none.
func (c *chassis) database() int {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.PID()))
	if err != nil {
		c.w.t.Fatal(err)
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
