package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ovs-bpf/ovs-bpf/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long something may take that has to happen.
const patience = 30 * time.Second

// server is an ovsdb-server in a directory of its own, without the row that "ovs-vsctl init" makes.
type server struct {
	t    testing.TB
	dir  string
	cmd  *exec.Cmd
	args []string
}

// newServer starts a server with a schema.
func newServer(t testing.TB, schema string, args ...string) *server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "schema")
	if err := os.WriteFile(file, []byte(schema), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: dir, args: args}
	s.run("ovsdb-tool", "create", s.file(), file)
	s.start()
	t.Cleanup(s.stop)
	return s
}

// ours is the schema built in, debian the installed one.
func ours(testing.TB) string { return schemas.VSwitch() }

func debian(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("/usr/share/openvswitch/vswitch.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *server) file() string   { return filepath.Join(s.dir, "conf.db") }
func (s *server) remote() string { return "unix:" + filepath.Join(s.dir, "db.sock") }

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("ovsdb-server", append([]string{s.file(), "--remote=p" + s.remote(), "--unixctl=" + filepath.Join(s.dir, "ctl"), "-vconsole:err", "-vsyslog:off"}, s.args...)...)
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the server listens", func() error {
		conn, err := net.Dial("unix", filepath.Join(s.dir, "db.sock"))
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) run(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// vsctl runs the stock ovs-vsctl without waiting for a switch.
func (s *server) vsctl(args ...string) string {
	s.t.Helper()
	return s.run("ovs-vsctl", append([]string{"--db=" + s.remote(), "--no-wait", "--timeout=20"}, args...)...)
}

// client connects a client that ends with the test.
func (s *server) client() *Client {
	s.t.Helper()
	return connect(s.t, Options{Remote: s.remote()})
}

func connect(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := Connect(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// next is the next snapshot for which ok says so.
func next(t testing.TB, c *Client, what string, ok func(*Snapshot) bool) *Snapshot {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case s := <-c.Snapshots():
			if ok == nil || ok(s) {
				return s
			}
		case <-deadline:
			t.Fatalf("no snapshot: %s", what)
		}
	}
}

func waitLocked(t testing.TB, c *Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.WaitLocked(ctx); err != nil {
		t.Fatalf("the lock is not ours: %v", err)
	}
}

func write(t testing.TB, c *Client, st *Status) {
	t.Helper()
	if err := tryWrite(t, c, st); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func tryWrite(t testing.TB, c *Client, st *Status) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Write(ctx, st)
}

// eventually waits until f returns nil.
func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// withoutColumns is a schema with columns left out, as "table.column".
func withoutColumns(t testing.TB, schema string, names ...string) string {
	t.Helper()
	var s struct {
		Name    string         `json:"name"`
		Version string         `json:"version"`
		Tables  map[string]any `json:"tables"`
	}
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		table, column, _ := strings.Cut(n, ".")
		columns := s.Tables[table].(map[string]any)["columns"].(map[string]any)
		if columns[column] == nil {
			t.Fatalf("no column %s", n)
		}
		delete(columns, column)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func ptr[T any](v T) *T { return &v }

func want(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %s, want %s", what, got, want)
	}
}

func mustEqual(got, want string) error {
	if got != want {
		return fmt.Errorf("got %s, want %s", got, want)
	}
	return nil
}
