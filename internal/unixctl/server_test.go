package unixctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server with a few commands and stops it at the end of the test.
func serve(t *testing.T) *Server {
	t.Helper()
	s := NewServer(filepath.Join(t.TempDir(), "ovs-vswitchd.1.ctl"))
	s.Register("version", "", 0, 0, Text(func() string { return "ovs-vswitchd (Open vSwitch) 3.7.0" }))
	s.Register("echo", "a [b]", 1, 2, func(_ context.Context, args []string, reply func(string, error)) {
		reply(strings.Join(args, "|"), nil)
	})
	s.Register("any", "[word]...", 0, Unlimited, func(_ context.Context, args []string, reply func(string, error)) {
		reply(fmt.Sprintf("%d words", len(args)), nil)
	})
	s.Register("fail", "", 0, 0, func(_ context.Context, _ []string, reply func(string, error)) {
		reply("", errors.New("no such bridge"))
	})
	s.RegisterHidden("vlog/message", 0, 1, Text(func() string { return "" }))
	s.RegisterJSON("shape", "", 0, 0, func(ctx context.Context, _ []string, reply func(string, error)) {
		if WantsJSON(ctx) {
			reply(`{"a":[1,2]}`, nil)
			return
		}
		reply("a: 1 2\n", nil)
	})
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// appctl runs the stock ovs-appctl against the server.
func appctl(t *testing.T, path string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("ovs-appctl", append([]string{"--timeout=20", "-t", path}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		ee, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		code = ee.ExitCode()
	}
	return out.String(), errs.String(), code
}

func TestAppctl(t *testing.T) {
	s := serve(t)
	refused := "ovs-appctl: " + s.Path() + ": server returned an error\n"
	for _, tc := range []struct {
		name        string
		args        []string
		out, errOut string
		code        int
	}{
		{"answer gets a newline", []string{"version"}, "ovs-vswitchd (Open vSwitch) 3.7.0\n", "", 0},
		{"arguments in order", []string{"echo", "a b", "ü\"\\"}, "a b|ü\"\\\n", "", 0},
		{"any number", append([]string{"any"}, make([]string, 500)...), "500 words\n", "", 0},
		{"empty answer", []string{"vlog/message", "x"}, "", "", 0},
		{"refusal", []string{"fail"}, "", "no such bridge\n" + refused, 2},
		{"too few", []string{"echo"}, "", "\"echo\" command requires at least 1 arguments\n" + refused, 2},
		{"too many", []string{"echo", "1", "2", "3"}, "", "\"echo\" command takes at most 2 arguments\n" + refused, 2},
		{"unknown", []string{"nosuch"}, "",
			"\"nosuch\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n" + refused, 2},
		{"text without set-options", []string{"shape"}, "a: 1 2\n", "", 0},
		{"list", []string{"list-commands"}, "The available commands are:\n" +
			"  any                     [word]...\n" +
			"  echo                    a [b]\n" +
			"  fail                    \n" +
			"  list-commands           \n" +
			"  set-options             [--format text|json]\n" +
			"  shape                   \n" +
			"  version                 \n", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, errOut, code := appctl(t, s.Path(), tc.args...)
			if out != tc.out || errOut != tc.errOut || code != tc.code {
				t.Errorf("got %q, %q, %d; want %q, %q, %d", out, errOut, code, tc.out, tc.errOut, tc.code)
			}
		})
	}
	if _, _, code := appctl(t, s.Path()+".gone", "version"); code != 1 {
		t.Errorf("nobody listens: code %d, want 1", code)
	}
}

// talk sends bytes and reads until n bytes came or the server closed.
func talk(t *testing.T, path, in string, n int) string {
	t.Helper()
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, in); err != nil {
		t.Fatal(err)
	}
	var r io.Reader = c
	if n >= 0 {
		r = io.LimitReader(c, int64(n))
	}
	out, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Fatal(err)
	}
	return string(out)
}

