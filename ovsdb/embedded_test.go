package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ovs-bpf/ovs-bpf/schemas"
)

func embed(t *testing.T, o EmbeddedOptions) *Embedded {
	t.Helper()
	e, err := StartEmbedded(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func vsctl(t *testing.T, e *Embedded, args ...string) string {
	t.Helper()
	return (&server{t: t}).run("ovs-vsctl", append([]string{"--db=" + e.Remote(), "--no-wait", "--timeout=20"}, args...)...)
}

func TestEmbedded(t *testing.T) {
	t.Setenv("OVS_DBDIR", "")
	dir := t.TempDir()
	e := embed(t, EmbeddedOptions{RunDir: dir})
	vsctl(t, e, "add-br", "br0")
	c := connect(t, Options{Remote: e.Remote()})
	want(t, "bridge", next(t, c, "br0", nil).Bridges[0].Name, "br0")
	want(t, "schema", (&server{t: t}).run("ovsdb-tool", "db-version", filepath.Join(dir, "conf.db")), "8.8.0")
	// The stock way to the server's control socket.
	cmd := exec.Command("ovs-appctl", "-t", "ovsdb-server", "ovsdb-server/list-dbs")
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Open_vSwitch") {
		t.Errorf("ovs-appctl -t ovsdb-server: %v: %s", err, out)
	}
	// Managers are the server's.
	vsctl(t, e, "set-manager", "punix:"+dir+"/manager.sock")
	eventually(t, "the manager's socket", func() error {
		conn, err := net.Dial("unix", dir+"/manager.sock")
		if err == nil {
			conn.Close()
		}
		return err
	})

	// Content outlives a stop.
	pid := e.PID()
	e.Close()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("ovsdb-server %d is still there: %v", pid, err)
	}
	for _, name := range []string{"db.sock", "ovsdb-server.pid"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left behind", name)
		}
	}
	e = embed(t, EmbeddedOptions{RunDir: dir})
	want(t, "bridges", vsctl(t, e, "list-br"), "br0")

	// A server that dies comes again, and the client with it.
	next(t, c, "after the restart", nil)
	pid = e.PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new server", func() error {
		if p := e.PID(); p == 0 || p == pid {
			return fmt.Errorf("pid %d", p)
		}
		return nil
	})
	next(t, c, "after the kill", nil)
	want(t, "bridges", vsctl(t, e, "list-br"), "br0")
}

func TestEmbeddedFile(t *testing.T) {
	dir, dbdir := t.TempDir(), t.TempDir()
	t.Setenv("OVS_DBDIR", dbdir)
	e := embed(t, EmbeddedOptions{RunDir: dir})
	e.Close()
	if _, err := os.Stat(filepath.Join(dbdir, "conf.db")); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dbdir, "own.db")
	e = embed(t, EmbeddedOptions{RunDir: dir, File: file})
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	e.Close()
}

func TestEmbeddedConverts(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "conf.db")
	e := embed(t, EmbeddedOptions{RunDir: dir, File: file, Schema: debian(t)})
	vsctl(t, e, "add-br", "br0")
	e.Close()
	version := func() string { return (&server{t: t}).run("ovsdb-tool", "db-version", file) }
	want(t, "before", version(), "8.3.1")
	e = embed(t, EmbeddedOptions{RunDir: dir, File: file})
	want(t, "after", version(), "8.8.0")
	want(t, "bridges", vsctl(t, e, "list-br"), "br0")
	e.Close()
	if _, err := os.Stat(file + ".backup8.3.1"); err != nil {
		t.Error(err)
	}
	// A newer database is not taken back.
	e = embed(t, EmbeddedOptions{RunDir: dir, File: file, Schema: debian(t)})
	e.Close()
	want(t, "after an older program", version(), "8.8.0")
}

func TestEmbeddedRefuses(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.db")
	if err := os.WriteFile(broken, []byte("no database\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	served := newServer(t, ours(t))
	for name, tc := range map[string]struct {
		o      EmbeddedOptions
		path   string
		reason string
	}{
		"socket in use":      {o: EmbeddedOptions{RunDir: served.dir, File: filepath.Join(dir, "a.db")}, reason: "already listens"},
		"no directory":       {o: EmbeddedOptions{RunDir: dir, File: filepath.Join(dir, "none", "a.db")}, reason: "no such file or directory"},
		"no run directory":   {o: EmbeddedOptions{RunDir: filepath.Join(dir, "none"), File: filepath.Join(dir, "b.db")}, reason: "No such file or directory"},
		"broken file":        {o: EmbeddedOptions{RunDir: dir, File: broken}, reason: "broken.db"},
		"file in use":        {o: EmbeddedOptions{RunDir: dir, File: served.file()}, reason: "lock"},
		"broken schema":      {o: EmbeddedOptions{RunDir: dir, File: filepath.Join(dir, "c.db"), Schema: "{"}, reason: "schema"},
		"database directory": {o: EmbeddedOptions{RunDir: dir, File: dir}, reason: dir},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := StartEmbedded(context.Background(), tc.o)
			if err == nil {
				e.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("error %q does not say %q", err, tc.reason)
			}
		})
	}
}

func TestMissingProgram(t *testing.T) {
	_, err := findProgram("ovsdb-nosuchthing")
	if err == nil || !strings.Contains(err.Error(), "openvswitch-switch") {
		t.Errorf("error %v does not name the package", err)
	}
	t.Setenv("PATH", "")
	if path, err := findProgram("ovsdb-server"); err != nil || path != "/usr/sbin/ovsdb-server" {
		t.Errorf("without PATH: %s, %v", path, err)
	}
}

// TestEmbeddedDiesWithUs starts a process that embeds a server, kills it, and waits for the server's end.
func TestEmbeddedDiesWithUs(t *testing.T) {
	if dir := os.Getenv("OVSDB_TEST_EMBED"); dir != "" {
		e, err := StartEmbedded(context.Background(), EmbeddedOptions{RunDir: dir, File: filepath.Join(dir, "conf.db")})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("pid=%d\n", e.PID())
		time.Sleep(patience)
		t.Fatal("not killed")
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEmbeddedDiesWithUs$")
	cmd.Env = append(os.Environ(), "OVSDB_TEST_EMBED="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid=%d\n", &pid); err != nil {
		t.Error(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "ovsdb-server ends", func() error {
		if err := syscall.Kill(pid, 0); err == nil {
			return fmt.Errorf("process %d is there", pid)
		}
		return nil
	})
	// The next instance finds the way free.
	e := embed(t, EmbeddedOptions{RunDir: dir, File: filepath.Join(dir, "conf.db")})
	e.Close()
}

func TestVersions(t *testing.T) {
	for _, tc := range []struct {
		a, b  string
		older bool
	}{{"8.3.1", "8.8.0", true}, {"8.8.0", "8.8.0", false}, {"8.10.0", "8.9.9", false}, {"7.16.1", "8.0.0", true}} {
		if got, err := olderVersion(tc.a, tc.b); err != nil || got != tc.older {
			t.Errorf("%s older than %s: %v, %v", tc.a, tc.b, got, err)
		}
	}
	for _, bad := range []string{"", "8", "8.3", "8.3.x", "8.3.1.0", "-1.0.0"} {
		if _, err := olderVersion(bad, "8.8.0"); err == nil {
			t.Errorf("version %q is accepted", bad)
		}
	}
	if v, err := schemaVersion(schemas.VSwitch()); err != nil || v != "8.8.0" {
		t.Errorf("our schema: %s, %v", v, err)
	}
}
