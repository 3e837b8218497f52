package vlog

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/ovs-bpf/ovs-bpf/internal/clock"
)

// Options of a log. The zero value logs to standard error as an unnamed program.
type Options struct {
	Program string      // name of the daemon: %A in patterns and the name in syslog
	Console io.Writer   // os.Stderr if nil
	Clock   clock.Clock // clock.Real if nil
	// Modules exist from the start, so that -v options can name them before their code runs.
	Modules []string
	// OnOpen is called with each log file that is opened, under the log's lock: it must not log.
	OnOpen func(*os.File)
}

// Log is the log of one daemon. Its methods may be called from any goroutine.
type Log struct {
	opts  Options
	start int64 // Unix milliseconds, for %r
	pid   int
	host  string

	mu       sync.Mutex
	modules  map[string]*module
	patterns [numDestinations]pattern
	defaults [numDestinations]Level // of modules that are made later
	seq      uint64
	file     *os.File
	path     string // of the file; stays when the file is closed
	syslog   syslogSink
	target   *datagram // --syslog-target, nil without
	facility int
}

type module struct {
	name    string
	entry   *logrus.Entry
	levels  [numDestinations]Level
	limited bool // rate limits are in force
}

// The patterns that OVS starts with.
var defaultPatterns = [numDestinations]string{
	Syslog:  "ovs|%05N|%c%T|%p|%m",
	Console: "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m",
	File:    "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
}

// New makes a log with OVS's levels (INFO everywhere) and patterns, the console and the system's syslog as
// destinations, and no file.
func New(opts Options) *Log {
	if opts.Console == nil {
		opts.Console = os.Stderr
	}
	if opts.Clock == nil {
		opts.Clock = clock.Real{}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	l := &Log{
		opts: opts, start: opts.Clock.Now().UnixMilli(), pid: os.Getpid(), host: host,
		modules: map[string]*module{}, facility: facilities["daemon"],
	}
	l.syslog = libcSink()
	for d := range numDestinations {
		l.defaults[d] = Info
		l.patterns[d] = parsePattern(defaultPatterns[d])
	}
	for _, m := range opts.Modules {
		l.moduleLocked(m)
	}
	l.moduleLocked("vlog")
	return l
}

// Module is the logger of a module, made on first use: from then on vlog/list shows it and vlog/set takes
// its name.
func (l *Log) Module(name string) *logrus.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moduleLocked(name).entry
}

func (l *Log) moduleLocked(name string) *module {
	name = strings.ToLower(name)
	if m := l.modules[name]; m != nil {
		return m
	}
	m := &module{name: name, levels: l.defaults, limited: true}
	lg := logrus.New()
	lg.SetOutput(io.Discard)
	lg.SetFormatter(nothing{})
	lg.AddHook(&hook{l, m})
	m.entry = logrus.NewEntry(lg)
	l.modules[name] = m
	m.apply()
	return m
}

// apply gives logrus the widest of the destinations' levels, so that messages nobody shows cost one atomic load.
func (m *module) apply() { m.entry.Logger.SetLevel(slices.Max(m.levels[:]).logrus()) }

// nothing formats nothing: the hook does all the writing.
type nothing struct{}

func (nothing) Format(*logrus.Entry) ([]byte, error) { return nil, nil }

// hook carries the messages of one module to the destinations.
type hook struct {
	log *Log
	m   *module
}

func (h *hook) Levels() []logrus.Level { return logrus.AllLevels }

func (h *hook) Fire(e *logrus.Entry) error {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	h.log.writeLocked(h.m, fromLogrus(e.Level), text(e))
	return nil
}

// text is the message with its fields: the error as OVS writes it, the rest as key=value.
func text(e *logrus.Entry) string {
	if len(e.Data) == 0 {
		return e.Message
	}
	keys := make([]string, 0, len(e.Data))
	for k := range e.Data {
		if k != logrus.ErrorKey {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	b.WriteString(e.Message)
	for i, k := range keys {
		sep := ", "
		if i == 0 {
			sep = " ("
		}
		fmt.Fprintf(&b, "%s%s=%v", sep, k, e.Data[k])
	}
	if len(keys) > 0 {
		b.WriteByte(')')
	}
	if err, ok := e.Data[logrus.ErrorKey]; ok {
		fmt.Fprintf(&b, ": %v", err)
	}
	return b.String()
}

// writeLocked gives a message to every destination whose level for the module lets it through.
func (l *Log) writeLocked(m *module, lv Level, msg string) {
	shown := func(d Destination) bool { return lv <= m.levels[d] }
	if !shown(Console) && !shown(File) && !shown(Syslog) {
		return
	}
	l.seq++
	r := record{log: l, time: l.opts.Clock.Now(), module: m.name, level: lv, seq: l.seq, msg: msg, facility: l.facility}
	if shown(Console) {
		_, _ = l.opts.Console.Write(append(l.patterns[Console].append(nil, &r), '\n'))
	}
	if shown(File) && l.file != nil {
		_, _ = l.file.Write(append(l.patterns[File].append(nil, &r), '\n'))
	}
	if shown(Syslog) {
		// A line each: a syslog message has no newlines.
		for part := range strings.SplitSeq(msg, "\n") {
			r.msg = part
			l.syslog.send(&r, l.patterns[Syslog])
			if l.target != nil {
				t := r
				t.facility = targetFacility
				l.target.send(targetPattern.append(nil, &t), r.time)
			}
		}
	}
}

// logLocked writes a message of the log about itself.
func (l *Log) logLocked(lv Level, format string, args ...any) {
	l.writeLocked(l.modules["vlog"], lv, fmt.Sprintf(format, args...))
}

// Close closes the file and the syslog sockets. Messages after it still reach the console.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeFileLocked()
	l.syslog.close()
	if l.target != nil {
		l.target.close()
		l.target = nil
	}
	l.syslog = nullSink()
}