func TestWire(t *testing.T) {
	s := serve(t)
	const v = `"result":"ovs-vswitchd (Open vSwitch) 3.7.0\n","error":null}`
	for _, tc := range []struct{ name, in, out string }{
		{"number as id", `{"method":"version","params":[],"id":0}`, `{"id":0,` + v},
		{"any id is given back", `{"id":[1,{"a":"b"}],"method":"version","params":[]}`, `{"id":[1,{"a":"b"}],` + v},
		{"requests in a row", `{"method":"version","params":[],"id":"x"} {"method":"fail","params":[],"id":2}`,
			`{"id":"x",` + v + `{"id":2,"error":"no such bridge\n"}`},
		{"no escapes of HTML", `{"method":"echo","params":["<a&b>"],"id":1}`, `{"id":1,"result":"<a&b>\n","error":null}`},
		{"argument of another type", `{"method":"echo","params":[1],"id":0}`, `{"id":0,"error":"\"echo\" command has non-string argument\n"}`},
		{"null argument", `{"method":"echo","params":[null],"id":0}`, `{"id":0,"error":"\"echo\" command has non-string argument\n"}`},
		{"JSON on demand, for this connection",
			`{"method":"set-options","params":["--format","json"],"id":0}{"method":"shape","params":[],"id":1}{"method":"echo","params":["x"],"id":2}` +
				`{"method":"set-options","params":["--format","text"],"id":3}{"method":"shape","params":[],"id":4}`,
			`{"id":0,"result":"","error":null}{"id":1,"result":{"a":[1,2]},"error":null}` +
				`{"id":2,"result":{"reply":"x\n","reply-format":"plain"},"error":null}` +
				`{"id":3,"result":{"reply":"","reply-format":"plain"},"error":null}{"id":4,"result":"a: 1 2\n","error":null}`},
		{"wrong format", `{"method":"set-options","params":["--format","xml"],"id":0}`, `{"id":0,"error":"option --format has invalid value xml\n"}`},
		{"format without a value", `{"method":"set-options","params":["--format"],"id":0}`, `{"id":0,"error":"option requires an argument -- --format\n"}`},
		{"other option", `{"method":"set-options","params":["--x","y"],"id":0}`, `{"id":0,"error":"invalid option -- --x\n"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name != "JSON on demand, for this connection" {
				if diff := cmp.Diff(tc.out, talk(t, s.Path(), tc.in, len(tc.out))); diff != "" {
					t.Error(diff)
				}
				return
			}
			// The reply to set-options itself is in the form that it asks for.
			got := talk(t, s.Path(), tc.in, len(tc.out))
			if !strings.Contains(got, `{"id":1,"result":{"a":[1,2]},"error":null}`) ||
				!strings.Contains(got, `{"id":2,"result":{"reply":"x\n","reply-format":"plain"},"error":null}`) {
				t.Error(got)
			}
		})
	}
}

// TestBrokenProtocol: the connection is closed and the server lives on.
func TestBrokenProtocol(t *testing.T) {
	s := serve(t)
	for _, in := range []string{
		`garbage`, `[]`, `"x"`, `{}`, `null`,
		`{"method":"version","params":[],"id":null}`,
		`{"method":"version","params":[]}`,
		`{"method":"version","id":1}`,
		`{"method":"version","params":null,"id":1}`,
		`{"method":"version","params":"x","id":1}`,
		`{"method":1,"params":[],"id":1}`,
		`{"method":"version","params":[],"id":1,"more":1}`,
		`{"result":"x","error":null,"id":1}`,
		`{"method":"version","params":` + strings.Repeat("[", 20000),
		"{\"method\":\"\x00\xff",
	} {
		c, err := Dial(context.Background(), s.Path())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, in); err != nil {
			t.Fatal(err)
		}
		_ = c.CloseWrite()
		if out, _ := io.ReadAll(c); len(out) > 0 {
			t.Errorf("%.60q was answered with %q", in, out)
		}
		_ = c.Close()
	}
	if out, _, code := appctl(t, s.Path(), "version"); code != 0 {
		t.Errorf("after that: %q, code %d", out, code)
	}
}

// TestRequestTooLong: a request without an end is cut off at its limit, whatever it consists of.
func TestRequestTooLong(t *testing.T) {
	s := serve(t)
	for _, head := range []string{`{"method":"`, `{"method":"any","params":["`, ``} {
		c, err := Dial(context.Background(), s.Path())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, head)
		fill := []byte(strings.Repeat("x", 1<<16))
		if head == "" {
			fill = []byte(strings.Repeat(" ", 1<<16))
		}
		sent := 0
		for {
			n, err := c.Write(fill)
			sent += n
			if err != nil {
				break
			}
			if sent > 64<<20 {
				t.Fatalf("%q: %d bytes taken", head, sent)
			}
		}
		_ = c.Close()
	}
}

func TestRandomBytes(t *testing.T) {
	s := serve(t)
	pieces := []string{`{`, `}`, `[`, `]`, `"method"`, `"params"`, `"id"`, `:`, `,`, `"version"`, `"echo"`, `"any"`, `"set-options"`,
		`0`, `null`, `"--format"`, `"json"`, ` `, "\n", `"`, `\u`, "\xff", `-`, `1e999`}
	rapid.Check(t, func(rt *rapid.T) {
		in := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 40).Draw(rt, "pieces"), "")
		c, err := Dial(context.Background(), s.Path())
		if err != nil {
			rt.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, in)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	if _, _, code := appctl(t, s.Path(), "version"); code != 0 {
		t.Errorf("after that: code %d", code)
	}
}

func TestManyConnections(t *testing.T) {
	s := serve(t)
	// More idle ones than the server keeps: the oldest give way and service goes on.
	idle := make([]net.Conn, 0, 2*maxConns)
	for range 2 * maxConns {
		c, err := Dial(context.Background(), s.Path())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			got, err := Call(context.Background(), s.Path(), "echo", "x", "y")
			if err != nil || got != "x|y\n" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	if n > maxConns+1 {
		t.Errorf("%d connections are open", n)
	}
	for _, c := range idle {
		_ = c.Close()
	}
}

// TestLateReply: a reply that is given just before Close reaches the client, as for exit.
func TestLateReply(t *testing.T) {
	s := serve(t)
	asked := make(chan func(string, error), 1)
	s.Register("exit", "[--cleanup]", 0, 1, func(_ context.Context, _ []string, reply func(string, error)) { asked <- reply })
	got := make(chan string, 1)
	go func() {
		text, err := Call(context.Background(), s.Path(), "exit")
		got <- fmt.Sprintf("%q %v", text, err)
	}()
	reply := <-asked
	reply("bye", nil)
	reply("twice", nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if g := <-got; g != `"bye\n" <nil>` {
		t.Error(g)
	}
	if _, err := os.Lstat(s.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// TestCloseCutsOff: neither a request without a reply nor a client that does not read holds up Close.
func TestCloseCutsOff(t *testing.T) {
	s := serve(t)
	started := make(chan struct{}, 2)
	ended := make(chan struct{})
	s.Register("never", "", 0, 0, func(ctx context.Context, _ []string, _ func(string, error)) {
		started <- struct{}{}
		context.AfterFunc(ctx, func() { close(ended) })
	})
	s.Register("huge", "", 0, 0, func(_ context.Context, _ []string, reply func(string, error)) {
		started <- struct{}{}
		reply(strings.Repeat("x", 32<<20), nil)
	})
	for _, name := range []string{"never", "huge"} {
		c, err := Dial(context.Background(), s.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, `{"method":%q,"params":[],"id":0}`, name)
		<-started
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

// TestClientGone: the context of a request ends with its client.
func TestClientGone(t *testing.T) {
	s := serve(t)
	started, ended := make(chan struct{}), make(chan struct{})
	s.Register("wait", "", 0, 0, func(ctx context.Context, _ []string, _ func(string, error)) {
		context.AfterFunc(ctx, func() { close(ended) })
		close(started)
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	go func() { <-started; cancel() }()
	if _, err := Call(ctx, s.Path(), "wait"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended
}

func TestCallErrors(t *testing.T) {
	s := serve(t)
	_, err := Call(context.Background(), s.Path(), "fail")
	if ce, ok := errors.AsType[*CommandError](err); !ok || ce.Text != "no such bridge" {
		t.Errorf("got %v", err)
	}
	if _, err := Call(context.Background(), s.Path()+"x", "version"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestSocketFile(t *testing.T) {
	dir := t.TempDir()
	old := unix.Umask(0o027)
	defer unix.Umask(old)

	long := filepath.Join(dir, strings.Repeat("d", 100), "a.ctl")
	if err := os.Mkdir(filepath.Dir(long), 0o755); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, "stale.ctl")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: stale}); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	for _, path := range []string{filepath.Join(dir, "a.ctl"), stale, long} {
		s := NewServer(path)
		if err := s.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		st, err := os.Lstat(path)
		if err != nil || st.Mode().Perm() != 0o750 {
			t.Errorf("%s: %v %v", path, st.Mode(), err)
		}
		if _, err := Call(context.Background(), path, "list-commands"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: still there", path)
		}
	}

	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewServer(file).Start(context.Background()); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file is replaced: %v", err)
	}
	if err := NewServer(filepath.Join(dir, "no", "such.ctl")).Start(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	none := NewServer("none")
	if err := errors.Join(none.Start(context.Background()), none.Close()); err != nil || none.Path() != "" {
		t.Errorf("none: %v", err)
	}
}

func TestUnregister(t *testing.T) {
	s := serve(t)
	s.Unregister("echo")
	if _, err := Call(context.Background(), s.Path(), "echo", "x"); err == nil {
		t.Error("still there")
	}
}
