package vlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

var when = time.Date(2026, 11, 24, 16, 0, 0, 123456789, time.UTC)

// newLog logs to a buffer at a fixed time, and nowhere else.
func newLog(t *testing.T, modules ...string) (*Log, *bytes.Buffer, *clock.Manual) {
	t.Helper()
	var buf bytes.Buffer
	c := clock.NewManual(when)
	l := New(Options{Program: "ovs-vswitchd", Console: &buf, Clock: c, Modules: modules})
	if err := l.SetSyslogMethod("null"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, &buf, c
}

func TestForm(t *testing.T) {
	l, console, _ := newLog(t)
	path := filepath.Join(t.TempDir(), "ovs-vswitchd.log")
	if err := l.OpenFile(path); err != nil {
		t.Fatal(err)
	}
	b := l.Module("bridge")
	b.Info("ovs-vswitchd (Open vSwitch) 3.7.0")
	b.WithField("bridge", "br0").WithField("a", 1).WithError(errors.New("no such device")).Warn("cannot add p0")
	b.WithError(errors.New("gone")).Error("lost")
	b.Debug("not shown")
	b.Log(logrus.FatalLevel, "last words")
	l.Module("Rconn").Info("connected")
	want := []string{
		"|00001|vlog|INFO|opened log file " + path,
		"|00002|bridge|INFO|ovs-vswitchd (Open vSwitch) 3.7.0",
		"|00003|bridge|WARN|cannot add p0 (a=1, bridge=br0): no such device",
		"|00004|bridge|ERR|lost: gone",
		"|00005|bridge|EMER|last words",
		"|00006|rconn|INFO|connected",
		"",
	}
	if diff := cmp.Diff(prefix("2026-11-24T16:00:00Z", want), strings.Split(console.String(), "\n")); diff != "" {
		t.Errorf("console: %s", diff)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(prefix("2026-11-24T16:00:00.123Z", want), strings.Split(string(file), "\n")); diff != "" {
		t.Errorf("file: %s", diff)
	}
}

func prefix(p string, lines []string) (out []string) {
	for _, l := range lines {
		if l != "" {
			l = p + l
		}
		out = append(out, l)
	}
	return out
}

func TestSet(t *testing.T) {
	levels := func(l *Log, m string) string {
		return fmt.Sprint(l.Level(m, Console), l.Level(m, Syslog), l.Level(m, File))
	}
	for _, tc := range []struct {
		specs       []string
		err         string
		bridge, any string // console, syslog, file
	}{
		{nil, "", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"console:off", "syslog:err", "file:info"}, "", "OFF ERR INFO", "OFF ERR INFO"},
		{[]string{"bridge:file:dbg"}, "", "INFO INFO DBG", "INFO INFO INFO"},
		{[]string{"DBG:FILE:Bridge"}, "", "INFO INFO DBG", "INFO INFO INFO"},
		{[]string{"emer", "bridge:file"}, "", "EMER EMER DBG", "EMER EMER EMER"},
		{[]string{"ANY:console:warn"}, "", "WARN INFO INFO", "WARN INFO INFO"},
		{[]string{"bridge,err"}, "", "ERR ERR ERR", "INFO INFO INFO"},
		{[]string{"bridge warn"}, "", "WARN WARN WARN", "INFO INFO INFO"},
		{[]string{""}, "", "DBG DBG DBG", "DBG DBG DBG"},
		{[]string{"any:any"}, "", "DBG DBG DBG", "DBG DBG DBG"},
		{[]string{"foo"}, `no destination, level, or module "foo"`, "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"bridge:dbg:foo"}, `no destination, level, or module "foo"`, "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"syslog:console"}, "cannot specify multiple destinations", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"dbg:info"}, "cannot specify multiple levels", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"bridge:rconn"}, "cannot specify multiple modules", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"PATTERN"}, "missing destination", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"PATTERN:foo:x"}, `unknown destination "foo"`, "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"FACILITY"}, "invalid facility", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"FACILITY:xx"}, "invalid facility", "INFO INFO INFO", "INFO INFO INFO"},
		{[]string{"FACILITY:local3"}, "", "INFO INFO INFO", "INFO INFO INFO"},
	} {
		t.Run(strings.Join(tc.specs, " "), func(t *testing.T) {
			l, _, _ := newLog(t, "bridge", "rconn")
			err := l.SetAll(tc.specs...)
			if got := fmt.Sprint(err); err != nil && got != tc.err || err == nil && tc.err != "" {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			l.Module("later")
			if got := [2]string{levels(l, "bridge"), levels(l, "later")}; got != [2]string{tc.bridge, tc.any} {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestLevelsReachLogrus: what no destination shows is stopped by logrus itself, what one shows is not.
func TestLevelsReachLogrus(t *testing.T) {
	l, console, _ := newLog(t, "bridge", "rconn")
	lg := l.Module("bridge").Logger
	for _, tc := range []struct {
		spec  string
		shown logrus.Level
	}{
		{"dbg", logrus.TraceLevel}, {"info", logrus.InfoLevel}, {"warn", logrus.WarnLevel}, {"err", logrus.ErrorLevel},
		{"emer", logrus.FatalLevel}, {"off", logrus.PanicLevel}, {"bridge:file:dbg", logrus.TraceLevel},
	} {
		if err := l.Set(tc.spec); err != nil {
			t.Fatal(err)
		}
		if got := lg.GetLevel(); got != tc.shown {
			t.Errorf("%s: %v, want %v", tc.spec, got, tc.shown)
		}
	}
	l.Module("bridge").Error("for the file only, and there is none")
	if console.Len() > 0 {
		t.Error(console.String())
	}
}

func TestPatterns(t *testing.T) {
	l, console, c := newLog(t)
	c.Advance(1500 * time.Millisecond)
	host, _ := os.Hostname()
	for _, tc := range []struct{ pattern, want string }{
		{"%m", "hello"},
		{"%A %c %p %P %E", fmt.Sprintf("ovs-vswitchd bridge INFO %d %s", os.Getpid(), host)},
		{"<%B>", "<29>"},
		{"%r", "1500"},
		{"%D{%Y-%m-%d %H:%M:%S.###}", "2026-11-24 16:00:01.623"},
		{"%D{%h %e %T|%F|%j|%s|%y%%|%Q|#####}", fmt.Sprintf("Nov 24 16:00:01|2026-11-24|328|%d|26%%|%%Q|62345", when.Unix()+1)},
		{"%D", "2026-11-24 16:00:01"},
		{"%D{unfinished", "2026-11-24 16:00:01{unfinished"},
		{"%6p|%-6p|%06p|%3p", "  INFO|INFO  |00INFO|INFO"},
		{"%c%T|%t", "bridge|"},
		{"100%% %", "100% "},
		{"a%nb", "a\nb"},
		{"%z%", "z"},
		{"plain", "plain"},
		{"", ""},
	} {
		if err := l.Set("PATTERN:console:" + tc.pattern); err != nil {
			t.Fatal(err)
		}
		console.Reset()
		l.Module("bridge").Info("hello")
		if got := console.String(); got != tc.want+"\n" {
			t.Errorf("%q: got %q, want %q", tc.pattern, got, tc.want+"\n")
		}
	}
}

func TestAnyPatternIsHarmless(t *testing.T) {
	l, console, _ := newLog(t)
	rapid.Check(t, func(rt *rapid.T) {
		p := strings.Join(rapid.SliceOf(rapid.SampledFrom(
			[]string{"%", "-", "0", "9", "D", "d", "{", "}", "m", "N", "#", "Y", ":", "x", "99999999999999999999"})).Draw(rt, "p"), "")
		_ = l.Set("PATTERN:console:" + p)
		console.Reset()
		l.Module("x").Info("hello")
		if console.Len() > (len(p)+1)*(maxWidth+100) {
			rt.Fatalf("%d bytes", console.Len())
		}
	})
}

func TestList(t *testing.T) {
	l, _, _ := newLog(t, "bridge", "ofproto_dpif_xlate")
	_ = l.SetAll("console:off", "bridge:file:dbg")
	want := "                 console    syslog    file\n" +
		"                 -------    ------    ------\n" +
		"bridge             OFF       INFO        DBG\n" +
		"ofproto_dpif_xlate   OFF       INFO       INFO\n" +
		"vlog               OFF       INFO       INFO\n"
	if diff := cmp.Diff(want, l.List()); diff != "" {
		t.Error(diff)
	}
	want = "         prefix                            format\n" +
		"         ------                            ------\n" +
		"SYSLOG   <%B> %D{%h %e %T} %E %A:          ovs|%05N|%c%T|%p|%m\n" +
		"CONSOLE  none                              %D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m\n" +
		"FILE     none                              %D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m\n"
	if err := l.SetSyslogMethod("libc"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, l.ListPatterns()); diff != "" {
		t.Error(diff)
	}
}

func TestRotation(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	l, _, _ := newLog(t)
	if err := l.Reopen(); !errors.Is(err, ErrNoFile) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "x.log")
	if err := l.OpenFile(path); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if err := l.Reopen(); err != nil { // nothing was rotated: nothing happens
		t.Fatal(err)
	}
	if n := strings.Count(read(path), "\n"); n != 1 {
		t.Errorf("%d lines", n)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Module("m").Info("before")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Module("m").Info("after")
	l.CloseFile()
	l.Module("m").Info("closed")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Module("m").Info("again")
	if s := read(path + ".1"); !strings.Contains(s, "|before\n") || !strings.Contains(s, "|closing log file\n") || strings.Contains(s, "after") {
		t.Error(s)
	}
	if s := read(path); !strings.Contains(s, "|after\n") || strings.Contains(s, "|closed\n") || !strings.Contains(s, "|again\n") {
		t.Error(s)
	}
}

func TestUnwritableFileOnlyWarns(t *testing.T) {
	l, console, _ := newLog(t)
	if err := l.OpenFile("/nonexistent/x.log"); err == nil {
		t.Error("no error")
	}
	want := "2026-11-24T16:00:00Z|00001|vlog|WARN|failed to open /nonexistent/x.log for logging: no such file or directory\n"
	if diff := cmp.Diff(want, console.String()); diff != "" {
		t.Error(diff)
	}
	l.Module("m").Info("goes on")
	if !strings.HasSuffix(console.String(), "|m|INFO|goes on\n") {
		t.Error(console.String())
	}
}

func TestSyslog(t *testing.T) {
	dir := t.TempDir()
	local, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	remote, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	receive := func(c net.PacketConn) string {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		b := make([]byte, 2000)
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	l, _, c := newLog(t)
	if err := errors.Join(l.SetSyslogMethod("unix:"+filepath.Join(dir, "log")), l.SetSyslogTarget(remote.LocalAddr().String())); err != nil {
		t.Fatal(err)
	}
	l.Module("bridge").Warn("one\ntwo")
	for _, want := range []string{"<28>ovs|00001|bridge|WARN|one", "<28>ovs|00001|bridge|WARN|two"} {
		if got := receive(local); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want := fmt.Sprintf("<132>1 2026-11-24T16:00:00.123Z %s ovs-vswitchd %d bridge - \xef\xbb\xbfone", l.host, os.Getpid())
	if got := receive(remote); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// The logger restarts: the next message after a while is delivered, those between are lost.
	_ = local.Close()
	_ = os.Remove(filepath.Join(dir, "log"))
	l.Module("bridge").Warn("lost")
	again, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	c.Advance(2 * retryAfter)
	if err := l.Set("FACILITY:local7"); err != nil {
		t.Fatal(err)
	}
	l.Module("bridge").Error("back")
	if got := receive(again); got != "<187>ovs|00003|bridge|ERR|back" {
		t.Errorf("got %q", got)
	}
	// By UDP, in RFC 5424's form, with the daemon's facility.
	if err := errors.Join(l.SetSyslogMethod("udp:"+remote.LocalAddr().String()), l.Set("FACILITY:daemon")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"zz", "unix:", "udp:", "udp:host:514", ""} {
		if err := l.SetSyslogMethod(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if err := l.SetSyslogMethod("zz"); err.Error() != "unsupported syslog method 'zz'" {
		t.Error(err)
	}
}

func TestLimiter(t *testing.T) {
	l, console, c := newLog(t)
	lim := l.Limiter("m", 60, 2)
	_ = l.Set("PATTERN:console:%p %m")
	for range 5 {
		lim.Warnf("w%d", 1)
	}
	lim.Debugf("not shown, takes no token")
	c.Advance(3 * time.Second)
	lim.Errorf("e")
	want := "WARN w1\nWARN w1\nERR Dropped 3 log messages in last 3 seconds (most recently, 3 seconds ago) due to excessive rate\nERR e\n"
	if diff := cmp.Diff(want, console.String()); diff != "" {
		t.Error(diff)
	}
	console.Reset()
	if err := l.SetRateLimits(false, "m"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		lim.Infof("i")
	}
	if n := strings.Count(console.String(), "\n"); n != 10 {
		t.Errorf("%d lines without limits", n)
	}
	if err := l.SetRateLimits(true); err != nil {
		t.Fatal(err)
	}
	console.Reset()
	for range 10 {
		lim.Logf(logrus.PanicLevel, "panic")
	}
	if n := strings.Count(console.String(), "EMER panic\n"); n > 2 {
		t.Errorf("%d lines with limits", n)
	}
	if err := l.SetRateLimits(true, "nosuch"); !errors.Is(err, errUnknownModule) {
		t.Error(err)
	}
}

// commands collects what is registered.
type commands map[string]func(context.Context, []string, func(string, error))

func (c commands) Register(name, _ string, _, _ int, h func(context.Context, []string, func(string, error))) {
	c[name] = h
}

func (c commands) RegisterHidden(name string, _, _ int, h func(context.Context, []string, func(string, error))) {
	c[name] = h
}

func TestCommands(t *testing.T) {
	l, console, _ := newLog(t, "bridge")
	cs := commands{}
	l.RegisterCommands(cs)
	run := func(name string, args ...string) string {
		t.Helper()
		got := "no reply"
		cs[name](context.Background(), args, func(text string, err error) {
			got = text
			if err != nil {
				got = "error: " + err.Error()
			}
		})
		return got
	}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"vlog/set", nil, ""},
		{"vlog/set", []string{"bridge:dbg", "file:off"}, ""},
		{"vlog/set", []string{"foo"}, `error: no destination, level, or module "foo"`},
		{"vlog/list", nil, l.List()},
		{"vlog/list-pattern", nil, l.ListPatterns()},
		{"vlog/reopen", nil, "error: Logging to file not configured"},
		{"vlog/close", nil, ""},
		{"vlog/enable-rate-limit", []string{"bridge"}, ""},
		{"vlog/disable-rate-limit", []string{"nosuch"}, "error: unknown module"},
		{"vlog/message", []string{"hello", "there"}, ""},
	} {
		want := tc.want
		if tc.name == "vlog/list" {
			want = l.List()
		}
		if got := run(tc.name, tc.args...); got != want {
			t.Errorf("%s %q: got %q, want %q", tc.name, tc.args, got, want)
		}
	}
	if !strings.HasSuffix(console.String(), "|vlog|INFO|hello there\n") {
		t.Error(console.String())
	}
}

func TestConcurrentUse(t *testing.T) {
	l, _, _ := newLog(t, "bridge")
	path := filepath.Join(t.TempDir(), "x.log")
	_ = l.OpenFile(path)
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			lim := l.Limiter("bridge", 600, 10)
			for j := range 200 {
				l.Module(fmt.Sprint("m", j%7)).WithField("i", i).Info("x")
				lim.Infof("y")
				_ = l.Set([]string{"console:off", "bridge:dbg", "info"}[j%3])
				_ = l.Reopen()
				_ = l.List()
			}
		}()
	}
	for range 4 {
		<-done
	}
}
